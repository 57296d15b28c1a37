//! What is meant: a load, as the command line or a boot entry asks for it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use kexec_machine::volumes::FileRef;
use kexec_plan::Cmdline;
pub use kexec_plan::SyscallChoice;
use kexec_plan::classic::ClassicOptions;
pub use kexec_plan::unpack::UnpackChoice;
pub use kexec_plan::{EntryLine, Mark};
use kexec_sys::Slot;

/// Where the next kernel's command line comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CmdlineChoice {
    /// That of the boot entry, where one was chosen; `append` comes on top.
    pub entry: Option<EntryLine>,
    /// The text of `--append` or `--command-line`.
    pub append: Option<Cmdline>,
    /// `--reuse-cmdline`: put the old command line in front of it. For a UKI
    /// with a `.cmdline` that one is meant, else the running kernel's.
    pub reuse: bool,
}

/// One kernel to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRequest {
    /// The kernel file.
    pub kernel: FileRef,
    /// Initrds to be joined in this order, behind those a UKI carries.
    pub initrds: Vec<FileRef>,
    /// Where the command line comes from.
    pub cmdline: CmdlineChoice,
    /// What is put on the command line, so that the next boot is recognised;
    /// never in the old spelling.
    pub mark: Option<Mark>,
    /// The normal slot, or the one that a panic jumps to.
    pub slot: Slot,
    /// Which of the two system calls loads it, or what decides about that.
    pub syscall: SyscallChoice,
    /// What is unpacked before the jump.
    pub unpack: Unpack,
    /// Which profile of a UKI; `None` is the base profile.
    pub profile: Option<usize>,
    /// The files beside a UKI that its stub would add; `None` when the UKI is taken
    /// as it is, as somebody does who names the file.
    pub companions: Option<Vec<CompanionFile>>,
    /// Let the kernel print what it does (`KEXEC_FILE_DEBUG`).
    pub debug: bool,
    /// It was asked for in the words of kexec-tools, which loads what the running kernel
    /// takes: nothing is refused because the next kernel would not read it.
    pub old_spelling: bool,
    /// What only `kexec_load(2)` knows.
    pub classic: ClassicLoadOptions,
}

impl LoadRequest {
    /// That kernel and nothing else: into the normal slot, with an empty command
    /// line, as `-a` does it.
    pub fn new(kernel: impl Into<FileRef>) -> LoadRequest {
        LoadRequest {
            kernel: kernel.into(),
            initrds: Vec::new(),
            cmdline: CmdlineChoice::default(),
            slot: Slot::Normal,
            syscall: SyscallChoice::default(),
            unpack: Unpack::default(),
            profile: None,
            companions: None,
            debug: false,
            mark: None,
            old_spelling: false,
            classic: ClassicLoadOptions::default(),
        }
    }
}

/// What is unpacked before the jump, so that the next kernel need not do it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unpack {
    /// What the caller wants.
    pub choice: UnpackChoice,
    /// No option says it, so a setting of the machine may.
    pub by_default: bool,
    /// The setting that said it, with its file, where one did.
    pub setting: Option<String>,
    /// The image is held for as long as the machine is up, and not for the moments before
    /// a jump: it gets a smaller part of the free memory.
    pub held: bool,
    /// Why a kernel is not to be started without its own decompressor this time: the last
    /// jump of this machine that did so never arrived.
    pub not_earned: Option<String>,
    /// Why it could not be told after the next boot whether this one arrives.
    pub forgotten: Option<String>,
}

/// A file beside a UKI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanionFile {
    /// Where it is read from.
    pub file: FileRef,
    /// Its path from the top of its file system, which tells what it is for.
    pub place: String,
}

/// A module of a multiboot kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleFile {
    /// Where it is read from.
    pub file: FileRef,
    /// What the kernel is told of it: a name, and its arguments.
    pub string: Cmdline,
}

impl ModuleFile {
    /// From `--module="FILE ARGUMENTS"`: the file is the first word, and the kernel is
    /// told all of it.
    pub fn typed(string: Cmdline) -> ModuleFile {
        let word = string.words().next().unwrap_or_default();
        ModuleFile {
            file: FileRef::from(OsStr::from_bytes(word)),
            string,
        }
    }
}

/// What becomes of a kernel without a good signature, while Secure Boot is on and
/// the running kernel does not insist on one by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unsigned {
    /// It is refused: the verbs.
    #[default]
    Refused,
    /// The running kernel decides alone, as with kexec-tools: the old spelling.
    ForTheKernel,
    /// `--unverified`: it is taken, and Secure Boot alone is no reason for
    /// `kexec_file_load(2)`.
    Taken,
}

/// What the caller asks of a load with `kexec_load(2)`. The other system call
/// leaves all of this to the running kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassicLoadOptions {
    /// What the planner looks at.
    pub options: ClassicOptions,
    /// Modules of a multiboot kernel, in order.
    pub modules: Vec<ModuleFile>,
    /// `--dtb`: the device tree that the next kernel gets.
    pub dtb: Option<FileRef>,
    /// `--discard-liveupdate`: load although state that a live update would
    /// carry over is lost.
    pub discard_liveupdate: bool,
    /// What becomes of an unsigned kernel while Secure Boot is on.
    pub unsigned: Unsigned,
    /// `--reset-vga`: the purgatory sets a VGA to text mode.
    pub reset_vga: bool,
    /// `--console-vga`: the purgatory reports on a VGA text screen.
    pub console_vga: bool,
    /// `--console-serial`: the purgatory reports on a serial port.
    pub console_serial: bool,
    /// `--serial`: the first I/O port of that serial port.
    pub serial: Option<u16>,
    /// `--serial-baud`: its speed; 0 leaves it as it is.
    pub serial_baud: Option<u32>,
}

impl ClassicLoadOptions {
    /// Whether something is asked for without which the next kernel would be
    /// another one: it must not be left out silently.
    pub(crate) fn demands_classic(&self) -> bool {
        let options = &self.options;
        options.entry_32bit || options.real_mode || options.preserve_context
    }
}
