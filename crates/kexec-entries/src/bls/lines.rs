//! Lines of a key, white space and a value: the form of boot entries and of
//! loader.conf (UAPI.1, "Type #1 Boot Loader Specification Entries";
//! loader.conf(5)).

use serde::Serialize;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineValue {
    /// What stands behind the key, without white space around it.
    pub text: String,
    /// The line, counted from 1.
    pub line: u32,
}

/// Something wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineProblem {
    /// The line, counted from 1; `None` when it is about the whole file.
    pub line: Option<u32>,
    /// What was found and what was expected.
    pub reason: String,
}

impl LineValue {
    /// Takes a pair of quotes from around the value, as systemd-boot does: double ones, and
    /// single ones where `single` says so.
    ///
    /// # Errors
    /// When single quotes are around it, and whether they are taken off is not known.
    pub(super) fn unquote(&mut self, single: Option<bool>) -> Result<(), LineProblem> {
        let inner = |quote: char| {
            let inner = self.text.strip_prefix(quote)?;
            // One alone stands for both.
            Some(inner.strip_suffix(quote).unwrap_or_default().to_owned())
                .filter(|_| self.text.ends_with(quote))
        };
        let unquoted = match (inner('"'), inner('\''), single) {
            (Some(unquoted), ..) | (None, Some(unquoted), Some(true)) => unquoted,
            (None, Some(_), None) => {
                let reason = format!(
                    "{}: whether this systemd-boot removes single quotes is unknown; write double \
                     quotes",
                    self.text
                );
                return Err(LineProblem::new(self.line, reason));
            }
            (None, ..) => return Ok(()),
        };
        self.text = unquoted;
        Ok(())
    }
}

impl LineProblem {
    pub(super) fn new(line: u32, reason: impl Into<String>) -> LineProblem {
        LineProblem {
            line: Some(line),
            reason: reason.into(),
        }
    }

    pub(super) fn whole(reason: impl Into<String>) -> LineProblem {
        LineProblem {
            line: None,
            reason: reason.into(),
        }
    }
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyValue {
    pub(super) key: String,
    pub(super) value: LineValue,
    /// The value holds bytes that are no text; they are replaced in it.
    pub(super) damaged: bool,
}

/// The pairs of a text, and the lines that are none. Empty lines and those that
/// begin with `#` are left out. White space may stand in front of a key, and a
/// file may have been written with carriage returns: systemd-boot takes both.
pub(super) fn pairs(text: &[u8]) -> impl Iterator<Item = Result<KeyValue, LineProblem>> {
    let numbered = (1_u32..).zip(text.split(|byte| *byte == b'\n'));
    numbered.filter_map(|(line, bytes)| {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() || bytes.starts_with(b"#") {
            return None;
        }
        Some(pair(line, bytes))
    })
}

fn pair(line: u32, bytes: &[u8]) -> Result<KeyValue, LineProblem> {
    let end = bytes.iter().position(u8::is_ascii_whitespace);
    let (key, value) = bytes.split_at(end.unwrap_or(bytes.len()));
    let key = String::from_utf8_lossy(key).into_owned();
    let value = value.trim_ascii();
    if value.is_empty() {
        let reason = format!("{key} has no value; the line is left out");
        return Err(LineProblem::new(line, reason));
    }
    let text = std::str::from_utf8(value);
    let damaged = text.map_or(true, |text| text.chars().any(is_control));
    Ok(KeyValue {
        key,
        value: LineValue {
            text: String::from_utf8_lossy(value).replace(is_control, "\u{fffd}"),
            line,
        },
        damaged,
    })
}

/// A tab is white space, which may stand in a value.
fn is_control(c: char) -> bool {
    c.is_control() && c != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_systemd_boot_takes_them() {
        let unquoted = |text: &str, single| {
            let mut value = LineValue {
                text: text.to_owned(),
                line: 7,
            };
            value.unquote(single).map(|()| value.text)
        };
        for (text, expected) in [
            ("\"a b\"", "a b"),
            ("\" a\"", " a"),
            ("\"a\" \"b\"", "a\" \"b"),
            ("\"", ""),
            ("\"a", "\"a"),
            ("a\"", "a\""),
            ("a", "a"),
            ("\"a'", "\"a'"),
        ] {
            for single in [None, Some(true), Some(false)] {
                assert_eq!(unquoted(text, single), Ok(expected.to_owned()), "{text}");
            }
        }
        assert_eq!(unquoted("'a'", Some(true)), Ok("a".to_owned()));
        assert_eq!(unquoted("'a'", Some(false)), Ok("'a'".to_owned()));
        assert_eq!(unquoted("'a'", None).unwrap_err().line, Some(7));
    }
}
