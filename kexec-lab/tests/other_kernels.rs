//! What is no 64-bit Linux and has its header all the same: a 32-bit kernel and
//! memtest86+ come up, iPXE is refused for what it is.

use anyhow::{Context, Result, ensure};
use kexec_image::{ImageError, Kernel, Options, Proof, recognise, verify};
use kexec_lab::apt::{Keep, Suite};
use kexec_lab::{Guest, Lab, NextKernel};
use std::path::PathBuf;

const CONSOLE: &str = "console=ttyS0 panic=-1";

/// A file of one of Debian's packages.
fn file(lab: &Lab, package: &'static [&'static str; 1], path: &str) -> Result<(PathBuf, Vec<u8>)> {
    let [name] = package;
    let tree = lab.package(Suite::Bookworm, name, Keep::Named(package))?;
    let path = tree.path.join(path);
    let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok((path, bytes))
}

fn memtest(lab: &Lab, name: &str) -> Result<Vec<u8>> {
    Ok(file(lab, &["memtest86+"], &format!("boot/{name}"))?.1)
}

/// `syssize` counts 16-byte paragraphs, and the last one of these files is not
/// whole.
#[test]
fn memtest_is_not_cut_short() -> Result<()> {
    let lab = Lab::open()?;
    for name in ["memtest86+x64.bin", "memtest86+ia32.bin"] {
        let bytes = memtest(&lab, name)?;
        let image = recognise(bytes.clone().into(), &Options::default())?;
        let Kernel::BzImage(kernel) = &image.kernel else {
            anyhow::bail!("{name} is taken for {:?}", image.kernel);
        };
        let end = kernel.setup_len() + usize::try_from(kernel.protected_len())?;
        ensure!(end > bytes.len(), "{name}: its last paragraph is whole");
        assert_eq!(kernel.protected_range(bytes.len()).end, bytes.len());
        assert_eq!(verify(&image)?, [Proof::Bounds]);
        // One paragraph less is too little.
        let cut = bytes.get(..end - 16).context("an empty file")?.to_vec();
        let error = recognise(cut.into(), &Options::default()).expect_err("cut short");
        ensure!(matches!(error, ImageError::Truncated { .. }), "{error}");
    }
    Ok(())
}

#[test]
fn what_begins_in_real_mode_is_refused_for_that() -> Result<()> {
    let lab = Lab::open()?;
    for (package, path) in [
        (&["ipxe"], "boot/ipxe.lkrn"),
        (&["syslinux-common"], "usr/lib/syslinux/memdisk"),
    ] {
        let (_, bytes) = file(&lab, package, path)?;
        let error = recognise(bytes.into(), &Options::default()).expect_err(path);
        ensure!(error.to_string().contains("begins in real mode"), "{error}");
        ensure!(error.remedy().contains("boot loader"), "{}", error.remedy());
    }
    Ok(())
}

/// A 32-bit kernel from a 64-bit one, with more memory than it maps and with
/// less.
fn i386(memory_mb: u32) -> Result<()> {
    let lab = Lab::open()?;
    let second = lab.i386_kernel()?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .memory_mb(memory_mb)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&second).with(&lab.i386_busybox()?))
        .script(&format!(
            "run load kexec -l $NEXT --initrd $NEXT_INITRD --append '{CONSOLE}'\n\
             run status kexec status\n\
             jump kexec -e\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    let load = one.run("load")?;
    assert_eq!((load.code, load.err().as_str()), (0, ""));
    let status = one.run("status")?.out();
    ensure!(status.contains("kexec_load:"), "{status}");
    let two = &outcome.stage("second")?.report;
    assert_eq!(two.release, second.release);
    assert_eq!(two.command_line(), CONSOLE);
    assert_eq!(two.memmap, outcome.stage("first")?.report.memmap);
    Ok(())
}

/// It maps 879 MiB of low memory: a place at the end of the first 896 MiB is not
/// in it, and the kernel dies there without a word.
#[test]
fn i386_kernel_with_high_memory() -> Result<()> {
    i386(1024)
}

#[test]
#[ignore = "the same without high memory: cargo xtask test --all"]
fn i386_kernel_without_high_memory() -> Result<()> {
    i386(768)
}

/// It writes its screen to the serial port that the command line names.
fn starts_memtest(name: &str) -> Result<()> {
    let lab = Lab::open()?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        // What it is entered with, it stays with.
        .append("no5lvl")
        .with(&lab.product()?.files)
        .file("memtest", memtest(&lab, name)?)
        .script(
            "run load kexec -l /memtest --append 'console=ttyS0,115200'\n\
             jump kexec -e\n",
        )
        .timeout(std::time::Duration::from_secs(120))
        .observe()?;
    let load = outcome.stage("first")?.run("load")?;
    assert_eq!((load.code, load.err().as_str()), (0, ""));
    ensure!(
        outcome.console.contains("Memtest86+"),
        "memtest86+ did not write to the console; its end:\n{}",
        outcome.tail()
    );
    Ok(())
}

#[test]
#[ignore = "never ends by itself, two minutes: cargo xtask test --all"]
fn memtest_of_64_bits_starts() -> Result<()> {
    starts_memtest("memtest86+x64.bin")
}

#[test]
#[ignore = "never ends by itself, two minutes: cargo xtask test --all"]
fn memtest_of_32_bits_starts() -> Result<()> {
    starts_memtest("memtest86+ia32.bin")
}
