//! `kexec enable crash`: what it shares with preload, and what its rules see.

use std::fs;
use std::path::Path;

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
        unit.contains("\nExecStart=/usr/local/bin/kexec crash load --by-unit\n"),
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

/// The conditions and assertions of a unit.
fn conditions(unit: &str) -> Vec<&str> {
    let lines = unit.lines();
    lines
        .filter(|line| line.starts_with("Condition") || line.starts_with("Assert"))
        .collect()
}

/// Where a condition fails, nothing of the service runs, and the mark stays: the path unit
/// starts it again at once, for ever (before systemd 250), or until its own limit. So both
/// have the same conditions, and those are of what cannot change while a kernel runs.
#[test]
fn what_a_path_starts_is_never_skipped_while_the_path_watches() {
    const UNCHANGING: &[&str] = &[
        "ConditionPathExists=|/sys/kernel/kexec/loaded",
        "ConditionPathExists=|/sys/kernel/kexec_loaded",
        "ConditionPathExists=!/proc/vmcore",
        "ConditionVirtualization=!container",
        "ConditionCapability=CAP_SYS_BOOT",
    ];
    let units = || FEATURES.iter().flat_map(|feature| feature.units);
    let mut seen = 0;
    for path in units().filter(|unit| unit.text.contains("\nPathExists=")) {
        let word = |key| path.text.lines().find_map(|line| line.strip_prefix(key));
        let (mark, starts) = (word("PathExists=").unwrap(), word("Unit=").unwrap());
        let service = units().find(|unit| unit.name == starts).unwrap();
        assert_eq!(conditions(service.text), conditions(path.text), "{starts}");
        for condition in conditions(service.text) {
            assert!(UNCHANGING.contains(&condition), "{starts}: {condition}");
        }
        // The mark is removed before anything else can fail, the sandbox included.
        let remove = format!("\nExecStartPre=-+/bin/rm -f {mark}\n");
        let (before, _) = service.text.split_once(&remove).unwrap();
        assert!(!before.contains("\nExecStart="), "{starts}");
        assert!(
            service.text.contains("\nStartLimitIntervalSec=0\n"),
            "{starts}"
        );
        seen += 1;
    }
    assert_eq!(seen, 1);
}

/// A normal initrd boots the whole system in the crash kernel's memory, which is for the dump.
#[test]
fn nothing_is_loaded_in_a_crash_kernel() {
    let not_there = "ConditionPathExists=!/proc/vmcore";
    for unit in FEATURES.iter().flat_map(|feature| feature.units) {
        assert!(conditions(unit.text).contains(&not_there), "{}", unit.name);
    }
}

/// The same for every unit that the packages install, whether a feature has it or not: in a
/// folder, not in a list, so that a new one is looked at. Its path or timer has the condition
/// as well: it would try again and again otherwise.
#[test]
fn no_unit_of_the_packages_runs_in_a_crash_kernel() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist");
    let mut seen = 0;
    for folder in ["systemd", "debian"] {
        for entry in fs::read_dir(dist.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let suffix = path.extension().and_then(|suffix| suffix.to_str());
            if !matches!(suffix, Some("service" | "path" | "timer")) {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let not_there = "ConditionPathExists=!/proc/vmcore";
            assert!(conditions(&text).contains(&not_there), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 12, "{seen}");
}

/// A unit names the page that describes its feature.
#[test]
fn units_of_crash_name_its_page() {
    for unit in feature("crash").unwrap().units {
        let page = "\nDocumentation=man:kexec-crash(8)\n";
        assert!(unit.text.contains(page), "{}", unit.name);
    }
}

/// udev runs the rules for each processor at boot, and for each block of a memory module:
/// nothing is run before the first load, nor while the mark of an earlier change is there.
#[test]
fn no_process_is_run_for_what_is_already_known() {
    let crash = feature("crash").unwrap();
    let rules = crash.files.iter().find(|file| file.path.contains("udev"));
    let mut rules = rules.unwrap().text.lines().filter(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    let started = "TEST!=\"/run/kexec-crash-started\", GOTO=\"kexec_crash_end\"";
    assert_eq!(rules.next(), Some(started));
    let marked = "TEST==\"/run/kexec-crash-changed\", GOTO=\"kexec_crash_end\"";
    assert_eq!(rules.next(), Some(marked));
    let rest: Vec<&str> = rules.collect();
    assert_eq!(rest.last(), Some(&"LABEL=\"kexec_crash_end\""));
    let runs = rest.iter().filter(|line| line.contains("RUN")).count();
    assert_eq!(runs, 1);
    let service = crash
        .units
        .iter()
        .find(|unit| unit.name == "kexec-crash.service");
    let text = service.unwrap().text;
    let makes = text.find("\nExecStartPre=-+/bin/touch /run/kexec-crash-started\n");
    assert!(makes.unwrap() < text.find("\nExecStartPre=-+/bin/rm ").unwrap());
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
