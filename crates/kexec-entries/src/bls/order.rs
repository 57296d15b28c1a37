//! The order of a menu.
//!
//! Source: UAPI.1, "Sorting", and UAPI.10 for versions. In one thing this is
//! systemd's order and not the text's: file names are compared with their
//! suffix. It matters: `arch.conf` comes before `arch-fallback.conf` that way,
//! and behind it without suffixes (observed with bootctl 257 and 262).

use std::cmp::Ordering;

use crate::entry::Tries;
use crate::version;

/// What an entry is sorted by. Texts that are not there are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Rank<'a> {
    /// `sort-key` of the entry; entries without one come last.
    pub sort_key: &'a str,
    /// `machine-id` of the entry.
    pub machine_id: &'a str,
    /// `version` of the entry, compared as UAPI.10 says.
    pub version: &'a str,
    /// The profile of a UKI; 0 when it has none.
    pub profile: usize,
    /// The file name in lower case, with its suffix; without counters, but for a boot loader
    /// that takes them for a part of the name.
    pub file: &'a str,
    /// The counters of the file name.
    pub tries: Option<Tries>,
}

/// Which of two entries stands first in the menu.
pub(super) fn compare(a: &Rank<'_>, b: &Rank<'_>) -> Ordering {
    let bad = |rank: &Rank<'_>| rank.tries.is_some_and(|tries| tries.left == 0);
    let keyed = match (a.sort_key.is_empty(), b.sort_key.is_empty()) {
        (false, false) => a
            .sort_key
            .cmp(b.sort_key)
            .then_with(|| a.machine_id.cmp(b.machine_id))
            .then_with(|| version::compare(b.version, a.version))
            // Before the name: the first profile of every UKI of a version, then
            // the second ones (systemd 262).
            .then_with(|| a.profile.cmp(&b.profile)),
        (a_none, b_none) => a_none.cmp(&b_none),
    };
    bad(a)
        .cmp(&bad(b))
        .then(keyed)
        .then_with(|| version::compare(b.file, a.file))
        .then_with(|| a.profile.cmp(&b.profile))
        // systemd leaves what is equal so far in the order of the folder.
        .then_with(|| {
            let left = |rank: &Rank<'_>| rank.tries.map(|tries| tries.left);
            left(b).cmp(&left(a))
        })
        .then_with(|| {
            let done = |rank: &Rank<'_>| rank.tries.map_or(0, |tries| tries.done);
            done(a).cmp(&done(b))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted<'a>(mut ranks: Vec<Rank<'a>>) -> Vec<&'a str> {
        ranks.sort_by(compare);
        ranks.into_iter().map(|rank| rank.file).collect()
    }

    fn file(file: &str) -> Rank<'_> {
        Rank {
            file,
            ..Rank::default()
        }
    }

    fn keyed<'a>(
        file: &'a str,
        sort_key: &'a str,
        machine_id: &'a str,
        version: &'a str,
    ) -> Rank<'a> {
        Rank {
            sort_key,
            machine_id,
            version,
            file,
            ..Rank::default()
        }
    }

    #[test]
    fn newest_first_and_a_sort_key_before_none() {
        let ranks = vec![
            file("a-5.conf"),
            file("a-10.conf"),
            keyed("old.conf", "fedora", "1", "6.9"),
            keyed("new.conf", "fedora", "1", "6.12.1-3"),
            keyed("rc.conf", "fedora", "1", "6.12.1~rc2"),
            keyed("arch.conf", "arch", "1", ""),
            keyed("other.conf", "fedora", "0", "1"),
        ];
        assert_eq!(
            sorted(ranks),
            [
                "arch.conf",
                "other.conf",
                "new.conf",
                "rc.conf",
                "old.conf",
                "a-10.conf",
                "a-5.conf"
            ]
        );
    }

    #[test]
    fn file_names_are_compared_as_systemd_does() {
        // bootctl 257 and 262 print them in this order.
        let names = [
            "fooa.conf",
            "foo_1.conf",
            "foo.1.conf",
            "foo.conf",
            "foo-1.conf",
        ];
        let mut ranks: Vec<Rank<'_>> = names.iter().map(|name| file(name)).collect();
        ranks.reverse();
        assert_eq!(sorted(ranks), names);
        assert_eq!(
            sorted(vec![file("arch-fallback.conf"), file("arch.conf")]),
            ["arch.conf", "arch-fallback.conf"]
        );
    }

    #[test]
    fn bad_ones_and_other_profiles_come_last() {
        let tries = |left, done| Some(Tries { left, done });
        let ranks = vec![
            Rank {
                tries: tries(0, 3),
                ..keyed("bad.efi", "a", "", "9")
            },
            Rank {
                profile: 1,
                ..keyed("multi.efi@reset", "a", "", "7")
            },
            keyed("multi.efi", "a", "", "7"),
            Rank {
                tries: tries(1, 2),
                ..keyed("tried.efi", "a", "", "6")
            },
        ];
        assert_eq!(
            sorted(ranks),
            ["multi.efi", "multi.efi@reset", "tried.efi", "bad.efi"]
        );
    }

    fn rank() -> impl Strategy<Value = (String, String, String, String, usize, Option<u32>)> {
        let version = "[0-9a-b.~^-]{0,4}";
        (
            "[ab]{0,1}",
            "[ab]{0,1}",
            version,
            "[0-9a-b.-]{0,4}",
            0_usize..3,
            proptest::option::of(0_u32..2),
        )
    }

    proptest! {
        /// `sort_by` may panic when an order is none.
        #[test]
        fn it_is_a_total_order(all in proptest::collection::vec(rank(), 3)) {
            let ranks: Vec<Rank<'_>> = all
                .iter()
                .map(|(key, machine, version, file, profile, left)| Rank {
                    sort_key: key,
                    machine_id: machine,
                    version,
                    file,
                    profile: *profile,
                    tries: left.map(|left| Tries { left, done: 1 }),
                })
                .collect();
            let [a, b, c] = ranks.as_slice() else { unreachable!() };
            prop_assert_eq!(compare(a, b), compare(b, a).reverse());
            if compare(a, b) != Ordering::Greater && compare(b, c) != Ordering::Greater {
                prop_assert_ne!(compare(a, c), Ordering::Greater, "{:?} {:?} {:?}", a, b, c);
            }
        }
    }
}
