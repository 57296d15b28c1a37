//! The completion of fish, for its `complete`.

use super::takes_value;
use kexec_cli::args::{Arch, Flag, Offer, Verb, all};
use std::fmt::Write;

/// `__kexec_has VERB...`: whether the first word is one of these verbs; `old`
/// stands for a command line without a verb.
const HEAD: &str = "\
# kexec(8) in fish. Made from the definition of the command line: cargo xtask man

function __kexec_has
    set -l words (commandline -opc)
    set -l verb old
    if set -q words[2]; and contains -- $words[2] VERBS
        set verb $words[2]
    end
    contains -- $verb $argv
end

# The boot entries that can be read, each with its title.
function __kexec_entries
    set -lx PATH $PATH /usr/sbin /sbin
    kexec list --names 2> /dev/null
end

function __kexec_first
    set -l words (commandline -opc)
    test (count $words) = 1
end

";

pub fn completion(arch: Arch) -> String {
    let verbs: Vec<&str> = Verb::ALL.iter().map(|verb| verb.name()).collect();
    let mut out = HEAD.replace("VERBS", &verbs.join(" "));
    for verb in Verb::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "complete -c kexec -n __kexec_first -a {} -d {}",
            verb.name(),
            quoted(verb.about())
        );
    }
    let names: Vec<&str> = Verb::ALL
        .iter()
        .filter(|verb| !verb.takes_kernel())
        .map(|verb| verb.name())
        .collect();
    let _ = writeln!(
        out,
        "complete -c kexec -n '__kexec_has {}' -f",
        names.join(" ")
    );
    for verb in Verb::ALL {
        let offered = match verb.offer() {
            Offer::Words(offered) => offered.join(" "),
            Offer::Entries => "(__kexec_entries)".to_owned(),
            Offer::Nothing | Offer::Files | Offer::Folders => continue,
        };
        let _ = writeln!(
            out,
            "complete -c kexec -n '__kexec_has {}' -a '{offered}'",
            verb.name()
        );
    }
    for flag in all() {
        let mut places: Vec<&str> = flag.verbs.iter().map(|verb| verb.name()).collect();
        if flag.old && flag.arches.contain(arch) {
            places.push("old");
        }
        if !places.is_empty() {
            let condition = format!("__kexec_has {}", places.join(" "));
            let _ = writeln!(
                out,
                "complete -c kexec -n '{condition}'{} -d {}",
                names_and_value(flag),
                quoted(flag.doc_short)
            );
        }
    }
    out
}

fn names_and_value(flag: &Flag) -> String {
    let mut out = String::new();
    if let Some(letter) = flag.short {
        let _ = write!(out, " -s '{}'", char::from(letter));
    }
    for long in flag.longs() {
        let _ = write!(out, " -l {long}");
    }
    if takes_value(flag) {
        out.push_str(&match flag.offer() {
            Offer::Nothing => " -x".to_owned(),
            Offer::Files => " -r -F".to_owned(),
            Offer::Entries => " -r -F -a '(__kexec_entries)'".to_owned(),
            Offer::Folders => " -x -a '(__fish_complete_directories)'".to_owned(),
            Offer::Words(words) => format!(" -x -a {}", quoted(&words.join(" "))),
        });
    }
    out
}

/// Quotes a text so that fish reads it as one word.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
