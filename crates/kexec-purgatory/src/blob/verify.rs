//! The check of what was loaded, this program's own bytes first.

use crate::abi::{CHECK_CRC32C, CHECK_SHA256, FLAG_SELF_CHECK, MAX_REGIONS, RawParams, RawRegion};
use crate::console::Console;
use crate::{arch, crc32c, sha256};

/// Whether every region holds what the loader put there. Each that does not is
/// named on the consoles.
pub fn all(params: &'static RawParams, console: &mut Console) -> bool {
    if params.flags & FLAG_SELF_CHECK != 0 && !this_program(params, console) {
        // With damaged parameters the rest of the check says nothing.
        return false;
    }
    let count = (params.region_count as usize).min(MAX_REGIONS);
    let mut good = true;
    for region in params.regions.iter().take(count) {
        good &= one(region, console);
    }
    good
}

fn this_program(params: &'static RawParams, console: &mut Console) -> bool {
    let start = (&raw const arch::purgatory_entry) as u64;
    let end = (&raw const params.self_crc) as u64;
    let found = crc32c_of(start, end.wrapping_sub(start));
    if found == params.self_crc {
        return true;
    }
    tell(console, b"purgatory", start, end.wrapping_sub(start));
    tell_digests(
        console,
        "crc32c",
        &params.self_crc.to_be_bytes(),
        &found.to_be_bytes(),
    );
    false
}

fn one(region: &RawRegion, console: &mut Console) -> bool {
    match region.check {
        CHECK_CRC32C => {
            let [a, b, c, d, ..] = region.expected;
            let expected = u32::from_le_bytes([a, b, c, d]);
            let found = crc32c_of(region.start, region.len);
            if found != expected {
                tell(console, &region.label, region.start, region.len);
                tell_digests(
                    console,
                    "crc32c",
                    &expected.to_be_bytes(),
                    &found.to_be_bytes(),
                );
            }
            found == expected
        }
        CHECK_SHA256 => {
            let found = sha256::digest(memory(region.start, region.len));
            if found != region.expected {
                tell(console, &region.label, region.start, region.len);
                tell_digests(console, "sha256", &region.expected, &found);
            }
            found == region.expected
        }
        _ => true,
    }
}

fn tell(console: &mut Console, label: &[u8], start: u64, len: u64) {
    console.text("kexec: ");
    console.name(label);
    console.text(" at 0x");
    console.hex(start);
    console.text(", 0x");
    console.hex(len);
    console.text(" bytes, is not what was loaded\n");
}

fn tell_digests(console: &mut Console, kind: &str, expected: &[u8], found: &[u8]) {
    console.text("kexec:   ");
    console.text(kind);
    console.text(" expected ");
    console.hex_bytes(expected);
    console.text("\nkexec:   ");
    console.text(kind);
    console.text(" found    ");
    console.hex_bytes(found);
    console.text("\n");
}

fn crc32c_of(start: u64, len: u64) -> u32 {
    let data = memory(start, len);
    !if arch::has_crc32_instruction() {
        // SAFETY: the processor says that it has the instruction.
        unsafe { crc32c::update_instruction(!0, data) }
    } else {
        crc32c::update_table(!0, data)
    }
}

fn memory(start: u64, len: u64) -> &'static [u8] {
    // SAFETY: the loader named memory that it loaded, which is never address 0,
    // which nobody writes while this program checks it, and which is mapped (if
    // not, the fault is told).
    unsafe { core::slice::from_raw_parts(start as *const u8, len as usize) }
}
