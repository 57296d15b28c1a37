//! The patterns of loader.conf: `?`, `*` and `[...]` with ranges, without
//! regard to the case of letters (loader.conf(5), "default").

/// A pattern that names entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    parts: Vec<GlobPart>,
    unusual: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum GlobPart {
    One(char),
    Any,
    Many,
    /// Ranges, both ends included.
    Set(Vec<(char, char)>),
}

impl Glob {
    /// Reads a pattern. Whatever is written is one.
    pub(super) fn new(pattern: &str) -> Glob {
        let lower = pattern.to_ascii_lowercase();
        let mut rest = lower.as_str();
        let mut glob = Glob {
            parts: Vec::new(),
            unusual: None,
        };
        // Looked for once: a pattern may be of nothing but brackets.
        let last = lower.rfind(']').unwrap_or(0);
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            let part = match c {
                '?' => GlobPart::Any,
                '*' if glob.parts.last() == Some(&GlobPart::Many) => continue,
                '*' => GlobPart::Many,
                '[' if lower.len() - rest.len() > last => GlobPart::One('['),
                '[' => match glob.set(rest) {
                    Some((set, behind)) => {
                        rest = behind;
                        set
                    }
                    None => GlobPart::One('['),
                },
                '\\' => {
                    glob.unusual = Some("a backslash");
                    let escaped = rest.chars().next().unwrap_or('\\');
                    rest = rest.get(escaped.len_utf8()..).unwrap_or_default();
                    GlobPart::One(escaped)
                }
                c => GlobPart::One(c),
            };
            glob.parts.push(part);
        }
        glob
    }

    /// What stands behind `[`, and what follows it; `None` when it does not end.
    fn set<'a>(&mut self, text: &'a str) -> Option<(GlobPart, &'a str)> {
        if text.starts_with(['!', '^']) {
            self.unusual = Some("a set that begins with ! or ^");
        }
        // A bracket right behind the first one is a member (glob(7)).
        let first = text.chars().next()?.len_utf8();
        let end = first.checked_add(text.get(first..)?.find(']')?)?;
        let (members, behind) = text.split_at_checked(end)?;
        if members.contains("[:") {
            self.unusual = Some("a named class");
        }
        let members: Vec<char> = members.chars().collect();
        let mut ranges = Vec::new();
        let mut rest = members.as_slice();
        loop {
            rest = match rest {
                [low, '-', high, behind @ ..] => {
                    ranges.push((*low, *high));
                    behind
                }
                [one, behind @ ..] => {
                    ranges.push((*one, *one));
                    behind
                }
                [] => break,
            };
        }
        Some((GlobPart::Set(ranges), behind.get(1..)?))
    }

    /// What is in the pattern that systemd-boot's documentation says it does
    /// not know, so that nobody can tell what it matches there.
    pub(super) fn unusual(&self) -> Option<&'static str> {
        self.unusual
    }

    /// Whether it names this entry.
    pub(super) fn matches(&self, id: &str) -> bool {
        let text: Vec<char> = id.to_ascii_lowercase().chars().collect();
        let (mut part, mut at) = (0_usize, 0_usize);
        // Where to go on when what follows the last `*` did not match.
        let mut again: Option<(usize, usize)> = None;
        loop {
            let step = match (self.parts.get(part), text.get(at)) {
                (None, None) => return true,
                (Some(GlobPart::Many), _) => {
                    again = Some((part, at));
                    part = part.saturating_add(1);
                    continue;
                }
                (Some(GlobPart::Any), Some(_)) => true,
                (Some(GlobPart::One(c)), Some(here)) => c == here,
                (Some(GlobPart::Set(ranges)), Some(here)) => ranges
                    .iter()
                    .any(|(low, high)| (low..=high).contains(&here)),
                _ => false,
            };
            if step {
                (part, at) = (part.saturating_add(1), at.saturating_add(1));
                continue;
            }
            match &mut again {
                // One character more belongs to the `*`.
                Some((star, from)) if *from < text.len() => {
                    *from = from.saturating_add(1);
                    (part, at) = (star.saturating_add(1), *from);
                }
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_name_entries() {
        let yes = [
            ("arch.conf", "arch.conf"),
            ("ARCH*", "arch-lts.conf"),
            ("*", ""),
            ("*-lts.conf", "arch-lts.conf"),
            ("?rch.conf", "arch.conf"),
            ("[a-c]rch.*", "Arch.conf"),
            ("[]a]x", "]x"),
            ("a*b*c", "axxbyybzc"),
            ("a**c", "abc"),
            ("[x", "[x"),
            ("a[a-]", "a-"),
        ];
        for (pattern, id) in yes {
            assert!(Glob::new(pattern).matches(id), "{pattern} {id}");
        }
        let no = [
            ("arch", "arch.conf"),
            ("?", ""),
            ("[a-c]", "d"),
            ("a*b", "abc"),
            ("", "a"),
            ("{a,b}", "a"),
        ];
        for (pattern, id) in no {
            assert!(!Glob::new(pattern).matches(id), "{pattern} {id}");
        }
    }

    #[test]
    fn what_the_boot_loader_does_not_know_is_said() {
        for pattern in ["[!a]*", "[^a]*", "[[:alpha:]]", "a\\*"] {
            assert!(Glob::new(pattern).unusual().is_some(), "{pattern}");
        }
        for pattern in ["[a-z]*", "!a", "a?", "[", "nixos-generation-[0-9]*.conf"] {
            assert_eq!(Glob::new(pattern).unusual(), None, "{pattern}");
        }
    }

    #[test]
    fn many_stars_do_not_hang() {
        let pattern = "a*".repeat(2000);
        let id = "a".repeat(4000);
        assert!(Glob::new(&pattern).matches(&id));
        assert!(!Glob::new(&format!("{pattern}b")).matches(&id));
    }

    proptest! {
        #[test]
        fn an_id_names_itself(id in "[a-zA-Z0-9._+-]{0,30}") {
            prop_assert!(Glob::new(&id).matches(&id.to_ascii_uppercase()));
            let star = format!("*{id}*");
            let around = format!("x{id}y");
            prop_assert!(Glob::new(&star).matches(&around));
        }

        #[test]
        fn any_pattern_is_read(pattern in "[a\\[\\]*?!^\\\\:-]{0,20}|\\PC{0,20}", id in "\\PC{0,20}") {
            let _ = Glob::new(&pattern).matches(&id);
        }
    }
}
