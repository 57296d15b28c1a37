//! What an option's value looks like: its name in `--help`, which texts are one,
//! and what a shell can offer for it.

use std::ffi::OsStr;

use kexec_reboot::preload::cold_every;

use super::numbers;

/// Whether an option takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// It takes none.
    None,
    /// It needs one: what `--help` calls it, and what it looks like.
    Required(&'static str, Syntax),
}

impl Value {
    /// The path of a file.
    pub(super) const FILE: Value = Value::Required("FILE", Syntax::File);
    /// A place in memory.
    pub(super) const ADDRESS: Value = Value::Required("ADDR", Syntax::Address);

    /// A text that is not looked at here.
    pub(super) const fn text(name: &'static str) -> Value {
        Value::Required(name, Syntax::Text)
    }

    /// What it looks like, when there is one.
    pub fn syntax(self) -> Option<Syntax> {
        match self {
            Value::None => None,
            Value::Required(_, syntax) => Some(syntax),
        }
    }
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// Any text.
    Text,
    /// The path of a file.
    File,
    /// The path of a folder.
    Folder,
    /// An address as C's `strtoul` reads it.
    Address,
    /// A whole number.
    Number,
    /// Which reboots are cold ones.
    ColdEvery,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A serial port of a PC.
    SerialPort,
    /// The speed of one.
    SerialSpeed,
}

impl Syntax {
    /// Whether `text` is one.
    pub fn takes(self, text: &OsStr) -> bool {
        match self {
            Syntax::Text | Syntax::File | Syntax::Folder => true,
            Syntax::Address => numbers::address(text).is_some(),
            Syntax::Number => numbers::whole(text).is_some(),
            Syntax::ColdEvery => text.to_str().and_then(cold_every::number_of).is_some(),
            Syntax::Words(words) => words.iter().any(|word| text == *word),
            Syntax::SerialPort => numbers::serial_port(text).is_some(),
            Syntax::SerialSpeed => numbers::serial_baud(text).is_some(),
        }
    }

    /// What a text that is none is told not to be.
    pub fn expected(self) -> String {
        match self {
            Syntax::Text | Syntax::File | Syntax::Folder => "a text".to_owned(),
            Syntax::Address => "an address (decimal, 0x or octal)".to_owned(),
            Syntax::Number => "a number".to_owned(),
            Syntax::ColdEvery => cold_every::EXPECTED.to_owned(),
            Syntax::Words(words) => super::listed(words, "or"),
            Syntax::SerialPort => "a serial port (ttyS0, ttyS1 or 0xADDR)".to_owned(),
            Syntax::SerialSpeed => "a speed (a divisor of 115200, at least 9600, or 0)".to_owned(),
        }
    }

    /// What a shell can offer for it.
    pub fn offer(self) -> Offer {
        match self {
            Syntax::File => Offer::Files,
            Syntax::Folder => Offer::Folders,
            Syntax::Words(words) => Offer::Words(words),
            Syntax::SerialPort => Offer::Words(&["ttyS0", "ttyS1"]),
            Syntax::Text
            | Syntax::Address
            | Syntax::Number
            | Syntax::ColdEvery
            | Syntax::SerialSpeed => Offer::Nothing,
        }
    }
}

/// What a shell can offer for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Nothing: it is a text or a number.
    Nothing,
    /// Names of files.
    Files,
    /// Ids of boot entries (`kexec list --names`), and names of files.
    Entries,
    /// Names of folders.
    Folders,
    /// One of these words.
    Words(&'static [&'static str]),
}
