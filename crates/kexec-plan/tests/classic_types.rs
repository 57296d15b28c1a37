//! `--type` demands, `--dtb` and `--module` are for who understands them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Ask, Bz, Load, elf, map, multiboot1, multiboot2};
use kexec_plan::classic::{ElfArgs, Exit, ExitMode, Module, SegmentKind};

fn ask(file: &[u8]) -> Ask {
    Ask::new(file.to_vec(), map("6g"))
}

/// How it is started when `name` is demanded, or why not.
fn demanded(file: &[u8], name: &str) -> Result<String, String> {
    let mut ask = ask(file);
    ask.options.kernel_type = Some(name.into());
    let plan = ask.plan();
    plan.map(|p| p.method).map_err(|e| e.to_string())
}

/// A multiboot 1 and a multiboot 2 header in one file, as Xen has.
fn both_headers() -> Vec<u8> {
    let mut words = vec![0x1bad_b002, 3, 0_u32.wrapping_sub(0x1bad_b002 + 3), 0, 0];
    let len = 24_u32;
    let sum = 0_u32.wrapping_sub(0xe852_50d6).wrapping_sub(len);
    words.extend([0xe852_50d6, 0, len, sum, 0, 8]);
    // The second one at a multiple of 8: one program header ends at 84.
    let head: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let load = Load(0x20_0000, 0x20_0000, vec![0x90; 0x1000], 0x1000);
    elf(false, 0x20_0040, &[load], false, &head)
}

fn plain() -> Vec<u8> {
    let load = Load(0x20_0000, 0x20_0000, vec![0x90; 64], 0x1000);
    elf(true, 0x20_0000, &[load], false, &[])
}

#[test]
fn a_type_that_fits_is_taken() {
    let bz = Bz::default().build();
    assert_eq!(demanded(&bz, "bzImage64").unwrap(), "bzImage, 64-bit entry");
    // kexec-tools starts this one at its 32-bit entry: see --entry-32bit.
    assert_eq!(demanded(&bz, "bzImage").unwrap(), "bzImage, 64-bit entry");
    let linux = common::vmlinux();
    assert_eq!(
        demanded(&linux, "elf-x86_64").unwrap(),
        "vmlinux, 64-bit entry"
    );
    assert_eq!(
        demanded(&multiboot1(), "multiboot-x86").unwrap(),
        "multiboot"
    );
    assert_eq!(
        demanded(&multiboot2(None), "multiboot2-x86").unwrap(),
        "multiboot2"
    );
}

#[test]
fn a_type_chooses_among_what_a_file_is() {
    let file = both_headers();
    assert_eq!(ask(&file).plan().unwrap().method, "multiboot2");
    assert_eq!(demanded(&file, "multiboot2-x86").unwrap(), "multiboot2");
    assert_eq!(demanded(&file, "multiboot-x86").unwrap(), "multiboot");
    assert_eq!(demanded(&file, "elf-x86").unwrap(), "ELF, 32-bit entry");
}

#[test]
fn a_type_that_does_not_fit_is_refused_with_what_was_found() {
    let bz = Bz::default().build();
    let error = demanded(&bz, "multiboot-x86").unwrap_err();
    assert_eq!(
        error,
        "--type: multiboot-x86 was required, but the kernel is of the type bzImage64 and bzImage (bzImage)"
    );
    let narrow = Bz {
        xloadflags: 0,
        ..Bz::default()
    };
    let error = demanded(&narrow.build(), "bzImage64").unwrap_err();
    assert!(error.contains("of the type bzImage (bzImage)"), "{error}");
    let error = demanded(&plain(), "elf-x86").unwrap_err();
    assert!(error.contains("of the type elf-x86_64 (ELF)"), "{error}");
    let error = demanded(&bz, "uki").unwrap_err();
    assert!(error.contains("bzImage64"), "{error}");
}

#[test]
fn a_type_that_nobody_knows_is_refused_with_those_there_are() {
    for name in ["bogus", "", "bzimage"] {
        let error = demanded(&Bz::default().build(), name).unwrap_err();
        assert!(
            error.contains(&format!(
                "there is no type {name}; there are multiboot2-x86,"
            )),
            "{error}"
        );
    }
    let error = demanded(&Bz::default().build(), "nbi-x86").unwrap_err();
    assert!(error.contains("not started by this program"), "{error}");
}

/// In RDI, as kexec-tools 2.0.32 was seen to do it; in 32 bits in EBX beside the
/// signature in EAX.
#[test]
fn elf_boot_notes_are_for_those_who_read_them() {
    let noted = |file: &[u8]| {
        let mut ask = ask(file);
        ask.options.elf_args = ElfArgs::ElfNotes;
        ask.plan()
    };
    let plan = noted(&plain()).unwrap();
    assert_eq!(plan.method, "ELF, 64-bit entry, boot notes");
    let notes = plan.segment(SegmentKind::Parameters).unwrap();
    let told = notes.bytes();
    assert!(told.starts_with(&0x0e1f_b007_u32.to_le_bytes()));
    assert!(told.windows(24).any(|w| w == b"root=/dev/vda1 ro quiet\0"));
    assert_eq!(notes.check_len, u64::try_from(told.len()).unwrap());
    let expected = Exit {
        rdi: notes.memory.start,
        ..Exit::to(ExitMode::Long64, 0x20_0000)
    };
    assert_eq!(plan.purgatory.exit, expected);

    let load = Load(0x20_0000, 0x20_0000, vec![0x90; 64], 0x1000);
    let narrow = elf(false, 0x20_0000, &[load], false, &[]);
    let plan = noted(&narrow).unwrap();
    let notes = plan.segment(SegmentKind::Parameters).unwrap();
    assert!(notes.memory.end <= 1 << 32);
    let expected = Exit {
        rax: 0x0e1f_b007,
        rbx: notes.memory.start,
        ..Exit::to(ExitMode::Protected32, 0x20_0000)
    };
    assert_eq!(plan.purgatory.exit, expected);
    assert!(
        plan.notes
            .iter()
            .any(|n| n.contains("cannot describe an initrd"))
    );

    // A multiboot kernel that is to be taken as something else.
    assert_eq!(
        noted(&multiboot1()).unwrap().method,
        "ELF, 32-bit entry, boot notes"
    );
    let error = noted(&common::vmlinux()).unwrap_err().to_string();
    assert!(error.contains("the kernel is Linux"), "{error}");
}

fn tree(total: u32, len: usize) -> Vec<u8> {
    let mut tree = [0xd00d_feed_u32, total].map(u32::to_be_bytes).concat();
    tree.resize(len, 0);
    tree
}

#[test]
fn a_device_tree_is_one() {
    let with = |bytes: Vec<u8>| {
        let mut ask = ask(&Bz::default().build());
        ask.dtb = Some(bytes.into());
        ask.plan().map(drop).map_err(|e| e.to_string())
    };
    with(tree(48, 48)).unwrap();
    with(tree(48, 50)).unwrap();
    let error = with(b"/dts-v1/;".to_vec()).unwrap_err();
    assert!(error.contains("2f647473"), "{error}");
    for (bytes, has) in [
        (tree(48, 40), 40),
        (tree(4, 48), 48),
        (tree(u32::MAX, 8), 8),
    ] {
        let error = with(bytes).unwrap_err();
        assert!(error.contains(&format!("the file has {has}")), "{error}");
    }
    for len in 0..8 {
        with(tree(48, 48)[..len].to_vec()).unwrap_err();
    }
}

#[test]
fn only_linux_is_told_of_a_device_tree() {
    for file in [multiboot1(), multiboot2(None), plain()] {
        let mut ask = ask(&file);
        ask.dtb = Some(tree(48, 48).into());
        let error = ask.plan().unwrap_err().to_string();
        assert!(
            error.starts_with("--dtb: the kernel is not Linux"),
            "{error}"
        );
    }
}

#[test]
fn only_multiboot_is_told_of_modules() {
    for file in [Bz::default().build(), plain()] {
        let mut ask = ask(&file);
        ask.modules = vec![Module {
            path: "/m".into(),
            string: "/m".into(),
            bytes: vec![1].into(),
        }];
        let error = ask.plan().unwrap_err().to_string();
        assert!(error.starts_with("--module:"), "{error}");
    }
}
