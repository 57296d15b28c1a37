//! What a part of an initrd costs after the jump, in each form in which it can be handed
//! over: the one table by which it is decided whether the part is unpacked before.
//!
//! Costs are instructions on one CPU. They are no time, but they compare: whatever is done
//! between the two kernels runs on one CPU, through the same bytes.

use serde::{Deserialize, Serialize};

/// Costs are counted in thousandths of an instruction, so that no fraction is needed.
const ONE: u64 = 1000;

/// What the kernel's decoders need for a byte that they put out, in thousandths of an
/// instruction.
///
/// zstd, gzip and xz: measured over the boot of Debian's kernel 7.3 with initrds of 200 MB,
/// under QEMU with `-icount`. lz4 and bzip2: measured with their own programs (lz4 1.9,
/// bzip2 1.0.8) under cachegrind over 16 MB of libraries, 2.7 and 110.7; there zstd needs
/// 13.2, gzip 23.2 and xz 49. lzma: the program needs 3 % more than xz, of which the
/// kernel's decoder is taken to need as much.
const DECODING: &[(&str, u64)] = &[
    ("lz4", 2_700),
    ("zstd", 11_400),
    ("gzip", 18_500),
    ("xz", 87_000),
    ("lzma", 87_000),
    ("bzip2", 110_000),
];

/// Moving a byte to its final place: eight with each turn of `rep movsq`.
const COPYING: u64 = ONE / 8;

/// How the bytes are checked between the two kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hashing {
    /// CRC-32C in this program's purgatory.
    Crc32c,
    /// SHA-256 in this program's purgatory.
    Sha256,
    /// SHA-256 in the purgatory that the kernel brings (`kexec_file_load(2)`).
    ByTheKernel,
    /// Not at all.
    None,
}

impl Hashing {
    /// Each of them.
    pub const ALL: [Hashing; 4] = [
        Hashing::Crc32c,
        Hashing::Sha256,
        Hashing::ByTheKernel,
        Hashing::None,
    ];

    /// Thousandths of an instruction for a byte.
    fn per_byte(self) -> u64 {
        match self {
            // One `crc32` for eight bytes, three streams interleaved, and the loop: between
            // 0.15 and 0.5.
            Hashing::Crc32c => 300,
            // Taken to need as much as the kernel's, which is the same C without SIMD.
            Hashing::Sha256 => 54_000,
            // 54.3 measured, over the size in memory.
            Hashing::ByTheKernel => 54_000,
            Hashing::None => 0,
        }
    }

    /// For people: who hashes.
    pub fn words(self) -> &'static str {
        match self {
            Hashing::Crc32c => "checked with CRC-32C",
            Hashing::Sha256 => "checked with SHA-256",
            Hashing::ByTheKernel => "checked by the kernel's purgatory with SHA-256",
            Hashing::None => "not checked",
        }
    }
}

/// The form in which a part is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PartForm {
    /// Compressed, as it is in the file.
    Packed,
    /// Unpacked.
    Raw,
    /// Compressed again, with lz4.
    Lz4,
}

/// A compressed part, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSizes<'a> {
    /// What it is compressed with, by the name in [`kexec_image::decompress::CODECS`].
    pub codec: &'a str,
    /// As it is in the file.
    pub packed: u64,
    /// Unpacked.
    pub unpacked: u64,
    /// Compressed with lz4; `None` where the next kernel is not known to read that.
    pub lz4: Option<u64>,
}

/// What a part costs in each form, in millions of instructions rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PartCosts {
    /// As it is in the file; `None` for a codec whose cost is unknown.
    pub packed: Option<u64>,
    /// Unpacked.
    pub raw: u64,
    /// Compressed with lz4; `None` where that was not looked at.
    pub lz4: Option<u64>,
}

/// What the kernel's decoder of a codec needs for a byte.
fn decoding(codec: &str) -> Option<u64> {
    let row = DECODING.iter().find(|(name, _)| *name == codec);
    row.map(|(_, cost)| *cost)
}

/// Thousandths of an instruction for `handed` bytes, of which `unpacked` ones are made.
fn cost(hashing: Hashing, handed: u64, unpacked: u64, decoding: u64) -> u64 {
    let moved = handed.saturating_mul(hashing.per_byte().saturating_add(COPYING));
    moved.saturating_add(unpacked.saturating_mul(decoding))
}

/// Whether a part of this codec is cheapest unpacked whatever its lengths are.
pub fn is_always_cheapest_raw(hashing: Hashing, codec: &str) -> bool {
    let moving = hashing.per_byte().saturating_add(COPYING);
    let lz4 = decoding("lz4").unwrap_or_default();
    decoding(codec).is_some_and(|decoding| decoding >= moving) && lz4 >= moving
}

/// The cheapest form of a part, and what each form costs. Of two forms that cost the same,
/// the one with less work before the jump: packed, raw, lz4.
pub fn cheapest(hashing: Hashing, part: &PartSizes<'_>) -> (PartForm, PartCosts) {
    let packed =
        decoding(part.codec).map(|decoding| cost(hashing, part.packed, part.unpacked, decoding));
    let raw = cost(hashing, part.unpacked, 0, 0);
    let lz4 = part.lz4.zip(decoding("lz4"));
    let lz4 = lz4.map(|(len, decoding)| cost(hashing, len, part.unpacked, decoding));
    let forms = [
        (PartForm::Packed, packed),
        (PartForm::Raw, Some(raw)),
        (PartForm::Lz4, lz4),
    ];
    let priced = forms
        .iter()
        .filter_map(|(form, cost)| Some((*form, (*cost)?)));
    let form = priced.min_by_key(|(_, cost)| *cost);
    let millions = |cost: u64| cost / (ONE * 1_000_000);
    let costs = PartCosts {
        packed: packed.map(millions),
        raw: millions(raw),
        lz4: lz4.map(millions),
    };
    (form.map_or(PartForm::Packed, |(form, _)| form), costs)
}

#[cfg(test)]
mod tests {
    use kexec_image::decompress::CODECS;

    use super::*;

    /// 200 MB, as compressors leave them: gzip -9, zstd -9, xz -6, lz4, bzip2.
    fn typical(codec: &str, lz4: bool) -> PartSizes<'_> {
        let packed = match codec {
            "lz4" => 100,
            "gzip" => 83,
            "zstd" => 72,
            "bzip2" => 76,
            _ => 57,
        };
        PartSizes {
            codec,
            packed: packed * 1_000_000,
            unpacked: 207_000_000,
            lz4: lz4.then_some(100_000_000),
        }
    }

    fn form(hashing: Hashing, part: &PartSizes<'_>) -> PartForm {
        cheapest(hashing, part).0
    }

    #[test]
    fn every_codec_has_its_row() {
        for codec in CODECS {
            assert!(decoding(codec.name).is_some(), "{}", codec.name);
        }
        assert_eq!(decoding("lzo"), None);
        let unknown = PartSizes {
            codec: "lzo",
            ..typical("xz", false)
        };
        let (form, costs) = cheapest(Hashing::None, &unknown);
        assert_eq!((form, costs.packed), (PartForm::Raw, None));
    }

    #[test]
    fn raw_wins_over_every_codec_where_a_byte_is_checked_fast_or_not_at_all() {
        for hashing in [Hashing::Crc32c, Hashing::None] {
            for codec in CODECS {
                assert!(is_always_cheapest_raw(hashing, codec.name));
                for lz4 in [false, true] {
                    let part = typical(codec.name, lz4);
                    assert_eq!(form(hashing, &part), PartForm::Raw, "{hashing:?} {part:?}");
                }
                // Even if it unpacks to a thousand times as much.
                let bomb = PartSizes {
                    packed: 200_000,
                    ..typical(codec.name, true)
                };
                assert_eq!(form(hashing, &bomb), PartForm::Raw, "{bomb:?}");
            }
        }
    }

    #[test]
    fn with_a_slow_hash_raw_wins_over_the_slow_codecs_only() {
        for hashing in [Hashing::ByTheKernel, Hashing::Sha256] {
            for (codec, wins) in [
                ("xz", PartForm::Raw),
                ("lzma", PartForm::Raw),
                ("bzip2", PartForm::Raw),
                ("zstd", PartForm::Packed),
                ("gzip", PartForm::Packed),
                ("lz4", PartForm::Packed),
            ] {
                assert!(!is_always_cheapest_raw(hashing, codec));
                assert_eq!(form(hashing, &typical(codec, false)), wins, "{codec}");
            }
        }
    }

    #[test]
    fn between_them_lz4_is_the_cheapest_where_the_next_kernel_reads_it() {
        for codec in ["xz", "lzma", "bzip2", "gzip", "zstd"] {
            let part = typical(codec, true);
            assert_eq!(form(Hashing::ByTheKernel, &part), PartForm::Lz4, "{codec}");
        }
        // What is lz4 already is not compressed again.
        let lz4 = typical("lz4", true);
        assert_eq!(form(Hashing::ByTheKernel, &lz4), PartForm::Packed);
        // Nor is what lz4 does not make smaller.
        let hard = PartSizes {
            packed: 204_000_000,
            lz4: Some(208_000_000),
            ..typical("xz", true)
        };
        assert_eq!(form(Hashing::ByTheKernel, &hard), PartForm::Raw);
        // zstd that compresses much better than lz4 stays.
        let zstd = PartSizes {
            packed: 30_000_000,
            ..typical("zstd", true)
        };
        assert_eq!(form(Hashing::ByTheKernel, &zstd), PartForm::Packed);
    }

    #[test]
    fn costs_are_those_that_were_measured() {
        let (_, costs) = cheapest(Hashing::ByTheKernel, &typical("zstd", false));
        // 54 for each of 72 million bytes, 11.4 for each of 207, an eighth for the copy.
        assert_eq!(costs.packed, Some(3888 + 2359 + 9));
        assert_eq!(costs.raw, 11178 + 25);
        assert_eq!(costs.lz4, None);
        let none = PartSizes {
            packed: u64::MAX,
            unpacked: u64::MAX,
            lz4: Some(u64::MAX),
            codec: "xz",
        };
        let _ = Hashing::ALL.map(|hashing| cheapest(hashing, &none));
    }
}
