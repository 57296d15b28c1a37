//! Secure Boot on, as the firmware, the running kernel and this program see it.

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, GuestFirmware, Lab, NextKernel};

/// The same kernel without its signature: the certificate table is the fifth data
/// directory of a PE image (PE Format, "Optional Header Data Directories"), and lies
/// at the end of the file.
fn unsigned(mut kernel: Vec<u8>) -> Result<Vec<u8>> {
    let word = |kernel: &[u8], at: usize| -> Option<usize> {
        let four = kernel.get(at..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*four)).ok()
    };
    let pe = word(&kernel, 0x3c).context("no PE header")?;
    let directory = pe + 24 + 112 + 4 * 8;
    let certificates = word(&kernel, directory).context("no data directories")?;
    ensure!(certificates > 0, "the kernel is not signed");
    kernel.truncate(certificates);
    let entry = kernel.get_mut(directory..directory + 8);
    entry.context("no data directories")?.fill(0);
    Ok(kernel)
}

/// Debian's kernel locks itself down under Secure Boot. Both are seen with and without
/// securityfs and efivarfs; the running kernel's own call is chosen, and a kernel that
/// is not signed, or by nobody whom this machine knows, is refused.
#[test]
fn what_is_on_is_seen_without_any_mount() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let signed = std::fs::read(&kernel.path).context("reading the kernel")?;
    let outcome = Guest::new(&lab, &kernel)
        .firmware(GuestFirmware::SecureBoot)
        .with(&lab.product()?.files)
        .file("unsigned", unsigned(signed)?)
        .next(NextKernel::new(&kernel))
        .script(
            "run bare kexec status --json --snapshot /bare\n\
             put_file bare /bare\n\
             run plan kexec plan $NEXT\n\
             run classic kexec load -c $NEXT --cmdline \"$CONSOLE\"\n\
             run unknown kexec load $NEXT --cmdline \"$CONSOLE\"\n\
             run unsigned kexec load /unsigned --cmdline \"$CONSOLE\"\n\
             run unverified kexec load --unverified /unsigned --cmdline \"$CONSOLE\"\n\
             run loaded kexec -S -l\n\
             mount -t securityfs securityfs /sys/kernel/security\n\
             run mounted kexec plan $NEXT\n",
        )
        .run()?;
    let one = outcome.stage("first")?;
    let told = |label: &str, code: u8, word: &str| -> Result<()> {
        let run = one.run(label)?;
        let text = run.out() + &run.err();
        println!("{label}: {} {text}", run.code);
        ensure!(run.code == code && text.contains(word), "{label}: {text}");
        Ok(())
    };
    let bare = String::from_utf8_lossy(one.file("bare")?).into_owned();
    let facts: String = bare.split_whitespace().collect();
    ensure!(
        facts.contains("\"secure_boot\":{\"known\":true}")
            && facts.contains("\"lockdown\":{\"known\":\"integrity\"}"),
        "{bare}"
    );
    let method = "kexec_file_load: the running kernel is locked down";
    told("plan", 0, method)?;
    told("mounted", 0, method)?;
    told("classic", 1, "locked down (integrity)")?;
    told("unknown", 1, "ENOKEY")?;
    told(
        "unsigned",
        1,
        "there is none, and the running kernel accepts only signed kernels",
    )?;
    // Lockdown is not to be got around.
    told("unverified", 1, "there is none")?;
    told("loaded", 0, "")
}
