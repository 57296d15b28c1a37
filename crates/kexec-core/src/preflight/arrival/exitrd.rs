//! Will the shutdown image jump, or boot cold without a word?

use super::{Check, Context};
use crate::arrival::{Exitrd, ExitrdKind};
use crate::handover::init::Init;
use crate::preflight::{Outcome, Severity};

pub(super) const CHECK: Check = Check {
    name: "shutdown-image",
    about: "the shutdown image (exitrd) has a kexec program",
    run,
};

fn run(context: &Context<'_>) -> Vec<Outcome> {
    if context.arrival.init.init != Init::Systemd || !context.by_init {
        return Vec::new();
    }
    let Exitrd::Used {
        kind,
        kexec,
        because,
    } = &context.arrival.exitrd
    else {
        return Vec::new();
    };
    let what = "shutdown image";
    let outcome = match kexec {
        Some(true) => Outcome::pass(what, format!("{because}, and it has a kexec program")),
        Some(false) => Outcome::new(
            // It would be a cold boot every time, not now and then.
            Severity::Refusal,
            what,
            format!("{because}, and it has no kexec program: it would boot cold without a word"),
            remedy(*kind),
        ),
        None => Outcome::new(
            Severity::Unknown,
            what,
            format!("{because}; whether it has a kexec program is not known"),
            remedy(*kind),
        ),
    };
    vec![outcome]
}

fn remedy(kind: ExitrdKind) -> &'static str {
    match kind {
        ExitrdKind::Dracut => {
            "put this program, as a regular file, at /usr/sbin/kexec: dracut's shutdown takes it along"
        }
        ExitrdKind::Mkinitcpio => {
            "put it there with `kexec enable exitrd`, or disable mkinitcpio-generate-shutdown-ramfs.service"
        }
        ExitrdKind::Other => {
            "put a kexec program into it, or take /run/initramfs/shutdown away; --now goes around it"
        }
    }
}
