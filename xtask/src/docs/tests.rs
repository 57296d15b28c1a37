use super::*;
use kexec_cli::manual::PAGES;

/// The page on which a verb is told of, and that of the old spelling.
fn page_of(verb: Option<Verb>) -> String {
    let name = match verb {
        None => "kexec",
        Some(verb) => {
            let mut on = PAGES.iter().filter(|page| page.verbs.contains(&verb));
            on.next().unwrap().name
        }
    };
    let path = format!("man8/{name}.8");
    let pages = manual_pages("2026-01-02");
    pages
        .into_iter()
        .find(|made| made.path == path)
        .unwrap()
        .text
}

fn everything() -> Vec<(Option<Verb>, &'static Flag)> {
    let verbs = Verb::ALL.iter().copied().map(Some).chain([None]);
    verbs
        .flat_map(|verb| {
            flags(verb, Arch::X86_64)
                .into_iter()
                .map(move |flag| (verb, flag))
        })
        .collect()
}

#[test]
fn every_option_is_on_its_page() {
    for (verb, flag) in everything() {
        let page = page_of(verb);
        for spelling in spellings(flag) {
            let term = roff::bold(&spelling);
            let there = page
                .lines()
                .any(|line| line.starts_with("\\fB\\-") && line.contains(&term));
            assert!(there, "{verb:?} {spelling}");
        }
    }
    for arch in Arch::ALL {
        for flag in flags(None, *arch) {
            assert!(page_of(None).contains(&roff::bold(&spellings(flag)[0])));
        }
    }
}

/// The page of the other program, and what the shells offer for it.
#[test]
fn every_option_of_vmcore_dmesg_is_told_of() {
    let mut made = manual_pages("2026-01-02");
    made.extend(completions(Arch::X86_64));
    let text = |path: &str| &made.iter().find(|made| made.path == path).unwrap().text;
    for spelling in kexec_cli::vmcore_dmesg::flags()
        .into_iter()
        .flat_map(spellings)
    {
        let page = text("man8/vmcore-dmesg.8");
        assert!(page.contains(&roff::bold(&spelling)), "{spelling}");
        assert!(text("completions/vmcore-dmesg").contains(&spelling));
        assert!(text("completions/_vmcore-dmesg").contains(&format!("'{spelling}[")));
        let name = spelling.trim_start_matches('-');
        assert!(text("completions/vmcore-dmesg.fish").contains(&format!(" {name} ")));
    }
}

#[test]
fn every_verb_has_a_page_under_its_own_name() {
    let pages = manual_pages("2026-01-02");
    for verb in Verb::ALL {
        let path = format!("man8/kexec-{}.8", verb.name());
        let page = pages.iter().find(|made| made.path == path).unwrap();
        if let Some(target) = page.text.strip_prefix(".so ") {
            let target = pages
                .iter()
                .find(|made| made.path == target.trim_end())
                .unwrap();
            assert!(
                target
                    .text
                    .contains(&format!("\\fBkexec\\fR {}", roff::bold(verb.name())))
            );
        }
    }
}

/// No other characters than those of ASCII: nothing is said about an encoding.
#[test]
fn pages_are_plain() {
    for made in manual_pages("2026-01-02") {
        assert!(made.text.is_ascii(), "{}", made.path);
        for line in made.text.lines() {
            assert!(line.len() <= 200, "{}: {line}", made.path);
            assert_eq!(line, line.trim_end(), "{}", made.path);
        }
    }
}

/// The completion of bash, in bash.
#[test]
fn bash_completes_every_option() {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut wanted = Vec::new();
    for (verb, flag) in everything() {
        for spelling in spellings(flag) {
            let value = takes_value(flag) && spelling.starts_with("--");
            wanted.push(format!("{spelling}{}", if value { "=" } else { "" }));
            let verb = verb.map(|verb| verb.name().to_owned());
            lines.push(verb.into_iter().chain([spelling]).collect());
        }
    }
    for (offered, (wanted, line)) in bash_offers(&lines).iter().zip(wanted.iter().zip(&lines)) {
        assert!(offered.contains(wanted), "{line:?}: {offered:?}");
    }
}

fn bash_offers<T: AsRef<str>>(lines: &[Vec<T>]) -> Vec<Vec<String>> {
    let lines: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.iter().map(AsRef::as_ref).collect())
        .collect();
    lint::bash(&bash::completion(Arch::X86_64), &lines).unwrap()
}

#[test]
fn bash_completes_words_and_values() {
    let lines: &[(&[&str], &[&str])] = &[
        (&["reb"], &["reboot"]),
        (&["l"], &["load", "list"]),
        (&["load", "--app"], &["--append="]),
        (
            &["--lo"],
            &[
                "--load",
                "--load-panic",
                "--load-preserve-context",
                "--load-jump-back-helper",
                "--load-live-update",
            ],
        ),
        (&["load", "--integrity", "="], &["crc32c", "sha256", "none"]),
        (&["load", "--integrity", "=", "s"], &["sha256"]),
        (&["load", "--integrity", "s"], &["sha256"]),
        (&["-l", "--serial", "=", ""], &["ttyS0", "ttyS1"]),
        (&["load", "--append", "=", "lo"], &[""]),
        (&["status", "/et"], &[""]),
        (&["load", "--initrd", "=", "/et"], &["/etc"]),
        (&["load", "/et"], &["/etc"]),
        (&["list", "--root", "/et"], &["/etc"]),
        (&["/et"], &["/etc"]),
        (&["enable", "ex"], &["exitrd"]),
        (&["help", "nee"], &["needs-reboot"]),
        (&["load", "deb"], &["debian 6.12", "deb:1"]),
        (&["reboot", "debian\\ 6"], &["debian 6.12"]),
        (&["check", "/boot/k"], &["/boot/k"]),
        // What takes no kernel has no boot entries.
        (&["unload", "deb"], &[""]),
        // A verb's options are not those of another.
        (&["list", "--ap"], &[""]),
        (&["reboot", "--crash"], &[""]),
    ];
    let typed: Vec<Vec<&str>> = lines.iter().map(|(words, _)| words.to_vec()).collect();
    for ((words, wanted), offered) in lines.iter().zip(bash_offers(&typed)) {
        assert_eq!(&offered, wanted, "{words:?}");
    }
}

/// zsh and fish are not everywhere; their files name everything in any case.
#[test]
fn the_other_shells_name_every_option_and_verb() {
    let (zsh, fish) = (
        zsh::completion(Arch::X86_64),
        fish::completion(Arch::X86_64),
    );
    for (_, flag) in everything() {
        for spelling in spellings(flag) {
            let named = |end: &str| zsh.contains(&format!("{spelling}{end}["));
            assert!(named("") || named("=") || named("+"), "{spelling}");
            let fish_name = match spelling.strip_prefix("--") {
                Some(long) => format!(" -l {long} "),
                None => format!(" -s '{}' ", &spelling[1..]),
            };
            assert!(fish.contains(&fish_name), "{fish_name}");
        }
    }
    for verb in Verb::ALL {
        assert!(zsh.contains(&format!("'{}:", verb.name())));
        assert!(fish.contains(&format!(" -a {} ", verb.name())));
    }
}

/// A name that `kexec check` shows is found on its page.
#[test]
fn every_check_is_on_the_page_of_check() {
    let page = page_of(Some(Verb::Check));
    let names = kexec_load::preflight::CHECKS.iter().map(|check| check.name);
    let reboot = kexec_reboot::arrival::checks::CHECKS.iter();
    for name in names.chain(reboot.map(|check| check.name)) {
        assert!(page.contains(&roff::bold(name)), "{name}");
    }
}

/// What is used most comes first, and help last.
#[test]
fn options_are_in_the_order_of_use() {
    let page = page_of(Some(Verb::Status));
    let at = |option: &str| page.find(&roff::bold(option)).unwrap();
    assert!(at("--dry-run") < at("--kexec-file-syscall"));
    assert!(at("--snapshot") < at("--json"));
    assert!(at("--json") < at("--help"));
}

/// Verbs whose codes mean different things do not share a list: an administrator's
/// script asks for one of them.
#[test]
fn each_verb_of_a_page_has_its_own_exit_status() {
    let page = page_of(Some(Verb::Preload));
    let (_, behind) = page.split_once(".SH \"EXIT STATUS\"").unwrap();
    let status = behind.split(".SH ").next().unwrap();
    let mut parts = status.split(".SS ").skip(1);
    let preload = parts.next().unwrap();
    assert!(preload.starts_with("\"kexec preload\""), "{preload}");
    assert!(preload.contains("Not loaded"), "{preload}");
    let both = parts.next().unwrap();
    assert!(
        both.starts_with("\"kexec enable, kexec disable\""),
        "{both}"
    );
    assert!(both.contains("Refused or failed"), "{both}");
    let due = parts.next().unwrap();
    assert!(due.starts_with("\"kexec needs-reboot\""), "{due}");
    assert!(
        due.contains("A reboot is due") && !due.contains("Refused"),
        "{due}"
    );
    // Where all have the same ones, no verb is named.
    let page = page_of(Some(Verb::Help));
    let (_, behind) = page.split_once(".SH \"EXIT STATUS\"").unwrap();
    assert!(!behind.split(".SH ").next().unwrap().contains(".SS "));
}
