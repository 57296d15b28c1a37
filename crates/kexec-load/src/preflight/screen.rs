//! Will the next kernel have a console on the screen from its first line?

use kexec_plan::classic::Screen;
use kexec_plan::planners;

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use crate::classic;

pub(super) const CHECK: Check = Check {
    name: "screen",
    group: CheckGroup::Machine,
    about: "the next kernel knows the screen, so its first messages appear",
    run,
};

/// Only `kexec_load(2)` lets the caller say what the next kernel is told; the
/// kernel's own loader repeats what it was started with.
fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    if context.placed.is_none() {
        return Vec::new();
    }
    let facts = classic::firmware_facts(context.host);
    let what = "the next kernel's console on the screen";
    let outcome = match planners::screen(&facts, context.classic.options.reuse_video_type) {
        Screen::HandedOn(screen) => Observation::pass(what, format!("passed on: {screen}")),
        Screen::NoneThere => Observation::pass(what, "the first kernel was given none"),
        Screen::Withheld(why) => Observation::new(
            Severity::Note,
            what,
            format!("it shows nothing until its own driver starts: {why}"),
            "for its first messages use a serial console (console=ttyS0), or kexec from a kernel started with nomodeset",
        ),
        Screen::Unknown(why) => Observation::new(
            Severity::Unknown,
            what,
            format!("it shows nothing until its own driver starts: {why}"),
            "",
        ),
    };
    vec![outcome]
}
