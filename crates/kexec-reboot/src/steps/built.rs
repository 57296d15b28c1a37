//! Before everything else: a kernel with neither system call loads nothing, whatever the
//! entries and files are.

use std::path::Path;

use kexec_load::Error;
use kexec_machine::snapshot::KexecFile;
use kexec_machine::snapshot::loaded::{self, SlotState};
use kexec_machine::{Fact, Snapshot};
use kexec_sys::Slot;

use crate::world::World;

/// That the running kernel has one of the two system calls, as far as it is known.
///
/// # Errors
/// When it has neither.
pub fn can_kexec(world: &World<'_>, host: &Snapshot) -> Result<(), Error> {
    let without = |option| host.built_with(option) == Some(false);
    let seen = match &host.kexec.loaded {
        Fact::Known(_) => return Ok(()),
        // Something else may be mounted over it.
        Fact::Absent if is_there(world.root) => return Ok(()),
        // sysfs is mounted, and a kernel with either of the calls has the file.
        Fact::Absent => format!("{} does not exist", host.kexec_file(KexecFile::Loaded)),
        Fact::Unreadable(_) if without("CONFIG_KEXEC") && without("CONFIG_KEXEC_FILE") => {
            "its configuration has neither CONFIG_KEXEC nor CONFIG_KEXEC_FILE".to_owned()
        }
        Fact::Unreadable(_) => return Ok(()),
    };
    Err(Error::system(
        format!("running kernel {}", host.release),
        format!(
            "it was built without kexec: it has neither kexec_load(2) nor kexec_file_load(2) \
             ({seen})"
        ),
        "install a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE and boot it through the \
         firmware; until then no kexec is possible on this machine",
    ))
}

/// Whether the kernel's own sysfs has the file.
fn is_there(root: &Path) -> bool {
    matches!(
        loaded::ask(root, Slot::Normal),
        SlotState::Yes | SlotState::No
    )
}
