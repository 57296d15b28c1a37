//! The completion of zsh, for its `_arguments`.

use super::{flags, spellings, takes_value};
use kexec_cli::args::{Arch, Flag, Offer, Value, Verb};
use std::fmt::Write;

const HEAD: &str = r#"#compdef kexec
# kexec(8) in zsh. Made from the definition of the command line: cargo xtask man

# The boot entries that can be read, and files.
_kexec_entries() {
  local -a entries
  local id title ret=1
  while IFS=$'\t' read -r id title; do
    entries+=("${${id//\\/\\\\}//:/\\:}:$title")
  done < <(PATH=$PATH:/usr/sbin:/sbin kexec list --names 2> /dev/null)
  _describe -t entries 'boot entry' entries && ret=0
  _files && ret=0
  return ret
}

_kexec() {
  local -a verbs options
  verbs=(
"#;

const TAIL: &str = r#"  if (( CURRENT == 2 )) && [[ $PREFIX != -* ]]; then
    _describe -t verbs verb verbs
  fi
  _arguments -s $options '*:kernel:_files'
}

_kexec "$@"
"#;

pub fn completion(arch: Arch) -> String {
    let mut out = HEAD.to_owned();
    for verb in Verb::ALL {
        // Writing to a String cannot fail.
        let about = verb.about().replace(':', "\\:");
        let _ = writeln!(out, "    {}", quoted(&format!("{}:{about}", verb.name())));
    }
    out.push_str("  )\n  if (( CURRENT > 2 )); then\n    case $words[2] in\n");
    for verb in Verb::ALL {
        let _ = writeln!(out, "    ({})\n      options=(", verb.name());
        specs(&mut out, &flags(Some(*verb), arch), 8);
        let operand = match verb.offer() {
            Offer::Entries => " '1:boot entry or kernel:_kexec_entries'".to_owned(),
            Offer::Files | Offer::Folders => " '1:file:_files'".to_owned(),
            Offer::Words(offered) => {
                let what = if *verb == Verb::Help {
                    "verb"
                } else {
                    "feature"
                };
                format!(" '1:{what}:({})'", offered.join(" "))
            }
            Offer::Nothing => String::new(),
        };
        let _ = writeln!(
            out,
            "      )\n      shift words\n      (( CURRENT-- ))\n      \
             _arguments -s $options{operand}\n      return ;;"
        );
    }
    out.push_str("    esac\n  fi\n  options=(\n");
    specs(&mut out, &flags(None, arch), 4);
    out.push_str("  )\n");
    out.push_str(TAIL);
    out
}

fn specs(out: &mut String, flags: &[&Flag], indent: usize) {
    for flag in flags {
        let spelled = spellings(flag);
        let before = if flag.repeats {
            "*".to_owned()
        } else if spelled.len() > 1 {
            format!("({})", spelled.join(" "))
        } else {
            String::new()
        };
        let value = match (flag.value, flag.offer()) {
            (Value::None, _) => String::new(),
            (Value::Required(name, _), offer) => {
                let name = escaped(&name.replace('"', ""));
                let action = match offer {
                    Offer::Nothing => String::new(),
                    Offer::Files => "_files".to_owned(),
                    Offer::Entries => "_kexec_entries".to_owned(),
                    Offer::Folders => "_files -/".to_owned(),
                    Offer::Words(words) => format!("({})", words.join(" ")),
                };
                format!(":{name}:{action}")
            }
        };
        for spelling in &spelled {
            // `=`: in the same word or the next; `+` the same for a letter.
            let attached = match (takes_value(flag), spelling.starts_with("--")) {
                (false, _) => "",
                (true, true) => "=",
                (true, false) => "+",
            };
            let spec = format!(
                "{before}{spelling}{attached}[{}]{value}",
                escaped(flag.doc_short)
            );
            let _ = writeln!(out, "{:indent$}{}", "", quoted(&spec));
        }
    }
}

/// Within the description or the message of a spec.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "[]:\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Quotes a text so that zsh reads it as one word.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
