//! The downtimes as bars, split into their phases.

use super::matrix::WAYS;
use super::report::tenths;
use super::results::{PHASES, Results, Row, SizeResults};
use kexec_lab::downtime::{LoadWay, Packing};
use std::fmt::Write as _;

/// Width of the picture, of the labels at the left, and of the longest bar.
const WIDTH: u64 = 900;
const LABELS: u64 = 215;
const LONGEST: u64 = 600;
/// Height of a bar with the space below it.
const ROW: u64 = 20;
const BAR: u64 = 14;
const MARGIN: u64 = 20;

/// The phases' colours stand out on light and on dark pages; text and ground change
/// with the page. Names have a prefix, as the picture may be put into a page.
const STYLE: &str = "\
.kd text{font:12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1b1f24}
.kd .kd-head{font-size:15px;font-weight:bold}
.kd .kd-strong{font-weight:bold}
.kd .kd-dim{fill:#57606a}
.kd .kd-page{fill:#ffffff}
.kd .kd-integrity{fill:#d9534f}
.kd .kd-kernel{fill:#e8963e}
.kd .kd-initrd{fill:#3d9bd1}
.kd .kd-rest{fill:#9aa3ad}
@media (prefers-color-scheme:dark){
.kd text{fill:#e6e9ed}
.kd .kd-dim{fill:#9aa4af}
.kd .kd-page{fill:#14181d}
.kd .kd-rest{fill:#6b7580}
}";

/// What the colours mean, in the order of [`PHASES`].
const MEANINGS: [&str; 4] = [
    "check of the image",
    "kernel unpacks itself",
    "kernel unpacks the initrd",
    "the rest",
];

/// A drawing from the top down.
struct Sheet {
    out: String,
    y: u64,
}

impl Sheet {
    fn text(&mut self, x: u64, class: &str, text: &str) {
        let (y, text) = (self.y, escaped(text));
        let _ = writeln!(
            self.out,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>"
        );
    }

    fn rect(&mut self, phase: &str, x: u64, width: u64, title: &str) {
        let (y, title) = (self.y.saturating_sub(BAR - 3), escaped(title));
        let _ = writeln!(
            self.out,
            "<rect class=\"kd-{phase}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\">\
             <title>{title}</title></rect>"
        );
    }

    /// A row as a bar; `longest` instructions fill the width.
    fn bar(&mut self, row: &Row, longest: u64) {
        let is_ours = row.is(LoadWay::Load);
        let class = if is_ours { "kd-strong" } else { "" };
        let label = match row.way.split_once(": ") {
            Some((word, _)) => word,
            None => &row.way,
        };
        self.text(MARGIN, class, label);
        let scaled = |part: u64| {
            let wide = u128::from(part).saturating_mul(u128::from(LONGEST));
            u64::try_from(wide / u128::from(longest.max(1))).unwrap_or(LONGEST)
        };
        let parts = match row.phases {
            Some(phases) => phases.all(),
            None => [0, 0, 0, i64::try_from(row.instructions).unwrap_or(i64::MAX)],
        };
        let mut x = LABELS;
        for (phase, part) in PHASES.into_iter().zip(parts) {
            // What is a little below zero is nothing.
            let part = u64::try_from(part).unwrap_or(0);
            let width = scaled(part);
            if width > 0 {
                self.rect(phase, x, width, &format!("{phase}: {}", part / 1_000_000));
            }
            x = x.saturating_add(width);
        }
        self.text(
            x.saturating_add(6),
            class,
            &(row.instructions / 1_000_000).to_string(),
        );
        self.y = self.y.saturating_add(ROW);
    }

    /// The bars of one initrd.
    fn group(&mut self, size: &SizeResults, packing: &str) {
        let floor = size.row(LoadWay::Unpacked, Packing::Raw.name());
        let rows: Vec<&Row> = WAYS
            .into_iter()
            .filter_map(|way| size.row(way, packing))
            .chain(floor)
            .collect();
        let longest = rows.iter().map(|row| row.instructions).max().unwrap_or(0);
        let mb = |name: &str| tenths(size.initrds.get(name).copied().unwrap_or(0));
        self.y = self.y.saturating_add(ROW / 2);
        let raw = Packing::Raw.name();
        self.text(
            MARGIN,
            "kd-strong",
            &format!("initrd of {} MB, {packing}: {} MB", mb(raw), mb(packing)),
        );
        self.y = self.y.saturating_add(ROW);
        for row in rows {
            self.bar(row, longest);
        }
    }
}

/// The picture: a group of bars for each initrd, each with a scale of its own.
pub fn svg(results: &Results) -> String {
    let mut sheet = Sheet {
        out: String::new(),
        y: MARGIN + 8,
    };
    let title = "Downtime of a kexec, million instructions";
    sheet.text(MARGIN, "kd-head", title);
    sheet.y = sheet.y.saturating_add(ROW);
    let head = "from kexec -e to the first act of the next /init";
    sheet.text(MARGIN, "kd-dim", head);
    sheet.y = sheet.y.saturating_add(ROW);
    sheet.text(
        MARGIN,
        "kd-dim",
        &format!(
            "Debian's kernel {}, {}, one processor",
            results.kernel,
            results.qemu.split(" (").next().unwrap_or_default()
        ),
    );
    sheet.y = sheet.y.saturating_add(ROW);
    let mut x = MARGIN;
    for (phase, meaning) in PHASES.into_iter().zip(MEANINGS) {
        sheet.rect(phase, x, BAR, meaning);
        sheet.text(x.saturating_add(BAR + 6), "", meaning);
        let letters = u64::try_from(meaning.len()).unwrap_or(0);
        x = x.saturating_add(BAR + 30 + letters.saturating_mul(7));
    }
    sheet.y = sheet.y.saturating_add(ROW);
    for size in &results.sizes {
        for packing in size.packings() {
            sheet.group(size, packing);
        }
    }
    sheet.y = sheet.y.saturating_add(ROW / 2);
    sheet.text(MARGIN, "kd-dim", "Each group has a scale of its own.");
    let (height, body) = (sheet.y.saturating_add(MARGIN), sheet.out);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" class=\"kd\" role=\"img\" \
         aria-labelledby=\"kd-title\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n<title id=\"kd-title\">{title}</title>\n\
         <style>{STYLE}</style>\n\
         <rect class=\"kd-page\" width=\"{WIDTH}\" height=\"{height}\"/>\n{body}</svg>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::results;
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_phases() {
        let picture = svg(&results());
        // kexec-tools -s, the longest, fills the width: 3529, 868, 69 and 1262 of 5728.
        for part in [
            "class=\"kd-integrity\" x=\"215\" y=\"147\" width=\"369\"",
            "class=\"kd-kernel\" x=\"584\" y=\"147\" width=\"90\"",
            "class=\"kd-initrd\" x=\"674\" y=\"147\" width=\"7\"",
            "class=\"kd-rest\" x=\"681\" y=\"147\" width=\"132\"",
            ">5728</text>",
            "initrd of 5.0 MB, zstd: 1.7 MB",
            "prefers-color-scheme:dark",
            "Debian's kernel 7.3.4-cloud, QEMU emulator version 10.0.13",
        ] {
            assert!(picture.contains(part), "{part}\nin\n{picture}");
        }
        assert!(!picture.contains("integrity: -"));
    }
}
