//! `kexec reboot`: choose, read, check, load; and only when all of that is done
//! and remembered, ask init for the shutdown.

use std::path::Path;

use kexec_core::handover::ask::{self, Handover};
use kexec_core::handover::init::InitFacts;
use kexec_core::handover::{self, Jump};
use kexec_core::pipeline::Prepared;
use kexec_core::preflight::Severity;
use kexec_core::record::attempt::{self, Attempt, Target};
use kexec_core::record::boot::Moment;
use kexec_core::record::{self, BootFacts};
use kexec_core::request::Mark;
use kexec_core::sources::volumes::Volumes;
use kexec_core::{Error, Snapshot, SyscallChoice};
use kexec_sys::{FileFlags, Slot};

use super::load::{self, load_found};
use super::unload::unload;
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
        // The way out is looked for first: it costs nothing, and without one
        // nothing else is worth doing.
        let way = match self.how.now {
            true => None,
            false => Some(ask::plan(&self.init, &self.how.ask)?),
        };
        let here = Snapshot::read(self.world.root);
        let mut found = Found::new(self.world, wanted, &here)?;
        let token = record::new_token().map_err(|e| Error::System {
            what: "cannot make a token for the next command line".to_owned(),
            reason: e.to_string(),
            remedy: "wait until the kernel has random numbers to give".to_owned(),
        })?;
        found.request.mark = Some(Mark {
            token: token.clone(),
            stamp: Moment::now(self.world.root).cycles.is_some(),
            mask_bless_boot: counts_boots(self.world.root),
        });
        found.arrival = Some(ArrivalAsk {
            by_init: way.is_some(),
            allow_passphrase: wanted.allow_passphrase,
        });
        if dry_run {
            let prepared = super::prepare_found(self.world, &found, &here)?;
            self.show(&found, &prepared, way.as_ref());
            if !self.json {
                print(&text::findings(&prepared.findings));
            }
            let refused = kexec_core::preflight::refusal(&prepared.findings).is_some();
            return Ok(if refused { exit::REFUSED } else { exit::DONE });
        }
        let was_loaded = handover::is_loaded(self.world.root);
        let prepared = load_found(self.world, &found, FileFlags::EMPTY)?;
        let undo = |error: Error| {
            // Only what is ours is taken out again.
            if was_loaded == Some(false) {
                let _ = unload(self.world, Slot::Normal, SyscallChoice::Auto);
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
        self.show(&found, &prepared, way.as_ref());
        let attempt = self.attempt(&found, &prepared, &token, way.as_ref());
        self.remember(&attempt);
        let done = match &way {
            Some(way) => ask::carry_out(way),
            None => self.jump(),
        };
        if let Err(error) = done {
            // It did not even begin.
            let _ = attempt::forget(self.world.root, &attempt);
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
            print(&text::reboot(prepared, entry, way));
        }
    }

    fn attempt(
        &self,
        found: &Found,
        prepared: &Prepared,
        token: &kexec_plan::Token,
        way: Option<&Handover>,
    ) -> Attempt {
        let root = self.world.root;
        let boot = BootFacts::read(root);
        let doubts = prepared.findings.iter();
        let doubts = doubts.filter(|f| f.severity == Severity::Warning);
        let entry = found.entry.as_ref();
        Attempt {
            format: Attempt::FORMAT,
            token: token.clone(),
            asked: Moment::now(root),
            boot_id: boot.as_ref().map(|b| b.boot_id.clone()).unwrap_or_default(),
            from: boot.map(|b| b.release).unwrap_or_default(),
            target: Target {
                entry: entry.map(|e| (e.id.clone(), e.title.clone())),
                kernel: prepared.plan.kernel.origin.clone(),
                release: prepared.plan.release.clone(),
                cmdline: prepared.plan.cmdline.clone(),
            },
            method: format!(
                "{}: {}",
                prepared.decision.method.name(),
                prepared.decision.reason
            ),
            handover: way.map_or_else(|| "--now".to_owned(), Handover::text),
            doubts: doubts.map(|f| format!("{}: {}", f.what, f.why)).collect(),
            one_shot: entry.and_then(|e| e.one_shot.clone()),
            cold: None,
            outcome: None,
        }
    }

    /// A machine that cannot remember is rebooted all the same.
    fn remember(&self, attempt: &Attempt) {
        if let Err(e) = attempt::write(self.world.root, attempt) {
            let folder = attempt::folder(Path::new("/"));
            eprintln!(
                "kexec: warning: {} cannot be written ({e}): the next boot will not know how it went",
                folder.display()
            );
        }
    }

    fn jump(&self) -> Result<(), Error> {
        let volumes = Volumes::read(self.world.root);
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
        let way = ask::cold(&self.init, &self.how.ask);
        let root = self.world.root;
        if let (Ok(token), Some(boot)) = (record::new_token(), BootFacts::read(root)) {
            self.remember(&Attempt {
                format: Attempt::FORMAT,
                token,
                asked: Moment::now(root),
                boot_id: boot.boot_id,
                from: boot.release,
                target: Target {
                    entry: None,
                    kernel: String::new(),
                    release: None,
                    cmdline: kexec_plan::Cmdline::default(),
                },
                method: "none".to_owned(),
                handover: way.text(),
                doubts: Vec::new(),
                one_shot: None,
                cold: Some(refusal.to_string()),
                outcome: None,
            });
        }
        match ask::carry_out(&way) {
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
}

/// Whether the boot loader counts boots (Boot Loader Interface,
/// `LoaderBootCountPath`): it was told of another entry than the one that will
/// run.
fn counts_boots(root: &Path) -> bool {
    root.join("sys/firmware/efi/efivars")
        .join("LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
        .exists()
}
