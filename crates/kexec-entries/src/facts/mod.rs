//! What the machine says about how it was booted: read once, before any source
//! is asked, and the same value for all of them.

mod efi;

use kexec_image::Arch;
use kexec_plan::Cmdline;
use serde::Serialize;

use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_machine::volumes::{BootedFrom, Volumes};

pub use efi::{BootOption, EfiVariables, LoaderVars, boot_option};

/// Facts that decide which boot loader answers, and what it would choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The architecture of the running kernel; `None` for one we cannot name.
    pub arch: Option<Arch>,
    /// The running kernel's release, `uname -r`.
    pub release: String,
    /// The running kernel's command line, /proc/cmdline.
    pub cmdline: Fact<Cmdline>,
    /// The machine's id, /etc/machine-id (machine-id(5)).
    pub machine_id: Fact<String>,
    /// EFI variables; `Absent` on a machine that was not booted by EFI.
    pub efi: Fact<EfiVariables>,
    /// Whether the firmware starts only what is signed.
    pub secure_boot: Fact<bool>,
}

impl Facts {
    /// Reads them from the machine whose file systems are given.
    pub fn read(host: &Snapshot, volumes: &Volumes) -> Facts {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        Facts {
            arch: host.arch,
            release: host.release.clone(),
            cmdline: host.cmdline.clone(),
            machine_id: volumes.machine_bytes("/etc/machine-id").map(text),
            efi: efi::read(host.firmware.efi, volumes),
            secure_boot: host.security.secure_boot.clone(),
        }
    }

    /// The same without what is the running kernel's and the firmware's: for a chroot or
    /// a container, whose files are another system's. `why` says which it is.
    #[must_use]
    pub fn of_files_alone(self, why: &str) -> Facts {
        let other = |_| Fact::Unreadable(format!("{why}, so it is another system's command line"));
        Facts {
            release: String::new(),
            cmdline: self.cmdline.and_then(other),
            efi: Fact::Absent,
            secure_boot: Fact::Unreadable(why.to_owned()),
            ..self
        }
    }

    /// A variable of the boot loader interface, where it could be read.
    pub fn loader(&self) -> Option<&LoaderVars> {
        self.efi.known().map(|efi| &efi.loader)
    }

    /// The partition that this boot came from, by the word of the boot loader or else of
    /// the firmware.
    pub fn booted_from(&self) -> Option<BootedFrom> {
        let efi = self.efi.known()?;
        if let Fact::Known(partuuid) = &efi.loader.device_partuuid {
            return Some(BootedFrom {
                partuuid: partuuid.clone(),
                said: "LoaderDevicePartUUID".to_owned(),
            });
        }
        let option = efi.option(*efi.current.known()?)?;
        Some(BootedFrom {
            partuuid: option.partuuid.clone()?,
            said: format!("BootCurrent is Boot{:04X}", option.number),
        })
    }
}
