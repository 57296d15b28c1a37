//! What the next kernel's own command line takes away from its memory
//! (Documentation/admin-guide/kernel-parameters.rst: `mem=`, `memmap=`). What
//! is loaded must lie in what is left; Documentation/arch/x86/boot.rst
//! ("Special Command Line Options") makes `mem=` a loader's business too.

use crate::Cmdline;

use super::{Range, RangeSet};

/// What a command line leaves of the memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Memory ends here.
    pub end: u64,
    /// Ranges that are not RAM for the next kernel.
    pub removed: RangeSet,
    /// With `memmap=exactmap` the only ranges that are RAM.
    pub exact: Option<RangeSet>,
}

impl Limits {
    /// The limits that `cmdline` sets.
    pub fn of(cmdline: &Cmdline) -> Limits {
        let mut limits = Limits {
            end: u64::MAX,
            removed: RangeSet::new(),
            exact: None,
        };
        for word in cmdline.words().take_while(|w| *w != b"--") {
            let Ok(word) = std::str::from_utf8(word) else {
                continue;
            };
            // Around the whole word, or around its value: `next_arg` (lib/cmdline.c).
            let word = word.trim_matches('"');
            if let Some(value) = word.strip_prefix("mem=") {
                limits.cut(value.trim_matches('"'));
            } else if let Some(value) = word.strip_prefix("memmap=") {
                let items = value.trim_matches('"').split(',');
                items.for_each(|item| limits.memmap(item));
            }
        }
        limits
    }

    /// Whether there are any.
    pub fn is_none(&self) -> bool {
        self.end == u64::MAX && self.removed.is_empty() && self.exact.is_none()
    }

    /// What is left of `ranges`.
    pub fn apply(&self, ranges: &RangeSet) -> RangeSet {
        let mut left = ranges.without(&self.removed);
        left.remove(Range::new(self.end, u64::MAX));
        match &self.exact {
            Some(exact) => left.intersect(exact),
            None => left,
        }
    }

    /// Memory ends at this size. What stands behind it is ignored, as the kernel does it:
    /// `mem=512MB` is `mem=512M` (`parse_memopt`, arch/x86/kernel/e820.c).
    fn cut(&mut self, value: &str) {
        if let Some((size, _)) = memparse(value)
            && size > 0
        {
            self.end = self.end.min(size);
        }
    }

    /// One item of `memmap=`: `exactmap`, `SIZE`, or `SIZE`, a sign and the
    /// start: `@` for RAM, `#` ACPI data, `$` reserved, `!` persistent, `%` a
    /// change of type.
    fn memmap(&mut self, item: &str) {
        if item == "exactmap" {
            self.exact = Some(RangeSet::new());
            return;
        }
        let Some((size, rest)) = memparse(item) else {
            return;
        };
        let mut signs = rest.chars();
        let known = signs.next().filter(|sign| "@#$!%".contains(*sign));
        let Some(sign) = known else {
            // `parse_memmap_one`, arch/x86/kernel/e820.c: whatever stands there.
            self.cut(item);
            return;
        };
        let start = memparse(signs.as_str());
        let Some(range) = start.and_then(|(start, _)| Range::sized(start, size)) else {
            return;
        };
        match sign {
            '@' => {
                // Without exactmap RAM that the firmware does not know cannot
                // be relied on, so it adds nothing.
                if let Some(exact) = &mut self.exact {
                    exact.insert(range);
                }
            }
            '#' | '$' | '!' | '%' => self.removed.insert(range),
            _ => {}
        }
    }
}

/// A number in C's notation with an optional suffix K, M, G, T, P or E (boot.rst,
/// `mem=`), and what follows it.
pub fn memparse(text: &str) -> Option<(u64, &str)> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match hex {
        Some(rest) => (rest, 16),
        None if text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    let end = digits
        .find(|c: char| !c.is_digit(radix))
        .unwrap_or(digits.len());
    let (number, rest) = digits.split_at_checked(end)?;
    let number = u64::from_str_radix(number, radix).ok()?;
    let shift = match rest.chars().next().map(|c| c.to_ascii_uppercase()) {
        Some('K') => 10,
        Some('M') => 20,
        Some('G') => 30,
        Some('T') => 40,
        Some('P') => 50,
        Some('E') => 60,
        _ => return Some((number, rest)),
    };
    let unit = 1_u64 << shift;
    Some((number.checked_mul(unit)?, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn left(line: &str) -> Vec<Range> {
        let all = Range::new(0, 0x1_0000_0000).into();
        Limits::of(&Cmdline::from(line))
            .apply(&all)
            .iter()
            .collect()
    }

    #[test]
    fn numbers() {
        assert_eq!(memparse("512M"), Some((512 << 20, "")));
        assert_eq!(memparse("0x10k@4"), Some((16 << 10, "@4")));
        assert_eq!(memparse("010"), Some((8, "")));
        assert_eq!(memparse("0"), Some((0, "")));
        assert_eq!(memparse("99999999999999E"), None);
        assert_eq!(memparse("M"), None);
        assert_eq!(memparse("0x"), None);
    }

    #[test]
    fn mem_and_memmap() {
        let all = vec![Range::new(0, 0x1_0000_0000)];
        for line in [
            "",
            "mem=nopentium",
            "quiet -- mem=1G",
            "memmap=1G@4G",
            "mem=0",
            "memmap=$",
            "xmem=1G",
        ] {
            assert_eq!(left(line), all, "{line}");
        }
        assert!(Limits::of(&Cmdline::from("quiet")).is_none());
        assert_eq!(left("mem=1G mem=2G"), [Range::new(0, 1 << 30)]);
        let first = [Range::new(0, 1 << 30)];
        for line in [
            "memmap=1G",
            "memmap=1GB",
            "mem=1GB",
            "mem=\"1G\"",
            "\"mem=1G\"",
            "memmap=\"3G$1G\"",
        ] {
            assert_eq!(left(line), first, "{line}");
        }
        assert_eq!(
            left("memmap=1G$1G,1M#3G"),
            [
                Range::new(0, 1 << 30),
                Range::new(2 << 30, 3 << 30),
                Range::new((3 << 30) + (1 << 20), 4 << 30)
            ]
        );
        assert_eq!(
            left("memmap=exactmap memmap=640K@0 memmap=1M@16M"),
            [Range::new(0, 640 << 10), Range::new(16 << 20, 17 << 20)]
        );
    }

    proptest! {
        #[test]
        fn anything_is_read(line in "(mem|memmap)=[0-9a-zA-Z@#$!%,]{0,30}") {
            let _ = left(&line);
            let _ = memparse(&line);
        }
    }
}
