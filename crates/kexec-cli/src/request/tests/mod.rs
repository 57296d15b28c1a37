//! The table of command lines, and properties of all of them.

mod shown;
mod walk;

use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use shown::short;

use super::*;
use crate::args::typed::Typed;
use crate::args::{Id, Offer, Value, flags_for};
use kexec_plan::Cmdline;

/// Command lines and what they mean; see the file's own head.
const TABLE: &str = include_str!("../../../tests/command-lines.txt");

/// Splits as a shell does, as far as the table needs it: blanks separate,
/// quotes keep them.
fn split(line: &str) -> Vec<OsString> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words.into_iter().map(OsString::from).collect()
}

fn arch_and_words(line: &str) -> (Arch, Vec<OsString>) {
    let (arch, line) = match line.strip_prefix("[arm64] ") {
        Some(rest) => (Arch::Arm64, rest),
        None => (Arch::X86_64, line),
    };
    let line = line
        .strip_prefix("kexec")
        .unwrap_or_else(|| panic!("no kexec: {line}"));
    (arch, split(line.trim_start()))
}

/// What the manual pages and the help of the verbs show must be understood.
#[test]
fn the_examples_of_the_manual_pages() {
    for example in kexec_cli::manual::examples() {
        let (arch, words) = arch_and_words(example.command);
        let meant = parse(arch, &words).unwrap_or_else(|e| panic!("{}: {e:?}", example.command));
        assert!(
            meant.notes.is_empty(),
            "{}: {:?}",
            example.command,
            meant.notes
        );
    }
}

/// The words that a shell offers for a value must be taken.
#[test]
fn the_words_that_are_offered() {
    let mut count = 0;
    for flag in all() {
        let Offer::Words(offered) = flag.offer() else {
            continue;
        };
        for word in offered {
            let value = format!("--{}={word}", flag.long);
            let parsed = |value: String| {
                let words: Vec<OsString> = match flag.verbs.first() {
                    Some(verb) if !flag.old => vec![verb.name().into(), value.into()],
                    _ => vec!["-l".into(), "-c".into(), value.into(), "K".into()],
                };
                parse(Arch::X86_64, &words)
            };
            assert!(parsed(value.clone()).is_ok(), "{value}");
            assert!(parsed(format!("{value}x")).is_err(), "{value}x");
            count += 1;
        }
    }
    assert!(count >= 5);
}

/// With `UPDATE_COMMAND_LINES=1` the answers in the file are written anew, to be
/// read before they are committed.
#[test]
fn the_table_of_command_lines() {
    let mut wrong = Vec::new();
    let (mut count, mut written, mut typed) = (0, String::new(), None::<&str>);
    for line in TABLE.lines() {
        if let Some(expected) = line.strip_prefix("    ") {
            let line = typed.take().expect("an answer without a command line");
            let (arch, words) = arch_and_words(line);
            let actual = short(arch, &words);
            if actual != expected {
                wrong.push(format!(
                    "{line}\n  expected {expected}\n  actual   {actual}"
                ));
            }
            writeln!(written, "    {actual}").unwrap();
            count += 1;
            continue;
        }
        assert!(typed.is_none(), "no answer for {typed:?}");
        writeln!(written, "{line}").unwrap();
        if !line.is_empty() && !line.starts_with('#') {
            typed = Some(line);
        }
    }
    if std::env::var_os("UPDATE_COMMAND_LINES").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/command-lines.txt");
        std::fs::write(path, written).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 120, "only {count} command lines");
}

#[test]
fn every_note_says_why() {
    let words = split("-l K extra -x -i --hotplug --noefi --dtb=x");
    let notes = parse(Arch::X86_64, &words).unwrap().notes;
    assert_eq!(
        notes,
        [
            "-x (--no-ifdown) has no effect: only -e and -f take interfaces down",
            "-i (--no-checks) has no effect: it is for kexec_load(2), which is only used when the other one cannot load",
            "--dtb has no effect: kexec_file_load(2) passes on the running kernel's device tree",
            "--hotplug has no effect: with kexec_file_load(2) the kernel does that by itself",
            "--noefi has no effect: it is for kexec_load(2), which is only used when the other one cannot load",
            "extra is ignored",
        ]
    );
}

#[test]
fn command_lines_need_not_be_text() {
    let words = [
        OsString::from("-l"),
        OsString::from_vec(b"/boot/\xff".to_vec()),
        OsString::from_vec(b"--append=\xfe".to_vec()),
    ];
    let Request::Load(load) = parse(Arch::X86_64, &words).unwrap().request else {
        panic!("not a load");
    };
    assert_eq!(
        load.request.kernel.shown().into_os_string().into_vec(),
        b"/boot/\xff"
    );
    assert_eq!(load.request.cmdline.append, Some(Cmdline::exact(b"\xfe")));
}

/// The words of a command line in groups that may change places: an option
/// with its value. Groups with the same key keep their order among themselves.
fn groups(words: &[OsString]) -> Option<Vec<(String, Vec<OsString>)>> {
    let table = flags_for(Arch::X86_64);
    let mut groups = Vec::new();
    let mut rest = words;
    while let Some((first, behind)) = rest.split_first() {
        let one = Typed::read(&table, Spelling::Abbreviated, std::slice::from_ref(first));
        let (taken, left) = match one {
            Ok(_) if first == "--" => return None,
            Ok(_) => (vec![first.clone()], behind),
            // It needs a value, and that is the next word.
            Err(_) => {
                let (value, left) = behind.split_first()?;
                (vec![first.clone(), value.clone()], left)
            }
        };
        let typed = Typed::read(&table, Spelling::Abbreviated, &taken).ok()?;
        let key = match typed.options.first() {
            None => "operand".to_owned(),
            Some((flag, _)) => match flag.id {
                Id::FileSyscall | Id::ClassicSyscall | Id::AutoSyscall => "call".to_owned(),
                id => format!("{id:?}"),
            },
        };
        if typed.options.len() + typed.operands.len() != 1 {
            return None;
        }
        groups.push((key, taken));
        rest = left;
    }
    Some(groups)
}

/// `groups` in another order, in which those with the same key keep theirs.
fn permuted(groups: &[(String, Vec<OsString>)], order: &[usize]) -> Vec<OsString> {
    let mut left: Vec<&(String, Vec<OsString>)> = groups.iter().collect();
    let mut words = Vec::new();
    for pick in order {
        if left.is_empty() {
            break;
        }
        let key = left[pick % left.len()].0.clone();
        let at = left.iter().position(|g| g.0 == key).unwrap();
        words.extend(left.remove(at).1.iter().cloned());
    }
    words.extend(left.into_iter().flat_map(|g| g.1.clone()));
    words
}

/// What must not depend on the order: everything but which of several mistakes
/// is named first.
fn essence(words: &[OsString]) -> Result<CommandLine, u8> {
    parse(Arch::X86_64, words).map_err(|e| e.exit_code)
}

/// One word, or an option and its value.
fn group() -> impl Strategy<Value = Vec<OsString>> {
    let flags: Vec<_> = flags_for(Arch::X86_64)
        .into_iter()
        .filter(|f| !f.long.is_empty())
        .collect();
    let option = proptest::sample::select(flags).prop_flat_map(|flag| {
        let value = prop_oneof![
            Just("ttyS0"),
            Just("0x100000"),
            Just("115200"),
            Just("1"),
            Just("a b"),
            Just("")
        ];
        (value, any::<bool>(), any::<bool>()).prop_map(move |(value, short, attached)| {
            let takes = matches!(flag.value, Value::Required(..));
            match (flag.short, short) {
                (Some(s), true) => {
                    let mut words = vec![OsString::from(format!("-{}", char::from(s)))];
                    words.extend(takes.then(|| value.into()));
                    words
                }
                _ if takes && attached => vec![format!("--{}={value}", flag.long).into()],
                _ => {
                    let mut words = vec![OsString::from(format!("--{}", flag.long))];
                    words.extend(takes.then(|| value.into()));
                    words
                }
            }
        })
    });
    // Modes are few among the options, and what they do together matters most.
    let mode = proptest::sample::select(vec![
        "-l", "-p", "-e", "-f", "-u", "-S", "-s", "-c", "-a", "-x", "-y",
    ])
    .prop_map(|m| vec![OsString::from(m)]);
    let kernel = Just(vec![OsString::from("K")]);
    prop_oneof![3 => option, 4 => mode, 1 => kernel]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_order_of_options_does_not_matter(
        line in proptest::collection::vec(group(), 0..7),
        order in proptest::collection::vec(any::<usize>(), 8),
    ) {
        let words: Vec<OsString> = line.concat();
        let groups = groups(&words).expect("generated lines can be taken apart");
        let other = permuted(&groups, &order);
        prop_assert_eq!(essence(&words), essence(&other));
    }

    #[test]
    fn any_words_are_understood_or_refused(
        words in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..12),
                Just(b"-l".to_vec()), Just(b"load".to_vec()), Just(b"status".to_vec()),
                Just(b"--".to_vec()), Just(b"--append".to_vec()), Just(b"-t".to_vec()),
                "--?[a-z-]{0,8}=?".prop_map(String::into_bytes),
            ],
            0..8,
        ),
    ) {
        let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
        for arch in [Arch::X86_64, Arch::Arm64] {
            match parse(arch, &words) {
                Ok(meant) => for note in meant.notes {
                    prop_assert!(!note.chars().any(char::is_control));
                },
                Err(e) => {
                    prop_assert!(!e.message.chars().any(char::is_control));
                    prop_assert!([1, 2, 255].contains(&e.exit_code));
                }
            }
        }
    }
}

/// The same for every line of the table, in every rotation and reversed.
#[test]
fn the_tables_lines_mean_the_same_in_other_orders() {
    let mut tried = 0;
    for line in TABLE.lines().filter(|l| l.starts_with("kexec")) {
        let words = arch_and_words(line).1;
        // `-d load K` in another order may begin with a verb.
        let verb = words
            .iter()
            .any(|w| Verb::from_bytes(w.as_encoded_bytes()).is_some());
        let Some(groups) = groups(&words).filter(|_| !verb) else {
            continue;
        };
        for turn in 0..groups.len() {
            let other = permuted(&groups, &vec![turn; groups.len()]);
            assert_eq!(essence(&words), essence(&other), "{line} and {other:?}");
            tried += 1;
        }
    }
    assert!(tried > 200, "only {tried}");
}

/// Who says what becomes of an unsigned kernel under Secure Boot, and of an initrd that
/// the next kernel would not unpack: the running kernel, as with kexec-tools, or this
/// program.
#[test]
fn the_old_spelling_leaves_it_to_the_kernel() {
    use kexec_load::request::Unsigned;
    let request = |line: &str| {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        match parse(Arch::X86_64, &words).unwrap().request {
            Request::Load(load) => load.request,
            Request::Verb(VerbRequest::Load { selection, .. }) => selection.load,
            other => panic!("{other:?}"),
        }
    };
    let unsigned = |line: &str| request(line).classic.unsigned;
    for old in ["-l K", "-s -l K", "-c -l K", "-a -l K", "-p K", "K"] {
        assert_eq!(unsigned(old), Unsigned::ForTheKernel, "{old}");
        assert!(request(old).old_spelling, "{old}");
    }
    for new in ["load K", "load K -s", "load K -c"] {
        assert_eq!(unsigned(new), Unsigned::Refused, "{new}");
        assert!(!request(new).old_spelling, "{new}");
    }
    assert_eq!(unsigned("load K --unverified"), Unsigned::Taken);
}
