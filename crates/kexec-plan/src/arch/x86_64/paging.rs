//! From five-level paging (x86_64's LA57) into a kernel that uses four.
//!
//! A bzImage goes from five levels to four itself. Up to the releases in [`MENDED`] it
//! takes the entry of the running kernel's tables for a bare address. Where that entry has
//! a bit of software's, as in kernels since [`MARKS`], it reads from no address at all, and
//! the machine resets before the first word (commits "x86/boot: Fix page table access in
//! 5-level to 4-level paging transition" and, for the bit, "x86/mm: Add _PAGE_NOPTISHADOW
//! bit"; seen from Debian's 6.12 into its 5.10). With `kexec_load(2)` the purgatory goes
//! down to four levels before.

use kexec_image::formats::bzimage::xloadflags;
use kexec_image::{BzImage, Kernel};

use crate::Cmdline;

/// The first release whose stable kernels mark the entry; Debian's 6.1 does not.
const MARKS: [u64; 2] = [6, 6];
/// The first releases that cope, of each series.
const MENDED: &[[u64; 3]] = &[
    [5, 10, 248],
    [5, 15, 198],
    [6, 1, 160],
    [6, 6, 120],
    [6, 12, 63],
    [6, 17, 13],
    [6, 18, 2],
];
/// The first series that always copes.
const MENDED_SINCE: [u64; 2] = [6, 19];

/// Whether a bzImage uses five levels where it finds them.
pub(crate) fn takes_five(image: &BzImage) -> bool {
    let both = xloadflags::XLF_5LEVEL | xloadflags::XLF_5LEVEL_ENABLED;
    image.xloadflags & both == both
}

/// Whether a bzImage goes to five levels on a processor that has them, where it finds
/// four.
pub fn goes_to_five(image: &BzImage, cmdline: &Cmdline) -> bool {
    takes_five(image) && !is_told_four(cmdline)
}

/// Whether the next kernel was told to use four.
pub(crate) fn is_told_four(cmdline: &Cmdline) -> bool {
    cmdline.has_early_word(b"no5lvl")
}

/// Whether the machine would reset behind `kexec_file_load(2)`, under a running kernel
/// of this release that uses five levels. What cannot be told counts as yes: the two
/// kernels' releases are all that there is to see.
pub fn file_load_resets(running: &str, next: &Kernel, cmdline: &Cmdline) -> bool {
    let Kernel::BzImage(image) = next else {
        return false;
    };
    let goes_down = !takes_five(image) || is_told_four(cmdline);
    let marks = match numbers(running).as_slice() {
        [major, minor, ..] => [*major, *minor] >= MARKS,
        _ => true,
    };
    goes_down && marks && !is_mended(image.release().unwrap_or_default())
}

/// The releases that cope, for people.
pub fn mended_in() -> String {
    let [major, minor] = MENDED_SINCE;
    let stable = MENDED.iter().rev();
    let stable = stable.map(|[major, minor, patch]| format!(", {major}.{minor}.{patch}"));
    format!("Linux {major}.{minor}{}", stable.collect::<String>())
}

fn is_mended(release: &str) -> bool {
    let numbers = numbers(release);
    let [major, minor, rest @ ..] = numbers.as_slice() else {
        return false;
    };
    let patch = rest.first().copied().unwrap_or(0);
    let same = |first: &&[u64; 3]| first.starts_with(&[*major, *minor]);
    [*major, *minor] >= MENDED_SINCE
        || MENDED
            .iter()
            .find(same)
            .is_some_and(|[.., first]| patch >= *first)
}

/// The numbers at the start of a release: `6.12.107+deb13-amd64` gives 6, 12, 107.
fn numbers(release: &str) -> Vec<u64> {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.');
    let numbers = release
        .get(..end.unwrap_or(release.len()))
        .unwrap_or_default();
    numbers
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_for_people() {
        assert!(mended_in().starts_with("Linux 6.19, 6.18.2, 6.17.13, "));
    }

    #[test]
    fn releases() {
        for mended in [
            "6.12.63",
            "6.12.117+deb13-amd64",
            "6.19.0",
            "7.3.4+deb13-cloud-amd64",
            "5.10.248-1",
            "6.18.2",
        ] {
            assert!(is_mended(mended), "{mended}");
        }
        for not in [
            "5.10.0-32-cloud-amd64",
            "6.12.62",
            "6.8.0-50-generic",
            "",
            "x",
        ] {
            assert!(!is_mended(not), "{not}");
        }
    }
}
