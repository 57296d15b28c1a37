//! `kexec parallel-shutdown`: many slow devices take as long as the slowest of them, and
//! what is in use stays.

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout};
use kexec_lab::{Guest, GuestRun, Lab, LabKernel, NextKernel, Stage, modules};
use serde_json::Value;

/// How many devices a guest has, each of which takes a second.
const DEVICES: usize = 8;

/// Loads, and jumps with these commands before the jump. `/proc/uptime` is kept when they
/// begin.
fn jump(before: &str) -> String {
    format!(
        "run load kexec -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\"\n\
         put_file begin /proc/uptime\n\
         {before}\n\
         jump kexec -e\n"
    )
}

/// A guest and its script, with these modules loaded.
fn with_modules<'lab>(
    lab: &'lab Lab,
    kernel: &LabKernel,
    names: &[&str],
) -> Result<(Guest<'lab>, String)> {
    let mut guest = Guest::new(lab, kernel).with(&lab.product()?.files);
    let mut script = String::new();
    for (name, bytes) in modules::load_order(&kernel.modules, names)? {
        guest = guest.file(&format!("lab/{name}.ko"), bytes);
        script += &format!("run {name} insmod /lab/{name}.ko\n");
    }
    Ok((guest, script))
}

/// Seconds from the beginning to the moment when the devices are shut down: the time of
/// the kernel's own message (kernel_kexec() in kernel/kexec_core.c).
fn seconds(outcome: &GuestRun) -> Result<f64> {
    let stage = outcome.stage("first")?;
    let begin = String::from_utf8_lossy(stage.files.get("begin").context("no begin")?).into_owned();
    let begin: f64 = begin.split(' ').next().unwrap_or_default().parse()?;
    let line = outcome
        .console
        .lines()
        .find(|line| line.contains("Starting new kernel"));
    let line = line.context("the kernel did not say that it starts another one")?;
    let time = line
        .split(['[', ']'])
        .nth(1)
        .with_context(|| format!("no time in {line:?}"))?;
    Ok(time.trim().parse::<f64>()? - begin)
}

/// The last message about devices of `parallel-shutdown --dry-run --json`.
fn choice(stage: &Stage) -> Result<Value> {
    Ok(serde_json::from_slice(&stage.run("choice")?.stdout)?)
}

fn devices(choice: &Value, key: &str) -> Vec<String> {
    let list = choice.get(key).and_then(Value::as_array);
    let names = list
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("device")?.as_str());
    names.map(str::to_owned).collect()
}

fn slow_devices(before: &str) -> Result<GuestRun> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let arguments: Vec<&str> = [["-device", "edu"]; DEVICES].concat();
    Guest::new(&lab, &kernel)
        .with(&lab.product()?.files)
        .file("lab/lab_slow.ko", lab.slow_driver(&kernel)?)
        .qemu_arguments(&arguments)
        .next(NextKernel::new(&kernel))
        .script(&format!(
            "run driver insmod /lab/lab_slow.ko\n\
             run choice kexec parallel-shutdown --dry-run --json\n{}",
            jump(before)
        ))
        .run()
}

#[test]
fn eight_slow_devices_take_as_long_as_one() -> Result<()> {
    let alone = slow_devices("")?;
    let driver = alone.stage("first")?.run("driver")?;
    ensure!(driver.code == 0, "{}", driver.err());
    let serial = seconds(&alone)?;
    let outcome = slow_devices("run unbind kexec parallel-shutdown kexec")?;
    let parallel = seconds(&outcome)?;
    let one = outcome.stage("first")?;
    let unbind = one.run("unbind")?;
    println!(
        "{DEVICES} devices: {serial:.2} s without, {parallel:.2} s with parallel-shutdown: {}",
        unbind.out()
    );
    assert_eq!(unbind.code, 0, "{}", unbind.err());
    ensure!(
        unbind
            .out()
            .starts_with(&format!("kexec: unbound {DEVICES} devices in"))
    );
    assert_eq!(devices(&choice(one)?, "unbind").len(), DEVICES);
    ensure!(
        serial >= 8.0,
        "{serial} s without it: the devices are not slow"
    );
    ensure!(parallel <= 1.5, "{parallel} s");
    outcome.stage("second")?;
    Ok(())
}

/// Past the deadline the rest goes on without it, and the devices are named.
#[test]
#[ignore = "one more machine: cargo xtask test --all"]
fn the_deadline_is_kept_and_what_is_not_done_is_named() -> Result<()> {
    let outcome = slow_devices("run unbind kexec parallel-shutdown kexec --timeout 0")?;
    let unbind = outcome.stage("first")?.run("unbind")?;
    assert_eq!(unbind.code, 1);
    let said = unbind.err();
    ensure!(said.contains("not unbound within 0 s: 0000:00:"), "{said}");
    ensure!(said.matches("(lab_slow)").count() == DEVICES, "{said}");
    // The kernel waits for them, and arrives.
    outcome.stage("second")?;
    Ok(())
}

/// Eight NVMe disks with an ext4 each; one is still mounted.
#[test]
fn nvme_disks_arrive_clean_and_a_mounted_one_stays() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let folder = tempfile::tempdir()?;
    let content = folder.path().join("content");
    std::fs::create_dir(&content)?;
    std::fs::write(content.join("before"), "before\n")?;
    let mut arguments = Vec::new();
    for at in 0..DEVICES {
        let image = folder.path().join(format!("{at}.img"));
        lab.disk(&content, &image)?;
        arguments.extend([
            "-drive".to_owned(),
            format!("if=none,format=raw,id=d{at},file={}", image.display()),
            "-device".to_owned(),
            format!("nvme,drive=d{at},serial=lab{at}"),
        ]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (guest, load) = with_modules(&lab, &kernel, &["nvme", "ext4"])?;
    let mount = "for n in 0 1 2 3 4 5 6 7; do\n\
                 mkdir -p /disks/$n; mount -t ext4 /dev/nvme${n}n1 /disks/$n\n\
                 done\n";
    let write = "for n in 0 1 2 3 4 5 6 7; do echo $n > /disks/$n/written; done\n\
                 for n in 1 2 3 4 5 6 7; do umount /disks/$n; done\n\
                 mount -o remount,ro /disks/0\n";
    // s_state of the superblock (Documentation/filesystems/ext4/super.rst): 1 is clean.
    let states = "for n in 0 1 2 3 4 5 6 7; do\n\
                  hexdump -s 1082 -n 2 -e '1/2 \"%d \"' /dev/nvme${n}n1\n\
                  done > /states; put_file states /states\n";
    let read = "run read cat /disks/0/written /disks/1/written /disks/7/written\n";
    let outcome = guest
        .qemu_arguments(&arguments)
        .next({
            let (next, loads) = next(&kernel)?;
            next.script(&format!("{loads}{states}{mount}{read}"))
        })
        .script(&format!(
            "{load}sleep 2\n{mount}{write}run choice kexec parallel-shutdown --dry-run --json\n{}",
            jump(
                "run unbind kexec parallel-shutdown kexec\n\
                 run left ls /sys/bus/pci/drivers/nvme /dev"
            )
        ))
        .run()?;
    let (one, two) = (outcome.stage("first")?, outcome.stage("second")?);
    let choice = choice(one)?;
    println!(
        "{choice:#}\n{}{}",
        one.run("unbind")?.out(),
        one.run("unbind")?.err()
    );
    assert_eq!(one.run("unbind")?.code, 0, "{}", one.run("unbind")?.err());
    assert_eq!(devices(&choice, "unbind").len(), DEVICES - 1);
    ensure!(
        choice.to_string().contains("ext4 is mounted on /disks/0"),
        "{choice}"
    );
    let left = one.run("left")?.out();
    assert_eq!(
        left.lines()
            .filter(|line| line.starts_with("0000:"))
            .count(),
        1,
        "{left}"
    );
    assert_eq!(
        left.lines()
            .filter(|line| line.starts_with("nvme") && line.ends_with("n1"))
            .count(),
        1,
        "{left}"
    );
    let states =
        String::from_utf8_lossy(two.files.get("states").context("no states")?).into_owned();
    assert_eq!(states.trim(), "1 1 1 1 1 1 1 1");
    assert_eq!(two.run("read")?.out(), "0\n1\n7\n");
    Ok(())
}

/// A second kernel with the modules for these disks, and the script that loads them.
fn next(kernel: &LabKernel) -> Result<(NextKernel, String)> {
    let mut files = kexec_lab::Initramfs::new();
    let mut script = String::new();
    for (name, bytes) in modules::load_order(&kernel.modules, &["nvme", "ext4"])? {
        files.file(&format!("lab/{name}.ko"), bytes);
        script += &format!("insmod /lab/{name}.ko\n");
    }
    script += "sleep 2\n";
    Ok((NextKernel::new(kernel).with(&files), script))
}

/// systemd-shutdown runs the hook when file systems are unmounted; the disk of the root
/// file system stays, and the next boot knows how long its parts took.
#[test]
#[ignore = "one more installed system: cargo xtask test --all"]
fn systemd_runs_the_hook_and_the_next_boot_has_every_phase() -> Result<()> {
    let lab = Lab::open()?;
    let kernel = lab.kernel("6.12")?;
    let arguments: Vec<&str> = [["-device", "edu"]; DEVICES].concat();
    let trial = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .product()?
        .file("lab/lab_slow.ko", lab.slow_driver(&kernel)?)
        .qemu_arguments(&arguments)
        .stage(
            "before",
            "run driver insmod /lab/lab_slow.ko\n\
             run enable kexec enable parallel-shutdown\n\
             run again kexec enable parallel-shutdown\n\
             run choice kexec parallel-shutdown --dry-run\n\
             jump kexec reboot\n",
        )
        .stage(
            "after",
            "run up systemctl is-system-running --wait\n\
             run status kexec status --json\nrun says kexec status\n\
             run disable kexec disable parallel-shutdown\n\
             run gone ls /usr/lib/systemd/system-shutdown/50-kexec /etc/kexec-rs.parallel-shutdown\n",
        )
        .run()?;
    let (before, after) = (trial.stage("before")?, trial.stage("after")?);
    for label in ["driver", "enable", "again", "choice", "jump"] {
        let run = before.run(label)?;
        println!("# {label}: {}\n{}{}", run.code, run.out(), run.err());
        assert_eq!(run.code, 0, "{label}");
    }
    println!("{}", after.run("says")?.out());
    ensure!(before.run("again")?.out().contains("already on"));
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    let console = trial.console();
    let said = console.split("kexec: unbound ").nth(1);
    let said = said.and_then(|rest| rest.lines().next());
    let said = said.context("the hook said nothing on the console")?;
    println!("{said}");
    // Besides them, disks of the lab that are not mounted.
    let count: usize = said.split(' ').next().unwrap_or_default().parse()?;
    ensure!(count >= DEVICES, "{said}");
    let status: Value = serde_json::from_slice(&after.run("status")?.stdout)?;
    for phase in ["shutdown", "services", "kernel", "initrd", "userspace"] {
        let path = format!("/last/outcome/{phase}");
        let ms = status.pointer(&path).and_then(Value::as_u64);
        ensure!(ms.is_some_and(|ms| ms > 0), "{phase}: {status:#}");
    }
    assert_eq!(after.run("disable")?.code, 0);
    assert_ne!(after.run("gone")?.code, 0, "{}", after.run("gone")?.out());
    Ok(())
}
