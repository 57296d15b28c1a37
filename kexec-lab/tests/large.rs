//! An initrd of 700 MB through `kexec_load(2)`, every byte of which arrives.

use anyhow::{Context, Result};
use kexec_lab::programs::StartProgram;
use kexec_lab::{Guest, Lab, NextKernel, loads};
use std::process::Command;
use std::time::Duration;

/// The file in the second initrd, bytes.
const LARGE: usize = 700 << 20;
/// The machine. The initrd is there as the kernel's copy and as the program's
/// own; in the second kernel as it came and unpacked.
const MEMORY_MB: u32 = 6144;

#[test]
fn seven_hundred_megabytes() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let folder = tempfile::tempdir()?;
    let files = folder.path().join("files");
    std::fs::create_dir(&files)?;

    let mut root = lab.initramfs("second")?;
    let large = loads::noise(LARGE);
    std::fs::write(folder.path().join("large"), &large)?;
    root.file("large", large);
    root.file("lab/script", "run sum md5sum /large\n");
    std::fs::write(files.join("initrd"), root.build()?)?;
    drop(root);
    // The cheapest checksum of busybox: the guest is interpreted.
    let sum = Command::new("md5sum")
        .arg(folder.path().join("large"))
        .start_output()?;
    let sum = String::from_utf8(sum.stdout)?;
    let sum = sum.split_whitespace().next().context("no sum")?;
    std::fs::remove_file(folder.path().join("large"))?;
    let image = folder.path().join("image");
    lab.disk(&files, &image)?;
    std::fs::remove_dir_all(&files)?;

    let outcome = Guest::new(&lab, &kernel)
        .memory_mb(MEMORY_MB)
        .timeout(Duration::from_secs(600))
        .with(&lab.product()?.files)
        .disk(&image)
        .next(NextKernel::new(&kernel))
        .script(
            "run load kexec -c -l $NEXT --initrd /mnt/initrd --append \"$CONSOLE\"\n\
             jump kexec -e\n",
        )
        .run()?;
    println!("{:.1} s", outcome.duration.as_secs_f64());
    let load = outcome.stage("first")?.run("load")?;
    assert_eq!((load.code, load.err().as_str()), (0, ""));
    let two = outcome.stage("second")?;
    let found = two.run("sum")?;
    assert_eq!(
        found.out().split_whitespace().next(),
        Some(sum),
        "{}",
        found.err()
    );
    Ok(())
}
