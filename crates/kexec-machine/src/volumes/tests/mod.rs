//! Volumes of trees that stand for machines.

use std::path::Path;

use super::*;

mod mounted;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(mountinfo: &str) -> Tree {
        let tree = Tree(tempfile::tempdir().unwrap());
        tree.put("proc/self/mountinfo", mountinfo);
        tree
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn device(&self, name: &str, number: &str, udev: &str) {
        self.put(&format!("sys/class/block/{name}/dev"), number);
        self.put(&format!("run/udev/data/b{number}"), udev);
    }

    /// A disk by its way in sysfs, with partitions: name, number, UUID.
    fn disk(&self, way: &str, name: &str, number: &str, parts: &[(&str, &str, &str)]) {
        let link = |name: &str, way: &str| {
            let folder = self.root().join("sys/class/block");
            std::fs::create_dir_all(&folder).unwrap();
            let way = way.strip_prefix("sys/").unwrap();
            std::os::unix::fs::symlink(format!("../../{way}/{name}"), folder.join(name)).unwrap();
        };
        self.put(&format!("{way}/{name}/dev"), number);
        link(name, way);
        for (part, number, uuid) in parts {
            let way = format!("{way}/{name}");
            self.put(&format!("{way}/{part}/dev"), number);
            self.put(&format!("{way}/{part}/partition"), "1");
            link(part, &way);
            let udev = format!("E:ID_FS_TYPE=vfat\nE:ID_FS_UUID={uuid}\n");
            self.put(&format!("run/udev/data/b{number}"), &udev);
        }
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn volumes(&self) -> Volumes {
        Volumes::read(self.root())
    }
}

fn place(volumes: &Volumes, path: &str) -> String {
    let file = volumes.locate(path).unwrap();
    format!("{}:{} = {}", file.volume, file.path, file.shown)
}

fn id(name: &str) -> VolumeId {
    VolumeId(name.to_owned())
}

const EXT4: &str = "1 0 8:2 / / rw - ext4 /dev/sda2 rw\n";

#[test]
fn a_file_is_on_the_deepest_mount() {
    let tree = Tree::new(&format!(
        "{EXT4}2 1 8:1 / /boot rw - vfat /dev/sda1 rw\n\
         3 1 8:2 /srv/images /images rw - ext4 /dev/sda2 rw\n\
         4 1 0:30 / /tmp rw - tmpfs tmpfs rw\n\
         5 1 0:40 /data /net rw - nfs4 server:/export rw\n\
         6 1 0:5 / /proc rw - proc proc rw\n"
    ));
    let volumes = tree.volumes();
    assert_eq!(
        place(&volumes, "/etc/fstab"),
        "sda2:/etc/fstab = /etc/fstab"
    );
    assert_eq!(place(&volumes, "/boot/x/../y"), "sda1:/y = /boot/y");
    // What was bind-mounted is shown where the whole file system is.
    assert_eq!(
        place(&volumes, "/images/a"),
        "sda2:/srv/images/a = /srv/images/a"
    );
    assert_eq!(place(&volumes, "/tmp/a"), "tmpfs 0:30:/a = /tmp/a");
    assert_eq!(
        place(&volumes, "/net/a"),
        "nfs4 server:/export:/data/a = /net/a"
    );
    let names: Vec<&str> = volumes.all().iter().map(|v| v.id.0.as_str()).collect();
    assert_eq!(names, ["sda2", "sda1", "tmpfs 0:30", "nfs4 server:/export"]);
}

#[test]
fn what_another_mount_hides_is_not_read_through_it() {
    let tree = Tree::new(&format!("{EXT4}2 1 8:1 / /boot rw - vfat /dev/sda1 rw\n"));
    tree.put("boot/vmlinuz", "of the second file system");
    let volumes = tree.volumes();
    let hidden = volumes.file(&id("sda2"), "/boot/vmlinuz");
    assert_eq!(hidden.shown, "sda2: /boot/vmlinuz");
    let said = volumes.text(&hidden);
    assert_eq!(
        said.reason(),
        Some("sda2: /boot/vmlinuz: hidden below the mount at /boot")
    );
    let seen = volumes.file(&id("sda1"), "vmlinuz");
    assert_eq!(seen.shown, "/boot/vmlinuz");
    assert_eq!(
        volumes.text(&seen),
        Fact::Known("of the second file system".to_owned())
    );
}

#[test]
fn links_stay_on_their_file_system_and_fifos_do_not_block() {
    let tree = Tree::new(EXT4);
    tree.put("etc/secret", "inside");
    std::fs::create_dir_all(tree.root().join("dev/sdb1")).unwrap();
    tree.device("sdb1", "8:17", "E:ID_FS_TYPE=vfat\n");
    let on_it = |name: &str| tree.root().join("dev/sdb1").join(name);
    std::os::unix::fs::symlink("/etc/secret", on_it("absolute")).unwrap();
    std::os::unix::fs::symlink("../../etc/secret", on_it("up")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, on_it("fifo"), fifo, mode, 0).unwrap();
    let volumes = tree.volumes();
    let text = |path: &str| volumes.text(&volumes.file(&id("sdb1"), path));
    assert_eq!(text("/absolute"), Fact::Absent);
    assert_eq!(text("/up"), Fact::Absent);
    let fifo = "sdb1 (not mounted): /fifo: it is a pipe, expected a regular file";
    assert_eq!(text("/fifo"), Fact::Unreadable(fifo.to_owned()));
    assert_eq!(
        text("/.."),
        Fact::Unreadable(
            "sdb1 (not mounted): /: it is a directory, expected a regular file".to_owned()
        )
    );
}

#[test]
fn a_device_goes_by_many_names() {
    let tree = Tree::new(EXT4);
    tree.device(
        "dm-0",
        "253:0",
        "E:ID_FS_TYPE=ext4\nE:ID_FS_UUID=AbCd\nE:ID_FS_LABEL=boot\n",
    );
    tree.put("sys/class/block/dm-0/dm/name", "vg-boot");
    tree.device(
        "sda1",
        "8:1",
        "E:ID_FS_TYPE=vfat\nE:ID_PART_ENTRY_UUID=part-1\nE:ID_PART_ENTRY_NAME=EFI\\x20one\n",
    );
    tree.put("sys/class/block/sda1/partition", "1");
    let folder = tree.root().join("dev/disk/by-label");
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("../../dm-0", folder.join("boot")).unwrap();
    std::fs::create_dir_all(tree.root().join("dev/mapper")).unwrap();
    std::os::unix::fs::symlink("../dm-0", tree.root().join("dev/mapper/vg-boot")).unwrap();
    let volumes = tree.volumes();
    let found = |name: &str| volumes.find(name).one().map(|volume| volume.id.0.clone());
    for name in [
        "UUID=aBcD",
        "LABEL=boot",
        "LABEL=\"boot\"",
        "/dev/dm-0",
        "/dev/mapper/vg-boot",
        "/dev/disk/by-label/boot",
    ] {
        assert_eq!(found(name).as_deref(), Some("vg-boot"), "{name}");
    }
    for name in ["PARTUUID=PART-1", "PARTLABEL=EFI one", "/dev/sda1"] {
        assert_eq!(found(name).as_deref(), Some("sda1"), "{name}");
    }
    for name in [
        "UUID=",
        "LABEL=Boot",
        "PARTUUID=",
        "/dev/sdz",
        "tmpfs",
        "ID=x",
        "",
    ] {
        assert_eq!(found(name), None, "{name}");
    }
}

#[test]
fn fstab_says_where_what_is_not_mounted_belongs() {
    let tree = Tree::new(EXT4);
    tree.device("sda1", "8:1", "E:ID_FS_TYPE=vfat\nE:ID_FS_UUID=AB-CD\n");
    tree.device("sda3", "8:3", "E:ID_FS_TYPE=swap\n");
    tree.put(
        "etc/fstab",
        "/dev/sda2 / ext4\nUUID=AB-CD /boot vfat noauto\nUUID=gone /efi vfat\n",
    );
    tree.put("boot/vmlinuz", "left over from before");
    tree.put("dev/sda1/vmlinuz", "the one that boots");
    let volumes = tree.volumes();
    assert_eq!(
        place(&volumes, "/boot/vmlinuz"),
        "sda1:/vmlinuz = sda1 (not mounted): /vmlinuz"
    );
    let file = volumes.locate("/boot/vmlinuz").unwrap();
    assert_eq!(
        volumes.text(&file),
        Fact::Known("the one that boots".to_owned())
    );
    // What belongs at /efi is gone: nobody knows of what is in the folder below it.
    let said = volumes.locate("/efi/x").unwrap_err();
    assert!(said.contains("/etc/fstab has UUID=gone there"), "{said}");
    assert!(volumes.get(&id("sda3")).is_none(), "swap has no files");
}

#[test]
fn subvolumes_and_data_sets_are_folders_of_their_file_system() {
    let tree = Tree::new(
        "1 0 0:30 /@/.snapshots/1/snapshot / rw - btrfs /dev/sda2 rw\n\
         2 1 0:30 /@/home /home rw - btrfs /dev/sda2 rw\n\
         3 1 0:40 / /boot rw - zfs bpool/BOOT/debian rw\n\
         4 1 0:41 / /pool rw - zfs tank rw\n",
    );
    tree.device("sda2", "8:2", "E:ID_FS_TYPE=btrfs\nE:ID_FS_UUID=u\n");
    tree.device("sdb1", "8:17", "E:ID_FS_TYPE=btrfs\nE:ID_FS_UUID=u\n");
    tree.put("dev/sda2/@/boot", "not mounted");
    let volumes = tree.volumes();
    assert_eq!(
        place(&volumes, "/etc/x"),
        "sda2:/@/.snapshots/1/snapshot/etc/x = /etc/x"
    );
    assert_eq!(place(&volumes, "/home/x"), "sda2:/@/home/x = /home/x");
    let other = volumes.file(&id("sda2"), "/@/boot");
    assert_eq!(other.shown, "sda2 (not mounted): /@/boot");
    assert_eq!(
        volumes.text(&other),
        Fact::Known("not mounted\n".trim_end().to_owned())
    );
    // The second disk of the same file system is not another one.
    assert!(volumes.get(&id("sdb1")).is_none());
    assert_eq!(
        place(&volumes, "/boot/x"),
        "zfs bpool:/BOOT/debian@/x = /boot/x"
    );
    assert_eq!(place(&volumes, "/pool/x"), "zfs tank:/@/x = /pool/x");
}

#[test]
fn a_tree_without_mounts_is_one_file_system() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("vmlinuz"), "x").unwrap();
    let volumes = Volumes::read(dir.path());
    assert_eq!(place(&volumes, "/vmlinuz"), "root:/vmlinuz = /vmlinuz");
    assert_eq!(volumes.notes().len(), 1, "{:?}", volumes.notes());
    let nothing = volumes.file(&id("sda9"), "/x");
    assert_eq!(nothing.shown, "sda9 (not found): /x");
    assert!(volumes.exists(&nothing).reason().is_some());
}

#[test]
fn a_file_system_that_cannot_be_opened_is_told_once() {
    let tree = Tree::new(EXT4);
    tree.device("sda1", "8:1", "E:ID_FS_TYPE=vfat\n");
    let volumes = tree.volumes();
    for name in ["/a", "/b"] {
        let file = volumes.file(&id("sda1"), name);
        assert!(volumes.text(&file).reason().is_some());
    }
    assert_eq!(
        volumes.notes(),
        ["sda1 (not mounted): the device does not exist"]
    );
}

#[test]
fn automounts_that_must_not_be_woken() {
    let table = format!(
        "{EXT4}2 1 0:41 / /boot rw - autofs systemd-1 rw\n\
         3 2 8:1 / /boot rw - ext4 /dev/sda1 rw\n\
         4 1 0:42 / /efi rw - autofs systemd-1 rw\n\
         5 4 8:3 / /efi rw - vfat /dev/sda3 rw\n\
         6 1 0:43 / /net rw - autofs systemd-1 rw\n"
    );
    let tree = Tree::new(&table);
    tree.put("boot/vmlinuz", "x");
    let volumes = Volumes::read_with(tree.root(), Automounts::Leave);
    // /boot is in the kernel's caches, and is kept. /efi is not there at all.
    let kept = volumes.get(&id("sda1")).unwrap();
    assert_eq!(kept.mounts.len(), 1);
    assert!(volumes.machine_has("/boot/vmlinuz"));
    assert_eq!(volumes.get(&id("sda3")), None);
    tree.put("efi/loader/loader.conf", "x");
    assert_eq!(
        volumes.machine_bytes("/efi/loader/loader.conf"),
        Fact::Unreadable("/efi/loader/loader.conf: host is down (EHOSTDOWN)".into())
    );
    assert!(Volumes::read(tree.root()).machine_has("/efi/loader/loader.conf"));
}

/// A stick or a loop device with the UUID of sda1.
fn with_twin(table: &str) -> Tree {
    let tree = Tree::new(&format!("{EXT4}{table}"));
    tree.device("sda1", "8:1", "E:ID_FS_TYPE=vfat\nE:ID_FS_UUID=AB-CD\n");
    tree.device("loop0", "7:0", "E:ID_FS_TYPE=vfat\nE:ID_FS_UUID=ab-cd\n");
    tree
}

#[test]
fn an_automount_stays_asleep_while_two_answer_to_its_name() {
    let table = "2 1 0:42 / /efi rw - autofs systemd-1 rw\n";
    let tree = with_twin(table);
    tree.put("dev/sda1/linux", "x");
    let path = "/efi/loader/loader.conf";
    let volumes = tree.volumes();
    tree.put("efi/loader/loader.conf", "x");
    assert_eq!(
        volumes.machine_bytes(path),
        Fact::Unreadable(format!("{path}: host is down (EHOSTDOWN)"))
    );
    assert_eq!(
        volumes.locate(path),
        Err(format!(
            "{path}: the file system for /efi is unknown: the automount there was left alone"
        ))
    );
    // With a line of fstab it is known, and looked at without the automount.
    tree.put(
        "etc/fstab",
        "UUID=AB-CD /efi vfat noauto,x-systemd.automount\n",
    );
    let volumes = tree.volumes();
    assert_eq!(
        place(&volumes, "/efi/linux"),
        "sda1:/linux = sda1 (not mounted): /linux"
    );
    let names: Vec<&str> = volumes.all().iter().map(|v| v.id.0.as_str()).collect();
    assert_eq!(names, ["sda2", "sda1"]);
    assert_eq!(volumes.notes().len(), 1, "{:?}", volumes.notes());
    // What the kernel was built with may be in /boot: nobody wakes it for that, either.
    assert!(may_mislead(&Root::new(tree.root())));
    // Nobody answers but the one that it is.
    std::fs::remove_dir_all(tree.root().join("sys/class/block/loop0")).unwrap();
    assert!(tree.volumes().machine_bytes(path).known().is_some());
    assert!(!may_mislead(&Root::new(tree.root())));
}

#[test]
fn what_is_no_boot_source_is_known_and_not_read() {
    let tree = with_twin("2 1 7:0 / /media/u/x rw,nosuid - vfat /dev/loop0 rw\n");
    tree.put("media/u/x/linux", "evil");
    let volumes = tree.volumes();
    let why = "it is a loop device, which users can set up";
    let loop0 = volumes.get(&id("loop0")).unwrap();
    assert_eq!(loop0.verdict.to_string(), why);
    assert_eq!((loop0.mounts.len(), loop0.passed.len()), (0, 1));
    let file = volumes.file(&id("loop0"), "/linux");
    let said = volumes.text(&file);
    assert_eq!(
        said.reason(),
        Some(format!("{}: it is not read: {why}", file.shown).as_str())
    );
    assert!(volumes.device_bytes(&id("loop0"), 0, 1).reason().is_some());
    assert_eq!(
        volumes.locate("/media/u/x/linux"),
        Err(
            "/media/u/x/linux: loop0 at /media/u/x is not a boot source: it is mounted by a user"
                .into()
        )
    );
    let found = volumes.find("UUID=AB-CD").one().map(|v| v.id.0.as_str());
    assert_eq!(found, Some("sda1"));
    let Lookup::Refused(said) = volumes.find("/dev/loop0") else {
        panic!("found");
    };
    assert_eq!(
        said,
        format!("only loop0 has the name /dev/loop0, but is not read: {why}")
    );
}

#[test]
fn a_fuse_file_system_is_what_it_is_and_is_not_entered() {
    for table in [
        "2 1 0:60 / /boot rw - fuse.x /dev/sda1 rw\n",
        // The driver for file systems on devices has the device's own number.
        "2 1 8:1 / /boot rw - fuseblk /dev/sda1 rw\n",
    ] {
        let tree = Tree::new(&format!("{EXT4}{table}"));
        tree.device("sda1", "8:1", "E:ID_FS_TYPE=vfat\nE:ID_FS_UUID=AB-CD\n");
        tree.put("boot/vmlinuz", "evil");
        tree.put("dev/sda1/vmlinuz", "honest");
        std::os::unix::fs::symlink("boot/vmlinuz", tree.root().join("vmlinuz")).unwrap();
        let volumes = tree.volumes();
        assert_eq!(
            volumes.machine_bytes("/boot/vmlinuz"),
            Fact::Unreadable("/boot/vmlinuz: host is down (EHOSTDOWN)".into())
        );
        let said = volumes.locate("/vmlinuz").unwrap_err();
        assert!(said.contains("is not a boot source"), "{said}");
        let own = volumes.file(&id("sda1"), "/vmlinuz");
        assert_eq!(volumes.text(&own), Fact::Known("honest".into()));
        // What fstab has there is read all the same.
        tree.put("etc/fstab", "UUID=AB-CD /boot vfat\n");
        let volumes = tree.volumes();
        assert_eq!(
            place(&volumes, "/vmlinuz"),
            "sda1:/vmlinuz = sda1 (not mounted): /vmlinuz"
        );
    }
}

#[test]
fn a_made_up_number_is_only_believed_of_a_btrfs_that_the_kernel_lists() {
    let tree = Tree::new("1 0 0:30 / / rw - btrfs /dev/sda2 rw\n");
    tree.device("sda2", "8:2", "E:ID_FS_TYPE=btrfs\nE:ID_FS_UUID=u\n");
    tree.device("sdb2", "8:18", "E:ID_FS_TYPE=btrfs\nE:ID_FS_UUID=v\n");
    let root = |tree: &Tree| tree.volumes().locate("/x").unwrap().volume.0;
    assert_eq!(root(&tree), "sda2");
    tree.put("sys/fs/btrfs/v/devices/sdb2", "");
    assert_eq!(root(&tree), "btrfs 0:30");
    tree.put("sys/fs/btrfs/u/devices/sda2", "");
    assert_eq!(root(&tree), "sda2");
}

#[test]
fn a_btrfs_is_not_put_together_with_what_somebody_attached() {
    let tree = Tree::new(EXT4);
    tree.device("sdb1", "8:17", "E:ID_FS_TYPE=btrfs\nE:ID_FS_UUID=u\n");
    tree.put("dev/sdb1/linux", "x");
    let text = |tree: &Tree| {
        let volumes = tree.volumes();
        volumes.text(&volumes.file(&id("sdb1"), "/linux"))
    };
    assert_eq!(text(&tree), Fact::Known("x".into()));
    tree.device("loop0", "7:0", "E:ID_FS_TYPE=btrfs\nE:ID_FS_UUID=u\n");
    let said = text(&tree);
    let said = said.reason().unwrap();
    assert!(said.contains("could mount a mixture of both"), "{said}");
}

#[test]
fn a_mount_that_another_one_covers_is_still_in_use() {
    let tree = with_twin(
        "2 1 8:1 / /boot rw - vfat /dev/sda1 rw\n3 2 7:0 / /boot rw - vfat /dev/loop0 rw\n",
    );
    tree.put("etc/fstab", "UUID=AB-CD /boot vfat\n");
    tree.put("boot/linux", "evil");
    tree.put("dev/sda1/linux", "honest");
    let volumes = tree.volumes();
    assert!(volumes.get(&id("sda1")).unwrap().hidden);
    let file = volumes.locate("/boot/linux").unwrap();
    assert_eq!(volumes.text(&file), Fact::Known("honest".into()));
}
