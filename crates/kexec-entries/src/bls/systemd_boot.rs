//! Which systemd-boot started this machine, and what that one does differently from
//! others.

use crate::facts::Facts;

/// A systemd-boot, as LoaderInfo names it: `systemd-boot 257.9-1~deb13u1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SystemdBoot {
    /// What is behind `systemd-boot `.
    text: String,
    /// The first number of it.
    major: Option<u32>,
    /// The second one, behind a dot.
    minor: u32,
}

/// How names of entries are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Suffix {
    /// With `.conf`, since systemd 245.
    #[default]
    Kept,
    /// Without it, before that.
    Dropped,
    /// Either way: System76's, in Pop!_OS.
    Either,
}

/// The first version that keeps suffixes in ids (systemd issue 15068).
const SUFFIX_SINCE: u32 = 245;
/// The first version that sorts by `sort-key` (systemd's NEWS of 250).
const SORT_KEYS_SINCE: u32 = 250;
/// From this version on single quotes are taken off as double ones are (systemd pull
/// request 40563, of February 2026).
const SINGLE_QUOTES_SINCE: u32 = 260;
/// From this version on counters are no part of ids (systemd pull request 38897, of
/// September 2025).
const UNCOUNTED_SINCE: u32 = 259;
/// Versions before this one got neither as a fix: their branches had ended.
const FIXED_SINCE: u32 = 255;
/// One that has both as fixes: Debian 13's (the tests `*_boots_what_was_written` of the lab).
const FIXED: (u32, u32) = (257, 13);
/// The first version that passes over bad entries where it is told to (systemd's NEWS of
/// 260).
const PREFERRED_SINCE: u32 = 260;

impl SystemdBoot {
    /// The one that started this machine; `None` where it was another boot loader or none.
    pub(super) fn of(facts: &Facts) -> Option<SystemdBoot> {
        let info = facts.loader()?.info.known()?;
        SystemdBoot::parse(info)
    }

    /// Reads LoaderInfo; `None` where it names another boot loader.
    pub(super) fn parse(info: &str) -> Option<SystemdBoot> {
        let text = info.strip_prefix("systemd-boot")?.trim().to_owned();
        let digits = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit());
            let (digits, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
            Some((digits.parse().ok()?, rest.to_owned()))
        };
        let major = digits(&text);
        let minor = major.as_ref().and_then(|(_, rest)| rest.strip_prefix('.'));
        Some(SystemdBoot {
            minor: minor.and_then(digits).map_or(0, |(minor, _)| minor),
            major: major.map(|(major, _)| major),
            text,
        })
    }

    /// Whether it has what is in every version from `since` on; `None`: it may have it as a
    /// fix.
    fn has(&self, since: u32) -> Option<bool> {
        let major = self.major?;
        match major {
            _ if major >= since => Some(true),
            ..FIXED_SINCE => Some(false),
            _ if major == FIXED.0 && self.minor >= FIXED.1 => Some(true),
            _ => None,
        }
    }

    /// How names are matched.
    pub(super) fn suffix(&self) -> Suffix {
        match self.major {
            _ if self.text.contains("pop") => Suffix::Either,
            Some(..SUFFIX_SINCE) => Suffix::Dropped,
            _ => Suffix::Kept,
        }
    }

    /// Whether a pair of single quotes around a value is taken off; `None`: not known.
    pub(super) fn single_quotes(&self) -> Option<bool> {
        self.has(SINGLE_QUOTES_SINCE)
    }

    /// Whether the counters of a file name are part of the id; `None`: not known.
    pub(super) fn counted_ids(&self) -> Option<bool> {
        self.has(UNCOUNTED_SINCE).map(|stripped| !stripped)
    }

    /// Whether `sort-key` means something to it.
    pub(super) fn sorts_by_key(&self) -> bool {
        self.major.is_none_or(|major| major >= SORT_KEYS_SINCE)
    }

    /// Whether LoaderEntryPreferred and `preferred` mean something to it.
    pub(super) fn prefers(&self) -> bool {
        self.major.is_none_or(|major| major >= PREFERRED_SINCE)
    }
}

impl std::fmt::Display for SystemdBoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "systemd-boot {}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions() {
        let is = |info: &str| {
            let loader = SystemdBoot::parse(info).unwrap();
            (
                loader.suffix(),
                loader.single_quotes(),
                loader.counted_ids(),
                loader.prefers(),
            )
        };
        let (no, yes) = (Some(false), Some(true));
        assert_eq!(is("systemd-boot 239"), (Suffix::Dropped, no, yes, false));
        assert_eq!(
            is("systemd-boot 249.11-0ubuntu3.12pop0"),
            (Suffix::Either, no, yes, false)
        );
        assert_eq!(
            is("systemd-boot 257.9-1~deb13u1"),
            (Suffix::Kept, None, None, false)
        );
        assert_eq!(
            is("systemd-boot 257.13-1~deb13u1"),
            (Suffix::Kept, yes, no, false)
        );
        assert_eq!(is("systemd-boot 259.1"), (Suffix::Kept, None, no, false));
        assert_eq!(is("systemd-boot 262~rc1"), (Suffix::Kept, yes, no, true));
        assert_eq!(is("systemd-boot "), (Suffix::Kept, None, None, true));
        assert_eq!(SystemdBoot::parse("GRUB 2.12"), None);
        let sorts = |info: &str| SystemdBoot::parse(info).unwrap().sorts_by_key();
        assert!(!sorts("systemd-boot 247.3-7") && sorts("systemd-boot 250"));
    }
}
