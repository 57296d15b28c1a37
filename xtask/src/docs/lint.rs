//! What other programs say of the manual pages and the completions: those that
//! read them in the end.

use super::GeneratedFile;
use crate::host::has;
use anyhow::{Context, Result, bail, ensure};
use kexec_lab::programs::StartProgram;
use std::path::Path;
use std::process::{Command, Output};

/// Pages that say more than where to look.
fn is_whole(made: &GeneratedFile) -> bool {
    made.path.starts_with("man8/") && !made.text.starts_with(".so ")
}

/// Has everything below `folder`, where it was written, looked at; says what
/// was, and for which programs that are not installed it was not.
pub fn all(folder: &Path, made: &[GeneratedFile]) -> Result<String> {
    let (mut done, mut missing) = (Vec::new(), Vec::new());
    for (program, lint) in LINTERS {
        if has(program) {
            lint(folder, made).with_context(|| format!("{program} has something to say"))?;
            done.push(*program);
        } else {
            missing.push(*program);
        }
    }
    let missing = match missing.as_slice() {
        [] => String::new(),
        names => format!(
            "; not looked at, because not installed: {}",
            names.join(", ")
        ),
    };
    Ok(format!(
        "{} files; {}{missing}",
        made.len(),
        done.join(", ")
    ))
}

/// A program by its name, and how it is asked.
type Linter = (&'static str, fn(&Path, &[GeneratedFile]) -> Result<()>);

const LINTERS: &[Linter] = &[
    ("mandoc", mandoc),
    ("man", man),
    ("bash", bash_reads),
    ("zsh", zsh),
    ("fish", fish),
];

/// Runs a program that must have nothing to say on standard error.
fn quiet(command: &mut Command) -> Result<Output> {
    let output = command.start_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && said.is_empty(),
        "{command:?} ended with {}: {said}",
        output.status
    );
    Ok(output)
}

fn mandoc(folder: &Path, made: &[GeneratedFile]) -> Result<()> {
    for page in made.iter().filter(|made| is_whole(made)) {
        let mut command = Command::new("mandoc");
        command.args(["-T", "lint", "-W", "warning"]);
        let output = quiet(command.arg(folder.join(&page.path)))?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said.is_empty(), "{said}");
    }
    Ok(())
}

/// man(1) with groff; every page by its name, as people ask for it.
fn man(folder: &Path, made: &[GeneratedFile]) -> Result<()> {
    for page in made.iter().filter(|made| made.path.starts_with("man8/")) {
        let name = page.path.trim_start_matches("man8/").trim_end_matches(".8");
        let mut command = Command::new("man");
        command
            .args(["--warnings", "--encoding=UTF-8", "--manpath"])
            .arg(folder)
            .args(["8", name])
            .envs([
                ("LC_ALL", "C.UTF-8"),
                ("MANWIDTH", "80"),
                ("MANPAGER", "cat"),
            ]);
        let output = quiet(&mut command)?;
        let shown = String::from_utf8_lossy(&output.stdout);
        for heading in ["NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES", "SEE ALSO"] {
            ensure!(shown.contains(heading), "man 8 {name} shows no {heading}");
        }
    }
    Ok(())
}

/// Reads both files, and completes for the program that has no function.
fn bash_reads(folder: &Path, _: &[GeneratedFile]) -> Result<()> {
    only_read("bash", folder, "kexec")?;
    only_read("bash", folder, "vmcore-dmesg")?;
    let script = "source \"$1\"; complete -p vmcore-dmesg";
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script, "bash"]);
    let output = quiet(command.arg(folder.join("completions/vmcore-dmesg")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.contains("--json"), "bash has understood {said:?}");
    Ok(())
}

fn only_read(shell: &str, folder: &Path, name: &str) -> Result<()> {
    let path = folder.join("completions").join(name);
    quiet(Command::new(shell).arg("-n").arg(path)).map(drop)
}

fn zsh(folder: &Path, _: &[GeneratedFile]) -> Result<()> {
    only_read("zsh", folder, "_kexec")?;
    only_read("zsh", folder, "_vmcore-dmesg")?;
    // What does not come is waited for.
    let script = tempfile::NamedTempFile::new().context("making a file for zsh's script")?;
    std::fs::write(script.path(), COMPLETE).context("writing zsh's script")?;
    let mut command = Command::new("timeout");
    command.args(["60", "zsh", "-f"]).arg(script.path());
    quiet(command.arg(folder.join("completions"))).map(drop)
}

/// Types into zsh what `fish` below is asked.
const COMPLETE: &str = include_str!("complete.zsh");

/// What the completion calls, with one boot entry.
const FISH_KEXEC: &str = "function kexec; printf 'debian 6.12\\tDebian\\n'; end";

fn fish(folder: &Path, _: &[GeneratedFile]) -> Result<()> {
    only_read("fish", folder, "kexec.fish")?;
    only_read("fish", folder, "vmcore-dmesg.fish")?;
    let folder = folder.join("completions");
    for (typed, offered) in [
        ("kexec reb", "reboot\t"),
        ("kexec load --app", "--append\t"),
        ("kexec check --integrity=s", "--integrity=sha256\t"),
        ("kexec --noe", "--noefi\t"),
        ("kexec enable ex", "exitrd"),
        ("kexec load deb", "debian 6.12\tDebian"),
        ("kexec help nee", "needs-reboot"),
        ("vmcore-dmesg --js", "--json\t"),
    ] {
        let program = typed.split(' ').next().unwrap_or_default();
        let file = folder.join(format!("{program}.fish"));
        let script = format!("{FISH_KEXEC}; source $argv[1]; complete -C '{typed}'");
        let output = quiet(Command::new("fish").args(["-N", "-c", &script]).arg(&file))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !said.lines().any(|line| line.starts_with(offered)) {
            bail!("looked for {offered:?} behind {typed:?}, found {said:?}");
        }
    }
    Ok(())
}

/// What bash offers behind each of these command lines, of which the last word
/// is being typed.
#[cfg(test)]
pub fn bash(completion: &str, lines: &[Vec<&str>]) -> Result<Vec<Vec<String>>> {
    use std::fmt::Write;
    let mut script = completion.to_owned();
    // What the completion calls, with boot entries.
    script
        .push_str("kexec() { printf '%s\\t%s\\n' 'debian 6.12' Debian deb:1 Other /boot/k K; }\n");
    for line in lines {
        let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            script,
            "COMP_WORDS=(kexec {}); COMP_CWORD={}; _kexec; (IFS=$'\\t'; printf '%s\\n' \"${{COMPREPLY[*]}}\")",
            words.join(" "),
            words.len()
        );
    }
    let output = quiet(Command::new("bash").args(["--norc", "-c", &script]))?;
    let said = String::from_utf8(output.stdout).context("bash's answer is no text")?;
    let offered: Vec<Vec<String>> = said
        .lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect();
    ensure!(offered.len() == lines.len(), "{} answers", offered.len());
    Ok(offered)
}
