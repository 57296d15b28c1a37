//! What is said of `coldreboot`, which is `kexec reboot --cold` under a shorter name.

use crate::args::rules::Limit;
use crate::args::{Flag, Id, all};
use crate::manual::Example;

/// The name.
pub const NAME: &str = "coldreboot";
/// One line for headings.
pub const ABOUT: &str = "reboot through the firmware, whatever is loaded";
/// What may follow the name.
pub const SYNOPSIS: &str = "coldreboot [OPTION]...";
/// What it does.
pub const SAYS: &[&str] = &[
    "coldreboot unloads the kernel that is loaded for the next reboot, and then asks init for a \
     reboot. The machine goes through its firmware and its boot loader. Until it is up again, \
     `kexec preload` loads nothing ahead.",
    "coldreboot is `kexec reboot --cold`.",
];
/// What it can be used for.
pub const EXAMPLES: &[Example] = &[
    Example {
        command: "coldreboot",
        does: "Reboot through the firmware now.",
    },
    Example {
        command: "coldreboot --when=03:00 -i",
        does: "Reboot at three in the morning, even if a program holds a shutdown inhibitor lock.",
    },
];
/// Its exit codes.
pub const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "the reboot is under way"),
    (
        "1",
        "init could not be asked, or the loaded kernel could not be unloaded",
    ),
    ("2", "wrong usage"),
];

/// Its options: what goes with `--cold`.
pub fn flags() -> Vec<&'static Flag> {
    let cold = all().find(|flag| flag.id == Id::Cold);
    let rules = cold.iter().flat_map(|flag| flag.rules);
    let with = rules.filter_map(|rule| match rule.limit {
        Limit::OnlyWith(ids) => Some(ids),
        _ => None,
    });
    let with: Vec<Id> = with.flatten().copied().collect();
    all()
        .filter(|flag| with.contains(&flag.id) || flag.id == Id::Help)
        .collect()
}
