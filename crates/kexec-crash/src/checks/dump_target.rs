//! Is there room where the dump goes?

use kexec_load::preflight::{CheckGroup, Observation, Severity};
use kexec_machine::Fact;

use super::{CrashCheck, CrashContext, unread};
use crate::facts::in_memory;
use crate::size::{FileSize, MIB};
use crate::target::Target;
use crate::watchdog::SHARE;

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-target",
    group: CheckGroup::Dump,
    about: "the place for the dump exists and has room",
    run,
};

/// The log of the kernel and a small dump: less than this is no room.
const LEAST: u64 = 64 * MIB;

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let target = &context.facts.target;
    let named = match target.service {
        Some(service) => format!("as {} names it", service.file()),
        None => "the usual place; no service is configured".to_owned(),
    };
    let folder = match &target.target {
        Fact::Known(Target::Folder(folder)) => folder,
        Fact::Known(Target::Device(device) | Target::Remote(device)) => {
            return vec![Observation::new(
                Severity::Unknown,
                format!("target of the dump: {device}"),
                format!("{named}; how much room it has is not looked at"),
                "test it once: a crash on purpose",
            )];
        }
        Fact::Unreadable(why) => {
            return vec![Observation::new(
                Severity::Unknown,
                "target of the dump",
                why,
                unread(context, "repair that file"),
            )];
        }
        Fact::Absent => return Vec::new(),
    };
    let what = format!("target of the dump: {folder}");
    let warn = |why: String, remedy: String| {
        vec![Observation::new(
            Severity::Warning,
            what.clone(),
            why,
            remedy,
        )]
    };
    match &target.exists {
        Fact::Known(true) => {}
        Fact::Known(false) | Fact::Absent => {
            return warn(
                format!("no such folder ({named})"),
                format!("mkdir -m 700 {folder}"),
            );
        }
        Fact::Unreadable(why) => {
            return vec![Observation::new(
                Severity::Unknown,
                what,
                why,
                unread(context, "make the folder again, or name another one"),
            )];
        }
    }
    if let Fact::Known(kind) = &target.file_system
        && in_memory(kind)
    {
        return warn(
            format!("it is in memory ({kind}): a dump there is lost at the reboot"),
            "name a folder on a disk".to_owned(),
        );
    }
    let memory = context.host.memory.total.known().copied();
    let wanted = memory.map_or(LEAST, |memory| (memory / SHARE).max(LEAST));
    match &target.free {
        Fact::Known(free) if *free < wanted => warn(
            format!(
                "{} are free, and a dump may take {} (a tenth of the memory)",
                FileSize(*free),
                FileSize(wanted)
            ),
            "remove old dumps, or name a place with more room".to_owned(),
        ),
        Fact::Known(free) => vec![Observation::pass(
            what,
            format!("{} are free ({named})", FileSize(*free)),
        )],
        Fact::Absent | Fact::Unreadable(_) => vec![Observation::new(
            Severity::Unknown,
            what,
            target.free.reason().unwrap_or("its file system is unknown"),
            unread(context, "look at it with df(1)"),
        )],
    }
}
