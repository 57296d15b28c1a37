//! Is there memory enough, now and by the kernel's own rule?

use kexec_image::{Image, Kernel};
use kexec_plan::{FilePlan, Method};

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use crate::explain::say::Bytes;
use kexec_machine::Fact;

pub(super) const CHECK: Check = Check {
    name: "memory",
    group: CheckGroup::Machine,
    about: "kernel and initrd take at most half of the RAM, and the memory for them is free",
    run,
};

/// Memory is handed out in pages; 4 KiB is the smallest of any machine, so that
/// no need is rounded up too far.
const PAGE: u64 = 4096;

/// What a load takes in memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand {
    /// The kernel, with the room that its header asks for.
    pub(super) kernel: u64,
    /// The initrds, joined.
    pub(super) initrd: u64,
}

impl Demand {
    /// Both. The few pages of parameters and purgatory come on top.
    pub(super) fn total(self) -> u64 {
        self.kernel.saturating_add(self.initrd)
    }
}

impl std::fmt::Display for Demand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kernel, initrd) = (Bytes(self.kernel), Bytes(self.initrd));
        let total = Bytes(self.total());
        match self.initrd {
            0 => write!(f, "{total}"),
            _ => write!(f, "{total} (kernel {kernel}, initrd {initrd})"),
        }
    }
}

/// Bytes of memory that an image holds while it is loaded.
pub fn held(image: &Image, plan: &FilePlan) -> u64 {
    demand(image, plan).total()
}

/// Bytes of memory that the kernel alone holds while it is loaded.
pub(crate) fn held_by_kernel(image: &Image, plan: &FilePlan) -> u64 {
    demand(image, plan).kernel
}

/// What the load of an image takes, as its header says.
pub(super) fn demand(image: &Image, plan: &FilePlan) -> Demand {
    let file = Bytes::of(plan.kernel.len).0;
    let asked = match &image.kernel {
        // Documentation/arch/x86/boot.rst: init_size from 2.10 on; the code
        // moves itself to the end of that area, so all of it is taken.
        Kernel::BzImage(b) => u64::from(b.init_size),
        // Documentation/arch/arm64/booting.rst and riscv/boot-image-header.rst:
        // image_size from the load address on.
        Kernel::Arm64(a) => a.image_size,
        Kernel::Riscv(r) => r.image_size,
        Kernel::Elf(e) => {
            let loads = e.segments.iter();
            loads.fold(0, |sum: u64, s| sum.saturating_add(s.memsz))
        }
        Kernel::Multiboot(m) => m.addresses.map_or(0, |a| a.memory_len),
    };
    let pages = |bytes: u64| bytes.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
    Demand {
        kernel: pages(if asked == 0 { file } else { asked }),
        initrd: pages(Bytes::of(plan.initrd_len()).0),
    }
}

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
        Bytes(total),
        Bytes(total / 2)
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
    let files = Bytes::of(context.plan.kernel.len)
        .0
        .saturating_add(Bytes::of(context.plan.initrd_len()).0);
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
    let peak = demand
        .total()
        .saturating_add(files.saturating_mul(copies))
        .saturating_add(Bytes::of(packed).0);
    match &context.host.memory.available {
        Fact::Known(available) if peak <= *available => Observation::pass(
            what,
            format!(
                "{} are available, {} are needed while loading",
                Bytes(*available),
                Bytes(peak)
            ),
        ),
        Fact::Known(available) => Observation::new(
            Severity::Warning,
            what,
            format!(
                "{} are available, {} are needed while loading",
                Bytes(*available),
                Bytes(peak)
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
