//! The log of a kernel that has really crashed, out of /proc/vmcore of the crash
//! kernel, beside what kexec-tools makes of it.

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, GuestRun, Lab, NextKernel};
use serde_json::Value;

/// Messages that are not plain text, and more of them than the log has room for.
const WRITE: &str = r#"
printf '<3>three: bell \a tab \t escape \033[2J backslash \\ umlaut \303\244\n' > /dev/kmsg
printf '<4>two\nlines' > /dev/kmsg
printf '<5>\n' > /dev/kmsg
printf '<13>user: notice' > /dev/kmsg
"#;
const FILL: &str = r#"
number=0
while [ $number -lt 4000 ]; do
	echo "<6>message $number of many, and this one is not a short one" > /dev/kmsg
	number=$((number + 1))
done
"#;

/// Both programs over one dump; files stay in the guest, the serial line is slow.
const READ: &str = r#"
run ours sh -c 'vmcore-dmesg /proc/vmcore > /tmp/ours'
run theirs sh -c '/ref/vmcore-dmesg /proc/vmcore > /tmp/theirs'
run same cmp /tmp/ours /tmp/theirs
run differ sh -c 'diff /tmp/theirs /tmp/ours | head -n 20'
run count sh -c 'wc -l < /tmp/ours'
run tail sed -n '/three: bell/,$p' /tmp/ours
run raw sh -c 'vmcore-dmesg -r /proc/vmcore | grep -F -e "three: bell" -e "user: notice"'
run json sh -c 'vmcore-dmesg --json /proc/vmcore > /tmp/json && head -n 1 /tmp/json && grep -F "three: bell" /tmp/json && tail -n 1 /tmp/json'
run info vmcore-dmesg --vmcoreinfo /proc/vmcore
run osrelease sh -c 'tr "\0" "\n" < /proc/vmcore | head -c 100000 | grep -a -m 1 OSRELEASE='
run cut sh -c 'head -c 10000 /proc/vmcore > /tmp/cut; vmcore-dmesg /tmp/cut'
run other vmcore-dmesg /bin/busybox
run nothing vmcore-dmesg /nowhere
run usage vmcore-dmesg
"#;

fn crash(label: &str, fill: bool) -> Result<(GuestRun, String)> {
    let lab = Lab::open()?;
    let kernel = lab.kernel(label)?;
    let product = lab.product()?.files;
    let mut tools = lab.kexec_tools()?;
    tools.merge(&product);
    let fill = if fill { FILL } else { "" };
    let outcome = Guest::new(&lab, &kernel)
        .with(&product)
        .append("crashkernel=256M printk.devkmsg=on loglevel=1")
        .next(NextKernel::new(&kernel).with(&tools).script(READ))
        .script(&format!(
            "run load kexec -p $NEXT --initrd $NEXT_INITRD --reuse-cmdline --append nr_cpus=1\n\
             {fill}{WRITE}\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n"
        ))
        .run()?;
    println!(
        "{}: {:.1} s",
        kernel.release,
        outcome.duration.as_secs_f64()
    );
    Ok((outcome, kernel.release))
}

/// What both programs print, and what ours says beyond that.
fn log_of(label: &str, fill: bool) -> Result<()> {
    let (outcome, release) = crash(label, fill)?;
    let load = outcome.stage("first")?.run("load")?;
    ensure!(load.code == 0, "{}", load.err());
    let two = outcome.stage("second")?;
    let out = |label: &str| two.run(label).map(|run| run.out());
    let ours = two.run("ours")?;
    ensure!(ours.code == 0, "{}: {}", ours.code, ours.err());
    println!("{}{}", ours.err(), out("tail")?);
    let same = two.run("same")?;
    ensure!(same.code == 0, "{}{}", same.out(), out("differ")?);
    let tail = out("tail")?;
    for wanted in [
        "] three: bell \\x07 tab \t escape \\x1b[2J backslash \\ umlaut \\xc3\\xa4\n",
        "] two\nlines\n",
        "] user: notice\n",
        "] sysrq: Trigger a crash\n",
        "] Kernel panic - not syncing: sysrq triggered crash\n",
    ] {
        ensure!(tail.contains(wanted), "{wanted:?} is not in {tail}");
    }
    let raw = out("raw")?;
    ensure!(raw.starts_with("<11>[") && raw.contains("\n<13>["), "{raw}");
    let json = two.run("json")?;
    ensure!(json.code == 0, "{}", json.err());
    let json = json.out();
    let (head, rest) = json.split_once('\n').context("one line")?;
    ensure!(
        head.contains(&format!("\"osrelease\":\"{release}\"")),
        "{head}"
    );
    let end = rest.rsplit_once("],").context("the end")?.1;
    let end: Value = serde_json::from_str(&format!("{{{end}")).context(end.to_owned())?;
    assert_eq!(end.get("complete"), Some(&Value::Bool(true)), "{end}");
    assert_eq!(end.get("layout"), Some(&Value::from("ring")), "{end}");
    ensure!(
        rest.contains("\"level\":3,\"caller\":{\"thread\":"),
        "{rest}"
    );
    ensure!(out("info")?.contains(&format!("OSRELEASE={release}\n")));
    ensure!(out("osrelease")?.contains(&release));
    let many: u64 = out("count")?.trim().parse()?;
    println!("{many} lines");
    if fill {
        ensure!(many < 4000, "{many} lines: the log did not go around");
    }
    for (label, code, words) in [
        (
            "cut",
            40,
            "which ends at byte 10000: it was not copied whole",
        ),
        ("other", 4, "expected an ELF core file"),
        ("nothing", 2, "opening /nowhere: no such file"),
        ("usage", 1, "no dump is named"),
    ] {
        let run = two.run(label)?;
        let said = run.err();
        ensure!(
            run.code == code && said.contains(words),
            "{label}: {} {said}",
            run.code
        );
    }
    Ok(())
}

#[test]
fn of_6_1() -> Result<()> {
    log_of("6.1", false)
}

/// More messages than the log has room for.
#[test]
fn of_6_12_when_it_went_around() -> Result<()> {
    log_of("6.12", true)
}

#[test]
fn of_7() -> Result<()> {
    log_of("7.x", false)
}
