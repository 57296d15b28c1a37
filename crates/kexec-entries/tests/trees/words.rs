//! What is said where nothing can be found, once and with what to do.

use std::fs;

use kexec_entries::entry::{Broken, Origin};

use super::*;

const ROOT: &str = "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n";

fn said(files: &[(&str, &str)]) -> Survey {
    let dir = tempfile::tempdir().unwrap();
    let here = [
        ("proc/sys/kernel/osrelease", "6.1.0\n"),
        ("proc/sys/kernel/arch", "x86_64\n"),
    ];
    for (path, text) in here.iter().chain(files) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let volumes = Volumes::read(dir.path());
    let facts = Facts::read(&Snapshot::read(dir.path()), &volumes);
    survey(&BootedMachine {
        volumes: &volumes,
        facts: &facts,
    })
}

/// A user's file system at /boot is not entered: that is said, and not for each name
/// that a kernel could have there.
#[test]
fn a_fuse_at_boot_is_told_once() {
    let fuse = "2 1 0:50 / /boot rw - fuse.sshfs you@there: rw\n";
    let survey = said(&[
        ("proc/self/mountinfo", &format!("{ROOT}{fuse}")),
        ("boot/vmlinuz-linux", "x"),
    ]);
    let notes: Vec<&String> = survey
        .notes
        .iter()
        .filter(|n| n.contains("/boot"))
        .collect();
    let [note] = notes.as_slice() else {
        panic!("{:?}", survey.notes);
    };
    let text = "/boot is a fuse.sshfs file system, which a user's program serves";
    assert!(note.starts_with(text), "{note}");
    let plain = survey.sources.iter().find(|s| s.source == "plain").unwrap();
    assert!(plain.found.entries.is_empty(), "{:?}", plain.found.entries);
    let [note] = plain.found.notes.as_slice() else {
        panic!("{:?}", plain.found.notes);
    };
    let text = "the well-known kernel names in /boot cannot be read: ";
    assert!(note.starts_with(text), "{note}");
}

/// `BOOT_IMAGE=` names a file that is not there any more.
#[test]
fn a_kernel_that_is_gone_is_told_with_where_it_was() {
    let survey = said(&[
        ("proc/self/mountinfo", ROOT),
        (
            "proc/cmdline",
            "BOOT_IMAGE=/vmlinuz-special root=/dev/vda1\n",
        ),
        ("boot/else", ""),
    ]);
    let running = survey.sources.iter().find(|s| s.source == "running");
    let text = format!("{:?}", running.unwrap().found.choice);
    for words in [
        "the file of the running kernel 6.1.0 does not exist (looked for: \
         /usr/lib/modules/6.1.0/vmlinuz, /boot/vmlinuz-6.1.0)",
        "name another kernel, or reboot first",
        "read it from /vmlinuz-special (BOOT_IMAGE in /proc/cmdline)",
        "no such file below /boot",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

/// Whoever says that a file cannot be read names it; the reason does not once more.
#[test]
fn a_file_is_named_once() {
    let broken = Broken {
        at: Origin::line("/boot/a.conf", 3),
        reason: "/boot/a.conf: ELOOP".to_owned(),
    };
    assert_eq!(broken.to_string(), "/boot/a.conf:3: ELOOP");
}
