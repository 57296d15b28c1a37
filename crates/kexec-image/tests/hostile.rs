//! Files that are no kernels, among them those that crash or fool kexec-tools.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

use bytes::Bytes;
use kexec_image::testing::codec::COMPRESSORS;
use kexec_image::{FORMATS, Image, ImageError, MAX_LAYERS, Options, recognise, verify};
use proptest::prelude::*;

fn read(file: impl Into<Bytes>) -> Result<Image, ImageError> {
    recognise(file.into(), &Options::default())
}

#[test]
fn an_empty_file_and_zeros_are_unknown() {
    for len in [0, 1, 13, 64, 4096, 1 << 20] {
        let error = read(vec![0; len]).expect_err("not a kernel");
        assert!(
            matches!(error, ImageError::Unknown { .. }),
            "{len}: {error}"
        );
    }
}

#[test]
fn text_is_unknown_and_the_message_shows_how_it_begins() {
    let error = read(&b"#!/bin/sh\nexit 0\n"[..]).expect_err("not a kernel");
    assert_eq!(
        error.to_string(),
        "not a kernel image of a supported format: 17 bytes that begin 23 21 2f 62 69 6e 2f 73"
    );
}

#[test]
fn compressed_text_is_no_kernel_and_the_wrapper_is_named() {
    for c in COMPRESSORS {
        let error = read((c.compress)(b"hello, this is no kernel")).expect_err(c.name);
        assert!(
            error.to_string().contains(&format!("(inside {})", c.codec)),
            "{}: {error}",
            c.name
        );
    }
}

#[test]
fn a_pe_file_whose_header_is_nowhere_is_refused() {
    for offset in [u32::MAX, 0, 0x3c, 0x1000_0000, 4095] {
        let mut file = vec![0; 4096];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c..0x40].copy_from_slice(&offset.to_le_bytes());
        assert!(read(file).is_err(), "{offset:#x}");
    }
}

#[test]
fn wrappers_within_wrappers_end() {
    let c = COMPRESSORS.first().expect("there are codecs");
    let mut file = b"hello".to_vec();
    for _ in 0..=MAX_LAYERS {
        file = (c.compress)(&file);
    }
    assert!(matches!(read(file), Err(ImageError::TooDeep { .. })));
}

/// Each wrapper's content is kept, so that all of them count together.
#[test]
fn wrappers_within_wrappers_share_one_cap() {
    // No run of bytes, so that each layer is about as large as the one in it.
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    });
    let kernel: Vec<u8> = noise.take(600).collect();
    for c in COMPRESSORS {
        let file = (c.compress)(&(c.compress)(&kernel));
        for (max_output, fits) in [(1000, false), (2000, true)] {
            let options = Options {
                max_output,
                ..Options::default()
            };
            let error = recognise(file.clone().into(), &options).expect_err(c.name);
            let cut = matches!(error, ImageError::TooLarge { cap: 1000, .. });
            assert_eq!(cut, !fits, "{}: {error}", c.name);
        }
    }
}

#[test]
fn the_callers_cap_holds_for_wrapped_files() {
    let options = Options {
        max_output: 1000,
        ..Options::default()
    };
    for c in COMPRESSORS {
        let file = (c.compress)(&[0; 1001]);
        let error = recognise(file.into(), &options).expect_err(c.name);
        assert!(
            matches!(error, ImageError::TooLarge { cap: 1000, .. }),
            "{error}"
        );
    }
}

#[test]
fn no_format_opens_a_file_it_was_not_asked_about() {
    for format in FORMATS {
        for len in 0..70 {
            let file = Bytes::from(vec![0; len]);
            assert!(!(format.probe)(&file), "{format:?} takes {len} zeros");
            assert!(
                (format.open)(&file, &Options::default()).is_err(),
                "{format:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_do_not_harm(file in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for format in FORMATS {
            let bytes = Bytes::from(file.clone());
            let _ = (format.probe)(&bytes);
            let _ = (format.open)(&bytes, &Options { max_output: 1 << 20, ..Options::default() });
        }
        if let Ok(image) = read(file) {
            let _ = verify(&image);
        }
    }
}
