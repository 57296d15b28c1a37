//! The plan of a load with `kexec_load(2)`: this program places every byte,
//! writes what the next kernel reads at its start, and brings the purgatory
//! that runs in between.
//!
//! The purgatory comes from elsewhere. The plan is told its size, finds a
//! place for it, and says what it has to check and which state it has to leave
//! behind ([`PurgatorySpec`]); [`LoadPlan::set_purgatory`] then takes the
//! finished bytes.

mod builder;
pub(crate) mod elf;
mod error;
mod facts;
mod options;

use bytes::Bytes;
use kexec_image::{Arch, ElfKernel, Image};
use serde::Serialize;

pub(crate) use builder::{Builder, Draft};
pub use error::ClassicError;
pub use facts::{
    BOOT_PARAMS_LEN, Display, EfiDescriptor, EfiFacts, FirmwareFacts, ImaList, Screen, SetupItem,
};
pub use options::{ClassicOptions, ElfArgs, Integrity, Module};

use crate::crash::{CrashFacts, MemoryCopy};
use crate::memory::{Destinations, MapEntry, MemoryFacts, Range};
use crate::{Cmdline, Piece};

/// The most segments that `kexec_load(2)` takes (`KEXEC_SEGMENT_MAX`, man 2
/// kexec_load).
pub const SEGMENT_MAX: usize = 16;

/// What a plan is made from.
#[derive(Debug)]
pub struct ClassicRequest<'a> {
    /// The kernel's path, for people.
    pub path: &'a str,
    /// The kernel, understood.
    pub image: &'a Image,
    /// The kernel out of the bzImage, where that is to be started instead of the program
    /// that would unpack it.
    pub unpacked: Option<&'a UnpackedKernel>,
    /// The initrd, in the order of its parts.
    pub initrd: &'a [Piece],
    /// Multiboot modules (`--module`), in order.
    pub modules: &'a [Module],
    /// A device tree for the next kernel (`--dtb`).
    pub dtb: Option<&'a Bytes>,
    /// The next kernel's command line.
    pub cmdline: &'a Cmdline,
    /// The machine's architecture.
    pub arch: Arch,
    /// The machine's memory.
    pub memory: &'a MemoryFacts,
    /// What firmware and the first boot loader left.
    pub firmware: &'a FirmwareFacts,
    /// What the caller asked for.
    pub options: &'a ClassicOptions,
    /// Random bytes for the next kernel's random number generator, used for
    /// nothing else; `None` when there are none.
    pub rng_seed: Option<RngSeed>,
    /// The purgatory that will be used.
    pub purgatory: PurgatoryShape,
    /// For the crash slot, what is known of the running kernel; `None` for the other one.
    pub crash: Option<&'a CrashFacts>,
}

/// The kernel out of a bzImage, unpacked and moved to where it will run in its own
/// mapping.
#[derive(Debug, Clone)]
pub struct UnpackedKernel {
    /// What its headers say; they are those of before it was moved.
    pub elf: ElfKernel,
    /// The file, for its segments.
    pub bytes: Bytes,
    /// Bytes of memory from its start to the end of its last segment.
    pub memory_len: u64,
    /// By what its place in physical memory is chosen; `None` where it is not to be random.
    pub seed: Option<KaslrSeed>,
}

/// A random number by which a place is chosen, never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KaslrSeed(pub u64);

impl std::fmt::Debug for KaslrSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KaslrSeed(..)")
    }
}

/// Random bytes, never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RngSeed(pub [u8; 32]);

impl std::fmt::Debug for RngSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RngSeed(..)")
    }
}

/// What has to be known of the purgatory before it has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PurgatoryShape {
    /// Bytes in memory, its own stack included.
    pub size: u64,
    /// A power of two.
    pub align: u64,
    /// Its entry point, from its start.
    pub entry_offset: u64,
}

/// What a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SegmentKind {
    /// The kernel, or a part of it.
    Kernel,
    /// The initrd, all parts of it.
    Initrd,
    /// What the next kernel reads at its start: `boot_params` or the
    /// multiboot information, with everything that it points to.
    Parameters,
    /// A multiboot module.
    Module,
    /// The measurements that IMA made so far.
    Measurements,
    /// The ELF core header: what a crash kernel is told of the memory that it saves.
    CoreHeader,
    /// Page tables for the purgatory to change to.
    PageTables,
    /// The program that runs between the two kernels.
    Purgatory,
    /// Memory without content, kept apart for a kernel that will be jumped
    /// back to, or for what the purgatory copies at a crash.
    Backup,
}

/// A part of a segment, for people and pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Part {
    /// What it is.
    pub name: String,
    /// Where it is in memory.
    pub range: Range,
}

/// One segment of `kexec_load(2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Segment {
    /// What it is, for people: short, because the purgatory names it in its
    /// message (it keeps 16 bytes).
    pub name: String,
    /// What it is.
    pub kind: SegmentKind,
    /// Where it will be at the jump: whole pages.
    pub memory: Range,
    /// Its content, one after the other, each with the zeros behind it. What
    /// of the memory is left is zero too.
    pub content: Vec<Piece>,
    /// How many bytes from its start the purgatory checks. Zeros behind the
    /// content are not worth it when the next kernel clears them itself.
    pub check_len: u64,
    /// What is where inside of it.
    pub parts: Vec<Part>,
}

impl Segment {
    /// The bytes of the content: what the system call copies.
    pub fn content_len(&self) -> u64 {
        let len = |p: &Piece| p.len.saturating_add(p.padding);
        let sum = self
            .content
            .iter()
            .fold(0_usize, |s, p| s.saturating_add(len(p)));
        sum.try_into().unwrap_or(u64::MAX)
    }

    /// The content as one run of bytes; without a copy when it is one already.
    pub fn bytes(&self) -> Bytes {
        match self.content.as_slice() {
            [] => Bytes::new(),
            [one] if one.padding == 0 => one.bytes.clone(),
            pieces => {
                let mut all = Vec::new();
                for piece in pieces {
                    all.extend_from_slice(&piece.bytes);
                    all.resize(all.len().saturating_add(piece.padding), 0);
                }
                all.into()
            }
        }
    }
}

/// The state in which the purgatory leaves the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExitMode {
    /// 64-bit mode with everything mapped one to one.
    Long64,
    /// 32-bit protected mode without paging, flat segments.
    Protected32,
    /// 64-bit mode with four-level paging where the running kernel has five.
    Long64FourLevel {
        /// Where the tables are.
        page_tables: u32,
    },
}

/// The registers that mean something to the next kernel; all others are 0.
/// The stack is the purgatory's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Exit {
    /// The mode of the processor.
    pub mode: ExitMode,
    /// Where it jumps to.
    pub rip: u64,
    /// RAX (EAX).
    pub rax: u64,
    /// RBX (EBX).
    pub rbx: u64,
    /// RSI (ESI).
    pub rsi: u64,
    /// RDI (EDI).
    pub rdi: u64,
}

impl Exit {
    /// To `rip` with all registers 0.
    pub fn to(mode: ExitMode, rip: u64) -> Exit {
        Exit {
            mode,
            rip,
            rax: 0,
            rbx: 0,
            rsi: 0,
            rdi: 0,
        }
    }
}

/// What the purgatory checks before the jump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckRegion {
    /// The segment's name.
    pub name: String,
    /// Its index in [`LoadPlan::segments`].
    pub segment: usize,
    /// The physical address where it begins.
    pub start: u64,
    /// How many bytes.
    pub len: u64,
}

/// What the purgatory has to be made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PurgatorySpec {
    /// Its index in [`LoadPlan::segments`].
    pub segment: usize,
    /// Where it will run.
    pub base: u64,
    /// How many bytes it has.
    pub size: u64,
    /// How the regions are checked.
    pub integrity: Integrity,
    /// What is checked, in ascending order; nothing with [`Integrity::None`].
    pub checks: Vec<CheckRegion>,
    /// How it leaves.
    pub exit: Exit,
    /// The command line with the room behind it, where the address to jump
    /// back to can be appended; only when the context is preserved.
    pub jump_back: Option<Range>,
    /// What it copies before it jumps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<MemoryCopy>,
}

/// What will be handed to `kexec_load(2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoadPlan {
    /// The machine's architecture.
    pub arch: Arch,
    /// How the kernel is started, for people: `bzImage, 64-bit entry`.
    pub method: String,
    /// The formats from the outside in: `gzip > ELF`.
    pub format: String,
    /// The kernel's path.
    pub path: String,
    /// The command line.
    pub cmdline: Cmdline,
    /// The segments, ascending.
    pub segments: Vec<Segment>,
    /// Where the running kernel jumps to: the entry of the purgatory.
    pub entry: u64,
    /// What the purgatory has to be made for.
    pub purgatory: PurgatorySpec,
    /// The memory map that the next kernel is given.
    pub memory_map: Vec<MapEntry>,
    /// Where segments could go, and what was left out.
    pub destinations: Destinations,
    /// All segments together, bytes.
    pub total: u64,
    /// The most that the running kernel takes: half of its memory.
    pub limit: u64,
    /// The image keeps the running kernel's memory (`KEXEC_PRESERVE_CONTEXT`).
    pub preserve_context: bool,
    /// It is for the crash slot (`KEXEC_ON_CRASH`).
    pub crash: bool,
    /// The running kernel writes the ELF core header anew when processors or memory change
    /// (`KEXEC_UPDATE_ELFCOREHDR`); the purgatory does not check it then.
    pub hotplug: bool,
    /// What was decided and why, for people.
    pub notes: Vec<String>,
}

impl LoadPlan {
    /// The first segment of this kind.
    pub fn segment(&self, kind: SegmentKind) -> Option<&Segment> {
        self.segments.iter().find(|s| s.kind == kind)
    }

    /// Puts the finished purgatory in its place.
    ///
    /// # Errors
    /// When it is larger than was said.
    pub fn set_purgatory(&mut self, image: Bytes) -> Result<(), ClassicError> {
        let has = kexec_image::fields::len(&image);
        if has > self.purgatory.size {
            return Err(ClassicError::PurgatoryTooLarge {
                has,
                room: self.purgatory.size,
            });
        }
        if let Some(segment) = self.segments.get_mut(self.purgatory.segment) {
            segment.content = vec![Piece {
                origin: "purgatory".into(),
                len: image.len(),
                padding: 0,
                bytes: image,
            }];
        }
        Ok(())
    }
}

/// An image that jumps back into a kernel that was kept in memory (kexec jump).
/// It is entered at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JumpBackImage {
    /// Where it goes: whole pages.
    pub memory: Range,
    /// The code and its page tables.
    pub bytes: Bytes,
}
