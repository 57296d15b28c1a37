//! From the parameters to the bytes of the segment.

use core::mem::offset_of;

use crate::abi::{self, RawConsole, RawEntry, RawParams, RawRegion};
use crate::{
    ALIGN, BLOB, Blob, Check, Console, Crc32c, EntryState, MAX_CONSOLES, MAX_REGIONS, Mode, Params,
    PurgatoryError, SIZE, Stack, UNAVAILABLE,
};

/// 64 TiB, the most that the four-level page tables of an x86_64 kernel map
/// (Documentation/arch/x86/x86_64/mm.rst).
const LIMIT_64: u64 = 1 << 46;
const LIMIT_32: u64 = 1 << 32;
/// 100 GHz.
const TSC_KHZ_MAX: u64 = 100_000_000;
const WAIT_SECONDS_MAX: u32 = 600;

/// The address to jump to, for a purgatory at `base`.
#[must_use]
pub fn entry(base: u64) -> u64 {
    base.saturating_add(BLOB.as_ref().map_or(0, |blob| blob.entry))
}

/// Whether the purgatory has to lie below 4 GiB: with a 32-bit entry, or on its way
/// through 32-bit code to four-level paging.
#[must_use]
pub const fn requires_below_4g(params: &Params) -> bool {
    matches!(
        params.entry.mode,
        Mode::Protected32 | Mode::Long64FourLevel { .. }
    )
}

/// The bytes of the segment at the physical address `base`. They are fewer than
/// [`SIZE`], which is the segment's length in memory; the rest is to be zero.
///
/// # Errors
/// No program was built for this architecture; `base` is not page aligned, not
/// below 64 TiB, or not below 4 GiB with a 32-bit entry; parameters that do not
/// fit or that could not work: see [`PurgatoryError`].
pub fn image(base: u64, params: &Params) -> Result<Vec<u8>, PurgatoryError> {
    let blob = BLOB.as_ref().ok_or(PurgatoryError::NotBuilt(UNAVAILABLE))?;
    check(base, params)?;
    let mut image = Image {
        bytes: blob.bytes.to_vec(),
    };
    for (place, addend) in blob.relocations {
        image.put(*place, &(base + addend).to_le_bytes());
    }
    image.params(base, blob, params);
    let sealed = blob.params + at(offset_of!(RawParams, self_crc));
    let crc = Crc32c::of(image.up_to(sealed));
    image.put(sealed, &crc.to_le_bytes());
    Ok(image.bytes)
}

fn check(base: u64, params: &Params) -> Result<(), PurgatoryError> {
    let limit = if requires_below_4g(params) {
        LIMIT_32
    } else {
        LIMIT_64
    } - SIZE;
    if base == 0 || !base.is_multiple_of(ALIGN) || base > limit {
        return Err(PurgatoryError::Place { base, limit });
    }
    let too_many = |what, found, max| {
        if found > max {
            Err(PurgatoryError::TooMany { what, found, max })
        } else {
            Ok(())
        }
    };
    too_many("regions", params.regions.len(), MAX_REGIONS)?;
    too_many("consoles", params.consoles.len(), MAX_CONSOLES)?;

    for region in &params.regions {
        let label = String::from_utf8_lossy(region.label.bytes());
        memory(base, label.trim_end_matches('\0'), region.start, region.len)?;
    }
    if let Some(jump_back) = params.jump_back {
        memory(
            base,
            "the command line to extend",
            jump_back.cmdline,
            jump_back.capacity,
        )?;
    }
    if let Some(stamp) = params.stamp {
        let len = u64::from(abi::STAMP_LEN);
        memory(base, "the time of the jump", stamp, len)?;
    }
    if let Some(backup) = params.backup {
        memory(
            base,
            "the destination of the copy",
            backup.destination,
            backup.len,
        )?;
        // Address 0 is a good source.
        memory(
            base,
            "the source of the copy",
            backup.source.max(1),
            backup.len,
        )?;
    }
    for console in &params.consoles {
        if let Console::SerialPort {
            io_base,
            divisor: Some(0),
        } = *console
        {
            return Err(PurgatoryError::Divisor { io_base });
        }
    }
    let too_long = |what, found, max| {
        if found > max {
            Err(PurgatoryError::Time { what, found, max })
        } else {
            Ok(())
        }
    };
    too_long(
        "the time-stamp counter's frequency in kHz",
        params.tsc_khz,
        TSC_KHZ_MAX,
    )?;
    too_long(
        "the wait before a reset in seconds",
        params.wait_seconds.into(),
        WAIT_SECONDS_MAX.into(),
    )?;
    match params.entry.mode {
        Mode::Protected32 => registers_fit_32(&params.entry),
        Mode::Long64FourLevel { page_tables }
            if page_tables == 0 || !u64::from(page_tables).is_multiple_of(ALIGN) =>
        {
            Err(PurgatoryError::Memory {
                what: "the page tables".to_owned(),
                start: page_tables.into(),
                len: ALIGN,
            })
        }
        Mode::Long64FourLevel { page_tables } => {
            memory(base, "the page tables", page_tables.into(), ALIGN)
        }
        Mode::Long64 => Ok(()),
    }
}

fn memory(base: u64, what: &str, start: u64, len: u64) -> Result<(), PurgatoryError> {
    let end = start
        .checked_add(len)
        .filter(|end| start != 0 && len != 0 && *end <= 1 << 52);
    let Some(end) = end else {
        return Err(PurgatoryError::Memory {
            what: what.into(),
            start,
            len,
        });
    };
    if start < base + SIZE && base < end {
        return Err(PurgatoryError::Overlap {
            what: what.into(),
            start,
            len,
            base,
        });
    }
    Ok(())
}

fn registers_fit_32(entry: &EntryState) -> Result<(), PurgatoryError> {
    let esp = match entry.stack {
        Stack::At(address) => address,
        Stack::Purgatory => 0,
        Stack::Caller => return Err(PurgatoryError::CallerStack32),
    };
    for (register, value) in [
        ("eip", entry.rip),
        ("eax", entry.rax),
        ("ebx", entry.rbx),
        ("ecx", entry.rcx),
        ("edx", entry.rdx),
        ("esi", entry.rsi),
        ("edi", entry.rdi),
        ("ebp", entry.rbp),
        ("esp", esp),
    ] {
        if value >= LIMIT_32 {
            return Err(PurgatoryError::Not32Bit { register, value });
        }
    }
    let wide = [
        ("r8", entry.r8),
        ("r9", entry.r9),
        ("r10", entry.r10),
        ("r11", entry.r11),
        ("r12", entry.r12),
        ("r13", entry.r13),
        ("r14", entry.r14),
        ("r15", entry.r15),
    ];
    match wide.into_iter().find(|(_, value)| *value != 0) {
        Some((register, value)) => Err(PurgatoryError::Not32Bit { register, value }),
        None => Ok(()),
    }
}

/// An offset or size of the block of parameters, which is small.
const fn at(offset: usize) -> u64 {
    offset as u64
}

struct Image {
    bytes: Vec<u8>,
}

impl Image {
    /// Writes at an offset that build.rs has checked to lie inside.
    fn put(&mut self, offset: u64, value: &[u8]) {
        let place = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.bytes.get_mut(offset..));
        for (to, from) in place.into_iter().flatten().zip(value) {
            *to = *from;
        }
    }

    fn up_to(&self, end: u64) -> &[u8] {
        usize::try_from(end)
            .ok()
            .and_then(|end| self.bytes.get(..end))
            .unwrap_or(&self.bytes)
    }

    fn params(&mut self, base: u64, blob: &Blob, params: &Params) {
        let block = blob.params;
        let mut flags = 0;
        for (flag, set) in [
            (abi::FLAG_HELLO, params.hello),
            (abi::FLAG_RESET_VGA, params.reset_vga),
            (abi::FLAG_SELF_CHECK, params.self_check),
        ] {
            flags |= if set { flag } else { 0 };
        }
        let jump_back = params
            .jump_back
            .map_or((0, 0), |slot| (slot.cmdline, slot.capacity));
        let backup = params
            .backup
            .map_or((0, 0, 0), |copy| (copy.source, copy.destination, copy.len));
        self.put(
            block + at(offset_of!(RawParams, flags)),
            &u32::to_le_bytes(flags),
        );
        self.put(
            block + at(offset_of!(RawParams, wait_seconds)),
            &params.wait_seconds.to_le_bytes(),
        );
        self.put(
            block + at(offset_of!(RawParams, console_count)),
            &count(params.consoles.len()),
        );
        self.put(
            block + at(offset_of!(RawParams, region_count)),
            &count(params.regions.len()),
        );
        let page_tables = match params.entry.mode {
            Mode::Long64FourLevel { page_tables } => page_tables,
            Mode::Long64 | Mode::Protected32 => 0,
        };
        self.put(
            block + at(offset_of!(RawParams, page_tables)),
            &page_tables.to_le_bytes(),
        );
        for (offset, value) in [
            (offset_of!(RawParams, tsc_khz), params.tsc_khz),
            (offset_of!(RawParams, jump_back_cmdline), jump_back.0),
            (offset_of!(RawParams, jump_back_capacity), jump_back.1),
            (offset_of!(RawParams, stamp), params.stamp.unwrap_or(0)),
            (offset_of!(RawParams, backup_source), backup.0),
            (offset_of!(RawParams, backup_destination), backup.1),
            (offset_of!(RawParams, backup_len), backup.2),
        ] {
            self.put(block + at(offset), &value.to_le_bytes());
        }
        self.entry(
            block + at(offset_of!(RawParams, entry)),
            base + blob.stack_top,
            &params.entry,
        );
        for (index, console) in params.consoles.iter().enumerate() {
            let stride = index * size_of::<RawConsole>();
            self.console(
                block + at(offset_of!(RawParams, consoles) + stride),
                *console,
            );
        }
        for (index, region) in params.regions.iter().enumerate() {
            let stride = index * size_of::<RawRegion>();
            let place = block + at(offset_of!(RawParams, regions) + stride);
            let (kind, expected) = match &region.check {
                Check::None => (0, &[][..]),
                Check::Crc32c(crc) => (abi::CHECK_CRC32C, &crc.to_le_bytes()[..]),
                Check::Sha256(digest) => (abi::CHECK_SHA256, &digest[..]),
            };
            self.put(
                place + at(offset_of!(RawRegion, start)),
                &region.start.to_le_bytes(),
            );
            self.put(
                place + at(offset_of!(RawRegion, len)),
                &region.len.to_le_bytes(),
            );
            self.put(
                place + at(offset_of!(RawRegion, check)),
                &u32::to_le_bytes(kind),
            );
            self.put(
                place + at(offset_of!(RawRegion, label)),
                region.label.bytes(),
            );
            self.put(place + at(offset_of!(RawRegion, expected)), expected);
        }
    }

    fn entry(&mut self, place: u64, own_stack: u64, entry: &EntryState) {
        let (stack, rsp) = match entry.stack {
            Stack::Purgatory => (abi::STACK_GIVEN, own_stack),
            Stack::At(address) => (abi::STACK_GIVEN, address),
            Stack::Caller => (abi::STACK_CALLER, 0),
        };
        let mode = match entry.mode {
            Mode::Long64 => abi::MODE_LONG64,
            Mode::Protected32 => abi::MODE_PROTECTED32,
            Mode::Long64FourLevel { .. } => abi::MODE_LONG64_FOUR_LEVEL,
        };
        self.put(place + at(offset_of!(RawEntry, mode)), &mode.to_le_bytes());
        self.put(
            place + at(offset_of!(RawEntry, stack)),
            &stack.to_le_bytes(),
        );
        for (offset, value) in [
            (offset_of!(RawEntry, rip), entry.rip),
            (offset_of!(RawEntry, rax), entry.rax),
            (offset_of!(RawEntry, rbx), entry.rbx),
            (offset_of!(RawEntry, rcx), entry.rcx),
            (offset_of!(RawEntry, rdx), entry.rdx),
            (offset_of!(RawEntry, rsi), entry.rsi),
            (offset_of!(RawEntry, rdi), entry.rdi),
            (offset_of!(RawEntry, rbp), entry.rbp),
            (offset_of!(RawEntry, rsp), rsp),
            (offset_of!(RawEntry, r8), entry.r8),
            (offset_of!(RawEntry, r9), entry.r9),
            (offset_of!(RawEntry, r10), entry.r10),
            (offset_of!(RawEntry, r11), entry.r11),
            (offset_of!(RawEntry, r12), entry.r12),
            (offset_of!(RawEntry, r13), entry.r13),
            (offset_of!(RawEntry, r14), entry.r14),
            (offset_of!(RawEntry, r15), entry.r15),
        ] {
            self.put(place + at(offset), &value.to_le_bytes());
        }
    }

    fn console(&mut self, place: u64, console: Console) {
        let (kind, io_base, divisor) = match console {
            Console::SerialPort { io_base, divisor } => {
                (abi::CONSOLE_SERIAL, io_base, divisor.unwrap_or(0))
            }
            Console::Vga => (abi::CONSOLE_VGA, 0, 0),
        };
        self.put(
            place + at(offset_of!(RawConsole, kind)),
            &kind.to_le_bytes(),
        );
        self.put(
            place + at(offset_of!(RawConsole, io_base)),
            &io_base.to_le_bytes(),
        );
        self.put(
            place + at(offset_of!(RawConsole, divisor)),
            &divisor.to_le_bytes(),
        );
    }
}

/// A number that was checked to be small.
fn count(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(0).to_le_bytes()
}
