//! Which way a kernel is started.

use kexec_image::{BzImage, ElfKernel, Image, Kernel, Multiboot};

use super::crash;
use super::types::{self, Type};
use super::{linux, multiboot, unpacked};
use crate::classic::{ClassicError, ClassicRequest, ElfArgs, LoadPlan};
use crate::crash::{CrashError, CrashRegions};
use crate::memory::NoRoom;

/// Makes the plan.
pub(crate) fn plan(request: &ClassicRequest<'_>) -> Result<LoadPlan, ClassicError> {
    match by_format(request) {
        Err(ClassicError::NoRoom(no_room)) if request.crash.is_some() => {
            Err(no_room_for_crash(no_room, request).into())
        }
        planned => planned,
    }
}

/// Why a crash kernel does not fit. Where all of the reserved memory is too high for what is
/// to be placed, no size of it helps.
fn no_room_for_crash(no_room: NoRoom, request: &ClassicRequest<'_>) -> CrashError {
    let last = request.options.mem_max.unwrap_or(u64::MAX);
    let end = no_room.within.end.min(last);
    let window = CrashRegions::of(request.memory).map(|regions| regions.window);
    match window {
        Ok(window) if window.start >= end => CrashError::TooHigh(no_room, window.start),
        _ => CrashError::NoRoom(no_room),
    }
}

fn by_format(request: &ClassicRequest<'_>) -> Result<LoadPlan, ClassicError> {
    refuse(request)?;
    if request.crash.is_some() {
        crash::refuse(request)?;
    }
    let image = request.image;
    let demanded = types::demanded(request.options.kernel_type.as_deref(), image)?;
    if let Some(Type::Multiboot(version)) = demanded
        && let Some(header) = types::header(image, version)
    {
        return multiboot(request, &header);
    }
    match &image.kernel {
        Kernel::BzImage(bzimage) => bz(request, bzimage),
        Kernel::Elf(elf) => from_elf(request, elf, demanded),
        Kernel::Multiboot(header) => multiboot(request, header),
        Kernel::Arm64(_) | Kernel::Riscv(_) => Err(format(request, image)),
    }
}

fn bz(request: &ClassicRequest<'_>, bzimage: &BzImage) -> Result<LoadPlan, ClassicError> {
    no_modules(request)?;
    match request.unpacked {
        Some(kernel) => unpacked::plan(request, bzimage, kernel),
        None => linux::bzimage(request, bzimage),
    }
}

fn multiboot(request: &ClassicRequest<'_>, header: &Multiboot) -> Result<LoadPlan, ClassicError> {
    no_device_tree(request)?;
    only_linux(request)?;
    let elf = match &request.image.kernel {
        Kernel::Elf(elf) => Some(elf),
        _ => None,
    };
    multiboot::plan(request, header, elf)
}

fn from_elf(
    request: &ClassicRequest<'_>,
    elf: &ElfKernel,
    demanded: Option<Type>,
) -> Result<LoadPlan, ClassicError> {
    let image = request.image;
    if elf.arch.is_none() {
        return Err(format(request, image));
    }
    let header = match demanded {
        // It is to be taken as an ELF file.
        Some(_) => None,
        None => Multiboot::find(&image.bytes).map_err(|e| ClassicError::Layout {
            format: "multiboot",
            reason: e.to_string(),
        })?,
    };
    match (request.options.elf_args, header) {
        (ElfArgs::Linux, _) => linux::vmlinux(request, elf),
        (ElfArgs::Auto, _) if elf.is_linux => linux::vmlinux(request, elf),
        (ElfArgs::Auto, Some(header)) => multiboot(request, &header),
        (ElfArgs::ElfNotes, _) if elf.is_linux => Err(ClassicError::Option {
            option: "--args-elf",
            reason: "the kernel is Linux, which reads no ELF boot notes and would not find its command line".into(),
            hint: "leave it out: Linux is recognised and gets what it reads",
        }),
        (args, _) => {
            only_linux(request)?;
            no_modules(request)?;
            no_device_tree(request)?;
            multiboot::plain(request, elf, args == ElfArgs::ElfNotes)
        }
    }
}

/// The device tree for a Linux kernel, without what is behind it in its file.
/// Kernels without CONFIG_OF do not look at it.
///
/// # Errors
/// When it is none (Devicetree Specification 0.4, 5.2 "Header").
pub(super) fn device_tree<'a>(
    request: &ClassicRequest<'a>,
) -> Result<Option<&'a [u8]>, ClassicError> {
    const MAGIC: u32 = 0xd00d_feed;
    let Some(bytes) = request.dtb else {
        return Ok(None);
    };
    let word = |at: usize| {
        let word = bytes.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*word))
    };
    let refused = |reason: String| ClassicError::Option {
        option: "--dtb",
        reason,
        hint: "give a compiled device tree (.dtb), not its source",
    };
    if word(0) != Some(MAGIC) {
        let found: String = bytes.iter().take(4).map(|b| format!("{b:02x}")).collect();
        return Err(refused(format!(
            "the file begins with {found:?}, expected the magic number {MAGIC:x} of a device tree"
        )));
    }
    let total = word(4).unwrap_or(0);
    let len = usize::try_from(total).ok().filter(|len| *len >= 8);
    match len.and_then(|len| bytes.get(..len)) {
        Some(tree) => Ok(Some(tree)),
        None => Err(refused(format!(
            "its header says {total} bytes, the file has {}",
            bytes.len()
        ))),
    }
}

/// Options that cannot be had, whatever the image.
fn refuse(request: &ClassicRequest<'_>) -> Result<(), ClassicError> {
    if request.options.real_mode {
        return Err(ClassicError::Option {
            option: "--real-mode",
            reason: "the real-mode part of a kernel calls the BIOS, which EFI machines do not \
                     have and whose state is unknown after a running system"
                .into(),
            hint: "leave it out: everything that it would find out is handed on from the running kernel",
        });
    }
    Ok(())
}

fn no_modules(request: &ClassicRequest<'_>) -> Result<(), ClassicError> {
    if request.modules.is_empty() {
        return Ok(());
    }
    Err(ClassicError::Option {
        option: "--module",
        reason: "the kernel is not a multiboot kernel and takes no modules".into(),
        hint: "give the files with --initrd",
    })
}

fn only_linux(request: &ClassicRequest<'_>) -> Result<(), ClassicError> {
    if request.crash.is_none() {
        return Ok(());
    }
    let format = request.image.describe();
    Err(ClassicError::Crash(CrashError::NotLinux { format }))
}

fn no_device_tree(request: &ClassicRequest<'_>) -> Result<(), ClassicError> {
    if request.dtb.is_none() {
        return Ok(());
    }
    Err(ClassicError::Option {
        option: "--dtb",
        reason: "the kernel is not Linux and takes no device tree".into(),
        hint: "leave it out",
    })
}

fn format(request: &ClassicRequest<'_>, image: &Image) -> ClassicError {
    ClassicError::Format {
        format: image.describe(),
        arch: request.arch,
        takes: "a bzImage, a vmlinux, a multiboot kernel or an ELF file for x86",
    }
}
