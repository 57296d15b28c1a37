//! The initrd of the first boot, which EFI goes on naming.

use kexec_image::{Image, Kernel};
use kexec_plan::classic::ElfArgs;

use crate::LoadRequest;
use kexec_machine::Snapshot;

/// Whether a next kernel without an initrd of its own would believe in that of
/// the first boot: Linux that is told of EFI. See
/// [`kexec_plan::FilePlan::with_empty_initrd`].
pub(crate) fn stale(request: &LoadRequest, image: &Image, host: &Snapshot) -> bool {
    let no_efi = request.classic.options.no_efi;
    is_for_linux(request, image) && host.firmware.efi && !no_efi
}

/// Whether the next kernel is Linux, and takes its initrd as Linux does.
pub(crate) fn is_for_linux(request: &LoadRequest, image: &Image) -> bool {
    match (&image.kernel, request.classic.options.elf_args) {
        (Kernel::BzImage(_) | Kernel::Arm64(_) | Kernel::Riscv(_), _) => true,
        (Kernel::Elf(elf), ElfArgs::Auto) => elf.is_linux,
        (Kernel::Elf(_), ElfArgs::Linux) => true,
        _ => false,
    }
}
