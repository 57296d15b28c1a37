//! Who looks on while the steps are at work: somebody at a terminal.

use kexec_load::preflight::{Finding, Severity};
use kexec_reboot::world::{Onlooker, Told};

use super::audience::{Stream, plan_text};
use super::progress;
use super::terminal::layout_of_messages;
use crate::render::{findings, text, visible};

/// Says on stderr what is worth saying.
#[derive(Debug)]
pub struct Terminal;

impl Onlooker for Terminal {
    fn told(&self, told: Told<'_>) {
        match told {
            Told::Prepared(request, prepared) => {
                if request.debug {
                    say!("{}", plan_text(prepared, Stream::Err));
                }
                let findings = prepared.findings.iter();
                for finding in findings.filter(|f| worth_saying(f, request.debug)) {
                    say!("{}", findings::warning(finding, layout_of_messages()));
                }
            }
            Told::Warning(text) => say_line!("kexec: warning: {}", visible(&text)),
            Told::Note(text) => say_line!("kexec: note: {}", visible(&text)),
            Told::Waiting(text) => say_line!("kexec: {}", visible(&text)),
            Told::Reading(files) => progress::reading(&files),
            Told::Doing(what) => progress::doing(what),
            Told::Failed(error) => say!("{}", text::error(&error, layout_of_messages())),
        }
    }
}

/// A refusal comes back as the error; with `-d` everything is said.
fn worth_saying(finding: &Finding, debug: bool) -> bool {
    match finding.severity {
        Severity::Warning => true,
        Severity::Refusal => false,
        Severity::Pass | Severity::Note | Severity::Unknown => debug,
    }
}
