// The block of parameters that the loader writes and the purgatory reads.
//
// This one file is compiled into both: into the library (which only takes sizes
// and offsets from it and writes bytes) and into the freestanding program (which
// reads the fields, in Rust and, through `offset_of!`, in assembly). All numbers
// are little-endian, all addresses physical.

/// The most regions that can be checked. The kernel takes 16 segments
/// (`KEXEC_SEGMENT_MAX`, include/uapi/linux/kexec.h); a segment may hold several
/// things that deserve a name of their own.
pub const MAX_REGIONS: usize = 24;
/// The most consoles a message goes to.
pub const MAX_CONSOLES: usize = 4;
/// Bytes of a region's name, padded with zeros.
pub const LABEL_LEN: usize = 16;

/// `RawRegion::check`: CRC-32C; the first four bytes of `expected`, little-endian.
pub const CHECK_CRC32C: u32 = 1;
/// `RawRegion::check`: SHA-256; all 32 bytes of `expected`.
pub const CHECK_SHA256: u32 = 2;

/// `RawConsole::kind`: a 16550 UART in port space.
pub const CONSOLE_SERIAL: u32 = 1;
/// `RawConsole::kind`: the text screen at 0xb8000.
pub const CONSOLE_VGA: u32 = 2;

/// `RawEntry::mode`: 64-bit, on the page tables the kernel left.
pub const MODE_LONG64: u32 = 0;
/// `RawEntry::mode`: 32-bit protected mode, paging off.
pub const MODE_PROTECTED32: u32 = 1;
/// `RawEntry::mode`: 64-bit with four-level paging, on `RawParams::page_tables`.
pub const MODE_LONG64_FOUR_LEVEL: u32 = 2;

/// `RawEntry::stack`: the stack pointer is `rsp`.
pub const STACK_GIVEN: u32 = 0;
/// `RawEntry::stack`: the stack pointer is the one the purgatory was entered with.
pub const STACK_CALLER: u32 = 1;

/// `RawParams::flags`: say a word on the consoles before the jump.
pub const FLAG_HELLO: u32 = 1 << 0;
/// `RawParams::flags`: set the VGA registers to text mode 3.
pub const FLAG_RESET_VGA: u32 = 1 << 1;
/// `RawParams::flags`: check the purgatory's own bytes against `self_crc`.
pub const FLAG_SELF_CHECK: u32 = 1 << 2;

/// `RawParams::stamp`: bytes of the digits there.
pub const STAMP_LEN: u32 = 16;

/// A piece of memory to check.
#[repr(C)]
pub struct RawRegion {
    pub start: u64,
    pub len: u64,
    pub check: u32,
    pub reserved: u32,
    pub label: [u8; LABEL_LEN],
    pub expected: [u8; 32],
}

/// Where messages go.
#[repr(C)]
pub struct RawConsole {
    pub kind: u32,
    pub io_base: u16,
    /// 0: leave the speed as it is.
    pub divisor: u16,
}

/// The state of the processor at the jump.
#[repr(C)]
pub struct RawEntry {
    pub rip: u64,
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub mode: u32,
    pub stack: u32,
}

/// All of it. `self_crc` is last: the check of the program's own bytes runs from
/// its first byte to that field.
#[repr(C)]
pub struct RawParams {
    pub flags: u32,
    pub wait_seconds: u32,
    /// Ticks of the time-stamp counter in a millisecond; 0: not known.
    pub tsc_khz: u64,
    /// A command line to which ` kexec_jump_back_entry=0x...` is added; 0: none.
    pub jump_back_cmdline: u64,
    /// Bytes there, the terminating zero included.
    pub jump_back_capacity: u64,
    /// Where the time of the jump is written, [`STAMP_LEN`] hexadecimal digits; 0:
    /// nowhere.
    pub stamp: u64,
    pub backup_source: u64,
    pub backup_destination: u64,
    /// 0: nothing to copy.
    pub backup_len: u64,
    pub entry: RawEntry,
    pub console_count: u32,
    pub region_count: u32,
    pub consoles: [RawConsole; MAX_CONSOLES],
    pub regions: [RawRegion; MAX_REGIONS],
    /// The page tables of `MODE_LONG64_FOUR_LEVEL`, below 4 GiB.
    pub page_tables: u32,
    /// CRC-32C of the program's bytes before this field.
    pub self_crc: u32,
}

// Written out, so that a change of the layout is a change of these lines.
const _: () = assert!(size_of::<RawRegion>() == 72);
const _: () = assert!(size_of::<RawConsole>() == 8);
const _: () = assert!(size_of::<RawEntry>() == 144);
const _: () =
    assert!(size_of::<RawParams>() == 64 + 144 + 8 + MAX_CONSOLES * 8 + MAX_REGIONS * 72 + 8);
const _: () = assert!(core::mem::offset_of!(RawParams, self_crc) + 4 == size_of::<RawParams>());
