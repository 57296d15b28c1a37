//! What is said of a word that stands before `-p` and is neither a file nor a verb that takes it.

use std::ffi::OsStr;

use crate::args::typed::printable;
use crate::args::{Verb, listed};

/// What is said of a word before `-p` that is no file: it may be a mistyped verb, or a verb that
/// does not take `-p`; `similar` are the verbs that it may be. Two lines.
pub fn neither_file_nor_verb(word: &OsStr, similar: &[&str]) -> String {
    let named = |verb: &str| FOR_PANIC.iter().find(|(name, _)| *name == verb);
    let verb = word
        .to_str()
        .and_then(|word| Verb::from_bytes(word.as_bytes()));
    let said = match verb {
        Some(verb) => format!(
            "with -p, \"{}\" is a kernel file, and there is none here",
            verb.name()
        ),
        None => format!("there is no file {} here", printable(word)),
    };
    let names = verb
        .map(Verb::name)
        .into_iter()
        .chain(similar.iter().copied());
    let meant: Vec<&str> = names
        .filter_map(named)
        .map(|(_, command)| *command)
        .collect();
    let did_you_mean = match meant.is_empty() {
        true => String::new(),
        false => format!("; did you mean {}?", listed(&meant, "or")),
    };
    format!(
        "kexec: {said}{did_you_mean}\n       kexec crash --help shows what there is for crash \
         kernels; a kernel file elsewhere is named with its folder\n"
    )
}

/// What is meant by a verb with `-p` behind it.
const FOR_PANIC: &[(&str, &str)] = &[
    ("check", "kexec check -p"),
    ("load", "kexec crash load"),
    ("unload", "kexec crash unload"),
    ("status", "kexec crash status"),
    ("crash", "kexec crash load"),
    ("plan", "kexec plan --crash"),
];
