//! Running a configuration.
//!
//! **What cannot be known.** A value that only the running GRUB knows (a key
//! that is held, an SMBIOS string, its own name of a disk) is [unknown](Text) and
//! stays so wherever it goes. An `if` on such a value takes both ways, each on a
//! copy of the state, and keeps what the two agree on: a variable that they
//! leave different is unknown from there on, an entry that only one of them adds
//! is one that [may not be there](super::menu::MenuItem::doubt). A loop, a `break` or
//! a `return` that hangs on such a value, and a command that nobody knows make the
//! run [lost](State::lost): nothing is run any more, and no variable is known. So nothing is ever guessed, and what does not depend on the
//! unknown is still known.

mod bls;
mod boot;
mod commands;
mod condition;
mod expand;
mod files;
mod item;
mod metered;
mod search;
mod snippet;
mod state;
mod table;

use std::rc::Rc;

use super::ast::{Block, Simple, Statement, StatementKind};
use super::bytes;
use super::devices::{Answer, Devices, FilePath};
use super::env::{Env, ValueOrigin};
use super::parser::Parser;
use super::text::{Place, Text, Truth, Why};
use expand::Field;
use metered::MeteredDevices;
use state::Function;
pub(super) use state::{State, Status};

/// How much a run may do: one for each command and for each 16 bytes that it
/// moves, some for each question to the machine ([`MeteredDevices`]) and for each search
/// of a pattern. Generated configurations of a hundred kernels take some thousands.
pub(super) const FUEL: u64 = 1_000_000;
/// How many bytes cost as much as a command.
pub(super) const BYTES_A_UNIT: usize = 16;
/// How deep commands, functions and files may be in each other.
const MAX_DEPTH: u32 = 96;
/// No value is longer than this many bytes; a kernel's command line has 4096.
const MAX_VALUE: usize = 64 << 10;
/// No configuration file is larger than this many bytes.
pub(super) const MAX_FILE: usize = 4 << 20;
/// No menu has more entries than this.
const MAX_ENTRIES: usize = 4096;
/// What `echo` said is kept up to this many lines.
const MAX_MESSAGES: usize = 1024;
/// And not more warnings than these.
const MAX_WARNINGS: usize = 64;

/// Where control goes after a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flow {
    /// To the next one.
    Next,
    /// Out of this many loops.
    Break(u32),
    /// To the next round of the loop that is this many out.
    Continue(u32),
    /// Out of the function.
    Return,
    /// Nowhere: GRUB boots, or shows another menu.
    Leave,
}

/// One run of a configuration: its state, and what it may still do.
pub(super) struct Evaluator<'w> {
    pub(super) devices: MeteredDevices<'w>,
    pub(super) platform: &'w super::GrubPlatform,
    pub(super) state: State,
    fuel: u64,
    depth: u32,
    /// How many functions are being run.
    calls: u32,
    /// How many loops of the present function are being run.
    loops: u32,
    /// Whether this is the body of a menu entry.
    pub(super) in_entry: bool,
    pub(super) messages: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// A simple command with its words expanded.
pub(super) struct Call<'a> {
    place: &'a Place,
    name: Field,
    args: Vec<Field>,
    through: Vec<String>,
    block: Option<&'a Rc<Block>>,
}

impl Call<'_> {
    /// Why it is not known what its words are, if that is so.
    fn loose(&self) -> Option<&Why> {
        self.args.iter().find_map(Field::loose)
    }

    fn origin(&self) -> ValueOrigin {
        ValueOrigin {
            place: self.place.clone(),
            through: self.through.clone(),
            block: None,
        }
    }
}

impl<'w> Evaluator<'w> {
    /// An evaluator that begins with these variables.
    pub(super) fn new(
        devices: &'w dyn Devices,
        platform: &'w super::GrubPlatform,
        env: Env,
    ) -> Evaluator<'w> {
        Evaluator {
            devices: MeteredDevices::new(devices),
            platform,
            state: State::new(env),
            fuel: FUEL,
            depth: 0,
            calls: 0,
            loops: 0,
            in_entry: false,
            messages: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Gives up on everything from here on.
    pub(super) fn lose(&mut self, why: Why) {
        if self.state.lost.is_none() {
            self.state.env.forget(&why);
            self.state.status = Status::Unknown(why.clone());
            self.state.lost = Some(why);
        }
    }

    /// Pays for something, and for what was asked of the devices until now; without
    /// fuel the run is lost.
    pub(super) fn pay(&mut self, fuel: u64, place: &Place) {
        let fuel = fuel.saturating_add(self.devices.owed());
        self.fuel = self.fuel.saturating_sub(fuel);
        if self.fuel == 0 {
            self.lose(Why::at(place, "the configuration does not come to an end"));
        }
    }

    /// Parses and runs the text of a file in the present context.
    pub(super) fn run_file(&mut self, file: &Rc<str>, text: &str) -> Flow {
        self.run_lines(Parser::of_file(file.clone(), text))
    }

    /// As [`run_file`](Evaluator::run_file), for a text that is no file.
    pub(super) fn run_text(&mut self, file: &Rc<str>, text: &str) -> Flow {
        self.run_lines(Parser::new(file.clone(), text))
    }

    fn run_lines(&mut self, mut parser: Parser<'_>) -> Flow {
        while self.state.lost.is_none() {
            let block = match parser.line() {
                Ok(None) => break,
                Ok(Some(block)) => block,
                // GRUB prints an error and goes on behind it.
                Err((place, what)) => {
                    self.pay(1, &place);
                    self.warn(format!(
                        "{place}: syntax error: {what}; GRUB leaves out this command and the rest of its line"
                    ));
                    parser.recover()
                }
            };
            match self.run_block(&block) {
                Flow::Leave => return Flow::Leave,
                // Outside of loops and functions these do nothing.
                Flow::Next | Flow::Break(_) | Flow::Continue(_) | Flow::Return => {}
            }
        }
        Flow::Next
    }

    /// Keeps something that the user should know.
    pub(super) fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Runs commands one after the other.
    pub(super) fn run_block(&mut self, block: &Block) -> Flow {
        for statement in &block.0 {
            if self.state.lost.is_some() {
                break;
            }
            match self.run(statement) {
                Flow::Next => {}
                other => return other,
            }
        }
        Flow::Next
    }

    fn run(&mut self, statement: &Statement) -> Flow {
        self.pay(1, &statement.place);
        if self.depth >= MAX_DEPTH {
            let what = format!("more than {MAX_DEPTH} commands and functions within each other");
            self.lose(Why::at(&statement.place, what));
        }
        if self.state.lost.is_some() {
            return Flow::Next;
        }
        self.depth = self.depth.saturating_add(1);
        let place = &statement.place;
        let flow = match &statement.kind {
            StatementKind::Simple(simple) => self.simple(simple, place),
            StatementKind::If { arms, otherwise } => self.conditional(arms, otherwise.as_ref()),
            StatementKind::For { name, words, body } => self.iteration(name, words, body, place),
            StatementKind::While {
                until,
                condition,
                body,
            } => self.repetition(*until, condition, body, place),
            StatementKind::Function { name, body } => {
                let function = Function::Known(body.clone());
                self.state.functions.insert(name.clone(), function);
                Flow::Next
            }
        };
        self.depth = self.depth.saturating_sub(1);
        flow
    }

    fn simple(&mut self, simple: &Simple, place: &Place) -> Flow {
        let mut fields = Vec::new();
        let mut through = Vec::new();
        for word in &simple.words {
            fields.extend(self.expand(word, place, &mut through));
        }
        if self.state.lost.is_some() {
            return Flow::Next;
        }
        // A command that expands to nothing is none.
        let mut fields = fields.into_iter();
        let Some(name) = fields.next() else {
            return Flow::Next;
        };
        let call = Call {
            place,
            name,
            args: fields.collect(),
            through,
            block: simple.block.as_ref(),
        };
        let Some(flow) = self.call(&call) else {
            return Flow::Next;
        };
        if simple.negated && flow == Flow::Next {
            self.state.status = Status::of(self.state.status.truth().negated());
        }
        flow
    }

    /// Runs a command; `None` where it is none.
    fn call(&mut self, call: &Call<'_>) -> Option<Flow> {
        if let Some((name, value)) = commands::assignment(&call.name) {
            self.assign(name, value, call);
            return Some(Flow::Next);
        }
        let name = match call.name.text.characters(call.place) {
            Ok(name) => name.to_owned(),
            Err(why) => {
                self.lose(why);
                return None;
            }
        };
        if let Some(flow) = self.command(&name, call) {
            return Some(flow);
        }
        match self.state.functions.get(&name).cloned() {
            Some(Function::Known(body)) => Some(self.function(&body, call)),
            Some(Function::Unsure(why)) => {
                self.lose(why);
                None
            }
            None => {
                self.unknown_command(&name, call.place);
                None
            }
        }
    }

    fn function(&mut self, body: &Block, call: &Call<'_>) -> Flow {
        let params = match call.loose() {
            Some(why) => vec![Text::unknown(why.clone())],
            None => call.args.iter().map(|arg| arg.text.clone()).collect(),
        };
        let outer = self.state.params.replace(params);
        let loops = std::mem::take(&mut self.loops);
        self.calls = self.calls.saturating_add(1);
        let flow = self.run_block(body);
        self.calls = self.calls.saturating_sub(1);
        self.loops = loops;
        self.state.params = outer;
        match flow {
            Flow::Leave => Flow::Leave,
            _ => Flow::Next,
        }
    }

    fn conditional(&mut self, arms: &[(Block, Block)], otherwise: Option<&Block>) -> Flow {
        let mut rest = arms;
        while let Some(((condition, body), others)) = rest.split_first() {
            rest = others;
            match self.run_block(condition) {
                Flow::Next => {}
                other => return other,
            }
            if self.state.lost.is_some() {
                return Flow::Next;
            }
            match self.state.status.truth() {
                Truth::Yes => return self.run_block(body),
                Truth::No => {}
                Truth::Unknown(why) => {
                    return self.both_ways(
                        &why,
                        |machine| machine.run_block(body),
                        |machine| machine.deeper(&why, |m| m.conditional(others, otherwise)),
                    );
                }
            }
        }
        match otherwise {
            Some(block) => self.run_block(block),
            None => {
                self.state.status = Status::Ok;
                Flow::Next
            }
        }
    }

    /// One step further down the stack, which has an end.
    fn deeper(&mut self, why: &Why, step: impl FnOnce(&mut Self) -> Flow) -> Flow {
        if self.depth >= MAX_DEPTH {
            self.lose(why.clone());
            return Flow::Next;
        }
        self.depth = self.depth.saturating_add(1);
        let flow = step(self);
        self.depth = self.depth.saturating_sub(1);
        flow
    }

    /// Does one thing on a copy and the other on the state itself, and keeps
    /// what both agree on.
    fn both_ways(
        &mut self,
        why: &Why,
        one: impl FnOnce(&mut Self) -> Flow,
        other: impl FnOnce(&mut Self) -> Flow,
    ) -> Flow {
        let copy = self.state.clone();
        let weight = copy.env.weight() + u64::try_from(copy.menu.len()).unwrap_or(u64::MAX);
        self.fuel = self.fuel.saturating_sub(weight);
        let before = copy.menu.len();
        let first = one(self);
        let left = std::mem::replace(&mut self.state, copy);
        let second = other(self);
        let right = std::mem::replace(&mut self.state, left);
        self.state.join(right, before, why);
        if first != second {
            self.lose(why.clone());
            return Flow::Next;
        }
        first
    }

    fn iteration(
        &mut self,
        name: &str,
        words: &[super::ast::Word],
        body: &Block,
        place: &Place,
    ) -> Flow {
        let mut through = Vec::new();
        let mut items = Vec::new();
        for word in words {
            items.extend(self.expand(word, place, &mut through));
        }
        if let Some(why) = items.iter().find_map(Field::loose).cloned() {
            self.lose(why);
            return Flow::Next;
        }
        self.state.status = Status::Ok;
        for item in items {
            let origin = ValueOrigin {
                place: place.clone(),
                through: through.clone(),
                block: None,
            };
            self.state.env.set(name, item.text, Some(origin));
            match self.round(body) {
                Round::Again => {}
                Round::Done => break,
                Round::Out(flow) => return flow,
            }
        }
        Flow::Next
    }

    fn repetition(&mut self, until: bool, condition: &Block, body: &Block, place: &Place) -> Flow {
        while self.state.lost.is_none() {
            self.pay(1, place);
            match self.run_block(condition) {
                Flow::Next => {}
                other => return other,
            }
            let truth = self.state.status.truth();
            match if until { truth.negated() } else { truth } {
                Truth::Yes => {}
                Truth::No => break,
                Truth::Unknown(why) => {
                    self.lose(why);
                    break;
                }
            }
            match self.round(body) {
                Round::Again => {}
                Round::Done => break,
                Round::Out(flow) => return flow,
            }
        }
        // The status is that of the condition, or of the `break`.
        Flow::Next
    }

    fn round(&mut self, body: &Block) -> Round {
        self.loops = self.loops.saturating_add(1);
        let flow = self.run_block(body);
        self.loops = self.loops.saturating_sub(1);
        match flow {
            _ if self.state.lost.is_some() => Round::Done,
            Flow::Next | Flow::Continue(0 | 1) => Round::Again,
            Flow::Break(0 | 1) => Round::Done,
            Flow::Continue(out) => Round::Out(Flow::Continue(out.saturating_sub(1))),
            Flow::Break(out) => Round::Out(Flow::Break(out.saturating_sub(1))),
            flow @ (Flow::Return | Flow::Leave) => Round::Out(flow),
        }
    }

    /// Reads a file of text.
    pub(super) fn read_text(&mut self, file: &FilePath, place: &Place) -> Answer<String> {
        let answer = self.devices.read(file, MAX_FILE);
        self.pay(0, place);
        answer.map(|bytes| bytes::decode(&bytes))
    }
}

/// What a round of a loop leads to.
enum Round {
    Again,
    Done,
    Out(Flow),
}
