//! The log of a crashed kernel (`dmesg`). A kernel keeps it in one of three ways;
//! what it says of itself tells which: one file each.

mod bytes;
mod fragments;
mod records;
mod ring;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use serde::Serialize;

use crate::{Memory, VmcoreError};

/// How a kernel keeps its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Descriptors and text apart, without a lock: since 5.10.
    Ring,
    /// Records, each with its text behind it: 3.5 to 5.9.
    Records,
    /// Nothing but text: before 3.5.
    Bytes,
}

/// Who wrote a message (`caller_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// A thread, by its number.
    Thread(u32),
    /// A processor outside of any thread.
    Cpu(u32),
}

/// One message of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its number, counted since the boot.
    pub seq: Option<u64>,
    /// Nanoseconds since the boot.
    pub ts_nsec: u64,
    /// What it is about, 0 for the kernel itself (syslog(3), "facility").
    pub facility: Option<u8>,
    /// How bad it is: 0 the worst, 7 for debugging (syslog(3), "level").
    pub level: Option<u8>,
    /// Who wrote it.
    pub caller: Option<Caller>,
    /// The text, without a newline at its end. It need not be UTF-8.
    #[serde(serialize_with = "lossy")]
    pub text: Vec<u8>,
}

fn lossy<S: serde::Serializer>(text: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(text))
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A message with its head.
    Record(Record),
    /// Text, of a kernel that keeps nothing else.
    Text(Vec<u8>),
}

/// What became of the whole log.
#[derive(Debug)]
pub struct Summary {
    /// How the kernel kept it.
    pub layout: Layout,
    /// Messages that were found.
    pub records: u64,
    /// Messages whose text was already overwritten by newer ones, or never written.
    pub lost: u64,
    /// Messages that are in a part of memory which the dump does not hold, or that
    /// make no sense.
    pub unreadable: u64,
    /// Why the first of these is unreadable.
    pub why: Option<VmcoreError>,
}

impl Summary {
    fn new(layout: Layout) -> Summary {
        Summary {
            layout,
            records: 0,
            lost: 0,
            unreadable: 0,
            why: None,
        }
    }

    fn unreadable(&mut self, error: VmcoreError) {
        self.unreadable += 1;
        self.why.get_or_insert(error);
    }

    /// Whether everything was found that the kernel had.
    pub fn complete(&self) -> bool {
        self.unreadable == 0
    }
}

/// Which part of the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything that the kernel still had.
    All,
    /// What was written since a user cleared the log (`dmesg --clear`).
    SinceClear,
}

/// What is done with each part; breaking off ends the walk.
pub type Sink<'a> = &'a mut dyn FnMut(Item) -> ControlFlow<()>;

/// Walks through the log, from the oldest message to the newest. What cannot be read
/// is counted and passed over.
///
/// # Errors
/// When the way to the log is not known or not in the dump.
pub fn read(memory: &Memory<'_>, part: Part, sink: Sink<'_>) -> Result<Summary, VmcoreError> {
    let has = |name| memory.info.symbol(name).is_some();
    if has("prb") {
        ring::read(memory, part, sink)
    } else if has("log_first_idx") {
        records::read(memory, part, sink)
    } else {
        // `dmesg --clear` sets the number of its bytes to 0: it is always what was
        // written since then.
        bytes::read(memory, sink)
    }
}

/// A variable of the kernel, by its name.
fn symbol(memory: &Memory<'_>, name: &str) -> Result<u64, VmcoreError> {
    let missing = || VmcoreError::Vmcoreinfo {
        key: format!("SYMBOL({name})"),
        found: "is not there".to_owned(),
    };
    memory.info.symbol(name).ok_or_else(missing)
}

/// No kernel's log is larger than this many bytes (`log_buf_len=` of the kernel's
/// kernel-parameters.rst: "LOG_BUF_LEN_MAX" of kernel/printk/printk.c is 2 GiB).
const MAX_LOG: u64 = 1 << 31;
/// Bytes of descriptors: one for each 32 bytes of text (`PRB_AVGBITS`, the same
/// file); each has 24 bytes, and room to grow.
const MAX_DESCS: u64 = (MAX_LOG >> 5) * 64;

/// Refuses a buffer that is larger than the machine's memory, which had to hold it, or
/// than `most`: a dump with holes may call itself as large as it likes.
fn bounded(memory: &Memory<'_>, key: &str, len: u64, most: u64) -> Result<u64, VmcoreError> {
    if len == 0 || len > memory.most().min(most) {
        return Err(VmcoreError::Vmcoreinfo {
            key: key.to_owned(),
            found: format!(
                "leads to a buffer of {len} bytes, in a dump of {} bytes of memory; a kernel has at \
                 most {most}",
                memory.most()
            ),
        });
    }
    Ok(len)
}

/// `flags` and `level` share a byte: five and three bits, from the end that the order
/// of bytes begins at.
fn flags(memory: &Memory<'_>, byte: u8) -> u8 {
    match memory.words.endian {
        crate::Endian::Little => byte & 0x1f,
        crate::Endian::Big => byte >> 3,
    }
}

/// The other part of that byte.
fn level(memory: &Memory<'_>, byte: u8) -> u8 {
    match memory.words.endian {
        crate::Endian::Little => byte >> 5,
        crate::Endian::Big => byte & 7,
    }
}
