//! `vmcore-dmesg`: the log of a crashed kernel.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;

use kexec_cli::help;
use kexec_cli::vmcore_dmesg::{DmesgRequest, NAME, Show, parse};
use kexec_machine::open;
use kexec_sys::Errno;
use kexec_vmcore::log::{self, Summary};
use kexec_vmcore::{Memory, Source, VmcoreError};

use super::print;
use crate::render::dmesg;

/// The exit codes of kexec-tools, as far as they tell apart what went wrong.
mod exit {
    pub const DONE: u8 = 0;
    pub const USAGE: u8 = 1;
    pub const OPEN: u8 = 2;
    pub const NO_CORE: u8 = 4;
    pub const HEADERS: u8 = 10;
    pub const NO_VMCOREINFO: u8 = 20;
    pub const NOT_IN_DUMP: u8 = 30;
    pub const READ: u8 = 40;
    pub const UNKNOWN: u8 = 50;
    pub const WRITE: u8 = 53;
}

/// A dump in a file.
struct Dump {
    file: File,
    len: u64,
}

impl Source for Dump {
    fn len(&self) -> u64 {
        self.len
    }

    fn next_data(&self, offset: u64) -> u64 {
        // Reads name their offset, so that it does not matter where the file stands.
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(offset)) {
            Ok(data) => data,
            Err(rustix::io::Errno::NXIO) => self.len,
            Err(_) => offset,
        }
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
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
        Ok(DmesgRequest::Log { vmcore, show }) => of(&vmcore, show),
        Err(wrong) => {
            say!("{NAME}: {wrong}\n{}", help::vmcore_dmesg_usage());
            exit::USAGE
        }
    }
}

fn of(path: &Path, show: Show) -> u8 {
    let name = path.display();
    let opened = open::regular(path).and_then(|file| {
        let metadata = file.metadata();
        let len = metadata.map_err(|e| Errno::from_io(&e).to_string())?.len();
        Ok(Dump { file, len })
    });
    let dump = match opened {
        Ok(dump) => dump,
        Err(why) => {
            say_line!("{NAME}: opening {name}: {why}");
            if path == Path::new("/proc/vmcore") && !path.exists() {
                say_line!(
                    "{:14}it exists only while a crash kernel runs that was loaded with kexec -p",
                    ""
                );
            }
            return exit::OPEN;
        }
    };
    let shown = Memory::open(&dump).and_then(|memory| {
        let mut out = BufWriter::new(io::stdout().lock());
        if show == Show::Vmcoreinfo {
            return Ok((dmesg::vmcoreinfo(&mut out, &memory.info), None));
        }
        let mut page = dmesg::Page::new(show, &memory.info);
        let mut written = page.begin(&mut out);
        let summary = log::read(&memory, &mut |item| {
            if written.is_ok() {
                written = page.item(&mut out, &item);
            }
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        // What was found is printed whatever comes of the rest.
        let summary = match summary {
            Ok(summary) => summary,
            Err(error) => {
                let _ = out.flush();
                return Err(error);
            }
        };
        let written = written
            .and_then(|()| page.end(&mut out, &summary))
            .and_then(|()| out.flush());
        Ok((written, Some(summary)))
    });
    match shown {
        Err(error) => {
            say_line!("{NAME}: {name}: {error}");
            code(&error)
        }
        Ok((Err(error), _)) => {
            // Whoever has closed the pipe knows.
            if error.kind() != io::ErrorKind::BrokenPipe {
                say_line!(
                    "{NAME}: writing to standard output: {}",
                    Errno::from_io(&error)
                );
            }
            exit::WRITE
        }
        Ok((Ok(()), summary)) => summary.map_or(exit::DONE, |summary| verdict(&name, &summary)),
    }
}

/// What is said of a log that was printed.
fn verdict(name: &dyn std::fmt::Display, summary: &Summary) -> u8 {
    if summary.lost > 0 {
        say_line!(
            "{NAME}: {name}: the text of {} messages was overwritten or never written",
            summary.lost
        );
    }
    match &summary.why {
        None => exit::DONE,
        Some(why) => {
            let many = summary.unreadable;
            say_line!("{NAME}: {name}: {many} parts of the log are missing; the first: {why}");
            code(why)
        }
    }
}

fn code(error: &VmcoreError) -> u8 {
    match error {
        VmcoreError::NotElfCore { .. } => exit::NO_CORE,
        VmcoreError::Headers { .. } => exit::HEADERS,
        VmcoreError::NoVmcoreinfo { .. } => exit::NO_VMCOREINFO,
        VmcoreError::NotInDump { .. } => exit::NOT_IN_DUMP,
        VmcoreError::CutShort { .. } | VmcoreError::Read { .. } => exit::READ,
        VmcoreError::Vmcoreinfo { .. } => exit::UNKNOWN,
    }
}
