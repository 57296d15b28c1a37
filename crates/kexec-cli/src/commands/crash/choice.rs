//! Which kernel becomes the crash kernel, with which initrd and command line.

use std::collections::BTreeMap;

use kexec_crash::checks::{self, CrashContext, DUMP_UNIT};
use kexec_crash::cmdline::{Derived, Rule, derive_with, for_initrd_of};
use kexec_crash::estimate::{Estimate, Needs, Programs, estimate, is_encrypted};
use kexec_crash::facts::CrashFacts;
use kexec_crash::initrd::Contents;
use kexec_crash::settings::LineSettings;
use kexec_crash::target::Service;
use kexec_image::{Image, ikconfig};
use kexec_load::pipeline::{self, Prepared};
use kexec_load::preflight::{self, Finding};
use kexec_load::request::{CmdlineChoice, EntryLine};
use kexec_load::{Error, LoadRequest};
use kexec_machine::snapshot::{config_beside, kernel_options};
use kexec_machine::volumes::FileRef;
use kexec_machine::{Fact, Problem, Snapshot};
use kexec_plan::{Cmdline, file};
use kexec_reboot::steps::{ChosenLoad, Selection};
use kexec_reboot::world::{Told, World};
use kexec_sys::Slot;

use super::initrds;

/// The selection of `kexec crash load` without a name: the running kernel.
pub fn unnamed() -> Selection {
    Selection::new(LoadRequest {
        slot: Slot::Crash,
        ..LoadRequest::new("")
    })
}

/// A kernel that is to become the crash kernel. Of its files, the kernel was looked at.
#[derive(Debug)]
pub struct CrashKernel {
    /// The load, with the initrd and the command line of a crash kernel.
    pub chosen: ChosenLoad,
    /// How its command line was derived; `None` where the caller gave it as a whole.
    pub derived: Option<Derived>,
    /// What else decides about the dump.
    pub facts: CrashFacts,
    /// Worth saying, and nobody's mistake.
    pub notes: Vec<String>,
}

/// The same, read, planned and checked.
#[derive(Debug)]
pub struct ReadyCrashKernel {
    /// What was chosen.
    pub kernel: CrashKernel,
    /// The plan, and what the checks of a load found.
    pub prepared: Prepared,
}

/// What is known of the files of a crash kernel, beyond the checks of a load.
#[derive(Debug)]
pub struct Judged {
    /// What the checks of a crash kernel found.
    pub findings: Vec<Finding>,
    /// How large the region has to be.
    pub estimate: Estimate,
    /// What is in the initrd.
    pub contents: Contents,
}

impl CrashKernel {
    /// Finds it: what is named, else the running kernel.
    ///
    /// # Errors
    /// When there is no such kernel, or its command line cannot be derived.
    pub fn choose(
        world: &World<'_>,
        selection: &Selection,
        host: &Snapshot,
    ) -> Result<CrashKernel, Error> {
        CrashKernel::choose_with(world, selection, host, CrashFacts::read(world.root))
    }

    /// The same for a caller that has read the facts.
    ///
    /// # Errors
    /// As [`CrashKernel::choose`].
    pub fn choose_with(
        world: &World<'_>,
        selection: &Selection,
        host: &Snapshot,
        facts: CrashFacts,
    ) -> Result<CrashKernel, Error> {
        let typed = &selection.load;
        let mut chosen = match &selection.name {
            None => ChosenLoad::running(world, selection, host)?,
            Some(_) => ChosenLoad::choose(world, selection, host)?,
        };
        let image = chosen.kernel(host)?;
        let mut notes = Vec::new();
        let service = initrd(world, typed, &image, &mut chosen.request, &mut notes);
        let derived = match selection.cmdline {
            Some(_) => None,
            None => {
                let mut set = facts.lines.iter();
                let set = set.find(|set| Some(set.service) == service);
                notes.extend(set.iter().flat_map(|set| set.unclear.iter().cloned()));
                let from = base(selection, &chosen.request, &image, (host, set), &mut notes)?;
                let more = rules(service, &facts);
                Some(derive_with(&from, more, set, typed.cmdline.append.as_ref()))
            }
        };
        if let Some(derived) = &derived {
            chosen.request.cmdline = CmdlineChoice {
                entry: Some(EntryLine::Derived(derived.line.clone())),
                append: None,
                reuse: false,
            };
        }
        Ok(CrashKernel {
            chosen,
            derived,
            facts,
            notes,
        })
    }

    /// Reports what is worth saying, and nobody's mistake.
    pub fn tell_notes(&self, world: &World<'_>) {
        for note in &self.notes {
            world.tell(Told::Note(note.clone()));
        }
    }

    /// Reads, plans and runs the checks of a load. Unlike a load, it goes on where no
    /// memory is reserved: that is a finding.
    ///
    /// # Errors
    /// When a file or the image is broken.
    pub fn prepare(self, world: &World<'_>, host: &Snapshot) -> Result<ReadyCrashKernel, Error> {
        let request = &self.chosen.request;
        let inputs = self.chosen.read(world, host)?;
        let inputs = inputs.with_config(world.root, request);
        let prepared = pipeline::prepare(request, &inputs, host)?;
        Ok(ReadyCrashKernel {
            kernel: self,
            prepared,
        })
    }
}

impl ReadyCrashKernel {
    /// How large its region has to be, and what the checks of a crash kernel find.
    pub fn judged(&self, world: &World<'_>, host: &Snapshot) -> Judged {
        judge(
            world,
            host,
            &self.kernel.facts,
            &self.kernel.chosen.request,
            &self.prepared,
        )
    }

    /// What every check found: of a load, and of a crash kernel.
    pub fn every_finding(self, world: &World<'_>, host: &Snapshot) -> Vec<Finding> {
        let judged = self.judged(world, host);
        let mut all = self.prepared.findings;
        all.extend(judged.findings);
        all
    }
}

/// The same for a load that is prepared.
pub fn judge(
    world: &World<'_>,
    host: &Snapshot,
    facts: &CrashFacts,
    request: &LoadRequest,
    prepared: &Prepared,
) -> Judged {
    let parts = prepared.initrds.iter().map(|piece| piece.bytes.as_ref());
    let contents = Contents::of(parts);
    let plan = &prepared.plan;
    let initrd = u64::try_from(plan.initrd_len()).unwrap_or(u64::MAX);
    let line = &plan.cmdline;
    let mut estimate = estimate(&Needs {
        release: plan.release.clone(),
        kernel: preflight::held(&prepared.image, plan).saturating_sub(initrd),
        initrd,
        unpacked: contents.unpacked,
        has_root: line.value("root").is_some(),
        programs: match line.value("systemd.unit").as_deref() {
            Some(DUMP_UNIT) => Programs::System,
            _ if contents.systemd => Programs::Systemd,
            _ => Programs::Few,
        },
        keys: facts.target.keys.clone(),
        encrypted: is_encrypted(host),
    });
    estimate.files = files(request, prepared);
    if initrd == 0 {
        estimate = estimate.without_initrd();
    }
    let config = config(world, host, request, &prepared.image);
    let findings = checks::run(&CrashContext {
        host,
        facts,
        plan,
        contents: &contents,
        estimate: &estimate,
        config: &config,
    });
    Judged {
        findings,
        estimate,
        contents,
    }
}

/// What an estimate is for.
fn files(request: &LoadRequest, prepared: &Prepared) -> Vec<String> {
    let mut files = vec![request.kernel.to_string()];
    let pieces = &prepared.plan.initrd;
    files.extend(pieces.iter().map(|piece| piece.origin.clone()));
    files
}

/// The initrd of the crash kernel: that of the caller, else that of a service, else that of
/// the boot entry, else the usual one of its release. Also the service that made it.
fn initrd(
    world: &World<'_>,
    typed: &LoadRequest,
    image: &Image,
    request: &mut LoadRequest,
    notes: &mut Vec<String>,
) -> Option<Service> {
    let release = file::release(image);
    let found = release
        .as_deref()
        .map(|release| initrds::of_services(world.root, release, &request.kernel))
        .unwrap_or_default();
    if !typed.initrds.is_empty() {
        request.initrds.clone_from(&typed.initrds);
        let [FileRef::Path(path)] = typed.initrds.as_slice() else {
            return None;
        };
        let made = found.iter().find(|(_, its)| initrds::is_same(its, path));
        return made.map(|(service, _)| *service);
    }
    if let Some((service, path)) = found.first() {
        request.initrds = vec![FileRef::from(path)];
        return Some(*service);
    }
    let inside = image
        .uki
        .as_ref()
        .is_some_and(|uki| !uki.initrds.is_empty());
    let usual = release.filter(|_| request.initrds.is_empty() && !inside);
    if let Some(path) = usual.and_then(|release| initrds::usual(world.root, &release)) {
        request.initrds = vec![FileRef::from(&path)];
    }
    let note = match inside || !request.initrds.is_empty() {
        true => {
            "no service has made an initrd for the crash kernel, so it gets the normal one, which \
             may save nothing: install kdump-tools, kdump-utils or kdump first and run this \
             again; the need of memory will be larger"
        }
        false => {
            "no initrd is known for the crash kernel, so it gets none, and none is in an estimate; \
             --initrd names one"
        }
    };
    notes.push(note.to_owned());
    None
}

/// The line that the crash kernel's is derived from.
fn base(
    selection: &Selection,
    request: &LoadRequest,
    image: &Image,
    (host, set): (&Snapshot, Option<&LineSettings>),
    notes: &mut Vec<String>,
) -> Result<Cmdline, Error> {
    let inside = image.uki.as_ref().and_then(|uki| uki.cmdline.as_deref());
    match &request.cmdline.entry {
        Some(EntryLine::Text(line)) if selection.name.is_some() => return Ok(line.clone()),
        Some(EntryLine::OfUki) if inside.is_some() => {
            return Ok(Cmdline::exact(inside.unwrap_or_default()));
        }
        _ => {}
    }
    if let Some((set, line)) = set.and_then(|set| Some((set, set.base.as_ref()?))) {
        let names = set.service.line_variables();
        notes.push(format!(
            "the command line is derived from {} of {}, not from the running kernel's",
            names.base, names.file
        ));
        return Ok(line.clone());
    }
    match &host.cmdline {
        Fact::Known(line) => Ok(line.clone()),
        other => Err(Error::NotRead(Problem::new(
            "cannot read the running kernel's command line /proc/cmdline",
            format!(
                "{}; that of the crash kernel is derived from it",
                other
                    .reason()
                    .unwrap_or("no such file: /proc is not mounted")
            ),
            "mount /proc, or give the whole command line with --cmdline",
        ))),
    }
}

/// The rules for the initrd of a service.
fn rules(service: Option<Service>, facts: &CrashFacts) -> &'static [Rule] {
    match service {
        // Its unit saves the dump, and is not there.
        Some(Service::KdumpTools) if !facts.dump_unit => &[],
        Some(service) => for_initrd_of(service),
        None => &[],
    }
}

/// How the kernel was built: as the running one, where it is that one; by the configuration
/// beside it; else by its own.
fn config(
    world: &World<'_>,
    host: &Snapshot,
    request: &LoadRequest,
    image: &Image,
) -> Fact<BTreeMap<String, String>> {
    let named = match &request.kernel {
        FileRef::Path(path) => Some(path.as_path()),
        FileRef::Boot(_) => None,
    };
    let release = file::release(image);
    if let (Fact::Known(config), true) = (&host.config, release.as_ref() == Some(&host.release)) {
        return Fact::Known(config.clone());
    }
    let beside = release
        .and_then(|release| config_beside(world.root, named, &release))
        .map(|(_, text)| text);
    match beside.or_else(|| ikconfig::of(image)) {
        Some(text) => Fact::Known(kernel_options(&text)),
        None => Fact::Absent,
    }
}
