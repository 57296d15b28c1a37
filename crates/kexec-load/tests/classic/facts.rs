use bytes::Bytes;
use kexec_load::classic::{display, firmware_facts, memory_facts};
use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_machine::snapshot::{DisplayState, SnapshotError};
use kexec_plan::classic::{Display, SetupItem};
use kexec_plan::memory::{MemoryKind, MemoryMap, Range};
use proptest::prelude::*;

use crate::machine::{RECORDED, Tree, fixture, recorded};

/// A memory module of 512 MiB in a guest with 1 GiB, as the kernel lists it: in
/// /sys/firmware/memmap like the firmware's own.
#[test]
fn memory_that_was_plugged_in_later_is_not_the_firmwares() {
    let module = Range::new(0x1_0000_0000, 0x1_2000_0000);
    for name in RECORDED {
        let tree = recorded(name);
        let before = memory_facts(&tree.read());
        assert!(before.plugged_in.is_empty(), "{name}");
        let last = before.firmware.iter().map(|(range, _)| range.end).max();
        // Behind everything, as the processor has it.
        let at = last.unwrap().max(module.start);
        let range = Range::new(at, at + module.len());
        let entry = format!("sys/firmware/memmap/{}", before.firmware.len());
        tree.put(&format!("{entry}/start"), format!("{:#x}\n", range.start))
            .put(&format!("{entry}/end"), format!("{:#x}\n", range.end - 1))
            .put(&format!("{entry}/type"), "System RAM\n");
        let mut iomem = std::fs::read_to_string(fixture(name).join("iomem")).unwrap();
        iomem.push_str(&format!(
            "{:x}-{:x} : System RAM\n",
            range.start,
            range.end - 1
        ));
        tree.put("proc/iomem", iomem);

        let after = memory_facts(&tree.read());
        assert_eq!(after.firmware, before.firmware, "{name}");
        assert_eq!(after.plugged_in, range.into(), "{name}");
        let free = after.destinations(0x10_0000, 4096).unwrap().free;
        assert!(!free.overlaps(range), "{name}");

        // What is known of the boot decides: without it the kernel's list holds.
        std::fs::remove_file(tree.path("sys/kernel/boot_params/data")).unwrap();
        let unknown = memory_facts(&tree.read());
        assert_eq!(unknown.firmware.len(), before.firmware.len() + 1);
    }
}

/// Memory that was there at the boot and has been taken out stays out.
#[test]
fn memory_that_was_unplugged_does_not_come_back() {
    let tree = recorded("6.12-seabios");
    let before = memory_facts(&tree.read());
    let is_ram = |kind: &str| kind == "System RAM";
    let (number, (gone, _)) = before
        .firmware
        .iter()
        .enumerate()
        .rfind(|(_, (_, kind))| is_ram(kind))
        .unwrap();
    std::fs::remove_dir_all(tree.path(&format!("sys/firmware/memmap/{number}"))).unwrap();
    let after = memory_facts(&tree.read());
    let has = |range: &Range| {
        after
            .firmware
            .iter()
            .any(|(r, kind)| is_ram(kind) && r.overlaps(*range))
    };
    assert!(!has(gone));
    assert!(after.plugged_in.is_empty());
}

/// A kernel without /sys/firmware/memmap was told the same by its loader.
#[test]
fn without_a_firmware_map_the_one_at_boot_holds() {
    for name in RECORDED {
        let tree = recorded(name);
        let before = memory_facts(&tree.read()).firmware_map();
        std::fs::remove_dir_all(tree.path("sys/firmware/memmap")).unwrap();
        let after = memory_facts(&tree.read());
        let ram = |map: &MemoryMap| map.of_kind(MemoryKind::Ram);
        assert_eq!(ram(&after.firmware_map()), ram(&before), "{name}");
    }
}

#[test]
fn recorded_machines_give_every_fact() {
    for name in RECORDED {
        let host = recorded(name).read();
        let memory = memory_facts(&host);
        let iomem = std::fs::read_to_string(fixture(name).join("iomem")).unwrap();
        assert_eq!(memory.iomem.len(), iomem.lines().count(), "{name}");
        let memmap = std::fs::read_to_string(fixture(name).join("memmap")).unwrap();
        assert_eq!(memory.firmware.len(), memmap.lines().count(), "{name}");
        assert_eq!(memory.total, 4_026_532 << 10);
        let (low, high) = (0x10_0000, 1 << 52);
        let free = memory.destinations(low, 4096).unwrap().free;
        assert!(free.overlaps(Range::new(low, high)), "{name}");
        // As one parser of the planner's own reads the file.
        let lines = iomem.lines().zip(&memory.iomem);
        for (line, found) in lines {
            let depth = (line.len() - line.trim_start().len()) / 2;
            assert_eq!(usize::try_from(found.depth).unwrap(), depth);
            assert!(line.ends_with(&format!(" : {}", found.name)), "{line}");
            let (start, last) = line
                .trim()
                .split_once(" : ")
                .unwrap()
                .0
                .split_once('-')
                .unwrap();
            let number = |digits| u64::from_str_radix(digits, 16).unwrap();
            assert_eq!(found.range, Range::new(number(start), number(last) + 1));
        }

        let firmware = firmware_facts(&host);
        let params = std::fs::read(fixture(name).join("boot_params")).unwrap();
        assert_eq!(firmware.boot_params, Some(Bytes::from(params)));
        assert_eq!(firmware.display, Display::Text, "{name}");
        assert!(firmware.setup_data.is_empty() && !firmware.la57);
        assert_eq!(
            firmware.running_cmdline.value("console").as_deref(),
            Some("ttyS0")
        );
        if name.ends_with("ovmf") {
            let efi = firmware.efi.unwrap();
            assert_eq!(firmware.acpi_rsdp, Some(0x7fb7_e014), "{name}");
            assert_eq!(efi.fw_vendor, 0x7f98_9b98);
            assert_eq!(efi.runtime, 0x7f9e_cb98);
            assert_eq!(efi.config_table, 0x7f9e_cc98);
            assert_eq!(efi.smbios, Some(0x7f98_8000));
            let map = fixture(name).join("efi-runtime-map");
            let lines = std::fs::read_to_string(map).unwrap();
            let lines: Vec<&str> = lines.lines().collect();
            assert_eq!(efi.runtime_map.len(), lines.len());
            for (line, d) in lines.iter().zip(&efi.runtime_map) {
                let again = format!(
                    "{:#x} {:#x} {:#x} {:#x} {:#x}",
                    d.kind, d.physical, d.virtual_address, d.pages, d.attribute
                );
                assert_eq!(*line, again);
            }
        } else {
            assert_eq!(firmware.efi, None);
            assert_eq!(firmware.acpi_rsdp, Some(0xf_52a0), "{name}");
        }
    }
}

/// A table that cannot be read may say that any of it can be taken out.
#[test]
fn memory_that_may_be_taken_out_is_all_of_it_where_nobody_knows() {
    let mut host = recorded(RECORDED[0]).read();
    host.memory.removable = Fact::Absent;
    assert!(memory_facts(&host).removable.is_empty());
    host.memory.removable = Fact::Unreadable("x".into());
    let removable = memory_facts(&host).removable;
    assert!(removable.covers(Range::new(0, 1 << 46)));
}

#[test]
fn nothing_readable_is_nothing_known() {
    let host = Tree::new().read();
    let facts = firmware_facts(&host);
    assert_eq!(
        (facts.boot_params, facts.acpi_rsdp, facts.efi),
        (None, None, None)
    );
    assert_eq!(facts.display, Display::Unknown);
    assert_eq!(memory_facts(&host).total, 0);
    assert!(memory_facts(&host).iomem.is_empty());
}

#[test]
fn the_rsdp_is_asked_from_the_best_source_that_knows() {
    let tree = Tree::new();
    let rsdp = || firmware_facts(&tree.read()).acpi_rsdp;
    assert_eq!(rsdp(), None);
    tree.put("proc/cmdline", "quiet acpi_rsdp=0x7fb7e014\n");
    assert_eq!(rsdp(), Some(0x7fb7_e014));
    tree.put("proc/cmdline", "quiet acpi_rsdp=7fb7e010\n");
    assert_eq!(rsdp(), Some(0x7fb7_e010));
    tree.put("proc/cmdline", "quiet acpi_rsdp=+1\n");
    assert_eq!(rsdp(), None);
    let mut params = vec![0; 4096];
    params[0x70..0x78].copy_from_slice(&0xf_52a0_u64.to_le_bytes());
    tree.put("sys/kernel/boot_params/data", &params);
    assert_eq!(rsdp(), Some(0xf_52a0));
    tree.put("sys/firmware/efi/systab", "ACPI=0x1000\n");
    assert_eq!(rsdp(), Some(0x1000));
    tree.put("sys/firmware/efi/systab", "ACPI20=0x2000\nACPI=0x1000\n");
    assert_eq!(rsdp(), Some(0x2000));
    tree.put("sys/firmware/efi/systab", "ACPI20=0x0\nACPI=broken\n");
    assert_eq!(rsdp(), Some(0xf_52a0));
}

#[test]
fn setup_data_is_handed_on_when_there_is_any() {
    let tree = Tree::new();
    for (number, kind, data) in [
        (0, "0x9", &b""[..]),
        (1, "0x3", b"rom"),
        (2, "0x7", &[0, 0x10, 0, 0]),
    ] {
        let folder = format!("sys/kernel/boot_params/setup_data/{number}");
        tree.put(&format!("{folder}/type"), kind)
            .put(&format!("{folder}/data"), data);
    }
    let item = |kind, data: &'static [u8]| SetupItem {
        kind,
        data: Bytes::from_static(data),
    };
    let expected = [item(3, b"rom"), item(7, &[0, 0x10, 0, 0])];
    let host = tree.read();
    assert_eq!(firmware_facts(&host).setup_data, expected);
    let redacted = firmware_facts(&host.redact()).setup_data;
    assert_eq!(redacted, [item(3, &[0; 3]), item(7, &[0; 4])]);
}

#[test]
fn five_level_paging_is_what_runs() {
    let tree = Tree::new();
    tree.put("proc/cpuinfo", "flags\t\t: fpu la57 lm\n");
    assert!(firmware_facts(&tree.read()).la57);
    tree.put("proc/cpuinfo", "flags\t\t: fpu lm\n");
    assert!(!firmware_facts(&tree.read()).la57);
}

#[test]
fn who_drives_the_screen() {
    let known = |names: &[&str]| Fact::Known(names.iter().map(|n| (*n).to_owned()).collect());
    let unread = || Fact::Unreadable("no".to_owned());
    let firmware = |name: &str| Display::Firmware(name.to_owned());
    let native = |name: &str| Display::Native(name.to_owned());
    let cases = [
        (Fact::Absent, Fact::Absent, known(&[]), Display::Text),
        (known(&[]), known(&[]), known(&[]), Display::Text),
        (unread(), Fact::Absent, known(&[]), Display::Unknown),
        (Fact::Absent, unread(), known(&[]), Display::Unknown),
        (
            known(&["EFI VGA"]),
            Fact::Absent,
            known(&["efi-framebuffer"]),
            firmware("efifb"),
        ),
        (
            known(&["VESA VGA"]),
            Fact::Absent,
            known(&["vesa-framebuffer"]),
            firmware("vesafb"),
        ),
        (
            known(&["simpledrmdrmfb"]),
            known(&["simple-framebuffer"]),
            known(&["simple-framebuffer"]),
            firmware("simpledrm"),
        ),
        (
            known(&["efidrmdrmfb"]),
            known(&["efi-framebuffer"]),
            known(&[]),
            firmware("efidrm"),
        ),
        // No framebuffer device on top of the card.
        (
            Fact::Absent,
            known(&["simple-framebuffer"]),
            known(&[]),
            firmware("simpledrm"),
        ),
        (
            known(&["i915drmfb"]),
            known(&["i915"]),
            known(&[]),
            native("i915"),
        ),
        (
            known(&["hyperv_fb"]),
            Fact::Absent,
            known(&[]),
            native("hyperv_fb"),
        ),
        // A second card, without a screen, takes nothing away.
        (
            known(&["simpledrmdrmfb"]),
            known(&["nvidia", "simple-framebuffer"]),
            known(&[]),
            firmware("simpledrm"),
        ),
        // Linux before 5.18 keeps the device.
        (
            known(&["i915drmfb"]),
            known(&["i915"]),
            known(&["efi-framebuffer"]),
            native("i915"),
        ),
        (
            known(&[]),
            Fact::Absent,
            known(&["efi-framebuffer"]),
            Display::Text,
        ),
        (
            unread(),
            unread(),
            known(&["vesa-framebuffer"]),
            firmware("vesafb"),
        ),
        (unread(), unread(), known(&["other"]), Display::Unknown),
        (unread(), unread(), unread(), Display::Unknown),
    ];
    for (framebuffers, cards, firmware_drivers, expected) in cases {
        let state = DisplayState {
            framebuffers,
            cards,
            firmware_drivers,
        };
        assert_eq!(display(&state), expected, "{state:?}");
    }
    assert_eq!(display(&DisplayState::default()), Display::Unknown);
}

#[test]
fn a_screen_is_read_from_the_tree() {
    let tree = Tree::new();
    tree.link(
        "sys/class/drm/card0/device/driver",
        "../../../bus/pci/drivers/virtio_gpu",
    );
    let host = tree.read();
    assert_eq!(
        display(&host.display),
        Display::Native("virtio_gpu".to_owned())
    );
    tree.put("proc/fb", "0 EFI VGA\n");
    let host = tree.read();
    assert_eq!(
        display(&host.display),
        Display::Firmware("efifb".to_owned())
    );
}

#[test]
fn written_and_read_back_the_facts_are_the_same() {
    for name in RECORDED {
        let tree = recorded(name);
        tree.serial(0, "0x3F8", 4, 0, 1_843_200)
            .put("sys/kernel/boot_params/setup_data/0/type", "0x9\n")
            .put("sys/kernel/boot_params/setup_data/0/data", [0x5e; 32])
            .put("proc/fb", "0 EFI VGA\n")
            .put("proc/cpuinfo", "cpu MHz : 2445.426\n");
        let host = tree.read();
        assert_eq!(host.firmware.tsc_khz, Fact::Known(2_445_426));
        let again = Snapshot::from_json(&host.to_json(false)).unwrap();
        assert_eq!(again, host, "{name}");
        let redacted = Snapshot::from_json(&host.to_json(true)).unwrap();
        assert_eq!(redacted, host.redact(), "{name}");
        // The seed is nobody's business; the firmware's addresses are no secret.
        assert!(host.to_json(false).contains("5e5e5e5e"));
        assert!(!host.to_json(true).contains("5e5e"));
        assert_eq!(redacted.firmware.efi_runtime, host.firmware.efi_runtime);
        assert_eq!(
            (&redacted.serial, &redacted.display),
            (&host.serial, &host.display)
        );
        let (before, after) = (firmware_facts(&host), firmware_facts(&redacted));
        assert_eq!(before.efi, after.efi);
        assert_eq!(before.acpi_rsdp, after.acpi_rsdp);
        assert_eq!(before.display, after.display);
        assert_eq!(
            before.setup_data[0].data.len(),
            after.setup_data[0].data.len()
        );
    }
}

#[test]
fn a_snapshot_of_an_older_version_says_that_nobody_looked() {
    // What 0.1.0 wrote: cut out of today's text.
    let host = recorded("6.1-ovmf").read();
    let mut old: serde_json::Value = serde_json::from_str(&host.to_json(false)).unwrap();
    let firmware = old["firmware"].as_object_mut().unwrap();
    for name in ["efi_runtime", "setup_data", "tsc_khz"] {
        assert!(firmware.remove(name).is_some(), "{name}");
    }
    for name in ["display", "serial"] {
        assert!(
            old.as_object_mut().unwrap().remove(name).is_some(),
            "{name}"
        );
    }
    let read = Snapshot::from_json(&old.to_string()).unwrap();
    assert_eq!(read.memory, host.memory);
    assert!(read.serial.reason().unwrap().contains("did not look"));
    assert!(read.firmware.setup_data.reason().is_some());
    assert!(read.firmware.tsc_khz.reason().is_some());
    assert!(read.firmware.efi_runtime.runtime_map.reason().is_some());
    assert_eq!(firmware_facts(&read).display, Display::Unknown);
    // A part that is there with less in it, too.
    old["display"] = serde_json::json!({ "cards": { "known": ["i915"] } });
    let read = Snapshot::from_json(&old.to_string()).unwrap();
    assert_eq!(
        firmware_facts(&read).display,
        Display::Native("i915".to_owned())
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let tree = recorded("6.1-ovmf");
    tree.put("sys/kernel/boot_params/setup_data/0/type", "0x9\n")
        .put("sys/kernel/boot_params/setup_data/0/data", [0xab, 0xcd])
        .serial(0, "0x3F8", 4, 0, 1_843_200);
    let host = tree.read();
    let refused = |change: &dyn Fn(&mut Snapshot)| {
        let mut host = host.clone();
        change(&mut host);
        let read = Snapshot::from_json(&host.to_json(false));
        matches!(read, Err(SnapshotError::Impossible { .. }))
    };
    assert!(!refused(&|_| ()));
    for digits in ["abc", "zz", "\u{e9}"] {
        assert!(refused(&|host| {
            let Fact::Known(items) = &mut host.firmware.setup_data else {
                panic!()
            };
            items[0].data = Fact::Known(digits.to_owned());
        }));
    }
    assert!(refused(&|host| {
        let ports = host.serial.known().unwrap().repeat(1000);
        host.serial = Fact::Known(ports);
    }));
    assert!(refused(&|host| {
        let map = host.firmware.efi_runtime.runtime_map.known().unwrap();
        host.firmware.efi_runtime.runtime_map = Fact::Known(map.repeat(11_000));
    }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn files_with_anything_in_them_give_facts(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        text in "(0x)?[0-9a-fA-F=\n ,.]{0,40}",
        as_text in any::<bool>(),
        which in 0_usize..16,
    ) {
        let files = [
            "sys/firmware/efi/fw_vendor",
            "sys/firmware/efi/systab",
            "sys/firmware/efi/runtime-map/0/type",
            "sys/firmware/efi/runtime-map/99999999999/type",
            "sys/kernel/boot_params/setup_data/0/type",
            "sys/kernel/boot_params/setup_data/0/data",
            "sys/kernel/boot_params/data",
            "proc/fb",
            "proc/cmdline",
            "proc/cpuinfo",
            "sys/class/graphics/fb0/name",
            "sys/class/tty/ttyS0/port",
            "sys/class/tty/ttyS0/type",
            "sys/class/tty/ttyS4294967296/port",
            "sys/devices/system/cpu/cpu0/tsc_freq_khz",
            "sys/devices/system/cpu/cpu0/cpufreq/base_frequency",
        ];
        let tree = Tree::new();
        tree.serial(0, "0x3F8", 4, 0, 1_843_200);
        tree.put("sys/kernel/boot_params/setup_data/0/type", "0x3");
        let content = if as_text { text.into_bytes() } else { bytes };
        tree.put(files[which], content);
        let host = tree.read();
        let _ = (firmware_facts(&host), memory_facts(&host));
        let line = host.cmdline.known().cloned().unwrap_or_default();
        let _ = kexec_load::classic::consoles(&line, &host);
        for (redact, host) in [(false, host.clone()), (true, host.redact())] {
            let again = Snapshot::from_json(&host.to_json(redact)).unwrap();
            // (A command line that is not UTF-8 comes back as it is shown.)
            prop_assert_eq!(again.firmware, host.firmware);
            prop_assert_eq!(again.display, host.display);
            prop_assert_eq!(again.serial, host.serial);
        }
    }
}
