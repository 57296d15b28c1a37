//! The devices of the btrfs file systems that are mounted: their device numbers in the
//! mount table are made up, so that the kernel's own list is asked.

use super::devices::Device;
use crate::host::Fact;
use crate::host::root::Root;

/// One folder for each file system, by its UUID, with a link for each of its devices
/// (btrfs.readthedocs.io, "sysfs interface").
const FOLDER: &str = "/sys/fs/btrfs";

/// The kernel's names of the devices of each file system; `None` where the kernel does
/// not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Btrfs(Option<Vec<Vec<String>>>);

impl Btrfs {
    /// Reads the list.
    pub(super) fn read(root: &Root) -> Btrfs {
        let Fact::Known(names) = root.entries(FOLDER) else {
            return Btrfs(None);
        };
        let devices = |uuid: &String| match root.entries(&format!("{FOLDER}/{uuid}/devices")) {
            Fact::Known(devices) => Some(devices),
            _ => None,
        };
        Btrfs(Some(names.iter().filter_map(devices).collect()))
    }

    /// Whether a device is one of a mounted file system. Where the kernel has no list,
    /// what is on the device decides.
    pub(super) fn has(&self, device: &Device) -> bool {
        match &self.0 {
            Some(all) => all.iter().any(|one| one.contains(&device.name)),
            None => matches!(device.content.kind.as_deref(), None | Some("btrfs")),
        }
    }

    /// A device with the others of its file system.
    pub(super) fn with<'a>(&self, devices: &'a [Device], device: &'a Device) -> Vec<&'a Device> {
        let own = self
            .0
            .iter()
            .flatten()
            .find(|one| one.contains(&device.name));
        let others = devices
            .iter()
            .filter(|d| own.is_some_and(|own| own.contains(&d.name)) && d.name != device.name);
        std::iter::once(device).chain(others).collect()
    }
}
