//! Does a UKI get everything that its stub would add?

use super::{Check, CheckGroup, LoadContext, Observation, Severity};

pub(super) const CHECK: Check = Check {
    name: "uki-companions",
    group: CheckGroup::BootEntry,
    about: "addons, credentials and extension images beside a UKI are loaded with it",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let Some(uki) = &context.image.uki else {
        return Vec::new();
    };
    let left_out = uki.added.left_out.iter().map(|what| {
        let (file, why) = what.split_once(": ").unwrap_or((what, ""));
        Observation::new(
            Severity::Warning,
            format!("{file} beside the UKI"),
            format!("is left out: {why}"),
            "check whether the next boot needs it",
        )
    });
    left_out.collect()
}
