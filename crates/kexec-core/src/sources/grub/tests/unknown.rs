//! What cannot be known is refused with its line, and only where it matters.

use super::*;

const MENU: &str = "
menuentry a --id a { linux /boot/vmlinuz-1 a; }
menuentry b --id b { linux /boot/vmlinuz-1 b v=$v; }
menuentry c --id c { linux /boot/vmlinuz-1 c; }
";

fn default(before: &str) -> Result<Choice, Refusal> {
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
            "smbios tells what only the firmware knows",
        ),
        (
            "smbios -t 1 --get-string 4 --set=v; default=b",
            "smbios tells what only",
        ),
        ("read v; default=b", "read tells what only"),
        (
            "v=$net_default_ip; default=b",
            "$net_default_ip is set by GRUB",
        ),
        ("v=$root; default=b", "holds GRUB's own name of a device"),
        (
            "[ $root = hd0,gpt2 ]; default=$?",
            "the name of a device, which only the firmware knows",
        ),
        (
            "set root=hd7; default=b",
            "which disk GRUB calls hd7 is not known",
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
        "/boot/grub/grub.cfg:1: the command \"frobnicate\" is not known here"
    );
    let why = refused("echo a\nfi\ndefault=1");
    assert_eq!(
        why,
        "/boot/grub/grub.cfg:2: syntax error: \"fi\" is not expected here"
    );
    assert!(refused("syntax$").contains("syntax error"));
    assert!(
        refused("legacy_configfile /boot/grub/menu.lst")
            .contains("legacy_configfile is not understood")
    );
    assert!(refused("exit").contains("it leaves GRUB (exit) before a menu is shown"));
    // What stands before the mistake is in the menu, and known where it uses no
    // variables.
    let outcome = run(&format!("{MENU}\nfi\n"));
    assert_eq!(outcome.entries.len(), 3);
    assert!(outcome.default.is_err() && outcome.entries[0].boot.is_err());
    let outcome = run("menuentry a { search --fs-uuid --set=root 5678; linux /vmlinuz a; }\nfi\n");
    assert!(outcome.entries[0].boot.is_ok(), "{outcome:?}");
}

#[test]
fn grubs_own_list_of_commands_tells_what_is_none() {
    let mut world = world(&format!("frobnicate\ndefault=1\n{MENU}"));
    world.add(
        "disk",
        "/boot/grub/i386-pc/command.lst",
        b"*acpi: acpi\ncat: cat\n",
    );
    let outcome = evaluate(&world, &facts(), &start());
    assert_eq!(outcome.default.unwrap().title, "b");
    assert!(outcome.warnings[0].contains("frobnicate is no command of this GRUB"));
    world.add(
        "disk",
        "/boot/grub/i386-pc/command.lst",
        b"*frobnicate: acpi\n",
    );
    assert!(evaluate(&world, &facts(), &start()).default.is_err());
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
fn a_file_that_is_not_text() {
    let mut world = world("source /boot/grub/bad.cfg\n");
    world.add("disk", "/boot/grub/bad.cfg", b"menuentry \xff { true; }\n");
    let why = evaluate(&world, &facts(), &start()).default.unwrap_err();
    assert_eq!(
        why.to_string(),
        "/boot/grub/grub.cfg:1: /boot/grub/bad.cfg is not UTF-8 at byte 10"
    );
}
