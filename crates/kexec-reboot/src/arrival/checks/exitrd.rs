//! Will the shutdown image jump, or boot cold without a word?

use super::{ArrivalCheck, ArrivalContext};
use crate::arrival::{Exitrd, ExitrdJump, ExitrdKind};
use crate::handover::init::Init;
use kexec_load::preflight::{CheckGroup, Observation, Severity};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "shutdown-image",
    group: CheckGroup::Reboot,
    about: "the shutdown image (exitrd) ends in a jump",
    run,
};

fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    if context.arrival.init.init != Init::Systemd || !context.by_init {
        return Vec::new();
    }
    let Exitrd::Used {
        kind,
        jump,
        because,
    } = &context.arrival.exitrd
    else {
        return Vec::new();
    };
    let what = "shutdown image";
    let outcome = match jump {
        ExitrdJump::Yes { by } => Observation::pass(what, format!("{because}, and {by}")),
        ExitrdJump::No { why } => Observation::new(
            // It would be a cold boot every time, not now and then.
            Severity::Refusal,
            what,
            format!("{because}, and {why}: the machine would silently boot cold"),
            remedy(*kind),
        ),
        ExitrdJump::Unknown { why } => Observation::new(
            Severity::Unknown,
            what,
            format!("{because}; {why}: the machine may silently boot cold"),
            remedy(*kind),
        ),
    };
    vec![outcome]
}

fn remedy(kind: ExitrdKind) -> &'static str {
    match kind {
        ExitrdKind::Systemd => {
            "remove the kexec program from the image: systemd-shutdown then jumps by itself"
        }
        ExitrdKind::Dracut => {
            "put this program, as a regular file, at /usr/sbin/kexec: it is static, and dracut's \
             script takes it along"
        }
        ExitrdKind::Mkinitcpio => {
            "put this program into the image with `kexec enable exitrd`, or use mkinitcpio's hook \
             sd-shutdown"
        }
        ExitrdKind::Other => {
            "put a kexec program into it, or remove /run/initramfs/shutdown; --now bypasses it"
        }
    }
}
