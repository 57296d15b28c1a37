//! The initrd of the first boot, which EFI goes on naming.

use kexec_image::{Image, Kernel};
use kexec_plan::classic::ElfArgs;

use crate::LoadRequest;
use kexec_machine::Snapshot;

/// Whether a next kernel without an initrd of its own would believe in that of
/// the first boot: Linux that is told of EFI. See
/// [`kexec_plan::FilePlan::with_empty_initrd`].
pub(crate) fn stale(request: &LoadRequest, image: &Image, host: &Snapshot) -> bool {
    let options = &request.classic.options;
    let linux = match (&image.kernel, options.elf_args) {
        (Kernel::BzImage(_) | Kernel::Arm64(_) | Kernel::Riscv(_), _) => true,
        (Kernel::Elf(elf), ElfArgs::Auto) => elf.is_linux,
        (Kernel::Elf(_), ElfArgs::Linux) => true,
        _ => false,
    };
    linux && host.firmware.efi && !options.no_efi
}
