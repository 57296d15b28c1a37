//! What is remembered of a load that is to end in a jump, so that the next boot
//! can tell what became of it.

use std::path::Path;

use kexec_load::Error;
use kexec_load::pipeline::Prepared;
use kexec_load::preflight::Severity;
use kexec_load::request::Mark;
use kexec_machine::Problem;
use kexec_plan::Token;
use kexec_sys::in_words;

use super::{ChosenLoad, ColdReason};
use crate::arrival::hardware::firmware;
use crate::handover::shutdown_request;
use crate::record::attempt::{self, Attempt, Target};
use crate::record::boot::ClockReading;
use crate::record::lock::held_by;
use crate::record::oneshot::OneShot;
use crate::record::settle::{Settled, settle};
use crate::record::{self, BootFacts, Lock};
use crate::world::World;

/// What is put on the next command line.
///
/// # Errors
/// When the kernel has no random numbers for a token.
pub(super) fn mark(world: &World<'_>) -> Result<Mark, Error> {
    let token = record::new_token().map_err(|e| {
        Error::System(Problem::caused(
            "cannot make a token for the next command line",
            e,
            "wait until the kernel's random number generator is ready",
        ))
    })?;
    Ok(Mark {
        token,
        stamp: ClockReading::now(world.root).cycles.is_some(),
        mask_bless_boot: counts_boots(world.root),
    })
}

/// What is remembered of a boot entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RememberedEntry {
    /// Its id and its title.
    name: Option<(String, String)>,
    /// The boot loader's wish that is fulfilled by booting it.
    one_shot: Option<OneShot>,
}

impl RememberedEntry {
    /// Of what was chosen; nothing of a kernel file.
    pub(super) fn of(chosen: &ChosenLoad) -> RememberedEntry {
        let entry = chosen.entry.as_ref();
        RememberedEntry {
            name: entry.map(|e| (e.id.clone(), e.title.clone())),
            one_shot: entry.and_then(|e| e.one_shot.clone()),
        }
    }
}

/// A load that is prepared or done, as an attempt: `handover` is how the
/// shutdown is asked for.
pub(super) fn attempt(
    world: &World<'_>,
    entry: &RememberedEntry,
    prepared: &Prepared,
    token: &Token,
    handover: String,
) -> Attempt {
    let boot = BootFacts::read(world.root);
    let doubts = prepared.findings.iter();
    let doubts = doubts.filter(|f| f.severity == Severity::Warning);
    Attempt {
        format: Attempt::FORMAT,
        sequence: 0,
        token: token.clone(),
        asked: ClockReading::now(world.root),
        stopped: None,
        boot_id: boot.as_ref().map(|b| b.boot_id.clone()).unwrap_or_default(),
        from: boot.map(|b| b.release).unwrap_or_default(),
        target: Target {
            entry: entry.name.clone(),
            kernel: prepared.plan.kernel.origin.clone(),
            release: prepared.plan.release.clone(),
            cmdline: prepared.plan.cmdline.clone(),
        },
        method: format!(
            "{}: {}",
            prepared.decision.method.name(),
            prepared.decision.reason
        ),
        unpacked: prepared.unpacked.kernel.unpacked || prepared.unpacked.initrd.is_changed(),
        handover,
        doubts: doubts
            .map(|f| format!("{}: {}", f.problem.what, f.problem.why))
            .collect(),
        uncompared: None,
        firmware: firmware(world.root),
        one_shot: entry.one_shot.clone(),
        preloaded: false,
        cold: None,
        refused: false,
        outcome: None,
        next_boot: None,
    }
}

/// A reboot through the firmware that was chosen, and why.
pub(super) fn cold(world: &World<'_>, handover: String, why: ColdReason) -> Option<Attempt> {
    let (why, refused) = match why {
        ColdReason::Requested(why) => (why, false),
        ColdReason::Refused(why) => (why, true),
    };
    let boot = BootFacts::read(world.root)?;
    Some(Attempt {
        format: Attempt::FORMAT,
        sequence: 0,
        token: record::new_token().ok()?,
        asked: ClockReading::now(world.root),
        stopped: None,
        boot_id: boot.boot_id,
        from: boot.release,
        target: Target {
            entry: None,
            kernel: String::new(),
            release: None,
            cmdline: kexec_plan::Cmdline::default(),
        },
        method: "none".to_owned(),
        unpacked: false,
        handover,
        doubts: Vec::new(),
        uncompared: None,
        firmware: firmware(world.root),
        one_shot: None,
        preloaded: false,
        cold: Some(why),
        refused,
        outcome: None,
        next_boot: None,
    })
}

/// Writes an attempt down. A machine that cannot remember is rebooted all the same, and
/// that is said.
pub(super) fn remember(world: &World<'_>, attempt: &mut Attempt) {
    if let Err(e) = attempt::write(world.store(), attempt) {
        not_remembered(world, &e);
    }
}

/// `kexec parallel-shutdown --services-stopped`: writes down that services have been
/// stopped, if this is a shutdown that is to end in a jump.
///
/// # Errors
/// When it cannot be written down.
pub fn services_stopped(world: &World<'_>) -> Result<bool, Error> {
    let jobs = shutdown_request::jobs().unwrap_or_default();
    let jumps = ["kexec.target", "reboot.target"];
    // A unit that is stopped by hand is no shutdown.
    if !shutdown_request::target_of(&jobs).is_some_and(|target| jumps.contains(&target)) {
        return Ok(false);
    }
    let now = ClockReading::now(world.root);
    let Some(boot) = BootFacts::read(world.root) else {
        return Ok(false);
    };
    record::services_stopped(world.store(), &boot.boot_id, &now).map_err(|e| {
        Error::System(Problem::caused(
            "recording when services had been stopped",
            e,
            "keep /var writable until the end of the shutdown",
        ))
    })
}

/// Says that nothing will be known of this one.
pub(super) fn not_remembered(world: &World<'_>, e: &std::io::Error) {
    let folder = attempt::folder(Path::new("/"));
    world.warn(format!(
        "{} cannot be written: {}; the next boot will not know how the reboot went",
        folder.display(),
        in_words(e)
    ));
}

/// What is remembered, judged by the running boot. A privileged process writes
/// the judgement down, because a later boot can no longer make it.
///
/// # Errors
/// When what is remembered cannot be read.
pub fn settled(world: &World<'_>) -> Result<Settled, Error> {
    // Who is about to load or to reboot changes attempts, too.
    settled_by(world, held_by(world.root).is_none())
}

/// The same for whoever has the lock: at boot, `kexec preload` may be the only one that
/// ever looks.
///
/// # Errors
/// When what is remembered cannot be read.
pub fn settled_holding(world: &World<'_>, _lock: &Lock) -> Result<Settled, Error> {
    settled_by(world, true)
}

fn settled_by(world: &World<'_>, alone: bool) -> Result<Settled, Error> {
    let folder = attempt::folder(world.root);
    let failed = |e: std::io::Error| {
        let denied = e.kind() == std::io::ErrorKind::PermissionDenied;
        let mut problem = Problem::caused(
            format!(
                "cannot read the record of earlier requests {}",
                folder.display()
            ),
            e,
            "run it as root; what is in the folder may be removed",
        );
        if denied {
            problem.why = "only root may read it".to_owned();
        }
        Error::NotRead(problem)
    };
    let Some(mut boot) = BootFacts::read(world.root) else {
        return Ok(Settled {
            attempts: attempt::read_all(world.store()).map_err(failed)?,
            notes: vec!["/proc does not show which boot this is".to_owned()],
        });
    };
    // A machine without records has nothing to be told.
    if folder.is_dir() {
        boot.init = boot.init.asked(world.root);
    }
    // `kexec metrics` and `kexec preload` both look at the beginning of a boot.
    let write = alone && rustix::process::geteuid().is_root();
    let right = write.then(|| attempt::right_to_judge(world.root)).flatten();
    settle(world.store(), &boot, right.is_some()).map_err(failed)
}

/// Whether the boot loader counts boots (Boot Loader Interface,
/// `LoaderBootCountPath`): it was told of another entry than the one that will
/// run.
fn counts_boots(root: &Path) -> bool {
    root.join("sys/firmware/efi/efivars")
        .join("LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
        .exists()
}
