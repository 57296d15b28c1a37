//! `boot_params` byte by byte. Offsets are written out here on purpose: from
//! Documentation/arch/x86/zero-page.rst and boot.rst, not from the planner.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Ask, Bz, map, ovmf, piece};
use kexec_plan::Cmdline;
use kexec_plan::classic::{
    ClassicError, Display, ImaList, LoadPlan, Segment, SegmentKind, SetupItem,
};

struct Dump(Vec<u8>, u64);

impl Dump {
    fn of(plan: &LoadPlan) -> Dump {
        let segment = plan.segment(SegmentKind::Parameters).unwrap();
        Dump(segment.bytes().to_vec(), segment.memory.start)
    }
    fn u8(&self, at: usize) -> u8 {
        self.0[at]
    }
    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.0[at..at + 2].try_into().unwrap())
    }
    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap())
    }
    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().unwrap())
    }
    /// A pointer in two halves.
    fn wide(&self, low: usize, high: usize) -> u64 {
        u64::from(self.u32(low)) | u64::from(self.u32(high)) << 32
    }
    fn offset(&self, address: u64) -> usize {
        usize::try_from(address - self.1).unwrap()
    }
    /// The items of the setup_data list: type and data.
    fn items(&self) -> Vec<(u32, Vec<u8>)> {
        let mut items = Vec::new();
        let mut next = self.u64(0x250);
        while next != 0 {
            let at = self.offset(next);
            let len = usize::try_from(self.u32(at + 12)).unwrap();
            items.push((self.u32(at + 8), self.0[at + 16..at + 16 + len].to_vec()));
            next = self.u64(at);
        }
        items
    }
    fn item(&self, kind: u32) -> Option<Vec<u8>> {
        self.items()
            .into_iter()
            .find(|(k, _)| *k == kind)
            .map(|(_, d)| d)
    }
}

fn words(data: &[u8]) -> Vec<u64> {
    data.chunks(8)
        .map(|c| u64::from_le_bytes(c.try_into().unwrap()))
        .collect()
}

fn start(plan: &LoadPlan, kind: SegmentKind) -> u64 {
    plan.segment(kind).unwrap().memory.start
}

#[test]
fn the_header_is_copied_and_filled_in() {
    let file = Bz::default().build();
    let mut ask = Ask::new(file.clone(), map("6g"));
    ask.initrd = vec![piece("a", 5 << 20), piece("b", 3 << 20)];
    ask.initrd[0].padding = 3;
    let plan = ask.plan().unwrap();
    let p = Dump::of(&plan);
    // Not touched by anybody: size, version, alignment, xloadflags, pref_address, init_size.
    for range in [
        0x1f1..0x1f2,
        0x1f4..0x1f8,
        0x1fe..0x210,
        0x22c..0x23c,
        0x258..0x26c,
    ] {
        assert_eq!(p.0[range.clone()], file[range.clone()], "{range:x?}");
    }
    // Nothing from behind the header.
    assert!(p.0[0x26c..0x290].iter().all(|b| *b == 0));
    assert_eq!(p.u8(0x1ef), 0, "sentinel");
    assert_eq!(p.u8(0x210), 0xd0, "type_of_loader");
    assert_eq!((p.u8(0x226), p.u8(0x227)), (0, 0), "ext_loader");
    // LOADED_HIGH stays, KASLR_FLAG and CAN_USE_HEAP go, QUIET_FLAG for `quiet`.
    assert_eq!(p.u8(0x211), 0x21, "loadflags");
    let initrd = plan.segment(SegmentKind::Initrd).unwrap();
    assert_eq!(p.wide(0x218, 0xc0), initrd.memory.start);
    assert_eq!(p.wide(0x21c, 0xc4), (8 << 20) + 3);
    assert!(initrd.memory.start > 1 << 32, "the halves are tested");
    let cmdline = p.offset(p.wide(0x228, 0xc8));
    assert_eq!(&p.0[cmdline..cmdline + 24], b"root=/dev/vda1 ro quiet\0");
    assert_eq!(plan.purgatory.exit.rsi, p.1);
    assert_eq!(
        plan.purgatory.exit.rip,
        start(&plan, SegmentKind::Kernel) + 0x200
    );
}

#[test]
fn code32_start_and_flags() {
    let mut ask = Ask::new(Bz::default().build(), map("tiny-256m"));
    ask.cmdline = Cmdline::from("root=/dev/vda1 -- quiet");
    ask.initrd.clear();
    let plan = ask.plan().unwrap();
    let p = Dump::of(&plan);
    assert_eq!(p.u8(0x211), 1, "quiet is init's here");
    assert_eq!(u64::from(p.u32(0x214)), start(&plan, SegmentKind::Kernel));
    assert_eq!((p.wide(0x218, 0xc0), p.wide(0x21c, 0xc4)), (0, 0));
}

#[test]
fn e820_and_sizes() {
    let plan = Ask::new(Bz::default().build(), map("6g")).plan().unwrap();
    let p = Dump::of(&plan);
    assert_eq!(p.u8(0x1e8), 6);
    let entry = |n: usize| {
        (
            p.u64(0x2d0 + n * 20),
            p.u64(0x2d8 + n * 20),
            p.u32(0x2e0 + n * 20),
        )
    };
    assert_eq!(entry(0), (0, 0x9fc00, 1));
    assert_eq!(entry(1), (0x9fc00, 0x400, 2));
    assert_eq!(entry(5), (0x1_0000_0000, 3 << 30, 1));
    assert_eq!(entry(6), (0, 0, 0));
    // RAM behind 1 MiB: 0xbffe0000 - 1 MiB.
    assert_eq!(p.u32(0x1e0), (0xbffe_0000 - (1 << 20)) / 1024, "alt_mem_k");
    assert_eq!(p.u16(0x02), 0xfc00, "ext_mem_k");
}

#[test]
fn types_of_memory_survive() {
    let plan = Ask::new(Bz::default().build(), map("soft-reserved-pmem"))
        .plan()
        .unwrap();
    let p = Dump::of(&plan);
    let count = usize::from(p.u8(0x1e8));
    let types: Vec<u32> = (0..count).map(|n| p.u32(0x2d0 + n * 20 + 16)).collect();
    // Both legacy ranges: neighbours are not joined.
    assert_eq!(types, [1, 2, 2, 1, 2, 1, 0xefff_ffff, 7, 12, 12]);
}

#[test]
fn random_seed_is_there_once() {
    let ask = Ask::new(Bz::default().build(), map("6g"));
    let p = Dump::of(&ask.plan().unwrap());
    assert_eq!(p.items(), [(9, vec![7; 32])]);
}

#[test]
fn efi_runtime_services() {
    let mut ask = Ask::new(Bz::default().build(), map("qemu-7.x-ovmf"));
    let (firmware, efi) = ovmf();
    ask.firmware = firmware;
    let plan = ask.plan().unwrap();
    let p = Dump::of(&plan);
    assert_eq!(&p.0[0x1c0..0x1c4], b"EL64");
    // The system table stays where it was.
    let running = ask.firmware.boot_params.clone().unwrap();
    assert_eq!(p.0[0x1c4..0x1c8], running[0x1c4..0x1c8]);
    assert_eq!((p.u32(0x1c8), p.u32(0x1cc)), (40, 1), "descriptors");
    assert_eq!(p.u32(0x1d4), 6 * 40, "efi_memmap_size");
    let memmap = p.offset(p.wide(0x1d0, 0x1dc));
    for (n, d) in efi.runtime_map.iter().enumerate() {
        let at = memmap + n * 40;
        assert_eq!(p.u32(at), d.kind);
        assert_eq!(p.u64(at + 8), d.physical);
        assert_eq!(p.u64(at + 16), d.virtual_address);
        assert_eq!(p.u64(at + 24), d.pages);
        assert_eq!(p.u64(at + 32), d.attribute);
    }
    let setup = words(&p.item(4).unwrap());
    let mut expected = vec![
        efi.fw_vendor,
        efi.runtime,
        efi.config_table,
        efi.smbios.unwrap(),
    ];
    expected.resize(12, 0);
    assert_eq!(setup, expected);
    assert_eq!(p.u64(0x70), 0x7fb7_e014, "acpi_rsdp_addr from systab");
    assert_eq!(p.u8(0x1ec), running[0x1ec], "secure_boot");
    assert_ne!(p.u8(0x1ec), 0, "the recording has a state");
}

#[test]
fn no_efi_for_who_cannot_or_must_not() {
    let with = |change: fn(&mut Ask)| {
        let mut ask = Ask::new(Bz::default().build(), map("qemu-7.x-ovmf"));
        ask.firmware = ovmf().0;
        change(&mut ask);
        let plan = ask.plan().unwrap();
        let p = Dump::of(&plan);
        assert!(p.0[0x1c0..0x1e0].iter().all(|b| *b == 0));
        assert_eq!(p.item(4), None);
        // Without EFI the tables of ACPI can only be found like this.
        assert_eq!(p.u64(0x70), 0x7fb7_e014);
        plan.notes
            .iter()
            .find(|n| n.contains("no EFI runtime services"))
            .unwrap()
            .clone()
    };
    assert!(with(|a| a.options.no_efi = true).contains("--noefi"));
    let old = Bz {
        xloadflags: 0x63,
        ..Bz::default()
    };
    let old_kernel = |a: &mut Ask| {
        a.image = common::recognise(
            Bz {
                xloadflags: 0x63,
                ..Bz::default()
            }
            .build(),
        )
    };
    assert_eq!(old.xloadflags & 0x10, 0);
    assert!(with(old_kernel).contains("XLF_EFI_KEXEC"));
    assert!(with(|a| a.firmware.efi = None).contains("does not use"));
}

/// The running kernel's boot_params with this and that in them.
fn running(changes: &[(usize, &[u8])]) -> bytes::Bytes {
    let mut p = vec![0; 4096];
    for (at, bytes) in changes {
        p[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    p.into()
}

#[test]
fn what_the_bios_told_is_handed_on() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    ask.firmware.boot_params = Some(running(&[
        (0x70, &0xf_52d0_u64.to_le_bytes()),
        (0x13c, &0x7f00_0000_u32.to_le_bytes()),
        // Counts that do not fit into the tables.
        (0x1e9, &[200, 255]),
        (0x1ec, &[3]),
        (0x23c, &4_u32.to_le_bytes()),
        (0x290, &[0xaa; 0x40]),
        (0xd00, &[0xbb; 0x1ec]),
        // What must not be copied.
        (0x58, &[0xcc; 8]),
        (0x1ef, &[0xff]),
        (0x250, &[0xdd; 8]),
    ]));
    ask.firmware.acpi_rsdp = Some(1);
    let p = Dump::of(&ask.plan().unwrap());
    assert_eq!(p.u64(0x70), 0xf_52d0);
    assert_eq!(p.u32(0x13c), 0x7f00_0000);
    assert_eq!((p.u8(0x1e9), p.u8(0x1ea)), (6, 16));
    assert_eq!(p.u8(0x1ec), 3);
    assert_eq!(p.u32(0x23c), 4);
    assert!(p.0[0x290..0x2d0].iter().all(|b| *b == 0xaa));
    assert!(p.0[0xd00..0xeec].iter().all(|b| *b == 0xbb));
    assert!(p.0[0xeec..0x1000].iter().all(|b| *b == 0));
    assert_eq!((p.u64(0x58), p.u8(0x1ef)), (0, 0));
    assert_eq!(p.items().len(), 1);
    // A file that was cut off gives what it has.
    ask.firmware.boot_params = Some(running(&[]).slice(..100));
    ask.plan().unwrap();
}

#[test]
fn the_screen_only_while_the_firmwares_framebuffer_is_in_use() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    let mut edid = [0x55; 0x80];
    edid[..8].copy_from_slice(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    let screen: &[(usize, &[u8])] = &[
        (0x0f, &[0x70]),
        (0x12, &1024_u16.to_le_bytes()),
        (0x14, &768_u16.to_le_bytes()),
        (0x18, &0xc000_0000_u32.to_le_bytes()),
        (0x140, &edid),
    ];
    ask.firmware.boot_params = Some(running(screen));
    ask.firmware.display = Display::Firmware("efifb".into());
    let p = Dump::of(&ask.plan().unwrap());
    assert_eq!(
        (p.u8(0x0f), p.u16(0x12), p.u32(0x18)),
        (0x70, 1024, 0xc000_0000)
    );
    assert_eq!(p.0[0x140..0x1c0], edid);
    ask.firmware.display = Display::Native("bochs-drm".into());
    let plan = ask.plan().unwrap();
    let p = Dump::of(&plan);
    assert_eq!((p.u8(0x0f), p.u16(0x12), p.u32(0x18)), (0, 0, 0));
    assert!(
        plan.notes.iter().any(|n| n.contains("bochs-drm")),
        "{:?}",
        plan.notes
    );
    ask.options.reuse_video_type = true;
    assert_eq!(Dump::of(&ask.plan().unwrap()).u8(0x0f), 0x70);
}

#[test]
fn measurements_of_ima_and_other_items() {
    let mut ask = Ask::new(Bz::default().build(), map("6g"));
    ask.firmware.ima = Some(ImaList {
        measurements: vec![0x77; 5000].into(),
        count: 21,
    });
    let item = |kind: u32, byte: u8| SetupItem {
        kind,
        data: vec![byte; 4].into(),
    };
    // The e820 extension and the seed of the first boot are not handed on.
    ask.firmware.setup_data = vec![item(7, 1), item(3, 2), item(1, 3), item(9, 4), item(4, 5)];
    // A tree of 16 bytes, and something behind it in the file.
    let tree = [0xd00d_feed_u32, 16, 0, 0].map(u32::to_be_bytes).concat();
    ask.dtb = Some([tree.as_slice(), b"behind"].concat().into());
    let plan = ask.plan().unwrap();
    let p = Dump::of(&plan);
    let kinds: Vec<u32> = p.items().iter().map(|(k, _)| *k).collect();
    assert_eq!(kinds, [8, 2, 7, 3, 9]);
    assert_eq!(p.item(7), Some(vec![1; 4]));
    assert_eq!(p.item(9), Some(vec![7; 32]));
    assert_eq!(p.item(2), Some(tree));
    let ima: &Segment = plan.segment(SegmentKind::Measurements).unwrap();
    assert_eq!(words(&p.item(8).unwrap()), [ima.memory.start, 5024]);
    let buffer = ima.bytes();
    assert_eq!(buffer[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(words(&buffer[8..24]), [5024, 21]);
    assert_eq!(buffer.len(), 5024);
}

#[test]
fn a_vmlinux_gets_a_header_that_kernels_accept() {
    let mut ask = Ask::new(common::vmlinux(), map("6g"));
    let plan = ask.plan().unwrap();
    let p = Dump::of(&plan);
    assert_eq!((p.u16(0x1fe), &p.0[0x202..0x206]), (0xaa55, &b"HdrS"[..]));
    assert_eq!(p.u16(0x206), 0x20f);
    assert_eq!((p.u8(0x210), p.u8(0x211)), (0xd0, 0x21));
    assert_eq!(p.u32(0x238), 2047);
    assert_eq!(plan.purgatory.exit.rip, 0x222_0100);
    assert_eq!(plan.purgatory.exit.rsi, p.1);
    ask.cmdline = Cmdline::from("x".repeat(2048).as_str());
    let error = ask.plan().unwrap_err();
    assert_eq!(
        error,
        ClassicError::CmdlineTooLong {
            len: 2048,
            max: 2047
        }
    );
    ask.cmdline = Cmdline::from("x".repeat(2047).as_str());
    ask.plan().unwrap();
}
