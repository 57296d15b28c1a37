//! Which label is booted when nobody presses a key.

use super::config::{At, Config, Label};
use super::parse::first;

/// What is booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// A label, and why.
    Label(usize, String),
    /// A command line of its own, which names a label with more options, or a
    /// kernel; and why.
    Command(At<String>, String),
    /// The file does not say, and why.
    Nothing(String),
    /// The readers of the file differ: what is written where, and how.
    Differs(At<()>, String),
}

/// Chooses as the reader of the file does: syslinux on x86, which has menu
/// modules with rules of their own, and U-Boot elsewhere.
pub fn choose(config: &Config, x86: bool) -> Chosen {
    let chosen = unattended(config, x86);
    let waits = config.asks && config.timeout == 0 && config.on_timeout.is_none();
    match chosen {
        Chosen::Label(label, why) if waits => Chosen::Label(label, waiting(&why)),
        Chosen::Command(text, why) if waits => Chosen::Command(text, waiting(&why)),
        chosen => chosen,
    }
}

fn waiting(why: &str) -> String {
    format!("{why}; there is no TIMEOUT, so that it waits for a key first")
}

fn unattended(config: &Config, x86: bool) -> Chosen {
    if let Some(text) = &config.on_timeout
        && config.asks
        && config.timeout > 0
    {
        return command(config, text, "ONTIMEOUT names it");
    }
    let marked: Vec<(usize, &Label, &At<()>)> = config
        .labels
        .iter()
        .enumerate()
        .filter_map(|(index, label)| Some((index, label, label.menu_default.as_ref()?)))
        .collect();
    if let [_, .., (_, label, at)] = marked.as_slice() {
        let reason = format!(
            "several labels say MENU DEFAULT, {:?} the last",
            label.name.value
        );
        return Chosen::Differs((*at).clone(), reason);
    }
    match (&config.default, marked.first()) {
        (Some(text), Some((index, label, at))) if text.value != label.name.value => {
            if !x86 {
                let reason = format!(
                    "MENU DEFAULT marks {:?}, but DEFAULT names {:?}",
                    label.name.value, text.value
                );
                Chosen::Differs((*at).clone(), reason)
            } else if config.menu {
                let why = "MENU DEFAULT marks it, which the menu prefers to DEFAULT";
                Chosen::Label(*index, why.to_owned())
            } else {
                command(config, text, "DEFAULT names it, and there is no menu")
            }
        }
        (Some(text), _) => command(config, text, "DEFAULT names it"),
        (None, Some((index, ..))) => Chosen::Label(*index, "MENU DEFAULT marks it".to_owned()),
        (None, None) if config.labels.is_empty() => Chosen::Nothing("there is no label".to_owned()),
        (None, None) if x86 && !config.menu => {
            Chosen::Nothing("there is no DEFAULT: syslinux waits at its prompt".to_owned())
        }
        (None, None) => Chosen::Label(
            0,
            "it is the first label, and no other is marked".to_owned(),
        ),
    }
}

/// What `DEFAULT` or `ONTIMEOUT` name: a label, or something else.
fn command(config: &Config, text: &At<String>, why: &str) -> Chosen {
    let (name, options) = first(&text.value);
    match config.label(name) {
        Some(index) if options.is_empty() => Chosen::Label(index, why.to_owned()),
        _ => Chosen::Command(text.clone(), why.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Placed, assemble};
    use super::super::parse::parse;
    use super::*;

    fn chosen(text: &str, x86: bool) -> String {
        let placed = parse(text).into_iter();
        let config = assemble(placed.map(|directive| Placed { file: 0, directive }));
        match choose(&config, x86) {
            Chosen::Label(index, why) => format!("{}: {why}", config.labels[index].name.value),
            Chosen::Command(text, why) => format!("{:?}: {why}", text.value),
            Chosen::Nothing(why) => format!("nothing: {why}"),
            Chosen::Differs(at, why) => format!("line {}: {why}", at.line),
        }
    }

    const TWO: &str = "label a\nlabel b\nmenu default\n";

    #[test]
    fn default_and_menu_default() {
        for (text, x86, expected) in [
            ("default b\nlabel a\nlabel b\n", true, "b: DEFAULT names it"),
            (
                "default b\ndefault a\nlabel a\nlabel b\n",
                false,
                "a: DEFAULT names it",
            ),
            (TWO, false, "b: MENU DEFAULT marks it"),
            (
                "label a\nlabel b\n",
                false,
                "a: it is the first label, and no other is marked",
            ),
            (
                "label a\n",
                true,
                "nothing: there is no DEFAULT: syslinux waits at its prompt",
            ),
            ("timeout 5\n", true, "nothing: there is no label"),
            (
                "default a quiet\nlabel a\n",
                true,
                "\"a quiet\": DEFAULT names it",
            ),
            (
                "default vmlinuz\nlabel a\n",
                true,
                "\"vmlinuz\": DEFAULT names it",
            ),
        ] {
            assert_eq!(chosen(text, x86), expected, "{text}");
        }
    }

    #[test]
    fn where_they_differ_the_reader_decides() {
        let both = format!("default a\n{TWO}");
        assert_eq!(
            chosen(&both, true),
            "a: DEFAULT names it, and there is no menu"
        );
        assert_eq!(
            chosen(&both, false),
            "line 4: MENU DEFAULT marks \"b\", but DEFAULT names \"a\""
        );
        let menu = format!("ui vesamenu.c32\ntimeout 10\n{both}");
        assert_eq!(
            chosen(&menu, true),
            "b: MENU DEFAULT marks it, which the menu prefers to DEFAULT"
        );
        let twice = "label a\nmenu default\nlabel b\nmenu default\n";
        assert!(chosen(twice, true).starts_with("line 4: several labels"));
    }

    #[test]
    fn a_menu_may_time_out_or_wait() {
        let menu = format!("default menu.c32\n{TWO}");
        assert_eq!(
            chosen(&menu, true),
            "b: MENU DEFAULT marks it; there is no TIMEOUT, so that it waits for a key first"
        );
        let timed = format!("timeout 50\nontimeout a\n{menu}");
        assert_eq!(chosen(&timed, true), "a: ONTIMEOUT names it");
        // Without a prompt nothing times out.
        let silent = "timeout 50\nontimeout a\ndefault b\nlabel a\nlabel b\n";
        assert_eq!(chosen(silent, true), "b: DEFAULT names it");
    }
}
