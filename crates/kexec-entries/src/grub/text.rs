//! What a GRUB variable holds: characters that are known, and parts that are
//! not. A device that `search` found is a part of its own, because GRUB's name
//! for it (`hd0,gpt2`) depends on the order of the firmware's disks, which only
//! the firmware knows; the device itself is known all the same.

use std::fmt;
use std::rc::Rc;

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was opened.
    pub file: Rc<str>,
    /// The line, counted from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Why something cannot be known before GRUB runs: where, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why(Rc<(Option<Place>, String)>);

impl Why {
    /// Something at a line.
    pub fn at(place: &Place, what: impl Into<String>) -> Why {
        Why(Rc::new((Some(place.clone()), what.into())))
    }

    /// Something that no line is to blame for.
    pub fn of(what: impl Into<String>) -> Why {
        Why(Rc::new((None, what.into())))
    }

    /// The line, if there is one.
    pub fn place(&self) -> Option<&Place> {
        self.0.0.as_ref()
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.0 {
            Some(place) => write!(f, "{place}: {}", self.0.1),
            None => f.write_str(&self.0.1),
        }
    }
}

/// A device, by the name that the [`Devices`](super::Devices) gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device(pub Rc<str>);

/// The beginning of the names of devices that the machine does not have.
const MISSING: char = '\0';

impl Device {
    /// A device that this machine does not have: nothing is on it.
    pub(super) fn missing(name: &str) -> Device {
        Device(format!("{MISSING}{name}").into())
    }

    /// GRUB's name for it, if this machine does not have it.
    pub(super) fn as_missing(&self) -> Option<&str> {
        self.0.strip_prefix(MISSING)
    }
}

/// One run of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextRun {
    /// Known characters; never empty.
    Known(String),
    /// GRUB's name for this device.
    Device(Device),
    /// Anything, even nothing.
    Unknown(Why),
}

/// Yes, no, or not to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Truth {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// Not to be known, and why.
    Unknown(Why),
}

impl From<bool> for Truth {
    fn from(value: bool) -> Truth {
        if value { Truth::Yes } else { Truth::No }
    }
}

impl Truth {
    /// The other one.
    pub(super) fn negated(self) -> Truth {
        match self {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            unknown @ Truth::Unknown(_) => unknown,
        }
    }

    /// Whether both are so.
    pub(super) fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Yes, other) => other,
            (unknown @ Truth::Unknown(_), _) => unknown,
        }
    }

    /// Whether one of them is so.
    pub(super) fn or(self, other: Truth) -> Truth {
        self.negated().and(other.negated()).negated()
    }
}

/// A text of which some runs may not be known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text(Vec<TextRun>);

impl From<TextRun> for Text {
    fn from(piece: TextRun) -> Text {
        let mut text = Text::default();
        text.push(&Text(vec![piece]));
        text
    }
}

impl Text {
    /// A text of which every character is known.
    pub(super) fn known(text: &str) -> Text {
        let mut all = Text::default();
        all.push_str(text);
        all
    }

    /// GRUB's name for a device.
    pub(super) fn device(device: Device) -> Text {
        Text(vec![TextRun::Device(device)])
    }

    /// Something that cannot be known.
    pub(super) fn unknown(why: Why) -> Text {
        Text(vec![TextRun::Unknown(why)])
    }

    /// The runs of which it is made, in their order.
    pub(super) fn pieces(&self) -> &[TextRun] {
        &self.0
    }

    /// Adds known characters.
    pub(super) fn push_str(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(TextRun::Known(known)) => known.push_str(text),
            _ => self.0.push(TextRun::Known(text.to_owned())),
        }
    }

    /// Adds another text.
    pub(super) fn push(&mut self, other: &Text) {
        for piece in &other.0 {
            match piece {
                TextRun::Known(text) => self.push_str(text),
                other => self.0.push(other.clone()),
            }
        }
    }

    /// How many bytes it holds; an unknown run counts as one.
    pub(super) fn len(&self) -> usize {
        let length = |piece: &TextRun| match piece {
            TextRun::Known(text) => text.len(),
            TextRun::Device(_) | TextRun::Unknown(_) => 1,
        };
        self.0.iter().map(length).sum()
    }

    /// The text up to its last slash, if that is among the last characters.
    pub(super) fn parent(&self) -> Text {
        let mut parent = self.clone();
        if let Some(TextRun::Known(last)) = parent.0.last_mut() {
            last.truncate(last.rfind('/').unwrap_or(0));
            if last.is_empty() {
                parent.0.pop();
            }
        }
        parent
    }

    /// Whether it has no runs at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether GRUB sees at least one character.
    pub(super) fn has_characters(&self) -> Truth {
        let sure = |piece: &TextRun| !matches!(piece, TextRun::Unknown(_));
        match self.0.first() {
            None => Truth::No,
            Some(_) if self.0.iter().any(sure) => Truth::Yes,
            Some(_) => self
                .why_unknown()
                .map_or(Truth::Yes, |why| Truth::Unknown(why.clone())),
        }
    }

    /// Why it is not known, if it is not.
    pub(super) fn why_unknown(&self) -> Option<&Why> {
        self.0.iter().find_map(|piece| match piece {
            TextRun::Unknown(why) => Some(why),
            _ => None,
        })
    }

    /// The characters, when all of them are known.
    ///
    /// # Errors
    /// Why they are not; `place` is blamed for what is only a device's name.
    pub(super) fn characters(&self, place: &Place) -> Result<&str, Why> {
        match self.0.as_slice() {
            [] => Ok(""),
            [TextRun::Known(text)] => Ok(text),
            pieces => Err(pieces
                .iter()
                .find_map(|piece| match piece {
                    TextRun::Unknown(why) => Some(why.clone()),
                    _ => None,
                })
                .unwrap_or_else(|| {
                    let what = format!(
                        "{self} holds GRUB's name for a device, which only the firmware knows"
                    );
                    Why::at(place, what)
                })),
        }
    }

    /// The characters up to the first run that is not known.
    pub(super) fn known_start(&self) -> &str {
        match self.0.first() {
            Some(TextRun::Known(text)) => text,
            _ => "",
        }
    }

    /// Whether the two are the same characters.
    pub(super) fn same_as(&self, other: &Text, place: &Place) -> Truth {
        let unknown = self.why_unknown().or_else(|| other.why_unknown());
        if unknown.is_none() && self == other {
            return Truth::Yes;
        }
        let all_known = |text: &Text| text.characters(place).is_ok();
        if all_known(self) && all_known(other) {
            return Truth::No;
        }
        let (a, b) = (self.known_start(), other.known_start());
        if a.bytes().zip(b.bytes()).any(|(a, b)| a != b) {
            return Truth::No;
        }
        let nothing = |a: &Text, b: &Text| a.is_empty() && b.has_characters() == Truth::Yes;
        if nothing(self, other) || nothing(other, self) {
            return Truth::No;
        }
        let device = "the name of a device, which only the firmware knows, is compared";
        Truth::Unknown(unknown.cloned().unwrap_or_else(|| Why::at(place, device)))
    }

    /// What white space leaves of it when it is not quoted: the fields.
    pub(super) fn fields(&self) -> Vec<Text> {
        let mut fields = Vec::new();
        let mut open: Option<Text> = None;
        for piece in &self.0 {
            let TextRun::Known(text) = piece else {
                let text = Text(vec![piece.clone()]);
                open.get_or_insert_with(Text::default).push(&text);
                continue;
            };
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let end = rest.find(SPACE).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                if !word.is_empty() {
                    open.get_or_insert_with(Text::default).push_str(word);
                }
                rest = after.trim_start_matches(SPACE);
                if rest.len() < after.len() {
                    fields.extend(open.take());
                }
            }
        }
        fields.extend(open);
        fields
    }
}

/// What separates fields: GNU GRUB manual, "Shell-like scripting", Words.
const SPACE: [char; 3] = [' ', '\t', '\n'];

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            TextRun::Known(text) => f.write_str(text),
            TextRun::Device(Device(name)) => f.write_str(name),
            TextRun::Unknown(_) => f.write_str("?"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            file: "grub.cfg".into(),
            line: 7,
        }
    }

    fn unknown(before: &str) -> Text {
        let mut text = Text::known(before);
        text.push(&Text::unknown(Why::of("keystatus")));
        text
    }

    #[test]
    fn equality_is_decided_only_where_it_can_be() {
        let (x, none) = (Text::known("x"), Text::default());
        assert_eq!(x.same_as(&Text::known("x"), &place()), Truth::Yes);
        assert_eq!(x.same_as(&none, &place()), Truth::No);
        assert_eq!(unknown("x").same_as(&none, &place()), Truth::No);
        assert_eq!(unknown("y").same_as(&x, &place()), Truth::No);
        let open = Truth::Unknown(Why::of("keystatus"));
        assert_eq!(unknown("x").same_as(&x, &place()), open);
        assert_eq!(unknown("x").same_as(&unknown("x"), &place()), open);
        let disk = Text::device(Device("disk".into()));
        assert_eq!(disk.same_as(&disk, &place()), Truth::Yes);
        assert_eq!(disk.same_as(&none, &place()), Truth::No);
        let Truth::Unknown(why) = disk.same_as(&Text::known("hd0,gpt2"), &place()) else {
            panic!("decided");
        };
        assert!(
            why.to_string()
                .starts_with("grub.cfg:7: the name of a device")
        );
    }

    #[test]
    fn logic_knows_what_does_not_matter() {
        let open = || Truth::Unknown(Why::of("keystatus"));
        assert_eq!(open().and(Truth::No), Truth::No);
        assert_eq!(open().or(Truth::Yes), Truth::Yes);
        assert_eq!(open().and(Truth::Yes), open());
        assert_eq!(open().negated(), open());
    }

    #[test]
    fn white_space_makes_fields() {
        let fields = |text: &str| {
            let fields = Text::known(text).fields();
            fields.iter().map(Text::to_string).collect::<Vec<_>>()
        };
        assert_eq!(fields(" lead trail "), ["lead", "trail"]);
        assert_eq!(fields("a\tb\nc"), ["a", "b", "c"]);
        assert!(fields(" ").is_empty());
        assert_eq!(unknown("a b").fields().len(), 2);
    }
}
