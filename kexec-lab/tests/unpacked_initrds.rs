//! Initrds that are unpacked before the jump: every kernel finds the same root in them, in
//! every compression, with both system calls.
//!
//! One machine boots once and then goes from kernel to kernel: each initrd holds the next
//! kernel and the next initrd, and the checksums of all its files.

use anyhow::{Context, Result, ensure};
use kexec_image::cpio::{self, File};
use kexec_image::testing::codec::COMPRESSORS;
use kexec_lab::{Guest, Initramfs, Lab, LabKernel, NextKernel};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

const CONSOLE: &str = "console=ttyS0 panic=-1";

/// The stages of a walk and how their initrds are packed; those behind are inside of those
/// in front, so the slowest to pack is the last and smallest one.
const PACKINGS: [(&str, &str); 5] = [
    ("lz4", "lz4 legacy"),
    ("zstd", "zstd"),
    ("early-and-zstd", "zstd"),
    ("gzip", "gzip"),
    ("xz", "xz"),
];

/// An archive in front of the others, which kernels look into before they unpack it.
const EARLY: &str = "kernel/x86/microcode/None.bin";

fn pack(name: &str, archive: &[u8]) -> Result<Vec<u8>> {
    let row = COMPRESSORS.iter().find(|row| row.name == name);
    Ok((row
        .with_context(|| format!("no compressor {name}"))?
        .compress)(archive))
}

/// The early archive, padded as distributions do it.
fn early() -> Result<Vec<u8>> {
    let file = File {
        path: EARLY.to_owned(),
        mode: 0o644,
        content: b"nothing that a processor takes".to_vec().into(),
    };
    let mut archive = cpio::archive(&[file])?;
    archive.resize(archive.len().next_multiple_of(512), 0);
    Ok(archive)
}

/// Files whose sums the kernel behind the jump compares: of every length modulo four, and
/// one of a megabyte.
fn add_files(root: &mut Initramfs, stage: &str) {
    let mut sums = String::new();
    for (index, len) in [0, 1, 2, 3, 4095, 4096, 1_000_003].into_iter().enumerate() {
        let seed = stage.len() + index;
        let content: Vec<u8> = (0..len)
            .map(|i| u8::try_from((i * i / 3 + i * seed) % 253).unwrap_or(0))
            .collect();
        let mut sum = String::new();
        for byte in Sha256::digest(&content) {
            let _ = write!(sum, "{byte:02x}");
        }
        let _ = writeln!(sums, "{sum}  /data/{len}");
        root.file(&format!("data/{len}"), content);
    }
    root.file("data/sums", sums);
}

const CHECK: &str = "run sums sha256sum -c /data/sums\nrun early ls /kernel/x86/microcode\n";

/// Adds the kernel, the initrd of the next stage, and the way there.
fn lead_on(
    root: &mut Initramfs,
    lab: &Lab,
    kernel: &LabKernel,
    initrd: Vec<u8>,
    call: &str,
) -> Result<()> {
    root.merge(&lab.product()?.files);
    root.file("next/vmlinuz", std::fs::read(&kernel.path)?);
    root.file("next/initrd", initrd);
    root.file(
        "lab/script",
        format!(
            "{CHECK}run load kexec load {call} --unpack=always $NEXT --initrd=$NEXT_INITRD \
             --command-line=\"$CONSOLE after=$STAGE\"\n\
             jump kexec -e\n"
        ),
    );
    Ok(())
}

/// The kernel starts itself again with one initrd after the other.
fn walk(label: &str, call: &str) -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel(label)?;
    let mut inner: Option<Vec<u8>> = None;
    let mut raw_sizes = Vec::new();
    for (stage, packing) in PACKINGS.iter().rev() {
        let mut root = lab.initramfs(stage)?;
        add_files(&mut root, stage);
        match inner {
            Some(initrd) => lead_on(&mut root, &lab, &kernel, initrd, call)?,
            None => root.file("lab/script", CHECK),
        }
        let archive = root.build()?;
        let mut initrd = match *stage {
            "early-and-zstd" => early()?,
            _ => Vec::new(),
        };
        raw_sizes.push(initrd.len() + archive.len());
        initrd.extend(pack(packing, &archive)?);
        inner = Some(initrd);
    }
    raw_sizes.reverse();
    let mut first = Initramfs::new();
    add_files(&mut first, "first");
    lead_on(&mut first, &lab, &kernel, inner.context("no initrd")?, call)?;
    let outcome = Guest::new(&lab, &kernel)
        .memory_mb(2048)
        .with(&first)
        .timeout(Duration::from_secs(300))
        .run()?;
    println!("{label} {call}: {:.1} s", outcome.duration.as_secs_f64());

    let names: Vec<_> = outcome.stages.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        ["first", "lz4", "zstd", "early-and-zstd", "gzip", "xz"]
    );
    for (at, stage) in outcome.stages.iter().enumerate() {
        assert_eq!(stage.report.release, kernel.release);
        let sums = stage.run("sums")?;
        ensure!(sums.code == 0, "{}: {}", stage.name, sums.out());
        assert_eq!(sums.out().matches(": OK").count(), 7, "{}", sums.out());
        let has_early = stage.run("early")?.code == 0;
        assert_eq!(has_early, stage.name == "early-and-zstd");
        if let Some(before) = at.checked_sub(1) {
            let params = stage.report.boot_params()?;
            let raw = raw_sizes.get(before).context("no size")?;
            let size = usize::try_from(params.number("ramdisk_size")?)?;
            // The archives, with at most their padding.
            ensure!((*raw..raw + 8).contains(&size), "{}: {size}", stage.name);
            let from = names.get(before).context("no stage")?;
            let line = format!("{CONSOLE} after={from}");
            ensure!(
                stage.report.command_line().starts_with(&line),
                "{}",
                stage.report.command_line()
            );
        }
        // The last one goes nowhere.
        if stage.name != "xz" {
            let load = stage.run("load")?;
            ensure!(load.code == 0, "{}: {}", stage.name, load.err());
            let told = load.out();
            ensure!(told.contains("unpacked before the jump"), "{told}");
        }
    }
    Ok(())
}

#[test]
fn kernel_6_1() -> Result<()> {
    walk("6.1", "-c")
}

#[test]
#[ignore = "one more kernel: cargo xtask test --all"]
fn kernel_6_12() -> Result<()> {
    walk("6.12", "-c")
}

#[test]
#[ignore = "one more kernel: cargo xtask test --all"]
fn kernel_7() -> Result<()> {
    walk("7.x", "-c")
}

#[test]
#[ignore = "one more kernel with the other call: cargo xtask test --all"]
fn by_the_kernel_6_1() -> Result<()> {
    walk("6.1", "-s")
}

#[test]
#[ignore = "one more kernel with the other call: cargo xtask test --all"]
fn by_the_kernel_6_12() -> Result<()> {
    walk("6.12", "-s")
}

#[test]
fn by_the_kernel_7() -> Result<()> {
    walk("7.x", "-s")
}

/// The second kernel has room for the files, but not for the initrd that is unpacked as
/// well: it stays packed, the reason has the numbers, and the machine comes up.
#[test]
fn where_memory_is_short() -> Result<()> {
    const CONTENT: usize = 150 << 20;
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let mut root = lab.initramfs("second")?;
    add_files(&mut root, "second");
    root.file("large", vec![b'x'; CONTENT]);
    root.file("lab/script", format!("{CHECK}run size stat -c %s /large\n"));
    let initrd = pack("zstd", &root.build()?)?;
    let packed = initrd.len();
    let outcome = Guest::new(&lab, &kernel)
        .memory_mb(512)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&kernel))
        .file("initrd", initrd)
        .script(
            "run always kexec load -c --unpack=always $NEXT --initrd=/initrd --command-line=\"$CONSOLE\"\n\
             run loaded cat /sys/kernel/kexec_loaded\n\
             run load kexec load -c --unpack=auto $NEXT --initrd=/initrd --command-line=\"$CONSOLE\"\n\
             jump kexec -e\n",
        )
        .run()?;
    let first = outcome.stage("first")?;
    let always = first.run("always")?;
    ensure!(always.code == 1, "{}", always.out());
    ensure!(always.err().contains("--unpack=auto"), "{}", always.err());
    ensure!(
        always.err().contains("there is memory for"),
        "{}",
        always.err()
    );
    assert_eq!(first.run("loaded")?.out(), "0\n");
    let load = first.run("load")?;
    ensure!(load.code == 0, "{}", load.err());
    println!("{}", load.out());
    ensure!(load.out().contains("stays packed"), "{}", load.out());
    let second = outcome.stage("second")?;
    let size = second.report.boot_params()?.number("ramdisk_size")?;
    assert_eq!(usize::try_from(size)?, packed);
    ensure!(second.run("sums")?.code == 0);
    assert_eq!(second.run("size")?.out(), format!("{CONTENT}\n"));
    Ok(())
}
