//! `cargo xtask fuzz`: every target of `fuzz/`, two at a time.

use crate::host::{call, cargo, has, root};
use anyhow::{Context, Result, bail};
use kexec_lab::programs::StartProgram;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

/// How many targets run at once.
const AT_ONCE: usize = 2;
/// MiB that a target may use: a parser that asks for more has no cap.
const MEMORY_MB: u32 = 2048;
/// Seconds for one input: more is a hang.
const TIMEOUT: u32 = 10;

/// Fuzzes all targets or this one.
pub fn run(seconds: u64, only: Option<&str>) -> Result<ExitCode> {
    let mut targets = targets()?;
    if let Some(only) = only {
        if !targets.iter().any(|target| target == only) {
            bail!(
                "there is no fuzz target {only}: they are {}",
                targets.join(", ")
            );
        }
        targets.retain(|target| target == only);
    }
    build(call)?;
    let failed = Mutex::new(Vec::new());
    let queue = Mutex::new(targets.iter());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().map_or(None, |mut queue| queue.next());
                    let Some(target) = next else { break };
                    if let Err(error) = one(target, seconds)
                        && let Ok(mut failed) = failed.lock()
                    {
                        failed.push(format!("{target}: {error:#}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_default();
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    println!("{} targets, {seconds} s each", targets.len());
    Ok(ExitCode::SUCCESS)
}

/// Builds every target, with `call` to run programs; installs cargo-fuzz if it is not
/// there.
pub fn build(call: impl Fn(&mut Command) -> Result<()>) -> Result<()> {
    if !has("cargo-fuzz") {
        println!("installing cargo-fuzz for this user: cargo install cargo-fuzz --locked");
        // Not from the workspace: its configuration asks for static programs.
        let home = std::env::temp_dir();
        call(cargo(&["install", "cargo-fuzz", "--locked"]).current_dir(home))?;
    }
    call(&mut cargo_fuzz(&["build"], None))
}

/// One target; its output is shown only if it finds something.
fn one(target: &str, seconds: u64) -> Result<()> {
    let output = command(target, seconds)
        .stdin(Stdio::null())
        .start_output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprintln!("{text}");
        bail!(
            "found an input that breaks it ({}); it is below fuzz/artifacts/{target}",
            output.status
        );
    }
    println!("{target}: {}", last_words(&text));
    Ok(())
}

/// Fuzzes this target for so long, beginning with what is committed as its seeds, and
/// with the heads of real kernels where it takes those.
pub fn command(target: &str, seconds: u64) -> Command {
    let folder = root().join("fuzz");
    // New inputs go into the first of the folders.
    let corpus = folder.join("corpus").join(target);
    let made = std::fs::create_dir_all(&corpus);
    if let Err(error) = made.and_then(|()| real_kernels(target, &corpus)) {
        eprintln!("{target}: seeds in {}: {error}", corpus.display());
    }
    let mut command = cargo_fuzz(&["run"], Some(target));
    command
        .arg(corpus)
        .arg(folder.join("seeds").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(format!("-timeout={TIMEOUT}"));
    command
}

/// Targets that take a kernel file as it is, by its first bytes.
const KERNELS: &[&str] = &[
    "authenticode",
    "bzimage_verify",
    "recognise",
    "uki",
    "zboot",
];
/// Bytes of a kernel's head: its headers, and not so much that a step takes long.
const HEAD: u64 = 16 << 10;

/// Puts the heads of the lab's kernels into the corpus.
fn real_kernels(target: &str, corpus: &Path) -> std::io::Result<()> {
    if !KERNELS.contains(&target) {
        return Ok(());
    }
    let Ok(trees) = std::fs::read_dir(kexec_lab::lab_folder().join("trees")) else {
        // Nothing was fetched yet.
        return Ok(());
    };
    for tree in trees {
        let tree = tree?.path();
        let modules = std::fs::read_dir(tree.join("usr/lib/modules"));
        let boot = std::fs::read_dir(tree.join("boot"));
        let beside = modules.into_iter().flatten().flatten();
        let files = beside.map(|release| release.path().join("vmlinuz"));
        let files = files.chain(boot.into_iter().flatten().flatten().map(|file| file.path()));
        for file in files {
            let name = file.to_string_lossy();
            if !name.contains("vmlinuz") || !file.is_file() {
                continue;
            }
            let mut head = Vec::new();
            std::fs::File::open(&file)?
                .take(HEAD)
                .read_to_end(&mut head)?;
            let of = name.replace('/', "_");
            let of = of.get(of.len().saturating_sub(100)..).unwrap_or(&of);
            std::fs::write(corpus.join(format!("head{of}")), head)?;
        }
    }
    Ok(())
}

/// What libFuzzer says of a run: `#12345 DONE cov: ... exec/s: ...`.
pub fn last_words(text: &str) -> String {
    let done = text.lines().rfind(|line| line.contains("DONE"));
    done.unwrap_or("done").trim().to_owned()
}

/// `cargo fuzz VERB --sanitizer none [TARGET]`: without a sanitizer it works
/// with the stable toolchain; the parsers have no unsafe code that one would
/// watch. cargo-fuzz sets RUSTFLAGS itself, which replaces the workspace's
/// flags for static programs.
fn cargo_fuzz(verb: &[&str], target: Option<&str>) -> Command {
    let mut command = cargo(&["fuzz"]);
    command
        .args(verb)
        .args(["--sanitizer", "none"])
        .args(target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// Names of the targets, sorted.
///
/// # Errors
/// If there are none.
pub fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let listing =
        std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut names: Vec<String> = listing
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    if names.is_empty() {
        bail!("looked for fuzz/fuzz_targets/*.rs: there are none");
    }
    names.sort();
    Ok(names)
}
