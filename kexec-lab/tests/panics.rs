//! Real panics: the crash kernel comes up, the dump leaves the machine and others can read it,
//! the log has everything up to the panic, and the machine comes back.

use anyhow::{Result, ensure};
use kexec_lab::{Guest, KeptFiles, Lab, NextKernel};

/// A filtered dump is written by makedumpfile, comes out of the guest, and drgn reads it; the
/// crash kernel's reboot ends in the first kernel again.
#[test]
fn a_dump_comes_out_and_the_machine_comes_back() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let folder = tempfile::tempdir()?;
    let kept = KeptFiles::new(folder.path(), 256)?;
    let mut arguments = kept.qemu_arguments().to_vec();
    // In the place of the lab's -no-reboot.
    arguments.extend(["-action".to_owned(), "reboot=reset".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let product = lab.product()?.files;
    let mut tools = lab.makedumpfile()?;
    tools.merge(&product);
    tools.merge(&KeptFiles::files(&kernel)?);
    let outcome = Guest::new(&lab, &kernel)
        .with(&product)
        .with(&KeptFiles::files(&kernel)?)
        .append("crashkernel=256M")
        .qemu_arguments(&arguments)
        .next(NextKernel::new(&kernel).with(&tools).script(
            "mkdir /tmp/out\n\
             run makedumpfile makedumpfile -c -d 31 /proc/vmcore /tmp/out/dump\n\
             . /lab/kept\n\
             run keep keep /tmp/out\n\
             jump reboot -f\n",
        ))
        .script(
            ". /lab/kept\n\
             if is_kept; then say @done; poweroff -f; fi\n\
             run load kexec -p $NEXT --initrd $NEXT_INITRD --reuse-cmdline --append nr_cpus=1\n\
             rm -r /next\n\
             echo needle > /dev/kmsg\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n",
        )
        .run()?;
    outcome.stage("second")?.good("makedumpfile")?;
    outcome.stage("second")?.good("keep")?;
    let names: Vec<&str> = outcome.stages.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["first", "second", "first"]);
    let out = folder.path().join("out");
    std::fs::create_dir(&out)?;
    kept.unpack(&out)?;
    let dump = out.join("dump");
    println!(
        "{:.1} s, {} bytes",
        outcome.duration.as_secs_f64(),
        dump.metadata()?.len()
    );
    let drgn = lab.drgn()?;
    let facts = drgn.facts(&dump)?;
    ensure!(
        facts.contains(&format!("banner: Linux version {} ", kernel.release)),
        "{facts}"
    );
    let log = drgn.log(&dump)?;
    ensure!(log.contains("\nneedle\n"), "{log}");
    Ok(())
}
