//! The table of the README.

use super::{Cell, Observation, RebootCommand, RebootResult, SYSTEMS, Setup, script};
use crate::apt::Suite;
use crate::installed::SystemLayout;
use std::fmt::Write as _;

/// A heading, and which cells stand below it.
type Column = (&'static str, fn(Setup) -> bool);

const COLUMNS: [Column; 4] = [
    ("this package", |setup| matches!(setup, Setup::KexecRs(_))),
    ("`systemctl kexec` alone", |setup| {
        setup == Setup::KexecToolsAlone
    }),
    ("wiki unit 1", |setup| setup == Setup::WikiStart),
    ("wiki unit 2", |setup| setup == Setup::WikiStop),
];

/// What was seen, as Markdown: a row for each system that a cell was seen of.
#[must_use]
pub fn table(seen: &[(Cell, Observation)]) -> String {
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
                .filter(|(cell, _)| belongs(cell.setup))
                .map(|(cell, seen)| show(cell.setup, seen))
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

fn system(suite: Suite, layout: SystemLayout) -> String {
    let systemd = match suite {
        Suite::Bullseye => 247,
        Suite::Bookworm
        | Suite::BookwormI386
        | Suite::BookwormArm64
        | Suite::BookwormArmhf
        | Suite::BookwormPpc64el
        | Suite::BookwormS390x
        | Suite::BookwormBackports => 252,
        Suite::Trixie | Suite::TrixieBackports => 257,
        Suite::Sid => 262,
    };
    let layout = match layout {
        SystemLayout::BiosGrub => "BIOS, GRUB",
        SystemLayout::BiosGrubBoot => "BIOS, GRUB, own /boot",
        SystemLayout::BiosGrubAutomount => "BIOS, GRUB, /boot automounted",
        SystemLayout::BiosGrubNoauto => "BIOS, GRUB, /boot not mounted",
        SystemLayout::EfiSystemdBoot => "UEFI, systemd-boot",
        SystemLayout::EfiUki => "UEFI, UKI",
        SystemLayout::EfiGrub => "UEFI, GRUB",
        SystemLayout::FedoraLike => "BIOS, GRUB as in Fedora",
    };
    format!("{systemd}; {layout}")
}

/// A cell in a few words.
fn show(setup: Setup, seen: &Observation) -> String {
    let mut parts = Vec::new();
    for (number, one) in seen.results.iter().enumerate() {
        let result = match &one.result {
            RebootResult::Kexec => "kexec".to_owned(),
            other => format!("**{other}**"),
        };
        parts.push(match number {
            0 => result,
            // The command that is typed if the first is refused.
            _ => format!("({result})"),
        });
    }
    let mut text = parts.join(" ");
    if let Setup::KexecRs(request) = setup {
        let unit = match request {
            RebootCommand::Template => "kexec-load@linux, ",
            _ => "",
        };
        let command = script::commands(setup).join("`, `");
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
    use crate::reboot_requests::CommandResult;

    fn seen(outcomes: &[RebootResult]) -> Observation {
        Observation {
            results: outcomes
                .iter()
                .map(|result| CommandResult {
                    command: "x".to_owned(),
                    result: result.clone(),
                })
                .collect(),
            flaws: Vec::new(),
            seconds: 1.0,
        }
    }

    #[test]
    fn rows_and_columns() {
        let cell = |setup| Cell {
            suite: Suite::Trixie,
            layout: SystemLayout::BiosGrub,
            setup,
        };
        let refused = RebootResult::Refused("no".to_owned());
        let text = table(&[
            (
                cell(Setup::WikiStop),
                seen(&[refused.clone(), RebootResult::Kexec]),
            ),
            (cell(Setup::KexecToolsAlone), seen(&[refused])),
            (
                cell(Setup::KexecRs(RebootCommand::Reboot)),
                seen(&[RebootResult::Kexec]),
            ),
        ]);
        let row = text.lines().last().unwrap();
        assert_eq!(
            row,
            "| 257; BIOS, GRUB | `reboot`: kexec | **refused** | not run | **refused** (kexec) |"
        );
        assert_eq!(text.lines().count(), 3);
    }
}
