//! The text of an entry as `blscfg` reads it: its keys, the variables in their
//! values, and the commands that it makes of them.
//!
//! Facts from rhboot/grub2 (`blscfg.c`) and GRUB 2.14 (`blsuki.c`): of a key that
//! stands twice the first counts, but every `initrd` does; a line without a value
//! ends the file; variables in `options` are expanded when `blscfg` runs, each with a
//! blank behind it; then the values are pasted into a script, whose words, quotes and
//! variables are those of any other line when the entry is started.

use std::rc::Rc;

use super::super::ast::{Statement, StatementKind};
use super::super::env::Env;
use super::super::parser::Parser;
use super::super::text::{Place, Text, Why};
use super::MAX_VALUE;
use super::bls::Dialect;

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlscfgKey {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) line: u32,
}

/// An entry's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys(Vec<BlscfgKey>);

impl Keys {
    /// What a `blscfg` makes of a text.
    pub(super) fn read(text: &str, dialect: Dialect) -> Keys {
        let mut pairs = Vec::new();
        for (line, text) in (1..).zip(text.split('\n')) {
            let text = text.replace('\r', "");
            let text = text.trim_start_matches([' ', '\t']);
            if text.starts_with('#') {
                continue;
            }
            // Fedora's looks for a tab only where there is no blank.
            let end = match dialect {
                Dialect::Fedora => text.find(' ').or_else(|| text.find('\t')),
                Dialect::Upstream => text.find([' ', '\t']),
            };
            let Some((key, value)) = end.and_then(|end| text.split_at_checked(end)) else {
                break;
            };
            let bare = value.trim_start_matches([' ', '\t']);
            if bare.is_empty() && (dialect == Dialect::Upstream || value.len() == 1) {
                break;
            }
            pairs.push(BlscfgKey {
                key: key.to_owned(),
                value: bare.to_owned(),
                line,
            });
        }
        Keys(pairs)
    }

    /// The first value of a key.
    pub(super) fn first(&self, key: &str) -> Option<&BlscfgKey> {
        self.0.iter().find(|pair| pair.key == key)
    }

    /// Every value of a key.
    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a BlscfgKey> {
        self.0.iter().filter(move |pair| pair.key == key)
    }
}

/// A value with its variables expanded as `blscfg` does it; `None` is none at all.
/// Where a variable follows a single character, or one character ends the text,
/// both programs lose that character.
pub(super) fn expanded(value: &str, env: &Env) -> Option<Text> {
    let mut out = None;
    let (mut start, mut end) = (0, 0);
    let mut variable = false;
    for (at, c) in value.char_indices() {
        // What is longer than any value is refused by who asks.
        if out.as_ref().is_some_and(|out: &Text| out.len() > MAX_VALUE) {
            return out;
        }
        if c == '$' {
            if start != end {
                append(&mut out, variable, value.get(start..=end), env);
                out.as_ref()?;
            }
            variable = true;
            start = at + 1;
        } else if variable && !c.is_ascii_alphanumeric() && c != '_' {
            append(&mut out, true, value.get(start..=end), env);
            variable = false;
            start = if c == ' ' { at + 1 } else { at };
        }
        end = at + c.len_utf8() - 1;
    }
    if start != end {
        append(&mut out, variable, value.get(start..=end), env);
    }
    out
}

fn append(out: &mut Option<Text>, variable: bool, piece: Option<&str>, env: &Env) {
    let piece = piece.unwrap_or_default();
    if !variable {
        return out.get_or_insert_default().push_str(piece);
    }
    let value = env.get(piece);
    let set = |name| {
        env.variable(name)
            .is_some_and(|known| known.origin.is_some())
    };
    if value.is_empty() && !set(piece) {
        return;
    }
    let out = out.get_or_insert_default();
    out.push(&value);
    out.push_str(" ");
}

/// The commands of a line that is pasted into an entry.
///
/// # Errors
/// Why they are not what GRUB would run.
pub(super) fn pasted(text: &str, place: &Place) -> Result<Vec<Statement>, Why> {
    let mut parser = Parser::new(place.file.clone(), text);
    let mut all = Vec::new();
    loop {
        let block = match parser.line() {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(all),
            Err((_, what)) => {
                let what = format!("GRUB makes a script of it, and that is a syntax error: {what}");
                return Err(Why::at(place, what));
            }
        };
        for statement in block.0 {
            match statement.kind {
                StatementKind::Simple(simple) if simple.block.is_none() => all.push(Statement {
                    place: place.clone(),
                    kind: StatementKind::Simple(simple),
                }),
                _ => {
                    let what = "GRUB makes more than simple commands of it";
                    return Err(Why::at(place, what));
                }
            }
        }
    }
}

/// The place of a pair.
pub(super) fn place(pair: &BlscfgKey, file: &Rc<str>) -> Place {
    Place {
        file: file.clone(),
        line: pair.line,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::env::ValueOrigin;
    use super::*;

    #[test]
    fn keys_as_each_reads_them() {
        let read = |text: &str, dialect| {
            let Keys(pairs) = Keys::read(text, dialect);
            let pairs = pairs.into_iter();
            pairs
                .map(|pair| format!("{}={}", pair.key, pair.value))
                .collect::<Vec<_>>()
        };
        for dialect in [Dialect::Fedora, Dialect::Upstream] {
            assert_eq!(read("#x\n a  b c\r\nd e\n", dialect), ["a=b c", "d=e"]);
            // A line without a value is the last.
            assert_eq!(read("a b\n\nc d\n", dialect), ["a=b"]);
            assert_eq!(read("a b\nnothing\nc d\n", dialect), ["a=b"]);
            assert_eq!(read("a b\nc \nd e\n", dialect), ["a=b"]);
        }
        assert_eq!(read("a\tb c\n", Dialect::Upstream), ["a=b c"]);
        assert_eq!(read("a\tb c\n", Dialect::Fedora), ["a\tb=c"]);
        assert_eq!(read("a\tb\n", Dialect::Fedora), ["a=b"]);
    }

    #[test]
    fn variables_as_blscfg_expands_them() {
        let mut env = Env::default();
        for (name, value) in [("k", "x y"), ("kernelopts", "r ro"), ("e", "")] {
            let place = Place {
                file: "x".into(),
                line: 1,
            };
            let origin = ValueOrigin {
                place,
                through: Vec::new(),
                block: None,
            };
            env.set(name, Text::known(value), Some(origin));
        }
        let text = |value: &str| expanded(value, &env).map(|text| text.to_string());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(text("root=x ro"), some("root=x ro"));
        assert_eq!(text("$kernelopts quiet"), some("r ro quiet"));
        assert_eq!(text("a=$kernelopts,b"), some("a=r ro ,b"));
        assert_eq!(text("ro $unset"), some("ro "));
        assert_eq!(text("$unset"), None);
        assert_eq!(text("$unset ro"), some("ro"));
        assert_eq!(text("$unset$kernelopts"), None);
        assert_eq!(text("a$kernelopts"), some("r ro "));
        assert_eq!(text("ab$k"), some("ab"));
        assert_eq!(text("$k ab"), some("x y ab"));
        assert_eq!(text("a"), None);
        // However often a long value is named, the text has an end.
        env.set("long", Text::known(&"x".repeat(60_000)), None);
        let long = expanded(&"$long ".repeat(10_000), &env).unwrap();
        assert!(long.len() > MAX_VALUE && long.len() < 3 * MAX_VALUE);
    }
}
