//! `blscfg`: Fedora's and GRUB 2.14's.

use super::*;

const ID: &str = "b18f83e0df0f40f49bf84169ee0b31f8";
/// The same for a machine id that begins with a digit.
const DIGIT: &str = "6b657865636c616200000000000000aa";

fn snippet(version: &str, options: &str, more: &str) -> String {
    format!(
        "title Fedora Linux ({version}) 40\nversion {version}\nlinux /vmlinuz-{version}\n\
         initrd /initramfs-{version}.img\noptions {options}\ngrub_users $grub_users\n\
         grub_arg --unrestricted\ngrub_class fedora\n{more}"
    )
}

fn machine(config: &str, entries: &[(&str, String)]) -> MemoryDevices {
    let mut devices = devices(config);
    for (name, text) in entries {
        devices.add(
            "disk",
            &format!("/loader/entries/{ID}-{name}.conf"),
            text.as_bytes(),
        );
    }
    devices
}

fn outcome(devices: &MemoryDevices) -> Evaluation {
    evaluate(devices, &facts(), &start())
}

fn fedora() -> Vec<(&'static str, String)> {
    vec![
        ("0-rescue", snippet("0-rescue", "$kernelopts", "")),
        (
            "6.8.10-300.fc40.x86_64",
            snippet("6.8.10-300.fc40.x86_64", "$kernelopts $tuned_params", ""),
        ),
        (
            "6.8.9-300.fc40.x86_64",
            snippet("6.8.9-300.fc40.x86_64", "root=/dev/x ro", ""),
        ),
    ]
}

const CONFIG: &str = "set timeout=0\nkernelopts='root=UUID=1 ro'; tuned_params='a=1  b=2'
if [ \"$saved_entry\" ]; then true; fi\ninsmod blscfg\nblscfg\n";

#[test]
fn fedoras_entries_with_grubs_variables() {
    let outcome = outcome(&machine(CONFIG, &fedora()));
    let shown: Vec<String> = outcome
        .entries
        .iter()
        .map(|entry| match &entry.boot {
            Ok(Boot::Linux {
                kernel,
                cmdline,
                initrds,
                ..
            }) => {
                format!("{} {kernel} [{cmdline}] {}", entry.place, initrds[0])
            }
            other => format!("{other:?}"),
        })
        .collect();
    let at = format!("/loader/entries/{ID}");
    assert_eq!(
        shown,
        [
            format!(
                "{at}-6.8.10-300.fc40.x86_64.conf:3 (disk)/vmlinuz-6.8.10-300.fc40.x86_64 [root=UUID=1 ro a=1 b=2] (disk)/initramfs-6.8.10-300.fc40.x86_64.img"
            ),
            format!(
                "{at}-6.8.9-300.fc40.x86_64.conf:3 (disk)/vmlinuz-6.8.9-300.fc40.x86_64 [root=/dev/x ro] (disk)/initramfs-6.8.9-300.fc40.x86_64.img"
            ),
            format!(
                "{at}-0-rescue.conf:3 (disk)/vmlinuz-0-rescue [root=UUID=1 ro] (disk)/initramfs-0-rescue.img"
            ),
        ]
    );
    let default = outcome.default.unwrap();
    assert_eq!(default.number, "0");
    assert!(outcome.entries.iter().all(|entry| !entry.locked));
}

#[test]
fn the_default_is_a_file_name_or_a_number() {
    for (value, title) in [
        (
            format!("{ID}-6.8.9-300.fc40.x86_64"),
            "Fedora Linux (6.8.9-300.fc40.x86_64) 40",
        ),
        ("1".to_owned(), "Fedora Linux (6.8.9-300.fc40.x86_64) 40"),
        ("2".to_owned(), "Fedora Linux (0-rescue) 40"),
    ] {
        let config = format!("{CONFIG}default={value}\n");
        let default = outcome(&machine(&config, &fedora())).default.unwrap();
        assert_eq!(default.title, title);
    }
}

#[test]
fn a_file_name_that_begins_with_a_digit() {
    let mut entries = fedora();
    entries.truncate(2);
    let config = |module: &str| {
        format!(
            "{}default={DIGIT}-6.8.10-300.fc40.x86_64\n",
            CONFIG.replace("insmod blscfg", module)
        )
    };
    let with = |module: &str| {
        let mut devices = devices(&config(module));
        for (name, text) in &entries {
            devices.add(
                "disk",
                &format!("/loader/entries/{DIGIT}-{name}.conf"),
                text.as_bytes(),
            );
        }
        outcome(&devices).default.map(|choice| choice.title)
    };
    assert_eq!(
        with("insmod blscfg").unwrap(),
        "Fedora Linux (6.8.10-300.fc40.x86_64) 40"
    );
    assert!(
        with("true")
            .unwrap_err()
            .to_string()
            .contains("the distribution's GRUB")
    );
}

/// Two entries whose names RPM sorts differently as packages and as versions.
fn differing() -> Vec<(&'static str, String)> {
    vec![
        ("a-1-b", snippet("1", "x", "sort-key b\n")),
        ("a-1.1", snippet("2", "x", "sort-key c\n")),
    ]
}

#[test]
fn an_order_that_depends_on_the_version_is_not_guessed() {
    let config = |before: &str| format!("set timeout=0\n{before}\nblscfg\n");
    let number = |devices: &MemoryDevices| outcome(devices).default.map(|choice| choice.title);
    let unknown = machine(&config("default=0"), &differing());
    let why = number(&unknown).unwrap_err().to_string();
    assert_eq!(
        why,
        "/boot/grub/grub.cfg:3: the order of the entries depends on GRUB's version"
    );
    let by_id = machine(&config(&format!("default={ID}-a-1-b")), &differing());
    assert_eq!(number(&by_id).unwrap(), "Fedora Linux (1) 40");
    for (module, title) in [
        ("blscfg", "Fedora Linux (1) 40"),
        ("blsuki", "Fedora Linux (2) 40"),
    ] {
        let known = machine(&config(&format!("insmod {module}")), &differing());
        assert_eq!(number(&known).unwrap(), title);
        let mut known = machine(&config(""), &differing());
        known.add("disk", &format!("/boot/grub/i386-pc/{module}.mod"), b"");
        assert_eq!(number(&known).unwrap(), title);
    }
}

#[test]
fn where_the_entries_are() {
    let entry = snippet("1", "x", "");
    let with = |config: &str, path: &str| {
        let mut devices = devices(&format!("set timeout=0\n{config}\n"));
        devices.add("disk", path, entry.as_bytes());
        devices.add("other", path, entry.as_bytes());
        evaluate(&devices, &facts(), &start())
            .default
            .map(|choice| match choice.boot {
                Ok(Boot::Linux { kernel, .. }) => kernel.to_string(),
                other => format!("{other:?}"),
            })
    };
    assert_eq!(
        with("insmod blscfg; blscfg", "/boot/loader/entries/a.conf").unwrap(),
        "(disk)/vmlinuz-1"
    );
    assert!(with("insmod blsuki; blscfg", "/boot/loader/entries/a.conf").is_err());
    assert!(with("blscfg", "/boot/loader/entries/a.conf").is_err());
    assert_eq!(
        with("blsdir=/x; blscfg", "/x/a.conf").unwrap(),
        "(disk)/vmlinuz-1"
    );
    assert_eq!(
        with(
            "search --fs-uuid --set=boot 5678; blscfg",
            "/loader/entries/a.conf"
        )
        .unwrap(),
        "(other)/vmlinuz-1"
    );
    assert_eq!(
        with("blscfg --path /y", "/y/a.conf").unwrap(),
        "(disk)/vmlinuz-1"
    );
    assert!(with("blscfg --show-default", "/loader/entries/a.conf").is_err());
}

#[test]
fn what_is_not_followed_is_refused() {
    for (options, more) in [
        ("a=\"b c", ""),
        ("a=$net_default_ip", ""),
        ("a | b", ""),
        ("a { b; }", ""),
    ] {
        let devices = machine(CONFIG, &[("1", snippet("1", options, more))]);
        assert!(
            outcome(&devices).default.unwrap().boot.is_err(),
            "{options}"
        );
    }
    let locked = format!("superusers=root; grub_users=root\n{CONFIG}");
    assert!(outcome(&machine(&locked, &fedora())).entries[0].locked);
    let no_kernel = machine(CONFIG, &[("1", "title x\n".to_owned())]);
    let outcome = outcome(&no_kernel);
    assert!(outcome.entries.is_empty() && outcome.warnings[0].contains("has no `linux`"));
}

/// What a machine with one entry boots: kernel, command line, initrds.
fn booted(config: &str, text: &str) -> String {
    let mut devices = devices(config);
    devices.add("disk", "/loader/entries/e.conf", text.as_bytes());
    match outcome(&devices).default.unwrap().boot {
        Ok(Boot::Linux {
            kernel,
            cmdline,
            initrds,
            ..
        }) => {
            let initrds: Vec<&str> = initrds.iter().map(|file| file.path.as_str()).collect();
            format!("{} [{cmdline}] {}", kernel.path, initrds.join(" "))
        }
        other => format!("{other:?}"),
    }
}

/// `options` and `initrd` are pasted into a line of a script and expanded there.
#[test]
fn values_are_pasted_into_a_script() {
    let entry = |options: &str, initrd: &str| {
        format!("title x\nlinux /k\ninitrd {initrd}\noptions {options}\n")
    };
    let boots = |options: &str, initrd: &str| {
        booted("insmod blscfg\nt=/early\nblscfg\n", &entry(options, initrd))
    };
    for (options, initrd, expected) in [
        // tuned's, with and without its variables.
        (
            "root=x ro $tuned_params",
            "/i $tuned_initrd",
            "/k [root=x ro] /i",
        ),
        ("root=x", "/i $t", "/k [root=x] /i /early"),
        ("root=x", "/a /b", "/k [root=x] /a /b"),
        ("foo=\"a b\" ro", "/i", "/k [\"foo=a b\" ro] /i"),
        (
            "dyndbg='file a.c +p'",
            "/i",
            "/k [\"dyndbg=file a.c +p\"] /i",
        ),
        ("a\\ b", "/i", "/k [\"a b\"] /i"),
        ("a=\\x2d", "/i", "/k [a=\\x2d] /i"),
        ("a #b", "/i", "/k [a] /i"),
    ] {
        assert_eq!(boots(options, initrd), expected, "{options}");
    }
}

#[test]
fn of_repeated_keys_the_first_counts() {
    let text = "title a\ntitle b\nlinux /k1\nlinux /k2\noptions one\noptions two\n\
                initrd /i1\ninitrd /i2\n";
    for module in ["blscfg", "blsuki"] {
        let config = format!("insmod {module}\nblscfg\n");
        assert_eq!(booted(&config, text), "/k1 [one] /i1 /i2", "{module}");
    }
    // A line without a value is the last one that is read.
    let cut = "linux /k1\n\noptions one\n";
    assert_eq!(booted("insmod blscfg\nblscfg\n", cut), "/k1 [] ");
    // Where the two read a line differently, the entry is refused.
    let tab = "linux /k1\noptions\tone two\n";
    assert_eq!(booted("insmod blsuki\nblscfg\n", tab), "/k1 [one two] ");
    assert!(booted("blscfg\n", tab).contains("depends on GRUB's version"));
}

#[test]
fn defaults_of_fedora() {
    let entry = "linux /k\n";
    let config =
        |module: &str| format!("insmod {module}\ndefault_kernelopts='root=d ro'\nblscfg\n");
    assert_eq!(booted(&config("blscfg"), entry), "/k [root=d ro] ");
    assert_eq!(booted(&config("blsuki"), entry), "/k [] ");
    assert!(booted(&config("nothing"), entry).contains("depends on GRUB's version"));
}

#[test]
fn more_entries_than_a_thousand() {
    let mut devices = devices("insmod blscfg\ndefault=k-1\nblscfg\n");
    for number in 1..=1200 {
        let text = format!("title K {number}\nlinux /k\noptions n={number}\n");
        let path = format!("/loader/entries/k-{number}.conf");
        devices.add("disk", &path, text.as_bytes());
    }
    let outcome = outcome(&devices);
    assert_eq!(outcome.entries.len(), 1200);
    let default = outcome.default.unwrap();
    assert_eq!(
        (default.title.as_str(), default.number.as_str()),
        ("K 1", "1199")
    );
}

#[test]
fn names_that_sort_alike() {
    let entry = "linux /k\n".to_owned();
    let entries = [
        ("a-1", entry.clone()),
        ("a-01", entry.clone()),
        ("b-1", entry),
    ];
    let outcome = outcome(&machine("insmod blscfg\nblscfg\n", &entries));
    let doubts: Vec<bool> = outcome.entries.iter().map(|e| e.doubt.is_some()).collect();
    assert_eq!(doubts, [false, true, true]);
}
