//! Has the initrd the modules of the disks and the file system that the dump goes to?

use kexec_load::preflight::{CheckGroup, Observation, Severity};
use kexec_machine::Fact;

use super::{CrashCheck, CrashContext, unread};
use crate::target::Target;

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-modules",
    group: CheckGroup::Initrd,
    about: "the initrd has the modules of the disks and the file system of the dump's target",
    run,
};

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let what = "modules of the dump's target";
    let target = &context.facts.target;
    let unknown =
        |why: &str, remedy: &str| vec![Observation::new(Severity::Unknown, what, why, remedy)];
    let needed = match (&target.modules, &target.target) {
        (Fact::Known(needed), _) => needed,
        (Fact::Unreadable(why), _) => {
            return unknown(why, unread(context, "test it once: a crash on purpose"));
        }
        (Fact::Absent, Fact::Known(Target::Remote(to))) => {
            return unknown(
                &format!("the dump goes to {to}, and the drivers of the network are not compared"),
                "test it once: a crash on purpose",
            );
        }
        (Fact::Absent, _) => {
            return unknown(
                "the disks of the target are unknown",
                "test it once: a crash on purpose",
            );
        }
    };
    if needed.is_empty() {
        return vec![Observation::pass(
            what,
            "all of them are built into the kernel",
        )];
    }
    if context.plan.release.as_ref() != Some(&context.host.release) {
        return unknown(
            "the crash kernel is not the running one, and may have drivers built in",
            "load the running kernel, or test it once: a crash on purpose",
        );
    }
    let contents = context.contents;
    let lacking: Vec<&str> = needed
        .iter()
        .filter(|module| !contents.modules.contains(*module))
        .map(String::as_str)
        .collect();
    let listed = needed
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    vec![match (lacking.is_empty(), contents.whole) {
        (true, _) => Observation::pass(what, listed),
        (false, false) if contents.image.is_some() => {
            return unknown(
                &format!(
                    "most of the initrd is in {}, which is not looked into; not seen: {}",
                    contents.image.as_deref().unwrap_or_default(),
                    lacking.join(", ")
                ),
                "test it once: a crash on purpose",
            );
        }
        (false, false) => {
            return unknown(
                &format!(
                    "not all of the initrd could be read; not seen: {}",
                    lacking.join(", ")
                ),
                "make the initrd again",
            );
        }
        (false, true) => Observation::new(
            Severity::Warning,
            what,
            format!(
                "the initrd lacks {}, which the running kernel uses for {}",
                lacking.join(", "),
                shown(&target.target)
            ),
            "make an initrd for the crash kernel with your distribution's service, or add the \
             modules to it",
        ),
    }]
}

/// The target for people.
fn shown(target: &Fact<Target>) -> &str {
    match target {
        Fact::Known(Target::Folder(name) | Target::Device(name) | Target::Remote(name)) => name,
        _ => "the target",
    }
}
