//! Every mode and every verb with every option: each pair means something else than
//! without the option, or is refused, or is noted. Nothing is accepted in silence.

use std::ffi::OsString;

use super::split;
use crate::args::{Arch, Flag, Id, Syntax, Verb, all, flags_for, flags_of};
use crate::request::{CommandLine, Request, UsageError, parse};

/// What becomes of an option that is added to a command line.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    /// The command line means something else.
    Changes,
    /// It is refused, with this exit code and message.
    Refused(u8, String),
    /// A note names it.
    Noted,
    /// It is as if it had not been typed.
    Silent,
}

/// What adding `option` to `line` does.
fn effect(arch: Arch, line: &str, option: &[OsString], name: &str) -> Effect {
    let before = understood(arch, split(line)).unwrap_or_else(|e| panic!("{line}: {e:?}"));
    let words = [split(line), option.to_vec()].concat();
    let after = match understood(arch, words) {
        Ok(after) => after,
        Err(error) => return Effect::Refused(error.exit_code, error.message),
    };
    if let Request::Unsupported(unsupported) = &after.request {
        return Effect::Refused(unsupported.exit_code, unsupported.what.clone());
    }
    let notes = |meant: &CommandLine| {
        let about = meant
            .notes
            .iter()
            .filter(|note| note.starts_with(&format!("{name} has no")));
        about.count()
    };
    if (&after.request, &after.output) != (&before.request, &before.output) {
        Effect::Changes
    } else if notes(&after) > notes(&before) {
        Effect::Noted
    } else {
        Effect::Silent
    }
}

fn understood(arch: Arch, words: Vec<OsString>) -> Result<CommandLine, UsageError> {
    parse(arch, &words)
}

/// An option as it is typed, with a value that is not the default.
fn sample(flag: &Flag) -> Vec<OsString> {
    let value = match flag.value.syntax() {
        None => return vec![flag.name().into()],
        Some(Syntax::Text) => "x",
        Some(Syntax::File | Syntax::Folder) => "/x",
        Some(Syntax::Address) => "0x1000000",
        Some(Syntax::Number) => "1",
        Some(Syntax::ColdEvery) => "3",
        Some(Syntax::Words(words)) => words[1],
        Some(Syntax::SerialPort) => "ttyS1",
        Some(Syntax::SerialSpeed) => "9600",
    };
    vec![flag.name().into(), value.into()]
}

/// An option that chooses among several may say again what is so without it. It is
/// then looked at beside another choice, which it has to overrule.
fn overrules(flag: &Flag) -> &'static str {
    match flag.id {
        Id::AutoSyscall | Id::FileSyscall => "-c",
        Id::ClassicSyscall => "-s",
        // Which slot -S asks about.
        Id::LoadPanic => "-l",
        _ => "",
    }
}

/// The modes, each by its shortest command line.
const MODES: &[&str] = &[
    "-l K",
    "-p K",
    "-f K",
    "K",
    "-u",
    "-p -u",
    "-e",
    "-S",
    "-l -S",
    "--load-jump-back-helper",
    "--print-ckr-size",
];

#[test]
fn every_mode_with_every_option() {
    let (mut pairs, mut wrong) = (0, Vec::<String>::new());
    for arch in Arch::ALL.iter().copied() {
        for mode in MODES {
            for call in ["", "-s", "-c", "-a"] {
                let line = format!("{mode} {call}");
                let line = line.trim_end();
                for flag in flags_for(arch) {
                    // What stands there already.
                    let short = flag.short.map(|letter| format!("-{}", char::from(letter)));
                    let there = |word| word == flag.name() || Some(word) == short.as_deref();
                    if line.split(' ').any(there) {
                        continue;
                    }
                    pairs += 1;
                    let option = sample(flag);
                    let mut effect_of = effect(arch, line, &option, &flag.spelled());
                    if effect_of == Effect::Silent && !overrules(flag).is_empty() {
                        let line = format!("{line} {}", overrules(flag));
                        effect_of = effect(arch, &line, &option, &flag.spelled());
                    }
                    let good = match &effect_of {
                        Effect::Changes | Effect::Noted => true,
                        // `-?` asks for the help and is told nothing.
                        Effect::Refused(1, message) => flag.id == Id::Usage || named(flag, message),
                        Effect::Refused(..) | Effect::Silent => false,
                    };
                    if !good {
                        wrong.push(format!("{} {line} {option:?}: {effect_of:?}", arch.name()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(pairs > 10_000, "only {pairs}");
}

/// Whether a message names an option.
fn named(flag: &Flag, message: &str) -> bool {
    let letter = |short| format!("-{}", char::from(short));
    let mut words = message.split([' ', ':', ',']);
    let short = flag.short.map(letter);
    message.contains(&flag.name()) || short.is_some_and(|short| words.any(|word| word == short))
}

/// The operands that a verb can have.
fn lines(verb: Verb) -> Vec<String> {
    let operands: &[&str] = match verb {
        Verb::Enable | Verb::Disable => &[" preload"],
        Verb::Help => &["", " load"],
        Verb::Crash => &[
            " status",
            " unload",
            " estimate",
            " shrink 64M",
            " load",
            " load ENTRY",
            " load ./kernel",
        ],
        Verb::ParallelShutdown => &[" kexec", " reboot"],
        verb if verb.takes_kernel() => &["", " ENTRY", " ./kernel"],
        _ => &[""],
    };
    let line = |operand| format!("{}{operand}", verb.name());
    let mut lines: Vec<String> = operands.iter().map(line).collect();
    match verb {
        Verb::Reboot => lines.extend(["reboot --now".to_owned(), "reboot --cold".to_owned()]),
        Verb::Load | Verb::Plan | Verb::Check => lines.push(format!("{} --crash ./k", verb.name())),
        Verb::Status => lines.push("status --snapshot F".to_owned()),
        Verb::Preload => lines.push("preload --enabled".to_owned()),
        _ => {}
    }
    lines
}

#[test]
fn every_verb_with_every_option() {
    let mut pairs = 0;
    for verb in Verb::ALL.iter().copied() {
        let own: Vec<Id> = flags_of(verb).iter().map(|flag| flag.id).collect();
        for line in lines(verb) {
            // Those that say what to do make a kernel file of the verb.
            for flag in all().filter(|flag| !flag.is_mode()) {
                if line.split(' ').any(|word| word == flag.name()) {
                    continue;
                }
                pairs += 1;
                let option = sample(flag);
                let mut effect_of = effect(Arch::X86_64, &line, &option, &flag.spelled());
                if effect_of == Effect::Silent && !overrules(flag).is_empty() {
                    let line = format!("{line} {}", overrules(flag));
                    effect_of = effect(Arch::X86_64, &line, &option, &flag.spelled());
                }
                match effect_of {
                    Effect::Changes => assert!(own.contains(&flag.id), "{line} {option:?}"),
                    Effect::Refused(code, message) => {
                        assert_eq!(code, 2, "{line} {option:?}");
                        assert!(
                            message.contains(&flag.name()),
                            "{line} {option:?}: {message}"
                        );
                        assert!(!message.contains('\n'), "{message}");
                        if !own.contains(&flag.id) {
                            assert!(message.starts_with(verb.name()), "{message}");
                            let named = flag.verbs.iter().all(|v| message.contains(v.name()));
                            assert!(named || message.contains("every verb but"), "{message}");
                        }
                    }
                    other => panic!("{line} {option:?}: {other:?}"),
                }
            }
        }
    }
    assert!(pairs > 1500, "only {pairs}");
}

/// The walks can fail: this is how an option looks that is accepted and does nothing.
#[test]
fn silence_is_heard() {
    const NAME: &str = "-x (--no-ifdown)";
    let said = |line: &str, option: &str| effect(Arch::X86_64, line, &split(option), NAME);
    assert_eq!(said("-l K", "--kexec-syscall-auto"), Effect::Silent);
    assert_eq!(said("-l K", "--no-ifdown"), Effect::Noted);
    assert_eq!(said("-f K", "--no-ifdown"), Effect::Changes);
    assert!(matches!(said("-e", "--noefi"), Effect::Refused(1, _)));
    assert_eq!(said("reboot --json", "--json"), Effect::Silent);
}

/// Every rule of every option, broken on purpose; and pairs of options of a verb
/// that cancel each other, by their words.
#[test]
fn what_does_not_go_together() {
    for line in [
        "reboot --cold --append x --initrd /nope -s --profile 3 --cmdline foo --allow-passphrase --dry-run",
        "reboot --cold --append x",
        "reboot --cold --initrd I",
        "reboot --cold -s",
        "reboot --cold -d",
        "reboot --cold --profile 3",
        "reboot --cold --cmdline x",
        "reboot --cold --integrity sha256",
        "reboot --cold --unverified",
        "reboot --cold --allow-passphrase",
        "reboot --cold --yes-this-machine",
        "reboot --cold --or-cold",
        "reboot --cold --now",
        "reboot --cold ENTRY",
        "reboot --now --when 03:00",
        "reboot --now -i",
        "reboot -s --integrity sha256",
        "load -s --discard-liveupdate",
        "load ./K --cmdline x --reuse-cmdline",
        "load --reuse-cmdline",
        "load ENTRY --reuse-cmdline",
        "load --crash ./K --allow-passphrase",
        "check --crash ./K --yes-this-machine",
        "load --crash ./K --integrity sha256",
        "check ./K --host F --allow-passphrase",
        "plan ./K --host F --yes-this-machine",
        "plan ./K --svg - --json",
        "history --svg=- --json",
        "status --unredacted",
        "preload --enabled --at-shutdown",
        "preload --enabled --instance x",
    ] {
        let error = understood(Arch::X86_64, split(line)).expect_err(line);
        assert_eq!(error.exit_code, 2, "{line}");
    }
    for line in [
        "reboot --cold --when 03:00 -i --dry-run --json",
        // The lock is in the way of the cold reboot.
        "reboot --now --or-cold -i",
        "reboot --when 03:00 --or-cold -i",
        "reboot -a --integrity sha256",
        "load ./K --append x --reuse-cmdline",
        "load ENTRY --append x --cmdline y",
        "plan ./K --svg F --json",
        "status --snapshot F --unredacted --json",
        // Help is help, whatever else is typed.
        "reboot --cold --append x --help",
    ] {
        understood(Arch::X86_64, split(line)).unwrap_or_else(|e| panic!("{line}: {}", e.message));
    }
    let old = |line| understood(Arch::X86_64, split(line)).map_err(|e| e.exit_code);
    assert_eq!(old("-l K --args-linux --args-none").err(), Some(1));
    assert_eq!(old("-l K -i --integrity sha256").err(), Some(1));
    assert!(old("-l K -i --integrity sha256 -h").is_ok());
}

/// Two options of a verb that each mean something alone mean something together, or
/// are refused together.
#[test]
fn every_pair_of_options_of_a_verb() {
    let mut pairs = 0;
    for verb in Verb::ALL.iter().copied() {
        let line = lines(verb).pop().unwrap_or_default();
        let line = match verb.takes_kernel() {
            true => format!("{} ./kernel", verb.name()),
            false if verb == Verb::Preload => verb.name().to_owned(),
            false => line,
        };
        let own = flags_of(verb);
        for first in &own {
            for second in &own {
                // Help is help, of three calls the last one counts, and an option that
                // is given twice is one.
                let call = |flag: &Flag| {
                    matches!(
                        flag.id,
                        Id::AutoSyscall | Id::FileSyscall | Id::ClassicSyscall
                    )
                };
                let other = first.id == Id::Help || call(first) && call(second);
                if other || first.id == second.id || call(second) {
                    continue;
                }
                let words = [split(&line), sample(first)].concat();
                if understood(Arch::X86_64, words).is_err() {
                    continue;
                }
                pairs += 1;
                let option = sample(second);
                let words: Vec<String> = sample(first)
                    .iter()
                    .map(|word| word.to_string_lossy().into_owned())
                    .collect();
                let both = format!("{line} {}", words.join(" "));
                if both.split(' ').any(|word| word == second.name()) {
                    continue;
                }
                let effect_of = effect(Arch::X86_64, &both, &option, &second.spelled());
                assert_ne!(effect_of, Effect::Silent, "{both} {option:?}");
                assert_ne!(effect_of, Effect::Noted, "{both} {option:?}");
            }
        }
    }
    assert!(pairs > 300, "only {pairs}");
}
