//! Showing what would be loaded.

use std::path::Path;

use kexec_core::LoadRequest;

use super::{World, exit, load, machine, prepare, print, print_json};
use crate::render::{json, text};

/// `kexec plan KERNEL`.
pub fn verb(world: &World<'_>, request: &LoadRequest, host: Option<&Path>, json: bool) -> u8 {
    match machine(world, host).and_then(|machine| prepare(world, request, &machine)) {
        Ok(prepared) => {
            if json {
                print_json(&json::plan(&prepared));
            } else {
                print(&text::plan(&prepared));
            }
            exit::DONE
        }
        Err(error) => {
            load::refuse(&error, json);
            exit::REFUSED
        }
    }
}
