//! A 64-bit kernel under 32-bit EFI firmware: it lists all of its memory as the
//! firmware's, and does not take images with kexec_file_load(2).

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::{Keep, Suite};
use kexec_lab::{Guest, Lab, NextKernel};

/// The firmware of Debian's package ovmf-ia32, which is built to have its variables
/// written by SMM alone; none of its keys are set.
fn under_32_bit_firmware<'lab>(lab: &'lab Lab, scratch: &std::path::Path) -> Result<Guest<'lab>> {
    let tree = lab.package(Suite::Bookworm, "ovmf-ia32", Keep::Named(&["ovmf-ia32"]))?;
    let folder = tree.path.join("usr/share/OVMF");
    let variables = scratch.join("variables.fd");
    let there = folder.join("OVMF32_VARS_4M.fd");
    std::fs::copy(&there, &variables).with_context(|| format!("copying {}", there.display()))?;
    let code = folder.join("OVMF32_CODE_4M.secboot.fd");
    Ok(Guest::new(lab, &lab.kernel("6.12")?)
        .qemu_arguments(&["-machine", "smm=on"])
        .qemu_arguments(&["-global", "driver=cfi.pflash01,property=secure,value=on"])
        .qemu_arguments(&[
            "-drive",
            &format!("if=pflash,format=raw,readonly=on,file={}", code.display()),
            "-drive",
            &format!("if=pflash,format=raw,file={}", variables.display()),
        ]))
}

#[test]
#[ignore = "half a minute: cargo xtask test --all"]
fn only_what_the_firmware_needs_is_kept() -> Result<()> {
    let lab = Lab::open()?;
    let scratch = tempfile::tempdir()?;
    let kernel = lab.kernel("6.12")?;
    let outcome = under_32_bit_firmware(&lab, scratch.path())?
        .memory_mb(1536)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&kernel).script("run efi ls -d /sys/firmware/efi\n"))
        .script(
            "run bits cat /sys/firmware/efi/fw_platform_size\n\
             run file kexec -s -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\"\n\
             run load kexec -a -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\"\n\
             run status kexec status\n\
             jump kexec -e\n",
        )
        .run()?;
    let one = outcome.stage("first")?;
    assert_eq!(one.run("bits")?.out(), "32\n");
    let file = one.run("file")?;
    ensure!(
        file.code != 0 && file.err().contains("32-bit EFI"),
        "{}",
        file.err()
    );
    ensure!(file.err().contains("use -c"), "{}", file.err());
    let load = one.run("load")?;
    assert_eq!(load.code, 0, "{}", load.err());
    ensure!(one.run("status")?.out().contains("kexec_load:"));
    let two = outcome.stage("second")?;
    assert_eq!(two.report.release, kernel.release);
    // The tables are found all the same, and the services are not used.
    assert_eq!(two.report.acpi, one.report.acpi);
    ensure!(two.run("efi")?.code != 0, "the second kernel uses EFI");
    Ok(())
}
