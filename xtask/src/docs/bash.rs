//! The completion of bash, for its own `complete`: nothing of the package
//! bash-completion is needed.

use super::{flags, spellings, takes_value};
use kexec_cli::args::{Arch, Flag, Offer, Verb, all};
use std::fmt::Write;

const HEAD: &str = r#"# kexec(8) in bash. Made from the definition of the command line: cargo xtask man

# The ids of the boot entries that can be read and begin so.
_kexec_entries() {
    local id
    while IFS=$'\t' read -r id _; do
        [[ $id == "${1//\\/}"* ]] && COMPREPLY+=("$id")
    done < <(PATH=$PATH:/usr/sbin:/sbin kexec list --names 2> /dev/null)
}

_kexec() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local options verb= words= names=
    # --option=value is three words, as long as = separates words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]] && ((COMP_CWORD > 2)); then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    ((COMP_CWORD > 1)) && verb=${COMP_WORDS[1]}
    COMPREPLY=()
"#;

const TAIL: &str = r#"    if [[ $names ]]; then
        mapfile -t COMPREPLY < <(compgen -A "$names" -- "$cur")
        compopt -o filenames 2> /dev/null
        return
    fi
    if [[ $cur == -* ]]; then
        words=$options
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    if [[ $cur != -* && $operands ]]; then
        [[ $operands == entries ]] && _kexec_entries "$cur"
        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -A file -- "$cur")
        compopt -o filenames 2> /dev/null
    fi
    # The value follows at once.
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2> /dev/null
    fi
}
complete -F _kexec kexec
"#;

pub fn completion(arch: Arch) -> String {
    let mut out = HEAD.to_owned();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "    local operands=1\n    case $verb in");
    for verb in Verb::ALL {
        let operands = match verb.offer() {
            Offer::Words(offered) => format!(" operands= words='{}'", offered.join(" ")),
            Offer::Nothing => " operands=".to_owned(),
            Offer::Entries => " operands=entries".to_owned(),
            Offer::Files | Offer::Folders => String::new(),
        };
        let _ = writeln!(
            out,
            "    {}) options='{}'{operands} ;;",
            verb.name(),
            words(&flags(Some(*verb), arch))
        );
    }
    let _ = writeln!(
        out,
        "    *) options='{}' ;;\n    esac\n    if ((COMP_CWORD == 1)); then",
        words(&flags(None, arch))
    );
    let verbs: Vec<&str> = Verb::ALL.iter().map(|verb| verb.name()).collect();
    let _ = writeln!(out, "        words='{}'\n    fi", verbs.join(" "));
    out.push_str("    case $prev in\n");
    for (what, action) in [
        (Offer::Files, "names=file".to_owned()),
        (Offer::Folders, "names=directory".to_owned()),
        (Offer::Nothing, "return".to_owned()),
    ] {
        arm(&mut out, &offering(what, arch), &action);
    }
    for flag in all().filter(|f| f.old && f.arches.contain(arch) || !f.verbs.is_empty()) {
        if let Offer::Words(offered) = flag.offer() {
            let action = format!(
                "mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$cur\"); return",
                offered.join(" ")
            );
            arm(&mut out, &spellings(flag), &action);
        }
    }
    out.push_str("    esac\n");
    out.push_str(TAIL);
    out
}

fn arm(out: &mut String, patterns: &[String], action: &str) {
    if !patterns.is_empty() {
        let _ = writeln!(out, "    {}) {action} ;;", patterns.join("|"));
    }
}

/// The spellings of the options with a value of this kind. `-i` and the like mean
/// one thing with a verb and another without one; none of them takes a value.
fn offering(what: Offer, arch: Arch) -> Vec<String> {
    let known = |f: &&Flag| f.old && f.arches.contain(arch) || !f.verbs.is_empty();
    let mut spelled: Vec<String> = all()
        .filter(known)
        .filter(|f| takes_value(f) && f.offer() == what)
        .flat_map(spellings)
        .collect();
    spelled.sort_unstable();
    spelled.dedup();
    spelled
}

/// The options as words; `=` behind a long one that takes a value.
fn words(flags: &[&Flag]) -> String {
    let mut words = Vec::new();
    for flag in flags {
        for spelling in spellings(flag) {
            let value = takes_value(flag) && spelling.starts_with("--");
            words.push(format!("{spelling}{}", if value { "=" } else { "" }));
        }
    }
    words.join(" ")
}
