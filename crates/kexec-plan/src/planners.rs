//! Which architecture plans. The requests and their answers are those of
//! [`classic`](crate::classic), which knows no architecture; the folders of
//! `arch` know the requests; only this file knows both.

use kexec_image::Arch;

use crate::arch::x86_64;
use crate::classic::{
    ClassicError, ClassicRequest, FirmwareFacts, JumpBackImage, LoadPlan, Screen,
};
use crate::memory::{MemoryFacts, MemoryMap};

/// What makes a plan for the machines of one architecture.
type Planner = fn(&ClassicRequest<'_>) -> Result<LoadPlan, ClassicError>;

fn planner(arch: Arch) -> Option<Planner> {
    match arch {
        Arch::X86_64 => Some(x86_64::plan),
        Arch::X86
        | Arch::Arm
        | Arch::Arm64
        | Arch::Riscv64
        | Arch::LoongArch64
        | Arch::Ppc64
        | Arch::S390x => None,
    }
}

/// Whether there is a planner for machines of this architecture.
pub fn is_planned(arch: Arch) -> bool {
    planner(arch).is_some()
}

/// Makes the plan.
///
/// # Errors
/// When the image, the options or the machine do not allow one; with numbers
/// where it is a matter of room.
pub fn plan(request: &ClassicRequest<'_>) -> Result<LoadPlan, ClassicError> {
    if let Some(image) = request.image.arch()
        && !image.boots_on(request.arch)
    {
        return Err(ClassicError::ForeignImage {
            image,
            machine: request.arch,
        });
    }
    let planner = planner(request.arch);
    let planner = planner.ok_or(ClassicError::ArchNotYet { arch: request.arch })?;
    planner(request)
}

/// Makes the image that jumps back into the kernel that waits at `entry`.
/// `five_level`: the running kernel uses five-level paging.
///
/// # Errors
/// No such address, no place for it, or no planner for the machine.
pub fn jump_back(
    arch: Arch,
    entry: u64,
    memory: &MemoryFacts,
    five_level: bool,
) -> Result<JumpBackImage, ClassicError> {
    match arch {
        Arch::X86_64 => x86_64::jump_back(entry, memory, five_level),
        _ => Err(ClassicError::ArchNotYet { arch }),
    }
}

/// The memory map that the running kernel was started with; `None` when it is
/// not known, or not all of it.
pub fn boot_map(firmware: &FirmwareFacts) -> Option<MemoryMap> {
    x86_64::boot_map(firmware)
}

/// What the next kernel is told of the screen; with `reuse` what the first
/// kernel found, whatever drives it now (`--reuse-video-type`).
pub fn screen(firmware: &FirmwareFacts, reuse: bool) -> Screen {
    x86_64::screen(firmware.boot_params.as_deref(), &firmware.display, reuse)
}
