//! File names of entries, with the counters of boot counting in them.
//!
//! Source: UAPI.1, "Boot counting": `NAME+LEFT-DONE.SUFFIX` or
//! `NAME+LEFT.SUFFIX`.

use crate::entry::Tries;

/// A file name, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    /// What the entry is called: the file name without its counters.
    pub id: String,
    /// The counters; `None` when the entry is not counted.
    pub tries: Option<Tries>,
}

/// Reads the name of an entry; `suffix` is `.conf` or `.efi`. `None` when the
/// file is none: another suffix, or a hidden file.
///
/// # Errors
/// When a counter is a larger number than there can be, or the name is one of
/// those that systemd-boot keeps for itself.
pub fn parse(name: &str, suffix: &str) -> Option<Result<FileName, String>> {
    let at = name.len().checked_sub(suffix.len())?;
    let (stem, end) = name.split_at_checked(at)?;
    if !end.eq_ignore_ascii_case(suffix) || name.starts_with('.') {
        return None;
    }
    if own(name) {
        return Some(Err(format!(
            "systemd-boot reserves names that begin with {AUTO} for its own entries, and does not \
             show the file {name}"
        )));
    }
    let Some((base, counters)) = stem.rsplit_once('+') else {
        return Some(Ok(uncounted(name)));
    };
    let (left, done) = match counters.split_once('-') {
        Some((left, done)) => (left, Some(done)),
        None => (counters, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(left) || !done.is_none_or(digits) {
        return Some(Ok(uncounted(name)));
    }
    let number = |text: &str| {
        text.parse::<u32>()
            .map_err(|_| format!("the counter {text} in the file name {name} is too large"))
    };
    let tries = number(left).and_then(|left| {
        let done = done.map_or(Ok(0), number)?;
        Ok(Tries { left, done })
    });
    Some(tries.map(|tries| FileName {
        id: format!("{base}{end}"),
        tries: Some(tries),
    }))
}

/// How the names of systemd-boot's own entries begin, such as `auto-windows`
/// (loader.conf(5), table 1).
const AUTO: &str = "auto-";

fn own(name: &str) -> bool {
    let start = name.get(..AUTO.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(AUTO))
}

fn uncounted(name: &str) -> FileName {
    FileName {
        id: name.to_owned(),
        tries: None,
    }
}

/// Whether the name keeps to the characters of the specification: ASCII
/// letters, digits, `+`, `-`, `_` and `.`, 255 of them at most. systemd's
/// programs leave out entries with others.
pub(super) fn is_portable(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+-_.".contains(&b);
    name.len() <= 255 && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_the_boot_loaders_own_entries() {
        for name in ["auto-x.conf", "Auto-.conf"] {
            assert!(parse(name, ".conf").unwrap().is_err(), "{name}");
        }
        assert!(parse("auto.conf", ".conf").unwrap().is_ok());
    }

    #[test]
    fn counters_are_no_part_of_the_id() {
        let is = |name: &str, id: &str, tries: Option<(u32, u32)>| {
            let suffix = if name.to_ascii_lowercase().ends_with("efi") {
                ".efi"
            } else {
                ".conf"
            };
            let tries = tries.map(|(left, done)| Tries { left, done });
            let expected = FileName {
                id: id.to_owned(),
                tries,
            };
            assert_eq!(parse(name, suffix), Some(Ok(expected)), "{name}");
        };
        is("arch.conf", "arch.conf", None);
        is("arch+3.conf", "arch.conf", Some((3, 0)));
        is("arch+0-3.conf", "arch.conf", Some((0, 3)));
        is(
            "fedora-6.12+deb13+2-1.efi",
            "fedora-6.12+deb13.efi",
            Some((2, 1)),
        );
        is("UP+1-1.EFI", "UP.EFI", Some((1, 1)));
        // No counters: letters, three numbers, an empty number.
        is("linux-6.12+deb13.conf", "linux-6.12+deb13.conf", None);
        is("p+1-2-3.conf", "p+1-2-3.conf", None);
        is("p+.conf", "p+.conf", None);
        is("p+1-.conf", "p+1-.conf", None);
        is("p+-1.conf", "p+-1.conf", None);
    }

    #[test]
    fn other_files_are_no_entries() {
        for name in ["arch.conf~", ".hidden.conf", "conf", "", "arch.efi"] {
            assert_eq!(parse(name, ".conf"), None, "{name}");
        }
        let error = parse("x+0-99999999999999.conf", ".conf").unwrap();
        assert!(error.unwrap_err().contains("99999999999999"));
    }

    #[test]
    fn names_beyond_the_specification_are_known() {
        assert!(is_portable("6a98-3.8.0-2.fc19.x86_64+3-0.conf"));
        for name in ["a b.conf", "x~1.conf", "\u{e9}.conf"] {
            assert!(!is_portable(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_read(name in "\\PC{0,20}(\\+[0-9]{0,11}(-[0-9]{0,3})?)?\\.(conf|efi)") {
            let _ = (parse(&name, ".conf"), parse(&name, ".efi"), is_portable(&name));
        }
    }
}
