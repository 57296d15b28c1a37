//! Lines of a key, white space and a value: the form of boot entries and of
//! loader.conf (UAPI.1, "Type #1 Boot Loader Specification Entries";
//! loader.conf(5)).

use serde::Serialize;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Value {
    /// What stands behind the key, without white space around it.
    pub text: String,
    /// The line, counted from 1.
    pub line: u32,
}

/// Something wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The line, counted from 1; `None` when it is about the whole file.
    pub line: Option<u32>,
    /// What was found and what was expected.
    pub reason: String,
}

impl Problem {
    pub(super) fn new(line: u32, reason: impl Into<String>) -> Problem {
        Problem {
            line: Some(line),
            reason: reason.into(),
        }
    }

    pub(super) fn whole(reason: impl Into<String>) -> Problem {
        Problem {
            line: None,
            reason: reason.into(),
        }
    }
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: Value,
    /// The value holds bytes that are no text; they are replaced in it.
    pub(super) damaged: bool,
}

/// The pairs of a text, and the lines that are none. Empty lines and those that
/// begin with `#` are left out. White space may stand in front of a key, and a
/// file may have been written with carriage returns: systemd-boot takes both.
pub(super) fn pairs(text: &[u8]) -> impl Iterator<Item = Result<Pair, Problem>> {
    let numbered = (1_u32..).zip(text.split(|byte| *byte == b'\n'));
    numbered.filter_map(|(line, bytes)| {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() || bytes.starts_with(b"#") {
            return None;
        }
        Some(pair(line, bytes))
    })
}

fn pair(line: u32, bytes: &[u8]) -> Result<Pair, Problem> {
    let end = bytes.iter().position(u8::is_ascii_whitespace);
    let (key, value) = bytes.split_at(end.unwrap_or(bytes.len()));
    let key = String::from_utf8_lossy(key).into_owned();
    let value = value.trim_ascii();
    if value.is_empty() {
        let reason = format!("{key} has no value; the line is left out");
        return Err(Problem::new(line, reason));
    }
    let text = std::str::from_utf8(value);
    let damaged = text.map_or(true, |text| text.chars().any(is_control));
    Ok(Pair {
        key,
        value: Value {
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
