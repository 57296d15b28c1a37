//! What `kexec check` says of the next kernel's console on the screen.
#![cfg(target_arch = "x86_64")]

use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_load::preflight::{Finding, Severity};
use kexec_load::request::ClassicLoadOptions;
use kexec_load::{CmdlineChoice, LoadRequest, SyscallChoice, inputs, pipeline};
use kexec_sys::Slot;

use crate::machine::{Tree, recorded};

/// What the check found for a load with this system call.
fn finding(tree: &Tree, syscall: SyscallChoice, reuse: bool) -> Option<Finding> {
    tree.put("boot/vmlinuz", BzImageBuilder::new().build());
    let mut request = LoadRequest {
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
    };
    request.classic.options.reuse_video_type = reuse;
    let files = inputs::read(&request, None, None).unwrap();
    let prepared = pipeline::prepare(&request, &files, &tree.read()).unwrap();
    let mut findings = prepared.findings.into_iter();
    findings.find(|f| f.check == "screen")
}

fn classic(tree: &Tree, reuse: bool) -> (Severity, String) {
    let finding = finding(tree, SyscallChoice::Classic, reuse).unwrap();
    (finding.severity, finding.problem.why)
}

/// A machine whose firmware left a framebuffer of 800x600.
fn machine() -> Tree {
    let tree = recorded("6.12-ovmf");
    let mut params = std::fs::read(tree.path("sys/kernel/boot_params/data")).unwrap();
    params[0x0f] = 0x70;
    params[0x12..0x18].copy_from_slice(&[0x20, 3, 0x58, 2, 32, 0]);
    params[0x18..0x1c].copy_from_slice(&0x8000_0000_u32.to_le_bytes());
    tree.put("sys/kernel/boot_params/data", &params);
    tree
}

#[test]
fn a_driver_of_the_card_itself_is_noted() {
    let tree = machine();
    tree.put("proc/fb", "0 bochs-drmdrmfb\n").link(
        "sys/class/drm/card0/device/driver",
        "../../bus/pci/drivers/bochs-drm",
    );
    let (severity, why) = classic(&tree, false);
    assert_eq!(severity, Severity::Note);
    assert!(why.contains("bochs-drm drives the card"), "{why}");
    let remedy = finding(&tree, SyscallChoice::Classic, false)
        .unwrap()
        .problem
        .remedy;
    assert!(remedy.contains("console=ttyS0"), "{remedy}");
    // The caller knows better.
    let (severity, why) = classic(&tree, true);
    assert_eq!(severity, Severity::Pass);
    assert!(why.contains("type 0x70"), "{why}");
}

#[test]
fn a_screen_that_is_still_the_firmwares_passes() {
    let tree = machine();
    let (severity, why) = classic(&tree, false);
    assert_eq!(severity, Severity::Pass);
    assert!(
        why.contains("800x600") && why.contains("no driver"),
        "{why}"
    );
    tree.put("proc/fb", "0 EFI VGA\n");
    let (severity, why) = classic(&tree, false);
    assert_eq!(severity, Severity::Pass);
    assert!(why.contains("efifb drives"), "{why}");
    // The kernel's own loader decides for itself.
    assert_eq!(finding(&tree, SyscallChoice::File, false), None);
}

#[test]
fn what_could_not_be_seen_is_no_pass() {
    let tree = machine();
    std::fs::remove_file(tree.path("sys/kernel/boot_params/data")).unwrap();
    let (severity, why) = classic(&tree, false);
    assert_eq!(severity, Severity::Unknown);
    assert!(why.contains("boot_params are unknown"), "{why}");
}

#[test]
fn a_machine_without_a_screen_misses_nothing() {
    let (severity, why) = classic(&recorded("6.12-ovmf"), false);
    assert_eq!(severity, Severity::Pass);
    assert!(why.contains("was given none"), "{why}");
}
