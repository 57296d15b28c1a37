//! Can anybody but root change what is booted next?

use super::{ArrivalCheck, ArrivalContext};
use crate::arrival::Exposed;
use kexec_load::preflight::{CheckGroup, Observation, Severity};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "owners",
    group: CheckGroup::BootEntry,
    about: "only root can change the files of the boot entry, and the folders they are in",
    run,
};

fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    let arrival = context.arrival;
    if arrival.boot_sources.is_empty() {
        // A file that somebody named: he knows whose it is.
        return Vec::new();
    }
    if arrival.exposed.is_empty() {
        return vec![Observation::pass("boot files", "only root can change them")];
    }
    arrival.exposed.iter().map(told).collect()
}

fn told(exposed: &Exposed) -> Observation {
    let Exposed {
        path,
        owner,
        group,
        mode,
        by_mount,
    } = exposed;
    let remedy = match by_mount {
        true => "remove uid=, gid= and umask= from its mount options in /etc/fstab, and remount \
                 it: such a file system stores no owners"
            .to_owned(),
        false => format!("chown root: '{path}'; chmod go-w '{path}'"),
    };
    Observation::new(
        Severity::Warning,
        path,
        format!(
            "it belongs to user {owner} and group {group} and has mode {mode:04o}: users other \
             than root could change what this machine boots"
        ),
        remedy,
    )
}
