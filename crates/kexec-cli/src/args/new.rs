//! What only the verbs know.

use super::{
    ALWAYS, ANSWERING, Effect, Flag, Group, Id, KERNEL_VERBS, Limit, Origin, Rule, Syntax, Value,
    Verb,
};

const fn flag(id: Id, long: &'static str, verbs: &'static [Verb]) -> Flag {
    Flag {
        origin: Origin::Later,
        old: false,
        verbs,
        ..Flag::new(id, long, Group::Verbs, Effect::modes(ALWAYS))
    }
}

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        doc_short: "Answer as JSON",
        ..flag(Id::Json, "json", ANSWERING)
    },
    Flag {
        doc_short: "Change nothing: say what would be done",
        ..flag(
            Id::DryRun,
            "dry-run",
            &[
                Verb::Reboot,
                Verb::Load,
                Verb::Enable,
                Verb::Disable,
                Verb::Preload,
            ],
        )
    },
    Flag {
        value: Value::text("TEXT"),
        doc_short: "This command line instead of the boot entry's; --append comes on top",
        rules: &[Rule {
            limit: Limit::NotWith(&[Id::ReuseCmdline]),
            why: "it is the whole command line",
        }],
        ..flag(Id::Cmdline, "cmdline", KERNEL_VERBS)
    },
    Flag {
        short: Some(b'i'),
        doc_short: "Shut down although somebody holds a lock against it",
        ..flag(Id::IgnoreInhibitors, "ignore-inhibitors", &[Verb::Reboot])
    },
    Flag {
        value: Value::text("TIME"),
        doc_short: "Shut down at that time, as systemctl(1) understands it",
        ..flag(Id::When, "when", &[Verb::Reboot])
    },
    Flag {
        doc_short: "Jump without init: write file systems out, freeze them, jump",
        doc_long: "Services are not stopped.",
        rules: &[
            Rule {
                limit: Limit::NotWith(&[Id::When]),
                why: "it jumps at once",
            },
            Rule {
                limit: Limit::NotWithUnless(&[Id::IgnoreInhibitors], Id::OrCold),
                why: "init is not asked, so no lock can be in the way",
            },
        ],
        ..flag(Id::Now, "now", &[Verb::Reboot])
    },
    Flag {
        doc_short: "Go on although an encrypted disk will ask for its passphrase",
        ..flag(Id::AllowPassphrase, "allow-passphrase", KERNEL_VERBS)
    },
    Flag {
        doc_short: "Go on although this kind of machine is reported not to arrive",
        doc_long: "With preload: also although the last kexec of this machine did not arrive.",
        ..flag(
            Id::YesThisMachine,
            "yes-this-machine",
            &[
                Verb::Reboot,
                Verb::Load,
                Verb::Plan,
                Verb::Check,
                Verb::Preload,
            ],
        )
    },
    Flag {
        doc_short: "Reboot through the firmware when a kexec is refused; exit code 3 then",
        ..flag(Id::OrCold, "or-cold", &[Verb::Reboot])
    },
    Flag {
        doc_short: "Reboot through the firmware, and take out what is loaded",
        doc_long: "Nothing is loaded ahead any more until the machine is up again.",
        rules: &[Rule {
            limit: Limit::OnlyWith(&[Id::When, Id::IgnoreInhibitors, Id::DryRun, Id::Json]),
            why: "the machine goes through the firmware, and nothing is loaded",
        }],
        ..flag(Id::Cold, "cold", &[Verb::Reboot])
    },
    Flag {
        doc_short: "Look only at what was loaded ahead, and only if the machine is shutting down",
        ..flag(Id::AtShutdown, "at-shutdown", &[Verb::Preload])
    },
    Flag {
        doc_short: "Do nothing unless kexec enable preload was said",
        ..flag(Id::IfEnabled, "if-enabled", &[Verb::Preload])
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
        value: Value::text("NAME"),
        doc_short: "Load /boot/vmlinuz-NAME with its initramfs and the running command line",
        doc_long: "NAME is the instance of a unit, as systemd escapes it.",
        ..flag(Id::Instance, "instance", &[Verb::Preload])
    },
    Flag {
        doc_short: "The crash slot instead of the normal one",
        rules: &[
            Rule {
                limit: Limit::NotWith(&[Id::AllowPassphrase, Id::YesThisMachine]),
                why: "whether the machine arrives is not checked for a crash kernel",
            },
            Rule {
                limit: Limit::NotWith(&[Id::Integrity, Id::DiscardLiveupdate]),
                why: "a crash kernel is loaded with kexec_file_load(2)",
            },
        ],
        ..flag(
            Id::Crash,
            "crash",
            &[Verb::Load, Verb::Unload, Verb::Plan, Verb::Check],
        )
    },
    Flag {
        doc_short: "Load with kexec_load(2) although Secure Boot is on",
        doc_long: "Nobody verifies the kernel then, and an unsigned one is taken. A locked-down \
                   kernel does not allow it.",
        ..flag(Id::Unverified, "unverified", KERNEL_VERBS)
    },
    Flag {
        value: Value::FILE,
        doc_short: "Answer for the machine that this snapshot describes",
        rules: &[Rule {
            limit: Limit::NotWith(&[Id::AllowPassphrase, Id::YesThisMachine]),
            why: "whether a machine arrives is checked on itself only",
        }],
        ..flag(Id::Host, "host", &[Verb::Status, Verb::Plan, Verb::Check])
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
        value: Value::FILE,
        doc_short: "Write this machine as a snapshot for a bug report (- for stdout)",
        ..flag(Id::Snapshot, "snapshot", &[Verb::Status])
    },
    Flag {
        value: Value::Required("DIR", Syntax::Folder),
        doc_short: "Answer for the machine whose files are below this folder",
        ..flag(Id::Root, "root", &[Verb::List])
    },
    Flag {
        doc_short: "Leave secrets and kernel addresses in the snapshot",
        rules: &[Rule {
            limit: Limit::Needs(Id::Snapshot),
            why: "it is about what the snapshot keeps",
        }],
        ..flag(Id::Unredacted, "unredacted", &[Verb::Status])
    },
];
