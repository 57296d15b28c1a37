//! The planner's facts out of a snapshot. What is not known is left out, and
//! the planner says what follows from that.

use bytes::Bytes;
use kexec_plan::classic::{
    BOOT_PARAMS_LEN, Display, EfiDescriptor, EfiFacts, FirmwareFacts, SetupItem,
};
use kexec_plan::memory::{MemoryFacts, Range, RangeSet, Resource};
use kexec_plan::planners;

use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_machine::snapshot::{DisplayState, EfiRange, MemoryRange};

/// What the planner has to know of the memory. Which of it is in use now is not
/// part of a snapshot: [`MemoryFacts::free`] is empty, and
/// [`PageUse`](kexec_machine::snapshot::PageUse) can fill it.
pub fn memory_facts(host: &Snapshot) -> MemoryFacts {
    let memory = &host.memory;
    let range = |r: &MemoryRange| Range::new(r.start, r.end);
    let iomem = memory.iomem.known().into_iter().flatten();
    let firmware = memory.firmware_map.known().into_iter().flatten();
    let mut facts = MemoryFacts {
        iomem: iomem
            .map(|r| Resource {
                range: range(r),
                name: r.kind.clone(),
                depth: r.depth,
            })
            .collect(),
        firmware: firmware.map(|r| (range(r), r.kind.clone())).collect(),
        total: memory.total.known().copied().unwrap_or(0),
        removable: match &memory.removable {
            Fact::Known(ranges) => ranges.iter().map(range).collect(),
            Fact::Absent => RangeSet::new(),
            // Any of it may be.
            Fact::Unreadable(_) => RangeSet::from(Range::new(0, u64::MAX)),
        },
        plugged_in: RangeSet::new(),
        free: RangeSet::new(),
    };
    if let Some(boot) = planners::boot_map(&firmware_facts(host)) {
        facts.leave_plugged_in(&boot);
    }
    facts
}

/// What the planner has to know of the firmware. The measurements of IMA and a
/// copy of the RSDP are not part of a snapshot: they are
/// [carried](crate::inputs::Carried).
pub fn firmware_facts(host: &Snapshot) -> FirmwareFacts {
    let firmware = &host.firmware;
    let boot_params = firmware.boot_params.known().and_then(|text| unhex(text));
    let items = firmware.setup_data.known().into_iter().flatten();
    FirmwareFacts {
        boot_params: boot_params
            .filter(|b| b.len() == BOOT_PARAMS_LEN)
            .map(Bytes::from),
        setup_data: items
            .filter_map(|item| {
                Some(SetupItem {
                    kind: item.kind,
                    data: unhex(item.data.known()?)?.into(),
                })
            })
            // Without data there is nothing to hand on: the running kernel
            // clears the seed when it has used it.
            .filter(|item| !item.data.is_empty())
            .collect(),
        la57: firmware.la57.is_true(),
        acpi_rsdp: acpi_rsdp(host),
        rsdp_copy: None,
        efi: efi(host),
        display: display(&host.display),
        ima: None,
        running_cmdline: host.cmdline.known().cloned().unwrap_or_default(),
    }
}

fn efi(host: &Snapshot) -> Option<EfiFacts> {
    if !host.firmware.efi {
        return None;
    }
    let efi = &host.firmware.efi_runtime;
    let address = |fact: &Fact<u64>| fact.known().copied().unwrap_or(0);
    let descriptor = |r: &EfiRange| EfiDescriptor {
        kind: r.kind,
        physical: r.physical,
        virtual_address: r.virtual_address,
        pages: r.pages,
        attribute: r.attribute,
    };
    let map = efi.runtime_map.known().into_iter().flatten();
    Some(EfiFacts {
        fw_vendor: address(&efi.fw_vendor),
        runtime: address(&efi.runtime),
        config_table: address(&efi.config_table),
        smbios: table(host, "SMBIOS"),
        runtime_map: map.map(descriptor).collect(),
    })
}

fn table(host: &Snapshot, name: &str) -> Option<u64> {
    let tables = host.firmware.efi_runtime.systab.known()?;
    tables.get(name).copied().filter(|address| *address != 0)
}

/// Where the ACPI RSDP is, from the first who knows: EFI, the newer version
/// first; the boot loader, in `boot_params` (Documentation/arch/x86/
/// zero-page.rst, 070 `acpi_rsdp_addr`); a kexec before this one, on the
/// command line (`acpi_rsdp=`, hexadecimal, with or without 0x).
fn acpi_rsdp(host: &Snapshot) -> Option<u64> {
    let efi = || table(host, "ACPI20").or_else(|| table(host, "ACPI"));
    let loader = || {
        let bytes = boot_param(host, 0x70, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let kexec = || {
        let value = host.cmdline.known()?.value("acpi_rsdp")?;
        number(value.strip_prefix("0x").unwrap_or(&value), 16)
    };
    let known = efi().or_else(|| loader().filter(|a| *a != 0));
    known.or_else(kexec).filter(|address| *address != 0)
}

/// Bytes of boot_params.
pub(super) fn boot_param(host: &Snapshot, at: usize, len: usize) -> Option<Vec<u8>> {
    let digits = host.firmware.boot_params.known()?;
    let digits = digits.get(at.checked_mul(2)?..)?;
    unhex(digits.get(..len.checked_mul(2)?)?)
}

/// Pairs of hexadecimal digits as bytes.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: &u8| {
        char::from(*b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((digit(high)? << 4) | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// Digits without a sign.
pub(super) fn number(digits: &str, radix: u32) -> Option<u64> {
    let plain = digits.chars().all(|c| c.is_digit(radix));
    plain.then(|| u64::from_str_radix(digits, radix).ok())?
}

/// The drivers that use the firmware's linear framebuffer as it is, by the
/// names under which they show: of the framebuffer, of the platform driver.
const FIRMWARE_DRIVERS: &[(&str, &str)] = &[
    ("simpledrmdrmfb", "simpledrm"),
    ("efidrmdrmfb", "efidrm"),
    ("vesadrmdrmfb", "vesadrm"),
    ("EFI VGA", "efifb"),
    ("VESA VGA", "vesafb"),
    ("simple", "simplefb"),
    ("simple-framebuffer", "simpledrm"),
    ("efi-framebuffer", "efifb"),
    ("vesa-framebuffer", "vesafb"),
];

fn firmware_driver(name: &str) -> Option<&'static str> {
    let row = FIRMWARE_DRIVERS.iter().find(|(known, _)| *known == name);
    row.map(|(_, driver)| *driver)
}

/// Who drives the screen. A driver of the graphics card takes the firmware's
/// framebuffer away from the driver that used it, so one that still shows
/// still has it, whatever other cards there are.
///
/// Before Linux 5.18 the device of the firmware's framebuffer outlives that;
/// therefore it counts only where nothing else can tell.
pub fn display(state: &DisplayState) -> Display {
    let framebuffers = state.framebuffers.known();
    let cards = state.cards.known();
    let names = |fact: Option<&Vec<String>>| fact.cloned().unwrap_or_default();
    let shown = [names(framebuffers), names(cards)].concat();
    if let Some(driver) = shown.iter().find_map(|name| firmware_driver(name)) {
        return Display::Firmware(driver.to_owned());
    }
    // The card's driver has the better name: i915, not i915drmfb.
    let native = [names(cards), names(framebuffers)].concat();
    if let Some(driver) = native.into_iter().next() {
        return Display::Native(driver);
    }
    let nobody = |fact: &Fact<Vec<String>>| !matches!(fact, Fact::Unreadable(_));
    match &state.firmware_drivers {
        Fact::Known(held) if framebuffers.is_none() && cards.is_none() && !held.is_empty() => {
            let driver = held.iter().find_map(|name| firmware_driver(name));
            driver.map_or(Display::Unknown, |d| Display::Firmware(d.to_owned()))
        }
        _ if nobody(&state.framebuffers) && nobody(&state.cards) => Display::Text,
        _ => Display::Unknown,
    }
}
