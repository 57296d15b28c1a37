//! What the evaluator asks of the machine, as a trait: files on devices, and
//! which device has a UUID, a label or a file. The evaluator itself opens
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::text::Device;

/// An answer about the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// It is so.
    Is(T),
    /// There is no such thing.
    No,
    /// This cannot be told, and why.
    Unknown(String),
}

impl<T> Answer<T> {
    /// The answer with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Answer::Is(value) => Answer::Is(f(value)),
            Answer::No => Answer::No,
            Answer::Unknown(why) => Answer::Unknown(why),
        }
    }
}

/// A file as GRUB sees it: on a device, by its path from that file system's own
/// root (so with the subvolume, on btrfs).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePath {
    /// The device that the path is on.
    pub device: Device,
    /// The path, with a slash at its beginning; or a list of blocks such as
    /// `512+1`, counted in sectors of 512 bytes from the device's beginning.
    pub path: String,
}

impl std::fmt::Display for FilePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({}){}", self.device.0, self.path)
    }
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Whether it is a directory.
    pub directory: bool,
    /// Its size in bytes.
    pub size: u64,
    /// When it was changed: seconds since 1970.
    pub modified: i64,
}

/// How `search` finds a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchBy {
    /// By the UUID of its file system.
    FsUuid,
    /// By the label of its file system.
    Label,
    /// By a file that is on it.
    File,
    /// By the name of its partition.
    PartLabel,
    /// By the UUID of its partition.
    PartUuid,
    /// By the UUID of its disk's partition table.
    DiskUuid,
}

/// What `probe` tells of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeFor {
    /// GRUB's driver for the disk.
    Driver,
    /// The kind of partition table.
    PartitionMap,
    /// The kind of file system.
    FileSystem,
    /// The UUID of the file system.
    FsUuid,
    /// The label of the file system.
    Label,
    /// The UUID of the partition.
    PartUuid,
}

/// The machine, as far as a configuration asks about it.
pub trait Devices {
    /// The content of a file, of at most `limit` bytes.
    fn read(&self, file: &FilePath, limit: usize) -> Answer<Vec<u8>>;
    /// What is at a path.
    fn node(&self, file: &FilePath) -> Answer<Node>;
    /// Whether the last part of a path is a symbolic link.
    fn is_link(&self, _file: &FilePath) -> bool {
        false
    }
    /// The names in a directory.
    fn list(&self, directory: &FilePath) -> Answer<Vec<String>>;
    /// The device that `search` finds first.
    fn search(&self, by: SearchBy, value: &str) -> Answer<Device>;
    /// The device behind GRUB's own name for it, such as `hd0,gpt2`.
    fn device(&self, name: &str) -> Answer<Device>;
    /// A fact about a device.
    fn probe(&self, device: &Device, what: ProbeFor) -> Answer<String>;
    /// Whether there can be subvolumes on a device.
    fn has_subvolumes(&self, _device: &Device) -> bool {
        false
    }
    /// A path that GRUB takes from a subvolume on (openSUSE's
    /// `$btrfs_relative_path`), from the top of its file system on; without a
    /// name, the subvolume is the default one.
    fn in_subvolume(&self, file: FilePath, _subvolume: &str) -> Answer<FilePath> {
        Answer::Is(file)
    }
    /// The path of a file as the reader of a message knows it.
    fn shown(&self, file: &FilePath) -> String {
        file.path.clone()
    }
}

/// A machine of files in memory: for tests, and to fuzz with.
#[derive(Debug, Clone, Default)]
pub struct MemoryDevices {
    files: BTreeMap<FilePath, Vec<u8>>,
    links: BTreeSet<FilePath>,
    found: BTreeMap<String, Device>,
}

impl MemoryDevices {
    /// A machine without files.
    pub fn new() -> MemoryDevices {
        MemoryDevices::default()
    }

    /// Adds a file; the directories above it are there then, too.
    pub fn add(&mut self, device: &str, path: &str, content: &[u8]) {
        let file = FilePath {
            device: Device(device.into()),
            path: path.to_owned(),
        };
        self.files.insert(file, content.to_owned());
    }

    /// Adds a file that is a symbolic link to one with this content.
    pub fn link(&mut self, device: &str, path: &str, content: &[u8]) {
        self.add(device, path, content);
        self.links.insert(FilePath {
            device: Device(device.into()),
            path: path.to_owned(),
        });
    }

    /// Makes `search --fs-uuid` and `search --label` find a device.
    pub fn name(&mut self, value: &str, device: &str) {
        self.found.insert(value.to_owned(), Device(device.into()));
    }

    fn below<'a>(&'a self, directory: &'a FilePath) -> impl Iterator<Item = &'a str> {
        let start = directory.path.trim_end_matches('/');
        self.files
            .keys()
            .filter(|file| file.device == directory.device)
            .filter_map(move |file| file.path.strip_prefix(start)?.strip_prefix('/'))
    }
}

impl Devices for MemoryDevices {
    fn read(&self, file: &FilePath, limit: usize) -> Answer<Vec<u8>> {
        match self.files.get(file) {
            Some(bytes) if bytes.len() > limit => {
                Answer::Unknown(format!("{file} is larger than {limit} bytes"))
            }
            Some(bytes) => Answer::Is(bytes.clone()),
            None => Answer::No,
        }
    }

    fn node(&self, file: &FilePath) -> Answer<Node> {
        let node = |directory, size| Node {
            directory,
            size,
            modified: 0,
        };
        match self.files.get(file) {
            Some(bytes) => Answer::Is(node(false, u64::try_from(bytes.len()).unwrap_or(0))),
            None if self.below(file).next().is_some() => Answer::Is(node(true, 0)),
            None => Answer::No,
        }
    }

    fn is_link(&self, file: &FilePath) -> bool {
        self.links.contains(file)
    }

    fn list(&self, directory: &FilePath) -> Answer<Vec<String>> {
        let first = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = self.below(directory).map(first).collect();
        names.dedup();
        match names.is_empty() {
            true => Answer::No,
            false => Answer::Is(names),
        }
    }

    fn search(&self, by: SearchBy, value: &str) -> Answer<Device> {
        let with_file = || self.files.keys().find(|file| file.path == value);
        let device = match by {
            SearchBy::File => with_file().map(|file| file.device.clone()),
            _ => self.found.get(value).cloned(),
        };
        device.map_or(Answer::No, Answer::Is)
    }

    fn device(&self, name: &str) -> Answer<Device> {
        match self.files.keys().find(|file| *file.device.0 == *name) {
            Some(file) => Answer::Is(file.device.clone()),
            None if name.starts_with("md/") => Answer::No,
            None => Answer::Unknown(format!("which disk GRUB calls {name} is unknown")),
        }
    }

    fn probe(&self, device: &Device, what: ProbeFor) -> Answer<String> {
        let value = self.found.iter().find(|(_, found)| *found == device);
        match (what, value) {
            (ProbeFor::FsUuid | ProbeFor::Label, Some((name, _))) => Answer::Is(name.clone()),
            _ => Answer::Unknown(format!("{what:?} of {} is unknown", device.0)),
        }
    }
}
