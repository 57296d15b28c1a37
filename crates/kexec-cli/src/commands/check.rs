//! Every check, without loading.

use std::path::Path;

use kexec_load::preflight::refusal;
use kexec_reboot::steps::{Selection, can_kexec};
use kexec_reboot::world::World;

use super::{exit, load, prepare, print_json, terminal};
use crate::render::{findings, json};

/// `kexec check [ENTRY|KERNEL]`: exit 0 when it would be loaded, 1 when not.
pub fn verb(world: &World<'_>, selection: &Selection, host: Option<&Path>, json: bool) -> u8 {
    let can = match host {
        None => can_kexec(world, &world.snapshot()),
        Some(_) => Ok(()),
    };
    match can.and_then(|()| prepare(world, selection, host)) {
        Ok(prepared) => {
            if json {
                print_json(&json::findings(&prepared.findings));
            } else {
                terminal::page(&findings::findings(&prepared.findings, terminal::layout()));
            }
            if refusal(&prepared.findings).is_some() {
                exit::REFUSED
            } else {
                exit::DONE
            }
        }
        Err(error) => {
            load::refuse(&error, json);
            exit::REFUSED
        }
    }
}
