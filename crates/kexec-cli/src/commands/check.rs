//! Every check, without loading.

use std::path::Path;

use kexec_crash::checks;
use kexec_load::preflight::refusal;
use kexec_reboot::downtime;
use kexec_reboot::steps::{Selection, can_kexec};
use kexec_reboot::world::World;

use super::{exit, load, prepare, print_json, terminal};
use crate::render::{downtime as render, findings, json};

/// `kexec check [ENTRY|KERNEL]`, for a crash kernel on the machine of a snapshot: exit 0 when it would be loaded, 1 when not.
pub fn verb(world: &World<'_>, selection: &Selection, host: Option<&Path>, json: bool) -> u8 {
    let here = world.snapshot();
    let can = match host {
        None => can_kexec(world, &here),
        Some(_) => Ok(()),
    };
    match can.and_then(|()| prepare(world, selection, host)) {
        Ok(mut prepared) => {
            if prepared.plan.crash {
                prepared.findings.push(checks::unseen());
            }
            let refused = refusal(&prepared.findings).is_some();
            // A crash kernel is not waited for, and what is not loaded costs nothing.
            let wanted = !refused && !prepared.plan.crash;
            let choice = selection.load.syscall;
            let downtime = (wanted && host.is_none())
                .then(|| downtime::estimate(world, &prepared, choice, &here));
            if json {
                print_json(&json::findings(&prepared.findings, downtime.as_ref()));
            } else {
                let layout = terminal::layout();
                let section = match &downtime {
                    Some(downtime) => render::section(downtime, layout),
                    None if wanted => render::unknown(layout),
                    None => String::new(),
                };
                let findings = &prepared.findings;
                terminal::page(&match prepared.plan.crash {
                    true => findings::findings_of_a_crash(findings, layout),
                    false => findings::findings_and(findings, &section, layout),
                });
            }
            if refused { exit::REFUSED } else { exit::DONE }
        }
        Err(error) => {
            load::refuse(&error, json);
            exit::REFUSED
        }
    }
}
