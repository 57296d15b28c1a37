//! Whole commands on a machine that fails or dies at any step: what the next command
//! finds, and what it says, is the truth.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_image::testing::codec::COMPRESSORS;
use kexec_load::{LoadRequest, SyscallChoice};
use kexec_machine::volumes::Automounts;
use kexec_plan::{Cmdline, Token};
use kexec_reboot::handover::{self, shutdown_request};
use kexec_reboot::record::PreloadTarget;
use kexec_reboot::record::files::{OnDisk, RecordFiles};
use kexec_reboot::record::slot::SlotChange;
use kexec_reboot::record::{self, LoadRecord, SlotContent, Store, attempt};
use kexec_reboot::steps::{self, PreloadOptions, Shutdown};
use kexec_sys::double::{Asked, Between, Double, Machine};
use kexec_sys::{Errno, FileFlags, Slot};

use super::*;

mod cold_every;
mod crash_line;
mod crash_slot;
mod distrust;
mod dry_run;
mod truth;

/// What happens from one step on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Killed,
    Full,
    ReadOnly,
    Broken,
}

/// A file system and a kernel, each call of which that changes something is a step.
#[derive(Debug)]
struct Mortal<'a> {
    kernel: &'a Double,
    fault: Fault,
    at: usize,
    steps: Cell<usize>,
    dead: Cell<bool>,
}

impl<'a> Mortal<'a> {
    fn new(kernel: &'a Double, fault: Fault, at: usize) -> Mortal<'a> {
        Mortal {
            kernel,
            fault,
            at,
            steps: Cell::new(0),
            dead: Cell::new(false),
        }
    }

    fn step(&self) -> bool {
        let now = self.steps.get();
        self.steps.set(now + 1);
        let met = now >= self.at;
        if met && self.fault == Fault::Killed {
            self.dead.set(true);
        }
        met
    }

    fn writes(&self, makes: bool) -> io::Result<()> {
        let met = self.step();
        let error = match self.fault {
            _ if self.is_dead() => Errno::EIO,
            _ if !met => return Ok(()),
            Fault::Full if !makes => return Ok(()),
            Fault::Full => Errno::ENOSPC,
            Fault::ReadOnly => Errno::EROFS,
            Fault::Broken | Fault::Killed => Errno::EIO,
        };
        Err(io::Error::from_raw_os_error(error.raw()))
    }

    /// What the kernel is asked is a step as well, if it changes something.
    fn asks(&self, asked: Asked) -> Result<(), Errno> {
        match asked {
            Asked::FileLoad | Asked::FileUnload | Asked::Load | Asked::Unload | Asked::Reboot => {
                self.step()
            }
            Asked::Interfaces => return Err(Errno::ENODEV),
            _ => return Ok(()),
        };
        match self.is_dead() {
            true => Err(Errno::EIO),
            false => Ok(()),
        }
    }

    /// The program does not outlive the jump either.
    fn is_dead(&self) -> bool {
        self.dead.get() || self.kernel.jumped().is_some()
    }
}

impl RecordFiles for Mortal<'_> {
    fn make_folder(&self, path: &Path, parents: bool) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.writes(true)?;
        OnDisk.make_folder(path, parents)
    }
    fn write_new(&self, path: &Path, text: &[u8]) -> io::Result<File> {
        self.writes(true)?;
        OnDisk.write_new(path, text)
    }
    fn sync(&self, _: &File) -> io::Result<()> {
        self.writes(false)
    }
    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.writes(false)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.writes(false)?;
        OnDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            return Ok(());
        }
        self.writes(false)?;
        OnDisk.remove(path)
    }
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        OnDisk.read(path)
    }
    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        OnDisk.names(folder)
    }
}

/// A machine with two kernels in /boot, where the kernel loads files itself.
struct Fixture {
    root: tempfile::TempDir,
    kernel: Double,
}

fn put(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

impl Fixture {
    fn world(&self) -> World<'_> {
        World {
            kernel: &self.kernel,
            root: self.root.path(),
            automounts: Automounts::Leave,
            files: &OnDisk,
            onlooker: &Terminal,
        }
    }

    fn new() -> Fixture {
        let root = tempfile::tempdir().unwrap();
        let at = root.path();
        let gzip = COMPRESSORS.iter().find(|c| c.name == "gzip").unwrap();
        let inner = vec![7; 5000];
        let image = BzImageBuilder::new()
            .payload((gzip.compress)(&inner), inner.len(), "gzip")
            .build();
        for name in ["one", "two"] {
            put(at, &format!("boot/vmlinuz-{name}"), &image);
        }
        put(at, "proc/sys/kernel/random/boot_id", "first\n");
        put(at, "proc/sys/kernel/osrelease", "6.12.0\n");
        put(at, "proc/sys/kernel/arch", "x86_64\n");
        put(at, "proc/cmdline", "quiet\n");
        put(
            at,
            "proc/self/mountinfo",
            "1 0 0:1 / / rw - rootfs rootfs rw\n",
        );
        fs::create_dir(at.join("run")).unwrap();
        let kernel = Double::new(Machine::default()).with_sysfs(at).unwrap();
        Fixture { root, kernel }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(format!("boot/vmlinuz-{name}"))
    }

    fn request(&self, name: &str) -> LoadRequest {
        let mut request = LoadRequest::new(self.path(name));
        request.syscall = SyscallChoice::File;
        request.cmdline.append = Some(format!("which={name}").as_str().into());
        request
    }

    /// The command line of what is loaded.
    fn loaded(&self) -> Option<Cmdline> {
        let image = self.kernel.normal()?;
        Some(Cmdline::new(image.cmdline().unwrap().to_bytes()))
    }

    fn run(&self, does: Does, on: &Mortal<'_>) -> bool {
        let asks = |asked| on.asks(asked);
        let world = World {
            kernel: &Between::new(on.kernel, &asks),
            root: self.root.path(),
            automounts: Automounts::Leave,
            files: on,
            onlooker: &Terminal,
        };
        match does {
            Does::Load(name) => {
                let request = self.request(name);
                steps::load(
                    &world,
                    "kexec -l",
                    ChosenLoad::file(&request),
                    world.snapshot(),
                    FileFlags::EMPTY,
                )
                .is_ok()
            }
            Does::Preload(name) => {
                let how = PreloadOptions {
                    target: PreloadTarget::Named(name.to_owned()),
                    at_shutdown: false,
                    if_enabled: false,
                    this_machine: false,
                    dry_run: false,
                };
                preload::verb(&world, &how, false) == exit::DONE
            }
            Does::Reboot(name) => {
                let mut selection = Selection::new(self.request(name));
                selection.name = Some(self.path(name).into());
                let how = Shutdown {
                    request: shutdown_request::ShutdownRequest::default(),
                    now: true,
                    or_cold: false,
                    cold: false,
                };
                reboot::verb(&world, &selection, &how, false, false) == exit::DONE
            }
            Does::Unload => {
                steps::unload(&world, "kexec -u", Slot::Normal, SyscallChoice::Auto).is_ok()
            }
        }
    }

    /// On a machine that works.
    fn well(&self, does: Does) -> bool {
        self.run(does, &Mortal::new(&self.kernel, Fault::Killed, usize::MAX))
    }

    fn content(&self) -> SlotContent {
        let loaded = handover::is_loaded(self.root.path());
        record::look(Store::new(self.root.path()), Slot::Normal, loaded)
    }

    /// The attempts whose token `line` has.
    fn attempts(&self, line: &Cmdline) -> Vec<attempt::Attempt> {
        let token = Token::on(line);
        let all = attempt::read_all(Store::new(self.root.path())).unwrap();
        all.into_iter()
            .filter(|a| Some(&a.token) == token.as_ref())
            .collect()
    }
}

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Load(&'static str),
    Preload(&'static str),
    Reboot(&'static str),
    Unload,
}

const THEN: [Does; 4] = [
    Does::Load("two"),
    Does::Preload("two"),
    Does::Reboot("two"),
    Does::Unload,
];

fn names(record: &LoadRecord, line: Option<&Cmdline>) -> bool {
    Some(&record.cmdline) == line
}

/// One cell; returns whether its fault was met.
fn cell(before: Option<Does>, does: Does, fault: Fault, at: usize) -> bool {
    let fixture = Fixture::new();
    if let Some(before) = before {
        assert!(fixture.well(before), "{before:?}");
    }
    let old = fixture.loaded();
    let on = Mortal::new(&fixture.kernel, fault, at);
    let done = fixture.run(does, &on);
    let cell = format!("{before:?}, then {does:?}, {fault:?} at step {at}: {done}");
    // What was jumped into is what counts, as far as it came to that.
    let jumped = fixture.kernel.jumped();
    let jumped = jumped.map(|image| Cmdline::new(image.cmdline().unwrap().to_bytes()));
    let line = fixture.loaded();
    let content = fixture.content();
    let told = format!("{cell}, {line:?} is loaded, {content:?}");
    let disk_failed = fault != Fault::Killed && on.steps.get() > at;
    match &content {
        _ if jumped.is_some() => {}
        SlotContent::Empty => assert_eq!(line, None, "{told}"),
        SlotContent::Ours(record) => assert!(names(record, line.as_ref()), "{told}"),
        SlotContent::Interrupted(found)
            if matches!(found.change, SlotChange::Load | SlotChange::Unload) =>
        {
            let record = found.record.as_ref().unwrap();
            assert!(names(record, line.as_ref()), "{told}");
        }
        SlotContent::Interrupted(_) => assert!(line.is_some(), "{told}"),
        // Said, and allowed only to who asked for the image itself.
        SlotContent::Foreign => {
            let image = matches!(does, Does::Load(_) | Does::Reboot(_));
            assert!(image && disk_failed && line != old, "{told}");
        }
        SlotContent::Unknown | SlotContent::Hidden => panic!("{told}"),
    }
    // The boot after a jump knows it, whoever asks for the jump.
    if let Some(line) = line
        .iter()
        .chain(&jumped)
        .find(|line| Token::on(line).is_some())
        && !(disk_failed && matches!(does, Does::Reboot(_)))
    {
        assert_eq!(fixture.attempts(line).len(), 1, "{told}");
    }
    if done && matches!(does, Does::Preload(_)) && before != Some(Does::Load("one")) {
        assert!(matches!(content, SlotContent::Ours(_)), "{told}");
    }
    if jumped.is_some() {
        return on.steps.get() > at;
    }
    // The next commands, on a machine that works again.
    let preloaded = fixture.well(Does::Preload("one"));
    let (line, content) = (fixture.loaded(), fixture.content());
    let told = format!("{told}; preload: {preloaded}, {line:?}, {content:?}");
    assert!(preloaded && line.is_some(), "{told}");
    assert!(!matches!(content, SlotContent::Interrupted(_)), "{told}");
    if let SlotContent::Ours(record) = &content {
        assert!(names(record, line.as_ref()), "{told}");
    }
    fixture.well(Does::Reboot("two"));
    let jumped = fixture.kernel.jumped().unwrap();
    let jumped = Cmdline::new(jumped.cmdline().unwrap().to_bytes());
    assert_eq!(jumped.value("which").as_deref(), Some("two"), "{told}");
    let attempts = fixture.attempts(&jumped);
    assert!(attempts.len() == 1 && !attempts[0].preloaded, "{told}");
    // It is the newest, by which the next boot is judged.
    let all = attempt::read_all(Store::new(fixture.root.path())).unwrap();
    assert_eq!(all.first(), attempts.first(), "{told}");
    on.steps.get() > at
}

/// Every step of every command, from these states.
fn every_step(before: &[Option<Does>], fault: Fault) {
    let mut cells = 0;
    for before in before {
        for does in THEN {
            let mut at = 0;
            while cell(*before, does, fault, at) {
                at += 1;
                assert!(at < 100, "it never ends");
            }
            cells += at;
        }
    }
    assert!(cells > 30, "{cells} cells");
    println!("{cells} cells");
}

#[test]
fn killed_at_every_step() {
    every_step(
        &[None, Some(Does::Load("one")), Some(Does::Preload("one"))],
        Fault::Killed,
    );
}

#[test]
fn a_disk_that_fills_at_every_step() {
    every_step(&[Some(Does::Preload("one"))], Fault::Full);
}

#[test]
fn a_disk_that_turns_read_only_at_every_step() {
    every_step(&[None, Some(Does::Preload("one"))], Fault::ReadOnly);
}

#[test]
fn a_disk_that_breaks_at_every_step() {
    every_step(&[Some(Does::Preload("one"))], Fault::Broken);
}

/// A kernel that others can write to is told before it is booted, with the remedy; a file
/// that somebody names is his own affair.
#[test]
fn a_boot_file_that_others_can_change_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    let world = fixture.world();
    let here = world.snapshot();
    let warned = |chosen: ChosenLoad| -> Vec<String> {
        let ready = Ready::new(&world, chosen, here.clone()).unwrap();
        let findings = ready.prepared.findings;
        let own = findings
            .iter()
            .filter(|f| f.check == "owners" && !f.problem.remedy.is_empty());
        own.map(|f| {
            format!(
                "{}: {}; {}",
                f.problem.what, f.problem.why, f.problem.remedy
            )
        })
        .collect()
    };
    let entry = || {
        let selection = Selection::new(LoadRequest::new(fixture.path("one")));
        ChosenLoad::named(&world, &selection, "one", &here).unwrap()
    };
    fs::set_permissions(fixture.path("one"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(warned(entry()), [""; 0]);
    fs::set_permissions(fixture.path("one"), fs::Permissions::from_mode(0o646)).unwrap();
    let told = warned(entry());
    let [told] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(
        told.starts_with("/boot/vmlinuz-one: it belongs to user "),
        "{told}"
    );
    assert!(told.contains("has mode 0646"), "{told}");
    let remedy = "chown root: '/boot/vmlinuz-one'; chmod go-w '/boot/vmlinuz-one'";
    assert!(told.ends_with(remedy), "{told}");
    assert_eq!(warned(ChosenLoad::file(&fixture.request("one"))), [""; 0]);
}
