//! Which of two versions is newer: UAPI.10, "Version Format Specification",
//! "Version Comparison".
//!
//! The crate `uapi-version` takes the zeros in front of a number as digits
//! (`01` newer than `2`), and a boot menu sorted by it may begin with an old
//! kernel.

use std::cmp::Ordering;

/// Compares two versions; the newer one is greater. Versions that differ only
/// in characters without a meaning are equal.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        (a, b) = (meaningful(a), meaningful(b));
        // Each step of the text on what the step before it left; `~` is older
        // even than the end.
        let mut order = separator(&mut a, &mut b, b'~');
        if order.is_eq() && (a.is_empty() || b.is_empty()) {
            return a.len().cmp(&b.len());
        }
        // The text says that `^` is newer than what follows otherwise, but its
        // own rules put `-`, `^` and `.` below letters and digits, and systemd
        // does so: 1 < 1-1 < 1^1 < 1.1 < 1a.
        for c in *b"-^." {
            order = order.then_with(|| separator(&mut a, &mut b, c));
        }
        let order = order.then_with(|| {
            if starts_with_digit(a) || starts_with_digit(b) {
                let digits = u8::is_ascii_digit;
                numbers(take(&mut a, digits), take(&mut b, digits))
            } else {
                let letters = u8::is_ascii_alphabetic;
                take(&mut a, letters).cmp(take(&mut b, letters))
            }
        });
        if order.is_ne() {
            return order;
        }
    }
}

/// What is left from the first character that means something on.
fn meaningful(text: &[u8]) -> &[u8] {
    let means = |b: &u8| b.is_ascii_alphanumeric() || b"~-^.".contains(b);
    let start = text.iter().position(means).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// If one of the two begins with this character, that one is older; if both do,
/// it is taken off.
fn separator(a: &mut &[u8], b: &mut &[u8], c: u8) -> Ordering {
    match (a.strip_prefix(&[c]), b.strip_prefix(&[c])) {
        (None, None) => Ordering::Equal,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(rest_a), Some(rest_b)) => {
            (*a, *b) = (rest_a, rest_b);
            Ordering::Equal
        }
    }
}

fn starts_with_digit(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_digit)
}

/// Takes off what is in front.
fn take<'a>(text: &mut &'a [u8], belongs: impl Fn(&u8) -> bool) -> &'a [u8] {
    let end = text.iter().position(|b| !belongs(b));
    let (front, rest) = text.split_at(end.unwrap_or(text.len()));
    *text = rest;
    front
}

/// Numbers of any length. None counts as 0, and is older than a written 0.
fn numbers(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &'_ [u8]| -> Vec<u8> {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.get(zeros..).unwrap_or_default().to_vec()
    };
    let (short_a, short_b) = (significant(a), significant(b));
    let length = short_a.len().cmp(&short_b.len());
    let value = length.then_with(|| short_a.cmp(&short_b));
    value.then_with(|| (!a.is_empty()).cmp(&!b.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From the examples of UAPI.10 and of systemd-analyze(1), and what
    /// `systemd-analyze compare-versions` of systemd 252 answers.
    #[test]
    fn newer_and_older() {
        let older = [
            ("bar-123", "foo-123"),
            ("123", "123a"),
            ("123", "123.a"),
            ("123.a", "123.b"),
            ("123.a", "123a"),
            ("A", "a"),
            ("", "0"),
            ("0", "0."),
            ("0", "0.0"),
            ("1_", "1.2"),
            ("1.3.3", "1_2_3"),
            ("122.1", "123~rc1-1"),
            ("123~rc1-1", "123"),
            ("123", "123-a"),
            ("123-a", "123-a.1"),
            ("123-a.1", "123-3"),
            ("123-3", "123^post1"),
            ("123^post1", "123.a-1"),
            ("123.a-1", "123.1-1"),
            ("123.1-1", "123a-1"),
            ("123a-1", "124-1"),
            ("01", "2"),
            ("09", "10"),
            ("1~", "1"),
            ("~", ""),
            ("a", "0"),
            ("a", "a0"),
            ("6.12-rc1", "6.12.0"),
            ("6.9.7-arch1", "6.12.1-arch1"),
            ("99999999999999999999998", "99999999999999999999999"),
        ];
        for (a, b) in older {
            assert_eq!(compare(a, b), Ordering::Less, "{a:?} {b:?}");
            assert_eq!(compare(b, a), Ordering::Greater, "{b:?} {a:?}");
        }
        let equal = [
            ("11", "11"),
            ("11\u{3b1}", "11\u{3b2}"),
            ("1_", "1"),
            ("+1", "1"),
            ("00", "0"),
            ("1.010", "1.10"),
        ];
        for (a, b) in equal {
            assert_eq!(compare(a, b), Ordering::Equal, "{a:?} {b:?}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_total_order(
            a in "[012ab~^._-]{0,5}", b in "[012ab~^._-]{0,5}", c in "[012ab~^._-]{0,5}",
        ) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le(), "{:?} {:?} {:?}", a, b, c);
            }
        }
    }
}
