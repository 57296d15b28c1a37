//! The plan of a classic load as a picture of physical memory: one SVG file
//! without anything outside of it (SVG 1.1, with the media query for a dark
//! surface that browsers know), for eyes and for screen readers.

mod page;
pub mod reboots;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use kexec_plan::LoadPlan;
use kexec_plan::classic::{Segment, SegmentKind};
use kexec_plan::memory::Range;

use super::bands::{Band, Owner, Row, rows};
use super::facts;
use super::words::{bytes, columns, counted, scaled, shortened, visible, wrapped};
use page::{LETTER, LINE, MARGIN, Page, WIDTH, document, letters};

/// Where addresses end.
const ADDRESS: u64 = 150;
/// Where bands start.
const BAND: u64 = 196;
/// How wide they are.
const BAND_WIDTH: u64 = 300;
/// Where the text beside them starts.
const BESIDE: u64 = BAND + BAND_WIDTH + 16;
/// Attributes of rectangles.
const EDGE: &str = "class=\"kx-edge\"";
const NONE: &str = "class=\"kx-none\"";
const MANY: &str = "fill=\"url(#kx-many)\"";
/// More parts of a segment are counted, not named.
const PARTS: usize = 12;
/// More lines of the command line are counted, not shown; all of it is in the
/// description.
const CMDLINE_LINES: usize = 5;

/// The picture, a whole XML document.
pub fn plan(plan: &LoadPlan) -> String {
    let mut page = Page {
        y: MARGIN,
        ..Page::default()
    };
    head(&mut page, plan);
    map(&mut page, plan);
    legend(&mut page, plan);
    notes(&mut page, plan);
    let title = format!("kexec plan: {}, {}", plan.method, plan.path);
    document(&page, &title, &description(plan))
}

/// The picture in words.
fn description(plan: &LoadPlan) -> String {
    let mut words = format!(
        "Physical memory with the segments that kexec_load puts there: {}. Command line: {}. ",
        facts::budget(plan),
        plan.cmdline,
    );
    for segment in &plan.segments {
        let title = facts::title(segment);
        let size = bytes(segment.memory.len());
        let _ = write!(words, "{title} at {}, {size}. ", segment.memory);
    }
    words.push_str(&facts::jumps(plan).join(", "));
    words.push('.');
    words
}

/// What it is, how much, and how it is entered.
fn head(page: &mut Page, plan: &LoadPlan) {
    let title = format!("kexec plan: {}", visible(&plan.method));
    page.y += LINE;
    // Letters half as large again.
    let room = letters(MARGIN) * 2 / 3;
    page.text(MARGIN, page.y, "kx-head", &shortened(&title, room));
    page.y += LINE / 3;
    let what = format!("{} ({}, {})", plan.path, plan.format, plan.arch);
    let what = shortened(&visible(&what), letters(MARGIN));
    page.lines(MARGIN, "kx-strong", &what);
    let line = visible(&plan.cmdline.to_string());
    let length = counted(plan.cmdline.as_bytes().len(), "byte");
    let lines = wrapped(&line, letters(MARGIN));
    for line in lines.iter().take(CMDLINE_LINES) {
        page.lines(MARGIN, "", line);
    }
    let rest = match lines.len().checked_sub(CMDLINE_LINES) {
        Some(more) if more > 0 => format!(", {} not shown", counted(more, "line")),
        _ => String::new(),
    };
    let text = format!("command line of {length}{rest}");
    page.lines(MARGIN, "kx-dim", &text);
    page.y += LINE / 2;
    for (number, text) in facts::jumps(plan).iter().enumerate() {
        match number {
            0 => page.badge(MARGIN + 8, page.y + LINE - 4, 1),
            2 => page.badge(MARGIN + 8, page.y + LINE - 4, 2),
            _ => {}
        }
        page.lines(MARGIN + 24, "", text);
    }
    for register in facts::registers(plan) {
        page.y += LINE;
        let y = page.y;
        page.text(MARGIN + 24, y, "kx-strong", register.name);
        page.text(MARGIN + 64, y, "", &format!("{:#x}", register.value));
        let meaning = shortened(&register.meaning, letters(220));
        page.text(220, y, "kx-dim", &meaning);
    }
    page.lines(MARGIN + 24, "kx-dim", facts::OTHERS);
    budget(page, plan);
}

/// All segments against what the running kernel takes.
fn budget(page: &mut Page, plan: &LoadPlan) {
    let whole = WIDTH - 2 * MARGIN;
    page.y += LINE / 2;
    page.lines(MARGIN, "", &format!("segments: {}", facts::budget(plan)));
    page.y += 7;
    page.group(&format!("{} of {}", bytes(plan.total), bytes(plan.limit)));
    let mut from = 0_u64;
    for segment in &plan.segments {
        let to = from.saturating_add(segment.memory.len());
        let (left, right) = (
            scaled(from, plan.limit, whole),
            scaled(to, plan.limit, whole),
        );
        let class = format!("class=\"kx-{}\"", class(segment.kind));
        page.rect(&class, MARGIN + left, page.y, (right - left).max(1), 12);
        from = to;
    }
    page.rect(EDGE, MARGIN, page.y, whole, 12);
    page.end_group();
    page.y += 12;
}

/// How high a band is: it grows with the logarithm of its size, so that
/// terabytes and pages stand next to each other.
fn height(range: Range) -> u64 {
    let log = range.len().checked_ilog2().unwrap_or(0);
    20 + 2 * u64::from(log.saturating_sub(12))
}

/// Memory from address 0 on, downwards.
fn map(page: &mut Page, plan: &LoadPlan) {
    page.y += LINE;
    page.lines(
        MARGIN,
        "kx-strong",
        "Physical memory from the lowest address down (heights grow with the logarithm of the size)",
    );
    page.y += LINE;
    let exit = plan.purgatory.exit.rip;
    let mut entries = [None; 2];
    let mut end = 0;
    for row in rows(plan) {
        let (range, top) = match &row {
            Row::One(band) => (band.range, page.y),
            Row::Many { range, .. } => (*range, page.y),
        };
        page.text(
            ADDRESS,
            top + 4,
            "kx-address",
            &format!("{:#x}", range.start),
        );
        match row {
            Row::One(band) => self::band(page, plan, &band),
            Row::Many { range, count, sums } => {
                let name = counted(count, "range");
                plain(page, range, &name, MANY, &sums);
            }
        }
        let middle = top + (page.y - top) / 2;
        for (at, address) in entries.iter_mut().zip([plan.entry, exit]) {
            if range.contains(address) {
                *at = Some(middle);
            }
        }
        end = range.end;
    }
    page.text(ADDRESS, page.y + 4, "kx-address", &format!("{end:#x}"));
    arrow(page, entries);
}

/// From the running kernel to the purgatory (1), and on to the next one (2).
fn arrow(page: &mut Page, entries: [Option<u64>; 2]) {
    let lane = BAND - 24;
    if let [Some(from), Some(to)] = entries
        && from != to
    {
        let left = lane - 24;
        let _ = writeln!(
            page.out,
            "<path class=\"kx-arrow\" d=\"M{lane} {from}C{left} {from} {left} {to} {lane} {to}\"/>"
        );
    }
    for (at, number) in entries.into_iter().zip(1..) {
        let Some(y) = at else { continue };
        let (tip, top, bottom) = (BAND - 2, y - 4, y + 4);
        let back = tip - 8;
        let _ = writeln!(
            page.out,
            "<path class=\"kx-arrow\" d=\"M{lane} {y}H{back}\"/>\
             <path class=\"kx-tip\" d=\"M{back} {top}L{tip} {y}L{back} {bottom}Z\"/>"
        );
        page.badge(lane, y, number);
    }
}

/// One band.
fn band(page: &mut Page, plan: &LoadPlan, band: &Band<'_>) {
    if let Owner::Segment(index) = band.owner {
        if let Some(segment) = plan.segments.get(index) {
            self::segment(page, plan, index, segment);
        }
        return;
    }
    let (fill, _) = look(band.owner);
    plain(page, band.range, &band.owner.name(plan), fill, "");
}

/// How it is filled, and what that means.
const fn look(owner: Owner<'_>) -> (&'static str, &'static str) {
    match owner {
        Owner::Segment(_) => (EDGE, "this image"),
        Owner::Kept(_) => ("fill=\"url(#kx-kept)\"", "in RAM, kept"),
        Owner::Firmware(_) => ("class=\"kx-firmware\"", "not RAM: the firmware's"),
        Owner::Free => ("class=\"kx-free\"", "RAM, free for segments"),
        Owner::Left => ("class=\"kx-left\"", "RAM, left alone"),
        Owner::Nothing => (NONE, "no memory"),
    }
}

/// A band that no segment is in.
fn plain(page: &mut Page, range: Range, name: &str, fill: &str, more: &str) {
    let height = height(range);
    let size = bytes(range.len());
    let y = page.y;
    let base = y + height / 2 + 4;
    page.group(&format!("{name}, {range}, {size}{}{more}", separator(more)));
    page.rect(fill, BAND, y, BAND_WIDTH, height);
    if fill != NONE {
        page.rect(EDGE, BAND, y, BAND_WIDTH, height);
    }
    let room = usize::try_from(BAND_WIDTH * 10 / LETTER).unwrap_or(0);
    let name = shortened(name, room.saturating_sub(2));
    page.text(BAND + 8, base, "", &name);
    let beside = format!("{size}{}{more}", separator(more));
    let beside = shortened(&beside, letters(BESIDE));
    page.text(BESIDE, base, "kx-dim", &beside);
    page.end_group();
    page.y += height;
}

fn separator(more: &str) -> &'static str {
    if more.is_empty() { "" } else { ": " }
}

/// A segment: what of it is loaded in the strong colour, what is checked as a
/// line below it, its parts beside it.
fn segment(page: &mut Page, plan: &LoadPlan, index: usize, segment: &Segment) {
    let checked = facts::checked(plan, index);
    let (size, loaded) = (segment.memory.len(), segment.content_len());
    let title = facts::title(segment);
    let numbers = match (loaded, segment.kind) {
        (0, SegmentKind::Purgatory) => bytes(size),
        // It cannot check itself.
        (_, SegmentKind::Purgatory) => {
            format!("{} in memory, {} loaded", bytes(size), bytes(loaded))
        }
        _ => format!(
            "{} in memory, {} loaded, {} checked",
            bytes(size),
            bytes(loaded),
            bytes(checked)
        ),
    };
    let mut beside: Vec<String> = segment
        .parts
        .iter()
        .take(PARTS)
        .map(|part| {
            let size = bytes(part.range.len());
            format!("{:#x} {} ({size})", part.range.start, part.name)
        })
        .collect();
    if segment.parts.len() > PARTS {
        let more = counted(segment.parts.len() - PARTS, "more part");
        beside.push(more);
    }
    let lines = u64::try_from(beside.len()).unwrap_or(0) + 1;
    let height = height(segment.memory).max(lines * LINE + 10);
    let class = class(segment.kind);
    let y = page.y;
    page.group(&format!("{title}, {}, {numbers}", segment.memory));
    let light = format!("class=\"kx-{class}-bg\"");
    page.rect(&light, BAND, y, BAND_WIDTH, height);
    let strong = format!("class=\"kx-{class}\"");
    page.rect(&strong, BAND, y, share(loaded, size), height);
    let line = share(checked, size);
    page.rect("class=\"kx-checked\"", BAND, y + height - 4, line, 4);
    page.rect(EDGE, BAND, y, BAND_WIDTH, height);
    let room = usize::try_from(BAND_WIDTH * 10 / LETTER).unwrap_or(0);
    let name = shortened(&title, room.saturating_sub(2));
    page.text(BAND + 8, y + LINE, "kx-ink kx-strong", &name);
    page.text(BESIDE, y + LINE - 3, "kx-strong", &numbers);
    for (text, number) in beside.iter().zip(2_u64..) {
        let text = shortened(&visible(text), letters(BESIDE));
        page.text(BESIDE, y + number * LINE - 3, "", &text);
    }
    page.end_group();
    page.y += height;
}

/// What part of a band's width it is: visible when it is anything at all.
fn share(part: u64, whole: u64) -> u64 {
    scaled(part, whole, BAND_WIDTH).max(if part > 0 { 2 } else { 0 })
}

/// The name of a kind in [`STYLE`].
const fn class(kind: SegmentKind) -> &'static str {
    match kind {
        SegmentKind::Kernel => "kernel",
        SegmentKind::Initrd => "initrd",
        SegmentKind::Parameters => "parameters",
        SegmentKind::Module => "module",
        SegmentKind::CoreHeader => "core-header",
        SegmentKind::Measurements => "measurements",
        SegmentKind::PageTables => "tables",
        SegmentKind::Purgatory => "purgatory",
        SegmentKind::Backup => "backup",
    }
}

/// What the colours mean.
fn legend(page: &mut Page, plan: &LoadPlan) {
    let mut items: Vec<(String, &str)> = Vec::new();
    let mut add = |fill: &str, name| {
        if !items.iter().any(|(_, known)| *known == name) {
            items.push((fill.to_owned(), name));
        }
    };
    for segment in &plan.segments {
        let fill = format!("class=\"kx-{}\"", class(segment.kind));
        add(&fill, facts::kind(segment.kind));
    }
    for row in rows(plan) {
        match row {
            Row::One(Band {
                owner: Owner::Segment(_),
                ..
            }) => {}
            Row::One(band) => {
                let (fill, name) = look(band.owner);
                add(fill, name);
            }
            Row::Many { .. } => add(MANY, "many small ranges"),
        }
    }
    page.y += 2 * LINE;
    let mut x = MARGIN;
    for (fill, name) in items {
        let width = u64::try_from(columns(name)).unwrap_or(0) * LETTER / 10 + 44;
        if x + width > WIDTH - MARGIN {
            x = MARGIN;
            page.y += LINE + 6;
        }
        page.rect(&fill, x, page.y, 18, 14);
        page.rect(EDGE, x, page.y, 18, 14);
        page.text(x + 25, page.y + 12, "", name);
        x += width;
    }
    page.y += LINE + 6;
    page.lines(
        MARGIN,
        "kx-dim",
        "In a segment the strong colour is what is loaded and the light one zeros; the line at its \
         lower edge is what the purgatory checks.",
    );
}

/// What was decided and why.
fn notes(page: &mut Page, plan: &LoadPlan) {
    page.y += LINE / 2;
    for note in &plan.notes {
        page.lines(MARGIN, "", &format!("note: {note}"));
    }
    if let Some(room) = plan.purgatory.jump_back {
        let text = format!("the address to jump back to is appended to the command line in {room}");
        page.lines(MARGIN, "", &text);
    }
}
