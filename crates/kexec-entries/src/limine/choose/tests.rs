use super::super::parse::parse;
use super::super::version::CONDITIONS;
use super::*;

const PC: LiminePlatform = LiminePlatform {
    arch: "x86-64",
    uefi: true,
};

fn chosen(head: &str, variables: &LimineVariables) -> String {
    let text = format!(
        "{head}\n/Shut\n//Inner\n/+Open\n//One\n//One\n//A\\/B\n/Arm\nif_arch: aarch64\n/Last\n"
    );
    let config = parse(&text, PC).unwrap();
    match choose(&config, PC, variables, Some(CONDITIONS)) {
        LimineDefault::Entry(at, why) => format!("{at}: {why}"),
        LimineDefault::Unclear(line, why) => format!("unclear {line:?}: {why}"),
    }
}

fn entry(head: &str) -> String {
    let said = chosen(head, &LimineVariables::default());
    said.split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn numbers_count_what_the_menu_shows() {
    for (number, at) in [("3", "3"), ("4", "4"), ("6", "7")] {
        assert_eq!(entry(&format!("default_entry: {number}")), at, "{number}");
    }
    let said = |head: &str| chosen(head, &LimineVariables::default());
    assert!(said("").ends_with("\"Shut\" is a folder, and Limine waits in its menu"));
    assert!(said("default_entry: 2").starts_with("unclear Some(1)"));
    assert!(said("default_entry: 9").contains("Limine takes the first entry"));
}

#[test]
fn paths_name_entries() {
    for (path, at) in [
        ("Shut/Inner", "1"),
        ("Open/One", "3"),
        ("Open/One#1", "4"),
        ("Last", "7"),
    ] {
        assert_eq!(entry(&format!("default_entry: {path}")), at, "{path}");
    }
    assert!(entry("default_entry: Arm").starts_with("unclear"));
}

#[test]
fn what_other_versions_would_not_take() {
    let asks = |path: &str| LimineVariables {
        default: Some(path.to_owned()),
        ..LimineVariables::default()
    };
    let head = "default_entry: Last";
    assert!(chosen(head, &asks("Last")).starts_with("7"));
    assert!(chosen(head, &asks("gone")).starts_with("7"));
    assert!(chosen(head, &asks("Open/One")).starts_with("unclear None: LoaderEntryDefault"));
    let remembers = "default_entry: Last\nremember_last_entry: yes";
    assert!(chosen(remembers, &LimineVariables::default()).starts_with("unclear Some(2)"));
    assert!(chosen("default_entry: Last\ntimeout: no", &asks("")).contains("waits for a key"));
}

const MENU: &str = "\n/A\n/B\n/C\n";

fn of(head: &str, variables: &LimineVariables, version: &str) -> String {
    let config = parse(&format!("{head}{MENU}"), PC).unwrap();
    match choose(&config, PC, variables, LimineVersion::of(version)) {
        LimineDefault::Entry(at, _) => config.entries[at].title.clone(),
        LimineDefault::Unclear(_, why) => why,
    }
}

#[test]
fn what_is_no_number_is_a_path_from_version_11_on() {
    for (value, old, new) in [
        ("2", "B", "B"),
        ("2 # second", "B", "A"),
        ("B", "A", "B"),
        ("/B", "A", "A"),
        ("Z", "A", "A"),
        ("\t2", "A", "A"),
        ("", "A", "A"),
    ] {
        let head = format!("default_entry: {value}");
        let none = LimineVariables::default();
        assert_eq!(of(&head, &none, "Limine 10.8.5"), old, "{value}");
        assert_eq!(of(&head, &none, "Limine 11.0.0"), new, "{value}");
        let said = of(&head, &none, "");
        match old == new {
            true => assert_eq!(said, old, "{value}"),
            false => {
                let both = format!("Limine 8.0 takes {old:?}, Limine 11.0 takes {new:?}");
                assert!(said.ends_with(&both), "{value}: {said}");
            }
        }
    }
}

#[test]
fn letters_that_some_versions_count_with() {
    // 12 or 0: both are the first of three entries, but not of twenty.
    let config = |menu: &str| parse(&format!("default_entry: c\n{menu}"), PC).unwrap();
    let old = LimineVersion::of("Limine 9.6");
    let chosen = |menu: &str| choose(&config(menu), PC, &LimineVariables::default(), old);
    assert!(matches!(chosen(MENU), LimineDefault::Entry(0, _)));
    let LimineDefault::Unclear(Some(1), why) = chosen(&"/A\n".repeat(20)) else {
        panic!("it was told");
    };
    assert!(why.ends_with("as 0 and some as 12"), "{why}");
    let large = "default_entry: 18446744073709551618";
    assert!(of(large, &LimineVariables::default(), "Limine 9.6").contains("that large"));
}

#[test]
fn without_a_timeout_what_is_not_there_opens_the_menu() {
    let none = LimineVariables::default();
    let newest = "Limine 12.5.1";
    assert_eq!(of("default_entry: 9\ntimeout: 5", &none, newest), "A");
    let said = of("default_entry: 9\ntimeout: 0", &none, newest);
    assert!(said.ends_with("waits in its menu"), "{said}");
    let said = of("default_entry: 2${x}", &none, newest);
    assert!(said.ends_with("undefined macro"), "{said}");
}

#[test]
fn what_was_booted_last() {
    let head = "default_entry: 1\nremember_last_entry: Yes";
    let last = |bytes: &[u8], version: &str| {
        let variables = LimineVariables {
            last: Some(bytes.to_vec()),
            ..LimineVariables::default()
        };
        of(head, &variables, version)
    };
    let number = 1_u64.to_le_bytes();
    assert_eq!(last(&number, "Limine 10.8.5"), "B");
    assert_eq!(last(&9_u64.to_le_bytes(), "Limine 10.8.5"), "A");
    assert_eq!(last(b"C", "Limine 11.0.0"), "C");
    assert_eq!(last(b"C\0", "Limine 12.5.1"), "C");
    for (bytes, version, said) in [
        (
            b"C".as_slice(),
            "Limine 10.8.5",
            "1 bytes, which are not a number",
        ),
        (&u64::MAX.to_le_bytes(), "Limine 10.8.5", "not a number"),
        (&number, "Limine 11.0.0", "which does not exist"),
        (b"\xff", "Limine 11.0.0", "is not text"),
        (b"C", "", "versions differ"),
    ] {
        let why = last(bytes, version);
        assert!(why.contains(said), "{bytes:?} {version}: {why}");
    }
    let why = of(head, &LimineVariables::default(), "Limine 12.5.1");
    assert!(why.contains("there is no variable"), "{why}");
}

#[test]
fn the_interface_is_there_from_version_11_4_on() {
    let asks = LimineVariables {
        one_shot: Some("C".to_owned()),
        ..LimineVariables::default()
    };
    assert_eq!(of("default_entry: 2", &asks, "Limine 11.3.1"), "B");
    let said = of("default_entry: 2", &asks, "Limine 11.4.0");
    assert!(said.starts_with("LoaderEntryOneShot names"), "{said}");
    // It may be an id.
    let asks = LimineVariables {
        one_shot: Some("c-1".to_owned()),
        ..LimineVariables::default()
    };
    let said = of("default_entry: 2", &asks, "Limine 12.5.1");
    assert!(said.starts_with("LoaderEntryOneShot names"), "{said}");
}
