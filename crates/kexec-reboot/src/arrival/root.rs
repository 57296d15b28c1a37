//! The root file system that the next command line names.

use kexec_plan::Cmdline;
use serde::Serialize;

use kexec_machine::volumes::config::is_copied;
use kexec_machine::volumes::{Lookup, Volumes};

/// What `root=` comes to on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RootDevice {
    /// The command line names none: the initrd has to know.
    NotNamed,
    /// The machine has the device that the command line names.
    Here {
        /// The value of root=.
        wanted: String,
        /// The device as the kernel calls it.
        device: String,
    },
    /// Several devices are it, or only one that is no boot source.
    Unclear {
        /// The value of root=.
        wanted: String,
        /// Which, and why that is no answer.
        why: String,
    },
    /// There is no such device.
    Missing {
        /// The value of root=.
        wanted: String,
    },
    /// It is of a kind that the initrd looks for by itself, such as one on the
    /// network.
    Elsewhere {
        /// The value of root=.
        wanted: String,
    },
}

/// The forms of root= that name a device of this machine
/// (Documentation/admin-guide/kernel-parameters.txt, "root="; the tags are those
/// of fstab(5)). Others are for the initrd to understand.
const TAGS: &[&str] = &["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="];

pub(super) fn read(volumes: &Volumes, cmdline: &Cmdline) -> RootDevice {
    let Some(wanted) = cmdline.value("root").filter(|value| !value.is_empty()) else {
        return RootDevice::NotNamed;
    };
    let tagged = TAGS.iter().any(|tag| wanted.starts_with(tag));
    // /dev/nfs and /dev/ram0 are words, not devices.
    let node = wanted.starts_with("/dev/")
        && !matches!(wanted.as_str(), "/dev/nfs" | "/dev/root" | "/dev/ram0");
    // `PARTUUID=.../PARTNROFF=1` counts on from a partition.
    if !(tagged || node) || wanted.contains("PARTNROFF") {
        return RootDevice::Elsewhere { wanted };
    }
    match volumes.find(&wanted) {
        Lookup::One(volume) => {
            let device = volume.device.clone().unwrap_or_else(|| volume.id.0.clone());
            return RootDevice::Here { wanted, device };
        }
        // A device that is named by its path is that one, wherever it hangs.
        Lookup::Refused(why) if tagged || is_copied(&wanted) => {
            return RootDevice::Unclear { wanted, why };
        }
        Lookup::Refused(_) | Lookup::None => {}
    }
    // Volumes of a volume group that are not active have no node yet, but those
    // of the running machine's root have.
    if node && volumes.machine_has(&wanted) {
        let device = wanted.clone();
        return RootDevice::Here { wanted, device };
    }
    RootDevice::Missing { wanted }
}

#[cfg(test)]
mod tests {
    use super::super::testing::tree;
    use super::*;

    #[test]
    fn forms_of_root() {
        let (_root, volumes) = tree(&[("dev/mapper/vg-root", b"")]);
        let of = |line: &str| read(&volumes, &line.into());
        assert_eq!(of("quiet"), RootDevice::NotNamed);
        assert_eq!(of("root="), RootDevice::NotNamed);
        let missing = |wanted: &str| RootDevice::Missing {
            wanted: wanted.to_owned(),
        };
        assert_eq!(of("root=UUID=1-2"), missing("UUID=1-2"));
        assert_eq!(of("root=/dev/vda9 ro"), missing("/dev/vda9"));
        assert_eq!(of("root=\"LABEL=my root\""), missing("LABEL=my root"));
        for elsewhere in [
            "/dev/nfs",
            "zfs:tank",
            "nbd:10.0.0.1:x",
            "PARTUUID=1/PARTNROFF=1",
            "31:02",
        ] {
            let line = format!("root={elsewhere}");
            assert!(matches!(of(&line), RootDevice::Elsewhere { .. }), "{line}");
        }
        assert!(matches!(
            of("root=/dev/mapper/vg-root"),
            RootDevice::Here { .. }
        ));
    }
}
