//! Crash kernels whose load is killed, finds no room for its record, or meets another one:
//! after each, what is shown of the crash slot is what the reserved memory really holds, the
//! next load works, and the panic at the end starts the image that was named last.

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, GuestRun, Lab, NextKernel, Stage};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// The reservation, MiB: so small that an initrd can fill it.
const REGION_MIB: usize = 96;

/// Two names of one kernel. The word `lab.image=` on the command line names the image that is
/// in memory, the path of the kernel the one that is recorded.
///
/// - `load NAME`, `verb NAME`: load the image of that name.
/// - `large`: what the kernel refuses when it has given up the image before it.
/// - `look LABEL`: the running kernel's word, our words, and the truth.
/// - `fill FOLDER`: until nothing fits any more.
const WORDS: &str = r#"
mkdir -p /run /boot /var /var/crash
mount -t tmpfs -o size=1m run /run
mount -t tmpfs -o size=1m var /var
mkdir -p /var/lib/kexec
for name in one two; do cp $NEXT /boot/vmlinuz-$name; done
rest="--initrd $NEXT_INITRD"
load() { kexec METHOD -p /boot/vmlinuz-$1 $rest --append "$CONSOLE nr_cpus=1 lab.image=$1"; }
verb() { kexec crash load /boot/vmlinuz-$1 METHOD $rest --append "$CONSOLE lab.image=$1"; }
large() { kexec METHOD -p /boot/vmlinuz-two --initrd /large --append "lab.image=two"; }
look() {
	run $1-loaded cat /sys/kernel/kexec_crash_loaded
	run $1-status kexec crash status --json
	run $1-slot kexec status --json
	run $1-memory loaded-command-line
}
fill() { dd if=/dev/zero of=$1/filler bs=4k 2> /dev/null; }
"#;

/// What a script showed at one point.
#[derive(Debug)]
struct Seen {
    /// Whether the running kernel has a crash kernel.
    loaded: bool,
    /// The image that is in the reserved memory; none where nothing is loaded.
    image: Option<String>,
    /// The image that `kexec crash status` names.
    named: Option<String>,
    /// Whether it says that a change was interrupted.
    interrupted: bool,
    /// What it shows in place of the image that it does not name.
    unknown: Option<String>,
}

/// The words `lab.image=` of command lines.
fn images(lines: &str) -> BTreeSet<String> {
    let words = lines.split_whitespace();
    let images = words.filter_map(|word| word.strip_prefix("lab.image="));
    images.map(str::to_owned).collect()
}

impl Seen {
    /// What `look LABEL` showed; whatever it is, it must not contradict itself.
    fn at(stage: &Stage, label: &str) -> Result<Seen> {
        let run = |what: &str| stage.run(&format!("{label}-{what}"));
        let loaded = run("loaded")?.out().trim() == "1";
        let status: Value = serde_json::from_slice(&run("status")?.stdout)?;
        let slot: Value = serde_json::from_slice(&run("slot")?.stdout)?;
        let slot = slot.get("crash").context("no crash slot")?;
        let told = format!("{label}: loaded {loaded}, {status:#}, {slot:#}");
        assert_eq!(
            status.get("armed").and_then(Value::as_bool),
            Some(loaded),
            "{told}"
        );
        assert_eq!(run("status")?.code, u8::from(!loaded), "{told}");
        let kernel = status.get("kernel").and_then(Value::as_str);
        let named = kernel.map(|path| path.rsplit('-').next().unwrap_or_default().to_owned());
        // Both verbs name the same image.
        let other = slot.pointer("/image/kernel").and_then(Value::as_str);
        ensure!(
            other.is_none() || other == kernel,
            "{told}: {other:?}, {kernel:?}"
        );
        let memory = images(&run("memory")?.out());
        ensure!(!loaded || memory.len() == 1, "{told}: {memory:?}");
        let unknown = status.get("image_unknown").and_then(Value::as_str);
        let seen = Seen {
            loaded,
            image: memory.into_iter().next().filter(|_| loaded),
            named,
            interrupted: slot
                .get("interrupted")
                .is_some_and(|value| !value.is_null()),
            unknown: unknown.map(str::to_owned),
        };
        // Never the record of another image, and never one of none; what is not named is
        // explained.
        ensure!(
            seen.named.is_none() || seen.named == seen.image,
            "{told}: {seen:?}"
        );
        let expected = seen.loaded && seen.named.is_none();
        ensure!(seen.unknown.is_some() == expected, "{told}");
        let words = match seen.interrupted {
            true => "was interrupted",
            false => "without a record",
        };
        let is_told = |text: &String| text.contains(words);
        ensure!(seen.unknown.as_ref().is_none_or(is_told), "{told}");
        println!(
            "{label}: in memory {:?}, named {:?}, {:?}",
            seen.image, seen.named, seen.unknown
        );
        Ok(seen)
    }

    /// As above, and the image that is loaded has its record.
    fn known(stage: &Stage, label: &str, image: &str) -> Result<()> {
        let seen = Seen::at(stage, label)?;
        ensure!(
            seen.named.as_deref() == Some(image) && !seen.interrupted,
            "{label}: expected {image}: {seen:?}"
        );
        Ok(())
    }
}

/// `init_size` of a bzImage (Documentation/arch/x86/boot.rst, offset 0x260).
fn init_size(kernel: &[u8]) -> Option<usize> {
    let field = kernel.get(0x260..0x264)?;
    usize::try_from(u32::from_le_bytes(field.try_into().ok()?)).ok()
}

/// A machine that runs this with one of the system calls, and panics.
fn guest(method: &str, script: &str, limit: u64) -> Result<GuestRun> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let taken = init_size(&std::fs::read(&kernel.path)?).context("no init_size")?;
    // The last page of the region: what the kernel needs itself has no room any more.
    let large = (REGION_MIB << 20) - taken.next_multiple_of(4096) - 4096;
    let words = WORDS.replace("METHOD", method);
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .program(
            "bin/loaded-command-line",
            std::fs::read(env!("CARGO_BIN_EXE_loaded-command-line"))?,
        )
        .cpus(2)
        .append(&format!("crashkernel={REGION_MIB}M"))
        .next(NextKernel::new(&kernel).script("run elf head -c 4 /proc/vmcore\n"))
        .script(&format!(
            "{words}head -c {large} /dev/zero > /large\n{script}\
             look last\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n"
        ))
        .timeout(Duration::from_secs(limit))
        .run()?;
    let stage = outcome.stage("first")?;
    let last = Seen::at(stage, "last")?;
    let second = outcome.stage("second")?;
    assert_eq!(second.good("elf")?.stdout, b"\x7fELF");
    let started = images(&second.report.command_line()).into_iter().next();
    // The image that was named last is the one that takes over.
    ensure!(last.named.is_some(), "{last:?}");
    assert_eq!(started, last.named);
    println!("{method}: {:?}", outcome.duration);
    Ok(outcome)
}

/// Kills a command. Before it, the image `one` is loaded, or none. When: percents of the time that
/// a load takes, or as soon as the record is written, which is just before the system call.
const KILLED: &str = r#"
now() { read -r up idle < /proc/uptime; echo ${up%.*}${up#*.}; }
began=$(now)
load one
whole=$(($(now) - began))
# killed ROUND BEFORE WHEN COMMAND...
killed() {
	round=$1 before=$2 when=$3
	shift 3
	[ $before = one ] || kexec -p -u
	"$@" > /tmp/said 2>&1 &
	pid=$!
	if [ $when = record ]; then
		while [ ! -e /run/kexec/crash-loading.json ] && [ -d /proc/$pid ]; do :; done
	else
		usleep $((whole * when * 100))
	fi
	killall -9 -q kexec
	wait $pid
	say "@run killed-$round $?"
	say "@begin stdout" "@end stdout" "@begin stderr" "@end stderr"
	look killed-$round
	run next-$round load one
	look next-$round
}
"#;

/// What is killed: what is loaded before it, and the command.
const COMMANDS: [(&str, &str); 5] = [
    ("one", "load two"),
    ("empty", "load two"),
    ("one", "large"),
    ("one", "verb two"),
    ("one", "kexec -p -u"),
];

/// A script with a round for each of these.
fn rounds(whens: &[(&str, (&str, &str))]) -> String {
    let mut script = KILLED.to_owned();
    for (round, (when, (before, command))) in whens.iter().enumerate() {
        script.push_str(&format!("killed {round} {before} {when} {command}\n"));
    }
    script
}

/// What is killed leaves the truth, and the next load works. How many were found as interrupted.
fn killed(method: &str, whens: &[(&str, (&str, &str))], limit: u64) -> Result<u32> {
    let outcome = guest(method, &rounds(whens), limit)?;
    let stage = outcome.stage("first")?;
    let (mut interrupted, mut unloaded, mut new) = (0, 0, 0);
    for (round, when) in whens.iter().enumerate() {
        let seen = Seen::at(stage, &format!("killed-{round}"))?;
        println!("{when:?}: {seen:?}");
        interrupted += u32::from(seen.interrupted);
        unloaded += u32::from(!seen.loaded);
        new += u32::from(seen.image.as_deref() == Some("two"));
        stage.good(&format!("next-{round}"))?;
        Seen::known(stage, &format!("next-{round}"), "one")?;
    }
    println!(
        "{method}, {} rounds: {interrupted} interrupted, {unloaded} left nothing loaded, \
         {new} left the new image",
        whens.len()
    );
    Ok(interrupted)
}

/// With the record written: each leaves an image of which nobody can say which it is, or none.
#[test]
fn killed_around_the_system_call() -> Result<()> {
    let [load, empty, large, verb, _] = COMMANDS;
    let whens = [load, empty, large, verb].map(|command| ("record", command));
    let interrupted = killed("-s", &whens, 300)?;
    ensure!(interrupted > 0, "no kill met a load");
    Ok(())
}

/// Each command at each of these times.
fn killed_at_any_time(method: &str) -> Result<()> {
    let mut whens = Vec::new();
    for when in ["30", "70", "95", "record"] {
        whens.extend(COMMANDS.map(|command| (when, command)));
    }
    killed(method, &whens, 1500).map(drop)
}

#[test]
#[ignore = "minutes: cargo xtask test --all"]
fn killed_at_any_time_with_the_file_call() -> Result<()> {
    killed_at_any_time("-s")
}

#[test]
#[ignore = "minutes: cargo xtask test --all"]
fn killed_at_any_time_with_the_classic_call() -> Result<()> {
    killed_at_any_time("-c")
}

/// Two at once, and folders that take no record.
const NO_ROOM: &str = r#"
for round in 0 1; do
	load one > /tmp/said 2>&1 &
	first=$!
	verb two > /tmp/said2 2>&1 &
	wait $first; echo $? >> /tmp/codes
	wait $!; echo $? >> /tmp/codes
	look both-$round
done
put_file codes /tmp/codes

load one > /tmp/said 2>&1
fill /run
run full-over load two
look full-over
run full-large large
look full-large
kexec -p -u
run full-empty verb one
look full-empty
rm /run/filler
run room load one
look room

mount -o remount,ro /run
run ro-over load two
look ro-over
mount -o remount,rw /run
kexec -p -u
mount -o remount,ro /run
run ro-empty load two
look ro-empty
mount -o remount,rw /run

fill /var
run var-full load one
look var-full
rm /var/filler
mount -o remount,ro /var
run var-ro verb two
look var-ro
mount -o remount,rw /var
"#;

/// With `/run` full, a load goes on without a record and is never taken for the one before.
#[test]
fn folders_that_take_no_record() -> Result<()> {
    let outcome = guest("-s", NO_ROOM, 240)?;
    let stage = outcome.stage("first")?;
    let codes = String::from_utf8_lossy(stage.file("codes")?).into_owned();
    assert_eq!(codes.split_whitespace().collect::<Vec<_>>(), ["0"; 4]);
    for round in 0..2 {
        let seen = Seen::at(stage, &format!("both-{round}"))?;
        ensure!(seen.named.is_some(), "{seen:?}");
    }
    let shown = |label: &str| -> Result<(u8, String, Seen)> {
        let run = stage.run(label)?;
        println!("# {label}: {}\n{}{}", run.code, run.out(), run.err());
        Ok((run.code, run.err(), Seen::at(stage, label)?))
    };
    let unrecorded = "could not be recorded";
    for (label, image) in [
        ("full-over", "two"),
        ("full-empty", "one"),
        ("ro-empty", "two"),
    ] {
        let (code, told, seen) = shown(label)?;
        ensure!(code == 0 && told.contains(unrecorded), "{label}: {told}");
        assert_eq!((seen.image.as_deref(), seen.named), (Some(image), None));
    }
    // What is not recorded cannot be loaded again.
    let (code, told, seen) = shown("full-large")?;
    ensure!(code != 0 && !seen.loaded, "{seen:?}");
    ensure!(
        told.contains("THE MACHINE IS NOW WITHOUT A CRASH KERNEL"),
        "{told}"
    );
    for label in ["room", "var-full"] {
        assert_eq!(shown(label)?.0, 0);
        Seen::known(stage, label, "one")?;
    }
    // The record of what is loaded can be neither moved nor removed: nothing is loaded over it.
    let (code, told, _) = shown("ro-over")?;
    ensure!(code != 0 && told.contains("make room in /run"), "{told}");
    Seen::known(stage, "ro-over", "one")?;
    assert_eq!(shown("var-ro")?.0, 0);
    Seen::known(stage, "var-ro", "two")
}
