//! `kexec crash dmesg FILE` in the crash kernel, on dumps that makedumpfile has just made: ELF
//! and its own format, against the dmesg of the kernel that crashed and against drgn.

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, KeptFiles, Lab, NextKernel, Stage};
use std::path::Path;
use std::time::Duration;

/// What is in the log beyond the kernel's own messages. dmesg is util-linux's.
const WRITE: &str = r#"
printf '<3>three: bell \a\n' > /dev/kmsg
printf '<28>daemon: warning\nof two lines\n' > /dev/kmsg
echo '<6>before it was cleared' > /dev/kmsg
/ref/dmesg --level err+ | put level
/ref/dmesg --level +notice --facility daemon,user | put facility
/ref/dmesg --clear
printf '<28>since it was cleared\nof two lines\n' > /dev/kmsg
echo '<6>needle' > /dev/kmsg
/ref/dmesg -S | put since
"#;

/// The options, by the names of what dmesg showed.
const OPTIONS: [(&str, &str); 3] = [
    ("level", "--level err+"),
    ("facility", "--level +notice --facility daemon,user"),
    ("since", "-P --since-clear"),
];

/// The dumps: what makes each.
const DUMPS: [(&str, &str); 3] = [
    ("elf", "makedumpfile -E -d 31 /proc/vmcore /tmp/out/elf"),
    ("zstd", "makedumpfile -z -d 31 /proc/vmcore /tmp/out/zstd"),
    ("vmcore", "ln -s /proc/vmcore /tmp/vmcore"),
];

fn capture() -> String {
    let mut script = ". /lab/kept\nmkdir /tmp/out\n\
         mount -t tmpfs -o size=90% out /tmp/out\n"
        .to_owned();
    for (name, make) in DUMPS {
        let file = match name {
            "vmcore" => "/tmp/vmcore".to_owned(),
            _ => format!("/tmp/out/{name}"),
        };
        script.push_str(&format!("run make-{name} {make}\n"));
        script.push_str(&format!(
            "run head-{name} head -c 8 {file}\n\
             run all-{name} sh -c 'kexec crash dmesg {file} > /tmp/out/{name}.log'\n"
        ));
        for (option, words) in OPTIONS {
            script.push_str(&format!(
                "run {option}-{name} kexec crash dmesg {words} {file}\n"
            ));
        }
    }
    script.push_str(
        "run one cmp /tmp/out/elf.log /tmp/out/vmcore.log\n\
         run two cmp /tmp/out/zstd.log /tmp/out/vmcore.log\n\
         run keep keep /tmp/out\n",
    );
    script
}

/// Each line of dmesg is there, in its order and at the beginning; the crash came later.
fn begins_with(ours: &str, theirs: &str) -> Result<()> {
    let later = ours
        .strip_prefix(theirs)
        .with_context(|| format!("dmesg:\n{theirs}\nours:\n{ours}"))?;
    ensure!(!theirs.is_empty(), "dmesg showed nothing");
    println!(
        "{} lines, {} later",
        theirs.lines().count(),
        later.lines().count()
    );
    Ok(())
}

/// The messages of a log without their times.
fn messages(log: &str) -> Vec<&str> {
    log.lines()
        .map(|line| match line.split_once("] ") {
            Some((time, text)) if time.starts_with('[') => text.trim_end(),
            _ => line.trim_end(),
        })
        .collect()
}

fn file(stage: &Stage, name: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(stage.file(name)?).into_owned())
}

fn log(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

#[test]
fn of_an_elf_dump_and_of_a_compressed_one() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let folder = tempfile::tempdir()?;
    let kept = KeptFiles::new(folder.path(), 512)?;
    let arguments = kept.qemu_arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let product = lab.product()?.files;
    let mut tools = lab.makedumpfile()?;
    tools.merge(&product);
    tools.merge(&KeptFiles::files(&kernel)?);
    let outcome = Guest::new(&lab, &kernel)
        .with(&product)
        .with(&lab.util_linux_dmesg()?)
        .memory_mb(768)
        .qemu_arguments(&arguments)
        .append("crashkernel=320M printk.devkmsg=on loglevel=1")
        .next(NextKernel::new(&kernel).with(&tools).script(&capture()))
        .script(&format!(
            "{WRITE}\
             run load kexec -p $NEXT --initrd $NEXT_INITRD --reuse-cmdline --append nr_cpus=1\n\
             rm -r /next\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n"
        ))
        .timeout(Duration::from_secs(240))
        .run()?;
    println!("{:?}", outcome.duration);
    let (one, two) = (outcome.stage("first")?, outcome.stage("second")?);
    one.good("load")?;
    for run in &two.runs {
        let (out, err) = (run.out(), run.err());
        println!("# {} {}\n{out:.600}{err:.600}", run.label, run.code);
    }
    ensure!(two.good("head-elf")?.stdout.starts_with(b"\x7fELF"));
    ensure!(two.good("head-zstd")?.stdout.starts_with(b"KDUMP   "));
    for (name, _) in DUMPS {
        two.good(&format!("make-{name}"))?;
        two.good(&format!("all-{name}"))?;
        for (option, _) in OPTIONS {
            let ours = two.good(&format!("{option}-{name}"))?.out();
            begins_with(&ours, &file(one, option)?)
                .with_context(|| format!("{option} of {name}"))?;
        }
    }
    two.good("one")?;
    two.good("two")?;
    two.good("keep")?;
    let out = folder.path().join("out");
    std::fs::create_dir(&out)?;
    kept.unpack(&out)?;
    let drgn = lab.drgn()?;
    for name in ["elf", "zstd"] {
        let ours = log(&out, &format!("{name}.log"))?;
        let theirs = drgn.log(&out.join(name))?;
        let theirs: Vec<&str> = theirs.lines().map(str::trim_end).collect();
        assert_eq!(messages(&ours), theirs, "{name}");
        println!("{name}: {} lines, as drgn shows them", theirs.len());
    }
    Ok(())
}
