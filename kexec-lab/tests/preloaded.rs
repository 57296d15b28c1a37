//! What is loaded ahead of a reboot, on installed systems with the package: what
//! changes it, what does not, and what ends in the firmware all the same.

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout, Trial};
use kexec_lab::programs::StartProgram;
use kexec_lab::{End, Lab, Stage};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Installs the package and switches preloading on; `state LABEL` says what is
/// loaded.
const ENABLED: &str = r#"
state() { run "$1-loaded" cat /sys/kernel/kexec_loaded; run "$1-status" kexec status --json; }
run dpkg env DEBIAN_FRONTEND=noninteractive sh -c 'dpkg -i /lab/debs/*.deb'
run enable kexec enable preload
state enabled
"#;
const STATE: &str = r#"
state() { run "$1-loaded" cat /sys/kernel/kexec_loaded; run "$1-status" kexec status --json; }
"#;

fn machine(lab: &Lab, suite: Suite, layout: SystemLayout) -> Result<InstalledMachine<'_>> {
    Ok(InstalledMachine::new(lab, suite, layout)
        .product_deb()?
        .witness())
}

/// Whether something is loaded, as the kernel says.
fn loaded(stage: &Stage, label: &str) -> Result<bool> {
    Ok(stage.good(&format!("{label}-loaded"))?.out() == "1\n")
}

/// What is loaded, as `kexec status` says: with the token of its command line.
fn image(stage: &Stage, label: &str) -> Result<Value> {
    let run = stage.good(&format!("{label}-status"))?;
    let status: Value =
        serde_json::from_str(&run.out()).with_context(|| format!("{label}: {}", run.out()))?;
    let image = status.pointer("/normal/image").cloned();
    image
        .filter(|image| !image.is_null())
        .with_context(|| format!("{label}: expected an image that kexec status knows: {status}"))
}

/// What `kexec status` says of the last reboot.
fn last(stage: &Stage) -> Result<String> {
    let run = stage.good("status")?;
    let status: Value = serde_json::from_str(&run.out()).context("kexec status --json")?;
    let what = status.pointer("/last/outcome/what").and_then(Value::as_str);
    Ok(what.unwrap_or("nothing").to_owned())
}

/// The end of the last boot.
fn end(trial: &Trial) -> Option<End> {
    trial.boots.last().map(|boot| boot.end)
}

fn console_has(trial: &Trial, words: &str) -> bool {
    trial.console().contains(words)
}

/// Neither what systemd does to units while the machine stays up, nor the package
/// manager, nor enabling it again loads or unloads anything; and a machine that is
/// to be switched off is.
#[test]
fn nothing_but_a_change_of_the_boot_files_changes_what_is_loaded() -> Result<()> {
    let lab = Lab::open()?;
    let trial = machine(&lab, Suite::Trixie, SystemLayout::BiosGrub)?
        .cold_boots(1)
        .stage("install", &format!("{ENABLED}jump coldreboot\n"))
        .stage(
            "idle",
            &format!(
                "{STATE}state boot\n\
                 run reload systemctl daemon-reload\nstate reload\n\
                 run stop systemctl stop kexec-preload.service kexec-refresh.service\nstate stop\n\
                 run start systemctl start kexec-refresh.service kexec-preload.service\nstate start\n\
                 run again kexec enable preload\nstate again\n\
                 run dpkg env DEBIAN_FRONTEND=noninteractive sh -c 'dpkg -i /lab/debs/*.deb'\n\
                 state dpkg\n\
                 jump systemctl poweroff\n"
            ),
        )
        .observe()?;
    let install = trial.stage("install")?;
    println!("{}", install.good("enable")?.out());
    ensure!(loaded(install, "enabled")?, "enabling it loads");
    let idle = trial.stage("idle")?;
    // The wish for the firmware takes out what was loaded.
    assert_eq!(trial.started_by("idle")?, StartedBy::Cold);
    let at_boot = image(idle, "boot")?;
    ensure!(at_boot != image(install, "enabled")?, "loaded anew at boot");
    for label in ["reload", "stop", "start", "again", "dpkg"] {
        idle.good(label)?;
        ensure!(loaded(idle, label)?, "after {label}");
        assert_eq!(image(idle, label)?, at_boot, "after {label}");
    }
    // Nothing came after it, and it was no end of the lab's making.
    assert_eq!(end(&trial), Some(End::PoweredOff), "{}", trial.summary());
    ensure!(!idle.done && console_has(&trial, "reboot: Power down"));
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}

/// A wish for the firmware is never answered by a kexec: a boot loader's one-shot
/// entry, and the firmware's own setup.
#[test]
fn what_waits_for_the_firmware_gets_it() -> Result<()> {
    let lab = Lab::open()?;
    let machine = machine(&lab, Suite::Trixie, SystemLayout::EfiSystemdBoot)?;
    let (_, other) = machine.kernels()?;
    let trial = machine
        .cold_boots(1)
        .stage(
            "one-shot",
            &format!(
                "{ENABLED}run wish bootctl set-oneshot \
                 \"$(basename /efi/loader/entries/*{other}.conf)\"\n\
                 jump systemctl reboot\n"
            ),
        )
        .stage(
            "setup",
            &format!(
                "{STATE}run status kexec status --json\nstate boot\n\
                 jump systemctl reboot --firmware-setup\n"
            ),
        )
        .stage("neither", "")
        .observe()?;
    let one_shot = trial.stage("one-shot")?;
    one_shot.good("wish")?;
    ensure!(loaded(one_shot, "enabled")?, "{}", trial.summary());
    let setup = trial.stage("setup")?;
    assert_eq!(
        trial.started_by("setup")?,
        StartedBy::Cold,
        "{}",
        trial.summary()
    );
    assert_eq!(setup.report.release, other);
    assert_eq!(setup.file_system_errors()?, Vec::<String>::new());
    println!("the boot after: {}", last(setup)?);
    // The one-shot entry is used up, so that the units load again.
    ensure!(loaded(setup, "boot")?, "{}", trial.summary());
    // That boot ended in the firmware, which was not started another time.
    assert_eq!(end(&trial), Some(End::Reset), "{}", trial.summary());
    ensure!(trial.stage("neither").is_err(), "{}", trial.summary());
    ensure!(console_has(&trial, "reboot: Restarting system"));
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}

/// Kilobytes of initrd that a kernel gave back once it had unpacked it.
fn initrd_kb(stage: &Stage) -> Result<u64> {
    // "Freeing initrd memory: 2064K"
    let text = stage.good("initrd")?.out();
    let (_, rest) = text.split_once("memory: ").context(text.clone())?;
    let digits = rest.split('K').next().unwrap_or_default();
    digits.parse().with_context(|| format!("reading {text}"))
}

/// An initrd that somebody rewrote after it was loaded, and told nobody.
#[test]
fn a_stale_initrd_is_replaced_at_shutdown() -> Result<()> {
    let lab = Lab::open()?;
    let machine = machine(&lab, Suite::Trixie, SystemLayout::BiosGrub)?;
    let (default, _) = machine.kernels()?;
    let mut more = kexec_lab::Initramfs::new();
    more.file("more", vec![0x55; 8 << 20]);
    let trial = machine
        .file("root/more", more.build()?)
        .stage(
            "before",
            &format!(
                "run initrd sh -c 'dmesg | grep \"Freeing initrd\"'\n{ENABLED}\
                 run rewrite sh -c 'cat /root/more >> /boot/initrd.img-{default}'\n\
                 jump reboot\n"
            ),
        )
        .stage(
            "after",
            "run initrd sh -c 'dmesg | grep \"Freeing initrd\"'\n\
             run witness cat /var/lib/witness\nrun status kexec status --json\n\
             run journal journalctl -b -1 -u kexec-refresh\n",
        )
        .run()?;
    let (before, after) = (trial.stage("before")?, trial.stage("after")?);
    before.good("rewrite")?;
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    let (small, large) = (initrd_kb(before)?, initrd_kb(after)?);
    ensure!(large >= small + 8000, "{small} K before, {large} K after");
    assert_eq!(after.run("witness")?.out(), "stopped\n");
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    assert_eq!(last(after)?, "kexec");
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}

/// Names as people have them: with hyphens (linux-lts), and with the plus of Debian's
/// releases, which systemd escapes. Stopping the unit leaves the image where it is.
#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn names_of_the_template() -> Result<()> {
    let lab = Lab::open()?;
    let machine = machine(&lab, Suite::Trixie, SystemLayout::BiosGrub)?;
    let (default, other) = machine.kernels()?;
    ensure!(default.contains('+'), "{default} has no plus any more");
    let trial = machine
        .stage(
            "before",
            &format!(
                "{STATE}\
                 run dpkg env DEBIAN_FRONTEND=noninteractive sh -c 'dpkg -i /lab/debs/*.deb'\n\
                 ln -s vmlinuz-{other} /boot/vmlinuz-linux-lts\n\
                 ln -s initrd.img-{other} /boot/initramfs-linux-lts.img\n\
                 run lts systemctl enable --now kexec-load@linux-lts\nstate lts\n\
                 run off systemctl disable --now kexec-load@linux-lts\nstate off\n\
                 run plus systemctl enable --now kexec-load@{default}\nstate plus\n\
                 jump systemctl kexec\n"
            ),
        )
        .stage("after", "run witness cat /var/lib/witness\n")
        .run()?;
    let before = trial.stage("before")?;
    for label in ["dpkg", "lts", "off", "plus"] {
        before.good(label)?;
    }
    let lts = image(before, "lts")?;
    ensure!(loaded(before, "lts")? && loaded(before, "off")?);
    assert_eq!(image(before, "off")?, lts);
    ensure!(image(before, "plus")? != lts);
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    let after = trial.stage("after")?;
    assert_eq!(after.report.release, default);
    assert_eq!(after.run("witness")?.out(), "stopped\n");
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}

/// The same package under a higher version.
fn upgraded(scratch: &Path) -> Result<Vec<u8>> {
    let tree = scratch.join("tree");
    let deb = kexec_lab::kexec_deb()?;
    let new = scratch.join("new.deb");
    let call = |command: &mut Command| -> Result<()> {
        let output = command.start_output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{command:?}: {said}");
        Ok(())
    };
    call(Command::new("dpkg-deb").arg("-R").args([&deb, &tree]))?;
    let control = tree.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control)?;
    let lines: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix("Version: ") {
            Some(version) => format!("Version: {version}+more"),
            None => line.to_owned(),
        })
        .collect();
    std::fs::write(&control, lines.join("\n") + "\n")?;
    let build = ["--root-owner-group", "-b"];
    call(Command::new("dpkg-deb").args(build).args([&tree, &new]))?;
    Ok(std::fs::read(&new)?)
}

/// An upgrade changes nothing, removal takes everything along: the image, the links,
/// the drop-in. Nothing of it is missed by the reboot after.
#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn upgrade_and_removal() -> Result<()> {
    let lab = Lab::open()?;
    let scratch = tempfile::tempdir()?;
    let trial = machine(&lab, Suite::Trixie, SystemLayout::BiosGrub)?
        .file("root/new.deb", upgraded(scratch.path())?)
        .cold_boots(1)
        .stage(
            "upgrade",
            &format!(
                "{ENABLED}\
                 run upgrade env DEBIAN_FRONTEND=noninteractive dpkg -i /root/new.deb\n\
                 state upgraded\n\
                 run version dpkg-query -W -f '${{Version}}' kexec-rs\n\
                 jump systemctl reboot\n"
            ),
        )
        .stage(
            "remove",
            &format!(
                "{STATE}run status kexec status --json\nstate boot\n\
                 run remove env DEBIAN_FRONTEND=noninteractive dpkg --remove kexec-rs\n\
                 run left sh -c 'find /etc/systemd /run/systemd /usr/lib/systemd -name \"*kexec*\" \
                 ! -name kexec.target ! -name systemd-kexec.service'\n\
                 run removed-loaded cat /sys/kernel/kexec_loaded\n\
                 run purge env DEBIAN_FRONTEND=noninteractive dpkg --purge kexec-rs\n\
                 run etc find /etc -name '*kexec*'\n\
                 jump systemctl reboot\n"
            ),
        )
        .stage("after", "run witness cat /var/lib/witness\n")
        .run()?;
    let upgrade = trial.stage("upgrade")?;
    upgrade.good("upgrade")?;
    ensure!(upgrade.good("version")?.out().ends_with("+more"));
    assert_eq!(image(upgrade, "upgraded")?, image(upgrade, "enabled")?);
    let remove = trial.stage("remove")?;
    assert_eq!(trial.started_by("remove")?, StartedBy::Kexec);
    ensure!(loaded(remove, "boot")?, "still enabled after the upgrade");
    let said = remove.good("remove")?;
    println!("{}{}", said.out(), said.err());
    assert_eq!(remove.run("left")?.out(), "");
    ensure!(!loaded(remove, "removed")?, "its image is taken out");
    remove.good("purge")?;
    assert_eq!(remove.run("etc")?.out(), "");
    assert_eq!(trial.started_by("after")?, StartedBy::Cold);
    let after = trial.stage("after")?;
    assert_eq!(after.run("witness")?.out(), "stopped\n");
    assert_eq!(after.file_system_errors()?, Vec::<String>::new());
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}
