//! Dumps in the format kdump-compressed: whatever they say, the walk through the log ends,
//! and no text is longer than a kernel's can be.
#![no_main]

use std::ops::ControlFlow;

use kexec_vmcore::Memory;
use kexec_vmcore::log::{self, Item, Part};
use kexec_vmcore::testing::{self, Compression, KdumpFile, MACHINES, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The first two bytes choose a good dump, so that no input is spent on getting the
    // headers right; the others spoil it, three bytes for each place. With 255 in front the
    // rest is the dump.
    let [which, how, rest @ ..] = data else {
        return;
    };
    let mut dump = rest.to_vec();
    if *which != 255 {
        let machine = MACHINES[usize::from(*which) % MACHINES.len()];
        let compression = Compression::ALL[usize::from(which >> 3) % Compression::ALL.len()];
        let message = |text| Message {
            ts_nsec: 1,
            level: 6,
            caller: 1,
            text,
        };
        let messages = [message(b"one".as_slice()), message(b"two\nlines")];
        let log = match how >> 6 {
            0 => testing::records_on(machine, &messages, 1),
            1 => testing::bytes_on(machine, b"one\ntwo\n"),
            _ => testing::ring_on(machine, &messages),
        };
        let log = match how >> 5 & 1 {
            0 => log,
            _ => log.noteless(),
        };
        let mut file = KdumpFile::new(compression);
        file.version = u64::from(how & 7);
        file.aligned = how & 8 != 0;
        file.without_zeros = how & 16 != 0;
        dump = file.build(&log);
        for patch in rest.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([patch[0], patch[1]]));
            if let Some(byte) = dump.get_mut(at) {
                *byte = patch[2];
            }
        }
    }
    let Ok(memory) = Memory::open(&dump) else {
        return;
    };
    let _ = log::read(&memory, Part::All, &mut |item| {
        let (Item::Record(log::Record { text, .. }) | Item::Text(text)) = item;
        assert!(text.len() <= 1 << 16);
        ControlFlow::Continue(())
    });
});
