//! What kernels look for in an initrd before they unpack it: microcode and ACPI tables, in
//! the archives that are not compressed, from the start of the initrd to the first thing
//! that is no such archive (lib/earlycpio.c; Documentation/arch/x86/microcode.rst "Early
//! load microcode", Documentation/admin-guide/acpi/initrd_table_override.rst).

use kexec_image::cpio::{self, HEAD_LEN, Head};
use kexec_plan::unpack::cost::PartForm;

use super::split::{Found, Part};

/// Where the files lie that kernels use so.
const FOLDERS: [&[u8]; 2] = [b"kernel/x86/microcode/", b"kernel/firmware/acpi/"];

/// Whether one of the members of the archives in `bytes`, which begin at this byte of all,
/// is such a file.
pub(super) fn is_in(bytes: &[u8], begin: usize) -> bool {
    let mut at = 0_usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        at = at.saturating_add(rest.iter().take_while(|b| **b == 0).count());
        let member = bytes.get(at..).unwrap_or_default();
        let Some(Ok(head)) = member.get(..HEAD_LEN).map(Head::parse) else {
            return false;
        };
        let name = member.get(HEAD_LEN..).unwrap_or_default();
        let name = name.get(..head.name_len).unwrap_or(name);
        if FOLDERS.iter().any(|folder| name.starts_with(folder)) {
            return true;
        }
        let len = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let name_end = len(begin)
            .saturating_add(len(at))
            .saturating_add(len(HEAD_LEN))
            .saturating_add(len(head.name_len));
        let end = cpio::aligned(cpio::aligned(name_end).saturating_add(head.size));
        at = usize::try_from(end.saturating_sub(len(begin))).unwrap_or(usize::MAX);
    }
}

/// Keeps those parts compressed without which kernels would find early files that they do
/// not find in the initrd as it is.
pub(super) fn keep_inactive(parts: &mut [Part]) {
    // The last part in front of this one that stopped the kernel's look.
    let mut stopper: Option<usize> = None;
    for index in 0..parts.len() {
        let Some(part) = parts.get_mut(index) else {
            return;
        };
        match &mut part.found {
            Found::Packed(packed) => {
                // The kernel's look does not go beyond what is compressed.
                if packed.form != PartForm::Raw {
                    return;
                }
                if packed.is_early {
                    packed.keep(
                        "it holds files that the kernel would use early, as microcode or ACPI \
                         tables, if they were not compressed"
                            .to_owned(),
                    );
                    return;
                }
                stopper = Some(index);
            }
            Found::Raw { is_early: false } => {}
            // A rest is not followed member by member: it may be archives up to its damage.
            Found::Rest(_) if !begins_archive(&part.bytes) => return,
            Found::Raw { .. } | Found::Rest(_) => {
                let packed = stopper.and_then(|stopper| parts.get_mut(stopper));
                if let Some(Part {
                    found: Found::Packed(packed),
                    ..
                }) = packed
                {
                    packed.keep(
                        "an archive behind it may hold files that the kernel would use early, as \
                         microcode or ACPI tables, if no compressed part were in front of them"
                            .to_owned(),
                    );
                    return;
                }
            }
        }
    }
}

/// Whether these bytes are taken for an archive, behind zeros.
fn begins_archive(bytes: &[u8]) -> bool {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    bytes.get(zeros..).is_some_and(|b| b.starts_with(b"0707"))
}
