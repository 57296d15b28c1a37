//! The old spelling beside the real kexec-tools: every line of the table in
//! `compat/command-lines.txt` is run with both programs in one guest, from the
//! same state, and exit code and loaded state are compared.
//!
//! A row whose programs differ names its reason, which is a heading of
//! docs/compatibility.md; and every difference listed there has a row, or says
//! that a command line cannot show it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kexec_lab::{Guest, Lab, NextKernel, Stage};

const TABLE: &str = "tests/compat/command-lines.txt";
const DOCUMENT: &str = "../docs/compatibility.md";

/// What a program did: its exit code, and what was loaded afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Effect {
    code: u8,
    state: String,
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.state)
    }
}

/// One command line of the table, and what it should do.
#[derive(Debug)]
struct Row {
    /// The line's number in the file.
    number: usize,
    /// What is loaded before: `nothing`, `normal`, `crash`.
    before: String,
    /// The words behind `kexec`, for a shell.
    words: String,
    /// What kexec-tools should do and what ours should, as written.
    expected: Vec<String>,
    /// Why they differ: a heading of the document.
    reason: Option<String>,
}

/// Reads the table; its head describes the form.
fn rows(text: &str) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(answer) = line.strip_prefix("    ") {
            let row = rows
                .last_mut()
                .with_context(|| format!("line {number}: no command line before"))?;
            match answer.split_once(": ") {
                Some(("because", reason)) => row.reason = Some(reason.to_owned()),
                Some((_, effect)) => row.expected.push(effect.to_owned()),
                None => bail!("line {number}: neither an effect nor a reason"),
            }
            continue;
        }
        let (before, words) = line
            .split_once(" | kexec")
            .with_context(|| format!("line {number}: not STATE | kexec ..."))?;
        rows.push(Row {
            number,
            before: before.to_owned(),
            words: words.trim().to_owned(),
            expected: Vec::new(),
            reason: None,
        });
    }
    Ok(rows)
}

/// What the guest has for the command lines to name.
const PROLOGUE: &str = r#"
K=$NEXT
I=$NEXT_INITRD
mkdir -p /tmp/w /sbin
cd /tmp/w
head -c 2000000 $K > short
head -c 4096 /dev/zero | tr '\0' '\377' > ones
echo text > text
: > empty
cp /k k
cp k load
cp k help
echo text | cpio -o -H newc > i
printf '#!/bin/busybox sh\necho shutdown "$@" > /tmp/w/said\nexit 7\n' > /sbin/shutdown
chmod 755 /sbin/shutdown
# state: what is loaded.
state() {
    read -r n < /sys/kernel/kexec_loaded
    read -r c < /sys/kernel/kexec_crash_loaded
    case $n$c in 00) echo nothing ;; 10) echo normal ;; 01) echo crash ;; 11) echo both ;; esac
}
# prepare STATE: the state before a row, made by kexec-tools.
prepare() {
    [ "$(state)" = "$1" ] && return
    /ref/kexec -s -u > /dev/null 2>&1
    /ref/kexec -s -p -u > /dev/null 2>&1
    case $1 in
    normal) /ref/kexec -s -l k --append=before ;;
    crash) /ref/kexec -s -p k --append=before ;;
    esac > /dev/null 2>&1
}
theirs() { /ref/kexec "$@"; }
ours() { /bin/kexec "$@"; }
"#;

/// A bzImage that every loader takes and that is loaded at once: 64 KiB of
/// padding behind a header. Offsets and values: Linux,
/// Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
fn small_kernel() -> Vec<u8> {
    const SIZE: usize = 0x1_0000;
    /// The boot sector and one sector of setup.
    const SETUP: usize = 1024;
    let paragraphs = u32::try_from((SIZE - SETUP) / 16).expect("a small number");
    let mut image = [vec![0; SETUP], vec![0x90; SIZE - SETUP]].concat();
    let mut put = |at: usize, bytes: &[u8]| {
        let place = image.get_mut(at..at + bytes.len());
        place.expect("inside the setup").copy_from_slice(bytes);
    };
    put(0x1f1, &[1]); // setup_sects
    put(0x1f4, &paragraphs.to_le_bytes()); // syssize
    put(0x1fe, &[0x55, 0xaa]); // boot_flag
    put(0x200, &[0xeb, 0x6a]); // jump: the header ends at 0x26c
    put(0x202, b"HdrS");
    put(0x206, &0x020f_u16.to_le_bytes()); // version
    put(0x211, &[1]); // loadflags: LOADED_HIGH
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes()); // initrd_addr_max
    put(0x230, &0x20_0000_u32.to_le_bytes()); // kernel_alignment
    put(0x234, &[1, 21]); // relocatable_kernel, min_alignment
    put(0x236, &0x63_u16.to_le_bytes()); // xloadflags: 64 bit, above 4G, 5-level paging
    put(0x238, &2047_u32.to_le_bytes()); // cmdline_size
    put(0x258, &0x100_0000_u64.to_le_bytes()); // pref_address
    put(0x260, &0x10_0000_u32.to_le_bytes()); // init_size
    image
}

fn script(rows: &[Row]) -> String {
    let mut script = PROLOGUE.to_owned();
    for row in rows {
        for program in ["theirs", "ours"] {
            let Row {
                number,
                before,
                words,
                ..
            } = row;
            writeln!(
                script,
                "prepare {before}\nrun {program}-{number}-before state\nrun {program}-{number} {program} {words}\nrun {program}-{number}-state state"
            )
            .expect("a String takes all");
        }
    }
    script
}

fn effect(stage: &Stage, program: &str, row: &Row) -> Result<Effect> {
    let label = format!("{program}-{}", row.number);
    let before = stage.run(&format!("{label}-before"))?.out();
    ensure!(
        before.trim() == row.before,
        "line {}: {} was loaded before {program}, and {} should be",
        row.number,
        before.trim(),
        row.before
    );
    Ok(Effect {
        code: stage.run(&label)?.code,
        state: stage
            .run(&format!("{label}-state"))?
            .out()
            .trim()
            .to_owned(),
    })
}

fn manifest(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Headings of the document below "Differences".
fn documented() -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(manifest(DOCUMENT))?;
    let part = text
        .split("\n## ")
        .find(|part| part.starts_with("Differences"));
    let part = part.context("docs/compatibility.md has no Differences")?;
    Ok(part
        .lines()
        .filter_map(|l| l.strip_prefix("### "))
        .map(str::to_owned)
        .collect())
}

/// The table with what was measured instead of what was expected; reasons stay.
fn rewritten(text: &str, measured: &[(usize, Effect, Effect)], rows: &[Row]) -> String {
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("    ") {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        let Some((_, theirs, ours)) = measured.iter().find(|(n, ..)| *n == index + 1) else {
            continue;
        };
        let reason = rows
            .iter()
            .find(|r| r.number == index + 1)
            .and_then(|r| r.reason.clone());
        if theirs == ours {
            let _ = writeln!(out, "    both: {ours}");
        } else {
            let reason = reason.unwrap_or_else(|| "?".to_owned());
            let _ = writeln!(
                out,
                "    kexec-tools: {theirs}\n    ours: {ours}\n    because: {reason}"
            );
        }
    }
    out
}

/// With `UPDATE_COMPAT=1` the table is written anew with what was measured, to
/// be read before it is committed.
#[test]
fn every_command_line_beside_kexec_tools() -> Result<()> {
    let lab = Lab::open()?;
    ensure!(
        lab.kexec_tools_version()?.contains("2.0.32"),
        "the table was made with kexec-tools 2.0.32"
    );
    let product = lab.product()?;
    if product.is_reference {
        return Ok(());
    }
    let text = std::fs::read_to_string(manifest(TABLE))?;
    let rows = rows(&text)?;
    ensure!(rows.len() >= 60, "only {} command lines", rows.len());
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .append("crashkernel=256M")
        .memory_mb(1536)
        .with(&product.files)
        .with(&lab.kexec_tools()?)
        .file("k", small_kernel())
        .next(NextKernel::new(&lab.kernel("6.1")?))
        .script(&script(&rows))
        .timeout(Duration::from_secs(1500))
        .run()?;
    let stage = outcome.stage("first")?;
    println!(
        "{} command lines in {:.0} s",
        rows.len(),
        outcome.duration.as_secs_f64()
    );

    let mut measured = Vec::new();
    let mut wrong = Vec::new();
    for row in &rows {
        let (theirs, ours) = (effect(stage, "theirs", row)?, effect(stage, "ours", row)?);
        let expected: Vec<&str> = row.expected.iter().map(String::as_str).collect();
        let same = match expected.as_slice() {
            [both] => *both == theirs.to_string() && *both == ours.to_string(),
            [t, o] => *t == theirs.to_string() && *o == ours.to_string() && row.reason.is_some(),
            _ => false,
        };
        if !same {
            let said = |program: &str| {
                let run = stage.run(&format!("{program}-{}", row.number));
                run.map(|r| r.err().lines().take(3).collect::<Vec<_>>().join(" / "))
                    .unwrap_or_default()
            };
            wrong.push(format!(
                "line {}: {} | kexec {}\n  expected {expected:?}\n  kexec-tools: {theirs}   {}\n  ours: {ours}   {}",
                row.number, row.before, row.words, said("theirs"), said("ours")
            ));
        }
        measured.push((row.number, theirs, ours));
    }
    if std::env::var_os("UPDATE_COMPAT").is_some() {
        std::fs::write(manifest(TABLE), rewritten(&text, &measured, &rows))?;
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} differ from the table:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// Every reason in the table is explained, and what is explained is shown.
#[test]
fn every_difference_is_documented() -> Result<()> {
    let rows = rows(&std::fs::read_to_string(manifest(TABLE))?)?;
    let documented = documented()?;
    let used: BTreeSet<String> = rows.iter().filter_map(|r| r.reason.clone()).collect();
    let missing: Vec<_> = used.difference(&documented).collect();
    ensure!(
        missing.is_empty(),
        "not explained in docs/compatibility.md: {missing:?}"
    );
    let text = std::fs::read_to_string(manifest(DOCUMENT))?;
    for heading in documented.difference(&used) {
        let part = text
            .split(&format!("### {heading}\n"))
            .nth(1)
            .unwrap_or_default();
        let part = part.split("\n#").next().unwrap_or_default();
        ensure!(
            part.contains("Not in the table:"),
            "no row of the table shows {heading:?}; if none can, the text says \"Not in the table:\" and why"
        );
    }
    Ok(())
}
