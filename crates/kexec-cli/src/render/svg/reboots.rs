//! `kexec history --svg`: each reboot as a bar of shutdown, jump, kernel.

use kexec_reboot::record::outcome::{ArrivalTimes, duration};
use kexec_reboot::record::{Attempt, Outcome};

use super::super::reboots::{date, last, target};
use super::super::words::{scaled, shortened};
use super::page::{LINE, MARGIN, Page, WIDTH, document, letters};

/// Height of a bar.
const BAR: u64 = 22;

/// The parts of a bar: what it is, and the class that colours it.
const PARTS: [(&str, &str); 4] = [
    ("shutdown and jump", "kx-backup"),
    ("shutdown", "kx-initrd"),
    ("jump", "kx-purgatory"),
    ("kernel", "kx-kernel"),
];

/// The stretches of one arrival: index into [`PARTS`] and milliseconds.
fn stretches(arrival: &ArrivalTimes) -> Vec<(usize, u64)> {
    let shutdown = if arrival.jump.is_some() { 1 } else { 0 };
    let parts = [
        (shutdown, arrival.shutdown),
        (2, arrival.jump),
        (3, arrival.kernel),
    ];
    let known = parts.into_iter();
    known.filter_map(|(part, ms)| Some((part, ms?))).collect()
}

/// The picture of all attempts, the newest first, on one scale.
pub fn svg(attempts: &[Attempt]) -> String {
    let mut page = Page {
        y: MARGIN,
        ..Page::default()
    };
    page.y += LINE;
    page.text(MARGIN, page.y, "kx-head", "kexec history");
    let longest = attempts.iter().filter_map(arrival).map(total).max();
    for attempt in attempts {
        page.y += LINE / 2;
        one(&mut page, attempt, longest.unwrap_or(1));
    }
    if attempts.is_empty() {
        page.lines(MARGIN, "kx-dim", "Nothing is recorded.");
    }
    legend(&mut page);
    let description: Vec<String> = attempts.iter().map(last).collect();
    document(&page, "kexec history", &description.join(". "))
}

fn arrival(attempt: &Attempt) -> Option<&ArrivalTimes> {
    match &attempt.outcome {
        Some(Outcome::Kexec(arrival)) => Some(arrival),
        _ => None,
    }
}

fn total(arrival: &ArrivalTimes) -> u64 {
    let stretches = stretches(arrival).into_iter();
    stretches.fold(0, |sum, (_, ms)| sum.saturating_add(ms))
}

fn one(page: &mut Page, attempt: &Attempt, longest: u64) {
    let head = format!("{}  {}", date(attempt.asked.realtime), target(attempt));
    page.lines(MARGIN, "kx-strong", &shortened(&head, letters(MARGIN)));
    let Some(arrival) = arrival(attempt) else {
        page.lines(MARGIN, "kx-dim", &last(attempt).replace('\n', " "));
        return;
    };
    let room = WIDTH.saturating_sub(2 * MARGIN);
    let (mut x, mut words) = (MARGIN, Vec::new());
    let top = page.y + LINE / 2;
    for (part, ms) in stretches(arrival) {
        let Some((name, class)) = PARTS.get(part) else {
            continue;
        };
        let width = scaled(ms, longest, room).max(1);
        words.push(format!("{name} {}", duration(ms)));
        page.group(&format!("{name}: {}", duration(ms)));
        page.rect(&format!("class=\"{class}\""), x, top, width, BAR);
        page.end_group();
        x += width;
    }
    page.y = top + BAR;
    page.lines(MARGIN, "kx-dim", &words.join(" · "));
}

fn legend(page: &mut Page) {
    page.y += LINE;
    let mut x = MARGIN;
    for (name, class) in PARTS {
        page.rect(&format!("class=\"{class}\""), x, page.y, 12, 12);
        page.text(x + 18, page.y + 11, "", name);
        x += 40 + u64::try_from(name.len()).unwrap_or(0) * 8;
    }
    page.y += LINE;
}
