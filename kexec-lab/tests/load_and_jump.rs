//! Whole cycles: our `kexec` takes a real kernel into another one, and the
//! second one tells what it was given.
//!
//! With `KEXEC_BIN=kexec-tools` the same scenarios run with the real
//! kexec-tools (those of verbs, which it does not have, are left to ours).

use anyhow::{Result, ensure};
use kexec_lab::{Guest, GuestFirmware, GuestRun, Lab, NextKernel, Stage};

/// A command line with everything that a careless program would change:
/// quotes, runs of blanks, a backslash, UTF-8, an equals sign in a value.
const APPEND: &str = "console=ttyS0 panic=-1  quoted=\"two  words\" back\\slash a=b=c umlaut=\u{e4}\u{f6} -- 'x' end";

/// The machine of the second kernel must be the machine of the first one.
fn same_machine(outcome: &GuestRun) -> Result<()> {
    let (one, two) = (
        &outcome.stage("first")?.report,
        &outcome.stage("second")?.report,
    );
    assert_eq!(one.cpus, two.cpus, "processors");
    assert_eq!(one.memmap, two.memmap, "firmware memory map");
    assert!(!one.acpi.is_empty());
    assert_eq!(one.acpi, two.acpi, "ACPI tables");
    assert_eq!(one.efi_runtime_map, two.efi_runtime_map, "EFI runtime map");
    Ok(())
}

/// `kexec -s -l` and `kexec -e` from one kernel into another.
fn cycle(first: &str, second: &str, firmware: GuestFirmware) -> Result<()> {
    let lab = Lab::open()?;
    let (first, second) = (lab.kernel(first)?, lab.kernel(second)?);
    let outcome = Guest::new(&lab, &first)
        .firmware(firmware)
        .cpus(2)
        .with(&lab.product()?.files)
        .file("append", APPEND)
        .next(NextKernel::new(&second))
        .script(
            "run load kexec -s -l $NEXT --initrd $NEXT_INITRD --append \"$(cat /append)\"\n\
             run loaded cat /sys/kernel/kexec_loaded\n\
             jump kexec -e\n",
        )
        .run()?;
    println!(
        "{} -> {} {firmware}: {:.1} s",
        first.release,
        second.release,
        outcome.duration.as_secs_f64()
    );
    let (one, two) = (outcome.stage("first")?, outcome.stage("second")?);
    let load = one.run("load")?;
    assert_eq!((load.code, load.err().as_str()), (0, ""));
    assert_eq!(one.run("loaded")?.out(), "1\n");
    assert_eq!(one.report.release, first.release);
    assert_eq!(two.report.release, second.release);
    assert_eq!(two.report.command_line(), APPEND);
    same_machine(&outcome)
}

macro_rules! cycles {
    ($($(#[$attribute:meta])* $name:ident: $first:literal => $second:literal, $firmware:ident;)*) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $name() -> Result<()> {
                cycle($first, $second, GuestFirmware::$firmware)
            }
        )*
    };
}

cycles! {
    from_6_1_to_6_12_seabios: "6.1" => "6.12", SeaBios;
    from_6_1_to_6_12_ovmf: "6.1" => "6.12", Ovmf;
    from_6_12_to_7_seabios: "6.12" => "7.x", SeaBios;
    from_6_12_to_7_ovmf: "6.12" => "7.x", Ovmf;
    from_7_to_6_1_seabios: "7.x" => "6.1", SeaBios;
    from_7_to_6_1_ovmf: "7.x" => "6.1", Ovmf;
    #[ignore = "one more pair of kernels: cargo xtask test --all"]
    from_6_12_to_itself_seabios: "6.12" => "6.12", SeaBios;
    #[ignore = "one more pair of kernels: cargo xtask test --all"]
    from_6_12_to_itself_ovmf: "6.12" => "6.12", Ovmf;
}

/// A guest of kernel 6.12 that goes into 6.1, and its second kernel's name.
fn pair(lab: &Lab) -> Result<(Guest<'_>, String)> {
    let second = lab.kernel("6.1")?;
    let guest = Guest::new(lab, &lab.kernel("6.12")?)
        .with(&lab.product()?.files)
        .next(NextKernel::new(&second));
    Ok((guest, second.release))
}

/// It ended well; what it said otherwise.
fn succeeds(stage: &Stage, label: &str) -> Result<()> {
    let run = stage.run(label)?;
    assert_eq!(run.code, 0, "{label}: {}{}", run.out(), run.err());
    Ok(())
}

/// The second kernel is this one, with the console's words and this one.
fn arrives(outcome: &GuestRun, release: &str, word: &str) -> Result<()> {
    let two = &outcome.stage("second")?.report;
    assert_eq!(two.release, release);
    let line = format!("console=ttyS0 panic=-1 {word}");
    assert_eq!(two.command_line(), line);
    Ok(())
}

/// `-f` with a kernel loads and jumps at once, without the init system.
#[test]
fn force_loads_and_jumps() -> Result<()> {
    let lab = Lab::open()?;
    let (guest, release) = pair(&lab)?;
    let outcome = guest
        .script("jump kexec -f -s -x $NEXT --initrd=$NEXT_INITRD --command-line=\"$CONSOLE f\"\n")
        .run()?;
    arrives(&outcome, &release, "f")?;
    same_machine(&outcome)
}

/// Options after the kernel, abbreviated and with other values before: the
/// last value counts, the order does not.
#[test]
fn options_in_any_order() -> Result<()> {
    let lab = Lab::open()?;
    let (guest, release) = pair(&lab)?;
    let outcome = guest
        .script(
            "run load kexec --append=wrong $NEXT --ini $NEXT_INITRD --command-line \"$CONSOLE last\" -l --kexec-file-s\n\
             jump kexec -e -x\n",
        )
        .run()?;
    let one = outcome.stage("first")?;
    succeeds(one, "load")?;
    arrives(&outcome, &release, "last")?;
    Ok(())
}

/// `--reuse-cmdline` gives the second kernel the first one's words, without
/// `BOOT_IMAGE=`, and `--append` behind them.
#[test]
fn the_running_command_line_again() -> Result<()> {
    let lab = Lab::open()?;
    let (guest, _) = pair(&lab)?;
    let outcome = guest
        .append("BOOT_IMAGE=/boot/vmlinuz keep=\"a b\"")
        .script(
            "run load kexec -s -l $NEXT --initrd $NEXT_INITRD --reuse-cmdline --append more=1\n\
             jump kexec -e\n",
        )
        .run()?;
    let one = outcome.stage("first")?;
    succeeds(one, "load")?;
    let line = outcome.stage("second")?.report.command_line();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(
        words,
        ["console=ttyS0", "panic=-1", "keep=\"a", "b\"", "more=1"]
    );
    Ok(())
}

/// Loading, asking, unloading; with nothing loaded `-e` refuses and the
/// machine goes on.
#[test]
fn what_is_loaded_can_be_asked_and_unloaded() -> Result<()> {
    let lab = Lab::open()?;
    let (guest, _) = pair(&lab)?;
    let outcome = guest
        .script(
            "run before kexec -S -l\n\
             run load kexec -s -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\"\n\
             run loaded kexec -S -l\n\
             run crash kexec -S\n\
             run unload kexec -s -u\n\
             run after kexec -S -l\n\
             run exec kexec -e\n\
             run alive echo alive\n",
        )
        .run()?;
    let one = outcome.stage("first")?;
    let code = |label: &str| one.run(label).map(|run| run.code);
    assert_eq!(code("before")?, 0);
    succeeds(one, "load")?;
    assert_eq!(code("loaded")?, 1);
    assert_eq!(code("crash")?, 0);
    succeeds(one, "unload")?;
    assert_eq!(code("after")?, 0);
    assert_ne!(code("exec")?, 0);
    assert_eq!(one.run("alive")?.out(), "alive\n");
    Ok(())
}

/// A kernel that is cut short is refused, and what was loaded before is still
/// there and still jumps. kexec-tools loads it, and the machine hangs.
#[test]
fn a_kernel_cut_short_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    if lab.product()?.is_reference {
        return Ok(());
    }
    let (guest, release) = pair(&lab)?;
    let outcome = guest
        .script(
            "head -c 2000000 $NEXT > /tmp/short\n\
             run load kexec -s -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE kept\"\n\
             run short kexec -s -l /tmp/short --initrd $NEXT_INITRD --append \"$CONSOLE lost\"\n\
             run loaded kexec -S -l\n\
             jump kexec -e\n",
        )
        .run()?;
    let one = outcome.stage("first")?;
    succeeds(one, "load")?;
    let short = one.run("short")?;
    assert_ne!(short.code, 0);
    ensure!(short.err().contains("/tmp/short"), "{}", short.err());
    assert_eq!(one.run("loaded")?.code, 1);
    arrives(&outcome, &release, "kept")?;
    Ok(())
}

/// Several initrds are joined: the second kernel sees the files of both.
#[test]
fn several_initrds_are_joined() -> Result<()> {
    let lab = Lab::open()?;
    let product = lab.product()?;
    if product.is_reference {
        return Ok(());
    }
    let second = lab.kernel("6.1")?;
    let mut more = kexec_lab::Initramfs::new();
    more.file("joined", "from the second archive");
    let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
        .with(&product.files)
        .file("more.cpio", more.build()?)
        .next(NextKernel::new(&second).script("run joined cat /joined\n"))
        .script(
            "run load kexec -s -l $NEXT --initrd $NEXT_INITRD --initrd /more.cpio --append \"$CONSOLE\"\n\
             jump kexec -e\n",
        )
        .run()?;
    succeeds(outcome.stage("first")?, "load")?;
    let joined = outcome.stage("second")?.run("joined")?;
    assert_eq!(joined.out(), "from the second archive", "{}", joined.err());
    Ok(())
}

/// The new spelling, from loading to the jump.
#[test]
fn verbs() -> Result<()> {
    let lab = Lab::open()?;
    if lab.product()?.is_reference {
        return Ok(());
    }
    let (guest, release) = pair(&lab)?;
    let outcome = guest
        .script(
            "run check kexec check $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\"\n\
             run plan kexec plan $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\" --json\n\
             run untouched cat /sys/kernel/kexec_loaded\n\
             run load kexec load $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\"\n\
             run status kexec status --json\n\
             run unload kexec unload\n\
             run unloaded cat /sys/kernel/kexec_loaded\n\
             run again kexec load $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE verbs\"\n\
             jump kexec -e\n",
        )
        .run()?;
    let one = outcome.stage("first")?;
    for label in ["check", "plan", "load", "status", "unload", "again"] {
        succeeds(one, label)?;
    }
    let check = one.run("check")?.out();
    println!("{check}");
    ensure!(check.contains("\nDowntime\n"), "no downtime in:\n{check}");
    assert_eq!(one.run("untouched")?.out(), "0\n");
    assert_eq!(one.run("unloaded")?.out(), "0\n");
    for label in ["plan", "status"] {
        serde_json::from_slice::<serde_json::Value>(&one.run(label)?.stdout)?;
    }
    arrives(&outcome, &release, "verbs")?;
    Ok(())
}
