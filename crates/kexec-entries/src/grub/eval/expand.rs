//! Words to fields: variables, white space, wildcards.

use super::super::ast::{Word, WordPart};
use super::super::devices::Answer;
use super::super::text::{Place, Text, TextRun, Why};
use super::{BYTES_A_UNIT, Evaluator, MAX_VALUE, Status};

/// One word of a command after expansion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Field {
    /// What it is.
    pub(in super::super) text: Text,
    /// Why it may also be no word, or several.
    loose: Option<Why>,
}

impl Field {
    pub(super) fn loose(&self) -> Option<&Why> {
        self.loose.as_ref()
    }

    /// The characters, when they are known.
    pub(super) fn characters(&self, place: &Place) -> Result<&str, Why> {
        self.text.characters(place)
    }

    /// What it is, when no word begins so.
    pub(super) fn known(&self) -> &str {
        match self.text.pieces() {
            [TextRun::Known(text)] => text,
            _ => "",
        }
    }
}

/// No more folders than this are looked into for a wildcard behind another one.
const MAX_FIT: usize = 256;

/// Fields in the making.
#[derive(Default)]
struct Fields {
    done: Vec<Field>,
    open: Option<Open>,
}

#[derive(Default)]
struct Open {
    field: Field,
    /// Whether an unquoted `*` or `?` is in it.
    wild: bool,
    /// Whether a quoted one is, too.
    tame: bool,
}

impl Fields {
    fn quoted(&mut self, text: &Text) {
        let open = self.open.get_or_insert_with(Open::default);
        open.tame |= is_wild(text);
        open.field.text.push(text);
    }

    fn unquoted(&mut self, text: &Text) {
        let unknown = text.why_unknown().cloned();
        for (at, field) in text.fields().iter().enumerate() {
            if at > 0 {
                self.close();
            }
            let open = self.open.get_or_insert_with(Open::default);
            open.wild |= is_wild(field);
            open.field.text.push(field);
            if open.field.loose.is_none() {
                open.field.loose = unknown.clone();
            }
        }
    }

    fn literal(&mut self, text: &str) {
        let open = self.open.get_or_insert_with(Open::default);
        open.wild |= text.contains(['*', '?']);
        open.field.text.push_str(text);
    }

    fn close(&mut self) -> Option<Open> {
        let open = self.open.take()?;
        self.done.push(open.field.clone());
        Some(open)
    }
}

fn is_wild(text: &Text) -> bool {
    let wild = |piece: &TextRun| matches!(piece, TextRun::Known(text) if text.contains(['*', '?']));
    text.pieces().iter().any(wild)
}

impl Evaluator<'_> {
    /// The fields that a word becomes; `through` takes the names of the variables
    /// in it.
    pub(super) fn expand(
        &mut self,
        word: &Word,
        place: &Place,
        through: &mut Vec<String>,
    ) -> Vec<Field> {
        let mut fields = Fields::default();
        let mut wild = false;
        for part in &word.0 {
            match part {
                WordPart::Literal { text, quoted: true } => fields.quoted(&Text::known(text)),
                WordPart::Literal { text, .. } => fields.literal(text),
                WordPart::Hexadecimal(text) => fields.quoted(&match self.whose(place) {
                    Some(true) => Text::known(&format!("\\{text}")),
                    Some(false) => Text::known(text),
                    None => {
                        let what = format!(
                            "what \\{text} becomes depends on the distribution's \
                                            GRUB"
                        );
                        Text::unknown(Why::at(place, what))
                    }
                }),
                WordPart::Translated => {
                    if let Some(why) = self.translated(place) {
                        fields.quoted(&Text::unknown(why));
                    }
                }
                WordPart::Variable { name, quoted } if name == "@" => {
                    self.parameters(*quoted, &mut fields);
                }
                WordPart::Variable { name, quoted } => {
                    let text = self.variable(name, place);
                    through.push(name.clone());
                    match quoted {
                        true => fields.quoted(&text),
                        false => fields.unquoted(&text),
                    }
                }
            }
            wild |= fields.open.as_ref().is_some_and(|open| open.wild);
        }
        let tame = fields.close().is_some_and(|open| open.tame);
        let fields = match wild {
            true => self.wildcards(fields.done, tame, place),
            false => fields.done,
        };
        self.measure(&fields, place);
        fields
    }

    /// Why it is not known how a text is translated: `$lang` is set, and there may be
    /// a catalogue for it (the manual's "lang" and "locale_dir").
    fn translated(&self, place: &Place) -> Option<Why> {
        let lang = self.state.env.variable("lang")?.text.clone();
        if lang.is_empty() {
            return None;
        }
        let mut path = match self.state.env.variable("locale_dir") {
            Some(folder) => folder.text.clone(),
            None => {
                let mut folder = self.state.env.get("prefix");
                folder.push_str("/locale");
                folder
            }
        };
        path.push_str("/");
        path.push(&lang);
        path.push_str(".mo");
        let file = self.file(&path, place);
        let answer = file.map(|file| self.devices.node(&file));
        let what = format!("a text is translated into the language {lang}");
        (answer != Ok(Answer::No)).then(|| Why::at(place, what))
    }

    fn measure(&mut self, fields: &[Field], place: &Place) {
        let length: usize = fields.iter().map(|field| field.text.len()).sum();
        self.pay(
            u64::try_from(length / BYTES_A_UNIT).unwrap_or(u64::MAX),
            place,
        );
        if length > MAX_VALUE {
            self.lose(Why::at(
                place,
                format!("a value is longer than {MAX_VALUE} bytes"),
            ));
        }
    }

    /// `$@`: quoted, each parameter stays one word; with none, it is empty.
    fn parameters(&self, quoted: bool, fields: &mut Fields) {
        let params = self.state.params.as_deref().unwrap_or_default();
        if quoted {
            fields.quoted(&Text::default());
        }
        for (at, param) in params.iter().enumerate() {
            if at > 0 {
                fields.close();
            }
            match quoted {
                true => fields.quoted(param),
                false => fields.unquoted(param),
            }
        }
        if let Some(why) = self.params_unknown() {
            let open = fields.open.get_or_insert_with(Open::default);
            open.field.loose = Some(why);
        }
    }

    /// Why it is not known how many parameters there are, if that is so.
    fn params_unknown(&self) -> Option<Why> {
        match self.state.params.as_deref()? {
            [only] => only.why_unknown().cloned(),
            _ => None,
        }
    }

    /// The value of `$name`.
    fn variable(&self, name: &str, place: &Place) -> Text {
        let params = self.state.params.as_deref();
        match name {
            "?" => match &self.state.status {
                Status::Ok => Text::known("0"),
                Status::Failed(Some(number)) => Text::known(&number.to_string()),
                Status::Failed(None) => Text::unknown(Why::at(
                    place,
                    "the number of an error depends on GRUB's version",
                )),
                Status::Unknown(why) => Text::unknown(why.clone()),
            },
            "#" | "*" if self.params_unknown().is_some() => {
                Text::unknown(self.params_unknown().unwrap_or_else(|| Why::of("")))
            }
            "#" => params.map_or_else(Text::default, |all| Text::known(&all.len().to_string())),
            "*" => {
                let mut joined = Text::default();
                for (at, param) in params.unwrap_or_default().iter().enumerate() {
                    joined.push_str(if at > 0 { " " } else { "" });
                    joined.push(param);
                }
                joined
            }
            _ => match name.parse::<usize>() {
                Ok(number) => match self.params_unknown() {
                    Some(why) => Text::unknown(why),
                    None => self.parameter(number),
                },
                Err(_) => self.state.env.get(name),
            },
        }
    }

    fn parameter(&self, number: usize) -> Text {
        let params = self.state.params.as_deref().unwrap_or_default();
        let index = number.checked_sub(1);
        index
            .and_then(|index| params.get(index))
            .cloned()
            .unwrap_or_default()
    }

    /// Replaces fields with wildcards by the one file that fits. Without the
    /// module that does so, or without such a file, they stay as they are; with
    /// several files it is GRUB's driver that knows their order.
    fn wildcards(&mut self, fields: Vec<Field>, tame: bool, place: &Place) -> Vec<Field> {
        let each = fields.into_iter().map(|field| {
            if !is_wild(&field.text) || field.text.why_unknown().is_some() {
                return field;
            }
            let why = match self.matches(&field, place) {
                Ok(paths) if paths.is_empty() => return field,
                Ok(paths) => match paths.as_slice() {
                    [only] if self.state.wildcards && !tame => {
                        return Field {
                            text: only.clone(),
                            loose: None,
                        };
                    }
                    [_] => Why::at(
                        place,
                        "whether GRUB expands wildcards depends on its modules",
                    ),
                    _ => Why::at(place, "several files match, and their order is unknown"),
                },
                Err(why) => why,
            };
            Field {
                text: Text::unknown(why.clone()),
                loose: Some(why),
            }
        });
        each.collect()
    }

    /// The files that a path with wildcards fits.
    fn matches(&self, field: &Field, place: &Place) -> Result<Vec<Text>, Why> {
        let start = field.text.known_start();
        let absolute = start.starts_with(['/', '(', '*', '?']) || start.is_empty();
        if !absolute {
            return Ok(Vec::new());
        }
        let mut paths = vec![Text::default()];
        let mut wild = false;
        for part in parts(&field.text) {
            let Some(pattern) = part.known_part().filter(|part| part.contains(['*', '?'])) else {
                for path in &mut paths {
                    path.push(&part.text);
                }
                continue;
            };
            let Some(name) = pattern.strip_prefix('/') else {
                return Err(Why::at(place, "a wildcard is in the name of a device"));
            };
            let mut fit = Vec::new();
            for path in paths {
                fit.extend(self.fitting(path, name, wild, place)?);
            }
            if fit.len() > MAX_FIT {
                let what = format!("more than {MAX_FIT} files match, and their order is unknown");
                return Err(Why::at(place, what));
            }
            (paths, wild) = (fit, true);
        }
        // What stands behind the last wildcard must be there.
        let mut there = Vec::new();
        for path in paths {
            match self.devices.node(&self.file(&path, place)?) {
                Answer::Is(_) => there.push(path),
                Answer::No => {}
                Answer::Unknown(why) => return Err(Why::at(place, why)),
            }
        }
        Ok(there)
    }

    /// The names in a folder that fit a pattern, with the path of the folder.
    fn fitting(
        &self,
        mut folder: Text,
        pattern: &str,
        inner: bool,
        place: &Place,
    ) -> Result<Vec<Text>, Why> {
        folder.push_str("/");
        let file = self.file(&folder, place)?;
        let names = match self.devices.list(&file) {
            Answer::Is(names) => names,
            Answer::No => return Ok(Vec::new()),
            // A file among the folders that fit has nothing in it.
            Answer::Unknown(_) if inner && !self.is_folder(&folder, place) => {
                return Ok(Vec::new());
            }
            Answer::Unknown(why) => return Err(Why::at(place, why)),
        };
        let fit = names.iter().filter(|name| fits(pattern, name));
        Ok(fit
            .map(|name| {
                let mut path = folder.clone();
                path.push_str(name);
                path
            })
            .collect())
    }

    fn is_folder(&self, path: &Text, place: &Place) -> bool {
        let node = self.file(path, place).map(|file| self.devices.node(&file));
        !matches!(node, Ok(Answer::Is(node)) if !node.directory)
    }
}

/// A path cut in front of its slashes; the device is with the first part.
fn parts(path: &Text) -> Vec<Field> {
    let mut parts: Vec<Field> = vec![Field::default()];
    for piece in path.pieces() {
        let TextRun::Known(text) = piece else {
            if let Some(last) = parts.last_mut() {
                last.text.push(&Text::from(piece.clone()));
            }
            continue;
        };
        for (at, part) in text.split('/').enumerate() {
            match parts.last_mut() {
                Some(last) if at == 0 => last.text.push_str(part),
                _ => parts.push(Field {
                    text: Text::known(&format!("/{part}")),
                    loose: None,
                }),
            }
        }
    }
    parts
}

impl Field {
    /// The characters, where all of them are known.
    fn known_part(&self) -> Option<&str> {
        match self.text.pieces() {
            [TextRun::Known(text)] => Some(text),
            _ => None,
        }
    }
}

/// Whether a name fits a pattern of `*`, `?` and characters.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    // Which parts of the name the pattern so far can stand for.
    let mut ends = vec![false; name.len() + 1];
    if let Some(first) = ends.first_mut() {
        *first = true;
    }
    for sign in pattern {
        let mut next = vec![false; name.len() + 1];
        let mut reachable = false;
        for (at, end) in ends.iter().enumerate() {
            if sign == '*' {
                reachable |= *end;
                if let Some(slot) = next.get_mut(at) {
                    *slot = reachable;
                }
            } else if *end
                && name.get(at).is_some_and(|c| sign == '?' || *c == sign)
                && let Some(slot) = next.get_mut(at + 1)
            {
                *slot = true;
            }
        }
        ends = next;
    }
    ends.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns() {
        assert!(fits("vmlinuz-*", "vmlinuz-6.1") && fits("*", "") && fits("a?c", "abc"));
        assert!(fits("*a*b*", "xxaxxb") && !fits("a*b", "abc") && !fits("?", ""));
    }
}
