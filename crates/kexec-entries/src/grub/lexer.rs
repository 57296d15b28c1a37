//! Characters to tokens. Quoting, escapes, comments and line ends are dealt with
//! here; what a word means depends on where it stands, which the parser knows.

use super::ast::{Word, WordPart};

/// What the lexer makes of a script: words, and what separates them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word, with its quotes and variables.
    Word(Word),
    /// The end of a line.
    Newline,
    /// `;`, which ends a command.
    Semicolon,
    /// `{`, with which a block begins.
    Open,
    /// `}`, with which a block ends.
    Close,
    /// The end of the text.
    End,
}

/// What ends a word: the manual's metacharacters.
fn is_meta(c: char) -> bool {
    matches!(
        c,
        '{' | '}' | '|' | '&' | ';' | '<' | '>' | ' ' | '\t' | '\n'
    )
}

/// Reads the tokens of a script, one after the other.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: std::str::Chars<'a>,
    /// Whether lines that begin with `#` are left out before anything else looks at
    /// them, within quotes too: so GRUB reads files.
    file: bool,
    /// The line of the next character, counted from 1.
    pub(super) line: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer {
            rest: text.chars(),
            file: false,
            line: 1,
        }
    }

    /// As [`new`](Lexer::new), for the text of a file.
    pub(super) fn of_file(text: &'a str) -> Lexer<'a> {
        let mut lexer = Lexer {
            file: true,
            ..Lexer::new(text)
        };
        lexer.skip_comments();
        lexer
    }

    fn skip_comments(&mut self) {
        while self.file && self.peek() == Some('#') {
            self.leave_line();
        }
    }

    /// Goes to the next line.
    pub(super) fn leave_line(&mut self) {
        if self.rest.any(|c| c == '\n') {
            self.line = self.line.saturating_add(1);
        }
        if self.file && self.peek() == Some('#') {
            self.skip_comments();
        }
    }

    fn peek(&self) -> Option<char> {
        // Carriage returns are not seen, as in GRUB.
        self.rest.clone().find(|c| *c != '\r')
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.find(|c| *c != '\r')?;
        if c == '\n' {
            self.line = self.line.saturating_add(1);
            self.skip_comments();
        }
        Some(c)
    }

    /// The next token, and the line on which it begins.
    ///
    /// # Errors
    /// What cannot be a token, in words.
    pub(super) fn next(&mut self) -> Result<(Token, u32), String> {
        self.skip_blanks();
        let line = self.line;
        let Some(c) = self.peek() else {
            return Ok((Token::End, line));
        };
        let token = match c {
            '\n' => Token::Newline,
            ';' => Token::Semicolon,
            '{' => Token::Open,
            '}' => Token::Close,
            '|' | '&' | '<' | '>' => {
                return Err(format!("{c:?} has no meaning in GRUB's language"));
            }
            _ => return Ok((Token::Word(self.word()?), line)),
        };
        self.take();
        Ok((token, line))
    }

    /// Blanks, joined lines, and comments up to the end of their line.
    fn skip_blanks(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' => {
                    self.take();
                }
                '\\' if self.second() == Some('\n') => {
                    self.take();
                    self.take();
                }
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.take();
                    }
                }
                _ => return,
            }
        }
    }

    fn second(&self) -> Option<char> {
        self.rest.clone().filter(|c| *c != '\r').nth(1)
    }

    fn word(&mut self) -> Result<Word, String> {
        let mut parts = Parts::default();
        while let Some(c) = self.peek() {
            if is_meta(c) {
                break;
            }
            self.take();
            match c {
                '\\' => match self.take() {
                    Some('\n') => {}
                    Some('x') => match self.hexadecimal() {
                        Some(text) => parts.0.push(WordPart::Hexadecimal(text)),
                        None => parts.push('x', true),
                    },
                    Some(c) => parts.push(c, true),
                    None => return Err("the file ends after a backslash".to_owned()),
                },
                '\'' => self.single_quoted(&mut parts)?,
                '"' => self.double_quoted(&mut parts, false)?,
                '$' if self.peek() == Some('"') => {
                    self.take();
                    parts.0.push(WordPart::Translated);
                    self.double_quoted(&mut parts, true)?;
                }
                '$' => {
                    let name = self.variable()?;
                    parts.variable(name, false);
                }
                c => parts.push(c, false),
            }
        }
        match parts.1 {
            None => Ok(Word(parts.0)),
            Some(mistake) => Err(mistake),
        }
    }

    fn single_quoted(&mut self, parts: &mut Parts) -> Result<(), String> {
        parts.open_quote();
        loop {
            match self.take() {
                Some('\'') => return Ok(()),
                Some(c) => parts.push(c, true),
                None => return Err("a single quote is not closed".to_owned()),
            }
        }
    }

    /// Up to the closing quote. In a text that is translated, `$` may stand alone.
    fn double_quoted(&mut self, parts: &mut Parts, translated: bool) -> Result<(), String> {
        parts.open_quote();
        loop {
            let c = self.take();
            match c.ok_or("a double quote is not closed")? {
                '"' => return Ok(()),
                '$' if translated && !self.begins_name() => parts.push('$', true),
                '$' => match self.variable() {
                    Ok(name) => parts.variable(name, true),
                    // GRUB sees the whole word before it looks inside.
                    Err(what) => parts.1 = Some(what),
                },
                '\\' => match self.peek() {
                    Some('\n') => {
                        self.take();
                    }
                    Some(c @ ('$' | '"' | '\\')) => {
                        self.take();
                        parts.push(c, true);
                    }
                    _ => parts.push('\\', true),
                },
                c => parts.push(c, true),
            }
        }
    }

    /// The two digits after `\x`, with the `x`.
    fn hexadecimal(&mut self) -> Option<String> {
        let mut ahead = self.rest.clone().filter(|c| *c != '\r');
        let digits: String = ahead.by_ref().take(2).collect();
        if digits.len() != 2 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.take();
        self.take();
        Some(format!("x{digits}"))
    }

    fn begins_name(&self) -> bool {
        let begins = |c: char| c.is_ascii_alphanumeric() || "_{?#@*".contains(c);
        self.peek().is_some_and(begins)
    }

    /// The name after `$`.
    fn variable(&mut self) -> Result<String, String> {
        let braces = self.peek() == Some('{');
        if braces {
            self.take();
        }
        let mut name = String::new();
        match self.peek() {
            Some(c @ ('?' | '#' | '@' | '*')) => {
                self.take();
                name.push(c);
            }
            Some(c) if c.is_ascii_digit() => self.while_name(&mut name, |c| c.is_ascii_digit()),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                self.while_name(&mut name, |c| c.is_ascii_alphanumeric() || c == '_');
            }
            _ => return Err("`$` is not followed by the name of a variable".to_owned()),
        }
        if braces && self.take() != Some('}') {
            return Err(format!("`${{{name}` is not closed by `}}`"));
        }
        Ok(name)
    }

    fn while_name(&mut self, name: &mut String, belongs: impl Fn(char) -> bool) {
        while let Some(c) = self.peek().filter(|c| belongs(*c)) {
            self.take();
            name.push(c);
        }
    }
}

/// The parts of a word in the making, and what is wrong within its quotes.
#[derive(Debug, Default)]
struct Parts(Vec<WordPart>, Option<String>);

impl Parts {
    fn push(&mut self, c: char, quoted: bool) {
        if let Some(WordPart::Literal { text, quoted: same }) = self.0.last_mut()
            && *same == quoted
        {
            text.push(c);
            return;
        }
        let text = c.to_string();
        self.0.push(WordPart::Literal { text, quoted });
    }

    /// Makes a word of quotes with nothing between them, too.
    fn open_quote(&mut self) {
        self.0.push(WordPart::Literal {
            text: String::new(),
            quoted: true,
        });
    }

    fn variable(&mut self, name: String, quoted: bool) {
        self.0.push(WordPart::Variable { name, quoted });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<Token>, String> {
        let mut lexer = Lexer::new(text);
        let mut all = Vec::new();
        loop {
            match lexer.next()?.0 {
                Token::End => return Ok(all),
                token => all.push(token),
            }
        }
    }

    fn words(text: &str) -> Vec<String> {
        let literal = |token| match token {
            Token::Word(Word(parts)) => parts
                .into_iter()
                .map(|part| match part {
                    WordPart::Literal { text, .. } => text,
                    WordPart::Variable { name, .. } => format!("<{name}>"),
                    WordPart::Translated => "~".to_owned(),
                    WordPart::Hexadecimal(text) => text,
                })
                .collect(),
            other => format!("{other:?}"),
        };
        tokens(text).unwrap().into_iter().map(literal).collect()
    }

    #[test]
    fn quoting_as_the_manual_and_grub_have_it() {
        let text = r#"a\b "a\b" "a\"b" "a\$b" "a\\b" '\x2d' "\x2d" \x2d x"y"'z' a\;b"#;
        let expected = [
            "ab", r"a\b", "a\"b", "a$b", r"a\b", r"\x2d", r"\x2d", "x2d", "xyz", "a;b",
        ];
        assert_eq!(words(text), expected);
        assert_eq!(
            words("'it'\\''s' a\\\nb \"c\\\nd\" 'e\nf'"),
            ["it's", "ab", "cd", "e\nf"]
        );
        assert_eq!(words("a#b #c\n\\#d \"#e\""), ["a#b", "Newline", "#d", "#e"]);
        assert_eq!(words("a\r\nb"), ["a", "Newline", "b"]);
    }

    #[test]
    fn texts_that_are_translated() {
        assert_eq!(
            words(r#"$"a $v" x$"y"z $"5$" $"\$\"""#),
            ["~a <v>", "x~yz", "~5$", "~$\""]
        );
    }

    #[test]
    fn variables_end_where_their_names_do() {
        assert_eq!(
            words("$ab${cd}e$?x $12 ${1}2 $a-b $a.b \"$@\" $#"),
            [
                "<ab><cd>e<?>x",
                "<12>",
                "<1>2",
                "<a>-b",
                "<a>.b",
                "<@>",
                "<#>"
            ]
        );
    }

    #[test]
    fn what_grub_calls_a_syntax_error() {
        for text in [
            "echo $",
            "echo \"a$\"",
            "echo \"$%\"",
            "echo a$ b",
            "echo ${a",
            "echo ${a-b}",
            "echo $((1))",
            "a | b",
            "true && b",
            "echo a>b",
            "a < b",
            "echo \"x",
            "echo 'x",
            "echo \\",
        ] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }
}
