//! How a text is laid out for who reads it: how wide its lines are, and whether
//! they are coloured. Few colours, each with one meaning.

use anstyle::{AnsiColor, Style};
use kexec_load::preflight::Severity;

use super::words::{columns, visible, wrapped};

/// Less room than this many columns is not worth parting lines for: a terminal parts
/// them then.
const LEAST: usize = 24;

/// How a text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The widest line; `None` where lines are never parted, so that a script finds each
    /// thing on one line.
    pub width: Option<usize>,
    /// Whether there are colours.
    pub colours: bool,
}

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Refused, broken.
    Refused,
    /// A warning, or something that could not be checked.
    Warning,
    /// In order.
    Ok,
    /// A heading, or what counts among others: the default entry.
    Strong,
}

impl Ink {
    /// That of a finding; none for what only informs.
    pub fn of(severity: Severity) -> Option<Ink> {
        match severity {
            Severity::Refusal => Some(Ink::Refused),
            Severity::Warning | Severity::Unknown => Some(Ink::Warning),
            Severity::Pass => Some(Ink::Ok),
            Severity::Note => None,
        }
    }

    fn style(self) -> Style {
        match self {
            Ink::Refused => AnsiColor::Red.on_default().bold(),
            Ink::Warning => AnsiColor::Yellow.on_default(),
            Ink::Ok => AnsiColor::Green.on_default(),
            Ink::Strong => Style::new().bold(),
        }
    }
}

impl Layout {
    /// For a file, a pipe, a log.
    pub const PLAIN: Layout = Layout {
        width: None,
        colours: false,
    };

    /// The text in a colour, where there are any.
    pub fn painted(self, ink: Option<Ink>, text: &str) -> String {
        match ink.filter(|_| self.colours && !text.is_empty()) {
            Some(ink) => {
                let style = ink.style();
                format!("{style}{text}{style:#}")
            }
            None => text.to_owned(),
        }
    }

    /// The text in lines that have room behind `column` columns. At least one.
    fn lines(self, column: usize, text: &str) -> Vec<String> {
        match self.width.map(|width| width.saturating_sub(column)) {
            Some(room) if room >= LEAST => wrapped(text, room),
            _ => vec![text.trim_end().to_owned()],
        }
    }

    /// A label and its text from `column` on, in as many lines as it takes. Nothing
    /// for no text.
    pub fn field(self, out: &mut String, column: usize, label: &str, text: &str) {
        self.field_in(out, column, (label, None), (text, None));
    }

    /// The same, with a colour for the label and one for the text.
    pub fn field_in(
        self,
        out: &mut String,
        column: usize,
        (label, ink): (&str, Option<Ink>),
        (text, text_ink): (&str, Option<Ink>),
    ) {
        // docs/style.md, "Errors": never a bare errno. `kexec_sys::in_words` has the words.
        debug_assert!(!text.contains("(os error "), "a bare error number: {text}");
        let text = visible(text);
        if text.is_empty() {
            return;
        }
        for (at, line) in self.lines(column, &text).iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            let gap = " ".repeat(column.saturating_sub(columns(label)));
            let label = self.painted(ink, label);
            let line = format!("{label}{gap}{}", self.painted(text_ink, line));
            // Blanks at the beginning of a path may have a line to themselves.
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Layout = Layout {
        width: Some(36),
        colours: false,
    };

    fn shown(layout: Layout) -> String {
        let mut out = String::new();
        layout.field_in(
            &mut out,
            8,
            ("ok", Some(Ink::Ok)),
            ("a kernel that was built for this machine", None),
        );
        out
    }

    #[test]
    fn lines_hang_below_their_text() {
        assert_eq!(
            shown(NARROW),
            "ok      a kernel that was built for\n        this machine\n"
        );
        assert_eq!(
            shown(Layout::PLAIN),
            "ok      a kernel that was built for this machine\n"
        );
        // Where a word hardly fits, the terminal parts the lines.
        let tiny = Layout {
            width: Some(20),
            ..NARROW
        };
        assert_eq!(shown(tiny), shown(Layout::PLAIN));
    }

    #[test]
    fn colours_end_where_they_begin_and_take_no_room() {
        let coloured = Layout {
            colours: true,
            ..NARROW
        };
        assert_eq!(
            shown(coloured),
            "\x1b[32mok\x1b[0m      a kernel that was built for\n        this machine\n"
        );
        assert_eq!(coloured.painted(Some(Ink::Strong), ""), "");
        assert_eq!(NARROW.painted(Some(Ink::Refused), "no"), "no");
    }

    #[test]
    fn what_comes_from_outside_colours_nothing() {
        let mut out = String::new();
        Layout::PLAIN.field(&mut out, 4, "id", "\x1b[31mred");
        assert_eq!(out, "id  \\x1b[31mred\n");
    }
}
