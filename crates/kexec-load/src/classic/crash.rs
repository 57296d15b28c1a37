//! What a crash kernel has to be told of the running one, out of a snapshot.

use kexec_machine::snapshot::{KexecFile, MemoryRange, NotePlace};
use kexec_machine::{Fact, Problem, Snapshot};
use kexec_plan::PlanError;
use kexec_plan::crash::{CpuNotes, CrashError, CrashFacts, KernelText};
use kexec_plan::memory::Range;

use crate::Error;

/// The first series of Linux that keeps out of the first MiB of memory on x86 when memory is
/// reserved for a crash kernel (commit 6f599d84231f in 5.5). Before that it is copied out of
/// the way at the crash.
const KEEPS_LOW_MEMORY: (u32, u32) = (5, 5);

/// What the planner has to know of the running kernel. With `hotplug`, that kernel is to keep
/// the loaded crash kernel up to date.
///
/// # Errors
/// What is missing, and why: the crash kernel would have nothing to save.
pub fn crash_facts(host: &Snapshot, hotplug: bool) -> Result<CrashFacts, Error> {
    let crash = &host.crash;
    let (major, minor) = KEEPS_LOW_MEMORY;
    needed(&host.memory.iomem, "/proc/iomem")?;
    if host.crash_regions().known().is_some_and(Vec::is_empty) {
        return Err(PlanError::Classic(CrashError::NoRegion.into()).into());
    }
    let cpus = needed(&crash.cpu_notes, "crash_notes of the processors")?;
    let vmcoreinfo = needed(&crash.vmcoreinfo, "/sys/kernel/vmcoreinfo")?;
    let map = needed(&crash.kernel_map, "/proc/kcore")?;
    let hotplug_size = hotplug.then(|| elfcorehdr_size(host)).transpose()?;
    let cma = match &host.kexec.crash_cma_ranges {
        Fact::Unreadable(_) => needed(&host.kexec.crash_cma_ranges, "crash_cma_ranges")?.as_slice(),
        Fact::Known(ranges) => ranges,
        Fact::Absent => &[],
    };
    let range = |r: &MemoryRange| Range::new(r.start, r.end);
    Ok(CrashFacts {
        cpus: cpus
            .iter()
            .map(|note| CpuNotes {
                cpu: note.cpu,
                range: place(&note.place),
            })
            .collect(),
        vmcoreinfo: place(vmcoreinfo),
        kernel_text: KernelText {
            virtual_start: map.text,
            physical: Range::sized(map.physical, map.len).unwrap_or_default(),
        },
        direct_map: map.page_offset,
        cma: cma.iter().map(range).collect(),
        hotplug_size,
        // Where the release is unknown, a copy does no harm.
        uses_low_memory: host.release_at_least(major, minor) != Some(true),
    })
}

/// How large the running kernel wants the ELF core header, so that it can write it anew.
fn elfcorehdr_size(host: &Snapshot) -> Result<u64, Error> {
    let why = match &host.kexec.elfcorehdr_size {
        Fact::Known(size) => return Ok(*size),
        Fact::Unreadable(why) => why.clone(),
        Fact::Absent => format!(
            "the running kernel does not update the ELF core header: {} does not exist",
            KexecFile::ElfcorehdrSize.place(&host.release)
        ),
    };
    Err(Error::refused(
        "--hotplug",
        why,
        "leave --hotplug out, and load the crash kernel again when processors or memory change",
    ))
}

/// What the user has to know of a crash kernel that is loaded with kexec_load(2).
pub fn crash_notes(host: &Snapshot) -> Option<String> {
    let cma = host.cmdline.known().is_some_and(|line| {
        line.words().any(|word| {
            let size = word.strip_prefix(b"crashkernel=");
            size.is_some_and(|size| size.ends_with(b",cma"))
        })
    });
    let hidden = matches!(host.kexec.crash_cma_ranges, Fact::Absent);
    (cma && hidden && host.release_at_least(6, 17) == Some(true)).then(|| {
        "the running kernel does not show where the memory of crashkernel=SIZE,cma is \
         (crash_cma_ranges), so the crash kernel gets the other part only; with -s it gets both"
            .to_owned()
    })
}

fn needed<'a, T>(fact: &'a Fact<T>, file: &str) -> Result<&'a T, Error> {
    let why = match fact {
        Fact::Known(value) => return Ok(value),
        Fact::Absent => "does not exist".to_owned(),
        Fact::Unreadable(why) => why.clone(),
    };
    Err(Error::NotRead(Problem::new(
        format!("cannot read {file}, which a crash kernel is told of"),
        why,
        "run kexec as root, with /proc and /sys mounted, or use -s: the running kernel then tells \
         the crash kernel itself",
    )))
}

fn place(note: &NotePlace) -> Range {
    Range::sized(note.address, note.size).unwrap_or_default()
}
