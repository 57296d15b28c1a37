//! "Did you mean": the names that a mistyped word is closest to.

/// How many insertions, deletions, substitutions and swaps of neighbours lead from
/// one word to the other, where no letter is touched twice (the optimal string
/// alignment distance).
fn distance(from: &[u8], to: &[u8]) -> usize {
    let width = to.len() + 1;
    // The last three rows are enough: a swap looks two rows back.
    let mut before = vec![0; width];
    let mut above: Vec<usize> = (0..width).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut here = vec![row + 1; width];
        for (column, other) in to.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let changed = at(&above, column) + usize::from(letter != other);
            let mut best = changed
                .min(at(&above, column + 1) + 1)
                .min(at(&here, column) + 1);
            let swapped = row > 0
                && column > 0
                && from.get(row - 1) == Some(other)
                && to.get(column - 1) == Some(letter);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            if let Some(cell) = here.get_mut(column + 1) {
                *cell = best;
            }
        }
        before = above;
        above = here;
    }
    above.last().copied().unwrap_or(0)
}

/// Those of `names` that `word` can be a slip of: the closest ones, when they are
/// close; else those that it is the beginning of. A word of two letters is close to
/// everything and so to nothing.
pub fn similar(word: &[u8], names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let names: Vec<&str> = names.collect();
    let allowed = match word.len() {
        0..3 => return Vec::new(),
        3..6 => 1,
        6..10 => 2,
        _ => 3,
    };
    let mut close: Vec<(usize, &str)> = names
        .iter()
        .map(|name| (distance(word, name.as_bytes()), *name))
        .filter(|(far, _)| (1..=allowed).contains(far))
        .collect();
    close.sort_by_key(|(far, _)| *far);
    let Some((best, _)) = close.first().copied() else {
        let longer = |name: &&str| name.len() > word.len() && name.as_bytes().starts_with(word);
        return names.into_iter().filter(longer).collect();
    };
    close.retain(|(far, _)| *far == best);
    close.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, far) in [
            ("", "", 0),
            ("", "abc", 3),
            ("status", "status", 0),
            ("statsu", "status", 1),
            ("inird", "initrd", 1),
            ("lsit", "list", 1),
            ("ca", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), far, "{from} {to}");
            assert_eq!(distance(to.as_bytes(), from.as_bytes()), far, "{to} {from}");
        }
    }

    #[test]
    fn the_closest_names_and_no_others() {
        let names = || ["load", "unload", "list", "status", "preload"].into_iter();
        assert_eq!(similar(b"statsu", names()), ["status"]);
        assert_eq!(similar(b"laod", names()), ["load"]);
        assert_eq!(similar(b"reload", names()), ["preload"]);
        assert_eq!(similar(b"pre", names()), ["preload"]);
        assert_eq!(similar(b"lo", names()), Vec::<&str>::new());
        assert_eq!(similar(b"vmlinuz", names()), Vec::<&str>::new());
        // What is spelled right is no slip.
        assert_eq!(similar(b"load", names()), Vec::<&str>::new());
        assert_eq!(similar(b"\xff\xfe\xfd", names()), Vec::<&str>::new());
    }
}
