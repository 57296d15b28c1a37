//! `cargo xtask demo`: one Debian kernel takes the machine into another.

use crate::product;
use crate::timeline::{self, Bar};
use anyhow::Result;
use kexec_lab::{CommandRun, Lab, demonstration};
use std::path::Path;
use std::process::ExitCode;

/// Runs the demonstration, and draws it.
pub fn run(picture: Option<&Path>) -> Result<ExitCode> {
    println!("Building kexec ...");
    let binary = product::build()?;
    println!(
        "  {} ({} bytes)",
        binary.display(),
        std::fs::metadata(&binary)?.len()
    );

    println!("\nPreparing the lab (Debian packages, unpacked and not installed) ...");
    let lab = Lab::open()?;
    let (first, second) = (
        lab.kernel(demonstration::FIRST)?,
        lab.kernel(demonstration::SECOND)?,
    );
    println!("  {}", lab.qemu().version);
    println!("  kernels {} and {}", first.release, second.release);
    println!("  kept in {}", lab.folder().display());

    println!(
        "\nStarting a machine with UEFI, 2 processors and 1 GiB; all its instructions are \
         interpreted, so it is many times slower than real hardware ..."
    );
    let outcome = demonstration::guest(&lab, std::fs::read(&binary)?)?.run()?;
    let (one, two) = (outcome.stage("first")?, outcome.stage("second")?);

    println!();
    at(0.0, "the machine is switched on");
    at(
        one.started.as_secs_f64(),
        &format!("uname -r: {}", one.report.release),
    );
    for (label, command) in [
        (
            "load",
            "kexec load KERNEL --initrd INITRD --append \"... hello=from-the-first-kernel\"",
        ),
        ("status", "kexec status"),
    ] {
        show(command, one.run(label)?);
    }
    if let Some(jumped) = one.jumped {
        at(jumped.as_secs_f64(), "# kexec -e");
    }
    at(
        two.started.as_secs_f64(),
        &format!("uname -r: {}", two.report.release),
    );
    for line in demonstration::differences(&outcome)? {
        more(&line);
    }
    at(
        outcome.duration.as_secs_f64(),
        "the machine switched itself off",
    );

    if let (Some(path), Some(jumped)) = (picture, one.jumped) {
        let bar = |label: &str, end, fill| Bar {
            label: label.to_owned(),
            end,
            fill,
        };
        let bars = [
            bar(
                "UEFI firmware and the first kernel, up to its init",
                one.started,
                "#8a8f98",
            ),
            bar("running: kexec load, checks included", jumped, "#3a7d44"),
            bar(
                "kexec -e: the jump and the second kernel, up to its init",
                two.started,
                "#2f6fb7",
            ),
        ];
        std::fs::write(
            path,
            timeline::svg("cargo xtask demo: an emulated machine, seconds", &bars),
        )?;
        println!("drawn in {}", path.display());
    }
    demonstration::check(&lab, &outcome)?;
    println!("\nThe firmware ran once; the second kernel was started by the first.");
    Ok(ExitCode::SUCCESS)
}

fn at(seconds: f64, text: &str) {
    println!("{seconds:>6.1} s  {text}");
}

fn more(text: &str) {
    println!("{:>10}{text}", "");
}

/// A command with what it said.
fn show(command: &str, run: &CommandRun) {
    more(&format!("# {command}"));
    for line in run.out().lines().chain(run.err().lines()) {
        more(&format!("  {line}"));
    }
    if run.code != 0 {
        more(&format!("  (exit code {})", run.code));
    }
}
