//! Which entry is the default, and what it boots.

use super::*;

/// A menu with submenus; `default` is set before it.
const MENU: &str = "
menuentry 'A' --id ida { linux /boot/vmlinuz-1 e=A chosen=$chosen; }
menuentry 'B title' --id idb --class x extra { linux /boot/vmlinuz-1 e=B n=$# two=$2; }
submenu 'S' --id ids sarg { set insub=1
  menuentry 'S0' --id ids0 { linux /boot/vmlinuz-1 e=S0 p=$plain x=$exp i=$insub c=$chosen; }
  menuentry 'S1' --id ids1 { linux /boot/vmlinuz-1 e=S1; }
  submenu 'T' --id idt { menuentry 'T0' --id idt0 { linux /boot/vmlinuz-1 e=T0; }; menuentry 'T1' --id idt1 { linux /boot/vmlinuz-1 e=T1 c=$chosen; } }
}
menuentry 'C' --id idc { linux /boot/vmlinuz-1 e=C p=$plain; }
menuentry 'in>ner' { linux /boot/vmlinuz-1 e=in c=$chosen; }
menuentry 'A' --id dup { linux /boot/vmlinuz-1 e=dup; }
";

fn choice(before: &str) -> GrubDefault {
    let outcome = run(&format!("set timeout=0\n{before}\n{MENU}"));
    outcome
        .default
        .unwrap_or_else(|why| panic!("{before}: {why}"))
}

fn booted(before: &str) -> String {
    match choice(before).boot {
        Ok(Boot::Linux { cmdline, .. }) => cmdline,
        other => panic!("{before}: {other:?}"),
    }
}

#[test]
fn by_number_title_id_and_path() {
    for (before, cmdline) in [
        ("", "e=A chosen=ida"),
        ("default=0", "e=A chosen=ida"),
        ("default=1", "e=B n=2 two=extra"),
        ("default=idb", "e=B n=2 two=extra"),
        ("default='B title'", "e=B n=2 two=extra"),
        ("default=A", "e=A chosen=ida"),
        ("default=dup", "e=dup"),
        ("default=99", "e=A chosen=ida"),
        ("default=nope", "e=A chosen=ida"),
        ("default=ids1", "e=A chosen=ida"),
        ("default=2", "e=S0 p= x= i=1 c=ids>ids0"),
        ("default='2>0'", "e=S0 p= x= i=1 c=ids>ids0"),
        ("default='2>1'", "e=S1"),
        ("default='S>S1'", "e=S1"),
        ("default='ids>ids1'", "e=S1"),
        ("default='ids>2>1'", "e=T1 c=ids>idt>idt1"),
        ("default='ids>idt>T1'", "e=T1 c=ids>idt>idt1"),
        ("default='2>2'", "e=T0"),
        ("default='2>9'", "e=S0 p= x= i=1 c=ids>ids0"),
        ("default='2>nope'", "e=S0 p= x= i=1 c=ids>ids0"),
        ("default='2 > 1'", "e=S1"),
        ("default='1>0'", "e=B n=2 two=extra"),
        ("default='in>>ner'", "e=in c=in>>ner"),
        (
            "default=2; plain=P; export exp; set exp=E",
            "e=S0 p= x=E i=1 c=ids>ids0",
        ),
        ("default=3; plain=P", "e=C p=P"),
    ] {
        assert_eq!(booted(before), cmdline, "{before}");
    }
}

/// The beginning of every configuration that grub-mkconfig makes, in its
/// documented effect (GRUB_DEFAULT=saved, grub-reboot, GRUB_SAVEDEFAULT).
const HEADER: &str = "
if [ -s $prefix/grubenv ]; then set have_grubenv=true; load_env; fi
if [ \"${next_entry}\" ]; then
  set default=\"${next_entry}\"
  set next_entry=
  save_env next_entry
  set boot_once=true
else
  set default=\"${saved_entry}\"
fi
if [ \"${prev_saved_entry}\" ]; then
  set saved_entry=\"${prev_saved_entry}\"
  save_env saved_entry
  set prev_saved_entry=
  save_env prev_saved_entry
  set boot_once=true
fi
function savedefault {
  if [ -z \"${boot_once}\" ]; then saved_entry=\"${chosen}\"; save_env saved_entry; fi
}
";

fn saved(lines: &str) -> (String, GrubDefault) {
    let mut devices = devices(&format!("set timeout=0\n{HEADER}{MENU}"));
    devices.add("disk", "/boot/grub/grubenv", &block(lines));
    let choice = evaluate(&devices, &facts(), &start()).default.unwrap();
    let saves = choice.saves.iter();
    let saves = saves.map(|save| format!("{}={}", save.name, save.value));
    (saves.collect::<Vec<_>>().join(" "), choice)
}

#[test]
fn saved_and_one_shot() {
    let (saves, choice) = saved("saved_entry=ids>ids1\n");
    assert_eq!((saves.as_str(), choice.number.as_str()), ("", "2>1"));
    assert_eq!(choice.through, ["saved_entry"]);
    assert_eq!(
        choice.why,
        "`default` is \"ids>ids1\" (/boot/grub/grub.cfg:10), from $saved_entry"
    );

    let (saves, choice) = saved("saved_entry=ids>ids1\nnext_entry=3\n");
    assert_eq!(
        (saves.as_str(), choice.number.as_str()),
        ("next_entry=", "3")
    );
    assert_eq!(choice.through, ["next_entry"]);

    let (saves, choice) = saved("saved_entry=3\nprev_saved_entry=0\n");
    assert_eq!(
        (saves.as_str(), choice.number.as_str()),
        ("prev_saved_entry= saved_entry=0", "3")
    );

    let (saves, choice) = saved("");
    assert_eq!((saves.as_str(), choice.number.as_str()), ("", "0"));
    assert!(choice.why.starts_with("the first entry"), "{}", choice.why);
}

#[test]
fn what_booting_the_default_would_save() {
    let config = format!(
        "set timeout=0\n{HEADER}\nmenuentry a --id x {{ savedefault; linux /boot/vmlinuz-1; }}\n"
    );
    let choice = run(&config).default.unwrap();
    let save = &choice.saves[0];
    assert_eq!(
        (save.name.as_str(), save.value.as_str()),
        ("saved_entry", "x")
    );
    assert_eq!(save.file, at("/boot/grub/grubenv"));
}

#[test]
fn what_an_entry_loads() {
    let outcome = run("
set timeout=0
function pick { search --no-floppy --fs-uuid --set=root $1; }
menuentry one {
  pick 5678
  linux /vmlinuz root=/dev/vda1 'a b' q=\\'x c\\\\d
  initrd ($root)/ucode /initrd
}
menuentry xen {
  set root=disk
  multiboot2 /boot/vmlinuz-1 placeholder dom0_mem=1G ${xen_rm_opts}
  module2 --nounzip /boot/vmlinuz-2 placeholder root=x
  module2 --nounzip /boot/initrd-2
}
menuentry other { chainloader (other)/EFI/BOOT/x.efi; }
menuentry setup { fwsetup; }
menuentry nothing { echo hello; }
menuentry again { linux /boot/vmlinuz-1 x; initrd /boot/initrd-1; linux /boot/vmlinuz-2 y; devicetree /boot/dtb; }
menuentry snapshots { configfile /boot/grub/snapshots.cfg; }
");
    let shown = outcome.entries.iter().map(|entry| match &entry.boot {
        Ok(Boot::Linux {
            kernel,
            cmdline,
            initrds,
            devicetree,
        }) => {
            let initrds: Vec<String> = initrds.iter().map(FilePath::to_string).collect();
            let tree = devicetree
                .as_ref()
                .map_or(String::new(), |tree| format!(" dtb {tree}"));
            format!("{kernel} [{cmdline}] {}{tree}", initrds.join(" "))
        }
        Ok(Boot::Multiboot {
            kernel,
            version: 2,
            cmdline,
            modules,
        }) => {
            let modules: Vec<String> = modules
                .iter()
                .map(|m| format!("{} [{}]", m.0, m.1))
                .collect();
            format!("{kernel} [{cmdline}] {}", modules.join(" "))
        }
        Ok(other) => format!("{other:?}"),
        Err(why) => why.to_string(),
    });
    let expected = [
        "(other)/vmlinuz [root=/dev/vda1 \"a b\" q=\\'x c\\\\d] (other)/ucode (other)/initrd",
        "(disk)/boot/vmlinuz-1 [placeholder dom0_mem=1G] (disk)/boot/vmlinuz-2 [placeholder root=x] (disk)/boot/initrd-2 []",
        "Other(\"it starts another boot loader (chainloader)\")",
        "Other(\"it opens the firmware's setup (fwsetup)\")",
        "/boot/grub/grub.cfg:17: the entry loads no kernel, so GRUB boots nothing",
        "(disk)/boot/vmlinuz-2 [y]  dtb (disk)/boot/dtb",
        "/boot/grub/grub.cfg:19: a command returns whose file is not there",
    ];
    for (shown, expected) in shown.zip(&expected[..6]) {
        assert_eq!(shown, *expected);
    }
}

#[test]
fn stubs_and_menus_in_other_files() {
    let mut machine = devices(
        "search.fs_uuid 5678 root hd0,gpt2\nset prefix=($root)'/grub2'\nconfigfile $prefix/grub.cfg\n",
    );
    machine.add(
        "other",
        "/grub2/grub.cfg",
        b"set timeout=1\nif [ -s $prefix/grubenv ]; then load_env; fi\nset default=$saved_entry
menuentry a { linux /vmlinuz a; }\nmenuentry b { linux /vmlinuz b; }
menuentry c { set default=ignored; export default; configfile $prefix/more.cfg; }\n",
    );
    machine.add("other", "/grub2/grubenv", &block("saved_entry=b\n"));
    machine.add(
        "other",
        "/grub2/more.cfg",
        b"set default=1\nmenuentry x { true; }\nmenuentry y { linux /vmlinuz y; }\n",
    );
    let outcome = evaluate(&machine, &facts(), &start());
    let default = outcome.default.unwrap();
    assert_eq!(
        (default.number.as_str(), default.title.as_str()),
        ("1", "b")
    );
    assert_eq!(default.place.unwrap().to_string(), "/grub2/grub.cfg:3");
    machine.add("other", "/grub2/grubenv", &block("saved_entry=c\n"));
    let default = evaluate(&machine, &facts(), &start()).default.unwrap();
    assert_eq!(
        (default.number.as_str(), default.title.as_str()),
        ("2>1", "y")
    );
}

#[test]
fn options_of_menuentry() {
    let outcome = run("
set superusers=root
menuentry x --id a --id b --class=q --class r --hotkey=k -- --id c { linux /boot/vmlinuz-1 $# $2 $3; }
menuentry --id a --class r 'tt' xx --unrestricted { linux /boot/vmlinuz-1 $1 $2; }
menuentry u --users root --unrestricted { true; }
menuentry w --id=wid { true; }
menuentry v $menuentry_id_option 'vid' { true; }
");
    let shown: Vec<String> = outcome
        .entries
        .iter()
        .map(|entry| {
            let line = match &entry.boot {
                Ok(Boot::Linux { cmdline, .. }) => cmdline,
                _ => "",
            };
            format!("{} {} {} {line}", entry.title, entry.id, entry.locked)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "x b true 3 --id c",
            "tt a false tt xx",
            "u u true ",
            "w wid true ",
            "v v true ",
        ]
    );
}

#[test]
fn what_the_user_should_know() {
    let outcome = run("menuentry a { linux /boot/vmlinuz-1; }\nfallback='1 2'\n");
    assert_eq!(outcome.fallback.as_deref(), Some("1 2"));
    assert!(outcome.warnings[0].contains("waits at its menu forever"));
    assert!(
        choice("default=nope")
            .why
            .ends_with("so GRUB takes the first one")
    );
}
