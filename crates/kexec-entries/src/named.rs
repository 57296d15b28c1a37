//! A kernel by its name in /boot, with its initrd and the running kernel's
//! command line: what `kexec-load@NAME.service` loads, for people who follow the
//! recipe that wikis have.

use super::entry::{BootEntry, BootTarget, Boots, Origin};
use super::kernels;
use crate::source::BootedMachine;
use kexec_machine::Fact;
use kexec_machine::Problem;
use kexec_machine::volumes::BootFile;

/// The name of this source.
const NAME: &str = "name";

/// Finds `/boot/vmlinuz-NAME` and its initrd, mounted or not.
///
/// # Errors
/// A [`Problem`]: there is no such kernel, or /boot cannot be looked at.
pub fn named(machine: &BootedMachine<'_>, name: &str) -> Result<BootEntry, Problem> {
    let path = format!("/boot/vmlinuz-{name}");
    let refused = |why: String, remedy: &str| Problem::new(format!("kernel {path}"), why, remedy);
    if name.is_empty() || name.contains('/') || name.contains('\0') {
        return Err(refused(
            "that is not a name".to_owned(),
            "give the name of a kernel in /boot, without vmlinuz- in front: kexec-load@linux",
        ));
    }
    let kernel = match kernels::at(machine, &path) {
        Fact::Known(kernel) => kernel,
        Fact::Absent => {
            return Err(refused(
                "it does not exist".to_owned(),
                "ls /boot/vmlinuz-* shows the names",
            ));
        }
        Fact::Unreadable(why) => return Err(refused(why, "check its file system")),
    };
    let line = match kernels::running_cmdline(machine.facts) {
        Fact::Known(line) => line,
        other => {
            let why = other.reason().unwrap_or("there is none").to_owned();
            return Err(refused(
                format!("the running kernel's command line is unknown: {why}"),
                "mount /proc",
            ));
        }
    };
    let mut target = BootTarget::linux(kernel, line);
    target.initrds = initrd(machine, name).into_iter().collect();
    target
        .notes
        .push("command line of the running kernel".to_owned());
    let title = format!("{path}, by name");
    let boots = Boots::Target(Box::new(target));
    Ok(BootEntry::new(
        NAME,
        name,
        &title,
        Origin::file(&path),
        boots,
    ))
}

/// A name is a release (Debian, Fedora, openSUSE) or that of a package (Arch).
fn initrd(machine: &BootedMachine<'_>, name: &str) -> Option<BootFile> {
    let paths = kernels::initrd_paths(machine, name);
    paths
        .iter()
        .find_map(|path| match kernels::at(machine, path) {
            Fact::Known(file) => Some(file),
            Fact::Absent | Fact::Unreadable(_) => None,
        })
}

/// The name in a unit's instance: systemd writes what a unit's name cannot have
/// as `\x2b` (systemd.unit(5), "String Escaping for Inclusion in Unit Names").
/// The `-` that this escaping makes of a slash is left alone: kernels are called
/// `linux-lts`.
pub fn unescaped(instance: &str) -> String {
    let mut bytes = Vec::with_capacity(instance.len());
    let mut rest = instance.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .strip_prefix(b"x")
            .filter(|_| first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits.get(..2)?).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::facts::Facts;
    use super::*;
    use kexec_machine::Snapshot;
    use kexec_machine::volumes::Volumes;

    fn find(files: &[&str], name: &str) -> Result<BootEntry, Problem> {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("proc/cmdline", "BOOT_IMAGE=/x root=/dev/a quiet\n");
        for file in files {
            put(file, "x");
        }
        let volumes = Volumes::read(root.path());
        let facts = Facts::read(&Snapshot::read(root.path()), &volumes);
        named(
            &BootedMachine {
                volumes: &volumes,
                facts: &facts,
            },
            name,
        )
    }

    #[test]
    fn each_distributions_names() {
        for (kernel, initrd, name) in [
            (
                "boot/vmlinuz-6.12+deb13",
                "boot/initrd.img-6.12+deb13",
                "6.12+deb13",
            ),
            (
                "boot/vmlinuz-6.17.fc43",
                "boot/initramfs-6.17.fc43.img",
                "6.17.fc43",
            ),
            (
                "boot/vmlinuz-linux-lts",
                "boot/initramfs-linux-lts.img",
                "linux-lts",
            ),
            (
                "boot/vmlinuz-6.4-default",
                "boot/initrd-6.4-default",
                "6.4-default",
            ),
        ] {
            let entry = find(&[kernel, initrd], name).unwrap();
            let target = entry.target().unwrap();
            assert_eq!(target.kernel.shown, format!("/{kernel}"));
            assert_eq!(target.initrds[0].shown, format!("/{initrd}"));
            assert_eq!(target.cmdline, Some("root=/dev/a quiet".into()));
        }
        let alone = find(&["boot/vmlinuz-mine"], "mine").unwrap();
        assert!(alone.target().unwrap().initrds.is_empty());
    }

    #[test]
    fn no_such_kernel_and_no_name() {
        for name in ["linux", "", "../etc/passwd", "a/b"] {
            let error = find(&["boot/vmlinuz-other"], name).unwrap_err();
            assert!(!error.remedy.is_empty(), "{error}");
        }
    }

    #[test]
    fn instances_as_systemd_writes_them() {
        for (instance, name) in [
            (
                r"6.12.107\x2bdeb13-cloud-amd64",
                "6.12.107+deb13-cloud-amd64",
            ),
            ("linux-lts", "linux-lts"),
            (r"a\x2dlts", "a-lts"),
            (r"broken\x2", r"broken\x2"),
            (r"broken\xzz", r"broken\xzz"),
            (r"end\", r"end\"),
        ] {
            assert_eq!(unescaped(instance), name);
        }
    }
}
