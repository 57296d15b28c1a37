use std::os::unix::fs::symlink;

use super::super::testing::tree;
use super::*;
use kexec_image::testing::program as elf;

type Files<'a> = Vec<(&'a str, &'a [u8])>;

/// Which image, and "yes", "no" or "unknown" with what is said.
fn judged(files: &[(&str, &[u8])]) -> (Option<ExitrdKind>, String) {
    let (_root, volumes) = tree(files);
    told(&volumes)
}

fn told(volumes: &Volumes) -> (Option<ExitrdKind>, String) {
    match Exitrd::read(volumes) {
        Exitrd::None => (None, String::new()),
        Exitrd::Used { kind, jump, .. } => (
            Some(kind),
            match jump {
                ExitrdJump::Yes { by } => format!("yes: {by}"),
                ExitrdJump::No { why } => format!("no: {why}"),
                ExitrdJump::Unknown { why } => format!("unknown: {why}"),
            },
        ),
    }
}

#[track_caller]
fn expect(files: &[(&str, &[u8])], kind: ExitrdKind, answer: &str) {
    let (found, said) = judged(files);
    assert_eq!(found, Some(kind), "{said}");
    assert!(said.starts_with(answer), "{said}, not {answer}");
}

const WANTED: (&str, &[u8]) = (
    "usr/lib/systemd/system/reboot.target.wants/mkinitcpio-generate-shutdown-ramfs.service",
    b"",
);
const UNIT: (&str, &[u8]) = (
    "usr/lib/systemd/system/mkinitcpio-generate-shutdown-ramfs.service",
    b"[Unit]\nConditionPathExists=/run/initramfs/mkinitcpio-shutdown.conf\n[Service]\n\
      ExecStart=/usr/bin/mkinitcpio -c /run/initramfs/mkinitcpio-shutdown.conf -d /run/initramfs \
      -k none -t ${RUNTIME_DIRECTORY}\n",
);
/// A script that behaves as mkinitcpio's.
const ASH: &[u8] = b"#!/usr/bin/ash\nfor at in usr/sbin usr/bin; do\n\
    [ -x /oldroot/$at/kexec ] && cp /oldroot/$at/kexec /usr/bin\ndone\nkexec -e\nreboot -f\n";
/// One from before it took the program along.
const OLD_ASH: &[u8] = b"#!/usr/bin/ash\numount -l /mnt\nkexec -e\nreboot -f\n";

fn arch(hooks: &'static [u8], more: &Files<'static>) -> Files<'static> {
    let config = ("run/initramfs/mkinitcpio-shutdown.conf", hooks);
    let script = ("usr/lib/initcpio/shutdown", ASH);
    let mut files = vec![WANTED, UNIT, config, script];
    files.extend(more);
    files
}

/// The default of every Arch machine since mkinitcpio 39.
#[test]
fn a_default_arch_machine_jumps() {
    let files = arch(b"HOOKS=(sd-shutdown)\n", &vec![]);
    expect(&files, ExitrdKind::Systemd, "yes");
    // Before v39 the unit itself named the hook.
    let unit = (
        UNIT.0,
        b"ExecStart=/usr/bin/mkinitcpio -A sd-shutdown -c /dev/null -d /run/initramfs".as_slice(),
    );
    expect(
        &[WANTED, unit, ("dev/null", b"")],
        ExitrdKind::Systemd,
        "yes",
    );
}

#[test]
fn no_image_without_its_unit_its_file_or_a_shutdown_program() {
    let none = |files: &[(&str, &[u8])]| assert_eq!(judged(files).0, None);
    none(&[]);
    let config = (
        "run/initramfs/mkinitcpio-shutdown.conf",
        b"HOOKS=(shutdown)\n".as_slice(),
    );
    none(&[config]);
    none(&[WANTED, UNIT]);
    none(&arch(b"HOOKS=(base)\n", &vec![]));
    let (root, _) = tree(&arch(b"HOOKS=(shutdown)\n", &vec![]));
    let own = root.path().join("etc/systemd/system");
    std::fs::create_dir_all(&own).unwrap();
    symlink("/dev/null", own.join(mkinitcpio::SERVICE)).unwrap();
    assert_eq!(told(&Volumes::read(root.path())).0, None, "masked");
}

#[test]
fn mkinitcpios_script_needs_a_program_that_runs_there() {
    let kind = ExitrdKind::Mkinitcpio;
    let hooks = b"HOOKS=(base shutdown)\n";
    expect(&arch(hooks, &vec![]), kind, "no: it has no kexec program");
    let fixed: &[u8] = elf(&[]).leak();
    let own = ("usr/sbin/kexec", fixed);
    expect(
        &arch(hooks, &vec![own]),
        kind,
        "yes: it takes /usr/sbin/kexec",
    );
    let moving: &[u8] = elf(&["libc.so.6", "liblzma.so.5"]).leak();
    let debian = ("usr/sbin/kexec", moving);
    expect(
        &arch(hooks, &vec![debian]),
        kind,
        "no: it takes /usr/sbin/kexec along, which lacks liblzma.so.5",
    );
    let listed = b"HOOKS=(shutdown)\nBINARIES=(kexec)\n";
    expect(&arch(listed, &vec![debian]), kind, "yes");
    let drop_in = (
        "etc/systemd/system/mkinitcpio-generate-shutdown-ramfs.service.d/50-kexec.conf",
        include_bytes!(
            "../../../../../dist/systemd/mkinitcpio-generate-shutdown-ramfs.service.d/50-kexec.conf"
        )
        .as_slice(),
    );
    expect(&arch(hooks, &vec![drop_in]), kind, "yes");
    // Whatever bash makes of it.
    expect(
        &arch(b"HOOKS=(${MINE[@]})\n", &vec![own]),
        ExitrdKind::Other,
        "unknown",
    );
}

#[test]
fn scripts_that_are_there() {
    let fixed: &[u8] = elf(&[]).leak();
    let moving: &[u8] = elf(&["libc.so.6"]).leak();
    let at = |script| ("run/initramfs/shutdown", script);
    let mkinitcpio = ("run/initramfs/init_functions", b"".as_slice());
    let own = ("usr/sbin/kexec", fixed);
    let inside = ("run/initramfs/bin/kexec", fixed);
    let kind = ExitrdKind::Mkinitcpio;
    expect(&[at(ASH), mkinitcpio], kind, "no");
    expect(&[at(ASH), mkinitcpio, own], kind, "yes");
    expect(&[at(OLD_ASH), mkinitcpio, own], kind, "no: it has no kexec");
    expect(&[at(OLD_ASH), mkinitcpio, inside], kind, "yes");
    let other = ("run/initramfs/usr/bin/kexec", moving);
    expect(&[at(ASH), mkinitcpio, other], kind, "no: its program");
    let interpreter = ("run/initramfs/lib64/ld-linux-x86-64.so.2", b"".as_slice());
    let library = ("run/initramfs/usr/lib/libc.so.6", b"".as_slice());
    let complete = [at(ASH), mkinitcpio, other, interpreter, library];
    expect(&complete, kind, "yes");
    let kind = ExitrdKind::Other;
    expect(&[at(b"#!/bin/sh\nreboot -f\n"), inside], kind, "no");
    expect(&[at(b"#!/bin/sh\n# kexec\nreboot -f\n")], kind, "no");
    let made_up = b"#!/bin/sh\nfor at in /oldroot/bin; do cp $at/kexec /bin; done\nkexec -e\n";
    expect(
        &[at(made_up)],
        kind,
        "no: it has no kexec program, and the root",
    );
    let made_up = b"#!/bin/sh\nold=/oldroot\ncp $old/bin/kexec /bin\nkexec -e\n";
    expect(&[at(made_up)], kind, "unknown");
    let moves = b"#!/bin/sh\nmount --move /oldroot/dev /dev\nkexec -e\n";
    expect(&[at(moves), own], kind, "no: it has no kexec program");
}

#[test]
fn programs_that_are_there() {
    let systemd: &[u8] = [elf(&["libc.so.6"]).as_slice(), SYSTEMD_SAYS]
        .concat()
        .leak();
    let older: &[u8] = [systemd, SYSTEMD_RUNS].concat().leak();
    let at = |program| ("run/initramfs/shutdown", program);
    let moving: &[u8] = elf(&["libz.so.1"]).leak();
    let inside = ("run/initramfs/usr/bin/kexec", moving);
    let kind = ExitrdKind::Systemd;
    expect(&[at(systemd)], kind, "yes");
    expect(&[at(older)], kind, "yes");
    // Nothing to run it by: systemd-shutdown goes on to the kernel.
    expect(&[at(older), inside], kind, "yes");
    let interpreter = ("run/initramfs/lib64/ld-linux-x86-64.so.2", b"".as_slice());
    expect(
        &[at(older), inside, interpreter],
        kind,
        "no: systemd-shutdown",
    );
    expect(&[at(systemd), inside, interpreter], kind, "yes");
    let unknown: &[u8] = elf(&["libc.so.6"]).leak();
    expect(&[at(unknown)], ExitrdKind::Other, "unknown");

    // NixOS: a link into the store of the image.
    let (root, _) = tree(&[("run/initramfs/nix/store/s/systemd-shutdown", systemd)]);
    symlink(
        "/nix/store/s/systemd-shutdown",
        root.path().join("run/initramfs/shutdown"),
    )
    .unwrap();
    assert_eq!(told(&Volumes::read(root.path())).0, Some(kind));
}

#[test]
fn dracut_takes_a_regular_file_along() {
    let kind = ExitrdKind::Dracut;
    let script = ("run/initramfs/shutdown", b"# dracut\nkexec -e\n".as_slice());
    let fixed: &[u8] = elf(&[]).leak();
    expect(&[script], kind, "no");
    expect(&[script, ("usr/sbin/kexec", fixed)], kind, "yes");
    let (root, _) = tree(&[script, ("usr/sbin/real", fixed)]);
    symlink("real", root.path().join("usr/sbin/kexec")).unwrap();
    let (_, said) = told(&Volumes::read(root.path()));
    assert!(said.starts_with("no"), "{said}");

    // Not unpacked yet: only where something asked for it.
    let restore = ("usr/lib/dracut/dracut-initramfs-restore", b"".as_slice());
    assert_eq!(judged(&[restore]).0, None);
    let asked = ("run/initramfs/.need_shutdown", b"".as_slice());
    let moving: &[u8] = elf(&["libz.so.1"]).leak();
    expect(&[restore, asked, ("usr/sbin/kexec", fixed)], kind, "yes");
    expect(
        &[restore, asked, ("usr/sbin/kexec", moving)],
        kind,
        "unknown",
    );
}
