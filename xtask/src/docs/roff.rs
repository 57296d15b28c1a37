//! A writer for manual pages in the man(7) language of roff: just what the pages
//! here need.

/// The longest line of the source, where words allow.
const WIDTH: usize = 78;

/// A manual page that is being written.
#[derive(Debug)]
pub struct Roff {
    text: String,
}

impl Roff {
    /// A page of section 8 with its head.
    pub fn new(name: &str, date: &str, version: &str) -> Roff {
        let title = literal(&name.to_uppercase());
        Roff {
            text: format!(
                ".\\\" Made from the definition of the command line: cargo xtask man\n\
                 .TH {title} 8 {date} \"kexec\\-rs {version}\" \"System administration\"\n\
                 .\\\" Options and paths are not divided at the end of a line.\n.nh\n.ad l\n"
            ),
        }
    }

    /// A heading, as `.SH`.
    pub fn section(&mut self, heading: &str) {
        self.request(&format!(".SH \"{}\"", quoted(heading)));
    }

    /// A heading below that, as `.SS`.
    pub fn subsection(&mut self, heading: &str) {
        self.request(&format!(".SS \"{}\"", quoted(heading)));
    }

    /// The first paragraph behind a heading.
    pub fn text(&mut self, text: &str) {
        self.fill(&marked(text));
    }

    /// Begins a paragraph with this text.
    pub fn paragraph(&mut self, text: &str) {
        self.request(".PP");
        self.text(text);
    }

    /// A term, marked up already, and what it is.
    pub fn item(&mut self, term: &str, text: &str) {
        self.request(".TP");
        self.request(term);
        self.text(text);
    }

    /// Lines that stay as they are, marked up already.
    pub fn lines(&mut self, marked: &[String]) {
        self.request(&marked.join("\n.br\n"));
    }

    /// Paragraphs behind a heading.
    pub fn paragraphs(&mut self, texts: &[&str]) {
        let mut texts = texts.iter();
        self.text(texts.next().copied().unwrap_or_default());
        texts.for_each(|text| self.paragraph(text));
    }

    /// The line of the section NAME, from which apropos(1) makes its index.
    pub fn line_of_name(&mut self, name: &str, about: &str) {
        self.request(&format!("{} \\- {}", literal(name), escaped(about)));
    }

    /// A paragraph that is marked up already.
    pub fn marked_text(&mut self, marked: &str) {
        self.fill(marked);
    }

    /// Something typed, in a line of its own.
    pub fn example(&mut self, command: &str) {
        self.request(".PP\n.RS 4\n.EX");
        self.request(&literal(command));
        self.request(".EE\n.RE");
    }

    /// The page as the text of a file for man(1).
    pub fn finish(self) -> String {
        self.text
    }

    fn request(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Words in lines; a sentence ends its line, so that roff sees it.
    fn fill(&mut self, marked: &str) {
        let mut line = String::new();
        for word in marked.split(' ') {
            if !line.is_empty() {
                let full = line.len() + 1 + word.len() > WIDTH;
                if full || line.ends_with(['.', '?']) {
                    self.request(&line);
                    line.clear();
                } else {
                    line.push(' ');
                }
            }
            if line.is_empty() && word.starts_with(['.', '\'']) {
                line.push_str("\\&");
            }
            line.push_str(word);
        }
        self.request(&line);
    }
}

/// The text in bold.
pub fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", literal(text))
}

/// The text in italics.
pub fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", literal(text))
}

/// `name(8)` with its name in bold.
pub fn reference(name: &str, section: u8) -> String {
    format!("{}({section})", bold(name))
}

/// Text that is typed: every dash is a minus.
pub fn literal(text: &str) -> String {
    escaped(text).replace('-', "\\-")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('"', "\\(dq")
}

/// Quotes a text that is one argument of a roff request.
fn quoted(text: &str) -> String {
    escaped(text).replace('`', "")
}

/// Prose: `code`, options, placeholders in capitals and names of pages get their
/// fonts.
fn marked(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            out.push_str(&bold(part));
            continue;
        }
        for (at, word) in part.split(' ').enumerate() {
            if at > 0 {
                out.push(' ');
            }
            out.push_str(&marked_word(word));
        }
    }
    out
}

/// The capitals that stand for what a user puts there.
const PLACEHOLDERS: &[&str] = &["ENTRY", "KERNEL", "TOKEN"];

fn marked_word(word: &str) -> String {
    let inner = word.trim_start_matches('(');
    let before = word.strip_suffix(inner).unwrap_or_default();
    let core = inner.trim_end_matches(['.', ',', ';', ':', '?', ')']);
    let is_option = core
        .trim_start_matches('-')
        .starts_with(|c: char| c.is_ascii_alphabetic())
        && core.starts_with('-');
    let shown = if let Some((name, section)) = page(inner) {
        // What looks like its end is the section.
        let rest = inner.get(name.len() + 3..).unwrap_or_default();
        return format!("{before}{}{}", reference(name, section), escaped(rest));
    } else if is_option {
        bold(core)
    } else if let Some(placeholder) = PLACEHOLDERS
        .iter()
        .find(|one| core == **one || core.strip_suffix("'s") == Some(**one))
    {
        let rest = core.strip_prefix(placeholder).unwrap_or_default();
        format!("{}{rest}", italic(placeholder))
    } else {
        escaped(core)
    };
    let after = inner.strip_prefix(core).unwrap_or_default();
    format!("{before}{shown}{after}")
}

/// `kexec_load(2)...`: the name and the section.
fn page(word: &str) -> Option<(&str, u8)> {
    let (name, rest) = word.split_once('(')?;
    let (section, _) = rest.split_once(')')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let section = section.parse().ok().filter(|s| (1..=9).contains(s))?;
    (!name.is_empty() && name.chars().all(plain)).then_some((name, section))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_get_their_fonts() {
        assert_eq!(
            marked("say `kexec -e`, or -e (--exec), to ENTRY's"),
            "say \\fBkexec \\-e\\fR, or \\fB\\-e\\fR (\\fB\\-\\-exec\\fR), to \\fIENTRY\\fR's"
        );
        assert_eq!(
            marked("(kexec_load(2)), and kexec_load(2). read-only"),
            "(\\fBkexec_load\\fR(2)), and \\fBkexec_load\\fR(2). read-only"
        );
        assert_eq!(marked("a\\b \"c\" - d(e)"), "a\\eb \\(dqc\\(dq - d(e)");
    }

    #[test]
    fn no_line_is_taken_for_a_request() {
        let mut roff = Roff::new("x-y", "2026-01-02", "1");
        roff.text(&format!("{}lastword .x of it", "word ".repeat(14)));
        roff.paragraph(".start. 'next");
        let text = roff.finish();
        assert!(text.contains("\n\\&.x of it\n"), "{text}");
        assert!(text.contains("\n\\&.start.\n\\&'next\n"), "{text}");
        assert!(text.contains("\n.TH X\\-Y 8 2026-01-02 "), "{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}
