//! `kexec preload`: what a reboot would boot is loaded before anybody asks for
//! the reboot. For units and hooks; `kexec enable preload` switches them on.

use kexec_load::pipeline::Prepared;
use kexec_load::{Error, SyscallChoice};
use kexec_machine::Snapshot;
use kexec_machine::volumes::Automounts;
use kexec_reboot::arrival;
use kexec_reboot::arrival::last_jump;
use kexec_reboot::enable;
use kexec_reboot::handover::ask;
use kexec_reboot::preload;
use kexec_reboot::preload::{InSlot, Moment, Of, Preloaded, Situation, Step, decide};
use kexec_reboot::record::slot::{Change, Need};
use kexec_reboot::record::{BootFacts, Content, Lock, attempt};
use kexec_sys::{FileFlags, Slot};

use super::load::{self, Ask, Ready};
use super::unload::unload_held;
use super::wanted::{ArrivalAsk, Found};
use super::{World, exit, history, print, print_json, remember};
use crate::render::{json, text, visible};
use crate::request::{Preload, Wanted};

/// The kernel parameter that switches it off for one boot.
const OFF: &str = "kexec=off";

/// `kexec preload`.
pub fn verb(world: &World<'_>, how: &Preload, json: bool) -> u8 {
    let feature = enable::feature("preload");
    if how.if_enabled && !feature.is_some_and(|f| enable::is_enabled(world.root, f)) {
        return exit::DONE;
    }
    let lock = match how.dry_run {
        true => None,
        false => match world.lock("kexec preload") {
            Ok(lock) => Some(lock),
            Err(error) => {
                load::refuse(&error, json);
                return exit::REFUSED;
            }
        },
    };
    let moment = match shutdown(how) {
        Ok(moment) => moment,
        Err(why) => {
            say(&Step::Leave(why.to_owned()), json);
            return exit::DONE;
        }
    };
    if moment == Moment::Running && !how.dry_run {
        tell_last(world);
    }
    let world = &World {
        automounts: match moment {
            Moment::Running => Automounts::Wake,
            Moment::Shutdown { .. } => Automounts::Leave,
        },
        ..*world
    };
    let right = match &lock {
        Some(lock) => load::put_right(world, lock, Slot::Normal),
        None => Ok(()),
    };
    let done = right
        .and_then(|()| Ahead::read(world, how, moment))
        .and_then(|ahead| ahead.act(lock.as_ref(), json));
    match done {
        Ok(()) => exit::DONE,
        Err(error) => {
            load::refuse(&error, json);
            exit::REFUSED
        }
    }
}

/// When this is: while the machine runs, or at which end of it.
fn shutdown(how: &Preload) -> Result<Moment, &'static str> {
    if !how.at_shutdown {
        return Ok(Moment::Running);
    }
    let Some(jobs) = ask::jobs() else {
        return Err("systemd does not say whether the machine is shutting down");
    };
    match ask::target_of(&jobs) {
        None => Err("the machine is not shutting down"),
        Some(target) => Ok(Moment::Shutdown {
            jumps: target == "kexec.target" || target == "reboot.target",
            asked: target == "kexec.target",
        }),
    }
}

/// The journal of this boot says how the last one ended.
fn tell_last(world: &World<'_>) {
    let Ok(settled) = history::settled(world) else {
        return;
    };
    for note in &settled.notes {
        eprintln!("kexec: note: {}", visible(note));
    }
    if let Some(last) = settled.last() {
        print(&text::last(last));
    }
}

struct Ahead<'a> {
    world: &'a World<'a>,
    how: &'a Preload,
    /// What is to be loaded, where it was found.
    found: Result<Found, Error>,
    situation: Situation,
}

impl<'a> Ahead<'a> {
    fn read(world: &'a World<'a>, how: &'a Preload, moment: Moment) -> Result<Ahead<'a>, Error> {
        let here = world.snapshot();
        let wanted = Wanted::default_entry();
        let found = match &how.of {
            Of::Default => Found::new(world, &wanted, &here),
            Of::Named(name) => Found::of_name(world, &wanted, name, &here),
        };
        let mut wishes = arrival::firmware::read(&world.volumes()).texts();
        if let Ok(found) = &found
            && let Some(entry) = &found.entry
            && entry.one_shot.is_some()
        {
            wishes.push(format!(
                "the boot loader is to boot {} once, and a kexec would not end that",
                entry.id
            ));
        }
        let situation = Situation {
            moment,
            of: how.of.clone(),
            wanted: match &found {
                Ok(found) => found.fingerprint(),
                Err(error) => Err(error.to_string()),
            },
            slot: slot(world),
            cold: cold(world, &here),
            distrust: distrust(world, how),
            wishes,
            available: here.memory.available.known().copied(),
        };
        Ok(Ahead {
            world,
            how,
            found,
            situation,
        })
    }

    /// Carries it out; without the lock it only says what it would do.
    fn act(self, lock: Option<&Lock>, json: bool) -> Result<(), Error> {
        let step = decide(&self.situation);
        say(&step, json);
        let Some(lock) = lock else {
            return Ok(());
        };
        let (world, moment, of) = (self.world, self.situation.moment, self.how.of.clone());
        let mut uncompared = None;
        match step {
            Step::Leave(_) => {
                // A unit that was to load and cannot say what has failed.
                if let (Err(error), Moment::Running, InSlot::Empty) =
                    (self.found, moment, self.situation.slot)
                {
                    return Err(error);
                }
            }
            Step::Doubt(why) => {
                eprintln!(
                    "kexec: warning: what is loaded could not be compared with what a reboot would \
                     boot: {}",
                    visible(&why)
                );
                uncompared = Some(why);
            }
            Step::TakeOut(_) => unload_held(world, lock, Slot::Normal, SyscallChoice::Auto)?,
            Step::Load(_) => {
                let from = self.situation.wanted.map_err(|why| Error::System {
                    what: "looking at what a reboot would boot".to_owned(),
                    reason: why,
                    remedy: "try again".to_owned(),
                })?;
                let mut found = self.found?;
                found.preloaded = Some(Preloaded { of, from });
                // What is replaced was loaded on this machine because somebody said so.
                let there = matches!(self.situation.slot, InSlot::Ours(_));
                load_ahead(world, lock, found, self.how.this_machine || there)?;
            }
        }
        if let Moment::Shutdown { asked, .. } = moment {
            announce(world, asked, uncompared);
        }
        Ok(())
    }
}

/// What is in the slot, for the decision.
fn slot(world: &World<'_>) -> InSlot {
    match world.content(Slot::Normal) {
        Content::Unknown | Content::Hidden => InSlot::Unknown,
        Content::Empty => InSlot::Empty,
        Content::Foreign => InSlot::Theirs,
        Content::Ours(record) => record.preloaded.map_or(InSlot::Theirs, InSlot::Ours),
        Content::Interrupted(found) => match (found.change, &found.record) {
            // It has only to be written down.
            (Change::Load, Some(record)) => {
                let preloaded = record.preloaded.clone();
                preloaded.map_or(InSlot::Theirs, InSlot::Ours)
            }
            _ => InSlot::Accident(found.text()),
        },
    }
}

/// Whether what is loaded was loaded ahead, or is what an interrupted change left: then
/// it goes when preloading is switched off.
pub fn is_ahead(world: &World<'_>) -> bool {
    matches!(slot(world), InSlot::Ours(_) | InSlot::Accident(_))
}

/// Why this boot has to end in the firmware, if it has to.
fn cold(world: &World<'_>, here: &Snapshot) -> Option<String> {
    if preload::cold_flag(world.root).exists() {
        return Some("kexec reboot --cold asked for the firmware".to_owned());
    }
    let line = here.cmdline.known()?;
    let off = line.words().any(|word| word == OFF.as_bytes());
    off.then(|| format!("the running kernel's command line has {OFF}"))
}

/// Why this machine is left alone while nobody watches, if it is.
fn distrust(world: &World<'_>, how: &Preload) -> Option<String> {
    if how.this_machine {
        return None;
    }
    let last = last_jump::read(world.root)?;
    Some(format!(
        "{}: nothing is loaded ahead until one does (kexec reboot), or --yes-this-machine is said",
        last.text()
    ))
}

fn load_ahead(
    world: &World<'_>,
    lock: &Lock,
    mut found: Found,
    this_machine: bool,
) -> Result<(), Error> {
    let mark = remember::mark(world)?;
    let token = mark.token.clone();
    found.request.mark = Some(mark);
    found.arrival = Some(ArrivalAsk {
        by_init: true,
        allow_passphrase: false,
        this_machine,
    });
    let handover = "a reboot".to_owned();
    let attempt =
        |prepared: &Prepared| remember::attempt(world, &found, prepared, &token, handover.clone());
    let ask = Ask {
        flags: FileFlags::EMPTY,
        need: Need::Record,
        attempt: Some(&attempt),
    };
    let loaded = Ready::new(world, &found).and_then(|ready| ready.load(world, lock, &ask));
    match loaded {
        Ok(loaded) => {
            print(&text::plan_for_log(&loaded.prepared));
            Ok(())
        }
        Err(error) => {
            let take_out = || unload_held(world, lock, Slot::Normal, SyscallChoice::Auto);
            Err(preload::after_refusal(error, &slot(world), take_out))
        }
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
    let handover = if by_name {
        "kexec.target"
    } else {
        "reboot.target"
    };
    let asked = attempt::ask_preloaded(
        world.store(),
        &boot.boot_id,
        &boot.now,
        handover,
        uncompared,
    );
    if let Err(e) = asked {
        eprintln!("kexec: warning: the next boot will not know how it went: {e}");
    }
}

fn say(step: &Step, as_json: bool) {
    if as_json {
        print_json(&json::step(step));
    } else {
        print(&text::step(step));
    }
}
