//! What the running kernel refuses, and how it is told: on real kernels, the
//! same refusals that the tests of `kexec-load` get from a double.

use anyhow::{Result, ensure};
use kexec_lab::{Guest, Lab, NextKernel, Stage};

/// Runs a script on 6.12 with our program and 6.1 as the next kernel.
fn on_6_12(append: &str, script: &str) -> Result<kexec_lab::GuestRun> {
    let lab = Lab::open()?;
    Guest::new(&lab, &lab.kernel("6.12")?)
        .with(&lab.product()?.files)
        .append(append)
        .next(NextKernel::new(&lab.kernel("6.1")?))
        .script(script)
        .run()
}

/// The exit code of a run, and that its error output has all these words.
fn refused(stage: &Stage, label: &str, code: u8, words: &[&str]) -> Result<()> {
    let run = stage.run(label)?;
    println!("{label}: {}{}", run.out(), run.err());
    ensure!(
        run.code == code,
        "{label}: exit code {}, not {code}",
        run.code
    );
    let text = run.out() + &run.err();
    for word in words {
        ensure!(text.contains(word), "{label}: no {word:?} in: {text}");
    }
    Ok(())
}

/// The longest command line that a kernel takes is a matter of the kernel that
/// runs; the check must draw the line where each of them does.
#[test]
fn longest_command_line_is_what_the_running_kernel_takes() -> Result<()> {
    let lab = Lab::open()?;
    for label in ["6.1", "6.12", "7.x"] {
        let kernel = lab.kernel(label)?;
        let outcome = Guest::new(&lab, &kernel)
            .with(&lab.kexec_tools()?)
            .with(&lab.product()?.files)
            .next(NextKernel::new(&lab.kernel("6.1")?))
            .script(
                "line() { head -c $1 /dev/zero | tr '\\0' a; }\n\
                 for n in 2015 2016 2017 2018 2045 2046 2047 2048; do\n\
                 run theirs-$n /ref/kexec -s -l $NEXT --append \"$(line $n)\"\n\
                 run ours-$n kexec -s -l $NEXT --append \"$(line $n)\"\n\
                 run check-$n kexec check -s $NEXT --append \"$(line $n)\"\n\
                 done\n",
            )
            .run()?;
        let one = outcome.stage("first")?;
        let taken = |who: &str| -> Result<Vec<u32>> {
            let lengths = [2015, 2016, 2017, 2018, 2045, 2046, 2047, 2048];
            let mut taken = Vec::new();
            for n in lengths {
                if one.run(&format!("{who}-{n}"))?.code == 0 {
                    taken.push(n);
                }
            }
            Ok(taken)
        };
        println!("{label}: the kernel takes {:?}", taken("theirs")?);
        assert_eq!(taken("ours")?, taken("theirs")?, "{label}: load");
        assert_eq!(taken("check")?, taken("theirs")?, "{label}: check");
    }
    Ok(())
}

/// kernel.kexec_load_disabled cannot be taken back, and -l says so.
#[test]
fn loading_is_disabled() -> Result<()> {
    let outcome = on_6_12(
        "",
        "run first kexec -l $NEXT --append \"$CONSOLE\"\n\
         echo 1 > /proc/sys/kernel/kexec_load_disabled\n\
         run load kexec -l $NEXT --append \"$CONSOLE\"\n\
         run check kexec check $NEXT\n\
         run loaded kexec -S -l\n",
    )?;
    let one = outcome.stage("first")?;
    assert_eq!(one.run("first")?.code, 0);
    refused(one, "load", 255, &["kexec_load_disabled", "reboot"])?;
    refused(one, "check", 1, &["kexec_load_disabled"])?;
    // What was loaded before still is.
    refused(one, "loaded", 1, &[])
}

/// kernel.kexec_load_limit_reboot (since 6.3) counts loads down.
#[test]
fn no_loads_are_left() -> Result<()> {
    let outcome = on_6_12(
        "",
        "echo 1 > /proc/sys/kernel/kexec_load_limit_reboot\n\
         run first kexec -l $NEXT --append \"$CONSOLE\"\n\
         run second kexec -l $NEXT --append \"$CONSOLE\"\n\
         run loaded kexec -S -l\n",
    )?;
    let one = outcome.stage("first")?;
    assert_eq!(one.run("first")?.code, 0, "{}", one.run("first")?.err());
    refused(one, "second", 255, &["kexec_load_limit_reboot"])?;
    refused(one, "loaded", 1, &[])
}

/// Without privilege: said before anything is tried, on the capability's name.
#[test]
fn without_cap_sys_boot() -> Result<()> {
    let outcome = on_6_12(
        "",
        "mkdir -p /etc\n\
         echo 'nobody:x:65534:65534::/:/bin/sh' > /etc/passwd\n\
         run load start-stop-daemon -S -c 65534:65534 -x /bin/kexec -- -l $NEXT\n\
         run check start-stop-daemon -S -c 65534:65534 -x /bin/kexec -- check $NEXT\n\
         run status start-stop-daemon -S -c 65534:65534 -x /bin/kexec -- -S -l\n\
         run exec start-stop-daemon -S -c 65534:65534 -x /bin/kexec -- -e\n",
    )?;
    let one = outcome.stage("first")?;
    refused(one, "load", 255, &["CAP_SYS_BOOT"])?;
    refused(one, "check", 1, &["CAP_SYS_BOOT"])?;
    refused(one, "status", 0, &[])?;
    refused(one, "exec", 1, &["nothing is loaded"])
}

/// Under lockdown a kernel must be signed by a key that the running kernel
/// trusts; Debian's own key is not among them without shim.
#[test]
fn lockdown_takes_signed_kernels_only() -> Result<()> {
    let outcome = on_6_12(
        "lockdown=integrity",
        "mount -t securityfs securityfs /sys/kernel/security\n\
         gzip -c $NEXT > /packed\n\
         run load kexec -l $NEXT --append \"$CONSOLE\"\n\
         run packed kexec -l /packed --append \"$CONSOLE\"\n\
         run plan kexec plan $NEXT\n\
         run loaded kexec -S -l\n",
    )?;
    let one = outcome.stage("first")?;
    refused(one, "load", 255, &["lockdown"])?;
    refused(one, "packed", 255, &["lockdown"])?;
    refused(
        one,
        "plan",
        0,
        &["kexec_file_load: the running kernel is locked down"],
    )?;
    refused(one, "loaded", 0, &[])
}

/// All segments together may have half of the memory.
#[test]
fn an_initrd_that_does_not_fit() -> Result<()> {
    let lab = Lab::open()?;
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .memory_mb(512)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&lab.kernel("6.1")?))
        .script(
            "mount -t tmpfs -o size=300m big /mnt\n\
             head -c 230m /dev/zero > /mnt/big\n\
             run load kexec -l $NEXT --initrd /mnt/big --append \"$CONSOLE\"\n\
             run loaded kexec -S -l\n",
        )
        .run()?;
    let one = outcome.stage("first")?;
    refused(one, "load", 255, &["memory"])?;
    refused(one, "loaded", 0, &[])
}

/// Files that crash kexec-tools or are loaded by it without a word.
#[test]
fn files_that_are_no_kernels() -> Result<()> {
    let outcome = on_6_12(
        "",
        "head -c 4096 /dev/urandom > /random\n\
         : > /empty\n\
         head -c 13 /dev/zero > /zeros\n\
         head -c 2000000 $NEXT > /short\n\
         { head -c 60 $NEXT; printf '\\377\\377\\377\\377'; tail -c +65 $NEXT; } > /offset\n\
         { head -c 3000000 $NEXT; printf 'changed'; tail -c +3000008 $NEXT; } > /changed\n\
         run keep kexec -l $NEXT --append \"$CONSOLE\"\n\
         for file in random empty zeros short offset changed missing; do\n\
         run $file kexec -l /$file\n\
         done\n\
         run initrd kexec -l $NEXT --initrd /empty\n\
         run directory kexec -l /bin\n\
         run loaded kexec -S -l\n",
    )?;
    let one = outcome.stage("first")?;
    assert_eq!(one.run("keep")?.code, 0, "{}", one.run("keep")?.err());
    refused(one, "random", 255, &["not a kernel image", "/random"])?;
    refused(one, "empty", 255, &["/empty"])?;
    refused(one, "zeros", 255, &["not a kernel image"])?;
    refused(one, "short", 255, &["cut short"])?;
    refused(one, "offset", 255, &["/offset"])?;
    refused(one, "changed", 255, &["does not match", "install it again"])?;
    refused(one, "missing", 1, &["ENOENT", "/missing"])?;
    refused(one, "initrd", 255, &["/empty", "empty"])?;
    refused(one, "directory", 1, &["directory"])?;
    // What was loaded before still is.
    refused(one, "loaded", 1, &[])
}
