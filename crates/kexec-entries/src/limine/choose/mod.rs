//! Which entry Limine takes by itself (CONFIG.md, `default_entry`, `remember_last_entry`
//! and `timeout`; what differs between versions: its ChangeLog, in [`super::version`]).

use super::parse::{LimineConfig, LiminePlatform, Setting};
use super::path::parts;
use super::version::{INTERFACE, KINDS, LimineVersion, PATHS};

/// The variables of the firmware that name an entry to Limine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimineVariables {
    /// LoaderEntryOneShot: for the next boot only.
    pub one_shot: Option<String>,
    /// LoaderEntryDefault: the default, where the file names none.
    pub default: Option<String>,
    /// The content of LimineLastBootedEntry.
    pub last: Option<Vec<u8>>,
}

/// What Limine boots when no key is pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimineDefault {
    /// An entry, and why.
    Entry(usize, String),
    /// None that could be told, with the line where there is one.
    Unclear(Option<u32>, String),
}

/// Chooses, as the version does that is there; where that is not known, and versions
/// differ, it is refused with both answers.
pub fn choose(
    config: &LimineConfig,
    platform: LiminePlatform,
    variables: &LimineVariables,
    version: Option<LimineVersion>,
) -> LimineDefault {
    let as_version = |version: LimineVersion| {
        let menu = LimineMenu {
            config,
            platform,
            version,
            rows: rows(config, platform, version),
        };
        menu.choose(variables)
    };
    if let Some(version) = version {
        return as_version(version);
    }
    let mut answers: Vec<(LimineVersion, LimineDefault)> = Vec::new();
    for version in KINDS {
        let answer = as_version(*version);
        let same = answers
            .last()
            .is_some_and(|(_, last)| match (last, &answer) {
                (LimineDefault::Entry(one, _), LimineDefault::Entry(other, _)) => one == other,
                (one, other) => one == other,
            });
        if !same {
            answers.push((*version, answer));
        }
    }
    let clear =
        |(_, answer): &(LimineVersion, LimineDefault)| matches!(answer, LimineDefault::Entry(..));
    match answers.pop() {
        None => LimineDefault::Unclear(None, "no version of Limine is known".to_owned()),
        Some((_, only)) if answers.is_empty() => only,
        Some((_, newest))
            if matches!(newest, LimineDefault::Unclear(..)) && !answers.iter().any(clear) =>
        {
            newest
        }
        Some(newest) => {
            answers.push(newest);
            differing(config, &answers)
        }
    }
}

/// The refusal where versions differ.
fn differing(config: &LimineConfig, answers: &[(LimineVersion, LimineDefault)]) -> LimineDefault {
    let mut line = None;
    let said = answers
        .iter()
        .map(|(LimineVersion { major, minor }, answer)| {
            let what = match answer {
                LimineDefault::Entry(at, _) => {
                    let title = config.entries.get(*at).map_or("", |entry| &entry.title);
                    format!("{title:?}")
                }
                LimineDefault::Unclear(at, reason) => {
                    line = line.or(*at);
                    format!("none that can be told ({reason})")
                }
            };
            format!("Limine {major}.{minor} takes {what}")
        });
    let said: Vec<String> = said.collect();
    let line = line.or_else(|| Some(config.global("default_entry")?.line));
    let reason = format!(
        "the installed version of Limine is unknown (no LoaderInfo), and versions differ: {}",
        said.join(", ")
    );
    LimineDefault::Unclear(line, reason)
}

/// The menu as one version shows it.
struct LimineMenu<'a> {
    config: &'a LimineConfig,
    platform: LiminePlatform,
    version: LimineVersion,
    /// The entries that it shows, by their numbers in the file.
    rows: Vec<usize>,
}

impl LimineMenu<'_> {
    fn choose(&self, variables: &LimineVariables) -> LimineDefault {
        let by_file = self.by_file();
        if self.version >= INTERFACE
            && let Some(unclear) = self.requested(variables, &by_file)
        {
            return unclear;
        }
        let last = self.config.global("remember_last_entry");
        match last.filter(|s| self.platform.uefi && s.value.eq_ignore_ascii_case("yes")) {
            Some(setting) => self.remembered(setting, variables.last.as_deref()),
            None => by_file,
        }
    }

    /// What the variables of the Boot Loader Interface ask for, where it is not what is
    /// taken anyway.
    fn requested(
        &self,
        variables: &LimineVariables,
        by_file: &LimineDefault,
    ) -> Option<LimineDefault> {
        let set = self.config.global("default_entry").is_some();
        let requested = [
            // An entry may also be requested for by an id that only newer versions know.
            ("LoaderEntryOneShot", &variables.one_shot, true),
            ("LoaderEntryDefault", &variables.default, !set),
        ];
        for (name, path, by_id) in requested {
            let Some(path) = path.as_ref().filter(|path| !path.is_empty()) else {
                continue;
            };
            let requested = self.named(path);
            let same = matches!((by_file, requested), (LimineDefault::Entry(one, _), Some(other)) if *one == other);
            if !same && (requested.is_some() || by_id) {
                let reason = format!("{name} names {path:?}, which some versions of Limine ignore");
                return Some(LimineDefault::Unclear(None, reason));
            }
        }
        None
    }

    /// The entry that was booted last: its number, or from [`PATHS`] on its path.
    fn remembered(&self, setting: &Setting, last: Option<&[u8]>) -> LimineDefault {
        let line = Some(setting.line);
        let refused = |what: &str| {
            let reason =
                format!("remember_last_entry makes the last booted entry the default, and {what}");
            LimineDefault::Unclear(line, reason)
        };
        let Some(last) = last else {
            return refused("there is no variable LimineLastBootedEntry to name it");
        };
        let name = "LimineLastBootedEntry, for remember_last_entry, is";
        if self.version < PATHS {
            // A number of the size of a pointer.
            let number = match (self.platform.arch, last) {
                ("ia-32", bytes) => bytes.try_into().ok().map(u32::from_le_bytes).map(u64::from),
                (_, bytes) => bytes.try_into().ok().map(u64::from_le_bytes),
            };
            return match number.and_then(|number| number.checked_add(1)) {
                Some(number) => self.numbered(number, line, format!("{name} line {number}")),
                None => refused(&format!(
                    "LimineLastBootedEntry has {} bytes, which are not a number",
                    last.len()
                )),
            };
        }
        let path = last.split(|byte| *byte == 0).next().unwrap_or_default();
        match str::from_utf8(path) {
            Err(_) => refused("LimineLastBootedEntry is not text"),
            Ok(path) => match self.named(path) {
                Some(at) => self.entry(at, line, format!("{name} {path:?}")),
                None => refused(&format!(
                    "LimineLastBootedEntry names {path:?}, which does not exist"
                )),
            },
        }
    }

    fn by_file(&self) -> LimineDefault {
        let Some(setting) = self.config.global("default_entry") else {
            let why = "it is the first entry, and there is no default_entry".to_owned();
            return self.numbered(0, None, why);
        };
        let (value, line) = (setting.value.as_str(), Some(setting.line));
        let why = format!("default_entry is {value:?}");
        if value.contains("${") {
            let reason = format!("{why}, and has an undefined macro");
            return LimineDefault::Unclear(line, reason);
        }
        let digits_only = value.bytes().all(|b| b.is_ascii_digit());
        if !digits_only && self.version >= PATHS {
            return match self.named(value) {
                Some(at) => self.entry(at, line, why),
                None => {
                    let first = "which does not exist, and Limine takes the first entry";
                    self.numbered(0, line, format!("{why}, {first}"))
                }
            };
        }
        // Some versions take a to f for digits as well, with the values 10 to 15.
        let read = |digits: u32| {
            let number = leading_number(value, digits)?;
            let why = match digits_only {
                true => why.clone(),
                false => format!("{why}, which this version reads as the number {number}"),
            };
            Some((number, self.numbered(number, line, why)))
        };
        let (Some((one, chosen)), Some((other, differently))) = (read(10), read(16)) else {
            let reason = format!("{why}, and versions differ in numbers that large");
            return LimineDefault::Unclear(line, reason);
        };
        let at = |chosen: &LimineDefault| match chosen {
            LimineDefault::Entry(at, _) => Some(*at),
            LimineDefault::Unclear(..) => None,
        };
        match at(&chosen) == at(&differently) {
            true => chosen,
            false => {
                let reason = format!(
                    "{why}, which some versions of Limine read as {one} and some as {other}"
                );
                LimineDefault::Unclear(line, reason)
            }
        }
    }

    /// A line of the menu, from 1 on; 0 is the first as well, and so is what is not there.
    fn numbered(&self, number: u64, line: Option<u32>, why: String) -> LimineDefault {
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        match (self.rows.get(index), self.rows.first()) {
            (Some(at), _) => self.entry(*at, line, why),
            (None, None) => LimineDefault::Unclear(None, "the menu has no entries".to_owned()),
            (None, Some(_)) if self.is_at_once() => {
                let reason = format!(
                    "{why}, which does not exist, and with this timeout Limine waits in its menu"
                );
                LimineDefault::Unclear(line, reason)
            }
            (None, Some(first)) => {
                let why = format!("{why}, which does not exist, and Limine takes the first entry");
                self.entry(*first, line, why)
            }
        }
    }

    fn entry(&self, at: usize, line: Option<u32>, why: String) -> LimineDefault {
        if self.config.is_folder(at) {
            let title = self.config.entries.get(at).map_or("", |entry| &entry.title);
            let reason = format!("{why}: {title:?} is a folder, and Limine waits in its menu");
            return LimineDefault::Unclear(line, reason);
        }
        let timeout = self.config.global("timeout");
        let waits = timeout.is_some_and(|s| s.value == "no");
        let wait = "; with timeout: no it waits for a key first";
        LimineDefault::Entry(at, format!("{why}{}", if waits { wait } else { "" }))
    }

    /// Whether it may boot without showing the menu: no number is 0.
    fn is_at_once(&self) -> bool {
        let timeout = self.config.global("timeout");
        timeout.is_some_and(|s| s.value != "no" && leading_number(&s.value, 10) == Some(0))
    }

    /// The entry with a path of titles: `Systems/Arch Linux`, `Arch#1` for the second of two.
    fn named(&self, path: &str) -> Option<usize> {
        let entries = &self.config.entries;
        let mut found: Option<usize> = None;
        for (title, number) in parts(path) {
            let depth = found.and_then(|at| entries.get(at)).map_or(0, |e| e.depth);
            let first = found.map_or(0, |at| at.saturating_add(1));
            let inner = entries.iter().enumerate().skip(first);
            let mut inner = inner
                .take_while(|(_, entry)| entry.depth > depth)
                .filter(|(_, entry)| entry.depth == depth.saturating_add(1))
                .filter(|(_, entry)| entry.title(self.version) == title)
                .filter(|(_, entry)| !entry.is_hidden(self.platform, self.version));
            found = Some(inner.nth(number)?.0);
        }
        found
    }
}

/// The number that a text begins with, 0 where it begins with none, in which digits up to
/// that base count, each as ten times the one behind it; nothing where it is too large.
fn leading_number(text: &str, base: u32) -> Option<u64> {
    let digits = text.chars().map_while(|c| c.to_digit(base));
    digits.map(u64::from).try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The lines of the menu: a folder that is not open counts as one.
fn rows(config: &LimineConfig, platform: LiminePlatform, version: LimineVersion) -> Vec<usize> {
    let mut rows = Vec::new();
    // What is below this depth is not shown.
    let mut shut: Option<usize> = None;
    for (at, entry) in config.entries.iter().enumerate() {
        if shut.is_some_and(|depth| entry.depth > depth) {
            continue;
        }
        shut = None;
        let hidden = entry.is_hidden(platform, version);
        if !hidden {
            rows.push(at);
        }
        if hidden || (config.is_folder(at) && !entry.open) {
            shut = Some(entry.depth);
        }
    }
    rows
}

#[cfg(test)]
mod tests;
