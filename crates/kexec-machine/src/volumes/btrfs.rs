//! The devices of the btrfs file systems that are mounted: their device numbers in the
//! mount table are made up, so that the kernel's own list is asked.

use std::collections::BTreeMap;

use super::devices::BlockDevice;
use super::index::Index;
use crate::Fact;
use crate::Root;

/// One folder for each file system, by its UUID, with a link for each of its devices
/// (btrfs.readthedocs.io, "sysfs interface").
const FOLDER: &str = "/sys/fs/btrfs";

/// What the kernel tells of the mounted file systems; `None` where it does not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Btrfs(Option<Sets>);

/// The kernel's names of the devices of each file system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Sets {
    sets: Vec<Vec<String>>,
    /// The set that a device is in.
    of: BTreeMap<String, usize>,
}

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
        let sets: Vec<Vec<String>> = names.iter().filter_map(devices).collect();
        let mut of = BTreeMap::new();
        for (at, set) in sets.iter().enumerate() {
            for name in set {
                of.entry(name.clone()).or_insert(at);
            }
        }
        Btrfs(Some(Sets { sets, of }))
    }

    /// Whether a device is one of a mounted file system. Where the kernel has no list,
    /// what is on the device decides.
    pub(super) fn has(&self, device: &BlockDevice) -> bool {
        match &self.0 {
            Some(all) => all.of.contains_key(&device.name),
            None => matches!(device.content.kind.as_deref(), None | Some("btrfs")),
        }
    }

    /// A device with the others of its file system.
    pub(super) fn with<'a>(
        &self,
        index: &Index<'a>,
        device: &'a BlockDevice,
    ) -> Vec<&'a BlockDevice> {
        let all = self.0.as_ref();
        let own = all.and_then(|all| all.sets.get(*all.of.get(&device.name)?));
        let others = own.into_iter().flatten();
        let others = others.filter(|name| **name != device.name);
        let others = others.filter_map(|name| index.named(name));
        std::iter::once(device).chain(others).collect()
    }
}
