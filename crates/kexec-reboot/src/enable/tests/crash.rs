//! `kexec enable crash`: what it shares with preload, and what its rules see.

use super::*;

const HOOK: &str = "etc/kernel/postinst.d/zzz-kexec";

/// The hooks are those of preload: whichever is switched off first, they stay for the other.
#[test]
fn the_hooks_stay_while_one_of_their_features_is_on() {
    for (first, second) in [("preload", "crash"), ("crash", "preload")] {
        let root = tree(&["/etc/kernel/postinst.d"]);
        on(root.path(), "preload");
        on(root.path(), "crash");
        assert_eq!(on(root.path(), first), []);
        off(root.path(), first);
        assert!(
            files(root.path()).iter().any(|file| file == HOOK),
            "{first}"
        );
        assert!(is_enabled(root.path(), feature(second).unwrap()));
        off(root.path(), second);
        assert_eq!(files(root.path()), Vec::<String>::new());
    }
}

#[test]
fn everything_of_it_is_written_and_removed() {
    let root = tree(&["/usr/share/libalpm/hooks", "/usr/lib/kernel/install.d"]);
    on(root.path(), "crash");
    assert_eq!(
        files(root.path()),
        [
            "etc/kernel/install.d/95-kexec.install",
            "etc/pacman.d/hooks/95-kexec-crash.hook",
            "etc/systemd/system/kexec-crash-changed.path",
            "etc/systemd/system/kexec-crash.service",
            "etc/systemd/system/multi-user.target.wants/kexec-crash-changed.path",
            "etc/systemd/system/multi-user.target.wants/kexec-crash.service",
            "etc/udev/rules.d/98-kexec-crash.rules",
        ]
    );
    let unit = below(root.path(), "/etc/systemd/system/kexec-crash.service");
    let unit = fs::read_to_string(unit).unwrap();
    assert!(
        unit.contains("\nExecStart=/usr/local/bin/kexec crash load\n"),
        "{unit}"
    );
    assert_eq!(on(root.path(), "crash"), []);
    off(root.path(), "crash");
    assert_eq!(files(root.path()), Vec::<String>::new());
}

/// Everything that makes the mark makes the one that is watched and removed.
#[test]
fn one_mark_is_made_watched_and_removed() {
    const MARKED: &str = "/run/kexec-crash-changed";
    let crash = feature("crash").unwrap();
    let texts = crash.units.iter().map(|unit| (unit.name, unit.text));
    let parts = crash.files.iter().chain(crash.hooks);
    let mut seen = 0;
    for (name, text) in texts.chain(parts.map(|part| (part.path, part.text))) {
        let commands = text.lines().filter(|line| !line.starts_with('#'));
        let words = commands.flat_map(|line| line.split([' ', '\'', '"', '=', '\t']));
        let marks: Vec<&str> = words
            .filter(|word| word.contains("crash-changed"))
            .collect();
        let own = ["kexec-crash-changed.path"];
        let other = marks
            .iter()
            .find(|mark| **mark != MARKED && !own.contains(mark));
        assert_eq!(other, None, "{name}");
        assert!(marks.contains(&MARKED), "{name} does not name it");
        seen += 1;
    }
    assert_eq!(seen, 8);
}

/// systemd puts a path unit before what it starts (systemd.path(5), "Automatic
/// Dependencies"): the other order as well is a cycle, of which it drops one unit.
#[test]
fn what_watches_is_not_behind_what_it_starts() {
    for unit in FEATURES.iter().flat_map(|feature| feature.units) {
        let starts = unit
            .text
            .lines()
            .find_map(|line| line.strip_prefix("Unit="));
        let Some(starts) = starts else { continue };
        let mut after = unit.text.lines().filter(|line| line.starts_with("After="));
        assert!(!after.any(|line| line.contains(starts)), "{}", unit.name);
    }
}

/// Another program's unit refuses it in an image as well.
#[test]
fn beside_kdump_tools_it_is_refused() {
    let root = tree(&["/etc/systemd/system/basic.target.wants", "/usr/lib/systemd"]);
    fs::write(below(root.path(), "/usr/lib/systemd/systemd"), "").unwrap();
    symlink(
        "/usr/lib/systemd/system/kdump-tools.service",
        below(
            root.path(),
            "/etc/systemd/system/basic.target.wants/kdump-tools.service",
        ),
    )
    .unwrap();
    let image = Image {
        root: root.path().to_owned(),
        why: None,
    };
    let refused = image.possible(feature("crash").unwrap()).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("kdump-tools.service is enabled"),
        "{refused}"
    );
    assert!(refused.remedy().contains("disable kdump-tools.service"));
    assert!(image.possible(feature("preload").unwrap()).is_ok());
}
