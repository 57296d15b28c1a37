//! The log of a crashed kernel, for people and for programs.

use std::io::{self, Write};

use kexec_cli::vmcore_dmesg::Show;
use kexec_vmcore::Vmcoreinfo;
use kexec_vmcore::log::{Item, Record, Summary};
use serde_json::json;

/// What a kernel says of itself, a line each.
pub fn vmcoreinfo(out: &mut dyn Write, info: &Vmcoreinfo) -> io::Result<()> {
    for (key, value) in info.lines() {
        let line = format!("{key}={value}\n");
        out.write_all(&escaped(line.as_bytes()))?;
    }
    out.flush()
}

/// A log that is being written.
#[derive(Debug)]
pub struct Page<'a> {
    show: Show,
    info: &'a Vmcoreinfo,
    first: bool,
}

impl<'a> Page<'a> {
    /// The log of this kernel, shown so.
    pub fn new(show: Show, info: &'a Vmcoreinfo) -> Page<'a> {
        Page {
            show,
            info,
            first: true,
        }
    }

    /// What comes before the first message.
    pub fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.show != Show::Json {
            return Ok(());
        }
        let text = |key| self.info.text(key);
        let crashed = text("CRASHTIME").and_then(|time| time.parse::<u64>().ok());
        // One message a line: a log may be larger than the memory of a crash kernel
        // has room for twice.
        write!(
            out,
            "{{\"osrelease\":{},\"build_id\":{},\"crashtime\":{},\"records\":[",
            json!(text("OSRELEASE")),
            json!(text("BUILD-ID")),
            json!(crashed)
        )
    }

    /// A part of it.
    pub fn item(&mut self, out: &mut dyn Write, item: &Item) -> io::Result<()> {
        let first = std::mem::replace(&mut self.first, false);
        match (self.show, item) {
            (Show::Json, Item::Record(record)) => {
                let record = serde_json::to_string(record)?;
                write!(out, "{}\n{record}", if first { "" } else { "," })
            }
            (Show::Json, Item::Text(text)) => {
                let text = json!({ "text": String::from_utf8_lossy(text) });
                write!(out, "{}\n{text}", if first { "" } else { "," })
            }
            (_, Item::Text(text)) => out.write_all(&escaped(text)),
            (show, Item::Record(record)) => {
                if let (Show::Raw, Some(level)) = (show, record.level) {
                    // /dev/kmsg: the priority is facility * 8 + level.
                    let facility = u32::from(record.facility.unwrap_or(0));
                    write!(out, "<{}>", facility * 8 + u32::from(level))?;
                }
                out.write_all(line(record).as_slice())
            }
        }
    }

    /// What comes behind the last message.
    pub fn end(&self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        if self.show != Show::Json {
            return Ok(());
        }
        writeln!(
            out,
            "\n],\"layout\":{},\"lost\":{},\"unreadable\":{},\"complete\":{}}}",
            json!(summary.layout),
            summary.lost,
            summary.unreadable,
            summary.complete()
        )
    }
}

/// `[    1.234567] text`, with the columns of dmesg(1).
fn line(record: &Record) -> Vec<u8> {
    let micros = record.ts_nsec / 1000;
    let stamp = format!("[{:5}.{:06}] ", micros / 1_000_000, micros % 1_000_000);
    [stamp.as_bytes(), &escaped(&record.text), b"\n"].concat()
}

/// What a terminal would act on becomes `\xNN`. What kexec-tools does not print as it
/// is, is not printed here either: everything but ASCII.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' '..=b'~' | b'\t' | b'\n' => out.push(*byte),
            other => out.extend(format!("\\x{other:02x}").bytes()),
        }
    }
    out
}
