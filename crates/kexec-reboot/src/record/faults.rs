//! A machine on which any step can fail, or be the last one: a file system that fails
//! as real ones do, and a kernel's slot.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::files::{OnDisk, RecordFiles};

/// What happens at one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepFault {
    /// Nothing new fits any more, from that step on.
    Full,
    /// Nothing can be changed any more, from that step on.
    ReadOnly,
    /// This step fails; the next one does not.
    Once,
    /// Every step from this one on fails.
    Broken,
    /// The same, for want of the right to do it.
    Denied,
    /// The program is killed before it.
    KilledBefore,
    /// The program is killed in it: of what is written only a part is there.
    KilledIn,
}

pub(super) const FAULTS: [StepFault; 6] = [
    StepFault::Full,
    StepFault::ReadOnly,
    StepFault::Once,
    StepFault::Broken,
    StepFault::KilledBefore,
    StepFault::KilledIn,
];

/// How a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    Well,
    /// Half of it is done, and the program is dead.
    Half,
    Fails(Errno),
}

/// A file system and a slot of the kernel, with one fault.
#[derive(Debug)]
pub(super) struct FaultyMachine {
    /// At which step of those that change something.
    at: usize,
    fault: StepFault,
    steps: Cell<usize>,
    dead: Cell<bool>,
    /// What is in the kernel's slot.
    pub image: RefCell<Option<String>>,
}

impl FaultyMachine {
    pub fn new(image: Option<&str>, fault: StepFault, at: usize) -> FaultyMachine {
        FaultyMachine {
            at,
            fault,
            steps: Cell::new(0),
            dead: Cell::new(false),
            image: RefCell::new(image.map(str::to_owned)),
        }
    }

    /// Whether the program was killed. What it does afterwards has no effect.
    pub fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Whether the fault was met.
    pub fn was_met(&self) -> bool {
        self.steps.get() > self.at
    }

    fn step(&self, writes: bool, on_disk: bool) -> Goes {
        if self.dead.get() {
            return Goes::Fails(Errno::IO);
        }
        let now = self.steps.get();
        self.steps.set(now + 1);
        if now < self.at {
            return Goes::Well;
        }
        match self.fault {
            StepFault::KilledBefore => {
                self.dead.set(true);
                Goes::Fails(Errno::IO)
            }
            StepFault::KilledIn => {
                self.dead.set(true);
                Goes::Half
            }
            // A disk has no say in what the kernel does.
            _ if !on_disk => Goes::Well,
            StepFault::Full if writes => Goes::Fails(Errno::NOSPC),
            StepFault::ReadOnly => Goes::Fails(Errno::ROFS),
            StepFault::Once if now == self.at => Goes::Fails(Errno::IO),
            StepFault::Broken => Goes::Fails(Errno::IO),
            StepFault::Denied => Goes::Fails(Errno::ACCESS),
            StepFault::Full | StepFault::Once => Goes::Well,
        }
    }

    fn changes(&self, then: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self.step(false, true) {
            Goes::Well | Goes::Half => then(),
            Goes::Fails(e) => Err(e.into()),
        }
    }

    /// The system call: a step that is done whole or not at all.
    pub fn kernel(&self, image: Option<&str>) -> Result<(), &'static str> {
        match self.step(false, false) {
            Goes::Fails(_) => Err("dead"),
            Goes::Well | Goes::Half => {
                *self.image.borrow_mut() = image.map(str::to_owned);
                Ok(())
            }
        }
    }
}

impl RecordFiles for FaultyMachine {
    fn make_folder(&self, path: &Path, parents: bool) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        match self.step(true, true) {
            Goes::Fails(e) => Err(e.into()),
            Goes::Well | Goes::Half => OnDisk.make_folder(path, parents),
        }
    }

    fn write_new(&self, path: &Path, text: &[u8]) -> io::Result<File> {
        match self.step(true, true) {
            Goes::Well => OnDisk.write_new(path, text),
            Goes::Half => OnDisk.write_new(path, &text[..text.len() / 2]),
            Goes::Fails(e) => {
                // The name is there, and what fitted.
                if e == Errno::NOSPC && !self.is_dead() {
                    drop(OnDisk.write_new(path, &text[..text.len() / 2])?);
                }
                Err(e.into())
            }
        }
    }

    // No power fails here; and a disk that is waited for costs half a minute.
    fn sync(&self, _: &File) -> io::Result<()> {
        self.changes(|| Ok(()))
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.changes(|| Ok(()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.changes(|| OnDisk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            return Ok(());
        }
        self.changes(|| OnDisk.remove(path))
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        OnDisk.read(path)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        OnDisk.names(folder)
    }
}
