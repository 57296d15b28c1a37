//! Folders whose entries are numbers, as /sys has them.

use crate::{Fact, Root};

/// The numbers that name the entries of `folder`, ascending; other entries are
/// left out.
pub(crate) fn numbered(root: &Root, folder: &str, max: usize) -> Fact<Vec<u32>> {
    numbered_names(root, folder, "", max)
}

/// The numbers behind `prefix` in the names of `folder`, ascending: 0 and 1 for
/// `fb0`, `fb1` and `fbcon`.
pub(crate) fn numbered_names(
    root: &Root,
    folder: &str,
    prefix: &str,
    max: usize,
) -> Fact<Vec<u32>> {
    root.entries(folder).and_then(|names| {
        let number = |name: &String| {
            let digits = name.strip_prefix(prefix)?;
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<u32>().ok())?
        };
        let mut numbers: Vec<u32> = names.iter().filter_map(number).collect();
        if numbers.len() > max {
            return Fact::Unreadable(format!(
                "{folder}: {} entries, expected at most {max}",
                numbers.len()
            ));
        }
        numbers.sort_unstable();
        Fact::Known(numbers)
    })
}
