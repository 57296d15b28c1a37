//! Are the initrds all there, and does the next kernel read them?

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use crate::initrd::intact::{self, InitrdFindings, Intact, look_into, look_into_joined};
use crate::initrd::{self, InitrdKind};
use crate::next_config::Lacking;

pub(super) const CHECK: Check = Check {
    name: "initrd-intact",
    group: CheckGroup::Initrd,
    about: "each initrd is complete, and the next kernel supports its compression",
    run,
};

/// The most that one part is unpacked to, bytes.
const LARGEST: u64 = 4 << 30;

/// It looks at every byte through every compression, which takes a second or so: only
/// for who asked for checks.
fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    if context.old_spelling || !context.plan.has_initrd() {
        return Vec::new();
    }
    if let Some(outcome) = not_at_all(context) {
        return vec![outcome];
    }
    let pieces = context.initrds.iter().enumerate();
    let archives = pieces.filter(|(_, piece)| {
        let kind = initrd::kind(&piece.bytes);
        let archive = matches!(kind, Some(InitrdKind::Cpio | InitrdKind::Compressed(_)));
        // Not a kind that kernels know, but one that people take for it.
        let lz4 = piece.bytes.starts_with(intact::LZ4_FRAME);
        (archive || lz4) && !piece.is_empty_initrd()
    });
    let count = context.initrds.len();
    archives
        .map(|(index, piece)| {
            let what = format!("initrd {}", piece.origin);
            if context.unpacked.initrd.is_raw(index) {
                return Observation::pass(what, "it unpacks completely");
            }
            let looked = match count - index {
                0 | 1 => look_into(&piece.bytes, LARGEST),
                _ => look_into_joined(&piece.bytes, LARGEST),
            };
            let found = match looked.found {
                Intact::Rest { at } if index + 1 < count => hides(&what, at),
                _ => judge(&what, &looked.found),
            };
            match unread(context, &looked) {
                Some((at, codec, lacking)) if found.severity != Severity::Refusal => {
                    not_unpacked(&what, at, codec, &lacking)
                }
                _ => found,
            }
        })
        .collect()
}

/// The first part that the next kernel was not built for.
fn unread(
    context: &LoadContext<'_>,
    looked: &InitrdFindings,
) -> Option<(usize, &'static str, Lacking)> {
    looked.packed.iter().find_map(|part| {
        let lacking = context
            .config
            .lacking(context.image, |reads| reads.lacks(part))?;
        Some((part.at, part.codec, lacking))
    })
}

fn not_unpacked(what: &str, at: usize, codec: &str, lacking: &Lacking) -> Observation {
    let Lacking {
        option,
        from,
        codecs,
    } = lacking;
    let known = match codecs.as_slice() {
        [] => String::new(),
        codecs => format!(
            "with what that kernel supports ({}), or ",
            codecs.join(", ")
        ),
    };
    Observation::new(
        Severity::Refusal,
        what,
        format!(
            "the next kernel cannot unpack the part that begins at byte {at}: it is {codec}, and \
             the kernel was built without {option} ({from})"
        ),
        format!("rebuild it {known}uncompressed, which every kernel with initrd support reads"),
    )
}

/// The kernel looks at no initrd. Where it finds its root file system by itself, it boots
/// all the same, as it would through a boot loader that hands it one.
fn not_at_all(context: &LoadContext<'_>) -> Option<Observation> {
    let option = "CONFIG_BLK_DEV_INITRD";
    let lacking = context.config.lacking(context.image, |reads| {
        (!reads.any()).then(|| option.to_owned())
    })?;
    let root = context.plan.cmdline.value("root");
    let by_itself = root.is_some_and(|root| finds(&root));
    let severity = match by_itself {
        true => Severity::Warning,
        false => Severity::Refusal,
    };
    let from = lacking.from;
    Some(Observation::new(
        severity,
        "initrd",
        format!("the next kernel ignores it: that kernel was built without {option} ({from})"),
        "use a kernel with initrd support; or leave the initrd out, and name a root file system \
         that the kernel finds by itself (root=PARTUUID=... or root=/dev/...)",
    ))
}

/// Whether a kernel alone knows what this value of root= names
/// (Documentation/admin-guide/kernel-parameters.txt, "root=").
fn finds(root: &str) -> bool {
    let device = root.starts_with("/dev/") && !root.starts_with("/dev/mapper/");
    let tagged = root.starts_with("PARTUUID=") || root.starts_with("PARTLABEL=");
    let number = root
        .split_once(':')
        .is_some_and(|(major, minor)| major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok());
    device && !root.starts_with("/dev/disk/") || tagged || number
}

/// Kernels stop at something they do not unpack, and do not reach what follows it.
fn hides(what: &str, at: usize) -> Observation {
    Observation::new(
        Severity::Refusal,
        what,
        format!(
            "from byte {at} on it is nothing that kernels unpack, and they stop there: the next \
             kernel would ignore the initrds behind it"
        ),
        "give it as the last --initrd, or remove what stands behind its archives",
    )
}

fn judge(what: &str, found: &Intact) -> Observation {
    match found {
        Intact::Whole => Observation::pass(what, "it unpacks completely"),
        Intact::Broken { at, reason } => Observation::new(
            Severity::Refusal,
            what,
            format!(
                "it is cut short or damaged, in the part that begins at byte {at}: {reason}; the \
                 next kernel would find no init in it"
            ),
            "rebuild it, for example with update-initramfs, dracut or mkinitcpio; is its file \
             system full?",
        ),
        Intact::NotForKernels { at, reason } => Observation::new(
            Severity::Refusal,
            what,
            format!("the next kernel cannot unpack the part that begins at byte {at}: {reason}"),
            "rebuild it in a form that kernels support, for example with update-initramfs, dracut or \
             mkinitcpio",
        ),
        Intact::Rest { at } => Observation::new(
            Severity::Note,
            what,
            format!("from byte {at} on it is nothing that kernels unpack; they ignore the rest"),
            "",
        ),
        Intact::Unseen { why } => Observation::new(
            Severity::Unknown,
            what,
            format!("whether it is complete is unknown: {why}"),
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
