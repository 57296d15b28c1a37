//! Machines, kernels and requests for the tests of classic plans.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use kexec_image::{Arch, Image};
use kexec_plan::classic::{
    self, ClassicError, ClassicOptions, ClassicRequest, Display, EfiDescriptor, EfiFacts,
    FirmwareFacts, LoadPlan, Module, PurgatoryShape, RngSeed, SegmentKind, UnpackedKernel,
};
use kexec_plan::crash::{CpuNotes, CrashFacts, KernelText};
use kexec_plan::memory::{MemoryFacts, Range};
use kexec_plan::{Cmdline, Piece, planners};

pub const MIB: u64 = 1 << 20;

pub fn maps_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/maps")
}

/// All maps, by name.
pub fn map_names() -> Vec<String> {
    let folder = std::fs::read_dir(maps_folder()).unwrap();
    let mut names: Vec<String> = folder
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter_map(|n| n.strip_suffix(".txt").map(str::to_owned))
        .collect();
    names.sort();
    names
}

pub fn map(name: &str) -> MemoryFacts {
    let text = std::fs::read_to_string(maps_folder().join(format!("{name}.txt"))).unwrap();
    MemoryFacts::parse(&text).unwrap()
}

/// Bytes that are there by their number only.
pub fn piece(origin: &str, len: u64) -> Piece {
    Piece {
        origin: origin.into(),
        len: usize::try_from(len).unwrap(),
        padding: 0,
        bytes: Bytes::new(),
    }
}

/// What a test asks for; all that it does not say is a 6.12 kernel on a BIOS
/// machine.
pub struct Ask {
    pub image: Image,
    pub unpacked: Option<UnpackedKernel>,
    pub initrd: Vec<Piece>,
    pub cmdline: Cmdline,
    pub memory: MemoryFacts,
    pub firmware: FirmwareFacts,
    pub options: ClassicOptions,
    pub modules: Vec<Module>,
    pub dtb: Option<Bytes>,
    pub crash: Option<CrashFacts>,
}

impl Ask {
    pub fn new(file: Vec<u8>, memory: MemoryFacts) -> Ask {
        Ask {
            image: recognise(file),
            unpacked: None,
            initrd: vec![piece("/boot/initrd.img", 40 * MIB + 123)],
            cmdline: Cmdline::from("root=/dev/vda1 ro quiet"),
            memory,
            firmware: FirmwareFacts {
                display: Display::Text,
                ..FirmwareFacts::default()
            },
            options: ClassicOptions::default(),
            modules: Vec::new(),
            dtb: None,
            crash: None,
        }
    }

    pub fn plan(&self) -> Result<LoadPlan, ClassicError> {
        planners::plan(&ClassicRequest {
            unpacked: self.unpacked.as_ref(),
            path: "/boot/vmlinuz",
            image: &self.image,
            initrd: &self.initrd,
            modules: &self.modules,
            dtb: self.dtb.as_ref(),
            cmdline: &self.cmdline,
            arch: Arch::X86_64,
            memory: &self.memory,
            firmware: &self.firmware,
            options: &self.options,
            rng_seed: Some(RngSeed([7; 32])),
            crash: self.crash.as_ref(),
            purgatory: PurgatoryShape {
                size: 0x5000,
                align: 4096,
                entry_offset: 0,
            },
        })
    }
}

/// What a running kernel shows for a crash kernel: processors 0, 1 and 5.
pub fn crash_facts() -> CrashFacts {
    let note = |cpu: u32| CpuNotes {
        cpu,
        range: Range::sized(0x7_0000_0000 + u64::from(cpu) * 0x1000, 0x160).unwrap(),
    };
    CrashFacts {
        cpus: [0, 1, 5].map(note).to_vec(),
        vmcoreinfo: Range::sized(0x12_3000, 0x1024).unwrap(),
        kernel_text: KernelText {
            virtual_start: 0xffff_ffff_8100_0000,
            physical: Range::sized(0x100_0000, 0x280_0000).unwrap(),
        },
        direct_map: 0xffff_8880_0000_0000,
        ..CrashFacts::default()
    }
}

pub fn recognise(file: Vec<u8>) -> Image {
    kexec_image::recognise(file.into(), &kexec_image::Options::default()).unwrap()
}

/// A bzImage that is a header and little else.
#[derive(Clone)]
pub struct Bz {
    pub version: u16,
    pub protected: u32,
    pub init_size: u32,
    pub alignment: u32,
    pub pref: u64,
    pub relocatable: bool,
    pub xloadflags: u16,
    pub initrd_addr_max: u32,
    pub cmdline_size: u32,
}

impl Default for Bz {
    /// As Debian's 6.12.
    fn default() -> Bz {
        Bz {
            version: 0x20f,
            protected: 0x4000,
            init_size: 0x3c3_8000,
            alignment: 0x20_0000,
            pref: 0x100_0000,
            relocatable: true,
            xloadflags: 0x7f,
            initrd_addr_max: 0x7fff_ffff,
            cmdline_size: 2047,
        }
    }
}

impl Bz {
    pub fn build(&self) -> Vec<u8> {
        let mut f = vec![0x90; 1024];
        f[0x1f1..0x26c].fill(0);
        let mut put = |at: usize, bytes: &[u8]| f[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x1f1, &[1]);
        put(0x1f4, &(self.protected / 16).to_le_bytes());
        put(0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]);
        put(0x202, b"HdrS");
        put(0x206, &self.version.to_le_bytes());
        put(0x211, &[0x83]);
        put(0x214, &0x10_0000_u32.to_le_bytes());
        put(0x22c, &self.initrd_addr_max.to_le_bytes());
        put(0x230, &self.alignment.to_le_bytes());
        put(0x234, &[u8::from(self.relocatable), 0x15]);
        put(0x236, &self.xloadflags.to_le_bytes());
        put(0x238, &self.cmdline_size.to_le_bytes());
        put(0x258, &self.pref.to_le_bytes());
        put(0x260, &self.init_size.to_le_bytes());
        f.resize(1024 + usize::try_from(self.protected).unwrap(), 0x90);
        f
    }
}

/// One segment of an ELF file to be: physical and virtual address, content,
/// size in memory.
pub struct Load(pub u64, pub u64, pub Vec<u8>, pub u64);

/// An ELF file; with `linux` it has the kernel's note.
pub fn elf(wide: bool, entry: u64, loads: &[Load], linux: bool, head: &[u8]) -> Vec<u8> {
    let (eh, ph) = if wide { (64, 56) } else { (52, 32) };
    let count = loads.len() + usize::from(linux);
    let mut f = vec![0_u8; eh];
    f[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1, 1]);
    let number = |v: u64| match wide {
        true => v.to_le_bytes().to_vec(),
        false => u32::try_from(v).unwrap().to_le_bytes().to_vec(),
    };
    let half = |v: usize| u16::try_from(v).unwrap().to_le_bytes();
    f[16..18].copy_from_slice(&half(2));
    f[18..20].copy_from_slice(&half(if wide { 62 } else { 3 }));
    f[20] = 1;
    let at_entry = 24;
    let width = number(0).len();
    f[at_entry..at_entry + width].copy_from_slice(&number(entry));
    let phoff = u64::try_from(eh).unwrap();
    f[at_entry + width..at_entry + 2 * width].copy_from_slice(&number(phoff));
    let sizes = at_entry + 3 * width + 4;
    f[sizes..sizes + 2].copy_from_slice(&half(eh));
    f[sizes + 2..sizes + 4].copy_from_slice(&half(ph));
    f[sizes + 4..sizes + 6].copy_from_slice(&half(count));
    f.resize(eh + ph * count, 0);
    f.extend(head);
    f.resize(f.len().next_multiple_of(16), 0);
    let mut headers = Vec::new();
    let mut header = |kind: u32, offset: usize, l: &Load| {
        let offset = u64::try_from(offset).unwrap();
        let filesz = u64::try_from(l.2.len()).unwrap();
        headers.extend(kind.to_le_bytes());
        if wide {
            headers.extend(7_u32.to_le_bytes());
        }
        for v in [offset, l.1, l.0, filesz, l.3] {
            headers.extend(number(v));
        }
        if !wide {
            headers.extend(7_u32.to_le_bytes());
        }
        headers.extend(number(0));
    };
    for load in loads {
        header(1, f.len(), load);
        f.extend(&load.2);
    }
    if linux {
        let mut note = Vec::new();
        note.extend([6_u32, 4, 0x100].iter().flat_map(|w| w.to_le_bytes()));
        note.extend(b"Linux\0\0\0salt");
        let size = u64::try_from(note.len()).unwrap();
        header(4, f.len(), &Load(0, 0, note.clone(), size));
        f.extend(note);
    }
    f[eh..eh + headers.len()].copy_from_slice(&headers);
    f
}

/// A vmlinux as Linux is linked: text, data, per-CPU data at virtual 0, init.
pub fn vmlinux() -> Vec<u8> {
    const BASE: u64 = 0xffff_ffff_8000_0000;
    let at = |paddr: u64, len: usize, memsz: u64| Load(paddr, BASE + paddr, vec![0x90; len], memsz);
    let loads = [
        at(0x100_0000, 0x3000, 0x3000),
        at(0x200_0000, 0x1000, 0x1000),
        Load(0x220_0000, 0, vec![1; 0x800], 0x800),
        at(0x222_0000, 0x1000, 0x80_0000),
    ];
    elf(true, 0x222_0100, &loads, true, &[])
}

/// A 32-bit ELF file with a multiboot header of version 1 (bits 0 and 1).
pub fn multiboot1() -> Vec<u8> {
    let flags = 3_u32;
    let sum = 0_u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
    let head: Vec<u8> = [0x1bad_b002, flags, sum]
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect();
    let loads = [
        Load(0x20_0000, 0x20_0000, vec![0x90; 0x1234], 0x2_0000),
        Load(0x40_0000, 0xc040_0000, vec![0x90; 0x10], 0x10),
    ];
    elf(false, 0x20_0010, &loads, false, &head)
}

/// A 32-bit ELF file with a multiboot2 header; `relocatable` as min, max,
/// align, preference.
pub fn multiboot2(relocatable: Option<[u32; 4]>) -> Vec<u8> {
    let mut tags = Vec::new();
    if let Some(limits) = relocatable {
        tags.extend([10_u32, 24]);
        tags.extend(limits);
    }
    tags.extend([0_u32, 8]);
    let len = u32::try_from(16 + 4 * tags.len()).unwrap();
    let sum = 0_u32.wrapping_sub(0xe852_50d6).wrapping_sub(len);
    let words: Vec<u32> = [0xe852_50d6, 0, len, sum].into_iter().chain(tags).collect();
    // At a multiple of 8: the header of an ELF file with one segment has 84.
    let head: Vec<u8> = [0_u32]
        .into_iter()
        .chain(words)
        .flat_map(|w| w.to_le_bytes())
        .collect();
    let load = Load(0x20_0000, 0x20_0000, vec![0x90; 0x1000], 0x10_0000);
    elf(false, 0x20_0040, &[load], false, &head)
}

/// EFI facts as OVMF has them.
pub fn ovmf() -> (FirmwareFacts, EfiFacts) {
    let lab = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../kexec-lab/fixtures/machines/7.x-ovmf");
    let params = std::fs::read(lab.join("boot_params")).unwrap();
    let map = std::fs::read_to_string(lab.join("efi-runtime-map")).unwrap();
    let number = |t: &str| u64::from_str_radix(t.trim_start_matches("0x"), 16).unwrap();
    let line = |line: &str| {
        let v: Vec<u64> = line.split(' ').map(number).collect();
        EfiDescriptor {
            kind: u32::try_from(v[0]).unwrap(),
            physical: v[1],
            virtual_address: v[2],
            pages: v[3],
            attribute: v[4],
        }
    };
    let efi = EfiFacts {
        fw_vendor: 0x7f98_9b98,
        runtime: 0x7f9e_cb98,
        config_table: 0x7f9e_cc98,
        smbios: Some(0x7f98_8000),
        runtime_map: map.lines().map(line).collect(),
    };
    let facts = FirmwareFacts {
        boot_params: Some(params.into()),
        acpi_rsdp: Some(0x7fb7_e014),
        efi: Some(efi.clone()),
        display: Display::Firmware("simpledrm".into()),
        ..FirmwareFacts::default()
    };
    (facts, efi)
}

/// A plan as text, without bytes.
pub fn show(plan: &Result<LoadPlan, ClassicError>) -> String {
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => return format!("refused: {error}\nhint: {}\n", error.remedy()),
    };
    let mut out = String::new();
    let p = &plan.purgatory;
    let e = &p.exit;
    writeln!(out, "{} ({})", plan.method, plan.format).unwrap();
    for s in &plan.segments {
        let (kind, name) = (format!("{:?}", s.kind), &s.name);
        let (len, check) = (s.content_len(), s.check_len);
        let Range { start, end } = s.memory;
        writeln!(
            out,
            "{start:>14x}..{end:<14x} {name:<12} {kind:<12} content {len:#x} check {check:#x}"
        )
        .unwrap();
        for part in &s.parts {
            writeln!(
                out,
                "    {:>14x}..{:<14x} {}",
                part.range.start, part.range.end, part.name
            )
            .unwrap();
        }
    }
    writeln!(
        out,
        "entry {:#x}, purgatory leaves to {:#x} {:?}",
        plan.entry, e.rip, e.mode
    )
    .unwrap();
    writeln!(out, "rax {:#x} rbx {:#x} rsi {:#x}", e.rax, e.rbx, e.rsi).unwrap();
    for c in &p.checks {
        writeln!(out, "checks {} {:#x}+{:#x}", c.name, c.start, c.len).unwrap();
    }
    writeln!(out, "total {} of {}", plan.total, plan.limit).unwrap();
    let (free, map) = (&plan.destinations.free, &plan.memory_map);
    writeln!(
        out,
        "free {} ranges, {} bytes; {} kept",
        free.len(),
        free.total(),
        plan.destinations.kept.len()
    )
    .unwrap();
    writeln!(out, "map for the next kernel: {} entries", map.len()).unwrap();
    if map.len() < 30 {
        for m in map {
            writeln!(
                out,
                "    {:>14x}..{:<14x} {}",
                m.range.start,
                m.range.end,
                m.kind.name()
            )
            .unwrap();
        }
    }
    for note in &plan.notes {
        writeln!(out, "note: {note}").unwrap();
    }
    out
}

/// What must hold for every plan.
pub fn assert_sound(plan: &LoadPlan, memory: &MemoryFacts) {
    assert!(plan.segments.len() <= classic::SEGMENT_MAX);
    let mut last = 0;
    let mut total = 0;
    for s in &plan.segments {
        assert!(s.memory.start >= last, "{} overlaps", s.name);
        assert_eq!(
            (s.memory.start % 4096, s.memory.end % 4096),
            (0, 0),
            "{}",
            s.name
        );
        assert!(!s.memory.is_empty());
        assert!(
            plan.destinations.free.covers(s.memory),
            "{} is not on free memory",
            s.name
        );
        assert!(s.content_len() <= s.memory.len(), "{}", s.name);
        assert!(s.check_len <= s.memory.len(), "{}", s.name);
        assert!(
            s.parts.iter().all(|p| s.memory.covers(p.range)),
            "{} {:?}",
            s.name,
            s.parts
        );
        last = s.memory.end;
        total += s.memory.len();
        // Not by the planner's own sets: line by line.
        for r in &memory.iomem {
            let mine = ["Kernel code", "Kernel rodata", "Kernel data", "Kernel bss"];
            let ram = r.depth == 0 && r.name == "System RAM";
            if !ram && !mine.contains(&r.name.as_str()) {
                assert!(!r.range.overlaps(s.memory), "{} on {}", s.name, r.name);
            }
        }
        for (range, kind) in &memory.firmware {
            assert!(
                kind.trim().eq_ignore_ascii_case("System RAM") || !range.overlaps(s.memory),
                "{} on {kind}",
                s.name
            );
        }
    }
    assert_eq!(total, plan.total);
    assert!(plan.total <= plan.limit && plan.limit <= memory.total / 2);
    let p = &plan.segments[plan.purgatory.segment];
    assert_eq!(
        (p.kind, p.memory.start),
        (SegmentKind::Purgatory, plan.purgatory.base)
    );
    for c in &plan.purgatory.checks {
        let s = &plan.segments[c.segment];
        assert_eq!((c.start, c.len), (s.memory.start, s.check_len));
        assert_ne!(s.kind, SegmentKind::Purgatory);
    }
    assert!(
        plan.memory_map
            .windows(2)
            .all(|w| w[0].range.end <= w[1].range.start)
    );
}

/// What the processor finds at `address` through the tables at `base`: none, or the
/// physical address. Of `levels` the lowest maps pages of 2 MiB.
#[allow(dead_code)]
pub fn walk(tables: &[u8], base: u64, levels: u32, address: u64) -> Option<u64> {
    let mut table = base;
    for level in (0..levels).rev() {
        let index = (address >> (21 + 9 * level)) & 511;
        let at = usize::try_from(table - base + 8 * index).unwrap();
        let entry = u64::from_le_bytes(tables[at..at + 8].try_into().unwrap());
        if entry & 1 == 0 {
            return None;
        }
        if entry & 0x80 != 0 {
            assert_eq!(level, 0);
            return Some((entry & !0xfff) | (address & (2 * MIB - 1)));
        }
        table = entry & !0xfff;
    }
    None
}
