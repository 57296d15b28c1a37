//! Which entry systemd-boot takes by itself, and why.
//!
//! Source: systemd-boot(7), "EFI Variables" and "Boot counting"; loader.conf(5);
//! systemd's NEWS of 257 (LoaderEntrySysFail), 260 (LoaderEntryPreferred) and 261
//! (profiles).

use std::fmt;

use super::conf::LoaderConf;
use super::glob::Glob;
use super::lines::LineValue;
use super::systemd_boot::Suffix;

/// An entry of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What the boot loader calls it, the only name that it knows.
    pub id: String,
    /// What others call it, and the boot loader does not find it by.
    pub aliases: Vec<String>,
    /// Its tries are used up.
    pub bad: bool,
    /// It is a profile of a UKI that is not the first one.
    pub other_profile: bool,
}

/// What decides which entry systemd-boot takes: variables of the Boot Loader Interface, and
/// loader.conf.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoaderSettings {
    /// LoaderEntryOneShot: for the next boot only.
    pub one_shot: Option<String>,
    /// LoaderEntryPreferred: taken while its tries last (systemd 260).
    pub preferred: Option<String>,
    /// LoaderEntryDefault: what `bootctl set-default` wrote.
    pub default: Option<String>,
    /// LoaderEntryLastBooted, which counts where `@saved` is asked for.
    pub last_booted: Option<String>,
    /// LoaderEntries: what the boot loader had in its menu, with the entries
    /// that no file describes.
    pub reported: Vec<String>,
    /// What `loader/loader.conf` says.
    pub conf: LoaderConf,
    /// How names are matched.
    pub suffix: Suffix,
}

/// Who asks for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestSetting {
    /// The variable LoaderEntryOneShot.
    OneShot,
    /// The variable LoaderEntryPreferred.
    PreferredVariable,
    /// The variable LoaderEntryDefault.
    DefaultVariable,
    /// `preferred` of loader.conf.
    PreferredPattern,
    /// `default` of loader.conf.
    DefaultPattern,
}

impl RequestSetting {
    /// Whether entries that have no boot attempts left are passed over.
    fn passes_over_bad(self) -> bool {
        matches!(
            self,
            RequestSetting::PreferredVariable | RequestSetting::PreferredPattern
        )
    }
}

/// One request: who, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRequest {
    /// The variable or the setting that makes the request.
    pub setting: RequestSetting,
    /// A name or a pattern, or `@saved`.
    pub pattern: String,
    /// The line of loader.conf that holds it.
    pub line: Option<u32>,
}

impl fmt::Display for EntryRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.setting {
            RequestSetting::OneShot => {
                f.write_str("LoaderEntryOneShot (for the next boot only)")?
            }
            RequestSetting::PreferredVariable => f.write_str("LoaderEntryPreferred")?,
            RequestSetting::DefaultVariable => f.write_str("LoaderEntryDefault")?,
            RequestSetting::PreferredPattern => f.write_str("preferred in loader.conf")?,
            RequestSetting::DefaultPattern => f.write_str("default in loader.conf")?,
        }
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        write!(f, " names {:?}", self.pattern)
    }
}

/// Why an entry is the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultReason {
    /// Somebody asked for it.
    Requested(EntryRequest),
    /// It is the first one of the menu that is not bad.
    First,
    /// It is the first one, and all are bad.
    FirstOfBad,
}

impl fmt::Display for DefaultReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DefaultReason::Requested(request) => request.fmt(f),
            DefaultReason::First => f.write_str("first entry of the menu that is not bad"),
            DefaultReason::FirstOfBad => {
                f.write_str("first entry of the menu; all of them are bad")
            }
        }
    }
}

/// What systemd-boot boots when no key is pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlsDefault {
    /// One of the candidates.
    Entry {
        /// Its place among the candidates.
        at: usize,
        /// Who asked for it.
        why: DefaultReason,
    },
    /// Something that no file describes, such as `auto-windows`.
    Foreign {
        /// What the boot loader calls it.
        id: String,
        /// Who asked for it.
        why: DefaultReason,
    },
    /// It cannot be told without guessing.
    Unclear {
        /// The line of loader.conf, where that is the reason.
        line: Option<u32>,
        /// What was found, and why nothing follows from it.
        reason: String,
    },
    /// There are no entries.
    Nothing,
}

/// The decision, and the settings that named nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlsChoice {
    /// What the next boot takes.
    pub decision: BlsDefault,
    /// Requests that were passed over, for people.
    pub passed_over: Vec<String>,
}

/// Decides. The candidates are in the order of the menu.
pub fn choose(candidates: &[Candidate], settings: &LoaderSettings) -> BlsChoice {
    let mut passed_over = Vec::new();
    for request in requests(settings) {
        match follow(candidates, settings, request) {
            Ok(decision) => {
                return BlsChoice {
                    decision,
                    passed_over,
                };
            }
            Err(reason) => passed_over.push(reason),
        }
    }
    BlsChoice {
        decision: first(candidates),
        passed_over,
    }
}

/// The settings in the order in which they count.
fn requests(settings: &LoaderSettings) -> Vec<EntryRequest> {
    let variable = |setting, name: &Option<String>| {
        let name = name.as_ref().filter(|name| !name.is_empty())?;
        Some(EntryRequest {
            setting,
            pattern: name.clone(),
            line: None,
        })
    };
    let conf = |setting, value: &Option<LineValue>| {
        value.as_ref().map(|value| EntryRequest {
            setting,
            pattern: value.text.clone(),
            line: Some(value.line),
        })
    };
    let requests = [
        variable(RequestSetting::OneShot, &settings.one_shot),
        variable(RequestSetting::PreferredVariable, &settings.preferred),
        variable(RequestSetting::DefaultVariable, &settings.default),
        conf(RequestSetting::PreferredPattern, &settings.conf.preferred),
        conf(RequestSetting::DefaultPattern, &settings.conf.default),
    ];
    requests.into_iter().flatten().collect()
}

/// What a request leads to; the error is why it is passed over.
fn follow(
    candidates: &[Candidate],
    settings: &LoaderSettings,
    request: EntryRequest,
) -> Result<BlsDefault, String> {
    let name = match request.pattern.as_str() {
        SAVED => settings.last_booted.as_deref().ok_or_else(|| {
            format!(
                "{request}, the entry that was booted last, but LoaderEntryLastBooted is not set"
            )
        })?,
        name => name,
    };
    let glob = Glob::new(name);
    if let Some(what) = glob.unusual() {
        return Ok(BlsDefault::Unclear {
            line: request.line,
            reason: format!(
                "{request}, a pattern with {what}, which systemd-boot does not support"
            ),
        });
    }
    if let Some(reason) = by_suffix(candidates, settings.suffix, name) {
        return Ok(BlsDefault::Unclear {
            line: request.line,
            reason: format!("{request}, {reason}"),
        });
    }
    let fits = |id: &str| fits(id, name, &glob, settings.suffix);
    let mut hits = (0..).zip(candidates).filter(|(_, c)| fits(&c.id));
    let bad_too = !request.setting.passes_over_bad();
    let mut only_bad = false;
    for (at, candidate) in &mut hits {
        if bad_too || !candidate.bad {
            let why = DefaultReason::Requested(request);
            return Ok(BlsDefault::Entry { at, why });
        }
        only_bad = true;
    }
    if only_bad {
        return Err(format!("{request}, which has no boot attempts left"));
    }
    // Entries of the boot loader's own; where it left no list, their name tells.
    let reported = settings.reported.iter().find(|id| glob.matches(id));
    let own = (settings.reported.is_empty() && name.starts_with(AUTO)).then_some(name);
    match reported.map(String::as_str).or(own) {
        Some(id) if id.starts_with(AUTO) => Ok(BlsDefault::Foreign {
            id: id.to_owned(),
            why: DefaultReason::Requested(request),
        }),
        _ => Err(format!("{request}, {}", missing(candidates, &glob))),
    }
}

/// How the name of an entry of type 1 ends.
const CONF: &str = ".conf";

/// Whether a pattern fits an id.
fn fits(id: &str, pattern: &str, glob: &Glob, suffix: Suffix) -> bool {
    match suffix {
        Suffix::Kept => glob.matches(id),
        Suffix::Dropped => glob.matches(id.strip_suffix(CONF).unwrap_or(id)),
        Suffix::Either => glob.matches(id) || Glob::new(&format!("{pattern}{CONF}")).matches(id),
    }
}

/// Why it cannot be said that nothing has a name: `arch` and `arch.conf` are the same to
/// some versions and not to others, and distributions have patched theirs. People mean the
/// entry, and to take the first one of the menu would be a guess.
fn by_suffix(candidates: &[Candidate], suffix: Suffix, name: &str) -> Option<String> {
    let fitting = |suffix: Suffix| {
        let glob = Glob::new(name);
        let mut fitting = candidates.iter();
        fitting.find(|c| fits(&c.id, name, &glob, suffix))
    };
    if fitting(suffix).is_some() {
        return None;
    }
    let other = fitting(Suffix::Either).or_else(|| fitting(Suffix::Kept))?;
    Some(format!(
        "which exists as {:?}: systemd-boot before 245 and patched versions match names without \
         .conf, other versions with it, and what this version does is unknown; write the name as \
         bootctl list shows it",
        other.id
    ))
}

/// Why nothing of the menu has the name: bootctl writes names that systemd-boot
/// does not know.
fn missing(candidates: &[Candidate], glob: &Glob) -> String {
    let mut called = candidates.iter();
    match called.find(|c| c.aliases.iter().any(|id| glob.matches(id))) {
        Some(Candidate { id, .. }) => format!("which systemd-boot knows only as {id:?}"),
        None => "which does not exist".to_owned(),
    }
}

/// What is taken when no request names anything: "bad" entries only if there are
/// no others, and never another profile than the first.
fn first(candidates: &[Candidate]) -> BlsDefault {
    let mut own = (0..).zip(candidates).filter(|(_, c)| !c.other_profile);
    let good = own.clone().find(|(_, c)| !c.bad);
    match (good, own.next()) {
        (Some((at, _)), _) => BlsDefault::Entry {
            at,
            why: DefaultReason::First,
        },
        (None, Some((at, _))) => BlsDefault::Entry {
            at,
            why: DefaultReason::FirstOfBad,
        },
        (None, None) => BlsDefault::Nothing,
    }
}

/// `default @saved` (loader.conf(5)); LoaderEntryDefault may hold it too.
const SAVED: &str = "@saved";
/// How the names of systemd-boot's own entries begin, such as `auto-windows`
/// (loader.conf(5), table 1).
const AUTO: &str = "auto-";

#[cfg(test)]
mod tests;
