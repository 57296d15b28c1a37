//! What only `kexec crash dmesg` and `vmcore-dmesg` know: which messages, and how they are
//! shown. The names are those of dmesg(1), without its `-l` and `-f`, which say what to do
//! in the old spelling of kexec.

use super::{ALWAYS, Effect, Flag, Group, Id, Origin, Syntax, Value, Verb};

const fn flag(id: Id, long: &'static str) -> Flag {
    Flag {
        origin: Origin::Later,
        old: false,
        verbs: &[Verb::Crash],
        ..Flag::new(id, long, Group::Verbs, Effect::modes(ALWAYS))
    }
}

/// Their ids.
pub const IDS: &[Id] = &[
    Id::Raw,
    Id::Vmcoreinfo,
    Id::SinceClear,
    Id::Level,
    Id::Facility,
    Id::Decode,
    Id::Caller,
    Id::ForcePrefix,
];

/// Every option.
pub const FLAGS: &[Flag] = &[
    Flag {
        short: Some(b'r'),
        doc_short: "Print the priority in front of each message, as in /dev/kmsg: `<6>`",
        ..flag(Id::Raw, "raw")
    },
    Flag {
        doc_short: "Print the crashed kernel's description of itself (vmcoreinfo), not its log",
        ..flag(Id::Vmcoreinfo, "vmcoreinfo")
    },
    Flag {
        doc_short: "Print only what was written since the log was cleared (`dmesg -C`)",
        ..flag(Id::SinceClear, "since-clear")
    },
    Flag {
        value: Value::Required("LIST", Syntax::Text),
        doc_short: "Print only messages of these levels: emerg, alert, crit, err, warn, notice, \
                    info, debug",
        doc_long: "The list is separated by commas. `err+` means err and everything worse, `+err` \
                   err and everything less bad, as in `dmesg`.",
        ..flag(Id::Level, "level")
    },
    Flag {
        value: Value::Required("LIST", Syntax::Text),
        doc_short: "Print only messages of these facilities, such as kern, user or daemon",
        doc_long: "The list is separated by commas; the names are those of syslog(3), in small \
                   letters.",
        ..flag(Id::Facility, "facility")
    },
    Flag {
        short: Some(b'x'),
        doc_short: "Print facility and level in front of each message, as `dmesg -x`",
        ..flag(Id::Decode, "decode")
    },
    Flag {
        doc_short: "Print which thread (T123) or processor (C1) wrote each message",
        doc_long: "`dmesg` prints that when the running kernel has CONFIG_PRINTK_CALLER. Since 5.10 \
                   the dump has it whatever the crashed kernel was built with; for older kernels \
                   nothing is printed.",
        ..flag(Id::Caller, "caller")
    },
    Flag {
        short: Some(b'P'),
        doc_short: "Print time and what else is in front of a message on each of its lines",
        ..flag(Id::ForcePrefix, "force-prefix")
    },
];
