//! Are the initrds all there?

use super::{Check, Context};
use kexec_load::initrd;
use kexec_load::initrd::Kind;
use kexec_load::initrd::intact::{Intact, intact};
use kexec_load::preflight::{Observation, Severity};

pub(super) const CHECK: Check = Check {
    name: "initrd-intact",
    about: "each initrd is all there, through its compression to its last file",
    run,
};

/// The most that one part is unpacked to, bytes.
const LARGEST: u64 = 4 << 30;

fn run(context: &Context<'_>) -> Vec<Observation> {
    let pieces = context.plan.initrd.iter();
    let archives = pieces.filter(|piece| {
        let kind = initrd::kind(&piece.bytes);
        matches!(kind, Some(Kind::Cpio | Kind::Compressed(_))) && !piece.is_empty_initrd()
    });
    archives
        .map(|piece| {
            judge(
                &format!("initrd {}", piece.origin),
                &intact(&piece.bytes, LARGEST),
            )
        })
        .collect()
}

fn judge(what: &str, found: &Intact) -> Observation {
    match found {
        Intact::Whole => Observation::pass(what, "it unpacks to its end"),
        Intact::Broken { at, reason } => Observation::new(
            Severity::Refusal,
            what,
            format!(
                "it is cut short or damaged, in the part that begins at byte {at}: {reason}; the \
                 next kernel would find no init in it"
            ),
            "make it again, for example with update-initramfs, dracut or mkinitcpio; is its file \
             system full?",
        ),
        Intact::NotForKernels { at, reason } => Observation::new(
            Severity::Refusal,
            what,
            format!("the next kernel does not unpack the part that begins at byte {at}: {reason}"),
            "make it again with what kernels read",
        ),
        Intact::Rest { at } => Observation::new(
            Severity::Note,
            what,
            format!("from byte {at} on it is nothing that kernels unpack; they go on without it"),
            "",
        ),
        Intact::Unseen { why } => Observation::new(
            Severity::Unknown,
            what,
            format!("whether it is all there: {why}"),
            "",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_broken_is_refused() {
        let severity = |found: Intact| judge("x", &found).severity;
        assert_eq!(severity(Intact::Whole), Severity::Pass);
        let reason = "y".to_owned();
        assert_eq!(
            severity(Intact::Broken { at: 0, reason }),
            Severity::Refusal
        );
        let reason = "y".to_owned();
        assert_eq!(
            severity(Intact::NotForKernels { at: 0, reason }),
            Severity::Refusal
        );
        assert_eq!(severity(Intact::Rest { at: 7 }), Severity::Note);
        let why = "y".to_owned();
        assert_eq!(severity(Intact::Unseen { why }), Severity::Unknown);
    }
}
