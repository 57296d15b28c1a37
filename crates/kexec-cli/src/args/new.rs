//! What only the verbs know.

use super::{ALL_VERBS, ALWAYS, Effect, Flag, Group, Id, KERNEL_VERBS, Origin, Value, Verb};

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
        ..flag(Id::Json, "json", ALL_VERBS)
    },
    Flag {
        doc_short: "Do everything but load",
        ..flag(Id::DryRun, "dry-run", &[Verb::Load])
    },
    Flag {
        doc_short: "The crash slot instead of the normal one",
        ..flag(
            Id::Crash,
            "crash",
            &[Verb::Load, Verb::Unload, Verb::Plan, Verb::Check],
        )
    },
    Flag {
        doc_short: "Load with kexec_load(2) although Secure Boot is on",
        doc_long: "Nobody verifies the kernel then. A locked-down kernel does not allow it.",
        ..flag(Id::Unverified, "unverified", KERNEL_VERBS)
    },
    Flag {
        value: Value::Required("FILE"),
        doc_short: "Answer for the machine that this snapshot describes",
        ..flag(Id::Host, "host", &[Verb::Status, Verb::Plan, Verb::Check])
    },
    Flag {
        value: Value::Required("FILE"),
        doc_short: "Draw where kexec_load(2) puts everything, as SVG (- for stdout)",
        ..flag(Id::Svg, "svg", &[Verb::Plan])
    },
    Flag {
        value: Value::Required("FILE"),
        doc_short: "Draw the reboots as SVG (- for stdout)",
        ..flag(Id::Svg, "svg", &[Verb::History])
    },
    Flag {
        value: Value::Required("FILE"),
        doc_short: "Write this machine as a snapshot for a bug report (- for stdout)",
        ..flag(Id::Snapshot, "snapshot", &[Verb::Status])
    },
    Flag {
        doc_short: "Leave secrets and kernel addresses in the snapshot",
        ..flag(Id::Unredacted, "unredacted", &[Verb::Status])
    },
];
