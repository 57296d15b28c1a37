//! `cargo xtask demo`: one Debian kernel takes the machine into another.

use crate::host::{call, cargo};
use crate::timeline::{self, Bar};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use vm::{Firmware, Guest, Lab, Next, Run};

/// The kernel that the machine starts with, and the one that it jumps into.
const FIRST: &str = "6.1";
const SECOND: &str = "6.12";

/// What happens in the first kernel.
const SCRIPT: &str = r#"
run load kexec load $NEXT --initrd $NEXT_INITRD --append "$CONSOLE hello=from-the-first-kernel"
run status kexec status
jump kexec -e
"#;

/// Builds the product and tells where it is.
pub fn build() -> Result<PathBuf> {
    call(&mut build_command())?;
    vm::kexec_binary()
}

/// What builds it.
pub fn build_command() -> Command {
    cargo(&["build", "--release", "--package", "kexec-cli"])
}

/// Runs the demonstration, and draws it.
pub fn run(picture: Option<&Path>) -> Result<ExitCode> {
    println!("Building kexec ...");
    let binary = build()?;
    println!(
        "  {} ({} bytes)",
        binary.display(),
        std::fs::metadata(&binary)?.len()
    );

    println!("\nPreparing the lab (Debian packages, unpacked and not installed) ...");
    let lab = Lab::open()?;
    let (first, second) = (lab.kernel(FIRST)?, lab.kernel(SECOND)?);
    println!("  {}", lab.qemu().version);
    println!("  kernels {} and {}", first.release, second.release);
    println!("  kept in {}", lab.folder().display());

    println!(
        "\nStarting a machine with UEFI, 2 processors and 1 GiB; all its instructions are \
         interpreted, so it is many times slower than real hardware ..."
    );
    let outcome = Guest::new(&lab, &first)
        .firmware(Firmware::Ovmf)
        .cpus(2)
        .program("bin/kexec", std::fs::read(&binary)?)
        .next(Next::new(&second))
        .script(SCRIPT)
        .run()?;
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
    more(&format!("/proc/cmdline: {}", two.report.command_line()));
    let same = |equal: bool| if equal { "as before" } else { "DIFFERENT" };
    more(&format!(
        "processors: {}; memory map: {}; ACPI tables: {}; EFI runtime map: {}",
        two.report.cpus,
        same(one.report.memmap == two.report.memmap),
        same(one.report.acpi == two.report.acpi),
        same(one.report.efi_runtime_map == two.report.efi_runtime_map),
    ));
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
    if two.report.release != second.release {
        bail!(
            "expected {} after the jump, found {}",
            second.release,
            two.report.release
        );
    }
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
fn show(command: &str, run: &Run) {
    more(&format!("# {command}"));
    for line in run.out().lines().chain(run.err().lines()) {
        more(&format!("  {line}"));
    }
    if run.code != 0 {
        more(&format!("  (exit code {})", run.code));
    }
}
