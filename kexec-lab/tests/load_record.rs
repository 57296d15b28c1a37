//! Nothing is loaded that is not known: loads that are killed half way, folders that
//! take no record, two loads at once, and somebody who has the lock and hangs.

use anyhow::{Context, Result, ensure};
use kexec_lab::{CommandRun, Guest, GuestRun, Lab, NextKernel, Stage};
use serde_json::Value;

/// Two kernels in /boot as `kexec preload --instance` looks for them, and a /run and a
/// /var of their own.
const MACHINE: &str = r#"
mkdir -p /run /boot /var
mount -t tmpfs -o size=1m run /run
mount -t tmpfs -o size=1m var /var
mkdir -p /var/lib/kexec
for name in one two; do
	ln -s $NEXT /boot/vmlinuz-$name
	ln -s $NEXT_INITRD /boot/initrd.img-$name
done
# fill FOLDER: until nothing fits any more.
fill() { dd if=/dev/zero of=$1/filler bs=4k 2> /dev/null; }
"#;

fn guest(script: &str) -> Result<GuestRun> {
    let lab = Lab::open()?;
    Guest::new(&lab, &lab.kernel("6.12")?)
        .with(&lab.product()?.files)
        .cpus(2)
        .next(NextKernel::new(&lab.kernel("6.1")?))
        .script(&format!("{MACHINE}{script}"))
        .run()
}

fn say(label: &str, run: &CommandRun) {
    println!("# {label}: {}\n{}{}", run.code, run.out(), run.err());
}

/// The exit code of a run, and that what it said has all these words.
fn says(stage: &Stage, label: &str, code: u8, words: &[&str]) -> Result<()> {
    let run = stage.run(label)?;
    say(label, run);
    ensure!(run.code == code, "{label}: {}, not {code}", run.code);
    let text = run.out() + &run.err();
    for word in words {
        ensure!(text.contains(word), "{label}: no {word:?} in: {text}");
    }
    Ok(())
}

/// What `kexec status --json` says of the normal slot.
fn slot(stage: &Stage, label: &str) -> Result<Value> {
    let run = stage.good(label)?;
    let status: Value = serde_json::from_str(&run.out()).context("kexec status --json")?;
    status.get("normal").cloned().context("no normal slot")
}

/// Whether something is loaded, whether there is a record of it, and whether it is told
/// as what an interrupted change left.
fn known(slot: &Value) -> (bool, bool, bool) {
    let is = |key: &str| slot.get(key).is_some_and(|value| !value.is_null());
    let loaded = slot.get("loaded") == Some(&Value::Bool(true));
    (loaded, is("image"), is("interrupted"))
}

/// Kills a load as soon as the kernel says that it has the image.
const KILLED: &str = r#"
for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
	kexec -u 2> /dev/null
	kexec preload --instance=one > /tmp/said 2>&1 &
	pid=$!
	loaded=0
	while [ $loaded = 0 ] && [ -d /proc/$pid ]; do read -r loaded < /sys/kernel/kexec_loaded; done
	kill -9 $pid
	wait $pid
	run killed-$try kexec status --json
	run preload-$try kexec preload --instance=one
	run after-$try kexec status --json
done

# As if it had been killed between the system call and the rename: that window is too
# short for a shell to meet it often.
cd /run/kexec
kexec -u
run cut kexec preload --instance=one
mv loaded.json loading.json
run cut-is kexec status
run cut-preload kexec preload --instance=one
run cut-after kexec status --json
sed 's/"over": false/"over": true/' loaded.json > loading.json
run over-is kexec status --json
run over-jump kexec -e -x -y
run over-preload kexec preload --instance=one
run over-after kexec status --json
mv loaded.json unloading.json
run out-is kexec status
run out-load kexec -l $NEXT --initrd=$NEXT_INITRD --append="$CONSOLE cut"
mv loaded.json loading.json
sed -i 's/"over": true/"over": false/' loading.json
jump kexec -e
"#;

/// After each of them the truth is told, and the next `preload` leaves no doubt.
#[test]
fn killed_after_the_system_call() -> Result<()> {
    let outcome = guest(KILLED)?;
    let stage = outcome.stage("first")?;
    let (mut unknown, mut interrupted, mut believed) = (0, 0, 0);
    for n in 1..=12 {
        let (loaded, image, cut) = known(&slot(stage, &format!("killed-{n}"))?);
        unknown += u32::from(loaded && !image && !cut);
        interrupted += u32::from(loaded && cut);
        let run = stage.run(&format!("preload-{n}"))?;
        say("preload", run);
        believed += u32::from(run.out().contains("on purpose"));
        let (loaded, image, cut) = known(&slot(stage, &format!("after-{n}"))?);
        if loaded && (!image || cut) {
            unknown += 1;
        }
    }
    println!(
        "of 12: {interrupted} interrupted, {unknown} times unknown, {believed} believed, {:?}",
        outcome.duration
    );
    ensure!((unknown, believed) == (0, 0), "{unknown} {believed}");

    let is = |label: &str| slot(stage, label).map(|slot| known(&slot));
    says(
        stage,
        "cut-is",
        0,
        &["a load of /next/vmlinuz was interrupted after"],
    )?;
    says(
        stage,
        "cut-preload",
        0,
        &["it is recorded now", "one is loaded already"],
    )?;
    assert_eq!(is("cut-after")?, (true, true, false));
    assert_eq!(is("over-is")?, (true, false, true));
    says(stage, "over-jump", 1, &["over another image", "kexec -u"])?;
    says(stage, "over-preload", 0, &["it was unloaded", "Loading"])?;
    assert_eq!(is("over-after")?, (true, true, false));
    says(
        stage,
        "out-is",
        0,
        &["an unload of /next/vmlinuz was interrupted"],
    )?;
    says(stage, "out-load", 0, &["it was unloaded"])?;
    let second = outcome.stage("second")?;
    ensure!(second.report.command_line().ends_with("cut"));
    Ok(())
}

/// Kills loads and unloads at any time, one over the other.
const ANY_TIME: &str = r#"
try=0
for command in "preload --instance=one" "preload --instance=two" "unload" "-l $NEXT --reuse-cmdline" \
	"preload --instance=two" "-l $NEXT --reuse-cmdline" "preload --instance=one" "unload" \
	"preload --instance=one" "preload --instance=two" "-l $NEXT --reuse-cmdline" "unload"; do
	for part in 1 2 3 4; do
		try=$((try + 1))
		kexec $command > /tmp/said 2>&1 &
		pid=$!
		usleep $((part * 90000 + (RANDOM % 90) * 1000))
		kill -9 $pid 2> /dev/null
		wait $pid
		run killed-$try kexec status --json
		kexec preload --instance=one > /tmp/said 2>&1
		run after-$try kexec status --json
		kexec -u
		run out-$try kexec status --json
		[ -e /run/kexec/loaded.json ] && say "left behind"
		[ $part = 1 ] && kexec preload --instance=two > /tmp/said 2>&1
	done
done
ls /run/kexec | put left
"#;

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn killed_at_any_time() -> Result<()> {
    let outcome = guest(ANY_TIME)?;
    let stage = outcome.stage("first")?;
    let (mut with_image, mut interrupted) = (0, 0);
    for n in 1..=48 {
        let seen = slot(stage, &format!("killed-{n}"))?;
        let (loaded, image, cut) = known(&seen);
        ensure!(!loaded || image || cut, "{n}: {seen}");
        with_image += u32::from(loaded);
        interrupted += u32::from(loaded && cut);
        let seen = slot(stage, &format!("after-{n}"))?;
        let (loaded, image, cut) = known(&seen);
        ensure!(loaded && image && !cut, "{n}, afterwards: {seen}");
        ensure!(!known(&slot(stage, &format!("out-{n}"))?).0, "{n}");
    }
    let left = String::from_utf8_lossy(stage.file("left")?).into_owned();
    println!("{with_image} loaded, {interrupted} interrupted; left: {left:?}");
    ensure!(!left.contains("load"), "{left:?}");
    Ok(())
}

const NO_ROOM: &str = r#"
mkfifo /tmp/fifo
fill /run
run full-preload kexec preload --instance=one
run full-preload-is kexec status --json
run full-load kexec -l $NEXT --initrd=$NEXT_INITRD --reuse-cmdline
run full-load-is kexec status
run full-unload kexec -u
rm /run/filler

run preload kexec preload --instance=one
run preload-is kexec status --json
fill /run
run over kexec -l $NEXT --initrd=$NEXT_INITRD --reuse-cmdline
run over-is kexec status
rm /run/filler
run over-preload kexec preload --instance=two
kexec -u

run again kexec preload --instance=one
mount -o remount,ro /run
run ro-load kexec -l $NEXT --initrd=$NEXT_INITRD --reuse-cmdline
run ro-is kexec status --json
run ro-unload kexec -u
run ro-empty kexec status
mount -o remount,rw /run
run rw-preload kexec preload --instance=two
kexec -u

fill /var
run var-full kexec preload --instance=one
rm /var/filler
mount -o remount,ro /var
run var-ro kexec preload --instance=one
run var-is kexec status --json
mount -o remount,rw /var

kexec preload --instance=one > /tmp/said
rm /run/kexec/loaded.json; mkfifo /run/kexec/loaded.json
mkfifo /var/lib/kexec/attempts/00000000000000000099-x.json
run fifo-status timeout 10 kexec status
run fifo-preload timeout 30 kexec preload --instance=one
run fifo-after kexec status --json

kexec preload --instance=two > /tmp/said 2>&1 &
pid=$!
while [ ! -s /run/kexec/holder.json ]; do :; done
kill -STOP $pid
run held-status kexec status
run held-jump kexec -e -x -y
kill -CONT $pid
wait $pid
kexec -u

umount /run
rmdir /run
run bare-load kexec -l $NEXT --initrd=$NEXT_INITRD --append="$CONSOLE bare"
jump kexec -e
"#;

/// A full or read-only /run and /var, pipes among the records, a program that hangs
/// with the lock; and a machine without a /run loads and jumps as ever.
#[test]
fn folders_that_take_no_record() -> Result<()> {
    let outcome = guest(NO_ROOM)?;
    let stage = outcome.stage("first")?;
    let is = |label: &str| slot(stage, label).map(|slot| known(&slot));

    says(
        stage,
        "full-preload",
        1,
        &["/run/kexec/loading.json", "make room in /run"],
    )?;
    assert_eq!(is("full-preload-is")?, (false, false, false));
    says(
        stage,
        "full-load",
        0,
        &["warning: the kernel is loaded, but that could not be recorded"],
    )?;
    says(stage, "full-load-is", 0, &["loaded, without a record"])?;
    says(stage, "full-unload", 0, &[])?;

    says(stage, "preload", 0, &[])?;
    assert_eq!(is("preload-is")?, (true, true, false));
    // The record of what was loaded before is not taken for this one.
    says(stage, "over", 0, &["could not be recorded"])?;
    says(stage, "over-is", 0, &["loaded, without a record"])?;
    says(stage, "over-preload", 0, &["on purpose"])?;

    says(stage, "again", 0, &[])?;
    says(
        stage,
        "ro-load",
        255,
        &["/run/kexec/loaded.json", "make room in /run"],
    )?;
    assert_eq!(is("ro-is")?, (true, true, false));
    says(
        stage,
        "ro-unload",
        0,
        &["could not be removed although nothing is loaded"],
    )?;
    says(stage, "ro-empty", 0, &["nothing loaded"])?;
    says(stage, "rw-preload", 0, &["Loading"])?;

    for label in ["var-full", "var-ro"] {
        says(
            stage,
            label,
            1,
            &["/var/lib/kexec/attempts", "make room in /var"],
        )?;
    }
    assert_eq!(is("var-is")?, (false, false, false));

    says(
        stage,
        "fifo-status",
        0,
        &["its record below /run/kexec cannot be read"],
    )?;
    says(stage, "fifo-preload", 0, &["it was unloaded", "Loading"])?;
    assert_eq!(is("fifo-after")?, (true, true, false));

    says(stage, "held-status", 0, &["`kexec preload` (process "])?;
    says(
        stage,
        "held-jump",
        255,
        &[
            "`kexec -e` waited 10.0 s",
            "`kexec preload` (process ",
            "or end process",
        ],
    )?;

    says(stage, "bare-load", 0, &[])?;
    assert_eq!(stage.run("bare-load")?.err(), "");
    let second = outcome.stage("second")?;
    ensure!(second.report.command_line().ends_with("bare"));
    println!("{:?}", outcome.duration);
    Ok(())
}

const READ_ONLY_VAR: &str = r#"
mount -o remount,ro /var
jump kexec reboot --now $NEXT --initrd $NEXT_INITRD --cmdline "$CONSOLE now"
"#;

/// A machine that cannot remember is rebooted all the same, and says so.
#[test]
fn a_reboot_with_a_read_only_var() -> Result<()> {
    let outcome = guest(&format!("{READ_ONLY_VAR}\n"))?;
    let second = outcome.stage("second")?;
    ensure!(second.report.command_line().contains("now"));
    ensure!(second.report.command_line().contains("kexec.id="));
    println!("{:?}", outcome.duration);
    Ok(())
}

const AT_ONCE: &str = r#"
for round in 1 2 3 4 5 6; do
	kexec -l $NEXT --initrd=$NEXT_INITRD --append="$CONSOLE which=a$round" &
	one=$!
	kexec -l $NEXT --initrd=$NEXT_INITRD --append="$CONSOLE which=b$round" &
	wait $one; echo "$one $?" >> /tmp/codes
	wait $!; echo "$! $?" >> /tmp/codes
done
put_file codes /tmp/codes
run status kexec status --json
jump kexec -e
"#;

/// Of two loads at once, one is the later one, and that is the one that is recorded.
#[test]
fn two_loads_at_once() -> Result<()> {
    let outcome = guest(AT_ONCE)?;
    let stage = outcome.stage("first")?;
    let codes = String::from_utf8_lossy(stage.file("codes")?).into_owned();
    ensure!(codes.lines().count() == 12, "{codes}");
    ensure!(codes.lines().all(|line| line.ends_with(" 0")), "{codes}");
    let recorded = slot(stage, "status")?;
    let line = recorded.pointer("/image/cmdline").and_then(Value::as_str);
    let line = line.with_context(|| format!("no command line in {recorded}"))?;
    let second = outcome.stage("second")?;
    println!("{line}: {:?}", outcome.duration);
    assert_eq!(second.report.command_line(), line);
    Ok(())
}

const WAITING: &str = r#"
kexec preload --instance=one > /tmp/said 2>&1 &
pid=$!
while [ ! -s /run/kexec/holder.json ]; do :; done
kill -STOP $pid
run preload kexec preload --instance=two
run load kexec -l $NEXT --reuse-cmdline
run unload kexec unload
kill -9 $pid
wait $pid
run free kexec preload --instance=two
"#;

/// Nobody waits for ever, or in silence; and a holder that dies gives the lock back.
#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn who_waits_says_for_whom() -> Result<()> {
    let outcome = guest(WAITING)?;
    let stage = outcome.stage("first")?;
    for (label, code) in [("preload", 1), ("load", 255), ("unload", 1)] {
        says(
            stage,
            label,
            code,
            &["waiting for at most 30.0 s", "waited 30.0 s for its turn"],
        )?;
    }
    says(stage, "free", 0, &["Loading"])?;
    println!("{:?}", outcome.duration);
    Ok(())
}
