//! Paths, links and includes that lead off the file system that a boot loader reads, and
//! companions on one that is not believed.

use super::machine::{Content, ESP, Machine, NVME, ROOT_UUID, SATA, USB, default, fs};
use kexec_entries::Choice;
use kexec_entries::Survey;
use kexec_entries::entry::Boots;

const BOOT: &str = "b0071111-2222-3333-4444-555555555555";
const STICK: &str = "57100000-2222-3333-4444-555555555555";

/// An honest disk with /boot, and a stick that a user has mounted.
fn machine(cmdline: &str) -> Machine {
    let mut machine = Machine::new(cmdline);
    machine.disk("sda", SATA);
    let boot = machine.part("sda", SATA, "sda1", fs("ext4", BOOT));
    let root = machine.part("sda", SATA, "sda2", fs("ext4", ROOT_UUID));
    machine.mount(&root, "/", "rw", "ext4", "/dev/sda2");
    machine.mount(&boot, "/boot", "rw", "ext4", "/dev/sda1");
    machine.disk("sdb", USB);
    let stick = machine.part("sdb", USB, "sdb1", fs("ext4", STICK));
    machine.mount(&stick, "/media/u/x", "rw,nosuid", "ext4", "/dev/sdb1");
    for name in ["linux", "initrd"] {
        machine.file(&format!("/boot/{name}"), "honest");
        machine.file(&format!("/media/u/x/{name}"), "evil");
    }
    machine
}

/// No entry of any source is one of the stick's, and none that can be booted has a file
/// there.
#[track_caller]
fn nothing_of_the_stick(survey: &Survey) {
    let entries = survey.sources.iter().flat_map(|l| &l.found.entries);
    for entry in entries {
        assert!(!entry.id.contains("evil"), "{entry:?}");
        let files = entry.target().into_iter().flat_map(|target| target.files());
        for file in files {
            assert!(!file.shown.contains("/media"), "{file}");
            assert!(file.volume.0 != "sdb1", "{file}");
        }
    }
}

#[test]
fn includes_of_extlinux() {
    let mut machine = machine("root=/dev/sda2");
    machine.file(
        "/media/u/x/evil.conf",
        "DEFAULT evil\nLABEL evil\nLINUX /linux\nAPPEND evil",
    );
    machine.link("/boot/extlinux/link.conf", "../../media/u/x/evil.conf");
    machine.link("/boot/extlinux/absolute.conf", "/media/u/x/evil.conf");
    machine.link("/boot/initrd-link", "/media/u/x/initrd");
    machine.file(
        "/boot/extlinux/extlinux.conf",
        "INCLUDE /media/u/x/evil.conf\nMENU INCLUDE ../../media/u/x/evil.conf\n\
         INCLUDE link.conf\nINCLUDE absolute.conf\nDEFAULT own\n\
         LABEL own\nLINUX /linux\nINITRD /initrd\nAPPEND honest\n\
         LABEL up\nLINUX ../../media/u/x/linux\n\
         LABEL by-link\nLINUX /linux\nINITRD /initrd-link\n",
    );
    let survey = machine.survey();
    nothing_of_the_stick(&survey);
    let target = default(&survey).unwrap();
    assert_eq!(target.kernel.shown, "/boot/linux");
    let entries: Vec<_> = survey
        .sources
        .iter()
        .flat_map(|l| &l.found.entries)
        .collect();
    for name in ["up", "by-link"] {
        let entry = entries.iter().find(|entry| entry.id == name).unwrap();
        assert!(matches!(entry.boots, Boots::Broken(_)), "{entry:?}");
    }
    let listed = survey
        .sources
        .iter()
        .find(|l| l.source == "extlinux")
        .unwrap();
    assert_eq!(listed.found.notes.len(), 4, "{:?}", listed.found.notes);
}

#[test]
fn what_grub_goes_on_with() {
    let line = format!("BOOT_IMAGE=/linux root=UUID={ROOT_UUID}");
    let evil = "menuentry 'evil' --id evil {\nlinux /linux evil\n}\nset default=evil";
    for goes_on in [
        "source /media/u/x/evil.cfg",
        "source /../../media/u/x/evil.cfg",
        "source /grub/link.cfg",
        "configfile /grub/link.cfg",
        "configfile /grub/up.cfg",
    ] {
        let mut machine = machine(&line);
        machine.file("/media/u/x/evil.cfg", evil);
        machine.link("/boot/grub/link.cfg", "/media/u/x/evil.cfg");
        machine.link("/boot/grub/up.cfg", "../../media/u/x/evil.cfg");
        machine.file(
            "/boot/grub/grub.cfg",
            &format!(
                "search --no-floppy --fs-uuid --set=root {BOOT}\n{goes_on}\n\
                 menuentry 'own' --id own {{\nlinux /linux honest\ninitrd /initrd\n}}"
            ),
        );
        let survey = machine.survey();
        nothing_of_the_stick(&survey);
        let target = default(&survey).map_err(|why| format!("{goes_on}: {why}"));
        assert_eq!(target.unwrap().kernel.shown, "/boot/linux", "{goes_on}");
    }
    // By its UUID the stick is found, and refused.
    let mut machine = machine(&line);
    machine.file("/media/u/x/evil.cfg", evil);
    machine.file(
        "/boot/grub/grub.cfg",
        &format!(
            "search --no-floppy --fs-uuid --set=root {STICK}\nsource /evil.cfg\n\
             menuentry 'own' --id own {{\nlinux /linux honest\n}}"
        ),
    );
    let survey = machine.survey();
    nothing_of_the_stick(&survey);
    let why = default(&survey).unwrap_err();
    assert!(why.contains("sdb1") && why.contains("USB"), "{why}");
}

#[test]
fn what_goes_with_a_uki() {
    let esp = |uuid| Content {
        kind: "vfat",
        uuid,
        partuuid: "aaaaaaaa-0000-0000-0000-000000000001",
        parttype: ESP,
        ..Content::default()
    };
    let mut machine = Machine::new("honest");
    machine.disk("nvme0n1", NVME);
    let own = machine.part("nvme0n1", NVME, "nvme0n1p1", esp("AAAA-0001"));
    let root = machine.part("nvme0n1", NVME, "nvme0n1p2", fs("ext4", ROOT_UUID));
    machine.mount(&root, "/", "rw", "ext4", "/dev/nvme0n1p2");
    machine.mount(&own, "/efi", "rw", "vfat", "/dev/nvme0n1p1");
    // A copy of the ESP, with more beside the UKI.
    machine.disk("sdb", USB);
    let stick = machine.part("sdb", USB, "sdb1", esp("AAAA-0001"));
    machine.mount(&stick, "/media/u/x", "rw,nosuid", "vfat", "/dev/sdb1");
    machine.systemd_boot("aaaaaaaa-0000-0000-0000-000000000001");
    let uki = ".osrel ID=own\\nPRETTY_NAME=\"Own\"\n.cmdline honest\n.linux kernel";
    for top in ["/efi", "/media/u/x"] {
        machine.file(&format!("{top}/EFI/Linux/own.efi pe"), uki);
    }
    for folder in ["EFI/Linux/own.efi.extra.d", "loader/addons"] {
        machine.file(&format!("/media/u/x/{folder}/evil.addon.efi"), "evil");
    }
    machine.link("/efi/loader/addons", "../../media/u/x/loader/addons");
    machine.link("/efi/EFI/Linux/own.efi.extra.d", "/media/u/x/loader/addons");
    let survey = machine.survey();
    nothing_of_the_stick(&survey);
    let target = default(&survey).unwrap();
    assert_eq!(target.kernel.shown, "/efi/EFI/Linux/own.efi");
    let all = format!("{target:?}");
    assert!(!all.contains("addon"), "{all}");
}

/// A btrfs of an internal disk and a stick is no boot source, unless it is what the
/// machine runs from.
#[test]
fn half_of_a_btrfs_on_usb() {
    for root_is_on_it in [false, true] {
        let line = format!("BOOT_IMAGE=/vmlinuz root=UUID={ROOT_UUID}");
        let mut machine = Machine::new(&line);
        machine.disk("sda", SATA);
        machine.disk("sdb", USB);
        machine.part("sda", SATA, "sda1", fs("btrfs", BOOT));
        machine.part("sdb", USB, "sdb1", fs("btrfs", BOOT));
        let root = machine.part("sda", SATA, "sda2", fs("ext4", ROOT_UUID));
        for name in ["sda1", "sdb1"] {
            machine.file(&format!("/sys/fs/btrfs/{BOOT}/devices/{name}"), "");
        }
        let (point, top) = match root_is_on_it {
            true => ("/", ""),
            false => ("/srv", "/srv"),
        };
        if !root_is_on_it {
            machine.mount(&root, "/", "rw", "ext4", "/dev/sda2");
        }
        machine.mount("0:40", point, "rw", "btrfs", "/dev/sda1");
        machine.file(&format!("{top}/boot/vmlinuz"), "kernel");
        machine.file(
            "/boot/grub/grub.cfg",
            &format!(
                "search --no-floppy --fs-uuid --set=root {BOOT}\n\
                 menuentry 'own' {{\nlinux /boot/vmlinuz honest\n}}"
            ),
        );
        let found = machine.survey();
        match (root_is_on_it, default(&found)) {
            (true, Ok(target)) => assert_eq!(target.kernel.shown, "/boot/vmlinuz"),
            (false, Err(why)) => assert!(why.contains("USB"), "{why}"),
            (_, other) => panic!("{other:?}"),
        }
    }
}

/// GRUB of NixOS, without a /boot of its own: the store is mounted on itself.
#[test]
fn the_store_of_nixos() {
    let line = format!(
        "BOOT_IMAGE=(hd0,gpt2)/nix/store/k/bzImage init=/nix/store/i root=UUID={ROOT_UUID}"
    );
    let mut machine = Machine::new(&line);
    machine.disk("sda", SATA);
    let root = machine.part("sda", SATA, "sda2", fs("ext4", ROOT_UUID));
    machine.mount(&root, "/", "rw", "ext4", "/dev/sda2");
    machine.mount_of(
        &root,
        "/nix/store",
        "/nix/store",
        "ro,nosuid,nodev",
        "ext4",
        "/dev/sda2",
    );
    machine.file("/etc/fstab", &format!("UUID={ROOT_UUID} / ext4"));
    machine.file("/nix/store/k/bzImage", "kernel");
    machine.file("/nix/store/k/initrd", "initrd");
    machine.file(
        "/boot/grub/grub.cfg",
        &format!(
            "search --set=drive1 --fs-uuid {ROOT_UUID}\n\
             menuentry 'NixOS' {{\nlinux ($drive1)/nix/store/k/bzImage honest\n\
             initrd ($drive1)/nix/store/k/initrd\n}}"
        ),
    );
    let survey = machine.survey();
    let target = default(&survey).unwrap();
    assert_eq!(target.kernel.shown, "/nix/store/k/bzImage");
    assert!(target.notes.is_empty(), "{:?}", target.notes);
}

/// GRUB of a BIOS does not read /boot/efi: that its device is gone changes nothing. That
/// of /boot does, and why is said.
#[test]
fn a_device_of_fstab_that_is_gone() {
    for (point, works) in [("/boot/efi", true), ("/boot", false)] {
        let mut machine = Machine::new(&format!("BOOT_IMAGE=/boot/linux root=UUID={ROOT_UUID}"));
        machine.disk("sda", SATA);
        let root = machine.part("sda", SATA, "sda2", fs("ext4", ROOT_UUID));
        machine.mount(&root, "/", "rw", "ext4", "/dev/sda2");
        machine.file(
            "/etc/fstab",
            &format!("UUID=AAAA-0009 {point} vfat defaults 0 2"),
        );
        machine.file("/boot/linux", "kernel");
        machine.file(
            "/boot/grub/grub.cfg",
            &format!(
                "search --no-floppy --fs-uuid --set=root {ROOT_UUID}\n\
                 menuentry 'own' {{\nlinux /boot/linux honest\n}}"
            ),
        );
        machine.link("/vmlinuz", "boot/linux");
        let survey = machine.survey();
        match default(&survey) {
            Ok(target) if works => assert_eq!(target.kernel.shown, "/boot/linux"),
            Err(why) if !works => {
                assert!(
                    why.contains("UUID=AAAA-0009") && why.contains("nofail"),
                    "{why}"
                );
            }
            other => panic!("{point}: {other:?}"),
        }
        assert_eq!(
            matches!(survey.sources[0].found.choice, Choice::Entry { .. }),
            works
        );
    }
}
