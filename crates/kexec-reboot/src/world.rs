//! What the steps act on, and who looks on.

use std::path::Path;
use std::time::Duration;

use kexec_load::pipeline::Prepared;
use kexec_load::{Error, LoadRequest};
use kexec_machine::Snapshot;
use kexec_machine::volumes::{Automounts, Volumes};
use kexec_sys::{Kernel, Slot};

use crate::handover;
use crate::record::files::RecordFiles;
use crate::record::lock::{self, Purpose};
use crate::record::{self, Lock, SlotContent, Store};

/// The world: the running kernel and the root directory. Tests bring their own.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The system calls of the running kernel.
    pub kernel: &'a dyn Kernel,
    /// Where /proc, /sys and /run are.
    pub root: &'a Path,
    /// Whether automounts can be woken up.
    pub automounts: Automounts,
    /// Through what records are read and written.
    pub files: &'a dyn RecordFiles,
    /// Who is told of warnings and notes while the steps are at work.
    pub onlooker: &'a dyn Onlooker,
}

/// Somebody who looks on while the steps are at work.
pub trait Onlooker {
    /// Is told something. Nothing depends on what becomes of it.
    fn told(&self, told: Told<'_>);
}

/// What somebody who looks on is told.
#[derive(Debug)]
pub enum Told<'a> {
    /// The load that is about to be done, planned and checked.
    Prepared(&'a LoadRequest, &'a Prepared),
    /// Something is not as it should be, and the work goes on.
    Warning(String),
    /// Something that the user may want to know, and that is no reason to worry.
    Note(String),
    /// Somebody else is at work, and is waited for.
    Waiting(String),
    /// Files of these names and sizes in bytes are going to be read.
    Reading(Vec<(String, u64)>),
    /// The next step, in words such as `checking`, which may take its time.
    Doing(&'static str),
    /// Something failed that is not the reason why the work ends.
    Failed(Error),
}

impl<'a> World<'a> {
    /// Where records are kept.
    pub fn store(&self) -> Store<'a> {
        Store::with(self.root, self.files)
    }

    /// The lock for whatever loads or unloads; `command` is what others are told who
    /// wait for it.
    ///
    /// # Errors
    /// When somebody else has it for too long, or it is nothing of root's.
    pub fn lock(&self, command: &str) -> Result<Lock, Error> {
        self.lock_for(command, (Purpose::Change, lock::PATIENCE))
    }

    /// The same for a jump, which may be the last program of a shutdown.
    ///
    /// # Errors
    /// When somebody else has it for too long.
    pub(crate) fn lock_for_jump(&self, command: &str) -> Result<Lock, Error> {
        self.lock_for(command, (Purpose::Jump, lock::PATIENCE_OF_A_JUMP))
    }

    fn lock_for(&self, command: &str, how: (Purpose, Duration)) -> Result<Lock, Error> {
        lock::lock(self.root, command, how, &mut |text| {
            self.tell(Told::Waiting(text));
        })
    }

    /// What is in a slot, by the kernel and by our records.
    pub fn content(&self, slot: Slot) -> SlotContent {
        let loaded = handover::is_loaded_in(self.root, slot);
        record::look(self.store(), slot, loaded)
    }

    /// Reads everything about the machine that decides about a load.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::read_with(self.root, self.automounts)
    }

    /// Finds the file systems of this machine, mounted or not.
    pub fn volumes(&self) -> Volumes {
        Volumes::read_with(self.root, self.automounts)
    }

    /// Tells whoever looks on.
    pub fn tell(&self, told: Told<'_>) {
        self.onlooker.told(told);
    }

    /// Tells the onlooker that something is not as it should be.
    pub fn warn(&self, text: impl Into<String>) {
        self.tell(Told::Warning(text.into()));
    }
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}
