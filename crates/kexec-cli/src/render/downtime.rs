//! What a load costs in milliseconds, as text for people: the section behind the findings.

use kexec_load::downtime::{Downtime, Phase};
use kexec_load::preflight::Severity;

use super::findings::FOUND;
use super::layout::{Ink, Layout};
use super::words::bytes;

/// The heading of the section.
const TITLE: &str = "Downtime";

/// The phases, each with its milliseconds, what they come to, and what would make them
/// shorter.
pub fn section(downtime: &Downtime, layout: Layout) -> String {
    let mut out = heading(layout);
    for phase in &downtime.phases {
        layout.field(&mut out, FOUND, &millis(phase.millis), &described(phase));
    }
    let total = format!(
        "together, about, on {}; services, the shutdown of devices and the rest of the next \
         kernel's boot are not in it",
        downtime.measured_on
    );
    let label = millis(downtime.millis);
    layout.field_in(&mut out, FOUND, (&label, Some(Ink::Strong)), (&total, None));
    for advice in &downtime.advice {
        let saves = match advice.saves_millis {
            Some(saves) => format!("about {saves} ms less: "),
            None => String::new(),
        };
        let label = format!("  {}", Severity::Note.word());
        let text = format!("{saves}{}", advice.why);
        layout.field(&mut out, FOUND, &label, &text);
        layout.field(&mut out, FOUND + 2, "", &advice.remedy);
    }
    out.push('\n');
    out
}

/// The section for another machine.
pub fn unknown(layout: Layout) -> String {
    let mut out = heading(layout);
    let text = "unknown: how fast that machine is can be measured only there";
    layout.field(&mut out, FOUND, "  note", text);
    out.push('\n');
    out
}

fn heading(layout: Layout) -> String {
    let mut out = String::new();
    layout.field_in(&mut out, 0, ("", None), (TITLE, Some(Ink::Strong)));
    out
}

/// A column of numbers in front of the texts.
fn millis(millis: u64) -> String {
    format!("{millis:>12} ms")
}

fn described(phase: &Phase) -> String {
    match phase.bytes {
        0 => format!("{}: {}", phase.name, phase.how),
        len => format!("{}: {} {}", phase.name, bytes(len), phase.how),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use kexec_load::downtime::Advice;

    use super::*;

    fn phase(name: &'static str, bytes: u64, millis: u64, how: &str) -> Phase {
        Phase {
            name,
            bytes,
            millis,
            how: how.to_owned(),
        }
    }

    fn advice(name: &'static str, saves_millis: Option<u64>) -> Advice {
        Advice {
            name,
            saves_millis,
            why: "the next kernel does what it need not do".to_owned(),
            remedy: "add a word to its command line".to_owned(),
        }
    }

    /// One with much to say, and one with nothing.
    pub(in super::super) fn every() -> [Downtime; 2] {
        let slow = Downtime {
            phases: vec![
                phase(
                    "integrity check",
                    64_751_000,
                    216,
                    "by SHA-256 in a purgatory",
                ),
                phase("copy", 64_751_000, 5, "to where the next kernel is"),
                phase("kernel decompression", 62_100_000, 97, "out of zstd"),
                phase("initrd decompression", 0, 0, "it is not compressed"),
                phase("kernel messages", 24_500, 2127, "to ttyS0 at 115200 baud"),
            ],
            millis: 2445,
            advice: vec![advice("one", Some(2127)), advice("two", None)],
            measured_on: "a processor".to_owned(),
        };
        let none = Downtime {
            phases: Vec::new(),
            millis: 0,
            advice: Vec::new(),
            measured_on: String::new(),
        };
        [slow, none]
    }

    #[test]
    fn a_line_for_each_phase_and_each_advice() {
        let [slow, none] = every();
        let all = [
            section(&slow, Layout::PLAIN),
            section(&none, Layout::PLAIN),
            unknown(Layout::PLAIN),
        ];
        insta::assert_snapshot!(all.concat());
    }

    #[test]
    fn nothing_from_outside_acts_on_a_terminal() {
        let [mut downtime, _] = every();
        downtime.measured_on = "\x1b[2Jx\ny".to_owned();
        let text = section(&downtime, Layout::PLAIN);
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text:?}"
        );
        assert_eq!(text.lines().count(), 12, "{text}");
    }
}
