//! The log of 3.5 to 5.9: records one behind the other, each with its text behind
//! it, from `log_first_idx` to `log_next_idx`. One without a length means that the
//! next is at the start of the buffer.

use std::ops::ControlFlow;

use super::fragments::Fragments;
use super::{Item, Layout, MAX_LOG, Part, Record, Sink, Summary, bounded, flags, level, symbol};
use crate::{Memory, VmcoreError};

/// Where the fields of a record are. The structure is called `printk_log`; until
/// 3.10 it was `log`.
struct Offsets {
    size: usize,
    ts_nsec: usize,
    len: usize,
    text_len: usize,
    dict_len: Option<usize>,
}

impl Offsets {
    fn new(memory: &Memory<'_>) -> Result<Offsets, VmcoreError> {
        let info = &memory.info;
        let name = match info.text("SIZE(printk_log)") {
            Some(_) => "printk_log",
            None => "log",
        };
        let offset = |field: &str| info.offset(&format!("{name}.{field}"));
        let at = Offsets {
            size: info.size(name)?,
            ts_nsec: offset("ts_nsec")?,
            len: offset("len")?,
            text_len: offset("text_len")?,
            dict_len: offset("dict_len").ok(),
        };
        if at.ts_nsec + 8 > at.size || at.len.max(at.text_len) + 2 > at.size {
            return Err(VmcoreError::Vmcoreinfo {
                key: format!("SIZE({name})"),
                found: format!("is {}, less than its fields need", at.size),
            });
        }
        Ok(at)
    }
}

/// The buffer, and where the oldest message and the end of the newest are in it.
struct Buffer {
    at: Offsets,
    start: u64,
    len: u64,
    first: u64,
    next: u64,
}

pub fn read(memory: &Memory<'_>, part: Part, sink: Sink<'_>) -> Result<Summary, VmcoreError> {
    let what = "the log's buffer";
    let at = Offsets::new(memory)?;
    let number = |name| memory.number(what, symbol(memory, name)?, 4);
    let buffer = Buffer {
        at,
        start: memory.long("the pointer log_buf", symbol(memory, "log_buf")?)?,
        len: bounded(memory, "log_buf_len", number("log_buf_len")?, MAX_LOG)?,
        first: number("log_first_idx")?,
        next: number("log_next_idx")?,
    };
    let mut skipping = None;
    if part == Part::SinceClear {
        let clear = number("clear_idx")?;
        // 0 until a user clears the log. Where the log went around since it was cleared, no
        // message begins there any more: then everything is newer.
        let mut begins = clear == buffer.next;
        buffer.walk(memory, &mut |index, _| {
            begins |= index == clear;
            ControlFlow::Continue(())
        });
        skipping = (begins && clear != 0).then_some(clear);
    }
    let mut summary = Summary::new(Layout::Records);
    let mut fragments = Fragments::new(&memory.info);
    let mut flow = ControlFlow::Continue(());
    let mut give = |summary: &mut Summary, line: Option<Record>| match line {
        Some(line) => {
            summary.records += 1;
            sink(Item::Record(line))
        }
        None => ControlFlow::Continue(()),
    };
    buffer.walk(memory, &mut |index, found| {
        if skipping.is_some_and(|clear| clear != index) {
            return ControlFlow::Continue(());
        }
        skipping = None;
        flow = match found {
            Ok((record, flags)) => give(&mut summary, fragments.add(record, flags)),
            Err(error) => {
                let flow = give(&mut summary, fragments.end());
                summary.unreadable(error);
                flow
            }
        };
        flow
    });
    if flow.is_continue() {
        let _ = give(&mut summary, fragments.end());
    }
    Ok(summary)
}

/// What is done with each message and its flags, or with what stands in its place.
type Each<'a> = &'a mut dyn FnMut(u64, Result<(Record, u8), VmcoreError>) -> ControlFlow<()>;

impl Buffer {
    /// Every step goes on by the length of a record, or back to the start once.
    fn walk(&self, memory: &Memory<'_>, each: Each<'_>) {
        let at = &self.at;
        let size = at.size as u64;
        let mut index = self.first;
        let mut wrapped = false;
        while index != self.next {
            if wrapped && index > self.next || index.saturating_add(size) > self.len {
                let _ = each(index, Err(senseless(index, "no record fits there")));
                break;
            }
            let mut record = vec![0_u8; at.size];
            let address = self.start.wrapping_add(index);
            if let Err(error) = memory.read("a message", address, &mut record) {
                // Without its length nobody knows where the next one is.
                let _ = each(index, Err(error));
                break;
            }
            let words = memory.words;
            let short = |at: usize| words.number(&record, at, 2).unwrap_or(0);
            let step = short(at.len);
            if step == 0 && !wrapped {
                wrapped = true;
                index = 0;
                continue;
            }
            let text_len = short(at.text_len);
            if step < size || size + text_len > step || index + step > self.len {
                let error = senseless(index, "its lengths contradict each other");
                let _ = each(index, Err(error));
                break;
            }
            let mut text = vec![0_u8; usize::try_from(text_len).unwrap_or(0)];
            let read = memory.read("a message's text", address.wrapping_add(size), &mut text);
            let found = read.map(|()| {
                // `facility`, and `flags` with `level`, are behind dict_len.
                let byte = |more: usize| record.get(at.dict_len? + more).copied();
                let found = Record {
                    ts_nsec: words.number(&record, at.ts_nsec, 8).unwrap_or(0),
                    facility: byte(2),
                    level: byte(3).map(|byte| level(memory, byte)),
                    text,
                    ..Record::default()
                };
                (found, byte(3).map_or(0, |byte| flags(memory, byte)))
            });
            if each(index, found).is_break() {
                break;
            }
            index += step;
        }
    }
}

fn senseless(index: u64, why: &str) -> VmcoreError {
    VmcoreError::Headers {
        what: "a message of the log's buffer",
        at: index,
        found: why.to_owned(),
    }
}
