//! The machine that a configuration asks, with a price for every question: each is
//! a handful of system calls, and a configuration may ask in a loop.

use std::cell::Cell;

use super::super::devices::{Answer, Devices, FilePath, Node, ProbeFor, SearchBy};
use super::super::text::Device;
use super::BYTES_A_UNIT;

/// What a question costs, in units of [`super::FUEL`]. A menu of 4096 entries that
/// each look for their kernel and their initrd costs a quarter of a run.
const QUESTION: u64 = 32;
/// What it costs to look for a file on every device.
const SEARCH: u64 = 256;

/// Devices whose every answer costs fuel.
pub(in super::super) struct MeteredDevices<'w> {
    devices: &'w dyn Devices,
    owed: Cell<u64>,
}

impl<'w> MeteredDevices<'w> {
    pub(super) fn new(devices: &'w dyn Devices) -> MeteredDevices<'w> {
        MeteredDevices {
            devices,
            owed: Cell::new(0),
        }
    }

    /// What was asked since this was last asked.
    pub(super) fn owed(&self) -> u64 {
        self.owed.take()
    }

    fn charge(&self, units: u64) {
        self.owed.set(self.owed.get().saturating_add(units));
    }

    fn moved(&self, bytes: usize) {
        self.charge(u64::try_from(bytes / BYTES_A_UNIT).unwrap_or(u64::MAX));
    }
}

impl MeteredDevices<'_> {
    /// [`Devices::read`]
    pub(in super::super) fn read(&self, file: &FilePath, limit: usize) -> Answer<Vec<u8>> {
        self.charge(QUESTION);
        if file.device.as_missing().is_some() {
            return Answer::No;
        }
        let answer = self.devices.read(file, limit);
        if let Answer::Is(bytes) = &answer {
            self.moved(bytes.len());
        }
        answer
    }

    /// [`Devices::node`]
    pub(in super::super) fn node(&self, file: &FilePath) -> Answer<Node> {
        self.charge(QUESTION);
        match file.device.as_missing() {
            Some(_) => Answer::No,
            None => self.devices.node(file),
        }
    }

    /// [`Devices::is_link`]
    pub(in super::super) fn is_link(&self, file: &FilePath) -> bool {
        self.charge(QUESTION);
        file.device.as_missing().is_none() && self.devices.is_link(file)
    }

    /// [`Devices::list`]
    pub(in super::super) fn list(&self, directory: &FilePath) -> Answer<Vec<String>> {
        self.charge(QUESTION);
        if directory.device.as_missing().is_some() {
            return Answer::No;
        }
        let answer = self.devices.list(directory);
        if let Answer::Is(names) = &answer {
            self.moved(names.iter().map(|name| name.len() + BYTES_A_UNIT).sum());
        }
        answer
    }

    /// [`Devices::search`]
    pub(in super::super) fn search(&self, by: SearchBy, value: &str) -> Answer<Device> {
        self.charge(match by {
            SearchBy::File => SEARCH,
            _ => QUESTION,
        });
        self.devices.search(by, value)
    }

    /// [`Devices::device`]
    pub(in super::super) fn device(&self, name: &str) -> Answer<Device> {
        self.charge(QUESTION);
        self.devices.device(name)
    }

    /// [`Devices::probe`]
    pub(in super::super) fn probe(&self, device: &Device, what: ProbeFor) -> Answer<String> {
        self.charge(QUESTION);
        match device.as_missing() {
            Some(_) => Answer::No,
            None => self.devices.probe(device, what),
        }
    }

    /// [`Devices::has_subvolumes`]
    pub(in super::super) fn has_subvolumes(&self, device: &Device) -> bool {
        device.as_missing().is_none() && self.devices.has_subvolumes(device)
    }

    /// [`Devices::in_subvolume`]
    pub(in super::super) fn in_subvolume(
        &self,
        file: FilePath,
        subvolume: &str,
    ) -> Answer<FilePath> {
        self.charge(QUESTION);
        self.devices.in_subvolume(file, subvolume)
    }

    /// [`Devices::shown`]
    pub(in super::super) fn shown(&self, file: &FilePath) -> String {
        match file.device.as_missing() {
            Some(name) => format!("({name}){}", file.path),
            None => self.devices.shown(file),
        }
    }
}
