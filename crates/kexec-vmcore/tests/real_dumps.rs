//! Dumps of real kernels: other widths, orders of bytes and memory maps than those of the
//! machines that tests run on.

use std::ops::ControlFlow;

use kexec_vmcore::log::{self, Item, Layout, Part};
use kexec_vmcore::testing::SparseDump;
use kexec_vmcore::{Endian, Memory, Source, Words};
use proptest::prelude::*;

/// A dump and its log.
struct Fixture {
    dump: &'static [u8],
    log: &'static str,
    release: &'static str,
    words: Words,
}

macro_rules! fixture {
    ($name:literal, $release:literal, $endian:ident, $long:literal) => {
        Fixture {
            dump: include_bytes!(concat!("../fixtures/", $name, ".dump.zst")),
            log: include_str!(concat!("../fixtures/", $name, ".log")),
            release: $release,
            words: Words {
                endian: Endian::$endian,
                long: $long,
            },
        }
    };
}

const FIXTURES: [Fixture; 7] = [
    // QEMU's headers of it are of 64 bits.
    fixture!("i386-6.1", "6.1.0-50-686-pae", Little, 4),
    // Its linear map begins in the middle of physical memory, which no header says.
    fixture!("armhf-6.1", "6.1.0-50-armmp", Little, 4),
    fixture!("arm64-6.1", "6.1.0-50-cloud-arm64", Little, 8),
    fixture!("s390x-6.1", "6.1.0-50-s390x", Big, 8),
    // Since 6.10 its image has addresses of its own.
    fixture!("s390x-6.12", "6.12.107+deb13-s390x", Big, 8),
    fixture!("ppc64el-6.1", "6.1.0-50-powerpc64le", Little, 8),
    // The first release with the ring.
    fixture!("amd64-5.10", "5.10.0-32-cloud-amd64", Little, 8),
];

#[test]
fn each_log_is_what_its_console_showed() {
    for Fixture {
        dump,
        log: wanted,
        release,
        words,
    } in FIXTURES
    {
        let dump = SparseDump::unpack(dump).expect("a packed dump");
        let memory = Memory::open(&dump).expect(release);
        assert_eq!(memory.words, words, "{release}");
        assert_eq!(memory.info.text("OSRELEASE"), Some(release));
        let mut found = String::new();
        let summary = log::read(&memory, Part::All, &mut |item| {
            let Item::Record(record) = item else {
                panic!("{release}: {item:?}");
            };
            let text = String::from_utf8(record.text).expect(release);
            for line in text.split('\n') {
                found.push_str(line.trim_end());
                found.push('\n');
            }
            ControlFlow::Continue(())
        })
        .expect(release);
        assert_eq!(summary.layout, Layout::Ring);
        assert!(summary.complete() && summary.lost == 0, "{summary:?}");
        assert!(summary.records > 100, "{release}: {summary:?}");
        for (number, (found, wanted)) in found.lines().zip(wanted.lines()).enumerate() {
            assert_eq!(found, wanted, "{release}, line {}", number + 1);
        }
        assert_eq!(found.lines().count(), wanted.lines().count(), "{release}");
        assert!(
            found.contains("Kernel panic - not syncing: VFS:"),
            "{found}"
        );
    }
}

/// A fixture that is cut again is the same one: nothing more is read than is there.
#[test]
fn cutting_is_complete() {
    for Fixture { dump, release, .. } in FIXTURES {
        let dump = SparseDump::unpack(dump).expect("a packed dump");
        let again = SparseDump::cut(&dump).expect(release);
        assert!(again == dump, "{release}");
    }
}

/// A dump some of whose bytes are other ones.
struct Spoilt<'a> {
    dump: &'a SparseDump,
    bytes: Vec<(u64, u8)>,
}

impl Source for Spoilt<'_> {
    fn len(&self) -> u64 {
        self.dump.len()
    }

    fn next_data(&self, offset: u64) -> u64 {
        self.dump.next_data(offset)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.dump.read_exact_at(offset, buffer)?;
        for (at, byte) in &self.bytes {
            let inside = at.checked_sub(offset).map(usize::try_from);
            if let Some(Ok(inside)) = inside
                && let Some(there) = buffer.get_mut(inside)
            {
                *there = *byte;
            }
        }
        Ok(())
    }
}

/// Every page of data, by its offset.
fn pages(dump: &SparseDump) -> Vec<u64> {
    let next = |at: &u64| Some(dump.next_data(at + 4096)).filter(|at| *at < dump.len());
    std::iter::successors(Some(dump.next_data(0)), next).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever a crash has spoilt: an answer, soon.
    #[test]
    fn a_spoilt_dump_ends_in_an_answer(
        number in 0..FIXTURES.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..4096_u64, any::<u8>()), 1..200),
    ) {
        let dump = SparseDump::unpack(FIXTURES[number].dump).expect("a packed dump");
        let pages = pages(&dump);
        let bytes = changes.iter().map(|(page, inside, byte)| (page.get(&pages) + inside, *byte));
        let spoilt = Spoilt { dump: &dump, bytes: bytes.collect() };
        let began = std::time::Instant::now();
        if let Ok(memory) = Memory::open(&spoilt) {
            for part in [Part::All, Part::SinceClear] {
                let _ = log::read(&memory, part, &mut |_| ControlFlow::Continue(()));
            }
        }
        prop_assert!(began.elapsed().as_secs() < 20);
    }
}
