//! Places at random for a kernel that is started without its decompressor, which would
//! have chosen them (arch/x86/boot/compressed/kaslr.c): one in physical memory, one in the
//! kernel's own mapping. The same seed gives the same place.

use kexec_image::formats::bzimage::vmlinux::KERNEL_IMAGE_SIZE;

use crate::Cmdline;
use crate::classic::KaslrSeed;
use crate::memory::limits::memparse;
use crate::memory::range::{align_down, align_up};
use crate::memory::{Range, RangeSet};

/// The size of a gigantic page (Documentation/admin-guide/mm/hugetlbpage.rst: 1 GiB on
/// x86_64).
const GIGANTIC: u64 = 1 << 30;

/// With more ranges in `memmap=` the decompressor places no kernel at random
/// (`MAX_MEMMAP_REGIONS`).
const MEMMAP_MAX: usize = 4;

/// How many places are looked at before one is taken: the one of them that is loaded
/// fastest.
const DRAWS: usize = 64;

/// Whether the command line forbids all of it.
pub fn is_off(cmdline: &Cmdline) -> bool {
    cmdline.has_early_word(b"nokaslr")
}

/// How far up in its mapping a kernel of `len` bytes is moved that is linked for the
/// physical address `linked`, by a multiple of `align`.
pub fn virtual_move(linked: u64, len: u64, align: u64, seed: KaslrSeed) -> u64 {
    let room = KERNEL_IMAGE_SIZE.saturating_sub(linked).checked_sub(len);
    let slots = room.and_then(|room| (room.checked_div(align)?).checked_add(1));
    let slot = slots
        .and_then(|slots| seed.0.checked_rem(slots))
        .unwrap_or(0);
    slot.saturating_mul(align)
}

/// Places in physical memory where a kernel may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// The first place of each area, and how many there are, `align` bytes apart.
    areas: Vec<(u64, u64)>,
    align: u64,
}

impl Slots {
    /// The places in `free` for a kernel of `len` bytes, at multiples of `align` and not
    /// below `lowest`.
    pub fn new(free: &RangeSet, len: u64, align: u64, lowest: u64) -> Slots {
        let area = |range: Range| {
            let first = align_up(range.start.max(lowest), align)?;
            let last = align_down(range.end.checked_sub(len)?, align);
            let count = last.checked_sub(first)?.checked_div(align)?;
            Some((first, count.saturating_add(1)))
        };
        Slots {
            areas: free.iter().filter_map(area).collect(),
            align,
        }
    }

    /// How many places there are.
    pub fn count(&self) -> u64 {
        self.areas
            .iter()
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The place with this number.
    pub fn get(&self, mut number: u64) -> Option<u64> {
        for (first, count) in &self.areas {
            match number.checked_sub(*count) {
                Some(rest) => number = rest,
                None => return number.checked_mul(self.align)?.checked_add(*first),
            }
        }
        None
    }

    /// One of the places at random; of a few that are drawn, the first that costs least.
    pub fn pick(&self, seed: KaslrSeed, cost: impl Fn(u64) -> u64) -> Option<u64> {
        let mut numbers = Numbers(seed.0);
        let mut best: Option<(u64, u64)> = None;
        for _ in 0..DRAWS {
            let place = self.get(numbers.next().checked_rem(self.count())?)?;
            let cost = cost(place);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, place));
            }
            if cost == 0 {
                break;
            }
        }
        best.map(|(_, place)| place)
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators",
/// 2014), which makes more numbers of a random one.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What is left of `free` for a kernel that is placed at random: not what can be taken out
/// of the machine, and not the gigantic pages that the command line asks for, of which a
/// kernel in the middle of one would take away the memory.
///
/// Nothing where the decompressor would not choose at random either.
pub fn allowed(free: &RangeSet, removable: &RangeSet, cmdline: &Cmdline) -> RangeSet {
    let wishes = Wishes::of(cmdline);
    if wishes.memmaps > MEMMAP_MAX {
        return RangeSet::new();
    }
    let free = free.without(removable);
    let mut left = free.clone();
    let mut pages = wishes.gigantic_pages;
    for range in free.iter() {
        let first = align_up(range.start, GIGANTIC).unwrap_or(range.end);
        let whole = range.end.saturating_sub(first) / GIGANTIC;
        let taken = whole.min(pages);
        pages = pages.saturating_sub(taken);
        let end = first.saturating_add(taken.saturating_mul(GIGANTIC));
        left.remove(Range::new(first, end));
    }
    left
}

/// What the command line says that matters for the place.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wishes {
    /// Ranges in `memmap=`.
    memmaps: usize,
    /// Gigantic pages (`hugepagesz=1G hugepages=N`).
    gigantic_pages: u64,
}

impl Wishes {
    fn of(cmdline: &Cmdline) -> Wishes {
        let mut wishes = Wishes::default();
        let mut gigantic = false;
        let size = |value: &str| memparse(value).map(|(size, _)| size);
        for word in cmdline.words().take_while(|word| *word != b"--") {
            let Some((name, value)) = std::str::from_utf8(word)
                .ok()
                .and_then(|w| w.split_once('='))
            else {
                continue;
            };
            let value = value.trim_matches('"');
            match name {
                "memmap" => {
                    let ranges = value
                        .split(',')
                        .filter(|item| item.contains(['#', '$', '!']));
                    wishes.memmaps = wishes.memmaps.saturating_add(ranges.count());
                }
                // The size that is used where none is named.
                "default_hugepagesz" | "hugepagesz" => gigantic = size(value) == Some(GIGANTIC),
                "hugepages" if gigantic => {
                    // `N`, or `node:N,node:N`.
                    let number = |item: &str| {
                        let count = item.rsplit(':').next().unwrap_or_default();
                        memparse(count).map_or(0, |(count, _)| count)
                    };
                    let all = value.split(',').map(number);
                    wishes.gigantic_pages = all.fold(0, u64::saturating_add);
                }
                _ => {}
            }
        }
        wishes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;
    const ALIGN: u64 = 2 * MIB;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        ranges.iter().map(|(a, b)| Range::new(*a, *b)).collect()
    }

    #[test]
    fn a_thousand_seeds_are_everywhere() {
        let free = set(&[(MIB, 800 * MIB), (4096 * MIB, 6000 * MIB)]);
        let slots = Slots::new(&free, 70 * MIB, ALIGN, 16 * MIB);
        // 16 MiB to 730 MiB, and 4096 MiB to 5930 MiB.
        assert_eq!(slots.count(), 358 + 918);
        let mut eighths = [0; 8];
        for seed in 0..1000_u64 {
            let seed = KaslrSeed(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
            let place = slots.pick(seed, |_| 0).unwrap();
            assert!(
                free.covers(Range::new(place, place + 70 * MIB)),
                "{place:#x}"
            );
            assert!(place.is_multiple_of(ALIGN) && place >= 16 * MIB);
            let number = (0..slots.count()).find(|n| slots.get(*n) == Some(place));
            eighths[usize::try_from(number.unwrap() * 8 / slots.count()).unwrap()] += 1;
        }
        assert!(eighths.iter().all(|n| *n > 60), "{eighths:?}");
    }

    #[test]
    fn a_thousand_moves_are_everywhere() {
        let (linked, len) = (16 * MIB, 70 * MIB);
        let slots = (1024 - 16 - 70) / 2 + 1;
        let mut eighths = [0; 8];
        for seed in 0..1000_u64 {
            let seed = KaslrSeed(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
            let by = virtual_move(linked, len, ALIGN, seed);
            assert!(linked + by + len <= KERNEL_IMAGE_SIZE && by.is_multiple_of(ALIGN));
            eighths[usize::try_from(by / ALIGN * 8 / slots).unwrap()] += 1;
        }
        assert!(eighths.iter().all(|n| *n > 60), "{eighths:?}");
        // No room, and the last place.
        assert_eq!(
            virtual_move(linked, KERNEL_IMAGE_SIZE, ALIGN, KaslrSeed(7)),
            0
        );
        assert_eq!(
            virtual_move(linked, KERNEL_IMAGE_SIZE - linked, ALIGN, KaslrSeed(7)),
            0
        );
        assert_eq!(virtual_move(linked, len, 0, KaslrSeed(7)), 0);
    }

    #[test]
    fn a_place_that_loads_fast_is_preferred() {
        let slots = Slots::new(&set(&[(0, 64 * MIB)]), ALIGN, ALIGN, 0);
        for seed in 0..100 {
            let place = slots
                .pick(KaslrSeed(seed), |at| u64::from(at < 32 * MIB))
                .unwrap();
            assert!(place >= 32 * MIB, "{seed}: {place:#x}");
        }
        assert_eq!(
            Slots::new(&set(&[(0, MIB)]), ALIGN, ALIGN, 0).pick(KaslrSeed(1), |_| 0),
            None
        );
    }

    #[test]
    fn gigantic_pages_and_what_can_be_taken_out_are_left_alone() {
        let gib = 1024 * MIB;
        let free = set(&[(MIB, 3 * gib), (4 * gib, 8 * gib)]);
        let left = |cmdline: &str, removable: &RangeSet| {
            allowed(&free, removable, &Cmdline::new(cmdline.as_bytes()))
        };
        let none = RangeSet::new();
        assert_eq!(left("hugepages=4 quiet", &none), free);
        assert_eq!(left("hugepagesz=2M hugepages=4", &none), free);
        let three = set(&[(MIB, gib), (5 * gib, 8 * gib)]);
        assert_eq!(left("hugepagesz=1G hugepages=3", &none), three);
        assert_eq!(left("default_hugepagesz=1G hugepages=3", &none), three);
        assert_eq!(left("hugepagesz=1G hugepages=0:1,1:2", &none), three);
        assert_eq!(left("hugepagesz=\"1G\" hugepages=0x3", &none), three);
        assert_eq!(left("hugepagesz=1G -- hugepages=3", &none), free);
        assert_eq!(
            left("", &set(&[(4 * gib, 9 * gib)])),
            set(&[(MIB, 3 * gib)])
        );
        assert!(left("memmap=1M$1G,1M$2G,1M#3G memmap=1M!4G,1M$5G", &none).is_empty());
        assert_eq!(
            left("memmap=1M$1G,1M$2G,1M#3G memmap=1M!4G,1G", &none),
            free
        );
    }

    #[test]
    fn the_word_that_forbids_it() {
        assert!(is_off(&Cmdline::new(b"quiet nokaslr")));
        assert!(is_off(&Cmdline::new(b"a=\"b nokaslr c\"")));
        assert!(!is_off(&Cmdline::new(b"quiet nokaslr=1 xnokaslr")));
    }

    proptest! {
        #[test]
        fn every_place_is_free(
            free in proptest::collection::vec((0..4000_u64, 1..900_u64), 0..8),
            len in 1..200_u64, seed: u64, lowest in 0..64_u64,
        ) {
            let free: RangeSet = free.iter().map(|(a, n)| Range::new(a * MIB, (a + n) * MIB)).collect();
            let slots = Slots::new(&free, len * MIB, ALIGN, lowest * MIB);
            match slots.pick(KaslrSeed(seed), |_| 1) {
                Some(at) => {
                    prop_assert!(free.covers(Range::new(at, at + len * MIB)));
                    prop_assert!(at.is_multiple_of(ALIGN) && at >= lowest * MIB);
                }
                None => prop_assert_eq!(slots.count(), 0),
            }
        }
    }
}
