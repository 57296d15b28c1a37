//! The program that was built, and the images that are made of it.
//!
//! On a target for which none is built there is nothing to test but that this is
//! said.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod disassembly;

use disassembly::{Bits, Instruction, Simd, disassemble};
use kexec_purgatory::{
    ALIGN, BLOB, Backup, Blob, Check, Console, EntryState, JumpBack, Label, MAX_CONSOLES,
    MAX_REGIONS, Mode, Params, PurgatoryError, Region, SIZE, Stack, UNAVAILABLE, entry, image,
    requires_below_4g,
};

const BASE: u64 = 0x1234_5000;

fn blob() -> Option<&'static Blob> {
    let blob = BLOB.as_ref();
    if blob.is_none() {
        eprintln!("skipped: {UNAVAILABLE}");
        assert_eq!(
            image(BASE, &params()),
            Err(PurgatoryError::NotBuilt(UNAVAILABLE))
        );
    }
    blob
}

fn params() -> Params {
    linux(Mode::Long64, 0x100_0200)
}

/// Linux, entered at `entry` with boot_params at 0x90000.
fn linux(mode: Mode, entry: u64) -> Params {
    let mut state = EntryState::new(mode, entry);
    state.rsi = 0x9_0000;
    Params::new(state)
}

fn region(start: u64, len: u64) -> Region {
    Region {
        start,
        len,
        label: Label::new("piece"),
        check: Check::Crc32c(0),
    }
}

fn u64_at(bytes: &[u8], offset: u64) -> u64 {
    let offset = usize::try_from(offset).unwrap();
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

/// The 64-bit and the 32-bit code.
fn code(blob: &Blob) -> [Vec<Instruction>; 2] {
    [
        disassemble(blob.bytes, &blob.text, Bits::B64),
        disassemble(blob.bytes, &blob.text32, Bits::B32),
    ]
}

#[test]
fn it_is_small_and_starts_with_its_entry() {
    let Some(blob) = blob() else { return };
    assert_eq!(blob.entry, 0);
    assert_eq!(entry(BASE), BASE);
    assert_eq!(SIZE, blob.size);
    assert!(blob.size <= 16 * 1024, "{} bytes", blob.size);
    assert!(blob.bytes.len() as u64 <= SIZE);
    assert!(blob.stack_top <= SIZE && blob.stack_top.is_multiple_of(16));
    eprintln!(
        "{} bytes in the file, {} in memory",
        blob.bytes.len(),
        blob.size
    );
}

#[test]
fn all_of_it_decodes() {
    let Some(blob) = blob() else { return };
    for instruction in code(blob).iter().flatten() {
        assert!(!instruction.is_invalid(), "{instruction:x?}");
    }
}

/// The kernel leaves CR4.OSFXSR off: an SSE instruction before it is set is an
/// invalid opcode, and what needs more than SSE 2 (AVX state, x87) never works.
#[test]
fn no_simd_instruction_before_the_entry_allows_it() {
    let Some(blob) = blob() else { return };
    let [code, code32] = code(blob);

    let first_call = code
        .iter()
        .position(|instruction| instruction.name.starts_with("call"))
        .unwrap();
    let entry = &code[..first_call];
    for instruction in entry.iter().chain(&code32) {
        assert_eq!(instruction.simd(), None, "{instruction:x?}");
    }
    let allowed = entry.windows(2).any(|pair| {
        pair[0].name == "or"
            && pair[0].operands == ["$0x600", "%rax"]
            && pair[1].name == "mov"
            && pair[1].operands == ["%rax", "%cr4"]
    });
    assert!(allowed, "the entry does not set CR4.OSFXSR");

    for instruction in &code {
        assert!(
            matches!(instruction.simd(), None | Some(Simd::Sse)),
            "{instruction:x?}"
        );
    }
}

/// The loop over three streams: three `crc32` of eight bytes in a row into three
/// registers, and nothing of SIMD there.
#[test]
fn the_checksum_runs_in_three_streams_on_general_registers() {
    let Some(blob) = blob() else { return };
    let [code, _] = code(blob);
    let interleaved = code.windows(16).any(|window| {
        let streams: Vec<_> = window
            .iter()
            .filter(|instruction| instruction.name == "crc32q")
            .map(|instruction| &instruction.operands[1])
            .collect();
        matches!(streams[..], [a, b, c] if a != b && b != c && a != c)
    });
    assert!(interleaved);
    let near: Vec<_> = code
        .iter()
        .enumerate()
        .filter(|(_, instruction)| instruction.name.starts_with("crc32"))
        .map(|(index, _)| index)
        .collect();
    for instruction in &code[near[0]..=near[near.len() - 1]] {
        assert_eq!(instruction.simd(), None, "{instruction:x?}");
    }
}

#[test]
fn addresses_in_it_follow_the_base() {
    let Some(blob) = blob() else { return };
    let (here, there) = (
        image(BASE, &params()).unwrap(),
        image(BASE + 0x10_0000_0000, &params()).unwrap(),
    );
    for (place, addend) in blob.relocations {
        assert!(*addend < SIZE && place + 8 <= blob.bytes.len() as u64);
        assert_eq!(u64_at(&here, *place), BASE + addend);
        assert_eq!(u64_at(&there, *place), BASE + 0x10_0000_0000 + addend);
    }
    // Beside them, the stack pointer and the checksum over it all, nothing moves.
    let differ = here
        .chunks(8)
        .zip(there.chunks(8))
        .filter(|(a, b)| a != b)
        .count();
    assert_eq!(differ, blob.relocations.len() + 2);
    assert_eq!(here.len(), blob.bytes.len());
}

#[test]
fn the_parameters_change_nothing_but_their_block() {
    let Some(blob) = blob() else { return };
    let mut full = params();
    full.regions = (0..MAX_REGIONS as u64)
        .map(|n| region(0x1_0000_0000 + n, 1))
        .collect();
    full.consoles = vec![
        Console::SerialPort {
            io_base: 0x3f8,
            divisor: Some(1)
        };
        MAX_CONSOLES
    ];
    full.entry.stack = Stack::At(0x7777);
    full.tsc_khz = 2_000_000;
    let (bare, full) = (image(BASE, &params()).unwrap(), image(BASE, &full).unwrap());
    let block = usize::try_from(blob.params).unwrap();
    assert_eq!(bare[..block], full[..block]);
    assert_ne!(bare[block..], full[block..]);
}

#[test]
fn a_place_where_it_cannot_run_is_refused() {
    let Some(_) = blob() else { return };
    for base in [0, 1, BASE + 0x800, 1 << 46, (1 << 46) - 0x1000, !0xfff] {
        assert!(
            matches!(image(base, &params()), Err(PurgatoryError::Place { .. })),
            "{base:#x}"
        );
    }
    assert!(image((1 << 46) - SIZE.next_multiple_of(ALIGN), &params()).is_ok());

    let low = linux(Mode::Protected32, 0x10_0000);
    assert!(requires_below_4g(&low) && !requires_below_4g(&params()));
    assert!(image(BASE, &low).is_ok());
    for base in [1 << 32, (1 << 32) - 0x1000] {
        assert!(
            matches!(image(base, &low), Err(PurgatoryError::Place { .. })),
            "{base:#x}"
        );
    }
}

#[test]
fn parameters_that_could_not_work_are_refused() {
    let Some(_) = blob() else { return };
    let refused = |change: &dyn Fn(&mut Params)| {
        let mut params = params();
        change(&mut params);
        image(BASE, &params).unwrap_err()
    };
    let regions = |regions: Vec<Region>| refused(&move |params| params.regions = regions.clone());

    assert!(matches!(
        regions(vec![region(BASE + 0x8000, 1); MAX_REGIONS + 1]),
        PurgatoryError::TooMany { found: 25, .. }
    ));
    for (start, len) in [
        (0, 1),
        (0x1000, 0),
        (u64::MAX, 2),
        (u64::MAX - 1, 1),
        (1 << 52, 1),
    ] {
        assert!(
            matches!(
                regions(vec![region(start, len)]),
                PurgatoryError::Memory { .. }
            ),
            "{start:#x} {len:#x}"
        );
    }
    for (start, len) in [
        (BASE, 1),
        (BASE - 1, 2),
        (BASE + SIZE - 1, 1),
        (0x1000, 1 << 40),
    ] {
        assert!(
            matches!(
                regions(vec![region(start, len)]),
                PurgatoryError::Overlap { .. }
            ),
            "{start:#x} {len:#x}"
        );
    }
    let message = regions(vec![region(BASE, 0x10)]).to_string();
    assert!(
        message
            .starts_with("piece at 0x12345000, 0x10 bytes, overlaps the purgatory at 0x12345000"),
        "{message}"
    );

    assert!(matches!(
        refused(&|params| params.consoles = vec![Console::Vga; MAX_CONSOLES + 1]),
        PurgatoryError::TooMany { max: 4, .. }
    ));
    assert_eq!(
        refused(&|params| params.consoles = vec![Console::SerialPort {
            io_base: 0x3f8,
            divisor: Some(0)
        }]),
        PurgatoryError::Divisor { io_base: 0x3f8 }
    );
    assert!(matches!(
        refused(&|params| params.tsc_khz = u64::MAX),
        PurgatoryError::Time { .. }
    ));
    assert!(matches!(
        refused(&|params| params.wait_seconds = 601),
        PurgatoryError::Time { found: 601, .. }
    ));
    assert!(matches!(
        refused(&|params| params.jump_back = Some(JumpBack {
            cmdline: BASE,
            capacity: 100
        })),
        PurgatoryError::Overlap { .. }
    ));
    assert!(matches!(
        refused(&|params| params.backup = Some(Backup {
            source: 0,
            destination: BASE,
            len: 100
        })),
        PurgatoryError::Overlap { .. }
    ));

    for set in [
        (|entry| entry.rip = 1 << 32) as fn(&mut EntryState),
        |entry| entry.rbx = u64::MAX,
        |entry| entry.stack = Stack::At(1 << 32),
        |entry| entry.r9 = 1,
    ] {
        let error = refused(&|params| {
            params.entry.mode = Mode::Protected32;
            set(&mut params.entry);
        });
        assert!(matches!(error, PurgatoryError::Not32Bit { .. }), "{error}");
    }
    assert_eq!(
        refused(&|params| {
            params.entry.mode = Mode::Protected32;
            params.entry.stack = Stack::Caller;
        }),
        PurgatoryError::CallerStack32
    );
}

#[test]
fn labels_are_sixteen_printable_bytes() {
    assert_eq!(Label::new("a\u{e4}\nb"), Label::new("a??b"));
    assert_eq!(
        Label::new("sixteen letters!!!"),
        Label::new("sixteen letters!")
    );
}
