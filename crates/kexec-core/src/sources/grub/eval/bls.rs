//! `blscfg`: entries from files of the Boot Loader Specification.
//!
//! Two programs have this name. Fedora's (its page "Changes/
//! BootLoaderSpecByDefault", rhboot/grub2 pull requests 10 to 36) takes
//! `$blsdir`, else `/loader/entries` and without one `/boot/loader/entries`, and
//! sorts by the file names as RPM sorts packages. GRUB 2.14's (its manual,
//! "blscfg") takes options, and sorts by the file names as RPM sorts versions,
//! whatever sort keys and versions the entries have (seen in QEMU). Which one it
//! is, the modules in `$prefix` say, or the `insmod` before it; where that is not
//! known and the two would sort differently, an entry has no number.

use std::cmp::Ordering;
use std::rc::Rc;

use super::super::ast::{Block, Kind, Part, Simple, Statement, Word};
use super::super::lexer::{Lexer, Token};
use super::super::menu::Item;
use super::super::rpm;
use super::super::text::{Device, Piece, Place, Text, Why};
use super::super::world::{Answer, FilePath};
use super::{Call, Field, Flow, MAX_ENTRIES, Machine, Status};
use crate::sources::bls::entry::{self, Entry, Value};

/// No file of an entry is larger than this.
const MAX_FILE: usize = 64 << 10;
/// Where entries are.
const ENTRIES: &str = "/loader/entries";
/// Where Fedora's looks when there are none.
const ENTRIES_BELOW_BOOT: &str = "/boot/loader/entries";

/// Whose `blscfg` it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Fedora,
    Upstream,
}

/// A file with an entry.
struct Snippet {
    /// The file name without `.conf`.
    id: String,
    shown: Rc<str>,
    entry: Entry,
}

/// What the command was asked.
#[derive(Default)]
struct Options {
    path: Option<String>,
    fallback: bool,
    only: Option<String>,
    /// Something that selects entries by what is the default.
    filtered: bool,
}

impl Machine<'_> {
    pub(super) fn blscfg(&mut self, call: &Call<'_>) -> Flow {
        let added = self.options(call).and_then(|options| {
            let dialect = self.dialect(call.place);
            self.state.bls = dialect;
            let dialect = match (options.path.is_some(), options.fallback) {
                // Only one of the two has options.
                (false, false) => dialect,
                _ => Some(Dialect::Upstream),
            };
            let (device, snippets) = self.snippets(&options, dialect, call)?;
            Ok((device, sorted(snippets, dialect, call.place)))
        });
        match added {
            Err(why) => self.lose(why),
            Ok((device, (snippets, unsure))) => {
                self.state.status = match snippets.is_empty() {
                    true => Status::Unknown(Why::at(call.place, "what blscfg returns")),
                    false => Status::Ok,
                };
                for snippet in snippets {
                    self.add(&snippet, &device, unsure.clone(), call);
                }
            }
        }
        Flow::Next
    }

    fn options(&self, call: &Call<'_>) -> Result<Options, Why> {
        if let Some(why) = call.loose() {
            return Err(why.clone());
        }
        let mut options = Options::default();
        let mut args = call.args.iter();
        while let Some(arg) = args.next() {
            match arg.characters(call.place)? {
                "-p" | "--path" => options.path = args.next().map(|arg| arg.known().to_owned()),
                "-f" | "--enable-fallback" => options.fallback = true,
                "-e" | "--entry" => options.only = args.next().map(|arg| arg.known().to_owned()),
                "-d" | "--show-default" | "-n" | "--show-non-default" => options.filtered = true,
                other => match other.split_once('=') {
                    Some(("--path", path)) => options.path = Some(path.to_owned()),
                    Some(("--entry", entry)) => options.only = Some(entry.to_owned()),
                    _ => options.filtered = true,
                },
            }
        }
        if options.filtered || options.only.is_some() {
            let what = "blscfg with options that select entries is not understood here";
            return Err(Why::at(call.place, what));
        }
        Ok(options)
    }

    /// Which of the two it is, if that is known.
    fn dialect(&self, place: &Place) -> Option<Dialect> {
        let facts = self.facts;
        let there = |module: &str| {
            let mut path = self.state.env.get("prefix");
            path.push_str(&format!("/{}-{}/{module}.mod", facts.cpu, facts.platform));
            let file = self.file(&path, place).ok()?;
            matches!(self.world.node(&file), Answer::Is(_)).then_some(())
        };
        match (there("blsuki"), there("blscfg")) {
            (Some(()), None) => Some(Dialect::Upstream),
            (None, Some(())) => Some(Dialect::Fedora),
            _ => self.state.bls,
        }
    }

    /// The entries of the first folder that has some.
    fn snippets(
        &mut self,
        options: &Options,
        dialect: Option<Dialect>,
        call: &Call<'_>,
    ) -> Result<(Device, Vec<Snippet>), Why> {
        let configured = self.state.env.get("blsdir");
        let configured = configured.characters(call.place)?.to_owned();
        let mut folders = Vec::new();
        match (&options.path, configured.as_str()) {
            (Some(path), _) => folders.push(path.clone()),
            (None, "") => folders.push(ENTRIES.to_owned()),
            (None, folder) => folders.push(folder.to_owned()),
        }
        if options.fallback {
            folders.push(ENTRIES.to_owned());
        } else if dialect != Some(Dialect::Upstream) && options.path.is_none() {
            folders.push(ENTRIES_BELOW_BOOT.to_owned());
        }
        let mut root = Err(Why::at(call.place, "no device for blscfg is known"));
        for name in ["boot", "root"] {
            let device = self.state.env.get(name);
            if device.is_empty() {
                continue;
            }
            let device = self.device(&device, call.place);
            for folder in &folders {
                let device = device.clone()?;
                let snippets = self.folder(&device, folder, call)?;
                if snippets.is_empty() {
                    continue;
                }
                if dialect.is_none() && folder == ENTRIES_BELOW_BOOT {
                    let what = "whether blscfg looks below /boot depends on GRUB's version";
                    return Err(Why::at(call.place, what));
                }
                return Ok((device, snippets));
            }
            root = device;
        }
        Ok((root?, Vec::new()))
    }

    fn folder(
        &mut self,
        device: &Device,
        folder: &str,
        call: &Call<'_>,
    ) -> Result<Vec<Snippet>, Why> {
        // `--path` may bring its own device.
        let mut path = Text::default();
        if !folder.starts_with('(') {
            path.push_str("(");
            path.push(&Text::device(device.clone()));
            path.push_str(")");
        }
        path.push_str(folder.trim_end_matches('/'));
        let directory = self.file(&path, call.place)?;
        let names = match self.world.list(&directory) {
            Answer::Is(names) => names,
            Answer::No => return Ok(Vec::new()),
            Answer::Unknown(why) => return Err(Why::at(call.place, why)),
        };
        let mut snippets = Vec::new();
        for name in names.iter().take(MAX_ENTRIES) {
            let Some(id) = name.strip_suffix(".conf").filter(|id| !id.is_empty()) else {
                continue;
            };
            let file = FilePath {
                device: directory.device.clone(),
                path: format!("{}/{name}", directory.path),
            };
            self.pay(0, call.place);
            if let Some(why) = &self.state.lost {
                return Err(why.clone());
            }
            match self.world.read(&file, MAX_FILE) {
                Answer::Is(bytes) => snippets.push(Snippet {
                    id: id.to_owned(),
                    shown: self.world.shown(&file).into(),
                    entry: entry::parse(&bytes),
                }),
                Answer::No => {}
                Answer::Unknown(why) => return Err(Why::at(call.place, why)),
            }
        }
        Ok(snippets)
    }

    fn add(&mut self, snippet: &Snippet, device: &Device, unsure: Option<Why>, call: &Call<'_>) {
        if self.state.menu.len() >= MAX_ENTRIES {
            let what = format!("more than {MAX_ENTRIES} entries");
            return self.lose(Why::at(call.place, what));
        }
        let entry = &snippet.entry;
        // An entry without a kernel is none in a menu of kernels.
        let Some(kernel) = &entry.linux else {
            let shown = &snippet.shown;
            self.warnings
                .push(format!("{shown} has no `linux` and is not in the menu"));
            return;
        };
        let place = |value: &Value| Place {
            file: snippet.shown.clone(),
            line: value.line,
        };
        let name = format!("device {}", device.0);
        self.state
            .env
            .set_exported(&name, Text::device(device.clone()));
        let mut doubt = Vec::new();
        let mut words = vec![word("linux"), path(&name, &kernel.text)];
        if entry.options.is_empty() {
            words.push(variable("default_kernelopts"));
        }
        for options in &entry.options {
            match plain_words(&options.text) {
                Ok(more) => words.extend(more),
                Err(what) => doubt.push(Why::at(&place(options), what)),
            }
        }
        let mut body = vec![statement(place(kernel), words)];
        if let Some(first) = entry.initrds.first() {
            let mut words = vec![word("initrd")];
            for initrd in &entry.initrds {
                words.extend(initrd.text.split_whitespace().map(|file| path(&name, file)));
            }
            body.push(statement(place(first), words));
        }
        if let Some(tree) = &entry.devicetree {
            let words = vec![word("devicetree"), path(&name, &tree.text)];
            body.push(statement(place(tree), words));
        }
        for problem in &entry.broken {
            doubt.push(Why::of(format!("{}: {}", snippet.shown, problem.reason)));
        }
        if !self.state.env.get("early_initrd").is_empty() {
            let what = "initrds in $early_initrd are not followed";
            doubt.push(Why::at(call.place, what));
        }
        let title = entry
            .title
            .as_ref()
            .map_or(&snippet.id, |title| &title.text);
        self.state.menu.push(Rc::new(Item {
            place: place(kernel),
            title: Text::known(title),
            id: Text::known(&snippet.id),
            params: vec![Text::known(title)],
            submenu: false,
            unrestricted: self.is_unrestricted(entry),
            body: Rc::new(Block(body)),
            doubt: None,
            unsure_place: unsure,
            broken: doubt.into_iter().next(),
        }));
    }

    /// `grub_arg --unrestricted` and `grub_users`, whose value may be a variable.
    fn is_unrestricted(&self, entry: &Entry) -> bool {
        let value = |key: &str| {
            let found = entry.others.iter().find(|(name, _)| name == key);
            found.map_or("", |(_, value)| value.text.as_str())
        };
        let users = value("grub_users");
        let users = match users.strip_prefix('$') {
            Some(name) => self.state.env.get(name),
            None => Text::known(users),
        };
        users.is_empty() && value("grub_arg").contains("--unrestricted")
    }
}

/// In the order of the menu, and why that may be another one.
fn sorted(
    mut snippets: Vec<Snippet>,
    dialect: Option<Dialect>,
    place: &Place,
) -> (Vec<Snippet>, Option<Why>) {
    let packages = |a: &Snippet, b: &Snippet| rpm::compare_packages(&b.id, &a.id);
    let versions = |a: &Snippet, b: &Snippet| rpm::compare(&b.id, &a.id);
    if dialect == Some(Dialect::Upstream) {
        snippets.sort_by(versions);
        return (snippets, None);
    }
    snippets.sort_by(packages);
    let same = snippets.is_sorted_by(|a, b| versions(a, b) != Ordering::Greater);
    let unsure = (dialect.is_none() && !same)
        .then(|| Why::at(place, "the order of the entries depends on GRUB's version"));
    (snippets, unsure)
}

fn word(text: &str) -> Word {
    Word(vec![literal(text)])
}

fn literal(text: &str) -> Part {
    Part::Literal {
        text: text.to_owned(),
        quoted: true,
    }
}

fn variable(name: &str) -> Word {
    Word(vec![Part::Variable {
        name: name.to_owned(),
        quoted: false,
    }])
}

/// `(device)/path`, the device out of a variable.
fn path(name: &str, path: &str) -> Word {
    Word(vec![
        literal("("),
        Part::Variable {
            name: name.to_owned(),
            quoted: true,
        },
        literal(")"),
        literal(path),
    ])
}

fn statement(place: Place, words: Vec<Word>) -> Statement {
    let simple = Simple {
        negated: false,
        words,
        block: None,
    };
    Statement {
        place,
        kind: Kind::Simple(simple),
    }
}

/// The words of options: GRUB puts them into a script, so that variables are
/// expanded. What quotes and backslashes become depends on its version.
fn plain_words(options: &str) -> Result<Vec<Word>, String> {
    if options.contains(['"', '\'', '\\', ';', '{', '}', '|', '&', '<', '>', '#']) {
        let what = "quotes and signs with a meaning for GRUB in the options are not followed";
        return Err(what.to_owned());
    }
    let mut lexer = Lexer::new(options);
    let mut words = Vec::new();
    loop {
        match lexer.next()?.0 {
            Token::Word(word) => words.push(word),
            _ => return Ok(words),
        }
    }
}

/// What `insmod` tells of whose `blscfg` it is.
pub(super) fn dialect_of(module: &Field) -> Option<Dialect> {
    match module.text.pieces() {
        [Piece::Known(name)] if name == "blscfg" => Some(Dialect::Fedora),
        [Piece::Known(name)] if name == "blsuki" => Some(Dialect::Upstream),
        _ => None,
    }
}
