//! Layouts: which firmware and boot loader a system has, and where /boot is.

use super::base::Generator;
use crate::qemu::GuestFirmware;

/// What every kernel of an installed system is started with, besides `root=`:
/// messages on the first serial port, a panic resets the machine, which ends
/// the run, and the costly workarounds for processors are left out.
pub const CONSOLE: &str = "console=ttyS0 panic=-1 mitigations=off";

/// Firmware, boot loader and place of /boot of an installed system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemLayout {
    /// BIOS and GRUB; /boot is a folder of the root file system.
    BiosGrub,
    /// BIOS and GRUB; /boot is an ext4 file system of its own.
    BiosGrubBoot,
    /// The same, mounted when it is looked at and unmounted two seconds later.
    BiosGrubAutomount,
    /// The same, not mounted at all.
    BiosGrubNoauto,
    /// UEFI and systemd-boot with type 1 entries. The ESP is not in fstab:
    /// systemd finds it and mounts it at /efi when it is looked at.
    EfiSystemdBoot,
    /// UEFI and systemd-boot with unified kernel images; the ESP is at
    /// /boot/efi.
    EfiUki,
    /// UEFI and GRUB; the ESP is at /boot/efi, /boot on the root file system.
    EfiGrub,
    /// What Fedora has: BIOS and GRUB in /boot/grub2, whose script leaves the
    /// entries to files of the Boot Loader Specification on an ext4 /boot, and
    /// initramfs images that dracut made. GRUB knows such files from 2.14 on:
    /// only in sid.
    FedoraLike,
}

/// A file system beside the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExtraFileSystem {
    /// ext4 at /boot.
    Boot,
    /// The EFI system partition, with its mount point.
    Esp(&'static str),
}

impl ExtraFileSystem {
    /// Where the system mounts it.
    pub(super) fn mount_point(self) -> &'static str {
        match self {
            Self::Boot => "/boot",
            Self::Esp(at) => at,
        }
    }
}

impl SystemLayout {
    /// Every layout, for tests that go through them.
    pub const ALL: [Self; 8] = [
        Self::BiosGrub,
        Self::BiosGrubBoot,
        Self::BiosGrubAutomount,
        Self::BiosGrubNoauto,
        Self::EfiSystemdBoot,
        Self::EfiUki,
        Self::EfiGrub,
        Self::FedoraLike,
    ];

    /// The firmware that boots it.
    #[must_use]
    pub fn firmware(self) -> GuestFirmware {
        match self {
            Self::BiosGrub
            | Self::BiosGrubBoot
            | Self::BiosGrubAutomount
            | Self::BiosGrubNoauto
            | Self::FedoraLike => GuestFirmware::SeaBios,
            Self::EfiSystemdBoot | Self::EfiUki | Self::EfiGrub => GuestFirmware::Ovmf,
        }
    }

    /// The layout whose disk it has: some differ in nothing but fstab.
    pub(super) fn disk(self) -> Self {
        match self {
            Self::BiosGrubAutomount | Self::BiosGrubNoauto => Self::BiosGrubBoot,
            other => other,
        }
    }

    /// What makes its initramfs images, where those of the lab are not used.
    #[must_use]
    pub fn generator(self) -> Generator {
        match self {
            Self::FedoraLike => Generator::Dracut,
            _ => Generator::InitramfsTools,
        }
    }

    /// The file system beside the root, if there is one.
    pub(super) fn side(self) -> Option<ExtraFileSystem> {
        match self {
            Self::BiosGrub => None,
            Self::BiosGrubBoot
            | Self::BiosGrubAutomount
            | Self::BiosGrubNoauto
            | Self::FedoraLike => Some(ExtraFileSystem::Boot),
            Self::EfiSystemdBoot => Some(ExtraFileSystem::Esp("/efi")),
            Self::EfiUki | Self::EfiGrub => Some(ExtraFileSystem::Esp("/boot/efi")),
        }
    }

    /// Mount options of that file system; none: it is not in fstab.
    pub(super) fn options(self) -> Option<&'static str> {
        match self {
            Self::BiosGrub | Self::EfiSystemdBoot => None,
            Self::BiosGrubBoot | Self::FedoraLike => Some("defaults"),
            Self::BiosGrubAutomount => Some("noauto,x-systemd.automount,x-systemd.idle-timeout=2"),
            Self::BiosGrubNoauto => Some("noauto"),
            Self::EfiUki | Self::EfiGrub => Some("umask=0077"),
        }
    }

    /// Run by root in the system's files before they become file systems.
    pub(super) fn chroot_script(self) -> &'static str {
        match self {
            Self::EfiSystemdBoot => include_str!("scripts/systemd-boot.sh"),
            Self::EfiUki => include_str!("scripts/uki.sh"),
            Self::FedoraLike => include_str!("scripts/fedora.sh"),
            _ => "",
        }
    }

    /// Script for a stage that makes the kernel of this release the boot loader's
    /// default, in the way of the layout, by a command with the label `change`.
    /// It has the base system's second kernel in mind where GRUB counts entries.
    #[must_use]
    pub fn change_default(self, release: &str) -> String {
        let grub = "sed -i 's/set default=\"0\"/set default=\"1>2\"/' /boot/grub/grub.cfg";
        match self {
            Self::BiosGrub | Self::BiosGrubBoot | Self::BiosGrubAutomount | Self::EfiGrub => {
                format!("run change {grub}\n")
            }
            Self::BiosGrubNoauto => {
                format!("mount /boot\nrun change {grub}\numount /boot\n")
            }
            Self::EfiSystemdBoot => format!(
                "run change bootctl set-default \
                 \"$(basename /efi/loader/entries/*{release}.conf)\"\n"
            ),
            Self::EfiUki => format!("run change bootctl set-default debian-{release}.efi\n"),
            // By its title: what begins with a digit, as the id does, is a number
            // to the GRUB of every other distribution than Fedora.
            Self::FedoraLike => format!(
                "run change grub-editenv /boot/grub2/grubenv set \
                 'saved_entry=Fedora Linux ({release}) 44 (Lab)'\n"
            ),
        }
    }

    /// The initramfs of the kernel of this release, below /boot.
    #[must_use]
    pub fn initrd_name(self, release: &str) -> String {
        match self {
            Self::FedoraLike => format!("initramfs-{release}.img"),
            _ => format!("initrd.img-{release}"),
        }
    }

    /// Run in a guest that has the finished disk, by the lab's kernel.
    pub(super) fn guest_script(self) -> &'static str {
        match self {
            Self::BiosGrub
            | Self::BiosGrubBoot
            | Self::BiosGrubAutomount
            | Self::BiosGrubNoauto => {
                "run grub-install grub-install --target=i386-pc /dev/vda\nrun update-grub update-grub\n"
            }
            Self::EfiGrub => {
                "run grub-install grub-install --target=x86_64-efi --efi-directory=/boot/efi \
                 --removable --no-nvram\nrun update-grub update-grub\n"
            }
            Self::FedoraLike => include_str!("scripts/fedora-install.sh"),
            Self::EfiSystemdBoot | Self::EfiUki => "",
        }
    }
}

impl std::fmt::Display for SystemLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BiosGrub => "bios-grub",
            Self::BiosGrubBoot => "bios-grub-boot",
            Self::BiosGrubAutomount => "bios-grub-automount",
            Self::BiosGrubNoauto => "bios-grub-noauto",
            Self::EfiSystemdBoot => "efi-systemd-boot",
            Self::EfiUki => "efi-uki",
            Self::EfiGrub => "efi-grub",
            Self::FedoraLike => "fedora-like",
        })
    }
}
