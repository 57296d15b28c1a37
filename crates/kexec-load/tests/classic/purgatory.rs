//! The digests that go into the purgatory, against a computation over the
//! memory as it will be.
#![cfg(target_arch = "x86_64")]

use std::sync::OnceLock;

use bytes::Bytes;
use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_image::{Arch, Options, recognise};
use kexec_load::classic::{
    PurgatoryFailure, PurgatoryOptions, consoles, firmware_facts, memory_facts, purgatory,
    purgatory_shape, tsc_khz,
};
use kexec_machine::Snapshot;
use kexec_plan::classic::{
    ClassicOptions, ClassicRequest, ExitMode, Integrity, LoadPlan, RngSeed, SegmentKind,
};
use kexec_plan::memory::Range;
use kexec_plan::{Cmdline, Piece, planners};
use kexec_purgatory::Crc32c;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::machine::{RECORDED, recorded};

fn piece(len: usize, padding: usize) -> Piece {
    let byte = |i: usize| u8::try_from(i % 251).unwrap();
    Piece {
        origin: "/boot/initrd.img".to_owned(),
        len,
        padding,
        bytes: (0..len).map(byte).collect::<Vec<u8>>().into(),
    }
}

fn plan(machine: &str, integrity: Integrity) -> LoadPlan {
    plan_on(&recorded(machine).read(), integrity)
}

fn plan_on(host: &Snapshot, integrity: Integrity) -> LoadPlan {
    let image = recognise(BzImageBuilder::new().build().into(), &Options::default()).unwrap();
    planners::plan(&ClassicRequest {
        path: "/boot/vmlinuz",
        image: &image,
        unpacked: None,
        initrd: &[piece(10_001, 3), piece(5000, 0)],
        modules: &[],
        dtb: None,
        cmdline: &Cmdline::from("console=ttyS0,115200 quiet"),
        arch: Arch::X86_64,
        memory: &memory_facts(host),
        firmware: &firmware_facts(host),
        options: &ClassicOptions {
            integrity,
            ..ClassicOptions::default()
        },
        rng_seed: Some(RngSeed([7; 32])),
        crash: None,
        purgatory: purgatory_shape().unwrap(),
    })
    .unwrap()
}

static HOST: OnceLock<Snapshot> = OnceLock::new();

fn finish(plan: &mut LoadPlan) -> Result<Bytes, PurgatoryFailure> {
    let host = HOST.get_or_init(|| recorded("6.12-seabios").read());
    let consoles = consoles(&plan.cmdline, host);
    purgatory(plan, &consoles, tsc_khz(host), &PurgatoryOptions::default())?;
    Ok(plan.segment(SegmentKind::Purgatory).unwrap().bytes())
}

/// The memory of a segment at the jump, byte by byte.
fn memory(plan: &LoadPlan, segment: usize) -> Vec<u8> {
    let segment = &plan.segments[segment];
    let mut bytes = segment.bytes().to_vec();
    bytes.resize(usize::try_from(segment.memory.len()).unwrap(), 0);
    bytes
}

/// What a region looks like in the purgatory's parameters (abi.rs).
fn region(start: u64, len: u64, check: u32, name: &str, expected: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    raw.extend(start.to_le_bytes());
    raw.extend(len.to_le_bytes());
    raw.extend(check.to_le_bytes());
    raw.extend([0; 4]);
    raw.extend(name.bytes().take(16));
    raw.resize(40, 0);
    raw.extend(expected);
    raw.resize(72, 0);
    raw
}

fn contains(image: &[u8], part: &[u8]) -> bool {
    image.windows(part.len()).any(|window| window == part)
}

/// That all digests in `image` are those of the memory.
fn assert_digests(plan: &LoadPlan, image: &[u8]) {
    assert!(!plan.purgatory.checks.is_empty());
    for check in &plan.purgatory.checks {
        let memory = memory(plan, check.segment);
        let checked = &memory[..usize::try_from(check.len).unwrap()];
        let (kind, expected) = match plan.purgatory.integrity {
            Integrity::Crc32c => (1, Crc32c::of(checked).to_le_bytes().to_vec()),
            Integrity::Sha256 => (2, Sha256::digest(checked).to_vec()),
            Integrity::None => panic!("nothing is checked"),
        };
        let raw = region(check.start, check.len, kind, &check.name, &expected);
        assert!(contains(image, &raw), "{check:?}");
    }
}

#[test]
fn digests_are_those_of_the_memory() {
    for name in RECORDED {
        for integrity in [Integrity::Crc32c, Integrity::Sha256] {
            let mut plan = plan(name, integrity);
            let image = finish(&mut plan).unwrap();
            assert!(plan.purgatory.checks.len() >= 3, "{name}");
            assert_digests(&plan, &image);
        }
    }
}

#[test]
fn nothing_is_read_when_nothing_is_checked() {
    let mut plan = plan("6.1-ovmf", Integrity::None);
    for segment in &mut plan.segments {
        for piece in &mut segment.content {
            piece.bytes = Bytes::new();
        }
    }
    let image = finish(&mut plan).unwrap();
    assert!(!contains(&image, b"initrd"));
}

#[test]
fn the_exit_is_the_plans() {
    let mut plan = plan("6.1-ovmf", Integrity::Crc32c);
    plan.purgatory.exit.rip = 0x1234_5678_9a00;
    plan.purgatory.exit.rax = 0x1111_2222_3333;
    plan.purgatory.exit.rbx = 0x4444_5555_6666;
    plan.purgatory.exit.rsi = 0x7777_8888_9999;
    plan.purgatory.exit.rdi = 0xaaaa_bbbb_cccc;
    let image = finish(&mut plan).unwrap();
    let exit = plan.purgatory.exit;
    let mut raw = Vec::new();
    // rip, rax, rbx, rcx, rdx, rsi, rdi (abi.rs, RawEntry).
    for register in [exit.rip, exit.rax, exit.rbx, 0, 0, exit.rsi, exit.rdi] {
        raw.extend(register.to_le_bytes());
    }
    assert!(contains(&image, &raw));
    // The serial port of the command line, with its divisor.
    assert!(contains(&image, &[1, 0, 0, 0, 0xf8, 3, 1, 0]));
    // A 32-bit entry cannot have such an address.
    plan.purgatory.base = 0x8000_0000;
    plan.purgatory.exit.mode = ExitMode::Protected32;
    let error = finish(&mut plan).unwrap_err();
    assert!(matches!(error, PurgatoryFailure::Params(_)), "{error}");
    assert!(
        error.to_string().contains("eip = 0x123456789a00"),
        "{error}"
    );
}

#[test]
fn a_preserved_context_can_be_returned_to() {
    let mut plan = plan("6.1-ovmf", Integrity::Crc32c);
    let without = finish(&mut plan).unwrap();
    plan.preserve_context = true;
    plan.purgatory.jump_back = Some(Range::new(0x9_1000, 0x9_1800));
    let with = finish(&mut plan).unwrap();
    let mut raw = 0x9_1000_u64.to_le_bytes().to_vec();
    raw.extend(0x800_u64.to_le_bytes());
    assert!(contains(&with, &raw) && !contains(&without, &raw));
}

#[test]
fn options_reach_it() {
    let mut plan = plan("6.1-ovmf", Integrity::Crc32c);
    let mut image = |options: PurgatoryOptions| {
        purgatory(&mut plan, &[], 0, &options).unwrap();
        plan.segment(SegmentKind::Purgatory).unwrap().bytes()
    };
    let plain = image(PurgatoryOptions::default());
    let reset = image(PurgatoryOptions {
        reset_vga: true,
        ..PurgatoryOptions::default()
    });
    let hello = image(PurgatoryOptions {
        hello: true,
        ..PurgatoryOptions::default()
    });
    assert!(plain != reset && plain != hello && reset != hello);
}

#[test]
fn a_plan_that_contradicts_itself_has_none() {
    let good = plan("6.1-ovmf", Integrity::Crc32c);
    let refused = |change: &dyn Fn(&mut LoadPlan)| {
        let mut plan = good.clone();
        change(&mut plan);
        let error = finish(&mut plan).unwrap_err();
        assert!(!error.remedy().is_empty());
        error.to_string()
    };
    let checked = good.purgatory.checks[0].segment;
    let short = refused(&|plan| plan.segments[checked].content[0].bytes = Bytes::new());
    assert!(short.contains("has 0 bytes, expected"), "{short}");
    let none = refused(&|plan| plan.purgatory.checks[0].segment = 99);
    assert!(none.contains("no such segment"), "{none}");
    let moved = refused(&|plan| plan.purgatory.checks[0].start += 4096);
    assert!(moved.contains("it is at"), "{moved}");
    let long = refused(&|plan| plan.purgatory.checks[0].len = u64::MAX);
    assert!(long.contains("it is at"), "{long}");
    let small = refused(&|plan| plan.purgatory.size = 16);
    assert!(small.contains("16"), "{small}");
    let place = refused(&|plan| plan.purgatory.base += 1);
    assert!(place.contains("cannot be placed"), "{place}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_pieces_any_padding_any_length(
        pieces in proptest::collection::vec((0_usize..9000, 0_usize..9000), 0..6),
        len in 1_u64..60_000,
        sha in any::<bool>(),
    ) {
        let integrity = if sha { Integrity::Sha256 } else { Integrity::Crc32c };
        let mut plan = plan_on(HOST.get_or_init(|| recorded("6.12-seabios").read()), integrity);
        let index = plan.segments.iter().position(|s| s.kind == SegmentKind::Initrd).unwrap();
        let segment = &mut plan.segments[index];
        // Room for all of it, and zeros behind.
        segment.memory = Range::sized(0x2000_0000, 32 << 12).unwrap();
        segment.content = pieces.iter().map(|(len, padding)| piece(*len, *padding)).collect();
        plan.purgatory.checks.retain(|c| c.segment == index);
        plan.purgatory.checks[0].start = 0x2000_0000;
        plan.purgatory.checks[0].len = len;
        let image = finish(&mut plan).unwrap();
        assert_digests(&plan, &image);
    }
}
