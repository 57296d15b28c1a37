//! Multiboot kernels, version 1 and 2, and plain ELF files: entered in 32-bit
//! protected mode, everything below 4 GiB.

use kexec_image::formats::multiboot::{Relocatable, Version};
use kexec_image::{Arch, ElfKernel, Multiboot};

use super::layout::{CEILING, FLOOR, FOUR_GIB, MULTIBOOT_EAX, MULTIBOOT2_EAX, PAGE};
use super::linux::{next_map, pieces};
use super::mbi::{Built, Info};
use super::{efi, elf_notes, video};
use crate::classic::elf::{Run, content_len, physical_entry, runs};
use crate::classic::{
    Builder, ClassicError, ClassicRequest, Draft, Exit, ExitMode, LoadPlan, SEGMENT_MAX,
    SegmentKind,
};
use crate::memory::range::{align_down, align_up};
use crate::memory::{Range, Search};
use crate::{Cmdline, Piece};
use kexec_image::fields::len;

/// A multiboot loader on such a machine would hand the firmware itself over, which
/// is gone. Xen (4.20) then takes the size of low memory from the BIOS data area,
/// finds 0 and resets the machine, and looks for ACPI where a BIOS puts it.
const NO_BIOS: &str = "this machine was started by UEFI: a kernel that asks a BIOS for its memory \
                       or for ACPI does not start here (Xen does)";

/// A multiboot kernel; with `elf` one that is an ELF file too.
pub(super) fn plan(
    request: &ClassicRequest<'_>,
    header: &Multiboot,
    elf: Option<&ElfKernel>,
) -> Result<LoadPlan, ClassicError> {
    let two = header.version == Version::Two;
    let running = request.firmware.boot_params.as_deref();
    let reuse = request.options.reuse_video_type;
    let video = video::video(running, &request.firmware.display, reuse);
    let framebuffer = video::framebuffer(&video.screen_info);
    if header.needs_video && (!two || framebuffer.is_none()) {
        return Err(wrong(
            "the kernel requires the video mode, which is unknown".into(),
        ));
    }
    let mut builder = builder(request, FOUR_GIB)?;
    if two {
        builder.note(video.outcome.to_string());
        if request.firmware.rsdp_copy.is_none() {
            builder
                .note("the kernel gets no copy of ACPI's root pointer (RSDP): there is none here");
        }
    }
    if request.firmware.efi.is_some() {
        builder.note(NO_BIOS);
    }
    let (entry, load_base) = place_kernel(&mut builder, request, header, elf)?;
    let modules = place_modules(&mut builder, request)?;
    let cmdline = told(request);
    let map = next_map(&mut builder, request);
    let info = Info {
        cmdline: &cmdline,
        map: map.entries(),
        modules: &modules,
        rsdp: request.firmware.rsdp_copy.as_deref(),
        framebuffer,
        load_base,
    };
    let make = |base: u64| -> Built { if two { info.two(base) } else { info.one(base) } };
    let size = len(&make(0).bytes);
    let draft = Draft {
        name: "multiboot info".into(),
        kind: SegmentKind::Parameters,
        size,
        content: Vec::new(),
        check_len: size,
    };
    let base = builder.place(draft, PAGE, Range::new(0, FOUR_GIB))?;
    let built = make(base);
    let content = pieces("information", built.bytes.into());
    builder.set_content(SegmentKind::Parameters, content, built.parts);
    builder.place_purgatory(FOUR_GIB)?;
    let (method, rax) = match header.version {
        Version::One => ("multiboot", MULTIBOOT_EAX),
        Version::Two => ("multiboot2", MULTIBOOT2_EAX),
    };
    let exit = Exit {
        rax,
        rbx: base,
        ..Exit::to(ExitMode::Protected32, entry)
    };
    builder.finish(
        request.arch,
        method.into(),
        map.entries().to_vec(),
        exit,
        None,
    )
}

fn builder<'a>(request: &'a ClassicRequest<'a>, end: u64) -> Result<Builder<'a>, ClassicError> {
    let keep = efi::runtime_memory(request.firmware.efi.as_ref());
    Builder::new(request, Range::new(FLOOR, end), PAGE, false, keep)
}

/// An ELF file that is told nothing, or with `notes` the command line by ELF boot
/// notes.
pub(super) fn plain(
    request: &ClassicRequest<'_>,
    elf: &ElfKernel,
    notes: bool,
) -> Result<LoadPlan, ClassicError> {
    let wide = elf.arch == Some(Arch::X86_64);
    let (mode, end) = if wide {
        (ExitMode::Long64, CEILING)
    } else {
        (ExitMode::Protected32, FOUR_GIB)
    };
    let mut builder = builder(request, end)?;
    let has = (!request.cmdline.is_empty(), !request.initrd.is_empty());
    match (notes, has) {
        (true, (_, true)) => builder.note("ELF boot notes cannot describe an initrd"),
        (false, (true, _) | (_, true)) => builder
            .note("the file is neither Linux nor multiboot: it gets no command line and no initrd"),
        _ => {}
    }
    let runs = runs(elf, &request.image.bytes, request.path, false, PAGE)?;
    put_runs(&mut builder, runs)?;
    let mut exit = Exit::to(mode, physical_entry(elf)?);
    if notes {
        let base = place_notes(&mut builder, request, end)?;
        match mode {
            ExitMode::Long64 | ExitMode::Long64FourLevel { .. } => exit.rdi = base,
            ExitMode::Protected32 => {
                (exit.rax, exit.rbx) = (elf_notes::SIGNATURE.into(), base);
            }
        }
    }
    builder.place_purgatory(end)?;
    let map = next_map(&mut builder, request);
    let with = if notes { ", boot notes" } else { "" };
    let method = format!("ELF, {}-bit entry{with}", if wide { 64 } else { 32 });
    builder.finish(request.arch, method, map.entries().to_vec(), exit, None)
}

fn place_notes(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
    end: u64,
) -> Result<u64, ClassicError> {
    let notes = elf_notes::build(request.cmdline);
    let size = len(&notes);
    let draft = Draft {
        name: "ELF boot notes".into(),
        kind: SegmentKind::Parameters,
        size,
        content: pieces("notes", notes.into()),
        check_len: size,
    };
    builder.place(draft, PAGE, Range::new(0, end))
}

/// Gives the entry point, and where a kernel is that was moved.
fn place_kernel(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
    header: &Multiboot,
    elf: Option<&ElfKernel>,
) -> Result<(u64, Option<u64>), ClassicError> {
    let moved = header.relocatable.is_some();
    let runs = match (&header.addresses, elf) {
        // "When the address tag is present it must be used."
        (Some(_), _) => vec![from_addresses(request, header)?],
        (None, Some(elf)) => runs(elf, &request.image.bytes, request.path, moved, PAGE)?,
        (None, None) => return Err(wrong("it does not give its load address".into())),
    };
    let entry = match (header.entry, elf) {
        (Some(entry), _) => u64::from(entry),
        (None, Some(elf)) => physical_entry(elf)?,
        (None, None) => return Err(wrong("it has no entry point".into())),
    };
    if entry >= FOUR_GIB {
        return Err(wrong(format!("the entry point {entry:#x} is above 4 GiB")));
    }
    match (&header.relocatable, runs.as_slice()) {
        (Some(limits), [run]) => {
            let start = place_relocatable(builder, run, limits)?;
            let entry = entry.wrapping_sub(run.range.start).wrapping_add(start);
            Ok((entry, Some(start)))
        }
        _ => {
            put_runs(builder, runs)?;
            Ok((entry, None))
        }
    }
}

/// A kernel that can be moved, within its limits and as it prefers (3.1.13
/// "Relocatable header tag").
fn place_relocatable(
    builder: &mut Builder<'_>,
    run: &Run,
    limits: &Relocatable,
) -> Result<u64, ClassicError> {
    let within = Range::new(limits.min.into(), u64::from(limits.max).saturating_add(1));
    let linked = run.range.start;
    let whole = Range::new(
        align_down(linked, PAGE),
        align_up(run.range.end, PAGE).unwrap_or(u64::MAX),
    );
    let mut draft = draft(run.clone());
    draft.name = "kernel".into();
    if limits.preference == 0 && within.covers(run.range) && builder.fits(whole) {
        builder.put(draft, linked)?;
        return Ok(linked);
    }
    let search = match limits.preference {
        2 => Search::Highest,
        _ => Search::Lowest,
    };
    builder.place_from(search, draft, limits.align.into(), within)
}

/// The file as the header's addresses have it.
fn from_addresses(request: &ClassicRequest<'_>, header: &Multiboot) -> Result<Run, ClassicError> {
    let file = &request.image.bytes;
    let addresses = header.addresses.and_then(|a| {
        let start = usize::try_from(a.file_offset).ok()?;
        let end = start.checked_add(usize::try_from(a.file_len).ok()?)?;
        let range = Range::sized(a.load, a.memory_len.max(a.file_len))?;
        let some = !range.is_empty() && end <= file.len();
        some.then(|| (range, file.slice(start..end)))
    });
    let Some((range, bytes)) = addresses else {
        return Err(wrong(
            "its addresses are not within the file, or name nothing to load".into(),
        ));
    };
    Ok(Run {
        range,
        content: pieces(request.path, bytes),
    })
}

fn put_runs(builder: &mut Builder<'_>, runs: Vec<Run>) -> Result<(), ClassicError> {
    let many = runs.len() > 1;
    for run in runs {
        let at = run.range.start;
        let mut draft = draft(run);
        draft.name = if many {
            format!("kernel {at:#x}")
        } else {
            "kernel".into()
        };
        builder.put(draft, at)?;
    }
    Ok(())
}

/// All of its memory is checked: nothing says that the kernel clears its own.
fn draft(run: Run) -> Draft {
    Draft {
        name: String::new(),
        kind: SegmentKind::Kernel,
        size: run.range.len(),
        content: run.content,
        check_len: run.range.len(),
    }
}

/// Modules, and initrds as modules behind them: each a segment, or all one when
/// they are many. Each starts at a page, whether the kernel asks for it or
/// not.
fn place_modules(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
) -> Result<Vec<(Range, Cmdline)>, ClassicError> {
    /// Segments that are left for the kernel, the information, the purgatory.
    const OTHERS: usize = 6;
    let mut modules: Vec<(Vec<Piece>, Cmdline)> = request
        .modules
        .iter()
        .map(|m| (pieces(&m.path, m.bytes.clone()), m.string.clone()))
        .collect();
    if !request.initrd.is_empty() {
        let origin = request
            .initrd
            .first()
            .map_or("initrd", |p| p.origin.as_str());
        modules.push((request.initrd.to_vec(), Cmdline::from(origin)));
    }
    if modules.len() > SEGMENT_MAX.saturating_sub(OTHERS) {
        return place_together(builder, modules);
    }
    let mut placed = Vec::new();
    for (number, (content, string)) in modules.into_iter().enumerate() {
        let size = content_len(&content);
        let draft = Draft {
            name: format!("module {number}"),
            kind: SegmentKind::Module,
            size,
            content,
            check_len: size,
        };
        let at = builder.place(draft, PAGE, Range::new(0, FOUR_GIB))?;
        placed.push((Range::new(at, at.saturating_add(size)), string));
    }
    Ok(placed)
}

fn place_together(
    builder: &mut Builder<'_>,
    modules: Vec<(Vec<Piece>, Cmdline)>,
) -> Result<Vec<(Range, Cmdline)>, ClassicError> {
    let mut content: Vec<Piece> = Vec::new();
    let mut offsets = Vec::new();
    for (mut pieces, string) in modules {
        let offset = content_len(&content);
        let size = content_len(&pieces);
        let padded = align_up(size, PAGE).unwrap_or(size).saturating_sub(size);
        if let Some(last) = pieces.last_mut() {
            last.padding = last
                .padding
                .saturating_add(usize::try_from(padded).unwrap_or(0));
        }
        content.extend(pieces);
        offsets.push((offset, size, string));
    }
    let size = content_len(&content);
    let draft = Draft {
        name: "modules".into(),
        kind: SegmentKind::Module,
        size,
        content,
        check_len: size,
    };
    let base = builder.place(draft, PAGE, Range::new(0, FOUR_GIB))?;
    let place = |(offset, size, string): (u64, u64, Cmdline)| {
        let start = base.saturating_add(offset);
        (Range::new(start, start.saturating_add(size)), string)
    };
    Ok(offsets.into_iter().map(place).collect())
}

/// The command line with the kernel's name in front, as it always was with
/// multiboot: Xen throws the first word away unless GRUB 2 loaded it.
fn told(request: &ClassicRequest<'_>) -> Cmdline {
    Cmdline::from(request.path).followed_by(request.cmdline)
}

fn wrong(reason: String) -> ClassicError {
    ClassicError::Layout {
        format: "multiboot",
        reason,
    }
}
