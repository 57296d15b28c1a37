//! `kexec crash estimate`.

use kexec_crash::estimate::Estimate;
use kexec_load::Error;
use kexec_load::preflight;
use kexec_machine::Snapshot;
use kexec_reboot::steps::Selection;
use kexec_reboot::world::World;

use super::choice::CrashKernel;
use crate::commands::load::refuse;
use crate::commands::{exit, print, print_json, terminal};
use crate::render::crash;

/// Shows how large the region has to be.
pub fn verb(world: &World<'_>, selection: &Selection, as_json: bool) -> u8 {
    let host = world.snapshot();
    match of(world, selection, &host) {
        Ok(estimate) => {
            let reserved = host.kexec.crash_size.known().copied();
            match as_json {
                true => print_json(&crash::estimate_json(&estimate, reserved)),
                false => print(&crash::estimate(&estimate, reserved, terminal::layout())),
            }
            exit::DONE
        }
        Err(error) => {
            refuse(&error, as_json);
            exit::REFUSED
        }
    }
}

/// The estimate for what is selected.
///
/// # Errors
/// When a file cannot be read or is broken.
pub fn of(world: &World<'_>, selection: &Selection, host: &Snapshot) -> Result<Estimate, Error> {
    Ok(Estimated::of(world, selection, host)?.estimate)
}

/// An estimate, and what the image takes of it while it is loaded.
#[derive(Debug)]
pub struct Estimated {
    /// How large the region has to be.
    pub estimate: Estimate,
    /// Bytes that kernel and initrd take in it.
    pub image: u64,
}

impl Estimated {
    /// That of what is selected.
    ///
    /// # Errors
    /// When a file cannot be read or is broken.
    pub fn of(
        world: &World<'_>,
        selection: &Selection,
        host: &Snapshot,
    ) -> Result<Estimated, Error> {
        let kernel = CrashKernel::choose(world, selection, host)?;
        let notes = kernel.notes.clone();
        let ready = kernel.prepare(world, host)?;
        let mut estimate = ready.judged(world, host).estimate;
        estimate.notes.extend(notes);
        let prepared = &ready.prepared;
        Ok(Estimated {
            estimate,
            image: preflight::held(&prepared.image, &prepared.plan),
        })
    }
}
