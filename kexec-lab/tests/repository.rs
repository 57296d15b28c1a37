//! The repository of a release as an administrator uses it: served over HTTP, added to
//! apt's sources with its key, installed from; and refused where anything was changed.

use anyhow::{Context, Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, SystemLayout, Trial};
use kexec_lab::{Initramfs, Lab, kexec_release};
use std::path::Path;

/// Serves /srv/release where `xtask/src/dist/release/check.rs` says that it is; nothing
/// else is asked for packages. The lab's systems are made without documents.
const SERVE: &str = r#"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/dpkg/dpkg.cfg.d/*
python3 -m http.server --directory /srv/release --bind 127.0.0.1 8000 > /var/tmp/http 2>&1 &
for second in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
	python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8000))' \
		2> /dev/null && break
	sleep 1
done
"#;

/// What an administrator types.
const INSTALL: &str = r#"
run source cp /srv/release/apt/kexec-rs.sources /etc/apt/sources.list.d/
run update apt-get update
run install apt-get install --yes kexec-rs
run version kexec --version
run whole dpkg -V kexec-rs
run origin apt-cache policy kexec-rs
run documents ls /usr/share/doc/kexec-rs
put_file requests /var/tmp/http
"#;

/// What somebody between the server and the machine could do.
const TAMPER: &str = r#"
suite=/srv/release/apt/dists/stable
cp -a /srv/release /srv/good
again() { # again LABEL COMMAND...: from the beginning, and then everything as it was
	rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
	run "$@"
	rm -rf /srv/release/apt
	cp -a /srv/good/apt /srv/release/apt
}
spoil() { # spoil FILE: another byte, and the same size
	printf '\1' | dd of="$1" bs=1 seek=300 conv=notrunc 2> /dev/null
}
for index in "$suite"/main/binary-*/Packages*; do
	spoil "$index"
done
again index apt-get update
sed -i 's/^Label: .*/Label: other/' "$suite/InRelease"
again release apt-get update
rm "$suite/InRelease" "$suite/Release.gpg"
again unsigned apt-get update
spoil /srv/release/apt/pool/main/*.deb
again package sh -c 'apt-get update -q && apt-get install --yes --reinstall kexec-rs'
again whole apt-get update
"#;

/// Adds the files below a folder of this machine to those of the guest.
fn add(files: &mut Initramfs, from: &Path, to: &str) -> Result<()> {
    let listed = std::fs::read_dir(from).with_context(|| format!("listing {}", from.display()))?;
    for entry in listed {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("{to}/{name}");
        if path.is_dir() {
            add(files, &path, &place)?;
        } else {
            files.file(&place, std::fs::read(&path)?);
        }
    }
    Ok(())
}

/// What a command of a stage said; it is printed as on a terminal.
fn said(trial: &Trial, stage: &str, label: &str, succeeds: bool) -> Result<String> {
    let run = trial.stage(stage)?.run(label)?;
    let text = format!("{}{}", run.out(), run.err());
    println!("# {label}: {}\n{text}", run.code);
    ensure!(
        (run.code == 0) == succeeds,
        "{label} ended with {}: {text}",
        run.code
    );
    Ok(text)
}

#[test]
fn apt_installs_from_it_and_refuses_what_was_changed() -> Result<()> {
    let lab = Lab::open()?;
    let mut files = Initramfs::new();
    add(&mut files, &kexec_release()?.join("apt"), "srv/release/apt")?;
    let trial = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .with(&files)
        .stage("served", &format!("{SERVE}{INSTALL}{TAMPER}"))
        .run()?;
    println!("{:.0} s", trial.seconds());

    for label in ["source", "update", "install", "documents"] {
        let text = said(&trial, "served", label, true)?;
        ensure!(!text.contains("W:"), "{label}: apt warns: {text}");
    }
    ensure!(said(&trial, "served", "version", true)?.starts_with("kexec-rs "));
    let origin = said(&trial, "served", "origin", true)?;
    ensure!(
        origin.contains("http://127.0.0.1:8000/apt stable/main"),
        "{origin}"
    );
    let served = trial.stage("served")?.file("requests")?;
    let served = String::from_utf8_lossy(served).into_owned();
    ensure!(served.contains("GET /apt/pool/main/kexec-rs_"), "{served}");

    for (label, why) in [
        ("index", &["Hash Sum mismatch", "unexpected size"][..]),
        ("release", &["is not signed", "signature", "BADSIG"]),
        ("unsigned", &["is not signed"]),
        ("package", &["Hash Sum mismatch", "unexpected size"]),
    ] {
        let text = said(&trial, "served", label, false)?;
        ensure!(
            why.iter().any(|why| text.contains(why)),
            "{label}: refused for another reason than {why:?}: {text}"
        );
    }
    said(&trial, "served", "whole", true)?;
    Ok(())
}
