//! Assignments in files that a service's scripts read as shell: /etc/default/kdump-tools,
//! /etc/sysconfig/kdump. No shell is run. What only a shell can know is unclear, with the reason.

use std::iter::Peekable;
use std::str::Chars;

/// What a file assigns to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assigned {
    /// This text, without its quotes.
    Text(String),
    /// Only a shell knows it, and why.
    Unclear(&'static str),
}

/// The last assignment to `name`; `None` where there is none. The words of POSIX's shell count
/// (POSIX.1, Shell Command Language, 2.2 "Quoting" and 2.9.1 "Simple Commands").
pub fn assigned(text: &str, name: &str) -> Option<Assigned> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        branches: false,
    };
    let mut found = None;
    while reader.rest.peek().is_some() {
        for (its, value) in reader.command() {
            if its == name {
                found = Some(value);
            }
        }
    }
    let unclear = Assigned::Unclear("the file has commands of the shell that decide what counts");
    found.map(|value| if reader.branches { unclear } else { value })
}

/// Commands that decide whether other lines count, or read others.
const BRANCHES: &[&str] = &[
    "if", "case", "for", "while", "until", "function", "{", "(", ".", "source", "eval", "unset",
    "return", "exit", "[", "[[", "test", "!",
];

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    /// There was a command of [`BRANCHES`].
    branches: bool,
}

impl Reader<'_> {
    /// The assignments of the next simple command: none where a program follows, which alone
    /// gets them then.
    fn command(&mut self) -> Vec<(String, Assigned)> {
        let mut found = Vec::new();
        loop {
            self.blanks();
            match self.rest.peek() {
                None => return found,
                Some('\n' | ';') => {
                    self.rest.next();
                    return found;
                }
                Some('#') => {
                    self.line();
                    return found;
                }
                Some(_) => {}
            }
            let name = self.name();
            match (name.as_str(), self.rest.peek()) {
                // Of what it is given, the shell keeps the assignments.
                ("export" | "readonly", Some(' ' | '\t')) => {}
                ("", _) => return self.program(""),
                (_, Some('=')) => {
                    self.rest.next();
                    let value = self.value();
                    found.push((name, value));
                }
                (_, Some('+')) => {
                    self.line();
                    found.push((name, Assigned::Unclear("it is added to another value")));
                    return found;
                }
                _ => return self.program(&name),
            }
        }
    }

    /// Passes over a program and its arguments.
    fn program(&mut self, name: &str) -> Vec<(String, Assigned)> {
        let mut word = name.to_owned();
        while let Some(c) = self.rest.next_if(|c| !c.is_whitespace() && *c != ';') {
            if word.len() < 16 {
                word.push(c);
            }
        }
        let opens = word.starts_with(['{', '(', '[']) || word.contains("()");
        self.branches |= opens || BRANCHES.contains(&word.as_str());
        self.line();
        Vec::new()
    }

    /// The letters, digits and underscores of a name.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let first = |c: &char| c.is_ascii_alphabetic() || *c == '_';
        let next = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        if let Some(c) = self.rest.next_if(first) {
            name.push(c);
            while let Some(c) = self.rest.next_if(next) {
                name.push(c);
            }
        }
        name
    }

    /// Spaces, tabs, and lines that go on.
    fn blanks(&mut self) {
        while self
            .rest
            .next_if(|c| matches!(c, ' ' | '\t' | '\r'))
            .is_some()
        {}
    }

    /// To the end of the line.
    fn line(&mut self) {
        while self.rest.next().is_some_and(|c| c != '\n') {}
    }

    /// A value up to a blank, a semicolon or the end of the line.
    fn value(&mut self) -> Assigned {
        const OPEN: Assigned = Assigned::Unclear("its quote has no end");
        const EXPANDED: Assigned = Assigned::Unclear("the shell puts something into it ($ or `)");
        let mut text = String::new();
        let mut unclear = None;
        loop {
            let Some(c) = self
                .rest
                .next_if(|c| !matches!(c, ' ' | '\t' | '\r' | '\n' | ';'))
            else {
                return unclear.unwrap_or(Assigned::Text(text));
            };
            match c {
                '\'' => loop {
                    match self.rest.next() {
                        Some('\'') => break,
                        Some(c) => text.push(c),
                        None => return OPEN,
                    }
                },
                '"' => loop {
                    match self.rest.next() {
                        Some('"') => break,
                        Some('\\') => match self.rest.next() {
                            Some('\n') => {}
                            Some(c @ ('$' | '`' | '"' | '\\')) => text.push(c),
                            Some(c) => text.extend(['\\', c]),
                            None => return OPEN,
                        },
                        Some('$' | '`') => unclear = Some(EXPANDED),
                        Some(c) => text.push(c),
                        None => return OPEN,
                    }
                },
                '\\' => match self.rest.next() {
                    Some('\n') | None => {}
                    Some(c) => text.push(c),
                },
                '$' => unclear = Some(EXPANDED),
                // A command or a list may have blanks.
                '`' | '(' | ')' | '<' | '>' | '&' | '|' => {
                    while self.rest.next_if(|c| *c != '\n').is_some() {}
                    return unclear.unwrap_or(match c {
                        '`' => EXPANDED,
                        _ => Assigned::Unclear("it is more than an assignment"),
                    });
                }
                c => text.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(file: &str) -> Option<String> {
        match assigned(file, "A")? {
            Assigned::Text(text) => Some(text),
            Assigned::Unclear(why) => Some(format!("unclear: {why}")),
        }
    }

    #[test]
    fn values_as_a_shell_reads_them() {
        for (file, expected) in [
            ("A=b", "b"),
            ("A=", ""),
            ("A=b\nA=c\n", "c"),
            ("  export A=\"b c\"  # comment", "b c"),
            ("A='b \"c\" $d'", "b \"c\" $d"),
            ("A=\"b \\\"c\\\" \\$d \\x\"", "b \"c\" $d \\x"),
            ("A=\"b \\\n c\"", "b  c"),
            ("A=\"b\n c\"\nB=x", "b\n c"),
            ("A=b'c'\"d\"\\ e", "bcd e"),
            ("B=1 A=2; A=3", "3"),
            ("A=b\r\n", "b"),
            ("A=b#c", "b#c"),
            ("AA=1\nA=2\nBA=3\n#A=4\n # A=5", "2"),
            ("echo A=1\nA=2", "2"),
        ] {
            assert_eq!(text(file).as_deref(), Some(expected), "{file}");
        }
        for file in [
            "",
            "# A=1",
            "AA=1",
            "A =1",
            "A=1 program",
            "A",
            "=1",
            "echo A=1",
        ] {
            assert_eq!(text(file), None, "{file}");
        }
    }

    #[test]
    fn what_only_a_shell_knows_is_unclear() {
        for file in [
            "A=$B",
            "A=\"b ${B}\"",
            "A=`date +%s`",
            "A=$(date +%s)",
            "A=\"b",
            "A='b",
            "A+=\" b\"",
            "A=(b c)",
            "A=b&",
            "A=1\nif [ -e /x ]; then\n A=2\nfi",
            "[ -e /x ] && A=2\nA=1",
            "A=1\n. /etc/other",
            "f() {\n A=2\n}\nA=1",
        ] {
            let found = text(file).unwrap();
            assert!(found.starts_with("unclear: "), "{file}: {found}");
        }
    }

    #[test]
    fn much_text_takes_little_time() {
        for part in ["A='x' ", "A=\"", "\\\n", "a=b c\n", "((((", "A=1;"] {
            let _ = text(&part.repeat((1 << 20) / part.len()));
        }
    }

    proptest! {
        #[test]
        fn any_text(text in ".{0,200}") {
            let _ = assigned(&text, "A");
        }

        #[test]
        fn what_is_quoted_is_read_again(value in "[ -~]{0,40}") {
            let file = format!("A='{}'", value.replace('\'', "'\\''"));
            prop_assert_eq!(assigned(&file, "A"), Some(Assigned::Text(value)));
        }
    }
}
