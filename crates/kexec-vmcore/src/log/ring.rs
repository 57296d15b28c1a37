//! The log since 5.10: a ring of descriptors, a ring of what is known of each
//! message, and a ring of text; see the comments of the kernel's
//! printk_ringbuffer.h for the words that are used here. Where the fields are is
//! in VMCOREINFO (Documentation/admin-guide/kdump/vmcoreinfo.rst, "printk").

use super::{
    Caller, Item, Layout, MAX_DESCS, MAX_LOG, Part, Record, Sink, Summary, bounded, level, symbol,
};
use crate::{Memory, VmcoreError};

/// The two highest bits of `state_var` are the state, the others the descriptor's
/// number.
const STATE_BITS: u32 = 2;
/// Its writer is done with it, and may still reopen it.
const COMMITTED: u64 = 1;
/// Its writer is done with it.
const FINALIZED: u64 = 2;
/// A position with the lowest bit set stands for no text at all. This one: the text
/// did not fit. The other (3): the message is an empty line.
const FAILED: u64 = 1;
/// `caller_id`: a processor and no thread.
const CPU: u32 = 1 << 31;

/// After so many descriptors without a message in a row, holes are looked for.
const MANY: u32 = 64;
/// Bytes of descriptors that are looked at for them.
const PIECE: u64 = 1 << 16;

/// The rings, and where the fields are.
struct Ring<'a, 'b> {
    memory: &'a Memory<'b>,
    descs: u64,
    infos: u64,
    count_bits: u32,
    head: u64,
    tail: u64,
    data: u64,
    size_bits: u32,
    at: Offsets,
}

/// Bytes from the start of each structure.
struct Offsets {
    desc_size: usize,
    state: usize,
    begin: usize,
    next: usize,
    info_size: usize,
    seq: usize,
    ts_nsec: usize,
    text_len: usize,
    caller_id: usize,
}

impl Offsets {
    fn new(memory: &Memory<'_>) -> Result<Offsets, VmcoreError> {
        let info = &memory.info;
        let lpos = info.offset("prb_desc.text_blk_lpos")?;
        Ok(Offsets {
            desc_size: info.size("prb_desc")?,
            state: info.offset("prb_desc.state_var")? + info.offset("atomic_long_t.counter")?,
            begin: lpos + info.offset("prb_data_blk_lpos.begin")?,
            next: lpos + info.offset("prb_data_blk_lpos.next")?,
            info_size: info.size("printk_info")?,
            seq: info.offset("printk_info.seq")?,
            ts_nsec: info.offset("printk_info.ts_nsec")?,
            text_len: info.offset("printk_info.text_len")?,
            caller_id: info.offset("printk_info.caller_id")?,
        })
    }
}

/// What a descriptor leads to.
enum Found {
    Record(Record),
    /// Its text is gone, or never fitted.
    Lost,
    /// It holds no message: not written yet, or reused.
    Nothing,
}

pub fn read(memory: &Memory<'_>, part: Part, sink: Sink<'_>) -> Result<Summary, VmcoreError> {
    let ring = Ring::open(memory)?;
    let mut summary = Summary::new(Layout::Ring);
    let clear = match part {
        Part::All => 0,
        Part::SinceClear => clear_seq(memory)?,
    };
    let mut unused = Unused::default();
    let mask = memory.words.max() >> STATE_BITS;
    let mut id = ring.tail;
    // Texts that do not lie on each other are not longer together than their ring.
    let mut room = 1_u64 << ring.size_bits;
    // Once around at most, whatever head and tail say.
    let mut left = 1_u64 << ring.count_bits;
    let mut without = 0_u32;
    while left > 0 {
        without += 1;
        match ring.record(id) {
            Ok(Found::Record(record)) => {
                let Some(rest) = room.checked_sub(record.text.len() as u64) else {
                    summary.unreadable(VmcoreError::Headers {
                        what: "a message of the log's ring buffer",
                        at: id,
                        found: "all texts up to it are longer than the ring".to_owned(),
                    });
                    break;
                };
                room = rest;
                without = 0;
                unused.message(record.seq, &mut summary);
                if record.seq.is_none_or(|seq| seq >= clear) {
                    summary.records += 1;
                    if sink(Item::Record(record)).is_break() {
                        break;
                    }
                }
            }
            Ok(Found::Lost) => {
                unused.message(None, &mut summary);
                summary.lost += 1;
            }
            Ok(Found::Nothing) => {}
            Err(error @ VmcoreError::Excluded { .. }) => unused.excluded(1, error, &mut summary),
            Err(error) => summary.unreadable(error),
        }
        if id == ring.head {
            break;
        }
        id = id.wrapping_add(1) & mask;
        left -= 1;
        if without >= MANY {
            without = 0;
            let most = left.min(ring.head.wrapping_sub(id) & mask);
            let (empty, missing) = ring.holes(id, most);
            if let Some(error) = missing {
                match error {
                    VmcoreError::Excluded { .. } => unused.excluded(empty, error, &mut summary),
                    _ => {
                        summary.unreadable += empty;
                        summary.why.get_or_insert(error);
                    }
                }
            }
            id = id.wrapping_add(empty) & mask;
            left -= empty;
        }
    }
    unused.end(&mut summary);
    Ok(summary)
}

/// The number of the first message since a user cleared the log. Since 5.13 it is kept
/// twice, and the lowest bit of a counter in front tells which is the good one
/// (`latched_seq`; Documentation/locking/seqlock.rst, "Latch sequence counters").
fn clear_seq(memory: &Memory<'_>) -> Result<u64, VmcoreError> {
    let what = "the number of the first message since the log was cleared";
    let address = symbol(memory, "clear_seq")?;
    let Ok(offset) = memory.info.offset("latched_seq.val") else {
        return memory.number(what, address, 8);
    };
    let which = memory.number(what, address, 4)? & 1;
    let at = address.wrapping_add(offset as u64 + 8 * which);
    memory.number(what, at, 8)
}

/// Descriptors in pages that were left out of the dump. makedumpfile leaves out pages that
/// hold nothing but zeros, and so are descriptors that no message has used yet. As long as
/// the first message of all is there, those before it were of that kind. Others are
/// messages that are missing.
#[derive(Default)]
struct Unused {
    count: u64,
    why: Option<VmcoreError>,
    /// Whether a message was seen.
    used: bool,
}

impl Unused {
    fn excluded(&mut self, count: u64, why: VmcoreError, summary: &mut Summary) {
        self.count += count;
        self.why.get_or_insert(why);
        if self.used {
            self.end(summary);
        }
    }

    fn message(&mut self, seq: Option<u64>, summary: &mut Summary) {
        if seq == Some(0) && !self.used {
            *self = Unused::default();
        }
        self.used = true;
        self.end(summary);
    }

    /// Those that are left are missing.
    fn end(&mut self, summary: &mut Summary) {
        if let Some(why) = self.why.take() {
            summary.unreadable += std::mem::take(&mut self.count);
            summary.why.get_or_insert(why);
        }
    }
}

impl<'a, 'b> Ring<'a, 'b> {
    fn open(memory: &'a Memory<'b>) -> Result<Ring<'a, 'b>, VmcoreError> {
        let info = &memory.info;
        let what = "the log's ring buffer";
        let ring = memory.long("the pointer prb", symbol(memory, "prb")?)?;
        // An address that leaves the memory is not in the dump either.
        let within = |base: u64, offset: usize| base.wrapping_add(offset as u64);
        let descs = within(ring, info.offset("printk_ringbuffer.desc_ring")?);
        let text = within(ring, info.offset("printk_ringbuffer.text_data_ring")?);
        let counter = info.offset("atomic_long_t.counter")?;
        let in_descs = |field: &str| Ok(within(descs, info.offset(field)?));
        let count_bits = memory.number(what, in_descs("prb_desc_ring.count_bits")?, 4)?;
        let size_at = within(text, info.offset("prb_data_ring.size_bits")?);
        let size_bits = memory.number(what, size_at, 4)?;
        let at = Offsets::new(memory)?;
        let long = memory.words.long;
        let fits = [at.state, at.begin, at.next]
            .iter()
            .all(|field| field + long <= at.desc_size)
            && at.text_len + 2 <= at.info_size
            && at.caller_id + 4 <= at.info_size
            && [at.seq, at.ts_nsec]
                .iter()
                .all(|field| field + 8 <= at.info_size);
        if !fits {
            return Err(VmcoreError::Vmcoreinfo {
                key: "SIZE(prb_desc), SIZE(printk_info)".to_owned(),
                found: "are smaller than their fields".to_owned(),
            });
        }
        let power = |bits: u64| u32::try_from(bits).ok().and_then(|b| 1_u64.checked_shl(b));
        let count = power(count_bits).unwrap_or(0);
        let descs_len = count.saturating_mul(at.desc_size as u64);
        bounded(memory, "prb_desc_ring.count_bits", descs_len, MAX_DESCS)?;
        bounded(
            memory,
            "prb_data_ring.size_bits",
            power(size_bits).unwrap_or(0),
            MAX_LOG,
        )?;
        let mask = memory.words.max() >> STATE_BITS;
        let id = |field: &str| {
            let at = within(in_descs(field)?, counter);
            Ok::<u64, VmcoreError>(memory.long(what, at)? & mask)
        };
        Ok(Ring {
            memory,
            descs: memory.long(what, in_descs("prb_desc_ring.descs")?)?,
            infos: memory.long(what, in_descs("prb_desc_ring.infos")?)?,
            count_bits: u32::try_from(count_bits).unwrap_or(0),
            head: id("prb_desc_ring.head_id")?,
            tail: id("prb_desc_ring.tail_id")?,
            data: memory.long(what, within(text, info.offset("prb_data_ring.data")?))?,
            size_bits: u32::try_from(size_bits).unwrap_or(0),
            at,
        })
    }

    /// How many descriptors from this one on, of `most`, are nothing but zeros, in a hole
    /// of the file or not; or are not in the dump, and why.
    fn holes(&self, id: u64, most: u64) -> (u64, Option<VmcoreError>) {
        let what = "descriptors";
        let size = self.at.desc_size as u64;
        let count = 1_u64 << self.count_bits;
        let index = id & (count - 1);
        let most = most.min(count - index);
        let address = self.descs.wrapping_add(index.wrapping_mul(size));
        let (missing, excluded) = self.memory.missing(address);
        let missing = (missing / size).min(most);
        if missing > 0 {
            let why = match excluded {
                true => VmcoreError::Excluded { what, address },
                false => VmcoreError::NotInDump { what, address },
            };
            return (missing, Some(why));
        }
        let in_hole = (self.memory.in_hole(address) / size).min(most);
        if in_hole > 0 {
            return (in_hole, None);
        }
        let most = most.min(PIECE / size);
        let len = usize::try_from(most.saturating_mul(size)).unwrap_or(0);
        let mut bytes = vec![0_u8; len];
        let read = self.memory.read(what, address, &mut bytes);
        match read.is_ok() && bytes.iter().all(|byte| *byte == 0) {
            true => (most, None),
            false => (0, None),
        }
    }

    fn record(&self, id: u64) -> Result<Found, VmcoreError> {
        let words = self.memory.words;
        let index = id & ((1 << self.count_bits) - 1);
        let entry = |base: u64, size: usize| base.wrapping_add(index.wrapping_mul(size as u64));
        let mut desc = vec![0_u8; self.at.desc_size];
        let address = entry(self.descs, self.at.desc_size);
        self.memory
            .read("a message's descriptor", address, &mut desc)?;
        let long = |at: usize| words.long(&desc, at).unwrap_or(0);
        let state = long(self.at.state) >> (words.bits() - STATE_BITS);
        let same = long(self.at.state) & (words.max() >> STATE_BITS) == id;
        if !same || (state != COMMITTED && state != FINALIZED) {
            return Ok(Found::Nothing);
        }
        let mut info = vec![0_u8; self.at.info_size];
        let address = entry(self.infos, self.at.info_size);
        self.memory
            .read("what is known of a message", address, &mut info)?;
        let number = |at: usize, size: usize| words.number(&info, at, size).unwrap_or(0);
        let len = usize::try_from(number(self.at.text_len, 2)).unwrap_or(0);
        let Some(text) = self.text(id, long(self.at.begin), long(self.at.next), len)? else {
            return Ok(Found::Lost);
        };
        let caller = u32::try_from(number(self.at.caller_id, 4)).unwrap_or(0);
        // `facility`, and `flags` with `level`, are between text_len and caller_id,
        // and not in VMCOREINFO.
        let known = self.at.caller_id == self.at.text_len + 4;
        let byte = |at: usize| info.get(at).copied().filter(|_| known);
        Ok(Found::Record(Record {
            seq: Some(number(self.at.seq, 8)),
            ts_nsec: number(self.at.ts_nsec, 8),
            facility: byte(self.at.text_len + 2),
            level: byte(self.at.text_len + 3).map(|byte| level(self.memory, byte)),
            caller: Some(match caller & CPU {
                0 => Caller::Thread(caller),
                _ => Caller::Cpu(caller & !CPU),
            }),
            text,
        }))
    }

    /// The text between two positions; nothing if it is not there any more.
    fn text(
        &self,
        id: u64,
        begin: u64,
        next: u64,
        len: usize,
    ) -> Result<Option<Vec<u8>>, VmcoreError> {
        if begin & 1 == 1 || next & 1 == 1 {
            return Ok((begin != FAILED).then(Vec::new));
        }
        let words = self.memory.words;
        let size = 1_u64 << self.size_bits;
        let round = |position: u64| (position & words.max()) >> self.size_bits;
        // A block is in one piece: one that does not fit before the end of the ring
        // is at its start. One that ends exactly at the end fits.
        let last = next.wrapping_sub(1);
        let (start, block) = if round(begin) == round(last) {
            (begin % size, next.wrapping_sub(begin) & words.max())
        } else {
            (0, next % size)
        };
        let head = words.long as u64;
        if block <= head || block > size {
            return Ok(None);
        }
        let address = self.data.wrapping_add(start);
        // A block begins with its descriptor's number; another one's means that it
        // was overwritten.
        if self.memory.long("a message's text", address)? != id {
            return Ok(None);
        }
        let there = usize::try_from(block - head).unwrap_or(usize::MAX);
        let mut text = vec![0_u8; len.min(there)];
        let address = address.wrapping_add(head);
        self.memory.read("a message's text", address, &mut text)?;
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded() -> VmcoreError {
        VmcoreError::Excluded {
            what: "descriptors",
            address: 0,
        }
    }

    fn unreadable(walk: impl FnOnce(&mut Unused, &mut Summary)) -> u64 {
        let mut summary = Summary::new(Layout::Ring);
        let mut unused = Unused::default();
        walk(&mut unused, &mut summary);
        unused.end(&mut summary);
        assert_eq!(summary.why.is_some(), summary.unreadable > 0);
        summary.unreadable
    }

    #[test]
    fn pages_of_unused_descriptors_are_no_loss() {
        let unused = unreadable(|unused, summary| {
            unused.excluded(100, excluded(), summary);
            unused.message(Some(0), summary);
        });
        assert_eq!(unused, 0);
        // The first message is gone: so are others.
        let gone = unreadable(|unused, summary| {
            unused.excluded(100, excluded(), summary);
            unused.message(Some(7), summary);
        });
        assert_eq!(gone, 100);
        let between = unreadable(|unused, summary| {
            unused.message(Some(0), summary);
            unused.excluded(3, excluded(), summary);
            unused.message(Some(4), summary);
        });
        assert_eq!(between, 3);
        assert_eq!(
            unreadable(|unused, summary| unused.excluded(5, excluded(), summary)),
            5
        );
    }
}
