//! What is mounted, what should be, and what only looks so.

use super::*;

/// A line of fstab whose device is gone, and whether what lies in the folder is read.
#[test]
fn a_boot_device_that_is_gone_leaves_its_folder_unread() {
    for (line, read) in [
        ("UUID=gone /boot ext4 defaults", false),
        ("UUID=gone /boot/ ext4 noauto", false),
        (
            "/dev/disk/by-uuid/gone /boot ext4 x-systemd.automount",
            false,
        ),
        ("LABEL=\"BOOT\" /boot ext4", false),
        ("/dev/md9 /boot ext4 defaults", false),
        ("UUID=gone /boot ext4 defaults,nofail", true),
        // No device, another place, and one that only begins alike.
        ("/srv/boot /boot none bind", true),
        ("/dev/shm/x /boot none bind", true),
        ("server:/boot /boot nfs defaults", true),
        ("UUID=gone /data ext4 defaults", true),
        ("UUID=gone /bootleg ext4 defaults", true),
        // It holds the configuration of the boot loader, and not the kernels.
        ("UUID=gone /boot/efi vfat defaults", true),
        // What is there counts, whatever the line says.
        ("UUID=gone / ext4 defaults", true),
    ] {
        let tree = Tree::new(EXT4);
        tree.device("sda2", "8:2", "E:ID_FS_TYPE=ext4\n");
        tree.put("etc/fstab", &format!("{line}\n"));
        tree.put("boot/vmlinuz", "left over");
        let found = tree.volumes().locate("/boot/vmlinuz");
        assert_eq!(found.is_ok(), read, "{line}: {found:?}");
        if let Err(said) = found {
            assert!(said.contains("nofail") && said.contains("attach"), "{said}");
            let notes = tree.volumes().notes();
            assert!(
                notes[0].starts_with("nothing is read at /boot"),
                "{notes:?}"
            );
        }
    }
    // Mounted all the same, by hand.
    let tree = Tree::new(&format!("{EXT4}2 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n"));
    tree.put("etc/fstab", "UUID=gone /boot ext4\n");
    assert_eq!(place(&tree.volumes(), "/boot/x"), "sda1:/x = /boot/x");
    // A tree that tells nothing of mounts is one file system.
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("etc")).unwrap();
    std::fs::write(dir.path().join("etc/fstab"), "UUID=gone /boot ext4\n").unwrap();
    assert!(Volumes::read(dir.path()).locate("/boot/x").is_ok());
}

/// A unit with ReadWritePaths=/boot, while /boot is not mounted.
#[test]
fn a_folder_that_is_mounted_on_itself_hides_nothing() {
    let table = format!("{EXT4}2 1 8:2 /boot /boot rw - ext4 /dev/sda2 rw\n");
    let tree = Tree::new(&table);
    tree.device("sda1", "8:1", "E:ID_FS_TYPE=ext4\nE:ID_FS_UUID=AB\n");
    tree.device("sda2", "8:2", "E:ID_FS_TYPE=ext4\n");
    tree.put("boot/linux", "of the root file system");
    tree.put("dev/sda1/linux", "of the boot file system");
    let text = |path: &str| {
        let volumes = tree.volumes();
        volumes.text(&volumes.locate(path).unwrap())
    };
    // It is the folder that it always was,
    assert_eq!(
        place(&tree.volumes(), "/boot/linux"),
        "sda2:/boot/linux = /boot/linux"
    );
    assert_eq!(
        text("/boot/linux"),
        Fact::Known("of the root file system".into())
    );
    // and not what belongs there.
    tree.put("etc/fstab", "UUID=AB /boot ext4 noauto\n");
    assert_eq!(
        place(&tree.volumes(), "/boot/linux"),
        "sda1:/linux = sda1 (not mounted): /linux"
    );
    assert_eq!(
        text("/boot/linux"),
        Fact::Known("of the boot file system".into())
    );
    tree.put("etc/fstab", "UUID=gone /boot ext4 noauto\n");
    assert!(tree.volumes().locate("/boot/linux").is_err());
    // A real one that is mounted on itself once more is there.
    tree.put(
        "proc/self/mountinfo",
        &format!(
            "{EXT4}2 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n3 2 8:1 / /boot rw - ext4 /dev/sda1 rw\n"
        ),
    );
    assert_eq!(
        place(&tree.volumes(), "/boot/linux"),
        "sda1:/linux = /boot/linux"
    );
}

/// Without openat2(2) an automount that is awake cannot be told from one that ends: what
/// is on it is read from its device.
#[test]
fn an_awake_automount_without_openat2_is_not_walked_over() {
    let tree = Tree::new(&format!(
        "{EXT4}2 1 0:41 / /boot rw - autofs systemd-1 rw\n3 2 8:1 / /boot rw - ext4 /dev/sda1 rw\n"
    ));
    tree.device("sda1", "8:1", "E:ID_FS_TYPE=ext4\nE:ID_FS_UUID=AB\n");
    tree.put("boot/linux", "through the automount");
    tree.put("dev/sda1/linux", "from the device");
    let read = |automounts: Automounts| {
        let root = Root::new(tree.root()).without_openat2();
        Volumes::below(root, automounts, Devices::All)
    };
    let text = |volumes: &Volumes| volumes.text(&volumes.locate("/boot/linux").unwrap());
    // While nothing shuts down, walking there is all right.
    let volumes = read(Automounts::Wake);
    assert_eq!(text(&volumes), Fact::Known("through the automount".into()));
    let volumes = read(Automounts::Leave);
    let path = "/boot/linux";
    assert_eq!(
        volumes.machine_bytes(path),
        Fact::Unreadable(format!("{path}: host is down (EHOSTDOWN)"))
    );
    assert_eq!(
        volumes.locate(path),
        Err(format!(
            "{path}: the file system for /boot is unknown: the automount there was left alone"
        ))
    );
    tree.put("etc/fstab", "UUID=AB /boot ext4 x-systemd.automount\n");
    let volumes = read(Automounts::Leave);
    assert_eq!(text(&volumes), Fact::Known("from the device".into()));
}

/// Ten times as many take about ten times as long, and not a hundred times.
#[test]
fn thousands_of_devices_and_mounts_are_put_together_in_linear_time() {
    let devices = |many: usize| {
        let tree = Tree::new(EXT4);
        tree.device("sda1", "8:1", "E:ID_FS_TYPE=vfat\nE:ID_FS_UUID=AB-CD\n");
        for n in 0..many {
            let udev = "E:ID_FS_TYPE=vfat\nE:ID_FS_UUID=AB-CD\n";
            tree.device(&format!("loop{n}"), &format!("7:{n}"), udev);
        }
        tree
    };
    let mounts = |many: usize| {
        let lines = (0..many).map(|n| format!("{} 1 0:{n} / /run/{n} rw - overlay o rw\n", n + 9));
        Tree::new(&format!("{EXT4}{}", lines.collect::<String>()))
    };
    let seconds = |tree: &Tree| {
        let began = std::time::Instant::now();
        let every = tree.volumes().every().len();
        (began.elapsed().as_secs_f64(), every)
    };
    for (few, many, least) in [
        (devices(400), devices(4000), 4001),
        (mounts(4000), mounts(40_000), 40_001),
    ] {
        let first = seconds(&few).0.min(seconds(&few).0);
        let (second, every) = seconds(&many);
        assert!(every >= least, "{every}");
        assert!(second < 25.0 * first + 0.5, "{first} s, then {second} s");
    }
}

/// A root file system that cannot be written to below an overlay, on a memory card.
#[test]
fn an_overlay_runs_from_what_it_lies_on() {
    let card = "sys/devices/platform/soc/mmc.0/mmc_host/mmc0/mmc0:1";
    let table = "1 0 0:30 / / rw - overlay overlayroot \
                 rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/o,workdir=/media/root-rw/w\n\
                 2 1 179:2 / /media/root-ro ro - ext4 /dev/mmcblk0p2 ro\n\
                 3 1 0:31 / /media/root-rw rw - tmpfs tmpfs rw\n";
    let tree = Tree::new(table);
    tree.put(&format!("{card}/type"), "SD");
    tree.disk(
        &format!("{card}/block"),
        "mmcblk0",
        "179:0",
        &[("mmcblk0p1", "179:1", "AB"), ("mmcblk0p2", "179:2", "r")],
    );
    tree.put("etc/fstab", "UUID=AB /boot vfat noauto\n");
    let volumes = tree.volumes();
    assert_eq!(
        place(&volumes, "/boot/linux"),
        "mmcblk0p1:/linux = mmcblk0p1 (not mounted): /linux"
    );
    assert_eq!(
        volumes.get(&id("mmcblk0p1")).unwrap().verdict.to_string(),
        "the running system has its own / on that disk"
    );
    // Elsewhere an overlay tells nothing of what is below it.
    tree.put(
        "proc/self/mountinfo",
        &format!("{EXT4}{}", table.replace("1 0 0:30 / /", "9 1 0:30 / /srv")),
    );
    assert!(
        !tree
            .volumes()
            .get(&id("mmcblk0p1"))
            .unwrap()
            .verdict
            .is_believed()
    );
}

/// A system that runs from a file on the stick that it was started from.
#[test]
fn a_live_system_runs_from_its_medium() {
    let usb = "sys/devices/pci0000:00/usb1/1-1/host6/block";
    let table = "1 0 0:30 / / rw - overlay overlay rw,lowerdir=/run/live/rootfs/x.squashfs/\n\
                 2 1 7:0 / /run/live/rootfs/x.squashfs ro - squashfs /dev/loop0 ro\n\
                 3 1 8:1 / /run/live/medium ro - iso9660 /dev/sda1 ro\n";
    let tree = Tree::new(table);
    tree.disk(
        usb,
        "sda",
        "8:0",
        &[("sda1", "8:1", "iso"), ("sda2", "8:2", "esp")],
    );
    tree.disk(
        &usb.replace("1-1", "1-2"),
        "sdb",
        "8:16",
        &[("sdb1", "8:17", "other")],
    );
    tree.device("loop0", "7:0", "E:ID_FS_TYPE=squashfs\n");
    tree.put(
        "sys/class/block/loop0/loop/backing_file",
        "/run/live/medium/live/x.squashfs\n",
    );
    let believed = |tree: &Tree| -> Vec<String> {
        let volumes = tree.volumes();
        let all = volumes.all().iter().filter(|v| v.device.is_some());
        all.map(|v| v.id.0.clone()).collect()
    };
    assert_eq!(believed(&tree), ["loop0", "sda1", "sda2"]);
    // Copied into memory, the medium is no more than any other: why is said.
    tree.put("proc/self/mountinfo", "1 0 0:30 / / rw - tmpfs tmpfs rw\n");
    assert_eq!(believed(&tree), [""; 0]);
    let notes = tree.volumes().notes();
    let said = "no file system on a disk is read, because none is known to belong to this \
                machine: sda1: it is attached by USB, where any user can plug in another (2 more \
                like it)";
    assert!(notes.iter().any(|note| note.starts_with(said)), "{notes:?}");
}

/// What a card says of itself does not tell whether it can be taken out.
#[test]
fn a_card_of_either_kind_in_a_slot_can_be_taken_out() {
    let host = "sys/devices/platform/soc/mmc.0";
    let card = |kind: &str, more: &[&str]| {
        let tree = Tree::new(EXT4);
        tree.device("sda2", "8:2", "E:ID_FS_TYPE=ext4\n");
        tree.put(&format!("{host}/mmc_host/mmc0/mmc0:1/type"), kind);
        let folder = format!("{host}/mmc_host/mmc0/mmc0:1/block");
        tree.disk(&folder, "mmcblk0", "179:0", &[("mmcblk0p1", "179:1", "x")]);
        more.iter().for_each(|path| tree.put(path, ""));
        tree.volumes()
            .get(&id("mmcblk0p1"))
            .unwrap()
            .verdict
            .is_believed()
    };
    let of_node = format!("{host}/of_node/compatible");
    let fixed = format!("{host}/of_node/non-removable");
    let boot0 = "sys/class/block/mmcblk0boot0/dev";
    for (kind, more, believed) in [
        ("MMC", &[][..], false),
        ("MMC", &[boot0], true),
        ("MMC", &[of_node.as_str(), fixed.as_str()], true),
        // An eMMC on an adapter, in a slot that the device tree knows.
        ("MMC", &[of_node.as_str(), boot0], false),
        ("SD", &[], false),
        ("SD", &[fixed.as_str()], false),
        ("SDcombo", &[boot0], false),
    ] {
        assert_eq!(card(kind, more), believed, "{kind} {more:?}");
    }
}

/// In a chroot with the machine's /proc, `/` is whatever somebody put there.
#[test]
fn a_chroot_does_not_run_from_its_root() {
    let usb = "sys/devices/pci0000:00/usb1/1-1/host6/block";
    let own = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /boot rw - vfat /dev/sda2 rw\n";
    let tree = Tree::new(own);
    tree.disk(
        usb,
        "sda",
        "8:0",
        &[("sda1", "8:1", "r"), ("sda2", "8:2", "b")],
    );
    let believed = |first: &str| {
        tree.put("proc/1/mountinfo", first);
        let volumes = tree.volumes();
        let chroot = volumes.notes().iter().any(|note| note.contains("chroot"));
        (
            volumes.get(&id("sda2")).unwrap().verdict.is_believed(),
            chroot,
        )
    };
    // Its own unit, whose numbers of mounts are others.
    assert_eq!(
        believed("9 0 8:1 / / rw - ext4 /dev/sda1 rw\n"),
        (true, false)
    );
    assert_eq!(believed(""), (true, false));
    assert_eq!(
        believed("9 0 8:9 / / rw - ext4 /dev/sdb1 rw\n"),
        (false, true)
    );
    assert_eq!(
        believed("9 0 8:1 /other / rw - ext4 /dev/sda1 rw\n"),
        (false, true)
    );
}
