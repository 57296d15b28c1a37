//! The log of a kernel out of dumps that others wrote: makedumpfile in the crash kernel
//! after a real panic, and QEMU of a guest that runs. Each is compared with what the
//! program that wrote it, kexec-tools, dmesg or drgn reads.

mod qmp;

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, Lab, LabKernel, NextKernel, Stage, vmcore_dmesg};
use qmp::Qmp;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// What is in the log beyond the kernel's own messages.
const WRITE: &str = r#"
printf '<3>three: bell \a umlaut \303\244\n' > /dev/kmsg
printf '<28>daemon: warning\nof two lines\n' > /dev/kmsg
echo '<6>before it was cleared' > /dev/kmsg
"#;

/// From here on is what was written since the log was cleared. dmesg is util-linux's:
/// busybox has none of these options.
const CLEAR: &str = r#"
/ref/dmesg --clear
printf '<28>since it was cleared\nof two lines\n' > /dev/kmsg
echo '<6>needle' > /dev/kmsg
"#;

/// What dmesg shows of the running kernel.
const REFERENCE: &str = r#"
mkdir -p /tmp/ref
/ref/dmesg -S > /tmp/ref/syslog
/ref/dmesg > /tmp/ref/plain
/ref/dmesg -x > /tmp/ref/decoded
/ref/dmesg -S -xP > /tmp/ref/prefixed
/ref/dmesg --level err+ > /tmp/ref/levels
/ref/dmesg --level +notice --facility daemon,user > /tmp/ref/facilities
for file in syslog plain decoded prefixed levels facilities; do put_file $file /tmp/ref/$file; done
"#;

/// The formats: the options of makedumpfile for each. `-E` is in `crash_dmesg.rs`; flattened ELF
/// is in the unit tests of kexec-vmcore.
const FORMATS: [(&str, &str); 6] = [
    ("zlib", "-c -d 31"),
    ("lzo", "-l -d 31"),
    ("snappy", "-p -d 31"),
    ("zstd", "-z -d 31"),
    ("plain", "-d 31"),
    ("flat_zlib", "-F -c -d 31"),
];

/// In the crash kernel: every format, read by ours and by makedumpfile.
fn read_all() -> String {
    let mut script = "run memory grep MemAvailable /proc/meminfo\n\
         run vmcore sh -c 'vmcore-dmesg /proc/vmcore > /tmp/vmcore'\n\
         run theirs sh -c '/ref/vmcore-dmesg /proc/vmcore > /tmp/kexec-tools'\n\
         run same_theirs cmp /tmp/vmcore /tmp/kexec-tools\n\
         run count sh -c 'wc -l < /tmp/vmcore'\n\
         run tail tail -n 60 /tmp/vmcore\n\
         run cleared vmcore-dmesg --since-clear /proc/vmcore\n\
         run caller sh -c 'vmcore-dmesg --caller /proc/vmcore | grep needle'\n\
         run level vmcore-dmesg -x --facility user,daemon /proc/vmcore\n"
        .to_owned();
    for (name, options) in FORMATS {
        let to = match name.starts_with("flat") {
            true => "> /tmp/dump",
            false => "/tmp/dump",
        };
        script.push_str(&format!(
            "run make_{name} sh -c 'makedumpfile {options} /proc/vmcore {to} 2>/tmp/err || \
             {{ code=$?; cat /tmp/err >&2; exit $code; }}'\n\
             run size_{name} sh -c 'wc -c < /tmp/dump; head -c 16 /tmp/dump'\n\
             run ours_{name} sh -c 'vmcore-dmesg /tmp/dump > /tmp/ours'\n\
             run same_{name} cmp /tmp/ours /tmp/vmcore\n\
             run differ_{name} sh -c 'diff /tmp/vmcore /tmp/ours | head -n 20'\n"
        ));
        if name.starts_with("flat") {
            script.push_str(&format!(
                "run stdin_{name} sh -c 'cat /tmp/dump | vmcore-dmesg - | cmp - /tmp/vmcore'\n\
                 run redirected_{name} sh -c 'vmcore-dmesg - < /tmp/dump | cmp - /tmp/vmcore'\n\
                 run cut_{name} sh -c 'head -c 100000 /tmp/dump | vmcore-dmesg -'\n"
            ));
        } else {
            // makedumpfile prints bytes above 127 as \xffffffNN.
            script.push_str(&format!(
                "rm -f /tmp/log\n\
                 run dump_dmesg_{name} makedumpfile --dump-dmesg /tmp/dump /tmp/log\n\
                 vmcore-dmesg --caller /tmp/dump > /tmp/caller\n\
                 sed -i 's/\\\\xffffff/\\\\x/g' /tmp/log\n\
                 run same_log_{name} cmp /tmp/log /tmp/caller\n\
                 run differ_log_{name} sh -c 'diff /tmp/log /tmp/caller | head -n 40'\n"
            ));
        }
        script.push_str("rm -f /tmp/dump\n");
    }
    script.push_str(
        "run split makedumpfile -c -d 31 --split /proc/vmcore /tmp/part1 /tmp/part2\n\
         run parts sh -c 'vmcore-dmesg /tmp/part1 /tmp/part2 | cmp - /tmp/vmcore'\n\
         run part vmcore-dmesg /tmp/part2\n\
         rm -f /tmp/part1 /tmp/part2\n",
    );
    script
}

/// The files that [`WRITE`], [`REFERENCE`] and [`read_all`] need.
fn crash(lab: &Lab, kernel: &LabKernel, append: &str) -> Result<kexec_lab::GuestRun> {
    let product = lab.product()?.files;
    let dmesg = lab.util_linux_dmesg()?;
    let mut tools = lab.kexec_tools()?;
    tools.merge(&lab.makedumpfile()?);
    tools.merge(&product);
    Guest::new(lab, kernel)
        .with(&product)
        .with(&dmesg)
        .memory_mb(768)
        .timeout(Duration::from_secs(500))
        .append(&format!(
            "crashkernel=320M printk.devkmsg=on loglevel=1 {append}"
        ))
        .next(NextKernel::new(kernel).with(&tools).script(&read_all()))
        .script(&format!(
            "{WRITE}{CLEAR}\
             run load kexec -p $NEXT --initrd $NEXT_INITRD --reuse-cmdline --append nr_cpus=1\n\
             rm -r /next\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n"
        ))
        .run()
}

fn every_format(label: &str, append: &str) -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel(label)?;
    let outcome = crash(&lab, &kernel, append)?;
    println!(
        "{}: {:.1} s",
        kernel.release,
        outcome.duration.as_secs_f64()
    );
    let two = outcome.stage("second")?;
    let out = |label: &str| two.run(label).map(|run| run.out());
    println!("{}{} lines", out("memory")?, out("count")?.trim());
    two.good("vmcore")?;
    two.good("theirs")?;
    two.good("same_theirs")?;
    let tail = out("tail")?;
    for wanted in [
        "] needle\n",
        "] Kernel panic - not syncing: sysrq triggered crash\n",
    ] {
        ensure!(tail.contains(wanted), "{wanted:?} is not in {tail}");
    }
    let cleared = out("cleared")?;
    two.good("cleared")?;
    let first = cleared.lines().next().unwrap_or_default();
    ensure!(first.ends_with("] since it was cleared"), "{cleared}");
    ensure!(cleared.contains("] Kernel panic"), "{cleared}");
    let caller = out("caller")?;
    ensure!(
        caller.contains("] [      T") && caller.ends_with("] needle\n"),
        "{caller}"
    );
    let level = out("level")?;
    ensure!(level.contains("daemon:warn  : ["), "{level}");
    ensure!(level.contains("user  :info  : ["), "{level}");
    ensure!(!level.contains("kern "), "{level}");
    let mut wrong = Vec::new();
    for (name, _) in FORMATS {
        compare(two, name, &mut wrong)?;
    }
    two.good("split")?;
    two.good("parts")?;
    let part = two.run("part")?;
    ensure!(part.code != 0, "{}", part.err());
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What became of one format.
fn compare(two: &Stage, name: &str, wrong: &mut Vec<String>) -> Result<()> {
    let run = |what: &str| two.run(&format!("{what}_{name}"));
    let make = run("make")?;
    if make.code != 0 {
        let (code, out, err) = (make.code, make.out(), make.err());
        wrong.push(format!(
            "{name}: makedumpfile ended with {code}: {out}{err}"
        ));
        return Ok(());
    }
    let size = run("size")?.out();
    println!("{name}: {}", size.replace('\n', " "));
    let ours = run("ours")?;
    if ours.code != 0 || run("same")?.code != 0 {
        let differ = run("differ")?.out();
        wrong.push(format!("{name}: {} {}{differ}", ours.code, ours.err()));
    }
    if name.starts_with("flat") {
        for what in ["stdin", "redirected"] {
            let run = run(what)?;
            if run.code != 0 {
                wrong.push(format!("{name}, {what}: {}{}", run.out(), run.err()));
            }
        }
        let cut = run("cut")?;
        ensure!(
            cut.code != 0 && cut.err().contains("has no mark at its end"),
            "{}",
            cut.err()
        );
        return Ok(());
    }
    if run("dump_dmesg")?.code != 0 {
        wrong.push(format!(
            "{name}: makedumpfile --dump-dmesg: {}",
            run("dump_dmesg")?.out()
        ));
    } else if run("same_log")?.code != 0 {
        wrong.push(format!(
            "{name}, --dump-dmesg: {}",
            run("differ_log")?.out()
        ));
    }
    Ok(())
}

#[test]
fn of_6_12() -> Result<()> {
    every_format("6.12", "")
}

/// With a log buffer outside of the kernel's image, whose address is found through page
/// tables.
#[test]
fn of_7() -> Result<()> {
    every_format("7.x", "log_buf_len=2M")
}

/// The log of a guest that runs, through QEMU: with VMCOREINFO in the dump, and without.
fn of_a_guest(label: &str, device: bool) -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel(label)?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("qmp");
    let qmp = format!("unix:{},server=on,wait=off", socket.display());
    let mut arguments = vec!["-qmp", qmp.as_str()];
    let mut files = lab.util_linux_dmesg()?;
    let mut load = "";
    if device {
        arguments.extend(["-device", "vmcoreinfo"]);
        let module = kernel.module("kernel/drivers/firmware/qemu_fw_cfg.ko")?;
        files.file("lab/qemu_fw_cfg.ko", module);
        load = "insmod /lab/qemu_fw_cfg.ko\n";
    }
    let guest = Guest::new(&lab, &kernel)
        .with(&files)
        .memory_mb(256)
        .timeout(Duration::from_secs(400))
        .append("printk.devkmsg=on loglevel=1")
        .qemu_arguments(&arguments)
        // It ends when QEMU is told to.
        .script(&format!(
            "{load}{WRITE}{REFERENCE}{CLEAR}\
             /ref/dmesg -S > /tmp/ref/cleared\nput_file cleared /tmp/ref/cleared\nsleep 1000\n"
        ));
    let dumps = folder.path().to_owned();
    let outcome = std::thread::scope(|scope| {
        let dumping = scope.spawn(|| dump_when_ready(&socket, &dumps));
        let outcome = guest.observe();
        let dumped = dumping.join().expect("no panic");
        dumped.map(|formats| outcome.map(|outcome| (outcome, formats)))
    });
    let (outcome, formats) = outcome??;
    for needed in ["elf", "kdump-zlib"] {
        ensure!(
            formats.iter().any(|format| format == needed),
            "QEMU wrote no {needed}: {formats:?}"
        );
    }
    println!(
        "{}: {:.1} s, {formats:?}",
        kernel.release,
        outcome.duration.as_secs_f64()
    );
    let one = outcome.stage("first")?;
    let reference = |name: &str| -> Result<String> {
        let text = String::from_utf8_lossy(one.file(name)?).into_owned();
        // dmesg prints UTF-8; a dump may hold anything, so ours does not.
        Ok(text.replace('ä', "\\xc3\\xa4"))
    };
    for format in &formats {
        let dump = dumps.join(format);
        let header = vmcore_dmesg(&["--vmcoreinfo"], &dump)?;
        ensure!(
            header.contains(&format!("OSRELEASE={}\n", kernel.release)),
            "{header}"
        );
        for (options, name) in [
            (&["-P"][..], "syslog"),
            (&["-x"], "decoded"),
            (&["-xP"], "prefixed"),
            (&["--level", "err+"], "levels"),
            (
                &["--level", "+notice", "--facility", "daemon,user"],
                "facilities",
            ),
        ] {
            same(&vmcore_dmesg(options, &dump)?, &reference(name)?)
                .with_context(|| format!("{format}, {options:?}"))?;
        }
        let raw = vmcore_dmesg(&["--raw", "--level", "warn", "--facility", "daemon"], &dump)?;
        ensure!(
            raw.starts_with("<28>[") && raw.contains("] daemon: warning\nof two"),
            "{raw}"
        );
    }
    if device {
        // drgn does not read QEMU's kdump: it has no name of the machine.
        let dump = dumps.join("elf");
        let ours: Value = serde_json::from_str(&vmcore_dmesg(&["--json"], &dump)?)?;
        let texts = ours
            .get("records")
            .and_then(Value::as_array)
            .context("records")?
            .iter();
        let texts = texts.map(|record| escaped(record["text"].as_str().unwrap_or("")) + "\n");
        same(&texts.collect::<String>(), &lab.drgn()?.log(&dump)?).context("drgn")?;
    }
    Ok(())
}

/// As the lab's script for drgn prints a text.
fn escaped(text: &str) -> String {
    let byte = |byte: &u8| match byte {
        b'\t' | b'\n' | 32..=126 => char::from(*byte).to_string(),
        other => format!("\\x{other:02x}"),
    };
    text.as_bytes().iter().map(byte).collect()
}

/// What the guest has at its end is in the last of these; then QEMU is told to end.
fn dump_when_ready(socket: &Path, dumps: &Path) -> Result<Vec<String>> {
    let mut qmp = Qmp::connect(socket, Duration::from_secs(200))?;
    let began = Instant::now();
    let probe = dumps.join("probe");
    loop {
        std::thread::sleep(Duration::from_secs(5));
        qmp.dump("elf", &probe)?;
        // The shell's own process, in its sleep, is not visible; but nothing is logged
        // after this message.
        if vmcore_dmesg(&[], &probe).is_ok_and(|log| log.contains("] needle\n")) {
            break;
        }
        ensure!(
            began.elapsed() < Duration::from_secs(250),
            "the guest did not write its needle"
        );
    }
    // The reference is written by then.
    std::thread::sleep(Duration::from_secs(10));
    let formats = qmp.formats()?;
    for format in &formats {
        let began = Instant::now();
        qmp.dump(format, &dumps.join(format))?;
        let len = dumps.join(format).metadata()?.len();
        println!(
            "{format}: {len} bytes, {:.1} s",
            began.elapsed().as_secs_f64()
        );
    }
    qmp.quit()?;
    Ok(formats)
}

/// Compares line by line. Ours may have more at the end: the guest goes on after its
/// reference was written.
fn same(ours: &str, theirs: &str) -> Result<()> {
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        ensure!(
            ours.trim_end() == theirs.trim_end(),
            "line {}:\n{ours}\n{theirs}",
            number + 1
        );
    }
    let later = ours.lines().skip(theirs.lines().count());
    later.for_each(|line| println!("later: {line}"));
    let (ours, theirs) = (ours.lines().count(), theirs.lines().count());
    ensure!(ours >= theirs && theirs > 0, "{ours} lines, {theirs} lines");
    Ok(())
}

#[test]
fn qemu_with_vmcoreinfo() -> Result<()> {
    of_a_guest("6.12", true)
}

#[test]
fn qemu_without_vmcoreinfo() -> Result<()> {
    of_a_guest("7.x", false)
}
