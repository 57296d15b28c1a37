//! Does the crash kernel take over the IOMMU that devices use while the kernel crashes?

use kexec_load::preflight::{CheckGroup, Observation, Severity};
use kexec_machine::Fact;

use super::{CrashCheck, CrashContext};

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-iommu",
    group: CheckGroup::Machine,
    about: "an IOMMU that is on when the kernel crashes is on in the crash kernel, too",
    run,
};

/// Parameters that switch an IOMMU off (kernel-parameters.txt, "intel_iommu=", "amd_iommu=",
/// "iommu=").
const OFF: &[&str] = &["intel_iommu", "amd_iommu", "iommu"];

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let what = "IOMMU";
    let iommus = match &context.facts.iommus {
        Fact::Known(names) if !names.is_empty() => names,
        Fact::Known(_) | Fact::Absent => {
            return vec![Observation::pass(what, "none is in use")];
        }
        Fact::Unreadable(why) => {
            return vec![Observation::new(Severity::Unknown, what, why, "mount /sys")];
        }
    };
    let names = iommus.join(", ");
    let off = OFF
        .iter()
        .find(|name| context.plan.cmdline.value(name).as_deref() == Some("off"));
    if let Some(name) = off {
        return vec![Observation::new(
            Severity::Warning,
            what,
            format!(
                "{names} is in use, and the crash kernel has {name}=off: devices that still \
                 transfer data then write anywhere, or fail"
            ),
            format!("leave {name}=off out of the command line"),
        )];
    }
    let on = |line: Option<String>| line.is_some_and(|value| value.starts_with("on"));
    let running = context.host.cmdline.known();
    let asked = on(running.and_then(|line| line.value("intel_iommu")));
    vec![
        match asked && !on(context.plan.cmdline.value("intel_iommu")) {
            true => Observation::new(
                Severity::Warning,
                what,
                format!(
                    "the running kernel has intel_iommu=on, and the crash kernel does not: it would \
                 not take {names} over"
                ),
                "add intel_iommu=on to the crash kernel's command line: --append intel_iommu=on",
            ),
            false => Observation::pass(
                what,
                format!("{names}: nothing on the command line switches it off"),
            ),
        },
    ]
}
