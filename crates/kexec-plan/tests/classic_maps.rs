//! Plans over memory maps of real machines and of odd ones, as snapshots.
//! `INSTA_UPDATE=always cargo test -p kexec-plan` writes them anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Ask, Bz, MIB, assert_sound, map, map_names, ovmf, show};
use kexec_plan::classic::SegmentKind;
use kexec_plan::memory::MemoryKind;

#[test]
fn a_bzimage_on_every_map() {
    assert!(map_names().len() >= 12);
    for name in map_names() {
        let mut ask = Ask::new(Bz::default().build(), map(&name));
        if name.contains("ovmf") || name.contains("efi") {
            ask.firmware = ovmf().0;
        }
        let plan = ask.plan();
        if let Ok(plan) = &plan {
            assert_sound(plan, &ask.memory);
        }
        insta::assert_snapshot!(format!("bzimage-{name}"), show(&plan));
    }
}

#[test]
fn a_vmlinux_on_every_map() {
    for name in map_names() {
        let ask = Ask::new(common::vmlinux(), map(&name));
        let plan = ask.plan();
        if let Ok(plan) = &plan {
            assert_sound(plan, &ask.memory);
        }
        insta::assert_snapshot!(format!("vmlinux-{name}"), show(&plan));
    }
}

#[test]
fn xen_and_its_modules() {
    for name in ["qemu-6.1-seabios", "tiny-256m", "holes"] {
        let mut ask = Ask::new(common::multiboot1(), map(name));
        ask.modules = vec![kexec_plan::classic::Module {
            path: "/boot/vmlinuz".into(),
            string: "/boot/vmlinuz console=hvc0".into(),
            bytes: vec![1; 5000].into(),
        }];
        let plan = ask.plan();
        assert_sound(plan.as_ref().unwrap(), &ask.memory);
        insta::assert_snapshot!(format!("multiboot1-{name}"), show(&plan));
        let mut ask = Ask::new(
            common::multiboot2(Some([0x20_0000, 0xffff_ffff, 0x20_0000, 2])),
            map(name),
        );
        ask.initrd.truncate(0);
        let plan = ask.plan();
        assert_sound(plan.as_ref().unwrap(), &ask.memory);
        insta::assert_snapshot!(format!("multiboot2-{name}"), show(&plan));
    }
}

#[test]
fn nothing_is_put_on_what_is_reserved_inside_of_ram() {
    for (name, what) in [
        ("crashkernel", "Crash kernel"),
        ("kho-scratch", "KHO scratch"),
    ] {
        let mut ask = Ask::new(Bz::default().build(), map(name));
        ask.initrd = vec![common::piece("initrd", 2200 * MIB)];
        let plan = ask.plan().unwrap();
        assert_sound(&plan, &ask.memory);
        assert!(plan.destinations.kept.iter().any(|k| k.name == what));
    }
}

#[test]
fn memory_of_efi_runtime_services_is_kept() {
    // In this recording the memory attributes table is System RAM in both
    // maps and known from the runtime map alone.
    let (firmware, efi) = ovmf();
    let mut ask = Ask::new(Bz::default().build(), map("qemu-7.x-ovmf"));
    ask.firmware = firmware;
    ask.initrd = vec![common::piece("initrd", 1500 * MIB)];
    let plan = ask.plan().unwrap();
    assert_sound(&plan, &ask.memory);
    let attributes = efi.runtime_map.iter().find(|d| d.kind == 4).unwrap();
    assert!(
        !plan
            .destinations
            .free
            .iter()
            .any(|r| r.contains(attributes.physical))
    );
    let entry = plan
        .memory_map
        .iter()
        .find(|e| e.range.contains(attributes.physical))
        .unwrap();
    assert_eq!(entry.kind, MemoryKind::Reserved);
    assert_eq!(
        (entry.range.start, entry.range.len()),
        (attributes.physical, attributes.pages * 4096)
    );
}

#[test]
fn more_than_128_ranges_go_into_the_list() {
    let ask = Ask::new(Bz::default().build(), map("182-entries"));
    let plan = ask.plan().unwrap();
    assert_eq!(plan.memory_map.len(), ask.memory.firmware.len());
    let parameters = plan.segment(SegmentKind::Parameters).unwrap();
    let item = parameters
        .parts
        .iter()
        .find(|p| p.name == "SETUP_E820_EXT")
        .unwrap();
    let more = u64::try_from(plan.memory_map.len() - 128).unwrap();
    assert_eq!(item.range.len(), 16 + 20 * more);
    let bytes = parameters.bytes();
    assert_eq!(bytes[0x1e8], 128);
    // The entries behind each other: first the table, then the item.
    let data = usize::try_from(item.range.start - parameters.memory.start).unwrap() + 16;
    let first = plan.memory_map[128].range.start;
    assert_eq!(bytes[data..data + 8], first.to_le_bytes());
    assert_eq!(
        bytes[0x2d0 + 127 * 20..][..8],
        plan.memory_map[127].range.start.to_le_bytes()
    );
}

#[test]
fn plans_are_json_without_secrets() {
    let plan = Ask::new(Bz::default().build(), map("6g")).plan().unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    let back: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(back["arch"], "x86_64");
    assert_eq!(
        back["segments"].as_array().unwrap().len(),
        plan.segments.len()
    );
    assert_eq!(back["purgatory"]["exit"]["mode"], "long64");
    assert_eq!(back["memory_map"][0]["kind"], "System RAM");
    assert!(!text.contains("7,7,7,7"));
    assert!(!format!("{plan:?}").contains("7, 7, 7, 7"));
}
