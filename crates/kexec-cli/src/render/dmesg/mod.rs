//! The log of a crashed kernel, for people and for programs.

use std::io::{self, Write};

use kexec_cli::vmcore_dmesg::{FACILITIES, LEVELS, Select, Show, Style};
use kexec_vmcore::Vmcoreinfo;
use kexec_vmcore::log::{Caller, Item, Record, Summary};
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
    style: Style,
    select: Select,
    info: &'a Vmcoreinfo,
    /// Nothing was written yet.
    first: bool,
    /// The beginning of a line of which the rest has not come yet, and whether its message
    /// is printed: of a kernel that keeps nothing but text.
    begun: (Vec<u8>, bool),
}

impl<'a> Page<'a> {
    /// The log of this kernel, shown so.
    pub fn new(show: Show, style: Style, select: Select, info: &'a Vmcoreinfo) -> Page<'a> {
        Page {
            show,
            style,
            select,
            info,
            first: true,
            begun: (Vec::new(), true),
        }
    }

    /// What comes before the first message, in the JSON. It is written with it, or with the
    /// end: where the way to the log is not found, there is no document, and not half of one.
    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
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
        let chosen;
        let item = match item {
            Item::Record(record) if !self.select.takes(record.facility, record.level) => {
                return Ok(());
            }
            Item::Text(text) if self.select.by_priority() => {
                chosen = Item::Text(self.lines(text));
                &chosen
            }
            item => item,
        };
        match (self.show, item) {
            (Show::Json, Item::Record(record)) => {
                let record = serde_json::to_string(record)?;
                self.next(out)?;
                write!(out, "\n{record}")
            }
            (_, Item::Text(text)) => self.text(out, text),
            (show, Item::Record(record)) => {
                if let (Show::Raw, Some(level)) = (show, record.level) {
                    // /dev/kmsg: the priority is facility * 8 + level.
                    let facility = u32::from(record.facility.unwrap_or(0));
                    write!(out, "<{}>", facility * 8 + u32::from(level))?;
                }
                out.write_all(&line(self.style, record))
            }
        }
    }

    /// What is in front of the next part of the JSON.
    fn next(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match std::mem::replace(&mut self.first, false) {
            true => self.begin(out),
            false => out.write_all(b","),
        }
    }

    /// Text of a kernel that keeps nothing else.
    fn text(&mut self, out: &mut dyn Write, text: &[u8]) -> io::Result<()> {
        if self.show != Show::Json {
            return out.write_all(&escaped(text));
        }
        let text = json!({ "text": String::from_utf8_lossy(text) });
        self.next(out)?;
        write!(out, "\n{text}")
    }

    /// The lines of a text that are chosen. The kernel puts `<6>` in front of each message:
    /// facility and level as in /dev/kmsg. A line without it goes on with the message.
    fn lines(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let (begun, chosen) = &mut self.begun;
            begun.extend(line);
            if line.last() != Some(&b'\n') {
                break;
            }
            if let Some(priority) = priority(begun) {
                let part = |number: u32| u8::try_from(number).ok();
                *chosen = self.select.takes(part(priority / 8), part(priority % 8));
            }
            if *chosen {
                out.append(begun);
            }
            begun.clear();
        }
        out
    }

    /// What comes behind the last message.
    pub fn end(&mut self, out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
        if !self.begun.0.is_empty() {
            let rest = self.lines(b"\n");
            self.text(out, &rest)?;
        }
        if self.show != Show::Json {
            return Ok(());
        }
        if self.first {
            self.begin(out)?;
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

/// The number in `<6>` at the start of a line.
fn priority(line: &[u8]) -> Option<u32> {
    let rest = line.strip_prefix(b"<")?;
    let end = rest.iter().take(5).position(|byte| *byte == b'>')?;
    std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}

/// `[    1.234567] text`, with the columns of dmesg(1), and what else is wanted in front.
fn line(style: Style, record: &Record) -> Vec<u8> {
    let micros = record.ts_nsec / 1000;
    let mut prefix = String::new();
    if style.decode
        && let (Some(facility), Some(level)) = (record.facility, record.level)
    {
        let name = |names: &[&'static str], number: u8| {
            let name = names.get(usize::from(number)).copied();
            name.map_or_else(|| number.to_string(), str::to_owned)
        };
        let (facility, level) = (name(&FACILITIES, facility), name(&LEVELS, level));
        prefix = format!("{facility:<6}:{level:<6}: ");
    }
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    prefix.push_str(&format!("[{seconds:5}.{micros:06}] "));
    if style.caller
        && let Some(caller) = record.caller
    {
        let caller = match caller {
            Caller::Thread(number) => format!("T{number}"),
            Caller::Cpu(number) => format!("C{number}"),
        };
        prefix.push_str(&format!("[{caller:>8}] "));
    }
    let between = match style {
        Style {
            force_prefix: true, ..
        } => prefix.clone(),
        // As kexec-tools prints it.
        _ if style == Style::default() => String::new(),
        _ => " ".repeat(prefix.len()),
    };
    let mut out = prefix.into_bytes();
    for (number, line) in record.text.split(|byte| *byte == b'\n').enumerate() {
        if number > 0 {
            out.push(b'\n');
            out.extend(between.bytes());
        }
        out.extend(escaped(line));
    }
    out.push(b'\n');
    out
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

#[cfg(test)]
mod tests;
