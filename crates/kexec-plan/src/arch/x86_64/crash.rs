//! A crash kernel: the ELF core header, the memory map, and what the command line says of
//! both.
//!
//! Sources: Documentation/admin-guide/kdump/kdump.rst; for the words of the command line,
//! Documentation/admin-guide/kernel-parameters.txt (`elfcorehdr=`, `acpi_rsdp=`,
//! `memmap=`); for the map, what the running kernel gives to a crash kernel that it loads
//! itself, seen in a guest (docs/crash.md).

use super::efi::{Efi, is_efi};
use super::layout::{FLOOR, PAGE};
use super::linux::{pieces, whole_map};
use crate::Cmdline;
use crate::classic::{Builder, ClassicError, ClassicRequest, Draft, SegmentKind};
use crate::crash::{
    CoreClass, CrashError, CrashFacts, CrashRegions, MemoryCopy, core_header, system_ram,
};
use crate::memory::range::{align_down, align_up};
use crate::memory::{MapEntry, MemoryKind, MemoryMap, Range, RangeSet};
use kexec_image::fields::len;

/// `EM_X86_64` (System V ABI, AMD64 supplement 1.0, 4.1.1).
const MACHINE: u16 = 62;

/// The memory below 640 KiB, which a PC has always had ("conventional memory"): above it are
/// the screen and the BIOS.
const CONVENTIONAL: Range = Range {
    start: 0,
    end: 640 << 10,
};

/// What a crash kernel is told.
#[derive(Debug)]
pub(super) struct Told {
    /// The memory map.
    pub map: MemoryMap,
    /// The command line.
    pub cmdline: Cmdline,
}

/// Puts the ELF core header below `end`, and makes the rest of what the kernel is told.
/// `cmdline_max` is the longest command line, without its NUL.
///
/// # Errors
/// [`ClassicError::Crash`], or no place for the header.
pub(super) fn tell(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
    facts: &CrashFacts,
    efi: Option<&Efi>,
    end: u64,
    cmdline_max: u64,
) -> Result<Told, ClassicError> {
    let options = request.options;
    let regions = CrashRegions::of(request.memory)?;
    // Since Linux 5.5 the running kernel keeps out of the first MiB, so nothing there is
    // worth saving, and the crash kernel can have it (commit 6f599d84231f, "x86/kdump:
    // Always reserve the low 1M when the crashkernel option is specified").
    let (copy, unused) = match facts.uses_low_memory {
        true => (place_copy(builder, request, end)?, Range::default()),
        false => (None, Range::new(0, FLOOR)),
    };
    let saved = regions.saved(request.memory, &facts.cma, unused)?;
    let header = place_header(builder, request, facts, &saved, copy, end)?;
    builder.note(format!(
        "the crash kernel saves {} bytes of memory in {} ranges, and the registers of {} processors",
        saved.total(),
        saved.len(),
        facts.cpus.len()
    ));
    let own = own_memory(request, facts, &regions, header, copy);
    let map = map(builder, request, &own);
    let mut words = Vec::new();
    if options.pass_memmap {
        words.extend(memmap_words(&map));
    }
    words.extend(rsdp_word(request, efi));
    words.push(format!("elfcorehdr={:#x}", header.start));
    // Of a crash kernel that loads another one; the last one would hold anyway.
    let line = request.cmdline.without(&["elfcorehdr"]);
    let words = Cmdline::from(words.join(" ").as_str());
    let cmdline = line.with_parameter(&words);
    let long = len(cmdline.as_bytes());
    if long > cmdline_max {
        return Err(ClassicError::Crash(CrashError::CmdlineTooLong {
            len: long,
            max: cmdline_max,
            told: match options.pass_memmap {
                true => "memmap= and elfcorehdr=",
                false => "elfcorehdr=",
            },
        }));
    }
    builder.set_cmdline(cmdline.clone());
    Ok(Told { map, cmdline })
}

/// Options that do not go with a crash kernel.
pub(super) fn refuse(request: &ClassicRequest<'_>) -> Result<(), ClassicError> {
    let options = request.options;
    let refused = |option, reason: &str, hint| {
        Err(ClassicError::Option {
            option,
            reason: reason.to_owned(),
            hint,
        })
    };
    if options.preserve_context {
        return refused(
            "--load-preserve-context",
            "a kernel that has crashed is not returned to",
            "leave it out",
        );
    }
    if options.hotplug && options.core_class == Some(CoreClass::Elf32) {
        return refused(
            "--elf32-core-headers",
            "with --hotplug the running kernel writes the header anew, always as ELF64",
            "use one of the two",
        );
    }
    Ok(())
}

/// Room for a copy of the memory below 640 KiB. The running kernel has used it, and the crash
/// kernel needs it: its other processors start there.
fn place_copy(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
    end: u64,
) -> Result<Option<MemoryCopy>, ClassicError> {
    let low = system_ram(request.memory).intersect(&CONVENTIONAL.into());
    let bounds = low.iter().map(|range| range.start).min();
    let bounds = bounds.zip(low.iter().map(|range| range.end).max());
    let Some((first, last)) = bounds else {
        return Ok(None);
    };
    let last = align_up(last, PAGE).unwrap_or(CONVENTIONAL.end);
    let from = Range::new(align_down(first, PAGE), last);
    let draft = Draft {
        name: "low memory".into(),
        kind: SegmentKind::Backup,
        size: from.len(),
        content: Vec::new(),
        check_len: 0,
    };
    let to = builder.place(draft, PAGE, Range::new(0, end))?;
    let copy = MemoryCopy { from, to };
    builder.set_copy(copy);
    builder.note(format!(
        "the running kernel uses the memory at {from}; the purgatory copies it to {to:#x} at the crash"
    ));
    Ok(Some(copy))
}

fn place_header(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
    facts: &CrashFacts,
    saved: &RangeSet,
    copy: Option<MemoryCopy>,
    end: u64,
) -> Result<Range, ClassicError> {
    let class = request.options.core_class.unwrap_or_default();
    let bytes = core_header(class, MACHINE, facts, saved, copy)?;
    if class == CoreClass::Elf32 {
        builder.note(
            "the 32-bit ELF core header has no virtual addresses: those of a 64-bit kernel do not fit",
        );
    }
    let written = len(&bytes);
    let size = written.max(facts.hotplug_size.unwrap_or(0));
    let draft = Draft {
        name: "ELF core header".into(),
        kind: SegmentKind::CoreHeader,
        size,
        content: pieces("ELF core header", bytes.into()),
        // What the running kernel writes there later is not known now.
        check_len: match facts.hotplug_size {
            Some(_) => 0,
            None => written,
        },
    };
    let at = builder.place(draft, PAGE, Range::new(0, end))?;
    let whole = align_up(size, PAGE).and_then(|size| Range::sized(at, size));
    whole.ok_or_else(|| {
        ClassicError::Crash(CrashError::Nowhere {
            what: "the ELF core header".into(),
            range: Range::new(at, u64::MAX),
        })
    })
}

/// The memory of the crash kernel: what is reserved for it, without the ELF core header and
/// the copy, which would be overwritten; and the first MiB, where the other processors are
/// started, or as much of it as was copied.
fn own_memory(
    request: &ClassicRequest<'_>,
    facts: &CrashFacts,
    regions: &CrashRegions,
    header: Range,
    copy: Option<MemoryCopy>,
) -> RangeSet {
    let low = match facts.uses_low_memory {
        true => copy.map_or_else(Range::default, |copy| copy.from),
        false => Range::new(0, FLOOR),
    };
    let low = system_ram(request.memory).intersect(&low.into());
    let parts = [&low, &regions.all, &facts.cma];
    let mut own: RangeSet = parts.iter().flat_map(|set| set.iter()).collect();
    own.remove(header);
    if let Some(copy) = copy {
        own.remove(copy.destination());
    }
    own
}

/// The map with this memory. What is not RAM stays as it is, so that ACPI and devices are
/// found.
fn map(builder: &mut Builder<'_>, request: &ClassicRequest<'_>, own: &RangeSet) -> MemoryMap {
    let own = own.iter().map(|range| MapEntry {
        range,
        kind: MemoryKind::Ram,
    });
    let whole = whole_map(builder, request);
    let rest = whole.entries().iter().filter(|e| e.kind != MemoryKind::Ram);
    MemoryMap::new(own.chain(rest.copied().map(left_alone)))
}

/// An entry that is not for the crash kernel. Linux makes memory of what is "Soft Reserved"
/// (DAX, the driver kmem), and the running kernel may have done so: then it is to be saved
/// (Linux commit b617c5266eed, "efi: Common enable/disable infrastructure for EFI soft
/// reservation"). What is reserved is left alone.
fn left_alone(entry: MapEntry) -> MapEntry {
    match entry.kind {
        MemoryKind::SoftReserved => MapEntry {
            kind: MemoryKind::Reserved,
            ..entry
        },
        _ => entry,
    }
}

/// Where ACPI's root pointer is. A kernel that takes over EFI's runtime services finds it
/// there, and on a BIOS machine in the BIOS; and since boot protocol 2.14 in `boot_params`,
/// which older kernels do not look at.
fn rsdp_word(request: &ClassicRequest<'_>, efi: Option<&Efi>) -> Option<String> {
    let firmware = request.firmware;
    let from_efi = is_efi(firmware.boot_params.as_deref(), firmware.efi.as_ref());
    let needed = from_efi && efi.is_none();
    let address = firmware.acpi_rsdp.filter(|_| needed)?;
    Some(format!("acpi_rsdp={address:#x}"))
}

/// The map as `memmap=` (`--pass-memmap-cmdline`).
fn memmap_words(map: &MemoryMap) -> Vec<String> {
    let word = |entry: &MapEntry| {
        let sign = match entry.kind {
            MemoryKind::Ram => '@',
            MemoryKind::AcpiData | MemoryKind::AcpiNvs => '#',
            MemoryKind::LegacyPmem => '!',
            // ACPI's NFIT has it.
            MemoryKind::Pmem => return None,
            MemoryKind::Reserved
            | MemoryKind::Unusable
            | MemoryKind::SoftReserved
            | MemoryKind::Other(_) => '$',
        };
        let Range { start, .. } = entry.range;
        let size = number(entry.range.len());
        Some(format!("memmap={size}{sign}{}", number(start)))
    };
    let exact = std::iter::once("memmap=exactmap".to_owned());
    exact.chain(map.entries().iter().filter_map(word)).collect()
}

/// A number as the kernel reads it; in KiB where that is whole.
fn number(value: u64) -> String {
    match value % 1024 {
        0 => format!("{}K", value / 1024),
        _ => format!("{value:#x}"),
    }
}
