//! What the running kernel was handed, and hands on: items of `setup_data`, IMA's
//! measurements, boot_params. What comes out is sound, or a refusal.
#![no_main]

use std::sync::LazyLock;

use kexec_plan::classic::{ImaList, SetupItem};
use kexec_plan::memory::MemoryFacts;
use kexec_plan::planners::boot_map;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/kexec-plan/tests/common/mod.rs"]
mod common;

use common::{Ask, Bz, assert_sound, piece};

const MAP: &str = include_str!("../../crates/kexec-plan/tests/maps/kho-scratch.txt");

static MEMORY: LazyLock<MemoryFacts> =
    LazyLock::new(|| MemoryFacts::parse(MAP).unwrap_or_default());
static KERNEL: LazyLock<Vec<u8>> = LazyLock::new(|| Bz::default().build());

/// What stands in front, and what is behind it.
fn taken(bytes: &[u8], len: usize) -> (&[u8], &[u8]) {
    bytes.split_at(len.min(bytes.len()))
}

fuzz_target!(|data: &[u8]| {
    // How many items; each as type, length, data; then how many measurements, and
    // these; a bit says whether the rest is boot_params.
    let Some((&first, mut rest)) = data.split_first() else {
        return;
    };
    let mut ask = Ask::new(KERNEL.clone(), MEMORY.clone());
    ask.initrd = vec![piece("initrd", 4096)];
    for _ in 0..first & 0x1f {
        let Some((&[a, b, c, d, low, high], behind)) = rest.split_first_chunk::<6>() else {
            break;
        };
        let (data, behind) = taken(behind, usize::from(u16::from_le_bytes([low, high])));
        rest = behind;
        ask.firmware.setup_data.push(SetupItem {
            kind: u32::from_le_bytes([a, b, c, d]),
            data: data.to_vec().into(),
        });
    }
    if first & 0x40 != 0 {
        let mut params = rest.to_vec();
        params.resize(4096, 0);
        ask.firmware.boot_params = Some(params.into());
    }
    if first & 0x20 != 0 {
        let count = rest
            .first_chunk::<8>()
            .map_or(0, |b| u64::from_le_bytes(*b));
        ask.firmware.ima = Some(ImaList {
            measurements: rest.to_vec().into(),
            count,
        });
    }
    if let Some(map) = boot_map(&ask.firmware) {
        ask.memory.leave_plugged_in(&map);
    }
    ask.firmware.la57 = first & 0x80 != 0;
    if let Ok(plan) = ask.plan() {
        assert_sound(&plan, &ask.memory);
    }
});
