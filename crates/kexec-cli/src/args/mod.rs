//! What can be typed: every option as data, one file per group.
//!
//! The tables are the only place where an option is described. `--help` is
//! rendered from them, and so is everything else that lists options. What an
//! option *means* together with others is decided in [`crate::request`].

mod boot;
mod crash;
pub mod crash_dmesg;
pub mod crash_verb;
mod effect;
mod modes;
pub mod numbers;
mod other_arch;
pub mod rules;
mod similar;
mod syscalls;
pub mod typed;
mod value;
mod verb;
mod verb_options;
mod x86;

pub use kexec_image::Arch;

pub(crate) use effect::{ALWAYS, LOADS};
pub use effect::{Call, Effect, Mode};
use rules::{Limit, Rule};
pub use similar::similar;
pub use value::{Offer, Syntax, Value};
pub use verb::ANSWERING;
pub use verb::Verb;
pub(crate) use verb::{ALL_VERBS, KERNEL_VERBS, LOADING_VERBS};

/// The options' names inside the program.
#[expect(missing_docs, reason = "the rows of the tables describe them")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Id {
    Help,
    Usage,
    Version,
    Debug,
    Status,
    Load,
    LoadPanic,
    Unload,
    Exec,
    Force,
    PrintCrashSize,
    LoadPreserveContext,
    LoadJumpBackHelper,
    LoadLiveUpdate,
    ExecLiveUpdate,
    NoIfdown,
    NoSync,
    FileSyscall,
    ClassicSyscall,
    AutoSyscall,
    NoChecks,
    Type,
    MemMin,
    MemMax,
    Entry,
    NoCma,
    ForceDtb,
    Append,
    ReuseCmdline,
    Initrd,
    ReuseInitrd,
    Dtb,
    Module,
    ArgsLinux,
    ArgsElf,
    ArgsNone,
    Hotplug,
    Elf32CoreHeaders,
    Elf64CoreHeaders,
    PassMemmapCmdline,
    RealMode,
    Entry32Bit,
    NoEfi,
    ReuseVideoType,
    ResetVga,
    ConsoleVga,
    ConsoleSerial,
    Serial,
    SerialBaud,
    ArmSerial,
    Profile,
    Crash,
    DryRun,
    Json,
    Color,
    NoPager,
    Names,
    Host,
    Snapshot,
    Unredacted,
    Integrity,
    Unpack,
    DiscardLiveupdate,
    Unverified,
    Svg,
    Cmdline,
    IgnoreInhibitors,
    When,
    Now,
    OrCold,
    AllowPassphrase,
    YesThisMachine,
    Root,
    Cold,
    AtShutdown,
    Enabled,
    IfEnabled,
    ByUnit,
    Instance,
    Timeout,
    Steps,
    ServicesStopped,
    ColdEvery,
    TextfileDir,
    Output,
    Raw,
    Vmcoreinfo,
    SinceClear,
    Level,
    Facility,
    Decode,
    Caller,
    ForcePrefix,
}

/// The headings of `--help`, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What is to be done.
    Modes,
    /// How it is done.
    Common,
    /// Which system call, and what only one of them knows.
    Syscalls,
    /// Command line, initrd and other things handed to the next kernel.
    Boot,
    /// Crash kernels.
    Crash,
    /// For kexec_load(2) on x86 only.
    X86,
    /// For kexec_load(2) on other architectures only.
    OtherArch,
    /// Options of the verbs.
    Verbs,
}

impl Group {
    /// Every group, in the order of `--help`.
    pub const ALL: &'static [Group] = &[
        Group::Modes,
        Group::Common,
        Group::Syscalls,
        Group::Boot,
        Group::Crash,
        Group::X86,
        Group::OtherArch,
        Group::Verbs,
    ];

    /// Where the help of a verb has it: first what only verbs know.
    pub fn place_behind_a_verb(self) -> usize {
        match self {
            Group::Verbs => 0,
            Group::Boot => 1,
            Group::Syscalls => 2,
            Group::Crash | Group::X86 | Group::OtherArch => 3,
            Group::Modes | Group::Common => 4,
        }
    }

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Group::Modes => "What to do (without any of these: load, then `shutdown -r now`)",
            Group::Common => "How to do it",
            Group::Syscalls => "Which system call loads",
            Group::Boot => "What the next kernel gets",
            Group::Crash => "Crash kernels",
            Group::X86 => "x86, when kexec_load(2) is used",
            Group::OtherArch => "This architecture, when kexec_load(2) is used",
            Group::Verbs => "Options",
        }
    }
}

/// Where an option comes from, which decides how it may be abbreviated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// kexec-tools 2.0.32 and older have it: every unambiguous prefix is taken.
    KexecTools,
    /// Everything newer must be spelled out, so that it never makes a prefix
    /// ambiguous that scripts use today.
    Later,
}

/// Which architectures know an option of the old spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arches {
    /// All of them.
    All,
    /// Only these.
    Only(&'static [Arch]),
    /// All but these.
    AllBut(&'static [Arch]),
}

impl Arches {
    /// Whether `arch` is one of them.
    pub fn contain(self, arch: Arch) -> bool {
        match self {
            Arches::All => true,
            Arches::Only(list) => list.contains(&arch),
            Arches::AllBut(list) => !list.contains(&arch),
        }
    }
}

/// The 64-bit and the 32-bit x86.
pub(crate) const X86: Arches = Arches::Only(&[Arch::X86, Arch::X86_64]);

/// What is said of an option that is never carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Why, behind the option's name.
    pub why: &'static str,
    /// What to do instead.
    pub remedy: &'static str,
}

/// One option: everything that is to be said of it. How its value takes part in a
/// request is said in `request/`.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Its name inside the program.
    pub id: Id,
    /// `--long`; empty for `-?` alone.
    pub long: &'static str,
    /// Other long names with the same meaning.
    pub aliases: &'static [&'static str],
    /// `-s`, an ASCII letter.
    pub short: Option<u8>,
    /// Its value.
    pub value: Value,
    /// Where `--help` shows it.
    pub group: Group,
    /// Which architectures know it.
    pub arches: Arches,
    /// How far it may be abbreviated.
    pub origin: Origin,
    /// Whether the old spelling takes it.
    pub old: bool,
    /// Which verbs take it.
    pub verbs: &'static [Verb],
    /// When it has an effect.
    pub effect: Effect,
    /// What it does not go with.
    pub rules: &'static [Rule],
    /// It is known and never carried out.
    pub refused: Option<Refused>,
    /// It may be given more than once, and each one counts.
    pub repeats: bool,
    /// kexec-tools answers with its usage when such an option stands beside
    /// `-e`, `-u` or `-S`, and so do we.
    pub load_only: bool,
    /// One line for `--help`.
    pub doc_short: &'static str,
    /// More sentences, for the help of a verb and for manual pages.
    pub doc_long: &'static str,
}

impl Flag {
    /// A row with the usual values; the tables say what differs.
    pub(crate) const fn new(id: Id, long: &'static str, group: Group, effect: Effect) -> Flag {
        Flag {
            id,
            long,
            aliases: &[],
            short: None,
            value: Value::None,
            group,
            arches: Arches::All,
            origin: Origin::KexecTools,
            old: true,
            verbs: &[],
            effect,
            rules: &[],
            refused: None,
            repeats: false,
            load_only: false,
            doc_short: "",
            doc_long: "",
        }
    }

    /// As people know it: `--load`, or `-?`.
    pub fn name(&self) -> String {
        match (self.long, self.short) {
            ("", Some(short)) => format!("-{}", char::from(short)),
            (long, _) => format!("--{long}"),
        }
    }

    /// The same for messages, where somebody looks for what was typed: `-l (--load)`.
    pub fn spelled(&self) -> String {
        match (self.long, self.short) {
            ("", _) | (_, None) => self.name(),
            (long, Some(short)) => format!("-{} (--{long})", char::from(short)),
        }
    }

    /// Its long names.
    pub fn longs(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.long)
            .chain(self.aliases.iter().copied())
            .filter(|l| !l.is_empty())
    }

    /// What a shell can offer for its value.
    pub fn offer(&self) -> Offer {
        self.value.syntax().map_or(Offer::Nothing, Syntax::offer)
    }

    /// Everything that is said of it beyond `doc_short`, and beside which options it
    /// has no place: of those that one of `verbs` takes, or without a verb those of the
    /// old spelling.
    pub fn details(&self, verbs: &[Verb]) -> String {
        let taken = |id: Id| {
            all().filter(|flag| flag.id == id).any(|flag| match verbs {
                [] => flag.old,
                verbs => verbs.iter().any(|verb| flag.verbs.contains(verb)),
            })
        };
        let limits = self.rules.iter();
        let limits = limits.filter_map(|rule| rule.limit.sentence(&taken));
        let said = Some(self.doc_long.to_owned()).filter(|text| !text.is_empty());
        said.into_iter().chain(limits).collect::<Vec<_>>().join(" ")
    }

    /// Whether it says what to do, so that `kexec load -e` is the old spelling.
    pub fn is_mode(&self) -> bool {
        self.old && self.group == Group::Modes
    }
}

/// Every table, in the order of `--help`.
pub const TABLES: &[&[Flag]] = &[
    modes::FLAGS,
    syscalls::FLAGS,
    boot::FLAGS,
    crash::FLAGS,
    x86::FLAGS,
    other_arch::FLAGS,
    verb_options::FLAGS,
    crash_dmesg::FLAGS,
];

/// Every option of every architecture and spelling.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The options of the old spelling on `arch`.
pub fn flags_for(arch: Arch) -> Vec<&'static Flag> {
    all().filter(|f| f.old && f.arches.contain(arch)).collect()
}

/// The options of a verb, what is used most first.
pub fn flags_of(verb: Verb) -> Vec<&'static Flag> {
    let mut flags: Vec<&Flag> = all().filter(|f| f.verbs.contains(&verb)).collect();
    flags.sort_by_key(|flag| flag.group.place_behind_a_verb());
    flags
}

/// `a, b and c`.
pub fn listed<T: AsRef<str>>(words: &[T], and: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_on_each_architecture_and_in_each_verb() {
        let tables = Arch::ALL
            .iter()
            .map(|a| flags_for(*a))
            .chain(Verb::ALL.iter().map(|v| flags_of(*v)));
        for table in tables {
            let mut longs: Vec<_> = table.iter().flat_map(|f| f.longs()).collect();
            let mut shorts: Vec<_> = table.iter().filter_map(|f| f.short).collect();
            let mut ids: Vec<_> = table.iter().map(|f| f.id).collect();
            let (l, s, i) = (longs.len(), shorts.len(), ids.len());
            longs.sort_unstable();
            longs.dedup();
            shorts.sort_unstable();
            shorts.dedup();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!((longs.len(), shorts.len(), ids.len()), (l, s, i));
        }
    }

    #[test]
    fn every_option_is_described_and_belongs_somewhere() {
        for flag in all() {
            assert!(!flag.doc_short.is_empty(), "{}", flag.name());
            assert!(!flag.doc_short.ends_with('.'), "{}", flag.name());
            assert!(flag.old || !flag.verbs.is_empty(), "{}", flag.name());
            let why = flag.effect.instead;
            assert!(
                !flag.effect.modes.is_empty() || why.is_some(),
                "{}",
                flag.name()
            );
        }
    }

    /// Taken from the real program's own list of candidates for each letter.
    #[test]
    fn x86_64_knows_exactly_the_options_of_kexec_tools() {
        let mut ours: Vec<_> = flags_for(Arch::X86_64)
            .iter()
            .filter(|f| f.origin == Origin::KexecTools)
            .flat_map(|f| f.longs())
            .collect();
        ours.sort_unstable();
        let mut theirs: Vec<_> = "append args-elf args-linux args-none console-vga \
            console-serial command-line debug dtb exec exec-live-update entry \
            elf32-core-headers elf64-core-headers entry-32bit force help hotplug initrd \
            kexec-file-syscall kexec-syscall kexec-syscall-auto load load-preserve-context \
            load-jump-back-helper load-live-update load-panic mem-min mem-max module \
            no-checks no-ifdown no-sync noefi print-ckr-size pass-memmap-cmdline reuseinitrd \
            reset-vga reuse-video-type reuse-cmdline ramdisk real-mode status serial \
            serial-baud type unload version"
            .split_whitespace()
            .collect();
        theirs.sort_unstable();
        assert_eq!(ours, theirs);
        let shorts: String = flags_for(Arch::X86_64)
            .iter()
            .filter_map(|f| f.short.map(char::from))
            .collect();
        let mut sorted: Vec<_> = shorts.chars().collect();
        sorted.sort_unstable();
        assert_eq!(sorted.into_iter().collect::<String>(), "?Sacdefhilpstuvxy");
    }

    #[test]
    fn architectures_differ() {
        let has = |arch, long: &str| flags_for(arch).iter().any(|f| f.longs().any(|l| l == long));
        assert!(has(Arch::X86_64, "noefi"));
        assert!(!has(Arch::Arm64, "noefi"));
        assert!(has(Arch::Arm64, "serial"));
        assert!(!has(Arch::Arm64, "serial-baud"));
        assert!(has(Arch::Arm64, "dtb"));
        assert!(!has(Arch::Riscv64, "serial"));
        assert!(!has(Arch::S390x, "dtb"));
    }
}
