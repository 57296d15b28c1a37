//! What the scripts of distributions do with a crash kernel, by their command lines: it is
//! loaded, asked for and unloaded, with the exit codes that they rely on.

use anyhow::{Result, ensure};
use kexec_lab::{Guest, Lab, NextKernel, Stage};

/// A program that loads crash kernels: how it loads and how it unloads.
struct Caller {
    name: &'static str,
    load: &'static str,
    unload: &'static str,
}

/// `$K` is the kernel, `$I` its initrd, `$C` the command line that the program has made.
const CALLERS: [Caller; 5] = [
    // kdumpctl with the KEXEC_ARGS of its own x86_64 settings.
    Caller {
        name: "fedora",
        load: "kexec -s -p --command-line=\"$C\" --initrd=$I $K",
        unload: "kexec -s -p -u",
    },
    // The same with empty KEXEC_ARGS.
    Caller {
        name: "fedora-plain",
        load: "kexec -p --command-line=\"$C\" --initrd=$I $K",
        unload: "kexec -p -u",
    },
    Caller {
        name: "opensuse",
        load: "kexec -p $K --append=\"$C\" --initrd=$I -a",
        unload: "kexec -a -p -u",
    },
    Caller {
        name: "debian",
        load: "kexec -p --command-line=\"$C\" --initrd=$I $K",
        unload: "kexec -s -p -u",
    },
    Caller {
        name: "steamos",
        load: "kexec -s -p $K --initrd=$I --append=\"$C\"",
        unload: "kexec -p -u",
    },
];

/// Parameters that distributions give their crash kernels.
const CMDLINE: &str = "irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off numa=off \
                       panic=10 acpi_no_memhotplug transparent_hugepage=never nokaslr \
                       hest_disable novmcoredd cma=0 hugetlb_cma=0 pcie_ports=compat";

/// Asks in every way in which it is asked.
fn asked(name: &str, when: &str) -> String {
    format!(
        "run {name}-{when} kexec -S\n\
         run {name}-{when}-sp kexec -S -p\n\
         run {name}-{when}-ps kexec -p -S\n\
         run {name}-{when}-long kexec --status -p\n\
         run {name}-{when}-file loaded\n"
    )
}

fn code(stage: &Stage, label: &str) -> Result<u8> {
    let run = stage.run(label)?;
    println!("# {label} {}\n{}{}", run.code, run.out(), run.err());
    Ok(run.code)
}

/// On a kernel that has its files of kexec in the old place, and on one that has them in
/// both.
#[test]
fn each_loads_asks_and_unloads() -> Result<()> {
    for kernel in ["6.12", "7.x"] {
        loads_asks_and_unloads(kernel)?;
    }
    Ok(())
}

fn loads_asks_and_unloads(release: &str) -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel(release)?;
    let mut script = format!(
        "export K=$NEXT I=$NEXT_INITRD C='{CMDLINE}'\n\
         loaded() {{ cat /sys/kernel/kexec/crash_loaded 2> /dev/null || \
         cat /sys/kernel/kexec_crash_loaded; }}\n\
         size() {{ cat /sys/kernel/kexec/crash_size 2> /dev/null || \
         cat /sys/kernel/kexec_crash_size; }}\n\
         run size kexec --print-ckr-size\n\
         run kernels-size size\n\
         run places ls -d /sys/kernel/kexec/crash_loaded /sys/kernel/kexec_crash_loaded\n"
    );
    for Caller { name, load, unload } in &CALLERS {
        script += &asked(name, "before");
        script += &format!("run {name}-load sh -c '{load}'\n");
        script += &asked(name, "loaded");
        script += &format!("run {name}-unload sh -c '{unload}'\n");
        script += &asked(name, "after");
    }
    // Nothing is loaded: unloading it is no error.
    script += "run nothing kexec -p -u\n";
    script += "run normal kexec -S -l\n";
    let outcome = Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .append("crashkernel=256M")
        .next(NextKernel::new(&kernel))
        .script(&script)
        .run()?;
    let stage = outcome.stage("first")?;
    println!("{release}: {}", stage.run("places")?.out());
    assert_eq!(code(stage, "size")?, 0);
    assert_eq!(stage.run("size")?.out(), stage.run("kernels-size")?.out());
    for Caller { name, .. } in &CALLERS {
        for (when, expected) in [("before", 0), ("loaded", 1), ("after", 0)] {
            for how in ["", "-sp", "-ps", "-long"] {
                let label = format!("{name}-{when}{how}");
                assert_eq!(code(stage, &label)?, expected, "{release}: {label}");
                // Whoever asks by this reads nothing but the code.
                ensure!(stage.run(&label)?.out().is_empty(), "{label}");
            }
            let file = stage.run(&format!("{name}-{when}-file"))?.out();
            assert_eq!(
                file.trim(),
                expected.to_string(),
                "{release}: {name}-{when}"
            );
        }
        for act in ["load", "unload"] {
            assert_eq!(
                code(stage, &format!("{name}-{act}"))?,
                0,
                "{release}: {name}"
            );
        }
    }
    assert_eq!(code(stage, "nothing")?, 0);
    assert_eq!(code(stage, "normal")?, 0);
    Ok(())
}
