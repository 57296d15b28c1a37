//! What scripts print.

use super::*;

/// The sections of `language.txt`: `== NAME`, the script, `--`, its output.
fn sections() -> Vec<(&'static str, &'static str, &'static str)> {
    include_str!("language.txt")
        .trim_start_matches("== ")
        .split("\n== ")
        .map(|section| {
            let (name, rest) = section.split_once('\n').unwrap();
            let (script, output) = rest.split_once("\n--\n").unwrap();
            (name, script, output)
        })
        .collect()
}

#[test]
fn scripts_print_what_grub_prints() {
    for (name, script, expected) in sections() {
        let outcome = run(script);
        let said = outcome.messages.join("\n");
        assert_eq!(said, expected.trim_end_matches('\n'), "{name}: {outcome:?}");
    }
}

#[test]
fn files_and_devices() {
    let said = run("
search --no-floppy --fs-uuid --set=dev 5678; echo $? $dev
search --set zz --label 5678; echo $? $zz
search -u -s 1234; echo $? $root
search.fs_uuid 5678 qq hd0,gpt2; echo $? $qq
search --file --set=ff /vmlinuz --hint hd0; echo $? $ff
if search --fs-uuid --set=no 9999; then echo found; else echo \"<$no>\"; fi
[ -f ($dev)/vmlinuz ]; echo $?
[ -d ($dev)/ ]; echo $?
[ -e /boot ]; echo $?
[ -s /empty ]; echo $?
[ -e boot/grub ]; echo $?
probe --set=uuid --fs-uuid $dev; echo $? $uuid
root='(disk)'; echo $root
insmod regexp
for f in /boot/grub/*.cfg; do echo $f; done
echo /boot/nothing-* acpi_osi=* '/boot/grub/*'
");
    let expected = [
        "0 other",
        "0 other",
        "0 disk",
        "0 other",
        "0 other",
        "<>",
        "0",
        "0",
        "0",
        "1",
        "1",
        "0 5678",
        "disk",
        "/boot/grub/grub.cfg",
        "/boot/nothing-* acpi_osi=* /boot/grub/*",
    ];
    assert_eq!(said.messages, expected, "{said:?}");
}

#[test]
fn other_files() {
    let mut devices = devices(
        "set a=1; set b=1; export b
source /boot/grub/s.cfg; echo \"$? $a $new\"
configfile /boot/grub/nomenu.cfg
echo \"$a <$inner>\"
extract_entries_configfile /boot/grub/entries.cfg
echo \"$a\"
. /boot/grub/gone.cfg
echo end
",
    );
    devices.add("disk", "/boot/grub/s.cfg", b"set a=2; set new=3; true\n");
    devices.add(
        "disk",
        "/boot/grub/nomenu.cfg",
        b"echo \"<$a> $b $config_file\"; set inner=1\n",
    );
    devices.add(
        "disk",
        "/boot/grub/entries.cfg",
        b"set a=9; menuentry x { true; }\n",
    );
    let outcome = evaluate(&devices, &facts(), &start());
    let expected = [
        "0 2 3",
        "<> 1 (disk)/boot/grub/nomenu.cfg",
        "2 <>",
        "2",
        "end",
    ];
    assert_eq!(outcome.messages, expected, "{outcome:?}");
    assert_eq!(outcome.entries.len(), 1);
}

#[test]
fn an_environment_block_in_blocks() {
    let mut devices = devices(
        "set env_block=512+1; env_block=\"(${root})${env_block}\"; load_env -f \"${env_block}\"
echo $? $saved_entry; save_env -f \"${env_block}\" saved_entry
",
    );
    devices.add("disk", "512+1", &block("saved_entry=x\n"));
    let outcome = evaluate(&devices, &facts(), &start());
    assert_eq!(outcome.messages, ["0 x"], "{outcome:?}");
}

#[test]
fn subvolumes() {
    struct Btrfs(MemoryDevices);
    impl Devices for Btrfs {
        fn read(&self, file: &FilePath, limit: usize) -> Answer<Vec<u8>> {
            self.0.read(file, limit)
        }
        fn node(&self, file: &FilePath) -> Answer<Node> {
            self.0.node(file)
        }
        fn list(&self, directory: &FilePath) -> Answer<Vec<String>> {
            self.0.list(directory)
        }
        fn search(&self, by: SearchBy, value: &str) -> Answer<Device> {
            self.0.search(by, value)
        }
        fn device(&self, name: &str) -> Answer<Device> {
            self.0.device(name)
        }
        fn probe(&self, device: &Device, what: ProbeFor) -> Answer<String> {
            self.0.probe(device, what)
        }
        fn has_subvolumes(&self, _: &Device) -> bool {
            true
        }
        fn in_subvolume(&self, file: FilePath, subvolume: &str) -> Answer<FilePath> {
            let top = if subvolume.is_empty() {
                "/@"
            } else {
                subvolume
            };
            let path = format!("{top}{}", file.path);
            Answer::Is(FilePath { path, ..file })
        }
    }
    let mut devices = devices(
        "btrfs-mount-subvol ($root) /.snapshots @/.snapshots; btrfs_relative_path=y
for f in /a /.snapshots/b /.snapshotsx $config_directory/grub.cfg; do [ -f $f ]; echo $? $f; done
btrfs_subvol=/snap; [ -f /c ]; echo $?
",
    );
    for path in ["/@/a", "/@/.snapshots/b", "/snap/c"] {
        devices.add("disk", path, b"");
    }
    let outcome = evaluate(&Btrfs(devices), &facts(), &start());
    assert_eq!(outcome.messages[0], "0 /a", "{outcome:?}");
    assert_eq!(outcome.messages[1], "0 /.snapshots/b");
    assert_eq!(outcome.messages[2], "1 /.snapshotsx");
    assert_eq!(outcome.messages[3], "1 (disk)/boot/grub/grub.cfg");
    assert_eq!(outcome.messages[4], "0");
}

#[test]
fn the_environment_block() {
    let mut devices = devices(
        "load_env; echo \"$? $saved_entry $next_entry\"
set next_entry=; save_env next_entry; set saved_entry=
load_env --skip-sig saved_entry next_entry; echo \"$saved_entry <$next_entry>\"
load_env -f /boot/grub/other other_one; echo \"$other_one <$other_two>\"
if load_env --file /boot/grub/gone; then echo yes; else echo no; fi
if load_env --file=/boot/grub/grub.cfg; then echo yes; else echo no; fi
",
    );
    devices.add(
        "disk",
        "/boot/grub/grubenv",
        &block("saved_entry=1>2\nnext_entry=x\n"),
    );
    devices.add(
        "disk",
        "/boot/grub/other",
        &block("other_one=1\nother_two=2\n"),
    );
    let outcome = evaluate(&devices, &facts(), &start());
    let expected = ["0 1>2 x", "1>2 <>", "1 <>", "no", "no"];
    assert_eq!(outcome.messages, expected, "{outcome:?}");
    assert!(
        outcome.warnings[0].contains("is not an environment block"),
        "{outcome:?}"
    );
}
