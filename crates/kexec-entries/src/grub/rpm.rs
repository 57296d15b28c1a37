//! How RPM compares versions (rpm-version(7)): what Fedora's `blscfg` sorts the
//! names of entries by.

use std::cmp::Ordering;

/// Compares two versions; the newer one is greater.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        (a, b) = (meaningful(a), meaningful(b));
        // `~` is older than anything, even than the end; `^` is newer than the
        // end and older than anything else.
        match (a.strip_prefix(b"~"), b.strip_prefix(b"~")) {
            (Some(rest_a), Some(rest_b)) => {
                (a, b) = (rest_a, rest_b);
                continue;
            }
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => {}
        }
        match (a.strip_prefix(b"^"), b.strip_prefix(b"^")) {
            (Some(rest_a), Some(rest_b)) => {
                (a, b) = (rest_a, rest_b);
                continue;
            }
            (Some(_), None) if b.is_empty() => return Ordering::Greater,
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) if a.is_empty() => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (None, None) => {}
        }
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let order = segment(&mut a, &mut b);
        if order.is_ne() {
            return order;
        }
    }
}

/// Digits are newer than letters; digits compare as a number, letters as text.
fn segment(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    let digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
    match (digit(a), digit(b)) {
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        _ => {}
    }
    let belongs = match digit(a) {
        true => u8::is_ascii_digit,
        false => u8::is_ascii_alphabetic,
    };
    let (a, b) = (take(a, belongs), take(b, belongs));
    if !digit(a) {
        return a.cmp(b);
    }
    let number = |text: &[u8]| {
        let zeros = text.iter().take_while(|b| **b == b'0').count();
        text.get(zeros..).unwrap_or_default().to_vec()
    };
    let (a, b) = (number(a), number(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(&b))
}

fn take<'a>(text: &mut &'a [u8], belongs: fn(&u8) -> bool) -> &'a [u8] {
    let end = text.iter().position(|b| !belongs(b)).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

fn meaningful(text: &[u8]) -> &[u8] {
    let means = |b: &u8| b.is_ascii_alphanumeric() || b"~^".contains(b);
    let start = text.iter().position(means).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// Compares names of packages: `NAME-VERSION-RELEASE`, each part by itself.
pub(super) fn compare_packages(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    compare(a.0, b.0)
        .then_with(|| compare(a.1, b.1))
        .then_with(|| compare(a.2, b.2))
}

fn parts(name: &str) -> (&str, &str, &str) {
    let (rest, release) = name.rsplit_once('-').unwrap_or((name, ""));
    let (name, version) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (name, version, release)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions() {
        for (older, newer) in [
            ("1.0", "1.0.1"),
            ("1.9", "1.10"),
            ("1.0a", "1.0.1"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0^git"),
            ("1.0^git", "1.0.1"),
            ("fc39", "fc40"),
            ("5.14.0", "6.1"),
            ("a", "1"),
            ("2", "010"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{newer} {older}");
        }
        for (a, b) in [("1.0", "1-0"), ("1.01", "1.1"), ("", "")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn packages() {
        let id = "b18f83e0df0f40f49bf84169ee0b31f8";
        let mut names = [
            format!("{id}-0-rescue"),
            format!("{id}-5.8.15-301.fc33.x86_64"),
            format!("{id}-5.8.9-200.fc33.x86_64"),
        ];
        names.sort_by(|a, b| compare_packages(b, a));
        let ends: Vec<&str> = names.iter().map(|name| &name[33..]).collect();
        assert_eq!(
            ends,
            [
                "5.8.15-301.fc33.x86_64",
                "5.8.9-200.fc33.x86_64",
                "0-rescue"
            ]
        );
    }

    proptest! {
        #[test]
        fn it_is_an_order(a in "[a1~^.0-]{0,6}", b in "[a1~^.0-]{0,6}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        }
    }
}
