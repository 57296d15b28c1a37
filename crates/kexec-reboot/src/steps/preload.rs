//! Loading ahead, in steps: what a reboot would boot is found, one pure decision is made
//! ([`preload::decide`]), and it is carried out.

use kexec_load::pipeline::Prepared;
use kexec_load::{Error, SyscallChoice};
use kexec_machine::Snapshot;
use kexec_sys::{FileFlags, Slot, in_words};

use super::{
    ArrivalOptions, ChosenLoad, ColdReason, LoadOptions, Ready, Selection, can_kexec, put_right,
    remember, unload_held,
};
use crate::arrival::{self, last_jump};
use crate::conf;
use crate::enable;
use crate::handover::{self, shutdown_request};
use crate::preload::cold_every;
use crate::preload::{self, InSlot, PreloadMoment, Situation, Step, decide};
use crate::record::settle::settle;
use crate::record::slot::{Need, SlotChange};
use crate::record::{BootFacts, Lock, SlotContent, attempt};
use crate::record::{PreloadTarget, Preloaded};
use crate::world::World;

/// The kernel parameter that switches it off for one boot.
const OFF: &str = "kexec=off";

/// How something is loaded ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreloadOptions {
    /// What a reboot would boot, or a kernel by its name.
    pub target: PreloadTarget,
    /// `--at-shutdown`: the machine is about to go down.
    pub at_shutdown: bool,
    /// `--if-enabled`: do nothing while the feature is off.
    pub if_enabled: bool,
    /// `--yes-this-machine`: load although the last kexec did not arrive.
    pub this_machine: bool,
    /// `--dry-run`: only say what would be done.
    pub dry_run: bool,
}

/// What is to be loaded ahead, and everything that decides whether it is.
#[derive(Debug)]
pub struct PreloadPlan {
    /// What is to be loaded, where it was found.
    chosen: Result<ChosenLoad, Error>,
    situation: Situation,
    /// Why it is this reboot's turn to go through the firmware.
    turn: Option<String>,
    host: Snapshot,
    this_machine: bool,
}

/// When this is: while the machine runs, or at which end of it.
///
/// # Errors
/// Why nothing is to be done at this shutdown.
pub fn preload_moment(how: &PreloadOptions) -> Result<PreloadMoment, &'static str> {
    if !how.at_shutdown {
        return Ok(PreloadMoment::Running);
    }
    let Some(jobs) = shutdown_request::jobs() else {
        return Err("systemd does not report whether the machine is shutting down");
    };
    match shutdown_request::target_of(&jobs) {
        None => Err("the machine is not shutting down"),
        Some(target) => Ok(PreloadMoment::Shutdown {
            jumps: target == "kexec.target" || target == "reboot.target",
            asked: target == "kexec.target",
        }),
    }
}

impl PreloadPlan {
    /// Reads the machine. With the lock, what an interrupted change left is put right
    /// first.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn read(
        world: &World<'_>,
        how: &PreloadOptions,
        moment: PreloadMoment,
        lock: Option<&Lock>,
    ) -> Result<PreloadPlan, Error> {
        can_kexec(world, &world.snapshot())?;
        if let Some(lock) = lock {
            put_right(world, lock, Slot::Normal)?;
        }
        let host = world.snapshot();
        let selection = Selection::default_entry();
        let chosen = match &how.target {
            PreloadTarget::Default => ChosenLoad::choose(world, &selection, &host),
            PreloadTarget::Named(name) => ChosenLoad::named(world, &selection, name, &host),
        };
        let volumes = chosen.as_ref().ok().and_then(|c| c.volumes.as_ref());
        let mut wishes = match volumes {
            Some(volumes) => arrival::firmware::read(volumes).texts(),
            None => arrival::firmware::read(&world.volumes()).texts(),
        };
        if let Ok(chosen) = &chosen
            && let Some(entry) = &chosen.entry
            && entry.one_shot.is_some()
        {
            wishes.push(format!(
                "the boot loader is to boot {} once, and a kexec would not clear that request",
                entry.id
            ));
        }
        let cold = cold(world, &host);
        // Who requests a kexec in so many words gets one.
        let asked = matches!(moment, PreloadMoment::Shutdown { asked: true, .. });
        let turn = match (&cold, asked) {
            (None, false) => turn(world),
            _ => None,
        };
        let situation = Situation {
            moment,
            target: how.target.clone(),
            wanted: match &chosen {
                Ok(chosen) => chosen.fingerprint(),
                Err(error) => Err(error.to_string()),
            },
            slot: slot(world),
            cold: cold.or_else(|| turn.clone()),
            distrust: distrust(world, how),
            wishes,
            available: host.memory.available.known().copied(),
        };
        Ok(PreloadPlan {
            chosen,
            situation,
            turn,
            host,
            this_machine: how.this_machine,
        })
    }

    /// What is to be done.
    pub fn step(&self) -> Step {
        decide(&self.situation)
    }

    /// Why a step ends in an error, whatever is tried; without carrying it out.
    pub fn refusal(self, step: &Step) -> Option<Error> {
        match step {
            Step::Cannot { why, remedy } => Some(cannot(self.chosen, why.clone(), remedy.clone())),
            _ => None,
        }
    }

    /// Carries a step out, and returns what was loaded.
    ///
    /// # Errors
    /// When the load was refused, or what is loaded cannot be taken out.
    pub fn carry_out(
        self,
        world: &World<'_>,
        lock: &Lock,
        step: Step,
    ) -> Result<Option<Prepared>, Error> {
        let (moment, target) = (self.situation.moment, self.situation.target);
        let mut uncompared = None;
        let mut loaded = None;
        match step {
            Step::Leave(_) | Step::Wait(_) => {}
            Step::Cannot { why, remedy } => return Err(cannot(self.chosen, why, remedy)),
            Step::Doubt(why) => {
                world.warn(format!(
                    "the loaded image could not be compared with what a reboot would boot: {why}"
                ));
                uncompared = Some(why);
            }
            Step::TakeOut(_) => unload_held(world, lock, Slot::Normal, SyscallChoice::Auto)?,
            Step::Load(_) => {
                let from = self.situation.wanted.map_err(|why| {
                    Error::system("looking at what a reboot would boot", why, "try again")
                })?;
                let mut chosen = self.chosen?;
                chosen.preloaded = Some(Preloaded { target, from });
                // What is replaced was loaded on this machine because somebody said so.
                let there = matches!(self.situation.slot, InSlot::Ours(_));
                let this_machine = self.this_machine || there;
                loaded = Some(load_ahead(world, lock, chosen, self.host, this_machine)?);
            }
        }
        if let PreloadMoment::Shutdown { jumps: true, asked } = moment {
            match self.turn {
                Some(why) => announce_cold(world, why),
                None => announce(world, asked, uncompared),
            }
        }
        Ok(loaded)
    }
}

/// Nothing can be loaded ahead: the error of the choice, where that is why.
fn cannot(chosen: Result<ChosenLoad, Error>, why: String, remedy: String) -> Error {
    match chosen {
        Err(error) if why == error.to_string() => error,
        _ => Error::refused("loading ahead what a reboot would boot", why, remedy),
    }
}

/// What is in the slot, for the decision.
fn slot(world: &World<'_>) -> InSlot {
    match world.content(Slot::Normal) {
        SlotContent::Unknown | SlotContent::Hidden => InSlot::Unknown,
        SlotContent::Empty => InSlot::Empty,
        SlotContent::Foreign => InSlot::Theirs,
        SlotContent::Ours(record) => record.preloaded.map_or(InSlot::Theirs, InSlot::Ours),
        SlotContent::Interrupted(found) => match (found.change, &found.record) {
            // It has only to be written down.
            (SlotChange::Load, Some(record)) => {
                let preloaded = record.preloaded.clone();
                preloaded.map_or(InSlot::Theirs, InSlot::Ours)
            }
            _ => InSlot::Accident(found.text()),
        },
    }
}

/// Whether what is loaded was loaded ahead, or is what an interrupted change left: then
/// it goes when preloading is switched off.
pub fn is_preloaded(world: &World<'_>) -> bool {
    matches!(slot(world), InSlot::Ours(_) | InSlot::Accident(_))
}

/// Why this boot has to end in the firmware, if it has to.
fn cold(world: &World<'_>, host: &Snapshot) -> Option<String> {
    if preload::cold_flag(world.root).exists() {
        return Some("kexec reboot --cold requested a boot through the firmware".to_owned());
    }
    let line = host.cmdline.known()?;
    let off = line.words().any(|word| word == OFF.as_bytes());
    off.then(|| format!("the running kernel's command line has {OFF}"))
}

/// Why the next reboot has to be a cold one, if it is its turn (`--cold-every`).
fn turn(world: &World<'_>) -> Option<String> {
    match conf::read(world.root).map(|conf| conf.cold_every) {
        Ok(None) => None,
        Ok(Some(every)) => cold_every::due(every, kexecs_since_cold(world).unwrap_or(0)),
        // What it was to say is unknown, and the firmware is always right.
        Err(wrong) => Some(format!(
            "{wrong}: nothing is loaded ahead until that is corrected"
        )),
    }
}

/// How many kexecs this machine has had since it went through the firmware; `None`
/// where no request is remembered, or only root may know.
pub fn kexecs_since_cold(world: &World<'_>) -> Option<u64> {
    let boot = BootFacts::read(world.root)?;
    let settled = settle(world.store(), &boot, false).ok()?;
    cold_every::kexecs_since_cold(&settled.attempts, &boot.boot_id)
}

/// Why this machine is left alone while nobody watches, if it is.
fn distrust(world: &World<'_>, how: &PreloadOptions) -> Option<String> {
    if how.this_machine {
        return None;
    }
    let last = last_jump::read(world.root)?;
    Some(format!(
        "{}: nothing is loaded ahead until one does (kexec reboot), or until --yes-this-machine",
        last.text()
    ))
}

fn load_ahead(
    world: &World<'_>,
    lock: &Lock,
    mut chosen: ChosenLoad,
    host: Snapshot,
    this_machine: bool,
) -> Result<Prepared, Error> {
    let mark = remember::mark(world)?;
    let token = mark.token.clone();
    chosen.request.mark = Some(mark);
    chosen.arrival = Some(ArrivalOptions {
        by_init: true,
        allow_passphrase: false,
        this_machine,
    });
    let remembered = remember::RememberedEntry::of(&chosen);
    let attempt = |prepared: &Prepared| {
        remember::attempt(world, &remembered, prepared, &token, "a reboot".to_owned())
    };
    let options = LoadOptions {
        flags: FileFlags::EMPTY,
        need: Need::Record,
        attempt: Some(&attempt),
    };
    let loaded = Ready::new(world, chosen, host).and_then(|ready| {
        ready.tell(world);
        ready.load(world, lock, &options)
    });
    match loaded {
        Ok(loaded) => Ok(loaded.prepared),
        Err(error) => {
            let take_out = || unload_held(world, lock, Slot::Normal, SyscallChoice::Auto);
            Err(preload::after_refusal(error, &slot(world), take_out))
        }
    }
}

/// The shutdown is under way, and it is its turn to go through the firmware: a reboot
/// that was wished for.
fn announce_cold(world: &World<'_>, why: String) {
    if handover::is_loaded(world.root) == Some(true) {
        // Somebody loaded that on purpose, and it is jumped into.
        return;
    }
    let requests = attempt::read_all(world.store()).unwrap_or_default();
    let boot = BootFacts::read(world.root).map(|boot| boot.boot_id);
    let newest = requests.first().filter(|one| one.cold.is_some());
    if newest.is_some_and(|one| Some(&one.boot_id) == boot.as_ref()) {
        // Another unit of ours was here before.
        return;
    }
    let why = ColdReason::Requested(why);
    if let Some(mut attempt) = remember::cold(world, "reboot.target".to_owned(), why) {
        remember::remember(world, &mut attempt);
    }
}

/// The shutdown is under way, and what is loaded will be jumped into.
fn announce(world: &World<'_>, by_name: bool, uncompared: Option<String>) {
    let feature = enable::feature("preload");
    let every = feature.is_some_and(|f| enable::is_enabled(world.root, f));
    if !matches!(slot(world), InSlot::Ours(_)) || !(by_name || every) {
        return;
    }
    let Some(boot) = BootFacts::read(world.root) else {
        return;
    };
    let handover = match by_name {
        true => "kexec.target",
        false => "reboot.target",
    };
    let (id, now) = (&boot.boot_id, &boot.now);
    let asked = attempt::ask_preloaded(world.store(), id, now, handover, uncompared);
    if let Err(e) = asked {
        world.warn(format!(
            "the next boot will not know how it went: {}",
            in_words(e)
        ));
    }
}
