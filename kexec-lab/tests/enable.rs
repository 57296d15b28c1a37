//! `kexec enable` where it cannot write, and what it makes of the program's own path:
//! in an installed system, with the program alone.

use anyhow::{Result, ensure};
use kexec_lab::Lab;
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, SystemLayout};

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
    refused("full", &["No space left", "nothing was changed"])?;
    assert_eq!(stage.good("nothing")?.out(), "");
    refused(
        "read-only",
        &["Read-only file system", "nothing was changed"],
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
