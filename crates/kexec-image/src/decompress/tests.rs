use proptest::prelude::*;

use super::*;
use crate::testing::codec::{COMPRESSORS, bzip2, gzip, lz4_frame, lz4_legacy, lzma, xz, zstd};

const CAP: u64 = 1 << 20;

/// Something that compresses, with a little x86 code for the BCJ filter.
fn sample() -> Vec<u8> {
    let mut data = Vec::new();
    for i in 0_u32..4000 {
        data.extend(b"\xe8");
        data.extend((i % 97 * 16).to_le_bytes());
    }
    data
}

fn decompress(stream: &[u8], cap: u64) -> Result<Decoded, ImageError> {
    both(
        detect(stream).expect("the stream is recognised"),
        stream,
        cap,
    )
}

/// Decompressing and only checking must say the same of every stream.
fn both(codec: &Codec, stream: &[u8], cap: u64) -> Result<Decoded, ImageError> {
    let decoded = codec.decompress(stream, cap);
    let expected = decoded.clone().map(|decoded| Checked {
        len: crate::fields::len(&decoded.bytes),
        consumed: decoded.consumed,
        checksummed: decoded.checksummed,
    });
    assert_eq!(codec.check(stream, cap), expected, "{}", codec.name);
    decoded
}

#[test]
fn every_codec_undoes_its_compressor() {
    for c in COMPRESSORS {
        for data in [sample(), vec![7; 3], vec![0; 300_000]] {
            let stream = (c.compress)(&data);
            let codec = detect(&stream).expect(c.name);
            assert_eq!(codec.name, c.codec, "{}", c.name);
            let decoded = both(codec, &stream, CAP).expect(c.name);
            assert_eq!(decoded.bytes, data, "{}", c.name);
            assert_eq!(decoded.consumed, stream.len(), "{}", c.name);
            assert_eq!(decoded.checksummed, c.checksummed, "{}", c.name);
        }
    }
}

#[test]
fn a_stream_cut_anywhere_is_an_error() {
    let data = sample();
    for c in COMPRESSORS {
        let stream = (c.compress)(&data);
        for len in 0..stream.len() {
            let cut = &stream[..len];
            if let Some(codec) = detect(cut) {
                let result = both(codec, cut, CAP);
                assert!(result.is_err(), "{} cut to {len} gave {result:?}", c.name);
            }
        }
    }
}

#[test]
fn what_follows_a_stream_is_left_alone() {
    let data = sample();
    for c in COMPRESSORS {
        let stream = (c.compress)(&data);
        // A size as the kernel's build appends it, padding, and text.
        let tails: [&[u8]; 3] = [&0x0333_1234_u32.to_le_bytes(), &[0; 16], b"something else"];
        for tail in tails {
            let decoded = decompress(&[&stream, tail].concat(), CAP).expect(c.name);
            assert_eq!(decoded.bytes, data, "{}", c.name);
            assert_eq!(decoded.consumed, stream.len(), "{} {tail:?}", c.name);
        }
    }
}

#[test]
fn streams_in_a_row_are_one() {
    let (a, b) = (sample(), b"the second".to_vec());
    let both = [a.clone(), b.clone()].concat();
    for compress in [gzip, bzip2, zstd, lz4_legacy, lz4_frame, |data: &[u8]| {
        xz(data, lzma_rust2::CheckType::Crc64)
    }] {
        let stream = [compress(&a), compress(&b)].concat();
        let decoded = decompress(&stream, CAP).unwrap();
        assert_eq!(decoded.bytes, both);
        assert_eq!(decoded.consumed, stream.len());
    }
    // A skippable frame between two of zstd, padding between two of xz.
    let skip = [
        &0x184d_2a53_u32.to_le_bytes()[..],
        &3_u32.to_le_bytes(),
        b"abc",
    ]
    .concat();
    let stream = [zstd(&a), skip, zstd(&b)].concat();
    assert_eq!(decompress(&stream, CAP).unwrap().bytes, both);
    let crc = lzma_rust2::CheckType::Crc32;
    let stream = [xz(&a, crc), vec![0; 8], xz(&b, crc)].concat();
    assert_eq!(decompress(&stream, CAP).unwrap().bytes, both);
}

#[test]
fn the_cap_holds() {
    for c in COMPRESSORS {
        let stream = (c.compress)(&vec![0; 100_000]);
        let error = decompress(&stream, 99_999).expect_err(c.name);
        assert!(
            matches!(error, ImageError::TooLarge { cap: 99_999, .. }),
            "{}: {error}",
            c.name
        );
        let exact = decompress(&stream, 100_000).expect(c.name);
        assert_eq!(exact.bytes.len(), 100_000, "{}", c.name);
    }
}

#[test]
fn a_changed_bit_is_found_where_there_is_a_checksum() {
    let data = sample();
    for c in COMPRESSORS.iter().filter(|c| c.checksummed) {
        let stream = (c.compress)(&data);
        for at in 0..stream.len() {
            let mut bad = stream.clone();
            bad[at] ^= 0x10;
            // Fields that say nothing about the content (the time stamp in a
            // gzip header) may change, the content may not.
            if let Some(Ok(decoded)) = detect(&bad).map(|codec| both(codec, &bad, CAP)) {
                let same = decoded.bytes == data;
                assert!(same, "{}: a flip at {at} gave other content", c.name);
            }
        }
    }
}

/// The header of an xz stream whose block asks for the largest dictionary.
#[test]
fn a_huge_xz_dictionary_is_refused_before_it_is_allocated() {
    let mut stream = xz(&sample(), lzma_rust2::CheckType::Crc32);
    // Block header: size, flags, filter x86 (id, size), filter LZMA2 (id 0x21,
    // size 1, dictionary), padding, CRC32 (xz-file-format.txt, 3.1 and 5.3.1).
    let at = stream.windows(2).position(|w| w == [0x21, 1]).unwrap() + 2;
    stream[at] = 40;
    let end = 12 + (usize::from(stream[12]) + 1) * 4 - 4;
    let crc = crc32(&stream[12..end]);
    stream[end..end + 4].copy_from_slice(&crc.to_le_bytes());
    let error = decompress(&stream, CAP).unwrap_err().to_string();
    assert!(error.contains("asks for a window"), "{error}");
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg())
        })
    })
}

#[test]
fn a_huge_zstd_window_is_refused_before_it_is_allocated() {
    // Magic, descriptor without anything, Window_Descriptor 2^28, a raw block.
    let stream = [0x28, 0xb5, 0x2f, 0xfd, 0, 18 << 3, 1, 0, 0];
    let error = decompress(&stream, CAP).unwrap_err().to_string();
    assert!(error.contains("268435456"), "{error}");
    // A single segment: the window is the content size, here 2^40.
    let stream = [
        0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0,
    ];
    assert!(decompress(&stream, CAP).is_err());
}

#[test]
fn a_huge_lzma_dictionary_is_only_taken_when_little_of_it_is_needed() {
    let data = sample();
    let mut stream = lzma(&data, Some(crate::fields::len(&data)));
    stream[1..5].copy_from_slice(&0x8000_0000_u32.to_le_bytes());
    assert_eq!(decompress(&stream, CAP).unwrap().bytes, data);
    let mut stream = lzma(&data, None);
    stream[1..5].copy_from_slice(&0x8000_0000_u32.to_le_bytes());
    let error = decompress(&stream, CAP).unwrap_err().to_string();
    assert!(error.contains("asks for a window"), "{error}");
}

#[test]
fn zeros_and_text_are_not_lzma() {
    let good = lzma(b"hello", None);
    assert!((LZMA.probe)(&good));
    for zeros in [13, 14, 18, 4096] {
        assert!(detect(&vec![0; zeros]).is_none(), "{zeros} zeros");
    }
    assert!(detect(b"#!/bin/sh\necho this is not a kernel\n").is_none());
    let with = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        (LZMA.probe)(&bad)
    };
    assert!(!with(0, 225), "properties out of range");
    assert!(!with(1, 1), "a dictionary that nobody would ask for");
    assert!(!with(13, 1), "the range coder begins with zero");
}

#[test]
fn an_lz4_frame_that_only_has_its_magic_is_an_error() {
    assert!(decompress(&0x184c_2102_u32.to_le_bytes(), CAP).is_err());
    assert!(decompress(&0x184d_2204_u32.to_le_bytes(), CAP).is_err());
}

proptest! {
    #[test]
    fn random_bytes_behind_a_magic_do_not_harm(
        which in 0..COMPRESSORS.len(),
        keep in 0_usize..64,
        noise in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let stream = (COMPRESSORS[which].compress)(&sample());
        let bytes = [&stream[..keep.min(stream.len())], &noise].concat();
        for codec in CODECS {
            if let Ok(decoded) = both(codec, &bytes, CAP) {
                prop_assert!(crate::fields::len(&decoded.bytes) <= CAP);
                prop_assert!(decoded.consumed <= bytes.len());
            }
        }
    }

    #[test]
    fn changed_streams_do_not_harm(
        which in 0..COMPRESSORS.len(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut stream = (COMPRESSORS[which].compress)(&sample());
        for (at, byte) in flips {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        if let Some(codec) = detect(&stream)
            && let Ok(decoded) = both(codec, &stream, CAP)
        {
            prop_assert!(crate::fields::len(&decoded.bytes) <= CAP);
        }
    }
}

#[test]
fn the_first_stream_alone() {
    for compressor in COMPRESSORS {
        let one = (compressor.compress)(b"some content");
        let two = [&one[..], &one].concat();
        let codec = detect(&two).unwrap();
        let mut seen = Vec::new();
        let checked = codec
            .check_first_with(&two, 1 << 20, &mut |bytes| seen.extend_from_slice(bytes))
            .unwrap();
        // Kernels read on over the magic number of lz4's legacy frame.
        let streams = if compressor.name == "lz4 legacy" {
            2
        } else {
            1
        };
        assert_eq!(checked.consumed, streams * one.len(), "{}", compressor.name);
        assert_eq!(seen, b"some content".repeat(streams), "{}", compressor.name);
    }
}

#[test]
fn zeros_behind_a_legacy_frame_of_lz4() {
    let one = lz4_legacy(b"some content");
    for zeros in 0..9 {
        let padded = [&one[..], &vec![0; zeros]].concat();
        let decoded = LZ4.decompress(&padded, 1 << 20).unwrap();
        assert_eq!(decoded.bytes, b"some content");
        assert_eq!(decoded.consumed, one.len(), "{zeros}");
    }
    let half = [&one[..], &[0, 1]].concat();
    assert!(LZ4.decompress(&half, 1 << 20).is_err());
}

/// Whoever wants to give memory back meanwhile is asked often enough: once at least for
/// each 10 MB of content, and once everything is decoded.
#[test]
fn the_caller_is_asked_meanwhile() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    // Noise, so that the packed bytes are as many.
    let mut state = 1_u32;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    })
    .take(30 << 20)
    .collect();
    for compressor in COMPRESSORS
        .iter()
        .filter(|one| ["zstd", "gzip", "lz4 legacy"].contains(&one.name))
    {
        let packed = (compressor.compress)(&content);
        let codec = detect(&packed).unwrap();
        for threads in [1, 2] {
            let calls = AtomicUsize::new(0);
            let meanwhile = || {
                calls.fetch_add(1, Ordering::Relaxed);
            };
            let decoded = codec.decompress_first(&packed, 1 << 30, threads, &meanwhile);
            assert!(decoded.unwrap().bytes == content, "{}", compressor.name);
            let calls = calls.into_inner();
            assert!(calls >= 3, "{}, {threads}: {calls}", compressor.name);
        }
    }
}
