//! GRUB: its configuration language, evaluated before GRUB does it.
//!
//! ```text
//! grub.cfg ──lexer, parser──▶ tree ──eval──▶ menu and variables ──choose──▶ the default, and why
//!                                     ▲
//!                              Devices (files, names)
//! ```
//!
//! The evaluator is a pure function over [`Devices`]. The language is the one of
//! the GNU GRUB manual ("Shell-like scripting", "Commands", "Special environment
//! variables"); where the manual is silent, it is what GRUB 2.06 and later did
//! when they were given a script. What only the running GRUB can know is never
//! guessed: the head of `eval` says how.

mod ast;
mod bytes;
mod choose;
mod configuration;
mod devices;
mod disk;
mod elsewhere;
mod env;
mod eval;
mod find;
pub mod grubenv;
mod inside;
mod inventory;
mod lexer;
mod menu;
mod number;
mod parser;
mod regex;
mod rpm;
#[cfg(test)]
mod tests;
mod text;
mod zfs;

use std::rc::Rc;

pub use devices::{Answer, Devices, FilePath, MemoryDevices, Node, ProbeFor, SearchBy};
pub(super) use find::SOURCE;
pub use menu::{Boot, GrubEntry, Refusal};
pub use text::{Device, Place};

use env::{Env, FEATURES};
use eval::{Evaluator, State};
use menu::{LoadedByEntry, MenuItem};
use text::{Text, Truth, Why};

/// How deep menus may open menus.
const MAX_MENUS: u32 = 8;
/// The variable of the environment block that names an entry for one boot (GRUB
/// manual, "Invoking grub-reboot").
pub const NEXT_ENTRY: &str = "next_entry";

/// What GRUB knows of the machine without asking a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrubPlatform {
    /// `$grub_platform`: `pc` or `efi` ...
    pub platform: String,
    /// `$grub_cpu`: `i386`, `x86_64`, `arm64` ...
    pub cpu: String,
    /// Whether the processor has 64 bits.
    pub long_mode: Option<bool>,
    /// Whether the firmware can be told to open its setup.
    pub firmware_setup: Option<bool>,
}

/// Where GRUB begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The configuration file that it reads first.
    pub config: FilePath,
    /// `$prefix`, whose device is `$root`.
    pub prefix: FilePath,
    /// `$cmdpath`, if it is known.
    pub cmdpath: Option<FilePath>,
    /// Whether paths on btrfs begin at the default subvolume, as in openSUSE's
    /// GRUB (`$btrfs_relative_path`), and not at the top of the file system.
    pub relative: bool,
}

/// The entry that GRUB would boot, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrubDefault {
    /// Its number in the menu, as [`GrubEntry::number`] has it.
    pub number: String,
    /// The title, as the menu shows it.
    pub title: String,
    /// What it boots.
    pub boot: Result<Boot, Refusal>,
    /// Why it is the default, for people.
    pub why: String,
    /// The line that set `default`.
    pub place: Option<Place>,
    /// The variables that `default` was set from: `saved_entry`, `next_entry`.
    pub through: Vec<String>,
    /// What GRUB would have written into its environment block on the way.
    pub saves: Vec<Save>,
}

/// A variable that GRUB would write into an environment block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    /// The environment block that is written to.
    pub file: FilePath,
    /// The name of the variable.
    pub name: String,
    /// Its value; `?` stands for what is not known.
    pub value: String,
}

/// What became of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The entries of the menu, in their order.
    pub entries: Vec<GrubEntry>,
    /// The entry that is booted when nobody is there.
    pub default: Result<GrubDefault, Refusal>,
    /// `$fallback`: what is booted when the default fails.
    pub fallback: Option<String>,
    /// What `echo` printed, in the order of the run.
    pub messages: Vec<String>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Runs a configuration and says what GRUB would make of it.
pub fn evaluate(devices: &dyn Devices, platform: &GrubPlatform, start: &Start) -> Evaluation {
    let mut evaluator = Evaluator::new(devices, platform, environment(platform, start));
    evaluator.enter(&with_device(&start.config));
    let place = Place {
        file: devices.shown(&start.config).into(),
        line: 1,
    };
    match evaluator.file(&with_device(&start.config), &place) {
        Ok(file) => read_and_run(&mut evaluator, &file, &place),
        Err(why) => evaluator.lose(why),
    }
    let state = evaluator.state.clone();
    let default = default(&mut evaluator, &state, &place);
    evaluator.state = state.clone();
    let entries = entries(&mut evaluator, &state, &MenuPosition::default());
    let fallback = state.env.get("fallback");
    let fallback = fallback.why_unknown().is_none().then_some(fallback);
    let fallback = fallback.map(|text| bytes::shown(&text.to_string()));
    Evaluation {
        entries,
        fallback: fallback.filter(|fallback| !fallback.is_empty()),
        warnings: warnings(&evaluator, &state, &default),
        messages: evaluator.messages,
        default,
    }
}

/// What GRUB sets before it reads its first line.
fn environment(platform: &GrubPlatform, start: &Start) -> Env {
    let mut env = Env::default();
    for feature in FEATURES {
        env.set_exported(feature, Text::known("y"));
    }
    env.set_exported("grub_platform", Text::known(&platform.platform));
    env.set_exported("grub_cpu", Text::known(&platform.cpu));
    let root = start.prefix.device.clone();
    env.set_exported("root", Text::device(root));
    env.set_exported("prefix", with_device(&start.prefix));
    if let Some(cmdpath) = &start.cmdpath {
        env.set_exported("cmdpath", with_device(cmdpath));
    }
    if start.relative {
        env.set_exported("btrfs_relative_path", Text::known("y"));
    }
    for name in ["default", "chosen", "timeout"] {
        env.export(name);
    }
    env
}

/// A file as GRUB writes it: `(device)/path`.
fn with_device(file: &FilePath) -> Text {
    let mut path = Text::known("(");
    path.push(&Text::device(file.device.clone()));
    path.push_str(")");
    path.push_str(&file.path);
    path
}

fn read_and_run(evaluator: &mut Evaluator<'_>, file: &FilePath, place: &Place) {
    match evaluator.read_text(file, place) {
        Answer::Is(text) => {
            let shown: Rc<str> = evaluator.devices.shown(file).into();
            evaluator.run_file(&shown, &text);
        }
        Answer::No => {
            let shown = evaluator.devices.shown(file);
            evaluator.lose(Why::at(place, format!("there is no file {shown}")));
        }
        Answer::Unknown(why) => evaluator.lose(Why::at(place, why)),
    }
}

fn warnings(
    evaluator: &Evaluator<'_>,
    state: &State,
    default: &Result<GrubDefault, Refusal>,
) -> Vec<String> {
    let mut warnings = evaluator.warnings.clone();
    warnings.dedup();
    if let Some(why) = &state.lost {
        warnings.push(format!("what follows is unknown: {why}"));
    }
    let timeout = state.env.get("timeout").to_string();
    if default.is_ok() && matches!(timeout.as_str(), "" | "-1") {
        warnings.push("GRUB waits at its menu forever: $timeout is not set, or -1".to_owned());
    }
    warnings
}

/// Where a menu is: the numbers and ids of the submenus that lead to it.
#[derive(Debug, Clone, Default)]
struct MenuPosition {
    number: String,
    path: String,
    depth: u32,
}

impl MenuPosition {
    fn within(&self, index: usize, item: &MenuItem) -> MenuPosition {
        let join = |outer: &str, inner: String| match outer {
            "" => inner,
            outer => format!("{outer}>{inner}"),
        };
        MenuPosition {
            number: join(&self.number, index.to_string()),
            path: join(&self.path, choose::escaped(&item.id.to_string())),
            depth: self.depth.saturating_add(1),
        }
    }
}

/// What every entry of a menu would boot.
fn entries(
    evaluator: &mut Evaluator<'_>,
    state: &State,
    position: &MenuPosition,
) -> Vec<GrubEntry> {
    let mut all = Vec::new();
    for (index, item) in state.menu.iter().enumerate() {
        let here = position.within(index, item);
        open(evaluator, state, item, &here.path, "");
        let boot = match (&evaluator.state.lost, item.submenu) {
            (_, true) if here.depth >= MAX_MENUS => {
                Err(Why::at(&item.place, "submenus are nested too deep").into())
            }
            (_, true) => {
                let inner = evaluator.state.clone();
                Ok(Boot::Submenu(entries(evaluator, &inner, &here)))
            }
            (_, false) => booted(evaluator, item),
        };
        all.push(GrubEntry {
            place: item.place.clone(),
            title: bytes::shown(&item.title.to_string()),
            id: bytes::shown(&item.id.to_string()),
            locked: locked(state, item),
            doubt: item.doubt.as_ref().map(Refusal::from),
            boot,
            number: here.number,
            path: bytes::shown(&here.path),
        });
    }
    all
}

/// What the entry whose body was just run boots.
fn booted(evaluator: &Evaluator<'_>, item: &MenuItem) -> Result<Boot, Refusal> {
    match item.broken.as_ref().or(evaluator.state.lost.as_ref()) {
        Some(why) => Err(why.into()),
        None => evaluator.state.loaded.boot(&item.place),
    }
}

/// Whether GRUB asks for a password: with `superusers` set, everywhere but in
/// entries that are `--unrestricted`. Where that is not known, nothing is claimed.
fn locked(state: &State, item: &MenuItem) -> bool {
    state.env.get("superusers").has_characters() == Truth::Yes && !item.unrestricted
}

/// Runs the body of an entry in the state that its menu left behind: an entry
/// with all variables, a submenu with the exported ones only.
fn open(evaluator: &mut Evaluator<'_>, state: &State, item: &MenuItem, path: &str, default: &str) {
    evaluator.state = state.clone();
    // Where the menu's own run was lost, the variables are forgotten; an entry
    // that uses none of them is known all the same.
    evaluator.state.lost = None;
    evaluator.pay(state.env.weight().saturating_add(1), &item.place);
    evaluator.state.loaded = LoadedByEntry::Nothing;
    evaluator.state.menu.clear();
    evaluator.state.hidden.clear();
    evaluator.state.params = Some(item.params.clone());
    if item.submenu {
        evaluator.state.env = state.env.inherited();
    }
    evaluator
        .state
        .env
        .set_exported("chosen", Text::known(path));
    evaluator
        .state
        .env
        .set_exported("default", Text::known(default));
    evaluator.in_entry = !item.submenu;
    evaluator.run_block(&item.body);
    evaluator.in_entry = false;
}

/// Follows `default` into submenus and other configuration files.
fn default(
    evaluator: &mut Evaluator<'_>,
    state: &State,
    place: &Place,
) -> Result<GrubDefault, Refusal> {
    let variable = state.env.variable("default");
    let origin = variable.and_then(|variable| variable.origin.clone());
    let value = bytes::shown(&state.env.get("default").to_string());
    let mut menu = state.clone();
    let mut position = MenuPosition::default();
    let mut fits = true;
    for _ in 0..MAX_MENUS {
        let at = menu.env.variable("default").and_then(|v| v.origin.as_ref());
        let at = at.map_or(place, |origin| &origin.place).clone();
        let wanted = menu.env.get("default");
        if let (Some(why), true) = (&menu.lost, wanted.why_unknown().is_some()) {
            return Err(why.into());
        }
        let fedora = evaluator.is_fedoras(&menu, &at);
        let picked = choose::pick(&menu.menu, &menu.hidden, &wanted, fedora, &at)?;
        fits &= !picked.nothing_fits;
        let Some(item) = menu.menu.get(picked.index).cloned() else {
            return Err(Why::at(place, "the menu has no entries").into());
        };
        position = position.within(picked.index, &item);
        open(evaluator, &menu, &item, &position.path, &picked.rest);
        match (&evaluator.state.loaded, item.submenu) {
            (LoadedByEntry::Menu { file, named, .. }, false) => {
                let (file, named) = (file.clone(), named.clone());
                open_file(evaluator, &file, &named, &item.place);
            }
            (_, true) => {}
            (_, false) => {
                return Ok(GrubDefault {
                    title: bytes::shown(&item.title.to_string()),
                    boot: booted(evaluator, &item),
                    why: because(&value, origin.as_ref(), fits),
                    place: origin.as_ref().map(|origin| origin.place.clone()),
                    through: origin.map(|origin| origin.through).unwrap_or_default(),
                    saves: saves(&evaluator.state),
                    number: position.number,
                });
            }
        }
        menu = evaluator.state.clone();
    }
    Err(Why::at(place, "menus open each other without end").into())
}

/// The menu that an entry opens with `configfile`.
fn open_file(evaluator: &mut Evaluator<'_>, file: &FilePath, named: &Text, place: &Place) {
    evaluator.state.menu.clear();
    evaluator.state.hidden.clear();
    evaluator.state.loaded = LoadedByEntry::Nothing;
    evaluator.enter(named);
    read_and_run(evaluator, file, place);
}

fn because(value: &str, origin: Option<&env::ValueOrigin>, fits: bool) -> String {
    let mut text = match (value, origin) {
        ("", None) => return "the first entry: `default` is not set".to_owned(),
        ("", Some(origin)) => format!("the first entry: `default` is empty ({})", origin.place),
        (value, None) => format!("`default` is {value:?}"),
        (value, Some(origin)) => format!("`default` is {value:?} ({})", origin.place),
    };
    if let Some(origin) = origin {
        let names: Vec<String> = origin
            .through
            .iter()
            .map(|name| format!("${name}"))
            .collect();
        if !names.is_empty() {
            text.push_str(&format!(", from {}", names.join(", ")));
        }
    }
    if !fits {
        text.push_str("; no entry has that name, so GRUB takes the first one");
    }
    text
}

fn saves(state: &State) -> Vec<Save> {
    let save = |((file, name), value): (&(FilePath, String), &Option<Text>)| Save {
        file: file.clone(),
        name: name.clone(),
        value: value
            .as_ref()
            .map_or_else(String::new, |value| bytes::shown(&value.to_string())),
    };
    state.saved.iter().map(save).collect()
}
