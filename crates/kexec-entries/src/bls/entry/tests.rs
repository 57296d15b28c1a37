use super::*;
use proptest::prelude::*;

/// The example of UAPI.1, with a second initrd.
const FEDORA: &str = "\
# /boot/loader/entries/6a9857a393724b7a981ebb5b8495b9ea-3.8.0-2.fc19.x86_64.conf
title        Fedora 19 (Rawhide)
sort-key     fedora
machine-id   6a9857a393724b7a981ebb5b8495b9ea
version      3.8.0-2.fc19.x86_64
options      root=UUID=6d3376e4-fc93-4509-95ec-a21d68011da2 quiet
architecture x64
linux        /6a9857a393724b7a981ebb5b8495b9ea/3.8.0-2.fc19.x86_64/linux
initrd       /ucode.img
initrd       6a9857a393724b7a981ebb5b8495b9ea/3.8.0-2.fc19.x86_64/initrd
options      splash
";

fn at(line: u32, text: &str) -> LineValue {
    LineValue {
        text: text.to_owned(),
        line,
    }
}

#[test]
fn every_value_has_its_line() {
    let entry = parse(FEDORA.as_bytes());
    assert_eq!(entry.title, Some(at(2, "Fedora 19 (Rawhide)")));
    assert_eq!(entry.sort_key, Some(at(3, "fedora")));
    assert_eq!(entry.version, Some(at(5, "3.8.0-2.fc19.x86_64")));
    assert_eq!(entry.architecture, Some(at(7, "x64")));
    let linux = at(
        8,
        "/6a9857a393724b7a981ebb5b8495b9ea/3.8.0-2.fc19.x86_64/linux",
    );
    assert_eq!(entry.starts(), Ok(Starts::Linux(&linux)));
    let initrds: Vec<String> = entry.initrds.iter().map(|v| v.path().unwrap()).collect();
    assert_eq!(
        initrds,
        [
            "/ucode.img",
            "/6a9857a393724b7a981ebb5b8495b9ea/3.8.0-2.fc19.x86_64/initrd"
        ]
    );
    assert_eq!(
        entry.options(),
        "root=UUID=6d3376e4-fc93-4509-95ec-a21d68011da2 quiet splash"
    );
    assert_eq!(
        (entry.ignored, entry.broken, entry.others),
        (vec![], vec![], vec![])
    );
}

#[test]
fn a_uki_with_a_profile_and_what_goes_with_it() {
    let entry = parse(
        b"uki /os/img.efi\nprofile 2\nextra /os/a.cred\nextra /os/b.sysext.raw\n\
          devicetree /dtb\ndevicetree-overlay /a.dtbo  /b.dtbo\n",
    );
    assert_eq!(entry.starts(), Ok(Starts::Uki(&at(1, "/os/img.efi"))));
    assert_eq!(entry.profile(), Ok(Some(2)));
    assert_eq!(
        entry.extras,
        [at(3, "/os/a.cred"), at(4, "/os/b.sysext.raw")]
    );
    assert_eq!(entry.overlays, [at(6, "/a.dtbo"), at(6, "/b.dtbo")]);
    let url = parse(b"uki-url http://example.com/os.efi");
    assert!(matches!(url.starts(), Ok(Starts::UkiUrl(_))));
}

#[test]
fn grub_variables_and_keys_stay_as_they_are() {
    let entry = parse(
        b"options $kernelopts root=\"a b\"  $tuned_params\ninitrd /initrd.img $tuned_initrd\n\
          grub_users $grub_users\ngrub_class fedora\n",
    );
    assert_eq!(entry.options(), "$kernelopts root=\"a b\"  $tuned_params");
    assert_eq!(entry.initrds, [at(2, "/initrd.img $tuned_initrd")]);
    assert_eq!(
        entry.others,
        [
            ("grub_users".to_owned(), at(3, "$grub_users")),
            ("grub_class".to_owned(), at(4, "fedora"))
        ]
    );
}

#[test]
fn what_systemd_takes_is_taken() {
    // Observed with bootctl 257 and 262.
    let entry = parse(
        b"title \"Quoted\"\r\n\ttitle\ttab  two \r\n linux\t /k \n #comment\n\
          options a=b  # not a comment",
    );
    assert_eq!(entry.title, Some(at(2, "tab  two")));
    assert_eq!(entry.linux, Some(at(3, "/k")));
    assert_eq!(entry.options(), "a=b  # not a comment");
    assert_eq!(
        entry.ignored,
        [LineProblem::new(2, "title again; it replaces line 1")]
    );
    // Keys are told apart by case.
    assert!(parse(b"LINUX /k").starts().is_err());
}

#[test]
fn what_is_wrong_has_its_line() {
    let entry = parse(b"title x\nlinux\n");
    assert_eq!(
        entry.ignored,
        [LineProblem::new(
            2,
            "linux has no value; the line is left out"
        )]
    );
    let none = entry.starts().unwrap_err();
    assert_eq!(none, LineProblem::whole("it has no linux, uki or efi key"));

    let both = parse(b"efi /shell.efi\nlinux /k\n");
    assert_eq!(
        both.starts().unwrap_err(),
        LineProblem::new(2, "linux beside efi (line 1): expected one of them")
    );

    let profile = parse(b"uki /u\nprofile two");
    assert_eq!(
        profile.profile().unwrap_err(),
        LineProblem::new(2, "profile is \"two\", expected a number")
    );

    for path in ["/k/../x", "..", "/./k", "/", "//"] {
        assert_eq!(at(7, path).path().unwrap_err().line, Some(7), "{path}");
    }
    assert_eq!(at(7, "x//y").path(), Ok("/x/y".to_owned()));
}

#[test]
fn bytes_that_are_no_text_break_all_but_the_title() {
    let entry = parse(b"title caf\xe9\noptions root=\xff\nlinux /k\0x\nnote \xff\n");
    assert_eq!(entry.title, Some(at(1, "caf\u{fffd}")));
    let lines: Vec<_> = entry.broken.iter().map(|p| p.line).collect();
    assert_eq!(lines, [Some(2), Some(3)]);
    assert_eq!(
        entry.broken.first().unwrap().reason,
        "options: \"root=\u{fffd}\" is not UTF-8 text"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_and_nothing_is_lost(text in "([a-z-]{0,9}[ \t]*[/a-z.]{0,9}\r?\n){0,20}") {
        let entry = parse(text.as_bytes());
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let mut kept = entry.others.len() + entry.ignored.len() + entry.initrds.len()
            + entry.options.len() + entry.extras.len();
        let again = entry.ignored.iter().filter(|p| p.reason.contains("again")).count();
        for single in [
            &entry.title, &entry.version, &entry.machine_id, &entry.sort_key, &entry.linux,
            &entry.efi, &entry.uki, &entry.uki_url, &entry.profile, &entry.devicetree,
            &entry.architecture,
        ] {
            kept += usize::from(single.is_some());
        }
        let overlays: std::collections::BTreeSet<u32> =
            entry.overlays.iter().map(|v| v.line).collect();
        prop_assert_eq!(kept + overlays.len(), lines.count(), "{} again", again);
    }

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let entry = parse(&bytes);
        let _ = (entry.starts(), entry.profile(), entry.options());
        for value in entry.initrds {
            let _ = value.path();
        }
    }
}
