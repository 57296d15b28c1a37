//! What somebody wants the firmware to do at the next boot. A kexec goes around
//! the firmware, so that such a wish would be swallowed.

use serde::Serialize;

use kexec_machine::Fact;
use kexec_machine::volumes::Volumes;

/// Wishes that only a boot through the firmware fulfils.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FirmwareRequests {
    /// OsIndications: what the firmware is asked for.
    pub os_indications: Fact<u64>,
    /// BootNext: the option that is to be booted once.
    pub boot_next: Fact<u16>,
    /// Capsules that wait on the EFI system partition for the firmware, by path.
    pub capsules: Vec<String>,
    /// The boot loader is to show its menu at the next boot
    /// (LoaderConfigTimeoutOneShot, `systemctl reboot --boot-loader-menu=`).
    pub menu: bool,
    /// What a reboot tells the firmware (/run/systemd/reboot-param,
    /// `systemctl reboot --reboot-argument=`).
    pub argument: Option<String>,
}

/// `EFI_OS_INDICATIONS_BOOT_TO_FW_UI` (UEFI specification, section 8.5.4).
const BOOT_TO_FIRMWARE_UI: u64 = 1;
/// `EFI_OS_INDICATIONS_FILE_CAPSULE_DELIVERY_SUPPORTED`: capsules are to be
/// taken from the disk (the same section).
const FILE_CAPSULES: u64 = 4;

/// How systemd-boot is told to wait in its menu once (systemd-boot(7)).
const MENU: &str = "/sys/firmware/efi/efivars/LoaderConfigTimeoutOneShot-\
                    4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Where systemctl leaves the argument of reboot(2) for the end of the shutdown
/// (systemctl(1), `--reboot-argument=`).
const ARGUMENT: &str = "/run/systemd/reboot-param";

/// The vendor of the variables that the UEFI specification defines.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// An efivarfs file begins with four bytes of attributes
/// (Documentation/filesystems/efivarfs.rst).
const ATTRIBUTES: usize = 4;

impl FirmwareRequests {
    /// Each wish, for people.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let bits = self.os_indications.known().copied().unwrap_or(0);
        if bits & BOOT_TO_FIRMWARE_UI != 0 {
            texts.push("the firmware's setup was requested (OsIndications)".to_owned());
        }
        if bits & FILE_CAPSULES != 0 {
            texts.push("an update waits for the firmware (OsIndications)".to_owned());
        }
        if let Fact::Known(number) = self.boot_next {
            texts.push(format!("Boot{number:04X} is to be booted once (BootNext)"));
        }
        if self.menu {
            texts.push("the boot loader is to show its menu (LoaderConfigTimeoutOneShot)".into());
        }
        if let Some(argument) = &self.argument {
            texts.push(format!(
                "the reboot has an argument for the firmware ({argument})"
            ));
        }
        for capsule in &self.capsules {
            texts.push(format!("an update waits for the firmware ({capsule})"));
        }
        texts
    }

    /// Why it cannot be told whether there are any.
    pub fn unknown(&self) -> Option<&str> {
        self.os_indications.reason().or(self.boot_next.reason())
    }
}

/// Reads what the firmware and the boot loader are asked for.
pub fn read(volumes: &Volumes) -> FirmwareRequests {
    let variable = |name: &str| {
        let path = format!("/sys/firmware/efi/efivars/{name}-{GLOBAL}");
        volumes.machine_bytes(&path)
    };
    let value = |bytes: Vec<u8>| bytes.get(ATTRIBUTES..).unwrap_or_default().to_vec();
    let number = |bytes: Vec<u8>| {
        let mut number = [0; 8];
        for (to, from) in number.iter_mut().zip(value(bytes)) {
            *to = from;
        }
        u64::from_le_bytes(number)
    };
    let next = variable("BootNext").map(number);
    FirmwareRequests {
        os_indications: variable("OsIndications").map(number),
        boot_next: next.map(|n| u16::try_from(n & 0xffff).unwrap_or(u16::MAX)),
        capsules: capsules(volumes),
        menu: volumes.machine_has(MENU),
        argument: super::text(volumes, ARGUMENT).filter(|text| !text.is_empty()),
    }
}

/// Where firmware looks for capsules on the EFI system partition (UEFI
/// specification, section 8.5.5).
fn capsules(volumes: &Volumes) -> Vec<String> {
    ["/efi", "/boot/efi", "/boot"]
        .iter()
        .flat_map(|esp| {
            let folder = format!("{esp}/EFI/UpdateCapsule");
            let names = volumes.machine_entries(&folder);
            let names = names.known().cloned().unwrap_or_default();
            names
                .into_iter()
                .map(move |name| format!("{folder}/{name}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::tree;
    use super::*;

    fn path(name: &str) -> String {
        format!("sys/firmware/efi/efivars/{name}-{GLOBAL}")
    }

    #[test]
    fn nothing_is_wished_for() {
        let (_root, volumes) = tree(&[]);
        assert!(read(&volumes).texts().is_empty());
        let indications = path("OsIndications");
        let (_root, volumes) = tree(&[(&indications, &[7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]);
        assert!(read(&volumes).texts().is_empty());
    }

    #[test]
    fn every_wish_is_named() {
        let (indications, next) = (path("OsIndications"), path("BootNext"));
        let (_root, volumes) = tree(&[
            (&indications, &[7, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]),
            (&next, &[7, 0, 0, 0, 0x1f, 0]),
            ("efi/EFI/UpdateCapsule/fw.cap", b""),
            (MENU.trim_start_matches('/'), b"\x07\0\0\0"),
            ("run/systemd/reboot-param", b"0 tryboot\n"),
        ]);
        let texts = read(&volumes).texts();
        assert_eq!(texts.len(), 6);
        assert!(texts[4].contains("0 tryboot"), "{texts:?}");
        assert!(texts[2].contains("Boot001F"), "{texts:?}");
    }

    #[test]
    fn short_variables_are_no_wishes() {
        for bytes in [&b""[..], &[7], &[7, 0, 0, 0]] {
            let indications = path("OsIndications");
            let (_root, volumes) = tree(&[(&indications, bytes)]);
            assert!(read(&volumes).texts().is_empty());
        }
    }
}
