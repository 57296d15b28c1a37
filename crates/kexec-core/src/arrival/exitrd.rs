//! The shutdown image: a file system in memory into which systemd-shutdown
//! changes when everything else is unmounted (systemd-shutdown(8)). When it has
//! no way to jump, the machine boots cold without a word.

use serde::Serialize;

use super::text;
use crate::host::Fact;
use crate::sources::volumes::Volumes;

/// Who makes the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitrdKind {
    /// dracut, which copies a kexec program of the root file system into it
    /// while it shuts down.
    Dracut,
    /// mkinitcpio, whose image has what its configuration lists.
    Mkinitcpio,
    /// Somebody else.
    Other,
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exitrd {
    /// There will be none: systemd-shutdown itself jumps.
    None,
    /// There is one, or there will be one.
    Used {
        /// Who makes it.
        kind: ExitrdKind,
        /// Whether it has, or will have, a kexec program; `None` when its
        /// content is not known yet.
        kexec: Option<bool>,
        /// What says so.
        because: String,
    },
}

/// Where a program may be in the image.
const FOLDERS: &[&str] = &["usr/sbin", "usr/bin", "sbin", "bin"];
/// Where the image is.
const IMAGE: &str = "/run/initramfs";

pub(super) fn read(volumes: &Volumes) -> Exitrd {
    let has = |path: &str| volumes.machine_has(path);
    if has("/run/initramfs/shutdown") {
        let script = text(volumes, "/run/initramfs/shutdown").unwrap_or_default();
        let kind = kind_of(&script, &has);
        let inside = FOLDERS
            .iter()
            .any(|folder| has(&format!("{IMAGE}/{folder}/kexec")));
        // dracut's takes the program of the root file system with it.
        let kexec = inside || (kind == ExitrdKind::Dracut && program(volumes));
        return Exitrd::Used {
            kind,
            kexec: Some(kexec),
            because: "/run/initramfs/shutdown is there".to_owned(),
        };
    }
    if has("/run/initramfs/mkinitcpio-shutdown.conf") || generates(volumes) {
        return Exitrd::Used {
            kind: ExitrdKind::Mkinitcpio,
            kexec: Some(configured(volumes) || added(volumes)),
            because: "mkinitcpio-generate-shutdown-ramfs.service makes one".to_owned(),
        };
    }
    if has("/usr/lib/dracut/dracut-initramfs-restore") && has("/run/initramfs") {
        return Exitrd::Used {
            kind: ExitrdKind::Dracut,
            kexec: Some(program(volumes)),
            because: "dracut-shutdown.service unpacks the initramfs".to_owned(),
        };
    }
    Exitrd::None
}

fn kind_of(script: &str, has: &dyn Fn(&str) -> bool) -> ExitrdKind {
    if script.contains("dracut")
        || has("/run/initramfs/usr/lib/dracut")
        || has("/run/initramfs/lib/dracut")
    {
        ExitrdKind::Dracut
    } else if script.contains("mkinitcpio") || has("/run/initramfs/mkinitcpio-shutdown.conf") {
        ExitrdKind::Mkinitcpio
    } else {
        ExitrdKind::Other
    }
}

/// A regular file by the name of kexec where dracut's script looks: a symbolic
/// link that it copied would lead nowhere.
fn program(volumes: &Volumes) -> bool {
    FOLDERS.iter().any(|folder| {
        let path = format!("/{folder}/kexec");
        let linked = matches!(volumes.machine_link(&path), Fact::Known(_));
        volumes.machine_has(&path) && !linked
    })
}

/// The unit that makes mkinitcpio's image.
const SERVICE: &str = "mkinitcpio-generate-shutdown-ramfs.service";

fn generates(volumes: &Volumes) -> bool {
    ["etc", "usr/lib"].iter().any(|top| {
        ["kexec", "shutdown", "reboot"].iter().any(|target| {
            volumes.machine_has(&format!(
                "/{top}/systemd/system/{target}.target.wants/{SERVICE}"
            ))
        })
    })
}

/// Whether a drop-in of that unit puts kexec into the image, as that of
/// `kexec enable exitrd` does.
fn added(volumes: &Volumes) -> bool {
    ["etc", "usr/lib"].iter().any(|top| {
        let folder = format!("/{top}/systemd/system/{SERVICE}.d");
        let names = volumes.machine_entries(&folder);
        let names = names.known().into_iter().flatten();
        names
            .filter(|name| name.ends_with(".conf"))
            .filter_map(|name| text(volumes, &format!("{folder}/{name}")))
            .any(|file| {
                let mut lines = file.lines();
                lines.any(|line| line.starts_with("ExecStart") && line.contains("kexec"))
            })
    })
}

/// Whether mkinitcpio's configuration puts kexec into its images.
fn configured(volumes: &Volumes) -> bool {
    let drop_ins = volumes.machine_entries("/etc/mkinitcpio.conf.d");
    let drop_ins = drop_ins.known().cloned().unwrap_or_default();
    let files = drop_ins
        .iter()
        .filter(|name| name.ends_with(".conf"))
        .map(|name| format!("/etc/mkinitcpio.conf.d/{name}"));
    std::iter::once("/etc/mkinitcpio.conf".to_owned())
        .chain(files)
        .filter_map(|path| text(volumes, &path))
        .any(|file| {
            file.lines().map(str::trim).any(|line| {
                (line.starts_with("BINARIES") || line.starts_with("HOOKS"))
                    && line.contains("kexec")
            })
        })
}

#[cfg(test)]
mod tests {
    use super::super::testing::tree;
    use super::*;

    fn kexec(files: &[(&str, &[u8])]) -> (Option<ExitrdKind>, Option<bool>) {
        let (_root, volumes) = tree(files);
        match read(&volumes) {
            Exitrd::None => (None, None),
            Exitrd::Used { kind, kexec, .. } => (Some(kind), kexec),
        }
    }

    #[test]
    fn who_makes_it_and_what_it_has() {
        assert_eq!(kexec(&[]), (None, None));
        let dracut = ("run/initramfs/shutdown", b"# dracut".as_slice());
        assert_eq!(kexec(&[dracut]), (Some(ExitrdKind::Dracut), Some(false)));
        let program = ("usr/sbin/kexec", b"".as_slice());
        assert_eq!(
            kexec(&[dracut, program]),
            (Some(ExitrdKind::Dracut), Some(true))
        );
        let other = ("run/initramfs/shutdown", b"#!/bin/sh".as_slice());
        assert_eq!(
            kexec(&[other, program]),
            (Some(ExitrdKind::Other), Some(false))
        );
        let inside = ("run/initramfs/bin/kexec", b"".as_slice());
        assert_eq!(
            kexec(&[other, inside]),
            (Some(ExitrdKind::Other), Some(true))
        );
        let made = ("run/initramfs/mkinitcpio-shutdown.conf", b"".as_slice());
        assert_eq!(kexec(&[made]), (Some(ExitrdKind::Mkinitcpio), Some(false)));
        let drop_in = (
            "etc/systemd/system/mkinitcpio-generate-shutdown-ramfs.service.d/50-kexec.conf",
            include_bytes!(
                "../../../../dist/systemd/mkinitcpio-generate-shutdown-ramfs.service.d/50-kexec.conf"
            )
            .as_slice(),
        );
        assert_eq!(
            kexec(&[made, drop_in]),
            (Some(ExitrdKind::Mkinitcpio), Some(true))
        );
        let listed = ("etc/mkinitcpio.conf", b"BINARIES=(kexec)\n".as_slice());
        assert_eq!(
            kexec(&[made, listed]),
            (Some(ExitrdKind::Mkinitcpio), Some(true))
        );
    }

    #[test]
    fn a_link_that_dracut_would_copy_does_not_count() {
        let (root, _) = tree(&[
            ("run/initramfs/shutdown", b"# dracut"),
            ("usr/sbin/real", b""),
        ]);
        let link = root.path().join("usr/sbin/kexec");
        std::os::unix::fs::symlink("real", link).unwrap();
        let volumes = Volumes::read(root.path());
        assert!(matches!(
            read(&volumes),
            Exitrd::Used {
                kexec: Some(false),
                ..
            }
        ));
    }
}
