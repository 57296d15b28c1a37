//! Dumps of machines of other architectures and of an older kernel: what vmcore-dmesg reads
//! from each of QEMU's formats, compared with what the machine's serial console showed, and
//! with drgn where drgn can read it. `KEEP_DUMPS=FOLDER` keeps the dumps and their logs, out
//! of which `cut_dump` of kexec-vmcore makes its fixtures.

mod qmp;

use anyhow::{Context, Result, ensure};
use kexec_lab::foreign::{FOREIGN_MACHINES, ForeignMachine};
use kexec_lab::{GuestSlot, Lab, vmcore_dmesg};
use qmp::Qmp;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// A QEMU that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots it until it panics, and writes a dump in each format.
fn dumps(lab: &Lab, machine: &ForeignMachine, folder: &Path) -> Result<Vec<String>> {
    let (console, socket) = (folder.join("console"), folder.join("qmp"));
    let mut command = machine.command(lab, &console, &socket)?;
    let _slot = GuestSlot::wait()?;
    let began = Instant::now();
    let _running = Running(command.spawn().context("starting QEMU")?);
    let mut qmp = Qmp::connect(&socket, Duration::from_secs(200))?;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let shown = std::fs::read(&console).unwrap_or_default();
        let shown = String::from_utf8_lossy(&shown);
        if shown.contains("Kernel panic - not syncing") {
            break;
        }
        ensure!(
            began.elapsed() < Duration::from_secs(200),
            "no panic: {shown}"
        );
    }
    // The rest of the panic: registers and the stack.
    std::thread::sleep(Duration::from_secs(5));
    println!("{}: {:.1} s", machine.name, began.elapsed().as_secs_f64());
    let formats = qmp.formats()?;
    for format in &formats {
        qmp.dump(format, &folder.join(format))?;
    }
    qmp.quit()?;
    Ok(formats)
}

/// What is behind the time at the start of a line.
fn behind_time(line: &str) -> Option<&str> {
    let (time, text) = line.strip_prefix('[')?.split_once(']')?;
    let is_time = |letter: char| letter.is_ascii_digit() || matches!(letter, ' ' | '.');
    // The text of an empty message went with the spaces at the end.
    time.chars()
        .all(is_time)
        .then(|| text.strip_prefix(' ').unwrap_or(text))
}

/// The lines that begin with a time.
fn timed(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_end);
    let timed = lines.filter(|line| behind_time(line).is_some());
    timed.map(str::to_owned).collect()
}

fn check(machine: &ForeignMachine) -> Result<()> {
    let lab = Lab::open()?;
    let folder = tempfile::tempdir()?;
    let formats = dumps(&lab, machine, folder.path())?;
    ensure!(formats.iter().any(|format| format == "elf"), "{formats:?}");
    ensure!(formats.len() > 1, "{formats:?}");
    let console = std::fs::read(folder.path().join("console"))?;
    let console = timed(&String::from_utf8_lossy(&console));
    ensure!(console.len() > 100, "{console:?}");
    for format in &formats {
        let ours = vmcore_dmesg(&[], &folder.path().join(format))?;
        let lines = timed(&ours);
        if machine.console == "hvc0" {
            // The firmware's console goes before the kernel's own comes: a few lines are
            // shown twice, or by none.
            let unseen: Vec<_> = lines
                .iter()
                .filter(|line| !console.contains(line))
                .collect();
            ensure!(unseen.len() <= 3, "{format}: {unseen:?}");
            continue;
        }
        for (number, (ours, shown)) in lines.iter().zip(&console).enumerate() {
            ensure!(
                ours == shown,
                "{format}, line {}:\n{ours}\n{shown}",
                number + 1
            );
        }
        assert_eq!(lines.len(), console.len(), "{format}");
    }
    let elf = folder.path().join("elf");
    // drgn knows no page tables of 32 bits, and asks ppc64 for debugging information.
    if matches!(machine.name, "arm64-6.1" | "s390x-6.1" | "amd64-5.10") {
        let info = folder.path().join("vmcoreinfo");
        std::fs::write(&info, vmcore_dmesg(&["--vmcoreinfo"], &elf)?)?;
        let theirs = lab.drgn()?.log_with(&elf, &info)?;
        let ours = timed(&vmcore_dmesg(&[], &elf)?);
        let ours = ours.iter().filter_map(|line| behind_time(line));
        let theirs: Vec<_> = theirs.lines().map(str::trim_end).collect();
        assert_eq!(ours.collect::<Vec<_>>(), theirs, "drgn");
    }
    if let Some(kept) = std::env::var_os("KEEP_DUMPS") {
        let kept = Path::new(&kept);
        std::fs::create_dir_all(kept)?;
        std::fs::copy(&elf, kept.join(format!("{}.elf", machine.name)))?;
    }
    Ok(())
}

#[test]
#[ignore = "three more QEMUs, 400 MB of packages: cargo xtask test --all"]
fn of_other_machines() -> Result<()> {
    for machine in &FOREIGN_MACHINES {
        check(machine).context(machine.name)?;
    }
    Ok(())
}
