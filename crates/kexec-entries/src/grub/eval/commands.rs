//! The commands of the language itself, and how a command that only the running
//! GRUB could answer for is taken.

use std::rc::Rc;

use super::super::bytes;
use super::super::devices::{Answer, FilePath};
use super::super::env::ValueOrigin;
use super::super::menu::LoadedByEntry;
use super::super::text::{Place, Text, TextRun, Why};
use super::item::item;
use super::table::{Command, find};
use super::{Call, Evaluator, Field, Flow, MAX_ENTRIES, MAX_MESSAGES, Status};

use Command::{Ends, Indifferent, Loads, Opaque, Run, Succeeds, Tells};

/// `name=value` as the first word: the name, and the value.
pub(super) fn assignment(field: &Field) -> Option<(Result<String, Why>, Text)> {
    let mut pieces = field.text.pieces().iter();
    let mut before = Text::default();
    for piece in pieces.by_ref() {
        let TextRun::Known(text) = piece else {
            before.push(&Text::from(piece.clone()));
            continue;
        };
        let Some((name, rest)) = text.split_once('=') else {
            before.push_str(text);
            continue;
        };
        before.push_str(name);
        let mut value = Text::known(rest);
        for piece in pieces {
            value.push(&Text::from(piece.clone()));
        }
        let name = match before.why_unknown() {
            Some(why) => Err(why.clone()),
            None => Ok(before.to_string()),
        };
        return Some((name, value));
    }
    None
}

impl Evaluator<'_> {
    /// Runs a command of the table, if it is one.
    pub(super) fn command(&mut self, name: &str, call: &Call<'_>) -> Option<Flow> {
        let unsure = |what: &str| {
            let what = format!("{what} {name}, which only the running GRUB knows");
            Status::Unknown(Why::at(call.place, what))
        };
        match find(name)? {
            Run(run) => return Some(run(self, call)),
            Succeeds => self.state.status = Status::Ok,
            Indifferent => self.state.status = unsure("it depends on the result of"),
            Tells(options) => {
                let why = Why::at(
                    call.place,
                    format!("{name} reports what only the firmware knows"),
                );
                self.told(call, options, &why);
                self.state.status = Status::Unknown(why);
            }
            Loads(what) => {
                let place = call.place.clone();
                let what = format!("{what} ({name})");
                self.state.loaded = LoadedByEntry::Other { place, what };
                self.state.status = unsure("it depends on the result of");
            }
            Ends(_) if name == "boot" && self.state.loaded == LoadedByEntry::Nothing => {
                self.state.status = Status::Failed(None);
            }
            Ends(what) => return Some(self.ends(name, what, call.place)),
            Opaque => {
                let what = format!("{name} is not understood here");
                self.lose(Why::at(call.place, what));
            }
        }
        Some(Flow::Next)
    }

    /// Makes the variables unknown that a command puts its result into.
    fn told(&mut self, call: &Call<'_>, options: &[&str], why: &Why) {
        if let Some(why) = call.loose() {
            self.lose(why.clone());
            return;
        }
        let mut names = Vec::new();
        let mut args = call.args.iter().map(Field::known).peekable();
        while let Some(arg) = args.next() {
            if options.contains(&arg) {
                names.extend(args.peek().copied());
            } else if let Some((option, name)) = arg.split_once('=')
                && options.contains(&option)
            {
                names.push(name);
            } else if args.peek().is_none() {
                names.push(arg);
            }
        }
        names.push(if call.name.known() == "hwmatch" {
            "match"
        } else {
            ""
        });
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            let name = name.rsplit(':').next().unwrap_or(name);
            let unknown = Text::unknown(why.clone());
            self.state.env.set(name, unknown, Some(call.origin()));
        }
    }

    /// GRUB goes, or the machine does.
    fn ends(&mut self, name: &str, what: &str, place: &Place) -> Flow {
        if !self.in_entry {
            let what = format!("{what} ({name}) before a menu is shown");
            self.lose(Why::at(place, what));
            return Flow::Leave;
        }
        if name != "boot" {
            let what = format!("{what} ({name})");
            let place = place.clone();
            self.state.loaded = LoadedByEntry::Other { place, what };
        }
        Flow::Leave
    }

    /// A name that is neither a command nor a function. Where GRUB's list of
    /// commands can be read and has it not, GRUB prints an error and goes on.
    pub(super) fn unknown_command(&mut self, name: &str, place: &Place) {
        if self.is_no_command(name, place) {
            let name = bytes::shown(name);
            self.warn(format!("{place}: {name:?} is not a command of this GRUB"));
            // GRUB 2.06 to 2.14 print an error, and `$?` is 0.
            self.state.status = Status::Ok;
            return;
        }
        let what = format!("the command {name:?} is not supported here");
        self.lose(Why::at(place, what));
    }

    /// Whether no GRUB has a command of that name, or this one's list of them
    /// (`$prefix/CPU-PLATFORM/command.lst`) is there and has it not.
    fn is_no_command(&self, name: &str, place: &Place) -> bool {
        // A byte order mark makes a name that no command has.
        if !name.is_ascii() {
            return true;
        }
        let facts = self.platform;
        let mut path = self.state.env.get("prefix");
        path.push_str(&format!("/{}-{}/command.lst", facts.cpu, facts.platform));
        let Ok(file) = self.file(&path, place) else {
            return false;
        };
        // A line is `[*]COMMAND: MODULE`.
        let command = |line: &str| {
            let line = line.trim_start_matches('*');
            line.split(':').next().unwrap_or_default() == name
        };
        match self.devices.read(&file, super::MAX_FILE) {
            Answer::Is(bytes) if !bytes.is_empty() => {
                !String::from_utf8_lossy(&bytes).lines().any(command)
            }
            _ => false,
        }
    }

    pub(super) fn assign(&mut self, name: Result<String, Why>, value: Text, call: &Call<'_>) {
        match name {
            Err(why) => self.lose(why),
            Ok(name) => {
                let value = match name.as_str() {
                    // GRUB takes the parentheses off a device.
                    "root" => without_parentheses(&value),
                    _ => value,
                };
                self.state.env.set(&name, value, Some(call.origin()));
                self.state.status = Status::Ok;
            }
        }
    }

    pub(super) fn set(&mut self, call: &Call<'_>) -> Flow {
        match call.args.first() {
            None => self.state.status = Status::Ok,
            Some(field) => match assignment(field) {
                Some((name, value)) => self.assign(name, value, call),
                None => match field.loose().or_else(|| field.text.why_unknown()) {
                    Some(why) => self.lose(why.clone()),
                    // 18 is what GRUB says to something that is no assignment.
                    None => self.state.status = Status::Failed(Some(18)),
                },
            },
        }
        Flow::Next
    }

    pub(super) fn unset(&mut self, call: &Call<'_>) -> Flow {
        self.names(call, 1, |machine, name| machine.state.env.unset(name))
    }

    pub(super) fn export(&mut self, call: &Call<'_>) -> Flow {
        let all = call.args.len();
        self.names(call, all, |machine, name| machine.state.env.export(name))
    }

    fn names(&mut self, call: &Call<'_>, count: usize, each: impl Fn(&mut Self, &str)) -> Flow {
        for arg in call.args.iter().take(count) {
            match arg.text.why_unknown() {
                Some(why) => self.lose(why.clone()),
                None => each(self, &arg.text.to_string()),
            }
        }
        if self.state.lost.is_none() {
            self.state.status = Status::Ok;
        }
        Flow::Next
    }

    pub(super) fn nothing(&mut self, call: &Call<'_>) -> Flow {
        self.state.status = match call.name.known() {
            "true" => Status::Ok,
            _ => Status::Failed(Some(1)),
        };
        Flow::Next
    }

    pub(super) fn echo(&mut self, call: &Call<'_>) -> Flow {
        let mut args = call.args.iter().map(|arg| &arg.text).peekable();
        while args
            .next_if(|arg| matches!(arg.to_string().as_str(), "-n" | "-e"))
            .is_some()
        {}
        let words: Vec<String> = args.map(Text::to_string).collect();
        if self.messages.len() < MAX_MESSAGES {
            self.messages.push(words.join(" "));
        }
        self.state.status = Status::Ok;
        Flow::Next
    }

    pub(super) fn insmod(&mut self, call: &Call<'_>) -> Flow {
        if let Some(module) = call.args.first() {
            self.state.wildcards |= module.known() == "regexp";
            self.state.bls = super::bls::dialect_of(module).or(self.state.bls);
        }
        let what = "it depends on whether a module can be loaded";
        self.state.status = Status::Unknown(Why::at(call.place, what));
        Flow::Next
    }

    /// `increment NAME` and `decrement NAME` of Fedora: the number in a
    /// variable, one more or less, not below zero.
    pub(super) fn count(&mut self, call: &Call<'_>) -> Flow {
        let Some(name) = call
            .args
            .first()
            .map(Field::known)
            .filter(|name| !name.is_empty())
        else {
            self.lose(Why::at(call.place, "the counter variable is unknown"));
            return Flow::Next;
        };
        let value = match self.state.env.get(name).characters(call.place) {
            Err(why) => Text::unknown(why),
            Ok(text) => match text.trim().parse::<u64>() {
                Ok(number) if call.name.known() == "increment" => {
                    Text::known(&number.saturating_add(1).to_string())
                }
                Ok(number) => Text::known(&number.saturating_sub(1).to_string()),
                Err(_) => Text::unknown(Why::at(call.place, format!("{text:?} is not a number"))),
            },
        };
        let origin = ValueOrigin {
            through: vec![name.to_owned()],
            ..call.origin()
        };
        self.state.env.set(name, value, Some(origin));
        self.state.status = Status::Unknown(Why::at(call.place, "what counting returns"));
        Flow::Next
    }

    /// `cpuid [-l|-p]`: long mode, which the running kernel's machine has or not.
    pub(super) fn cpuid(&mut self, call: &Call<'_>) -> Flow {
        let asked = call.args.first().map_or("-l", Field::known);
        self.state.status = match (asked, self.platform.long_mode) {
            ("-l" | "--long-mode" | "-p" | "--pae", Some(true)) => Status::Ok,
            ("-l" | "--long-mode", Some(false)) => Status::Failed(Some(1)),
            _ => Status::Unknown(Why::at(
                call.place,
                "cpuid reports what only the hardware knows",
            )),
        };
        Flow::Next
    }

    pub(super) fn fwsetup(&mut self, call: &Call<'_>) -> Flow {
        if call.args.first().map(Field::known) != Some("--is-supported") {
            return self.ends("fwsetup", "it opens the firmware's setup", call.place);
        }
        self.state.status = match self.platform.firmware_setup {
            Some(true) => Status::Ok,
            Some(false) => Status::Failed(Some(1)),
            None => Status::Unknown(Why::at(call.place, "whether the firmware has a setup")),
        };
        Flow::Next
    }

    pub(super) fn eval(&mut self, call: &Call<'_>) -> Flow {
        let mut text = String::new();
        for arg in &call.args {
            match arg.text.why_unknown() {
                Some(why) => self.lose(why.clone()),
                None => match arg.characters(call.place) {
                    Ok(word) => {
                        text.push_str(if text.is_empty() { "" } else { " " });
                        text.push_str(word);
                    }
                    Err(why) => self.lose(why),
                },
            }
        }
        if self.state.lost.is_some() {
            return Flow::Next;
        }
        let file: Rc<str> = format!("{} (eval)", call.place).into();
        self.run_text(&file, &text)
    }

    pub(super) fn leave_loop(&mut self, call: &Call<'_>) -> Flow {
        let levels = match call.args.first() {
            None => Some(1),
            Some(field) => field.known().parse().ok().filter(|levels| *levels > 0),
        };
        let Some(levels) = levels else {
            self.lose(Why::at(call.place, "the number of loops left is unknown"));
            return Flow::Next;
        };
        self.state.status = Status::Ok;
        let levels = levels.min(self.loops);
        match call.name.known() {
            _ if levels == 0 => Flow::Next,
            "break" => Flow::Break(levels),
            _ => Flow::Continue(levels),
        }
    }

    pub(super) fn leave_function(&mut self, call: &Call<'_>) -> Flow {
        if self.calls == 0 {
            self.state.status = Status::Failed(Some(18));
            return Flow::Next;
        }
        if let Some(field) = call.args.first() {
            self.state.status = match field.characters(call.place) {
                Err(why) => Status::Unknown(why),
                Ok(text) => match text.parse() {
                    Ok(0) => Status::Ok,
                    Ok(number) => Status::Failed(Some(number)),
                    Err(_) => {
                        Status::Unknown(Why::at(call.place, format!("{text:?} is not a number")))
                    }
                },
            };
        }
        Flow::Return
    }

    pub(super) fn setparams(&mut self, call: &Call<'_>) -> Flow {
        if self.state.params.is_some() {
            self.state.params = Some(match call.loose() {
                Some(why) => vec![Text::unknown(why.clone())],
                None => call.args.iter().map(|arg| arg.text.clone()).collect(),
            });
        }
        self.state.status = Status::Ok;
        Flow::Next
    }

    pub(super) fn shift(&mut self, call: &Call<'_>) -> Flow {
        let count = match call.args.first() {
            None => Some(1),
            Some(field) => field.known().parse::<usize>().ok(),
        };
        let length = self.state.params.as_ref().map_or(0, Vec::len);
        match count {
            None => self.lose(Why::at(call.place, "the number of shifts is unknown")),
            Some(count) if count > length => self.state.status = Status::Failed(None),
            Some(count) => {
                if let Some(params) = &mut self.state.params {
                    params.drain(..count);
                }
                self.state.status = Status::Ok;
            }
        }
        Flow::Next
    }

    pub(super) fn menuentry(&mut self, call: &Call<'_>) -> Flow {
        let Some(body) = call.block.filter(|_| !call.args.is_empty()) else {
            self.state.status = Status::Failed(Some(18));
            return Flow::Next;
        };
        if self.state.menu.len().max(self.state.hidden.len()) >= MAX_ENTRIES {
            let what = format!("more than {MAX_ENTRIES} entries");
            self.lose(Why::at(call.place, what));
            return Flow::Next;
        }
        let item = Rc::new(item(call, body.clone()));
        match call.name.known() {
            // openSUSE's: in the list, but not in the menu.
            "hiddenentry" => self.state.hidden.push((self.state.menu.len(), item)),
            _ => self.state.menu.push(item),
        }
        self.state.status = Status::Ok;
        Flow::Next
    }

    /// The file behind a field.
    pub(super) fn named(&self, field: &Field, place: &Place) -> Result<FilePath, Why> {
        let file = self.file(&field.text, place)?;
        match file.device.as_missing() {
            None => Ok(file),
            Some(name) => Err(Why::at(place, format!("there is no device {name}"))),
        }
    }
}

pub(super) fn without_parentheses(value: &Text) -> Text {
    let pieces = value.pieces();
    let last = pieces.len().saturating_sub(1);
    let mut bare = Text::default();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            TextRun::Known(text) => {
                let text = if at == 0 {
                    text.trim_start_matches('(')
                } else {
                    text
                };
                bare.push_str(if at == last {
                    text.trim_end_matches(')')
                } else {
                    text
                });
            }
            other => bare.push(&Text::from(other.clone())),
        }
    }
    bare
}
