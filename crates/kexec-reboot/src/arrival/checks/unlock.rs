//! Will encrypted disks unlock by themselves?

use super::{ArrivalCheck, ArrivalContext};
use crate::arrival::{Keyslot, Locked};
use kexec_load::preflight::{CheckGroup, Observation, Severity};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "unlock",
    group: CheckGroup::Reboot,
    about: "encrypted disks that unlock by themselves still do after the jump",
    run,
};

/// Registers that a running system goes on extending, so that after a kexec they
/// are not what they were when the disk was unlocked at the boot (Linux TPM PCR
/// Registry, UAPI.7): 10 IMA, 11 the UKI and the phases of the boot, 15 the
/// system's identity.
const CHANGED: &[u32] = &[10, 11, 15];

fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    let locked = context.arrival.locked.iter();
    locked
        .map(|disk| judge(disk, context.allow_passphrase))
        .collect()
}

fn judge(disk: &Locked, allowed: bool) -> Observation {
    let what = format!("encrypted disk {} ({})", disk.device, disk.mounted);
    if let Some(why) = &disk.unreadable {
        let why = format!("its header cannot be read: {why}");
        return Observation::new(Severity::Unknown, what, why, "");
    }
    if let Some(slot) = disk.keyslots.iter().find(|slot| bound(slot).is_empty()) {
        return Observation::pass(
            what,
            format!(
                "{} unlocks it: nothing that it is bound to changes",
                slot.kind
            ),
        );
    }
    let slots = disk.keyslots.iter().map(|slot| {
        let pcrs: Vec<String> = bound(slot).iter().map(u32::to_string).collect();
        format!("{} is bound to PCR {}", slot.kind, pcrs.join(", "))
    });
    let why = format!(
        "{}, which a kexec does not reset: the next kernel would ask for a passphrase",
        slots.collect::<Vec<_>>().join("; ")
    );
    let severity = if allowed {
        Severity::Warning
    } else {
        Severity::Refusal
    };
    Observation::new(
        severity,
        what,
        why,
        "if a user is at the console, add --allow-passphrase; otherwise reboot through the \
         firmware",
    )
}

/// The registers of a slot that will have other values.
fn bound(slot: &Keyslot) -> Vec<u32> {
    let all = slot.pcrs.union(&slot.signed_pcrs);
    all.copied().filter(|pcr| CHANGED.contains(pcr)).collect()
}
