//! What cannot be known is refused with its line, and only where it matters.

use super::*;

const MENU: &str = "
menuentry a --id a { linux /boot/vmlinuz-1 a; }
menuentry b --id b { linux /boot/vmlinuz-1 b v=$v; }
menuentry c --id c { linux /boot/vmlinuz-1 c; }
";

fn default(before: &str) -> Result<GrubDefault, Refusal> {
    run(&format!("{before}\n{MENU}")).default
}

fn refused(before: &str) -> String {
    match default(before) {
        Err(why) => why.to_string(),
        Ok(choice) => match choice.boot {
            Err(why) => why.to_string(),
            Ok(boot) => panic!("{before}: boots {boot:?}"),
        },
    }
}

fn title(before: &str) -> String {
    default(before)
        .unwrap_or_else(|why| panic!("{before}: {why}"))
        .title
}

const KEY: &str = "/boot/grub/grub.cfg:1: it depends on the result of keystatus";

#[test]
fn both_ways_are_taken() {
    for before in [
        "if keystatus --shift; then set default=1; fi",
        "if keystatus --shift; then set default=1; else set default=2; fi",
        "if keystatus --shift; then true; elif keystatus; then unset default; else default=b; fi",
        "if ! keystatus --shift; then set x=1; fi; if [ \"$x\" ]; then set default=1; fi",
        "keystatus; set s=$?; if [ $s = 0 ]; then set default=1; fi",
        "function f { keystatus; }; if f; then default=1; fi",
        "for i in 1 2; do if keystatus; then break; fi; done; default=1",
        "while keystatus; do default=1; done",
        "function f { if keystatus; then return; fi; default=1; }; f",
        "if keystatus; then eval 'default=1'; fi",
    ] {
        assert!(
            refused(before).starts_with(KEY),
            "{before}: {}",
            refused(before)
        );
    }
}

#[test]
fn what_does_not_matter_does_not_hurt() {
    for before in [
        "default=1; if keystatus --shift; then set timeout=-1; fi",
        "if keystatus --shift; then set default=1; fi; set default=1",
        "if keystatus; then default=1; else default=1; fi",
        "default=1; if loadfont unicode; then set gfxmode=auto; insmod gfxterm; fi; terminal_output gfxterm",
        "if keystatus -o a = a; then true; fi; if [ \"$lang\" = de -o a = a ]; then default=1; fi",
        "if keystatus; then x=1; else x=2; fi; default=1; unset x",
        "default=b; if keystatus; then menuentry later { true; }; fi; x=1",
    ] {
        let before = match before.contains("later") {
            // An entry that may be there stands before ours: an id is still found.
            true => before.to_owned(),
            false => before.to_owned(),
        };
        assert_eq!(title(&before), "b", "{before}");
    }
}

#[test]
fn entries_that_may_not_be_there() {
    let why = refused("if keystatus; then menuentry first { true; }; fi; default=1");
    assert!(why.starts_with(KEY), "{why}");
    let outcome = run(&format!(
        "{MENU}\ndefault=1\nif keystatus; then menuentry last {{ true; }}; fi\n"
    ));
    assert_eq!(outcome.default.unwrap().title, "b");
    assert!(outcome.entries[3].doubt.is_some() && outcome.entries[2].doubt.is_none());
    let why = run(&format!(
        "{MENU}\ndefault=last\nif keystatus; then menuentry last {{ true; }}; fi\n"
    ));
    assert!(why.default.is_err());
}

#[test]
fn values_that_only_the_firmware_knows() {
    for (before, why) in [
        (
            "smbios --type 1 --get-string 4 --set v; default=b",
            "smbios reports what only the firmware knows",
        ),
        (
            "smbios -t 1 --get-string 4 --set=v; default=b",
            "smbios reports what only",
        ),
        ("read v; default=b", "read reports what only"),
        (
            "v=$net_default_ip; default=b",
            "$net_default_ip is set by GRUB",
        ),
        ("v=$root; default=b", "holds GRUB's name for a device"),
        (
            "[ $root = hd0,gpt2 ]; default=$?",
            "the name of a device, which only the firmware knows",
        ),
        (
            "set root=hd7; default=b",
            "which disk GRUB calls hd7 is unknown",
        ),
        (
            "if [ $net_default_ip = 1 ]; then default=1; fi",
            "$net_default_ip is set by GRUB",
        ),
    ] {
        assert!(
            refused(before).contains(why),
            "{before}: {}",
            refused(before)
        );
    }
}

#[test]
fn commands_that_nobody_knows_and_mistakes() {
    let why = refused("frobnicate a b\ndefault=1");
    assert_eq!(
        why,
        "/boot/grub/grub.cfg:1: the command \"frobnicate\" is not supported here"
    );
    assert!(
        refused("legacy_configfile /boot/grub/menu.lst")
            .contains("legacy_configfile is not understood")
    );
    assert!(refused("exit").contains("it leaves GRUB (exit) before a menu is shown"));
    // What stands before it is in the menu, and known where it uses no variables.
    let outcome = run(&format!("{MENU}\nfrobnicate\n"));
    assert_eq!(outcome.entries.len(), 3);
    assert!(outcome.default.is_err() && outcome.entries[0].boot.is_err());
    let outcome = run("menuentry a { search --fs-uuid --set=root 5678; linux /vmlinuz a; }\nfoo\n");
    assert!(outcome.entries[0].boot.is_ok(), "{outcome:?}");
    // And nothing is claimed of what may have been set behind it.
    assert_eq!((outcome.entries[0].locked, outcome.fallback), (false, None));
}

/// GRUB 2.06 to 2.14 print an error and go on behind it.
#[test]
fn mistakes() {
    for before in [
        "echo a\nfi\ndefault=1",
        "syntax$\ndefault=1",
        "}\ndefault=1",
    ] {
        let outcome = run(&format!("{before}\n{MENU}"));
        assert_eq!(outcome.default.unwrap().title, "b", "{before}");
        assert!(outcome.warnings[0].contains("syntax error"), "{before}");
    }
    assert_eq!(title("default=1; fi"), "a");
    assert_eq!(title("if true; then\ndefault=1\nfi; }"), "a");
    let outcome = run(&format!("{MENU}\n}}\n"));
    assert_eq!(
        outcome.warnings[0],
        "/boot/grub/grub.cfg:6: syntax error: `}` is not expected here; GRUB leaves out this \
         command and the rest of its line"
    );
    assert_eq!(outcome.default.unwrap().title, "a");
    // A hundred thousand of them end soon, and are told a few times.
    let outcome = run(&"}\n".repeat(100_000));
    assert!(outcome.warnings.len() < 100, "{}", outcome.warnings.len());
}

#[test]
fn grubs_own_list_of_commands_tells_what_is_none() {
    let mut devices = devices(&format!("frobnicate\ndefault=1\n{MENU}"));
    devices.add(
        "disk",
        "/boot/grub/i386-pc/command.lst",
        b"*acpi: acpi\ncat: cat\n",
    );
    let outcome = evaluate(&devices, &facts(), &start());
    assert_eq!(outcome.default.unwrap().title, "b");
    // It is neither true nor false: `!` before it changes nothing.
    let script = format!("if ! frobnicate; then default=1; fi\n{MENU}");
    devices.add("disk", "/boot/grub/grub.cfg", script.as_bytes());
    let negated = evaluate(&devices, &facts(), &start()).default.unwrap();
    assert_eq!(negated.title, "b");
    assert!(outcome.warnings[0].contains("\"frobnicate\" is not a command of this GRUB"));
    devices.add(
        "disk",
        "/boot/grub/i386-pc/command.lst",
        b"*frobnicate: acpi\n",
    );
    assert!(evaluate(&devices, &facts(), &start()).default.is_err());
}

#[test]
fn an_entry_is_refused_by_itself() {
    let outcome = run("
default=1
menuentry a { if keystatus; then linux /boot/vmlinuz-1; else linux /boot/vmlinuz-2; fi; }
menuentry b { linux /boot/vmlinuz-1; initrd /boot/initrd-1; if keystatus; then set gfxpayload=keep; fi; }
menuentry c { linux /boot/vmlinuz-1 $net_default_ip; }
menuentry d { set root=hd9; linux /boot/vmlinuz-1; }
menuentry e { insmod nothing; linux $prefix/../vmlinuz-1; initrd newc:a:/b; }
");
    let refused: Vec<bool> = outcome
        .entries
        .iter()
        .map(|entry| entry.boot.is_err())
        .collect();
    assert_eq!(refused, [true, false, true, true, true]);
    assert!(outcome.default.unwrap().boot.is_ok());
}

#[test]
fn bytes_that_are_no_utf_8() {
    let mut devices = devices("default=\"$saved\"; source /boot/grub/latin1.cfg\n");
    let text = b"# f\xfcr\nmenuentry \"Men\xe4\" { linux /boot/vmlinuz-1 a=\xe4; }\n\
                 menuentry \"Men\xfc\" { linux /boot/vmlinuz-1 a=\xfc; }\n\
                 menuentry c { linux /boot/vmlinuz-\xfc; }\n";
    devices.add("disk", "/boot/grub/latin1.cfg", text);
    let outcome = evaluate(&devices, &facts(), &start());
    let titles: Vec<&str> = outcome.entries.iter().map(|e| e.title.as_str()).collect();
    assert_eq!(titles, ["Men\u{fffd}", "Men\u{fffd}", "c"]);
    let cmdline = |outcome: &Evaluation| match &outcome.default.as_ref().unwrap().boot {
        Ok(Boot::Linux { cmdline, .. }) => bytes::encode(cmdline),
        other => panic!("{other:?}"),
    };
    assert_eq!(cmdline(&outcome), b"a=\xe4");
    let why = outcome.entries[2].boot.clone().unwrap_err();
    assert!(why.why.contains("is not UTF-8"), "{why}");
    // A title that was saved is found by its bytes.
    let config = b"load_env; default=\"$saved_entry\"; source /boot/grub/latin1.cfg\n";
    devices.add("disk", "/boot/grub/grub.cfg", config);
    let mut saved = block("");
    saved.splice(25..42, *b"saved_entry=Men\xfc\n");
    devices.add("disk", "/boot/grub/grubenv", &saved);
    assert_eq!(cmdline(&evaluate(&devices, &facts(), &start())), b"a=\xfc");
}

#[test]
fn a_byte_order_mark() {
    let outcome = run(&format!("\u{feff}# mine\r\nset default=1\r\n{MENU}"));
    assert_eq!(outcome.default.unwrap().title, "b");
    let outcome = run(&format!("\u{feff}set default=1\n{MENU}"));
    assert_eq!(outcome.default.unwrap().title, "a");
}

#[test]
fn devices_that_are_not_there() {
    assert_eq!(
        title("if [ -d (md/boot)/grub ]; then default=2; else default=1; fi"),
        "b"
    );
    assert_eq!(
        title("root=md/boot; if [ ! -f /x ]; then default=1; fi"),
        "b"
    );
    let outcome = run("menuentry a { linux (md/boot)/vmlinuz-1; }");
    let why = outcome.entries[0].boot.clone().unwrap_err().to_string();
    assert_eq!(why, "/boot/grub/grub.cfg:1: there is no device md/boot");
    assert!(refused("if [ -d (hd7)/grub ]; then default=2; fi").contains("hd7"));
}

#[test]
fn what_is_searched_for() {
    for search in [
        "search --part-label extra --set v",
        "search --part-uuid --set=v 9999",
        "search.part_label extra v",
        "search --no-floppy --fs-uuid --set=v 9999",
    ] {
        let before = format!("{search}; if [ -z \"$v\" ]; then default=1; fi");
        assert_eq!(title(&before), "b", "{search}");
    }
    // What an option of tomorrow finds is not known, and the rest is.
    let why = refused("search --tomorrow --set=v --label x; if [ \"$v\" ]; then default=1; fi");
    assert!(
        why.contains("--tomorrow of search is not supported"),
        "{why}"
    );
    assert_eq!(title("search --tomorrow --set=v --label x; default=2"), "c");
}

#[test]
fn normal_reads_another_configuration_into_the_same_context() {
    let mut machine = devices("kept=1; prefix=(other)/g; normal; default=7");
    let text =
        b"default=1\nmenuentry x { true; }\nmenuentry y { linux /boot/vmlinuz-1 k=$kept; }\n";
    machine.add("other", "/g/grub.cfg", text);
    let outcome = evaluate(&machine, &facts(), &start());
    let Ok(Boot::Linux { cmdline, .. }) = outcome.default.unwrap().boot else {
        panic!("no kernel");
    };
    assert_eq!(cmdline, "k=1");
    let gone = evaluate(
        &devices("prefix=(disk)/nowhere; normal"),
        &facts(),
        &start(),
    );
    assert!(
        gone.default
            .unwrap_err()
            .to_string()
            .contains("/nowhere/grub.cfg")
    );
    let empty = devices("source /boot/grub/x; normal /empty");
    let why = evaluate(&empty, &facts(), &start()).default.unwrap_err();
    assert!(why.to_string().contains("command line"), "{why}");
}

#[test]
fn hidden_entries() {
    let hidden = "hiddenentry 'Text mode' --hotkey t { linux /boot/vmlinuz-1 t; }\n";
    let outcome = run(&format!("default=1\n{MENU}\n{hidden}"));
    assert_eq!(
        (
            outcome.default.unwrap().title.as_str(),
            outcome.entries.len()
        ),
        ("b", 3)
    );
    assert!(refused(&format!("default=1\n{hidden}")).contains("may mean a hidden entry"));
}

#[test]
fn wildcards_in_folders() {
    let mut machine = devices("insmod regexp\nfor f in /l*/*/grub.cfg; do default=$f; done");
    machine.add("disk", "/loader/a/grub.cfg", b"");
    machine.add("disk", "/loader/b/other.cfg", b"");
    machine.add("disk", "/lost", b"");
    let text = format!(
        "{}\nmenuentry /loader/a/grub.cfg {{ linux /boot/vmlinuz-1; }}\n{MENU}",
        "insmod regexp\nfor f in /l*/*/grub.cfg; do default=$f; done"
    );
    machine.add("disk", "/boot/grub/grub.cfg", text.as_bytes());
    let outcome = evaluate(&machine, &facts(), &start());
    assert_eq!(outcome.default.unwrap().title, "/loader/a/grub.cfg");
    machine.add("disk", "/loader/b/grub.cfg", b"");
    let why = evaluate(&machine, &facts(), &start()).default.unwrap_err();
    assert!(why.to_string().contains("their order is unknown"), "{why}");
}

/// Fedora's GRUB passes `\xHH` on as it is (rhboot/grub2, `script/execute.c` and
/// `lib/cmdline.c`); upstream's takes the backslash for an escape.
#[test]
fn hexadecimal_escapes() {
    let cmdline = |before: &str, prefix: &str| {
        let config =
            format!("{before}\nmenuentry a {{ linux /boot/vmlinuz-1 a\\x2db \"c\\x2d\"; }}\n");
        let mut machine = devices("");
        machine.add("disk", &format!("{prefix}/grub.cfg"), config.as_bytes());
        let (config, prefix) = (at(&format!("{prefix}/grub.cfg")), at(prefix));
        let start = Start {
            config,
            prefix,
            ..start()
        };
        match evaluate(&machine, &facts(), &start).default.unwrap().boot {
            Ok(Boot::Linux { cmdline, .. }) => cmdline,
            other => format!("{other:?}"),
        }
    };
    assert_eq!(cmdline("insmod blscfg", "/grub2"), "a\\x2db c\\x2d");
    assert_eq!(cmdline("", "/boot/grub"), "ax2db c\\\\x2d");
    assert!(cmdline("", "/grub2").contains("depends on the distribution's GRUB"));
}
