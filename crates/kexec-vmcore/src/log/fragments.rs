//! Lines that were written in parts. A kernel of 3.5 to 4.8 may keep each part as a message
//! of its own; its console and syslog(2) show the line
//! (Documentation/ABI/testing/dev-kmsg, "flags": merging the fragments is what readers
//! should do, and what the kernel does itself).

use super::Record;
use crate::Vmcoreinfo;

/// The text ended with a newline.
pub(super) const NEWLINE: u8 = 2;
/// The text began with a priority: it is no part of what was written before.
pub(super) const PREFIX: u8 = 4;
/// The text is a part of a line.
pub(super) const CONT: u8 = 8;

/// A line is not longer than this: the kernel has 1024 bytes for each text
/// (`LOG_LINE_MAX`), and a length has 16 bits.
const MAX_LINE: usize = 1 << 16;

/// Joins parts to lines: what was added last is held back until it is known to be whole.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// Whether the kernel is one that writes parts.
    is_joining: bool,
    held: Option<(Record, u8)>,
}

impl Fragments {
    pub(super) fn new(info: &Vmcoreinfo) -> Fragments {
        Fragments {
            // From 4.9 on, its own readers show each message on a line.
            is_joining: info.release().is_some_and(|release| release < (4, 9)),
            held: None,
        }
    }

    /// Takes the next message; gives back the one before it when that is whole.
    pub(super) fn add(&mut self, record: Record, flags: u8) -> Option<Record> {
        if let Some((line, before)) = &mut self.held
            && self.is_joining
            && *before & (CONT | NEWLINE) == CONT
            && (flags & CONT != 0 || flags & PREFIX == 0)
            && line.text.len().saturating_add(record.text.len()) <= MAX_LINE
        {
            line.text.extend(record.text);
            *before = flags;
            return None;
        }
        let held = self.held.replace((record, flags));
        held.map(|(record, _)| record)
    }

    /// The last one.
    pub(super) fn end(&mut self) -> Option<Record> {
        self.held.take().map(|(record, _)| record)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{WORDS, message};
    use super::super::{Item, Part, read};
    use super::*;
    use crate::{Memory, VmcoreError, testing};
    use std::ops::ControlFlow;

    /// The messages, and how many the summary counts.
    fn lines(
        words: crate::Words,
        release: &str,
        parts: &[(&str, u8)],
    ) -> Result<(Vec<(u64, String)>, u64), VmcoreError> {
        let messages: Vec<_> = (1..)
            .zip(parts)
            .map(|(time, (text, flags))| (message(time, text), *flags))
            .collect();
        let bytes = testing::fragments(words, release, &messages).build();
        let memory = Memory::open(&bytes)?;
        let mut out = Vec::new();
        let summary = read(&memory, Part::All, &mut |item| {
            if let Item::Record(record) = item {
                let text = String::from_utf8_lossy(&record.text).into_owned();
                out.push((record.ts_nsec, text));
            }
            ControlFlow::Continue(())
        })?;
        Ok((out, summary.records))
    }

    #[test]
    fn parts_become_lines() {
        let parts = [
            ("Booting ", CONT),
            ("#1 ", CONT),
            ("#2", NEWLINE),
            ("whole", NEWLINE | PREFIX),
            // The newline came in a part of its own.
            ("again ", CONT),
            ("a part", CONT | NEWLINE),
            ("no priority", NEWLINE),
            ("interrupted", CONT),
            ("by another", NEWLINE | PREFIX),
            ("at the end, ", CONT),
            ("without a newline", CONT),
        ];
        let wanted = [
            (1, "Booting #1 #2"),
            (4, "whole"),
            (5, "again a part"),
            (7, "no priority"),
            (8, "interrupted"),
            (9, "by another"),
            (10, "at the end, without a newline"),
        ]
        .map(|(time, text)| (time, text.to_owned()));
        for words in WORDS {
            for release in ["3.5.0", "3.16.0-4-amd64", "4.8.17"] {
                let (found, records) = lines(words, release, &parts).expect("a good dump");
                assert_eq!(found, wanted, "{words:?} {release}");
                assert_eq!(records, 7);
            }
            for release in ["4.9.0-19-amd64", "5.4.0", "6.1", "unknown"] {
                let (found, _) = lines(words, release, &parts).expect("a good dump");
                assert_eq!(found.len(), parts.len(), "{release}");
            }
        }
    }

    /// However many parts there are, no line takes more than its share of memory.
    #[test]
    fn a_line_without_end() {
        let text = "x".repeat(4000);
        let parts = vec![(text.as_str(), CONT); 100];
        let (found, _) = lines(WORDS[0], "4.4.0", &parts).expect("a good dump");
        assert!(found.iter().all(|(_, text)| text.len() <= MAX_LINE));
        let sum: usize = found.iter().map(|(_, text)| text.len()).sum();
        assert_eq!((found.len(), sum), (7, 400_000));
    }
}
