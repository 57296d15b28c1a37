//! From the words of a command line to options and operands, with the rules of
//! GNU `getopt_long` (glibc manual, "Getopt Long Options"; POSIX.1-2024, XBD
//! 12.2 "Utility Syntax Guidelines").

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::{Flag, Id, Origin, Value, listed, similar};
use crate::visible::visible;

/// How long options may be spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// Any unambiguous prefix of an option that kexec-tools has.
    Abbreviated,
    /// In full.
    Exact,
}

/// One thing on the command line.
#[derive(Debug, Clone)]
pub enum Token {
    /// An option with its value.
    Option(&'static Flag, Option<OsString>),
    /// An operand.
    Operand(OsString),
}

/// Why a word is not understood.
#[expect(missing_docs, reason = "the messages describe them")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedError {
    #[error("there is no option {name}{}", did_you_mean(similar))]
    Unknown { name: String, similar: Vec<String> },
    #[error("the option {name} could be any of {}", candidates.join(", "))]
    Ambiguous {
        name: String,
        candidates: Vec<String>,
    },
    #[error("the option {name} needs a value: {value}")]
    MissingValue { name: String, value: &'static str },
    #[error("the option {name} takes no value")]
    UnwantedValue { name: String },
}

fn did_you_mean(similar: &[String]) -> String {
    if similar.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", listed(similar, "or"))
    }
}

/// Bytes for people.
pub fn printable(word: &OsStr) -> String {
    visible(&word.to_string_lossy())
}

/// Reads a command line word by word. After an error it goes on with the next
/// option, so that a caller may look for something behind it.
#[derive(Debug)]
pub struct Tokens<'a> {
    table: &'a [&'static Flag],
    spelling: Spelling,
    words: std::slice::Iter<'a, OsString>,
    /// What is left of a word of short options.
    bundle: &'a [u8],
    only_operands: bool,
}

impl<'a> Tokens<'a> {
    /// Reads `words` (without the program's name) with the options of `table`.
    pub fn new(
        table: &'a [&'static Flag],
        spelling: Spelling,
        words: &'a [OsString],
    ) -> Tokens<'a> {
        Tokens {
            table,
            spelling,
            words: words.iter(),
            bundle: &[],
            only_operands: false,
        }
    }

    fn short(&mut self, letter: u8, rest: &'a [u8]) -> Result<Token, TypedError> {
        self.bundle = rest;
        let name = || format!("-{}", printable(OsStr::from_bytes(&[letter])));
        let Some(flag) = self.table.iter().find(|f| f.short == Some(letter)) else {
            return Err(TypedError::Unknown {
                name: name(),
                similar: Vec::new(),
            });
        };
        let Value::Required(value, _) = flag.value else {
            return Ok(Token::Option(flag, None));
        };
        self.bundle = &[];
        let given = if rest.is_empty() {
            self.words.next().cloned()
        } else {
            Some(OsString::from_vec(rest.to_vec()))
        };
        match given {
            Some(given) => Ok(Token::Option(flag, Some(given))),
            None => Err(TypedError::MissingValue {
                name: name(),
                value,
            }),
        }
    }

    fn long(&mut self, word: &[u8]) -> Result<Token, TypedError> {
        let mut parts = word.splitn(2, |b| *b == b'=');
        let name = parts.next().unwrap_or_default();
        let attached = parts.next();
        let flag = self.resolve(name)?;
        let shown = || flag.name();
        match (flag.value, attached) {
            (Value::None, None) => Ok(Token::Option(flag, None)),
            (Value::None, Some(_)) => Err(TypedError::UnwantedValue { name: shown() }),
            (Value::Required(..), Some(value)) => Ok(Token::Option(
                flag,
                Some(OsString::from_vec(value.to_vec())),
            )),
            (Value::Required(value, _), None) => match self.words.next() {
                Some(next) => Ok(Token::Option(flag, Some(next.clone()))),
                None => Err(TypedError::MissingValue {
                    name: shown(),
                    value,
                }),
            },
        }
    }

    /// The option called `name`: the full name wins over every prefix.
    fn resolve(&self, name: &[u8]) -> Result<&'static Flag, TypedError> {
        let starting = |flag: &Flag| -> Vec<&'static str> {
            flag.longs()
                .filter(|l| !name.is_empty() && l.as_bytes().starts_with(name))
                .collect()
        };
        let exact = |flag: &&&'static Flag| flag.longs().any(|l| l.as_bytes() == name);
        if let Some(flag) = self.table.iter().find(exact) {
            return Ok(flag);
        }
        let shown = || format!("--{}", printable(OsStr::from_bytes(name)));
        let dashed = |names: Vec<&str>| names.iter().map(|n| format!("--{n}")).collect();

        let (old, later): (Vec<&'static Flag>, Vec<&'static Flag>) = self
            .table
            .iter()
            .copied()
            .filter(|f| !starting(f).is_empty())
            .partition(|f| {
                self.spelling == Spelling::Abbreviated && f.origin == Origin::KexecTools
            });
        match old.as_slice() {
            [flag] => Ok(flag),
            [] => Err(TypedError::Unknown {
                name: shown(),
                similar: dashed(match later.is_empty() {
                    false => later.iter().flat_map(|f| starting(f)).collect(),
                    true => similar(name, self.table.iter().flat_map(|f| f.longs())),
                }),
            }),
            several => Err(TypedError::Ambiguous {
                name: shown(),
                candidates: dashed(several.iter().flat_map(|f| starting(f)).collect()),
            }),
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<Token, TypedError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let [letter, rest @ ..] = self.bundle {
            return Some(self.short(*letter, rest));
        }
        let word = self.words.next()?;
        let bytes = word.as_bytes();
        if self.only_operands || !bytes.starts_with(b"-") || bytes == b"-" {
            return Some(Ok(Token::Operand(word.clone())));
        }
        if bytes == b"--" {
            self.only_operands = true;
            return self.next();
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            return Some(self.long(long));
        }
        match bytes {
            [_, letter, rest @ ..] => Some(self.short(*letter, rest)),
            _ => Some(Ok(Token::Operand(word.clone()))),
        }
    }
}

/// What was typed.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// The options in their order.
    pub options: Vec<(&'static Flag, Option<OsString>)>,
    /// The operands in their order.
    pub operands: Vec<OsString>,
}

impl Typed {
    /// Reads a whole command line.
    ///
    /// # Errors
    /// The first word that is not understood.
    pub fn read(
        table: &[&'static Flag],
        spelling: Spelling,
        words: &[OsString],
    ) -> Result<Typed, TypedError> {
        let mut typed = Typed::default();
        for token in Tokens::new(table, spelling, words) {
            match token? {
                Token::Option(flag, value) => typed.options.push((flag, value)),
                Token::Operand(word) => typed.operands.push(word),
            }
        }
        Ok(typed)
    }

    /// Whether an option was given.
    pub fn has(&self, id: Id) -> bool {
        self.options.iter().any(|(f, _)| f.id == id)
    }

    /// The last value of an option.
    pub fn last(&self, id: Id) -> Option<&OsStr> {
        self.values(id).last()
    }

    /// Every value of an option.
    pub fn values(&self, id: Id) -> impl Iterator<Item = &OsStr> {
        self.options
            .iter()
            .filter(move |(f, _)| f.id == id)
            .filter_map(|(_, value)| value.as_deref())
    }

    /// Of `-s`, `-c` and `-a` the last: callers append theirs to a configured one.
    pub fn call(&self) -> Option<Id> {
        self.last_of(&[Id::FileSyscall, Id::ClassicSyscall, Id::AutoSyscall])
    }

    /// Of several options that exclude each other, the one that stands last.
    pub fn last_of(&self, ids: &[Id]) -> Option<Id> {
        self.options
            .iter()
            .rev()
            .map(|(f, _)| f.id)
            .find(|id| ids.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Arch, flags_for};

    fn read(line: &[&str]) -> Result<String, String> {
        let words: Vec<OsString> = line.iter().map(OsString::from).collect();
        let table = flags_for(Arch::X86_64);
        let typed =
            Typed::read(&table, Spelling::Abbreviated, &words).map_err(|e| e.to_string())?;
        let mut out: Vec<String> = typed
            .options
            .iter()
            .map(|(f, v)| match v {
                None => format!("{:?}", f.id),
                Some(v) => format!("{:?}={}", f.id, printable(v)),
            })
            .collect();
        out.extend(typed.operands.iter().map(|o| printable(o)));
        Ok(out.join(" "))
    }

    #[test]
    fn options_and_operands_in_any_order() {
        assert_eq!(
            read(&["K", "-l", "--append", "a b"]).unwrap(),
            "Load Append=a b K"
        );
        assert_eq!(
            read(&["-l", "--append=a=b", "K"]).unwrap(),
            "Load Append=a=b K"
        );
        assert_eq!(read(&["-l", "--", "-e", "--x"]).unwrap(), "Load -e --x");
        assert_eq!(read(&["-", ""]).unwrap(), "- ");
        assert_eq!(read(&["--append", "--", "K"]).unwrap(), "Append=-- K");
        assert_eq!(read(&["--append="]).unwrap(), "Append=");
    }

    #[test]
    fn short_options_in_one_word() {
        assert_eq!(read(&["-dlx", "K"]).unwrap(), "Debug Load NoIfdown K");
        assert_eq!(read(&["-ltbzImage", "K"]).unwrap(), "Load Type=bzImage K");
        assert_eq!(read(&["-lt", "bzImage"]).unwrap(), "Load Type=bzImage");
        assert_eq!(read(&["-t=x"]).unwrap(), "Type==x");
        assert_eq!(read(&["-lz"]).unwrap_err(), "there is no option -z");
        assert_eq!(read(&["-l-"]).unwrap_err(), "there is no option --");
        assert_eq!(
            read(&["-t"]).unwrap_err(),
            "the option -t needs a value: NAME"
        );
    }

    #[test]
    fn the_full_name_wins_and_prefixes_must_be_unambiguous() {
        assert_eq!(
            read(&["--load", "--serial=x", "--entry=0"]).unwrap(),
            "Load Serial=x Entry=0"
        );
        assert_eq!(
            read(&["--un", "--st", "--de", "--i=x", "--no-c"]).unwrap(),
            "Unload Status Debug Initrd=x NoChecks"
        );
        assert_eq!(read(&["--kexec-syscall"]).unwrap(), "ClassicSyscall");
        assert_eq!(read(&["--kexec-syscall-"]).unwrap(), "AutoSyscall");
        assert_eq!(
            read(&["--lo"]).unwrap_err(),
            "the option --lo could be any of --load, --load-panic, --load-preserve-context, \
             --load-jump-back-helper, --load-live-update"
        );
        assert_eq!(
            read(&["--he=1"]).unwrap_err(),
            "the option --help takes no value"
        );
        assert_eq!(
            read(&["--append"]).unwrap_err(),
            "the option --append needs a value: TEXT"
        );
        assert_eq!(
            read(&["--bogus"]).unwrap_err(),
            "there is no option --bogus"
        );
        assert_eq!(read(&["--=x"]).unwrap_err(), "there is no option --");
        assert_eq!(
            read(&["--inird=x"]).unwrap_err(),
            "there is no option --inird; did you mean --initrd?"
        );
    }

    /// A newer option must not change what a prefix means today.
    #[test]
    fn newer_options_must_be_spelled_out() {
        assert_eq!(read(&["--pr"]).unwrap(), "PrintCrashSize");
        assert_eq!(read(&["--profile=1"]).unwrap(), "Profile=1");
        assert_eq!(
            read(&["--prof=1"]).unwrap_err(),
            "there is no option --prof; did you mean --profile?"
        );
        assert_eq!(read(&["--fo"]).unwrap(), "Force");
        assert_eq!(read(&["--force-dtb"]).unwrap(), "ForceDtb");
    }

    #[test]
    fn bytes_that_are_no_text() {
        let table = flags_for(Arch::X86_64);
        let words = [
            OsString::from_vec(b"--append=\xff\xfe".to_vec()),
            OsString::from_vec(b"/boot/\xe4".to_vec()),
        ];
        let typed = Typed::read(&table, Spelling::Abbreviated, &words).unwrap();
        assert_eq!(typed.last(Id::Append).unwrap().as_bytes(), b"\xff\xfe");
        assert_eq!(typed.operands[0].as_bytes(), b"/boot/\xe4");
        let words = [OsString::from_vec(b"--\x1b[2J".to_vec())];
        let error = Typed::read(&table, Spelling::Abbreviated, &words).unwrap_err();
        assert!(!error.to_string().contains('\x1b'));
    }
}
