//! `kexec history --svg`: each reboot as a bar on one axis of time, its parts in colours.
//! What the firmware and the boot loader took is grey: that is what a kexec saves.

use kexec_reboot::record::outcome::duration;
use kexec_reboot::record::{Attempt, Outcome};

use super::super::phases::phases;
use super::super::reboots::{date, last, target};
use super::super::words::{columns, counted, scaled, shortened, visible};
use super::page::{LETTER, LINE, MARGIN, Page, WIDTH, document, letters};

/// Where bars start.
const BARS: u64 = 370;
/// How long the axis is: the total stands behind a bar.
const AXIS: u64 = 610;
/// From one reboot to the next.
const ROW: u64 = 44;
/// Height of a bar.
const BAR: u64 = 22;
/// Below more rows than this, the axis is drawn once more.
const FEW: usize = 12;
/// The most stretches into which the axis is divided.
const STRETCHES: u64 = 7;

/// The parts of a bar: the name in the metrics, the name for people, what fills it.
const PARTS: [(&str, &str, &str); 11] = [
    ("services", "services", "class=\"kx-measurements\""),
    ("devices", "unmounting and devices", "class=\"kx-free\""),
    (
        "devices_and_jump",
        "unmounting, devices and jump",
        "class=\"kx-left\"",
    ),
    ("shutdown", "shutdown", "class=\"kx-initrd\""),
    (
        "shutdown_and_jump",
        "shutdown and jump",
        "class=\"kx-backup\"",
    ),
    (
        "shutdown_and_firmware",
        "shutdown, firmware and boot loader",
        "fill=\"url(#kx-down)\"",
    ),
    ("firmware", "firmware and boot loader", "class=\"kx-cold\""),
    ("jump", "jump", "class=\"kx-purgatory\""),
    (
        "kernel",
        "kernel, to its first program",
        "class=\"kx-kernel\"",
    ),
    ("initrd", "initrd", "class=\"kx-module\""),
    (
        "userspace",
        "userspace, until the boot has ended",
        "class=\"kx-parameters\"",
    ),
];

/// Lengths of a stretch of the axis in milliseconds.
const STEPS: [u64; 20] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
    600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000,
];

/// A stretch of a bar: index into [`PARTS`], and milliseconds.
fn stretches(attempt: &Attempt) -> Vec<(usize, u64)> {
    let services = match &attempt.outcome {
        Some(Outcome::Kexec(arrival)) => arrival.services,
        _ => None,
    };
    let split = |(name, ms): (&'static str, u64)| {
        let rest = match name {
            "shutdown" => Some("devices"),
            "shutdown_and_jump" => Some("devices_and_jump"),
            _ => None,
        };
        match rest.zip(services) {
            Some((rest, services)) => {
                vec![("services", services), (rest, ms.saturating_sub(services))]
            }
            None => vec![(name, ms)],
        }
    };
    let all = phases(attempt).into_iter().flat_map(split);
    all.filter_map(|(name, ms)| Some((PARTS.iter().position(|part| part.0 == name)?, ms)))
        .collect()
}

fn total(attempt: &Attempt) -> u64 {
    let stretches = stretches(attempt).into_iter();
    stretches.fold(0, |sum, (_, ms)| sum.saturating_add(ms))
}

/// The picture of all requests, the newest first; `None` where there are none.
pub fn svg(attempts: &[Attempt]) -> Option<String> {
    if attempts.is_empty() {
        return None;
    }
    let mut page = Page {
        y: MARGIN,
        ..Page::default()
    };
    page.y += LINE;
    page.text(MARGIN, page.y, "kx-head", "Reboots");
    page.lines(
        MARGIN,
        "kx-dim",
        &format!("{}; the newest first", counts(attempts)),
    );
    page.y += LINE;
    let longest = attempts.iter().map(total).max().filter(|ms| *ms > 0);
    let rows = u64::try_from(attempts.len()).unwrap_or(u64::MAX);
    let axis = longest.map(Axis::up_to);
    if let Some(axis) = &axis {
        page.y += LINE;
        axis.labels(&mut page);
        page.y += LINE / 2;
        axis.grid(&mut page, rows.saturating_mul(ROW));
    }
    for attempt in attempts {
        row(&mut page, attempt, axis.as_ref());
    }
    if let Some(axis) = axis.filter(|_| attempts.len() > FEW) {
        page.y += LINE;
        axis.labels(&mut page);
    }
    legend(&mut page, attempts);
    let description: Vec<String> = attempts.iter().map(last).collect();
    Some(document(&page, "kexec history", &description.join(". ")))
}

/// `2 kexecs, 1 cold boot`.
fn counts(attempts: &[Attempt]) -> String {
    let of = |is: fn(&Outcome) -> bool| {
        let outcomes = attempts.iter().filter_map(|a| a.outcome.as_ref());
        outcomes.filter(|outcome| is(outcome)).count()
    };
    let kexecs = of(|o| matches!(o, Outcome::Kexec(_)));
    let cold = of(|o| matches!(o, Outcome::Cold { .. }));
    let other = attempts.len() - kexecs - cold;
    let all = [(kexecs, "kexec"), (cold, "cold boot")].into_iter();
    let some = all.filter(|(count, _)| *count > 0);
    let mut words: Vec<String> = some.map(|(count, word)| counted(count, word)).collect();
    if other > 0 {
        words.push(format!("{other} without a known outcome"));
    }
    words.join(", ")
}

/// How time is drawn.
#[derive(Debug)]
struct Axis {
    /// Milliseconds from one line to the next.
    step: u64,
    /// Milliseconds that the whole is.
    end: u64,
}

impl Axis {
    fn up_to(longest: u64) -> Axis {
        let mut steps = STEPS.into_iter();
        let fits = |step: &u64| longest.div_ceil(*step) <= STRETCHES;
        let step = steps.find(fits).unwrap_or(longest.div_ceil(STRETCHES));
        Axis {
            step,
            end: longest.div_ceil(step).saturating_mul(step),
        }
    }

    fn at(&self, ms: u64) -> u64 {
        BARS + scaled(ms, self.end, AXIS)
    }

    fn ticks(&self) -> impl Iterator<Item = u64> {
        let step = self.step;
        (0..=self.end / step).map(move |tick| tick * step)
    }

    fn labels(&self, page: &mut Page) {
        let y = page.y;
        for ms in self.ticks() {
            page.text(self.at(ms), y, "kx-dim kx-middle", &tick(ms, self.step));
        }
    }

    fn grid(&self, page: &mut Page, height: u64) {
        let top = page.y;
        for ms in self.ticks() {
            page.rect("class=\"kx-grid\"", self.at(ms), top, 1, height);
        }
    }
}

/// `0.5 s`, `20 s`, `2 min`, `1 h`: all of an axis in one unit.
fn tick(ms: u64, step: u64) -> String {
    match ms {
        0 => "0 s".to_owned(),
        _ if step.is_multiple_of(3_600_000) => format!("{} h", ms / 3_600_000),
        _ if step.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        _ if step.is_multiple_of(1_000) => format!("{} s", ms / 1_000),
        _ => {
            let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
            format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

/// The releases, from and to.
fn releases(attempt: &Attempt) -> String {
    let from = visible(&attempt.from);
    let to = match &attempt.outcome {
        Some(Outcome::Kexec(arrival)) => visible(&arrival.to),
        Some(Outcome::Cold { to, .. }) => visible(to),
        _ => target(attempt),
    };
    match (from == to, to.is_empty()) {
        (true, _) | (_, true) => from,
        (false, false) => format!("{from} → {to}"),
    }
}

/// What it was, in few words.
fn kind(attempt: &Attempt) -> &'static str {
    match &attempt.outcome {
        Some(Outcome::Kexec(_)) => "kexec",
        Some(Outcome::Cold { .. }) if attempt.cold.is_some() => "cold, as requested",
        Some(Outcome::Cold { jumped: true, .. }) => "another kexec",
        Some(Outcome::Cold { .. }) => "COLD BOOT",
        Some(Outcome::Unknown { .. }) => "unknown",
        Some(Outcome::Pending) | None => "not yet",
    }
}

fn row(page: &mut Page, attempt: &Attempt, axis: Option<&Axis>) {
    let top = page.y;
    page.y += ROW;
    let middle = top + ROW / 2;
    page.group(&last(attempt).replace('\n', "; "));
    let room = usize::try_from((BARS - 2 * MARGIN) * 10 / LETTER).unwrap_or(0);
    let names = shortened(&releases(attempt), room);
    page.text(MARGIN, middle - 3, "kx-strong", &names);
    let minute = date(attempt.asked.realtime);
    let minute = minute.get(..16).unwrap_or(&minute);
    let when = format!("{minute} UTC · {}", kind(attempt));
    page.text(MARGIN, middle - 3 + LINE, "kx-dim", &shortened(&when, room));
    let parts = stretches(attempt);
    match axis.filter(|_| !parts.is_empty()) {
        Some(axis) => bar(page, &parts, axis, middle - BAR / 2),
        None => {
            let text = last(attempt).replace('\n', "; ");
            let text = shortened(&text, letters(BARS + 6));
            page.text(BARS + 6, middle + 4, "kx-dim", &text);
        }
    }
    page.end_group();
}

fn bar(page: &mut Page, parts: &[(usize, u64)], axis: &Axis, top: u64) {
    let (mut from, mut sum) = (BARS, 0_u64);
    for (part, ms) in parts {
        let Some((_, name, fill)) = PARTS.get(*part) else {
            continue;
        };
        sum = sum.saturating_add(*ms);
        let to = axis.at(sum).max(from + 2);
        let text = duration(*ms);
        page.group(&format!("{name}: {text}"));
        page.rect(fill, from, top, to - from, BAR);
        if width(&text) + 8 <= to - from {
            let middle = from + (to - from) / 2;
            page.text(middle, top + BAR / 2 + 4, "kx-ink kx-middle", &text);
        }
        page.end_group();
        from = to;
    }
    let all = shortened(&duration(sum), letters(from + 8));
    page.text(from + 8, top + BAR / 2 + 4, "kx-strong", &all);
}

fn width(text: &str) -> u64 {
    u64::try_from(columns(text)).unwrap_or(u64::MAX / LETTER) * LETTER / 10
}

/// The colours that the picture has.
fn legend(page: &mut Page, attempts: &[Attempt]) {
    let used = |part: usize| {
        let mut all = attempts.iter().flat_map(stretches);
        all.any(|(is, _)| is == part)
    };
    let shown: Vec<_> = PARTS
        .iter()
        .enumerate()
        .filter(|(at, _)| used(*at))
        .collect();
    if shown.is_empty() {
        return;
    }
    page.y += LINE;
    let mut x = MARGIN;
    for (_, (_, name, fill)) in shown {
        let needed = width(name) + 44;
        if x > MARGIN && x + needed > WIDTH - MARGIN {
            x = MARGIN;
            page.y += LINE + 6;
        }
        page.rect(fill, x, page.y, 18, 14);
        page.text(x + 25, page.y + 12, "", name);
        x += needed;
    }
    page.y += LINE;
}

#[cfg(test)]
mod tests {
    use super::super::super::reboots;
    use super::*;

    /// Services and devices are the shutdown, and nothing is drawn twice.
    #[test]
    fn a_bar_is_as_long_as_its_parts() {
        let of = |outcome| {
            let attempt = reboots::tests::attempt(Some(outcome));
            let named = stretches(&attempt).into_iter();
            let named: Vec<_> = named.map(|(part, ms)| (PARTS[part].0, ms)).collect();
            (named, total(&attempt))
        };
        let (named, all) = of(reboots::tests::booted());
        assert_eq!(
            named,
            [
                ("services", 2_100),
                ("devices", 4_140),
                ("jump", 180),
                ("kernel", 312),
                ("initrd", 1_240),
                ("userspace", 4_020),
            ]
        );
        assert_eq!(all, 6_240 + 180 + 312 + 1_240 + 4_020);
        let names = of(reboots::tests::kexec(None)).0;
        assert_eq!(names, [("shutdown_and_jump", 6_240), ("kernel", 312)]);
    }

    #[test]
    fn the_axis_has_few_round_steps() {
        for (longest, step, end) in [
            (1, 50, 50),
            (6_732, 1_000, 7_000),
            (7_001, 2_000, 8_000),
            (95_000, 15_000, 105_000),
            (3_000_000, 600_000, 3_000_000),
        ] {
            let axis = Axis::up_to(longest);
            assert_eq!((axis.step, axis.end), (step, end), "{longest}");
            assert_eq!(axis.at(end), BARS + AXIS);
        }
        // Whatever a clock says.
        let axis = Axis::up_to(u64::MAX);
        assert!(axis.ticks().count() <= 9);
    }

    #[test]
    fn ticks_for_people() {
        let all = |step: u64| (0..4).map(|at| tick(at * step, step)).collect::<Vec<_>>();
        assert_eq!(all(500).join(", "), "0 s, 0.5 s, 1 s, 1.5 s");
        assert_eq!(all(30_000).join(", "), "0 s, 30 s, 60 s, 90 s");
        assert_eq!(all(120_000).join(", "), "0 s, 2 min, 4 min, 6 min");
        assert_eq!(all(3_600_000).join(", "), "0 s, 1 h, 2 h, 3 h");
    }
}
