//! The kernel gives up the old crash kernel before it looks at the new one.

use kexec_image::testing::PeBuilder;
use kexec_load::request::{CompanionFile, EntryLine};
use kexec_machine::volumes::FileRef;
use kexec_reboot::steps::Selection;
use kexec_sys::double::Call;

use super::*;
use crate::request::CrashRequest;

/// A machine that has memory reserved for a crash kernel.
fn reserved() -> Fixture {
    let fixture = Fixture::new();
    put(
        fixture.root.path(),
        "sys/kernel/kexec_crash_size",
        "268435456\n",
    );
    let region = 0x2000_0000..0x3000_0000;
    fixture.kernel.change(|m| m.crash_region = Some(region));
    fixture
}

fn load(world: &World<'_>, request: &LoadRequest) -> Result<(), Error> {
    let mut request = request.clone();
    request.slot = Slot::Crash;
    let chosen = ChosenLoad::file(&request);
    let host = world.snapshot();
    steps::load(world, "kexec -p", chosen, host, FileFlags::EMPTY).map(drop)
}

fn kernel_of(world: &World<'_>) -> Option<String> {
    match world.content(Slot::Crash) {
        SlotContent::Ours(record) => Some(record.kernel.clone()),
        SlotContent::Empty => None,
        other => panic!("{other:?}"),
    }
}

/// The kernel refuses this many loads and takes those after them.
fn refuses(fixture: &Fixture, refused: usize) -> impl Fn(Asked) -> Result<(), Errno> + '_ {
    let asked = Cell::new(0);
    move |what| {
        if what == Asked::FileLoad {
            asked.set(asked.get() + 1);
            let errno = (asked.get() <= refused).then_some(Errno::EACCES);
            fixture.kernel.change(|m| m.file_denied = errno);
        }
        Ok(())
    }
}

#[test]
fn a_crash_kernel_that_was_given_up_is_loaded_again() {
    let fixture = reserved();
    let (one, two) = (fixture.request("one"), fixture.request("two"));
    load(&fixture.world(), &one).unwrap();
    let before = fixture.world().content(Slot::Crash);
    let first = refuses(&fixture, 1);
    let world = World {
        kernel: &Between::new(&fixture.kernel, &first),
        ..fixture.world()
    };
    let error = load(&world, &two).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("two"), "{text}");
    assert!(text.contains("one was loaded again"), "{text}");
    assert!(!text.contains("WITHOUT A CRASH KERNEL"), "{text}");
    let after = world.content(Slot::Crash);
    let (SlotContent::Ours(before), SlotContent::Ours(after)) = (before, after) else {
        panic!("it has no record");
    };
    assert_eq!(
        (
            &after.kernel,
            &after.cmdline,
            &after.initrd,
            &after.method,
            &after.files
        ),
        (
            &before.kernel,
            &before.cmdline,
            &before.initrd,
            &before.method,
            &before.files
        )
    );
    assert!(fixture.kernel.crash().is_some());
}

/// A signal between the two would leave the machine without a crash kernel, and nobody told.
#[test]
fn no_signal_comes_between_giving_up_and_loading_again() {
    let held = |refused: usize, loads: usize| {
        let fixture = reserved();
        let (one, two) = (fixture.request("one"), fixture.request("two"));
        load(&fixture.world(), &one).unwrap();
        let before = fixture.kernel.calls().len();
        let first = refuses(&fixture, refused);
        let world = World {
            kernel: &Between::new(&fixture.kernel, &first),
            ..fixture.world()
        };
        assert_eq!(load(&world, &two).is_ok(), refused == 0);
        let calls = fixture.kernel.calls().split_off(before);
        let mut held = Vec::new();
        let mut asked = 0;
        for call in &calls {
            match call {
                Call::HoldSignals { held: now } => held.push(*now),
                Call::FileLoad { .. } => {
                    asked += 1;
                    assert_eq!(held, [true], "{calls:?}");
                }
                _ => {}
            }
        }
        assert_eq!(asked, loads);
        held
    };
    assert_eq!(held(0, 1), [true, false]);
    // Then the error is still to be shown.
    assert_eq!(held(1, 2), [true]);
    assert_eq!(held(2, 2), [true]);
    // Nothing can be lost.
    let fixture = reserved();
    load(&fixture.world(), &fixture.request("one")).unwrap();
    let mut calls = fixture.kernel.calls().into_iter();
    assert!(!calls.any(|call| matches!(call, Call::HoldSignals { .. })));
}

/// Not every file behind the kernel is an initrd.
#[test]
fn a_crash_kernel_with_files_beside_it_is_loaded_again() {
    let fixture = reserved();
    put(fixture.root.path(), "boot/initrd-one", "initrd");
    put(fixture.root.path(), "boot/one.addon.efi", "addon");
    let mut one = fixture.request("one");
    let at = |name: &str| FileRef::from(&fixture.root.path().join("boot").join(name));
    one.initrds = vec![at("initrd-one")];
    one.companions = Some(vec![CompanionFile {
        file: at("one.addon.efi"),
        place: "/loader/addons/one.addon.efi".into(),
    }]);
    load(&fixture.world(), &one).unwrap();
    let first = refuses(&fixture, 1);
    let world = World {
        kernel: &Between::new(&fixture.kernel, &first),
        ..fixture.world()
    };
    let text = load(&world, &fixture.request("two"))
        .unwrap_err()
        .to_string();
    assert!(text.contains("one was loaded again"), "{text}");
    assert!(kernel_of(&world).is_some_and(|kernel| kernel.ends_with("one")));
}

/// kexec-crash.service ends well where it has nothing to do, so that it is not a failed unit
/// at every boot, and where another service loads the crash kernel. By hand it is an error.
#[test]
fn the_unit_ends_well_where_it_has_nothing_to_do() {
    let load = |fixture: &Fixture, by_unit| {
        let request = CrashRequest::Load {
            selection: Selection::new(LoadRequest {
                slot: Slot::Crash,
                ..LoadRequest::new("")
            }),
            dry_run: false,
            json: false,
            by_unit,
        };
        crash::verb(&fixture.world(), &request)
    };
    let none = Fixture::new();
    put(none.root.path(), "sys/kernel/kexec_crash_size", "0\n");
    assert_eq!(load(&none, true), exit::DONE);
    assert_eq!(load(&none, false), exit::REFUSED);
    // A crash kernel has no use for another one.
    let inside = reserved();
    put(inside.root.path(), "proc/vmcore", "");
    assert_eq!(load(&inside, true), exit::DONE);
    assert!(inside.kernel.crash().is_none());
    // Its own mistakes are told: there is no file of the running kernel.
    let fixture = reserved();
    assert_eq!(load(&fixture, true), exit::REFUSED);
    let wants = "etc/systemd/system/multi-user.target.wants/kdump.service";
    put(fixture.root.path(), wants, "");
    assert_eq!(load(&fixture, true), exit::DONE);
    assert!(fixture.kernel.crash().is_none());
}

/// What addons bring is in the recorded command line, and not always at its end.
#[test]
fn a_uki_with_addons_is_loaded_again_with_its_line() {
    for (given, append, expected) in [
        (None, None, "own=1 addon=1 addon=2"),
        (Some("given=1"), None, "given=1 addon=1 addon=2"),
        (
            Some("given=1"),
            Some("mine=1"),
            "given=1 addon=1 addon=2 mine=1",
        ),
        // A line that ends as an addon does.
        (
            Some("x addon=1 addon=2"),
            None,
            "x addon=1 addon=2 addon=1 addon=2",
        ),
    ] {
        let fixture = reserved();
        let linux = fs::read(fixture.path("one")).unwrap();
        let uki = PeBuilder::new()
            .section(".osrel", "ID=test\n")
            .section(".cmdline", "own=1")
            .section(".linux", linux)
            .section(".initrd", "")
            .build();
        put(fixture.root.path(), "boot/one.efi", uki);
        let addons = ["1", "2"].map(|name| {
            let addon = PeBuilder::new().section(".cmdline", format!("addon={name}"));
            let path = format!("boot/{name}.addon.efi");
            put(fixture.root.path(), &path, addon.build());
            CompanionFile {
                file: FileRef::from(&fixture.root.path().join(path)),
                place: format!("/EFI/Linux/one.efi.extra.d/{name}.addon.efi"),
            }
        });
        let mut one = LoadRequest::new(fixture.root.path().join("boot/one.efi"));
        one.syscall = SyscallChoice::File;
        one.companions = Some(addons.to_vec());
        one.cmdline.entry = Some(match given {
            Some(line) => EntryLine::Given(line.into()),
            None => EntryLine::OfUki,
        });
        one.cmdline.append = append.map(Cmdline::from);
        load(&fixture.world(), &one).unwrap();
        let line = || {
            let image = fixture.kernel.crash().unwrap();
            String::from_utf8(image.cmdline().unwrap().to_bytes().to_vec()).unwrap()
        };
        assert_eq!(line(), expected);
        let first = refuses(&fixture, 1);
        let world = World {
            kernel: &Between::new(&fixture.kernel, &first),
            ..fixture.world()
        };
        let text = load(&world, &fixture.request("two"))
            .unwrap_err()
            .to_string();
        assert!(text.contains("one.efi was loaded again"), "{text}");
        assert_eq!(line(), expected);
    }
}

/// Neither what is not the same any more, nor what cannot be known.
#[test]
fn a_crash_kernel_that_cannot_be_loaded_again_is_missed_loudly() {
    let told = |prepare: &dyn Fn(&Fixture, &LoadRequest), refused: usize| {
        let fixture = reserved();
        let (one, two) = (fixture.request("one"), fixture.request("two"));
        load(&fixture.world(), &one).unwrap();
        prepare(&fixture, &one);
        let first = refuses(&fixture, refused);
        let world = World {
            kernel: &Between::new(&fixture.kernel, &first),
            ..fixture.world()
        };
        let error = load(&world, &two).unwrap_err();
        assert!(error.remedy().contains("load a crash kernel again at once"));
        assert_eq!(kernel_of(&world), None);
        // What another program loads next is not taken for the one that is gone.
        let store = Store::new(fixture.root.path());
        let content = record::look(store, Slot::Crash, Some(true));
        assert_eq!(content, SlotContent::Foreign);
        let text = error.to_string();
        let loud = "THE MACHINE IS NOW WITHOUT A CRASH KERNEL";
        assert!(text.contains(loud), "{text}");
        text
    };
    let refused = told(&|_, _| {}, 2);
    assert!(refused.contains("not loaded again: "), "{refused}");
    let changed = told(
        &|_, one| {
            let path = one.kernel.shown();
            let bytes = fs::read(&path).unwrap();
            // Of the same size: only the times tell.
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(&path, bytes).unwrap();
        },
        1,
    );
    assert!(changed.contains("was changed"), "{changed}");
    let gone = told(&|_, one| fs::remove_file(one.kernel.shown()).unwrap(), 1);
    let (_, gone) = gone.split_once("not loaded again: ").unwrap();
    assert!(gone.contains("/boot/vmlinuz-one: "), "{gone}");
    let foreign = told(
        &|fixture, _| {
            fs::remove_file(fixture.root.path().join("run/kexec/crash.json")).unwrap();
        },
        1,
    );
    assert!(
        foreign.contains("another program had loaded it"),
        "{foreign}"
    );
}

/// What is refused before the kernel is asked, or by it before it gives anything up, takes
/// nothing away.
#[test]
fn a_crash_kernel_that_is_still_loaded_is_not_loaded_again() {
    let fixture = reserved();
    let (one, two) = (fixture.request("one"), fixture.request("two"));
    load(&fixture.world(), &one).unwrap();
    fixture.kernel.change(|m| m.load_disabled = true);
    let error = load(&fixture.world(), &two).unwrap_err().to_string();
    assert!(
        !error.contains("CRASH KERNEL") && !error.contains("again"),
        "{error}"
    );
    assert!(kernel_of(&fixture.world()).is_some_and(|kernel| kernel.ends_with("one")));
}

#[test]
fn a_script_sees_by_the_exit_code_whether_one_is_loaded() {
    let fixture = reserved();
    let world = fixture.world();
    let status = |json| {
        let request = CrashRequest::Status { debug: false, json };
        crash::verb(&world, &request)
    };
    assert_eq!(
        (status(false), status(true)),
        (exit::REFUSED, exit::REFUSED)
    );
    load(&world, &fixture.request("one")).unwrap();
    assert_eq!((status(false), status(true)), (exit::DONE, exit::DONE));
}

/// `kexec enable crash` warns with it: a crash kernel without a service saves nothing.
#[test]
fn a_crash_kernel_that_saves_nothing_is_found() {
    let fixture = reserved();
    let world = fixture.world();
    assert_eq!(crash::unsaved(&world), [], "there is no kernel");
    let kernel = fixture.root.path().join("boot/vmlinuz-6.12.0");
    fs::copy(fixture.path("one"), kernel).unwrap();
    let found = crash::unsaved(&world);
    let [finding] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(finding.check, "dump-program");
    assert!(finding.problem.why.contains("nothing would save the dump"));
}
