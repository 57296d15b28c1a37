//! Dumps of real kernels: other widths, orders of bytes and memory maps than those of the
//! machines that tests run on.

use std::ops::ControlFlow;

use kexec_vmcore::log::{self, Item, Layout, Part};
use kexec_vmcore::testing::SparseDump;
use kexec_vmcore::{Endian, Memory, Words};

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
