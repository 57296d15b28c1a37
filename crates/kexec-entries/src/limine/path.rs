//! Paths of titles (CONFIG.md, `default_entry`).

/// The titles of a path, and which of several of that name. A backslash keeps the
/// character after it.
pub(super) fn parts(path: &str) -> Vec<(String, usize)> {
    let mut parts = Vec::new();
    let mut title = String::new();
    let mut number: Option<String> = None;
    let mut chars = path.chars();
    let mut take = |title: &mut String, number: &mut Option<String>| {
        let number = number.take().and_then(|digits| digits.parse().ok());
        parts.push((std::mem::take(title), number.unwrap_or(0)));
    };
    while let Some(c) = chars.next() {
        match (c, &mut number) {
            ('\\', _) => title.extend(chars.next()),
            ('/', _) => take(&mut title, &mut number),
            ('#', None) => number = Some(String::new()),
            (c, Some(digits)) => digits.push(c),
            (c, None) => title.push(c),
        }
    }
    take(&mut title, &mut number);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_numbers_may_be_quoted() {
        assert_eq!(
            parts("A\\/B/C\\#x#2"),
            [("A/B".to_owned(), 0), ("C#x".to_owned(), 2)]
        );
    }
}
