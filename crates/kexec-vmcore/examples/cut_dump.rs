//! Cuts a dump down to the parts from which its log is read, for `fixtures/`:
//! `cargo run -p kexec-vmcore --features testing --example cut_dump -- DUMP FIXTURE`.
//! Shows the log.

use std::io::Write;
use std::ops::ControlFlow;

use kexec_vmcore::Memory;
use kexec_vmcore::log::{self, Item, Part};
use kexec_vmcore::testing::SparseDump;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(dump), fixture) = (arguments.next(), arguments.next()) else {
        return Err("expected DUMP [FIXTURE]".into());
    };
    let dump = std::fs::read(dump)?;
    let memory = Memory::open(&dump)?;
    let mut out = std::io::stdout().lock();
    let summary = log::read(&memory, Part::All, &mut |item| {
        let written = match item {
            Item::Record(record) => out
                .write_all(&record.text)
                .and_then(|()| out.write_all(b"\n")),
            Item::Text(text) => out.write_all(&text),
        };
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    eprintln!("{summary:?}");
    if let Some(fixture) = fixture {
        std::fs::write(fixture, SparseDump::cut(&dump)?.pack()?)?;
    }
    Ok(())
}
