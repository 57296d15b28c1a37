//! The kernel, taken out of its bzImage.

use kexec_image::formats::bzimage::xloadflags;
use kexec_image::{BzImage, Image, Kernel};
use kexec_plan::unpack::{KernelFacts, KernelUnpacking, UnpackChoice, kernel};
use kexec_plan::{Cmdline, FilePlan, Method, paging};

use crate::Error;
use crate::request::LoadRequest;
use kexec_machine::Snapshot;
use kexec_machine::snapshot::version_at_least;

/// The oldest series of Linux that was started without its decompressor in the tests.
const OLDEST: (u32, u32) = (5, 10);

/// The facts that decide whether it is.
pub(crate) fn facts(
    request: &LoadRequest,
    image: &Image,
    plan: &FilePlan,
    method: Method,
    host: &Snapshot,
) -> KernelFacts {
    let bzimage = match &image.kernel {
        Kernel::BzImage(bzimage) => Some(bzimage),
        _ => None,
    };
    let options = &request.classic.options;
    let told =
        |cmdline: &Cmdline, name: &str, value: &str| cmdline.value(name).as_deref() == Some(value);
    let mut cmdlines = host.cmdline.known().into_iter().chain([&plan.cmdline]);
    let firmware = &host.firmware;
    KernelFacts {
        choice: request.unpack.choice,
        setting: request.unpack.setting.clone(),
        method,
        bzimage: bzimage.is_some_and(is_movable),
        untried: bzimage.and_then(untried),
        crash: plan.crash,
        special_start: options.entry_32bit
            || options.real_mode
            || options.preserve_context
            || options.entry.is_some()
            || options.kernel_type.is_some(),
        memory_guarded: host.memory_guarded() || encrypts(&plan.cmdline, host),
        more_levels: !firmware.la57.is_true()
            && firmware.la57_possible.known() != Some(&false)
            && bzimage.is_some_and(|image| paging::goes_to_five(image, &plan.cmdline)),
        mirrored: cmdlines.any(|line| told(line, "kernelcore", "mirror")),
        not_earned: request.unpack.not_earned.clone(),
        forgotten: request.unpack.forgotten.clone(),
    }
}

/// Whether the next kernel switches the encryption of this machine's memory on, which its
/// decompressor prepares (Documentation/arch/x86/amd-memory-encryption.rst).
fn encrypts(cmdline: &Cmdline, host: &Snapshot) -> bool {
    if host.firmware.sme_possible.known() == Some(&false) {
        return false;
    }
    match cmdline.value("mem_encrypt").as_deref() {
        Some("on") => true,
        Some("off") => false,
        _ => host.built_with("CONFIG_AMD_MEM_ENCRYPT_ACTIVE_BY_DEFAULT") == Some(true),
    }
}

/// Whether it is a 64-bit kernel that may be anywhere in memory.
fn is_movable(image: &BzImage) -> bool {
    let both = xloadflags::KERNEL_64 | xloadflags::CAN_BE_LOADED_ABOVE_4G;
    image.xloadflags & both == both
        && image.relocatable_kernel
        && image.kernel_alignment.is_power_of_two()
}

fn untried(image: &BzImage) -> Option<String> {
    let (major, minor) = OLDEST;
    let Some(release) = image.release() else {
        return Some("it does not say which it is".to_owned());
    };
    match version_at_least(release, major, minor) {
        Some(true) => None,
        _ => Some(format!("{release}; the oldest is {major}.{minor}")),
    }
}

/// Decides.
///
/// # Errors
/// When the caller insists, and it cannot be done.
pub(crate) fn decide(facts: &KernelFacts) -> Result<KernelUnpacking, Error> {
    kernel::decide(facts).map_err(|reason| not_possible(facts, &reason))
}

/// What becomes of a failure: an error where the caller insists, else a reason to load
/// the bzImage as it is.
///
/// # Errors
/// The failure, as what it means for `--unpack=always`.
pub(crate) fn instead(facts: &KernelFacts, failure: &str) -> Result<KernelUnpacking, Error> {
    match facts.choice {
        UnpackChoice::Always => Err(not_possible(facts, failure)),
        UnpackChoice::Auto | UnpackChoice::Never => Ok(KernelUnpacking::not(failure)),
    }
}

fn not_possible(facts: &KernelFacts, reason: &str) -> Error {
    Error::refused(
        facts.setting.as_deref().unwrap_or("--unpack=always"),
        format!("the kernel cannot be unpacked before the jump: {reason}"),
        "use --unpack=auto, which unpacks what can be",
    )
}
