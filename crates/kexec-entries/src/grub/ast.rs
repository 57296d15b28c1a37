//! The language as a tree: GNU GRUB manual, "Shell-like scripting".

use std::rc::Rc;

use super::text::Place;

/// Commands, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Block(pub Vec<Statement>);

/// A command and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub kind: StatementKind,
}

/// The kinds of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementKind {
    /// A simple command.
    Simple(Simple),
    /// `if`, with its `elif`s: condition and body of each.
    If {
        /// Condition and body, in the order in which they are tried.
        arms: Vec<(Block, Block)>,
        /// `else`.
        otherwise: Option<Block>,
    },
    /// `for NAME in WORDS; do BODY; done`.
    For {
        /// The variable.
        name: String,
        /// What it takes on.
        words: Vec<Word>,
        /// The body.
        body: Block,
    },
    /// `while`, and `until` that ends on the opposite.
    While {
        /// Whether it is `until`.
        until: bool,
        /// The condition.
        condition: Block,
        /// The body.
        body: Block,
    },
    /// `function NAME { BODY }`.
    Function {
        /// Its name.
        name: String,
        /// Its body.
        body: Rc<Block>,
    },
}

/// Words, the first of which names the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simple {
    /// Whether `!` is before it.
    pub negated: bool,
    /// The words.
    pub words: Vec<Word>,
    /// The `{ }` of a `menuentry` or a `submenu`.
    pub block: Option<Rc<Block>>,
}

/// One word, made of parts that stand next to each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word(pub Vec<WordPart>);

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WordPart {
    /// Characters that stand for themselves.
    Literal {
        /// The characters.
        text: String,
        /// Whether they were quoted in some way.
        quoted: bool,
    },
    /// `$name`.
    Variable {
        /// The name: letters and digits, digits, or one of `? # @ *`.
        name: String,
        /// Whether it stands in double quotes.
        quoted: bool,
    },
    /// An unquoted backslash before these characters, `x2d` or other two hexadecimal
    /// digits: Fedora's GRUB keeps it.
    Hexadecimal(String),
    /// The quoted text after it is translated (`$"..."`), if GRUB has a catalogue.
    Translated,
}

impl Word {
    /// The characters, if nothing of it is quoted or expanded: only such a word
    /// can be a reserved one.
    pub fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [
                WordPart::Literal {
                    text,
                    quoted: false,
                },
            ] => Some(text),
            _ => None,
        }
    }
}
