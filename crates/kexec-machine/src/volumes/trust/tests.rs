//! Tables over the rule.

use super::super::attached::Attached;
use super::super::devices::Partition;
use super::super::superblock::FileSystemIdentity;
use super::*;

const PCI: &str = "/sys/devices/pci0000:00/0000:00:17.0";

fn disk(name: &str, way: &str) -> BlockDevice {
    BlockDevice {
        name: name.to_owned(),
        attached: Attached {
            ways: Some(way.to_owned())
                .filter(|w| !w.is_empty())
                .into_iter()
                .collect(),
            ..Attached::default()
        },
        ..BlockDevice::default()
    }
}

/// A partition with the identifiers that its letter says.
fn part(name: &str, disk: &str, id: &str) -> BlockDevice {
    BlockDevice {
        name: name.to_owned(),
        disk: Some(disk.to_owned()),
        partition: Some(Partition {
            uuid: Some(format!("part-{id}")),
            ..Partition::default()
        }),
        content: FileSystemIdentity {
            kind: Some("ext4".to_owned()),
            uuid: Some(format!("fs-{id}")),
            label: None,
        },
        ..BlockDevice::default()
    }
}

fn stack(name: &str, below: &[&str]) -> BlockDevice {
    BlockDevice {
        name: name.to_owned(),
        below: below.iter().map(|name| (*name).to_owned()).collect(),
        ..disk(name, &format!("/sys/devices/virtual/block/{name}"))
    }
}

/// The devices that are believed, in their order; `carries` is `DEVICE POINT`.
fn believed(devices: &[BlockDevice], carries: &[&str], config: &DeviceConfig) -> Vec<String> {
    let carries = carries.iter().map(|line| {
        let (name, point) = line.split_once(' ').unwrap();
        let device = devices.iter().find(|d| d.name == name).unwrap();
        (device, point)
    });
    let carries: Vec<(&BlockDevice, &str)> = carries.collect();
    let verdicts = verdicts(devices, &carries, config);
    let believed = devices
        .iter()
        .zip(verdicts)
        .filter(|(_, v)| v.is_believed());
    believed.map(|(d, _)| d.name.clone()).collect()
}

fn alone_of(name: &str, way: &str) -> String {
    verdicts(&[disk(name, way)], &[], &DeviceConfig::default())[0].to_string()
}

#[test]
fn how_a_disk_is_attached() {
    for (name, way, why) in [
        ("sda", "", "its disk is not known to be removable"),
        (
            "sda",
            "/ata1/host0/target0:0:0/0:0:0:0/block/sda",
            "internal disk",
        ),
        ("nvme0n1", "/nvme/nvme0/nvme0n1", "internal disk"),
        ("vda", "/virtio1/block/vda", "hypervisor"),
        (
            "sda",
            "/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sda",
            "by USB",
        ),
        (
            "sda",
            "/fw0/fw1/fw1.0/host4/target4:0:0/4:0:0:0/block/sda",
            "by FireWire",
        ),
        (
            "mmcblk0",
            "/rtsx_pci_sdmmc.0/mmc_host/mmc0/mmc0:e624/block/mmcblk0",
            "card reader",
        ),
        (
            "mspblk0",
            "/memstick_host/memstick0/block/mspblk0",
            "card reader",
        ),
        ("loop0", "", "loop device"),
        ("zram1", "", "zram device"),
        ("nbd3", "", "nbd"),
        ("ram0", "", "RAM disk"),
        ("rbd0", "", "Ceph RBD"),
        ("ublkb0", "", "ublk"),
        ("zd0", "", "zvol"),
        (
            "sr0",
            "/ata2/host1/target1:0:0/1:0:0:0/block/sr0",
            "medium in a drive",
        ),
        ("fd0", "", "medium in a drive"),
        // Names that only begin alike.
        ("rambo", "", "not known to be removable"),
        ("loopy", "", "not known to be removable"),
        // A folder called usb is no bus, and usbdisk no number.
        ("sda", "/usb/usbdisk/block/sda", "internal disk"),
    ] {
        let way = Some(way).filter(|w| !w.is_empty());
        let way = way.map(|way| format!("{PCI}{way}")).unwrap_or_default();
        let said = alone_of(name, &way);
        assert!(said.contains(why), "{name} {way}: {said}");
    }
    let iscsi = "/sys/devices/platform/host5/session1/target5:0:0/5:0:0:0/block/sdb";
    assert!(alone_of("sdb", iscsi).contains("network disk"));
    // ATA over Ethernet: sysfs writes the slash of etherd/e1.0 as an exclamation mark.
    let aoe = "/sys/devices/virtual/block/etherd!e1.0";
    assert!(alone_of("etherd!e1.0", aoe).contains("network disk"));
    let fabrics = "/sys/devices/virtual/nvme-fabrics/ctl/nvme1/nvme1n1";
    assert!(alone_of("nvme1n1", fabrics).contains("network disk"));
    // What no driver of hardware shows is somebody's program.
    assert!(alone_of("new0", "/sys/devices/virtual/block/new0").contains("made by software"));
    for name in ["md0", "dm-0", "bcache0", "drbd0"] {
        assert!(
            !alone_of(name, &format!("/sys/devices/virtual/block/{name}")).contains("software")
        );
    }
}

#[test]
fn what_the_firmware_says_of_its_ports_and_a_card_of_itself() {
    let judged =
        |device: BlockDevice| verdicts(&[device], &[], &DeviceConfig::default())[0].clone();
    let mut device = disk("nvme1n1", &format!("{PCI}/0000:05:00.0/nvme/nvme1/nvme1n1"));
    device.attached.external = true;
    assert_eq!(
        judged(device),
        Verdict::Doubted(Doubt::Plugged(Bus::Thunderbolt))
    );
    let mut card = disk(
        "mmcblk0",
        "/sys/devices/platform/soc/mmc_host/mmc0/mmc0:1/block/mmcblk0",
    );
    assert_eq!(
        judged(card.clone()),
        Verdict::Doubted(Doubt::Plugged(Bus::CardReader))
    );
    card.attached.soldered = true;
    assert!(judged(card).is_believed());
    // A reader is one, whatever is in it.
    let way = format!("{PCI}/rtsx_pci_sdmmc.0/mmc_host/mmc0/mmc0:1/block/mmcblk0");
    let mut reader = disk("mmcblk0", &way);
    reader.attached.soldered = true;
    assert!(!judged(reader).is_believed());
    // NVMe's own multipath: one controller outside is enough.
    let mut paths = disk("nvme0n1", &format!("{PCI}/nvme/nvme0"));
    paths
        .attached
        .ways
        .push(format!("{PCI}/usb2/2-1/nvme/nvme1"));
    assert!(!judged(paths).is_believed());
}

#[test]
fn a_stack_is_as_good_as_its_worst_part() {
    let usb = format!("{PCI}/usb1/1-1/host6/block/sdb");
    let devices = [
        disk("sda", &format!("{PCI}/ata1/block/sda")),
        part("sda1", "sda", "a"),
        disk("sdb", &usb),
        part("sdb1", "sdb", "b"),
        disk("loop0", ""),
        stack("dm-0", &["sda1"]),
        stack("dm-1", &["dm-0"]),
        stack("md0", &["sda1", "sdb1"]),
        stack("dm-2", &["loop0"]),
        // In a circle, which the kernel does not make.
        stack("dm-3", &["dm-4"]),
        stack("dm-4", &["dm-3"]),
    ];
    let none = DeviceConfig::default();
    assert_eq!(
        believed(&devices, &[], &none),
        ["sda", "sda1", "dm-0", "dm-1"]
    );
    let said = verdicts(&devices, &[], &none)[7].to_string();
    assert_eq!(
        said,
        "sdb1 is below it: it is attached by USB, where any user can plug in another"
    );
    // The array with / on it makes both of its disks the machine's own.
    let root = believed(&devices, &["md0 /"], &none);
    assert_eq!(root, ["sda", "sda1", "sdb", "sdb1", "dm-0", "dm-1", "md0"]);
}

/// Each floor lies on both devices of the one below: as many ways down as 2^60.
#[test]
fn what_is_on_several_stacks_is_judged_once() {
    let pair = |floor: usize| [format!("dm-{floor}"), format!("dm-{}", floor + 100)];
    let mut devices = vec![disk("dm-0", ""), disk("dm-100", "")];
    for floor in 1..60 {
        let below = pair(floor - 1);
        let below: Vec<&str> = below.iter().map(String::as_str).collect();
        devices.extend(pair(floor).map(|name| stack(&name, &below)));
    }
    let all = believed(&devices, &["dm-59 /"], &DeviceConfig::default());
    assert_eq!(all.len(), devices.len());
}

#[test]
fn a_machine_that_runs_from_what_can_be_plugged_in() {
    let usb = |name: &str| disk(name, &format!("{PCI}/usb1/1-1/host6/block/{name}"));
    let devices = [
        usb("sda"),
        part("sda1", "sda", "boot"),
        part("sda2", "sda", "root"),
        usb("sdb"),
        part("sdb1", "sdb", "boot"),
        disk("loop0", ""),
        part("loop0p1", "loop0", "boot"),
    ];
    let none = DeviceConfig::default();
    assert_eq!(believed(&devices, &[], &none), [""; 0]);
    // The disk with / is, with all of its partitions; its copies are not.
    assert_eq!(
        believed(&devices, &["sda2 /"], &none),
        ["sda", "sda1", "sda2"]
    );
    assert_eq!(
        believed(&devices, &["sda2 /", "sdb1 /boot"], &none),
        ["sda", "sda1", "sda2"],
        "the kernel mounted the copy"
    );
    assert_eq!(
        believed(&devices, &["sda1 /boot"], &none),
        ["sda", "sda1", "sda2"]
    );
    assert_eq!(believed(&devices, &["sdb1 /srv"], &none), [""; 0]);
    // A loop device is nobody's disk, even at /boot; with / on it it is this machine's.
    assert_eq!(believed(&devices, &["loop0p1 /boot"], &none), [""; 0]);
    assert_eq!(
        believed(&devices, &["loop0p1 /"], &none),
        ["loop0", "loop0p1"]
    );
}

#[test]
fn configuration_names_one_device() {
    let usb = disk("sdb", &format!("{PCI}/usb1/1-1/host6/block/sdb"));
    let devices = [
        usb,
        part("sdb1", "sdb", "b"),
        part("sdb2", "sdb", "c"),
        stack("dm-0", &["sdb1"]),
    ];
    let config = DeviceConfig::naming("sdb1", "/etc/crypttab", "/dev/disk/by-id/usb-x-part1");
    assert_eq!(believed(&devices, &[], &config), ["sdb1", "dm-0"]);
    let why = verdicts(&devices, &[], &config)[1].to_string();
    assert_eq!(
        why,
        "/etc/crypttab names the device as /dev/disk/by-id/usb-x-part1"
    );
}

/// What is put together has its name from what it was made of, and that may be a copy.
#[test]
fn configuration_does_not_speak_for_what_is_below() {
    let usb = disk("sdb", &format!("{PCI}/usb1/1-1/host6/block/sdb"));
    let devices = [
        usb,
        part("sdb1", "sdb", "b"),
        stack("dm-0", &["sdb1"]),
        disk("loop0", ""),
        stack("dm-1", &["gone"]),
    ];
    for name in ["dm-0", "loop0", "dm-1"] {
        let config = DeviceConfig::naming(name, "/etc/fstab", "/dev/mapper/luks-x");
        assert_eq!(believed(&devices, &[], &config), [""; 0], "{name}");
    }
}

/// A stick with the label of the built-in boot file system, which systemd mounted instead.
#[test]
fn a_copied_label_at_boot_is_not_believed() {
    let labelled = |name: &str, disk: &str, id: &str| {
        let mut device = part(name, disk, id);
        device.content.label = Some("BOOT".to_owned());
        device
    };
    let usb = disk("sdb", &format!("{PCI}/usb1/1-1/host6/block/sdb"));
    let both = [
        disk("sda", ""),
        labelled("sda1", "sda", "a"),
        usb,
        labelled("sdb1", "sdb", "b"),
    ];
    let planned = |source: &str| {
        let mut config = DeviceConfig::default();
        config.planned = super::super::mountinfo::fstab(&format!("{source} /boot ext4\n"));
        config
    };
    for source in ["LABEL=BOOT", "LABEL='BOOT'", "/dev/disk/by-label/BOOT"] {
        let believed = believed(&both, &["sdb1 /boot"], &planned(source));
        assert_eq!(believed, ["sda", "sda1"], "{source}");
    }
    // Alone, it is this machine's own.
    let alone = [both[2].clone(), both[3].clone()];
    assert_eq!(
        believed(&alone, &["sdb1 /boot"], &planned("LABEL=BOOT")),
        ["sdb", "sdb1"]
    );
}

#[test]
fn snapshots_of_lvm() {
    let mut cow = stack("dm-1", &["sda1"]);
    cow.mapped = Some("vg-snap-cow".to_owned());
    let devices = [
        disk("sda", &format!("{PCI}/ata1/block/sda")),
        part("sda1", "sda", "a"),
        cow,
        stack("dm-2", &["sda1", "dm-1"]),
    ];
    let none = DeviceConfig::default();
    assert_eq!(believed(&devices, &[], &none), ["sda", "sda1", "dm-1"]);
    // A machine can be started from one.
    assert_eq!(
        believed(&devices, &["dm-2 /"], &none),
        ["sda", "sda1", "dm-1", "dm-2"]
    );
}

#[test]
fn mounts_of_users() {
    let fstab =
        super::super::mountinfo::fstab("/dev/a /srv ext4 nosuid\n/dev/b /stick vfat user,noauto\n");
    let mut config = DeviceConfig::default();
    config.planned = fstab;
    for (line, user) in [
        ("1 0 8:1 / /boot rw,nosuid,nodev - ext4 /dev/a rw", false),
        ("1 0 8:1 / /srv rw,nosuid - ext4 /dev/a rw", false),
        ("1 0 8:1 / /mnt rw - ext4 /dev/a rw", false),
        ("1 0 8:1 / /mnt rw,nosuid - ext4 /dev/a rw", true),
        ("1 0 8:1 / /stick rw,nosuid,nodev - vfat /dev/b rw", true),
        ("1 0 8:1 / /media/joe/x rw - ext4 /dev/a rw", true),
        ("1 0 8:1 / /run/media/joe/x rw - ext4 /dev/a rw", true),
        ("1 0 8:1 / /run/mediated rw - ext4 /dev/a rw", false),
        ("1 0 0:50 / /boot rw - fuse.x /dev/vda1 rw", true),
        ("1 0 8:1 / /mnt rw - fuseblk /dev/sda1 rw", true),
        (
            "1 0 0:50 / /run/user/1000/doc rw - fuse.portal portal rw",
            true,
        ),
        ("1 0 0:50 / / rw - virtiofs root rw", false),
        ("1 0 0:50 / / rw,nosuid - nfs4 server:/x rw", false),
    ] {
        let mount = &super::super::mountinfo::parse(line, "")[0];
        assert_eq!(user_mount(mount, &config).is_some(), user, "{line}");
    }
}

#[test]
fn a_device_that_sysfs_does_not_show_goes_by_its_name() {
    assert!(by_name("sda2", &["/"]).is_believed());
    assert!(by_name("sda2", &["/srv"]).is_believed());
    assert!(!by_name("loop0", &["/boot"]).is_believed());
    assert!(by_name("loop0", &["/"]).is_believed());
}
