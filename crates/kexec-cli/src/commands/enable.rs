//! `kexec enable` and `kexec disable`: features with their units and hooks.

use std::path::{Path, PathBuf};

use kexec_load::preflight::{self, Severity};
use kexec_load::{Error, SyscallChoice};
use kexec_machine::snapshot::{KexecFile, sysfs};
use kexec_machine::{Fact, Problem, Tree, programs};
use kexec_reboot::arrival::Exitrd;
use kexec_reboot::enable::switch::{Now, StepOutcome, SwitchStep, TriedStep, carry_out, steps};
use kexec_reboot::enable::{self, Feature, FileChange, Image, Place, Settings};
use kexec_reboot::handover::init::{Init, InitFacts};
use kexec_reboot::preload;
use kexec_reboot::steps::{Selection, can_kexec, is_preloaded, unload};
use kexec_reboot::world::World;
use kexec_sys::{Slot, in_words};

use super::{crash, exit, load, prepare, print, print_json, terminal};
use crate::render::findings;
use crate::render::switching::{self, Switching};

/// How `kexec enable FEATURE` or `kexec disable FEATURE` was typed.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The feature.
    pub feature: &'static Feature,
    /// On, or off.
    pub on: bool,
    /// What else was typed of the feature.
    pub settings: &'a Settings,
    /// `--root`: the files of this system, which does not run.
    pub root: Option<&'a Path>,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--json`.
    pub json: bool,
}

/// `kexec enable FEATURE`, `kexec disable FEATURE`.
pub fn verb(world: &World<'_>, wanted: &Wanted<'_>) -> u8 {
    let init = InitFacts::read(world.root).init;
    // A dry run changes nothing that another one could miss.
    let turn = match wanted.dry_run {
        true => Ok(None),
        false => enable::one_at_a_time(wanted.root.unwrap_or(world.root)),
    };
    let place = turn.and_then(|turn| Ok((Place::of(wanted.root, init)?, turn)));
    let done = place.and_then(|(place, _turn)| match place {
        Place::Image(image) => in_image(&image, wanted),
        Place::Running if wanted.on => on(world, init, wanted),
        Place::Running => off(world, wanted),
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            load::refuse(&error, wanted.json);
            exit::REFUSED
        }
    }
}

fn on(world: &World<'_>, init: Init, wanted: &Wanted<'_>) -> Result<u8, Error> {
    let feature = wanted.feature;
    let exitrd = || Exitrd::read(&world.volumes());
    if let Some(why) = enable::not_needed(world.root, feature, exitrd) {
        return Ok(not_needed(wanted, &why));
    }
    let held = possible(world, init, feature, wanted.settings)?;
    let program = program(world, feature)?;
    let mut changes = enable::enable(world.root, feature, &program)?;
    changes.extend(wanted.settings.changes(world.root, feature)?);
    let now = Now {
        inactive: inactive(world, feature),
        cold: preload::is_cold(world.root),
        ..Now::default()
    };
    let planned = Switching {
        held,
        ..Switching::new(feature, true, &changes)
    };
    if feature.name == "crash" {
        for finding in crash::unsaved(world) {
            let layout = terminal::layout_of_messages();
            say!("{}", findings::warning(&finding, layout));
        }
    }
    Ok(walk(world, wanted, planned, &now))
}

fn off(world: &World<'_>, wanted: &Wanted<'_>) -> Result<u8, Error> {
    let feature = wanted.feature;
    let mut changes = enable::disable(world.root, feature);
    changes.extend(enable::settings::removals(world.root, feature));
    let now = Now {
        inactive: inactive(world, feature),
        needed: enable::needed_elsewhere(world.root, feature),
        preloaded: is_preloaded(world),
        cold: false,
    };
    let planned = Switching::new(feature, false, &changes);
    Ok(walk(world, wanted, planned, &now))
}

/// The files of a system that does not run. Nobody is asked.
fn in_image(image: &Image, wanted: &Wanted<'_>) -> Result<u8, Error> {
    let feature = wanted.feature;
    let mut planned = Switching::new(feature, wanted.on, &[]);
    let mut changes;
    if wanted.on {
        image.possible(feature)?;
        has_folder(&image.root, feature, wanted.settings)?;
        let own = std::env::current_exe().ok();
        let (program, note) = image.program(feature, own.as_deref())?;
        changes = enable::enable(&image.root, feature, &program)?;
        changes.extend(wanted.settings.changes(&image.root, feature)?);
        if changes.is_empty() && !enable::is_enabled(&image.root, feature) {
            let why = "no program that makes shutdown images is installed there";
            return Ok(not_needed(wanted, why));
        }
        planned.unchecked = image
            .unchecked(feature)
            .into_iter()
            .map(Into::into)
            .collect();
        planned.unchecked.extend(note);
    } else {
        changes = enable::disable(&image.root, feature);
        changes.extend(enable::settings::removals(&image.root, feature));
    }
    planned.changes = &changes;
    planned.image = Some(image);
    let files = (!changes.is_empty()).then_some(SwitchStep::Files);
    let files = files.into_iter().collect();
    Ok(carry(wanted, planned, files, |_| {
        apply(&image.root, feature, &changes)
    }))
}

fn walk(world: &World<'_>, wanted: &Wanted<'_>, planned: Switching<'_>, now: &Now) -> u8 {
    let feature = wanted.feature;
    let changes = planned.changes;
    let steps = steps(feature, wanted.on, changes, now);
    carry(wanted, planned, steps, |step| match step {
        SwitchStep::Files => apply(world.root, feature, changes),
        SwitchStep::Reload => systemctl(world, &["daemon-reload"]),
        SwitchStep::Start(unit) => systemctl(world, &["start", unit]),
        SwitchStep::Stop(unit) => systemctl(world, &["stop", unit]),
        SwitchStep::AllowKexec => preload::choose_kexec(world.root).map_err(|e| {
            let what = "removing /run/kexec/cold";
            Error::System(Problem::caused(what, e, "remove that file"))
        }),
        SwitchStep::Unload => unload(world, "kexec disable", Slot::Normal, SyscallChoice::Auto),
    })
}

/// Shows what is to be done, does it, and reports what became of it: as one document in
/// JSON.
fn carry(
    wanted: &Wanted<'_>,
    mut planned: Switching<'_>,
    steps: Vec<SwitchStep>,
    mut by: impl FnMut(&SwitchStep) -> Result<(), Error>,
) -> u8 {
    // A start changes nothing where it runs already.
    planned.steps_left = steps
        .iter()
        .any(|step| !matches!(step, SwitchStep::Start(_)));
    let tell = || {
        if !wanted.json {
            print(&switching::text(&planned));
        }
    };
    // What is written is told once it is, and before units are waited for.
    let files_first = !wanted.dry_run && steps.first() == Some(&SwitchStep::Files);
    if !files_first {
        tell();
    }
    let tried = match wanted.dry_run {
        true => {
            let planned = |step| TriedStep {
                step,
                outcome: StepOutcome::Planned,
            };
            steps.into_iter().map(planned).collect()
        }
        false => carry_out(steps, |step| {
            let done = by(step);
            if *step == SwitchStep::Files && done.is_ok() {
                tell();
            }
            done
        }),
    };
    if wanted.dry_run && !wanted.json {
        print(&switching::not_done(&tried));
    }
    if wanted.json {
        print_json(&switching::json(&planned, &tried));
    } else if let Some(text) = switching::failure(&planned, &tried, terminal::layout_of_messages())
    {
        say!("{text}");
    }
    match switching::has_failed(&tried) {
        true => exit::REFUSED,
        false => exit::DONE,
    }
}

fn not_needed(wanted: &Wanted<'_>, why: &str) -> u8 {
    match wanted.json {
        true => print_json(&switching::not_needed_json(wanted.feature, why)),
        false => print(&switching::not_needed(wanted.feature, why)),
    }
    exit::DONE
}

fn apply(root: &Path, feature: &Feature, changes: &[FileChange]) -> Result<(), Error> {
    for left in enable::apply(root, feature, changes).map_err(Error::System)? {
        say_line!("kexec: warning: {left}; it is harmless, and can be removed");
    }
    Ok(())
}

/// Whether it can work here, and how many bytes it will hold.
fn possible(
    world: &World<'_>,
    init: Init,
    feature: &Feature,
    settings: &Settings,
) -> Result<Option<u64>, Error> {
    if feature.name == "preload" || feature.name == "crash" {
        can_kexec(world, &world.snapshot())?;
    }
    let refused = |why: String, remedy: &str| {
        Error::refused(format!("switching {} on", feature.name), why, remedy)
    };
    if let Some(what) = feature.for_systemd().filter(|_| init != Init::Systemd) {
        return Err(refused(
            format!("{what}, and this machine runs {}", init.name()),
            match feature.name {
                "metrics" => {
                    "let cron write them: docs/fleets.md, \"Metrics for Prometheus\", has the line"
                }
                "parallel-shutdown" => {
                    "in the script that jumps, run `kexec parallel-shutdown kexec` before `kexec -e`"
                }
                "crash" => "run `kexec crash load` at the end of the boot (in rc.local)",
                _ => {
                    "run `kexec preload` at the end of the boot (in rc.local), and let a script at \
                     the end of the reboot jump: docs/reboot.md, \"Other inits\""
                }
            },
        ));
    }
    has_folder(world.root, feature, settings)?;
    if feature.name == "crash" {
        crash_possible(world)?;
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

/// That memory is reserved, and that nobody else loads a crash kernel.
fn crash_possible(world: &World<'_>) -> Result<(), Error> {
    let refused = |why: String, remedy: &str| Error::refused("switching crash on", why, remedy);
    let enabled = enable::crash_loader(world.root).map(|unit| (unit, "enabled"));
    let found = enabled.or_else(|| {
        let mut units = enable::CRASH_UNITS.iter().copied();
        let active = units.find(|unit| is_active(world, unit));
        active.map(|unit| (unit, "active"))
    });
    if let Some((unit, state)) = found {
        return Err(refused(
            format!("{unit} is {state}, which loads a crash kernel itself"),
            &format!("keep that one, or `systemctl disable --now {unit}` first"),
        ));
    }
    if sysfs::crash_size(world.root) == Fact::Known(0) {
        let file = KexecFile::CrashSize.shown(world.root);
        return Err(refused(
            format!("the running kernel has reserved no memory for a crash kernel ({file} is 0)"),
            kexec_plan::crash::RESERVE,
        ));
    }
    Ok(())
}

/// That the folder is there into which metrics are written.
fn has_folder(root: &Path, feature: &Feature, settings: &Settings) -> Result<(), Error> {
    if feature.name != "metrics" {
        return Ok(());
    }
    let named = settings.textfiles.clone();
    let folder = named.unwrap_or_else(|| enable::settings::folder(root));
    match Tree::new(root).folder(&folder) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::refused(
            format!("switching {} on", feature.name),
            format!("the folder {folder} does not exist"),
            "install node_exporter (Debian: prometheus-node-exporter), or name the folder of its \
             textfile collector with --textfile-dir=DIR",
        )),
    }
}

/// Where this program is; units name it by its path, and run it as root at every boot.
fn program(world: &World<'_>, feature: &Feature) -> Result<String, Error> {
    let refused = |why: String, remedy: &str| {
        Error::refused(format!("switching {} on", feature.name), why, remedy)
    };
    let path = std::env::current_exe().map_err(|e| {
        refused(
            format!("the path of this program is unknown: {}", in_words(e)),
            "mount /proc",
        )
    })?;
    let path: PathBuf = match is_real(world) {
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

/// Whether the world is not a test's.
fn is_real(world: &World<'_>) -> bool {
    world.root == Path::new("/")
}

/// The units of a feature that systemd does not run.
fn inactive(world: &World<'_>, feature: &Feature) -> Vec<&'static str> {
    let units = feature.units.iter().map(|unit| unit.name);
    units.filter(|unit| is_inactive(world, unit)).collect()
}

/// Known to be. What cannot be asked may be active.
fn is_inactive(world: &World<'_>, unit: &str) -> bool {
    state(world, unit).is_some_and(|state| INACTIVE.contains(&state.as_str()))
}

/// Known to be. What cannot be asked may be inactive.
fn is_active(world: &World<'_>, unit: &str) -> bool {
    state(world, unit).is_some_and(|state| !state.is_empty() && !INACTIVE.contains(&state.as_str()))
}

/// The states of a unit that does not run (systemctl(1), "is-active").
const INACTIVE: [&str; 3] = ["inactive", "failed", "unknown"];

/// What systemd says of a unit; `None` where it cannot be asked.
fn state(world: &World<'_>, unit: &str) -> Option<String> {
    if !is_real(world) {
        return None;
    }
    let asked = programs::command("systemctl")
        .args(["is-active", unit])
        .output();
    // systemctl(1), "is-active": the state on stdout.
    let said = asked.ok()?;
    Some(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn systemctl(world: &World<'_>, words: &[&str]) -> Result<(), Error> {
    if !is_real(world) {
        return Ok(());
    }
    let said = format!("systemctl {}", words.join(" "));
    let what = format!("running `{said}`");
    let remedy = match words {
        [_, unit] => format!("see `systemctl status {unit}` and `journalctl -u {unit}`"),
        _ => format!("run `{said}`, which shows why"),
    };
    match programs::command("systemctl").args(words).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::system(what, status.to_string(), remedy)),
        Err(e) => Err(Error::System(Problem::caused(what, e, remedy))),
    }
}
