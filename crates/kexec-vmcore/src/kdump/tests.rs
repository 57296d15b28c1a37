use super::*;
use crate::log::{self, Item, Part, Summary};
use crate::testing::{
    self, AARCH64, Compression, Dump, I686, KdumpFile, MACHINES, Message, PPC, S390X, TestMachine,
    X86_64, flatten,
};
use crate::{Memory, VmcoreError};
use proptest::prelude::*;
use std::ops::ControlFlow;

const MESSAGES: [Message<'_>; 3] = [
    Message {
        ts_nsec: 0,
        level: 5,
        caller: 0,
        text: b"Linux version",
    },
    Message {
        ts_nsec: 1_500_000,
        level: 6,
        caller: 1,
        text: b"two\nlines",
    },
    Message {
        ts_nsec: 2_000_000,
        level: 0,
        caller: 1,
        text: b"Kernel panic",
    },
];
const TEXTS: [&str; 3] = ["Linux version", "two\nlines", "Kernel panic"];

fn walk(parts: &[Vec<u8>]) -> Result<(Vec<String>, Summary), VmcoreError> {
    let parts: Vec<&dyn Source> = parts.iter().map(|part| part as &dyn Source).collect();
    let memory = Memory::open_parts(&parts)?;
    let mut texts = Vec::new();
    let summary = log::read(&memory, Part::All, &mut |item| {
        let (Item::Record(log::Record { text, .. }) | Item::Text(text)) = item;
        texts.push(String::from_utf8_lossy(&text).into_owned());
        ControlFlow::Continue(())
    })?;
    Ok((texts, summary))
}

fn read_well(file: &[u8], about: &dyn std::fmt::Debug) {
    let (texts, summary) = walk(&[file.to_vec()]).unwrap_or_else(|e| panic!("{about:?}: {e}"));
    assert_eq!(texts, TEXTS, "{about:?}");
    assert!(summary.complete(), "{about:?}: {summary:?}");
}

fn said(file: &[u8]) -> String {
    match walk(&[file.to_vec()]) {
        Ok((texts, summary)) => format!("{texts:?} {:?}", summary.why.map(|why| why.to_string())),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_version_and_compression_of_every_machine() {
    for machine in MACHINES {
        for compression in Compression::ALL {
            for version in 3..=6 {
                let mut file = KdumpFile::new(compression);
                file.version = version;
                let dump = testing::ring_on(machine, &MESSAGES);
                let about = (machine.uname, compression, version);
                let bytes = file.build(&dump);
                read_well(&bytes, &about);
                if version == 6 {
                    read_well(&flatten(&bytes, 5000), &about);
                }
            }
        }
    }
}

/// As QEMU writes them.
#[test]
fn machines_without_a_name() {
    for machine in MACHINES {
        let unnamed = TestMachine {
            uname: "Unknown",
            ..machine
        };
        let bytes = KdumpFile::new(Compression::Zlib).build(&testing::ring_on(unnamed, &MESSAGES));
        read_well(&bytes, &machine.uname);
    }
}

/// QEMU, of a machine of 32 bits whose firmware ends at 4 GiB.
#[test]
fn headers_of_64_bits_for_32() {
    for info in ["CONFIG_X86_PAE=y", ""] {
        let unnamed = TestMachine {
            uname: "Unknown",
            ..I686
        };
        let mut dump = testing::ring_on(unnamed, &MESSAGES);
        if !info.is_empty() {
            dump.info(info);
        }
        let mut file = KdumpFile::new(Compression::Zlib);
        file.wide = true;
        read_well(&file.build(&dump), &info);
    }
}

/// The first two versions do not name the description; it is in memory.
#[test]
fn without_a_note() {
    for machine in [X86_64, PPC] {
        for version in 1..=6 {
            let mut file = KdumpFile::new(Compression::Zlib);
            file.version = version;
            let dump = testing::ring_on(machine, &MESSAGES).noteless();
            read_well(&file.build(&dump), &version);
        }
        let dump = testing::ring_on(machine, &MESSAGES)
            .noteless()
            .without_vaddr();
        read_well(&dump.build(), &machine.uname);
    }
    let mut dump = Dump::on(X86_64);
    dump.load(X86_64.base, &[1; 5000]);
    let mut file = KdumpFile::new(Compression::Zlib);
    file.version = 1;
    assert!(said(&file.build(&dump)).starts_with("no VMCOREINFO in its headers"));
}

/// `--elf64-core-headers` for a 32-bit kernel, and `--elf32-core-headers` for one of 64 bits.
#[test]
fn elf_headers_of_another_width() {
    for (machine, headers) in [(I686, 8), (PPC, 8), (X86_64, 4), (AARCH64, 4)] {
        let dump = testing::ring_on(machine, &MESSAGES).headers(headers);
        read_well(&dump.without_vaddr().build(), &machine.uname);
    }
}

#[test]
fn elf_files_without_virtual_addresses() {
    for machine in MACHINES {
        let dump = testing::ring_on(machine, &MESSAGES).without_vaddr();
        let bytes = dump.build();
        read_well(&bytes, &machine.uname);
        read_well(&flatten(&bytes, 1000), &machine.uname);
    }
}

#[test]
fn the_older_logs() {
    for machine in [X86_64, I686, S390X, PPC] {
        let file = KdumpFile::new(Compression::Lzo);
        let records = testing::records_on(machine, &MESSAGES, 1);
        let (texts, _) = walk(&[file.build(&records)]).expect("good");
        assert_eq!(texts, ["Linux version", "two\nlines", "Kernel panic"]);
        let bytes = testing::bytes_on(machine, b"<6>one\n<5>two\n");
        let (texts, _) = walk(&[file.build(&bytes)]).expect("good");
        assert_eq!(texts.concat(), "<6>one\n<5>two\n");
    }
}

#[test]
fn layouts_of_32_bits() {
    for machine in [I686, PPC] {
        for (aligned, time64) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut file = KdumpFile::new(Compression::Snappy);
            (file.aligned, file.time64) = (aligned, time64);
            let dump = testing::ring_on(machine, &MESSAGES);
            read_well(&file.build(&dump), &(machine.uname, aligned, time64));
        }
    }
}

fn page(machine: TestMachine, number: u64) -> u64 {
    machine.paddr / 4096 + number
}

#[test]
fn parts_of_a_split_dump() {
    for (machine, version) in [(X86_64, 6), (X86_64, 5), (PPC, 5), (AARCH64, 6)] {
        let dump = testing::ring_on(machine, &MESSAGES);
        let middle = page(machine, 3);
        let part = |range| {
            let mut file = KdumpFile::new(Compression::Zstd);
            (file.version, file.split) = (version, Some(range));
            file.build(&dump)
        };
        let parts = [part(0..middle), part(middle..page(machine, 5))];
        let (texts, summary) = walk(&parts).expect("both parts");
        assert_eq!(texts, TEXTS);
        assert!(summary.complete());
        // With one of them, something is missing, and that is told.
        for part in &parts {
            let alone = walk(std::slice::from_ref(part));
            assert!(alone.is_err() || alone.is_ok_and(|(_, summary)| !summary.complete()));
        }
    }
    let whole = KdumpFile::new(Compression::Zlib).build(&testing::ring_on(X86_64, &MESSAGES));
    let error = walk(&[whole.clone(), whole]).map_err(|error| error.to_string());
    assert!(error.is_err_and(|error| error.contains("not the parts of one dump")));
}

#[test]
fn pages_that_were_left_out() {
    let dump = testing::ring_on(X86_64, &MESSAGES);
    for (number, what) in [
        (0, "the pointer prb"),
        (1, "the log's ring buffer"),
        (2, "a message's descriptor"),
        (3, "what is known of a message"),
        (4, "a message's text"),
    ] {
        let mut file = KdumpFile::new(Compression::Zlib);
        file.without.insert(page(X86_64, number));
        let said = said(&file.build(&dump));
        assert!(
            said.contains("that page was left out of the dump"),
            "{said}"
        );
        assert!(said.contains(what), "{said}");
    }
}

/// A damaged page costs its messages, and no other.
#[test]
fn pages_that_are_damaged() {
    for compression in [
        Compression::Zlib,
        Compression::Lzo,
        Compression::Snappy,
        Compression::Zstd,
    ] {
        let good = KdumpFile::new(compression).build(&testing::ring_on(X86_64, &MESSAGES));
        let mut bytes = good.clone();
        // The last page is the text.
        let end = bytes.len();
        bytes.truncate(end - 3);
        let said_cut = said(&bytes);
        assert!(said_cut.contains("it was not copied whole"), "{said_cut}");
        let mut bytes = good;
        let desc = bytes.windows(16).rposition(|desc| {
            let offset = u64::from_le_bytes(desc[..8].try_into().expect("8"));
            let size = u64::from(u32::from_le_bytes(desc[8..12].try_into().expect("4")));
            size > 0 && offset.checked_add(size) == u64::try_from(end).ok()
        });
        let desc = desc.expect("the last page has one");
        for (spoil, words) in [
            (12, "damaged"),
            (8, "expected at most 4096"),
            (13, "physical address 0x3004000"),
        ] {
            let before = bytes.clone();
            match spoil {
                // Another size of the data.
                12 => bytes[desc + 8] -= 2,
                8 => bytes[desc + 10] = 1,
                // Another compression.
                _ => bytes[desc + 12] = if bytes[desc + 12] == 1 { 4 } else { 1 },
            }
            let said = said(&bytes);
            assert!(said.contains(words), "{compression:?} {spoil}: {said}");
            bytes = before;
        }
        bytes[desc..desc + 12].fill(0);
        assert!(said(&bytes).contains("was not written: the dump is incomplete"));
    }
}

#[test]
fn headers_that_lie() {
    let good = KdumpFile::new(Compression::Zlib).build(&testing::ring_on(X86_64, &MESSAGES));
    let spoilt = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        said(&bytes)
    };
    for (at, value, words) in [
        (8, &[7, 0, 0, 0][..], "version 7, expected 1 to 6"),
        (8, &[0, 0, 0, 0], "in which its numbers make sense"),
        (428, &[0, 0, 0, 0], "in which its numbers make sense"),
        (428, &[0, 0x20, 0, 0x20], "in which its numbers make sense"),
        (436, &[255, 255, 255, 127], "the bitmaps of the dump"),
        (
            4096 + 96,
            &[255, 255, 255, 255, 255, 255, 255, 127],
            "the bitmaps of the dump",
        ),
        (4096 + 32, &[0, 0, 0, 0, 0, 0, 0, 127], "no VMCOREINFO"),
    ] {
        let said = spoilt(at, value);
        assert!(said.contains(words), "{at}: {said}");
    }
    for len in 0..good.len() {
        if len % 97 == 0 || len < 600 {
            let _ = said(&good[..len]);
        }
    }
    assert!(said(&good[..4096]).contains("a header of the dump is at byte 4096"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is spoilt: an answer, in bounded time.
    #[test]
    fn a_spoilt_dump_ends_in_an_answer(
        which in 0_usize..5,
        flat in any::<bool>(),
        spoilt in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        keep in any::<prop::sample::Index>(),
    ) {
        let machine = MACHINES[which];
        let dump = testing::ring_on(machine, &MESSAGES);
        let mut bytes = KdumpFile::new(Compression::ALL[which]).build(&dump);
        if flat {
            bytes = flatten(&bytes, 4096);
        }
        for (at, value) in spoilt {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = walk(&[bytes.clone()]);
        bytes.truncate(keep.index(bytes.len()));
        let _ = walk(&[bytes]);
    }
}
