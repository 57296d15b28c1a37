//! The program as it runs: in a virtual machine without a kernel, entered in the
//! state in which a kernel's kexec code enters it.
//!
//! Needs `qemu-system-x86_64` (or `$KEXEC_QEMU`); a test that has none says so.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod machine;

use std::time::Duration;

use kexec_purgatory::{
    Backup, Check, Console, Crc32c, EntryState, JumpBack, Label, Mode, Params, Region, Stack,
    sha256,
};
use machine::{CALLER_STACK, End, Machine, RETURN_ADDRESS};

const KIB: u64 = 1024;
const GIB: u64 = 1 << 30;
const PURGATORY: u64 = 0x200_0000;
const TARGET: u64 = 0x300_0000;
const DATA: u64 = 0x400_0000;

const SERIAL: Console = Console::SerialPort {
    io_base: 0x3f8,
    divisor: Some(1),
};

fn data(len: u64) -> Vec<u8> {
    (0..len)
        .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).to_le_bytes()[0])
        .collect()
}

/// Jumps to `TARGET` after a check of `data` at `at`, messages on ttyS0.
fn checked(at: u64, data: &[u8], mode: Mode) -> Params {
    let mut params = Params::new(EntryState::new(mode, TARGET));
    params.consoles = vec![SERIAL];
    params.wait_seconds = 0;
    // QEMU's TCG shows the host's counter, whatever that counts.
    params.tsc_khz = 1_000_000;
    params.regions = vec![Region {
        start: at,
        len: data.len() as u64,
        label: Label::new("the initrd"),
        check: Check::Crc32c(Crc32c::of(data)),
    }];
    params
}

/// All registers different, none zero.
fn distinct(entry: &mut EntryState, width: u32) {
    let value = |n: u64| (0x1122_3344_5566_7700 + n) & (u64::MAX >> (64 - width));
    (entry.rax, entry.rbx, entry.rcx, entry.rdx) = (value(1), value(2), value(3), value(4));
    (entry.rsi, entry.rdi, entry.rbp) = (value(5), value(6), value(7));
    if width == 64 {
        (entry.r8, entry.r9, entry.r10, entry.r11) = (value(8), value(9), value(10), value(11));
        (entry.r12, entry.r13, entry.r14, entry.r15) = (value(12), value(13), value(14), value(15));
    }
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn what_is_intact_is_jumped_to_with_the_registers_asked_for() {
    let mut machine = Machine::new();
    let bytes = data(100 * KIB + 13);
    let mut params = checked(DATA, &bytes, Mode::Long64);
    params.regions.push(Region {
        start: DATA + 5,
        len: 1000,
        label: Label::new("by SHA-256"),
        check: Check::Sha256(sha256(&bytes[5..1005])),
    });
    params.hello = true;
    distinct(&mut params.entry, 64);
    params.entry.stack = Stack::At(0x5_0008);

    machine.put(DATA, bytes);
    machine.purgatory(PURGATORY, &params);
    machine.target64(TARGET);
    let run = machine.run();

    assert_eq!(run.end, End::Target, "{run:?}");
    let entry = &params.entry;
    let registers = run.registers64();
    assert_eq!(
        registers[..16],
        [
            entry.rax, entry.rbx, entry.rcx, entry.rdx, entry.rsi, entry.rdi, entry.rbp, 0x5_0008,
            entry.r8, entry.r9, entry.r10, entry.r11, entry.r12, entry.r13, entry.r14, entry.r15
        ]
    );
    let [cr0, cr4, cs, ds, ss] = registers[16..21] else {
        panic!()
    };
    assert_eq!(cr4, 1 << 5, "CR4 = PAE, as it was found");
    assert_eq!(cr0, machine::CR0, "CR0 as it was found");
    assert_eq!((cs, ds, ss), (0x10, 0x18, 0x18));
    assert_eq!(
        run.serial,
        "kexec: checking what was loaded\r\nkexec: jumping to 0x3000000\r\n"
    );
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn without_the_instruction_the_table_checks() {
    let mut machine = Machine::new();
    let bytes = data(50 * KIB + 7);
    let params = checked(DATA, &bytes, Mode::Long64);
    machine.cpu = "max,sse4.2=off".into();
    machine.put(DATA, bytes);
    machine.purgatory(PURGATORY, &params);
    machine.target64(TARGET);
    assert_eq!(machine.run().end, End::Target);

    machine.flip(DATA + 50 * KIB);
    let run = machine.run();
    assert_eq!(run.end, End::Reset);
    assert!(run.serial.contains("crc32c found"), "{}", run.serial);
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn it_runs_above_4_gib() {
    let mut machine = Machine::new();
    let bytes = data(30 * KIB);
    let high = 4 * GIB + 0x1000_0000;
    let mut params = checked(high + 0x100_0000, &bytes, Mode::Long64);
    params.entry.rip = high + 0x200_0000;
    machine.memory = "5G".into();
    machine.put(high + 0x100_0000, bytes);
    machine.purgatory(high, &params);
    machine.target64(high + 0x200_0000);
    let run = machine.run();
    assert_eq!(run.end, End::Target, "{run:?}");
    // The purgatory's own stack.
    assert!((high..high + kexec_purgatory::SIZE + 1).contains(&run.registers64()[7]));
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn a_32_bit_entry_finds_paging_off() {
    let mut machine = Machine::new();
    let bytes = data(20 * KIB);
    let mut params = checked(DATA, &bytes, Mode::Protected32);
    distinct(&mut params.entry, 32);
    params.entry.stack = Stack::At(0x5_0004);
    machine.put(DATA, bytes);
    machine.purgatory(PURGATORY, &params);
    machine.target32(TARGET);
    let run = machine.run();

    assert_eq!(run.end, End::Target, "{run:?}");
    let entry = &params.entry;
    let registers: Vec<u64> = run.registers32();
    assert_eq!(
        registers[..8],
        [
            entry.rax, entry.rbx, entry.rcx, entry.rdx, entry.rsi, entry.rdi, entry.rbp, 0x5_0004
        ]
    );
    let [cr0, cr4, cs, ds, ss, efer] = registers[8..14] else {
        panic!()
    };
    assert_eq!(cr0, 0x11, "PE, ET; no paging");
    assert_eq!(cr4, 0);
    assert_eq!((cs, ds, ss), (0x10, 0x18, 0x18));
    assert_eq!(efer & 0x500, 0, "EFER.LME, LMA");
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn damage_is_named_and_the_machine_is_reset() {
    let mut machine = Machine::new();
    let bytes = data(64 * KIB);
    let mut params = checked(DATA, &bytes, Mode::Long64);
    params.regions.insert(
        0,
        Region {
            start: DATA + 0x100_0000,
            len: 3,
            label: Label::new("kernel"),
            check: Check::Crc32c(Crc32c::of(b"abc")),
        },
    );
    params.regions.push(Region {
        start: DATA,
        len: 0x1_0000,
        label: Label::new("again"),
        check: Check::Sha256(sha256(&bytes)),
    });
    machine.put(DATA + 0x100_0000, b"abc".to_vec());
    machine.put(DATA, bytes);
    machine.target64(TARGET);
    machine.flip(DATA + 0x8001);
    // At least a second with a counter of up to 5 GHz.
    params.wait_seconds = 5;
    machine.purgatory(PURGATORY, &params);
    let damaged = machine.bytes(DATA);
    let run = machine.run();

    assert_eq!(run.end, End::Reset, "{run:?}");
    assert!(
        run.took >= Duration::from_secs(1),
        "there is time to read it: {:?}",
        run.took
    );
    let expected = params.regions[1].check;
    let Check::Crc32c(expected) = expected else {
        panic!()
    };
    let found = Crc32c::of(&damaged);
    let hex = |bytes: [u8; 32]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let Check::Sha256(expected_sha) = params.regions[2].check else {
        panic!()
    };
    assert_eq!(
        run.serial.lines().collect::<Vec<_>>(),
        [
            "kexec: the initrd at 0x4000000, 0x10000 bytes, is not what was loaded",
            &format!("kexec:   crc32c expected {expected:08x}"),
            &format!("kexec:   crc32c found    {found:08x}"),
            "kexec: again at 0x4000000, 0x10000 bytes, is not what was loaded",
            &format!("kexec:   sha256 expected {}", hex(expected_sha)),
            &format!("kexec:   sha256 found    {}", hex(sha256(&damaged))),
            "kexec: not jumping; the machine is reset in 5 seconds",
        ]
    );
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn a_damaged_purgatory_finds_itself_damaged() {
    let mut machine = Machine::new();
    let params = checked(DATA, b"", Mode::Long64);
    let params = Params {
        regions: Vec::new(),
        ..params
    };
    machine.purgatory(PURGATORY, &params);
    machine.target64(TARGET);
    let entry = kexec_purgatory::BLOB.as_ref().unwrap().params;
    // A byte of the value for a register.
    machine.flip(PURGATORY + entry + 80);
    let run = machine.run();
    assert_eq!(run.end, End::Reset, "{run:?}");
    assert!(
        run.serial.starts_with("kexec: purgatory at 0x2000000, 0x"),
        "{}",
        run.serial
    );
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn without_a_known_frequency_and_without_a_keyboard_controller_it_resets_too() {
    let mut machine = Machine::new();
    let bytes = data(10);
    let mut params = checked(DATA, &bytes, Mode::Long64);
    params.tsc_khz = 0;
    params.wait_seconds = 0;
    machine.machine = "q35,i8042=off".into();
    machine.put(DATA, bytes);
    machine.purgatory(PURGATORY, &params);
    machine.flip(DATA);
    let run = machine.run();
    assert_eq!(run.end, End::Reset, "{run:?}");
}

/// An ISA machine without a keyboard controller: what remains is a fault without an
/// IDT.
#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn where_no_device_resets_a_triple_fault_does() {
    let mut machine = Machine::new();
    let bytes = data(10);
    let mut params = checked(DATA, &bytes, Mode::Long64);
    params.wait_seconds = 0;
    machine.machine = "isapc,i8042=off".into();
    machine.put(DATA, bytes);
    machine.purgatory(PURGATORY, &params);
    machine.flip(DATA);
    let run = machine.run();
    assert_eq!(run.end, End::Reset, "{run:?}");
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn memory_that_is_not_mapped_is_told() {
    let mut machine = Machine::new();
    let mut params = checked(DATA, &data(1), Mode::Long64);
    params.regions[0].start = 1 << 40;
    machine.purgatory(PURGATORY, &params);
    machine.target64(TARGET);
    let run = machine.run();
    assert_eq!(run.end, End::Reset, "{run:?}");
    assert!(
        run.serial.contains("kexec: processor fault 0xe "),
        "{}",
        run.serial
    );
    assert!(
        run.serial.contains("address 0x10000000000"),
        "{}",
        run.serial
    );
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn a_console_that_is_not_there_holds_nothing_up() {
    let mut machine = Machine::new();
    let bytes = data(10);
    let mut params = checked(DATA, &bytes, Mode::Long64);
    params.consoles.insert(
        0,
        Console::SerialPort {
            io_base: 0x2e8,
            divisor: None,
        },
    );
    params.hello = true;
    machine.put(DATA, bytes);
    machine.purgatory(PURGATORY, &params);
    machine.target64(TARGET);
    let run = machine.run();
    assert_eq!(run.end, End::Target, "{run:?}");
    assert!(run.serial.ends_with("jumping to 0x3000000\r\n"));
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn the_text_screen_scrolls_up() {
    let mut machine = Machine::new();
    let bytes = data(10);
    let mut params = checked(DATA, &bytes, Mode::Long64);
    params.consoles = vec![Console::Vga];
    params.hello = true;
    params.reset_vga = true;
    machine.put(DATA, bytes);
    machine.purgatory(PURGATORY, &params);
    machine.target64(TARGET);
    machine.dump(0xb8000 + 160 * 23, 320);
    let run = machine.run();
    assert_eq!(run.end, End::Target, "{run:?}");
    let text: String = run
        .dumped()
        .iter()
        .step_by(2)
        .map(|byte| char::from(*byte))
        .collect();
    let (first, second) = text.split_at(80);
    assert_eq!(first.trim_end(), "kexec: checking what was loaded");
    assert_eq!(second.trim_end(), "kexec: jumping to 0x3000000");
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn the_way_back_is_added_to_the_command_line() {
    let mut machine = Machine::new();
    let mut cmdline = b"root=/dev/sda1 quiet".to_vec();
    let checksum = cmdline.clone();
    cmdline.resize(128, 0);
    let mut params = checked(DATA, &checksum, Mode::Long64);
    params.jump_back = Some(JumpBack {
        cmdline: DATA,
        capacity: 128,
    });
    params.entry.stack = Stack::Caller;
    machine.put(DATA, cmdline);
    machine.purgatory(PURGATORY, &params);
    machine.target64(TARGET);
    machine.dump(DATA, 128);
    let run = machine.run();
    assert_eq!(run.end, End::Target, "{run:?}");
    let expected = format!("root=/dev/sda1 quiet kexec_jump_back_entry={RETURN_ADDRESS:#x}\0");
    assert!(
        run.dumped().starts_with(expected.as_bytes()),
        "{:?}",
        String::from_utf8_lossy(run.dumped())
    );
    assert_eq!(
        run.registers64()[7],
        CALLER_STACK,
        "the stack it was called with"
    );
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn the_time_of_the_jump_is_written_after_the_check() {
    let mut machine = Machine::new();
    let mut cmdline = b"quiet kexec.at=0000000000000000 x".to_vec();
    let checksum = cmdline.clone();
    cmdline.resize(128, 0);
    let mut params = checked(DATA, &checksum, Mode::Long64);
    params.stamp = Some(DATA + 15);
    machine.put(DATA, cmdline);
    machine.purgatory(PURGATORY, &params);
    machine.target64(TARGET);
    machine.dump(DATA, 128);
    let run = machine.run();
    assert_eq!(run.end, End::Target, "{run:?}");
    let text = String::from_utf8_lossy(run.dumped()).into_owned();
    let digits = text.strip_prefix("quiet kexec.at=").unwrap();
    let (digits, rest) = digits.split_at(16);
    assert!(rest.starts_with(" x\0"), "{text:?}");
    assert!(u64::from_str_radix(digits, 16).unwrap() > 0, "{text:?}");
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn a_command_line_without_room_stays_as_it_is() {
    let mut machine = Machine::new();
    let cmdline = b"root=/dev/sda1 quiet\0".to_vec();
    let mut params = checked(DATA, &cmdline, Mode::Long64);
    params.jump_back = Some(JumpBack {
        cmdline: DATA,
        capacity: cmdline.len() as u64,
    });
    machine.put(DATA, cmdline.clone());
    machine.purgatory(PURGATORY, &params);
    machine.target64(TARGET);
    machine.dump(DATA, cmdline.len());
    let run = machine.run();
    assert_eq!(run.end, End::Target, "{run:?}");
    assert_eq!(run.dumped(), cmdline);
    assert!(
        run.serial.contains("no room for kexec_jump_back_entry="),
        "{}",
        run.serial
    );
}

#[test]
#[ignore = "needs a QEMU in KEXEC_QEMU: cargo xtask test names the lab's"]
fn low_memory_is_copied() {
    let mut machine = Machine::new();
    let bytes = data(4 * KIB);
    let mut params = checked(DATA, &bytes, Mode::Long64);
    params.backup = Some(Backup {
        source: DATA,
        destination: DATA + 0x10_0000,
        len: 4 * KIB,
    });
    machine.put(DATA, bytes.clone());
    machine.purgatory(PURGATORY, &params);
    machine.target64(TARGET);
    machine.dump(DATA + 0x10_0000, bytes.len());
    let run = machine.run();
    assert_eq!(run.end, End::Target, "{run:?}");
    assert_eq!(run.dumped(), bytes);
}
