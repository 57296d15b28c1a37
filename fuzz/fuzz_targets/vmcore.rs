//! Dumps of a crash: whatever they say, the walk through the log ends, and no text
//! is longer than a kernel's can be.
#![no_main]

use std::ops::ControlFlow;

use kexec_vmcore::log::{self, Item, Part};
use kexec_vmcore::testing::{self, LITTLE64, Message};
use kexec_vmcore::{Endian, Memory, Words};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The first byte chooses a good dump, so that no input is spent on getting the
    // headers right; the others spoil it, three bytes for each place.
    let Some((which, rest)) = data.split_first() else {
        return;
    };
    let words = match which >> 2 & 3 {
        0 => LITTLE64,
        1 => Words {
            endian: Endian::Little,
            long: 4,
        },
        2 => Words {
            endian: Endian::Big,
            long: 8,
        },
        _ => Words {
            endian: Endian::Big,
            long: 4,
        },
    };
    let message = |text| Message {
        ts_nsec: 1,
        level: 6,
        caller: 1,
        text,
    };
    let messages = [
        message(b"one".as_slice()),
        message(b"two\nlines"),
        message(b""),
    ];
    let mut dump = match which & 3 {
        0 => testing::ring(words, &messages).build(),
        1 => testing::records(words, &messages, 1).build(),
        2 => testing::bytes(words, b"one\ntwo\n").build(),
        _ => rest.to_vec(),
    };
    if which & 3 != 3 {
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
    let part = match which & 0x10 {
        0 => Part::All,
        _ => Part::SinceClear,
    };
    let _ = log::read(&memory, part, &mut |item| {
        let text = match item {
            Item::Record(record) => record.text,
            Item::Text(text) => text,
        };
        assert!(text.len() <= 1 << 16);
        ControlFlow::Continue(())
    });
});
