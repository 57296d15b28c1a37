//! `kexec crash status`.

use kexec_crash::facts::CrashFacts;
use kexec_crash::status::{
    CheckedFile, CrashStatus, FileState, LoadedFile, TargetStatus, not_saved, reserved_cma,
    watchdogs,
};
use kexec_crash::watchdog::dump_seconds;
use kexec_load::Error;
use kexec_load::preflight::crash_size;
use kexec_machine::Snapshot;
use kexec_machine::volumes::FileRef;
use kexec_reboot::record::{self, LoadRecord, SlotContent};
use kexec_reboot::world::World;
use kexec_sys::Slot;

use super::choice::{CrashKernel, Judged};
use crate::commands::{exit, print_json, terminal};
use crate::render::crash;

/// Shows whether a crash kernel is loaded, and whether it is ready. The exit code is 0 where
/// one is loaded.
pub fn verb(world: &World<'_>, every_sysctl: bool, as_json: bool) -> u8 {
    let status = status(world);
    match as_json {
        true => print_json(&crash::status_json(&status)),
        false => {
            let layout = terminal::layout();
            terminal::page(&crash::status(&status, every_sysctl, layout));
        }
    }
    match status.armed {
        Some(true) => exit::DONE,
        Some(false) | None => exit::REFUSED,
    }
}

fn status(world: &World<'_>) -> CrashStatus {
    let host = world.snapshot();
    let armed = host.kexec.crash_loaded.known().copied();
    let content = record::look(world.store(), Slot::Crash, armed);
    let record = match &content {
        SlotContent::Ours(record) => Some(&**record),
        _ => None,
    };
    let files = record
        .map(|record| files(world, record))
        .unwrap_or_default();
    let facts = CrashFacts::read(world.root);
    let judged = judged(world, record, &files, &host, &facts);
    let initrd = judged.as_ref().ok().map(|judged| &judged.contents);
    CrashStatus {
        watchdogs: watchdogs(&facts, &host, initrd),
        armed,
        since: record.map(|record| record.time),
        image_unknown: image_unknown(&content, record::lock::held_by(world.root)),
        kernel: record.map(|record| record.kernel.clone()),
        release: record.and_then(|record| record.release.clone()),
        running: host.release.clone(),
        files,
        reserved: crash_size(&host),
        reserved_cma: reserved_cma(&host),
        needed: judged.as_ref().ok().map(|judged| judged.estimate.bytes),
        not_saved: judged
            .as_ref()
            .ok()
            .and_then(|judged| not_saved(&judged.findings)),
        needed_unknown: judged.err().map(|error| error.to_string()),
        target: TargetStatus::of(&facts),
        sysctls: facts.sysctls,
        dump_seconds: host.memory.total.known().copied().map(dump_seconds),
    }
}

/// Why it is unknown which image is loaded. `at_work` is who changes a slot just now.
fn image_unknown(content: &SlotContent, at_work: Option<String>) -> Option<String> {
    match (content, at_work) {
        (SlotContent::Ours(_) | SlotContent::Empty | SlotContent::Unknown, _) => None,
        (SlotContent::Interrupted(_), Some(who)) => Some(format!("it is being changed: {who}")),
        (SlotContent::Interrupted(found), None) => Some(found.text()),
        (SlotContent::Hidden, _) => Some("only root can see which image".to_owned()),
        (SlotContent::Foreign, _) => Some(
            "without a record: another program loaded it, or no record could be written".to_owned(),
        ),
    }
}

/// The files of the record, as they are now.
fn files(world: &World<'_>, record: &LoadRecord) -> Vec<CheckedFile> {
    let loaded = record.files.iter().map(|stamp| LoadedFile {
        path: stamp.path.clone(),
        size: stamp.size,
        modified: stamp.modified,
    });
    loaded.map(|file| file.check(world.root)).collect()
}

/// What is found of the loaded crash kernel, where its files are still the same; else of
/// what `kexec crash load` would load.
fn judged(
    world: &World<'_>,
    record: Option<&LoadRecord>,
    files: &[CheckedFile],
    host: &Snapshot,
    facts: &CrashFacts,
) -> Result<Judged, Error> {
    let mut selection = super::choice::unnamed();
    let same = files.iter().all(|file| file.state == FileState::Same);
    if let (Some(record), [kernel, initrds @ ..], true) = (record, files, same)
        && initrds.len() == record.initrd.len()
    {
        let at = |file: &CheckedFile| {
            world
                .root
                .join(file.path.strip_prefix("/").unwrap_or(&file.path))
        };
        selection.name = Some(at(kernel).into());
        selection.load.kernel = FileRef::from(&at(kernel));
        selection.load.initrds = initrds
            .iter()
            .map(|file| FileRef::from(&at(file)))
            .collect();
        selection.cmdline = Some(record.cmdline.clone());
    }
    let kernel = CrashKernel::choose_with(world, &selection, host, facts.clone())?;
    Ok(kernel.prepare(world, host)?.judged(world, host))
}

#[cfg(test)]
mod tests {
    use kexec_reboot::record::slot::{Interrupted, SlotChange};

    use super::*;

    #[test]
    fn what_is_not_named_is_explained() {
        let interrupted = SlotContent::Interrupted(Interrupted {
            change: SlotChange::LoadOver,
            record: None,
        });
        let at_work = || Some("`kexec -p` (process 7)".to_owned());
        for (content, at_work, words) in [
            (
                &interrupted,
                None,
                Some("interrupted: either of them is loaded"),
            ),
            (
                &interrupted,
                at_work(),
                Some("being changed: `kexec -p` (process 7)"),
            ),
            (
                &SlotContent::Foreign,
                at_work(),
                Some("no record could be written"),
            ),
            (&SlotContent::Hidden, None, Some("only root")),
            (&SlotContent::Empty, at_work(), None),
            (&SlotContent::Unknown, None, None),
        ] {
            let told = image_unknown(content, at_work);
            assert_eq!(told.is_some(), words.is_some(), "{content:?}");
            let told = told.unwrap_or_default();
            assert!(told.contains(words.unwrap_or_default()), "{told}");
        }
    }
}
