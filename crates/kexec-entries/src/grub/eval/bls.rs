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

use super::super::ast::{Block, Statement, StatementKind, WordPart};
use super::super::bytes;
use super::super::devices::{Answer, FilePath};
use super::super::menu::MenuItem;
use super::super::rpm;
use super::super::text::{Device, Place, Text, TextRun, Why};
use super::snippet::{self, BlscfgKey, Keys};
use super::{BYTES_A_UNIT, Call, Evaluator, Field, Flow, MAX_ENTRIES, MAX_VALUE, State, Status};

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
    text: String,
    /// Another file's name sorts as this one: which of them GRUB keeps, the order of
    /// the files in their folder decides.
    doubled: bool,
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

impl Evaluator<'_> {
    pub(super) fn blscfg(&mut self, call: &Call<'_>) -> Flow {
        let added = self.options(call).and_then(|options| {
            let dialect = self.dialect(call.place);
            self.state.bls = dialect;
            self.state.bls_ran = true;
            let dialect = match (options.path.is_some(), options.fallback) {
                // Only one of the two has options.
                (false, false) => dialect,
                _ => Some(Dialect::Upstream),
            };
            let (device, snippets) = self.snippets(&options, dialect, call)?;
            Ok((device, dialect, sorted(snippets, dialect, call.place)))
        });
        match added {
            Err(why) => self.lose(why),
            Ok((device, dialect, (snippets, unsure))) => {
                self.state.status = match snippets.is_empty() {
                    true => Status::Unknown(Why::at(call.place, "what blscfg returns")),
                    false => Status::Ok,
                };
                for snippet in snippets {
                    self.add(&snippet, &device, dialect, unsure.clone(), call);
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

    fn has_module(&self, module: &str, place: &Place) -> bool {
        let facts = self.platform;
        let mut path = self.state.env.get("prefix");
        path.push_str(&format!("/{}-{}/{module}.mod", facts.cpu, facts.platform));
        let file = self.file(&path, place).ok();
        file.is_some_and(|file| matches!(self.devices.node(&file), Answer::Is(_)))
    }

    /// Which of the two it is, if that is known.
    fn dialect(&self, place: &Place) -> Option<Dialect> {
        let there = |module: &str| self.has_module(module, place);
        match (there("blsuki"), there("blscfg")) {
            (true, false) => Some(Dialect::Upstream),
            (false, true) => Some(Dialect::Fedora),
            _ => self.state.bls,
        }
    }

    /// Whether it is Fedora's GRUB, if that is known: by its `blscfg`, by its modules,
    /// and by its folder, which Fedora calls `grub2`.
    pub(super) fn whose(&self, place: &Place) -> Option<bool> {
        if let Some(dialect) = self.dialect(place) {
            return Some(dialect == Dialect::Fedora);
        }
        if self.has_module("normal", place) {
            return Some(false);
        }
        let folder = self.state.env.get("prefix").to_string();
        (!self.state.bls_ran && folder.ends_with("/grub")).then_some(false)
    }

    /// As [`whose`](Evaluator::whose), of the GRUB that shows a menu.
    pub(in super::super) fn is_fedoras(&mut self, state: &State, place: &Place) -> Option<bool> {
        self.state = state.clone();
        self.whose(place)
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
        let mut root = Err(Why::at(call.place, "the device for blscfg is unknown"));
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
        let names = match self.devices.list(&directory) {
            Answer::Is(names) => names,
            Answer::No => return Ok(Vec::new()),
            Answer::Unknown(why) => return Err(Why::at(call.place, why)),
        };
        let mut snippets = Vec::new();
        for name in &names {
            let id = name.strip_suffix(".conf");
            let Some(id) = id.filter(|id| !id.is_empty() && !id.starts_with('.')) else {
                continue;
            };
            if snippets.len() >= MAX_ENTRIES {
                let what = format!("blscfg: there are more than {MAX_ENTRIES} entries");
                return Err(Why::at(call.place, what));
            }
            let file = FilePath {
                device: directory.device.clone(),
                path: format!("{}/{name}", directory.path),
            };
            self.pay(0, call.place);
            if let Some(why) = &self.state.lost {
                return Err(why.clone());
            }
            match self.devices.read(&file, MAX_FILE) {
                Answer::Is(bytes) => snippets.push(Snippet {
                    id: id.to_owned(),
                    shown: self.devices.shown(&file).into(),
                    text: bytes::decode(&bytes),
                    doubled: false,
                }),
                Answer::No => {}
                Answer::Unknown(why) => return Err(Why::at(call.place, why)),
            }
        }
        Ok(snippets)
    }

    fn add(
        &mut self,
        snippet: &Snippet,
        device: &Device,
        dialect: Option<Dialect>,
        unsure: Option<Why>,
        call: &Call<'_>,
    ) {
        if self.state.menu.len() >= MAX_ENTRIES {
            let what = format!("more than {MAX_ENTRIES} entries");
            return self.lose(Why::at(call.place, what));
        }
        let keys = Keys::read(&snippet.text, dialect.unwrap_or(Dialect::Fedora));
        let mut broken = None;
        if dialect.is_none() && keys != Keys::read(&snippet.text, Dialect::Upstream) {
            let what = format!(
                "{}: what its lines say depends on GRUB's version",
                snippet.shown
            );
            broken = Some(Why::of(what));
        }
        // An entry without a kernel is none in a menu of kernels.
        let Some(kernel) = keys.first("linux") else {
            let shown = &snippet.shown;
            self.warn(format!("{shown} has no `linux` and is not in the menu"));
            return;
        };
        let at = snippet::place(kernel, &snippet.shown);
        let body = match self.body(&keys, kernel, snippet, device, dialect, call) {
            Ok(body) => body,
            Err(why) => {
                broken.get_or_insert(why);
                Vec::new()
            }
        };
        // Whatever long values were pasted is paid for.
        let kept: usize = body.iter().map(weight).sum();
        let units = u64::try_from(kept / BYTES_A_UNIT).unwrap_or(u64::MAX);
        self.pay(units, call.place);
        let doubled = snippet.doubled.then(|| {
            let what = "another entry's name sorts equal to this one's, and GRUB shows only one \
                        of them";
            Why::at(&at, what)
        });
        let title = &keys.first("title").unwrap_or(kernel).value;
        let users = keys.first("grub_users");
        let users = users.and_then(|users| snippet::expanded(&users.value, &self.state.env));
        self.state.menu.push(Rc::new(MenuItem {
            place: at,
            title: Text::known(title),
            id: Text::known(&snippet.id),
            params: vec![Text::known(title)],
            submenu: false,
            unrestricted: users.is_none(),
            body: Rc::new(Block(body)),
            doubt: doubled,
            unsure_place: unsure,
            broken,
        }));
    }

    /// What GRUB pastes together for an entry.
    fn body(
        &mut self,
        keys: &Keys,
        kernel: &BlscfgKey,
        snippet: &Snippet,
        device: &Device,
        dialect: Option<Dialect>,
        call: &Call<'_>,
    ) -> Result<Vec<Statement>, Why> {
        let upstream = dialect == Some(Dialect::Upstream);
        let place = |pair: &BlscfgKey| snippet::place(pair, &snippet.shown);
        // GRUB writes `($root)` or nothing; it is the device that the entry is on.
        let name = format!("blscfg_device_{}", self.state.menu.len());
        let root = format!("(${{{name}}})");
        let text = Text::device(device.clone());
        self.state.env.set_exported(&name, text);
        let env = &self.state.env;
        let mut options = keys.first("options");
        let mut expanded = options.and_then(|pair| snippet::expanded(&pair.value, env));
        let default = env.get("default_kernelopts");
        if expanded.is_none() && !default.is_empty() && !upstream {
            if dialect.is_none() {
                let what = "whether $default_kernelopts counts depends on GRUB's version";
                return Err(Why::at(&place(kernel), what));
            }
            options = None;
            expanded = snippet::expanded(default.characters(call.place)?, env);
        }
        let words = expanded.unwrap_or_default();
        if words.len() > MAX_VALUE {
            let what = format!("its options are longer than {MAX_VALUE} bytes");
            return Err(Why::at(&place(options.unwrap_or(kernel)), what));
        }
        let words = words.characters(&place(options.unwrap_or(kernel)))?;
        for unread in ["early_initrd", "devicetree"] {
            if !upstream && !env.get(unread).is_empty() {
                let what = format!("the files that ${unread} names are not read");
                return Err(Why::at(call.place, what));
            }
        }
        let save = match upstream {
            true => "blsuki_save_default",
            false => "save_default",
        };
        let mut body = Vec::new();
        if ["1", "true"].contains(&env.get(save).to_string().as_str())
            && self.state.functions.contains_key("savedefault")
        {
            body.extend(snippet::pasted("savedefault", call.place)?);
        }
        let line = format!("linux {root}{} {words}", kernel.value);
        body.extend(snippet::pasted(&line, &place(kernel))?);
        let mut line = "initrd".to_owned();
        for initrd in keys.all("initrd") {
            line.push_str(&format!(" {root}{}", initrd.value));
        }
        if let Some(first) = keys.first("initrd") {
            body.extend(snippet::pasted(&line, &place(first))?);
        }
        if let Some(tree) = keys.first("devicetree")
            && let Some(path) = snippet::expanded(&tree.value, env)
        {
            let line = format!("devicetree {root}{}", path.characters(&place(tree))?);
            body.extend(snippet::pasted(&line, &place(tree))?);
        }
        Ok(body)
    }
}

/// How many bytes a statement that was pasted holds.
fn weight(statement: &Statement) -> usize {
    let StatementKind::Simple(simple) = &statement.kind else {
        return 0;
    };
    let parts = simple.words.iter().flat_map(|word| &word.0);
    let length = |part: &WordPart| match part {
        WordPart::Literal { text, .. } | WordPart::Hexadecimal(text) => text.len(),
        WordPart::Variable { name, .. } => name.len(),
        WordPart::Translated => 0,
    };
    parts.map(length).sum()
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
        mark_doubled(&mut snippets, versions);
        return (snippets, None);
    }
    snippets.sort_by(packages);
    mark_doubled(&mut snippets, packages);
    let same = snippets.is_sorted_by(|a, b| versions(a, b) != Ordering::Greater);
    let unsure = (dialect.is_none() && !same)
        .then(|| Why::at(place, "the order of the entries depends on GRUB's version"));
    (snippets, unsure)
}

fn mark_doubled(snippets: &mut [Snippet], order: impl Fn(&Snippet, &Snippet) -> Ordering) {
    for at in 1..snippets.len() {
        if let Some([one, other]) = snippets.get_mut(at - 1..=at)
            && order(one, other) == Ordering::Equal
        {
            (one.doubled, other.doubled) = (true, true);
        }
    }
}

/// What `insmod` tells of whose `blscfg` it is.
pub(super) fn dialect_of(module: &Field) -> Option<Dialect> {
    match module.text.pieces() {
        [TextRun::Known(name)] if name == "blscfg" => Some(Dialect::Fedora),
        [TextRun::Known(name)] if name == "blsuki" => Some(Dialect::Upstream),
        _ => None,
    }
}
