//! Kernels that are kept in memory to be jumped back to (CONFIG_KEXEC_JUMP).
//!
//! No kernel of Debian has that option, so what is measured on those is the
//! refusal. With `KEXEC_JUMP_KERNEL`, a bzImage that has it (with serial ports,
//! ACPI and /sys/firmware/memmap), the jumps themselves are tried.

mod tiny;

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, GuestRun, Lab, LabKernel, NextKernel};

const CONSOLE: &str = "console=ttyS0 panic=-1";

/// Writes its message to the first serial port and returns to whom it was called
/// by.
fn returns(message: &str) -> Vec<u8> {
    let mut code = vec![0x48, 0x8d, 0x35, 13, 0, 0, 0]; // lea rsi, the message
    code.extend(tiny::WRITE);
    code.push(0xc3); // ret
    code.extend(message.bytes().chain([0]));
    tiny::elf64(&code)
}

/// Debian's kernels do not know the flag: EINVAL, with the reason and what to
/// do; nothing is loaded.
#[test]
fn kernels_without_kexec_jump_say_so() -> Result<()> {
    for label in ["6.1", "6.12", "7.x"] {
        let lab = Lab::open()?;
        let outcome = Guest::new(&lab, &lab.kernel(label)?)
            .with(&lab.product()?.files)
            .file("tiny", returns("not reached"))
            .script(
                "run keep kexec -c -l /tiny --load-preserve-context --mem-max=0x3ffffff\n\
                 run back kexec --load-jump-back-helper --entry=0x1000\n\
                 run nowhere kexec --load-jump-back-helper\n\
                 run loaded kexec -S -l\n",
            )
            .run()?;
        let one = outcome.stage("first")?;
        for (command, code) in [("keep", 255), ("back", 255)] {
            let run = one.run(command)?;
            assert_eq!(run.code, code, "{label}: {}", run.err());
            ensure!(run.err().contains("EINVAL"), "{label}: {}", run.err());
            ensure!(
                run.err().contains("CONFIG_KEXEC_JUMP"),
                "{label}: {}",
                run.err()
            );
        }
        assert_eq!(one.run("nowhere")?.code, 1);
        ensure!(one.run("nowhere")?.err().contains("--entry"));
        assert_eq!(one.run("loaded")?.code, 0);
    }
    Ok(())
}

/// The kernel that `KEXEC_JUMP_KERNEL` names.
fn kernel() -> Result<LabKernel> {
    LabKernel::named_by("KEXEC_JUMP_KERNEL", "jump")
}

/// What was written after the kernel came back belongs to the stage that was
/// the last to begin.
fn last_run(outcome: &GuestRun, label: &str) -> Result<(u8, String)> {
    let stage = outcome.stages.last().context("no stage")?;
    let run = stage.run(label)?;
    Ok((run.code, run.out() + &run.err()))
}

/// A program that is no kernel comes back, and the first kernel goes on. It leaves
/// no place to jump to again, so it is loaded anew.
#[test]
#[ignore = "needs a kernel with CONFIG_KEXEC_JUMP in KEXEC_JUMP_KERNEL; Debian has none"]
fn a_program_returns() -> Result<()> {
    let kernel = kernel()?;
    let lab = Lab::open()?;
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .file("tiny", returns("\r\nthere and back\r\n"))
        .script(
            "run load kexec -c -l /tiny --load-preserve-context --mem-min=0x2000000 --mem-max=0x2ffffff\n\
             jump kexec -e\n\
             run after cat /proc/uptime\n\
             run unload kexec -u\n\
             run anew kexec -c -l /tiny --load-preserve-context --mem-min=0x2000000 --mem-max=0x2ffffff\n\
             run again kexec -e\n",
        )
        .run()?;
    for label in ["load", "jump", "after", "unload", "anew", "again"] {
        let (code, said) = last_run(&outcome, label)?;
        assert_eq!(code, 0, "{label}: {said}");
    }
    ensure!(last_run(&outcome, "jump")?.1.contains("jumped back"));
    assert_eq!(outcome.console.matches("there and back").count(), 2);
    Ok(())
}

/// A second Linux runs in the memory that was set aside, and jumps back into the
/// first, which goes on where it was.
#[test]
#[ignore = "needs a kernel with CONFIG_KEXEC_JUMP in KEXEC_JUMP_KERNEL; Debian has none"]
fn a_second_linux_jumps_back() -> Result<()> {
    let kernel = kernel()?;
    let lab = Lab::open()?;
    let product = lab.product()?.files;
    let next = NextKernel::new(&kernel).with(&product).script(
        "run back kexec --load-jump-back-helper\n\
         jump kexec -e\n",
    );
    let outcome = Guest::new(&lab, &kernel)
        .with(&product)
        .next(next)
        .script(&format!(
            "echo kept > /tmp/kept\n\
             run load kexec -c -l $NEXT --initrd $NEXT_INITRD --append '{CONSOLE}' \
             --load-preserve-context --mem-max=0x17ffffff\n\
             run jump kexec -e\n\
             run kept cat /tmp/kept\n\
             run cmdline cat /proc/cmdline\n"
        ))
        .run()?;
    let second = outcome.stage("second")?;
    ensure!(
        second
            .report
            .command_line()
            .contains(" kexec_jump_back_entry=0x")
    );
    for label in ["back", "jump", "kept"] {
        let (code, said) = last_run(&outcome, label)?;
        assert_eq!(code, 0, "{label}: {said}");
    }
    assert_eq!(last_run(&outcome, "kept")?.1, "kept\n");
    ensure!(
        !last_run(&outcome, "cmdline")?
            .1
            .contains("kexec_jump_back_entry")
    );
    Ok(())
}
