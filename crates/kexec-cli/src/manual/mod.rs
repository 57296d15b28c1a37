//! What manual pages say beyond the option tables: which pages there are, what
//! each verb does, with examples. The help of a verb shows the examples, too.
//!
//! In these texts `backticks` stand around what is typed, and a name with its
//! section, as kexec(8), is another page.

mod pages;
mod verbs;

pub use pages::{COMPLETE, PAGES};

use kexec_load::preflight::{self, CheckGroup};
use kexec_reboot::arrival;

use crate::args::{Id, Verb, flags_of};

/// A command and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// As it is typed.
    pub command: &'static str,
    /// One sentence.
    pub does: &'static str,
}

/// What is said of a verb beyond [`Verb::about`].
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// Paragraphs.
    pub says: &'static [&'static str],
    /// Examples.
    pub examples: &'static [Example],
}

impl Verb {
    /// What is said of it beyond [`Verb::about`].
    pub fn text(self) -> &'static Text {
        verbs::text(self)
    }

    /// Its exit codes and what they mean.
    pub fn exit_codes(self) -> Vec<(u8, &'static str)> {
        let (done, failed) = match self {
            Verb::Help | Verb::Version => return vec![(0, "done"), (2, "usage")],
            Verb::NeedsReboot => ("a reboot is due", "no reboot is due, or that is unknown"),
            Verb::Check => (
                "it would be loaded",
                "it would not be loaded: a check refuses, or a file is missing or broken",
            ),
            Verb::Reboot => (
                "the reboot is under way",
                "refused or failed; the message names what was changed, if anything was",
            ),
            Verb::Load => (
                "loaded",
                "refused or failed; what was loaded before stays, or the message says otherwise",
            ),
            Verb::Unload => ("the slot is empty", "not unloaded"),
            Verb::Crash => (
                "done; of status: a crash kernel is loaded",
                "of status: none is loaded, or that is unknown; of the others: refused or failed; the message reports what was changed, if anything was",
            ),
            // What was loaded before may be another kernel than the one wanted now.
            Verb::Preload => (
                "done",
                "not loaded; a stale image that was loaded ahead is unloaded",
            ),
            Verb::ParallelShutdown => (
                "done, or nothing to do",
                "a device is not unbound, or not within the time; the message names it",
            ),
            Verb::Enable | Verb::Disable => (
                "done",
                "refused or failed; the message names what was changed, if anything was",
            ),
            Verb::Metrics => ("printed or written", "not printed or not written"),
            Verb::Status | Verb::History | Verb::List | Verb::Plan => {
                ("done", "there is nothing to show, or it cannot be read")
            }
        };
        let mut codes = vec![(0, done), (1, failed), (2, "usage")];
        if flags_of(self).iter().any(|f| f.id == Id::OrCold) {
            codes.push((3, "a cold reboot instead (--or-cold)"));
        }
        codes
    }
}

/// A file that a page tells of.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Where it is.
    pub path: &'static str,
    /// What is in it.
    pub holds: &'static str,
}

/// A manual page about some verbs, in section 8.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Its name.
    pub name: &'static str,
    /// One line for its heading.
    pub about: &'static str,
    /// The verbs, in its order.
    pub verbs: &'static [Verb],
    /// Paragraphs in front of them.
    pub says: &'static [&'static str],
    /// Paragraphs behind the options, each section with its heading.
    pub sections: &'static [(&'static str, &'static [&'static str])],
    /// Files.
    pub files: &'static [File],
    /// Pages of others to look at, with their sections.
    pub see_also: &'static [(&'static str, u8)],
}

/// The page of the command line without verbs, and what is special to it.
#[derive(Debug, Clone, Copy)]
pub struct Complete {
    /// What it has of a page; its verbs are those of all the others.
    pub page: Page,
    /// Exit codes without a verb.
    pub exit_codes: &'static [(&'static str, &'static str)],
    /// Examples.
    pub examples: &'static [Example],
}

/// The checks of one group.
#[derive(Debug, Clone)]
pub struct Checks {
    /// The heading of the group.
    pub title: &'static str,
    /// The names of its checks, and what each makes sure of.
    pub checks: Vec<(&'static str, &'static str)>,
}

/// Every check, in the groups and the order of `kexec check`.
pub fn checks() -> Vec<Checks> {
    let load = preflight::CHECKS.iter();
    let load = load.map(|check| (check.group, (check.name, check.about)));
    let reboot = arrival::checks::CHECKS.iter();
    let reboot = reboot.map(|check| (check.group, (check.name, check.about)));
    let crash = kexec_crash::checks::CHECKS.iter();
    let crash = crash.map(|check| (check.group, (check.name, check.about)));
    let all: Vec<_> = load.chain(reboot).chain(crash).collect();
    let of = |group: CheckGroup| {
        let checks = all.iter().filter(|(its, _)| *its == group);
        checks.map(|(_, check)| *check).collect()
    };
    let groups = CheckGroup::ALL.iter();
    let groups = groups.map(|group| Checks {
        title: group.title(),
        checks: of(*group),
    });
    groups.collect()
}

/// Every example.
pub fn examples() -> impl Iterator<Item = &'static Example> {
    let verbs = Verb::ALL.iter().flat_map(|v| v.text().examples);
    COMPLETE.examples.iter().chain(verbs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<&'static str> {
        let mut texts: Vec<&str> = examples().map(|e| e.does).collect();
        for page in PAGES.iter().chain([&COMPLETE.page]) {
            texts.extend(page.says);
            texts.extend(page.sections.iter().flat_map(|(_, says)| *says));
            texts.extend(page.files.iter().map(|f| f.holds));
        }
        texts.extend(Verb::ALL.iter().flat_map(|v| v.text().says));
        texts
    }

    #[test]
    fn every_verb_is_on_one_page_and_has_an_example() {
        for verb in Verb::ALL {
            let on = PAGES.iter().filter(|p| p.verbs.contains(verb)).count();
            assert_eq!(on, 1, "{}", verb.name());
            assert!(!verb.text().says.is_empty(), "{}", verb.name());
            let own = format!("kexec {}", verb.name());
            assert!(!verb.text().examples.is_empty(), "{}", verb.name());
            for example in verb.text().examples {
                assert!(example.command.starts_with(&own), "{}", example.command);
            }
        }
    }

    #[test]
    fn texts_are_sentences() {
        for text in texts() {
            assert!(text.ends_with(['.', '?']), "{text}");
            assert!(!text.contains("  "), "{text}");
            assert_eq!(text.matches('`').count() % 2, 0, "{text}");
        }
    }

    /// The first verb of a page gives it its name, so that `man kexec reboot`
    /// finds it; the other verbs get a page that says where to look.
    #[test]
    fn pages_are_called_like_a_verb() {
        for page in PAGES {
            assert_eq!(
                page.name.strip_prefix("kexec-"),
                page.verbs.first().map(|v| v.name())
            );
        }
    }
}
