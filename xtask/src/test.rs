//! `cargo xtask test`: everything.

use crate::host::{call, cargo, require_lab_tools, root};
use crate::steps::Steps;
use crate::{demo, dist, docs, fuzz};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ExitCode, Stdio};

/// The product must stay below this.
const LARGEST: u64 = 6_000_000;

/// Names a kernel with CONFIG_KEXEC_JUMP, which no kernel of Debian has.
const JUMP_KERNEL: &str = "KEXEC_JUMP_KERNEL";
/// The scenarios that need it.
const JUMPS: &[&str] = &["a_program_returns", "a_second_linux_jumps_back"];

/// Which steps are wanted.
#[derive(Debug)]
pub struct Options {
    /// Virtual machines.
    pub vm: bool,
    /// Of these, also the ones that only say the same of one more system.
    pub all: bool,
    /// Fuzzing.
    pub fuzz: bool,
    /// Seconds for each fuzz target.
    pub fuzz_seconds: u64,
}

/// Takes every step and shows the table.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mut steps = Steps::default();
    steps.take("formatting", || {
        call(&mut cargo(&["fmt", "--all", "--check"]))?;
        Ok(String::new())
    });
    steps.take("lints", || {
        call(&mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))?;
        Ok(String::new())
    });
    steps.take("unit and command line", || {
        // The lab's own scenarios are a step of their own.
        call(&mut cargo(&["test", "--workspace", "--exclude", "vm"]))?;
        call(&mut cargo(&["test", "--package", "vm", "--lib"]))?;
        call(&mut cargo(&["test", "--package", "vm", "--doc"]))?;
        Ok(String::new())
    });
    steps.take("manual pages, completions", || {
        docs::check(&root().join("target/man"))
    });
    let built = steps.take("release build", || {
        let binary = demo::build()?;
        check_binary(&binary)
    });
    if built {
        steps.take("package", || dist::check(&vm::kexec_binary()?));
    } else {
        steps.skip("package", "there is no release build");
    }
    if !options.vm {
        steps.skip("real files", "--no-vm");
        steps.skip("virtual machines", "--no-vm");
    } else if !built {
        steps.skip("virtual machines", "there is no release build");
    } else {
        steps.take("real files", real_files);
        steps.take("virtual machines", || virtual_machines(options.all));
        if std::env::var_os(JUMP_KERNEL).is_none() {
            let why = format!("no kernel of Debian has CONFIG_KEXEC_JUMP; {JUMP_KERNEL} names one");
            steps.skip("kernels that jump back", &why);
        }
        if !options.all {
            let why = "marked as ignored, each with its reason; cargo xtask test --all";
            steps.skip("more cells of installed systems", why);
        }
    }
    steps.skip(
        "UKIs that ukify made",
        "ukify is not in the lab; KEXEC_UKI_FILES names some for the test real_files_open",
    );
    if options.fuzz {
        steps.take("fuzzing", || fuzz::all(options.fuzz_seconds, None));
    } else {
        steps.skip("fuzzing", "--no-fuzz");
    }
    Ok(steps.finish())
}

/// One static file of a bearable size.
fn check_binary(binary: &Path) -> Result<String> {
    let metadata = std::fs::symlink_metadata(binary)
        .with_context(|| format!("looking at {}", binary.display()))?;
    let size = metadata.len();
    if !metadata.is_file() {
        bail!("{} is not a regular file", binary.display());
    }
    if size >= LARGEST {
        bail!(
            "{} has {size} bytes, and must have less than {LARGEST}",
            binary.display()
        );
    }
    let bytes = std::fs::read(binary)?;
    if let Some(interpreter) = dynamic_part(&bytes).context("reading the ELF program headers")? {
        bail!(
            "{} is not static: it has a {interpreter} segment",
            binary.display()
        );
    }
    Ok(format!("{size} bytes, static"))
}

/// The name of a program header that a static program does not have.
///
/// ELF-64 gABI: e_phoff at 32, e_phentsize at 54, e_phnum at 56; p_type is
/// the first word of a program header, PT_INTERP is 3.
fn dynamic_part(elf: &[u8]) -> Option<Option<&'static str>> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(*elf.get(at..)?.first_chunk()?));
    if !elf.starts_with(b"\x7fELF") {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(*elf.get(32..)?.first_chunk()?)).ok()?;
    let size = usize::from(u16_at(54)?);
    for number in 0..usize::from(u16_at(56)?) {
        let header = table.checked_add(number.checked_mul(size)?)?;
        let kind = u32::from_le_bytes(*elf.get(header..)?.first_chunk()?);
        if kind == 3 {
            return Some(Some("PT_INTERP"));
        }
    }
    Some(None)
}

/// The tests that need kernels of a distribution, or a QEMU but no kernel.
fn real_files() -> Result<String> {
    require_lab_tools()?;
    let lab = vm::Lab::open()?;
    let mut paths = Vec::new();
    for label in vm::KERNELS.iter().map(|kernel| kernel.label) {
        paths.push(lab.kernel(label)?.path);
    }
    let kernels = std::env::join_paths(&paths).context("a path of the lab has a colon")?;
    let qemu = lab.folder().join("qemu");
    lab.qemu().wrapper(&qemu)?;
    call(
        cargo(&["test", "--package", "kexec-image", "--test", "real"])
            .env("KEXEC_TEST_KERNELS", &kernels),
    )?;
    call(
        cargo(&["test", "--package", "kexec-image", "--lib", "authenticode"])
            .env("KEXEC_SIGNED_FILES", &kernels),
    )?;
    call(
        cargo(&["test", "--package", "kexec-purgatory", "--test", "guest"])
            .env("KEXEC_QEMU", &qemu),
    )?;
    Ok(format!("{} kernels", paths.len()))
}

/// The scenarios of the lab, a guest for each processor; those that are marked as
/// ignored only where all are wanted.
fn virtual_machines(all: bool) -> Result<String> {
    require_lab_tools()?;
    let without = match std::env::var_os(JUMP_KERNEL) {
        Some(_) => &[],
        None => JUMPS,
    };
    let mut child = cargo(&["test", "--package", "vm", "--test", "*", "--no-fail-fast"])
        .arg("--")
        .args(all.then_some("--include-ignored"))
        .args(without.iter().flat_map(|test| ["--skip", test]))
        // An error shows the guest's console; a backtrace would hide it.
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cargo test")?;
    let output = child
        .stdout
        .take()
        .context("cargo's standard output is not a pipe")?;
    let mut text = String::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("reading what cargo test says")?;
        println!("{line}");
        text.push_str(&line);
        text.push('\n');
    }
    let status = child.wait().context("waiting for cargo test")?;
    if !status.success() {
        bail!("the scenarios ended with {status}");
    }
    Ok(format!("{} scenarios", passed(&text)))
}

/// Sums the "N passed" of the test harness.
fn passed(text: &str) -> u32 {
    text.lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "))
        .filter_map(|rest| rest.split(' ').next()?.parse::<u32>().ok())
        .fold(0, u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_scenarios() {
        let text = "test result: ok. 5 passed; 0 failed\nx\ntest result: ok. 12 passed; 0 failed\n";
        assert_eq!(passed(text), 17);
    }

    #[test]
    fn a_static_program_has_no_interpreter() {
        let mut elf = vec![0_u8; 64 + 2 * 56];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 2;
        elf[64] = 1;
        assert_eq!(dynamic_part(&elf), Some(None));
        elf[64 + 56] = 3;
        assert_eq!(dynamic_part(&elf), Some(Some("PT_INTERP")));
        assert_eq!(dynamic_part(&elf[..100]), None);
        assert_eq!(dynamic_part(b"MZ"), None);
    }
}
