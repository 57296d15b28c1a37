//! ACPI's SRAT: ranges that are found are ranges of the table.
#![no_main]

use kexec_machine::snapshot::srat::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(ranges) = parse(bytes) {
        assert!(ranges.len() <= bytes.len() / 40);
        assert!(ranges.iter().all(|range| range.start <= range.end));
    }
});
