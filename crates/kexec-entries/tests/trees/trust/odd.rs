//! Odd machines of honest people: each boots what it always booted.

use super::machine::{
    Content, ESP, Machine, NVME, ROOT_UUID, SATA, SATA2, USB, VIRTIO, default, fs,
};
use kexec_entries::Survey;

const BOOT: &str = "b0071111-2222-3333-4444-555555555555";

fn esp<'a>(uuid: &'a str, partuuid: &'a str) -> Content<'a> {
    Content {
        kind: "vfat",
        uuid,
        partuuid,
        parttype: ESP,
        ..Content::default()
    }
}

fn entry(machine: &mut Machine, top: &str, words: &str) {
    machine.file(&format!("{top}/linux"), "kernel");
    machine.file(&format!("{top}/initrd"), "initrd");
    machine.file(
        &format!("{top}/loader/entries/own.conf"),
        &format!(
            "title Linux\nlinux /linux\ninitrd /initrd\noptions root=UUID={ROOT_UUID} {words}"
        ),
    );
}

fn grub(machine: &mut Machine, top: &str, search: &str, words: &str) {
    machine.file(&format!("{top}/vmlinuz-6.8"), "kernel");
    machine.file(&format!("{top}/initrd.img-6.8"), "initrd");
    machine.file(
        &format!("{top}/grub/grub.cfg"),
        &format!(
            "menuentry 'Linux' --id own {{\nsearch --no-floppy --fs-uuid --set=root {search}\n\
             linux /vmlinuz-6.8 root=UUID={ROOT_UUID} {words}\ninitrd /initrd.img-6.8\n}}"
        ),
    );
}

fn line() -> String {
    format!("BOOT_IMAGE=/vmlinuz-6.8 root=UUID={ROOT_UUID}")
}

/// The file system and the command line of what would be booted.
#[track_caller]
fn boots(survey: &Survey, volume: &str, words: &str) {
    let target = default(survey)
        .map_err(|why| format!("{why} {:?}", survey.notes))
        .unwrap();
    assert_eq!(target.kernel.volume.0, volume);
    let line = target.cmdline.as_ref().unwrap().to_string();
    assert!(line.contains(words), "{line}");
}

const ONE: &str = "aaaaaaaa-0000-0000-0000-000000000001";
const TWO: &str = "aaaaaaaa-0000-0000-0000-000000000002";

/// Two disks, root on a RAID 1 of both; `mounted` is where the first ESP is.
fn two_disks(machine: &mut Machine) {
    machine.disk("sda", SATA);
    machine.disk("sdb", SATA2);
    machine.part("sda", SATA, "sda2", fs("linux_raid_member", "dddd"));
    machine.part("sdb", SATA2, "sdb2", fs("linux_raid_member", "dddd"));
    let root = machine.stack("md1", &["sda2", "sdb2"], fs("ext4", ROOT_UUID));
    machine.mount(&root, "/", "rw", "ext4", "/dev/md1");
}

#[test]
fn raid_1_with_two_esps_that_are_copies() {
    // Copied with dd, so that they have one UUID; fstab has it by that.
    for mounted in [true, false] {
        let mut machine = Machine::new("initrd=\\initrd");
        two_disks(&mut machine);
        machine.systemd_boot(TWO);
        machine.part("sda", SATA, "sda1", esp("ABCD-1234", ONE));
        let second = machine.part("sdb", SATA2, "sdb1", esp("ABCD-1234", TWO));
        machine.file("/etc/fstab", "UUID=ABCD-1234 /efi vfat noauto");
        entry(&mut machine, "/dev/sda1", "first");
        let top = if mounted { "/efi" } else { "/dev/sdb1" };
        entry(&mut machine, top, "second");
        if mounted {
            machine.mount(&second, "/efi", "rw", "vfat", "/dev/sdb1");
        }
        boots(&machine.survey(), "sdb1", "second");
    }
}

#[test]
fn raid_1_of_esps() {
    // Metadata 1.0 stands at the end: the firmware reads each half as an ESP.
    let mut machine = Machine::new("initrd=\\initrd");
    two_disks(&mut machine);
    machine.systemd_boot(TWO);
    let member = Content {
        kind: "linux_raid_member",
        uuid: "eeee",
        ..esp("", ONE)
    };
    machine.part("sda", SATA, "sda1", member);
    machine.part(
        "sdb",
        SATA2,
        "sdb1",
        Content {
            partuuid: TWO,
            ..member
        },
    );
    machine.stack("md0", &["sda1", "sdb1"], fs("vfat", "ABCD-1234"));
    machine.file("/sys/devices/virtual/block/md0/md/level", "raid1");
    entry(&mut machine, "/dev/md0", "honest");
    let survey = machine.survey();
    boots(&survey, "md0", "honest");
    let from = &survey.sources[survey.answer.as_ref().unwrap().index].read_from[0];
    assert_eq!(
        from.to_string(),
        "/dev/md0 (vfat, ABCD-1234): this boot came from it (LoaderDevicePartUUID); it is made of \
         sda1, sdb1, which can all be a boot source"
    );
}

#[test]
fn raid_of_the_firmware() {
    // The kernel finds the partitions on the members and on the whole.
    let mut machine = Machine::new("initrd=\\initrd");
    machine.disk("sda", SATA);
    machine.disk("sdb", SATA2);
    machine.part("sda", SATA, "sda1", esp("ABCD-1234", ONE));
    machine.part("sdb", SATA2, "sdb1", esp("ABCD-1234", ONE));
    machine.stack("md126", &["sda", "sdb"], Content::default());
    machine.file("/sys/devices/virtual/block/md126/md/level", "raid1");
    machine.part("md126", "virtual/block", "md126p1", esp("ABCD-1234", ONE));
    machine.systemd_boot(ONE);
    entry(&mut machine, "/dev/md126p1", "honest");
    boots(&machine.survey(), "md126p1", "honest");
}

#[test]
fn btrfs_on_two_disks() {
    for uuids in [true, false] {
        let mut machine = Machine::new(&line().replace("/vmlinuz", "/boot/vmlinuz"));
        machine.disk("sda", SATA);
        machine.disk("sdb", SATA2);
        machine.part("sda", SATA, "sda2", fs("btrfs", ROOT_UUID));
        machine.part("sdb", SATA2, "sdb2", fs("btrfs", ROOT_UUID));
        if uuids {
            for disk in ["sda2", "sdb2"] {
                machine.link(
                    &format!("/sys/fs/btrfs/{ROOT_UUID}/devices/{disk}"),
                    &format!("../../../../class/block/{disk}"),
                );
            }
        }
        // The number is one that btrfs made up.
        machine.mount("0:30", "/", "rw", "btrfs", "/dev/sdb2");
        machine.file("/boot/vmlinuz-6.8", "kernel");
        machine.file("/boot/initrd.img-6.8", "initrd");
        machine.file(
            "/boot/grub/grub.cfg",
            &format!(
                "menuentry 'Linux' --id own {{\nsearch --fs-uuid --set=root {ROOT_UUID}\n\
                 linux /boot/vmlinuz-6.8 honest\ninitrd /boot/initrd.img-6.8\n}}"
            ),
        );
        boots(&machine.survey(), "sdb2", "honest");
    }
}

#[test]
fn lvm_on_luks_with_a_snapshot() {
    let mut machine = Machine::new(&line());
    machine.disk("nvme0n1", NVME);
    let boot = machine.part("nvme0n1", NVME, "nvme0n1p1", fs("ext4", BOOT));
    machine.part("nvme0n1", NVME, "nvme0n1p2", fs("crypto_LUKS", "cccc"));
    machine.stack("dm-0", &["nvme0n1p2"], fs("LVM2_member", "llll"));
    let root = machine.stack("dm-1", &["dm-0"], fs("ext4", ROOT_UUID));
    machine.stack("dm-2", &["dm-0"], Content::default());
    machine.stack("dm-3", &["dm-0", "dm-2"], fs("ext4", ROOT_UUID));
    for (dm, name) in [
        ("0", "luks"),
        ("1", "vg-root"),
        ("2", "vg-snap-cow"),
        ("3", "vg-snap"),
    ] {
        machine.file(&format!("/sys/devices/virtual/block/dm-{dm}/dm/name"), name);
    }
    machine.mount(&root, "/", "rw", "ext4", "/dev/mapper/vg-root");
    machine.mount(
        &boot,
        "/boot",
        "rw,nosuid,nodev,noexec",
        "ext4",
        "/dev/nvme0n1p1",
    );
    grub(&mut machine, "/boot", BOOT, "honest");
    let survey = machine.survey();
    boots(&survey, "nvme0n1p1", "honest");
    assert_eq!(
        survey.notes,
        [format!(
            "vg-snap has the UUID {ROOT_UUID} of vg-root as well, and is not read: it is an LVM \
             snapshot, which no boot loader reads"
        )]
    );
}

#[test]
fn multipath() {
    // Two paths to one disk, its partitions by kpartx.
    let mut machine = Machine::new("initrd=\\initrd");
    let fabric = "pci0000:00/0000:00:03.0/host1/rport-1:0-0/target1:0:0/1:0:0:0/block";
    for disk in ["sda", "sdb"] {
        machine.disk(disk, fabric);
        machine.part(disk, fabric, &format!("{disk}1"), esp("ABCD-1234", ONE));
    }
    machine.stack("dm-0", &["sda", "sdb"], Content::default());
    machine.stack("dm-1", &["dm-0"], esp("ABCD-1234", ONE));
    for (dm, name, uuid) in [
        ("0", "mpatha", "mpath-3600"),
        ("1", "mpatha-part1", "part1-mpath-3600"),
    ] {
        machine.file(&format!("/sys/devices/virtual/block/dm-{dm}/dm/name"), name);
        machine.file(&format!("/sys/devices/virtual/block/dm-{dm}/dm/uuid"), uuid);
    }
    machine.systemd_boot(ONE);
    entry(&mut machine, "/dev/mapper/mpatha-part1", "honest");
    boots(&machine.survey(), "mpatha-part1", "honest");
}

/// Nothing has put the two paths together: they are one by what the disk calls itself.
#[test]
fn two_paths_without_multipath() {
    for (name, works) in [
        ("naa.600140512345", true),
        ("t10.QEMU    QEMU HARDDISK", false),
    ] {
        let mut machine = Machine::new(&line());
        for (disk, way) in [("sda", SATA), ("sdb", SATA2)] {
            machine.disk(disk, way);
            machine.file(&format!("/sys/devices/{way}/{disk}/device/wwid"), name);
            let boot = format!("{disk}1");
            machine.part(disk, way, &boot, fs("ext4", BOOT));
            grub(&mut machine, &format!("/dev/{boot}"), BOOT, "honest");
        }
        let root = machine.part("sda", SATA, "sda2", fs("ext4", ROOT_UUID));
        machine.mount(&root, "/", "rw", "ext4", "/dev/sda2");
        machine.file("/etc/fstab", &format!("UUID={BOOT} /boot ext4 noauto"));
        let survey = machine.survey();
        match works {
            true => boots(&survey, "sda1", "honest"),
            false => {
                let why = default(&survey).unwrap_err();
                assert!(why.contains("sda1") && why.contains("sdb1"), "{why}");
            }
        }
    }
}

#[test]
fn root_on_usb() {
    for mounted in [true, false] {
        let mut machine = Machine::new(&line());
        machine.disk("sda", USB);
        let boot = machine.part("sda", USB, "sda1", fs("ext4", BOOT));
        let root = machine.part("sda", USB, "sda2", fs("ext4", ROOT_UUID));
        machine.mount(&root, "/", "rw", "ext4", "/dev/sda2");
        machine.file("/etc/fstab", &format!("UUID={BOOT} /boot ext4 noauto"));
        let top = if mounted { "/boot" } else { "/dev/sda1" };
        if mounted {
            machine.mount(&boot, "/boot", "rw", "ext4", "/dev/sda1");
        }
        grub(&mut machine, top, BOOT, "honest");
        // Another stick with an old copy of it.
        let second = USB.replace("1-1", "1-2").replace("host6", "host7");
        machine.disk("sdb", &second);
        machine.part("sdb", &second, "sdb1", fs("ext4", BOOT));
        grub(&mut machine, "/dev/sdb1", BOOT, "copy");
        boots(&machine.survey(), "sda1", "honest");
    }
}

#[test]
fn boot_on_a_stick_that_root_mounted_or_named() {
    for named in [true, false] {
        let mut machine = Machine::new(&line());
        machine.disk("nvme0n1", NVME);
        let root = machine.part("nvme0n1", NVME, "nvme0n1p1", fs("ext4", ROOT_UUID));
        machine.mount(&root, "/", "rw", "ext4", "/dev/nvme0n1p1");
        machine.disk("sda", USB);
        let boot = machine.part("sda", USB, "sda1", fs("ext4", BOOT));
        let top = if named {
            machine.link("/dev/disk/by-id/usb-Stick-0:0-part1", "../../sda1");
            machine.file(
                "/etc/fstab",
                "/dev/disk/by-id/usb-Stick-0:0-part1 /boot ext4 noauto",
            );
            "/dev/sda1"
        } else {
            machine.file("/etc/fstab", &format!("UUID={BOOT} /boot ext4 noauto"));
            machine.mount(&boot, "/boot", "rw", "ext4", "/dev/sda1");
            "/boot"
        };
        grub(&mut machine, top, BOOT, "honest");
        boots(&machine.survey(), "sda1", "honest");
    }
}

#[test]
fn a_second_disk_with_an_old_installation() {
    let mut machine = Machine::new(&line());
    machine.disk("vda", VIRTIO);
    let boot = machine.part("vda", VIRTIO, "vda1", fs("ext4", BOOT));
    let root = machine.part("vda", VIRTIO, "vda2", fs("ext4", ROOT_UUID));
    machine.mount(&root, "/", "rw", "ext4", "/dev/vda2");
    machine.mount(&boot, "/boot", "rw", "ext4", "/dev/vda1");
    grub(&mut machine, "/boot", BOOT, "honest");
    let second = VIRTIO.replace("04.0", "05.0");
    machine.disk("vdb", &second);
    machine.part("vdb", &second, "vdb1", fs("ext4", "0ld0ld"));
    grub(&mut machine, "/dev/vdb1", "0ld0ld", "old");
    boots(&machine.survey(), "vda1", "honest");
}

/// Two disks of the machine's own with one UUID: nobody can say which GRUB finds.
#[test]
fn two_of_one_name_are_refused_with_both() {
    let mut machine = Machine::new(&line());
    machine.disk("vda", VIRTIO);
    let root = machine.part("vda", VIRTIO, "vda2", fs("ext4", ROOT_UUID));
    machine.mount(&root, "/", "rw", "ext4", "/dev/vda2");
    let boot = machine.part("vda", VIRTIO, "vda1", fs("ext4", BOOT));
    machine.mount(&boot, "/boot", "rw", "ext4", "/dev/vda1");
    grub(&mut machine, "/boot", BOOT, "honest");
    let second = VIRTIO.replace("04.0", "05.0");
    machine.disk("vdb", &second);
    machine.part("vdb", &second, "vdb1", fs("ext4", BOOT));
    let why = default(&machine.survey()).map(|_| ()).unwrap_err();
    assert!(
        why.contains(&format!("/dev/vda1 and /dev/vdb1 have the UUID {BOOT}")),
        "{why}"
    );
}

/// The ESP that systemd-boot came from has a double on another disk of the machine: no
/// other place is looked at instead.
#[test]
fn two_esps_of_one_partuuid_are_refused_with_both() {
    let mut machine = Machine::new("initrd=\\initrd");
    machine.disk("sda", SATA);
    machine.disk("sdb", SATA2);
    let root = machine.part("sda", SATA, "sda2", fs("ext4", ROOT_UUID));
    machine.mount(&root, "/", "rw", "ext4", "/dev/sda2");
    let own = machine.part("sda", SATA, "sda1", esp("ABCD-1234", ONE));
    machine.mount(&own, "/efi", "rw", "vfat", "/dev/sda1");
    machine.part("sdb", SATA2, "sdb1", esp("ABCD-0000", ONE));
    machine.systemd_boot(ONE);
    entry(&mut machine, "/efi", "own");
    entry(&mut machine, "/boot", "left over");
    let survey = machine.survey();
    assert!(default(&survey).is_err(), "{survey:?}");
    let text = serde_json::to_string(&survey).unwrap();
    let both = format!("/dev/sda1 and /dev/sdb1 have the PARTUUID {ONE}");
    assert!(text.contains(&both), "{text}");
}

/// A kernel that the firmware starts itself from such a partition is shown as broken.
#[test]
fn a_kernel_of_the_firmware_on_one_of_two() {
    let mut machine = Machine::new("root=/dev/sda2");
    machine.disk("sda", SATA);
    machine.part("sda", SATA, "sda1", esp("ABCD-1234", ONE));
    machine.booted(ONE, "\\vmlinuz.efi");
    machine.file("/dev/sda1/vmlinuz.efi", "MZ");
    let alone = serde_json::to_string(&machine.survey()).unwrap();
    assert!(!alone.contains("PARTUUID"), "{alone}");
    machine.disk("sdb", SATA2);
    machine.part("sdb", SATA2, "sdb1", esp("ABCD-0000", ONE));
    let survey = machine.survey();
    let listed = survey.sources.iter().find(|s| s.source == "firmware");
    assert!(listed.is_none_or(|l| l.found.entries.iter().all(|e| e.target().is_none())));
}
