//! Where the kernel shows its kexec in /sys. Linux 6.19 moved the files into a folder;
//! the old names are deprecated, and an older kernel has only those. Every reader asks
//! here.

use std::path::Path;

use super::memory::hex;
use super::{MemoryRange, version_at_least};
use crate::{Fact, Root};

/// The kernel reserves at most four ranges with `crashkernel=SIZE,cma`
/// (CRASHKERNEL_CMA_RANGES_MAX of include/linux/crash_reserve.h); a later kernel may
/// reserve more.
const MAX_CMA_RANGES: usize = 64;

/// One file of the kernel's kexec in /sys.
///
/// Documentation/ABI/testing/sysfs-kernel-kexec-kdump has the new places,
/// Documentation/ABI/obsolete/sysfs-kernel-kexec-kdump the old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KexecFile {
    /// Whether an image is in the normal slot: `0` or `1`.
    Loaded,
    /// Whether an image is in the crash slot: `0` or `1`.
    CrashLoaded,
    /// How many bytes are reserved for a crash kernel. A smaller number that is written
    /// to it gives the rest back.
    CrashSize,
    /// How many bytes the kernel wants for the elfcorehdr segment, so that it can rewrite
    /// it on hotplug (since Linux 6.6).
    ElfcorehdrSize,
    /// The ranges of `crashkernel=SIZE,cma`, a line for each: `START-END`, hexadecimal,
    /// END inclusive (since Linux 6.19; it never had another place).
    CmaRanges,
}

impl KexecFile {
    /// Every file.
    pub const ALL: [KexecFile; 5] = [
        KexecFile::Loaded,
        KexecFile::CrashLoaded,
        KexecFile::CrashSize,
        KexecFile::ElfcorehdrSize,
        KexecFile::CmaRanges,
    ];

    /// Its paths, in the order in which they are looked at.
    pub fn places(self) -> &'static [&'static str] {
        match self {
            KexecFile::Loaded => &["/sys/kernel/kexec/loaded", "/sys/kernel/kexec_loaded"],
            KexecFile::CrashLoaded => &[
                "/sys/kernel/kexec/crash_loaded",
                "/sys/kernel/kexec_crash_loaded",
            ],
            KexecFile::CrashSize => &[
                "/sys/kernel/kexec/crash_size",
                "/sys/kernel/kexec_crash_size",
            ],
            KexecFile::ElfcorehdrSize => &[
                "/sys/kernel/kexec/crash_elfcorehdr_size",
                "/sys/kernel/crash_elfcorehdr_size",
            ],
            KexecFile::CmaRanges => &["/sys/kernel/kexec/crash_cma_ranges"],
        }
    }

    /// The path under which a kernel of this release has it, for a message: the new one
    /// from 6.19 on, the old one before and where the release is unknown.
    pub fn place(self, release: &str) -> &'static str {
        let new = version_at_least(release, 6, 19) == Some(true);
        let mut places = self.places().iter().copied();
        let place = if new { places.next() } else { places.last() };
        // No file is without a path.
        place.unwrap_or_default()
    }

    /// The path that exists below `root`; `None` where no path does.
    pub fn found(self, root: &Path) -> Option<&'static str> {
        let root = Root::new(root);
        self.places().iter().copied().find(|path| root.exists(path))
    }

    /// The same for a message; the old path where none exists.
    pub fn shown(self, root: &Path) -> &'static str {
        self.found(root).unwrap_or_else(|| self.place(""))
    }

    /// What `read` makes of the first path that exists.
    pub(super) fn fact<T>(self, read: impl Fn(&str) -> Fact<T>) -> Fact<T> {
        let places = self.places().iter();
        places.fold(Fact::Absent, |fact, path| fact.or(|| read(path)))
    }
}

/// How many bytes are reserved for a crash kernel.
pub fn crash_size(root: &Path) -> Fact<u64> {
    number(&Root::new(root), KexecFile::CrashSize)
}

pub(super) fn flag(root: &Root, file: KexecFile) -> Fact<bool> {
    match file.fact(|path| root.flag(path)) {
        // A kernel without kexec has no such file; no kernel shows one without sysfs.
        Fact::Absent if !shows_sysfs(root) => {
            Fact::Unreadable("sysfs is not mounted on /sys".to_owned())
        }
        fact => fact,
    }
}

pub(super) fn number(root: &Root, file: KexecFile) -> Fact<u64> {
    file.fact(|path| root.parse(path, "a number of bytes", |text| text.parse().ok()))
}

pub(super) fn cma_ranges(root: &Root) -> Fact<Vec<MemoryRange>> {
    let expected = "lines START-END in hexadecimal";
    KexecFile::CmaRanges.fact(|path| root.parse(path, expected, cma_ranges_of))
}

/// Whether the kernel itself keeps a loaded crash image right when processors (`cpu`) or
/// memory (`memory`) come and go. It is false while no image is loaded, and for one that
/// was loaded in such a way that the kernel may not change it
/// (Documentation/ABI/testing/sysfs-devices-system-cpu and sysfs-devices-memory,
/// `crash_hotplug`, since Linux 6.6).
pub(super) fn crash_hotplug(root: &Root, subsystem: &str) -> Fact<bool> {
    root.flag(&format!("/sys/devices/system/{subsystem}/crash_hotplug"))
}

/// An initramfs can have the folder without anything mounted there.
fn shows_sysfs(root: &Root) -> bool {
    let names = root.entries("/sys/kernel");
    names.known().is_some_and(|names| !names.is_empty())
}

/// The ranges of `crashkernel=SIZE,cma` by the text of the file ([`KexecFile::CmaRanges`]);
/// `None` where it is another text.
pub fn cma_ranges_of(text: &str) -> Option<Vec<MemoryRange>> {
    let mut ranges = Vec::new();
    for line in text.lines() {
        if ranges.len() == MAX_CMA_RANGES {
            return None;
        }
        let (start, last) = line.trim().split_once('-')?;
        let (start, last) = (hex(start)?, hex(last)?);
        if start > last {
            return None;
        }
        ranges.push(MemoryRange {
            start,
            end: last.checked_add(1)?,
            kind: "Crash kernel CMA".to_owned(),
            depth: 0,
        });
    }
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = top.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        top
    }

    /// A kernel between 6.19 and the removal has both places, an older one only the old.
    #[test]
    fn the_new_place_is_read_first_and_either_is_enough() {
        for file in KexecFile::ALL {
            let places = file.places();
            for path in places {
                let top = root(&[(path, "268435456\n")]);
                assert_eq!(file.found(top.path()), Some(*path));
                let value = number(&Root::new(top.path()), file);
                assert_eq!(value, Fact::Known(268_435_456), "{path}");
            }
            let both: Vec<(&str, String)> = places
                .iter()
                .enumerate()
                .map(|(n, p)| (*p, n.to_string()))
                .collect();
            let both: Vec<(&str, &str)> = both.iter().map(|(p, n)| (*p, n.as_str())).collect();
            let top = root(&both);
            assert_eq!(number(&Root::new(top.path()), file), Fact::Known(0));
            assert_eq!(file.found(root(&[]).path()), None);
        }
    }

    #[test]
    fn a_message_names_the_path_of_the_running_kernel() {
        let place = |release| KexecFile::CrashSize.place(release);
        assert_eq!(place("6.12.43+deb13-amd64"), "/sys/kernel/kexec_crash_size");
        assert_eq!(place("6.19.0"), "/sys/kernel/kexec/crash_size");
        assert_eq!(place("7.3.4"), "/sys/kernel/kexec/crash_size");
        assert_eq!(place(""), "/sys/kernel/kexec_crash_size");
    }

    #[test]
    fn cma_ranges_are_whole_lines_of_two_numbers() {
        let read = |text: &str| {
            let top = root(&[("/sys/kernel/kexec/crash_cma_ranges", text)]);
            cma_ranges(&Root::new(top.path()))
        };
        let ranges = |text: &str| {
            let ranges = read(text).known().unwrap().clone().into_iter();
            ranges.map(|r| (r.start, r.end)).collect::<Vec<_>>()
        };
        assert_eq!(ranges(""), []);
        let two = "100000000-10fffffff\n7a000000-7fffffff\n";
        assert_eq!(
            ranges(two),
            [(0x1_0000_0000, 0x1_1000_0000), (0x7a00_0000, 0x8000_0000)]
        );
        for broken in [
            "1000",
            "1000-",
            "-1000",
            "2000-1000",
            "+1-2",
            "0x1-0x2",
            "1-2 3",
            "1-fffffffffffffffff",
            "0-ffffffffffffffff",
            &"1-2\n".repeat(MAX_CMA_RANGES + 1),
        ] {
            assert!(read(broken).reason().is_some(), "{broken:?}");
        }
        let none = cma_ranges(&Root::new(root(&[]).path()));
        assert_eq!(none, Fact::Absent);
    }
}
