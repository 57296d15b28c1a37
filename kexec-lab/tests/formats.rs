//! Every format that `kexec` unwraps, booted: what the running kernel's own
//! kexec_file_load(2) would refuse, or take without half of its parts.

use anyhow::{Context, Result, ensure};
use kexec_image::testing::codec::COMPRESSORS;
use kexec_image::testing::{PeBuilder, zboot};
use kexec_lab::{Guest, Initramfs, Lab, NextKernel};

/// What the second kernel is told; its console must be that of the lab.
const APPEND: &str = "console=ttyS0 panic=-1 wrapped";

/// Boots 6.1 from 6.12 with the kernel file that `wrap` makes of it.
fn boots(wrap: fn(&[u8]) -> Result<Vec<u8>>) -> Result<()> {
    let lab = Lab::open()?;
    let second = lab.kernel("6.1")?;
    let file = wrap(&std::fs::read(&second.path)?)?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .with(&lab.product()?.files)
        .file("wrapped", file)
        .next(NextKernel::new(&second))
        .script(&format!(
            "run load kexec -l /wrapped --initrd $NEXT_INITRD --append '{APPEND}'\n\
             run left ls -A /tmp\n\
             jump kexec -e\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    assert_eq!(one.run("load")?.err(), "");
    // Only the lab's own files: nothing is unpacked under /tmp.
    assert_eq!(one.run("left")?.out(), "stderr\nstdout\n");
    let two = &outcome.stage("second")?.report;
    assert_eq!(two.release, second.release);
    assert_eq!(two.command_line(), APPEND);
    Ok(())
}

/// A stream of `kernel` made by this row of the compressors.
fn packed(name: &str, kernel: &[u8]) -> Result<Vec<u8>> {
    let row = COMPRESSORS.iter().find(|c| c.name == name);
    Ok((row
        .with_context(|| format!("no compressor {name}"))?
        .compress)(kernel))
}

macro_rules! compressed {
    ($($(#[$why:meta])* $test:ident: $name:literal;)*) => {
        $(
            $(#[$why])*
            #[test]
            fn $test() -> Result<()> {
                boots(|kernel| packed($name, kernel))
            }
        )*
    };
}

compressed! {
    gzip: "gzip";
    /// kexec-tools does not recognise it.
    xz: "xz";
    lzma_alone: "lzma of known size";
    zstd: "zstd";
    /// kexec-tools crashes on it.
    lz4_frame: "lz4 frame";
    /// kexec-tools crashes on it.
    lz4_legacy: "lz4 legacy";
    /// kexec-tools crashes on it.
    bzip2: "bzip2";
}

/// A kernel out of a shell's pipe and an initrd out of a named one; devices are
/// refused, and a named pipe among the boot entries keeps nobody waiting.
#[test]
fn out_of_pipes() -> Result<()> {
    let lab = Lab::open()?;
    let second = lab.kernel("6.1")?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .with(&lab.product()?.files)
        .file("wrapped", std::fs::read(&second.path)?)
        .next(NextKernel::new(&second))
        .script(&format!(
            "mkdir -p /boot/loader/entries\n\
             mkfifo /initrd.fifo /boot/loader/entries/x.conf\n\
             run device kexec -l /wrapped --initrd /dev/zero --append x\n\
             run list timeout 60 kexec list\n\
             (cat $NEXT_INITRD > /initrd.fifo) &\n\
             run load sh -c 'cat /wrapped | kexec -l /proc/self/fd/0 --initrd /initrd.fifo \
             --append \"{APPEND}\"'\n\
             jump kexec -e\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    let device = one.run("device")?;
    let said = device.err();
    ensure!(
        said.contains("/dev/zero: it is a character device"),
        "{said}"
    );
    let listed = one.run("list")?.out();
    ensure!(listed.contains("it is a pipe"), "{listed}");
    assert_eq!(one.run("load")?.err(), "");
    let two = &outcome.stage("second")?.report;
    assert_eq!(two.release, second.release);
    assert_eq!(two.command_line(), APPEND);
    Ok(())
}

#[test]
fn efi_zboot() -> Result<()> {
    boots(|kernel| {
        let stream = packed("gzip", kernel)?;
        Ok(zboot("gzip", &stream, 0))
    })
}

/// A UKI of `kernel` with everything that one can carry: microcode, two
/// initrds, and a second profile with a command line of its own.
fn uki(kernel: &[u8], initrd: &[u8], release: &str) -> Result<Vec<u8>> {
    let mut microcode = Initramfs::new();
    microcode.file("microcode", "in front");
    let mut more = Initramfs::new();
    more.file("second", "behind");
    Ok(PeBuilder::new()
        .section(".osrel", "ID=lab\nVERSION_ID=1\n")
        .section(".uname", release)
        .section(".cmdline", "console=ttyS0 panic=-1 base\n")
        .section(".ucode", microcode.build()?)
        .section(".linux", kernel)
        // As newer ukify writes it: the size in memory goes far beyond the data.
        .with(|s| s.virtual_size = Some(48 << 20))
        .section(".initrd", initrd)
        .section(".initrd", more.build()?)
        .section(".profile", "ID=main\nTITLE=Main\n")
        .section(".profile", "ID=rescue\nTITLE=Rescue\n")
        .section(".cmdline", "console=ttyS0 panic=-1 rescue\0")
        .build())
}

/// Boots that UKI with these options of `kexec -l`; the second kernel's
/// command line must be `expected`, and every part must be there.
fn boots_uki(options: &str, expected: &str) -> Result<()> {
    let lab = Lab::open()?;
    let second = lab.kernel("6.1")?;
    let mut root = lab.initramfs("second")?;
    root.file(
        "lab/script",
        "run parts cat /microcode /second\nrun file cat /from-the-command-line\n",
    );
    let file = uki(
        &std::fs::read(&second.path)?,
        &root.build()?,
        &second.release,
    )?;
    let mut more = Initramfs::new();
    more.file("from-the-command-line", "last");
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .with(&lab.product()?.files)
        .file("lab.efi", file)
        .file("more.cpio", more.build()?)
        .memory_mb(1536)
        .script(&format!(
            "run plan kexec plan /lab.efi --initrd /more.cpio --json\n\
             run load kexec -l /lab.efi --initrd /more.cpio {options}\n\
             jump kexec -e\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    let load = one.run("load")?;
    assert_eq!((load.code, load.err().as_str()), (0, ""));
    let plan: serde_json::Value = serde_json::from_slice(&one.run("plan")?.stdout)?;
    let origins = plan.pointer("/plan/initrd").and_then(|i| i.as_array());
    let origins = origins.context("the plan names no initrd")?;
    assert_eq!(origins.len(), 4, "{plan:#}");
    ensure!(plan.pointer("/plan/release") == Some(&second.release.as_str().into()));

    let two = outcome.stage("second")?;
    assert_eq!(two.report.release, second.release);
    assert_eq!(two.report.command_line(), expected);
    assert_eq!(two.run("parts")?.out(), "in frontbehind");
    assert_eq!(two.run("file")?.out(), "last");
    Ok(())
}

/// kexec-tools boots it with an empty command line and only the last initrd.
#[test]
fn uki_with_its_own_command_line() -> Result<()> {
    boots_uki("", "console=ttyS0 panic=-1 base")
}

#[test]
fn uki_profile_with_more_command_line() -> Result<()> {
    boots_uki(
        "--profile 1 --reuse-cmdline --append more",
        "console=ttyS0 panic=-1 rescue more",
    )
}

#[test]
fn uki_with_another_command_line() -> Result<()> {
    boots_uki(
        "--append 'console=ttyS0 panic=-1 another'",
        "console=ttyS0 panic=-1 another",
    )
}
