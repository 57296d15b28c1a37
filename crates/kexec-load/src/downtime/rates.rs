//! How fast a machine does the work of each phase.

use serde::{Deserialize, Serialize};

/// Bytes that one processor gets through in a second. Decoders count the bytes that they
/// put out, and are the next kernel's, which are written in C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Copying memory.
    pub copy: u64,
    /// CRC-32C in this program's purgatory.
    pub crc32c: u64,
    /// SHA-256 without vector registers, in a purgatory.
    pub sha256: u64,
    /// Making files of an archive in memory: a page is taken, cleared, and copied to.
    pub rootfs: u64,
    /// The kernel in a bzImage that is packed with zstd, whose window is larger than any
    /// cache.
    pub zstd_kernel: u64,
    /// zstd.
    pub zstd: u64,
    /// gzip.
    pub gzip: u64,
    /// xz, and lzma.
    pub xz: u64,
    /// lz4, and lzo.
    pub lz4: u64,
    /// bzip2.
    pub bzip2: u64,
}

/// No machine is slower than this, in bytes per second.
const SLOWEST: u64 = 100_000;
/// None is faster.
const FASTEST: u64 = 1_000_000_000_000;

impl Rates {
    /// Every rate.
    fn all(&self) -> [u64; 10] {
        let Rates {
            copy,
            crc32c,
            sha256,
            rootfs,
            zstd_kernel,
            zstd,
            gzip,
            xz,
            lz4,
            bzip2,
        } = *self;
        [
            copy,
            crc32c,
            sha256,
            rootfs,
            zstd_kernel,
            zstd,
            gzip,
            xz,
            lz4,
            bzip2,
        ]
    }

    /// Whether there can be a machine that is so fast.
    pub fn are_plausible(&self) -> bool {
        let mut all = self.all().into_iter();
        all.all(|rate| (SLOWEST..=FASTEST).contains(&rate))
    }

    /// That of the kernel's decoder of a codec; `None` for one that is not known here.
    pub fn decoder(&self, codec: &str) -> Option<u64> {
        match codec {
            "zstd" => Some(self.zstd),
            "gzip" => Some(self.gzip),
            "xz" | "lzma" => Some(self.xz),
            "lz4" | "lzo" => Some(self.lz4),
            "bzip2" => Some(self.bzip2),
            _ => None,
        }
    }

    /// The same for the kernel in a bzImage.
    pub fn kernel_decoder(&self, codec: &str) -> Option<u64> {
        match codec {
            "zstd" => Some(self.zstd_kernel),
            codec => self.decoder(codec),
        }
    }

    /// The time that a million instructions of a kernel's boot take, in nanoseconds.
    ///
    /// SHA-256 needs 54 instructions for a byte and does five in each cycle; the boot of a
    /// kernel, which meets everything for the first time, may do one. Both are of a
    /// profile of Debian's kernel 7.3.4 under QEMU's `-icount`, and of the rates of the
    /// same processor.
    pub(super) fn boot_nanos_per_million(&self) -> u64 {
        let a_second = self.sha256.saturating_mul(54) / 5;
        1_000_000_000_000_000_u64
            .checked_div(a_second)
            .unwrap_or(u64::MAX)
    }
}

/// How many milliseconds so many bytes take, rounded to the nearest.
pub(super) fn millis(bytes: u64, rate: u64) -> u64 {
    let rate = u128::from(rate.max(1));
    let millis = (u128::from(bytes) * 1000 + rate / 2) / rate;
    u64::try_from(millis).unwrap_or(u64::MAX)
}
