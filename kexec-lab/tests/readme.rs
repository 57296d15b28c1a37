//! What README.md shows is what happens.

use anyhow::{Context, Result, ensure};
use kexec_lab::readme::{block, shows};
use kexec_lab::{Guest, Lab, demonstration};

/// The first words of the README: `kexec check` on a machine where loading is
/// switched off. A kernel and an initrd are where the command names them.
#[test]
fn check() -> Result<()> {
    let (command, shown) = block("$ kexec check ")?;
    let mut files = command.split(' ').filter(|word| word.starts_with("/boot/"));
    let (kernel, initrd) = (files.next(), files.next());
    let lab = Lab::open()?;
    let running = lab.kernel("6.12")?;
    let config = format!("config-{}", running.release);
    let config = running.path.with_file_name(config);
    let outcome = Guest::new(&lab, &running)
        .append("quiet")
        .with(&lab.product()?.files)
        .file(kernel.context("no kernel")?, std::fs::read(&running.path)?)
        .file(
            initrd.context("no initrd")?,
            lab.initramfs("second")?.build()?,
        )
        .file(
            &format!("boot/config-{}", running.release),
            std::fs::read(config)?,
        )
        .script(&format!(
            "mount -t securityfs securityfs /sys/kernel/security\n\
             echo 1 > /proc/sys/kernel/kexec_load_disabled\nrun check {command}\n"
        ))
        .run()?;
    let check = outcome.stage("first")?.run("check")?;
    assert_eq!((check.code, check.err().as_str()), (1, ""));
    let out = check.out();
    println!("{out}");
    ensure!(
        shows(&shown, &out),
        "README.md shows:\n{}\nthe command says:\n{out}",
        shown.join("\n")
    );
    Ok(())
}

/// `cargo xtask demo`: what the second kernel found is what README.md shows, but for
/// addresses and sizes, which another build of the firmware may have elsewhere.
#[test]
fn demo() -> Result<()> {
    let (_, shown) = block("   0.0 s  the machine is switched on")?;
    let jumped = shown
        .iter()
        .skip_while(|line| !line.ends_with("# kexec -e"));
    let arrived = jumped.skip_while(|line| !line.contains("uname -r: "));
    let shown: Vec<&str> = arrived
        .skip(1)
        .map_while(|line| line.strip_prefix("          "))
        .collect();
    let lab = Lab::open()?;
    let kexec = std::fs::read(kexec_lab::kexec_binary()?)?;
    let outcome = demonstration::guest(&lab, kexec)?.run()?;
    demonstration::check(&lab, &outcome)?;
    let differences = demonstration::differences(&outcome)?.join("\n");
    println!("{differences}");
    ensure!(
        without_numbers(&shown.join("\n")) == without_numbers(&differences),
        "README.md shows:\n{}\nthe machine said:\n{differences}",
        shown.join("\n")
    );
    Ok(())
}

/// The text with one `#` for each address and each size.
fn without_numbers(text: &str) -> String {
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let mask = |word: &str| match word.trim_start_matches('(') {
        address if address.starts_with("0x") => "#".to_owned(),
        size if !size.is_empty() && digits(size) && word.starts_with('(') => "(#".to_owned(),
        _ => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(mask).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn numbers_are_left_out_and_nothing_else() {
    assert_eq!(
        without_numbers("processors: 2; a\n  0x1f-0x2f (148 KiB): Reserved, was 0x"),
        "processors: 2; a\n  # (# KiB): Reserved, was #"
    );
}
