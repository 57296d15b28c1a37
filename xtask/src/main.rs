//! `cargo xtask COMMAND`: what the project does with itself.

#[cfg(test)]
mod architecture;
mod bare;
mod bench;
mod command;
mod demo;
mod deny;
mod dist;
mod docs;
mod fuzz;
mod host;
mod msrv;
mod needs;
mod product;
mod record_machines;
mod table;
mod test;
mod timeline;

use anyhow::{Result, bail};
use command::{Arguments, Invocation};
use std::path::Path;
use std::process::ExitCode;

/// Seconds for each fuzz target when they are all that is run.
const FUZZ_ALONE: u64 = 60;
/// Seconds for each beside everything else: a look whether it still stands.
const FUZZ_IN_TEST: u64 = 8;

fn main() -> ExitCode {
    match parse_and_run() {
        Ok(code) => code,
        Err(error) => {
            // {:#} and not {:?}: the chain without a backtrace.
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse_and_run() -> Result<ExitCode> {
    match command::parse(lexopt::Parser::from_env()) {
        Ok(Invocation::Help(text)) => {
            println!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Ok(Invocation::Nothing(text)) => {
            eprintln!("{text}");
            Ok(ExitCode::from(2))
        }
        Ok(Invocation::Run(arguments)) => run(&arguments),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            Ok(ExitCode::from(2))
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    let seconds = arguments.number("--seconds")?;
    needs::ensure(&needs::of(arguments.command.name, &words, |flag| {
        arguments.has(flag)
    }))?;
    match (arguments.command.name, words.as_slice()) {
        ("demo", []) => demo::run(None),
        ("demo", [picture]) => demo::run(Some(Path::new(picture))),
        ("test", names) => {
            let some =
                arguments.has("--static") || arguments.has("--vm") || arguments.has("--fuzz");
            let part = |flag| arguments.has(flag) || !some;
            test::run(&test::TestOptions {
                static_tests: part("--static"),
                vm: part("--vm"),
                fuzz: part("--fuzz"),
                all: arguments.has("--all"),
                list: arguments.has("--list"),
                names: names.iter().map(|&name| name.to_owned()).collect(),
                fuzz_seconds: seconds.unwrap_or(FUZZ_IN_TEST),
            })
        }
        ("deny", []) => {
            println!("{}", deny::check()?);
            Ok(ExitCode::SUCCESS)
        }
        ("fuzz", []) => fuzz::run(seconds.unwrap_or(FUZZ_ALONE), None),
        ("fuzz", [target]) => fuzz::run(seconds.unwrap_or(FUZZ_ALONE), Some(target)),
        ("bench", ["load"]) => bench::load(),
        ("bench", ["crash"]) => bench::crash(arguments),
        ("bench", ["downtime"]) => bench::downtime(arguments),
        ("man", []) => man(&host::root().join("target/man"), arguments.has("--check")),
        ("man", [folder]) => man(Path::new(folder), arguments.has("--check")),
        ("table", ["show"]) => table::show(),
        ("table", ["run", words @ ..]) => table::run(words),
        ("dist", wanted) => dist::run(wanted, arguments),
        ("bare", []) => bare::run(None, arguments.has("--again")),
        ("bare", [suite]) => bare::run(Some(suite), arguments.has("--again")),
        ("msrv", []) => {
            println!("{}", msrv::check()?);
            Ok(ExitCode::SUCCESS)
        }
        ("record-machines", []) => record_machines::run(),
        (name, words) => bail!(
            "`{name}` does not understand {words:?}\n{}",
            arguments.command.usage()
        ),
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
