use super::super::conf;
use super::*;

fn menu() -> Vec<Candidate> {
    let entry = |id: &str| Candidate {
        id: id.to_owned(),
        aliases: Vec::new(),
        bad: false,
        other_profile: false,
    };
    vec![
        Candidate {
            aliases: vec!["multi.efi@main".to_owned(), "multi.efi@0".to_owned()],
            ..entry("multi.efi")
        },
        entry("new.conf"),
        entry("old.conf"),
        Candidate {
            other_profile: true,
            ..entry("multi.efi@reset")
        },
        Candidate {
            bad: true,
            ..entry("bad.conf")
        },
    ]
}

/// What is chosen, and why, in one line.
fn said(candidates: &[Candidate], settings: &LoaderSettings) -> String {
    let chosen = choose(candidates, settings);
    let mut said = match chosen.decision {
        BlsDefault::Entry { at, why } => format!("{}: {why}", candidates[at].id),
        BlsDefault::Foreign { id, why } => format!("foreign {id}: {why}"),
        BlsDefault::Unclear { line, reason } => format!("unclear {line:?}: {reason}"),
        BlsDefault::Nothing => "nothing".to_owned(),
    };
    for reason in chosen.passed_over {
        said.push_str("; ");
        said.push_str(&reason);
    }
    said
}

fn conf_says(text: &str) -> LoaderSettings {
    LoaderSettings {
        conf: conf::parse(text.as_bytes()),
        ..LoaderSettings::default()
    }
}

fn name(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn requests_count_in_their_order() {
    let mut settings = LoaderSettings {
        one_shot: name("old.conf"),
        preferred: name("new.conf"),
        default: name("bad.conf"),
        ..conf_says("default old*\npreferred MULTI.*\n")
    };
    let is =
        |settings: &LoaderSettings, expected: &str| assert_eq!(said(&menu(), settings), expected);
    is(
        &settings,
        "old.conf: LoaderEntryOneShot (for the next boot only) names \"old.conf\"",
    );
    settings.one_shot = None;
    is(
        &settings,
        "new.conf: LoaderEntryPreferred names \"new.conf\"",
    );
    settings.preferred = name("");
    // A default may be bad; a preferred one may not.
    is(&settings, "bad.conf: LoaderEntryDefault names \"bad.conf\"");
    settings.default = None;
    is(
        &settings,
        "multi.efi: preferred in loader.conf line 2 names \"MULTI.*\"",
    );
    settings.conf.preferred = None;
    is(
        &settings,
        "old.conf: default in loader.conf line 1 names \"old*\"",
    );
    settings.conf.default = None;
    is(
        &settings,
        "multi.efi: first entry of the menu that is not bad",
    );
}

#[test]
fn what_names_nothing_is_passed_over_and_said() {
    let settings = LoaderSettings {
        one_shot: name("gone.conf"),
        preferred: name("bad.conf"),
        default: name("@saved"),
        ..conf_says("default arch*")
    };
    assert_eq!(
        said(&menu(), &settings),
        "multi.efi: first entry of the menu that is not bad; \
         LoaderEntryOneShot (for the next boot only) names \"gone.conf\", which does not exist; \
         LoaderEntryPreferred names \"bad.conf\", which has no boot attempts left; \
         LoaderEntryDefault names \"@saved\", the entry that was booted last, but \
         LoaderEntryLastBooted is not set; \
         default in loader.conf line 1 names \"arch*\", which does not exist"
    );
}

#[test]
fn the_entry_that_was_booted_last() {
    let mut settings = conf_says("default @saved");
    settings.last_booted = name("old.conf");
    assert_eq!(
        said(&menu(), &settings),
        "old.conf: default in loader.conf line 1 names \"@saved\""
    );
    settings.one_shot = name("new.conf");
    assert!(said(&menu(), &settings).starts_with("new.conf: LoaderEntryOneShot"));
}

#[test]
fn profiles_are_taken_by_the_name_in_the_menu() {
    let by = |pattern: &str| {
        let settings = LoaderSettings {
            default: name(pattern),
            ..LoaderSettings::default()
        };
        said(&menu(), &settings)
            .split(':')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(by("multi.efi@reset"), "multi.efi@reset");
    assert_eq!(by("multi.efi@res*"), "multi.efi@reset");
    assert_eq!(by("multi.efi@1"), "multi.efi", "the first of the menu");
    assert_eq!(by("multi*"), "multi.efi");
    assert_eq!(by("multi.efi"), "multi.efi");
    for unknown in ["multi.efi@main", "multi.efi@0"] {
        let settings = LoaderSettings {
            default: name(unknown),
            ..LoaderSettings::default()
        };
        let expected = format!(
            "new.conf: first entry of the menu that is not bad; LoaderEntryDefault names \
             {unknown:?}, which systemd-boot knows only as \"multi.efi\""
        );
        let mut menu = menu();
        menu.rotate_left(1);
        assert_eq!(said(&menu, &settings), expected);
    }
    let only = [menu().remove(3)];
    assert_eq!(said(&only, &LoaderSettings::default()), "nothing");
}

#[test]
fn entries_of_the_boot_loader_itself_are_no_others() {
    let mut settings = conf_says("default auto-win*");
    // Without its list nobody knows what it has.
    assert!(said(&menu(), &settings).starts_with("foreign auto-win*: default in loader.conf"));
    settings.reported = vec!["new.conf".to_owned(), "auto-windows".to_owned()];
    assert_eq!(
        said(&menu(), &settings),
        "foreign auto-windows: default in loader.conf line 1 names \"auto-win*\""
    );
    settings.reported = vec!["new.conf".to_owned()];
    assert!(said(&menu(), &settings).starts_with("multi.efi: first"));
    settings = LoaderSettings {
        one_shot: name("auto-reboot-to-firmware-setup"),
        ..LoaderSettings::default()
    };
    assert!(said(&menu(), &settings).starts_with("foreign auto-reboot-to-firmware-setup: "));
}

#[test]
fn a_pattern_that_systemd_boot_does_not_know_is_not_guessed() {
    assert_eq!(
        said(&menu(), &conf_says("\ndefault [!n]*")),
        "unclear Some(2): default in loader.conf line 2 names \"[!n]*\", a pattern with a set \
            that begins with ! or ^, which systemd-boot does not support"
    );
}

#[test]
fn bad_ones_are_taken_when_there_are_no_others() {
    let bad = [menu().remove(4)];
    assert_eq!(
        said(&bad, &LoaderSettings::default()),
        "bad.conf: first entry of the menu; all of them are bad"
    );
    assert_eq!(said(&[], &LoaderSettings::default()), "nothing");
}
