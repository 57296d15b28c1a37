//! What a name comes to: a file system, none, or a refusal because several answer to
//! it or only one does that is no boot source.

use super::trust::{Doubt, Verdict};
use super::{Partition, Volume, paths};

/// The answer to a look-up by a name that can be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// The only file system of that name that may be read.
    One(&'a Volume),
    /// Nothing has that name.
    None,
    /// Why it is none: both devices, or the one that is no boot source.
    Refused(String),
}

impl<'a> Lookup<'a> {
    /// The file system, where there is one.
    pub fn one(self) -> Option<&'a Volume> {
        match self {
            Lookup::One(volume) => Some(volume),
            Lookup::None | Lookup::Refused(_) => None,
        }
    }

    /// Why it is refused.
    pub fn refused(self) -> Option<String> {
        match self {
            Lookup::Refused(reason) => Some(reason),
            Lookup::One(_) | Lookup::None => None,
        }
    }
}

/// The one file system that fits, of all; `what` says what they have in common: `the
/// UUID 1-2`.
pub(super) fn only<'a>(
    all: &'a [Volume],
    what: &str,
    fits: impl Fn(&Volume) -> bool,
) -> Lookup<'a> {
    let mut fitting = all.iter().filter(|volume| fits(volume));
    let believed: Vec<&Volume> = fitting
        .clone()
        .filter(|volume| volume.verdict.is_believed())
        .collect();
    match believed.as_slice() {
        [one] => Lookup::One(one),
        [] => match fitting.next() {
            None => Lookup::None,
            Some(Volume { id, verdict, .. }) => {
                let remedy = match verdict.doubt().is_some_and(Doubt::is_hardware) {
                    true => {
                        "; mount it at its usual place first, or name the device in /etc/fstab by \
                         its path below /dev/disk/by-id"
                    }
                    false => "",
                };
                Lookup::Refused(format!(
                    "only {id} has {what}, but is not read: {verdict}{remedy}"
                ))
            }
        },
        [one, others @ ..] => {
            // A btrfs of several devices is one file system.
            let same = |other: &&Volume| {
                one.kind.as_deref() == Some("btrfs") && one.uuid.is_some() && other.uuid == one.uuid
            };
            if others.iter().all(same) {
                return Lookup::One(one);
            }
            let names: Vec<String> = believed.iter().map(|v| named(v)).collect();
            Lookup::Refused(format!(
                "{} have {what}: which one is meant is unknown; detach the copy, or give it a new \
                 one",
                names.join(" and ")
            ))
        }
    }
}

/// The device of a file system, as people look for it.
fn named(volume: &Volume) -> String {
    volume.device.clone().unwrap_or_else(|| volume.id.0.clone())
}

/// Whether a file system is on a partition of which something holds.
pub(super) fn on(volume: &Volume, fits: impl Fn(&Partition) -> bool) -> bool {
    volume.partition.iter().chain(&volume.members).any(fits)
}

/// By the UUID of its partition.
pub(super) fn by_partuuid<'a>(all: &'a [Volume], uuid: &str) -> Lookup<'a> {
    only(all, &format!("the PARTUUID {uuid}"), |volume| {
        on(volume, |partition| paths::same(&partition.uuid, uuid))
    })
}

/// Whether GRUB and its like can search it: they read disks, and not what the running
/// system mounts beside them. A tree that says nothing about mounts is one disk.
pub(super) fn is_disk(volume: &Volume) -> bool {
    let believed = matches!(volume.verdict, Verdict::Believed(_));
    let kind = volume.kind.as_deref();
    believed && (volume.device.is_some() || matches!(kind, None | Some("zfs")))
}
