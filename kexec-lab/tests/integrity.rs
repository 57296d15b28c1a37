//! What happens to a damaged image after the jump: one byte of the initrd is
//! changed when the purgatory already knows what every segment must hold
//! (`src/bin/spoilt-load.rs`); the jump is the product's own.

use anyhow::{Context, Result, ensure};
use kexec_lab::{End, Guest, GuestRun, Initramfs, Lab, NextKernel};
use std::time::Duration;

/// A file of the second initrd, and what it holds when its first byte was
/// changed (bit 0).
const MARK: &str = "Harmless: nothing but this test reads it";
const SPOILT_MARK: &str = "Iarmless: nothing but this test reads it";
/// How long the purgatory waits before it resets the machine.
const WAIT: Duration = Duration::from_secs(3);

fn jump(integrity: &str) -> Result<GuestRun> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let mut mark = Initramfs::new();
    mark.file("mark", MARK);
    Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .program(
            "bin/spoilt-load",
            std::fs::read(env!("CARGO_BIN_EXE_spoilt-load"))?,
        )
        .next(
            NextKernel::new(&kernel)
                .with(&mark)
                .script("run mark cat /mark\n"),
        )
        .script(&format!(
            "run size stat -c %s $NEXT_INITRD\n\
             run sum sha256sum $NEXT_INITRD\n\
             run load spoilt-load $NEXT $NEXT_INITRD \"$CONSOLE\" {integrity} '{MARK}'\n\
             jump kexec -e\n"
        ))
        .observe()
}

/// The rest of the first console line with this text in it.
fn after<'a>(outcome: &'a GuestRun, text: &str) -> Result<&'a str> {
    let lines = outcome.console.lines();
    let rest = lines
        .filter_map(|line| Some(line.split_once(text)?.1))
        .next();
    rest.map(str::trim)
        .with_context(|| format!("no line with {text:?} in:\n{}", outcome.tail()))
}

/// The machine says which segment is damaged and resets itself; no other kernel
/// runs. Gives what was expected and what was found.
fn refused(outcome: &GuestRun, kind: &str) -> Result<(String, String)> {
    let one = outcome.stage("first")?;
    let load = one.run("load")?;
    assert_eq!((load.code, load.err().as_str()), (0, ""));

    let place = after(outcome, "kexec: initrd at 0x")?;
    let (_, len) = place.split_once(", 0x").context("no size")?;
    let len = len.strip_suffix(" bytes, is not what was loaded");
    let len = u64::from_str_radix(len.context("another message")?, 16)?;
    assert_eq!(len.to_string(), one.run("size")?.out().trim());
    let expected = after(outcome, &format!("kexec:   {kind} expected "))?;
    let found = after(outcome, &format!("kexec:   {kind} found    "))?;
    assert_ne!(expected, found);
    // Nothing else is damaged.
    assert_eq!(outcome.console.matches("is not what was loaded").count(), 1);
    after(
        outcome,
        "kexec: not jumping; the machine is reset in 3 seconds",
    )?;

    assert_eq!(outcome.end, End::Reset, "{}", outcome.tail());
    let jumped = one.jumped.context("it did not jump")?;
    let waited = outcome.duration.saturating_sub(jumped);
    ensure!(waited >= WAIT, "reset after {waited:?}");
    assert_eq!(outcome.stages.len(), 1, "a second kernel ran");
    Ok((expected.to_owned(), found.to_owned()))
}

#[test]
fn crc32c() -> Result<()> {
    let (expected, found) = refused(&jump("crc32c")?, "crc32c")?;
    for digest in [expected, found] {
        ensure!(digest.len() == 8 && u32::from_str_radix(&digest, 16).is_ok());
    }
    Ok(())
}

/// What was expected is the digest of the file.
#[test]
fn sha256() -> Result<()> {
    let outcome = jump("sha256")?;
    let (expected, found) = refused(&outcome, "sha256")?;
    let sum = outcome.stage("first")?.run("sum")?.out();
    assert_eq!(sum.split_whitespace().next(), Some(expected.as_str()));
    ensure!(found.len() == 64, "{found}");
    Ok(())
}

/// Without a check the second kernel runs, and has the wrong byte: what the other
/// two tests find is really there after the jump.
#[test]
fn without_a_check_the_damage_arrives() -> Result<()> {
    let outcome = jump("none")?;
    let load = outcome.stage("first")?.run("load")?;
    assert_eq!((load.code, load.err().as_str()), (0, ""));
    assert_eq!(outcome.end, End::PoweredOff, "{}", outcome.tail());
    ensure!(!outcome.console.contains("is not what was loaded"));
    let two = outcome.stage("second")?;
    assert_eq!(two.run("mark")?.out(), SPOILT_MARK);
    Ok(())
}
