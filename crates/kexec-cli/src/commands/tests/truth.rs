//! What a command says first, and what its exit code says.

use kexec_machine::Snapshot;
use kexec_reboot::handover::init::InitFacts;
use kexec_reboot::preload::{PreloadMoment, Step};
use kexec_reboot::steps::{Journey, PreloadPlan, can_kexec, unnamed};

use super::*;

impl Fixture {
    fn selects(&self, name: &str) -> Selection {
        let mut selection = Selection::new(self.request("one"));
        selection.name = Some(name.into());
        selection
    }
}

fn of(name: &str, dry_run: bool) -> PreloadOptions {
    PreloadOptions {
        target: PreloadTarget::Named(name.to_owned()),
        at_shutdown: false,
        if_enabled: false,
        this_machine: false,
        dry_run,
    }
}

/// Before any word about entries and files.
#[test]
fn a_kernel_with_neither_system_call_is_told_first() {
    let fixture = Fixture::new();
    let world = fixture.world();
    assert!(can_kexec(&world, &world.snapshot()).is_ok());
    for file in ["kexec_loaded", "kexec_crash_loaded"] {
        fs::remove_file(fixture.root.path().join("sys/kernel").join(file)).unwrap();
    }
    put(fixture.root.path(), "sys/kernel/notes", "");
    let selection = fixture.selects("nosuch");
    let how = Shutdown {
        request: shutdown_request::ShutdownRequest::default(),
        now: false,
        or_cold: false,
        cold: false,
    };
    let init = InitFacts::read(world.root);
    let file = fixture.request("one");
    let host = || -> Snapshot { world.snapshot() };
    let chosen = ChosenLoad::file(&file);
    let errors = [
        Journey::prepare(&world, &init, &selection, &how).err(),
        PreloadPlan::read(&world, &of("none", true), PreloadMoment::Running, None).err(),
        steps::load(&world, "kexec -l", chosen, host(), FileFlags::EMPTY).err(),
        steps::unload(&world, "kexec -u", Slot::Normal, SyscallChoice::Auto).err(),
        steps::unload(&world, "kexec -u", Slot::Crash, SyscallChoice::Auto).err(),
        steps::jump_back(&world, None).err(),
    ];
    for error in errors {
        let error = error.unwrap();
        assert_eq!(
            error.to_string(),
            "running kernel 6.12.0: it was built without kexec: it has neither kexec_load(2) nor \
             kexec_file_load(2) (/sys/kernel/kexec_loaded does not exist)"
        );
        assert!(
            error.remedy().contains("CONFIG_KEXEC"),
            "{}",
            error.remedy()
        );
    }
    assert_eq!(load::verb(&world, &selection, false, true), exit::REFUSED);
    assert_eq!(check::verb(&world, &selection, None, false), exit::REFUSED);
}

/// Nothing else is known of a machine without sysfs; the system call will tell.
#[test]
fn without_sysfs_it_is_tried() {
    let fixture = Fixture::new();
    fs::remove_dir_all(fixture.root.path().join("sys")).unwrap();
    let world = fixture.world();
    assert!(can_kexec(&world, &world.snapshot()).is_ok());
}

#[test]
fn a_mistyped_name_is_known_as_one() {
    let fixture = Fixture::new();
    let world = fixture.world();
    let named = |name: &str| unnamed(&world, &fixture.selects(name)).map(|e| e.to_string());
    let path = fixture.path("one").display().to_string();
    assert_eq!(named(&path), None);
    assert!(named(&format!("{path}x")).unwrap().contains("no such file"));
    assert!(named("nosuch").unwrap().contains("no entry of that name"));
    // What a reboot would boot has no name.
    assert!(unnamed(&world, &Selection::default_entry()).is_none());
}

#[test]
fn nothing_that_could_be_loaded_ahead_is_a_failure() {
    let fixture = Fixture::new();
    let world = fixture.world();
    for (name, expected) in [("none", exit::REFUSED), ("one", exit::DONE)] {
        for dry_run in [true, false] {
            for json in [true, false] {
                let code = preload::verb(&world, &of(name, dry_run), json);
                assert_eq!(code, expected, "{name} {dry_run} {json}");
            }
        }
    }
    assert!(fixture.loaded().is_some());
    // A decision is none.
    put(fixture.root.path(), "run/kexec/cold", "");
    assert!(fixture.well(Does::Unload));
    assert_eq!(preload::verb(&world, &of("one", false), false), exit::DONE);
    let plan = PreloadPlan::read(&world, &of("one", true), PreloadMoment::Running, None);
    assert!(matches!(plan.unwrap().step(), Step::Wait(_)));
}

/// As somebody mounts it for a chroot: what it shows is not of the system below the folder.
#[test]
fn a_root_with_the_running_systems_proc_has_no_entry_of_that_system() {
    let fixture = Fixture::new();
    let root = fixture.root.path();
    put(root, "boot/vmlinuz", "");
    let sources = || {
        let survey = list::surveyed(root).unwrap();
        let foreign = survey
            .notes
            .iter()
            .any(|note| note.contains("another system"));
        let sources = survey.sources.iter().map(|listed| listed.source);
        (sources.collect::<Vec<_>>(), foreign)
    };
    // A copy of a machine, whose /proc is its own.
    let (found, foreign) = sources();
    assert!(found.contains(&"running") && !foreign, "{found:?}");
    fs::remove_dir_all(root.join("proc")).unwrap();
    std::os::unix::fs::symlink("/proc", root.join("proc")).unwrap();
    let (found, foreign) = sources();
    assert!(foreign);
    assert!(!found.contains(&"running"), "{found:?}");
    assert!(!found.contains(&"firmware"), "{found:?}");
    assert!(found.contains(&"plain"), "{found:?}");
}
