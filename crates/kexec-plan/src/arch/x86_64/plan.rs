//! Which way a kernel is started.

use kexec_image::{BzImage, ElfKernel, Image, Kernel, Multiboot};

use super::{linux, multiboot};
use crate::classic::{ClassicError, ClassicRequest, ElfArgs, LoadPlan};

/// Makes the plan.
pub(crate) fn plan(request: &ClassicRequest<'_>) -> Result<LoadPlan, ClassicError> {
    refuse(request)?;
    let image = request.image;
    match &image.kernel {
        Kernel::BzImage(bzimage) => bz(request, bzimage),
        Kernel::Elf(elf) => from_elf(request, elf),
        Kernel::Multiboot(header) => multiboot::plan(request, header, None),
        Kernel::Arm64(_) | Kernel::Riscv(_) => Err(format(request, image)),
    }
}

fn bz(request: &ClassicRequest<'_>, bzimage: &BzImage) -> Result<LoadPlan, ClassicError> {
    no_modules(request)?;
    linux::bzimage(request, bzimage)
}

fn from_elf(request: &ClassicRequest<'_>, elf: &ElfKernel) -> Result<LoadPlan, ClassicError> {
    let image = request.image;
    if elf.arch.is_none() {
        return Err(format(request, image));
    }
    let header = Multiboot::find(&image.bytes).map_err(|e| ClassicError::Layout {
        format: "multiboot",
        reason: e.to_string(),
    })?;
    match (request.options.elf_args, header) {
        (ElfArgs::Linux, _) => linux::vmlinux(request, elf),
        (ElfArgs::Auto, _) if elf.is_linux => linux::vmlinux(request, elf),
        (ElfArgs::Auto, Some(header)) => multiboot::plan(request, &header, Some(elf)),
        (ElfArgs::Auto | ElfArgs::None, _) => {
            no_modules(request)?;
            multiboot::plain(request, elf)
        }
        (ElfArgs::ElfNotes, _) => Err(ClassicError::Option {
            option: "--args-elf",
            reason: "ELF boot notes are not made by this version".into(),
            hint: "leave it out: Linux and multiboot kernels are recognised, and say --args-none for an ELF file that needs nothing",
        }),
    }
}

/// Options that cannot be had, whatever the image.
fn refuse(request: &ClassicRequest<'_>) -> Result<(), ClassicError> {
    if request.options.real_mode {
        return Err(ClassicError::Option {
            option: "--real-mode",
            reason: "the real-mode part of a kernel calls the BIOS, which is not there on EFI machines and is in no known state after a running system".into(),
            hint: "leave it out: everything that it would find out is handed on from the running kernel",
        });
    }
    Ok(())
}

fn no_modules(request: &ClassicRequest<'_>) -> Result<(), ClassicError> {
    if request.options.modules.is_empty() {
        return Ok(());
    }
    Err(ClassicError::Option {
        option: "--module",
        reason: "the kernel is no multiboot kernel and cannot be told of modules".into(),
        hint: "give the files with --initrd",
    })
}

fn format(request: &ClassicRequest<'_>, image: &Image) -> ClassicError {
    ClassicError::Format {
        format: image.describe(),
        arch: request.arch,
        takes: "a bzImage, a vmlinux, a multiboot kernel or an ELF file for x86",
    }
}
