//! The text format of os-release(5): lines of `KEY=VALUE` with shell quoting.
//! A UKI carries such a text in `.osrel` and in `.profile`.

/// The value of the last assignment to `key`; `None` when there is none. An
/// empty value is there: `Some("")`.
pub fn value(text: &str, key: &str) -> Option<String> {
    let assignments = text.lines().filter_map(|line| line.trim().split_once('='));
    let mut found = None;
    for (name, value) in assignments {
        if name == key {
            found = Some(unquote(value));
        }
    }
    found
}

/// The value of an assignment: shell quotes around the whole value and
/// backslashes before special characters (os-release(5)).
fn unquote(value: &str) -> String {
    let value = value.trim();
    if let Some(inner) = value.strip_prefix('\'') {
        return inner.strip_suffix('\'').unwrap_or(inner).into();
    }
    let inner = match value.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
        None => value,
    };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_their_quotes() {
        let text = "# NAME=no\nNAME=\"Debian GNU/Linux\"\n  ID = x\nID=debian\n\
                    EMPTY=\nPRETTY='a \"b\"'\nESCAPED=\"a\\$b\\\"c\"\nTWICE=1\nTWICE=2\n";
        let is = |key, expected: Option<&str>| {
            assert_eq!(value(text, key).as_deref(), expected, "{key}");
        };
        is("NAME", Some("Debian GNU/Linux"));
        is("ID", Some("debian"));
        is("EMPTY", Some(""));
        is("PRETTY", Some("a \"b\""));
        is("ESCAPED", Some("a$b\"c"));
        is("TWICE", Some("2"));
        is("GONE", None);
    }
}
