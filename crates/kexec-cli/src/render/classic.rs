//! The plan of a classic load as text, at most 100 columns wide.

use std::fmt::Write as _;

use kexec_plan::LoadPlan;
use kexec_plan::classic::{Segment, SegmentKind};
use kexec_plan::memory::Range;

use super::bands::{Band, Owner, Row, rows};
use super::facts;
use super::words::{self, WIDTH, bytes, columns, counted, visible, wrapped};

/// Column in which values stand.
const INDENT: usize = 11;
/// Width of a number of bytes.
const SIZE: usize = 10;

/// Where every byte goes, who owns the memory around it, and how the next
/// kernel is entered. What is loaded, and why in this way, stands before it:
/// [`super::text::plan`].
pub fn plan(plan: &LoadPlan) -> String {
    let mut out = String::new();
    field(
        &mut out,
        "entry",
        &format!("{}, {}", plan.method, plan.arch),
    );
    if plan.preserve_context {
        field(&mut out, "", "keeps this kernel's memory for a jump back");
    }
    jump(&mut out, plan);
    for (at, note) in plan.notes.iter().enumerate() {
        field(&mut out, if at == 0 { "notes" } else { "" }, note);
    }
    segments(&mut out, plan);
    memory(&mut out, plan);
    out
}

/// A label and its text, in as many lines as it takes.
fn field(out: &mut String, label: &str, text: &str) {
    words::field(out, INDENT, label, text);
}

/// The way from this kernel into the next one.
fn jump(out: &mut String, plan: &LoadPlan) {
    for (at, text) in facts::jumps(plan).iter().enumerate() {
        field(out, if at == 0 { "jump" } else { "" }, text);
    }
    for (at, register) in facts::registers(plan).iter().enumerate() {
        let facts::Register {
            name,
            value,
            meaning,
        } = register;
        let text = format!("{name} {value:#x}  {meaning}");
        field(out, if at == 0 { "registers" } else { "" }, &text);
    }
    field(out, "", facts::OTHERS);
    if let Some(room) = plan.purgatory.jump_back {
        let text = format!("the address to jump back to is appended to the command line in {room}");
        field(out, "", &text);
    }
}

/// The segments with their parts.
fn segments(out: &mut String, plan: &LoadPlan) {
    out.push('\n');
    field(out, "segments", &facts::budget(plan));
    let wide = plan.segments.iter().flat_map(|s| {
        let parts = s.parts.iter().map(|p| p.range.to_string().len() + 2);
        parts.chain([s.memory.to_string().len()])
    });
    let wide = wide.max().unwrap_or(0).max(28);
    let head = ["in memory", "loaded", "checked"];
    table_line(out, wide, "address (end excluded)", head, "what");
    for (index, segment) in plan.segments.iter().enumerate() {
        let size = bytes(segment.memory.len());
        let loaded = loaded(segment);
        let checked = match facts::checked(plan, index) {
            0 => "-".to_owned(),
            all if all == segment.memory.len() => "all".to_owned(),
            some => bytes(some),
        };
        let cells = [size.as_str(), &loaded, &checked];
        let title = facts::title(segment);
        table_line(out, wide, &segment.memory.to_string(), cells, &title);
        for part in &segment.parts {
            let size = bytes(part.range.len());
            let name = format!("  {}", visible(&part.name));
            let range = format!("  {}", part.range);
            table_line(out, wide, &range, [size.as_str(), "", ""], &name);
        }
    }
}

fn loaded(segment: &Segment) -> String {
    match (segment.content_len(), segment.kind) {
        // Its bytes come last, when everything has its place.
        (0, SegmentKind::Purgatory) => "not yet".to_owned(),
        (0, _) => "nothing".to_owned(),
        (all, _) if all == segment.memory.len() => "all".to_owned(),
        (some, _) => bytes(some),
    }
}

/// Who owns what.
fn memory(out: &mut String, plan: &LoadPlan) {
    out.push('\n');
    let entries = match plan.memory_map.len() {
        1 => "a map of 1 entry".to_owned(),
        n => format!("a map of {n} entries"),
    };
    let free = plan.destinations.free.total();
    let text = format!(
        "{} free for segments; the next kernel is given {entries}",
        bytes(free)
    );
    field(out, "memory", &text);
    let rows = joined(plan);
    let wide = rows.iter().map(|(range, _)| range.to_string().len()).max();
    let wide = wide.unwrap_or(0).max(28);
    for (range, what) in rows {
        let size = bytes(range.len());
        table_line(out, wide, &range.to_string(), [size.as_str()], &what);
    }
}

/// The rows of memory, segments that follow each other as one: the table above
/// has them one by one.
fn joined(plan: &LoadPlan) -> Vec<(Range, String)> {
    let mut joined: Vec<(Range, String)> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for row in rows(plan) {
        let (range, what) = match row {
            Row::One(Band {
                range,
                owner: owner @ Owner::Segment(_),
            }) => {
                let follows = !names.is_empty();
                names.push(owner.name(plan).into_owned());
                let what = format!("THIS IMAGE: {}", names.join(", "));
                match joined.last_mut() {
                    Some(last) if follows => {
                        *last = (Range::new(last.0.start, range.end), what);
                        continue;
                    }
                    _ => (range, what),
                }
            }
            Row::One(band) => {
                names.clear();
                (band.range, band.owner.name(plan).into_owned())
            }
            Row::Many { range, count, sums } => {
                names.clear();
                (range, format!("{}: {sums}", counted(count, "range")))
            }
        };
        joined.push((range, what));
    }
    joined
}

/// One line of a table: the range, numbers, and text that takes as many lines
/// as it needs.
fn table_line<const N: usize>(
    out: &mut String,
    wide: usize,
    range: &str,
    cells: [&str; N],
    what: &str,
) {
    let mut start = format!("  {range:wide$}");
    for cell in cells {
        let _ = write!(start, " {cell:>SIZE$}");
    }
    start.push_str("  ");
    let indent = columns(&start);
    let lead = what.len() - what.trim_start().len();
    for line in wrapped(
        what.trim_start(),
        WIDTH.saturating_sub(indent + lead).max(8),
    ) {
        let line = format!("{start}{:lead$}{line}", "");
        let _ = writeln!(out, "{}", line.trim_end());
        start = " ".repeat(indent);
    }
}

#[cfg(test)]
mod tests {
    use super::super::plans::{Ask, map_names, piece};
    use super::*;
    use proptest::prelude::*;

    fn assert_fits(text: &str) {
        for line in text.lines() {
            assert!(columns(line) <= WIDTH, "{line}");
            assert_eq!(line, line.trim_end());
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn tables_of_plans() {
        for map in ["80t", "crashkernel", "qemu-7.x-ovmf", "182-entries"] {
            insta::assert_snapshot!(format!("bzimage-{map}"), plan(&Ask::new(map).plan()));
        }
        let map = "holes";
        insta::assert_snapshot!(
            format!("multiboot-{map}"),
            plan(&Ask::multiboot(map).plan())
        );
    }

    #[test]
    fn every_map_fits_the_width() {
        for map in map_names() {
            for ask in [Ask::new(&map), Ask::multiboot(&map)] {
                let text = plan(&ask.plan());
                assert_fits(&text);
                assert!(text.lines().count() < 90, "{text}");
            }
        }
    }

    #[test]
    fn every_segment_and_part_is_there() {
        let plan_ = Ask::multiboot("qemu-6.1-seabios").plan();
        let text = plan(&plan_);
        for segment in &plan_.segments {
            assert!(text.contains(&segment.memory.to_string()), "{text}");
            for part in &segment.parts {
                assert!(text.contains(&part.range.to_string()), "{text}");
            }
        }
        assert!(text.contains(&format!("{:#x}", plan_.entry)));
    }

    #[test]
    fn names_from_outside_are_harmless() {
        let mut ask = Ask::new("6g");
        ask.path = format!("/boot/\x1b]0;x\x07{}", "k".repeat(300));
        ask.cmdline = format!("a=\x1b[2J\nb {}", "漢字 ".repeat(200))
            .as_str()
            .into();
        ask.initrd = vec![piece("/one\r\n", 5000), piece("/two \u{202e}", 6000)];
        let mut made = ask.plan();
        if let Some(kept) = made.memory_map.first() {
            made.destinations.kept.push(kexec_plan::memory::Resource {
                range: kept.range,
                name: "kept\x1b[31m".into(),
                depth: 1,
            });
        }
        made.notes.push("note\x1b[0m".into());
        assert_fits(&plan(&made));
    }

    #[test]
    fn a_check_that_is_not_made_is_not_shown() {
        let mut ask = Ask::new("6g");
        ask.options.integrity = kexec_plan::classic::Integrity::None;
        let text = plan(&ask.plan());
        assert!(text.contains("checks nothing"), "{text}");
        assert!(!text.contains(" all  kernel"), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn whatever_it_is_called(path in "\\PC{0,120}", line in "\\PC{0,400}", initrd in "\\PC{1,80}") {
            let mut ask = Ask::new("kho-scratch");
            ask.path = path;
            ask.cmdline = line.as_str().into();
            ask.initrd = vec![piece(&initrd, 5000), piece("/boot/more", 6000)];
            assert_fits(&plan(&ask.plan()));
        }
    }
}
