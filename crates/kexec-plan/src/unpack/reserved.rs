//! What the next kernel's command line sets aside of its memory, so that an initrd that is
//! unpacked before the jump cannot have it (Documentation/admin-guide/kernel-parameters.rst:
//! `hugepages=`, `crashkernel=`, `cma=`, `hugetlb_cma=`).

use crate::Cmdline;
use crate::memory::limits::memparse;

/// The size of a huge page where no option names one: 2 MiB on x86_64.
const HUGE_PAGE: u64 = 2 << 20;

/// What is set aside, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reserved {
    /// For a crash kernel. The memory of a running kernel (`MemTotal`) is without its own.
    pub crash: u64,
    /// For huge pages and contiguous allocations.
    pub rest: u64,
}

impl Reserved {
    /// What this command line sets aside, at most: where the size depends on the memory, the
    /// largest size counts. A value that the kernel does not understand sets nothing aside.
    pub fn of(cmdline: &Cmdline) -> Reserved {
        let mut reserved = Reserved::default();
        let mut page = HUGE_PAGE;
        for word in cmdline.words().take_while(|word| *word != b"--") {
            let word = std::str::from_utf8(word).unwrap_or_default();
            let Some((name, value)) = word.trim_matches('"').split_once('=') else {
                continue;
            };
            let value = value.trim_matches('"');
            match name {
                "crashkernel" => add(&mut reserved.crash, crash(value)),
                "cma" | "hugetlb_cma" => add(&mut reserved.rest, by_node(value)),
                "default_hugepagesz" | "hugepagesz" => page = size(value),
                "hugepages" => add(&mut reserved.rest, by_node(value).saturating_mul(page)),
                _ => {}
            }
        }
        reserved
    }

    /// All of it, where the memory that it is taken from is without `left_out` for a crash
    /// kernel already.
    pub fn beside(self, left_out: u64) -> u64 {
        self.crash
            .saturating_sub(left_out)
            .saturating_add(self.rest)
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

fn size(text: &str) -> u64 {
    memparse(text).map_or(0, |(size, _)| size)
}

/// The largest size of `crashkernel=SIZE[@OFFSET]`, `SIZE,high`, or
/// `RANGE:SIZE[,RANGE:SIZE]...` (Documentation/admin-guide/kdump/kdump.rst, "crashkernel
/// syntax").
fn crash(value: &str) -> u64 {
    let sizes = value.split(',').map(|item| {
        let item = item.split('@').next().unwrap_or_default();
        size(item.rsplit(':').next().unwrap_or_default())
    });
    sizes.max().unwrap_or(0)
}

/// The sum of `N` or `NODE:N[,NODE:N]...`.
fn by_node(value: &str) -> u64 {
    let items = value.split(',');
    items
        .map(|item| size(item.rsplit(':').next().unwrap_or_default()))
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn of(line: &str) -> (u64, u64) {
        let reserved = Reserved::of(&Cmdline::from(line));
        (reserved.crash / MIB, reserved.rest / MIB)
    }

    #[test]
    fn what_a_command_line_sets_aside() {
        for (line, expected) in [
            ("quiet", (0, 0)),
            ("hugepages=7600", (0, 15_200)),
            ("hugepages=0x10", (0, 32)),
            (
                "hugepagesz=1G hugepages=2 hugepagesz=2M hugepages=3",
                (0, 2054),
            ),
            ("default_hugepagesz=1G hugepages=0:1,1:2", (0, 3072)),
            ("crashkernel=256M", (256, 0)),
            ("crashkernel=\"256M@16M\"", (256, 0)),
            ("crashkernel=1G,high crashkernel=256M,low", (1280, 0)),
            ("crashkernel=2G-4G:128M,4G-64G:256M,64G-:512M", (512, 0)),
            ("crashkernel=auto hugepages=many cma=none", (0, 0)),
            ("cma=64M hugetlb_cma=0:1G,1:1G", (0, 2112)),
            ("quiet -- hugepages=7600", (0, 0)),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
        let huge = Reserved::of(&Cmdline::from(
            "hugepagesz=16E hugepages=16E cma=15E cma=15E",
        ));
        assert_eq!(huge.rest, u64::MAX);
    }

    #[test]
    fn what_is_out_of_the_memory_already_is_not_taken_twice() {
        let reserved = Reserved {
            crash: 256 * MIB,
            rest: 10 * MIB,
        };
        assert_eq!(reserved.beside(0), 266 * MIB);
        assert_eq!(reserved.beside(192 * MIB), 74 * MIB);
        assert_eq!(reserved.beside(u64::MAX), 10 * MIB);
    }
}
