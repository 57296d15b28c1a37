//! `kexec reboot`: choose, read, check, load; and only when all of that is done
//! and remembered, ask init for the shutdown.

use kexec_load::Error;
use kexec_load::pipeline::Prepared;
use kexec_load::preflight::refusal;
use kexec_reboot::handover::init::InitFacts;
use kexec_reboot::handover::shutdown_request::{self, Handover};
use kexec_reboot::steps::{ColdReason, Journey, Selection, Shutdown, through_firmware, unnamed};
use kexec_reboot::world::World;

use super::audience::{Stream, plan_text};
use super::{exit, load, print, print_json, terminal};
use crate::render::{findings, json, text};

/// `kexec reboot [ENTRY|KERNEL]`.
pub fn verb(
    world: &World<'_>,
    selection: &Selection,
    how: &Shutdown,
    dry_run: bool,
    json: bool,
) -> u8 {
    let init = InitFacts::read(world.root);
    let done = match how.cold {
        true => cold(world, &init, how, dry_run, json),
        false => kexec(world, &init, selection, how, dry_run, json),
    };
    let code = match done {
        Ok(code) => code,
        Err(error) => {
            load::refuse(&error, json);
            // A mistyped name is no failure of a kexec.
            if let Some(mistyped) = how.or_cold.then(|| unnamed(world, selection)).flatten() {
                if mistyped.to_string() != error.to_string() {
                    say!("{}", text::error(&mistyped, terminal::layout_of_messages()));
                }
                say_line!("kexec: no cold reboot: --or-cold is not for a name that does not exist");
                return exit::REFUSED;
            }
            if how.or_cold && !dry_run {
                return cold_instead(world, &init, how, &error, json);
            }
            exit::REFUSED
        }
    };
    if dry_run && how.or_cold && code == exit::REFUSED {
        say_line!("kexec: without --dry-run a cold reboot would follow (--or-cold)");
    }
    code
}

fn kexec(
    world: &World<'_>,
    init: &InitFacts,
    selection: &Selection,
    how: &Shutdown,
    dry_run: bool,
    json: bool,
) -> Result<u8, Error> {
    let journey = Journey::prepare(world, init, selection, how)?;
    if dry_run {
        let prepared = &journey.ready.prepared;
        show(&journey.entry(), prepared, journey.handover.as_ref(), json);
        if !json {
            print(&findings::findings(&prepared.findings, terminal::layout()));
        }
        let refused = refusal(&prepared.findings).is_some();
        return Ok(if refused { exit::REFUSED } else { exit::DONE });
    }
    let departure = journey.load(world)?;
    let handover = departure.handover.as_ref();
    show(&departure.entry, &departure.prepared, handover, json);
    departure.depart(world)?;
    // Said before the terminal goes.
    if let Some(target) = how.goes_astray(init) {
        world.warn(format!(
            "systemd is heading for {target}, not kexec.target: this will be a cold boot"
        ));
    }
    Ok(exit::DONE)
}

fn show(
    entry: &Option<(String, String, String)>,
    prepared: &Prepared,
    handover: Option<&Handover>,
    as_json: bool,
) {
    let entry = entry.as_ref();
    let entry = entry.map(|(id, title, why)| (id.as_str(), title.as_str(), why.as_str()));
    if as_json {
        print_json(&json::reboot(prepared, entry, handover));
    } else {
        let plan = plan_text(prepared, Stream::Out);
        print(&text::reboot(&plan, entry, handover, terminal::layout()));
    }
}

/// A reboot through the firmware instead, because that was allowed.
fn cold_instead(
    world: &World<'_>,
    init: &InitFacts,
    how: &Shutdown,
    refusal: &Error,
    json: bool,
) -> u8 {
    let why = ColdReason::Refused(format!("--or-cold chose it: {refusal}"));
    let asked = shutdown_request::cold(init, &how.request)
        .and_then(|handover| through_firmware(world, &handover, why));
    match asked {
        Ok(()) => {
            say_line!("kexec: a cold reboot is under way instead (--or-cold)");
            exit::COLD
        }
        Err(error) => {
            load::refuse(&error, json);
            exit::REFUSED
        }
    }
}

/// `--cold`.
fn cold(
    world: &World<'_>,
    init: &InitFacts,
    how: &Shutdown,
    dry_run: bool,
    json: bool,
) -> Result<u8, Error> {
    let handover = shutdown_request::cold(init, &how.request)?;
    if json {
        print_json(&json::cold(&handover));
    } else {
        print(&text::cold(&handover, terminal::layout()));
    }
    if !dry_run {
        let why = ColdReason::Requested("kexec reboot --cold requested it".to_owned());
        through_firmware(world, &handover, why)?;
    }
    Ok(exit::DONE)
}
