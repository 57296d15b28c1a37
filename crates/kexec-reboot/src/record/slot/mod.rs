//! What is in a slot: the kernel's word, and our records; and every change of it, in
//! steps after each of which the truth can be told.
//!
//! ```text
//! load    write loading.json ── kexec_load(2) ── rename to loaded.json
//! unload  rename loaded.json to unloading.json ── kexec_load(2) with nothing ── remove
//! ```
//!
//! A load of ours that died is told from one of another program (kexec-tools,
//! `systemctl kexec`) by its file: a program that is not ours leaves none. What
//! cannot be told: a program that loads over an image of ours with nothing between,
//! because the kernel only says that something is loaded.

use std::io;
use std::path::{Path, PathBuf};

use kexec_sys::{Slot, in_words};
use serde::Serialize;

use super::files::Store;
use super::loaded::{LoadRecord, Which};
use super::lock::Lock;
use kexec_load::Error;
use kexec_machine::Problem;

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotContent {
    /// The kernel does not say.
    Unknown,
    /// The kernel says that nothing is loaded.
    Empty,
    /// An image of ours.
    Ours(Box<LoadRecord>),
    /// An image that another program loaded.
    Foreign,
    /// An image; only root may read what it is.
    Hidden,
    /// An image that a change of ours left behind that did not end.
    Interrupted(Interrupted),
}

/// A change that did not end: its program was killed, or could not write any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interrupted {
    /// Which change it was.
    pub change: SlotChange,
    /// What it was about, if that can be read.
    pub record: Option<Box<LoadRecord>>,
}

/// Which change did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SlotChange {
    /// A load into an empty slot: what is there is what was being loaded.
    Load,
    /// A load over another image: it is the one or the other.
    LoadOver,
    /// A load that could not be written down, over an image of ours: it is the one or
    /// the other.
    Replace,
    /// An unload: what was there may be there still.
    Unload,
    /// None that is known: the record is there, and cannot be read.
    Unreadable,
}

impl Interrupted {
    /// What happened, for messages.
    pub fn text(&self) -> String {
        let kernel = self.record.as_ref();
        let kernel = kernel.map_or("a kernel", |record| record.kernel.as_str());
        match self.change {
            SlotChange::Load => {
                format!("a load of {kernel} was interrupted after the kernel took it")
            }
            SlotChange::LoadOver => format!(
                "a load of {kernel} over another image was interrupted: either of them is loaded"
            ),
            SlotChange::Replace => {
                format!("a load over {kernel} was interrupted: either of them is loaded")
            }
            SlotChange::Unload => {
                format!("an unload of {kernel} was interrupted before the kernel unloaded it")
            }
            SlotChange::Unreadable => {
                "its record below /run/kexec cannot be read, so the image is unknown".to_owned()
            }
        }
    }
}

/// Looks at a slot; `loaded` is what the kernel says. Changes nothing.
pub fn look(store: Store<'_>, slot: Slot, loaded: Option<bool>) -> SlotContent {
    match loaded {
        None => return SlotContent::Unknown,
        Some(false) => return SlotContent::Empty,
        Some(true) => {}
    }
    let unreadable = SlotContent::Interrupted(Interrupted {
        change: SlotChange::Unreadable,
        record: None,
    });
    let interrupted = |change, record| {
        SlotContent::Interrupted(Interrupted {
            change,
            record: Some(Box::new(record)),
        })
    };
    let read = |which| store.read_record(slot, which);
    match read(Which::Loading) {
        Ok(Some(record)) if record.over == Some(false) => {
            return interrupted(SlotChange::Load, record);
        }
        Ok(Some(record)) => return interrupted(SlotChange::LoadOver, record),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return SlotContent::Hidden,
        Err(_) => return unreadable,
        Ok(None) => {}
    }
    for (which, change) in [
        (Which::Replacing, SlotChange::Replace),
        (Which::Unloading, SlotChange::Unload),
    ] {
        match read(which) {
            Ok(Some(record)) => return interrupted(change, record),
            Err(_) => return unreadable,
            Ok(None) => {}
        }
    }
    match read(Which::Loaded) {
        Ok(Some(record)) => SlotContent::Ours(Box::new(record)),
        Ok(None) => SlotContent::Foreign,
        Err(_) => unreadable,
    }
}

/// Puts right what an interrupted change left behind; whoever calls it holds the lock,
/// so that nobody is still at it. A finished load gets its record; every other image
/// is taken out by `take_out`, but not from the crash slot: there an uncertain image is
/// better than none. Returns what was found and done, for people.
///
/// # Errors
/// When the image cannot be taken out, or the record not be written.
pub(crate) fn put_right(
    store: Store<'_>,
    _lock: &Lock,
    slot: Slot,
    loaded: Option<bool>,
    take_out: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<Option<String>, Error> {
    let found = match look(store, slot, loaded) {
        SlotContent::Interrupted(found) => found,
        SlotContent::Empty => {
            // What is remembered of an image that is gone would be believed of the next.
            return match forget(store, slot) {
                // Who may not look there has no right to load either: the kernel says it
                // better.
                Err((_, e)) if e.kind() == io::ErrorKind::PermissionDenied => Ok(None),
                forgotten => forgotten
                    .map(|()| None)
                    .map_err(|(path, e)| unremembered(&path, e)),
            };
        }
        _ => return Ok(None),
    };
    let text = found.text();
    if found.change == SlotChange::Load {
        store
            .rename_record(slot, Which::Loading, Which::Loaded)
            .map_err(|e| unremembered(&store.record_path(slot, Which::Loaded), e))?;
        return Ok(Some(format!("{text}; it is recorded now")));
    }
    if slot == Slot::Crash {
        return Ok(Some(format!("{text}; load the crash kernel again")));
    }
    take_out()?;
    forget(store, slot).map_err(|(path, e)| unremembered(&path, e))?;
    Ok(Some(format!("{text}; it was unloaded")))
}

/// Forgets what is known of a slot.
fn forget(store: Store<'_>, slot: Slot) -> Result<(), (PathBuf, io::Error)> {
    let removed = Which::ALL.map(|which| {
        let path = store.record_path(slot, which);
        store.remove_record(slot, which).map_err(|e| (path, e))
    });
    removed.into_iter().collect()
}

/// What to do about a record that cannot be written.
const REMEDY: &str = "make room in /run, and make it writable (df /run; mount); then try again";

fn unremembered(path: &Path, error: io::Error) -> Error {
    Error::System(Problem::caused(
        format!("cannot change the record {}", path.display()),
        error,
        REMEDY,
    ))
}

/// Whether a load may go on without a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No: it is loaded for later, and nobody would know what it is.
    Record,
    /// Yes, with a warning: somebody wants it now.
    Image,
}

/// A load with its record: `run` asks the kernel, and calls what it is given before
/// each time it does, with what it is about to load. `loaded` is what the kernel says
/// of the slot now; `take_out` is called where the image of a load that needs a record
/// got none. Returns what `run` does, and why the image has no record, for people.
///
/// # Errors
/// As `run`; and when a record is needed and cannot be written. What was loaded before
/// is still loaded then, or nothing is.
pub fn load<T>(
    store: Store<'_>,
    lock: &Lock,
    (slot, loaded): (Slot, Option<bool>),
    need: Need,
    run: impl FnOnce(&mut dyn FnMut(&LoadRecord) -> Result<(), Error>) -> Result<T, Error>,
    take_out: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<(T, Option<String>), Error> {
    let mut begun: Option<Begun<'_>> = None;
    let done = run(&mut |record| match &begun {
        Some(begun) => begun.instead(record),
        None => {
            begun = Some(Begun::new(store, lock, (slot, loaded), record, need)?);
            Ok(())
        }
    });
    match (done, begun) {
        (Ok(value), Some(begun)) => match begun.done() {
            Some(why) if need == Need::Record => {
                let refusal = Error::system(
                    "the record of what was loaded cannot be completed",
                    why,
                    REMEDY,
                );
                match take_out() {
                    Ok(()) => Err(refusal),
                    Err(unload) => Err(Error::stays(refusal, unload)),
                }
            }
            why => Ok((value, why)),
        },
        (Ok(value), None) => Ok((value, None)),
        (Err(error), begun) => {
            if let Some(begun) = begun {
                begun.refused();
            }
            Err(error)
        }
    }
}

/// What a slot's files said before a load.
#[derive(Debug)]
enum Earlier {
    /// No load was interrupted.
    None,
    /// A load of this image was interrupted.
    Load(Box<LoadRecord>),
    /// Something was, and it cannot be read.
    Unreadable,
}

/// A load that the kernel is about to be asked for.
#[derive(Debug)]
struct Begun<'a> {
    store: Store<'a>,
    slot: Slot,
    /// Whether something was loaded before.
    loaded: Option<bool>,
    /// Why it has no record.
    unrecorded: Option<String>,
    /// There is no /run at all, where nobody looks for one either.
    nowhere: bool,
    /// An earlier load that did not end: it comes back if this one is refused.
    earlier: Earlier,
    /// What was put aside, because it must not be believed of this image.
    aside: Option<Which>,
}

impl<'a> Begun<'a> {
    /// Writes down what is about to be loaded. `loaded` is what the kernel says of the
    /// slot now. Where nothing can be written and the load may go on all the same, the
    /// record of the image before it is put aside: it must not be believed of this one.
    /// What tells of an interrupted change is never taken away: behind it may be the
    /// record of an image that is not there any more.
    ///
    /// # Errors
    /// When a record is needed and cannot be written, or the one of the image before
    /// it cannot be put aside.
    fn new(
        store: Store<'a>,
        _lock: &Lock,
        (slot, loaded): (Slot, Option<bool>),
        record: &LoadRecord,
        need: Need,
    ) -> Result<Begun<'a>, Error> {
        let earlier = match store.read_record(slot, Which::Loading) {
            Ok(None) => Earlier::None,
            Ok(Some(record)) => Earlier::Load(Box::new(record)),
            Err(_) => Earlier::Unreadable,
        };
        let mut begun = Begun {
            store,
            slot,
            loaded,
            unrecorded: None,
            nowhere: false,
            earlier,
            aside: None,
        };
        let Err(e) = begun.write(record) else {
            return Ok(begun);
        };
        let path = store.record_path(slot, Which::Loading);
        // It may be there although it is not safe on the disk.
        let left = begun.back_to_earlier();
        if need == Need::Record {
            return Err(unremembered(&path, e));
        }
        // As above: who has no right gets the kernel's own answer.
        if e.kind() != io::ErrorKind::PermissionDenied {
            let put = left.and_then(|()| begun.put_aside());
            let loaded = store.record_path(slot, Which::Loaded);
            put.map_err(|stays| unremembered(&loaded, stays))?;
        }
        begun.nowhere = e.kind() == io::ErrorKind::NotFound;
        begun.unrecorded = Some(format!("{}: {}", path.display(), in_words(e)));
        Ok(begun)
    }

    fn write(&self, record: &LoadRecord) -> io::Result<()> {
        let record = LoadRecord {
            over: self.loaded,
            ..record.clone()
        };
        self.store.write_record(self.slot, Which::Loading, &record)
    }

    /// What is said of an interrupted load is as it was before this one. Where that
    /// cannot be, what is said stays that one of several images is there.
    fn back_to_earlier(&self) -> io::Result<()> {
        let (store, slot) = (self.store, self.slot);
        match &self.earlier {
            Earlier::None => store.remove_record(slot, Which::Loading),
            // Whatever the file says by now is of an interrupted load.
            Earlier::Load(earlier) => {
                let now = store.read_record(slot, Which::Loading);
                if now.ok().flatten().as_ref() != Some(&**earlier) {
                    let _ = store.write_record(slot, Which::Loading, earlier);
                }
                Ok(())
            }
            Earlier::Unreadable => Ok(()),
        }
    }

    /// What is believed of the image that is there becomes what may have been replaced.
    /// Where it is told of as doubtful anyway, nothing has to be done.
    fn put_aside(&mut self) -> io::Result<()> {
        let (store, slot) = (self.store, self.slot);
        let there = |which| !matches!(store.read_record(slot, which), Ok(None));
        let from = match &self.earlier {
            Earlier::Load(earlier) if earlier.over == Some(false) => Which::Loading,
            Earlier::Load(_) | Earlier::Unreadable => return Ok(()),
            Earlier::None if there(Which::Replacing) => return Ok(()),
            Earlier::None if there(Which::Unloading) => Which::Unloading,
            Earlier::None => Which::Loaded,
        };
        rename_if_there(store, slot, from, Which::Replacing)?;
        self.aside = Some(from);
        Ok(())
    }

    /// The same load goes on with another plan.
    ///
    /// # Errors
    /// When that cannot be written down.
    fn instead(&self, record: &LoadRecord) -> Result<(), Error> {
        if self.unrecorded.is_some() {
            return Ok(());
        }
        let path = self.store.record_path(self.slot, Which::Loading);
        self.write(record).map_err(|e| unremembered(&path, e))
    }

    /// The kernel has taken the image. Returns why it has no record, or none that is
    /// complete, for people; nothing where there is no /run that could have one.
    fn done(self) -> Option<String> {
        let (store, slot) = (self.store, self.slot);
        // What tells of doubt goes last, so that nothing else is ever believed.
        let gone = |all: &[Which]| -> io::Result<()> {
            let mut all = all.iter();
            all.try_for_each(|which| store.remove_record(slot, *which))
        };
        if self.unrecorded.is_some() {
            let doubts = [Which::Unloading, Which::Loading, Which::Replacing];
            let _ = gone(&[Which::Loaded]).and_then(|()| gone(&doubts));
            return self.unrecorded.filter(|_| !self.nowhere);
        }
        let renamed = gone(&[Which::Unloading, Which::Replacing])
            .and_then(|()| store.rename_record(slot, Which::Loading, Which::Loaded));
        renamed.err().map(|e| {
            let path = store.record_path(slot, Which::Loaded);
            format!("{}: {}", path.display(), in_words(e))
        })
    }

    /// The kernel has refused it: what was loaded before is there as it was, and so is
    /// what is said of it.
    fn refused(self) {
        let (store, slot) = (self.store, self.slot);
        // Where that fails the next look takes the image out; that is the safe side.
        let _ = match (&self.unrecorded, self.aside) {
            (Some(_), Some(aside)) => rename_if_there(store, slot, Which::Replacing, aside),
            (Some(_), None) => Ok(()),
            (None, _) => self.back_to_earlier(),
        };
    }
}

/// The record of what is loaded becomes one of what is going.
fn aside(store: Store<'_>, slot: Slot, to: Which) -> io::Result<()> {
    rename_if_there(store, slot, Which::Loaded, to)
}

fn back(store: Store<'_>, slot: Slot, from: Which) -> io::Result<()> {
    rename_if_there(store, slot, from, Which::Loaded)
}

fn rename_if_there(store: Store<'_>, slot: Slot, from: Which, to: Which) -> io::Result<()> {
    // Where nothing can be written, that comes first, also of what is not there.
    match store.files().read(&store.record_path(slot, from)) {
        Ok(None) => Ok(()),
        _ => store.rename_record(slot, from, to),
    }
}

/// Takes an image out by `ask`, which asks the kernel. Never fails for want of a
/// record: that nothing is loaded can always be told. `warn` is told of a record that
/// stays.
///
/// # Errors
/// As `ask`; then the image and its record are as they were.
pub fn take_out<E>(
    store: Store<'_>,
    _lock: &Lock,
    slot: Slot,
    ask: impl FnOnce() -> Result<(), E>,
    warn: &mut dyn FnMut(String),
) -> Result<(), E> {
    let aside = aside(store, slot, Which::Unloading);
    if let Err(e) = ask() {
        if aside.is_ok() {
            let _ = back(store, slot, Which::Unloading);
        }
        return Err(e);
    }
    if let Err((path, e)) = forget(store, slot) {
        warn(format!(
            "the record {} could not be removed although nothing is loaded: {}; an image that \
             another program loads would be mistaken for it",
            path.display(),
            in_words(e)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
