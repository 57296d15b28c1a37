//! The language as a tree: GNU GRUB manual, "Shell-like scripting".

use std::rc::Rc;

use super::text::Place;

/// Commands, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Block(pub Vec<Statement>);

/// A command and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub kind: StatementKind,
}

/// The kinds of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StatementKind {
    /// A simple command.
    Simple(Simple),
    /// `if`, with its `elif`s: condition and body of each.
    If {
        /// Condition and body, in the order in which they are tried.
        arms: Vec<(Block, Block)>,
        /// The commands behind `else`.
        otherwise: Option<Block>,
    },
    /// `for NAME in WORDS; do BODY; done`.
    For {
        /// The variable that takes each word in turn.
        name: String,
        /// What it takes on.
        words: Vec<Word>,
        /// The commands that run once for each word.
        body: Block,
    },
    /// `while`, and `until` that ends on the opposite.
    While {
        /// Whether it is `until`.
        until: bool,
        /// The commands whose last one decides whether the loop goes on.
        condition: Block,
        /// The commands that run in each round.
        body: Block,
    },
    /// `function NAME { BODY }`.
    Function {
        /// The name by which it is called.
        name: String,
        /// The commands that a call runs.
        body: Rc<Block>,
    },
}

/// Words, the first of which names the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Simple {
    /// Whether `!` is before it.
    pub negated: bool,
    /// The words of the command, not yet expanded.
    pub words: Vec<Word>,
    /// The `{ }` of a `menuentry` or a `submenu`.
    pub block: Option<Rc<Block>>,
}

/// One word, made of parts that stand next to each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Word(pub Vec<WordPart>);

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WordPart {
    /// Characters that stand for themselves.
    Literal {
        /// The characters, without their quotes.
        text: String,
        /// Whether they were quoted in some way.
        quoted: bool,
    },
    /// A variable: `$name` or `${name}`.
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
    pub(super) fn plain(&self) -> Option<&str> {
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
