//! A next kernel without an initrd, on a machine whose EFI still names the first
//! boot's.
#![cfg(target_arch = "x86_64")]

use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_load::pipeline::{self, Prepared};
use kexec_load::preflight::Severity;
use kexec_load::request::ClassicLoadOptions;
use kexec_load::{CmdlineChoice, LoadRequest, SyscallChoice, inputs};
use kexec_plan::classic::{LoadPlan, SegmentKind};
use kexec_sys::Slot;

use crate::machine::{Tree, recorded};

fn request(tree: &Tree, syscall: SyscallChoice, kernel: &[u8]) -> LoadRequest {
    tree.put("boot/vmlinuz", kernel);
    LoadRequest {
        kernel: tree.path("boot/vmlinuz").into(),
        initrds: Vec::new(),
        cmdline: CmdlineChoice::default(),
        slot: Slot::Normal,
        syscall,
        unpack: kexec_load::request::Unpack::default(),
        profile: None,
        companions: None,
        debug: false,
        old_spelling: false,
        classic: ClassicLoadOptions::default(),
        mark: None,
    }
}

fn prepared(tree: &Tree, request: &LoadRequest) -> Prepared {
    let files = inputs::read(request, None, None).unwrap();
    pipeline::prepare(request, &files, &tree.read()).unwrap()
}

/// Of a bzImage.
fn linux(tree: &Tree, syscall: SyscallChoice, no_efi: bool) -> Prepared {
    let mut request = request(tree, syscall, &BzImageBuilder::new().build());
    request.classic.options.no_efi = no_efi;
    prepared(tree, &request)
}

/// `ramdisk_size` (Documentation/arch/x86/boot.rst).
fn ramdisk_size(plan: &LoadPlan) -> u32 {
    let parameters = plan.segment(SegmentKind::Parameters).unwrap().bytes();
    u32::from_le_bytes(parameters[0x21c..0x220].try_into().unwrap())
}

#[test]
fn an_empty_one_stands_in_under_efi() {
    let tree = recorded("6.12-ovmf");
    for syscall in [SyscallChoice::File, SyscallChoice::Classic] {
        let prepared = linux(&tree, syscall, false);
        assert_eq!(prepared.plan.initrd_len(), 512, "{syscall:?}");
        let mut findings = prepared.findings.iter();
        let finding = findings.find(|f| f.check == "initrd-known").unwrap();
        assert_eq!(finding.severity, Severity::Note, "{finding:?}");
        assert!(finding.problem.why.contains("first boot"), "{finding:?}");
        if let Some(placed) = &prepared.placed {
            assert_eq!(ramdisk_size(placed), 512);
        }
    }
    // Not told of EFI, the kernel does not look there.
    let prepared = linux(&tree, SyscallChoice::Classic, true);
    assert_eq!(ramdisk_size(&prepared.placed.unwrap()), 0);
}

#[test]
fn there_is_none_without_efi() {
    let tree = recorded("6.12-seabios");
    for syscall in [SyscallChoice::File, SyscallChoice::Classic] {
        let prepared = linux(&tree, syscall, false);
        assert_eq!(prepared.plan.initrd_len(), 0, "{syscall:?}");
        let mut findings = prepared.findings.iter();
        assert!(findings.all(|f| f.check != "initrd-known"));
    }
}

#[test]
fn a_file_that_is_not_linux_gets_none() {
    let tree = recorded("6.12-ovmf");
    // A 32-bit ELF file of one page at 2 MiB that does nothing.
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend(words(&[0x0003_0002, 1, 0x20_0054, 52, 0, 0]));
    file.extend([52, 0, 32, 0, 1, 0, 40, 0, 0, 0, 0, 0]);
    file.extend(words(&[
        1, 0, 0x20_0000, 0x20_0000, 0x1000, 0x1000, 7, 0x1000,
    ]));
    file.resize(0x1000, 0x90);
    let prepared = prepared(&tree, &request(&tree, SyscallChoice::Classic, &file));
    assert!(prepared.plan.initrd.is_empty());
}
