//! The sheet that a picture is drawn on: lines of text and rectangles from the
//! top down, the style, and the document around it.

use std::fmt::Write as _;

use super::super::words::{visible, wrapped};

/// The whole picture, in units of which a letter of the body text takes
/// [`LETTER`].
pub const WIDTH: u64 = 1100;
/// The empty edge.
pub const MARGIN: u64 = 20;
/// From one line of text to the next.
pub const LINE: u64 = 17;
/// A letter's width in tenths, rounded up (12 units high, monospace).
pub const LETTER: u64 = 73;
/// Everything has this prefix, because a page that the picture is put into has
/// names of its own.
const STYLE: &str = "\
.kx text{font:12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1b1f24}
.kx .kx-head{font-size:18px;font-weight:bold}
.kx .kx-strong{font-weight:bold}
.kx .kx-dim{fill:#57606a}
.kx .kx-ink{fill:#15181c}
.kx .kx-page{fill:#ffffff}
.kx .kx-free{fill:#dcefe2}
.kx .kx-left{fill:#b9d3c2}
.kx .kx-firmware{fill:#d0d4d9}
.kx .kx-none{fill:none;stroke:#8c959f;stroke-dasharray:2 5}
.kx .kx-edge{fill:none;stroke:#8c959f}
.kx .kx-stripe{stroke:#a9b0b8;stroke-width:3}
.kx .kx-arrow{fill:none;stroke:#1b1f24;stroke-width:1.5}
.kx .kx-tip{fill:#1b1f24}
.kx text.kx-badge{fill:#ffffff;font-weight:bold;text-anchor:middle}
.kx .kx-address{text-anchor:end;font-size:11px}
.kx .kx-checked{fill:#15181c}
.kx .kx-kernel{fill:#f2a65a}.kx .kx-kernel-bg{fill:#fbe3cb}
.kx .kx-initrd{fill:#7cc4e8}.kx .kx-initrd-bg{fill:#d5edf9}
.kx .kx-parameters{fill:#b7d968}.kx .kx-parameters-bg{fill:#e8f4cf}
.kx .kx-module{fill:#c9a6e4}.kx .kx-module-bg{fill:#ecdff6}
.kx .kx-measurements{fill:#f4d35e}.kx .kx-measurements-bg{fill:#fcf2cc}
.kx .kx-purgatory{fill:#ef8a86}.kx .kx-purgatory-bg{fill:#fadbd9}
.kx .kx-backup{fill:#9fd8c8}.kx .kx-backup-bg{fill:#dcf2ec}
.kx .kx-cold{fill:#b4bbc3}
.kx .kx-down{stroke:#7cc4e8;stroke-width:3}
.kx .kx-grid{fill:#e3e7eb}
.kx .kx-middle{text-anchor:middle}
@media (prefers-color-scheme:dark){
.kx text{fill:#e6e9ed}
.kx .kx-dim{fill:#9aa4af}
.kx text.kx-ink{fill:#15181c}
.kx .kx-page{fill:#14181d}
.kx .kx-free{fill:#1e3a2a}
.kx .kx-left{fill:#2f5540}
.kx .kx-firmware{fill:#3a4048}
.kx .kx-stripe{stroke:#59636e}
.kx .kx-cold{fill:#9aa3ad}
.kx .kx-grid{fill:#2a3038}
.kx .kx-arrow{stroke:#e6e9ed}
.kx .kx-tip{fill:#e6e9ed}
.kx text.kx-badge{fill:#14181d}
}";

/// Hatched: something in RAM that is kept, or two parts of a reboot that were not told
/// apart. Chequered: many ranges in one.
const PATTERNS: &str = "\
<defs>
<pattern id=\"kx-kept\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" \
patternTransform=\"rotate(45)\"><rect class=\"kx-firmware\" width=\"8\" height=\"8\"/>\
<line class=\"kx-stripe\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"8\"/></pattern>
<pattern id=\"kx-many\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
<rect class=\"kx-free\" width=\"6\" height=\"6\"/>\
<rect class=\"kx-firmware\" width=\"6\" height=\"3\"/></pattern>
<pattern id=\"kx-down\" width=\"14\" height=\"14\" patternUnits=\"userSpaceOnUse\" \
patternTransform=\"rotate(45)\"><rect class=\"kx-cold\" width=\"14\" height=\"14\"/>\
<line class=\"kx-down\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"14\"/></pattern>
</defs>
";

/// Makes a document of what was drawn.
pub fn document(page: &Page, title: &str, desc: &str) -> String {
    let height = page.y.saturating_add(MARGIN);
    let (title, desc, body) = (escaped(title), escaped(desc), &page.out);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" class=\"kx\" role=\"img\" \
         aria-labelledby=\"kx-title kx-desc\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n\
         <title id=\"kx-title\">{title}</title>\n<desc id=\"kx-desc\">{desc}</desc>\n\
         <style>{STYLE}</style>\n{PATTERNS}\
         <rect class=\"kx-page\" width=\"{WIDTH}\" height=\"{height}\"/>\n{body}</svg>\n"
    )
}

/// Text as XML: harmless characters only, and none that is markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// How many letters fit from `x` to the right edge.
pub fn letters(x: u64) -> usize {
    let room = WIDTH.saturating_sub(x.saturating_add(MARGIN));
    usize::try_from(room * 10 / LETTER).unwrap_or(usize::MAX)
}

/// A picture in the making, from the top down.
#[derive(Debug, Default)]
pub struct Page {
    /// What is drawn.
    pub out: String,
    /// Where the next thing goes.
    pub y: u64,
}

impl Page {
    /// Text with its base line at `y`; it has to fit.
    pub fn text(&mut self, x: u64, y: u64, class: &str, text: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.out,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>"
        );
    }

    /// Text in as many lines as it takes.
    pub fn lines(&mut self, x: u64, class: &str, text: &str) {
        for line in wrapped(&visible(text), letters(x)) {
            self.y += LINE;
            self.text(x, self.y, class, &line);
        }
    }

    /// A rectangle; `fill` is the attribute that fills it.
    pub fn rect(&mut self, fill: &str, x: u64, y: u64, width: u64, height: u64) {
        let _ = writeln!(
            self.out,
            "<rect {fill} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        );
    }

    /// What follows has a name that is shown when it is pointed at.
    pub fn group(&mut self, title: &str) {
        let _ = writeln!(self.out, "<g><title>{}</title>", escaped(title));
    }

    /// The end of a group.
    pub fn end_group(&mut self) {
        self.out.push_str("</g>\n");
    }

    /// A number in a circle.
    pub fn badge(&mut self, x: u64, y: u64, number: usize) {
        let _ = writeln!(
            self.out,
            "<circle class=\"kx-tip\" cx=\"{x}\" cy=\"{y}\" r=\"8\"/>"
        );
        self.text(x, y + 4, "kx-badge", &number.to_string());
    }
}
