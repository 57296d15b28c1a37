use super::*;
use crate::testing::{self, Dump, LITTLE64, Message};
use crate::{Endian, Words};
use proptest::prelude::*;

pub(super) const WORDS: [Words; 4] = [
    LITTLE64,
    Words {
        endian: Endian::Little,
        long: 4,
    },
    Words {
        endian: Endian::Big,
        long: 8,
    },
    Words {
        endian: Endian::Big,
        long: 4,
    },
];

pub(super) fn message(ts_nsec: u64, text: &str) -> Message<'_> {
    Message {
        ts_nsec,
        level: 6,
        caller: 1,
        text: text.as_bytes(),
    }
}

fn walk(bytes: Vec<u8>) -> Result<(Vec<Item>, Summary), VmcoreError> {
    let memory = Memory::open(&bytes)?;
    let mut items = Vec::new();
    let summary = read(&memory, Part::All, &mut |item| {
        items.push(item);
        ControlFlow::Continue(())
    })?;
    Ok((items, summary))
}

fn texts(dump: &Dump) -> (Vec<String>, Summary) {
    let (items, summary) = walk(dump.build()).expect("a good dump");
    let text = |item| match item {
        Item::Record(record) => String::from_utf8_lossy(&record.text).into_owned(),
        Item::Text(text) => String::from_utf8_lossy(&text).into_owned(),
    };
    (items.into_iter().map(text).collect(), summary)
}

#[test]
fn a_ring_with_all_that_is_known() {
    for words in WORDS {
        let dump = testing::ring(
            words,
            &[
                message(0, "Linux version"),
                Message {
                    ts_nsec: 1_500_000_000,
                    level: 2,
                    caller: 1 << 31 | 3,
                    text: b"two\nlines",
                },
            ],
        );
        let (items, summary) = walk(dump.build()).expect("a good dump");
        assert!(summary.complete(), "{summary:?}");
        assert_eq!((summary.layout, summary.records), (Layout::Ring, 2));
        let Some(Item::Record(last)) = items.get(1) else {
            panic!("{items:?}");
        };
        let wanted = Record {
            seq: Some(1),
            ts_nsec: 1_500_000_000,
            facility: Some(0),
            level: Some(2),
            caller: Some(Caller::Cpu(3)),
            text: b"two\nlines".to_vec(),
        };
        assert_eq!(*last, wanted, "{words:?}");
    }
}

/// More messages than there are descriptors: the oldest are gone without a trace.
/// Blocks that go around the end of the ring are at its start.
#[test]
fn a_ring_that_went_around() {
    for words in WORDS {
        let texts_in: Vec<String> = (0..20).map(|n| format!("message {n:>9}")).collect();
        let messages: Vec<Message<'_>> = texts_in.iter().map(|text| message(0, text)).collect();
        let (found, summary) = texts(&testing::ring(words, &messages));
        assert!(summary.complete());
        assert_eq!(found, texts_in[12..], "{words:?}");
    }
}

/// A block that ends exactly with the ring is where it began.
#[test]
fn a_block_to_the_very_end() {
    let full = "x".repeat(256 - 8);
    let (found, _) = texts(&testing::ring(LITTLE64, &[message(0, &full)]));
    assert_eq!(found, [full]);
}

#[test]
fn overwritten_text_is_lost_and_an_empty_line_is_not() {
    let long = "y".repeat(200);
    let messages = [
        message(0, "gone"),
        message(1, ""),
        message(2, &long),
        message(3, &long),
    ];
    for words in WORDS {
        let (found, summary) = texts(&testing::ring(words, &messages));
        assert_eq!(found, ["", &long], "{words:?}");
        assert_eq!(
            (summary.records, summary.lost, summary.unreadable),
            (2, 2, 0)
        );
    }
}

#[test]
fn a_text_outside_of_the_dump_is_counted_and_passed_over() {
    let bytes = testing::ring(LITTLE64, &[message(0, "one"), message(1, "two")]).build();
    // Of the last piece, the text, all but the first message is cut off.
    let (items, summary) = walk(bytes[..bytes.len() - 256 + 16].to_vec()).expect("the rest");
    assert_eq!((items.len(), summary.unreadable), (1, 1));
    assert!(!summary.complete());
    assert!(summary.why.is_some());
}

/// A dump that says it is huge, with zeros where nothing else is, and counts reads.
struct Holes {
    bytes: Vec<u8>,
    reads: std::cell::Cell<u64>,
}

impl crate::Source for Holes {
    fn len(&self) -> u64 {
        1 << 50
    }

    fn next_data(&self, offset: u64) -> u64 {
        match offset < crate::Source::len(&self.bytes) {
            true => offset,
            false => 1 << 50,
        }
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.reads.set(self.reads.get() + 1);
        buffer.fill(0);
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = self.bytes.get(at..).unwrap_or_default();
        let part = there.len().min(buffer.len());
        buffer[..part].copy_from_slice(&there[..part]);
        Ok(())
    }
}

/// A ring of so many descriptors, nearly all of them in a hole: of the file, or of
/// the memory that is in it.
fn ring_with_holes(count_bits: u32, in_file: bool) -> (Result<Summary, VmcoreError>, u64) {
    const HOLE: u64 = 0x7000_0000_0000;
    let mut dump = testing::ring(LITTLE64, &[message(0, "one"), message(1, "two")]);
    dump.load(HOLE, b"");
    let mut bytes = dump.build();
    let good = bytes.clone();
    let memory = Memory::open(&good).expect("a good dump");
    let prb = memory.info.symbol("prb").expect("it is there");
    let ring = memory.long("prb", prb).expect("it is there");
    let mut rings = [0; 40];
    memory
        .read("the ring", ring, &mut rings)
        .expect("it is there");
    let at = bytes.windows(40).position(|part| part == rings);
    let at = at.expect("it is there");
    // count_bits, descs, infos, head_id, tail_id.
    bytes[at..at + 4].copy_from_slice(&count_bits.to_le_bytes());
    bytes[at + 8..at + 16].copy_from_slice(&HOLE.to_le_bytes());
    bytes[at + 24..at + 32].copy_from_slice(&5_u64.to_le_bytes());
    bytes[at + 32..at + 40].copy_from_slice(&7_u64.to_le_bytes());
    if in_file {
        let last = 64 + 56 * (usize::from(bytes[56]) - 1);
        bytes[last + 32..last + 40].copy_from_slice(&(1_u64 << 45).to_le_bytes());
    }
    let holes = Holes {
        bytes,
        reads: std::cell::Cell::new(0),
    };
    let memory = Memory::open(&holes).expect("good headers");
    let summary = read(&memory, Part::All, &mut |_| ControlFlow::Continue(()));
    (summary, holes.reads.get())
}

#[test]
fn a_ring_in_a_hole_ends_soon() {
    let (refused, _) = ring_with_holes(38, true);
    let said = refused
        .map_err(|e| e.to_string())
        .expect_err("no such ring");
    assert!(said.contains("a kernel has at most"), "{said}");
    for in_file in [true, false] {
        let (_, reads) = ring_with_holes(26, in_file);
        // Each descriptor on its own would be 2^26 reads.
        assert!(reads < 1000, "{in_file}: {reads}");
    }
}

/// Descriptors that lead to one text again and again.
#[test]
fn texts_that_lie_on_each_other_are_not_told_for_ever() {
    let long = "x".repeat(100);
    let messages: Vec<Message<'_>> = (0..8).map(|n| message(n, &long)).collect();
    // All descriptors of a ring whose text has room for two of them only.
    let (_, summary) = texts(&testing::ring(LITTLE64, &messages));
    assert!(summary.records <= 2, "{summary:?}");
}

#[test]
fn records_straight_and_around() {
    let messages = [
        message(1, "first"),
        message(2, ""),
        message(3, "third\nand more"),
    ];
    for words in WORDS {
        for before_end in 0..3 {
            let dump = testing::records(words, &messages, before_end);
            let (found, summary) = texts(&dump);
            assert_eq!(found, ["first", "", "third\nand more"], "{words:?}");
            assert_eq!(summary.layout, Layout::Records);
            assert!(summary.complete(), "{summary:?}");
        }
        let (items, _) = walk(testing::records(words, &messages, 0).build()).expect("good");
        let Some(Item::Record(record)) = items.first() else {
            panic!("{items:?}");
        };
        assert_eq!((record.level, record.ts_nsec), (Some(6), 1));
    }
}

#[test]
fn bytes_straight_and_around() {
    for words in WORDS {
        let (found, summary) = texts(&testing::bytes(words, b"<6>one\n<5>two\n"));
        assert_eq!(found.concat(), "<6>one\n<5>two\n");
        assert_eq!((summary.layout, summary.records), (Layout::Bytes, 2));
        let long: Vec<u8> = (0..100).map(|n| b'a' + n % 26).collect();
        let (found, _) = texts(&testing::bytes(words, &long));
        assert_eq!(found.concat().as_bytes(), &long[36..]);
    }
}

#[test]
fn what_is_missing_is_named() {
    let mut dump = Dump::new(LITTLE64);
    dump.info("OSRELEASE=1.0");
    let said = walk(dump.build()).map_err(|error| error.to_string());
    let Err(said) = said else {
        panic!("a dump without a log")
    };
    assert!(
        said.starts_with("VMCOREINFO: SYMBOL(log_buf) is not there"),
        "{said}"
    );
}

fn good(which: u8) -> Vec<u8> {
    let messages = [message(1, "one"), message(2, "two\nlines"), message(3, "")];
    match which % 3 {
        0 => testing::ring(LITTLE64, &messages).build(),
        1 => testing::records(LITTLE64, &messages, 1).build(),
        _ => testing::bytes(LITTLE64, b"one\ntwo\n").build(),
    }
}

proptest! {
    /// Whatever is spoilt: an answer, in bounded time.
    #[test]
    fn a_spoilt_dump_ends_in_an_answer(
        which in 0_u8..3,
        spoilt in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = good(which);
        for (at, value) in spoilt {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = walk(bytes.clone());
        bytes.truncate(keep.index(bytes.len()));
        let _ = walk(bytes);
    }
}

/// A variable of the kernel behind the log.
fn variable(dump: &mut Dump, words: Words, name: &str, values: &[(u64, usize)]) {
    let address = 0x8001_0000;
    dump.info(&format!("SYMBOL({name})={address:x}"));
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|(value, size)| testing::number(words, *value, *size))
        .collect();
    dump.load(address, &bytes);
}

fn since_clear(dump: &Dump) -> Result<Vec<String>, VmcoreError> {
    let bytes = dump.build();
    let memory = Memory::open(&bytes)?;
    let mut found = Vec::new();
    read(&memory, Part::SinceClear, &mut |item| {
        if let Item::Record(record) = item {
            found.push(String::from_utf8_lossy(&record.text).into_owned());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

#[test]
fn a_ring_since_it_was_cleared() {
    let messages = [message(0, "old"), message(1, "new"), message(2, "newer")];
    for words in WORDS {
        let dump = testing::ring(words, &messages);
        assert!(since_clear(&dump).is_err(), "no clear_seq");
        let mut plain = dump.clone();
        variable(&mut plain, words, "clear_seq", &[(1, 8)]);
        assert_eq!(
            since_clear(&plain).ok(),
            Some(vec!["new".into(), "newer".into()])
        );
        // Kept twice: the counter in front tells which one is good.
        for (counter, wanted) in [(4, "new"), (5, "newer")] {
            let mut twice = dump.clone();
            twice.info("OFFSET(latched_seq.val)=8");
            let values = [(counter, 4), (0, 4), (1, 8), (2, 8)];
            variable(&mut twice, words, "clear_seq", &values);
            let found = since_clear(&twice).expect("good");
            assert_eq!(found.first().map(String::as_str), Some(wanted));
        }
    }
}

#[test]
fn records_since_they_were_cleared() {
    let messages = [message(0, "one"), message(1, "two"), message(2, "three")];
    let clear = |before_end: usize, clear: u64| {
        let mut dump = testing::records(LITTLE64, &messages, before_end);
        variable(&mut dump, LITTLE64, "clear_idx", &[(clear, 4)]);
        since_clear(&dump).expect("good")
    };
    // Each of these records has 20 bytes, the last one 24.
    assert_eq!(clear(0, 20), ["two", "three"]);
    assert_eq!(clear(0, 64), [] as [&str; 0]);
    assert_eq!(clear(0, 0), ["one", "two", "three"], "never cleared");
    assert_eq!(
        clear(1, 0),
        ["one", "two", "three"],
        "never cleared, gone around"
    );
    assert_eq!(clear(1, 20), ["three"]);
    assert_eq!(clear(0, 30), ["one", "two", "three"], "overwritten since");
}
