//! What only the verbs know.

use super::{
    ALL_VERBS, ALWAYS, ANSWERING, Effect, Flag, Group, Id, KERNEL_VERBS, LOADING_VERBS, Limit,
    Origin, Rule, Syntax, Value, Verb,
};

const fn flag(id: Id, long: &'static str, verbs: &'static [Verb]) -> Flag {
    Flag {
        origin: Origin::Later,
        old: false,
        verbs,
        ..Flag::new(id, long, Group::Verbs, Effect::modes(ALWAYS))
    }
}

/// The verbs whose output goes through a pager on a terminal. None of them shuts down.
const PAGED: &[Verb] = &[
    Verb::Status,
    Verb::History,
    Verb::List,
    Verb::Plan,
    Verb::Check,
    Verb::Crash,
    Verb::Help,
];

/// What the crash slot does not go with, by whichever verb.
const CRASH_RULES: &[Rule] = &[
    Rule {
        limit: Limit::NotWith(&[Id::AllowPassphrase, Id::YesThisMachine]),
        why: "the checks of a reboot do not apply to a crash kernel",
    },
    Rule {
        limit: Limit::NotWith(&[Id::Unpack]),
        why: "a crash kernel is loaded as it is, into the memory that is reserved for it",
    },
    Rule {
        limit: Limit::NotWith(&[Id::Integrity]),
        why: "a verb always has a crash kernel checked before it starts",
    },
    Rule {
        limit: Limit::NotWith(&[Id::DiscardLiveupdate]),
        why: "a crash kernel keeps no live-update state in either system call",
    },
];

/// What is used most comes first: `--help` and the manual pages have this order.
pub(super) const FLAGS: &[Flag] = &[
    Flag {
        doc_short: "Change nothing: show what would be done",
        ..flag(
            Id::DryRun,
            "dry-run",
            &[
                Verb::Reboot,
                Verb::Load,
                Verb::Crash,
                Verb::Enable,
                Verb::Disable,
                Verb::Preload,
                Verb::ParallelShutdown,
            ],
        )
    },
    Flag {
        doc_short: "Reboot through the firmware if a kexec is refused or fails (exit code 3)",
        doc_long: "Not if ENTRY or KERNEL does not exist.",
        ..flag(Id::OrCold, "or-cold", &[Verb::Reboot])
    },
    Flag {
        doc_short: "Reboot through the firmware, and unload the loaded image",
        doc_long: "Nothing is loaded ahead until the machine is up again.",
        rules: &[Rule {
            limit: Limit::OnlyWith(&[Id::When, Id::IgnoreInhibitors, Id::DryRun, Id::Json]),
            why: "the machine goes through the firmware, and nothing is loaded",
        }],
        ..flag(Id::Cold, "cold", &[Verb::Reboot])
    },
    Flag {
        value: Value::text("TIME"),
        doc_short: "Shut down at this time, in the format of systemctl(1)",
        ..flag(Id::When, "when", &[Verb::Reboot])
    },
    Flag {
        short: Some(b'i'),
        doc_short: "Shut down even if a program holds a shutdown inhibitor lock",
        ..flag(Id::IgnoreInhibitors, "ignore-inhibitors", &[Verb::Reboot])
    },
    Flag {
        doc_short: "Jump without init: sync and freeze file systems, then jump",
        doc_long: "Services are not stopped.",
        rules: &[
            Rule {
                limit: Limit::NotWith(&[Id::When]),
                why: "it jumps at once",
            },
            Rule {
                limit: Limit::NotWithUnless(&[Id::IgnoreInhibitors], Id::OrCold),
                why: "init is not asked, so no lock applies",
            },
        ],
        ..flag(Id::Now, "now", &[Verb::Reboot])
    },
    Flag {
        doc_short: "Use the crash slot instead of the normal one",
        rules: CRASH_RULES,
        ..flag(Id::Crash, "crash", &[Verb::Load, Verb::Unload, Verb::Plan])
    },
    Flag {
        short: Some(b'p'),
        doc_short: "Check whether a panic would be saved: the crash kernel, its memory, its target",
        doc_long: "Without ENTRY and KERNEL, of the kernel that `kexec crash load` would load.",
        rules: CRASH_RULES,
        ..flag(Id::Crash, "crash", &[Verb::Check])
    },
    Flag {
        value: Value::text("TEXT"),
        doc_short: "Use this command line instead of the boot entry's; --append adds to it",
        rules: &[Rule {
            limit: Limit::NotWith(&[Id::ReuseCmdline]),
            why: "it is the whole command line",
        }],
        ..flag(Id::Cmdline, "cmdline", KERNEL_VERBS)
    },
    Flag {
        aliases: &["ramdisk"],
        value: Value::FILE,
        repeats: true,
        doc_short: "The crash kernel's initrd, instead of the one that is found",
        doc_long: "Several are joined in the order given.",
        ..flag(Id::Initrd, "initrd", &[Verb::Crash])
    },
    Flag {
        value: Value::text("TEXT"),
        doc_short: "Use this command line instead of the derived one; --append adds to it",
        ..flag(Id::Cmdline, "cmdline", &[Verb::Crash])
    },
    Flag {
        value: Value::text("TEXT"),
        doc_short: "Add parameters to the crash kernel's command line",
        doc_long: "They count more than the rules by which the command line is derived.",
        ..flag(Id::Append, "append", &[Verb::Crash])
    },
    Flag {
        value: Value::FILE,
        doc_short: "Answer for the machine that this snapshot describes",
        rules: &[Rule {
            limit: Limit::NotWith(&[Id::AllowPassphrase, Id::YesThisMachine]),
            why: "the checks of a reboot run only on the machine itself",
        }],
        ..flag(Id::Host, "host", &[Verb::Status, Verb::Plan, Verb::Check])
    },
    Flag {
        value: Value::Required("DIR", Syntax::Folder),
        doc_short: "Answer for the machine whose files are below this folder",
        ..flag(Id::Root, "root", &[Verb::List])
    },
    Flag {
        value: Value::FILE,
        doc_short: "Draw where kexec_load(2) puts everything, as SVG (- for stdout)",
        rules: &[Rule {
            limit: Limit::ValueNotWith("-", &[Id::Json]),
            why: "only one of them can be on stdout",
        }],
        ..flag(Id::Svg, "svg", &[Verb::Plan])
    },
    Flag {
        value: Value::FILE,
        doc_short: "Draw the reboots as SVG (- for stdout)",
        rules: &[Rule {
            limit: Limit::ValueNotWith("-", &[Id::Json]),
            why: "only one of them can be on stdout",
        }],
        ..flag(Id::Svg, "svg", &[Verb::History])
    },
    Flag {
        value: Value::Required("N", Syntax::ColdEvery),
        doc_short: "With preload: have every Nth reboot go through the firmware (2 to 50)",
        doc_long: "Firmware updates are installed then, and memory is trained. Without this \
                   option, the setting stays as it is; 0 removes it.",
        ..flag(Id::ColdEvery, "cold-every", &[Verb::Enable])
    },
    Flag {
        value: Value::Required("DIR", Syntax::Folder),
        doc_short: "With metrics: write kexec.prom to this folder",
        doc_long: "By default: /var/lib/prometheus/node-exporter.",
        ..flag(Id::TextfileDir, "textfile-dir", &[Verb::Enable])
    },
    Flag {
        value: Value::FILE,
        doc_short: "Write to this file, and replace it as a whole (- for stdout)",
        ..flag(Id::Output, "output", &[Verb::Metrics])
    },
    Flag {
        value: Value::FILE,
        doc_short: "Write a snapshot of this machine for a bug report (- for stdout)",
        ..flag(Id::Snapshot, "snapshot", &[Verb::Status])
    },
    Flag {
        value: Value::Required("DIR", Syntax::Folder),
        doc_short: "Change the system below this folder, not the running one",
        doc_long: "Like systemctl --root: files and links are written; nothing is started, \
                   and nothing is loaded.",
        ..flag(Id::Root, "root", &[Verb::Enable, Verb::Disable])
    },
    Flag {
        doc_short: "Leave secrets and kernel addresses in the snapshot",
        rules: &[Rule {
            limit: Limit::Needs(Id::Snapshot),
            why: "it is about what the snapshot keeps",
        }],
        ..flag(Id::Unredacted, "unredacted", &[Verb::Status])
    },
    Flag {
        value: Value::text("NAME"),
        doc_short: "Load /boot/vmlinuz-NAME with its initramfs and the running command line",
        doc_long: "NAME is the instance of a unit, as systemd escapes it.",
        ..flag(Id::Instance, "instance", &[Verb::Preload])
    },
    Flag {
        doc_short: "Start each kexec-load@NAME.service that was just enabled",
        doc_long: "Loads nothing itself. For the unit that watches systemctl enable.",
        rules: &[Rule {
            limit: Limit::OnlyWith(&[Id::DryRun, Id::Json]),
            why: "it starts units, and loads nothing itself",
        }],
        ..flag(Id::Enabled, "enabled", &[Verb::Preload])
    },
    Flag {
        doc_short: "Check only the image that was loaded ahead, and only during a shutdown",
        ..flag(Id::AtShutdown, "at-shutdown", &[Verb::Preload])
    },
    Flag {
        doc_short: "Do nothing unless preload is enabled (kexec enable preload)",
        ..flag(Id::IfEnabled, "if-enabled", &[Verb::Preload])
    },
    Flag {
        doc_short: "Do nothing where no memory is reserved or another service is enabled; for a unit",
        doc_long: "For kexec-crash.service: where no memory is reserved for a crash kernel, or \
                   where kdump-tools or another kdump service is enabled, nothing is loaded, and \
                   the exit code is 0.",
        rules: &[Rule {
            limit: Limit::NotWith(&[Id::Json]),
            why: "it is for a unit, which reads no output",
        }],
        ..flag(Id::ByUnit, "by-unit", &[Verb::Crash])
    },
    Flag {
        value: Value::Required("SECONDS", Syntax::Number),
        doc_short: "Stop waiting after this many seconds (default: 10)",
        ..flag(Id::Timeout, "timeout", &[Verb::ParallelShutdown])
    },
    Flag {
        doc_short: "Record that services have been stopped; for a unit",
        doc_long: "For kexec-services-stopped.service: the next boot then shows how long services \
                   and devices took.",
        rules: &[Rule {
            limit: Limit::OnlyWith(&[]),
            why: "it unbinds nothing",
        }],
        ..flag(
            Id::ServicesStopped,
            "services-stopped",
            &[Verb::ParallelShutdown],
        )
    },
    Flag {
        doc_short: "Carry out the steps on standard input; for the command itself",
        rules: &[Rule {
            limit: Limit::OnlyWith(&[]),
            why: "it carries out what another process has chosen",
        }],
        ..flag(Id::Steps, "steps", &[Verb::ParallelShutdown])
    },
    Flag {
        doc_short: "Continue even if an encrypted disk will ask for its passphrase",
        ..flag(Id::AllowPassphrase, "allow-passphrase", KERNEL_VERBS)
    },
    Flag {
        doc_short: "Continue even if a kexec is reported to fail on such machines",
        ..flag(
            Id::YesThisMachine,
            "yes-this-machine",
            &[Verb::Reboot, Verb::Load, Verb::Plan, Verb::Check],
        )
    },
    Flag {
        doc_short: "Continue even if a kexec is reported to fail on such machines",
        doc_long: "Also if the last kexec of this machine did not arrive.",
        ..flag(Id::YesThisMachine, "yes-this-machine", &[Verb::Preload])
    },
    Flag {
        short: Some(b'd'),
        doc_short: "Print more on stderr; the running kernel logs what it does",
        doc_long: "With load, sets KEXEC_FILE_DEBUG for kexec_file_load(2), and nothing else. With \
                   status, shows every sysctl.",
        ..flag(Id::Debug, "debug", &[Verb::Crash])
    },
    Flag {
        short: Some(b's'),
        doc_short: "Unload with kexec_file_load(2)",
        doc_long: "Of -s, -c and -a the last one counts.",
        ..flag(Id::FileSyscall, "kexec-file-syscall", &[Verb::Unload])
    },
    Flag {
        short: Some(b'c'),
        doc_short: "Unload with kexec_load(2)",
        ..flag(Id::ClassicSyscall, "kexec-syscall", &[Verb::Unload])
    },
    Flag {
        short: Some(b'a'),
        doc_short: "Unload with kexec_file_load(2), or else the other (the default)",
        ..flag(Id::AutoSyscall, "kexec-syscall-auto", &[Verb::Unload])
    },
    Flag {
        doc_short: "Load with kexec_load(2) even if Secure Boot is on",
        doc_long: "The kernel is then not verified, and an unsigned one is accepted. A \
                   locked-down kernel does not allow it.",
        ..flag(Id::Unverified, "unverified", LOADING_VERBS)
    },
    Flag {
        doc_short: "Print JSON",
        ..flag(Id::Json, "json", ANSWERING)
    },
    Flag {
        doc_short: "Print only the id and the title of each entry, for a completion",
        doc_long: "One entry in a line, with a tab between the two; broken ones are left out.",
        rules: &[Rule {
            limit: Limit::NotWith(&[Id::Json]),
            why: "each is a format",
        }],
        ..flag(Id::Names, "names", &[Verb::List])
    },
    Flag {
        doc_short: "Show long output without a pager ($PAGER, or less)",
        ..flag(Id::NoPager, "no-pager", PAGED)
    },
    Flag {
        value: Value::Required("WHEN", Syntax::Words(&["auto", "always", "never"])),
        doc_short: "Colours: auto (on a terminal, unless NO_COLOR is set), always or never",
        ..flag(Id::Color, "color", ALL_VERBS)
    },
];
