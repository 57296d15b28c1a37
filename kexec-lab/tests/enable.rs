//! `kexec enable` where it cannot write, and what it makes of the program's own path:
//! in an installed system, with the program alone.

use anyhow::{Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, SystemLayout};
use kexec_lab::{Lab, Stage};
use serde_json::Value;

/// `list LABEL`: what there is in the folders that are written to.
const LIST: &str = r#"
list() {
    run "$1" sh -c 'find /etc/systemd/system /etc/kernel /etc/initramfs -print0 | sort -z |
        xargs -0 ls -ld --time-style=+; cat /etc/systemd/system/kexec* 2> /dev/null; true'
}
"#;

/// Refused by a full and by a read-only file system, with everything as it was.
const FAILS: &str = r#"
list before
# Two pages: the third file does not fit.
run small mount -t tmpfs -o size=8k none /etc/systemd/system
run full kexec enable preload
run nothing find /etc/systemd/system -mindepth 1
run umount umount /etc/systemd/system
run ro sh -c 'mount --bind /etc /etc && mount -o remount,ro,bind /etc'
run read-only kexec enable preload
run umount umount /etc
list after

# A program that others can write to, or put another one in the place of.
run folder sh -c 'mkdir -p /opt/tools && cp /usr/sbin/kexec /opt/tools/kexec'
run group sh -c 'chown root:users /opt/tools; chmod 775 /opt/tools'
run shared /opt/tools/kexec enable preload
run fix sh -c 'chmod 755 /opt/tools; chown 1000 /opt/tools/kexec'
run theirs /opt/tools/kexec enable preload
run copy cp /usr/sbin/kexec /tmp/kexec
run tmp /tmp/kexec enable preload
list still
"#;

/// From a path that systemd and shells have to be told of, and over broken files.
const WORKS: &str = r#"
run move sh -c 'mkdir -p "/opt/100% of it" && cp /usr/sbin/kexec "/opt/100% of it/kexec"'
run enable "/opt/100% of it/kexec" enable preload
run loaded cat /sys/kernel/kexec_loaded
run unload kexec unload
run hook sh -c '/etc/kernel/postinst.d/zzz-kexec; cat /sys/kernel/kexec_loaded'
run verify systemd-analyze verify --man=no /etc/systemd/system/kexec-preload.service \
    /etc/systemd/system/kexec-refresh.service
run exposed systemd-analyze security --offline=true --threshold=50 --no-pager \
    /etc/systemd/system/kexec-preload.service /etc/systemd/system/kexec-refresh.service
list enabled
run break sh -c ': > /etc/systemd/system/kexec-preload.service
    chmod 644 /etc/kernel/postinst.d/zzz-kexec
    truncate -s 100 /etc/systemd/system/kexec-refresh.service'
run repair "/opt/100% of it/kexec" enable preload
list repaired
run disable "/opt/100% of it/kexec" disable preload
list disabled
"#;

/// Into the files of a system that does not run, beside what systemctl makes of the same
/// units; and in a chroot, with and without /proc.
const IMAGES: &str = r#"
image() {
    mkdir -p "$1/usr/lib/systemd/system" "$1/usr/sbin" "$1/etc" "$1/proc" "$1/boot"
    ln -s usr/lib "$1/lib"; ln -s usr/sbin "$1/sbin"
    touch "$1/usr/lib/systemd/systemd" "$1/usr/lib/systemd/system/multi-user.target"
    ln -s ../lib/systemd/systemd "$1/usr/sbin/init"
    cp /usr/sbin/kexec "$1/usr/sbin/kexec"
}
links() { (cd "$1" && find etc/systemd -type l -printf '%p -> %l\n' | sort); }
mkdir /var/tmp/images; cd /var/tmp/images
image ours; image theirs
run image kexec enable preload --root ours
run image-again kexec enable preload --root ours
mkdir -p theirs/etc/systemd/system
cp ours/etc/systemd/system/kexec-*.service theirs/etc/systemd/system/
run systemctl systemctl --root=/var/tmp/images/theirs enable kexec-preload.service
links ours > ours.links; links theirs > theirs.links
run same sh -c 'test -s ours.links && diff ours.links theirs.links'
run is-enabled systemctl --root=/var/tmp/images/ours is-enabled kexec-preload.service kexec-refresh.service
run image-off kexec disable preload --root ours
run image-gone find ours/etc -name '*kexec*'
# The same units from a package.
image ours-packaged; image theirs-packaged
for one in ours-packaged theirs-packaged; do
    cp theirs/etc/systemd/system/kexec-*.service "$one/usr/lib/systemd/system/"
done
run packaged kexec enable preload --root ours-packaged
run systemctl-packaged systemctl --root=/var/tmp/images/theirs-packaged enable kexec-preload.service
links ours-packaged > ours.links; links theirs-packaged > theirs.links
run same-packaged sh -c 'test -s ours.links && diff ours.links theirs.links'
run chroot chroot ours /usr/sbin/kexec enable preload
run chroot-off chroot ours /usr/sbin/kexec disable preload
run mount mount -t proc proc ours/proc
run chroot-proc chroot ours /usr/sbin/kexec enable preload --json
run chroot-list chroot ours /usr/sbin/kexec list
run chroot-hook chroot ours /usr/sbin/kexec preload --if-enabled
run unmount umount ours/proc
run still-off systemctl is-enabled kexec-preload.service
run still-empty cat /sys/kernel/kexec_loaded
cd /; rm -rf /var/tmp/images
run typo kexec reboot no-such-entry --or-cold
"#;

/// A unit that systemd refuses to start, and then to stop: what is done and what not.
const HALF: &str = r#"
list half-before
drop_in=/run/systemd/system/kexec-refresh.service.d
mkdir -p "$drop_in"
printf '[Unit]\nRefuseManualStart=yes\n' > "$drop_in/refuse.conf"
run half-on kexec enable refresh
run half-json kexec enable refresh --json
rm "$drop_in/refuse.conf"
run reload systemctl daemon-reload
run mended kexec enable refresh
run active systemctl is-active kexec-refresh.service
printf '[Unit]\nRefuseManualStop=yes\n' > "$drop_in/refuse.conf"
run reload-again systemctl daemon-reload
run half-off kexec disable refresh --json
rm -r "$drop_in"
run reload-last systemctl daemon-reload
run ended kexec disable refresh
run inactive systemctl is-active kexec-refresh.service
list half-left
"#;

#[test]
fn all_or_nothing_by_a_program_of_roots() -> Result<()> {
    let lab = Lab::open()?;
    let trial = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .product()?
        .stage("only", &format!("{LIST}{FAILS}{WORKS}"))
        .run()?;
    let stage = trial.stage("only")?;
    for run in &stage.runs {
        println!("# {}: {}\n{}{}", run.label, run.code, run.out(), run.err());
    }
    let refused = |label: &str, words: &[&str]| -> Result<()> {
        let run = stage.run(label)?;
        ensure!(run.code == 1, "{label} ended with {}", run.code);
        for word in words {
            ensure!(run.err().contains(word), "{label}: {}", run.err());
        }
        Ok(())
    };
    for label in ["small", "ro", "folder", "group", "fix", "copy", "move"] {
        stage.good(label)?;
    }
    refused("full", &["no space is left", "nothing was changed"])?;
    assert_eq!(stage.good("nothing")?.out(), "");
    refused(
        "read-only",
        &["the file system is read-only", "nothing was changed"],
    )?;
    refused("shared", &["/opt/tools", "mode 0775"])?;
    refused("theirs", &["/opt/tools/kexec", "user 1000"])?;
    refused("tmp", &["/tmp", "mode 1777"])?;
    let list = |label: &str| -> Result<String> { Ok(stage.good(label)?.out()) };
    let before = list("before")?;
    for label in ["after", "still", "disabled"] {
        assert_eq!(list(label)?, before, "{label}");
    }

    for label in ["enable", "verify", "exposed", "break", "repair", "disable"] {
        stage.good(label)?;
    }
    assert_eq!(stage.good("loaded")?.out(), "1\n");
    // The hook has loaded it again, by the same path.
    assert!(stage.good("hook")?.out().ends_with("1\n"));
    assert!(list("enabled")?.contains("ExecStart=\"/opt/100%% of it/kexec\" preload\n"));
    assert_eq!(list("repaired")?, list("enabled")?);
    Ok(())
}

#[test]
fn in_images_and_half_way() -> Result<()> {
    let lab = Lab::open()?;
    let trial = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .product()?
        .stage("images", &format!("{LIST}{IMAGES}{HALF}"))
        .run()?;
    let stage = trial.stage("images")?;
    for run in &stage.runs {
        println!("# {}: {}\n{}{}", run.label, run.code, run.out(), run.err());
    }
    images(stage)?;
    half(stage)
}

fn images(stage: &Stage) -> Result<()> {
    let good = |label: &str| stage.good(label).map(|run| run.out());
    for label in [
        "systemctl",
        "same",
        "systemctl-packaged",
        "same-packaged",
        "packaged",
    ] {
        good(label)?;
    }
    let said = good("image")?;
    ensure!(said.contains("init was not asked"), "{said}");
    ensure!(said.contains("unchecked"), "{said}");
    assert_eq!(good("image-again")?, "preload is already on in ours.\n");
    assert_eq!(good("is-enabled")?, "enabled\nenabled\n");
    good("image-off")?;
    assert_eq!(good("image-gone")?, "");
    let said = good("chroot")?;
    ensure!(said.contains("/proc is not mounted"), "{said}");
    for label in ["chroot-off", "mount", "unmount"] {
        good(label)?;
    }
    let json: Value = serde_json::from_str(&good("chroot-proc")?)?;
    assert_eq!(json.pointer("/root"), Some(&"/".into()));
    assert_eq!(json.pointer("/steps/0/outcome"), Some(&"done".into()));
    // Neither the host's boot loader nor its running kernel.
    let list = stage.run("chroot-list")?;
    let said = format!("{}{}", list.out(), list.err());
    ensure!(said.contains("this is a chroot"), "{said}");
    ensure!(!said.contains("as it is running"), "{said}");
    ensure!(!said.contains("vmlinuz"), "{said}");
    ensure!(good("chroot-hook")?.contains("this is a chroot"));
    // Nothing of it reached the running system.
    ensure!(stage.run("still-off")?.code != 0);
    assert_eq!(good("still-empty")?, "0\n");
    let typo = stage.run("typo")?;
    assert_eq!(typo.code, 1, "{}", typo.err());
    ensure!(typo.err().contains("no cold reboot"), "{}", typo.err());
    Ok(())
}

fn half(stage: &Stage) -> Result<()> {
    let told = |label: &str| -> Result<(u8, String)> {
        let run = stage.run(label)?;
        println!("# {label}: {}\n{}{}", run.code, run.out(), run.err());
        Ok((run.code, format!("{}{}", run.out(), run.err())))
    };
    let (code, said) = told("half-on")?;
    assert_eq!(code, 1);
    for words in [
        "1 of 3 steps failed",
        "done       write and remove the files",
        "failed     running `systemctl start kexec-refresh.service`: exit status: ",
    ] {
        ensure!(said.contains(words), "{said}");
    }
    ensure!(!said.contains("nothing was changed"), "{said}");
    let outcomes = |said: &str| -> Result<Vec<String>> {
        // One document.
        let json: Value = serde_json::from_str(said)?;
        ensure!(
            ["error", "remedy"]
                .iter()
                .all(|key| json.get(key).is_some_and(Value::is_string)),
            "{said}"
        );
        let steps = json.get("steps").and_then(Value::as_array);
        let steps = steps.into_iter().flatten();
        let step = |step: &Value| format!("{}: {}", step["step"], step["outcome"]).replace('"', "");
        Ok(steps.map(step).collect())
    };
    let run = stage.run("half-json")?;
    assert_eq!(
        outcomes(&run.out())?,
        ["systemctl start kexec-refresh.service: failed"]
    );
    stage.good("mended")?;
    stage.good("active")?;
    let run = stage.run("half-off")?;
    assert_eq!(run.code, 1);
    assert_eq!(
        outcomes(&run.out())?,
        [
            "write and remove the files: done",
            "systemctl stop kexec-refresh.service: failed",
            "systemctl daemon-reload: done",
        ]
    );
    let (code, said) = told("ended")?;
    assert_eq!(code, 0, "{said}");
    assert_eq!(stage.run("inactive")?.out(), "inactive\n");
    assert_eq!(
        stage.good("half-left")?.out(),
        stage.good("half-before")?.out()
    );
    Ok(())
}
