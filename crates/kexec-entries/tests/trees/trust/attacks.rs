//! Every boot loader, every state of its file system, every attack: what the attacker
//! offers is never taken, and what the honest machine boots without him it boots beside
//! him.

use super::machine::{Content, ESP, MADE, Machine, NVME, ROOT_UUID, USB, default};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loader {
    SystemdBoot,
    GrubBios,
    GrubUefi,
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Mounted,
    Asleep,
    Noauto,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    Nobody,
    LoopPartuuid,
    LoopUuid,
    LoopLabel,
    /// Everything the same, on a partition of a disk on USB.
    Usb,
    /// A FUSE file system that calls itself by the name of the device.
    Fuse,
    /// The same over the mount point itself.
    FuseAbove,
    /// A copy of everything, mounted where udisks does that.
    UserMount,
    /// The same, and mounted by the machine at the place of its own: udev's link led
    /// there at that moment.
    InItsPlace,
}

/// How fstab and GRUB name the file system of the boot files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Uuid,
    Label,
    Partuuid,
}

const STATES: [State; 4] = [State::Mounted, State::Asleep, State::Noauto, State::Gone];
const ATTACKS: [Attack; 8] = [
    Attack::LoopPartuuid,
    Attack::LoopUuid,
    Attack::LoopLabel,
    Attack::Usb,
    Attack::Fuse,
    Attack::FuseAbove,
    Attack::UserMount,
    Attack::InItsPlace,
];
const NAMES: [Named; 3] = [Named::Uuid, Named::Label, Named::Partuuid];

const EVIL: &str = "init=/home/u/x";

impl Loader {
    fn point(self) -> &'static str {
        match self {
            Loader::SystemdBoot => "/efi",
            _ => "/boot",
        }
    }

    /// What is on the file system of the boot files.
    fn content(self) -> Content<'static> {
        let esp = self == Loader::SystemdBoot;
        Content {
            kind: if esp { "vfat" } else { "ext4" },
            uuid: if esp {
                "ABCD-1234"
            } else {
                "b0071111-2222-3333-4444-555555555555"
            },
            label: "bootfiles",
            partuuid: "aaaaaaaa-0000-0000-0000-000000000001",
            parttype: if esp { ESP } else { "" },
        }
    }

    /// The boot files below a folder, for a kernel that gets these words.
    fn files(self, machine: &mut Machine, top: &str, named: Named, words: &str) {
        let line = format!("root=UUID={ROOT_UUID} {words}");
        match self {
            Loader::SystemdBoot => {
                machine.file(&format!("{top}/linux"), "kernel");
                machine.file(&format!("{top}/initrd"), "initrd");
                machine.file(&format!("{top}/loader/loader.conf"), "default own.conf");
                machine.file(
                    &format!("{top}/loader/entries/own.conf"),
                    &format!("title Linux\nlinux /linux\ninitrd /initrd\noptions {line}"),
                );
            }
            Loader::GrubBios | Loader::GrubUefi => {
                machine.file(&format!("{top}/vmlinuz-6.8"), "kernel");
                machine.file(&format!("{top}/initrd.img-6.8"), "initrd");
                machine.file(
                    &format!("{top}/grub/grub.cfg"),
                    &format!(
                        "menuentry 'Linux' --id own {{\n{}\nlinux /vmlinuz-6.8 {line}\n\
                         initrd /initrd.img-6.8\n}}",
                        self.search(named)
                    ),
                );
            }
            Loader::Plain => {
                machine.file(&format!("{top}/vmlinuz-linux"), "kernel");
                machine.file(&format!("{top}/initramfs-linux.img"), "initrd");
            }
        }
    }

    fn search(self, named: Named) -> String {
        let content = self.content();
        match named {
            Named::Label => format!("search --no-floppy --label --set=root {}", content.label),
            // GRUB does not search by the partition.
            _ => format!("search --no-floppy --fs-uuid --set=root {}", content.uuid),
        }
    }

    fn machine(self, state: State, named: Named, attack: Attack) -> Machine {
        let cmdline = match self {
            Loader::SystemdBoot => format!("initrd=\\initrd root=UUID={ROOT_UUID}"),
            Loader::Plain => format!("root=UUID={ROOT_UUID} honest"),
            _ => format!("BOOT_IMAGE=/vmlinuz-6.8 root=UUID={ROOT_UUID}"),
        };
        let mut machine = Machine::new(&cmdline);
        let content = self.content();
        machine.disk("nvme0n1", NVME);
        let root = Content {
            kind: "ext4",
            uuid: ROOT_UUID,
            ..Content::default()
        };
        let root = machine.part("nvme0n1", NVME, "nvme0n1p2", root);
        machine.mount(&root, "/", "rw,relatime", "ext4", "/dev/nvme0n1p2");
        let point = self.point();
        match self {
            Loader::SystemdBoot => machine.systemd_boot(content.partuuid),
            Loader::GrubUefi => {
                let esp = Content {
                    kind: "vfat",
                    uuid: "E5E5-0001",
                    partuuid: "eeeeeeee-0000-0000-0000-000000000003",
                    parttype: ESP,
                    ..Content::default()
                };
                machine.part("nvme0n1", NVME, "nvme0n1p3", esp);
                machine.booted(esp.partuuid, "\\EFI\\debian\\shimx64.efi");
                machine.file(
                    "/dev/nvme0n1p3/EFI/debian/grub.cfg",
                    &format!(
                        "{}\nset prefix=($root)'/grub'\nconfigfile $prefix/grub.cfg",
                        self.search(named)
                    ),
                );
            }
            Loader::GrubBios | Loader::Plain => {}
        }
        let source = match named {
            Named::Uuid => format!("UUID={}", content.uuid),
            Named::Label => format!("LABEL={}", content.label),
            Named::Partuuid => format!("PARTUUID={}", content.partuuid),
        };
        machine.file(
            "/etc/fstab",
            &format!(
                "{source} {point} {} noauto 0 2\nUUID={ROOT_UUID} / ext4 defaults 0 1",
                content.kind
            ),
        );
        if state != State::Gone {
            let number = machine.part("nvme0n1", NVME, "nvme0n1p1", content);
            let in_its_place = matches!(attack, Attack::FuseAbove | Attack::InItsPlace);
            let top = match state {
                State::Mounted if !in_its_place => {
                    machine.mount(&number, point, "rw", content.kind, "/dev/nvme0n1p1");
                    point
                }
                _ => "/dev/nvme0n1p1",
            };
            self.files(&mut machine, top, named, "honest");
        }
        if state == State::Asleep {
            machine.mount("0:40", point, "rw", "autofs", "systemd-1");
        }
        self.attacked(&mut machine, named, attack);
        machine
    }

    fn attacked(self, machine: &mut Machine, named: Named, attack: Attack) {
        let content = self.content();
        let other = Content {
            kind: content.kind,
            uuid: "0DD0-0001",
            label: "other",
            partuuid: "dddddddd-0000-0000-0000-000000000009",
            parttype: content.parttype,
        };
        let mut looped = |content: Content<'_>| {
            machine.disk("loop0", MADE);
            machine.part("loop0", MADE, "loop0p1", content)
        };
        let top = match attack {
            Attack::Nobody => return,
            Attack::LoopPartuuid => {
                looped(Content {
                    partuuid: content.partuuid,
                    ..other
                });
                "/dev/loop0p1"
            }
            Attack::LoopUuid => {
                looped(Content {
                    uuid: content.uuid,
                    ..other
                });
                "/dev/loop0p1"
            }
            Attack::LoopLabel => {
                looped(Content {
                    label: content.label,
                    ..other
                });
                "/dev/loop0p1"
            }
            Attack::Usb => {
                machine.disk("sda", USB);
                machine.part("sda", USB, "sda1", content);
                "/dev/sda1"
            }
            Attack::Fuse => {
                machine.mount("0:60", "/media/f", "rw,nosuid", "fuse.x", "/dev/nvme0n1p1");
                "/media/f"
            }
            Attack::FuseAbove => {
                machine.mount("0:60", self.point(), "rw", "fuse.x", "/dev/nvme0n1p1");
                self.point()
            }
            Attack::UserMount => {
                let number = looped(content);
                let options = "rw,nosuid,nodev,relatime";
                machine.mount(&number, "/media/m/x", options, content.kind, "/dev/loop0p1");
                "/media/m/x"
            }
            Attack::InItsPlace => {
                let number = looped(content);
                machine.mount(&number, self.point(), "rw", content.kind, "/dev/loop0p1");
                self.point()
            }
        };
        self.files(machine, top, named, EVIL);
        // An init of his own needs nothing but a line.
        machine.file(&format!("{top}/evil"), "x");
    }
}

/// The attacks that aim at a name; with the UUID all of them.
fn aimed(named: Named) -> &'static [Attack] {
    match named {
        Named::Uuid => &ATTACKS,
        Named::Label => &[
            Attack::LoopLabel,
            Attack::Usb,
            Attack::UserMount,
            Attack::InItsPlace,
        ],
        Named::Partuuid => &[Attack::LoopPartuuid, Attack::Usb, Attack::InItsPlace],
    }
}

fn only_the_honest(loader: Loader) {
    let (mut honest, mut count) = (0, 0);
    for (state, named) in STATES.iter().flat_map(|s| NAMES.map(|n| (*s, n))) {
        let alone = loader.machine(state, named, Attack::Nobody).survey();
        let own = default(&alone);
        if state == State::Gone {
            assert!(own.is_err(), "{state:?} {named:?}: {own:?}");
        } else {
            let target = own.as_ref().unwrap();
            let what = format!("{state:?} {named:?}: {target:?}");
            assert_eq!(target.kernel.volume.0, "nvme0n1p1", "{what}");
            let line = target.cmdline.as_ref().unwrap().to_string();
            assert!(line.contains("honest"), "{what}");
            honest += 1;
        }
        for attack in aimed(named) {
            let what = format!("{state:?} {named:?} {attack:?}");
            let survey = loader.machine(state, named, *attack).survey();
            let text = serde_json::to_string(&survey.sources).unwrap();
            assert!(!text.contains(EVIL), "{what}: {text}");
            for listed in &survey.sources {
                let targets = listed.found.entries.iter().filter_map(|e| e.target());
                for file in targets.flat_map(|target| target.files()) {
                    let volume = file.volume.0.as_str();
                    assert!(volume.starts_with("nvme0n1"), "{what}: {file}");
                }
            }
            match (&own, default(&survey)) {
                // The honest one is taken, wherever it is looked at from.
                (Ok(own), Ok(found)) => {
                    assert_eq!(found.kernel.volume, own.kernel.volume, "{what}");
                    assert_eq!(found.kernel.path, own.kernel.path, "{what}");
                    assert_eq!(found.cmdline, own.cmdline, "{what}");
                }
                (Ok(_), Err(why)) => panic!("{what}: {why}"),
                (Err(_), found) => assert!(found.is_err(), "{what}: {found:?}"),
            }
            count += 1;
        }
    }
    assert_eq!((honest, count), (9, 60));
}

#[test]
fn systemd_boot() {
    only_the_honest(Loader::SystemdBoot);
}

#[test]
fn grub_of_a_bios() {
    only_the_honest(Loader::GrubBios);
}

#[test]
fn grub_of_uefi() {
    only_the_honest(Loader::GrubUefi);
}

#[test]
fn plain_links() {
    only_the_honest(Loader::Plain);
}

/// What is said about it: both devices and why one of them is not read.
#[test]
fn the_copy_is_named() {
    for (attack, says) in [
        (
            Attack::LoopUuid,
            "loop0p1 has the UUID ABCD-1234 of nvme0n1p1 as well, and is not read: it is a loop device, which users can set up",
        ),
        (
            Attack::LoopPartuuid,
            "loop0p1 has the PARTUUID aaaaaaaa-0000-0000-0000-000000000001 of nvme0n1p1 as well, and is not read: it is a loop device, which users can set up",
        ),
        (
            Attack::Usb,
            "sda1 has the UUID ABCD-1234 of nvme0n1p1 as well, and is not read: it is attached by \
             USB, where any user can plug in another",
        ),
    ] {
        let survey = Loader::SystemdBoot
            .machine(State::Asleep, Named::Uuid, attack)
            .survey();
        assert_eq!(survey.notes, [says], "{attack:?}");
    }
    let gone = Loader::GrubBios
        .machine(State::Gone, Named::Label, Attack::LoopLabel)
        .survey();
    let text = serde_json::to_string(&gone).unwrap();
    assert!(
        text.contains("only loop0p1 has LABEL=bootfiles, but is not read: it is a loop device"),
        "{text}"
    );
}
