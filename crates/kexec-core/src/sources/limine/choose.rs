//! Which entry Limine takes by itself (CONFIG.md, `default_entry`, `remember_last_entry`
//! and `timeout`).

use super::parse::{Config, Platform};

/// What was asked for with the variables of the Boot Loader Interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// LoaderEntryOneShot.
    pub one_shot: Option<String>,
    /// LoaderEntryDefault.
    pub default: Option<String>,
}

/// The choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// An entry, and why.
    Entry(usize, String),
    /// None that could be told, with the line where there is one.
    Unclear(Option<u32>, String),
}

/// Chooses.
pub fn choose(config: &Config, platform: Platform, wishes: &Wishes) -> Chosen {
    let by_file = by_file(config, platform);
    let last = config.global("remember_last_entry");
    if let Some(last) = last.filter(|s| platform.uefi && s.value.eq_ignore_ascii_case("yes")) {
        let reason = "remember_last_entry makes the entry that was booted last the default, and \
                      where Limine keeps its name is not read";
        return Chosen::Unclear(Some(last.line), reason.to_owned());
    }
    // Older versions do not know the variables.
    let asked = [
        ("LoaderEntryOneShot", &wishes.one_shot),
        ("LoaderEntryDefault", &wishes.default),
    ];
    for (name, path) in asked {
        let Some(path) = path.as_ref().filter(|path| !path.is_empty()) else {
            continue;
        };
        let asked = named(config, platform, path);
        let same =
            matches!((&by_file, asked), (Chosen::Entry(one, _), Some(other)) if *one == other);
        if asked.is_some() && !same {
            let reason = format!(
                "{name} asks for {path:?}, which only newer versions of Limine do not pass over"
            );
            return Chosen::Unclear(None, reason);
        }
    }
    by_file
}

fn by_file(config: &Config, platform: Platform) -> Chosen {
    let rows = rows(config, platform);
    let (at, line, why) = match config.global("default_entry") {
        None => (
            rows.first().copied(),
            None,
            "it is the first entry, and there is no default_entry".to_owned(),
        ),
        Some(setting) => {
            let value = setting.value.as_str();
            let why = format!("default_entry is {value:?}");
            // Digits alone are a number, from 1 on, of the lines that the menu shows.
            let found = match value.bytes().all(|b| b.is_ascii_digit()) {
                true => {
                    let number = value.parse::<usize>().unwrap_or(0);
                    rows.get(number.saturating_sub(1)).copied()
                }
                false => named(config, platform, value),
            };
            match found {
                Some(at) => (Some(at), Some(setting.line), why),
                None => {
                    let why =
                        format!("{why}, which is not there, and Limine takes the first entry");
                    (rows.first().copied(), Some(setting.line), why)
                }
            }
        }
    };
    match at {
        None => Chosen::Unclear(None, "the menu has no entries".to_owned()),
        Some(at) if config.is_folder(at) => {
            let title = config.entries.get(at).map_or("", |entry| &entry.title);
            let reason = format!("{why}: {title:?} is a folder, and Limine waits in its menu");
            Chosen::Unclear(line, reason)
        }
        Some(at) => {
            let waits = config.global("timeout").is_some_and(|s| s.value == "no");
            let wait = "; timeout is no, so that it waits for a key first";
            Chosen::Entry(at, format!("{why}{}", if waits { wait } else { "" }))
        }
    }
}

/// The lines of the menu: a folder that is not open counts as one.
fn rows(config: &Config, platform: Platform) -> Vec<usize> {
    let mut rows = Vec::new();
    // What is below this depth is not shown.
    let mut shut: Option<usize> = None;
    for (at, entry) in config.entries.iter().enumerate() {
        if shut.is_some_and(|depth| entry.depth > depth) {
            continue;
        }
        shut = None;
        let hidden = entry.is_hidden(platform);
        if !hidden {
            rows.push(at);
        }
        if hidden || (config.is_folder(at) && !entry.open) {
            shut = Some(entry.depth);
        }
    }
    rows
}

/// The entry with a path of titles: `Systems/Arch Linux`, `Arch#1` for the second of two.
fn named(config: &Config, platform: Platform, path: &str) -> Option<usize> {
    let mut found: Option<usize> = None;
    for (title, number) in parts(path) {
        let depth = found
            .and_then(|at| config.entries.get(at))
            .map_or(0, |e| e.depth);
        let first = found.map_or(0, |at| at.saturating_add(1));
        let inner = config.entries.iter().enumerate().skip(first);
        let mut inner = inner
            .take_while(|(_, entry)| entry.depth > depth)
            .filter(|(_, entry)| entry.depth == depth.saturating_add(1))
            .filter(|(_, entry)| entry.title == title && !entry.is_hidden(platform));
        found = Some(inner.nth(number)?.0);
    }
    found
}

/// The titles of a path, and which of several of that name. A backslash keeps the
/// character after it.
fn parts(path: &str) -> Vec<(String, usize)> {
    let mut parts = Vec::new();
    let mut title = String::new();
    let mut number: Option<String> = None;
    let mut chars = path.chars();
    let mut take = |title: &mut String, number: &mut Option<String>| {
        let number = number.take().and_then(|digits| digits.parse().ok());
        parts.push((std::mem::take(title), number.unwrap_or(0)));
    };
    while let Some(c) = chars.next() {
        match (c, &mut number) {
            ('\\', _) => title.extend(chars.next()),
            ('/', _) => take(&mut title, &mut number),
            ('#', None) => number = Some(String::new()),
            (c, Some(digits)) => digits.push(c),
            (c, None) => title.push(c),
        }
    }
    take(&mut title, &mut number);
    parts
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    const PC: Platform = Platform {
        arch: "x86-64",
        uefi: true,
    };

    fn chosen(head: &str, wishes: &Wishes) -> String {
        let text = format!(
            "{head}\n/Shut\n//Inner\n/+Open\n//One\n//One\n//A\\/B\n/Arm\nif_arch: aarch64\n/Last\n"
        );
        let config = parse(&text, PC).unwrap();
        match choose(&config, PC, wishes) {
            Chosen::Entry(at, why) => format!("{at}: {why}"),
            Chosen::Unclear(line, why) => format!("unclear {line:?}: {why}"),
        }
    }

    fn entry(head: &str) -> String {
        let said = chosen(head, &Wishes::default());
        said.split(':').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn numbers_count_what_the_menu_shows() {
        for (number, at) in [("3", "3"), ("4", "4"), ("6", "7")] {
            assert_eq!(entry(&format!("default_entry: {number}")), at, "{number}");
        }
        let said = |head: &str| chosen(head, &Wishes::default());
        assert!(said("").ends_with("\"Shut\" is a folder, and Limine waits in its menu"));
        assert!(said("default_entry: 2").starts_with("unclear Some(1)"));
        assert!(said("default_entry: 9").contains("Limine takes the first entry"));
    }

    #[test]
    fn paths_name_entries() {
        for (path, at) in [
            ("Shut/Inner", "1"),
            ("Open/One", "3"),
            ("Open/One#1", "4"),
            ("Last", "7"),
        ] {
            assert_eq!(entry(&format!("default_entry: {path}")), at, "{path}");
        }
        assert!(entry("default_entry: Arm").starts_with("unclear"));
        assert_eq!(
            parts("A\\/B/C\\#x#2"),
            [("A/B".to_owned(), 0), ("C#x".to_owned(), 2)]
        );
    }

    #[test]
    fn what_other_versions_would_not_take() {
        let asks = |path: &str| Wishes {
            default: Some(path.to_owned()),
            ..Wishes::default()
        };
        let head = "default_entry: Last";
        assert!(chosen(head, &asks("Last")).starts_with("7"));
        assert!(chosen(head, &asks("gone")).starts_with("7"));
        assert!(chosen(head, &asks("Open/One")).starts_with("unclear None: LoaderEntryDefault"));
        let remembers = "default_entry: Last\nremember_last_entry: yes";
        assert!(chosen(remembers, &Wishes::default()).starts_with("unclear Some(2)"));
        assert!(chosen("default_entry: Last\ntimeout: no", &asks("")).contains("waits for a key"));
    }
}
