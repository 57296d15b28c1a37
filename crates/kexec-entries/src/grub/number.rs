//! Numbers as GRUB reads them: as far as they go, whatever follows.

/// The number that a text begins with, and what follows it. Blanks may stand in
/// front; `0x` is hexadecimal, `0` before an octal digit octal. `None` where there
/// is no digit; what is too large is [`u64::MAX`].
///
/// Seen at GRUB 2.06: `08` is 8, `019` is 1, `0x` is no number.
pub(super) fn leading(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let octal = |text: &str| text.starts_with(|c: char| c.is_digit(8));
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(rest)) if octal(rest) => (rest, 8),
        _ => (text, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix));
    let (digits, rest) = digits.split_at(end.unwrap_or(digits.len()));
    if digits.is_empty() {
        return None;
    }
    let number = u64::from_str_radix(digits, radix).unwrap_or(u64::MAX);
    Some((number, rest))
}

/// The number with its sign that a comparison reads: 32 bits, whatever the
/// processor. No number is 0. `None` where it depends on how many bits GRUB has.
pub(super) fn signed(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let number = match leading(text).map_or(0, |(number, _)| number) {
        u64::MAX => -1,
        number => i64::from(u32::try_from(number).ok()?.cast_signed()),
    };
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these was seen at GRUB 2.06.
    #[test]
    fn as_grub_reads_them() {
        for (text, number) in [
            ("8", 8),
            ("08", 8),
            ("010", 8),
            ("019", 1),
            ("0x10", 16),
            ("0x1g", 1),
            ("0x", 0),
            ("3x", 3),
            (" 5", 5),
            ("+5", 0),
            ("-5", -5),
            ("- 5", -5),
            ("a", 0),
            ("", 0),
            ("3000000000", -1_294_967_296),
            ("99999999999999999999", -1),
        ] {
            assert_eq!(signed(text), Some(number), "{text:?}");
        }
        assert_eq!(signed("5000000000"), None);
        assert_eq!(leading("1>0"), Some((1, ">0")));
        assert_eq!(leading("x"), None);
    }
}
