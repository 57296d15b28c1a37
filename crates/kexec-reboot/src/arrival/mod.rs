//! What decides whether a reboot arrives, beyond the load itself: the root file
//! system, the shutdown image, requests to the firmware, disks that have to be
//! unlocked. Plain values, read once below a root directory; they are judged by
//! the [`checks`].

pub mod checks;
mod exitrd;
mod exposed;
pub mod firmware;
pub mod hardware;
pub(crate) mod last_jump;
mod machines;
mod root;
mod unlock;
mod watchdog;

use std::path::Path;

use kexec_plan::Cmdline;
use serde::Serialize;

use crate::handover::init::InitFacts;
use kexec_entries::boot_source::BootSource;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::Volumes;

pub use exitrd::{Exitrd, ExitrdJump, ExitrdKind};
pub use exposed::Exposed;
pub use firmware::FirmwareRequests;
pub use hardware::Hardware;
pub use last_jump::NotArrived;
pub use root::RootDevice;
pub use unlock::{Keyslot, Locked, keyslots};
pub use watchdog::Watchdog;

/// Every fact that the [`checks`] of a reboot look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArrivalFacts {
    /// Where the files of the boot entry are read from; none for a kernel file that
    /// somebody named.
    pub boot_sources: Vec<BootSource>,
    /// What of the boot entry not only root can change.
    pub exposed: Vec<Exposed>,
    /// What the next command line says about the root file system.
    pub root: RootDevice,
    /// The program that will be asked for the shutdown.
    pub init: InitFacts,
    /// What runs after the last file system is unmounted.
    pub exitrd: Exitrd,
    /// What somebody wants the firmware to do at the next boot.
    pub wishes: FirmwareRequests,
    /// The hardware watchdog during the jump.
    pub watchdog: Watchdog,
    /// Encrypted disks below / and /var that unlock by themselves.
    pub locked: Vec<Locked>,
    /// What the machine calls itself.
    pub hardware: Hardware,
    /// The last kexec, where it did not arrive.
    pub not_arrived: Option<NotArrived>,
}

impl ArrivalFacts {
    /// Reads them for a load with this command line.
    pub fn read(root: &Path, volumes: &Volumes, cmdline: &Cmdline) -> ArrivalFacts {
        ArrivalFacts {
            boot_sources: Vec::new(),
            exposed: Vec::new(),
            root: root::read(volumes, cmdline),
            init: InitFacts::read(root),
            exitrd: Exitrd::read(volumes),
            wishes: firmware::read(volumes),
            watchdog: watchdog::read(volumes),
            locked: unlock::read(root, volumes),
            hardware: hardware::read(volumes),
            not_arrived: last_jump::read(root),
        }
    }

    /// The same for a boot entry: `files` are what it is made of.
    #[must_use]
    pub(crate) fn of_entry<'a>(
        self,
        volumes: &Volumes,
        boot_sources: Vec<BootSource>,
        files: impl Iterator<Item = &'a BootFile>,
    ) -> ArrivalFacts {
        ArrivalFacts {
            boot_sources,
            exposed: exposed::read(volumes, files),
            ..self
        }
    }
}

/// The text of a file of the machine, when it is there and readable.
fn text(volumes: &Volumes, path: &str) -> Option<String> {
    let bytes = volumes.machine_bytes(path);
    let text = String::from_utf8_lossy(bytes.known()?).into_owned();
    Some(text.trim_end_matches(['\n', '\0']).to_owned())
}

/// A tree of files for the tests of this folder.
#[cfg(test)]
mod testing {
    use std::fs;

    use super::Volumes;

    pub fn tree(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Volumes) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let volumes = Volumes::read(root.path());
        (root, volumes)
    }
}
