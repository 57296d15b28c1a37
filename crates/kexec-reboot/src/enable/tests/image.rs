//! In the files of a system that does not run, whatever links are in them.

use super::*;

const PROGRAM: &str = "/usr/sbin/kexec";

/// A small system with systemd and a program of ours.
fn image() -> tempfile::TempDir {
    let root = tree(&["/usr/lib/systemd/system", "/usr/sbin", "/etc"]);
    let at = |path: &str| below(root.path(), path);
    fs::write(at("/usr/lib/systemd/systemd"), "").unwrap();
    symlink("usr/lib", at("/lib")).unwrap();
    symlink("usr/sbin", at("/sbin")).unwrap();
    symlink("/lib/systemd/systemd", at("/usr/sbin/init")).unwrap();
    program(root.path(), MARK, 0o755);
    root
}

fn program(root: &Path, text: &str, mode: u32) {
    let at = below(root, PROGRAM);
    fs::write(&at, text).unwrap();
    fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
}

fn of(root: &Path) -> Image {
    Image {
        root: root.to_owned(),
        why: None,
    }
}

fn switched(root: &Path) -> Result<(), String> {
    let preload = feature("preload").unwrap();
    let changes = enable(root, preload, PROGRAM).map_err(|e| e.to_string())?;
    let done = apply(root, preload, &changes);
    done.map(drop).map_err(|e| e.to_string())
}

#[test]
fn links_of_an_image_lead_below_it() {
    let outside = tempfile::tempdir().unwrap();
    for target in [
        outside.path().to_owned(),
        Path::new("/../..").join(outside.path().strip_prefix("/").unwrap()),
    ] {
        let root = image();
        fs::remove_dir(below(root.path(), "/etc")).unwrap();
        symlink(&target, below(root.path(), "/etc")).unwrap();
        // Where it leads there is nothing yet.
        let failed = switched(root.path()).unwrap_err();
        assert!(failed.contains("which does not exist"), "{failed}");
        let inside = root.path().join(outside.path().strip_prefix("/").unwrap());
        fs::create_dir_all(&inside).unwrap();
        switched(root.path()).unwrap();
        assert!(is_enabled(root.path(), feature("preload").unwrap()));
        assert!(inside.join("systemd/system/kexec-preload.service").exists());
        off(root.path(), "preload");
        assert!(!is_enabled(root.path(), feature("preload").unwrap()));
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}

#[test]
fn what_is_missing_is_made() {
    let root = image();
    fs::remove_dir(below(root.path(), "/etc")).unwrap();
    switched(root.path()).unwrap();
    let link = below(
        root.path(),
        "/etc/systemd/system/multi-user.target.wants/kexec-preload.service",
    );
    // As systemctl --root writes it.
    assert_eq!(
        fs::read_link(link).unwrap(),
        Path::new("/etc/systemd/system/kexec-preload.service")
    );
}

#[test]
fn the_init_of_the_image_counts() {
    let root = image();
    let preload = feature("preload").unwrap();
    assert!(of(root.path()).possible(preload).is_ok());
    let init = below(root.path(), "/usr/sbin/init");
    let mut said = Vec::new();
    for target in ["/bin/busybox", "/usr/bin/openrc-init", "/usr/bin/odd"] {
        fs::remove_file(&init).unwrap();
        symlink(target, &init).unwrap();
        let at = below(root.path(), target);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, "").unwrap();
        said.push(of(root.path()).possible(preload).unwrap_err().to_string());
    }
    assert!(said[0].ends_with(" has busybox init"), "{said:?}");
    assert!(said[1].ends_with(" has openrc-init"), "{said:?}");
    assert!(said[2].ends_with(" has an unknown /sbin/init"), "{said:?}");
    // Of no system at all.
    let empty = tree(&[]);
    let none = of(empty.path()).possible(preload).unwrap_err();
    assert!(none.to_string().contains("neither /sbin/init"), "{none}");
    assert!(
        of(empty.path())
            .possible(feature("exitrd").unwrap())
            .is_ok()
    );
}

#[test]
fn the_program_of_the_image_is_named_as_the_image_has_it() {
    let root = image();
    let preload = feature("preload").unwrap();
    let own = below(root.path(), PROGRAM);
    let found = |own: Option<&Path>| of(root.path()).program(preload, own);
    let named = (PROGRAM.to_owned(), None);
    assert_eq!(found(Some(&own)).unwrap(), named);
    let (path, note) = found(None).unwrap();
    assert_eq!(path, PROGRAM);
    assert!(note.unwrap().contains("another version"));
    program(root.path(), "kexec-tools", 0o755);
    let other = found(None).unwrap_err().to_string();
    assert!(other.contains("another program"), "{other}");
    program(root.path(), MARK, 0o644);
    assert!(
        found(None)
            .unwrap_err()
            .to_string()
            .contains("it is no program")
    );
    program(root.path(), MARK, 0o757);
    let open = found(None).unwrap_err().to_string();
    assert!(open.contains("mode 0757"), "{open}");
    fs::remove_file(&own).unwrap();
    let none = found(None).unwrap_err().to_string();
    assert!(none.contains("there is no kexec program in it"), "{none}");
}

#[test]
fn a_place_is_a_folder_or_what_runs() {
    use crate::handover::init::Init;
    let root = image();
    let place = Place::of(Some(root.path()), Init::Systemd).unwrap();
    assert_eq!(place, Place::Image(of(root.path())));
    let file = below(root.path(), PROGRAM);
    assert!(Place::of(Some(&file), Init::Systemd).is_err());
}
