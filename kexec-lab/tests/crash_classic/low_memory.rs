//! The copy of the memory below 640 KiB, which a kernel before 5.5 needs. Debian has none that
//! is so old any more: a newer one says that it is 2.6 to whoever asks through setarch
//! (personality(2), `UNAME26`), and the copy is made.

use anyhow::{Context, Result, ensure};
use kexec_lab::{Guest, Lab, NextKernel};
use std::path::Path;
use std::time::Duration;

/// Where RAM begins: page 0 is the BIOS's.
const FIRST: usize = 0x1000;

/// The third serial port is QEMU's monitor, which writes memory to a file of the host. Before
/// the port is told not to, it sends the monitor's own greeting back: that is a line by itself.
fn save(file: &Path) -> String {
    format!(
        "stty -F /dev/ttyS2 raw -echo\n\
         sleep 1\n\
         echo > /dev/ttyS2\n\
         sleep 1\n\
         echo 'pmemsave 0 0xa0000 \"{}\"' > /dev/ttyS2\n\
         sleep 3\n",
        file.display()
    )
}

/// The entry of the header whose memory begins at 4 KiB: type and flags, place in the file,
/// virtual and physical address, length.
const READ: &str = r#"
run headers sh -c 'head -c 1024 /proc/vmcore | od -A x -t x8'
number=1
while [ $number -lt 8 ]; do
	set -- $(od -A n -v -t u8 -j $((64 + 56 * number)) -N 56 /proc/vmcore)
	if [ "$4" = 4096 ]; then
		dd if=/proc/vmcore bs=4096 skip=$(($2 / 4096)) count=$((($5 + 4095) / 4096)) 2>/dev/null | head -c $5 | put low
	fi
	number=$((number + 1))
done
run dmesg sh -c 'vmcore-dmesg /proc/vmcore | tail -n 80'
"#;

#[test]
fn low_memory_is_saved_as_it_was_before_the_crash() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let product = lab.product()?.files;
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    let monitor = kexec_lab::monitor_port(&file("monitor"));
    let arguments: Vec<&str> = monitor.iter().map(String::as_str).collect();
    let outcome = Guest::new(&lab, &kernel)
        .memory_mb(1024)
        .with(&product)
        .with(&lab.setarch()?)
        .append("crashkernel=256M")
        .qemu_arguments(&arguments)
        .timeout(Duration::from_secs(300))
        .next(
            NextKernel::new(&kernel)
                .with(&product)
                .script(&format!("{}{READ}", save(&file("after")))),
        )
        .script(&format!(
            "run old /ref/setarch --uname-2.6 uname -r\n\
             run before cat /proc/iomem\n\
             run plan /ref/setarch --uname-2.6 kexec plan --crash -c $NEXT --initrd $NEXT_INITRD\n\
             run load /ref/setarch --uname-2.6 kexec -c -p $NEXT --initrd $NEXT_INITRD \
             --append \"$CONSOLE nr_cpus=1 reset_devices\"\n\
             run loaded kexec -S\n\
             {}\
             echo '{}' > /dev/kmsg\n\
             jump sh -c 'echo c > /proc/sysrq-trigger'\n",
            save(&file("before")),
            crate::NEEDLE
        ))
        .run()?;
    println!(
        "{}: {:.1} s",
        kernel.release,
        outcome.duration.as_secs_f64()
    );
    let one = outcome.stage("first")?;
    ensure!(one.run("old")?.out().starts_with("2.6."));
    let load = one.run("load")?;
    ensure!(load.code == 0, "{}", load.err());
    let plan = one.run("plan")?.out();
    ensure!(plan.contains("low memory"), "{plan}");
    let two = outcome.stage("second")?;
    assert_eq!(two.report.release, kernel.release);
    let dmesg = two.run("dmesg")?.out();
    ensure!(
        dmesg.contains(crate::NEEDLE) && dmesg.contains(crate::PANIC),
        "{dmesg}"
    );
    let read = |name: &str| std::fs::read(file(name)).context(format!("{name}: QEMU's file"));
    let (before, after) = (read("before")?, read("after")?);
    let headers = two.run("headers")?.out();
    let saved = two.file("low").context(headers)?;
    let end = FIRST + saved.len();
    ensure!(end > 0x9_0000 && end <= 0xa_0000, "up to {end:#x}");
    let before = before.get(FIRST..end).context("QEMU wrote less")?;
    let after = after.get(FIRST..end).context("QEMU wrote less")?;
    let count = |differ: &dyn Fn((&u8, &u8)) -> bool, other: &[u8]| {
        before
            .iter()
            .zip(other)
            .filter(|pair| differ(*pair))
            .count()
    };
    let differ = |(a, b): (&u8, &u8)| a != b;
    let (lost, used) = (count(&differ, saved), count(&differ, after));
    let full = before.iter().filter(|byte| **byte != 0).count();
    println!("{full} bytes are not 0; the crash kernel changed {used}; {lost} differ in the dump");
    // Without the copy, those that were changed would differ.
    ensure!(full > 1000 && used > 0, "nothing to see: {full}, {used}");
    assert_eq!(lost, 0, "bytes of low memory were not saved");
    Ok(())
}
