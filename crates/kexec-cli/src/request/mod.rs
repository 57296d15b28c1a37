//! What is meant: a pure function from the words of a command line to one
//! [`Request`]. The order of options does not matter; only among options that
//! set the same value the last one counts, and initrds keep their order.

mod crash;
mod kexec_tools;
mod verbs;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use kexec_image::Arch;
use kexec_load::LoadRequest;
use kexec_plan::SyscallChoice;
use kexec_reboot::enable::{Feature, Settings};
use kexec_reboot::handover::JumpOptions;
use kexec_reboot::handover::shutdown_request::ShutdownRequest;
use kexec_reboot::parallel_shutdown::ParallelShutdown;
use kexec_reboot::steps::{PreloadOptions, Selection, Shutdown};
use kexec_sys::{FileFlags, Slot};

pub use crash::CrashRequest;

use crate::args::crash_verb::CrashAction;
use crate::args::typed::{Spelling, Token, Tokens, Typed, printable};
use crate::args::{Flag, Id, Origin, Verb, all, listed, similar};

/// A command line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// What is to be done.
    pub request: Request,
    /// For stderr: what was accepted and has no effect, and why.
    pub notes: Vec<String>,
    /// How the output is shown.
    pub output: OutputOptions,
}

/// How the output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputOptions {
    /// Whether it is coloured.
    pub colour: ColourChoice,
    /// Whether a pager shows what is longer than the screen.
    pub pager: bool,
}

impl Default for OutputOptions {
    fn default() -> OutputOptions {
        OutputOptions {
            colour: ColourChoice::Auto,
            pager: true,
        }
    }
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourChoice {
    /// On a terminal that has colours.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Print help: of a verb, or of everything.
    Help(Option<Verb>),
    /// Print help of `coldreboot`, which is `kexec reboot --cold`.
    HelpOfColdreboot,
    /// Print help of a subcommand of `kexec crash`.
    HelpOfCrash(CrashAction),
    /// Print the version.
    Version {
        /// As JSON.
        json: bool,
    },
    /// Exit with 1, 0 or 255 (`-S`).
    Status {
        /// Which slot is asked about.
        slot: Slot,
    },
    /// Load, and perhaps go on.
    Load(Load),
    /// Empty a slot.
    Unload {
        /// The slot to empty.
        slot: Slot,
        /// With which system call.
        syscall: SyscallChoice,
    },
    /// Jump into what is loaded.
    Exec(JumpOptions),
    /// Load the jump-back image for the kernel before this one.
    JumpBack {
        /// Where that waits; `None` is where the command line says.
        entry: Option<u64>,
    },
    /// Print the size of the memory reserved for a crash kernel.
    PrintCrashSize,
    /// An option whose work this program does not do.
    Unsupported(Unsupported),
    /// The new spelling.
    Verb(VerbRequest),
}

/// A load in the old spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// What is loaded.
    pub request: LoadRequest,
    /// Flags of kexec_file_load(2) beyond those that follow from the request.
    pub file_flags: FileFlags,
    /// What follows the load.
    pub then: Then,
    /// Write cached data out after the load, as kexec-tools does.
    pub sync_after: bool,
}

/// What follows a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// `shutdown -r now`.
    Shutdown,
    /// The jump.
    Jump(JumpOptions),
}

/// Something that was asked for and is refused before anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// What was asked for and why it is not done.
    pub what: String,
    /// What to do instead.
    pub remedy: String,
    /// The exit code: the one that kexec-tools has when it cannot do it either.
    pub exit_code: u8,
}

/// The new spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerbRequest {
    Reboot {
        selection: Selection,
        how: Shutdown,
        dry_run: bool,
        json: bool,
    },
    /// `kexec reboot --cold`, which loads nothing.
    RebootCold {
        request: ShutdownRequest,
        dry_run: bool,
        json: bool,
    },
    Load {
        selection: Selection,
        dry_run: bool,
        json: bool,
    },
    Unload {
        slot: Slot,
        syscall: SyscallChoice,
        json: bool,
    },
    Status {
        json: bool,
        snapshot: Option<PathBuf>,
        unredacted: bool,
        host: Option<PathBuf>,
    },
    History {
        svg: Option<PathBuf>,
        json: bool,
    },
    Metrics {
        output: Option<PathBuf>,
    },
    List {
        root: Option<PathBuf>,
        names: bool,
        json: bool,
    },
    Plan {
        selection: Selection,
        host: Option<PathBuf>,
        svg: Option<PathBuf>,
        json: bool,
    },
    Check {
        selection: Selection,
        host: Option<PathBuf>,
        json: bool,
    },
    NeedsReboot {
        json: bool,
    },
    Crash(CrashRequest),
    /// Switch a feature on, or off.
    Switch {
        feature: &'static Feature,
        on: bool,
        settings: Settings,
        root: Option<PathBuf>,
        dry_run: bool,
        json: bool,
    },
    Preload {
        how: PreloadOptions,
        json: bool,
    },
    ParallelShutdown {
        how: ParallelShutdown,
        json: bool,
    },
    /// `kexec parallel-shutdown --steps`.
    UnbindSteps,
    /// `kexec parallel-shutdown --services-stopped`.
    ServicesStopped,
    /// `kexec preload --enabled`.
    StartEnabled {
        dry_run: bool,
        json: bool,
    },
}

/// A command line that makes no sense. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    /// What is wrong, for stderr; empty for `-?`, which only asks for help.
    pub message: String,
    /// The verb, whose own help says more; `None` in the old spelling.
    pub verb: Option<Verb>,
    /// The exit code: 2 for verbs; 1 in the old spelling, 255 where kexec-tools
    /// has that.
    pub exit_code: u8,
}

/// Exit code of a usage error in the old spelling.
const USAGE_OLD: u8 = 1;
/// What kexec-tools exits with when there is no kernel, a load cannot be done,
/// or a serial port makes no sense.
const FAILED_OLD: u8 = 255;
/// More verbs than this are not listed in a message.
const MANY: usize = 6;
/// Exit code of a usage error behind a verb.
const USAGE_VERB: u8 = 2;

/// Understands the words behind the program's name on a machine of `arch`.
///
/// # Errors
/// When they make no sense; nothing may be done then.
pub fn parse(arch: Arch, words: &[OsString]) -> Result<CommandLine, UsageError> {
    if let Some((first, rest)) = words.split_first()
        && let Some(verb) = Verb::from_bytes(first.as_bytes())
        && (!has_mode(arch, rest) || verb == Verb::Check && is_for_the_crash_slot(arch, rest))
    {
        return verbs::parse(verb, rest);
    }
    kexec_tools::parse(arch, words).map_err(|error| match not_a_verb(arch, words) {
        _ if error.message.is_empty() => error,
        _ if let Some(before) = verb_before_mode(arch, words) => UsageError {
            message: format!("{before}: {}", error.message),
            ..error
        },
        // Its options are a verb's, too, so they are not what is wrong first.
        Some(word) if !word.similar.is_empty() => UsageError {
            message: format!("{word} If it is a kernel file: {}", error.message),
            ..error
        },
        _ => error,
    })
}

/// A first word where a verb could stand, and that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAVerb {
    /// The word.
    pub word: OsString,
    /// The verbs that may be meant.
    pub similar: Vec<&'static str>,
    /// Whether -p stands behind it, which loads a crash kernel without a verb.
    pub before_panic: bool,
}

impl std::fmt::Display for NotAVerb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there is no verb {}", printable(&self.word))?;
        if !self.similar.is_empty() {
            write!(f, "; did you mean {}?", listed(&self.similar, "or"))?;
        }
        Ok(())
    }
}

/// The first word, where it may be a mistyped verb: it is an operand without a slash, and no
/// option says what to do the old way. One is `-p`, which `kexec check -p` has too: there it
/// may also be a verb that does not take it. It is a kernel file anyway; that there is none
/// of that name is found out by whoever opens it.
pub fn not_a_verb(arch: Arch, words: &[OsString]) -> Option<NotAVerb> {
    let (word, rest) = words.split_first()?;
    let bytes = word.as_bytes();
    let plain = !bytes.is_empty() && !bytes.starts_with(b"-") && !bytes.contains(&b'/');
    (plain && is_for_the_crash_slot(arch, rest)).then(|| NotAVerb {
        word: word.clone(),
        before_panic: has_mode(arch, rest),
        similar: similar(bytes, Verb::ALL.iter().map(|verb| verb.name())),
    })
}

/// A verb before an old option that says what to do: it counts for a kernel file then.
#[derive(Debug, Clone, Copy)]
pub struct VerbBeforeMode {
    /// The verb.
    pub verb: Verb,
    /// The option.
    pub mode: &'static Flag,
}

impl std::fmt::Display for VerbBeforeMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (mode, verb) = (self.mode.spelled(), self.verb.name());
        write!(f, "with {mode}, \"{verb}\" is a kernel file")
    }
}

/// The verb that stands first, where an old option behind it says what to do.
pub fn verb_before_mode(arch: Arch, words: &[OsString]) -> Option<VerbBeforeMode> {
    let (first, rest) = words.split_first()?;
    let verb = Verb::from_bytes(first.as_bytes())?;
    let mode = *modes(arch, rest).first()?;
    let mode = all().find(|flag| flag.id == mode)?;
    Some(VerbBeforeMode { verb, mode })
}

/// Of the options in `table`, the first whose value makes no sense, and what is wrong.
fn wrong_value(table: &[&'static Flag], typed: &Typed) -> Option<(&'static Flag, String)> {
    table.iter().copied().find_map(|flag| {
        let syntax = flag.value.syntax()?;
        let wrong = typed.values(flag.id).find(|value| !syntax.takes(value))?;
        let (name, wrong) = (flag.name(), printable(wrong));
        Some((flag, format!("{name}={wrong}: not {}", syntax.expected())))
    })
}

/// Whether `-p`, and no other option, says what to do the old way: `kexec check -p` asks
/// about a crash kernel. kexec-tools would load a kernel file called `check`.
fn is_for_the_crash_slot(arch: Arch, words: &[OsString]) -> bool {
    modes(arch, words).iter().all(|id| *id == Id::LoadPanic)
}

/// Whether an option says what to do the old way: then `load` is a kernel file.
fn has_mode(arch: Arch, words: &[OsString]) -> bool {
    !modes(arch, words).is_empty()
}

/// The options that say what to do the old way.
fn modes(arch: Arch, words: &[OsString]) -> Vec<Id> {
    let both: Vec<&'static Flag> = all()
        .filter(|f| (f.old && f.arches.contain(arch)) || f.origin == Origin::Later)
        .collect();
    let options = Tokens::new(&both, Spelling::Abbreviated, words);
    let options = options.filter_map(|token| match token {
        Ok(Token::Option(flag, _)) if flag.is_mode() => Some(flag.id),
        _ => None,
    });
    options.collect()
}
