//! What init/initramfs.c and the decompressors of kernels do with parts that are whole
//! each by itself.

use kexec_image::cpio;
use kexec_image::testing::codec::COMPRESSORS;

use super::intact::{Intact, look_into, look_into_joined};

fn archive(len: usize) -> Vec<u8> {
    let file = cpio::File {
        path: "init".to_owned(),
        mode: 0o755,
        content: (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect(),
    };
    cpio::archive(&[file]).unwrap()
}

fn compress(name: &str, bytes: &[u8]) -> Vec<u8> {
    let row = COMPRESSORS.iter().find(|row| row.name == name).unwrap();
    (row.compress)(bytes)
}

fn found(initrd: &[u8]) -> Intact {
    look_into(initrd, 1 << 30).found
}

/// It is not for kernels from this byte on.
#[track_caller]
fn refused(initrd: &[u8], at: usize, word: &str) {
    let found = found(initrd);
    let Intact::NotForKernels {
        at: found_at,
        reason,
    } = &found
    else {
        panic!("{found:?}");
    };
    assert!(reason.contains(word), "{word:?} in {reason}");
    assert_eq!(*found_at, at, "{reason}");
}

fn followed_by(first: &[u8], zeros: usize, second: &[u8]) -> Vec<u8> {
    [first, &vec![0; zeros], second].concat()
}

const SINGLE: &[&str] = &["gzip", "xz", "zstd", "bzip2"];

#[test]
fn compressed_twice() {
    for outer in SINGLE {
        let inner = compress("xz", &archive(1000));
        refused(
            &compress(outer, &inner),
            0,
            "no cpio archive from byte 0 on",
        );
        refused(&compress(outer, b"some text"), 0, "no cpio archive");
        let early = archive(8);
        let both = followed_by(&early, 4, &inner);
        let at = format!("from byte {} on", early.len() + 4);
        refused(&compress(outer, &both), 0, &at);
    }
}

#[test]
fn a_stream_ends_with_an_archive() {
    let archive = archive(5000);
    let (front, back) = archive.split_at(2000);
    for name in SINGLE {
        let both = [compress(name, front), compress(name, back)].concat();
        refused(&both, 0, "each stream by itself");
        // One archive each.
        let both = [compress(name, &archive), compress(name, &archive)].concat();
        assert_eq!(found(&both), Intact::Whole, "{name}");
    }
    // The padding of the last name belongs to the archive; at the very end nobody misses it.
    let end = archive.len() - archive.iter().rev().take_while(|byte| **byte == 0).count() + 1;
    let unpadded = archive.get(..end).unwrap();
    assert!(unpadded.ends_with(b"TRAILER!!!\0"));
    for name in SINGLE {
        let last = compress(name, unpadded);
        assert_eq!(found(&last), Intact::Whole, "{name}");
        let both = [last, compress(name, &archive)].concat();
        refused(&both, 0, "each stream by itself");
    }
    // Kernels read on over the magic number of lz4's legacy frame.
    let both = [compress("lz4 legacy", front), compress("lz4 legacy", back)].concat();
    assert_eq!(found(&both), Intact::Whole);
}

#[test]
fn where_the_next_part_begins() {
    let plain = archive(8);
    assert_eq!(plain.len() % 4, 0);
    let gzip = compress("gzip", &archive(100));
    for zeros in 0..9 {
        for second in [&plain, &gzip] {
            let initrd = followed_by(&plain, zeros, second);
            match zeros % 4 {
                0 => assert_eq!(found(&initrd), Intact::Whole, "{zeros}"),
                _ => refused(&initrd, plain.len() + zeros, "multiple of 4"),
            }
            let inside = followed_by(&plain, zeros, &plain);
            match zeros % 4 {
                0 => assert_eq!(found(&compress("zstd", &inside)), Intact::Whole),
                _ => refused(&compress("zstd", &inside), 0, "multiple of 4"),
            }
        }
        // Behind a compressed part and in front of everything, only archives are.
        assert_eq!(found(&followed_by(&gzip, zeros, &gzip)), Intact::Whole);
        assert_eq!(found(&followed_by(&[], zeros, &gzip)), Intact::Whole);
        let at = gzip.len() + zeros;
        let initrd = followed_by(&gzip, zeros, &plain);
        match at % 4 {
            0 => assert_eq!(found(&initrd), Intact::Whole),
            _ => refused(&initrd, at, "multiple of 4"),
        }
    }
    // Zeros alone, and what is lost anyway.
    assert_eq!(found(&followed_by(&plain, 3, &[])), Intact::Whole);
    let signed = followed_by(&plain, 1, b"~Module signature appended~\n");
    assert_eq!(
        found(&signed),
        Intact::Rest {
            at: plain.len() + 1
        }
    );
}

#[test]
fn the_modern_frame_of_lz4() {
    let lz4 = compress("lz4 frame", &archive(1000));
    refused(&lz4, 0, "lz4 -l");
    let plain = archive(8);
    refused(&followed_by(&plain, 0, &lz4), plain.len(), "lz4 -l");
    let legacy = compress("lz4 legacy", &archive(1000));
    let both = followed_by(&legacy, 0, &lz4);
    assert!(matches!(found(&both), Intact::NotForKernels { .. }));
}

#[test]
fn zeros_behind_lz4() {
    // Of every length modulo 4, so that 1 to 3 zeros align what follows.
    for len in 1000..1020 {
        let lz4 = compress("lz4 legacy", &archive(len));
        for zeros in 0..10 {
            assert_eq!(
                found(&followed_by(&lz4, zeros, &[])),
                Intact::Whole,
                "{zeros}"
            );
            let next = compress("zstd", &archive(8));
            let initrd = followed_by(&lz4, zeros, &next);
            match zeros {
                4.. => assert_eq!(found(&initrd), Intact::Whole, "{zeros}"),
                0 => refused(&initrd, lz4.len(), "four zero bytes"),
                // A number that is a size of a block, or none.
                _ => assert!(
                    matches!(
                        found(&initrd),
                        Intact::NotForKernels { .. } | Intact::Broken { .. }
                    ),
                    "{zeros}"
                ),
            }
        }
    }
}

#[test]
fn headers_of_gzip() {
    let gzip = compress("gzip", &archive(100));
    let with = |flags: u8, field: &[u8]| {
        let mut head = gzip[..10].to_vec();
        head[3] = flags;
        [&head, field, &gzip[10..]].concat()
    };
    assert_eq!(gzip[3], 0);
    assert_eq!(found(&with(8, b"initrd.cpio\0")), Intact::Whole);
    assert_eq!(found(&with(1, b"")), Intact::Whole);
    refused(&with(4, b"\x06\0AB\x02\0xy"), 0, "an extra field");
    refused(&with(16, b"text\0"), 0, "a comment");
    refused(&with(2, b"\0\0"), 0, "a checksum");
}

#[test]
fn nothing_at_all() {
    let gzip = compress("gzip", &archive(100));
    let mut method = gzip;
    method[2] = 7;
    refused(&method, 0, "begins with 1f 8b 07");
    refused(&[0x5d, 0, 0, 0x80, 0], 0, "begins with 5d 00");
    // A header that others may read.
    let odd = [&[0x5d, 0, 0x12, 0x34, 0][..], &[0; 40]].concat();
    assert!(matches!(found(&odd), Intact::Unseen { .. }));
}

#[test]
fn members_that_kernels_skip() {
    let head = |name_len: usize, size: usize| {
        let numbers = [1, 0o100_755, 0, 0, 1, 0, size, 0, 0, 0, 0, name_len, 0];
        let numbers: String = numbers.iter().map(|n| format!("{n:08x}")).collect();
        format!("070701{numbers}").into_bytes()
    };
    for (name, size) in [(0, 0), (0, 5), (4097, 10), (5001, 0)] {
        let mut initrd = head(name, size);
        initrd.resize((initrd.len() + name).next_multiple_of(4), b'n');
        initrd.resize((initrd.len() + size).next_multiple_of(4), b'c');
        let cut = initrd.len() - 4;
        initrd.extend(archive(10));
        assert_eq!(found(&initrd), Intact::Whole, "{name} {size}");
        assert_eq!(
            found(&compress("zstd", &initrd)),
            Intact::Whole,
            "{name} {size}"
        );
        if name > 0 {
            assert!(matches!(found(&initrd[..cut - 10]), Intact::Broken { .. }));
        }
    }
    let mut signed = archive(16);
    signed[54..62].copy_from_slice(b"+0000010");
    assert!(matches!(found(&signed), Intact::Broken { .. }));
}

#[test]
fn windows_larger_than_ours() {
    // Its properties ask for a dictionary of 4 GiB less 1: the byte behind the number of
    // the filter in the header of the first block, whose CRC32 follows it.
    let mut xz = compress("xz", &archive(1000));
    let at = (12..24)
        .find(|at| xz[*at..].starts_with(&[0x21, 1]))
        .unwrap()
        + 2;
    xz[at] = 40;
    let len = (usize::from(xz[12]) + 1) * 4;
    let crc = crc32(&xz[12..12 + len - 4]).to_le_bytes();
    xz[12 + len - 4..12 + len].copy_from_slice(&crc);
    let seen = found(&xz);
    assert!(
        matches!(&seen, Intact::Unseen { why } if why.contains("xz dictionary")),
        "{seen:?}"
    );
    // A frame with no content size and a window of 256 MiB: exponent 18, mantissa 0.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0, 18 << 3, 1, 0, 0];
    refused(&zstd, 0, "window");
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), step)
    })
}

#[test]
fn a_boot_configuration_at_the_end() {
    let text = b"kernel.x = 1\0\0\0\0";
    let sum: u32 = text.iter().map(|b| u32::from(*b)).sum();
    let footer = |sum: u32| {
        let len = u32::try_from(text.len()).unwrap();
        let numbers = [len.to_le_bytes(), sum.to_le_bytes()].concat();
        [&text[..], &numbers, b"#BOOTCONFIG\n"].concat()
    };
    for initrd in [
        archive(10),
        compress("zstd", &archive(10)),
        compress("lz4 legacy", &archive(9)),
    ] {
        let at = initrd.len();
        for padding in 0..4 {
            let with = [&initrd[..], &footer(sum), &vec![0; padding]].concat();
            assert_eq!(found(&with), Intact::Whole);
        }
        let with = [&initrd[..], &footer(sum)].concat();
        // Kernels look for it at the end of everything.
        let joined = look_into_joined(&with, 1 << 30).found;
        assert_eq!(joined, Intact::Rest { at });
        let wrong = [&initrd[..], &footer(sum + 1)].concat();
        assert_eq!(found(&wrong), Intact::Rest { at });
    }
}

#[test]
fn what_ends_where_another_initrd_follows() {
    // The last file is whole, but not its padding, and there is no trailer.
    let whole = archive(9);
    let trailer = whole.windows(6).rposition(|w| w == b"070701").unwrap();
    let gzip = compress("gzip", &whole[..trailer - 1]);
    assert_eq!(found(&gzip), Intact::Whole);
    let joined = look_into_joined(&gzip, 1 << 30).found;
    assert!(matches!(joined, Intact::NotForKernels { .. }), "{joined:?}");
    let gzip = compress("gzip", &whole);
    assert_eq!(look_into_joined(&gzip, 1 << 30).found, Intact::Whole);
}
