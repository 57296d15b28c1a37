//! The matrix: every program that changes a slot, from every state of it, with every
//! fault at every step; and what can be told afterwards.

use std::path::Path;
use std::time::Duration;

use super::super::faults::{FAULTS, FaultyMachine, StepFault};
use super::super::loaded::tests::record;
use super::super::lock::{Purpose, lock};
use super::*;

const SLOT: Slot = Slot::Normal;

fn of(kernel: &str) -> LoadRecord {
    LoadRecord {
        kernel: kernel.into(),
        ..record()
    }
}

fn held(root: &Path) -> Lock {
    lock(
        root,
        "kexec test",
        (Purpose::Change, Duration::ZERO),
        &mut |_| {},
    )
    .unwrap()
}

fn loaded(machine: &FaultyMachine) -> Option<bool> {
    Some(machine.image.borrow().is_some())
}

fn dead(_: &str) -> Error {
    Error::system("dead", String::new(), String::new())
}

/// What a slot can be like before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Empty,
    /// The record of an image that is gone.
    Stale,
    Ours,
    Foreign,
    /// A load into an empty slot that did not end.
    Load,
    /// The same over another image.
    LoadOver,
    /// The same, and the record of the image before is still there; it is the one or
    /// the other.
    OverOurs,
    OverOursDone,
    /// A load over an image of ours that could not be written down, and did not end.
    Replace,
    ReplaceDone,
    /// A load that cannot be read, over an image of ours.
    Unreadable,
    /// An unload that did not end.
    Unload,
}

const BEFORE: [Before; 12] = [
    Before::Empty,
    Before::Stale,
    Before::Ours,
    Before::Foreign,
    Before::Load,
    Before::LoadOver,
    Before::OverOurs,
    Before::OverOursDone,
    Before::Replace,
    Before::ReplaceDone,
    Before::Unreadable,
    Before::Unload,
];

impl Before {
    fn image(self) -> Option<&'static str> {
        match self {
            Before::Empty | Before::Stale => None,
            Before::Ours | Before::Load | Before::Unload => Some("old"),
            Before::Foreign | Before::LoadOver => Some("foreign"),
            Before::OverOurs | Before::Replace => Some("older"),
            Before::OverOursDone => Some("old"),
            Before::ReplaceDone | Before::Unreadable => Some("lost"),
        }
    }

    /// A folder in which it is so.
    fn make(self, slot: Slot) -> tempfile::TempDir {
        // In memory: thousands of them keep a disk busy for half a minute.
        let memory = tempfile::tempdir_in("/dev/shm");
        let root = memory.or_else(|_| tempfile::tempdir()).unwrap();
        std::fs::create_dir(root.path().join("run")).unwrap();
        let sound = FaultyMachine::new(None, StepFault::Once, usize::MAX);
        let store = Store::with(root.path(), &sound);
        let put = |which, kernel, over| {
            let record = LoadRecord {
                over: Some(over),
                ..of(kernel)
            };
            store.write_record(slot, which, &record).unwrap();
        };
        match self {
            Before::Empty | Before::Foreign => {}
            Before::Stale | Before::Ours => put(Which::Loaded, "old", false),
            Before::Load => put(Which::Loading, "old", false),
            Before::LoadOver => put(Which::Loading, "old", true),
            Before::OverOurs | Before::OverOursDone => {
                put(Which::Loaded, "older", false);
                put(Which::Loading, "old", true);
            }
            Before::Replace | Before::ReplaceDone => put(Which::Replacing, "older", false),
            Before::Unreadable => {
                put(Which::Loaded, "older", false);
                std::fs::write(store.record_path(slot, Which::Loading), "{").unwrap();
            }
            Before::Unload => put(Which::Unloading, "old", false),
        }
        root
    }
}

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Load(Need),
    /// The kernel refuses the image.
    Refused(Need),
    Unload,
}

const DOES: [Does; 5] = [
    Does::Load(Need::Record),
    Does::Load(Need::Image),
    Does::Refused(Need::Record),
    Does::Refused(Need::Image),
    Does::Unload,
];

/// How it says that it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Says {
    Done,
    /// It is done, but its record is not as it should be, and that was said.
    Unrecorded,
    Failed(String),
}

fn unload(store: Store<'_>, lock: &Lock, slot: Slot, machine: &FaultyMachine) -> Result<(), Error> {
    take_out(store, lock, slot, || machine.kernel(None), &mut |_| {}).map_err(dead)
}

/// Runs it as the commands do.
fn run(does: Does, store: Store<'_>, slot: Slot, machine: &FaultyMachine) -> Says {
    let lock = held(store.root());
    let failed = |e: Error| Says::Failed(format!("{e}; {}", e.remedy()));
    let need = match does {
        Does::Unload => {
            let mut warned = false;
            let ask = || machine.kernel(None);
            let done = take_out(store, &lock, slot, ask, &mut |_| warned = true);
            return match (done, warned) {
                (Err(why), _) => failed(dead(why)),
                (Ok(()), false) => Says::Done,
                (Ok(()), true) => Says::Unrecorded,
            };
        }
        Does::Load(need) | Does::Refused(need) => need,
    };
    let mut out = || unload(store, &lock, slot, machine);
    if let Err(e) = put_right(store, &lock, slot, loaded(machine), &mut out) {
        return failed(e);
    }
    let slot = (slot, loaded(machine));
    let ask = |announce: &mut dyn FnMut(&LoadRecord) -> Result<(), Error>| {
        announce(&of("new"))?;
        match does {
            Does::Load(_) => machine.kernel(Some("new")).map_err(dead),
            _ => Err(dead("refused")),
        }
    };
    match load(store, &lock, slot, need, ask, &mut out) {
        Ok(((), None)) => Says::Done,
        Ok(((), Some(_))) => Says::Unrecorded,
        Err(e) => failed(e),
    }
}

/// What is said of the slot is true: `whose` is the truth.
fn is_true(content: &SlotContent, image: Option<&str>, unrecorded: bool) -> bool {
    let named = |record: &LoadRecord| Some(record.kernel.as_str()) == image;
    match content {
        SlotContent::Empty => image.is_none(),
        SlotContent::Ours(record) => named(record),
        SlotContent::Foreign => image == Some("foreign") || (image == Some("new") && unrecorded),
        SlotContent::Interrupted(found) => match (found.change, &found.record) {
            (SlotChange::Load | SlotChange::Unload, Some(record)) => named(record),
            // That it may be another one is said.
            (SlotChange::LoadOver | SlotChange::Replace | SlotChange::Unreadable, _) => {
                image.is_some()
            }
            _ => false,
        },
        SlotContent::Unknown | SlotContent::Hidden => false,
    }
}

/// Runs one cell. Returns whether the fault was met.
fn cell(slot: Slot, before: Before, does: Does, fault: StepFault, at: usize) -> bool {
    let cell = format!("{slot:?}, {before:?}, {does:?}, {fault:?} at step {at}");
    let root = before.make(slot);
    let machine = FaultyMachine::new(before.image(), fault, at);
    let store = Store::with(root.path(), &machine);
    let says = run(does, store, slot, &machine);
    let image = machine.image.borrow().clone();
    let image = image.as_deref();
    let healthy = Store::new(root.path());
    let content = look(healthy, slot, loaded(&machine));
    let told = format!("{cell}: {says:?}, {image:?} is loaded, {content:?}");
    // What is remembered of an interrupted image stays until somebody changes it.
    // The dead say nothing.
    let unrecorded = says == Says::Unrecorded && !machine.is_dead();
    assert!(is_true(&content, image, unrecorded), "{told}");
    if !machine.is_dead() {
        match (does, &says) {
            (Does::Load(_), Says::Done) => {
                assert_eq!(image, Some("new"), "{told}");
                assert!(matches!(content, SlotContent::Ours(_)), "{told}");
            }
            (Does::Load(Need::Image), Says::Unrecorded) => {
                assert_eq!(image, Some("new"), "{told}");
            }
            (Does::Unload, Says::Done | Says::Unrecorded) => assert_eq!(image, None, "{told}"),
            (Does::Load(_) | Does::Refused(_), Says::Failed(_)) => {
                assert_ne!(image, Some("new"), "{told}");
            }
            _ => panic!("{told}"),
        }
        // A sound image of somebody's is never lost by a load that fails, but one that
        // was replaced and got no record.
        if let (Does::Refused(_), Before::Ours | Before::Foreign) = (does, before) {
            assert_eq!(image, before.image(), "{told}");
        }
    }
    // Nor is an image of ours what another program loads before anybody looks.
    if image.is_none() && before != Before::Stale && !unrecorded {
        let foreign = look(healthy, slot, Some(true));
        assert!(
            !matches!(foreign, SlotContent::Ours(_)),
            "{told}; then {foreign:?}"
        );
    }
    // The next program, on a machine that works again, leaves no doubt.
    let after = FaultyMachine::new(image, StepFault::Once, usize::MAX);
    let again = Store::with(root.path(), &after);
    let lock = held(root.path());
    let put = put_right(again, &lock, slot, loaded(&after), &mut || {
        unload(again, &lock, slot, &after)
    });
    assert!(put.is_ok(), "{told}: {put:?}");
    let image = after.image.borrow().clone();
    let content = look(again, slot, loaded(&after));
    let told = format!("{told}; {put:?}, then {image:?} is loaded, {content:?}");
    assert!(is_true(&content, image.as_deref(), unrecorded), "{told}");
    // An uncertain crash kernel is better than none.
    let doubtful = matches!(content, SlotContent::Interrupted(_));
    assert!(slot == Slot::Crash || !doubtful, "{told}");
    drop(lock);
    // An image of another program that comes now is not taken for ours.
    if image.is_none() {
        let content = look(again, slot, Some(true));
        assert_eq!(content, SlotContent::Foreign, "{told}");
    }
    machine.was_met()
}

#[test]
fn whatever_fails_wherever_the_truth_is_told() {
    let mut cells = 0;
    for (slot, before) in [Slot::Normal, Slot::Crash]
        .into_iter()
        .flat_map(|slot| BEFORE.map(|before| (slot, before)))
    {
        // Nothing is loaded ahead into the crash slot.
        let ahead =
            |does: &Does| matches!(does, Does::Load(n) | Does::Refused(n) if *n == Need::Record);
        let does = DOES.into_iter();
        for does in does.filter(|does| slot == Slot::Normal || !ahead(does)) {
            for fault in FAULTS {
                let mut at = 0;
                while cell(slot, before, does, fault, at) {
                    at += 1;
                    cells += 1;
                    assert!(at < 100, "it never ends");
                }
            }
        }
    }
    // Every program has steps.
    assert!(cells > 2000, "{cells} cells");
    println!("{cells} cells");
}

#[test]
fn a_load_ahead_needs_its_record() {
    for fault in [StepFault::Full, StepFault::ReadOnly, StepFault::Broken] {
        let root = Before::Ours.make(SLOT);
        let machine = FaultyMachine::new(Some("old"), fault, 0);
        let store = Store::with(root.path(), &machine);
        let Says::Failed(text) = run(Does::Load(Need::Record), store, SLOT, &machine) else {
            panic!("{fault:?}");
        };
        assert!(text.contains("run/kexec/loading.json"), "{text}");
        assert!(text.contains("make room in /run"), "{text}");
        assert_eq!(machine.image.borrow().as_deref(), Some("old"));
    }
}

/// What he is told is what the kernel says, and not that he may not write into /run.
#[test]
fn who_has_no_right_gets_the_kernels_answer() {
    for before in BEFORE {
        let root = before.make(SLOT);
        let machine = FaultyMachine::new(before.image(), StepFault::Denied, 0);
        let store = Store::with(root.path(), &machine);
        let Says::Failed(text) = run(Does::Refused(Need::Image), store, SLOT, &machine) else {
            panic!("{before:?}");
        };
        // Root's own records are not readable for him, so that he finds none interrupted.
        let interrupted = !matches!(
            before,
            Before::Empty | Before::Stale | Before::Ours | Before::Foreign
        );
        assert!(
            interrupted || text.starts_with("dead"),
            "{before:?}: {text}"
        );
    }
}

/// An early initramfs: nobody looks for a record there, so that nobody has to be told.
#[test]
fn without_a_run_only_a_load_ahead_fails() {
    for need in [Need::Image, Need::Record] {
        let root = tempfile::tempdir().unwrap();
        let machine = FaultyMachine::new(None, StepFault::Once, usize::MAX);
        let says = run(
            Does::Load(need),
            Store::with(root.path(), &machine),
            SLOT,
            &machine,
        );
        assert_eq!(says == Says::Done, need == Need::Image, "{says:?}");
        let image = machine.image.borrow().is_some();
        assert_eq!(image, need == Need::Image);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}

#[test]
fn what_lies_there_instead_of_a_record_is_not_believed_and_hangs_nobody() {
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    for which in Which::ALL {
        let root = Before::Empty.make(SLOT);
        let store = Store::new(root.path());
        let path = store.record_path(SLOT, which);
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
        let SlotContent::Interrupted(found) = look(store, SLOT, Some(true)) else {
            panic!("{which:?}");
        };
        assert_eq!(found.change, SlotChange::Unreadable);
        let machine = FaultyMachine::new(Some("x"), StepFault::Once, usize::MAX);
        let lock = held(root.path());
        let mut out = || unload(store, &lock, SLOT, &machine);
        let said = put_right(store, &lock, SLOT, Some(true), &mut out).unwrap();
        assert!(said.unwrap().ends_with("it was unloaded"));
        assert_eq!(*machine.image.borrow(), None);
        assert!(!path.exists());
    }
}

#[test]
fn an_uncertain_crash_kernel_stays_and_stays_uncertain() {
    let root = Before::Empty.make(SLOT);
    let store = Store::new(root.path());
    let over = LoadRecord {
        over: Some(true),
        ..of("old")
    };
    store
        .write_record(Slot::Crash, Which::Loading, &over)
        .unwrap();
    let lock = held(root.path());
    let mut out = || panic!("an armed machine was disarmed");
    let said = put_right(store, &lock, Slot::Crash, Some(true), &mut out).unwrap();
    assert!(said.unwrap().contains("load the crash kernel again"));
    let refused = load(
        store,
        &lock,
        (Slot::Crash, Some(true)),
        Need::Image,
        |announce| {
            announce(&of("new"))?;
            Err::<(), _>(dead("refused"))
        },
        &mut out,
    );
    assert!(refused.is_err());
    let SlotContent::Interrupted(found) = look(store, Slot::Crash, Some(true)) else {
        panic!("believed");
    };
    assert_eq!(found.change, SlotChange::LoadOver);
    assert_eq!(found.record.unwrap().kernel, "old");
}
