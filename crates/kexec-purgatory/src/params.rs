//! What the purgatory is told.

use serde::Serialize;

use crate::abi;

/// The most regions in [`Params::regions`].
pub const MAX_REGIONS: usize = abi::MAX_REGIONS;
/// The most consoles in [`Params::consoles`].
pub const MAX_CONSOLES: usize = abi::MAX_CONSOLES;

/// All that the purgatory is told. Addresses are physical, lengths in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Params {
    /// What to check. Nobody may write there between the check and the jump;
    /// a command line that [`JumpBack`] extends is checked before that.
    pub regions: Vec<Region>,
    /// Whether the purgatory checks its own bytes, these parameters included,
    /// before anything else. Off only to make the jump as bare as possible.
    pub self_check: bool,
    /// The state of the processor at the jump.
    pub entry: EntryState,
    /// Where messages go. None: a damaged load resets the machine silently.
    pub consoles: Vec<Console>,
    /// The frequency of the time-stamp counter in kHz; 0 where it is not known
    /// (then time is measured in reads of a port, a microsecond each).
    pub tsc_khz: u64,
    /// Seconds between the message and the reset.
    pub wait_seconds: u32,
    /// Where to add ` kexec_jump_back_entry=0x...`. Only with a kexec that
    /// preserves the context of the old kernel: elsewhere the stack pointer of
    /// the entry points nowhere.
    pub jump_back: Option<JumpBack>,
    /// Where 16 hexadecimal digits stand on the next command line, which become
    /// the time-stamp counter at the jump.
    pub stamp: Option<u64>,
    /// Memory to copy before the jump (a crash kernel that uses low memory).
    pub backup: Option<Backup>,
    /// Whether to set a VGA to text mode 3 first.
    pub reset_vga: bool,
    /// Whether to say a word before the check and before the jump.
    pub hello: bool,
}

impl Params {
    /// Jumps to `entry`; nothing checked but the purgatory itself, no consoles,
    /// three seconds to read a message.
    #[must_use]
    pub const fn new(entry: EntryState) -> Self {
        Self {
            regions: Vec::new(),
            self_check: true,
            entry,
            consoles: Vec::new(),
            tsc_khz: 0,
            wait_seconds: 3,
            jump_back: None,
            stamp: None,
            backup: None,
            reset_vga: false,
            hello: false,
        }
    }
}

/// A piece of memory to check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Its first byte.
    pub start: u64,
    /// Its length. The bytes that were loaded; a zero tail only where it is
    /// content (see [`Crc32c::zeros`](crate::Crc32c::zeros)).
    pub len: u64,
    /// What a message calls it.
    pub label: Label,
    /// What it must hold.
    pub check: Check,
}

/// A name of up to 16 bytes of printable ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Label([u8; abi::LABEL_LEN]);

impl Label {
    /// Cut at 16 bytes; what is not printable ASCII becomes `?`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut label = [0; abi::LABEL_LEN];
        for (to, from) in label.iter_mut().zip(text.chars()) {
            *to = u8::try_from(from)
                .ok()
                .filter(|byte| (b' '..=b'~').contains(byte))
                .unwrap_or(b'?');
        }
        Self(label)
    }

    pub(crate) const fn bytes(&self) -> &[u8; abi::LABEL_LEN] {
        &self.0
    }
}

/// What a region must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Check {
    /// It is not looked at.
    None,
    /// Bytes with this CRC-32C: at the speed of memory. Finds stray writes and
    /// bad copies, which is what the check is for.
    Crc32c(u32),
    /// Bytes with this SHA-256: some 0.3 GB/s. No stronger against an attacker,
    /// who could write the digest too.
    Sha256([u8; 32]),
}

/// The state of the processor at the jump: interrupts and direction flag off,
/// CS = 0x10, the other segments 0x18, all flat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the registers by their names")]
pub struct EntryState {
    pub mode: Mode,
    pub stack: Stack,
    pub rip: u64,
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}

/// How the processor runs at the jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Mode {
    /// 64-bit mode on the identity mapping that the old kernel left.
    Long64,
    /// 32-bit protected mode, paging off, CR4 = 0. The purgatory itself must lie
    /// below 4 GiB.
    Protected32,
    /// 64-bit mode with four-level paging, for what cannot be entered with five. The
    /// purgatory itself must lie below 4 GiB.
    Long64FourLevel {
        /// Where its page tables are. They map everything that is touched from there
        /// on, the purgatory included, one to one.
        page_tables: u32,
    },
}

/// The stack pointer at the jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Stack {
    /// The end of the purgatory's own 4 KiB.
    Purgatory,
    /// A physical address that the caller chose.
    At(u64),
    /// The one that the purgatory was entered with, so that the program that is
    /// jumped to can return to the old kernel. Only with a kexec that preserves
    /// the old kernel's context.
    Caller,
}

impl EntryState {
    /// All registers zero.
    #[must_use]
    pub const fn new(mode: Mode, rip: u64) -> Self {
        Self {
            mode,
            stack: Stack::Purgatory,
            rip,
            rax: 0,
            rbx: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            rbp: 0,
            r8: 0,
            r9: 0,
            r10: 0,
            r11: 0,
            r12: 0,
            r13: 0,
            r14: 0,
            r15: 0,
        }
    }
}

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Console {
    /// A 16550 UART in port space.
    SerialPort {
        /// Its first port (ttyS0: 0x3f8).
        io_base: u16,
        /// 115200 divided by the speed; `None`: the speed it has.
        divisor: Option<u16>,
    },
    /// The VGA text screen at 0xb8000. Nothing is seen while a graphics driver
    /// holds the display.
    Vga,
}

/// A command line to extend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct JumpBack {
    /// Where it is; it ends with a zero byte.
    pub cmdline: u64,
    /// Bytes there, the zero included. 41 more than the text suffice.
    pub capacity: u64,
}

/// Memory to copy before the jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// The physical address that is copied from.
    pub source: u64,
    /// The physical address that is copied to.
    pub destination: u64,
    /// So many bytes.
    pub len: u64,
}
