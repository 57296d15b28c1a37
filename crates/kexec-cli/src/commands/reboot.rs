//! `kexec reboot`: choose, read, check, load; and only when all of that is done
//! and remembered, ask init for the shutdown.

use kexec_load::pipeline::Prepared;
use kexec_load::{Error, SyscallChoice};
use kexec_reboot::handover;
use kexec_reboot::handover::Jump;
use kexec_reboot::handover::ask;
use kexec_reboot::handover::ask::Handover;
use kexec_reboot::handover::init::InitFacts;
use kexec_reboot::preload;
use kexec_reboot::record::attempt;
use kexec_reboot::record::boot::Moment;
use kexec_reboot::record::slot::Need;
use kexec_sys::{FileFlags, Slot};

use super::audience::{Stream, plan_text};
use super::load::{self, Ask, Ready};
use super::remember::{self, remember};
use super::unload::unload_held;
use super::wanted::{ArrivalAsk, Found};
use super::{World, exit, print, print_json};
use crate::render::{json, text, visible};
use crate::request::{Shutdown, Wanted};

/// `kexec reboot [ENTRY|KERNEL]`.
pub fn verb(world: &World<'_>, wanted: &Wanted, how: &Shutdown, dry_run: bool, json: bool) -> u8 {
    let init = InitFacts::read(world.root);
    let reboot = Reboot {
        world,
        how,
        init,
        json,
    };
    match reboot.run(wanted, dry_run) {
        Ok(code) => code,
        Err(error) => {
            load::refuse(&error, json);
            if how.or_cold && !dry_run {
                return reboot.cold(&error);
            }
            exit::REFUSED
        }
    }
}

struct Reboot<'a> {
    world: &'a World<'a>,
    how: &'a Shutdown,
    init: InitFacts,
    json: bool,
}

impl Reboot<'_> {
    fn run(&self, wanted: &Wanted, dry_run: bool) -> Result<u8, Error> {
        if self.how.cold {
            return self.chosen_cold(dry_run);
        }
        // The way out is looked for first: it costs nothing, and without one
        // nothing else is worth doing.
        let way = match self.how.now {
            true => None,
            false => Some(ask::plan(&self.init, &self.how.ask)?),
        };
        let here = self.world.snapshot();
        let mut found = Found::new(self.world, wanted, &here)?;
        let mark = remember::mark(self.world)?;
        let token = mark.token.clone();
        found.request.mark = Some(mark);
        found.arrival = Some(ArrivalAsk {
            by_init: way.is_some(),
            allow_passphrase: wanted.allow_passphrase,
            this_machine: wanted.this_machine,
        });
        if dry_run {
            let prepared = super::prepare_found(self.world, &found, &here)?;
            self.show(&found, &prepared, way.as_ref());
            if !self.json {
                print(&text::findings(&prepared.findings));
            }
            let refused = kexec_load::preflight::refusal(&prepared.findings).is_some();
            return Ok(if refused { exit::REFUSED } else { exit::DONE });
        }
        let ready = Ready::new(self.world, &found)?;
        let lock = &self.world.lock("kexec reboot")?;
        let was_loaded = handover::is_loaded(self.world.root);
        let handover = way.as_ref().map(Handover::text);
        let handover = handover.unwrap_or_else(|| "--now".to_owned());
        let attempt = |prepared: &Prepared| {
            remember::attempt(self.world, &found, prepared, &token, handover.clone())
        };
        let ask = Ask {
            flags: FileFlags::EMPTY,
            need: Need::Image,
            attempt: Some(&attempt),
        };
        let loaded = ready.load(self.world, lock, &ask)?;
        let undo = |error: Error| {
            if let Some(attempt) = &loaded.attempt {
                let _ = attempt::forget(self.world.store(), attempt);
            }
            // Only what is ours is taken out again.
            if was_loaded == Some(false) {
                let _ = unload_held(self.world, lock, Slot::Normal, SyscallChoice::Auto);
            }
            error
        };
        if handover::is_loaded(self.world.root) == Some(false) {
            return Err(undo(Error::System {
                what: "the kernel took the image".to_owned(),
                reason: "and /sys/kernel/kexec_loaded is 0 all the same".to_owned(),
                remedy: "look for another program that unloads kernels".to_owned(),
            }));
        }
        self.show(&found, &loaded.prepared, way.as_ref());
        // From here on a boot without its token is a cold boot that is told.
        if let Some(mut attempt) = loaded.attempt.clone() {
            attempt.preloaded = false;
            attempt.asked = Moment::now(self.world.root);
            remember(self.world, &mut attempt);
        }
        let done = match &way {
            Some(way) => ask::carry_out(way),
            None => self.jump(),
        };
        if let Err(error) = done {
            // It did not even begin.
            return Err(undo(error));
        }
        self.under_way();
        Ok(exit::DONE)
    }

    fn show(&self, found: &Found, prepared: &Prepared, way: Option<&Handover>) {
        let entry = found.entry.as_ref();
        let entry = entry.map(|e| (e.id.as_str(), e.title.as_str(), e.why.as_str()));
        if self.json {
            print_json(&json::reboot(prepared, entry, way));
        } else {
            let plan = plan_text(prepared, Stream::Out);
            print(&text::reboot(&plan, entry, way));
        }
    }

    fn jump(&self) -> Result<(), Error> {
        super::exec::ready(self.world)?;
        let volumes = self.world.volumes();
        let points = handover::file_systems(&volumes);
        let how = Jump {
            sync: true,
            interfaces_down: true,
        };
        let jumped = handover::jump_now(self.world.kernel, &points, how, &mut |text| {
            eprintln!("kexec: warning: {}", visible(&text));
        });
        jumped.map_err(|errno| super::exec::did_not_jump(self.world, errno))
    }

    /// What init made of it, said before the terminal goes.
    fn under_way(&self) {
        if self.init.init != handover::init::Init::Systemd || self.how.ask.when.is_some() {
            return;
        }
        let jobs = ask::jobs();
        match jobs.as_deref().and_then(ask::target_of) {
            Some("kexec.target") | None => {}
            Some(other) => eprintln!(
                "kexec: warning: systemd is on its way to {other}, not to kexec.target: this will \
                 be a cold boot"
            ),
        }
    }

    /// A reboot through the firmware instead, because that was allowed.
    fn cold(&self, refusal: &Error) -> u8 {
        match self.through_firmware(refusal.to_string()) {
            Ok(()) => {
                eprintln!("kexec: a cold reboot is under way instead (--or-cold)");
                exit::COLD
            }
            Err(error) => {
                load::refuse(&error, self.json);
                exit::REFUSED
            }
        }
    }

    /// `--cold`.
    fn chosen_cold(&self, dry_run: bool) -> Result<u8, Error> {
        let way = ask::cold(&self.init, &self.how.ask)?;
        if self.json {
            print_json(&json::cold(&way));
        } else {
            print(&text::cold(&way));
        }
        if !dry_run {
            self.through_firmware("kexec reboot --cold asked for it".to_owned())?;
        }
        Ok(exit::DONE)
    }

    /// Nothing that is loaded may be jumped into any more, whoever looks for it
    /// at the end of the shutdown.
    fn through_firmware(&self, why: String) -> Result<(), Error> {
        let way = ask::cold(&self.init, &self.how.ask)?;
        let root = self.world.root;
        let lock = self.world.lock("kexec reboot --cold")?;
        if handover::is_loaded(root) == Some(true) {
            unload_held(self.world, &lock, Slot::Normal, SyscallChoice::Auto)?;
        }
        if let Err(e) = preload::choose_cold(root) {
            eprintln!(
                "kexec: warning: {} cannot be written: {e}",
                preload::cold_flag(root).display()
            );
        }
        if let Some(mut attempt) = remember::cold(self.world, way.text(), why) {
            remember(self.world, &mut attempt);
        }
        let asked = ask::carry_out(&way);
        if asked.is_err() {
            let _ = preload::choose_kexec(root);
        }
        asked
    }
}
