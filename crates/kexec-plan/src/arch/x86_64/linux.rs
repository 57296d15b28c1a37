//! Linux: a bzImage by its 64-bit or 32-bit entry point, and a vmlinux.
//!
//! Places, highest first unless asked otherwise: the kernel, as the one that is
//! hardest to place; then the initrd; then what is small. See
//! [`crate::memory::place`] for the reason.

use bytes::Bytes;
use kexec_image::formats::bzimage::xloadflags;
use kexec_image::{Arch, BzImage, ElfKernel};

use super::crash;
use super::efi::{self, Efi};
use super::four_level;
use super::layout::{
    BZIMAGE_LOAD, CEILING, ENTRY_64, FLOOR, FOUR_GIB, KERNEL_32_END, LARGE_PAGE, LOW_MEMORY_END,
    PAGE,
};
use super::paging;
use super::params::{Header, Input, JUMP_BACK_ROOM, KernelStart, Places};
use super::plan::device_tree;
use super::{setup_data, video};
use crate::Piece;
use crate::classic::elf::{content_len, physical_entry, runs};
use crate::classic::{
    Builder, ClassicError, ClassicRequest, Draft, Exit, ExitMode, LoadPlan, SegmentKind,
};
use crate::memory::limits::Limits;
use crate::memory::range::align_up;
use crate::memory::{MemoryKind, MemoryMap, Range, RangeSet};
use kexec_image::fields::{len, len_u64};

/// How a Linux kernel is started, and within which limits.
pub(super) struct Start<'a> {
    pub method: String,
    pub mode: ExitMode,
    pub header: Header<'a>,
    /// The longest command line, without its NUL.
    pub cmdline_max: u64,
    /// The initrd ends here at the latest.
    pub initrd_end: u64,
    /// Parameters and purgatory end here at the latest.
    pub small_end: u64,
    /// The kernel takes EFI runtime services over.
    pub efi: bool,
    /// It is entered with four-level paging, not with the five that there are.
    pub four_level: bool,
    /// What is started.
    pub start: KernelStart,
}

/// Plans a bzImage.
pub(super) fn bzimage(
    request: &ClassicRequest<'_>,
    image: &BzImage,
) -> Result<LoadPlan, ClassicError> {
    let has = |flag: u16| image.xloadflags & flag != 0;
    let wide = has(xloadflags::KERNEL_64) && !request.options.entry_32bit;
    let four_level = wide && four_level::needed(request, paging::takes_five(image));
    let header = Header::Image {
        file: &request.image.bytes,
        end: image.header_end,
    };
    let initrd_max = u64::from(image.initrd_addr_max).saturating_add(1);
    let above = wide && has(xloadflags::CAN_BE_LOADED_ABOVE_4G);
    let start = match (wide, above) {
        (true, true) => Start {
            method: "bzImage, 64-bit entry".into(),
            mode: ExitMode::Long64,
            header,
            cmdline_max: image.cmdline_size.into(),
            initrd_end: CEILING,
            small_end: CEILING,
            efi: has(xloadflags::EFI_KEXEC),
            four_level,
            start: KernelStart::AsItIs,
        },
        (true, false) => Start {
            method: "bzImage, 64-bit entry, all below 4 GiB".into(),
            mode: ExitMode::Long64,
            header,
            cmdline_max: image.cmdline_size.into(),
            initrd_end: initrd_max.min(FOUR_GIB),
            small_end: FOUR_GIB,
            efi: has(xloadflags::EFI_KEXEC),
            four_level,
            start: KernelStart::AsItIs,
        },
        (false, _) => Start {
            method: "bzImage, 32-bit entry".into(),
            mode: ExitMode::Protected32,
            header,
            cmdline_max: image.cmdline_size.into(),
            initrd_end: initrd_max.min(FOUR_GIB),
            small_end: LOW_MEMORY_END,
            // The 64-bit kernel behind a 32-bit entry is still a 64-bit one.
            efi: has(xloadflags::EFI_KEXEC) && has(xloadflags::KERNEL_64),
            four_level,
            start: KernelStart::AsItIs,
        },
    };
    let kernel_end = match start.mode {
        ExitMode::Protected32 if has(xloadflags::KERNEL_64) => LOW_MEMORY_END.min(initrd_max),
        ExitMode::Protected32 => KERNEL_32_END.min(initrd_max),
        ExitMode::Long64 | ExitMode::Long64FourLevel { .. } => start.small_end,
    };
    let mut builder = builder(request)?;
    let load = place_bzimage(&mut builder, request, image, kernel_end)?;
    let rip = match start.mode {
        ExitMode::Long64 | ExitMode::Long64FourLevel { .. } => load.saturating_add(ENTRY_64),
        ExitMode::Protected32 => load,
    };
    finish(builder, request, &start, load, rip)
}

pub(super) fn builder<'a>(request: &'a ClassicRequest<'a>) -> Result<Builder<'a>, ClassicError> {
    let keep = efi::runtime_memory(request.firmware.efi.as_ref());
    Builder::new(request, Range::new(FLOOR, CEILING), PAGE, true, keep)
}

/// The whole of `init_size` always: the decompressor moves itself to the end of
/// that area while it still runs on page tables that map nothing else. Checked
/// are the bytes of the file; it clears the rest.
fn place_bzimage(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
    image: &BzImage,
    end: u64,
) -> Result<u64, ClassicError> {
    let file = &request.image.bytes;
    let bytes = file.slice(image.protected_range(file.len()));
    let check_len = len(&bytes);
    let size = match image.init_size {
        0 => {
            // Before protocol 2.10 nothing says how large it will become.
            builder.note("the kernel's header has no init_size: eight times its size is set aside");
            check_len.saturating_mul(8)
        }
        size => u64::from(size).max(check_len),
    };
    let draft = Draft {
        name: "kernel".into(),
        kind: SegmentKind::Kernel,
        size,
        content: pieces(request.path, bytes),
        check_len,
    };
    if !image.relocatable_kernel {
        let at = match image.pref_address {
            0 => BZIMAGE_LOAD,
            preferred => preferred,
        };
        builder.note(format!("the kernel cannot be moved and goes to {at:#x}"));
        builder.put(draft, at)?;
        return Ok(at);
    }
    let align = u64::from(image.kernel_alignment);
    if align > 1 && !align.is_power_of_two() {
        return Err(ClassicError::Layout {
            format: "bzImage",
            reason: format!("kernel_alignment at 0x230 is {align:#x}, expected a power of two"),
        });
    }
    // Below pref_address it would unpack itself to there.
    let lowest = image.pref_address.max(FLOOR);
    builder.place(draft, align, Range::new(lowest, end))
}

/// A vmlinux: its segments as one run, at the address it is linked for; where
/// that is not free, further up by whole large pages, which a 64-bit kernel
/// adjusts to at its entry point.
pub(super) fn vmlinux(
    request: &ClassicRequest<'_>,
    elf: &ElfKernel,
) -> Result<LoadPlan, ClassicError> {
    let wide = elf.arch == Some(Arch::X86_64);
    let entry = physical_entry(elf)?;
    let run = runs(elf, &request.image.bytes, request.path, true, PAGE)?;
    let Some(run) = run.into_iter().next() else {
        return Err(ClassicError::Layout {
            format: "ELF",
            reason: "nothing to load".into(),
        });
    };
    let mut builder = builder(request)?;
    let (mode, small_end, initrd_end) = if wide {
        (ExitMode::Long64, CEILING, CEILING)
    } else {
        (ExitMode::Protected32, LOW_MEMORY_END, LOW_MEMORY_END)
    };
    let start = Start {
        method: format!("vmlinux, {}-bit entry", if wide { 64 } else { 32 }),
        mode,
        header: Header::Synthetic,
        // COMMAND_LINE_SIZE with the NUL.
        cmdline_max: len_u64(Arch::X86_64.command_line_size()).saturating_sub(1),
        initrd_end,
        small_end,
        efi: wide,
        four_level: wide && four_level::needed(request, elf.five_level),
        start: KernelStart::AsItIs,
    };
    let size = run.range.len();
    let filled = content_len(&run.content);
    let draft = Draft {
        name: "kernel".into(),
        kind: SegmentKind::Kernel,
        size,
        check_len: filled,
        content: run.content,
    };
    let linked = run.range.start;
    let whole = Range::new(linked, align_up(run.range.end, PAGE).unwrap_or(u64::MAX));
    let at = if !wide || builder.fits(whole) || linked % PAGE != 0 {
        builder.put(draft, linked)?;
        linked
    } else {
        // The same place within a large page, as the page tables have it.
        let lead = linked % LARGE_PAGE;
        if lead != 0 {
            return Err(ClassicError::Layout {
                format: "ELF",
                reason: format!(
                    "the kernel is linked for {linked:#x}, where there is no room, and cannot be \
                     moved because that is not a multiple of {LARGE_PAGE:#x}"
                ),
            });
        }
        let at = builder.place(draft, LARGE_PAGE, Range::new(linked, CEILING))?;
        builder.note(format!(
            "the kernel is linked for {linked:#x}, which is not free, and goes to {at:#x}"
        ));
        at
    };
    let rip = entry.wrapping_sub(linked).wrapping_add(at);
    finish(builder, request, &start, at, rip)
}

/// Everything but the kernel.
pub(super) fn finish(
    mut builder: Builder<'_>,
    request: &ClassicRequest<'_>,
    start: &Start<'_>,
    kernel: u64,
    rip: u64,
) -> Result<LoadPlan, ClassicError> {
    let line = len(request.cmdline.as_bytes());
    if line > start.cmdline_max {
        return Err(ClassicError::CmdlineTooLong {
            len: line,
            max: start.cmdline_max,
        });
    }
    let firmware = request.firmware;
    let running = firmware.boot_params.as_deref();
    let video = video::video(running, &firmware.display, request.options.reuse_video_type);
    builder.note(video.outcome.to_string());
    let efi = choose_efi(&mut builder, request, start.efi);
    let told = match request.crash {
        None => crash::Told {
            map: next_map(&mut builder, request),
            cmdline: request.cmdline.clone(),
        },
        Some(facts) => crash::tell(
            &mut builder,
            request,
            facts,
            efi.as_ref(),
            start.small_end,
            start.cmdline_max,
        )?,
    };
    let crash::Told { map, cmdline } = told;
    if request.rng_seed.is_none() {
        builder.note("no random seed for the next kernel");
    }

    let initrd = place_initrd(&mut builder, request, start.initrd_end)?;
    let ima = place_ima(&mut builder, request, start.small_end)?;
    let input = Input {
        header: start.header,
        cmdline: &cmdline,
        spare: if request.options.preserve_context {
            JUMP_BACK_ROOM
        } else {
            0
        },
        firmware,
        video: &video,
        efi: efi.as_ref(),
        map: map.entries(),
        dtb: device_tree(request)?,
        seed: request.rng_seed,
        places: Places {
            kernel,
            initrd,
            ima,
        },
        start: start.start,
    };
    // Once for the length, once with all addresses known.
    let size = len(&input.build(0).bytes);
    let draft = Draft {
        name: "parameters".into(),
        kind: SegmentKind::Parameters,
        size,
        content: Vec::new(),
        check_len: size,
    };
    let base = builder.place(draft, PAGE, Range::new(0, start.small_end))?;
    let blob = input.build(base);
    let content = pieces("boot_params", blob.bytes.into());
    builder.set_content(SegmentKind::Parameters, content, blob.parts);
    let mode = match start.four_level {
        true => four_level::place(&mut builder, request)?,
        false => start.mode,
    };
    // A purgatory that leaves 64-bit mode runs in 32 bits at its end.
    builder.place_purgatory(match mode {
        ExitMode::Long64 => start.small_end,
        ExitMode::Protected32 | ExitMode::Long64FourLevel { .. } => FOUR_GIB,
    })?;
    let exit = Exit {
        rsi: base,
        ..Exit::to(mode, rip)
    };
    builder.finish(
        request.arch,
        start.method.clone(),
        map.entries().to_vec(),
        exit,
        Some(blob.cmdline),
    )
}

fn choose_efi(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
    kernel_can: bool,
) -> Option<Efi> {
    let firmware = request.firmware;
    let running = firmware.boot_params.as_deref();
    if !efi::is_efi(running, firmware.efi.as_ref()) {
        return None;
    }
    let chosen = if request.options.no_efi {
        Err("--noefi")
    } else if !kernel_can {
        Err("the kernel does not take them over (XLF_EFI_KEXEC)")
    } else {
        efi::efi(running, firmware.efi.as_ref())
    };
    match chosen {
        Ok(efi) => Some(efi),
        Err(reason) => {
            builder.note(format!(
                "the next kernel gets no EFI runtime services: {reason}"
            ));
            None
        }
    }
}

/// The memory map for the next kernel: the firmware's. On EFI machines what
/// the running kernel set aside for good stays reserved, as `kexec_file_load`
/// has it: the next kernel cannot find out on its own. What was taken away by
/// the running kernel's own command line comes back.
///
/// Where the running kernel's memory is preserved, only what was set aside for
/// the next one is RAM.
pub(super) fn next_map(builder: &mut Builder<'_>, request: &ClassicRequest<'_>) -> MemoryMap {
    let map = whole_map(builder, request);
    let Some(reach) = builder.reach() else {
        return map;
    };
    let beyond = map.of_kind(MemoryKind::Ram).without(reach);
    map.with(&beyond, MemoryKind::Reserved)
}

/// The map of the machine, as a kernel after this one would be given it.
pub(super) fn whole_map(builder: &mut Builder<'_>, request: &ClassicRequest<'_>) -> MemoryMap {
    let memory = request.memory;
    if !memory.plugged_in.is_empty() && request.crash.is_none() {
        builder.note(format!(
            "{} bytes of memory that was plugged in later are left out: the next kernel finds them through ACPI",
            memory.plugged_in.total()
        ));
    }
    let mut words = request.firmware.running_cmdline.words();
    // Then RAM that only EFI knows of is not in the firmware's map (kernel
    // parameter add_efi_memmap).
    let efi_only = words.any(|w| w == b"add_efi_memmap");
    if efi_only || memory.firmware.is_empty() {
        builder.note(if efi_only {
            "the memory map is made from /proc/iomem: the running kernel has add_efi_memmap"
        } else {
            "the memory map is made from /proc/iomem: there is no /sys/firmware/memmap"
        });
    }
    let map = if efi_only {
        memory.iomem_map()
    } else {
        memory.firmware_map()
    };
    let firmware = request.firmware;
    if !efi::is_efi(firmware.boot_params.as_deref(), firmware.efi.as_ref()) {
        return map;
    }
    // Memory of the runtime services holds whatever the command line said.
    let mut kept: RangeSet = efi::runtime_memory(firmware.efi.as_ref())
        .iter()
        .map(|r| r.range)
        .collect();
    let reserved = memory.kernel_reserved(FLOOR);
    if Limits::of(&firmware.running_cmdline).is_none() {
        reserved.iter().for_each(|r| kept.insert(r));
    } else if !reserved.is_empty() {
        builder.note(format!(
            "{} bytes that the running kernel reserved are not kept so: it may be mem= or memmap= of its command line",
            reserved.total()
        ));
    }
    let kept = kept.intersect(&map.of_kind(MemoryKind::Ram));
    if kept.is_empty() {
        return map;
    }
    builder.note(format!(
        "{} bytes of RAM stay reserved: the running kernel keeps them for EFI",
        kept.total()
    ));
    map.with(&kept, MemoryKind::Reserved)
}

fn place_initrd(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
    end: u64,
) -> Result<Option<Range>, ClassicError> {
    let size = content_len(request.initrd);
    if size == 0 {
        return Ok(None);
    }
    let draft = Draft {
        name: "initrd".into(),
        kind: SegmentKind::Initrd,
        size,
        content: request.initrd.to_vec(),
        check_len: size,
    };
    let at = builder.place(draft, PAGE, Range::new(0, end))?;
    Ok(Range::sized(at, size))
}

fn place_ima(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
    end: u64,
) -> Result<Option<Range>, ClassicError> {
    let Some(list) = &request.firmware.ima else {
        return Ok(None);
    };
    let buffer = setup_data::ima_buffer(list);
    let size = len(&buffer);
    let draft = Draft {
        name: "IMA list".into(),
        kind: SegmentKind::Measurements,
        size,
        content: pieces("measurements", buffer.into()),
        check_len: size,
    };
    let at = builder.place(draft, PAGE, Range::new(0, end))?;
    Ok(Range::sized(at, size))
}

/// Content that is one piece.
pub(super) fn pieces(origin: &str, bytes: Bytes) -> Vec<Piece> {
    vec![Piece {
        origin: origin.to_owned(),
        len: bytes.len(),
        padding: 0,
        bytes,
    }]
}
