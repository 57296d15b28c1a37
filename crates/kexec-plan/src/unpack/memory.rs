//! Whether there is memory for an initrd that is unpacked before the jump: in the running
//! kernel while it is loaded, by the kernel's own rule, and in the next kernel, which holds
//! the initrd and what it unpacks to at once.

use std::fmt;

use crate::Method;
use crate::size::Memory;

/// What the running machine keeps for itself, so that a load does not make it swap: bytes.
const NOW_MARGIN: u64 = 64 << 20;

/// What the next kernel needs besides its own image, the initrd and the root file system,
/// until the initrd's memory is free again: bytes. Debian's kernels come up to their init
/// in about 60 MiB.
const NEXT_MARGIN: u64 = 128 << 20;

/// The next kernel's memory map takes 64 bytes for a page of 4 KiB (`struct page`); taken
/// twice, for what else grows with the memory: one part in so many.
const NEXT_PER_MEMORY: u64 = 32;

/// The kernel takes at most one part in so many of all memory (`kexec_load(2)`, EINVAL).
const HALF: u64 = 2;

/// An image that is held for as long as the machine is up gets one part in so many of the
/// free memory.
const HELD: u64 = 4;

/// The most that older kernels read of a file for `kexec_file_load(2)`, bytes (`INT_MAX`,
/// later 4 GiB: the limits in `kimage_file_prepare_segments`, kernel/kexec_file.c).
const FILE_MOST: u64 = (1 << 31) - 1;

/// Where the files go into a tmpfs, the initrd may take so many of [`TMPFS_PARTS`] of what the
/// next kernel has left: it stays in memory itself, its files have to be half of what it leaves
/// (Documentation/filesystems/tmpfs.rst, `size`), and they take a sixteenth more than they are.
const TMPFS_SHARE: u64 = 16;

/// See [`TMPFS_SHARE`].
const TMPFS_PARTS: u64 = 49;

/// Besides kernel and initrd: parameters, purgatory, command line, tables; bytes.
const SMALL_SEGMENTS: u64 = 2 << 20;

/// What is known of the memory, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackMemory {
    /// What the running kernel can give (`MemAvailable`), before the files were read; or
    /// why that is unknown.
    pub available: Result<u64, String>,
    /// What else than free memory bounds that, for people: a limit of this process.
    pub limit: Option<String>,
    /// All memory of the machine (`MemTotal`), or why that is unknown.
    pub total: Result<u64, String>,
    /// What the next kernel may use of it, where its command line says less (`mem=`).
    pub next: Option<u64>,
    /// What its command line sets aside of it ([`super::reserved`]).
    pub reserved: u64,
    /// Without `root=`, the files of the initrd go into a tmpfs (`init_rootfs`,
    /// init/do_mounts.c), which holds half of what the initrd leaves at most.
    pub tmpfs: bool,
    /// What the files take that are in memory already.
    pub files: u64,
    /// What the kernel takes, loaded.
    pub kernel: u64,
    /// The system call that loads.
    pub method: Method,
    /// The image is held for as long as the machine is up.
    pub held: bool,
}

/// The most that the whole initrd may have, and what bounds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub most: u64,
    /// What bounds it, for people, with numbers.
    pub because: String,
}

/// The most that a kernel may have that is taken out of its bzImage, by the memory that is
/// `available` before `files` bytes of files were read. Beside it and the files, the running
/// kernel holds its copy of both while they are loaded: `kernel` with the room that its header
/// asks for, and `initrd` as it is handed over. `limit` is what else than free memory bounds
/// what is available. All numbers are bytes.
pub fn kernel_room(
    available: u64,
    files: u64,
    kernel: u64,
    initrd: u64,
    limit: Option<&str>,
) -> Room {
    let loaded = kernel.saturating_add(initrd).saturating_add(SMALL_SEGMENTS);
    let taken = files.saturating_add(loaded).saturating_add(NOW_MARGIN);
    Room {
        most: available.saturating_sub(taken),
        because: format!(
            "{}, the files take {}, the loaded image {}, and the machine keeps {}",
            Free(available, limit),
            Memory(files),
            Memory(loaded),
            Memory(NOW_MARGIN)
        ),
    }
}

/// What can be taken, and what bounds it, for people.
struct Free<'a>(u64, Option<&'a str>);

impl fmt::Display for Free<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Free(bytes, limit) = self;
        match limit {
            Some(limit) => write!(f, "{} are left by {limit}", Memory(*bytes)),
            None => write!(f, "{} are free", Memory(*bytes)),
        }
    }
}

impl UnpackMemory {
    /// How often a byte of the initrd is in memory while it is loaded: in this process and
    /// in the kernel; with `kexec_file_load(2)` also in the file that is handed over, and in
    /// the buffer that the kernel reads it into.
    fn copies(&self) -> u64 {
        match self.method {
            Method::ClassicLoad => 2,
            Method::FileLoad => 4,
        }
    }

    /// The most that the whole initrd may have.
    ///
    /// # Errors
    /// Why that is unknown.
    pub fn room(&self) -> Result<Room, String> {
        let unknown = |what: &str, why: &str| format!("{what} is unknown: {why}");
        let available = self.available.as_ref();
        let available = *available.map_err(|why| unknown("how much memory is free", why))?;
        let total = self.total.as_ref();
        let total = *total.map_err(|why| unknown("how much memory the machine has", why))?;
        let bounds = [
            Some(self.now(available)),
            Some(self.half(total)),
            Some(self.later(total)),
            self.held.then(|| self.share(available)),
            (self.method == Method::FileLoad).then(|| Room {
                most: FILE_MOST,
                because: "kexec_file_load(2) of some kernels reads no file of 2 GiB".to_owned(),
            }),
        ];
        let smallest = bounds.into_iter().flatten().min_by_key(|room| room.most);
        smallest.ok_or_else(|| "nothing bounds it".to_owned())
    }

    fn now(&self, available: u64) -> Room {
        let copies = self.copies();
        let taken = self.files.saturating_add(self.kernel);
        let left = available
            .saturating_sub(taken)
            .saturating_sub(NOW_MARGIN.saturating_add(SMALL_SEGMENTS));
        Room {
            most: left / copies,
            because: format!(
                "{}, the files and the loaded kernel take {}, the machine keeps {}, and the \
                 initrd is in memory {copies} times while it is loaded",
                Free(available, self.limit.as_deref()),
                Memory(taken),
                Memory(NOW_MARGIN)
            ),
        }
    }

    fn half(&self, total: u64) -> Room {
        let half = total / HALF;
        let rest = self.kernel.saturating_add(SMALL_SEGMENTS);
        Room {
            most: half.saturating_sub(rest),
            because: format!(
                "the running kernel loads at most half of the memory, {}, and the kernel takes {}",
                Memory(half),
                Memory(self.kernel)
            ),
        }
    }

    /// The initrd, and the files that are made of it, are in memory at once.
    fn later(&self, total: u64) -> Room {
        let memory = self.next.map_or(total, |next| next.min(total));
        let own = self
            .kernel
            .saturating_add(NEXT_MARGIN)
            .saturating_add(memory / NEXT_PER_MEMORY);
        let left = memory.saturating_sub(own).saturating_sub(self.reserved);
        let aside = match self.reserved {
            0 => String::new(),
            bytes => format!("its command line sets {} aside, ", Memory(bytes)),
        };
        let (memory, own) = (Memory(memory), Memory(own));
        let start = format!("the next kernel has {memory}, needs about {own} for itself, {aside}");
        if self.tmpfs {
            return Room {
                most: left / TMPFS_PARTS * TMPFS_SHARE,
                because: format!(
                    "{start}and without root= the files may take half of what the initrd leaves"
                ),
            };
        }
        Room {
            most: left / 2,
            because: format!("{start}and holds the initrd and its files at once"),
        }
    }

    fn share(&self, available: u64) -> Room {
        let share = available / HELD;
        Room {
            most: share.saturating_sub(self.kernel.saturating_add(SMALL_SEGMENTS)),
            because: format!(
                "an image that is loaded ahead takes at most a quarter of the free memory, {}, and \
                 the kernel takes {}",
                Memory(share),
                Memory(self.kernel)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    fn machine(available: u64, total: u64) -> UnpackMemory {
        UnpackMemory {
            available: Ok(available * MB),
            total: Ok(total * MB),
            limit: None,
            tmpfs: false,
            reserved: 0,
            next: None,
            files: 90 * MB,
            kernel: 63 * MB,
            method: Method::ClassicLoad,
            held: false,
        }
    }

    fn room(memory: &UnpackMemory) -> (u64, String) {
        let room = memory.room().unwrap();
        (room.most / MB, room.because)
    }

    #[test]
    fn the_tightest_bound_counts() {
        for (memory, most, words) in [
            // (8000 - 90 - 63 - 69) / 2
            (machine(8000, 32_000), 3888, "7.4 GiB are free"),
            (machine(31_900, 32_000), 15_401, "needs about 1.1 GiB"),
            (machine(1000, 8000), 388, "953.6 MiB are free"),
            (machine(160, 8000), 0, "152.5 MiB are free"),
            (machine(1900, 2000), 838, "is in memory 2 times"),
            (
                UnpackMemory {
                    files: 0,
                    ..machine(1_000_000, 100)
                },
                0,
                "at most half of the memory, 47.6 MiB",
            ),
            (
                UnpackMemory {
                    method: Method::FileLoad,
                    ..machine(8000, 32_000)
                },
                1944,
                "is in memory 4 times",
            ),
            (
                UnpackMemory {
                    method: Method::FileLoad,
                    ..machine(80_000, 90_000)
                },
                2147,
                "no file of 2 GiB",
            ),
            (
                UnpackMemory {
                    held: true,
                    ..machine(8000, 32_000)
                },
                1934,
                "a quarter of the free memory, 1.8 GiB",
            ),
            (
                UnpackMemory {
                    next: Some(512 * MB),
                    ..machine(8000, 32_000)
                },
                149,
                "the next kernel has 488.2 MiB",
            ),
        ] {
            let found = room(&memory);
            assert_eq!(found.0, most, "{memory:?}: {found:?}");
            assert!(found.1.contains(words), "{found:?}");
        }
    }

    #[test]
    fn a_kernel_is_not_unpacked_into_what_the_machine_keeps() {
        let room = |available, initrd| {
            kernel_room(
                available * MB,
                (14 + initrd) * MB,
                63 * MB,
                initrd * MB,
                None,
            )
        };
        let margin = NOW_MARGIN + SMALL_SEGMENTS;
        assert_eq!(room(300, 0).most, (300 - 14 - 63) * MB - margin);
        // The initrd is in memory twice: as its file, and as the running kernel's copy.
        assert!(room(320, 90).most < 62 * MB);
        assert!(room(390, 90).most > 62 * MB);
        let because = room(300, 10).because;
        assert!(
            because.starts_with(
                "286.1 MiB are free, the files take 22.8 MiB, the loaded image 71.6 MiB"
            ),
            "{because}"
        );
        assert_eq!(room(70, 0).most, 0);
        assert_eq!(kernel_room(0, u64::MAX, u64::MAX, u64::MAX, None).most, 0);
    }

    #[test]
    fn a_limit_of_the_process_is_named() {
        let limit = "/sys/fs/cgroup/a/memory.max";
        let memory = UnpackMemory {
            limit: Some(limit.to_owned()),
            ..machine(300, 8000)
        };
        let (most, because) = room(&memory);
        assert_eq!(most, 38);
        assert!(
            because.starts_with("286.1 MiB are left by /sys/fs/cgroup/a/memory.max, the files")
        );
        let room = kernel_room(300 * MB, 14 * MB, 0, 0, Some(limit));
        assert!(
            room.because
                .starts_with("286.1 MiB are left by /sys/fs/cgroup/a")
        );
    }

    #[test]
    fn what_the_next_command_line_sets_aside_is_not_left() {
        let memory = UnpackMemory {
            reserved: 3000 * MB,
            ..machine(3700, 4000)
        };
        let (most, because) = room(&memory);
        assert!(because.contains("sets 2.7 GiB aside"), "{because}");
        assert!(most < 400, "{most}");
    }

    /// An initrd of more than a third of the memory boots packed, and would not unpacked.
    #[test]
    fn without_a_root_the_files_are_in_a_tmpfs() {
        let memory = UnpackMemory {
            tmpfs: true,
            ..machine(3700, 4000)
        };
        let (most, because) = room(&memory);
        assert!(because.contains("without root="), "{because}");
        assert!((1000..1300).contains(&most), "{most}");
        let with_root = UnpackMemory {
            tmpfs: false,
            ..memory
        };
        assert!(room(&with_root).0 > 1500);
    }

    #[test]
    fn half_of_the_memory_is_the_kernels_own_rule() {
        let memory = machine(1_000_000, 1000);
        let half = memory.half(1000 * MB);
        assert_eq!(half.most, 500 * MB - 63 * MB - SMALL_SEGMENTS);
        assert!(memory.room().unwrap().most <= half.most);
    }

    #[test]
    fn more_memory_never_gives_less_room() {
        let mut before = 0;
        for total in (0..200).map(|n| n * 100) {
            let most = machine(total * 9 / 10, total).room().unwrap().most;
            assert!(most >= before, "{total}");
            before = most;
        }
    }

    #[test]
    fn what_is_unknown_has_no_room() {
        let blind = UnpackMemory {
            available: Err("/proc is not mounted".to_owned()),
            ..machine(1, 1)
        };
        assert!(blind.room().unwrap_err().contains("free is unknown: /proc"));
        let blind = UnpackMemory {
            total: Err("no".to_owned()),
            ..machine(1, 1)
        };
        assert!(blind.room().unwrap_err().contains("has is unknown: no"));
        let huge = UnpackMemory {
            files: u64::MAX,
            kernel: u64::MAX,
            ..machine(8000, 8000)
        };
        assert_eq!(huge.room().unwrap().most, 0);
    }
}
