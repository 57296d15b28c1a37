//! Does anything save the dump once the crash kernel is up?

use kexec_load::preflight::{CheckGroup, Observation, Severity};

use super::{CrashCheck, CrashContext};

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-program",
    group: CheckGroup::Initrd,
    about: "something saves the dump: a program of the initrd, or a unit of the system that it \
            starts",
    run,
};

/// Debian's unit, which its service has on the crash kernel's command line.
pub(super) const UNIT: &str = "kdump-tools-dump.service";

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let what = "program that saves the dump";
    let unit = context.plan.cmdline.value("systemd.unit");
    if unit.as_deref() == Some(UNIT) {
        return vec![match context.facts.dump_unit {
            true => Observation::pass(what, format!("{UNIT} (systemd.unit=)")),
            false => Observation::new(
                Severity::Warning,
                what,
                format!("the command line has systemd.unit={UNIT}, and there is no such unit"),
                "install kdump-tools, or leave systemd.unit= out",
            ),
        }];
    }
    let contents = context.contents;
    if let Some(first) = contents.savers.first() {
        return vec![Observation::pass(what, format!("{first} in the initrd"))];
    }
    if context.facts.dump_unit {
        return vec![Observation::new(
            Severity::Warning,
            what,
            format!(
                "the initrd has none, and the command line lacks systemd.unit={UNIT}: the crash \
                 kernel would start the whole system"
            ),
            format!("add it: --append systemd.unit={UNIT}"),
        )];
    }
    if let Some(image) = &contents.image {
        return vec![Observation::new(
            Severity::Unknown,
            what,
            format!("most of the initrd is in {image}, which is not looked into"),
            "test it once: a crash on purpose",
        )];
    }
    vec![match contents.whole {
        true => Observation::new(
            Severity::Warning,
            what,
            "the initrd has neither makedumpfile nor vmcore-dmesg nor a service's scripts: the \
             crash kernel would start the whole system, and nothing would save the dump",
            "install kdump-tools, kdump-utils or kdump, and let it make an initrd; or name one \
             with --initrd",
        ),
        false => Observation::new(
            Severity::Unknown,
            what,
            "not all of the initrd could be read, and none was seen in the rest",
            "make the initrd again",
        ),
    }]
}
