//! Are the initrds something that a kernel unpacks?

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use crate::initrd;

pub(super) const CHECK: Check = Check {
    name: "initrd-known",
    group: CheckGroup::Initrd,
    about: "each initrd is an archive or a file system that kernels support",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let pieces = context.initrds.iter();
    let outcomes = pieces.map(|piece| {
        let what = format!("initrd {}", piece.origin);
        if piece.is_empty_initrd() {
            return Observation::new(
                Severity::Note,
                what,
                "EFI still names the initrd of the first boot, whose memory has been overwritten; \
                 a kernel without an initrd takes that one (seen: a panic with nothing on the \
                 console)",
                "",
            );
        }
        if piece.bytes.is_empty() {
            return Observation::new(
                Severity::Refusal,
                what,
                "the file is empty",
                "rebuild it, for example with update-initramfs, dracut or mkinitcpio",
            );
        }
        match initrd::kind(&piece.bytes) {
            Some(kind) => Observation::pass(what, format!("{} bytes of {kind}", piece.len)),
            None => {
                let start: Vec<String> = piece
                    .bytes
                    .iter()
                    .take(6)
                    .map(|b| format!("{b:02x}"))
                    .collect();
                Observation::new(
                    Severity::Warning,
                    what,
                    format!(
                        "begins with {}, which is not an archive or file system that kernels \
                         support as an initrd",
                        start.join(" ")
                    ),
                    "check that this is the initrd and not another file",
                )
            }
        }
    });
    outcomes.collect()
}
