//! Initrds in every compression that kernels unpack, through `kexec_load(2)`.
//!
//! One machine boots once and then goes from kernel to kernel: each initrd
//! holds the next kernel and the next initrd.

use anyhow::{Context, Result, ensure};
use kexec_image::testing::codec::{COMPRESSORS, FilterType, xz_filtered, xz_with_crc64};
use kexec_lab::{Guest, Initramfs, Lab, LabKernel, NextKernel};
use std::time::Duration;

const CONSOLE: &str = "console=ttyS0 panic=-1";

/// How an initrd is packed: the stage's name, the row of the compressors (none
/// for the bare archive), and the bytes at its start.
struct Packing {
    name: &'static str,
    compressor: Option<&'static str>,
    magic: &'static [u8],
}

/// In the order of the walk. Those behind are inside of those in front, so the
/// slowest to pack and to unpack is the last and smallest one. The magic numbers
/// are those that the kernel's initramfs knows (Documentation/filesystems/
/// ramfs-rootfs-initramfs.rst and each format's own document).
const PACKINGS: [Packing; 5] = [
    Packing {
        name: "raw",
        compressor: None,
        magic: b"070701",
    },
    Packing {
        name: "lz4",
        compressor: Some("lz4 legacy"),
        magic: &[0x02, 0x21, 0x4c, 0x18],
    },
    Packing {
        name: "zstd",
        compressor: Some("zstd"),
        magic: &[0x28, 0xb5, 0x2f, 0xfd],
    },
    Packing {
        name: "gzip",
        compressor: Some("gzip"),
        magic: &[0x1f, 0x8b],
    },
    Packing {
        name: "xz",
        compressor: Some("xz"),
        magic: &[0xfd, b'7', b'z', b'X', b'Z', 0],
    },
];

impl Packing {
    fn pack(&self, archive: Vec<u8>) -> Result<Vec<u8>> {
        let packed = match self.compressor {
            None => archive,
            Some(name) => {
                let row = COMPRESSORS.iter().find(|row| row.name == name);
                (row.with_context(|| format!("no compressor {name}"))?
                    .compress)(&archive)
            }
        };
        ensure!(packed.starts_with(self.magic), "{} is not that", self.name);
        Ok(packed)
    }
}

/// Adds the kernel, the initrd of the next stage, and the way there.
fn lead_on(root: &mut Initramfs, lab: &Lab, kernel: &LabKernel, initrd: Vec<u8>) -> Result<()> {
    root.merge(&lab.product()?.files);
    root.file("next/vmlinuz", std::fs::read(&kernel.path)?);
    root.file("next/initrd", initrd);
    root.file(
        "lab/script",
        "run load kexec -c -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE after=$STAGE\"\n\
         jump kexec -e\n",
    );
    Ok(())
}

/// The kernel starts itself again with one initrd after the other.
fn walk(label: &str) -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel(label)?;
    let mut inner = None;
    for packing in PACKINGS.iter().rev() {
        let mut root = lab.initramfs(packing.name)?;
        if let Some(initrd) = inner {
            lead_on(&mut root, &lab, &kernel, initrd)?;
        }
        inner = Some(packing.pack(root.build()?)?);
    }
    let mut first = Initramfs::new();
    lead_on(&mut first, &lab, &kernel, inner.context("no initrd")?)?;
    let outcome = Guest::new(&lab, &kernel)
        .with(&first)
        .timeout(Duration::from_secs(240))
        .run()?;
    println!("{label}: {:.1} s", outcome.duration.as_secs_f64());

    let names: Vec<_> = outcome.stages.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["first", "raw", "lz4", "zstd", "gzip", "xz"]);
    let mut before: Option<&str> = None;
    for stage in &outcome.stages {
        assert_eq!(stage.report.release, kernel.release);
        if let Some(before) = before {
            let line = format!("{CONSOLE} after={before}");
            assert_eq!(stage.report.command_line(), line);
        }
        // The last one goes nowhere.
        if stage.name != "xz" {
            let load = stage.run("load")?;
            assert_eq!((load.code, load.err().as_str()), (0, ""), "{}", stage.name);
        }
        before = Some(&stage.name);
    }
    Ok(())
}

#[test]
#[ignore = "one more kernel: cargo xtask test --all"]
fn kernel_6_1() -> Result<()> {
    walk("6.1")
}

#[test]
#[ignore = "one more kernel: cargo xtask test --all"]
fn kernel_6_12() -> Result<()> {
    walk("6.12")
}

#[test]
fn kernel_7() -> Result<()> {
    walk("7.x")
}

/// Initrds that no kernel unpacks, by name: one that is cut short, one that is cut inside
/// of what is not cut, one whose check and one whose filter kernels do not know, and one
/// whose filter Debian's kernels for x86 are built without.
fn broken(lab: &Lab) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let archive = lab.initramfs("second")?.build()?;
    let zstd = COMPRESSORS.iter().find(|row| row.name == "zstd");
    let zstd = zstd.context("no compressor zstd")?.compress;
    let half = |bytes: &[u8]| bytes.get(..bytes.len() / 2).unwrap_or_default().to_vec();
    Ok(vec![
        ("cut", half(&zstd(&archive))),
        ("cut-inside", zstd(&half(&archive))),
        ("crc64", xz_with_crc64(&archive)),
        (
            "arm",
            xz_filtered(&archive, &[(FilterType::BcjArm, 0)], None),
        ),
        (
            "delta",
            xz_filtered(&archive, &[(FilterType::Delta, 4)], None),
        ),
    ])
}

/// Why `initrd-intact` refuses them: the kernel says it in one line, and panics.
#[test]
#[ignore = "ten panics: cargo xtask test --all"]
fn what_is_refused_would_panic() -> Result<()> {
    let lab = Lab::open()?;
    for label in ["6.1", "7.x"] {
        let kernel = lab.kernel(label)?;
        for (name, initrd) in broken(&lab)? {
            let outcome = Guest::new(&lab, &kernel)
                .with(&lab.product()?.files)
                .next(NextKernel::new(&kernel))
                .file(name, initrd)
                .script(&format!(
                    "run load kexec -c -l $NEXT --initrd /{name} --append \"$CONSOLE\"\n\
                     jump kexec -e\n"
                ))
                .observe()?;
            assert_eq!(outcome.stage("first")?.run("load")?.err(), "");
            let (_, second) = outcome
                .console
                .split_once("Starting new kernel")
                .context("no jump")?;
            println!(
                "{label} {name}: {}",
                second.contains("Initramfs unpacking failed")
            );
            ensure!(outcome.stage("second").is_err(), "{label}: {name} arrived");
            ensure!(second.contains("Kernel panic"), "{label} {name}: {second}");
        }
    }
    Ok(())
}

/// The verbs refuse them as they are, and load what looks odd and is read: the filter of
/// another architecture that this kernel is built with. kexec-tools' spelling loads all of
/// it. Unpacked before the jump, what this kernel was built without is no obstacle.
#[test]
fn refused_for_the_verbs() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let archive = lab.initramfs("second")?.build()?;
    // Its own configuration, but for one line.
    let config = format!("config-{}", kernel.release);
    let text = std::fs::read_to_string(kernel.path.with_file_name(&config))?;
    ensure!(text.contains("\nCONFIG_XZ_DEC_ARM64=y\n"));
    let without = text
        .replace("\nCONFIG_RD_ZSTD=y\n", "\n# CONFIG_RD_ZSTD is not set\n")
        .replace("\nCONFIG_DECOMPRESS_ZSTD=y\n", "\n");
    ensure!(without.len() < text.len());
    let zstd = COMPRESSORS.iter().find(|row| row.name == "zstd");
    let zstd = zstd.context("no compressor zstd")?.compress;
    let mut refused = broken(&lab)?;
    refused.push(("zstd", zstd(&archive)));
    let mut guest = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&kernel))
        .file(&format!("next/{config}"), without)
        .file(
            "arm64",
            xz_filtered(&archive, &[(FilterType::BcjArm64, 0)], None),
        );
    let mut script = String::new();
    for (name, initrd) in &refused {
        guest = guest.file(name, initrd.clone());
        script.push_str(&format!(
            "run {name} kexec load --unpack=never $NEXT --initrd /{name} --append \"$CONSOLE\"\n\
             run loaded-{name} cat /sys/kernel/kexec_loaded\n\
             run check-{name} kexec check --unpack=never $NEXT --initrd /{name} --append \"$CONSOLE\"\n\
             run unpacked-{name} kexec load $NEXT --initrd /{name} --append \"$CONSOLE\"\n\
             run old-{name} kexec -l $NEXT --initrd /{name} --append \"$CONSOLE\"\n\
             run unload kexec -u\n"
        ));
    }
    script.push_str(
        "run arm64 kexec load --unpack=never $NEXT --initrd /arm64 --append \"$CONSOLE\"\n\
         run last kexec load $NEXT --initrd /arm --append \"$CONSOLE\"\n\
         jump kexec -e\n",
    );
    let outcome = guest.script(&script).run()?;
    let first = outcome.stage("first")?;
    for ((name, _), words) in refused.iter().zip([
        "it is cut short or damaged",
        "in what zstd unpacks to",
        "CRC64",
        "built without CONFIG_XZ_DEC_ARM (/next/config-",
        "the delta filter",
        "built without CONFIG_RD_ZSTD (/next/config-",
    ]) {
        let load = first.run(name)?;
        println!("{}", load.err());
        assert_eq!(load.code, 1, "{name}: {}", load.err());
        ensure!(load.err().contains(words), "{name}: {}", load.err());
        assert_eq!(first.run(&format!("loaded-{name}"))?.out(), "0\n");
        let check = first.run(&format!("check-{name}"))?;
        ensure!(
            check.code == 1 && check.out().contains(words),
            "{}",
            check.out()
        );
        let unpacked = first.run(&format!("unpacked-{name}"))?;
        // What no kernel reads is still refused; what this one was built without is not.
        let refused = !words.starts_with("built without");
        assert_eq!(
            unpacked.code,
            u8::from(refused),
            "{name}: {}",
            unpacked.err()
        );
        let old = first.run(&format!("old-{name}"))?;
        assert_eq!((old.code, old.err().as_str()), (0, ""), "{name}");
    }
    for name in ["arm64", "last"] {
        assert_eq!(first.run(name)?.code, 0, "{}", first.run(name)?.err());
    }
    assert_eq!(outcome.stage("second")?.report.release, kernel.release);
    Ok(())
}
