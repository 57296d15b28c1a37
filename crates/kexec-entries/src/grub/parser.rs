//! Tokens to the tree. GRUB reads, parses and runs one line after the other (a
//! line being as long as its quotes and its compound commands), so that a
//! mistake spoils its own line only, and what comes before it has run.

use std::rc::Rc;

use super::ast::{Block, Simple, Statement, StatementKind, Word};
use super::lexer::{Lexer, Token};
use super::text::Place;

/// How deep commands may stand in each other.
const MAX_NESTING: u32 = 48;

/// The words that end a list of commands.
const ENDS: [&str; 7] = ["then", "elif", "else", "fi", "do", "done", "esac"];
/// Words that are reserved and begin no command.
const WITHOUT_MEANING: [&str; 3] = ["case", "select", "in"];
/// Signs that GRUB takes for words of the language and gives no meaning anywhere.
const SIGNS: [&str; 2] = ["[[", "]]"];

/// Reads one line after the other.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    file: Rc<str>,
    /// A token that was looked at already.
    ahead: Option<(Token, u32)>,
    nesting: u32,
    /// The functions of this line that were read to their ends.
    functions: Vec<Statement>,
}

/// What is wrong, and where.
pub(super) type Mistake = (Place, String);

impl<'a> Parser<'a> {
    pub(super) fn new(file: Rc<str>, text: &'a str) -> Parser<'a> {
        Parser {
            lexer: Lexer::new(text),
            file,
            ahead: None,
            nesting: 0,
            functions: Vec::new(),
        }
    }

    /// As [`new`](Parser::new), for the text of a file.
    pub(super) fn of_file(file: Rc<str>, text: &'a str) -> Parser<'a> {
        Parser {
            lexer: Lexer::of_file(text),
            ..Parser::new(file, "")
        }
    }

    /// Goes on after a mistake as GRUB does: what was read of the command is left
    /// out, with the rest of the line that the mistake is on. Functions that were
    /// read before it are defined all the same.
    pub(super) fn recover(&mut self) -> Block {
        match self.ahead.take() {
            Some((Token::Newline | Token::End, _)) => {}
            _ => self.lexer.leave_line(),
        }
        self.nesting = 0;
        Block(std::mem::take(&mut self.functions))
    }

    /// The commands of the next line, or `None` at the end.
    ///
    /// # Errors
    /// The mistake, after which [`recover`](Parser::recover) goes on.
    pub(super) fn line(&mut self) -> Result<Option<Block>, Mistake> {
        self.functions.clear();
        self.skip_newlines()?;
        let mut commands = Vec::new();
        loop {
            if self.reserved()?.as_deref() == Some("function") {
                let function = self.function()?;
                self.functions.push(function);
            } else {
                match self.peek()? {
                    Token::End => break,
                    Token::Newline => {
                        self.take()?;
                        break;
                    }
                    _ => commands.push(self.statement()?),
                }
            }
            match self.peek()? {
                Token::Newline | Token::End => {}
                Token::Semicolon => {
                    self.take()?;
                }
                _ => return Err(self.unexpected()),
            }
        }
        // A function is there as soon as GRUB has read it.
        let mut block = std::mem::take(&mut self.functions);
        block.extend(commands);
        Ok((!block.is_empty()).then_some(Block(block)))
    }

    fn place(&self, line: u32) -> Place {
        Place {
            file: self.file.clone(),
            line,
        }
    }

    fn peek(&mut self) -> Result<&Token, Mistake> {
        let next = self.take()?;
        Ok(&self.ahead.insert(next).0)
    }

    fn take(&mut self) -> Result<(Token, u32), Mistake> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => {
                let next = self.lexer.next();
                next.map_err(|what| (self.place(self.lexer.line), what))
            }
        }
    }

    fn skip_newlines(&mut self) -> Result<(), Mistake> {
        while *self.peek()? == Token::Newline {
            self.take()?;
        }
        Ok(())
    }

    fn unexpected(&mut self) -> Mistake {
        match self.take() {
            Err(mistake) => mistake,
            Ok((token, line)) => {
                self.ahead = Some((token.clone(), line));
                let what = match &token {
                    Token::Word(word) => match word.plain() {
                        Some(word) => format!("{word:?} is not expected here"),
                        None => "a word is not expected here".to_owned(),
                    },
                    Token::End => "the file ends within a command".to_owned(),
                    Token::Newline => "the line ends within a command".to_owned(),
                    Token::Semicolon => "`;` is not expected here".to_owned(),
                    Token::Open => "`{` is not expected here".to_owned(),
                    Token::Close => "`}` is not expected here".to_owned(),
                };
                (self.place(line), what)
            }
        }
    }

    /// The reserved word that comes next, if one does.
    fn reserved(&mut self) -> Result<Option<String>, Mistake> {
        Ok(match self.peek()? {
            Token::Word(word) => word.plain().map(str::to_owned),
            _ => None,
        })
    }

    fn expect(&mut self, reserved: &str) -> Result<(), Mistake> {
        if self.reserved()?.as_deref() == Some(reserved) {
            self.take()?;
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn statement(&mut self) -> Result<Statement, Mistake> {
        self.peek()?;
        let line = self.ahead.as_ref().map_or(self.lexer.line, |next| next.1);
        let place = self.place(line);
        self.nesting = self.nesting.saturating_add(1);
        if self.nesting > MAX_NESTING {
            let what = format!("more than {MAX_NESTING} commands within each other");
            return Err((place, what));
        }
        let reserved = self.reserved()?;
        let kind = match reserved.as_deref() {
            Some("if") => self.conditional()?,
            Some("for") => self.iteration()?,
            Some(word @ ("while" | "until")) => self.repetition(word == "until")?,
            // Only the outermost list of commands may define functions.
            Some("function") => return Err(self.unexpected()),
            Some(word) if ENDS.contains(&word) || WITHOUT_MEANING.contains(&word) => {
                return Err(self.unexpected());
            }
            _ => StatementKind::Simple(self.simple()?),
        };
        self.nesting = self.nesting.saturating_sub(1);
        Ok(Statement { place, kind })
    }

    /// Commands up to a word that ends them; at least one, each of them ended
    /// by `;` or a newline.
    fn list(&mut self) -> Result<Block, Mistake> {
        let mut commands = Vec::new();
        self.skip_newlines()?;
        loop {
            let ended = self.reserved()?;
            if ended.is_some_and(|word| ENDS.contains(&word.as_str())) && !commands.is_empty() {
                return Ok(Block(commands));
            }
            commands.push(self.statement()?);
            self.separator()?;
        }
    }

    /// `;` or a newline, and the newlines after it.
    fn separator(&mut self) -> Result<(), Mistake> {
        match self.peek()? {
            Token::Semicolon | Token::Newline => {
                self.take()?;
                self.skip_newlines()
            }
            _ => Err(self.unexpected()),
        }
    }

    fn conditional(&mut self) -> Result<StatementKind, Mistake> {
        let mut arms = Vec::new();
        let mut otherwise = None;
        self.expect("if")?;
        loop {
            let condition = self.list()?;
            self.expect("then")?;
            arms.push((condition, self.list()?));
            match self.reserved()?.as_deref() {
                Some("elif") => {
                    self.take()?;
                }
                Some("else") => {
                    self.take()?;
                    otherwise = Some(self.list()?);
                    break;
                }
                _ => break,
            }
        }
        self.expect("fi")?;
        Ok(StatementKind::If { arms, otherwise })
    }

    fn iteration(&mut self) -> Result<StatementKind, Mistake> {
        self.expect("for")?;
        let Some(name) = self.reserved()?.filter(|name| is_name(name)) else {
            return Err(self.unexpected());
        };
        self.take()?;
        self.expect("in")?;
        let words = self.words()?;
        self.separator()?;
        let body = self.done()?;
        Ok(StatementKind::For { name, words, body })
    }

    fn repetition(&mut self, until: bool) -> Result<StatementKind, Mistake> {
        self.take()?;
        let condition = self.list()?;
        let body = self.done()?;
        Ok(StatementKind::While {
            until,
            condition,
            body,
        })
    }

    fn done(&mut self) -> Result<Block, Mistake> {
        self.expect("do")?;
        let body = self.list()?;
        self.expect("done")?;
        Ok(body)
    }

    fn function(&mut self) -> Result<Statement, Mistake> {
        self.peek()?;
        let line = self.ahead.as_ref().map_or(self.lexer.line, |next| next.1);
        let place = self.place(line);
        self.expect("function")?;
        let Some(name) = self.reserved()?.filter(|name| is_name(name)) else {
            return Err(self.unexpected());
        };
        self.take()?;
        self.skip_newlines()?;
        if *self.peek()? != Token::Open {
            return Err(self.unexpected());
        }
        let body = Rc::new(self.braces(true)?);
        let kind = StatementKind::Function { name, body };
        Ok(Statement { place, kind })
    }

    /// `{ COMMANDS }`: of a function, the last command has to be ended.
    fn braces(&mut self, ended: bool) -> Result<Block, Mistake> {
        self.take()?;
        self.skip_newlines()?;
        let mut commands = Vec::new();
        loop {
            commands.push(self.statement()?);
            match self.peek()? {
                Token::Close if !ended => {}
                _ => self.separator()?,
            }
            if *self.peek()? == Token::Close {
                self.take()?;
                return Ok(Block(commands));
            }
        }
    }

    fn words(&mut self) -> Result<Vec<Word>, Mistake> {
        let mut words = Vec::new();
        while let Token::Word(word) = self.peek()? {
            if word.plain().is_some_and(|word| SIGNS.contains(&word)) {
                return Err(self.unexpected());
            }
            words.push(word.clone());
            self.take()?;
        }
        Ok(words)
    }

    fn simple(&mut self) -> Result<Simple, Mistake> {
        // One `!` is a word of the language, a second one names a command.
        let negated = self.reserved()?.as_deref() == Some("!");
        if negated {
            self.take()?;
        }
        let words = self.words()?;
        if words.is_empty() {
            return Err(self.unexpected());
        }
        let block = match self.peek()? {
            Token::Open => Some(Rc::new(self.braces(false)?)),
            _ => None,
        };
        Ok(Simple {
            negated,
            words,
            block,
        })
    }
}

/// Whether a word can name a variable of a loop, or a function.
fn is_name(word: &str) -> bool {
    let reserved = ["if", "for", "while", "until", "function"];
    let belongs = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !reserved.contains(&word)
        && !ENDS.contains(&word)
        && !WITHOUT_MEANING.contains(&word)
        && !word.starts_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(belongs)
}

/// All lines of a text.
#[cfg(test)]
pub(super) fn parse(text: &str) -> Result<Vec<Block>, Mistake> {
    let mut parser = Parser::new("test".into(), text);
    let mut lines = Vec::new();
    while let Some(line) = parser.line()? {
        lines.push(line);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_long_as_their_commands() {
        let lines = parse("a; b\n\nif c\nthen\nd # x\nfi; e\nmenuentry f { g\nh }\n").unwrap();
        let sizes: Vec<usize> = lines.iter().map(|line| line.0.len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(lines[1].0[0].place.to_string(), "test:3");
        assert_eq!(lines[1].0[1].place.to_string(), "test:6");
    }

    #[test]
    fn what_grub_accepts() {
        for text in [
            "echo for if then",
            "function f\n{\necho\n}",
            "function f { a; b; }",
            "menuentry a { b }",
            "menuentry a {\nsubmenu c { d; e; }; f }",
            "for v in 1 2; do a; done; b",
            "for v in\ndo\na\ndone",
            "until a; b\ndo\nc; done",
            "if ! a; then b; elif c; then d; else e; fi",
            "menuentry a --id x-{\nb }",
            "echo a ;\n\t\n echo",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn what_grub_does_not_accept() {
        for text in [
            "a;; b",
            "; a",
            "{ a; }",
            "echo a{b}c {a }b",
            "if true; then",
            "if true then a; fi",
            "if true; then fi",
            "while false; do done",
            "function f { }",
            "function f { a }",
            "menuentry a { }",
            "menuentry a\n{\nb\n}",
            "elif",
            "fi",
            "a; fi",
            "for for in a; do b; done",
            "for x in 1 2 do a; done",
            "case a in",
            "[[ a ]]",
            "echo [[ a",
            "for x-y in a; do b; done",
            "function a-b { c; }",
            "if a; then function f { b; }; fi",
            "menuentry a { function f { b; }; c }",
            "menuentry a { b",
            "if a; then b; fi c",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let (place, what) = parse("a\nb\nfi\n").unwrap_err();
        assert_eq!(
            format!("{place}: {what}"),
            "test:3: \"fi\" is not expected here"
        );
    }

    /// Each of these was seen at GRUB 2.06.
    #[test]
    fn where_grub_goes_on_after_a_mistake() {
        for (text, names) in [
            ("a\n}\nb", "a b"),
            ("a; } ; b\nc", "c"),
            ("if x; then\na\nfi }\nb", "b"),
            ("if x; then y\n}; a\nb\nfi\nc", "b c"),
            ("a \"x$\n$y\nz\"; b\nc", "c"),
            ("a $ b\nc", "c"),
            ("a \"$; \"b\"\n\"; c\nd", "d"),
            ("a \"$\"b\"\nc", ""),
            ("a | b\nc", "c"),
            ("a\nif b; then\nc", "a"),
            ("a 'b\nc", ""),
            ("function f { a; }; }\nb", "f b"),
            ("b; function f { a; }", "f b"),
            ("menuentry x { a\nfi\nb\n}\nc", "b c"),
        ] {
            let mut parser = Parser::of_file("test".into(), text);
            let mut found = Vec::new();
            loop {
                let block = match parser.line() {
                    Ok(None) => break,
                    Ok(Some(block)) => block,
                    Err(_) => parser.recover(),
                };
                found.extend(block.0.into_iter().map(|statement| match statement.kind {
                    StatementKind::Simple(simple) => simple.words[0].plain().unwrap().to_owned(),
                    StatementKind::Function { name, .. } => name,
                    other => format!("{other:?}"),
                }));
            }
            assert_eq!(found.join(" "), names, "{text}");
        }
    }

    #[test]
    fn lines_that_begin_with_a_sharp_are_left_out_of_files() {
        let text = "#x\na \"b\n#c\nd\" e\\\n#f\ng\nh # i\n";
        let mut parser = Parser::of_file("test".into(), text);
        let line = parser.line().unwrap().unwrap();
        assert_eq!(line.0[0].place.line, 2);
        let StatementKind::Simple(simple) = &line.0[0].kind else {
            panic!("{line:?}");
        };
        assert_eq!(simple.words.len(), 3);
        assert_eq!(parser.line().unwrap().unwrap().0[0].place.line, 7);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "if a; then ".repeat(100_000);
        assert!(parse(&deep).unwrap_err().1.contains("within each other"));
        assert!(parse(&"menuentry a { ".repeat(100_000)).is_err());
    }
}
