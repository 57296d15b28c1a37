//! `kexec enable` and `kexec disable`: features with their units and hooks.

use std::path::Path;

use kexec_load::preflight::{self, Severity};
use kexec_load::{Error, SyscallChoice};
use kexec_machine::{Problem, programs};
use kexec_reboot::arrival::Exitrd;
use kexec_reboot::enable;
use kexec_reboot::enable::{Feature, FileChange, Settings};
use kexec_reboot::handover::init::{Init, InitFacts};
use kexec_reboot::preload;
use kexec_reboot::steps::{Selection, is_preloaded, unload};
use kexec_reboot::world::World;
use kexec_sys::Slot;

use super::{exit, load, prepare, print, print_json};
use crate::render::{json, text};

/// `kexec enable FEATURE`.
pub fn on(
    world: &World<'_>,
    feature: &Feature,
    settings: &Settings,
    dry_run: bool,
    json: bool,
) -> u8 {
    code(switch_on(world, feature, settings, dry_run, json), json)
}

/// `kexec disable FEATURE`.
pub fn off(world: &World<'_>, feature: &Feature, dry_run: bool, json: bool) -> u8 {
    code(switch_off(world, feature, dry_run, json), json)
}

fn code(done: Result<(), Error>, json: bool) -> u8 {
    match done {
        Ok(()) => exit::DONE,
        Err(error) => {
            load::refuse(&error, json);
            exit::REFUSED
        }
    }
}

fn switch_on(
    world: &World<'_>,
    feature: &Feature,
    settings: &Settings,
    dry_run: bool,
    json: bool,
) -> Result<(), Error> {
    let exitrd = || Exitrd::read(&world.volumes());
    if let Some(why) = enable::not_needed(world.root, feature, exitrd) {
        not_needed(feature, &why, json);
        return Ok(());
    }
    let held = possible(world, feature, settings)?;
    let program = program(world, feature)?;
    let mut changes = enable::enable(world.root, feature, &program)?;
    changes.extend(settings.changes(world.root, feature)?);
    show(feature, true, &changes, held, json);
    if dry_run {
        return Ok(());
    }
    carry_out(world, feature, &changes)?;
    let _ = preload::choose_kexec(world.root);
    for unit in feature.units {
        systemctl(world, &["start", unit.name])?;
    }
    if feature.name == "metrics" {
        // Now, and not only by its timer: who switches it on learns what is wrong.
        systemctl(world, &["start", "kexec-metrics.service"])?;
    }
    Ok(())
}

fn not_needed(feature: &Feature, why: &str, as_json: bool) {
    match as_json {
        true => print_json(&json::not_needed(feature, why)),
        false => print(&text::not_needed(feature, why)),
    }
}

fn switch_off(
    world: &World<'_>,
    feature: &Feature,
    dry_run: bool,
    json: bool,
) -> Result<(), Error> {
    let mut changes = enable::disable(world.root, feature);
    changes.extend(enable::settings::removals(world.root, feature));
    show(feature, false, &changes, None, json);
    if dry_run {
        return Ok(());
    }
    // While they are still there: nothing of this feature runs at the shutdown
    // any more. What another one needs is started by it again.
    for change in &changes {
        if let Some(unit) = change.link() {
            systemctl(world, &["stop", unit])?;
        }
    }
    carry_out(world, feature, &changes)?;
    if feature.name == "preload" && is_preloaded(world) {
        unload(world, "kexec disable", Slot::Normal, SyscallChoice::Auto)?;
    }
    Ok(())
}

fn carry_out(world: &World<'_>, feature: &Feature, changes: &[FileChange]) -> Result<(), Error> {
    let left = enable::apply(world.root, feature, changes).map_err(Error::System)?;
    for left in left {
        say_line!("kexec: warning: {left}; it is harmless, and can be removed");
    }
    if changes.is_empty() {
        return Ok(());
    }
    systemctl(world, &["daemon-reload"])
}

/// Whether it can work here, and how many bytes it will hold.
fn possible(
    world: &World<'_>,
    feature: &Feature,
    settings: &Settings,
) -> Result<Option<u64>, Error> {
    let init = InitFacts::read(world.root);
    let refused = |why: String, remedy: &str| {
        Error::refused(format!("switching {} on", feature.name), why, remedy)
    };
    if !feature.units.is_empty() && init.init != Init::Systemd {
        return Err(refused(
            format!(
                "its units are systemd's, and this machine runs {}",
                init.init.name()
            ),
            match feature.name {
                "metrics" => {
                    "let cron write them: docs/fleets.md, \"Metrics for Prometheus\", has the line"
                }
                _ => {
                    "run `kexec preload` at the end of the boot (in rc.local), and let a script at \
                     the end of the reboot jump: docs/reboot.md, \"Other inits\""
                }
            },
        ));
    }
    if feature.name == "metrics" {
        let named = settings.textfiles.clone();
        let folder = named.unwrap_or_else(|| enable::settings::folder(world.root));
        if !world.root.join(folder.trim_start_matches('/')).is_dir() {
            return Err(refused(
                format!("the folder {folder} does not exist"),
                "install node_exporter (Debian: prometheus-node-exporter), or name the folder of \
                 its textfile collector with --textfile-dir=DIR",
            ));
        }
    }
    if feature.name != "preload" {
        return Ok(None);
    }
    let prepared = prepare(world, &Selection::default_entry(), None)?;
    // What waits for the firmware passes; until then kexec preload waits, too.
    let findings = prepared.findings.iter();
    let mut lasting = findings.filter(|finding| finding.check != "firmware-wishes");
    match lasting.find(|finding| finding.severity == Severity::Refusal) {
        Some(finding) => Err(refused(
            format!("{}: {}", finding.problem.what, finding.problem.why),
            &finding.problem.remedy,
        )),
        None => Ok(Some(preflight::held(&prepared.image, &prepared.plan))),
    }
}

/// Where this program is; units name it by its path, and run it as root at every boot.
fn program(world: &World<'_>, feature: &Feature) -> Result<String, Error> {
    let refused = |why: String, remedy: &str| {
        Error::refused(format!("switching {} on", feature.name), why, remedy)
    };
    let path = std::env::current_exe().map_err(|e| {
        refused(
            format!("the path of this program is unknown: {e}"),
            "mount /proc",
        )
    })?;
    let path = match world.root == Path::new("/") {
        true => enable::trusted(&path, 0).map_err(|found| {
            let why = format!("units would run {} as root, and {found}", path.display());
            let (what, remedy) = (
                format!("switching {} on", feature.name),
                found.remedy.clone(),
            );
            let mut refused = Problem::caused(what, found, remedy);
            refused.why = why;
            refused
        })?,
        // A test's.
        false => path,
    };
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        refused(
            format!("the path {path:?} is not UTF-8, which unit files must be"),
            "install this program under another name",
        )
    })
}

fn systemctl(world: &World<'_>, words: &[&str]) -> Result<(), Error> {
    if world.root != Path::new("/") {
        return Ok(());
    }
    let said = format!("systemctl {}", words.join(" "));
    let what = format!("running {said}");
    let remedy = format!("see `{said}` and the journal");
    match programs::command("systemctl").args(words).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::system(what, status.to_string(), remedy)),
        Err(e) => Err(Error::System(Problem::caused(what, e, remedy))),
    }
}

fn show(feature: &Feature, on: bool, changes: &[FileChange], held: Option<u64>, as_json: bool) {
    if as_json {
        print_json(&json::switch(feature, on, changes, held));
    } else {
        print(&text::switch(feature, on, changes, held));
    }
}
