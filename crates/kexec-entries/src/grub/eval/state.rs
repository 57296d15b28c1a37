//! Everything that a command can change, and what is left of two ways that a run
//! may have taken.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::ast::Block;
use super::super::devices::FilePath;
use super::super::env::Env;
use super::super::menu::{LoadedByEntry, MenuItem};
use super::super::text::{Device, Text, Truth, Why};
use super::bls::Dialect;

/// What a command answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Status {
    /// It succeeded: 0.
    Ok,
    /// It failed; with the number, where that is known.
    Failed(Option<u32>),
    /// This cannot be known.
    Unknown(Why),
}

impl Status {
    pub(super) fn of(truth: Truth) -> Status {
        match truth {
            Truth::Yes => Status::Ok,
            Truth::No => Status::Failed(Some(1)),
            Truth::Unknown(why) => Status::Unknown(why),
        }
    }

    pub(in super::super) fn truth(&self) -> Truth {
        match self {
            Status::Ok => Truth::Yes,
            Status::Failed(_) => Truth::No,
            Status::Unknown(why) => Truth::Unknown(why.clone()),
        }
    }
}

/// A function: known, or defined in two ways at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Function {
    Known(Rc<Block>),
    Unsure(Why),
}

/// The variables of environment blocks as `save_env` leaves them.
pub(in super::super) type Saved = BTreeMap<(FilePath, String), Option<Text>>;

/// Everything that a command can change.
#[derive(Debug, Clone)]
pub(in super::super) struct State {
    pub(in super::super) env: Env,
    pub(super) functions: BTreeMap<String, Function>,
    pub(in super::super) menu: Vec<Rc<MenuItem>>,
    /// Entries that only a key starts, each with its place among the others.
    pub(in super::super) hidden: Vec<(usize, Rc<MenuItem>)>,
    pub(in super::super) params: Option<Vec<Text>>,
    pub(in super::super) status: Status,
    pub(in super::super) saved: Saved,
    pub(in super::super) loaded: LoadedByEntry,
    /// Whether the module that expands wildcards is known to be there.
    pub(super) wildcards: bool,
    /// Paths on a device that lead into a subvolume of it.
    pub(super) subvolumes: Vec<(Device, String, String)>,
    /// Whose `blscfg` was loaded, if that is known.
    pub(super) bls: Option<Dialect>,
    /// Whether `blscfg` was run.
    pub(super) bls_ran: bool,
    pub(in super::super) lost: Option<Why>,
}

impl State {
    pub(super) fn new(env: Env) -> State {
        State {
            env,
            functions: BTreeMap::new(),
            menu: Vec::new(),
            hidden: Vec::new(),
            params: None,
            status: Status::Ok,
            saved: Saved::new(),
            loaded: LoadedByEntry::Nothing,
            wildcards: false,
            subvolumes: Vec::new(),
            bls: None,
            bls_ran: false,
            lost: None,
        }
    }

    /// Keeps what this state and the other agree on; `before` is how many
    /// entries there were when they parted.
    pub(super) fn join(&mut self, other: State, before: usize, why: &Why) {
        let env = std::mem::take(&mut self.env);
        self.env = env.join(other.env, why);
        self.join_menu(other.menu, before, why);
        for hidden in other.hidden {
            if !self.hidden.contains(&hidden) {
                self.hidden.push(hidden);
            }
        }
        join_maps(&mut self.functions, other.functions, || {
            Function::Unsure(why.clone())
        });
        join_maps(&mut self.saved, other.saved, || {
            Some(Text::unknown(why.clone()))
        });
        if self.status != other.status {
            self.status = Status::Unknown(why.clone());
        }
        if self.params != other.params {
            self.params = Some(vec![Text::unknown(why.clone())]);
        }
        if self.loaded != other.loaded {
            self.loaded = LoadedByEntry::Unknown(why.clone());
        }
        if self.subvolumes != other.subvolumes {
            self.lost.get_or_insert_with(|| why.clone());
        }
        self.wildcards &= other.wildcards;
        self.bls_ran |= other.bls_ran;
        self.bls = self.bls.filter(|bls| other.bls == Some(*bls));
        if let Some(why) = other.lost.filter(|_| self.lost.is_none()) {
            self.env.forget(&why);
            self.lost = Some(why);
        }
    }

    fn join_menu(&mut self, other: Vec<Rc<MenuItem>>, before: usize, why: &Why) {
        if self.menu == other {
            return;
        }
        let ours = self.menu.split_off(before.min(self.menu.len()));
        let theirs = other.into_iter().skip(before);
        for item in ours.into_iter().chain(theirs) {
            let mut item = (*item).clone();
            item.doubt.get_or_insert_with(|| why.clone());
            self.menu.push(Rc::new(item));
        }
    }
}

fn join_maps<K: Ord + Clone, V: PartialEq>(
    ours: &mut BTreeMap<K, V>,
    mut theirs: BTreeMap<K, V>,
    unsure: impl Fn() -> V,
) {
    for (key, value) in ours.iter_mut() {
        if theirs.remove(key).as_ref() != Some(value) {
            *value = unsure();
        }
    }
    ours.extend(theirs.into_keys().map(|key| (key, unsure())));
}
