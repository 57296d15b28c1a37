//! What the pages of memory are used for at the moment, by a look at some of
//! them: where the kernel will find room for what is loaded. It changes all the
//! time and so is no part of a [`Snapshot`].

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use kexec_plan::memory::{Range, RangeSet};
use kexec_sys::Errno;

use crate::Root;
use crate::{Fact, Snapshot};

/// One word of 64 bits for each page (Documentation/admin-guide/mm/pagemap.rst).
const PATH: &str = "/proc/kpageflags";
const WORD: u64 = 8;

/// Bits of a word (as above): on a list of pages that can be reclaimed; free;
/// kept in memory or swap, which is to say no copy of a part of a file.
const LRU: u64 = 1 << 5;
const BUDDY: u64 = 1 << 10;
const SWAPBACKED: u64 = 1 << 14;

/// About so many pages are looked at: each look is a system call.
const LOOKS: u64 = 1 << 13;

/// Where this many times as much memory is free as is loaded, the kernel does
/// not get to the end of it.
const AMPLE: u64 = 16;

/// What a page is used for, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Free: nobody holds it.
    Free,
    /// A copy of a part of a file, given up when memory is short.
    Cache,
    /// Nothing is known of it. Pages that are free and kept ready for a
    /// processor look like this, and they are the first to be handed out.
    Unmarked,
    /// Anything else, which stays as it is for the moment.
    Held,
}

impl Use {
    fn of(word: u64) -> Use {
        let has = |bit: u64| word & bit != 0;
        match word {
            0 => Use::Unmarked,
            _ if has(BUDDY) => Use::Free,
            _ if has(LRU) && !has(SWAPBACKED) => Use::Cache,
            _ => Use::Held,
        }
    }
}

/// A page that was looked at, which stands for those up to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    range: Range,
    found: Use,
}

/// What the pages that were looked at are used for; nothing, where none could
/// be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageUse(Vec<Look>);

impl PageUse {
    /// Looks at the machine below `root`, which is `/` for the running one and
    /// of which `host` is the snapshot.
    pub fn read(root: &Path, host: &Snapshot) -> Fact<PageUse> {
        let iomem = host.memory.iomem.known().into_iter().flatten();
        let ram = iomem.filter(|r| r.depth == 0 && r.kind == "System RAM");
        let ram: RangeSet = ram.map(|r| Range::new(r.start, r.end)).collect();
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        Root::new(root).regular(PATH).and_then(|fd| {
            let looks = look(fd, &ram.aligned_inward(page), page);
            looks.map_or_else(
                |errno| Fact::Unreadable(format!("{PATH}: {errno}")),
                |looks| Fact::Known(PageUse(looks)),
            )
        })
    }

    /// The memory that the kernel is likely to hand out while it makes room for
    /// `load` bytes: what it has ready; where that is not far more than enough,
    /// all that is free; where there is too little of that, the page cache too.
    ///
    /// Memory between two pages that are held is taken to be held.
    pub fn handed_out(&self, load: u64) -> RangeSet {
        let free = self.0.iter().filter(|l| l.found == Use::Free);
        let free = free.fold(0_u64, |sum, l| sum.saturating_add(l.range.len()));
        let handed = |look: &Look| match look.found {
            Use::Unmarked => true,
            Use::Free => free / AMPLE < load,
            // A quarter more, because not every free page can be had.
            Use::Cache => free < load.saturating_add(load / 4),
            Use::Held => false,
        };
        let next = self.0.iter().skip(1).map(Some).chain([None]);
        let pairs = self.0.iter().zip(next);
        let out = pairs.filter(|(look, next)| {
            let next = next.filter(|n| n.range.start == look.range.end);
            handed(look) || next.is_some_and(handed)
        });
        out.map(|(look, _)| look.range).collect()
    }
}

fn look(fd: OwnedFd, ram: &RangeSet, page: u64) -> Result<Vec<Look>, Errno> {
    let file = File::from(fd);
    let step = (ram.total() / page / LOOKS).max(1).saturating_mul(page);
    let mut looks = Vec::new();
    for range in ram.iter() {
        let mut at = range.start;
        while at < range.end {
            let mut word = [0; 8];
            let got = file.read_at(&mut word, (at / page).saturating_mul(WORD));
            // Behind the last page that the kernel knows of.
            if got.map_err(|e| Errno::from_io(&e))? < word.len() {
                break;
            }
            let end = at.saturating_add(step).min(range.end);
            looks.push(Look {
                range: Range::new(at, end),
                found: Use::of(u64::from_ne_bytes(word)),
            });
            at = end;
        }
    }
    Ok(looks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGE: u64 = 4096;

    /// Pages one behind the other, each standing for itself.
    fn pages(found: &[Use]) -> PageUse {
        let looks = found.iter().zip(0_u64..).map(|(found, at)| Look {
            range: Range::new(at * PAGE, (at + 1) * PAGE),
            found: *found,
        });
        PageUse(looks.collect())
    }

    fn numbers(ranges: &RangeSet) -> Vec<(u64, u64)> {
        ranges
            .iter()
            .map(|r| (r.start / PAGE, r.end / PAGE))
            .collect()
    }

    #[test]
    fn words_are_understood() {
        const SLAB: u64 = 1 << 7;
        const RESERVED: u64 = 1 << 32;
        assert_eq!(Use::of(0), Use::Unmarked);
        assert_eq!(Use::of(BUDDY), Use::Free);
        assert_eq!(Use::of(LRU | 1 << 3), Use::Cache);
        assert_eq!(Use::of(LRU | SWAPBACKED), Use::Held);
        for held in [SLAB, RESERVED, SWAPBACKED] {
            assert_eq!(Use::of(held), Use::Held);
        }
    }

    #[test]
    fn only_what_is_handed_out_is_named() {
        use Use::{Cache, Free, Held, Unmarked};
        let mut found = vec![Held, Held, Unmarked, Held, Held, Cache, Cache, Held];
        found.extend([Free; 40]);
        let machine = pages(&found);
        // Far more is free than is needed: only what is ready.
        assert_eq!(numbers(&machine.handed_out(2 * PAGE)), [(1, 3)]);
        // All that is free, and the pages before it, up to one that is held.
        assert_eq!(numbers(&machine.handed_out(20 * PAGE)), [(1, 3), (7, 48)]);
        // The page cache too.
        let short = machine.handed_out(35 * PAGE);
        assert_eq!(numbers(&short), [(1, 3), (4, 48)]);
        assert!(PageUse::default().handed_out(PAGE).is_empty());
    }

    /// A machine of two ranges with a hole in between: pages 1 to 3 and 6 to 8.
    fn machine(words: &[u64]) -> (tempfile::TempDir, Snapshot) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc")).unwrap();
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
        std::fs::write(dir.path().join("proc/kpageflags"), bytes).unwrap();
        let line = |from: u64, to: u64| {
            let page = u64::try_from(rustix::param::page_size()).unwrap();
            format!("{:08x}-{:08x} : System RAM\n", from * page, to * page - 1)
        };
        let iomem = line(1, 3) + &line(6, 8);
        std::fs::write(dir.path().join("proc/iomem"), iomem).unwrap();
        let host = Snapshot::read(dir.path());
        (dir, host)
    }

    #[test]
    fn each_page_has_its_word() {
        let (dir, host) = machine(&[9, BUDDY, 0, 9, 9, 9, LRU, LRU | SWAPBACKED, 9]);
        let Fact::Known(found) = PageUse::read(dir.path(), &host) else {
            panic!("not known");
        };
        let uses: Vec<Use> = found.0.iter().map(|l| l.found).collect();
        assert_eq!(uses, [Use::Free, Use::Unmarked, Use::Cache, Use::Held]);
    }

    #[test]
    fn without_the_file_or_the_end_of_it_less_is_known() {
        let (dir, host) = machine(&[9, BUDDY]);
        let found = PageUse::read(dir.path(), &host);
        assert_eq!(found.known().map(|f| f.0.len()), Some(1));
        std::fs::remove_file(dir.path().join("proc/kpageflags")).unwrap();
        assert_eq!(PageUse::read(dir.path(), &host), Fact::Absent);
    }

    #[test]
    fn the_running_machine_is_looked_at_a_bounded_number_of_times() {
        let host = Snapshot::read(Path::new("/"));
        if let Fact::Known(found) = PageUse::read(Path::new("/"), &host) {
            // Each range begins with a look of its own.
            let ranges = host.memory.iomem.known().map_or(0, Vec::len);
            let most = usize::try_from(2 * LOOKS).unwrap() + ranges;
            assert!(found.0.len() <= most, "{}", found.0.len());
        }
    }

    proptest! {
        #[test]
        fn what_is_handed_out_was_looked_at(
            found in proptest::collection::vec(0..4_u8, 0..200), load in any::<u64>(),
        ) {
            let found: Vec<Use> = found.into_iter().map(|n| match n {
                0 => Use::Free,
                1 => Use::Cache,
                2 => Use::Unmarked,
                _ => Use::Held,
            }).collect();
            let machine = pages(&found);
            let out = machine.handed_out(load);
            for (look, at) in machine.0.iter().zip(0_usize..) {
                let behind = found.get(at + 1);
                let sure = look.found == Use::Unmarked || behind == Some(&Use::Unmarked);
                let held = look.found == Use::Held && behind.is_none_or(|b| *b == Use::Held);
                prop_assert!(!sure || out.covers(look.range));
                prop_assert!(!held || !out.overlaps(look.range));
            }
        }
    }
}
