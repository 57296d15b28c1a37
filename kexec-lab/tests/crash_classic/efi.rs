//! A crash kernel through `kexec_load(2)` on a machine with EFI: it finds the ACPI tables,
//! with what EFI left and without.

use anyhow::{Result, ensure};
use kexec_lab::{Guest, GuestFirmware, GuestRun, Lab, NextKernel};

use super::{NEEDLE, READ};

/// A panic in the machine, and what the crash kernel then is told.
fn crash(options: &str) -> Result<GuestRun> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let product = lab.product()?.files;
    let outcome = Guest::new(&lab, &kernel)
        .firmware(GuestFirmware::Ovmf)
        .with(&product)
        .append("crashkernel=256M")
        .next(NextKernel::new(&kernel).with(&product).script(READ))
        .script(&format!(
            "run load kexec -c -p {options} $NEXT --initrd $NEXT_INITRD \
             --append \"$CONSOLE nr_cpus=1 reset_devices\"\n\
             echo '{NEEDLE}' > /dev/kmsg\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n"
        ))
        .run()?;
    let (one, two) = (outcome.stage("first")?, outcome.stage("second")?);
    one.good("load")?;
    two.good("dmesg")?;
    ensure!(two.run("needle")?.out().contains(NEEDLE));
    let tables = &one.report.acpi;
    ensure!(!tables.is_empty(), "the first kernel has no ACPI tables");
    // The crash kernel has the same tables, so it knows its devices and interrupts.
    assert_eq!(&two.report.acpi, tables);
    println!(
        "{options:?}: {:.1} s, {} tables; {}",
        outcome.duration.as_secs_f64(),
        tables.len(),
        two.report.command_line()
    );
    Ok(outcome)
}

/// Whether the crash kernel is told where the tables are.
fn is_told(outcome: &GuestRun) -> Result<bool> {
    let line = outcome.stage("second")?.report.command_line();
    Ok(line.split(' ').any(|word| word.starts_with("acpi_rsdp=")))
}

#[test]
fn the_crash_kernel_has_efi_and_with_it_acpi() -> Result<()> {
    let outcome = crash("")?;
    ensure!(!is_told(&outcome)?);
    let two = &outcome.stage("second")?.report;
    ensure!(!two.efi_runtime_map.is_empty(), "without EFI");
    Ok(())
}

#[test]
fn without_efi_the_crash_kernel_is_told_where_acpi_is() -> Result<()> {
    let outcome = crash("--noefi")?;
    ensure!(is_told(&outcome)?);
    ensure!(outcome.stage("second")?.report.efi_runtime_map.is_empty());
    Ok(())
}
