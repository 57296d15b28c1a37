//! Lists the boot entries of a machine and says which one a reboot would boot:
//! `cargo run -p kexec-entries --example list [FOLDER]`. The README shows this program, and
//! `tests/trees/readme.rs` runs it.

use std::path::Path;

use kexec_entries::facts::Facts;
use kexec_entries::{BootedMachine, choose, survey};
use kexec_machine::Snapshot;
use kexec_machine::volumes::Volumes;

/// The boot entries of the machine whose files are below `root`.
pub fn list(root: &Path) -> String {
    let volumes = Volumes::read(root);
    let facts = Facts::read(&Snapshot::read(root), &volumes);
    let survey = survey(&BootedMachine {
        volumes: &volumes,
        facts: &facts,
    });
    let mut text = String::new();
    for entry in survey.sources.iter().flat_map(|s| &s.found.entries) {
        let mark = match entry.target() {
            Some(_) if entry.marks.default => '*',
            Some(_) => ' ',
            None => '!', // broken: entry.boots says why
        };
        text += &format!("{mark} {}: {}\n", entry.source, entry.title);
    }
    text + &match choose(&survey, None) {
        Ok(default) => format!("a reboot boots {}\n", default.target.kernel),
        Err(problem) => format!("{problem}\n"),
    }
}

fn main() {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| "/".into());
    print!("{}", list(Path::new(&root)));
}
