use proptest::prelude::*;

use super::*;
use crate::testing::zboot;

const STREAMS: [(&str, &[u8]); 7] = [
    ("gzip", include_bytes!("../../../tests/fixtures/payload.gz")),
    ("lz4", include_bytes!("../../../tests/fixtures/payload.lz4")),
    (
        "lzma",
        include_bytes!("../../../tests/fixtures/payload.lzma"),
    ),
    ("xz", include_bytes!("../../../tests/fixtures/payload.xz")),
    (
        "xzkern",
        include_bytes!("../../../tests/fixtures/payload.xz"),
    ),
    (
        "zstd",
        include_bytes!("../../../tests/fixtures/payload.zst"),
    ),
    (
        "zstd22",
        include_bytes!("../../../tests/fixtures/payload.zst"),
    ),
];

/// What the streams unpack to.
fn payload() -> Vec<u8> {
    let lines: Vec<String> = (0..200)
        .map(|i| format!("line {i} of the kernel\n"))
        .collect();
    lines.concat().into_bytes()
}

fn opened(file: Vec<u8>) -> Result<Bytes, ImageError> {
    opened_with(file, &Options::default())
}

fn opened_with(file: Vec<u8>, options: &Options) -> Result<Bytes, ImageError> {
    match (FORMAT.open)(&Bytes::from(file), options)? {
        Opened::Wrapped(Wrapped { inner, uki: None }) => Ok(inner),
        other => panic!("{other:?}"),
    }
}

#[test]
fn unpacks_every_compression() {
    for (name, stream) in STREAMS {
        let file = zboot(name, stream, 0);
        assert!((FORMAT.probe)(&file));
        assert_eq!(opened(file).unwrap(), payload(), "{name}");
    }
}

#[test]
fn an_appended_size_inside_of_the_payload_is_left_alone() {
    for (name, stream) in STREAMS {
        // The small number here is also a possible length of a block in an
        // lz4 legacy frame; the size of a real kernel is not.
        if name == "lz4" {
            continue;
        }
        let file = zboot(name, stream, 4);
        assert_eq!(opened(file).unwrap(), payload(), "{name}");
    }
}

#[test]
fn is_tried_before_the_formats_it_looks_like() {
    let file = zboot(STREAMS[0].0, STREAMS[0].1, 0);
    let format = crate::FORMATS.iter().find(|f| (f.probe)(&file)).unwrap();
    assert_eq!(format.name, "zboot");
}

#[test]
fn lzo_is_refused_as_lzo() {
    let error = opened(zboot("lzo", b"x", 0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a zboot kernel that is compressed with lzo is not supported, only gzip, lz4, lzma, xz \
         and zstd"
    );
}

#[test]
fn other_compressions_are_named() {
    for (name, shown) in [
        ("brotli", r#""brotli""#),
        ("", r#""""#),
        ("\x1b[m", r#""\x1b[m""#),
        ("gzip2", r#""gzip2""#),
    ] {
        let error = opened(zboot(name, b"x", 0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "malformed zboot: the compression type at byte 0x18 is {shown}, \
                 expected gzip, lz4, lzma, xz and zstd"
            )
        );
    }
}

#[test]
fn payloads_that_leave_the_file_are_truncation() {
    for size in [0x1000, u32::MAX] {
        let mut file = zboot(STREAMS[0].0, STREAMS[0].1, 0);
        file[12..16].copy_from_slice(&size.to_le_bytes());
        let error = opened(file.clone()).unwrap_err();
        assert_eq!(
            error,
            ImageError::Truncated {
                format: "zboot",
                what: "the compressed kernel".into(),
                needs: u64::from(size) + 0x200,
                has: file.len() as u64,
            }
        );
    }
}

#[test]
fn payloads_inside_of_the_header_are_refused() {
    let mut file = zboot(STREAMS[0].0, STREAMS[0].1, 0);
    file[8..12].copy_from_slice(&[0; 4]);
    assert!(matches!(opened(file), Err(ImageError::Malformed { .. })));
}

#[test]
fn output_is_capped() {
    for (name, stream) in STREAMS {
        let options = Options {
            max_output: 1000,
            ..Options::default()
        };
        let error = opened_with(zboot(name, stream, 0), &options).unwrap_err();
        assert!(
            matches!(error, ImageError::TooLarge { cap: 1000, .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn payload_sizes_that_are_too_small_are_found() {
    for (name, stream) in STREAMS {
        for size in 0..stream.len() {
            let mut file = zboot(name, stream, 0);
            file[12..16].copy_from_slice(&u32::try_from(size).unwrap().to_le_bytes());
            let outcome = opened(file);
            assert!(outcome.is_err(), "{name} with {size} bytes: {outcome:?}");
        }
    }
}

#[test]
fn every_truncation_of_the_file_is_found() {
    for (name, stream) in STREAMS {
        let file = zboot(name, stream, 0);
        for len in 8..file.len() {
            let outcome = opened(file[..len].to_vec());
            assert!(
                matches!(outcome, Err(ImageError::Truncated { .. })),
                "{name} cut to {len}: {outcome:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn hostile_bytes_do_no_harm(
        which in 0..STREAMS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        len in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let (name, stream) = STREAMS[which];
        let mut file = zboot(name, stream, 0);
        for (index, value) in changes {
            let at = index.index(file.len());
            file[at] = value;
        }
        if cut {
            file.truncate(len.index(file.len()));
        }
        let options = Options { max_output: 1 << 20, ..Options::default() };
        if let Ok(inner) = (FORMAT.open)(&Bytes::from(file), &options)
            && let Opened::Wrapped(wrapped) = inner
        {
            prop_assert!(wrapped.inner.len() <= 1 << 20);
        }
    }
}
