//! What the kernel enforces, in its order. Plain functions, without state but
//! the machine's.
//!
//! Sources: kexec_load(2) (man-pages 6.16, ERRORS and the notes on flags);
//! Documentation/admin-guide/sysctl/kernel.rst (`kexec_load_disabled`,
//! `kexec_load_limit_*`); kernel_lockdown(7); and what kernels were seen to
//! answer. Where the manual names no order among several errors, it is the
//! order in which the kernel was seen to look.

use std::ops::Range;

use kexec_image::fields::{array, u8_at, u16_at, u32_at, u64_at};

use super::machine::{Arch, Ima, Lockdown, Machine, PAGE, Signatures};
use crate::{Errno, FileFlags, LoadFlags, SEGMENT_MAX, Slot};

/// A segment's place and the number of bytes that go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The physical address where it begins.
    pub mem: u64,
    /// Size in memory.
    pub memsz: u64,
    /// How many bytes are copied there.
    pub bufsz: u64,
}

impl Place {
    /// One behind the last byte; wraps as the kernel's arithmetic does.
    const fn end(self) -> u64 {
        self.mem.wrapping_add(self.memsz)
    }

    const fn pages(self) -> u64 {
        self.memsz.div_ceil(PAGE)
    }
}

/// The first check of both calls: may the caller load or unload at all? A call
/// that may counts against the limit, whatever becomes of it.
pub(super) fn permitted(machine: &mut Machine, slot: Slot) -> Result<(), Errno> {
    if !machine.cap_sys_boot || machine.load_disabled {
        return Err(Errno::EPERM);
    }
    let limit = match slot {
        Slot::Normal => &mut machine.limit_reboot,
        Slot::Crash => &mut machine.limit_panic,
    };
    match limit {
        None => Ok(()),
        Some(0) => Err(Errno::EPERM),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
    }
}

/// What kexec_load(2) checks before it looks at a segment.
pub(super) fn load_call(
    machine: &mut Machine,
    count: usize,
    flags: LoadFlags,
) -> Result<(), Errno> {
    if !machine.has_load {
        return Err(Errno::ENOSYS);
    }
    permitted(machine, slot_of_load(flags))?;
    // Security modules come before lockdown, so a locked machine with IMA and
    // Secure Boot says EACCES and not EPERM.
    if let Some(errno) = machine.load_denied {
        return Err(errno);
    }
    match machine.ima {
        Ima::Appraise { .. } => return Err(Errno::EACCES),
        Ima::Idle if machine.secure_boot && machine.signatures != Signatures::NotBuilt => {
            return Err(Errno::EACCES);
        }
        Ima::Idle | Ima::Absent => {}
    }
    if machine.lockdown > Lockdown::None {
        return Err(Errno::EPERM);
    }
    if !machine
        .load_flags()
        .union(LoadFlags::ARCH_MASK)
        .contains(flags)
    {
        return Err(Errno::EINVAL);
    }
    if count > SEGMENT_MAX {
        return Err(Errno::EINVAL);
    }
    if ![0, machine.arch.elf_machine()].contains(&flags.machine()) {
        return Err(Errno::EINVAL);
    }
    if machine.busy {
        return Err(Errno::EBUSY);
    }
    Ok(())
}

/// What kexec_file_load(2) checks before it looks at a file.
pub(super) fn file_call(machine: &mut Machine, flags: FileFlags) -> Result<(), Errno> {
    if !machine.has_file_load {
        return Err(Errno::ENOSYS);
    }
    permitted(machine, slot_of_file(flags))?;
    if !machine.file_flags().contains(flags) {
        return Err(Errno::EINVAL);
    }
    if machine.busy {
        return Err(Errno::EBUSY);
    }
    Ok(())
}

/// The slot that these flags mean.
pub(super) const fn slot_of_load(flags: LoadFlags) -> Slot {
    if flags.contains(LoadFlags::ON_CRASH) {
        Slot::Crash
    } else {
        Slot::Normal
    }
}

/// The slot that these flags mean.
pub(super) const fn slot_of_file(flags: FileFlags) -> Slot {
    if flags.contains(FileFlags::ON_CRASH) {
        Slot::Crash
    } else {
        Slot::Normal
    }
}

/// The entry of a crash image lies in the crash region. (Of a normal image the
/// kernel believes it anything.)
pub(super) fn entry(machine: &Machine, slot: Slot, entry: u64) -> Result<(), Errno> {
    match (slot, &machine.crash_region) {
        (Slot::Normal, _) => Ok(()),
        (Slot::Crash, Some(region)) if region.contains(&entry) => Ok(()),
        (Slot::Crash, _) => Err(Errno::EADDRNOTAVAIL),
    }
}

/// The segments of an image, rule by rule; every rule over all segments before
/// the next one.
pub(super) fn segments(machine: &Machine, slot: Slot, places: &[Place]) -> Result<(), Errno> {
    for place in places {
        let off_page = !place.mem.is_multiple_of(PAGE) || !place.end().is_multiple_of(PAGE);
        if place.end() < place.mem || off_page || place.end() >= machine.destination_limit() {
            return Err(Errno::EADDRNOTAVAIL);
        }
    }
    for (index, place) in places.iter().enumerate() {
        for other in places.iter().take(index) {
            if place.end() > other.mem && place.mem < other.end() {
                return Err(Errno::EINVAL);
            }
        }
    }
    if places.iter().any(|place| place.bufsz > place.memsz) {
        return Err(Errno::EINVAL);
    }
    let half = machine.ram_pages / 2;
    let mut total = 0_u64;
    for place in places {
        if place.pages() > half {
            return Err(Errno::EINVAL);
        }
        total = total.saturating_add(place.pages());
    }
    if total > half {
        return Err(Errno::EINVAL);
    }
    if slot == Slot::Crash {
        let inside = |place: &Place| {
            machine
                .crash_region
                .as_ref()
                .is_some_and(|region| place.mem >= region.start && place.end() <= region.end)
        };
        if !places.iter().all(inside) {
            return Err(Errno::EADDRNOTAVAIL);
        }
    }
    // A crash image is written to where it belongs; a normal one is kept in
    // pages of its own until the jump.
    if slot == Slot::Normal && total > machine.free_pages {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

/// The last check of both calls: can this machine be left at all?
pub(super) fn prepare(machine: &Machine, slot: Slot) -> Result<(), Errno> {
    if machine.cpus_stuck && slot == Slot::Normal {
        return Err(Errno::EBUSY);
    }
    Ok(())
}

/// What the kernel thinks of a kernel file that it has read: IMA, the format,
/// the signature.
pub(super) fn image(machine: &Machine, kernel: &[u8], in_memory: bool) -> Result<Probed, Errno> {
    if let Some(errno) = machine.file_denied {
        return Err(errno);
    }
    if let Ima::Appraise { files_pass } = machine.ima
        && (in_memory || !files_pass)
    {
        return Err(Errno::EACCES);
    }
    let probed = match machine.arch {
        Arch::X86_64 => bzimage(machine, kernel)?,
        Arch::Aarch64 => arm64_image(kernel)?,
    };
    if machine.signatures != Signatures::NotBuilt
        && let Err(errno) = machine.signer.verdict(kernel).check()
    {
        if machine.signatures == Signatures::Enforced {
            return Err(errno);
        }
        // IMA has appraised the file already: that is good enough for lockdown.
        let appraised = matches!(machine.ima, Ima::Appraise { .. });
        if machine.lockdown > Lockdown::None && !appraised {
            return Err(Errno::EPERM);
        }
    }
    Ok(probed)
}

/// Whether the command line, `length` bytes with its NUL, fits the next kernel.
pub(super) fn cmdline(machine: &Machine, probed: &Probed, length: usize) -> Result<(), Errno> {
    match probed.cmdline_max {
        Some(most) if length.saturating_add(machine.cmdline_reserve) > most => Err(Errno::EINVAL),
        _ => Ok(()),
    }
}

/// Finds room for a kernel and an initrd in what the file syscall may use;
/// EADDRNOTAVAIL without. Not the kernel's own places, but full when its are.
pub(super) fn place_files(
    machine: &Machine,
    slot: Slot,
    probed: &Probed,
    initrd: Option<u64>,
) -> Result<Vec<Place>, Errno> {
    let mut free: Vec<Range<u64>> = match (slot, machine.kho_scratch) {
        (Slot::Crash, _) => machine.crash_region.clone().into_iter().collect(),
        (Slot::Normal, Some(scratch)) => top_of(&machine.ram, scratch),
        (Slot::Normal, None) => machine.ram.clone(),
    };
    // The lowest addresses that the x86 loader takes: 1 MiB for the kernel,
    // 16 MiB for the initrd.
    let wanted = [
        Some((probed.memory, probed.payload, 1 << 20)),
        initrd.map(|bytes| (bytes, bytes, 1 << 24)),
    ];
    let mut places = Vec::new();
    for (memory, bufsz, low) in wanted.into_iter().flatten() {
        let memsz = memory
            .checked_next_multiple_of(PAGE)
            .ok_or(Errno::EADDRNOTAVAIL)?;
        let hole = free
            .iter_mut()
            .rev()
            .find(|range| range.end.saturating_sub(range.start.max(low)) >= memsz)
            .ok_or(Errno::EADDRNOTAVAIL)?;
        hole.end -= memsz;
        places.push(Place {
            mem: hole.end,
            memsz,
            bufsz,
        });
    }
    Ok(places)
}

/// The last `size` bytes of these ranges: stands for the KHO scratch memory.
fn top_of(ranges: &[Range<u64>], mut size: u64) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    for range in ranges.iter().rev() {
        let part = size.min(range.end.saturating_sub(range.start));
        size -= part;
        parts.push(range.end - part..range.end);
    }
    parts
}

/// What a kernel file says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probed {
    /// Bytes that it takes in memory.
    memory: u64,
    /// Bytes that are copied there.
    payload: u64,
    /// The longest command line with its NUL, if the format bounds it.
    cmdline_max: Option<usize>,
}

/// The x86-64 loader of the kernel takes a bzImage with the 64-bit boot protocol
/// (Documentation/arch/x86/boot.rst): everything else is ENOEXEC.
fn bzimage(machine: &Machine, kernel: &[u8]) -> Result<Probed, Errno> {
    let probe = || -> Option<Probed> {
        // 1f1 setup_sects, 1fe boot_flag, 202 HdrS, 206 version, 211 loadflags,
        // 236 xloadflags, 238 cmdline_size, 260 init_size.
        let setup_sects = u8_at(kernel, 0x1f1)?;
        let boot_flag = u16_at(kernel, 0x1fe)?;
        let magic: [u8; 4] = array(kernel, 0x202)?;
        let version = u16_at(kernel, 0x206)?;
        let loadflags = u8_at(kernel, 0x211)?;
        let xloadflags = u16_at(kernel, 0x236)?;
        let cmdline_size = u32_at(kernel, 0x238)?;
        let init_size = u32_at(kernel, 0x260)?;
        let sectors = if setup_sects == 0 { 4 } else { setup_sects };
        let setup = (usize::from(sectors) + 1) * 512;
        let good = kernel.len() >= 1024
            && kernel.len() >= setup
            && boot_flag == 0xaa55
            && magic == *b"HdrS"
            && version >= 0x020c
            && loadflags & 1 == 1 // LOADED_HIGH
            && xloadflags & 0b11 == 0b11 // KERNEL_64, CAN_BE_LOADED_ABOVE_4G
            && (!machine.five_level || xloadflags & 0x20 != 0); // 5LEVEL
        good.then_some(Probed {
            memory: u64::from(init_size),
            payload: u64::try_from(kernel.len().saturating_sub(setup)).ok()?,
            cmdline_max: usize::try_from(cmdline_size).ok(),
        })
    };
    probe().ok_or(Errno::ENOEXEC)
}

/// The arm64 loader takes an Image (Documentation/arch/arm64/booting.rst) with a
/// size; everything else is EINVAL, where x86 says ENOEXEC.
fn arm64_image(kernel: &[u8]) -> Result<Probed, Errno> {
    let probe = || -> Option<Probed> {
        let image_size = u64_at(kernel, 0x10)?;
        let magic: [u8; 4] = array(kernel, 0x38)?;
        (kernel.len() >= 64 && magic == *b"ARM\x64" && image_size != 0).then_some(Probed {
            memory: image_size,
            payload: u64::try_from(kernel.len()).ok()?,
            cmdline_max: None,
        })
    };
    probe().ok_or(Errno::EINVAL)
}
