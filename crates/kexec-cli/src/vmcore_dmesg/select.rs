//! Which messages are printed, as dmesg(1) lets a user choose.

/// The levels, from the worst on (syslog(3), "Values for level"; the names are those of
/// dmesg(1)).
pub const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug",
];

/// The facilities by their numbers (RFC 5424, section 6.2.1; the names are those of
/// dmesg(1)). 12 to 15 have no name on Linux.
pub const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "res0", "res1", "res2", "res3", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// Which messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Select {
    /// Only those since the log was cleared.
    pub since_clear: bool,
    /// A bit for each level.
    pub levels: Option<u8>,
    /// A bit for each facility.
    pub facilities: Option<u32>,
}

impl Select {
    /// Whether a message is one of them, by its facility and level. One whose facility or
    /// level is unknown is.
    pub fn takes(&self, facility: Option<u8>, level: Option<u8>) -> bool {
        let bit = |set: u32, number: u8| set.checked_shr(number.into()).unwrap_or(0) & 1 == 1;
        let in_levels = |set: u8| level.is_none_or(|level| bit(set.into(), level));
        let in_facilities = |set: u32| facility.is_none_or(|facility| bit(set, facility));
        self.levels.is_none_or(in_levels) && self.facilities.is_none_or(in_facilities)
    }

    /// Whether facility or level decide.
    pub fn by_priority(&self) -> bool {
        self.levels.is_some() || self.facilities.is_some()
    }
}

/// The levels of a list such as `err+,debug`.
pub(super) fn levels(list: &str) -> Result<u8, String> {
    let mut set = 0_u8;
    for word in list.split(',') {
        let name = word.trim_matches('+');
        let level = LEVELS.iter().position(|level| *level == name);
        let Some(level) = level.filter(|_| word.len() <= name.len() + 1) else {
            let names = LEVELS.join(", ");
            return Err(format!(
                "--level: no level {word:?}, expected {names}, or one with a + in front or behind"
            ));
        };
        set |= match (word.starts_with('+'), word.ends_with('+')) {
            (true, _) => 0xff << level,
            (_, true) => 0xff >> (7 - level),
            _ => 1 << level,
        };
    }
    Ok(set)
}

/// The facilities of a list such as `kern,daemon`.
pub(super) fn facilities(list: &str) -> Result<u32, String> {
    let mut set = 0_u32;
    for word in list.split(',') {
        let Some(number) = FACILITIES.iter().position(|name| *name == word) else {
            let names = FACILITIES.join(", ");
            return Err(format!(
                "--facility: no facility {word:?}, expected {names}"
            ));
        };
        set |= 1 << number;
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_in_dmesg() {
        assert_eq!(levels("err"), Ok(0b1000));
        assert_eq!(levels("emerg,debug"), Ok(0b1000_0001));
        assert_eq!(levels("err+"), Ok(0b1111));
        assert_eq!(levels("+err"), Ok(0b1111_1000));
        assert_eq!(levels("+emerg"), Ok(0xff));
        for wrong in ["", "error", "+err+", "err,", "7"] {
            assert!(levels(wrong).is_err(), "{wrong}");
        }
        assert_eq!(facilities("kern,daemon,local7"), Ok(1 | 1 << 3 | 1 << 23));
        assert!(facilities("KERN").is_err());
    }

    #[test]
    fn what_is_unknown_is_printed() {
        let select = Select {
            levels: Some(0b1000),
            facilities: Some(1),
            ..Select::default()
        };
        assert!(select.takes(Some(0), Some(3)));
        assert!(select.takes(None, None));
        for (facility, level) in [(0, 4), (1, 3), (200, 3), (0, 200)] {
            assert!(!select.takes(Some(facility), Some(level)));
        }
        assert!(select.by_priority() && !Select::default().by_priority());
    }
}
