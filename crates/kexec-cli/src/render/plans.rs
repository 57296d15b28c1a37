//! Classic plans for tests, over the maps of real machines that kexec-plan's
//! tests have.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use kexec_image::Arch;
use kexec_load::initrd::unpack::UnpackedPart;
use kexec_load::pipeline::Prepared;
use kexec_load::unpacked::Unpacked;
use kexec_plan::classic::{
    ClassicOptions, ClassicRequest, FirmwareFacts, LoadPlan, Module, PurgatoryShape, RngSeed,
};
use kexec_plan::memory::MemoryFacts;
use kexec_plan::unpack::cost::PartForm;
use kexec_plan::{Cmdline, FileRequest, MethodFacts, Piece, file, method, planners};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../kexec-plan/tests/maps")
}

/// All maps, by name.
pub fn map_names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter_map(|n| n.strip_suffix(".txt").map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// What a test asks for.
pub struct Ask {
    pub file: Vec<u8>,
    pub path: String,
    pub cmdline: Cmdline,
    pub initrd: Vec<Piece>,
    pub memory: MemoryFacts,
    pub options: ClassicOptions,
    pub modules: Vec<Module>,
}

impl Ask {
    /// A bzImage with an initrd on a map.
    pub fn new(map: &str) -> Ask {
        let text = std::fs::read_to_string(folder().join(format!("{map}.txt"))).unwrap();
        Ask {
            file: bzimage(),
            path: "/boot/vmlinuz".into(),
            cmdline: "root=/dev/vda1 ro quiet".into(),
            initrd: vec![piece("/boot/initrd.img", 40 << 20)],
            memory: MemoryFacts::parse(&text).unwrap(),
            options: ClassicOptions::default(),
            modules: Vec::new(),
        }
    }

    /// The same with a multiboot kernel and a module.
    pub fn multiboot(map: &str) -> Ask {
        Ask {
            file: multiboot(),
            initrd: vec![piece("/boot/initrd.img", 4 << 20)],
            modules: vec![Module {
                path: "/boot/vmlinuz".into(),
                string: "/boot/vmlinuz console=hvc0".into(),
                bytes: vec![1; 5000].into(),
            }],
            ..Ask::new(map)
        }
    }

    pub fn plan(&self) -> LoadPlan {
        let file = self.file.clone().into();
        let image = kexec_image::recognise(file, &kexec_image::Options::default()).unwrap();
        planners::plan(&ClassicRequest {
            path: &self.path,
            image: &image,
            unpacked: None,
            initrd: &self.initrd,
            modules: &self.modules,
            dtb: None,
            cmdline: &self.cmdline,
            arch: Arch::X86_64,
            memory: &self.memory,
            firmware: &FirmwareFacts::default(),
            options: &self.options,
            rng_seed: Some(RngSeed([7; 32])),
            crash: None,
            purgatory: PurgatoryShape {
                size: 0x5000,
                align: 4096,
                entry_offset: 0x40,
            },
        })
        .unwrap()
    }
}

/// A load through `kexec_file_load(2)` with an initrd.
pub fn prepared() -> Prepared {
    let image = kexec_image::recognise(bzimage().into(), &kexec_image::Options::default());
    let image = image.unwrap();
    let mut plan = file::parts(&FileRequest {
        path: "/boot/vmlinuz",
        image: &image,
        initrds: &[],
        entry: None,
        append: Some(&"root=/dev/vda1 ro quiet".into()),
        reuse: false,
        running: &Cmdline::default(),
        mark: None,
        crash: false,
    });
    plan.initrd = vec![piece("/boot/initrd.img", 40 << 20)];
    Prepared {
        image,
        proofs: Ok(Vec::new()),
        decision: method::decide(&MethodFacts::default()),
        initrds: plan.initrd.clone(),
        unpacked: Default::default(),
        plan,
        placed: None,
        config: Default::default(),
        findings: Vec::new(),
    }
}

/// What was unpacked of an initrd: one part that was, one that was not.
pub fn unpacked() -> Unpacked {
    let part = UnpackedPart {
        origin: "/boot/initrd.img".to_owned(),
        at: 512,
        codec: Some("zstd".to_owned()),
        packed: 40 << 20,
        unpacked: Some(120 << 20),
        form: PartForm::Raw,
        handed: 120 << 20,
        why: "it is cheapest".to_owned(),
    };
    let kept = UnpackedPart {
        codec: None,
        unpacked: None,
        form: PartForm::Packed,
        handed: 40 << 20,
        why: "kexec does not unpack it".to_owned(),
        ..part.clone()
    };
    let mut unpacked = Unpacked::default();
    unpacked.initrd.parts = vec![part, kept];
    unpacked
}

/// Bytes that are there by their number only.
pub fn piece(origin: &str, len: usize) -> Piece {
    Piece {
        origin: origin.into(),
        len,
        padding: 0,
        bytes: Vec::new().into(),
    }
}

/// A bzImage that is a header and little else, with the numbers of Debian's
/// 6.12.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0x90; 1024 + 0x4000];
    let mut put = |at: usize, bytes: &[u8]| {
        let to = file.iter_mut().skip(at);
        to.zip(bytes).for_each(|(to, byte)| *to = *byte);
    };
    put(0x1f1, &[0; 0x26c - 0x1f1]);
    put(0x1f1, &[1]);
    put(0x1f4, &0x400_u32.to_le_bytes());
    put(0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]);
    put(0x202, b"HdrS\x0f\x02");
    put(0x211, &[0x83]);
    put(0x214, &0x10_0000_u32.to_le_bytes());
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x230, &0x20_0000_u32.to_le_bytes());
    put(0x234, &[1, 0x15, 0x7f, 0]);
    put(0x238, &2047_u32.to_le_bytes());
    put(0x258, &0x100_0000_u64.to_le_bytes());
    put(0x260, &0x3c3_8000_u32.to_le_bytes());
    file
}

/// A 32-bit ELF file with a multiboot header of version 1 and two program
/// headers.
fn multiboot() -> Vec<u8> {
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1];
    file.resize(16, 0);
    file.extend([2, 0, 3, 0]);
    file.extend(words(&[1, 0x20_0010, 52, 0, 0]));
    file.extend([52, 0, 32, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(words(&[
        1, 0x200, 0x20_0000, 0x20_0000, 0x1234, 0x2_0000, 7, 0,
    ]));
    file.extend(words(&[
        1,
        0x1600,
        0xc040_0000,
        0x40_0000,
        0x10,
        0x10,
        7,
        0,
    ]));
    let flags = 3_u32;
    file.extend(words(&[
        0x1bad_b002,
        flags,
        0_u32.wrapping_sub(0x1bad_b002 + flags),
    ]));
    file.resize(0x1610, 0x90);
    file
}
