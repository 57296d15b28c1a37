//! Dumps in makedumpfile's flattened format: records may be in any order, lie on each
//! other, or lead anywhere.
#![no_main]

use std::ops::ControlFlow;

use kexec_vmcore::Memory;
use kexec_vmcore::log::{self, Part};
use kexec_vmcore::testing::{self, MACHINES, Message, flatten, flattened};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [which, size, rest @ ..] = data else {
        return;
    };
    let machine = MACHINES[usize::from(*which) % MACHINES.len()];
    let message = Message {
        ts_nsec: 1,
        level: 6,
        caller: 1,
        text: b"one",
    };
    let good = testing::ring_on(machine, &[message]).without_vaddr().build();
    let dump = match which >> 6 {
        // The heads of the records are spoilt, three bytes for each place.
        0 => {
            let mut dump = flatten(&good, 64 + 16 * usize::from(*size));
            for patch in rest.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([patch[0], patch[1]]));
                if let Some(byte) = dump.get_mut(at) {
                    *byte = patch[2];
                }
            }
            dump
        }
        // The good dump, and over it pieces of itself, five bytes for each: from where, to
        // where, how many.
        1 => {
            let mut records = vec![(0, good.clone())];
            for piece in rest.chunks_exact(5) {
                let from = usize::from(u16::from_le_bytes([piece[0], piece[1]])) % good.len();
                let to = u16::from_le_bytes([piece[2], piece[3]]);
                let end = good.len().min(from + 1 + usize::from(piece[4]));
                records.push((to.into(), good[from..end].to_vec()));
            }
            flattened(&records, size & 1 == 1)
        }
        _ => {
            let mut dump = flattened(&[], false);
            dump.extend(rest);
            dump
        }
    };
    let Ok(memory) = Memory::open(&dump) else {
        return;
    };
    let _ = log::read(&memory, Part::All, &mut |_| ControlFlow::Continue(()));
});
