//! `kexec crash` on real kernels: the crash kernel that it loads is the running one with a
//! derived command line, and a panic really starts it.

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, Lab, NextKernel};
use serde_json::Value;

/// The running kernel in /boot, and an initrd where Debian's kdump-tools would put it.
const FILES: &str = "\
mkdir -p /run /boot /var/crash /var/lib/kdump
ln -s $NEXT /boot/vmlinuz-$(uname -r)
ln -s $NEXT_INITRD /var/lib/kdump/initrd.img-$(uname -r)
";

/// What the crash kernel must have on its command line, and nothing of it twice.
const ADDED: &[&str] = &[
    "nr_cpus=1",
    "reset_devices",
    "irqpoll",
    "panic=10",
    "novmcoredd",
    "cgroup_disable=memory",
    "mce=off",
    "numa=off",
    "acpi_no_memhotplug",
    "memhp_default_state=offline",
    "transparent_hugepage=never",
    "hest_disable",
    "pcie_ports=compat",
    "cma=0",
];

/// A key of a document.
fn key<'a>(document: &'a Value, key: &str) -> Result<&'a Value> {
    document
        .get(key)
        .with_context(|| format!("no {key} in {document:#}"))
}

/// From an empty slot to the panic and into the crash kernel.
fn cycle(version: &str) -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel(version)?;
    let script = format!(
        "{FILES}\
         run before kexec crash status\n\
         run check kexec check -p\n\
         run estimate kexec crash estimate --json\n\
         run dry kexec crash load --dry-run\n\
         run empty kexec -S\n\
         run load kexec crash load --append kept=2\n\
         run armed kexec -S\n\
         run status kexec crash status\n\
         run json kexec crash status --json\n\
         run shrink_loaded kexec crash shrink 160M\n\
         run raw sh -c 'echo 167772160 > /sys/kernel/kexec_crash_size || \
            echo 167772160 > /sys/kernel/kexec/crash_size'\n\
         run unload kexec crash unload\n\
         run unloaded kexec -S\n\
         run shrink_dry kexec crash shrink 160M --dry-run\n\
         run shrink kexec crash shrink 160M --json\n\
         run size kexec --print-ckr-size\n\
         run larger kexec crash shrink 200M\n\
         rm /var/lib/kdump/*\n\
         cp $NEXT_INITRD /var/lib/kdump/initrd.img-$(uname -r)\n\
         run again kexec crash load\n\
         run touched sh -c 'echo >> /var/lib/kdump/initrd.img-$(uname -r)'\n\
         run changed kexec crash status\n\
         jump sh -c 'echo c > /proc/sysrq-trigger'\n"
    );
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .append("crashkernel=256M BOOT_IMAGE=/vmlinuz hugepages=3 quiet kept=1")
        .next(NextKernel::new(&kernel).script(
            "run elf head -c 4 /proc/vmcore\n\
             run memory cat /proc/meminfo\n",
        ))
        .script(&script)
        .run()?;
    let one = outcome.stage("first")?;
    for label in [
        "before", "check", "estimate", "dry", "load", "status", "json", "raw", "shrink", "changed",
    ] {
        let run = one.run(label)?;
        println!("== {label}: {}\n{}{}", run.code, run.out(), run.err());
    }
    let code = |label: &str| one.run(label).map(|run| run.code);
    let says = |label: &str, text: &str| -> Result<()> {
        let run = one.run(label)?;
        let all = run.out() + &run.err();
        ensure!(all.contains(text), "{label}: no {text:?} in:\n{all}");
        Ok(())
    };
    says("before", "armed       no")?;
    assert_eq!(code("check")?, 0);
    says("check", "[dump-region]")?;
    says("dry", "removed   hugepages=3: it reserves memory")?;
    says("dry", "added     nr_cpus=1")?;
    assert_eq!((code("dry")?, code("empty")?), (0, 0));
    assert_eq!((code("load")?, code("armed")?), (0, 1));
    says("status", "armed       yes, since 20")?;
    says("status", "as it was loaded")?;
    let status: Value = serde_json::from_slice(&one.run("json")?.stdout)?;
    assert_eq!(key(&status, "armed")?, true);
    assert_eq!(key(&status, "reserved")?, 256 << 20);
    assert_eq!(key(&status, "release")?, key(&status, "running")?);
    let files = key(&status, "files")?.as_array().map(Vec::len);
    assert_eq!(files, Some(2));
    let estimate: Value = serde_json::from_slice(&one.run("estimate")?.stdout)?;
    assert_eq!(key(&status, "needed")?, key(&estimate, "bytes")?);
    // Refused before the kernel is asked, which would answer ENOENT.
    assert_eq!(code("shrink_loaded")?, 1);
    says("shrink_loaded", "a crash kernel is loaded in it")?;
    ensure!(
        code("raw")? != 0,
        "the kernel shrinks a region that is in use"
    );
    assert_eq!((code("unload")?, code("unloaded")?), (0, 0));
    says("shrink_dry", "Would return 96 MiB")?;
    assert_eq!(code("shrink")?, 0);
    let shrunk: Value = serde_json::from_slice(&one.run("shrink")?.stdout)?;
    assert_eq!(
        (key(&shrunk, "freed")?, key(&shrunk, "done")?),
        (&(96 << 20).into(), &true.into())
    );
    says("size", "167772160")?;
    assert_eq!(code("larger")?, 1);
    assert_eq!(code("again")?, 0);
    says("changed", "CHANGED since it was loaded")?;

    let two = outcome.stage("second")?;
    assert_eq!(two.run("elf")?.stdout, b"\x7fELF");
    let line = two.report.command_line();
    println!("== crash kernel: {line}");
    for word in ADDED {
        let count = line.split(' ').filter(|found| found == word).count();
        assert_eq!(count, 1, "{word} in {line}");
    }
    for gone in [
        "crashkernel=",
        "BOOT_IMAGE=",
        "hugepages=",
        "quiet",
        "panic=-1",
    ] {
        ensure!(!line.contains(gone), "{gone} in {line}");
    }
    ensure!(
        line.contains("kept=1") && !line.contains("kept=2"),
        "{line}"
    );
    Ok(())
}

#[test]
fn armed_and_started_by_a_panic_on_6_12() -> Result<()> {
    cycle("6.12")
}

#[test]
fn armed_and_started_by_a_panic_on_7() -> Result<()> {
    cycle("7.x")
}

/// Without a reservation every check is still shown, and one of them refuses.
#[test]
fn without_a_region_the_check_refuses() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&kernel))
        .script(&format!(
            "{FILES}\
             run check kexec check -p\n\
             run load kexec crash load\n\
             run estimate kexec crash estimate\n\
             run shrink kexec crash shrink\n\
             run status kexec crash status\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    for label in ["check", "load", "estimate", "shrink", "status"] {
        let run = one.run(label)?;
        println!("== {label}: {}\n{}{}", run.code, run.out(), run.err());
    }
    let check = one.run("check")?;
    assert_eq!(check.code, 1);
    ensure!(check.out().contains("add crashkernel="), "{}", check.out());
    ensure!(check.out().contains("[vmcore-support]"), "{}", check.out());
    let load = one.run("load")?;
    assert_eq!(load.code, 1);
    ensure!(load.err().contains("crashkernel="), "{}", load.err());
    ensure!(one.run("estimate")?.out().contains("crashkernel="));
    assert_eq!(one.run("shrink")?.code, 1);
    ensure!(
        one.run("status")?
            .out()
            .contains("nothing; 104 MiB are needed")
    );
    Ok(())
}

/// In a region of exactly the estimate, the crash kernel comes up. The smallest regions in
/// which it does are 80, 72 and 88 MiB (`MEASURED` in `kexec-lab/tests/panics/estimate.rs``).
#[test]
fn a_region_of_the_estimate_is_enough() -> Result<()> {
    const MIB: u64 = 1 << 20;
    let lab = Lab::open()?;
    for (version, estimate) in [("6.1", 104), ("6.12", 104), ("7.x", 112)] {
        let kernel = lab.kernel(version)?;
        let outcome = Guest::new(&lab, &kernel)
            .with(&lab.product()?.files)
            .append(&format!("crashkernel={estimate}M"))
            .next(NextKernel::new(&kernel).script("run elf head -c 4 /proc/vmcore\n"))
            .script(&format!(
                "{FILES}\
                 run json kexec crash status --json\n\
                 run load kexec crash load\n\
                 jump sh -c 'echo c > /proc/sysrq-trigger'\n"
            ))
            .run()?;
        let one = outcome.stage("first")?;
        let status: Value = serde_json::from_slice(&one.run("json")?.stdout)?;
        assert_eq!(key(&status, "reserved")?, estimate * MIB, "{version}");
        assert_eq!(key(&status, "needed")?, estimate * MIB, "{version}");
        assert_eq!(one.run("load")?.code, 0);
        let two = outcome.stage("second")?;
        assert_eq!(two.run("elf")?.stdout, b"\x7fELF", "{version}");
    }
    Ok(())
}

/// The `Crash kernel` parts of /proc/iomem, in MiB, lowest first.
fn parts(iomem: &str) -> Result<Vec<u64>> {
    let lines = iomem.lines().filter(|line| line.contains("Crash kernel"));
    let mut parts = Vec::new();
    for line in lines {
        let range = line.split(" : ").next().unwrap_or_default().trim();
        let (start, end) = range.split_once('-').context("no range")?;
        let number = |text: &str| u64::from_str_radix(text, 16);
        parts.push((number(end)? + 1 - number(start)?) >> 20);
    }
    Ok(parts)
}

/// A part above 4 GiB and one below: a crash kernel goes into the higher one only, and that is
/// the one that becomes smaller. A newer kernel counts both as the size. With `tight` MiB an
/// image would not fit any more.
fn shrunk_with_a_high_part(version: &str, tight: u32) -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel(version)?;
    let outcome = Guest::new(&lab, &kernel)
        .memory_mb(4608)
        .with(&lab.product()?.files)
        .append("crashkernel=256M,high crashkernel=72M,low")
        .next(NextKernel::new(&kernel).script("run elf head -c 4 /proc/vmcore\n"))
        .script(&format!(
            "{FILES}\
             run before cat /proc/iomem\n\
             run shown kexec --print-ckr-size\n\
             run tight kexec crash shrink {tight}M\n\
             run unchanged kexec --print-ckr-size\n\
             mv /var/lib/kdump/initrd.img-* /boot/\n\
             run uncertain kexec crash shrink\n\
             run normal kexec crash estimate /boot/vmlinuz-$(uname -r)\n\
             mv /boot/initrd.img-* /var/lib/kdump/elsewhere\n\
             run none kexec crash estimate /boot/vmlinuz-$(uname -r)\n\
             mv /var/lib/kdump/elsewhere /var/lib/kdump/initrd.img-$(uname -r)\n\
             run shrink kexec crash shrink\n\
             run after cat /proc/iomem\n\
             run again kexec crash shrink\n\
             run load kexec crash load\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n"
        ))
        .run()?;
    let one = outcome.stage("first")?;
    for label in [
        "shown",
        "tight",
        "uncertain",
        "normal",
        "none",
        "shrink",
        "again",
        "load",
    ] {
        let run = one.run(label)?;
        println!("== {label}: {}\n{}{}", run.code, run.out(), run.err());
    }
    let of = |label: &str| parts(&one.run(label)?.out());
    println!(
        "== {version}: {:?} -> {:?} MiB",
        of("before")?,
        of("after")?
    );
    assert_eq!(of("before")?, [72, 256]);
    let tight = one.run("tight")?;
    assert_eq!(tight.code, 1);
    ensure!(tight.err().contains("would be left"), "{}", tight.err());
    let shown = |label: &str| one.run(label).map(|run| run.out());
    assert_eq!(shown("shown")?, shown("unchanged")?);
    // Without the initrd of a service, nothing is certain.
    let uncertain = one.run("uncertain")?;
    assert_eq!(uncertain.code, 1);
    ensure!(
        uncertain.err().contains("is not certain: no service"),
        "{}",
        uncertain.err()
    );
    let normal = one.run("normal")?.out();
    ensure!(
        normal.contains("/boot/initrd.img-") && normal.contains("crashkernel="),
        "{normal}"
    );
    let none = one.run("none")?.out();
    ensure!(
        none.contains("no initrd is known") && !none.contains("crashkernel="),
        "{none}"
    );
    let shrink = one.run("shrink")?;
    ensure!(shrink.code == 0, "{}", shrink.err());
    let after = of("after")?;
    let [72, high] = *after.as_slice() else {
        anyhow::bail!("{after:?}");
    };
    ensure!((64..256).contains(&high), "{after:?}");
    let again = one.run("again")?;
    ensure!(
        again.err().contains("nothing can be returned"),
        "{}",
        again.err()
    );
    let load = one.run("load")?;
    ensure!(load.code == 0, "{}", load.err());
    let two = outcome.stage("second")?;
    assert_eq!(two.run("elf")?.stdout, b"\x7fELF");
    Ok(())
}

#[test]
fn a_shrunk_high_part_still_takes_a_crash_kernel_6_12() -> Result<()> {
    shrunk_with_a_high_part("6.12", 132)
}

#[test]
fn a_shrunk_high_part_still_takes_a_crash_kernel_6_1() -> Result<()> {
    shrunk_with_a_high_part("6.1", 64)
}
