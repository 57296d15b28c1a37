//! What is chosen on machines of all kinds.

use super::*;

#[test]
fn a_disk_that_nothing_uses_is_unbound() {
    let choice = nvme().choice();
    assert_eq!(choice.kept, []);
    let [only] = choice.unbind.as_slice() else {
        panic!("{choice:?}");
    };
    assert_eq!(
        (only.device.as_str(), only.driver.as_str()),
        ("0000:00:04.0", "nvme")
    );
    assert_eq!(only.disks, ["nvme0n1", "nvme0n1p1"]);
    assert_eq!(only.why, "nothing uses nvme0n1, nvme0n1p1");
    let step = UnbindStep {
        bus: Bus::Pci,
        device: "0000:00:04.0".to_owned(),
    };
    assert_eq!(only.steps, [step]);
}

#[test]
fn a_mounted_partition_keeps_its_disk() {
    let machine = nvme().mounted(&["30 1 259:1 / / ro - ext4 /dev/nvme0n1p1 ro"]);
    assert_eq!(
        machine.kept("0000:00:04.0"),
        "nvme0n1p1 is in use: ext4 is mounted on /"
    );
    // In another mount namespace, as of a container.
    let machine = nvme();
    machine.put(
        "proc/77/mountinfo",
        "30 1 259:1 / /x rw shared:1 - xfs /dev/y rw\n",
    );
    symlink("mnt:[2]", {
        fs::create_dir_all(machine.below("proc/77/ns")).unwrap();
        machine.below("proc/77/ns/mnt")
    })
    .unwrap();
    assert_eq!(
        machine.kept("0000:00:04.0"),
        "nvme0n1p1 is in use: xfs is mounted on /x"
    );
}

#[test]
fn what_is_built_on_a_disk_keeps_it_mounted_or_not() {
    for holder in ["dm-0", "md127", "bcache0"] {
        let machine = nvme();
        machine.put(
            &format!(
                "sys/devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1/nvme0n1p1/holders/{holder}"
            ),
            "",
        );
        assert_eq!(
            machine.kept("0000:00:04.0"),
            format!("nvme0n1p1 is in use: {holder} is built on it")
        );
    }
}

#[test]
fn swap_keeps_its_disk_and_a_swap_file_every_disk() {
    let machine = nvme();
    machine.put("proc/swaps", "Filename\n/dev/nvme0n1p1  partition 1 0 -2\n");
    assert_eq!(
        machine.kept("0000:00:04.0"),
        "nvme0n1p1 is in use: /dev/nvme0n1p1 is swapped to"
    );
    for other in ["/swapfile", "/dev/gone", "/swap\\040file"] {
        machine.put("proc/swaps", &format!("Filename\n{other} file 1 0 -2\n"));
        assert_eq!(
            machine.kept("0000:00:04.0"),
            format!("its disks may be in use: {other} is swapped to")
        );
    }
}

#[test]
fn a_connected_loop_device_keeps_every_disk() {
    let machine = nvme().disk("virtual/block", "loop0", "7:0");
    assert_eq!(machine.unbound(), ["0000:00:04.0"]);
    machine.put(
        "sys/devices/virtual/block/loop0/loop/backing_file",
        "/srv/image\n",
    );
    assert_eq!(
        machine.kept("0000:00:04.0"),
        "its disks may be in use: loop0 is connected to /srv/image"
    );
}

#[test]
fn file_systems_without_a_device_number() {
    // The kernel's own hold nothing.
    let kernels = nvme().mounted(&[
        "30 1 0:30 / /run rw - tmpfs tmpfs rw",
        "31 1 0:31 / /sys/fs/cgroup rw - cgroup2  rw",
    ]);
    assert_eq!(kernels.unbound(), ["0000:00:04.0"]);
    // btrfs has the names of its devices in sysfs.
    let btrfs = "30 1 0:30 /@ / rw - btrfs /dev/sda1 rw,subvol=/@";
    let machine = nvme().mounted(&[btrfs]);
    assert!(machine.kept("0000:00:04.0").contains("on unknown devices"));
    machine.link(
        "sys/fs/btrfs/0f-1/devices/nvme0n1p1",
        "sys/devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1/nvme0n1p1",
    );
    assert_eq!(
        machine.kept("0000:00:04.0"),
        "nvme0n1p1 is in use: btrfs is mounted on /"
    );
    // What is unknown may be on any disk.
    for kind in ["zfs", "f2fs", "fuse.x", "invented"] {
        let machine = nvme().mounted(&[&format!("30 1 0:30 / /x rw - {kind} pool rw")]);
        assert!(
            machine
                .kept("0000:00:04.0")
                .starts_with("its disks may be in use"),
            "{kind}"
        );
    }
    // Named in the source or in an option, beside the device of the number.
    let named = nvme().mounted(&["30 1 0:30 / /x rw - bcachefs /dev/gone:/dev/nvme0n1 rw"]);
    assert!(named.kept("0000:00:04.0").starts_with("nvme0n1 is in use"));
    let journal = nvme().disk("virtual/block", "dm-3", "254:3");
    let journal = journal.mounted(&["30 1 254:3 / /x rw - xfs /dev/dm-3 rw,logdev=/dev/nvme0n1p1"]);
    assert!(
        journal
            .kept("0000:00:04.0")
            .starts_with("nvme0n1p1 is in use")
    );
}

#[test]
fn what_cannot_be_read_keeps_everything() {
    let machine = nvme().pci("0000:00:05.0", "0x020000", "e1000e");
    assert_eq!(machine.unbound(), ["0000:00:04.0"]);
    machine.put("proc/self/mountinfo", "nonsense\n");
    assert_eq!(machine.unbound(), [""; 0]);
    fs::remove_file(machine.below("proc/self/mountinfo")).unwrap();
    assert_eq!(machine.unbound(), [""; 0]);
    assert!(
        machine
            .kept("0000:00:05.0")
            .contains("the mounts are unknown")
    );
    // A device number that is no block device's here.
    let strange = nvme().mounted(&["30 1 8:1 / / rw - ext4 /dev/root rw"]);
    assert!(
        strange
            .kept("0000:00:04.0")
            .contains("on an unknown device")
    );
}

#[test]
fn a_file_system_on_the_network_keeps_every_interface_and_no_disk() {
    let machine = || {
        nvme().pci("0000:00:05.0", "0x020000", "mlx5_core").part(
            "net",
            "pci0000:00/0000:00:05.0/net",
            "eth0",
        )
    };
    // One that nothing uses stays, too.
    assert_eq!(machine().unbound(), ["0000:00:04.0"]);
    assert!(machine().kept("0000:00:05.0").contains("waits for ever"));
    let nfs = machine().mounted(&["30 1 0:30 / / ro - nfs4 10.0.0.1:/ ro"]);
    assert_eq!(
        nfs.kept("0000:00:05.0"),
        "the network is in use: nfs4 is mounted on /"
    );
    assert_eq!(nfs.unbound(), ["0000:00:04.0"]);
    let iscsi = machine();
    iscsi.put("sys/class/iscsi_session/session1/state", "LOGGED_IN");
    assert!(
        iscsi
            .kept("0000:00:05.0")
            .contains("iSCSI session session1")
    );
    let nbd = machine().disk("virtual/block", "nbd0", "43:0");
    assert_eq!(nbd.unbound().len(), 1);
    nbd.put("sys/devices/virtual/block/nbd0/pid", "77\n");
    assert!(nbd.kept("0000:00:05.0").contains("nbd0 is connected"));
    let fabrics = machine();
    fabrics.put("sys/class/nvme/nvme1/transport", "tcp\n");
    assert!(
        fabrics
            .kept("0000:00:05.0")
            .contains("nvme1 is connected by tcp")
    );
    // A disk that is reached in a way that nobody knows, and is mounted.
    let host = machine().disk("platform/host3/session1", "sdb", "8:16");
    assert_eq!(host.unbound().len(), 1);
    let host = host.mounted(&["30 1 8:16 / / ro - ext4 /dev/sdb ro"]);
    assert!(
        host.kept("0000:00:05.0").contains("on sdb"),
        "{}",
        host.kept("0000:00:05.0")
    );
    let console = machine();
    console.put("proc/consoles", "netcon0              -W- (E  p  )\n");
    assert!(console.kept("0000:00:05.0").contains("netcon0"));
}

#[test]
fn consoles_bridges_and_the_like_are_never_unbound() {
    let machine = Machine::new()
        .pci("0000:00:00.0", "0x060000", "")
        .pci("0000:00:01.0", "0x030000", "bochs-drm")
        .pci("0000:00:02.0", "0x060400", "pcieport")
        .pci("0000:00:03.0", "0x070002", "serial")
        .pci("0000:00:04.0", "0x0c0330", "xhci_hcd")
        .pci("0000:00:05.0", "0x080600", "amd_iommu")
        .pci("0000:00:06.0", "0x0c0500", "i801_smbus")
        .pci("0000:00:07.0", "0x050200", "cxl_pci")
        .pci("0000:00:08.0", "0x020000", "vfio-pci")
        .pci("0000:00:09.0", "0x108000", "ccp")
        .pci("0000:00:0a.0", "0x000100", "vga")
        .pci("0000:00:0b.0", "0x990000", "unheard")
        .virtio("0000:00:10.0", "virtio0", "0x0003", "virtio_console")
        .virtio("0000:00:11.0", "virtio1", "0x0018", "virtio_mem")
        .virtio("0000:00:12.0", "virtio2", "0x0010", "virtio_gpu")
        .pci("0000:00:13.0", "0x010000", "virtio-pci");
    assert_eq!(machine.unbound(), [""; 0]);
    assert_eq!(machine.choice().kept.len(), 16);
    assert_eq!(machine.kept("0000:00:00.0"), "it has no driver");
    assert_eq!(
        machine.kept("0000:00:13.0"),
        "no virtio device is behind it"
    );
}

/// Whatever the class says, a device that has one of these is needed to the end.
#[test]
fn a_device_with_a_terminal_or_a_watchdog_is_kept() {
    for class in [
        "tty", "graphics", "drm", "watchdog", "tpm", "iommu", "input",
    ] {
        let machine = nvme().part(class, "pci0000:00/0000:00:04.0/x", "x0");
        assert!(
            machine
                .kept("0000:00:04.0")
                .starts_with("it is the device of the"),
            "{class}"
        );
    }
    // Beside it, the name of its folder as the beginning of another one.
    let machine = nvme().part("tty", "pci0000:00/0000:00:04.00/x", "x0");
    assert_eq!(machine.unbound(), ["0000:00:04.0"]);
}

#[test]
fn a_virtio_device_comes_before_its_pci_device() {
    let machine = Machine::new()
        .virtio("0000:00:03.0", "virtio1", "0x0002", "virtio_blk")
        .disk("pci0000:00/0000:00:03.0/virtio1/block", "vda", "254:0");
    let choice = machine.choice();
    let [only] = choice.unbind.as_slice() else {
        panic!("{choice:?}");
    };
    let steps: Vec<&str> = only.steps.iter().map(|step| step.device.as_str()).collect();
    assert_eq!(steps, ["virtio1", "0000:00:03.0"]);
    assert_eq!(only.disks, ["vda"]);
    // Without PCI, it stands for itself.
    let mmio = Machine::new();
    mmio.device(
        "virtio",
        "platform/a003e00.virtio_mmio/virtio0",
        "0x0002",
        "virtio_blk",
    );
    assert_eq!(mmio.unbound(), ["virtio0"]);
}

#[test]
fn devices_with_others_behind_them_are_kept() {
    let machine = nvme();
    machine.device(
        "pci",
        "pci0000:00/0000:00:04.0/pci10000:00/10000:00:00.0",
        "0x010802",
        "nvme",
    );
    assert_eq!(machine.kept("0000:00:04.0"), "other devices are behind it");
    assert_eq!(machine.unbound(), ["10000:00:00.0"]);
    let functions = nvme();
    functions.put("sys/devices/pci0000:00/0000:00:04.0/sriov_numvfs", "2\n");
    assert!(functions.kept("0000:00:04.0").contains("virtual functions"));
    functions.put("sys/devices/pci0000:00/0000:00:04.0/sriov_numvfs", "0\n");
    assert_eq!(functions.unbound(), ["0000:00:04.0"]);
    functions.link(
        "sys/devices/pci0000:00/0000:00:04.0/physfn",
        "sys/devices/pci0000:00/0000:00:05.0",
    );
    assert!(functions.kept("0000:00:04.0").contains("virtual functions"));
}

/// The disk of several paths is not below any of its controllers.
#[test]
fn an_nvme_disk_with_several_paths_keeps_all_of_them() {
    let subsystem = "virtual/nvme-subsystem/nvme-subsys0";
    let mut machine = Machine::new();
    for (at, pci) in ["0000:00:04.0", "0000:00:05.0"].into_iter().enumerate() {
        let controller = format!("pci0000:00/{pci}/nvme/nvme{at}");
        machine =
            machine
                .pci(pci, "0x010802", "nvme")
                .disk(&controller, &format!("nvme0c{at}n1"), "");
        machine.put(
            &format!("sys/devices/{controller}/nvme0c{at}n1/hidden"),
            "1\n",
        );
        machine.link(
            &format!("sys/devices/{subsystem}/nvme{at}"),
            &format!("sys/devices/{controller}"),
        );
    }
    let machine = machine.disk(subsystem, "nvme0n1", "259:0");
    let choice = machine.choice();
    assert_eq!(choice.unbind.len(), 2);
    for one in &choice.unbind {
        assert_eq!(one.disks, ["nvme0n1"], "{one:?}");
    }
    let machine = machine.mounted(&["30 1 259:0 / / ro - ext4 /dev/nvme0n1 ro"]);
    for pci in ["0000:00:04.0", "0000:00:05.0"] {
        assert!(machine.kept(pci).starts_with("nvme0n1 is in use"));
    }
}

#[test]
fn names_that_are_none_are_not_written_anywhere() {
    for name in [
        "0000:00:04.0\nx",
        "..evil",
        "a b",
        "\u{1b}[2J",
        "\u{202e}x",
        &"x".repeat(100),
    ] {
        let machine = Machine::new().pci(name, "0x020000", "e1000");
        assert_eq!(machine.unbound(), [""; 0], "{name:?}");
        assert!(machine.kept(name).contains("is unusual"), "{name:?}");
        let machine = Machine::new().pci("0000:00:04.0", "0x010802", "nvme").disk(
            "pci0000:00/0000:00:04.0",
            name,
            "259:0",
        );
        assert!(
            machine.kept("0000:00:04.0").contains("is unusual"),
            "{name:?}"
        );
    }
    let unreadable = Machine::new().pci("0000:00:04.0", "2", "e1000");
    assert_eq!(unreadable.kept("0000:00:04.0"), "its class cannot be read");
}

#[test]
fn a_machine_without_anything() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(choose(&Devices::read(root.path())), Choice::default());
    assert_eq!(choose(&Devices::default()), Choice::default());
}
