//! What a dry run says is what the command does.

use super::*;

/// What `kexec check` says of a reboot is not asked of a load, with and without
/// `--dry-run`.
#[test]
fn a_dry_run_refuses_what_the_load_refuses_and_no_more() {
    let fixture = Fixture::new();
    let world = fixture.world();
    let mut request = fixture.request("one");
    request.cmdline.append = Some("root=/dev/gone".into());
    let mut selection = Selection::new(request);
    selection.name = Some(fixture.path("one").into());
    assert_eq!(check::verb(&world, &selection, None, false), exit::REFUSED);
    assert_eq!(load::verb(&world, &selection, false, true), exit::DONE);
    assert_eq!(fixture.loaded(), None);
    assert_eq!(load::verb(&world, &selection, false, false), exit::DONE);
    assert!(fixture.loaded().is_some());
}

/// What is not loaded costs nothing, so nothing is measured for it either.
#[test]
fn the_machine_is_measured_for_what_would_be_loaded() {
    let fixture = Fixture::new();
    let world = fixture.world();
    let rates = fixture.root.path().join("run/kexec/rates.json");
    let mut selection = Selection::new(fixture.request("one"));
    selection.name = Some(fixture.path("one").into());
    selection.load.cmdline.append = Some("root=/dev/gone".into());
    assert_eq!(check::verb(&world, &selection, None, false), exit::REFUSED);
    assert!(!rates.exists());
    selection.load.cmdline.append = None;
    for json in [true, false] {
        assert_eq!(check::verb(&world, &selection, None, json), exit::DONE);
        let kept = record::MeasuredRates::parse(&fs::read(&rates).unwrap()).unwrap();
        assert_eq!(kept.processor, "");
    }
    // Nobody waits for a crash kernel.
    fs::remove_file(&rates).unwrap();
    selection.load.slot = Slot::Crash;
    check::verb(&world, &selection, None, false);
    assert!(!rates.exists());
}
