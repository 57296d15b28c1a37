//! Where the dump is to go: what the configuration of the distribution's service names.

use serde::Serialize;

/// Which service saves the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// kdump-tools of Debian and Ubuntu: /etc/default/kdump-tools.
    KdumpTools,
    /// kdump-utils of Fedora and its relatives: /etc/kdump.conf.
    KdumpUtils,
    /// kdump of openSUSE: /etc/sysconfig/kdump.
    Kdump,
}

impl Service {
    /// Every service, in the order in which their files are looked for.
    pub const ALL: &'static [Service] = &[Service::KdumpTools, Service::KdumpUtils, Service::Kdump];

    /// Its package.
    pub fn name(self) -> &'static str {
        match self {
            Service::KdumpTools => "kdump-tools",
            Service::KdumpUtils => "kdump-utils",
            Service::Kdump => "kdump",
        }
    }

    /// Its configuration: kdump-tools(5), kdump.conf(5), kdump(5).
    pub fn file(self) -> &'static str {
        match self {
            Service::KdumpTools => "/etc/default/kdump-tools",
            Service::KdumpUtils => "/etc/kdump.conf",
            Service::Kdump => "/etc/sysconfig/kdump",
        }
    }

    /// The initrd that it makes for a release.
    pub fn initrd(self, release: &str) -> String {
        match self {
            Service::KdumpTools => format!("/var/lib/kdump/initrd.img-{release}"),
            Service::KdumpUtils => format!("/boot/initramfs-{release}kdump.img"),
            Service::Kdump => format!("/boot/initrd-{release}-kdump"),
        }
    }
}

/// Where dumps go when nothing is configured: the default of all three services.
pub const DEFAULT: &str = "/var/crash";

/// Where the dump goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A folder of this machine.
    Folder(String),
    /// A file system that is named, and a folder on it.
    Device(String),
    /// Another machine.
    Remote(String),
}

/// What a configuration says.
pub fn parse(service: Service, text: &str) -> Target {
    match service {
        Service::KdumpTools => kdump_tools(text),
        Service::KdumpUtils => kdump_utils(text),
        Service::Kdump => kdump(text),
    }
}

/// The value of the last assignment of a shell file that is none of a comment.
fn assigned<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut values = text.lines().filter_map(|line| {
        let (its, value) = line.trim().split_once('=')?;
        (its.trim() == name).then(|| value.trim().trim_matches(['"', '\'']))
    });
    values.next_back().filter(|value| !value.is_empty())
}

fn kdump_tools(text: &str) -> Target {
    let remote = ["SSH", "NFS", "FTP"];
    let remote = remote
        .iter()
        .find_map(|name| Some(format!("{} {}", name.to_lowercase(), assigned(text, name)?)));
    match remote {
        Some(remote) => Target::Remote(remote),
        None => folder(assigned(text, "KDUMP_COREDIR").unwrap_or(DEFAULT)),
    }
}

/// Directives of kdump.conf(5): the first word says what it is.
fn kdump_utils(text: &str) -> Target {
    let mut path = DEFAULT;
    let mut device = None;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (Some(word), Some(value)) = (words.next(), words.next()) else {
            continue;
        };
        match word {
            "path" => path = value,
            "nfs" | "ssh" | "virtiofs" => return Target::Remote(format!("{word} {value}")),
            "raw" | "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "minix" | "f2fs" => {
                device = Some(value);
            }
            _ => {}
        }
    }
    match device {
        Some(device) => Target::Device(device.to_owned()),
        None => folder(path),
    }
}

/// A URL, or a folder.
fn kdump(text: &str) -> Target {
    let value = assigned(text, "KDUMP_SAVEDIR").unwrap_or(DEFAULT);
    match value.split_once("://") {
        Some(("file", path)) => folder(path),
        Some((scheme, rest)) => {
            // A password may be in it.
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            Target::Remote(format!("{scheme} {host}"))
        }
        None => folder(value.strip_prefix("file:").unwrap_or(value)),
    }
}

fn folder(path: &str) -> Target {
    match path.starts_with('/') {
        true => Target::Folder(path.to_owned()),
        false => Target::Folder(format!("/{path}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(service: Service, text: &str) -> String {
        match parse(service, text) {
            Target::Folder(path) => path,
            Target::Device(device) => format!("device {device}"),
            Target::Remote(host) => format!("remote {host}"),
        }
    }

    #[test]
    fn what_the_services_write() {
        use Service::{Kdump, KdumpTools, KdumpUtils};
        for (service, text, expected) in [
            (
                KdumpTools,
                "USE_KDUMP=1\nKDUMP_COREDIR=\"/srv/crash\"\n#SSH=\"a@b\"\n",
                "/srv/crash",
            ),
            (KdumpTools, "SSH=\"root@host\"\n", "remote ssh root@host"),
            (
                KdumpTools,
                "NFS=\"host:/x\"\nKDUMP_COREDIR=/var/crash",
                "remote nfs host:/x",
            ),
            (KdumpTools, "NFS=\"\"", "/var/crash"),
            (
                KdumpUtils,
                "#nfs a:/b\npath /dumps\ncore_collector makedumpfile -l",
                "/dumps",
            ),
            (KdumpUtils, "ext4 UUID=ab\npath /dumps", "device UUID=ab"),
            (KdumpUtils, "ssh user@host", "remote ssh user@host"),
            (KdumpUtils, "", "/var/crash"),
            (Kdump, "KDUMP_SAVEDIR=\"file:///data/crash\"", "/data/crash"),
            (Kdump, "KDUMP_SAVEDIR=\"/data\"", "/data"),
            (
                Kdump,
                "KDUMP_SAVEDIR=\"ftp://u:secret@host/x\"",
                "remote ftp host/x",
            ),
            (Kdump, "", "/var/crash"),
        ] {
            assert_eq!(of(service, text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in "\\PC{0,200}", lines in proptest::collection::vec("(KDUMP_SAVEDIR|SSH|path|ext4)[= ]\\PC{0,20}", 0..5)) {
            for service in Service::ALL {
                let _ = parse(*service, &text);
                let _ = parse(*service, &lines.join("\n"));
            }
        }
    }
}
