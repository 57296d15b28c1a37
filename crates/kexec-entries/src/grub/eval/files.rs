//! Paths, other configuration files, and environment blocks.

use super::super::devices::{Answer, FilePath, ProbeFor};
use super::super::env::ValueOrigin;
use super::super::grubenv;
use super::super::menu::LoadedByEntry;
use super::super::text::{Device, Place, Text, TextRun, Truth, Why};
use super::{Call, Evaluator, Field, Flow, Status};

impl Evaluator<'_> {
    /// The file behind a path: `(device)/path`, or `/path` on `$root`.
    pub(in super::super) fn file(&self, path: &Text, place: &Place) -> Result<FilePath, Why> {
        if let Some(why) = path.why_unknown() {
            return Err(why.clone());
        }
        let (device, path) = match path.known_start().starts_with('(') {
            true => split_device(path, place)?,
            false => (self.state.env.get("root"), path.clone()),
        };
        let device = self.device(&device, place)?;
        let path = path.characters(place)?.to_owned();
        if is_blocks(&path) {
            return Ok(FilePath { device, path });
        }
        if !path.starts_with('/') {
            return Err(Why::at(place, format!("{path:?} is not an absolute path")));
        }
        self.in_subvolume(FilePath { device, path }, place)
    }

    /// The file behind the path of a test, which may also be a name without a slash
    /// (from the top of `$root`), and a device without a path. `None` for a path
    /// that leads nowhere. `reading` is `-s`, which opens the file.
    pub(super) fn tested(
        &self,
        path: &Text,
        reading: bool,
        place: &Place,
    ) -> Result<Option<FilePath>, Why> {
        if let Some(why) = path.why_unknown() {
            return Err(why.clone());
        }
        let (device, path) = match path.known_start().starts_with('(') {
            true => split_device(path, place)?,
            false => (self.state.env.get("root"), path.clone()),
        };
        let device = match device.is_empty() {
            true => Device::missing(""),
            false => self.device(&device, place)?,
        };
        let named = path.characters(place)?;
        let path = match named.trim_end_matches('/') {
            // A list of blocks, or nothing that can be opened.
            _ if reading && is_blocks(named) => named.to_owned(),
            _ if reading && !named.starts_with('/') => return Ok(None),
            path if path.starts_with('/') => path.to_owned(),
            "" => "/".to_owned(),
            name if !name.contains('/') => format!("/{name}"),
            path => {
                let kind = self.devices.probe(&device, ProbeFor::FileSystem);
                let lenient = ["btrfs", "fat", "iso9660"];
                return match kind {
                    Answer::Is(kind) if lenient.contains(&kind.as_str()) => {
                        Err(Why::at(place, format!("{path:?} is not an absolute path")))
                    }
                    _ => Ok(None),
                };
            }
        };
        if is_blocks(&path) {
            return Ok(Some(FilePath { device, path }));
        }
        self.in_subvolume(FilePath { device, path }, place)
            .map(Some)
    }

    /// The file, when paths are relative to a subvolume of btrfs: what openSUSE
    /// adds to GRUB.
    fn in_subvolume(&self, file: FilePath, place: &Place) -> Result<FilePath, Why> {
        if !self.devices.has_subvolumes(&file.device) {
            return Ok(file);
        }
        match self.state.env.get("btrfs_relative_path").has_characters() {
            Truth::No => return Ok(file),
            Truth::Unknown(why) => return Err(why),
            Truth::Yes => {}
        }
        for (device, point, subvolume) in &self.state.subvolumes {
            let inside = file.path.strip_prefix(point.as_str());
            let inside = inside.filter(|rest| rest.is_empty() || rest.starts_with('/'));
            if let Some(rest) = inside.filter(|_| *device == file.device) {
                let path = format!("/{subvolume}{rest}");
                return Ok(FilePath { path, ..file });
            }
        }
        let subvolume = self.state.env.get("btrfs_subvol");
        match self
            .devices
            .in_subvolume(file, subvolume.characters(place)?)
        {
            Answer::Is(file) => Ok(file),
            Answer::No => Err(Why::at(place, format!("there is no subvolume {subvolume}"))),
            Answer::Unknown(why) => Err(Why::at(place, why)),
        }
    }

    /// `btrfs-mount-subvol DEVICE PATH SUBVOLUME` of openSUSE: paths below PATH
    /// are in that subvolume.
    pub(super) fn mount_subvolume(&mut self, call: &Call<'_>) -> Flow {
        let mounted = match (call.loose(), call.args.as_slice()) {
            (Some(why), _) => Err(why.clone()),
            (None, [device, point, subvolume]) => {
                let bare = super::commands::without_parentheses(&device.text);
                self.device(&bare, call.place).and_then(|device| {
                    let point = point.characters(call.place)?;
                    let subvolume = subvolume.characters(call.place)?;
                    let point = point.trim_end_matches('/').to_owned();
                    Ok((device, point, subvolume.trim_matches('/').to_owned()))
                })
            }
            _ => Err(Why::at(
                call.place,
                "a device, a path and a subvolume are expected",
            )),
        };
        match mounted {
            Err(why) => self.lose(why),
            Ok(mounted) => {
                self.state.subvolumes.insert(0, mounted);
                let what = "whether there is such a subvolume";
                self.state.status = Status::Unknown(Why::at(call.place, what));
            }
        }
        Flow::Next
    }

    /// The device behind what `$root` or the parentheses hold.
    pub(super) fn device(&self, name: &Text, place: &Place) -> Result<Device, Why> {
        match name.pieces() {
            [TextRun::Device(device)] => Ok(device.clone()),
            [] => Err(Why::at(place, "no device is named, and $root is empty")),
            _ => {
                let name = name.characters(place)?;
                match self.devices.device(name.trim_matches(['(', ')'])) {
                    Answer::Is(device) => Ok(device),
                    Answer::No => Ok(Device::missing(name)),
                    Answer::Unknown(why) => Err(Why::at(place, why)),
                }
            }
        }
    }

    /// `source FILE`: as if its lines stood here.
    pub(super) fn source(&mut self, call: &Call<'_>) -> Flow {
        let Some((file, text)) = self.configuration(call) else {
            return Flow::Next;
        };
        let shown = self.devices.shown(&file).into();
        self.run_file(&shown, &text)
    }

    /// `configfile FILE`: a menu of its own, with the exported variables only.
    pub(super) fn configfile(&mut self, call: &Call<'_>) -> Flow {
        let Some((file, text)) = self.configuration(call) else {
            return Flow::Next;
        };
        let named = call.args.first().map(|field| field.text.clone());
        let named = named.unwrap_or_default();
        if self.in_entry {
            // Within an entry: the caller opens it when it needs that menu.
            let place = call.place.clone();
            self.state.loaded = LoadedByEntry::Menu { place, file, named };
            return Flow::Leave;
        }
        let outer = self.state.clone();
        self.state.menu.clear();
        self.state.hidden.clear();
        self.enter(&named);
        let shown = self.devices.shown(&file).into();
        let flow = self.run_file(&shown, &text);
        if flow == Flow::Leave || self.state.lost.is_some() || !self.state.menu.is_empty() {
            return Flow::Leave;
        }
        // A menu without entries is not shown, and GRUB comes back.
        let saved = std::mem::take(&mut self.state.saved);
        self.state = outer;
        self.state.saved = saved;
        self.state.status = Status::Unknown(Why::at(call.place, "what configfile returns"));
        Flow::Next
    }

    /// `normal [FILE]`: reads a configuration into the present context and shows the
    /// menu; without a file, `$prefix/grub.cfg`.
    pub(super) fn normal(&mut self, call: &Call<'_>) -> Flow {
        if self.in_entry {
            return match call.args.is_empty() {
                true => {
                    let what = "what normal does in an entry is not supported here";
                    self.lose(Why::at(call.place, what));
                    Flow::Next
                }
                false => self.configfile(call),
            };
        }
        let named = match call.args.first() {
            Some(field) => field.text.clone(),
            None => {
                let mut path = self.state.env.get("prefix");
                path.push_str("/grub.cfg");
                path
            }
        };
        let loose = call.loose().cloned();
        let file = loose.map_or_else(|| self.file(&named, call.place), Err);
        let read = file.and_then(|file| match self.read_text(&file, call.place) {
            Answer::Is(text) => Ok((file, text)),
            Answer::No => {
                let shown = self.devices.shown(&file);
                Err(Why::at(call.place, format!("there is no file {shown}")))
            }
            Answer::Unknown(why) => Err(Why::at(call.place, why)),
        });
        let (file, text) = match read {
            Ok(read) => read,
            Err(why) => {
                self.lose(why);
                return Flow::Leave;
            }
        };
        self.set_config(&named);
        let shown = self.devices.shown(&file).into();
        let flow = self.run_file(&shown, &text);
        if flow != Flow::Leave && self.state.lost.is_none() && self.state.menu.is_empty() {
            let what = "GRUB shows its command line: the menu has no entries";
            self.lose(Why::at(call.place, what));
        }
        Flow::Leave
    }

    /// Starts a context of its own for a configuration file, which is named as
    /// GRUB names it.
    pub(in super::super) fn enter(&mut self, named: &Text) {
        self.set_config(named);
        self.state.env = self.state.env.inherited();
        self.state.params = None;
    }

    /// Names the configuration file that is read.
    fn set_config(&mut self, named: &Text) {
        let path = match named.known_start().starts_with('(') {
            true => named.clone(),
            false => {
                let mut path = Text::known("(");
                path.push(&self.state.env.get("root"));
                path.push_str(")");
                path.push(named);
                path
            }
        };
        let directory = path.parent();
        self.state.env.set_exported("config_file", path);
        self.state.env.set_exported("config_directory", directory);
    }

    /// `extract_entries_configfile` and `extract_entries_source`: the entries
    /// are added to this menu.
    pub(super) fn extract(&mut self, call: &Call<'_>, own_context: bool) -> Flow {
        let Some((file, text)) = self.configuration(call) else {
            return Flow::Next;
        };
        let shown = self.devices.shown(&file).into();
        let (env, params) = (self.state.env.clone(), self.state.params.clone());
        if let Some(field) = call.args.first().filter(|_| own_context) {
            self.enter(&field.text);
        }
        let flow = self.run_file(&shown, &text);
        if self.state.lost.is_none() {
            self.state.env = env;
            self.state.params = params;
        }
        flow
    }

    /// The file that a command names, read. Without it the command fails; when
    /// it cannot be told what is in it, the run is lost.
    fn configuration(&mut self, call: &Call<'_>) -> Option<(FilePath, String)> {
        let named = call.args.first().filter(|_| call.loose().is_none());
        let named = match named {
            Some(field) => self.file(&field.text, call.place),
            None => Err(call
                .loose()
                .cloned()
                .unwrap_or_else(|| Why::at(call.place, "no file is named"))),
        };
        let answer = match named {
            Ok(file) => (self.read_text(&file, call.place), Some(file)),
            Err(why) => {
                self.lose(why);
                return None;
            }
        };
        match answer {
            (Answer::Is(text), Some(file)) => Some((file, text)),
            (Answer::Unknown(why), _) => {
                self.lose(Why::at(call.place, why));
                None
            }
            _ => {
                // GRUB 2.06 to 2.14 say nothing, and `$?` is 0.
                self.state.status = Status::Ok;
                None
            }
        }
    }

    /// `load_env [-f FILE] [NAMES]`.
    pub(super) fn load_env(&mut self, call: &Call<'_>) -> Flow {
        let loaded = self.block(call).and_then(|(file, names)| {
            let variables = match self.devices.read(&file, grubenv::MAX_SIZE) {
                Answer::Is(bytes) => grubenv::parse(&bytes),
                Answer::No => return Ok(None),
                Answer::Unknown(why) => return Err(Why::at(call.place, why)),
            };
            Ok(Some((file, names, variables)))
        });
        match loaded {
            Err(why) => self.block_unread(call, &why),
            Ok(None) => self.state.status = Status::Failed(None),
            Ok(Some((file, _, Err(why)))) => {
                let shown = self.devices.shown(&file);
                self.warn(format!("{shown} is not an environment block: {why}"));
                self.state.status = Status::Failed(None);
            }
            Ok(Some((file, names, Ok(variables)))) => {
                self.state.status = Status::Ok;
                self.take_block(&file, &names, variables, call);
            }
        }
        Flow::Next
    }

    /// A block that cannot be read: any variable may be in it, or one of those
    /// that are asked for.
    fn block_unread(&mut self, call: &Call<'_>, why: &Why) {
        let plain = |arg: &&Field| !arg.known().starts_with('-') && !arg.known().contains('/');
        let asked: Vec<&str> = call.args.iter().filter(plain).map(Field::known).collect();
        if asked.is_empty() || call.loose().is_some() {
            return self.lose(why.clone());
        }
        for name in asked {
            let unknown = Text::unknown(why.clone());
            self.state.env.set(name, unknown, Some(call.origin()));
        }
        self.state.status = Status::Unknown(why.clone());
    }

    fn take_block(
        &mut self,
        file: &FilePath,
        names: &[String],
        variables: Vec<(String, String)>,
        call: &Call<'_>,
    ) {
        let mut values: Vec<(String, Option<Text>)> = variables
            .into_iter()
            .map(|(name, value)| (name, Some(Text::known(&value))))
            .collect();
        // What was saved before is in the block by now.
        let saved = self.state.saved.iter().filter(|((of, _), _)| of == file);
        for ((_, name), value) in saved {
            values.retain(|(known, _)| known != name);
            values.push((name.clone(), value.clone()));
        }
        for (name, value) in values {
            if !names.is_empty() && !names.contains(&name) {
                continue;
            }
            if let Some(value) = value {
                let origin = ValueOrigin {
                    place: call.place.clone(),
                    through: Vec::new(),
                    block: Some(file.clone()),
                };
                self.state.env.set(&name, value, Some(origin));
            }
        }
    }

    /// `save_env [-f FILE] NAMES`: remembered, never written.
    pub(super) fn save_env(&mut self, call: &Call<'_>) -> Flow {
        match self.block(call) {
            Err(why) => self.state.status = Status::Unknown(why),
            Ok((file, names)) => {
                for name in names {
                    let value = match self.state.env.variable(&name) {
                        Some(variable) => Some(variable.text.clone()),
                        None => Some(self.state.env.get(&name)).filter(|text| !text.is_empty()),
                    };
                    self.state.saved.insert((file.clone(), name), value);
                }
                let what = "whether GRUB can write the environment block";
                self.state.status = Status::Unknown(Why::at(call.place, what));
            }
        }
        Flow::Next
    }

    /// The block that a command names, and the variables.
    fn block(&self, call: &Call<'_>) -> Result<(FilePath, Vec<String>), Why> {
        if let Some(why) = call.loose() {
            return Err(why.clone());
        }
        let mut file = None;
        let mut names = Vec::new();
        let mut args = call.args.iter();
        while let Some(arg) = args.next() {
            match arg.known() {
                "-f" | "--file" => file = args.next().map(|arg| arg.text.clone()),
                "-s" | "--skip-sig" => {}
                _ => match option_value(arg, "--file=") {
                    Some(value) => file = Some(value),
                    None => names.push(arg.characters(call.place)?.to_owned()),
                },
            }
        }
        let file = file.unwrap_or_else(|| {
            let mut path = self.state.env.get("prefix");
            path.push_str("/grubenv");
            path
        });
        Ok((self.file(&file, call.place)?, names))
    }
}

/// Whether a path is a list of blocks: `512+1`.
fn is_blocks(path: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    path.split_once('+')
        .is_some_and(|(at, count)| number(at) && number(count))
}

/// The value of `--option=value`.
pub(super) fn option_value(arg: &Field, option: &str) -> Option<Text> {
    let mut pieces = arg.text.pieces().iter();
    let Some(TextRun::Known(first)) = pieces.next() else {
        return None;
    };
    let mut value = Text::known(first.strip_prefix(option)?);
    for piece in pieces {
        value.push(&Text::from(piece.clone()));
    }
    Some(value)
}

/// `(device)/path` in two.
fn split_device(path: &Text, place: &Place) -> Result<(Text, Text), Why> {
    let mut device = Text::default();
    let mut pieces = path.pieces().iter().enumerate();
    for (at, piece) in pieces.by_ref() {
        let TextRun::Known(text) = piece else {
            device.push(&Text::from(piece.clone()));
            continue;
        };
        let text = if at == 0 {
            text.trim_start_matches('(')
        } else {
            text
        };
        let Some((end, rest)) = text.split_once(')') else {
            device.push_str(text);
            continue;
        };
        device.push_str(end);
        let mut path = Text::known(rest);
        for (_, piece) in pieces {
            path.push(&Text::from(piece.clone()));
        }
        return Ok((device, path));
    }
    Err(Why::at(
        place,
        format!("the parenthesis of {path} is not closed"),
    ))
}
