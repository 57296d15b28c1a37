//! Boot trees of whole machines, written by hand from the documented formats,
//! and the entries that every source finds in them.
//!
//! One test per manifest; the snapshot beside it is what `survey` answers. A
//! new tree: `manifests/NAME.tree`, and a line in `trees!` below.
// The helpers here are no tests of their own, which the lints would leave alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod readme;
mod shown;
mod tree;
mod trust;
mod words;

use kexec_entries::BootedMachine;
use kexec_entries::Survey;
use kexec_entries::facts::Facts;
use kexec_entries::survey;
use kexec_machine::Snapshot;
use kexec_machine::volumes::Volumes;

fn surveyed(name: &str) -> (Survey, Volumes) {
    let path = tree::folder(".").join(format!("{name}.tree"));
    let manifest = std::fs::read_to_string(&path).unwrap();
    let dir = tree::unpack(&manifest);
    let volumes = Volumes::read(dir.path());
    let facts = Facts::read(&Snapshot::read(dir.path()), &volumes);
    let survey = survey(&BootedMachine {
        volumes: &volumes,
        facts: &facts,
    });
    (survey, volumes)
}

/// A test per tree, whose snapshot is snapshots/NAME.snap.
macro_rules! trees {
    ($($test:ident: $name:literal,)*) => {
        const TREES: &[&str] = &[$($name),*];
        $(#[test]
        fn $test() {
            let (survey, volumes) = surveyed($name);
            // Every file that is named is a file of a volume that is there.
            for listed in &survey.sources {
                for target in listed.found.entries.iter().filter_map(|e| e.target()) {
                    for file in target.files() {
                        assert!(volumes.get(&file.volume).is_some(), "{file}");
                    }
                }
            }
            let text = shown::survey(&survey);
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!($name, text);
            });
        })*
    };
}

trees! {
    debian_plain: "debian-plain",
    arch_plain: "arch-plain",
    modules_only: "modules-only",
    btrfs_subvolume: "btrfs-subvolume",
    extlinux_board: "extlinux-board",
    extlinux_alpine: "extlinux-alpine",
    extlinux_beside_grub: "extlinux-beside-grub",
    extlinux_board_macros: "extlinux-board-macros",
    sdboot_before_sort_key: "sdboot-before-sort-key",
    raspberry_pi: "raspberry-pi",
    efistub: "efistub",
    arch_systemd_boot: "arch-systemd-boot",
    fedora_systemd_boot: "fedora-systemd-boot",
    nixos_systemd_boot: "nixos-systemd-boot",
    uki_only: "uki-only",
    uki_not_next: "uki-not-next",
    uki_profiles: "uki-profiles",
    boot_counting: "boot-counting",
    one_shot: "one-shot",
    bls_foreign_default: "bls-foreign-default",
    bls_on_root: "bls-on-root",
    grub_debian_12_bios: "grub-debian-12-bios",
    grub_debian_13_uefi: "grub-debian-13-uefi",
    grub_ubuntu: "grub-ubuntu",
    grub_fedora_bls: "grub-fedora-bls",
    grub_rhel_8_bls: "grub-rhel-8-bls",
    grub_opensuse_btrfs: "grub-opensuse-btrfs",
    grub_arch: "grub-arch",
    grub_xen: "grub-xen",
    grub_coreos: "grub-coreos",
    grub_fedora_tuned: "grub-fedora-tuned",
    grub_gptprio: "grub-gptprio",
    grub_loopback: "grub-loopback",
    grub_opensuse_hidden: "grub-opensuse-hidden",
    grub_two_folders: "grub-two-folders",
    grub_ubuntu_zfs: "grub-ubuntu-zfs",
    grub_zfs_unknown: "grub-zfs-unknown",
    grub_proxmox: "grub-proxmox",
    grub_boot_unmounted: "grub-boot-unmounted",
    grub_gone: "grub-gone",
    grub_two_folders_unknown: "grub-two-folders-unknown",
    grub_inside: "grub-inside",
    grub_inside_grubenv: "grub-inside-grubenv",
    grub_inside_unknown: "grub-inside-unknown",
    extlinux_submenus: "extlinux-submenus",
    extlinux_submenu_default: "extlinux-submenu-default",
    extlinux_spaces: "extlinux-spaces",
    extlinux_board_img: "extlinux-board-img",
    extlinux_either: "extlinux-either",
    sdboot_quotes: "sdboot-quotes",
    sdboot_backslash: "sdboot-backslash",
    sdboot_case: "sdboot-case",
    sdboot_pop: "sdboot-pop",
    sdboot_no_suffix: "sdboot-no-suffix",
    extlinux_config: "extlinux-config",
    extlinux_circle: "extlinux-circle",
    limine: "limine",
    limine_gone: "limine-gone",
    limine_last: "limine-last",
    refind: "refind",
    refind_scans: "refind-scans",
    zfsbootmenu: "zfsbootmenu",
}

#[test]
fn every_manifest_is_tried() {
    let entries = std::fs::read_dir(tree::folder(".")).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .map(|n| n.strip_suffix(".tree").unwrap().to_owned())
        .collect();
    names.sort();
    let mut tried = TREES.to_vec();
    tried.sort_unstable();
    assert_eq!(names, tried);
}

/// What may lie where an entry, a kernel or an initrd is expected. None of it is
/// waited for, none is opened, and each is named.
#[test]
fn what_is_no_regular_file_is_a_broken_entry() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let manifest = std::fs::read_to_string(tree::folder(".").join("bls-on-root.tree")).unwrap();
    let dir = tree::unpack(&manifest);
    let entries = dir.path().join("boot/loader/entries");
    let fifo = |path: &std::path::Path| {
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    };
    fifo(&entries.join("fifo.conf"));
    let _socket = std::os::unix::net::UnixListener::bind(entries.join("socket.conf")).unwrap();
    std::os::unix::fs::symlink("loop.conf", entries.join("loop.conf")).unwrap();
    std::fs::create_dir(entries.join("folder.conf")).unwrap();
    fifo(&dir.path().join("boot/pipe"));
    std::fs::write(entries.join("kernel.conf"), "linux /boot/pipe\n").unwrap();
    let text = "linux /boot/vmlinuz-6.11.4-301.fc41.ppc64le\ninitrd /boot/pipe\n";
    std::fs::write(entries.join("initrd.conf"), text).unwrap();
    let mut wanted = vec![
        ("fifo", "it is a pipe"),
        ("socket", "it is a socket"),
        ("loop", "ELOOP"),
        ("folder", "it is a directory"),
        ("kernel", "it is a pipe"),
        ("initrd", "it is a pipe"),
    ];
    // Only root makes devices: that of /dev/watchdog, which begins to count when it is
    // opened. What a device is called is tested in kexec-machine/src/open.rs for everybody.
    let watchdog = rustix::fs::makedev(10, 130);
    let mode = Mode::from_raw_mode(0o600);
    let made = mknodat(
        CWD,
        entries.join("device.conf"),
        FileType::CharacterDevice,
        mode,
        watchdog,
    );
    if made.is_ok() {
        wanted.push(("device", "it is a character device"));
    }
    let volumes = Volumes::read(dir.path());
    let facts = Facts::read(&Snapshot::read(dir.path()), &volumes);
    let survey = survey(&BootedMachine {
        volumes: &volumes,
        facts: &facts,
    });
    for (name, said) in wanted {
        let mut all = survey.sources.iter().flat_map(|l| &l.found.entries);
        let entry = all.find(|e| e.id.starts_with(name));
        let entry = entry.unwrap_or_else(|| panic!("{name} is not listed"));
        let text = format!("{:?}", entry.boots);
        assert!(
            text.starts_with("Broken") && text.contains(said),
            "{name}: {text}"
        );
    }
}
