//! The log before 3.5: text in a ring, whose times are part of the text.

use super::{Item, Layout, MAX_LOG, Sink, Summary, bounded, symbol};
use crate::{Memory, VmcoreError};

/// Bytes that are read at once.
const PIECE: u64 = 1 << 16;

pub fn read(memory: &Memory<'_>, sink: Sink<'_>) -> Result<Summary, VmcoreError> {
    let what = "the log's buffer";
    let number = |name| memory.number(what, symbol(memory, name)?, 4);
    let buffer = memory.long("the pointer log_buf", symbol(memory, "log_buf")?)?;
    let len = bounded(memory, "log_buf_len", number("log_buf_len")?, MAX_LOG)?;
    // Counted since the boot, and cleared by `dmesg -c`.
    let (end, logged) = (number("log_end")?, number("logged_chars")?.min(len));
    let mut summary = Summary::new(Layout::Bytes);
    let mut left = logged;
    // `end` may have gone around; the buffer's length is a power of two.
    let mut at = (1_u64 << 32).wrapping_add(end).wrapping_sub(logged) % len;
    while left > 0 {
        let part = left.min(len - at).min(PIECE);
        let mut text = vec![0_u8; usize::try_from(part).unwrap_or(0)];
        match memory.read(what, buffer.wrapping_add(at), &mut text) {
            Ok(()) => {
                summary.records += text.iter().filter(|byte| **byte == b'\n').count() as u64;
                if sink(Item::Text(text)).is_break() {
                    break;
                }
            }
            Err(error) => summary.unreadable(error),
        }
        at = (at + part) % len;
        left -= part;
    }
    Ok(summary)
}
