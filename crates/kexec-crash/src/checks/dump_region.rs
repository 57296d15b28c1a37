//! Is the region large enough for what the crash kernel needs once it runs?

use kexec_load::preflight::{self, CheckGroup, Observation, Severity};
use kexec_machine::Snapshot;

use super::{CrashCheck, CrashContext};
use crate::size::Memory;

pub(super) const CHECK: CrashCheck = CrashCheck {
    name: "dump-region",
    group: CheckGroup::Machine,
    about: "the reserved memory is as large as the estimate of what the crash kernel needs",
    run,
};

/// Bytes of `crashkernel=SIZE,cma`: lent to programs until the crash, and then memory of
/// the crash kernel (Documentation/admin-guide/kernel-parameters.txt, "crashkernel=").
pub(super) fn lent(host: &Snapshot) -> u64 {
    let ranges = host.kexec.crash_cma_ranges.known();
    let ranges = ranges.into_iter().flatten();
    ranges.fold(0, |sum, range| sum.saturating_add(range.len()))
}

fn run(context: &CrashContext<'_>) -> Vec<Observation> {
    let mut found = size(context);
    found.extend(too_high(context.host));
    found
}

/// Where memory ends that a device with addresses of 32 bits can reach.
const FOUR_GIB: u64 = 1 << 32;

/// Whether the crash kernel gets no memory below 4 GiB, though the machine has some. Nothing is
/// found where /proc/iomem cannot be read.
///
/// Source: Documentation/admin-guide/kernel-parameters.txt, "crashkernel=size[KMG],low".
fn too_high(host: &Snapshot) -> Option<Observation> {
    let regions = host.crash_regions();
    let regions = regions.known().filter(|regions| !regions.is_empty())?;
    let lent = host.kexec.crash_cma_ranges.known();
    let mut all = regions.iter().chain(lent.into_iter().flatten());
    let ram = host.memory.iomem.known().into_iter().flatten();
    // The first MiB is the crash kernel's, too, and is too small for what devices need.
    let mut ram = ram.filter(|one| one.kind == "System RAM" && one.end > 1 << 20);
    let is_low = ram.any(|one| one.start < FOUR_GIB) && all.all(|one| one.start >= FOUR_GIB);
    is_low.then(|| {
        Observation::new(
            Severity::Warning,
            "memory below 4 GiB for a crash kernel",
            "none of the reserved memory is there: devices that reach no higher do not work in \
             the crash kernel, and the disk of the dump may be one",
            "leave crashkernel=0,low (or the @OFFSET of crashkernel=) out of the kernel command \
             line, and reboot",
        )
    })
}

fn size(context: &CrashContext<'_>) -> Vec<Observation> {
    let what = "memory reserved for a crash kernel";
    let estimate = context.estimate;
    let need = format!("{} are needed", Memory(estimate.bytes));
    let lent = lent(context.host);
    let more = match lent {
        0 => String::new(),
        lent => format!(" and {} of crashkernel=,cma", Memory(lent)),
    };
    vec![match preflight::crash_size(context.host) {
        Some(0) => Observation::new(
            Severity::Refusal,
            what,
            format!("there is none; {need}"),
            reserve(estimate.parameter.as_deref()),
        ),
        Some(size) if size.saturating_add(lent) < estimate.bytes => Observation::new(
            Severity::Warning,
            what,
            format!(
                "{}{more}, but {need}: the crash kernel may run out of memory before the dump is \
                 saved",
                Memory(size)
            ),
            reserve(estimate.parameter.as_deref()),
        ),
        Some(size) => Observation::pass(what, format!("{}{more}; {need}", Memory(size))),
        None => {
            let kexec = &context.host.kexec.crash_size;
            Observation::new(
                Severity::Unknown,
                what,
                format!(
                    "how much is reserved is unknown ({}); {need}",
                    kexec.reason().unwrap_or("no such file in /sys")
                ),
                match context.host.security.cap_sys_boot.is_true() {
                    true => "mount /sys",
                    false => "mount /sys, and run it as root",
                },
            )
        }
    }]
}

/// What to do where nothing or too little is reserved; `parameter` is `crashkernel=192M`,
/// where it is known.
pub(super) fn reserve(parameter: Option<&str>) -> String {
    let parameter = parameter.unwrap_or("crashkernel=SIZE");
    format!(
        "add {parameter} to the kernel command line for good (Debian: /etc/default/grub.d/, then \
         update-grub), and reboot"
    )
}
