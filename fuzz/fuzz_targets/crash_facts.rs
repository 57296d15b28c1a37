//! What a crash kernel is told of: the headers of /proc/kcore, vmcoreinfo and the ranges of
//! `crashkernel=SIZE,cma`.
#![no_main]

use kexec_machine::snapshot::MemoryRange;
use kexec_machine::snapshot::crash::{kcore, vmcoreinfo};
use kexec_machine::snapshot::sysfs::cma_ranges_of;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Some(place) = vmcoreinfo(&text) {
        assert!(place.address.checked_add(place.size).is_some());
    }
    if let Some(ranges) = cma_ranges_of(&text) {
        assert!(ranges.iter().all(|range| range.start < range.end));
    }
    if let Ok(end) = kcore::headers_end(bytes) {
        assert!(end <= 64 + 56 * u64::from(u16::MAX));
    }
    let ram = MemoryRange {
        start: 0x10_0000,
        end: 1 << 32,
        kind: "System RAM".to_owned(),
        depth: 0,
    };
    if let Ok(map) = kcore::kernel_map(bytes, 0x1c00_0000, &[ram]) {
        assert_eq!(map.physical, 0x1c00_0000);
        assert!(map.text.checked_add(map.len).is_some());
    }
});
