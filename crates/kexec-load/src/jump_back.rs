//! The jump-back image: it jumps into a kernel that was left with its memory preserved
//! (kexec jump, CONFIG_KEXEC_JUMP), to where that kernel waits.
//!
//! kexec-tools loads an image without any memory and lets its entry be that
//! place. Kernels from 6.8 on take that for all of memory (ENOMEM), and none
//! maps a place that it was not told of.

use kexec_image::Arch;
use kexec_plan::PlanError;
use kexec_plan::planners;
use kexec_sys::{Kernel, LoadFlags, Segment, Slot, elf_machine};

use crate::explain::no_jump::{WITH_JUMP, without_jump};
use crate::explain::{self, ImageFacts, KernelCall};
use crate::{Error, classic};
use kexec_machine::Snapshot;
use kexec_machine::snapshot::KexecFile;

/// The word of the command line by which the purgatory tells a kernel where the
/// one before it waits.
const ENTRY: &str = "kexec_jump_back_entry";

/// Loads the jump-back image. `entry` is where to jump to; without it the running
/// kernel's command line has to say.
///
/// # Errors
/// Something is loaded already, which must not be thrown away unasked; nobody
/// says where to jump to; or the kernel refuses, as one built without
/// CONFIG_KEXEC_JUMP does.
pub fn load_helper(kernel: &dyn Kernel, host: &Snapshot, entry: Option<u64>) -> Result<u64, Error> {
    let not_ready =
        |why: &str, remedy: &str| Error::not_ready("loading the jump-back image", why, remedy);
    if host.kexec.loaded.is_true() {
        return Err(not_ready(
            &format!(
                "something else is loaded ({} is 1)",
                host.kexec_file(KexecFile::Loaded)
            ),
            "unload it first: kexec -u",
        ));
    }
    let Some(entry) = entry.or_else(|| told(host)) else {
        return Err(not_ready(
            "the running kernel's command line has no kexec_jump_back_entry=: it was not started with --load-preserve-context",
            "say where the other kernel waits: --entry=ADDR",
        ));
    };
    if let Some(missing) = without_jump(host) {
        return Err(not_ready(&missing, WITH_JUMP));
    }
    let arch = host.arch.unwrap_or(Arch::X86_64);
    let memory = classic::memory_facts(host);
    let image = planners::jump_back(arch, entry, &memory, host.firmware.la57.is_true());
    let image = image.map_err(PlanError::Classic)?;
    let flags = LoadFlags::arch(elf_machine::of(arch)) | LoadFlags::PRESERVE_CONTEXT;
    let segment = Segment {
        bytes: &image.bytes,
        mem: image.memory.start,
        memsz: image.memory.len(),
    };
    let loaded = kernel.load(image.memory.start, &[segment], flags);
    loaded.map(|()| entry).map_err(|errno| {
        let tried = format!("loading the jump-back image for {entry:#x}");
        let call = KernelCall::ClassicLoad(Slot::Normal);
        let facts = ImageFacts::jump_back();
        Error::Kernel(explain::explain(call, errno, tried, host, Some(&facts)))
    })
}

/// What the running kernel's command line says.
fn told(host: &Snapshot) -> Option<u64> {
    let value = host.cmdline.known()?.value(ENTRY)?;
    let digits = value.strip_prefix("0x").unwrap_or(&value);
    u64::from_str_radix(digits, 16).ok()
}
