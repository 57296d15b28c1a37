//! Where the dump is to go: what the configuration of the distribution's service names.

use kexec_machine::Fact;
use serde::Serialize;

use crate::shell::{Assigned, assigned};

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

    /// Where the command line of the crash kernel is set: kdump-tools(5), kdump(5) of openSUSE,
    /// and the comments in that file of kdump-utils.
    pub fn line_variables(self) -> &'static LineVariables {
        match self {
            Service::KdumpTools => &LineVariables {
                file: "/etc/default/kdump-tools",
                base: "KDUMP_CMDLINE",
                remove: None,
                append: "KDUMP_CMDLINE_APPEND",
            },
            Service::KdumpUtils => &LineVariables {
                file: "/etc/sysconfig/kdump",
                base: "KDUMP_COMMANDLINE",
                remove: Some("KDUMP_COMMANDLINE_REMOVE"),
                append: "KDUMP_COMMANDLINE_APPEND",
            },
            Service::Kdump => &LineVariables {
                file: "/etc/sysconfig/kdump",
                base: "KDUMP_COMMANDLINE",
                remove: None,
                append: "KDUMP_COMMANDLINE_APPEND",
            },
        }
    }

    /// Where it puts the initrds that it makes, in the order in which they are looked for.
    pub fn initrds(self) -> &'static [InitrdPlace] {
        const KDUMP_TOOLS: &[InitrdPlace] =
            &[InitrdPlace::named("/var/lib/kdump/initrd.img-RELEASE")];
        const KDUMP_UTILS: &[InitrdPlace] = &[
            InitrdPlace::named("/boot/initramfs-RELEASEkdump.img"),
            InitrdPlace::named("/boot/MACHINE/RELEASE/initrdkdump"),
            InitrdPlace::named("/var/lib/kdump/initramfs-RELEASEkdump.img"),
        ];
        const KDUMP: &[InitrdPlace] = &[
            InitrdPlace {
                path: "/var/lib/kdump/initrd",
                kernel: Some("/var/lib/kdump/kernel"),
            },
            InitrdPlace::named("/boot/initrd-RELEASE-kdump"),
        ];
        match self {
            Service::KdumpTools => KDUMP_TOOLS,
            Service::KdumpUtils => KDUMP_UTILS,
            Service::Kdump => KDUMP,
        }
    }
}

/// In which file of a service the command line is set, and by which names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineVariables {
    /// The file, read as shell.
    pub file: &'static str,
    /// What the line is derived from, in place of the running kernel's.
    pub base: &'static str,
    /// The names of parameters that are removed from it.
    pub remove: Option<&'static str>,
    /// Parameters that are added.
    pub append: &'static str,
}

/// A place of an initrd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitrdPlace {
    /// Its path, with `RELEASE` of the kernel and `MACHINE` of /etc/machine-id.
    path: &'static str,
    /// A link that leads to the kernel that it was made for; `None` where the path says it.
    pub kernel: Option<&'static str>,
}

impl InitrdPlace {
    const fn named(path: &'static str) -> InitrdPlace {
        InitrdPlace { path, kernel: None }
    }

    /// The path for a release, and on a machine with this ID; `None` where the ID is
    /// needed and unknown.
    pub fn path(&self, release: &str, machine: Option<&str>) -> Option<String> {
        let path = match (self.path.contains("MACHINE"), machine) {
            (true, machine) => self.path.replace("MACHINE", machine?),
            (false, _) => self.path.to_owned(),
        };
        Some(path.replace("RELEASE", release))
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

/// What a configuration says; unreadable where only a shell knows it.
pub fn parse(service: Service, text: &str) -> Fact<Target> {
    let target = match service {
        Service::KdumpTools => kdump_tools(text),
        Service::KdumpUtils => Ok(kdump_utils(text)),
        Service::Kdump => kdump(text),
    };
    match target {
        Ok(target) => Fact::Known(target),
        Err(why) => Fact::Unreadable(why),
    }
}

/// What a file of a service assigns to a name; `None` for nothing, or nothing but quotes.
fn value(text: &str, file: &str, name: &str) -> Result<Option<String>, String> {
    match assigned(text, name) {
        None => Ok(None),
        Some(Assigned::Text(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
        Some(Assigned::Unclear(why)) => Err(format!("{name} in {file} is unknown: {why}")),
    }
}

fn kdump_tools(text: &str) -> Result<Target, String> {
    let value = |name| value(text, Service::KdumpTools.file(), name);
    for name in ["SSH", "NFS", "FTP"] {
        if let Some(remote) = value(name)? {
            let kind = name.to_lowercase();
            return Ok(Target::Remote(format!("{kind} {remote}")));
        }
    }
    let path = value("KDUMP_COREDIR")?;
    Ok(folder(path.as_deref().unwrap_or(DEFAULT)))
}

/// Directives of kdump.conf(5): the first word says what it is.
fn kdump_utils(text: &str) -> Target {
    let mut path = DEFAULT;
    let mut device = None;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        if let Some(mounted) = mounted_by_dracut(line) {
            return mounted;
        }
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

/// `dracut_args --mount "DEVICE FOLDER TYPE [OPTIONS]"`: kdump.conf(5) has it for targets
/// that no other directive names (dracut(8), "--mount").
fn mounted_by_dracut(line: &str) -> Option<Target> {
    let arguments = line.trim_start().strip_prefix("dracut_args")?;
    let (_, value) = arguments.split_once("--mount")?;
    let value = value.trim_start_matches([' ', '\t', '=']);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let value = match quote {
        Some(quote) => value.get(1..)?.split(quote).next()?,
        None => value,
    };
    let mut fields = value.split_whitespace();
    let (device, kind) = (fields.next()?, fields.nth(1).unwrap_or_default());
    let far = device.contains(":/") || device.starts_with("//");
    Some(match far || kind.starts_with("nfs") || kind == "virtiofs" {
        true => Target::Remote(format!("{kind} {device}").trim_start().to_owned()),
        false => Target::Device(device.to_owned()),
    })
}

/// A URL, or a folder.
fn kdump(text: &str) -> Result<Target, String> {
    let value = value(text, Service::Kdump.file(), "KDUMP_SAVEDIR")?;
    let value = value.as_deref().unwrap_or(DEFAULT);
    Ok(match value.split_once("://") {
        Some(("file", path)) => folder(path),
        Some((scheme, rest)) => {
            // A password may be in it.
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            Target::Remote(format!("{scheme} {host}"))
        }
        None => folder(value.strip_prefix("file:").unwrap_or(value)),
    })
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
            Fact::Known(Target::Folder(path)) => path,
            Fact::Known(Target::Device(device)) => format!("device {device}"),
            Fact::Known(Target::Remote(host)) => format!("remote {host}"),
            Fact::Unreadable(why) => why,
            Fact::Absent => unreachable!(),
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
            (KdumpTools, "KDUMP_COREDIR=/d # where", "/d"),
            (
                KdumpTools,
                "KDUMP_COREDIR=/d/$(hostname)",
                "KDUMP_COREDIR in /etc/default/kdump-tools is unknown: the shell puts something \
                 into it ($ or `)",
            ),
            (
                KdumpUtils,
                "#nfs a:/b\npath /dumps\ncore_collector makedumpfile -l",
                "/dumps",
            ),
            (KdumpUtils, "ext4 UUID=ab\npath /dumps", "device UUID=ab"),
            (KdumpUtils, "ssh user@host", "remote ssh user@host"),
            (KdumpUtils, "", "/var/crash"),
            (
                KdumpUtils,
                "dracut_args --mount \"host:/x /var/crash nfs defaults\"",
                "remote nfs host:/x",
            ),
            (
                KdumpUtils,
                "path /d\ndracut_args --no-hostonly --mount '/dev/sdb1 /var/crash xfs'",
                "device /dev/sdb1",
            ),
            (
                KdumpUtils,
                "dracut_args --omit-drivers \"nfs\"",
                "/var/crash",
            ),
            (KdumpUtils, "dracut_args --mount \"", "/var/crash"),
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

    #[test]
    fn initrds_of_the_services() {
        let of = |service: Service, machine| -> Vec<String> {
            let places = service.initrds().iter();
            places.filter_map(|p| p.path("6.12", machine)).collect()
        };
        assert_eq!(
            of(Service::KdumpTools, None),
            ["/var/lib/kdump/initrd.img-6.12"]
        );
        let utils = of(Service::KdumpUtils, Some("ab"));
        assert_eq!(utils.get(1).unwrap(), "/boot/ab/6.12/initrdkdump");
        assert_eq!(of(Service::KdumpUtils, None).len(), 2);
        assert_eq!(
            of(Service::Kdump, None),
            ["/var/lib/kdump/initrd", "/boot/initrd-6.12-kdump"]
        );
        // The only one that does not say for which kernel it is.
        assert_eq!(
            Service::Kdump.initrds()[0].kernel,
            Some("/var/lib/kdump/kernel")
        );
    }

    proptest! {
        #[test]
        fn any_text(text in "\\PC{0,200}", lines in proptest::collection::vec("(KDUMP_SAVEDIR|SSH|path|ext4|dracut_args --mount)[= ]\\PC{0,20}", 0..5)) {
            for service in Service::ALL {
                let _ = parse(*service, &text);
                let _ = parse(*service, &lines.join("\n"));
            }
        }
    }
}
