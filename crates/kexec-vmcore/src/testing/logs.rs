//! Dumps with a log, as a kernel leaves it.

use super::{Dump, TestMachine};
use crate::Words;

/// Where the parts are.
const BASE: u64 = 0x8000_0000;
/// The ring of text: 256 bytes.
const TEXT_BITS: u32 = 8;
/// The ring of descriptors: 8.
const COUNT_BITS: u32 = 3;
/// A message for a log.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Nanoseconds since the boot.
    pub ts_nsec: u64,
    /// How bad it is.
    pub level: u8,
    /// `caller_id`.
    pub caller: u32,
    /// The text of the message.
    pub text: &'a [u8],
}

/// A log since 5.10: with room for 8 messages and 256 bytes of text. Text that is
/// full overwrites older text, as in a kernel; the descriptors of what it overwrote
/// stay, as after a crash in the middle of it.
pub fn ring(words: Words, messages: &[Message<'_>]) -> Dump {
    let mut dump = Dump::new(words);
    dump.info("OSRELEASE=6.12.0-test");
    put_ring(dump, BASE, messages)
}

/// The same on this machine.
pub fn ring_on(machine: TestMachine, messages: &[Message<'_>]) -> Dump {
    put_ring(Dump::on(machine), machine.base, messages)
}

fn put_ring(mut dump: Dump, base: u64, messages: &[Message<'_>]) -> Dump {
    let words = dump.words;
    let long = words.long;
    let number = |value: u64, size| super::number(words, value, size);
    let (desc, info) = (3 * long, 32_usize);
    let count = 1_u64 << COUNT_BITS;
    let size = 1_u64 << TEXT_BITS;
    let mask = words.max() >> 2;
    let mut descs = vec![0_u8; desc << COUNT_BITS];
    let mut infos = vec![0_u8; info << COUNT_BITS];
    let mut text = vec![0_u8; 1 << TEXT_BITS];
    // Close to the end of all numbers, so that positions go around.
    let mut position = words.max() - 3 * size + 1;
    let put = |into: &mut [u8], at: u64, bytes: &[u8]| {
        let at = usize::try_from(at).unwrap_or(0);
        into[at..at + bytes.len()].copy_from_slice(bytes);
    };
    // So are the descriptors' numbers.
    let id = |number: usize| (mask - 4).wrapping_add(number as u64) & mask;
    for (number_of, message) in messages.iter().enumerate() {
        let id = id(number_of);
        let slot = id & (count - 1);
        let (begin, next) = if message.text.is_empty() {
            (3, 3)
        } else {
            let block = (long + message.text.len()).next_multiple_of(long) as u64;
            let begin = position;
            let mut next = begin.wrapping_add(block) & words.max();
            let mut start = begin % size;
            if start + block > size {
                start = 0;
                next = (begin - begin % size).wrapping_add(size + block) & words.max();
            }
            put(&mut text, start, &number(id, long));
            put(&mut text, start + long as u64, message.text);
            position = next;
            (begin, next)
        };
        let state = 2 << (words.bits() - 2) | id;
        let fields = [number(state, long), number(begin, long), number(next, long)];
        put(&mut descs, slot * desc as u64, &fields.concat());
        let flags = match words.endian {
            crate::Endian::Little => message.level << 5,
            crate::Endian::Big => message.level,
        };
        let fields = [
            number(number_of as u64, 8),
            number(message.ts_nsec, 8),
            number(message.text.len() as u64, 2),
            vec![0, flags],
            number(message.caller.into(), 4),
        ];
        put(&mut infos, slot * info as u64, &fields.concat());
    }
    let newest = messages.len().saturating_sub(1);
    let oldest = messages.len().saturating_sub(1 << COUNT_BITS);
    let at = |page: u64| base + page * 0x1000;
    let rings = [
        // desc_ring: count_bits, descs, infos, head_id, tail_id
        number(COUNT_BITS.into(), long),
        number(at(2), long),
        number(at(3), long),
        number(id(newest), long),
        number(id(oldest), long),
        // text_data_ring: size_bits, data
        number(TEXT_BITS.into(), long),
        number(at(4), long),
    ]
    .concat();
    // A big machine's 32-bit count_bits is the first half of its long here.
    let rings = match words.endian {
        crate::Endian::Little => rings,
        crate::Endian::Big => {
            let mut rings = rings;
            put(&mut rings, 0, &number(COUNT_BITS.into(), 4));
            put(&mut rings, 5 * long as u64, &number(TEXT_BITS.into(), 4));
            rings
        }
    };
    dump.info(&format!("SYMBOL(prb)={:x}", at(0)));
    for (name, size) in [("prb_desc", desc), ("printk_info", info)] {
        dump.info(&format!("SIZE({name})={size}"));
    }
    for (name, offset) in [
        ("printk_ringbuffer.desc_ring", 0),
        ("printk_ringbuffer.text_data_ring", 5 * long),
        ("prb_desc_ring.count_bits", 0),
        ("prb_desc_ring.descs", long),
        ("prb_desc_ring.infos", 2 * long),
        ("prb_desc_ring.head_id", 3 * long),
        ("prb_desc_ring.tail_id", 4 * long),
        ("prb_data_ring.size_bits", 0),
        ("prb_data_ring.data", long),
        ("prb_desc.state_var", 0),
        ("prb_desc.text_blk_lpos", long),
        ("prb_data_blk_lpos.begin", 0),
        ("prb_data_blk_lpos.next", long),
        ("printk_info.seq", 0),
        ("printk_info.ts_nsec", 8),
        ("printk_info.text_len", 16),
        ("printk_info.caller_id", 20),
        ("atomic_long_t.counter", 0),
    ] {
        dump.info(&format!("OFFSET({name})={offset}"));
    }
    dump.load(at(0), &number(at(1), long));
    dump.load(at(1), &rings);
    dump.load(at(2), &descs);
    dump.load(at(3), &infos);
    dump.load(at(4), &text);
    dump
}

/// Bytes of a record before its text.
const RECORD: usize = 16;

/// A log of 3.5 to 5.9. After the first `before_end` messages the buffer begins
/// anew; they are the older ones.
pub fn records(words: Words, messages: &[Message<'_>], before_end: usize) -> Dump {
    let mut dump = Dump::new(words);
    dump.info("OSRELEASE=4.19.0-test");
    put_records(dump, BASE, messages, &[], before_end)
}

/// A log of this release of 3.5 to 5.9: messages with their flags.
pub fn fragments(words: Words, release: &str, messages: &[(Message<'_>, u8)]) -> Dump {
    let mut dump = Dump::new(words);
    dump.info(&format!("OSRELEASE={release}"));
    let (messages, flags): (Vec<_>, Vec<_>) = messages.iter().copied().unzip();
    put_records(dump, BASE, &messages, &flags, 0)
}

/// The same on this machine.
pub fn records_on(machine: TestMachine, messages: &[Message<'_>], before_end: usize) -> Dump {
    put_records(Dump::on(machine), machine.base, messages, &[], before_end)
}

fn put_records(
    mut dump: Dump,
    base: u64,
    messages: &[Message<'_>],
    flags: &[u8],
    before_end: usize,
) -> Dump {
    let words = dump.words;
    let number = |value: u64, size| super::number(words, value, size);
    let record = |(number_of, message): (usize, &Message<'_>)| {
        let flags = flags.get(number_of).copied().unwrap_or(0);
        let len = (RECORD + message.text.len()).next_multiple_of(4);
        let flags = match words.endian {
            crate::Endian::Little => message.level << 5 | flags,
            crate::Endian::Big => flags << 3 | message.level,
        };
        let mut out = [
            number(message.ts_nsec, 8),
            number(len as u64, 2),
            number(message.text.len() as u64, 2),
            number(0, 2),
            vec![0, flags],
            message.text.to_vec(),
        ]
        .concat();
        out.resize(len, 0);
        out
    };
    let (older, newer) = messages.split_at(before_end.min(messages.len()));
    let newer: Vec<u8> = (older.len()..).zip(newer).flat_map(record).collect();
    let older: Vec<u8> = (0..).zip(older).flat_map(record).collect();
    let (first, next) = match before_end {
        0 => (0, newer.len()),
        _ => (newer.len(), newer.len()),
    };
    // What goes around has a gap between the newest and the oldest message.
    let gap = if before_end == 0 { 0 } else { RECORD };
    let first = first + gap;
    let buffer = [newer, vec![0; gap], older, vec![0; RECORD]].concat();
    let variables = [
        ("log_buf", base + 0x1000, words.long),
        ("log_buf_len", buffer.len() as u64, 4),
        ("log_first_idx", first as u64, 4),
        ("log_next_idx", next as u64, 4),
    ];
    for (at, (name, value, size)) in variables.iter().enumerate() {
        let address = base + 16 * at as u64;
        dump.info(&format!("SYMBOL({name})={address:x}"));
        dump.load(address, &number(*value, *size));
    }
    dump.info(&format!("SIZE(printk_log)={RECORD}"));
    for (field, offset) in [
        ("ts_nsec", 0),
        ("len", 8),
        ("text_len", 10),
        ("dict_len", 12),
    ] {
        dump.info(&format!("OFFSET(printk_log.{field})={offset}"));
    }
    dump.load(base + 0x1000, &buffer);
    dump
}

/// A log before 3.5: this text, of which the last 64 bytes are still there.
pub fn bytes(words: Words, text: &[u8]) -> Dump {
    let mut dump = Dump::new(words);
    dump.info("OSRELEASE=2.6.32-test");
    put_bytes(dump, BASE, text)
}

/// The same on this machine.
pub fn bytes_on(machine: TestMachine, text: &[u8]) -> Dump {
    put_bytes(Dump::on(machine), machine.base, text)
}

fn put_bytes(mut dump: Dump, base: u64, text: &[u8]) -> Dump {
    let words = dump.words;
    let mut buffer = vec![0_u8; 64];
    for (at, byte) in text.iter().enumerate() {
        buffer[at % 64] = *byte;
    }
    let variables = [
        ("log_buf", base + 0x1000, words.long),
        ("log_buf_len", 64, 4),
        ("log_end", text.len() as u64, 4),
        ("logged_chars", text.len().min(64) as u64, 4),
    ];
    for (at, (name, value, size)) in variables.iter().enumerate() {
        let address = base + 16 * at as u64;
        dump.info(&format!("SYMBOL({name})={address:x}"));
        let value = super::number(words, *value, *size);
        dump.load(address, &value);
    }
    dump.load(base + 0x1000, &buffer);
    dump
}
