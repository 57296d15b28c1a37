//! Devices by what they are called. Who may set up loop devices can set up thousands of
//! them: no question about one of them may walk over all the others.

use std::collections::{BTreeMap, BTreeSet};

use super::devices::BlockDevice;
use super::twins;

/// What a file system, or a part of a stack, is known by: `UUID 1-2`, in lower case.
type Id = String;

/// All devices, and the ways to find one. Of two with one name the first counts.
#[derive(Debug)]
pub(super) struct Index<'a> {
    pub(super) all: &'a [BlockDevice],
    names: BTreeMap<&'a str, &'a BlockDevice>,
    numbers: BTreeMap<&'a str, &'a BlockDevice>,
    nodes: BTreeMap<String, &'a BlockDevice>,
    ids: BTreeMap<Id, Vec<&'a BlockDevice>>,
    /// Partitions by their disk and an identifier.
    parted: BTreeMap<(&'a str, Id), Vec<&'a BlockDevice>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(all: &'a [BlockDevice]) -> Index<'a> {
        Index::over(all, all.iter())
    }

    /// The same of some of them.
    pub(super) fn only(&self, fits: impl Fn(&BlockDevice) -> bool) -> Index<'a> {
        Index::over(self.all, self.all.iter().filter(|device| fits(device)))
    }

    fn over(all: &'a [BlockDevice], some: impl Iterator<Item = &'a BlockDevice>) -> Index<'a> {
        let mut index = Index {
            all,
            names: BTreeMap::new(),
            numbers: BTreeMap::new(),
            nodes: BTreeMap::new(),
            ids: BTreeMap::new(),
            parted: BTreeMap::new(),
        };
        for device in some {
            index.names.entry(&device.name).or_insert(device);
            index.numbers.entry(&device.number).or_insert(device);
            index.nodes.entry(device.node()).or_insert(device);
            for id in twins::ids(device) {
                if let Some(disk) = &device.disk {
                    let parted = index.parted.entry((disk, id.clone()));
                    parted.or_default().push(device);
                }
                index.ids.entry(id).or_default().push(device);
            }
        }
        index
    }

    /// By the kernel's name.
    pub(super) fn named(&self, name: &str) -> Option<&'a BlockDevice> {
        self.names.get(name).copied()
    }

    /// The device with the number `major:minor`.
    pub(super) fn numbered(&self, number: &str) -> Option<&'a BlockDevice> {
        self.numbers.get(number).copied()
    }

    /// By the path of its node.
    pub(super) fn at(&self, node: &str) -> Option<&'a BlockDevice> {
        let named = |node: &str| self.named(node.strip_prefix("/dev/")?);
        self.nodes.get(node).copied().or_else(|| named(node))
    }

    /// Those that fit of the devices that share an identifier with one.
    pub(super) fn twin(
        &self,
        device: &BlockDevice,
        fits: impl Fn(&BlockDevice) -> bool,
    ) -> Option<&'a BlockDevice> {
        let ids = twins::ids(device);
        let mut groups = ids.iter().filter_map(|id| self.ids.get(id));
        groups.find_map(|group| group.iter().copied().find(|other| fits(other)))
    }

    /// Whether `lower` is part of what `upper` is made of.
    pub(super) fn lies_below(&self, upper: &BlockDevice, lower: &BlockDevice) -> bool {
        let whole = lower.disk.as_deref();
        let mut todo: Vec<&str> = upper.below.iter().map(String::as_str).collect();
        todo.extend(upper.disk.as_deref().filter(|disk| Some(*disk) != whole));
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        while let Some(name) = todo.pop() {
            if name == lower.name || Some(name) == whole {
                return true;
            }
            if let Some(device) = self.named(name).filter(|_| seen.insert(name)) {
                todo.extend(device.below.iter().chain(&device.disk).map(String::as_str));
            }
        }
        false
    }

    /// The devices that lie below one with the same identifier: members of an array, or
    /// paths to it, that show what the whole holds.
    pub(super) fn parts(&self) -> BTreeSet<&'a str> {
        let mut parts = BTreeSet::new();
        for upper in self.all {
            let ids = twins::ids(upper);
            if ids.is_empty() {
                continue;
            }
            let own = upper.disk.as_deref();
            let mut todo: Vec<&str> = upper
                .below
                .iter()
                .chain(&upper.disk)
                .map(String::as_str)
                .collect();
            let mut seen: BTreeSet<&str> = BTreeSet::new();
            while let Some(name) = todo.pop() {
                if !seen.insert(name) {
                    continue;
                }
                // The partitions of one disk lie beside each other.
                let parted = ids.iter().filter(|_| Some(name) != own);
                let parted = parted.filter_map(|id| self.parted.get(&(name, id.clone())));
                parts.extend(parted.flatten().map(|lower| lower.name.as_str()));
                if let Some(device) = self.named(name) {
                    if twins::shared(upper, device).is_some() {
                        parts.insert(device.name.as_str());
                    }
                    todo.extend(device.below.iter().chain(&device.disk).map(String::as_str));
                }
            }
        }
        parts
    }
}
