//! Type 1 entries: the text of `/loader/entries/NAME.conf`.
//!
//! Source: UAPI.1, "Type #1 Boot Loader Entry Keys"; systemd-boot(7) for
//! `extra`; systemd's NEWS of 259 for `profile`. Knows nothing of files: GRUB's
//! `blscfg` reads the same texts with variables in them, which stay as they are.

use serde::Serialize;

use super::lines::{self, KeyValue};
pub use super::lines::{LineProblem, LineValue};

/// The text of an entry, key by key. Of a key that may stand once and stands
/// twice, the last counts, as in systemd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Type1Entry {
    /// `title`: what the menu shows.
    pub title: Option<LineValue>,
    /// `version`: usually the kernel's.
    pub version: Option<LineValue>,
    /// `machine-id`: the machine that the entry belongs to.
    pub machine_id: Option<LineValue>,
    /// `sort-key`: what the menu is sorted by first.
    pub sort_key: Option<LineValue>,
    /// `linux`: a kernel, which may be a UKI.
    pub linux: Option<LineValue>,
    /// Every `initrd`, in order.
    pub initrds: Vec<LineValue>,
    /// `efi`: any program of the firmware.
    pub efi: Option<LineValue>,
    /// `uki`: a UKI that is started like one in /EFI/Linux.
    pub uki: Option<LineValue>,
    /// `uki-url`: a UKI from the network.
    pub uki_url: Option<LineValue>,
    /// `profile`: which profile of the UKI.
    pub profile: Option<LineValue>,
    /// Every `extra`, in order: files that go with the UKI.
    pub extras: Vec<LineValue>,
    /// Every `options`, in order.
    pub options: Vec<LineValue>,
    /// `devicetree`: a device tree for the kernel.
    pub devicetree: Option<LineValue>,
    /// `devicetree-overlay`, one path each.
    pub overlays: Vec<LineValue>,
    /// `architecture`, as EFI spells it.
    pub architecture: Option<LineValue>,
    /// Keys that the specification does not have, such as GRUB's `grub_class`,
    /// in order.
    pub others: Vec<(String, LineValue)>,
    /// Lines that were left out.
    pub ignored: Vec<LineProblem>,
    /// Lines without which the entry would boot something else.
    pub broken: Vec<LineProblem>,
}

/// What an entry starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starts<'a> {
    /// `linux`: a kernel.
    Linux(&'a LineValue),
    /// `uki`: a unified kernel image.
    Uki(&'a LineValue),
    /// `uki-url`: a unified kernel image on the network.
    UkiUrl(&'a LineValue),
    /// `efi`: an EFI program.
    Efi(&'a LineValue),
}

/// Reads the text of an entry. Whatever is wrong with it is in
/// [`Type1Entry::ignored`] and [`Type1Entry::broken`].
pub fn parse(text: &[u8]) -> Type1Entry {
    let mut entry = Type1Entry::default();
    for pair in lines::pairs(text) {
        match pair {
            Ok(pair) => entry.take(pair),
            Err(problem) => entry.ignored.push(problem),
        }
    }
    entry
}

impl Type1Entry {
    fn take(&mut self, pair: KeyValue) {
        let KeyValue {
            key,
            value,
            damaged,
        } = pair;
        // A damaged title is a blemish; a damaged command line boots another
        // system.
        if damaged && key != "title" && self.is_key(&key) {
            let reason = format!("{key}: {:?} is not UTF-8 text", value.text);
            self.broken.push(LineProblem::new(value.line, reason));
        }
        match key.as_str() {
            "initrd" => self.initrds.push(value),
            "options" => self.options.push(value),
            "extra" => self.extras.push(value),
            "devicetree-overlay" => self.overlays.extend(words(&value)),
            _ => match self.single(&key) {
                Some(slot) => {
                    let line = value.line;
                    if let Some(before) = slot.replace(value) {
                        let reason = format!("{key} again; it replaces line {}", before.line);
                        self.ignored.push(LineProblem::new(line, reason));
                    }
                }
                None => self.others.push((key, value)),
            },
        }
    }

    fn is_key(&mut self, key: &str) -> bool {
        let repeated = ["initrd", "options", "extra", "devicetree-overlay"];
        repeated.contains(&key) || self.single(key).is_some()
    }

    /// Where the value of a key that stands once is kept.
    fn single(&mut self, key: &str) -> Option<&mut Option<LineValue>> {
        Some(match key {
            "title" => &mut self.title,
            "version" => &mut self.version,
            "machine-id" => &mut self.machine_id,
            "sort-key" => &mut self.sort_key,
            "linux" => &mut self.linux,
            "efi" => &mut self.efi,
            "uki" => &mut self.uki,
            "uki-url" => &mut self.uki_url,
            "profile" => &mut self.profile,
            "devicetree" => &mut self.devicetree,
            "architecture" => &mut self.architecture,
            _ => return None,
        })
    }

    /// Takes the quotes off that systemd-boot takes off. A value of which that is not known
    /// makes the entry a broken one.
    pub(super) fn unquote(&mut self, single: Option<bool>) {
        let singles = [
            &mut self.title,
            &mut self.version,
            &mut self.machine_id,
            &mut self.sort_key,
            &mut self.linux,
            &mut self.efi,
            &mut self.uki,
            &mut self.uki_url,
            &mut self.profile,
            &mut self.devicetree,
            &mut self.architecture,
        ];
        let lists = [&mut self.initrds, &mut self.extras, &mut self.options];
        let all = singles.into_iter().flatten();
        for value in all.chain(lists.into_iter().flatten()) {
            if let Err(problem) = value.unquote(single) {
                self.broken.push(problem);
            }
        }
    }

    /// What the entry starts.
    ///
    /// # Errors
    /// When it has none of the keys that say so, or more than one of them.
    pub fn starts(&self) -> Result<Starts<'_>, LineProblem> {
        let named = [
            self.linux
                .as_ref()
                .map(|v| ("linux", Starts::Linux(v), v.line)),
            self.uki.as_ref().map(|v| ("uki", Starts::Uki(v), v.line)),
            self.uki_url
                .as_ref()
                .map(|v| ("uki-url", Starts::UkiUrl(v), v.line)),
            self.efi.as_ref().map(|v| ("efi", Starts::Efi(v), v.line)),
        ];
        let mut named: Vec<_> = named.into_iter().flatten().collect();
        named.sort_by_key(|(.., line)| *line);
        match named.as_slice() {
            [] => Err(LineProblem::whole("it has no linux, uki or efi key")),
            [(_, starts, _)] => Ok(*starts),
            [(first, _, at), (second, _, line), ..] => Err(LineProblem::new(
                *line,
                format!("{second} beside {first} (line {at}): expected one of them"),
            )),
        }
    }

    /// All options in one line.
    pub fn options(&self) -> String {
        let texts: Vec<&str> = self.options.iter().map(|v| v.text.as_str()).collect();
        texts.join(" ")
    }

    /// The number of the profile that `profile` names.
    ///
    /// # Errors
    /// When that is no number.
    pub fn profile(&self) -> Result<Option<usize>, LineProblem> {
        let Some(value) = &self.profile else {
            return Ok(None);
        };
        value.text.parse().map(Some).map_err(|_| {
            let reason = format!("profile is {:?}, expected a number", value.text);
            LineProblem::new(value.line, reason)
        })
    }
}

/// The words of a value, each as a value of its own.
fn words(value: &LineValue) -> Vec<LineValue> {
    let words = value.text.split_ascii_whitespace();
    words
        .map(|word| LineValue {
            text: word.to_owned(),
            line: value.line,
        })
        .collect()
}

impl LineValue {
    /// The value as a path from the top of the partition that the entry is on,
    /// with one slash in front and none twice. Backslashes, which EFI has, are slashes.
    ///
    /// # Errors
    /// When it goes up with `..`: "paths should be normalized" (UAPI.1), and
    /// systemd-boot does not take others.
    pub fn path(&self) -> Result<String, LineProblem> {
        let mut path = String::new();
        for part in self.text.split(['/', '\\']).filter(|part| !part.is_empty()) {
            if part == "." || part == ".." {
                let reason = format!("the path {:?} contains {part:?}", self.text);
                return Err(LineProblem::new(self.line, reason));
            }
            path.push('/');
            path.push_str(part);
        }
        if path.is_empty() {
            let reason = format!("the path {:?} names no file", self.text);
            return Err(LineProblem::new(self.line, reason));
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests;
