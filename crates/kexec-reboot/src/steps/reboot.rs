//! The last step: only when the load is done and remembered is init asked for the
//! shutdown.

use kexec_load::pipeline::Prepared;
use kexec_load::{Error, SyscallChoice};
use kexec_machine::snapshot::KexecFile;
use kexec_plan::Token;
use kexec_sys::{FileFlags, Slot, in_words};

use super::jump::jump_now;
use super::remember::{self, remember};
use super::{
    ArrivalOptions, ChosenLoad, LoadDone, LoadOptions, Ready, Selection, can_kexec, unload_held,
};
use crate::handover;
use crate::handover::init::{Init, InitFacts};
use crate::handover::shutdown_request::{self, Handover, ShutdownRequest};
use crate::preload;
use crate::record::boot::ClockReading;
use crate::record::slot::Need;
use crate::record::{Attempt, Lock, attempt};
use crate::world::World;

/// What follows the load of `kexec reboot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// What init is asked for.
    pub request: ShutdownRequest,
    /// `--now`: jump without init.
    pub now: bool,
    /// `--or-cold`: where no kexec is possible, reboot through the firmware.
    pub or_cold: bool,
    /// `--cold`: no kexec at all.
    pub cold: bool,
}

/// A reboot with everything read, planned and checked, and nothing changed yet.
#[derive(Debug)]
pub struct Journey {
    /// The load that it ends in.
    pub ready: Ready,
    /// How init is asked; `None` with `--now`.
    pub handover: Option<Handover>,
    token: Token,
}

/// A reboot whose kernel is loaded. Nobody has been asked for the shutdown yet, and until
/// then nobody else changes what is loaded.
#[derive(Debug)]
pub struct Departure {
    /// The boot entry: its id, its title, and why it is this one.
    pub entry: Option<(String, String, String)>,
    /// The plan that was carried out.
    pub prepared: Prepared,
    /// How init is asked; `None` with `--now`.
    pub handover: Option<Handover>,
    attempt: Option<Attempt>,
    was_loaded: Option<bool>,
    lock: Lock,
}

impl Journey {
    /// Finds the way out, chooses, reads, plans and checks.
    ///
    /// # Errors
    /// When there is no way out, no entry, or no plan. What a check refuses is a finding,
    /// and an error of the load.
    pub fn prepare(
        world: &World<'_>,
        init: &InitFacts,
        selection: &Selection,
        how: &Shutdown,
    ) -> Result<Journey, Error> {
        let host = world.snapshot();
        can_kexec(world, &host)?;
        // The way out is looked for first: it costs nothing, and without one
        // nothing else is worth doing.
        let handover = match how.now {
            true => None,
            false => Some(shutdown_request::plan(init, &how.request)?),
        };
        let mut chosen = ChosenLoad::choose(world, selection, &host)?;
        let mark = remember::mark(world)?;
        let token = mark.token.clone();
        chosen.request.mark = Some(mark);
        chosen.arrival = Some(ArrivalOptions {
            by_init: handover.is_some(),
            ..ArrivalOptions::of(selection)
        });
        Ok(Journey {
            ready: Ready::new(world, chosen, host)?,
            handover,
            token,
        })
    }

    /// The boot entry: its id, its title, and why it is this one.
    pub fn entry(&self) -> Option<(String, String, String)> {
        let entry = self.ready.chosen.entry.as_ref();
        entry.map(|e| (e.id.clone(), e.title.clone(), e.why.clone()))
    }

    /// Loads the kernel, and keeps the lock until the departure.
    ///
    /// # Errors
    /// When a check or the kernel said no, or what was loaded is gone at once.
    pub fn load(self, world: &World<'_>) -> Result<Departure, Error> {
        self.ready.tell(world);
        let entry = self.entry();
        let lock = world.lock("kexec reboot")?;
        let was_loaded = handover::is_loaded(world.root);
        let text = self.handover.as_ref().map(Handover::text);
        let text = text.unwrap_or_else(|| "--now".to_owned());
        let remembered = remember::RememberedEntry::of(&self.ready.chosen);
        let attempt = |prepared: &Prepared| {
            remember::attempt(world, &remembered, prepared, &self.token, text.clone())
        };
        let options = LoadOptions {
            flags: FileFlags::EMPTY,
            need: Need::Image,
            attempt: Some(&attempt),
        };
        let LoadDone { prepared, attempt } = self.ready.load(world, &lock, &options)?;
        let departure = Departure {
            entry,
            prepared,
            handover: self.handover,
            attempt,
            was_loaded,
            lock,
        };
        if handover::is_loaded(world.root) == Some(false) {
            let error = Error::system(
                "loading the kernel",
                format!(
                    "the running kernel accepted it, but {} shows that nothing is loaded",
                    KexecFile::Loaded.shown(world.root)
                ),
                "look for another program that unloads kernels",
            );
            return Err(departure.undo(world, error));
        }
        Ok(departure)
    }
}

impl Departure {
    /// Asks init for the shutdown, or jumps.
    ///
    /// # Errors
    /// When that did not even begin. What was loaded for it is taken out again.
    pub fn depart(self, world: &World<'_>) -> Result<(), Error> {
        // From here on a boot without its token is a cold boot that is told.
        if let Some(mut attempt) = self.attempt.clone() {
            attempt.preloaded = false;
            attempt.asked = ClockReading::now(world.root);
            remember(world, &mut attempt);
        }
        let done = match &self.handover {
            Some(handover) => shutdown_request::carry_out(handover),
            None => jump_now(world),
        };
        done.map_err(|error| self.undo(world, error))
    }

    /// Forgets it, and takes out what is ours. The error comes back with what stays.
    fn undo(&self, world: &World<'_>, error: Error) -> Error {
        if let Some(attempt) = &self.attempt {
            let _ = attempt::forget(world.store(), attempt);
        }
        let stays = match self.was_loaded {
            Some(false) => {
                let unloaded = unload_held(world, &self.lock, Slot::Normal, SyscallChoice::Auto);
                unloaded
                    .err()
                    .map(|why| format!("what was loaded for it stays ({why})"))
            }
            Some(true) if handover::is_loaded(world.root) != Some(false) => {
                Some("what was loaded for it stays, in place of the image before it".to_owned())
            }
            _ => None,
        };
        match stays {
            Some(stays) => error.led_to(&stays, "`kexec unload`, or request the reboot again"),
            None => error,
        }
    }
}

impl Shutdown {
    /// The target that systemd is on its way to, where that is not the one that jumps.
    pub fn goes_astray(&self, init: &InitFacts) -> Option<String> {
        if init.init != Init::Systemd || self.request.when.is_some() {
            return None;
        }
        let jobs = shutdown_request::jobs();
        match jobs.as_deref().and_then(shutdown_request::target_of) {
            Some("kexec.target") | None => None,
            Some(other) => Some(other.to_owned()),
        }
    }
}

/// Why a reboot goes through the firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColdReason {
    /// That is what was requested, and by what.
    Requested(String),
    /// A kexec was requested and refused, and a cold reboot was allowed instead.
    Refused(String),
}

/// A reboot through the firmware, and why. Nothing that is loaded may be jumped into any
/// more, whoever looks for it at the end of the shutdown.
///
/// # Errors
/// When what is loaded cannot be taken out, or init cannot be asked.
pub fn through_firmware(
    world: &World<'_>,
    handover: &Handover,
    why: ColdReason,
) -> Result<(), Error> {
    let root = world.root;
    let lock = world.lock("kexec reboot --cold")?;
    let was_loaded = handover::is_loaded(root) == Some(true);
    if was_loaded {
        unload_held(world, &lock, Slot::Normal, SyscallChoice::Auto)?;
    }
    if let Err(e) = preload::choose_cold(root) {
        let flag = preload::cold_flag(root);
        world.warn(format!(
            "{} cannot be written: {}",
            flag.display(),
            in_words(e)
        ));
    }
    if let Some(mut attempt) = remember::cold(world, handover.text(), why) {
        remember(world, &mut attempt);
    }
    shutdown_request::carry_out(handover).map_err(|error| {
        let _ = preload::choose_kexec(root);
        match was_loaded {
            true => error.led_to(
                "no reboot is under way, and the image that was loaded is unloaded",
                "request the reboot again, or load an image again with `kexec load`",
            ),
            false => error,
        }
    })
}
