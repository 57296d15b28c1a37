//! The table of the README.

use super::{Asker, Cell, Outcome, SYSTEMS, Seen, Way, script};
use crate::apt::Suite;
use crate::installed::Layout;
use std::fmt::Write as _;

/// A heading, and which cells stand below it.
type Column = (&'static str, fn(Way) -> bool);

const COLUMNS: [Column; 4] = [
    ("this package", |way| matches!(way, Way::Ours(_))),
    ("`systemctl kexec` alone", |way| way == Way::Alone),
    ("wiki unit 1", |way| way == Way::WikiStart),
    ("wiki unit 2", |way| way == Way::WikiStop),
];

/// What was seen, as Markdown: a row for each system that a cell was seen of.
#[must_use]
pub fn table(seen: &[(Cell, Seen)]) -> String {
    let mut text = String::from("| systemd; system |");
    for (heading, _) in COLUMNS {
        let _ = write!(text, " {heading} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(COLUMNS.len()));
    text.push('\n');
    for (suite, layout, _) in SYSTEMS {
        let row: Vec<_> = seen
            .iter()
            .filter(|(cell, _)| (cell.suite, cell.layout) == (suite, layout))
            .collect();
        if row.is_empty() {
            continue;
        }
        let _ = write!(text, "| {} |", system(suite, layout));
        for (_, belongs) in COLUMNS {
            let shown: Vec<_> = row
                .iter()
                .filter(|(cell, _)| belongs(cell.way))
                .map(|(cell, seen)| show(cell.way, seen))
                .collect();
            let shown = match shown.as_slice() {
                [] => "not run".to_owned(),
                some => some.join("<br>"),
            };
            let _ = write!(text, " {shown} |");
        }
        text.push('\n');
    }
    text
}

fn system(suite: Suite, layout: Layout) -> String {
    let systemd = match suite {
        Suite::Bullseye => 247,
        Suite::Bookworm | Suite::BookwormI386 | Suite::BookwormBackports => 252,
        Suite::Trixie | Suite::TrixieBackports => 257,
        Suite::Sid => 262,
    };
    let layout = match layout {
        Layout::BiosGrub => "BIOS, GRUB",
        Layout::BiosGrubBoot => "BIOS, GRUB, own /boot",
        Layout::BiosGrubAutomount => "BIOS, GRUB, /boot automounted",
        Layout::BiosGrubNoauto => "BIOS, GRUB, /boot not mounted",
        Layout::EfiSystemdBoot => "UEFI, systemd-boot",
        Layout::EfiUki => "UEFI, UKI",
        Layout::EfiGrub => "UEFI, GRUB",
        Layout::FedoraLike => "BIOS, GRUB as in Fedora",
    };
    format!("{systemd}; {layout}")
}

/// A cell in a few words.
fn show(way: Way, seen: &Seen) -> String {
    let mut parts = Vec::new();
    for (number, answer) in seen.answers.iter().enumerate() {
        let outcome = match &answer.outcome {
            Outcome::Kexec => "kexec".to_owned(),
            other => format!("**{other}**"),
        };
        parts.push(match number {
            0 => outcome,
            // The command that is typed if the first is refused.
            _ => format!("({outcome})"),
        });
    }
    let mut text = parts.join(" ");
    if let Way::Ours(asker) = way {
        let unit = match asker {
            Asker::Template => "kexec-load@linux, ",
            _ => "",
        };
        let command = script::commands(way).join("`, `");
        text = format!("{unit}`{command}`: {text}");
    }
    for flaw in &seen.flaws {
        let _ = write!(text, "; {flaw}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::Answer;

    fn seen(outcomes: &[Outcome]) -> Seen {
        Seen {
            answers: outcomes
                .iter()
                .map(|outcome| Answer {
                    command: "x".to_owned(),
                    outcome: outcome.clone(),
                })
                .collect(),
            flaws: Vec::new(),
            seconds: 1.0,
        }
    }

    #[test]
    fn rows_and_columns() {
        let cell = |way| Cell {
            suite: Suite::Trixie,
            layout: Layout::BiosGrub,
            way,
        };
        let refused = Outcome::Refused("no".to_owned());
        let text = table(&[
            (
                cell(Way::WikiStop),
                seen(&[refused.clone(), Outcome::Kexec]),
            ),
            (cell(Way::Alone), seen(&[refused])),
            (cell(Way::Ours(Asker::Reboot)), seen(&[Outcome::Kexec])),
        ]);
        let row = text.lines().last().unwrap();
        assert_eq!(
            row,
            "| 257; BIOS, GRUB | `reboot`: kexec | **refused** | not run | **refused** (kexec) |"
        );
        assert_eq!(text.lines().count(), 3);
    }
}
