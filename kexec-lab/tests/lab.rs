//! The lab itself: it opens, its kernels boot, a real kexec works in it.

use anyhow::{Context, Result, bail, ensure};
use kexec_lab::{End, Guest, GuestFirmware, KERNELS, Lab, NextKernel};
use std::process::Command;
use std::time::Duration;

/// Every kernel boots with either firmware and says what it is.
#[test]
fn every_kernel_boots() -> Result<()> {
    let lab = Lab::open()?;
    for source in KERNELS {
        let kernel = lab.kernel(source.label)?;
        for firmware in GuestFirmware::ALL {
            let outcome = Guest::new(&lab, &kernel)
                .firmware(firmware)
                .cpus(2)
                .append("word=\"two words\"")
                .script("run hello echo 'hello there'\nrun fails sh -c 'echo no >&2; exit 7'\n")
                .run()?;
            let stage = outcome.stage("first")?;
            println!(
                "{} {firmware}: user space after {:.1} s, all {:.1} s",
                kernel.release,
                stage.started.as_secs_f64(),
                outcome.duration.as_secs_f64()
            );
            let report = &stage.report;
            assert_eq!(report.release, kernel.release);
            assert_eq!(report.cpus, 2);
            // OVMF adds a word of its own behind it.
            assert!(
                report
                    .command_line()
                    .starts_with("console=ttyS0 panic=-1 word=\"two words\""),
                "{}",
                report.command_line()
            );
            assert!(report.memmap.len() > 3, "{:?}", report.memmap);
            assert!(report.acpi.contains_key("./DSDT"), "{:?}", report.acpi);
            assert!(report.iomem.contains("System RAM"), "{}", report.iomem);
            assert_eq!(
                report.efi_runtime_map.is_empty(),
                firmware == GuestFirmware::SeaBios,
                "{:?}",
                report.efi_runtime_map
            );
            assert_eq!(stage.run("hello")?.out(), "hello there\n");
            let fails = stage.run("fails")?;
            assert_eq!((fails.code, fails.err().as_str()), (7, "no\n"));
        }
    }
    Ok(())
}

/// The real kexec-tools takes a guest into another kernel.
#[test]
fn the_real_kexec_tools_jumps() -> Result<()> {
    let lab = Lab::open()?;
    let first = lab.kernel("6.1")?;
    let second = lab.kernel("6.12")?;
    let outcome = Guest::new(&lab, &first)
        .with(&lab.kexec_tools()?)
        .next(NextKernel::new(&second).script("run here echo second\n"))
        .script(
            "run version /ref/kexec -v\n\
             run load /ref/kexec -s -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE x\"\n\
             jump /ref/kexec -e\n",
        )
        .run()?;
    let (one, two) = (outcome.stage("first")?, outcome.stage("second")?);
    assert_eq!(one.run("load")?.code, 0, "{}", one.run("load")?.err());
    assert!(one.run("version")?.out().starts_with("kexec-tools 2.0."));
    assert_eq!(two.report.release, second.release);
    assert_eq!(two.report.command_line(), "console=ttyS0 panic=-1 x");
    assert_eq!(two.report.memmap, one.report.memmap);
    assert_eq!(two.run("here")?.out(), "second\n");
    Ok(())
}

/// A panic ends the run at once and is an error that shows the console.
#[test]
fn a_panic_is_an_error() -> Result<()> {
    let lab = Lab::open()?;
    let error = Guest::new(&lab, &lab.kernel("6.12")?)
        .script("echo c > /proc/sysrq-trigger\n")
        .run()
        .expect_err("the guest panicked");
    let text = format!("{error:#}");
    assert!(text.contains("was reset"), "{text}");
    assert!(text.contains("Kernel panic"), "{text}");
    assert!(text.contains("stage first"), "{text}");
    Ok(())
}

/// A cold reboot is not taken for a jump.
#[test]
fn a_cold_reboot_is_an_error() -> Result<()> {
    let lab = Lab::open()?;
    let guest = || -> Result<Guest<'_>> {
        Ok(Guest::new(&lab, &lab.kernel("6.12")?)
            .next(NextKernel::new(&lab.kernel("6.12")?))
            .script("jump reboot -f\n"))
    };
    let error = guest()?.run().expect_err("the guest rebooted");
    assert!(
        format!("{error:#}").contains("had tried to jump"),
        "{error:#}"
    );
    let outcome = guest()?.observe()?;
    assert_eq!(outcome.end, End::Reset);
    assert!(outcome.stage("second").is_err());
    Ok(())
}

/// A guest that hangs is ended by its deadline.
#[test]
fn a_hang_is_ended() -> Result<()> {
    let lab = Lab::open()?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .script("sleep 1000\n")
        .timeout(Duration::from_secs(15))
        .observe()?;
    assert_eq!(outcome.end, End::TimedOut);
    assert!(outcome.duration < Duration::from_secs(20));
    Ok(())
}

/// A guest that hangs before its first kernel's user space is started once more, with
/// a line on standard error and one in the file of the counts. The QEMU of this test
/// stops its guest's processor before the first instruction, the first time.
#[test]
fn a_hang_before_anything_of_ours_is_started_once_more() -> Result<()> {
    const THIS: &str = "a_hang_before_anything_of_ours_is_started_once_more";
    const IS_CHILD: &str = "LAB_TEST_HANGS_ONCE";
    let lab = Lab::open()?;
    if std::env::var_os(IS_CHILD).is_some() {
        let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
            .first_stage(Duration::from_secs(5))
            .run()?;
        assert_eq!(outcome.stages.len(), 1);
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    lab.qemu().wrapper(&path("real"))?;
    let once = path("once");
    program(
        &path("qemu-system-x86_64"),
        &format!(
            "#!/bin/sh\n\
             case \"$*\" in *--version*) exec '{real}' \"$@\" ;; esac\n\
             mkdir '{once}' 2>/dev/null && exec '{real}' -S \"$@\"\n\
             exec '{real}' \"$@\"\n",
            real = path("real").display(),
            once = once.display(),
        ),
    )?;
    let counts = path("counts");
    let search = std::env::var("PATH").context("PATH")?;
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", THIS, "--nocapture"])
        .env(IS_CHILD, "1")
        .env("KEXEC_LAB_RESTARTS", &counts)
        .env("PATH", format!("{}:{search}", folder.path().display()))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    ensure!(once.exists(), "another QEMU was run");
    let told = said
        .lines()
        .filter(|line| line.ends_with(" hung before anything of ours ran; started once more"));
    assert_eq!(told.count(), 1, "{said}");
    let counts = std::fs::read_to_string(counts)?;
    let [line] = counts.lines().collect::<Vec<_>>()[..] else {
        bail!("expected one line: {counts}");
    };
    println!("{line}");
    ensure!(line.starts_with("lab"), "{line}");
    ensure!(
        line.contains("nothing for 5 s; the console was empty"),
        "{line}"
    );
    Ok(())
}

/// Writes an executable file.
fn program(path: &std::path::Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
