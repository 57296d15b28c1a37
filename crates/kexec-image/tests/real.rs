//! Kernels that a distribution built, if there are any: `KEXEC_TEST_KERNELS`
//! is a list of files with `:` between them. `cargo xtask test` sets it to the
//! kernels of the lab.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Instant;

use bytes::Bytes;
use kexec_image::formats::bzimage::xloadflags;
use kexec_image::{BzImage, Image, ImageError, Kernel, Options, Proof, recognise, verify};
use proptest::test_runner::{Config, TestRunner};

/// The kernels to look at.
fn kernels() -> Vec<(String, Bytes)> {
    let list = std::env::var("KEXEC_TEST_KERNELS").expect("KEXEC_TEST_KERNELS is not set");
    let read = |path: &str| match std::fs::read(path) {
        Ok(bytes) => (path.to_owned(), bytes.into()),
        Err(e) => panic!("KEXEC_TEST_KERNELS names {path}: {e}"),
    };
    list.split(':')
        .filter(|p| !p.is_empty())
        .map(read)
        .collect()
}

fn read(file: Bytes) -> Result<Image, ImageError> {
    recognise(file, &Options::default())
}

fn bzimage(image: &Image) -> Option<&BzImage> {
    match &image.kernel {
        Kernel::BzImage(b) if image.is_bare() => Some(b),
        _ => None,
    }
}

/// The file without its certificate table: as it was before it was signed.
fn unsigned(file: &Bytes, b: &BzImage) -> Vec<u8> {
    let mut bare = file[..b.setup_len() + usize::try_from(b.protected_len()).unwrap()].to_vec();
    // The fifth data directory of a PE32+ file ("PE Format", Optional Header
    // Data Directories).
    let pe = u32::from_le_bytes(bare[0x3c..0x40].try_into().unwrap());
    let entry = usize::try_from(pe).unwrap() + 24 + 112 + 4 * 8;
    bare[entry..entry + 8].fill(0);
    bare
}

#[test]
#[ignore = "needs kernels in KEXEC_TEST_KERNELS: cargo xtask test names the lab's"]
fn real_kernels_are_proven() {
    for (path, file) in kernels() {
        let start = Instant::now();
        let image = read(file.clone()).unwrap_or_else(|e| panic!("{path}: {e}"));
        let read_in = start.elapsed();
        let start = Instant::now();
        let proofs = verify(&image).unwrap_or_else(|e| panic!("{path}: {e}"));
        println!("{path}: {}, read in {read_in:?}", image.describe());
        println!("  {:?} in {:?}", proofs, start.elapsed());
        println!("  {:?}", image.kernel);
        assert_ne!(proofs, [Proof::Bounds], "{path}: nothing could be proven");
        let Some(b) = bzimage(&image) else { continue };
        assert!(b.release().is_some_and(|r| r.contains('.')), "{path}");

        let bare = unsigned(&file, b);
        let image = read(bare.into()).unwrap_or_else(|e| panic!("{path}: {e}"));
        let start = Instant::now();
        let proofs = verify(&image).unwrap_or_else(|e| panic!("{path}: {e}"));
        println!("  unsigned: {:?} in {:?}", proofs, start.elapsed());
        assert!(
            matches!(proofs[..], [Proof::Payload { .. }]),
            "{path}: {proofs:?}"
        );

        // What the payload unpacks to is the vmlinux.
        let unpacked = b.unpack(&file, 1 << 30).unwrap().unwrap();
        let inner = read(unpacked.bytes.into()).unwrap_or_else(|e| panic!("{path}: {e}"));
        let Kernel::Elf(elf) = &inner.kernel else {
            panic!("{path}: the payload is {}", inner.describe());
        };
        assert!(elf.is_linux, "{path}: {elf:?}");
        assert_eq!(elf.arch, image.arch(), "{path}");
        // XLF_5LEVEL speaks of the decompressor, this one of the kernel inside.
        let claims = b.xloadflags & xloadflags::XLF_5LEVEL_ENABLED != 0;
        assert_eq!(elf.five_level, claims, "{path}");
        println!("  vmlinux: {elf:?}");
    }
}

#[test]
#[ignore = "needs kernels in KEXEC_TEST_KERNELS: cargo xtask test names the lab's"]
fn a_real_kernel_cut_anywhere_is_refused() {
    for (path, file) in kernels() {
        let image = read(file.clone()).unwrap_or_else(|e| panic!("{path}: {e}"));
        let Some(b) = bzimage(&image) else { continue };
        let end = b.setup_len() + usize::try_from(b.protected_len()).unwrap();
        let payload = b.payload.as_ref().unwrap().range.clone();
        let mut cuts: Vec<usize> = [0x1f1, 0x202, 0x26c, 4096, b.setup_len(), 2 << 20]
            .into_iter()
            .chain([payload.start, payload.end, end, file.len()])
            .flat_map(|at| at.saturating_sub(5)..at + 5)
            .chain((0..1000).map(|i| file.len() / 1000 * i))
            .filter(|at| *at < file.len())
            .collect();
        cuts.dedup();
        for at in cuts {
            let result = read(file.slice(..at));
            assert!(
                result.is_err(),
                "{path} cut to {at} is taken for {result:?}"
            );
        }
        TestRunner::new(Config::with_cases(2000))
            .run(&(0..file.len()), |at| {
                proptest::prop_assert!(read(file.slice(..at)).is_err());
                Ok(())
            })
            .unwrap_or_else(|e| panic!("{path}: {e}"));
        let error = read(file.slice(..2 << 20)).unwrap_err();
        println!("{path} cut to 2 MiB: {error}");
        assert!(matches!(error, ImageError::Truncated { .. }), "{error}");
    }
}

#[test]
#[ignore = "needs kernels in KEXEC_TEST_KERNELS: cargo xtask test names the lab's"]
fn a_real_kernel_with_a_changed_bit_is_refused() {
    for (path, file) in kernels() {
        let image = read(file.clone()).unwrap_or_else(|e| panic!("{path}: {e}"));
        let Some(b) = bzimage(&image) else { continue };
        if !matches!(verify(&image).unwrap()[..], [Proof::Authenticode { .. }]) {
            continue;
        }
        // The digest of a signed one finds a change anywhere before the
        // certificates: in the real-mode part, the stub, the payload, the end.
        let payload = b.payload.as_ref().unwrap().range.clone();
        let end = b.setup_len() + usize::try_from(b.protected_len()).unwrap();
        for at in [
            0x210,
            0x300,
            b.setup_len(),
            payload.start + 1000,
            payload.end + 10,
            end - 1,
        ] {
            let mut bad = file.to_vec();
            bad[at] ^= 1;
            let result = read(bad.into()).and_then(|image| verify(&image));
            assert!(result.is_err(), "{path} changed at {at:#x}: {result:?}");
        }
    }
}

/// The kernel inside is laid out as it is known to be, and can be moved: as it was, once
/// it is moved back.
#[test]
#[ignore = "needs kernels in KEXEC_TEST_KERNELS: cargo xtask test names the lab's"]
fn real_kernels_are_moved() {
    for (path, file) in kernels() {
        let image = read(file).unwrap_or_else(|e| panic!("{path}: {e}"));
        let Some(kernel) = bzimage(&image) else {
            continue;
        };
        let inner = kernel.unpack_vmlinux(&image.bytes, 1 << 30);
        let mut inner = inner.unwrap_or_else(|e| panic!("{path}: {e}"));
        println!(
            "{path}: {} relocations, {:#x} bytes",
            inner.relocation_count(),
            inner.memory_len()
        );
        assert!(inner.is_movable(), "{path}");
        assert!(inner.relocation_count() > 100_000, "{path}");
        assert!(inner.memory_len() <= kernel.init_size.into(), "{path}");
        let (_, before) = inner.clone().into_bytes();
        inner.relocate(0x1a00_0000);
        let (_, moved) = inner.clone().into_bytes();
        let changed = before.iter().zip(&moved).filter(|(a, b)| a != b).count();
        assert!(changed >= inner.relocation_count(), "{path}: {changed}");
        inner.relocate(0x1a00_0000_u64.wrapping_neg());
        assert_eq!(inner.into_bytes().1, before, "{path}");
    }
}
