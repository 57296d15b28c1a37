//! Kernels that are unpacked before the jump, and placed at random by us: one machine boots
//! once and then goes from kernel to kernel. Each initrd holds the next kernel and the next
//! initrd.

use anyhow::{Context, Result, ensure};
use kexec_image::formats::bzimage::vmlinux::START_KERNEL_MAP;
use kexec_image::{Kernel, Options, recognise};
use kexec_lab::{Guest, GuestFirmware, Initramfs, Lab, LabKernel, NextKernel, Stage};
use kexec_plan::classic::KaslrSeed;
use kexec_plan::kaslr;
use std::process::Command;
use std::time::Duration;

/// What each kernel tells of itself.
const TELL: &str = r"
grep -E ' _text$' /proc/kallsyms | put text
cat /proc/iomem | put resources
";

/// How each kernel loads the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loader {
    /// Our program, at random.
    Product,
    /// By seeds, so that it is known where the next kernel has to be.
    Seeded,
}

impl Loader {
    fn script(self, stage: usize) -> String {
        let load = match self {
            Loader::Product => {
                "kexec -d -c --unpack=always -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\""
                    .to_owned()
            }
            Loader::Seeded => {
                format!(
                    "seeded-load $NEXT $NEXT_INITRD \"$CONSOLE\" {}",
                    seed(stage)
                )
            }
        };
        format!("{TELL}run load {load}\njump kexec -e\n")
    }
}

/// The program that loads by a seed, without what debuggers need: an initrd has it.
fn seeded_load() -> Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new()?;
    let strip = Command::new("strip")
        .arg("-o")
        .args([
            file.path().as_os_str(),
            env!("CARGO_BIN_EXE_seeded-load").as_ref(),
        ])
        .status()?;
    ensure!(strip.success(), "strip: {strip}");
    Ok(std::fs::read(file.path())?)
}

fn text(stage: &Stage, name: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(stage.file(name)?).into_owned())
}

/// Where `_text` is.
fn virtual_base(stage: &Stage) -> Result<u64> {
    let line = text(stage, "text")?;
    let digits = line.split(' ').next().unwrap_or_default();
    u64::from_str_radix(digits, 16).with_context(|| format!("{}: {line:?}", stage.name))
}

/// Whether it is anywhere else in its mapping than where it is linked.
fn is_moved(stage: &Stage, kernel: &LabKernel) -> Result<bool> {
    Ok(virtual_base(stage)? != VirtualPlaces::of(kernel)?.text())
}

/// Where the kernel's code begins in physical memory.
fn physical_base(stage: &Stage) -> Result<u64> {
    let resources = text(stage, "resources")?;
    let line = resources
        .lines()
        .find(|line| line.ends_with(": Kernel code"));
    let line = line.with_context(|| format!("{}: no kernel in {resources}", stage.name))?;
    let digits = line.trim_start().split('-').next().unwrap_or_default();
    Ok(u64::from_str_radix(digits, 16)?)
}

/// The seed that a stage loads with. Plain multiples of one number gave stages the same
/// place in the mapping.
fn seed(stage: usize) -> u64 {
    let multiple = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(1 + stage as u64);
    let mixed = (multiple ^ (multiple >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// Where a kernel may be in its mapping.
struct VirtualPlaces {
    /// Where it is linked, in physical memory.
    linked: u64,
    /// It is moved by multiples of this.
    step: u64,
    /// How many bytes have to be free from there.
    len: u64,
}

impl VirtualPlaces {
    fn of(kernel: &LabKernel) -> Result<Self> {
        let image = recognise(std::fs::read(&kernel.path)?.into(), &Options::default())?;
        let Kernel::BzImage(bzimage) = &image.kernel else {
            anyhow::bail!("{} is no bzImage", kernel.path.display());
        };
        let inner = bzimage.unpack_vmlinux(&image.bytes, 1 << 30)?;
        ensure!(inner.is_movable(), "{} cannot be moved", kernel.release);
        Ok(Self {
            linked: bzimage.pref_address,
            step: bzimage.kernel_step(),
            len: inner.place_len(),
        })
    }

    /// Where `_text` is without KASLR.
    fn text(&self) -> u64 {
        START_KERNEL_MAP + self.linked
    }

    /// Where `_text` is by this seed.
    fn text_by(&self, seed: u64) -> u64 {
        let moved = kaslr::virtual_move(self.linked, self.len, self.step, KaslrSeed(seed));
        self.text() + moved
    }
}

/// The kernels of the lab with these labels.
fn kernels(lab: &Lab, labels: &[&str]) -> Result<Vec<LabKernel>> {
    labels.iter().map(|label| lab.kernel(label)).collect()
}

/// Goes from kernel to kernel, each of them unpacked.
fn walk(
    lab: &Lab,
    kernels: &[LabKernel],
    loader: Loader,
    firmware: GuestFirmware,
    cpus: u32,
) -> Result<()> {
    let mut programs = lab.product()?.files.clone();
    if loader == Loader::Seeded {
        programs.program("bin/seeded-load", seeded_load()?);
    }
    let mut inner: Option<(Vec<u8>, &LabKernel)> = None;
    let mut first = Initramfs::new();
    for (n, kernel) in kernels.iter().enumerate().rev() {
        let mut root = match n {
            0 => Initramfs::new(),
            n => lab.initramfs(&format!("stage-{n}"))?,
        };
        match inner.take() {
            Some((initrd, next)) => {
                root.merge(&programs);
                root.file("next/vmlinuz", std::fs::read(&next.path)?);
                root.file("next/initrd", initrd);
                root.file("lab/script", loader.script(n));
            }
            None => root.file("lab/script", TELL),
        }
        match n {
            0 => first = root,
            _ => inner = Some((root.build()?, kernel)),
        }
    }
    let outcome = Guest::new(lab, kernels.first().context("no kernel")?)
        .firmware(firmware)
        .cpus(cpus)
        .memory_mb(2048)
        .with(&first)
        .timeout(Duration::from_secs(600))
        .run()?;
    println!("{firmware}: {:.1} s", outcome.duration.as_secs_f64());
    assert_eq!(outcome.stages.len(), kernels.len());
    let mut loaded: Option<String> = None;
    for (n, (stage, kernel)) in outcome.stages.iter().zip(kernels).enumerate() {
        assert_eq!(stage.report.release, kernel.release);
        // On a busy host one of several processors can miss the kernel's deadline.
        let least = cpus.min(2);
        assert!((least..=cpus).contains(&stage.report.cpus), "{stage:?}");
        let bases = (physical_base(stage)?, virtual_base(stage)?);
        println!(
            "{}: code at {:#x}, _text at {:#x}",
            kernel.release, bases.0, bases.1
        );
        match (loaded.take(), loader) {
            (None, _) => {}
            (Some(said), Loader::Seeded) => {
                assert_eq!(said, format!("{:x}\n", bases.0));
                let places = VirtualPlaces::of(kernel)?;
                assert_eq!(bases.1, places.text_by(seed(n - 1)), "{}", stage.name);
            }
            (Some(said), Loader::Product) => {
                ensure!(said.contains("kernel unpacked before the jump"), "{said}");
                ensure!(is_moved(stage, kernel)?, "{} was not moved", kernel.release);
            }
        }
        if n + 1 < kernels.len() {
            let load = stage.run("load")?;
            assert_eq!(load.code, 0, "{}{}", load.out(), load.err());
            loaded = Some(match loader {
                Loader::Product => load.err(),
                Loader::Seeded => load.out(),
            });
        }
    }
    Ok(())
}

/// Each kernel is where the seeds say, in memory and in its mapping.
#[test]
fn by_seeds() -> Result<()> {
    let lab = Lab::open()?;
    let kernels = kernels(&lab, &["6.1", "6.12", "7.x", "6.1", "7.x", "6.12"])?;
    walk(&lab, &kernels, Loader::Seeded, GuestFirmware::SeaBios, 1)
}

#[test]
fn at_random_with_efi() -> Result<()> {
    let lab = Lab::open()?;
    let kernels = kernels(&lab, &["6.12", "6.1", "7.x", "6.12"])?;
    walk(&lab, &kernels, Loader::Product, GuestFirmware::Ovmf, 4)
}

/// From a kernel of the lab to the one that `KEXEC_OTHER_KERNEL` names, from that into
/// itself, and back: first by seeds, then as a user loads it.
#[test]
#[ignore = "needs a kernel of another compiler or configuration in KEXEC_OTHER_KERNEL; Debian's are all of one"]
fn another_compilers_kernel() -> Result<()> {
    let lab = Lab::open()?;
    let other = LabKernel::named_by("KEXEC_OTHER_KERNEL", "other")?;
    let (old, new) = (lab.kernel("6.12")?, lab.kernel("7.x")?);
    let [a, b, c] = std::array::from_fn(|_| other.clone());
    let kernels = [new.clone(), a, b, c, old.clone()];
    walk(&lab, &kernels, Loader::Seeded, GuestFirmware::SeaBios, 1)?;
    let kernels = [old, other.clone(), other, new];
    walk(&lab, &kernels, Loader::Product, GuestFirmware::Ovmf, 4)
}

/// What is remembered of a kernel that was unpacked before the jump, and did not arrive.
const LOST: &str = r#"{
"format": 1, "token": "0101010101010101", "boot_id": "before", "from": "6.12.1",
"asked": {"realtime": 1700000000000, "uptime": 1000, "cycles": null},
"target": {"entry": null, "kernel": "/boot/vmlinuz", "release": "6.12.1", "cmdline": ""},
"method": "kexec_load: the shortest downtime", "unpacked": true, "handover": "systemctl kexec",
"doubts": [], "one_shot": null, "cold": null,
"outcome": {"what": "cold", "to": "6.12.1", "at": 0, "candidates": []}
}"#;

/// Text without the ends of its lines.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A kernel that runs with four levels of page tables on a processor that has five: only the
/// decompressor would go up, and a kernel that is told to stay is started without it.
#[test]
fn four_levels_where_there_could_be_five() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let outcome = Guest::new(&lab, &kernel)
        .append("no5lvl")
        .file("attempt", LOST)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&kernel).script(TELL))
        .script(
            "run flags grep -m 1 ^flags /proc/cpuinfo\n\
             run up kexec plan -c $NEXT --append \"$CONSOLE\"\n\
             run always kexec load -c --unpack=always $NEXT --append \"$CONSOLE\"\n\
             mkdir -p /var/lib/kexec/attempts\n\
             cp /attempt /var/lib/kexec/attempts/00000000000000000001-0101010101010101.json\n\
             run lost kexec plan -c $NEXT --append \"$CONSOLE no5lvl\"\n\
             rm -r /var/lib/kexec\n\
             run load kexec load $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE no5lvl\"\n\
             run status kexec status\n\
             jump kexec -e\n",
        )
        .run()?;
    let first = outcome.stage("first")?;
    let flags = first.run("flags")?.out();
    ensure!(
        !flags.contains(" la57"),
        "the first kernel uses five levels"
    );
    let why = "only its decompressor goes from four-level paging to five";
    let plan = unwrapped(&first.run("up")?.out());
    ensure!(plan.contains(why), "{plan}");
    let plan = unwrapped(&first.run("lost")?.out());
    let lost = "kernel not unpacked before the jump: the last image that was unpacked before \
                the jump was not seen to arrive (/boot/vmlinuz, 6.12.1; --unpack=always tries it again)";
    ensure!(plan.contains(lost), "{plan}");
    let always = first.run("always")?;
    ensure!(
        always.code == 1 && always.err().contains(why),
        "{}",
        always.err()
    );
    let load = first.run("load")?;
    assert_eq!(load.code, 0, "{}", load.err());
    let status = first.run("status")?.out();
    ensure!(
        status.contains("kernel unpacked before the jump"),
        "{status}"
    );
    let second = outcome.stage("second")?;
    assert_eq!(second.report.release, kernel.release);
    ensure!(is_moved(second, &kernel)?, "it was not moved");
    Ok(())
}

/// A processor that has four levels only: nothing has to be said on the command line.
#[test]
fn on_a_processor_without_five_levels() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("7.x")?;
    let outcome = Guest::new(&lab, &kernel)
        .qemu_arguments(&["-cpu", "max,svm=off,la57=off"])
        .with(&lab.product()?.files)
        .next(NextKernel::new(&kernel).script(TELL))
        .script(
            "run load kexec load --unpack=always $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\"\n\
             jump kexec -e\n",
        )
        .run()?;
    let load = outcome.stage("first")?.run("load")?;
    assert_eq!(load.code, 0, "{}", load.err());
    let second = outcome.stage("second")?;
    assert_eq!(second.report.release, kernel.release);
    ensure!(is_moved(second, &kernel)?, "it was not moved");
    Ok(())
}

/// Where memory is short the bzImage is loaded as it is, with the numbers, and arrives. All
/// but 160 MiB of the free memory is taken before: the kernel takes up to twice the size of
/// the image for a moment, where its free pages are where the image goes.
#[test]
fn where_memory_is_short() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let outcome = Guest::new(&lab, &kernel)
        .memory_mb(512)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&kernel))
        .script(
            "mkdir /taken\n\
             mount -t ramfs ramfs /taken\n\
             free=$(sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)\n\
             head -c $(((free / 1024 - 160) * 1048576)) /dev/zero > /taken/all\n\
             run free grep MemAvailable /proc/meminfo\n\
             run load kexec load -c $NEXT --initrd=$NEXT_INITRD --append \"$CONSOLE\"\n\
             jump kexec -e\n",
        )
        .run()?;
    let first = outcome.stage("first")?;
    let load = first.run("load")?;
    println!("{}{}", first.run("free")?.out(), load.out());
    assert_eq!(load.code, 0, "{}", load.err());
    ensure!(
        load.out()
            .contains("larger than the part of the free memory"),
        "{}{}",
        load.out(),
        load.err()
    );
    ensure!(load.err().is_empty(), "{}", load.err());
    assert_eq!(outcome.stage("second")?.report.release, kernel.release);
    Ok(())
}
