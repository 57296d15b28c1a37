//! Is there memory enough, now and by the kernel's own rule?

use kexec_plan::Method;

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use crate::demand::{Demand, demand};
use kexec_machine::Fact;
use kexec_plan::size::Memory;

pub(super) const CHECK: Check = Check {
    name: "memory",
    group: CheckGroup::Machine,
    about: "kernel and initrd take at most half of the RAM, and the memory for them is free",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let demand = demand(context.image, context.plan);
    let mut outcomes = vec![half(context, demand)];
    // The crash slot has memory of its own, see the check of the crash region.
    if !context.plan.crash {
        outcomes.push(free(context, demand));
    }
    outcomes
}

/// The kernel refuses an image that takes more than half of all memory
/// (kexec_load(2), EINVAL), so that the machine does not seize up while loading.
fn half(context: &LoadContext<'_>, demand: Demand) -> Observation {
    let what = "size in memory";
    let total = match &context.host.memory.total {
        Fact::Known(total) => *total,
        Fact::Absent => {
            let why = format!("{demand}; not compared: there is no /proc/meminfo");
            return Observation::new(Severity::Unknown, what, why, "mount /proc");
        }
        Fact::Unreadable(reason) => {
            let why = format!("{demand}; not compared: {reason}");
            return Observation::new(Severity::Unknown, what, why, "mount /proc");
        }
    };
    let compared = format!(
        "{demand}; half of the RAM of {} is {}",
        Memory(total),
        Memory(total / 2)
    );
    if demand.total() <= total / 2 {
        return Observation::pass(what, compared);
    }
    Observation::new(
        Severity::Refusal,
        what,
        format!("{compared}, and the kernel allows no more"),
        "use a smaller initrd, or give the machine more memory",
    )
}

/// While it is loaded, the files are in memory beside the image, and once more
/// where the kernel reads them itself.
fn free(context: &LoadContext<'_>, demand: Demand) -> Observation {
    let what = "free memory";
    let files = Memory::of(context.plan.kernel.len)
        .0
        .saturating_add(Memory::of(context.plan.initrd_len()).0);
    let copies = match context.decision.method {
        Method::FileLoad => 2,
        Method::ClassicLoad => 1,
    };
    // What was unpacked is there as its file, too.
    let packed = match context.unpacked.initrd.is_changed() {
        true => context
            .initrds
            .iter()
            .fold(0, |sum: usize, piece| sum.saturating_add(piece.len)),
        false => 0,
    };
    // And so is the kernel that was taken out of its file.
    let taken_out = match context.unpacked.kernel.unpacked {
        true => demand.kernel,
        false => 0,
    };
    let peak = demand
        .total()
        .saturating_add(taken_out)
        .saturating_add(files.saturating_mul(copies))
        .saturating_add(Memory::of(packed).0);
    let usable = context.host.memory.usable();
    let by = usable
        .limit
        .map(|limit| format!(" within the limit of {limit}"));
    let by = by.unwrap_or_default();
    match &usable.bytes {
        Fact::Known(available) if peak <= *available => Observation::pass(
            what,
            format!(
                "{} are available{by}, {} are needed while loading",
                Memory(*available),
                Memory(peak)
            ),
        ),
        Fact::Known(available) => Observation::new(
            Severity::Warning,
            what,
            format!(
                "{} are available{by}, {} are needed while loading",
                Memory(*available),
                Memory(peak)
            ),
            "stop what uses much memory, or use a smaller initrd",
        ),
        Fact::Absent => Observation::new(
            Severity::Unknown,
            what,
            "/proc/meminfo has no MemAvailable",
            "mount /proc",
        ),
        Fact::Unreadable(reason) => {
            Observation::new(Severity::Unknown, what, reason, "mount /proc")
        }
    }
}
