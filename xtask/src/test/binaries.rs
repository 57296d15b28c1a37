//! The test programs that cargo builds, and the tests in them.

use super::log::Log;
use super::pool::{SkippedTest, Success};
use crate::host::cargo;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One test program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Name of its package.
    pub package: String,
    /// `lib`, `bin` and a name, or the name of a file below `tests/`.
    pub target: String,
    /// The executable file.
    pub program: PathBuf,
    /// The package's folder, in which its tests run.
    pub folder: PathBuf,
}

/// One test of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCase {
    /// Its modules and its function, such as `tests::versions`.
    pub name: String,
    /// Whether it is marked as ignored.
    pub ignored: bool,
}

/// Has cargo build every test of the workspace; what it says goes to the log.
pub fn build(log: &Log) -> Result<Vec<Binary>> {
    let mut command = cargo(&[
        "test",
        "--workspace",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log.file()?)
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .context("running cargo test --no-run")?;
    ensure!(
        output.status.success(),
        "cargo test --workspace --no-run ended with {}",
        output.status
    );
    let binaries = read(&String::from_utf8_lossy(&output.stdout));
    ensure!(!binaries.is_empty(), "cargo named no test program");
    Ok(binaries)
}

/// The test programs in cargo's messages: The Cargo Book, "External tools", "JSON
/// messages", "Artifact messages".
fn read(messages: &str) -> Vec<Binary> {
    let binary = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        if message.get("reason")? != "compiler-artifact"
            || message.pointer("/profile/test")? != &Value::Bool(true)
        {
            return None;
        }
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        let folder = Path::new(text("/manifest_path")?).parent()?;
        let name = text("/target/name")?;
        let target = match text("/target/kind/0")? {
            "test" => name.to_owned(),
            "bin" => format!("bin-{name}"),
            "example" => return None,
            _ => "lib".to_owned(),
        };
        Some(Binary {
            package: folder.file_name()?.to_str()?.to_owned(),
            target,
            program: PathBuf::from(text("/executable")?),
            folder: folder.to_owned(),
        })
    };
    messages.lines().filter_map(binary).collect()
}

impl Binary {
    /// Package and target, such as `kexec-image::real`.
    pub fn name(&self) -> String {
        format!("{}::{}", self.package, self.target)
    }

    /// The program with these words, in the folder of its package.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder);
        command
    }

    /// Every test in it, in its own order.
    pub fn tests(&self) -> Result<Vec<TestCase>> {
        let all = self.said(&["--list", "--format", "terse"])?;
        let ignored: BTreeSet<String> = self
            .said(&["--list", "--format", "terse", "--ignored"])?
            .lines()
            .filter_map(listed)
            .collect();
        Ok(all
            .lines()
            .filter_map(listed)
            .map(|name| TestCase {
                ignored: ignored.contains(&name),
                name,
            })
            .collect())
    }

    /// Why each of these tests is marked as ignored.
    pub fn reasons(&self, tests: &[&TestCase]) -> Result<Vec<SkippedTest>> {
        if tests.is_empty() {
            return Ok(Vec::new());
        }
        let mut words = vec!["--exact"];
        words.extend(tests.iter().map(|test| test.name.as_str()));
        Ok(skipped(&self.name(), &self.said(&words)?))
    }

    fn said(&self, words: &[&str]) -> Result<String> {
        let output = self
            .command(words)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting {}", self.program.display()))?;
        ensure!(
            output.status.success(),
            "{} {} ended with {}",
            self.program.display(),
            words.join(" "),
            output.status
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the program, or only these tests of it, and counts.
    pub fn run(&self, only: Option<&[String]>, log: &Log) -> Result<Success> {
        let mut command = self.command(&[]);
        if let Some(only) = only {
            command.arg("--exact").args(only);
        }
        count(&self.name(), log.run(&mut command)?, &log.text()?)
    }
}

/// `NAME: test` of a terse list.
fn listed(line: &str) -> Option<String> {
    Some(line.strip_suffix(": test")?.to_owned())
}

/// Sums what the test harness, or several in a row, said in the end.
pub fn count(name: &str, success: bool, text: &str) -> Result<Success> {
    let numbers = |word: &str| -> usize {
        let of_line = |line: &str| {
            let rest = line.strip_prefix("test result: ")?;
            let rest = rest.split_once(". ")?.1;
            let part = rest.split("; ").find(|part| part.ends_with(word))?;
            part.split(' ').next()?.parse::<usize>().ok()
        };
        text.lines()
            .filter_map(of_line)
            .fold(0, usize::saturating_add)
    };
    let (passed, failed) = (numbers(" passed"), numbers(" failed"));
    if !success || failed > 0 {
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
            .collect();
        match names.as_slice() {
            [] => bail!("it ended before it said which test failed"),
            names => bail!(
                "{failed} of {} failed: {}",
                passed.saturating_add(failed),
                names.join(", ")
            ),
        }
    }
    Ok(Success {
        passed,
        note: format!("{passed} tests"),
        skipped: skipped(name, text),
        more: Vec::new(),
    })
}

/// `test NAME ... ignored, REASON` lines.
fn skipped(binary: &str, text: &str) -> Vec<SkippedTest> {
    let of_line = |line: &str| {
        let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
        let reason = rest.trim_start_matches([',', ' ']);
        let reason = if reason.is_empty() {
            "marked as ignored"
        } else {
            reason
        };
        Some(SkippedTest {
            reason: reason.to_owned(),
            name: format!("{binary}::{name}"),
        })
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_what_cargo_says() {
        let artifact = |kind: &str, name: &str, test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": "/p/crates/kexec-image/Cargo.toml",
                "target": {"kind": [kind], "name": name},
                "profile": {"test": test},
                "executable": format!("/t/{name}"),
            })
            .to_string()
        };
        let text = [
            "{\"reason\":\"build-script-executed\"}".to_owned(),
            artifact("lib", "kexec_image", true),
            artifact("test", "real", true),
            artifact("bin", "kexec", true),
            artifact("bin", "kexec", false),
            artifact("example", "throughput", true),
            "not json".to_owned(),
        ]
        .join("\n");
        let names: Vec<String> = read(&text).iter().map(Binary::name).collect();
        assert_eq!(
            names,
            [
                "kexec-image::lib",
                "kexec-image::real",
                "kexec-image::bin-kexec"
            ]
        );
    }

    #[test]
    fn results_are_counted_and_nothing_is_taken_for_success() {
        let text = "test a ... ok\ntest b ... ignored, needs a moon\ntest c ... ignored\n\
            test result: ok. 5 passed; 0 failed; 2 ignored; 0 measured\n\
            test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured\n";
        let done = count("x::lib", true, text).unwrap();
        assert_eq!(done.passed, 17);
        let skipped: Vec<_> = done
            .skipped
            .iter()
            .map(|one| format!("{}: {}", one.name, one.reason))
            .collect();
        assert_eq!(
            skipped,
            ["x::lib::b: needs a moon", "x::lib::c: marked as ignored"]
        );
        let text = "test a ... FAILED\ntest result: FAILED. 1 passed; 1 failed; 0 ignored;\n";
        let error = count("x", true, text).err().unwrap().to_string();
        assert_eq!(error, "1 of 2 failed: a");
        assert!(count("x", false, "").is_err());
    }
}
