//! The third step: the files are understood, the load is planned, and everything is
//! checked. Changes nothing.

use std::path::Path;

use kexec_load::Error;
use kexec_load::pipeline::{self, Carried, Inputs, Prepared};
use kexec_load::preflight::Finding;
use kexec_load::request::{Unpack, UnpackChoice};
use kexec_machine::snapshot::KexecFile;
use kexec_machine::{Fact, Snapshot};
use kexec_plan::classic::KaslrSeed;
use kexec_sys::Slot;

use super::{ChosenLoad, Selection};
use crate::arrival::{self, ArrivalFacts, last_jump};
use crate::conf;
use crate::record::{FileStamp, Fingerprint};
use crate::world::{Told, World};

/// How the arrival is checked.
#[derive(Debug, Clone, Copy)]
pub struct ArrivalOptions {
    /// Init is asked for the shutdown.
    pub by_init: bool,
    /// `--allow-passphrase`: somebody is there to type one.
    pub allow_passphrase: bool,
    /// `--yes-this-machine`: try it although others have reported failures.
    pub this_machine: bool,
}

impl ArrivalOptions {
    /// By init, and as it was typed.
    pub fn of(selection: &Selection) -> ArrivalOptions {
        ArrivalOptions {
            by_init: true,
            allow_passphrase: selection.allow_passphrase,
            this_machine: selection.this_machine,
        }
    }
}

/// A load whose files are read, and which is planned and checked.
#[derive(Debug)]
pub struct Ready {
    /// The boot entry or kernel file that is to be loaded.
    pub chosen: ChosenLoad,
    /// The plan, and what the checks found.
    pub prepared: Prepared,
    pub(super) host: Snapshot,
    pub(super) inputs: Inputs,
    /// The files, as they were before they were read.
    pub(super) stamps: Vec<FileStamp>,
}

impl Ready {
    /// Reads, plans and checks. `host` is the machine that this runs on.
    ///
    /// # Errors
    /// When a file or the image is no good. What a check refuses is a finding, and an
    /// error of the load.
    pub fn new(world: &World<'_>, mut chosen: ChosenLoad, host: Snapshot) -> Result<Ready, Error> {
        chosen.request.unpack.held = chosen.preloaded.is_some();
        // A crash kernel is loaded as it is, whatever a file for reboots says.
        if chosen.request.slot == Slot::Normal {
            set_unpacking(world.root, &mut chosen.request.unpack)?;
        }
        if chosen.request.unpack.choice == UnpackChoice::Auto {
            chosen.request.unpack.not_earned = last_jump::unpacked_lost(world.root);
            // A jump that somebody makes by hand is not remembered at all.
            if chosen.request.mark.is_some() {
                chosen.request.unpack.forgotten = last_jump::forgetful(world.root);
            }
        }
        let request = &chosen.request;
        if request.slot == Slot::Crash && host.kexec.crash_size == Fact::Known(0) {
            return Err(no_crash_region(&host));
        }
        // Before they are read: what changes meanwhile is not taken for what was read.
        let stamps = Fingerprint::stamps(request, chosen.volumes.as_ref());
        let inputs = chosen.read(world, &host)?;
        let inputs = inputs
            .with_config(world.root, request)
            .carrying(Carried::read(world.root, request, &host));
        world.tell(Told::Doing("unpacking and checking"));
        let mut prepared = pipeline::prepare(request, &inputs, &host)?;
        let arrival = chosen.arrive(world, &host, &prepared);
        prepared.findings.extend(arrival);
        Ok(Ready {
            chosen,
            prepared,
            host,
            inputs,
            stamps,
        })
    }
}

/// What /etc/kexec-rs.conf says of unpacking, where no option says it.
fn set_unpacking(root: &Path, unpack: &mut Unpack) -> Result<(), Error> {
    if !unpack.by_default {
        return Ok(());
    }
    let conf = conf::read(root).map_err(|wrong| {
        Error::refused(
            "choosing what is unpacked before the jump",
            wrong,
            "correct the file, or give --unpack",
        )
    })?;
    if let Some(choice) = conf.unpack {
        unpack.choice = choice;
        unpack.setting = Some(format!("{} = {choice} in {}", conf::UNPACK, conf::PATH));
    }
    Ok(())
}

/// Plans and checks for another machine, of which `there` is the snapshot. The files are
/// read into the memory of the one that this runs on.
///
/// # Errors
/// As [`Ready::new`].
pub fn prepare_for(
    world: &World<'_>,
    chosen: &ChosenLoad,
    host: &Snapshot,
    there: &Snapshot,
) -> Result<Prepared, Error> {
    let inputs = chosen.read(world, host)?;
    // An answer for another machine is the same every time.
    let inputs = inputs.carrying(Carried {
        kaslr: Some([KaslrSeed(0); 2]),
        ..Carried::default()
    });
    world.tell(Told::Doing("unpacking and checking"));
    pipeline::prepare(&chosen.request, &inputs, there)
}

impl ChosenLoad {
    /// What the checks of the arrival find of a load that is prepared; nothing
    /// where none are wanted, or for a crash kernel.
    fn arrive(&self, world: &World<'_>, host: &Snapshot, prepared: &Prepared) -> Vec<Finding> {
        let (Some(options), Slot::Normal) = (self.arrival, self.request.slot) else {
            return Vec::new();
        };
        let read;
        let volumes = match &self.volumes {
            Some(volumes) => volumes,
            None => {
                read = world.volumes();
                &read
            }
        };
        let facts = ArrivalFacts::read(world.root, volumes, &prepared.plan.cmdline);
        let facts = match &self.entry {
            Some(entry) => {
                let files = entry.written.iter().chain(entry.target.files());
                facts.of_entry(volumes, self.boot_sources(), files)
            }
            None => facts,
        };
        arrival::checks::run(&arrival::checks::ArrivalContext {
            host,
            plan: &prepared.plan,
            arrival: &facts,
            by_init: options.by_init,
            allow_passphrase: options.allow_passphrase,
            this_machine: options.this_machine,
        })
    }
}

/// The remedy names the kernel parameter that makes the reservation.
fn no_crash_region(host: &Snapshot) -> Error {
    Error::not_ready(
        "loading a crash kernel",
        format!(
            "the running kernel has reserved no memory for one ({} is 0)",
            host.kexec_file(KexecFile::CrashSize)
        ),
        kexec_plan::crash::RESERVE,
    )
}
