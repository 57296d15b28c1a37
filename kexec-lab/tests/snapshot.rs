//! A machine's snapshot answers for the machine: what `check` says in the guest
//! is what it says elsewhere of the redacted file.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, Lab, NextKernel, kexec_binary};
use serde_json::Value;

/// The findings of `kexec check --json`, without the kernel's path.
fn findings(json: &[u8], path: &str) -> Result<Vec<String>> {
    let value: Value = serde_json::from_slice(json)?;
    let findings = value.pointer("/findings").and_then(Value::as_array);
    let findings = findings.with_context(|| format!("no findings in {value:#}"))?;
    let text = |f: &Value, key: &str| f.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    Ok(findings
        .iter()
        // Where the reboot goes is looked at on the machine itself only.
        .filter(|f| text(f, "check") != "root-exists")
        .map(|f| {
            // How much memory is free changes from one moment to the next.
            if text(f, "what") == "free memory" {
                return text(f, "severity");
            }
            ["check", "severity", "what", "why", "remedy"]
                .map(|key| text(f, key).replace(path, "KERNEL"))
                .join(" | ")
        })
        .collect())
}

#[test]
fn a_redacted_snapshot_gives_the_same_answers_elsewhere() -> Result<()> {
    let lab = Lab::open()?;
    let next = lab.kernel("6.1")?;
    let secret = "luks.key=do-not-tell";
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .append(secret)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&next))
        .script(
            "mount -t securityfs securityfs /sys/kernel/security\n\
             run check kexec check $NEXT --reuse-cmdline --json\n\
             run snapshot kexec status --snapshot /tmp/machine.json\n\
             run mode stat -c %a /tmp/machine.json\n\
             run again kexec status --snapshot /tmp/machine.json\n\
             put_file machine /tmp/machine.json\n",
        )
        .run()?;
    let one = outcome.stage("first")?;
    assert_eq!(
        one.run("snapshot")?.code,
        0,
        "{}",
        one.run("snapshot")?.err()
    );
    assert_eq!(one.run("mode")?.out(), "600\n");
    // Never over a file that is there.
    assert_eq!(one.run("again")?.code, 1);

    let machine = String::from_utf8(one.file("machine")?.to_vec())?;
    ensure!(
        !machine.contains("do-not-tell"),
        "the secret is in {machine}"
    );
    // Where the running kernel was put is a secret, too.
    let code = one.report.iomem.lines().find(|l| l.contains("Kernel code"));
    let code = code.context("no kernel code in iomem")?;
    let start = code.trim().split('-').next().unwrap_or_default();
    let start = u64::from_str_radix(start, 16)?;
    ensure!(
        !machine.contains(&start.to_string()),
        "the kernel's place is in it"
    );

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("machine.json");
    std::fs::write(&file, &machine)?;
    let path = next.path.display().to_string();
    let elsewhere = Command::new(kexec_binary()?)
        .args(["check", &path, "--reuse-cmdline", "--json", "--host"])
        .arg(&file)
        .output()?;
    assert_eq!(
        findings(&elsewhere.stdout, &path)?,
        findings(&one.run("check")?.stdout, "/next/vmlinuz")?
    );
    assert_eq!(
        elsewhere.status.code(),
        Some(i32::from(one.run("check")?.code))
    );
    Ok(())
}
