//! What is carried on from the running kernel: read once, in its own step, and
//! found in the plan.
#![cfg(target_arch = "x86_64")]

use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_load::inputs::{self, Carried};
use kexec_load::{LoadRequest, SyscallChoice, pipeline};
use kexec_plan::LoadPlan;
use kexec_plan::classic::SegmentKind;
use kexec_sys::Slot;

use crate::machine::{Tree, recorded};

/// Where the RSDP of the recorded machine is.
const RSDP_AT: usize = 0xf_52a0;
const LIST: &[u8] = b"ten measurements, as the kernel has them";

/// An RSDP of ACPI 1 with its checksum.
fn rsdp() -> Vec<u8> {
    let mut bytes = b"RSD PTR \0BOCHS \0".to_vec();
    bytes.extend(0x7ff_e000_u32.to_le_bytes());
    let sum = bytes.iter().fold(0_u8, |sum, b| sum.wrapping_add(*b));
    bytes[8] = sum.wrapping_neg();
    bytes
}

/// A machine with measurements, and with an RSDP that can be read.
fn machine() -> Tree {
    let tree = recorded("6.12-seabios");
    let folder = "sys/kernel/security/integrity/ima";
    tree.put(&format!("{folder}/binary_runtime_measurements"), LIST);
    tree.put(&format!("{folder}/runtime_measurements_count"), "10\n");
    let mut memory = vec![0; RSDP_AT];
    memory.extend(rsdp());
    memory.resize(RSDP_AT + 64, 0);
    tree.put("dev/mem", memory);
    tree
}

fn request(tree: &Tree, kernel: &[u8]) -> LoadRequest {
    tree.put("boot/vmlinuz", kernel);
    let mut request = LoadRequest::new(tree.path("boot/vmlinuz"));
    request.syscall = SyscallChoice::Classic;
    request
}

fn carried(tree: &Tree, request: &LoadRequest) -> Carried {
    Carried::read(&tree.path(""), request, &tree.read())
}

/// The walk up to the plan.
fn placed(tree: &Tree, request: &LoadRequest) -> LoadPlan {
    let inputs = inputs::read(request, None, None).unwrap();
    let inputs = inputs.carrying(carried(tree, request));
    let prepared = pipeline::prepare(request, &inputs, &tree.read()).unwrap();
    prepared.placed.unwrap()
}

/// A file with a multiboot2 header that says where it goes.
fn multiboot2() -> Vec<u8> {
    let at = 0x20_0000_u32;
    let len = 16 + 24 + 16 + 8;
    let sum = 0_u32.wrapping_sub(0xe852_50d6).wrapping_sub(len);
    let words = [
        0xe852_50d6,
        0,
        len,
        sum, // header
        2,
        24,
        at,
        at,
        at + 0x1000,
        at + 0x1000, // addresses
        3,
        12,
        at + 0x100,
        0, // entry
        0,
        8, // end
    ];
    let mut file: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    file.resize(0x1000, 0x90);
    file
}

#[test]
fn measurements_go_to_linux() {
    let tree = machine();
    let plan = placed(&tree, &request(&tree, &BzImageBuilder::new().build()));
    let list = plan.segment(SegmentKind::Measurements).unwrap().bytes();
    assert!(list.ends_with(LIST));
    assert_eq!(list[16..24], 10_u64.to_le_bytes());
    let parameters = plan.segment(SegmentKind::Parameters).unwrap();
    assert!(parameters.parts.iter().any(|p| p.name == "SETUP_IMA"));
}

#[test]
fn a_copy_of_the_rsdp_goes_to_multiboot2() {
    let tree = machine();
    let plan = placed(&tree, &request(&tree, &multiboot2()));
    let told = plan.segment(SegmentKind::Parameters).unwrap().bytes();
    let copy = rsdp();
    assert!(told.windows(copy.len()).any(|w| w == copy));
    assert!(!plan.notes.iter().any(|n| n.contains("root pointer")));

    std::fs::remove_file(tree.path("dev/mem")).unwrap();
    let plan = placed(&tree, &request(&tree, &multiboot2()));
    let told = plan.segment(SegmentKind::Parameters).unwrap().bytes();
    assert!(!told.windows(8).any(|w| w == b"RSD PTR "));
    let note = "the kernel gets no copy of ACPI's root pointer";
    assert!(
        plan.notes.iter().any(|n| n.contains(note)),
        "{:?}",
        plan.notes
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    let tree = machine();
    let mut broken = vec![0; RSDP_AT];
    broken.extend(b"RSD PTR \x01");
    broken.resize(RSDP_AT + 64, 0);
    tree.put("dev/mem", broken);
    let plan = placed(&tree, &request(&tree, &multiboot2()));
    let said = plan.notes.iter().find(|n| n.contains("checksum"));
    assert!(
        said.unwrap()
            .starts_with("a copy of ACPI's root pointer cannot be passed on:")
    );
}

#[test]
fn nothing_is_read_that_could_not_be_used() {
    let tree = machine();
    let mut asked = request(&tree, b"");
    let all = carried(&tree, &asked);
    assert_eq!(all.ima.as_ref().unwrap().count, 10);
    assert_eq!(all.rsdp.as_deref(), Some(rsdp().as_slice()));
    asked.syscall = SyscallChoice::Auto;
    let again = carried(&tree, &asked);
    assert_ne!(again.kaslr, all.kaslr, "it was random");
    let kaslr = all.kaslr;
    assert_eq!(Carried { kaslr, ..again }, all);
    asked.syscall = SyscallChoice::File;
    assert_eq!(carried(&tree, &asked), Carried::default());
    asked.syscall = SyscallChoice::Auto;
    asked.slot = Slot::Crash;
    assert_eq!(carried(&tree, &asked), Carried::default());
    asked.slot = Slot::Normal;
    tree.put(
        "sys/kernel/security/lockdown",
        "none [integrity] confidentiality\n",
    );
    assert_eq!(carried(&tree, &asked), Carried::default());
}

#[test]
fn a_kernel_that_hands_no_measurements_on_gives_none() {
    let tree = machine();
    let release = std::fs::read_to_string(tree.path("proc/sys/kernel/osrelease")).unwrap();
    let config = format!("boot/config-{}", release.trim());
    let ima = || carried(&tree, &request(&tree, b"")).ima.is_some();
    tree.put(&config, "CONFIG_IMA=y\nCONFIG_IMA_KEXEC=y\n");
    assert!(ima());
    tree.put(&config, "CONFIG_IMA=y\n# CONFIG_IMA_KEXEC is not set\n");
    assert!(!ima());
}

/// Where the kernel goes that is about to be loaded.
fn kernel_at(tree: &Tree) -> u64 {
    let plan = placed(tree, &request(tree, &BzImageBuilder::new().build()));
    plan.segment(SegmentKind::Kernel).unwrap().memory.start
}

/// The page flags of a machine with 4 GiB of RAM: a slab everywhere, but for what
/// is ready to be handed out.
fn page_flags(ready: std::ops::Range<usize>) -> Vec<u8> {
    let word = |page: usize| if ready.contains(&page) { 0 } else { 1_u64 << 7 };
    let pages = 0..0x18_0000;
    pages.flat_map(|page| word(page).to_ne_bytes()).collect()
}

#[test]
fn memory_that_is_about_to_be_handed_out_is_left_to_the_kernel() {
    let tree = machine();
    let top = kernel_at(&tree);
    assert!(top >= 0x1_7000_0000, "{top:#x}");
    tree.put("proc/kpageflags", page_flags(0x17_0000..0x18_0000));
    let below = kernel_at(&tree);
    assert!(
        (0x1_0000_0000..0x1_7000_0000).contains(&below),
        "{below:#x}"
    );
}

/// Not knowing it is no reason to fail, and is said.
#[test]
fn a_plan_without_page_flags_says_so() {
    let tree = machine();
    let (top, folder) = (kernel_at(&tree), tree.path("proc/kpageflags"));
    std::fs::create_dir(folder).unwrap();
    assert_eq!(kernel_at(&tree), top);
    let plan = placed(&tree, &request(&tree, &BzImageBuilder::new().build()));
    let note = "without knowing which memory is in use";
    assert!(
        plan.notes.iter().any(|n| n.contains(note)),
        "{:?}",
        plan.notes
    );
}
