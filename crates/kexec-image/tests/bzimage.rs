//! bzImages, built small, then cut and changed.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

use bytes::Bytes;
use kexec_image::formats::bzimage::{PayloadCodec, xloadflags};
use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_image::testing::codec::{COMPRESSORS, gzip, lzma};
use kexec_image::{Arch, BzImage, Image, ImageError, Kernel, Options, Proof, recognise, verify};
use proptest::prelude::*;

fn read(file: &[u8]) -> Result<Image, ImageError> {
    recognise(Bytes::copy_from_slice(file), &Options::default())
}

fn kernel(file: &[u8]) -> BzImage {
    match read(file).expect("a good bzImage").kernel {
        Kernel::BzImage(b) => b,
        other => panic!("taken for {other:?}"),
    }
}

/// What the payload unpacks to.
fn vmlinux() -> Vec<u8> {
    let mut data = b"\x7fELF".to_vec();
    data.extend((0_u32..3000).flat_map(u32::to_le_bytes));
    data
}

fn built(compress: fn(&[u8]) -> Vec<u8>, codec: &str) -> Vec<u8> {
    let data = vmlinux();
    let builder = BzImageBuilder::new();
    builder.payload(compress(&data), data.len(), codec).build()
}

#[test]
fn the_fields_are_those_of_the_header() {
    let file = built(gzip, "gzip");
    let b = kernel(&file);
    assert_eq!(b.version, 0x20f);
    assert_eq!(b.arch(), Arch::X86_64);
    assert_eq!(b.setup_sects, 4);
    assert_eq!(b.setup_len(), 2560);
    assert_eq!(b.setup_len() as u64 + b.protected_len(), file.len() as u64);
    assert_eq!(b.protected_mode(&file), &file[2560..]);
    assert_eq!(b.header_end, 0x26c);
    assert_eq!(b.code32_start, 0x10_0000);
    assert_eq!(b.initrd_addr_max, 0x7fff_ffff);
    assert_eq!(b.kernel_alignment, 0x20_0000);
    assert!(b.relocatable_kernel && b.efi_stub);
    assert_eq!(b.min_alignment, 21);
    assert_eq!(b.cmdline_size, 2047);
    assert_eq!(b.pref_address, 0x100_0000);
    assert_eq!(b.init_size, 64 << 20);
    assert_eq!(b.release(), Some("6.12.0-test"));
    let payload = b.payload.expect("a payload");
    assert_eq!(payload.codec, PayloadCodec::Known("gzip"));
    assert_eq!(payload.range.start, 2560 + 0x2c0);
    assert_eq!(&file[payload.range], gzip(&vmlinux()));
}

#[test]
fn an_old_protocol_has_its_documented_defaults() {
    let mut builder = BzImageBuilder::new();
    builder.efi_stub = false;
    builder.setup_sects = 0;
    builder.version = 0x202;
    let b = kernel(&builder.build());
    assert_eq!(b.setup_sects, 4, "0 means 4");
    assert_eq!((b.initrd_addr_max, b.cmdline_size), (0x37ff_ffff, 255));
    assert_eq!((b.init_size, b.pref_address, b.xloadflags), (0, 0, 0));
    assert_eq!(b.arch(), Arch::X86);
    builder.version = 0x20f;
    builder.xloadflags &= !xloadflags::KERNEL_64;
    assert_eq!(kernel(&builder.build()).arch(), Arch::X86);
    builder.version = 0x1ff;
    let error = read(&builder.build()).expect_err("too old").to_string();
    assert!(error.contains("version"), "{error}");
}

#[test]
fn every_payload_is_proven_by_unpacking_it() {
    for c in COMPRESSORS {
        let file = built(c.compress, c.codec);
        let image = read(&file).expect(c.name);
        let proofs = verify(&image).expect(c.name);
        let expected = Proof::Payload {
            codec: c.codec.into(),
            len: vmlinux().len() as u64,
            checksummed: c.checksummed,
        };
        assert_eq!(proofs, [expected], "{}", c.name);
    }
}

#[test]
fn a_kernel_cut_anywhere_is_refused() {
    for c in COMPRESSORS {
        for efi_stub in [true, false] {
            let data = vmlinux();
            let mut builder =
                BzImageBuilder::new().payload((c.compress)(&data), data.len(), c.codec);
            builder.efi_stub = efi_stub;
            let file = builder.build();
            for len in 0..file.len() {
                let result = read(&file[..len]);
                assert!(result.is_err(), "{} cut to {len}: {result:?}", c.name);
            }
            assert!(read(&file).is_ok());
        }
    }
}

/// As memtest86+ has it: no payload, and a last paragraph that is not whole.
#[test]
fn the_last_paragraph_of_a_program_need_not_be_whole() {
    let mut builder = BzImageBuilder::new();
    builder.efi_stub = false;
    let file = builder.build();
    for short in 0..16 {
        let cut = &file[..file.len() - short];
        let b = kernel(cut);
        assert_eq!(b.protected_range(cut.len()), 2560..cut.len());
        assert_eq!(b.protected_mode(cut), &cut[2560..]);
    }
    let error = read(&file[..file.len() - 16]).expect_err("a whole paragraph is missing");
    assert!(error.to_string().contains("syssize"), "{error}");
}

#[test]
fn what_begins_in_real_mode_is_told_so() {
    let mut builder = BzImageBuilder::new();
    builder.efi_stub = false;
    // As iPXE has it.
    builder.version = 0x207;
    let mut file = builder.build();
    assert_eq!(kernel(&file).arch(), Arch::X86);
    file[0x214..0x218].fill(0);
    let error = read(&file).expect_err("no protected-mode entry");
    let expected = "bzImage that begins in real mode: code32_start at byte 0x214 is 0, so it has no protected-mode entry that Linux has";
    assert_eq!(error.to_string(), expected);
    assert!(error.remedy().contains("boot loader"));
    // A 64-bit entry is one, whatever the other field says.
    builder.version = 0x20f;
    let mut file = builder.build();
    file[0x214..0x218].fill(0);
    assert_eq!(kernel(&file).arch(), Arch::X86_64);
    // As memdisk has it.
    builder.version = 0x203;
    let mut file = builder.build();
    file[0x1f4..0x1f8].fill(0);
    let error = read(&file).expect_err("says of no protected-mode part");
    assert!(error.to_string().contains("real mode: syssize"), "{error}");
}

#[test]
fn the_message_of_a_cut_kernel_has_both_sizes() {
    let file = built(gzip, "gzip");
    let error = read(&file[..4000]).expect_err("cut");
    let expected = format!(
        "bzImage cut short: the protected-mode part (syssize) ends at byte {}, the file has 4000",
        file.len()
    );
    assert_eq!(error.to_string(), expected);
    assert!(error.remedy().contains("copy or install it again"));
}

#[test]
fn a_changed_bit_in_a_checksummed_payload_is_found() {
    for c in COMPRESSORS.iter().filter(|c| c.checksummed) {
        let file = built(c.compress, c.codec);
        let range = kernel(&file).payload.expect("a payload").range;
        for at in range.step_by(7) {
            let mut bad = file.clone();
            bad[at] ^= 4;
            let result = read(&bad).and_then(|image| verify(&image));
            // Bytes of a gzip header that say nothing about the content (time,
            // operating system) are not covered by its checksum.
            let harmless = c.codec == "gzip" && result.is_ok() && {
                let b = kernel(&bad);
                let unpacked = b.unpack(&bad, 1 << 20).expect("unpacks");
                unpacked.expect("has a payload").bytes == vmlinux()
            };
            assert!(
                result.is_err() || harmless,
                "{} at {at}: {result:?}",
                c.name
            );
        }
    }
}

#[test]
fn the_appended_size_has_to_be_the_size() {
    for c in COMPRESSORS {
        let mut file = built(c.compress, c.codec);
        let end = kernel(&file).payload.expect("a payload").range.end;
        file[end - 3] ^= 1;
        let image = read(&file).expect("headers are good");
        assert!(verify(&image).is_err(), "{}", c.name);
    }
}

#[test]
fn a_payload_that_is_no_payload_is_refused() {
    let file = built(gzip, "gzip");
    let start = kernel(&file).payload.expect("a payload").range.start;
    let mut bad = file.clone();
    bad[start] = 0;
    let error = verify(&read(&bad).expect("headers are good")).expect_err("unknown codec");
    assert!(
        error.to_string().contains("magic number of a codec"),
        "{error}"
    );
    // LZO and plain ELF are payloads that cannot be unpacked here.
    for magic in [&b"\x89LZO\0\r\n\x1a\n"[..], b"\x7fELF"] {
        let mut other = file.clone();
        other[start..start + magic.len()].copy_from_slice(magic);
        let image = read(&other).expect("headers are good");
        assert_eq!(verify(&image).expect("nothing to check"), [Proof::Bounds]);
    }
}

#[test]
fn a_payload_larger_than_init_size_is_refused() {
    let data = vec![0; 1 << 20];
    let mut builder = BzImageBuilder::new().payload(gzip(&data), data.len(), "gzip");
    builder.init_size = 4096;
    let image = read(&builder.build()).expect("headers are good");
    let error = verify(&image).expect_err("larger than promised");
    assert!(
        matches!(error, ImageError::TooLarge { cap: 4096, .. }),
        "{error}"
    );
}

/// A stream that is broken at once shows whether its decoder was asked at all.
#[test]
fn what_says_that_it_is_larger_than_the_room_is_not_begun_with() {
    let mut stream = gzip(b"a kernel");
    stream[12..].fill(0xff);
    let end = stream.len() - 4;
    stream[end..].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    let file = BzImageBuilder::new()
        .payload(stream, 1 << 20, "gzip")
        .build();
    let b = kernel(&file);
    let room = (1 << 20) - 1;
    let error = b.unpack(&file, room).expect_err("larger than the room");
    assert!(
        matches!(error, ImageError::TooLarge { cap, .. } if cap == room),
        "{error}"
    );
    let error = b.unpack(&file, 1 << 20).expect_err("broken");
    assert!(!matches!(error, ImageError::TooLarge { .. }), "{error}");
}

#[test]
fn bytes_between_the_stream_and_its_size_are_refused() {
    let data = vmlinux();
    let mut stream = lzma(&data, None);
    stream.extend([0; 8]);
    let file = BzImageBuilder::new()
        .payload(stream, data.len(), "lzma")
        .build();
    let error = verify(&read(&file).expect("headers are good")).expect_err("too long");
    assert!(
        error.to_string().contains("the end of the lzma payload"),
        "{error}"
    );
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let file = built(gzip, "gzip");
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = file.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        read(&bad).expect_err("must be refused").to_string()
    };
    assert!(with(0x1f4, &[0; 4]).contains("syssize"));
    assert!(with(0x1f4, &[0xff; 4]).contains("syssize"));
    assert!(with(0x1f1, &[0xff]).contains("cut short"));
    assert!(with(0x248, &[0xff; 4]).contains("payload_offset"));
    assert!(with(0x24c, &[0xff; 4]).contains("payload_offset"));
    assert!(with(0x20e, &[0xff; 2]).contains("kernel_version"));
    // The PE offset that makes kexec-tools crash.
    assert!(with(0x3c, &[0xff; 4]).contains("bzImage"));
    let b = kernel(&built(gzip, "gzip"));
    assert_eq!(b.boot_flag, 0xaa55);
}

#[test]
fn a_compressed_bzimage_is_unwrapped_and_proven() {
    for c in COMPRESSORS {
        let inner = built(gzip, "gzip");
        let image = read(&(c.compress)(&inner)).expect(c.name);
        assert_eq!(image.describe(), format!("{} > bzImage", c.codec));
        assert_eq!(image.bytes, inner);
        assert!(matches!(
            verify(&image).expect(c.name)[..],
            [Proof::Payload { .. }]
        ));
    }
}

proptest! {
    #[test]
    fn changed_headers_do_not_harm(
        flips in proptest::collection::vec((0_usize..0x300, any::<u8>()), 1..8),
    ) {
        let mut file = built(gzip, "gzip");
        for (at, byte) in flips {
            file[at] = byte;
        }
        if let Ok(image) = read(&file) {
            let _ = verify(&image);
        }
    }
}
