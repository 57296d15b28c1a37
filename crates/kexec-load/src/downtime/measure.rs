//! How fast this machine is: each kind of work for some milliseconds, on one thread. About
//! a tenth of a second in all.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use kexec_image::decompress::{BZIP2, Codec, GZIP, LZ4, XZ, ZSTD};
use kexec_purgatory::Crc32c;
use rustix::fs::MemfdFlags;

use super::rates::Rates;

/// How long a kind of work is done, unless doing it twice takes longer.
const BUDGET: Duration = Duration::from_millis(8);

/// Bytes that are copied and checked: more than the caches next to a processor have.
const BLOCK: usize = 16 << 20;

/// Bytes that are hashed in one go, and written to files in one go.
const SMALL: usize = 1 << 20;

/// Texts and sources of this project, 64 KiB of them, as each codec packs them.
const SAMPLES: [(&Codec, &[u8], u64); 5] = [
    (&ZSTD, include_bytes!("samples/sample.zst"), 280),
    (&GZIP, include_bytes!("samples/sample.gz"), 33),
    (&XZ, include_bytes!("samples/sample.xz"), 130),
    (&LZ4, include_bytes!("samples/sample.lz4"), 100),
    (&BZIP2, include_bytes!("samples/sample.bz2"), 100),
];

/// Bytes of a sample, unpacked.
pub(super) const SAMPLE_LEN: u64 = 64 << 10;

/// The rate of zstd over a whole kernel, of which its window is as large, to that over an
/// initrd, in percent: 43 and 76 on the two processors of docs/performance.md.
const ZSTD_KERNEL: u64 = 60;

/// Measures this machine.
///
/// The decoders of the next kernel are written in C, and ours are not. How their rates
/// compare was measured once (docs/performance.md, "The same work on a real processor"):
/// the third value of each sample is theirs to ours, in percent.
pub fn measure() -> Rates {
    let from = vec![0x5a_u8; BLOCK];
    // Not zero: pages that nobody has written to are not there yet.
    let mut to = vec![1_u8; BLOCK];
    let copy = rate(BLOCK, || to.copy_from_slice(black_box(&from)));
    let crc32c = rate(BLOCK, || {
        black_box(Crc32c::of(black_box(&from)));
    });
    let small = from.get(..SMALL).unwrap_or_default();
    let sha256 = rate(SMALL, || {
        black_box(kexec_purgatory::sha256(black_box(small)));
    });
    let rootfs = files(small).unwrap_or(copy / 5);
    let [zstd, gzip, xz, lz4, bzip2] = SAMPLES.map(|(codec, sample, kernel)| {
        let len = usize::try_from(SAMPLE_LEN).unwrap_or(usize::MAX);
        let ours = rate(len, || {
            let _ = black_box(codec.check(black_box(sample), SAMPLE_LEN));
        });
        percent(ours, kernel)
    });
    Rates {
        copy,
        crc32c,
        sha256,
        rootfs,
        zstd_kernel: percent(zstd, ZSTD_KERNEL),
        zstd,
        gzip,
        xz,
        lz4,
        bzip2,
    }
}

fn percent(rate: u64, percent: u64) -> u64 {
    (rate.saturating_mul(percent) / 100).max(1)
}

/// Bytes per second of `work` on `len` bytes: the best of some rounds, because everything
/// that disturbs one makes it slower. The first round meets everything for the first time,
/// so it is never the only one.
fn rate(len: usize, mut work: impl FnMut()) -> u64 {
    let begin = Instant::now();
    let mut best = Duration::MAX;
    for is_first in std::iter::once(true).chain(std::iter::repeat(false)) {
        let round = Instant::now();
        work();
        best = best.min(round.elapsed());
        if !is_first && begin.elapsed() >= BUDGET {
            break;
        }
    }
    let nanos = best.as_nanos().max(1);
    let len = u128::try_from(len).unwrap_or(u128::MAX);
    let a_second = len.saturating_mul(1_000_000_000) / nanos;
    u64::try_from(a_second).unwrap_or(u64::MAX).max(1)
}

/// Writing to a file in memory takes the pages, clears them and copies to them, as making
/// the files of an archive does; `None` where there is no such file.
fn files(content: &[u8]) -> Option<u64> {
    let flags = MemfdFlags::CLOEXEC;
    let made = rustix::fs::memfd_create("kexec-rates", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| rustix::fs::memfd_create("kexec-rates", flags));
    let file = File::from(made.ok()?);
    let mut works = true;
    let rate = rate(content.len(), || {
        // The pages of the round before go back first, which a kernel need not do.
        works &= file.write_all_at(black_box(content), 0).is_ok() && file.set_len(0).is_ok();
    });
    works.then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_what_the_rates_count() {
        let first = SAMPLES[0];
        let text = first.0.decompress(first.1, SAMPLE_LEN).unwrap().bytes;
        for (codec, sample, _) in SAMPLES {
            assert!(sample.len() < 64 << 10);
            let decoded = codec.decompress(sample, SAMPLE_LEN).unwrap();
            assert_eq!(decoded.bytes, text, "{codec:?}");
        }
        assert_eq!(u64::try_from(text.len()).unwrap(), SAMPLE_LEN);
    }

    #[test]
    fn the_first_round_is_never_the_only_one() {
        let mut rounds = 0;
        let found = rate(1_000_000, || {
            rounds += 1;
            if rounds == 1 {
                std::thread::sleep(BUDGET * 4);
            }
        });
        assert!(rounds > 1);
        // A megabyte in those 32 ms would be 31 MB in a second.
        assert!(found > 32_000_000, "{found}");
    }

    /// How fast the machine is depends on the machine; that it is measured does not.
    #[test]
    fn everything_is_measured() {
        let rates = measure();
        assert!(rates.are_plausible(), "{rates:?}");
    }
}
