//! What a dry run says is what the command does.

use super::*;

/// What `kexec check` says of a reboot is not asked of a load, with and without
/// `--dry-run`.
#[test]
fn a_dry_run_refuses_what_the_load_refuses_and_no_more() {
    let fixture = Fixture::new();
    let world = World {
        kernel: &fixture.kernel,
        root: fixture.root.path(),
        automounts: Automounts::Leave,
        files: &OnDisk,
        onlooker: &Terminal,
    };
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
