//! `cargo xtask COMMAND`: what the project does with itself.

mod bench;
mod demo;
mod dist;
mod docs;
mod fuzz;
mod host;
mod record_machines;
mod steps;
mod table;
mod test;
mod timeline;

use anyhow::{Result, bail};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask demo [PICTURE.svg]       boot a Debian kernel in a virtual machine, load another
                                     one with our kexec, jump; and draw the timeline
cargo xtask test                     everything: style, lints, unit and command-line tests,
                                     the release build, virtual machines, fuzzing
cargo xtask test --all               the same with every installed system, which takes hours
cargo xtask test --no-vm --no-fuzz   the same without those steps
cargo xtask fuzz [--seconds N] [TARGET]
                                     each fuzz target, or this one, for N seconds (60)
cargo xtask bench load               what a load costs in instructions and memory, beside
                                     kexec-tools, and the speed of the checks: the table of
                                     docs/performance.md
cargo xtask man [--check] [DIR]      write manual pages and completions below target/man;
                                     have man, mandoc and the shells look at them
cargo xtask table asked [WORD...]    who asks for a reboot, and what becomes of it: with this
                                     package and with what people use today, on installed
                                     systems; the cells whose names hold these words (all)
cargo xtask table seen               the same table of what was seen so far
cargo xtask dist [--check] deb       the Debian package, in target/dist; looked at by lintian
cargo xtask dist [--check] rpm       the RPM package, by rpmbuild; installed into a scratch root
                                     by rpm
cargo xtask dist [--check] arch      Arch Linux's package, made by makepkg; installed into a
                                     scratch root by pacman, which runs our hook
cargo xtask dist stage KIND DIR      what a package of this kind (deb, rpm, arch) has, below an
                                     empty folder
cargo xtask record-machines          record the memory maps and boot parameters of the lab's
                                     kernels below vm/fixtures/machines

The lab's kernels, QEMU and firmware are Debian packages, kept below target/lab
(or $KEXEC_LAB); nothing of them is installed on this machine.";

/// Seconds for each fuzz target when they are all that is run.
const FUZZ_ALONE: u64 = 60;
/// Seconds for each beside everything else: a look whether it still stands.
const FUZZ_IN_TEST: u64 = 8;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // {:#} and not {:?}: the chain without a backtrace.
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    use lexopt::prelude::{Long, Short, Value};
    let mut parser = lexopt::Parser::from_env();
    let mut words = Vec::new();
    let mut seconds = None;
    let mut look = false;
    let mut options = test::Options {
        vm: true,
        all: false,
        fuzz: true,
        fuzz_seconds: FUZZ_IN_TEST,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(ExitCode::SUCCESS);
            }
            Long("all") => options.all = true,
            Long("check") => look = true,
            Long("no-vm") => options.vm = false,
            Long("no-fuzz") => options.fuzz = false,
            Long("seconds") => {
                use lexopt::ValueExt;
                seconds = Some(parser.value()?.parse()?);
            }
            Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    options.fuzz_seconds = seconds.unwrap_or(FUZZ_IN_TEST);
    let seconds = seconds.unwrap_or(FUZZ_ALONE);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["demo"] => demo::run(None),
        ["demo", picture] => demo::run(Some(Path::new(picture))),
        ["test"] => test::run(&options),
        ["bench", "load"] => bench::load(),
        ["fuzz"] => fuzz::run(seconds, None),
        ["fuzz", target] => fuzz::run(seconds, Some(target)),
        ["man"] => man(&host::root().join("target/man"), look),
        ["man", folder] => man(Path::new(folder), look),
        ["table", "seen"] => table::seen(),
        ["table", "asked", words @ ..] => table::asked(words),
        ["dist", wanted @ ..] => dist::run(wanted, look),
        ["record-machines"] => record_machines::run(),
        [] => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
        _ => bail!("asked for {words:?}, which is no command\n{USAGE}"),
    }
}

/// Writes manual pages and completions, and has them looked at.
fn man(folder: &Path, look: bool) -> Result<ExitCode> {
    if look {
        println!("{}", docs::check(folder)?);
    } else {
        let made = docs::write(folder)?;
        println!("{} files below {}", made.len(), folder.display());
    }
    Ok(ExitCode::SUCCESS)
}
