//! The model with the rates and the loads of one measurement: Debian's kernel 7.3.4 on a
//! Sapphire Rapids processor. Nothing here depends on the machine that runs it.

mod advice;

use bytes::Bytes;
use kexec_image::cpio;
use kexec_image::testing::codec::COMPRESSORS;
use kexec_machine::Snapshot;
use kexec_machine::snapshot::SerialPort;
use kexec_plan::unpack::UnpackChoice;
use kexec_plan::unpack::cost::Hashing;
use kexec_plan::unpack::memory::Room;
use kexec_plan::{Cmdline, Method, Piece, SyscallChoice};

use super::consoles::{is_verbose, serial_consoles};
use super::facts::initrd;
use super::*;
use crate::initrd::unpack::{InitrdUnpacked, UnpackRules, unpack};
use kexec_machine::Fact;

/// Bytes per second; GB are 10^9 bytes.
fn rates() -> Rates {
    Rates {
        copy: 14_000_000_000,
        crc32c: 22_000_000_000,
        sha256: 300_000_000,
        rootfs: 2_070_000_000,
        zstd_kernel: 640_000_000,
        zstd: 840_000_000,
        gzip: 290_000_000,
        xz: 82_000_000,
        lz4: 2_000_000_000,
        bzip2: 50_000_000,
    }
}

const MB: u64 = 100_000; // in tenths, so that 63.1 MB can be written

/// A load with `kexec_file_load(2)`, or one that is like it: everything is hashed, nothing
/// is unpacked before.
fn packed(initrd: u64, codec: &'static str, unpacked: u64) -> DowntimeFacts {
    let all = 631 * MB + 5 * MB / 10 + initrd;
    DowntimeFacts {
        method: Method::FileLoad,
        choice: SyscallChoice::File,
        verified: false,
        check: Check::ByTheKernel,
        checked: all,
        copied: all,
        kernel: KernelFacts {
            packed: Some(PackedKernel {
                codec: "zstd",
                unpacked: 621 * MB,
            }),
            not_unpacked: Some(NotUnpacked {
                reason: "kexec_file_load takes the bzImage only".to_owned(),
                unwanted: false,
                may_be_insisted: false,
            }),
        },
        initrd: vec![InitrdPart {
            codec: Some(codec),
            unpacked,
        }],
        consoles: Vec::new(),
        verbose: false,
        virtual_machine: false,
        next_fips: false,
        no_tests: false,
        lpj: true,
        machine: MachineFacts::default(),
    }
}

/// The same with everything unpacked before the jump.
fn raw(unpacked: u64) -> DowntimeFacts {
    let all = 621 * MB + unpacked;
    DowntimeFacts {
        method: Method::ClassicLoad,
        choice: SyscallChoice::Fastest,
        check: Check::Crc32c,
        checked: all,
        copied: all,
        kernel: KernelFacts::default(),
        initrd: vec![InitrdPart {
            codec: None,
            unpacked,
        }],
        ..packed(0, "zstd", 0)
    }
}

fn downtime(facts: &DowntimeFacts) -> Downtime {
    Downtime::of(facts, &rates(), "a processor")
}

/// Milliseconds of: integrity, copy, kernel, initrd, root file system.
type Expected = [u64; 5];

#[test]
fn what_was_computed_by_hand_comes_out() {
    let rows: [(&str, DowntimeFacts, Expected); 7] = [
        (
            "S zst -c",
            packed(16 * MB, "zstd", 47 * MB),
            [216, 5, 97, 6, 2],
        ),
        (
            "M zst -c",
            packed(715 * MB, "zstd", 2070 * MB),
            [449, 10, 97, 247, 100],
        ),
        (
            "M gz -c",
            packed(831 * MB, "gzip", 2070 * MB),
            [488, 11, 97, 719, 100],
        ),
        (
            "M xz -c",
            packed(567 * MB, "xz", 2070 * MB),
            [400, 9, 97, 2519, 100],
        ),
        (
            "L zst -c",
            packed(1670 * MB, "zstd", 4905 * MB),
            [768, 17, 97, 585, 240],
        ),
        ("S ours", raw(47 * MB), [3, 5, 0, 0, 2]),
        ("M ours", raw(2070 * MB), [12, 20, 0, 0, 100]),
    ];
    for (row, facts, expected) in rows {
        let found = downtime(&facts);
        for (phase, expected) in found.phases.iter().zip(expected) {
            // A tenth, or the millisecond to which both are rounded.
            let off = phase.millis.abs_diff(expected);
            assert!(
                off * 10 <= expected || off <= 1,
                "{row}: {}: {} ms, expected {expected}",
                phase.name,
                phase.millis
            );
        }
        let sum: u64 = found.phases.iter().map(|phase| phase.millis).sum();
        assert_eq!(found.millis, sum, "{row}");
        let expected: u64 = expected.iter().sum();
        assert!(sum.abs_diff(expected) * 10 <= expected, "{row}: {sum}");
    }
}

#[test]
fn what_is_not_done_takes_no_time_and_says_why() {
    let how = |facts: &DowntimeFacts, at: usize| {
        let phase = &downtime(facts).phases[at];
        assert_eq!((phase.bytes, phase.millis), (0, 0), "{phase:?}");
        phase.how.clone()
    };
    let mut facts = raw(0);
    facts.initrd.clear();
    assert_eq!(how(&facts, 2), "unpacked before the jump");
    assert_eq!(how(&facts, 3), "there is none");
    assert_eq!(how(&facts, 4), "there is none");
    assert!(how(&facts, 5).contains("no serial console"));
    assert_eq!(how(&raw(7), 3), "it is not compressed");
    facts.check = Check::None;
    assert!(how(&facts, 0).contains("--integrity=none"));
    facts.check = Check::LeftOutByTheKernel;
    assert!(how(&facts, 0).contains("handover"));
    facts.kernel.packed = Some(PackedKernel {
        codec: "brotli",
        unpacked: 7,
    });
    assert_eq!(how(&facts, 2), "unknown, by brotli");
    let mut elf = packed(0, "zstd", 7);
    elf.kernel.packed = None;
    assert_eq!(how(&elf, 2), "it is not compressed");
    let why = &downtime(&packed(0, "zstd", 7)).phases[2].how;
    assert!(
        why.ends_with("kexec_file_load takes the bzImage only"),
        "{why}"
    );
}

/// No sizes and no rates make it fail.
#[test]
fn the_largest_numbers_do_no_harm() {
    let mut facts = packed(0, "zstd", u64::MAX);
    facts.checked = u64::MAX;
    facts.copied = u64::MAX;
    facts.initrd.push(facts.initrd[0]);
    facts.consoles = vec![SerialConsole {
        name: "ttyS0".to_owned(),
        baud: 1,
    }];
    facts.verbose = true;
    let none = Rates {
        copy: 0,
        crc32c: 0,
        sha256: 0,
        rootfs: 0,
        zstd_kernel: 0,
        zstd: 0,
        gzip: 0,
        xz: 0,
        lz4: 0,
        bzip2: 0,
    };
    assert!(!none.are_plausible() && rates().are_plausible());
    assert_eq!(Downtime::of(&facts, &none, "").millis, u64::MAX);
}

fn host(serial: Fact<Vec<SerialPort>>) -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    Snapshot {
        serial,
        ..Snapshot::read(folder.path())
    }
}

#[test]
fn serial_consoles_of_the_next_command_line() {
    let port = |line, kind| SerialPort {
        line,
        kind,
        io_type: 0,
        port: 0x3f8,
        clock: 1_843_200,
    };
    let ports = host(Fact::Known(vec![port(0, 4), port(1, 0)]));
    let unknown = host(Fact::Absent);
    let shown = |line: &str, host: &Snapshot| {
        let found = serial_consoles(&Cmdline::from(line), host);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        found.join(", ")
    };
    for (line, expected) in [
        ("", ""),
        ("console=tty0 earlycon=uart8250,io,0x3f8", ""),
        ("console=ttyS0", "ttyS0 at 9600 baud"),
        (
            "console=ttyS0,115200n8 console=tty0",
            "ttyS0 at 115200 baud",
        ),
        (
            "console=ttyS0,57600 console=ttyS0,9600",
            "ttyS0 at 57600 baud",
        ),
        ("console=ttyS0,n8", "ttyS0 at 9600 baud"),
        ("console=ttyS0,0", "ttyS0 at 9600 baud"),
        ("console=uart8250,io,0x2f8,38400", "0x2f8 at 38400 baud"),
        ("console=ttyS1,115200", ""),
        ("console=ttySx console=hvc0 console=", ""),
        ("root=/dev/vda1 -- console=ttyS0", ""),
        ("\"console=ttyS0,19200\"", "ttyS0 at 19200 baud"),
    ] {
        assert_eq!(shown(line, &ports), expected, "{line}");
    }
    // Who has not looked does not say that there is none.
    assert_eq!(shown("console=ttyS1", &unknown), "ttyS1 at 9600 baud");
}

#[test]
fn the_last_word_on_messages_counts() {
    for (line, verbose) in [
        ("", true),
        ("quiet", false),
        ("quiet loglevel=7", true),
        ("loglevel=7 quiet", false),
        ("loglevel=4", false),
        ("loglevel=6", false),
        ("loglevel=8", true),
        ("loglevel=x", true),
        ("quiet debug", true),
        ("ignore_loglevel quiet", true),
        ("-- quiet", true),
        ("quietly", true),
    ] {
        assert_eq!(is_verbose(&Cmdline::from(line)), verbose, "{line}");
    }
}

fn console(baud: u32) -> Vec<SerialConsole> {
    let name = "ttyS0".to_owned();
    vec![SerialConsole { name, baud }]
}

#[test]
fn messages_take_ten_bits_for_each_byte() {
    let mut facts = raw(0);
    facts.verbose = true;
    facts.consoles = console(115_200);
    let millis = |facts: &DowntimeFacts| downtime(facts).phases[5].millis;
    assert_eq!(millis(&facts), 2127);
    facts.consoles.extend(console(9600));
    assert_eq!(millis(&facts), 2127 + 25_521);
    facts.virtual_machine = true;
    assert_eq!(millis(&facts), 0);
    facts.virtual_machine = false;
    facts.verbose = false;
    assert_eq!(millis(&facts), 0);
}

/// An archive with one file, and the same compressed with each codec of `codecs`, one
/// behind the other; and the bytes of the archive.
fn pieces(codecs: &[&str]) -> (Vec<Piece>, u64) {
    let content: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
    let archive = cpio::archive(&[cpio::File {
        path: "file".to_owned(),
        mode: 0o644,
        content: content.into(),
    }])
    .unwrap();
    let piece = |bytes: Vec<u8>| Piece {
        origin: "a file".to_owned(),
        len: bytes.len(),
        padding: 0,
        bytes: Bytes::from(bytes),
    };
    let packed = codecs.iter().map(|codec| {
        let compressor = COMPRESSORS.iter().find(|c| c.name == *codec).unwrap();
        piece((compressor.compress)(&archive))
    });
    let all = std::iter::once(piece(archive.clone())).chain(packed);
    (all.collect(), u64::try_from(archive.len()).unwrap())
}

#[test]
fn parts_of_an_initrd_as_they_are_handed_over() {
    let codecs = ["zstd", "xz"];
    let (pieces, len) = pieces(&codecs);
    let part = |codec, unpacked| InitrdPart { codec, unpacked };
    let as_they_are = [
        part(Some("zstd"), len),
        part(Some("xz"), len),
        part(None, len),
    ];
    // Nobody has looked: they are unpacked to see.
    assert_eq!(initrd(&pieces, &InitrdUnpacked::default()), as_they_are);
    let mut rules = UnpackRules {
        choice: UnpackChoice::Auto,
        setting: None,
        forbidden: None,
        hashing: Hashing::Crc32c,
        room: Ok(Room {
            most: 1 << 30,
            because: String::new(),
        }),
        reads_lz4: true,
        threads: 1,
    };
    let (handed, report) = unpack(&pieces, &rules).unwrap();
    assert!(report.is_changed());
    let raw: usize = handed.iter().map(|piece| piece.len).sum();
    let raw = u64::try_from(raw).unwrap();
    assert_eq!(initrd(&handed, &report), [part(None, raw)]);
    // No room: the report knows the sizes, whatever the bytes are.
    rules.room = Ok(Room {
        most: 0,
        because: "of nothing".to_owned(),
    });
    let (mut handed, report) = unpack(&pieces, &rules).unwrap();
    assert!(!report.is_changed());
    let known = report.parts.iter().all(|part| part.unpacked.is_some());
    for piece in &mut handed {
        if known {
            piece.bytes = Bytes::new();
        }
    }
    assert_eq!(initrd(&handed, &report), as_they_are);
    assert_eq!(initrd(&[], &InitrdUnpacked::default()), []);
}
