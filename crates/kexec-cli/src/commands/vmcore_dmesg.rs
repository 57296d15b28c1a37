//! `vmcore-dmesg`: the log of a crashed kernel.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use kexec_cli::help;
use kexec_cli::vmcore_dmesg::{DmesgRequest, LogRequest, NAME, STDIN, Show, parse};
use kexec_sys::{Errno, in_words};
use kexec_vmcore::log::{self, Part, Summary};
use kexec_vmcore::{Memory, Source, VmcoreError};

use super::dump_file::DumpFile;
use super::print;
use crate::render::dmesg;

/// The exit codes of kexec-tools, as far as they tell apart what went wrong.
mod exit {
    pub const DONE: u8 = 0;
    pub const USAGE: u8 = 1;
    pub const OPEN: u8 = 2;
    pub const NO_DUMP: u8 = 4;
    pub const HEADERS: u8 = 10;
    pub const NO_VMCOREINFO: u8 = 20;
    pub const NOT_IN_DUMP: u8 = 30;
    pub const READ: u8 = 40;
    pub const UNKNOWN: u8 = 50;
    pub const WRITE: u8 = 53;
}

/// Carries out what was typed behind the name.
pub fn run(words: &[std::ffi::OsString]) -> u8 {
    match parse(words) {
        Ok(DmesgRequest::Help) => {
            print(&help::vmcore_dmesg());
            exit::DONE
        }
        Ok(DmesgRequest::Version) => {
            print(&help::version());
            exit::DONE
        }
        Ok(DmesgRequest::Log(request)) => log_of(NAME, &request),
        Err(wrong) => {
            say!("{NAME}: {wrong}\n{}", help::vmcore_dmesg_usage());
            exit::USAGE
        }
    }
}

/// What messages call a dump that was named so.
fn shown_name(path: &Path) -> String {
    match path.as_os_str() == STDIN {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

/// Prints the log of a dump; `who` stands in front of what is said on standard error.
/// The answer is the exit code.
pub fn log_of(who: &str, request: &LogRequest) -> u8 {
    let LogRequest {
        dumps: paths,
        show,
        style,
        select,
    } = request;
    let (show, style, select) = (*show, *style, *select);
    let names: Vec<String> = paths.iter().map(|path| shown_name(path)).collect();
    let name = names.join(", ");
    let mut files = Vec::new();
    for path in paths {
        match DumpFile::open(path) {
            Ok(file) => files.push(file),
            Err(why) => {
                say_line!("{who}: opening {}: {why}", shown_name(path));
                if path == Path::new("/proc/vmcore") && !path.exists() {
                    say_line!(
                        "{:14}it exists only while a crash kernel runs that was loaded with kexec -p",
                        ""
                    );
                }
                return exit::OPEN;
            }
        }
    }
    let sources: Vec<&dyn Source> = files.iter().map(|file| file as &dyn Source).collect();
    let part = match select.since_clear {
        true => Part::SinceClear,
        false => Part::All,
    };
    let shown = Memory::open_parts(&sources).and_then(|memory| {
        if memory.cut_short {
            say_line!(
                "{who}: {name}: the flattened dump has no mark at its end: it was not copied \
                 whole, and what is missing may be a part of the log"
            );
        }
        let mut out = BufWriter::new(io::stdout().lock());
        if show == Show::Vmcoreinfo {
            return Ok((dmesg::vmcoreinfo(&mut out, &memory.info), None));
        }
        let page = dmesg::Page::new(show, style, select, &memory.info);
        let (written, summary) = write_log(&mut out, &memory, part, page)?;
        Ok((written, Some(summary)))
    });
    match shown {
        Err(error) => {
            say_line!("{who}: {name}: {}", text(&error));
            code(&error)
        }
        Ok((Err(error), _)) => {
            // Whoever has closed the pipe knows.
            if error.kind() != io::ErrorKind::BrokenPipe {
                say_line!(
                    "{who}: writing to standard output: {}",
                    Errno::from_io(&error)
                );
            }
            exit::WRITE
        }
        Ok((Ok(()), summary)) => {
            summary.map_or(exit::DONE, |summary| verdict(who, &name, &summary))
        }
    }
}

/// Writes the log; whether that worked, and what became of the log.
///
/// # Errors
/// Where the way to the log is not found; nothing is written then.
fn write_log(
    out: &mut dyn Write,
    memory: &Memory<'_>,
    part: Part,
    mut page: dmesg::Page<'_>,
) -> Result<(io::Result<()>, Summary), VmcoreError> {
    let mut written = Ok(());
    let summary = log::read(memory, part, &mut |item| {
        if written.is_ok() {
            written = page.item(out, &item);
        }
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    let written = written
        .and_then(|()| page.end(out, &summary))
        .and_then(|()| out.flush());
    Ok((written, summary))
}

/// What is said of a log that was printed.
fn verdict(who: &str, name: &dyn std::fmt::Display, summary: &Summary) -> u8 {
    if summary.lost > 0 {
        say_line!(
            "{who}: {name}: the text of {} messages was overwritten or never written",
            summary.lost
        );
    }
    match &summary.why {
        None => exit::DONE,
        Some(why) => {
            let many = summary.unreadable;
            say_line!(
                "{who}: {name}: {many} parts of the log are missing; the first: {}",
                text(why)
            );
            code(why)
        }
    }
}

/// The error for people: what the system said, without its bare number.
fn text(error: &VmcoreError) -> String {
    match error {
        VmcoreError::Read { at, wanted, source } => format!(
            "reading {wanted} bytes at byte {at} of the dump: {}",
            in_words(source)
        ),
        error => error.to_string(),
    }
}

fn code(error: &VmcoreError) -> u8 {
    match error {
        VmcoreError::NotADump { .. } => exit::NO_DUMP,
        VmcoreError::Headers { .. } => exit::HEADERS,
        VmcoreError::NoVmcoreinfo { .. } => exit::NO_VMCOREINFO,
        VmcoreError::NotInDump { .. } | VmcoreError::Excluded { .. } => exit::NOT_IN_DUMP,
        VmcoreError::CutShort { .. } | VmcoreError::Read { .. } | VmcoreError::Page { .. } => {
            exit::READ
        }
        VmcoreError::Vmcoreinfo { .. } => exit::UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use kexec_cli::vmcore_dmesg::{Select, Style};
    use kexec_vmcore::testing::{Dump, LITTLE64, Message, ring};

    use super::*;

    fn json(dump: &Dump) -> (String, bool) {
        let bytes = dump.build();
        let memory = Memory::open(&bytes).expect("a dump");
        let (style, select) = (Style::default(), Select::default());
        let page = dmesg::Page::new(Show::Json, style, select, &memory.info);
        let mut out = Vec::new();
        let found = write_log(&mut out, &memory, Part::All, page).is_ok();
        (String::from_utf8(out).expect("text"), found)
    }

    #[test]
    fn a_log_that_is_not_found_leaves_no_half_of_a_document() {
        let mut without = Dump::new(LITTLE64);
        without.info("OSRELEASE=6.1");
        without.info("SYMBOL(prb)=ffffffff82a5bd20");
        without.load(0x1000, b"memory");
        assert_eq!(json(&without), (String::new(), false));
    }

    #[test]
    fn a_log_is_one_document() {
        let message = |text| Message {
            ts_nsec: 1,
            level: 6,
            caller: 0,
            text,
        };
        let all: [&[u8]; 2] = [b"one", b"two"];
        for count in 0..=all.len() {
            let messages: Vec<_> = all.into_iter().take(count).map(message).collect();
            let (text, found) = json(&ring(LITTLE64, &messages));
            assert!(found);
            let document: serde_json::Value = serde_json::from_str(&text).expect("a document");
            let records = document["records"].as_array().expect("records");
            assert_eq!(records.len(), count);
            assert_eq!(document["complete"], true);
        }
    }
}
