//! Initrds of every shape: what kernels make of them is the same before and after.

use kexec_image::cpio;
use kexec_image::testing::codec::{COMPRESSORS, Compressor, xz_with_crc64};

mod shapes;

use super::kernel::{Root, unpacks};
use super::*;

fn piece(bytes: Vec<u8>) -> Piece {
    Piece {
        origin: "/boot/initrd".to_owned(),
        len: bytes.len(),
        padding: 0,
        bytes: bytes.into(),
    }
}

fn rules(choice: UnpackChoice) -> UnpackRules {
    UnpackRules {
        choice,
        setting: None,
        forbidden: None,
        hashing: Hashing::Crc32c,
        room: Ok(Room {
            most: 1 << 26,
            because: "a test says so".to_owned(),
        }),
        reads_lz4: true,
        threads: 2,
    }
}

fn archive(path: &str, len: usize) -> Vec<u8> {
    let file = cpio::File {
        path: path.to_owned(),
        mode: 0o755,
        content: (0..len)
            .map(|i| u8::try_from(i * i / 5 % 251).unwrap())
            .collect(),
    };
    cpio::archive(&[file]).unwrap()
}

fn compressor(name: &str) -> &'static Compressor {
    COMPRESSORS.iter().find(|c| c.name == name).unwrap()
}

fn pack(name: &str, bytes: &[u8]) -> Vec<u8> {
    (compressor(name).compress)(bytes)
}

fn joined(pieces: &[Piece]) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in pieces {
        assert_eq!(piece.len, piece.bytes.len());
        all.extend_from_slice(&piece.bytes);
        all.resize(all.len() + piece.padding, 0);
    }
    all
}

fn config(text: &[u8]) -> Vec<u8> {
    let sum: u32 = text.iter().map(|b| u32::from(*b)).sum();
    let size = u32::try_from(text.len()).unwrap();
    let numbers = [size.to_le_bytes(), sum.to_le_bytes()].concat();
    [text, &numbers, b"#BOOTCONFIG\n"].concat()
}

/// Unpacks it, and compares what a kernel makes of both.
#[track_caller]
fn auto(pieces: &[Piece]) -> (Vec<Piece>, InitrdUnpacked) {
    let (handed, report) = unpack(pieces, &rules(UnpackChoice::Auto)).unwrap();
    same(pieces, &handed);
    assert!(report.is_changed() || handed == pieces);
    (handed, report)
}

#[track_caller]
fn same(before: &[Piece], after: &[Piece]) -> Root {
    let (before, after) = (
        unpacks(&joined(before), 1 << 26),
        unpacks(&joined(after), 1 << 26),
    );
    let names = |root: &Root| -> Vec<String> {
        let names = root.members.iter();
        names
            .map(|(name, ..)| String::from_utf8_lossy(name).into_owned())
            .collect()
    };
    assert_eq!(names(&before), names(&after));
    assert!(before == after);
    after
}

fn forms(report: &InitrdUnpacked) -> Vec<PartForm> {
    report.parts.iter().map(|part| part.form).collect()
}

#[test]
fn every_codec_that_kernels_read() {
    for compressor in COMPRESSORS.iter().filter(|c| c.name != "lz4 frame") {
        let plain = archive("init", 100_000);
        let initrd = piece((compressor.compress)(&plain));
        let (handed, report) = auto(std::slice::from_ref(&initrd));
        assert_eq!(joined(&handed), plain, "{}", compressor.name);
        assert_eq!(forms(&report), [PartForm::Raw]);
        assert!(report.is_raw(0) && report.note.is_none());
        let [part] = &report.parts[..] else { panic!() };
        assert_eq!(part.codec.as_deref(), Some(compressor.codec));
        assert_eq!((part.at, part.packed), (0, initrd.len));
        assert_eq!(
            (part.unpacked, part.handed),
            (Some(plain.len()), plain.len())
        );
        let line = report.lines().concat();
        assert!(line.contains("unpacked before the jump"), "{line}");
        assert!(line.contains("CRC-32C"), "{line}");
        let always = unpack(std::slice::from_ref(&initrd), &rules(UnpackChoice::Always));
        assert_eq!(joined(&always.unwrap().0), plain);
        let never = unpack(std::slice::from_ref(&initrd), &rules(UnpackChoice::Never)).unwrap();
        assert_eq!(never, (vec![initrd], InitrdUnpacked::default()));
    }
}

#[test]
fn early_archives_stay_in_front_and_what_is_raw_stays() {
    let mut early = archive("kernel/x86/microcode/GenuineIntel.bin", 5000);
    early.resize(early.len().next_multiple_of(512), 0);
    let raw = [&early[..], &archive("init", 1001)].concat();
    let (_, report) = auto(&[piece(raw)]);
    assert_eq!(
        report,
        InitrdUnpacked {
            all_raw: vec![true],
            ..Default::default()
        }
    );
    for name in ["zstd", "xz", "gzip", "lz4 legacy"] {
        let mut all = early.clone();
        all.extend(pack(name, &archive("init", 77_777)));
        let packed_end = all.len();
        all.resize(packed_end.next_multiple_of(4) + 4, 0);
        all.extend(pack("gzip", &archive("extra", 9)));
        let (handed, report) = auto(&[piece(all.clone())]);
        assert_eq!(forms(&report), [PartForm::Raw; 2], "{name}");
        let new = joined(&handed);
        assert!(new.starts_with(&early));
        let root = unpacks(&new, 1 << 26);
        assert!(root.whole && root.early.len() == 1 && root.config.is_none());
        // Each archive where kernels look for it.
        let starts = new.windows(6).enumerate();
        let starts = starts.filter(|(_, w)| *w == b"070701").map(|(at, _)| at);
        assert!(starts.clone().count() >= 9);
        assert!(starts.clone().all(|at| at % 4 == 0));
        assert!(handed[0].origin.contains("bytes 0 to"), "{handed:?}");
    }
}

#[test]
fn packed_content_does_not_become_active_early() {
    for path in [
        "kernel/x86/microcode/AuthenticAMD.bin",
        "kernel/firmware/acpi/SSDT.aml",
    ] {
        let inside = pack("zstd", &archive(path, 300));
        let other = pack("zstd", &archive("init", 300));
        let (_, report) = auto(&[piece(inside.clone())]);
        assert_eq!(forms(&report), [PartForm::Packed]);
        assert!(report.parts[0].why.contains("early"), "{report:?}");
        // What stays stops the kernel's look, so that others may be unpacked.
        let both = [&inside[..], &other, &inside].concat();
        let (_, report) = auto(&[piece(both)]);
        let expected = [PartForm::Packed, PartForm::Raw, PartForm::Raw];
        assert_eq!(forms(&report), expected);
        // Behind one that would be unpacked.
        let both = [&other[..], &inside].concat();
        let (_, report) = auto(&[piece(both)]);
        assert_eq!(forms(&report), [PartForm::Raw, PartForm::Packed]);
        // In an archive that is not compressed, but behind one that is.
        let mut all = [&other[..], &other].concat();
        all.resize(all.len().next_multiple_of(4), 0);
        all.extend(archive(path, 300));
        let (handed, report) = auto(&[piece(all)]);
        assert_eq!(forms(&report), [PartForm::Raw, PartForm::Packed]);
        assert!(unpacks(&joined(&handed), 1 << 26).early.is_empty());
        let error = unpack(&[piece(inside)], &rules(UnpackChoice::Always)).unwrap_err();
        assert!(error.to_string().contains("begins at byte 0"), "{error}");
    }
    // The folder alone, or another one, is none of them.
    let (_, report) = auto(&[piece(pack("zstd", &archive("kernel/x86/other/x", 300)))]);
    assert_eq!(forms(&report), [PartForm::Raw]);
}

#[test]
fn the_boot_configuration_stays_the_very_last() {
    let text = config(b"feature.option = on\n");
    for name in ["zstd", "lz4 legacy", "gzip"] {
        for zeros in 0..6 {
            let mut all = pack(name, &archive("init", 5000));
            all.resize(all.len() + zeros, 0);
            let packed = all.len();
            all.extend_from_slice(&text);
            for padding in 0..4 {
                let mut all = all.clone();
                all.resize(all.len() + padding, 0);
                let (handed, report) = auto(&[piece(all.clone())]);
                assert_eq!(forms(&report), [PartForm::Raw]);
                let new = joined(&handed);
                assert!(new.ends_with(&all[packed..]));
                assert_eq!((new.len() - all.len()) % 4, 0);
                assert!(unpacks(&new, 1 << 26).config.is_some());
            }
        }
    }
    let packed = pack("zstd", &archive("init", 5000));
    let two = [&packed[..], &text, &text].concat();
    let mut damaged = [&packed[..], &text].concat();
    let sum = damaged.len() - 13;
    damaged[sum] ^= 1;
    for (initrd, words) in [(two, "two boot configurations"), (damaged, "is damaged")] {
        let (handed, report) = auto(&[piece(initrd)]);
        assert!(report.note.as_deref().unwrap().contains(words));
        assert!(report.lines()[0].contains(words) && handed.len() == 1);
        assert!(unpack(&handed, &rules(UnpackChoice::Always)).is_err());
    }
    // One that is alone is an initrd with nothing in it.
    let (_, report) = auto(&[piece(text)]);
    assert!(!report.is_changed());
}

#[test]
fn a_part_that_does_not_unpack_stays_with_everything_behind_it() {
    let good = pack("zstd", &archive("init", 5000));
    let mut aligned = good.clone();
    aligned.resize(aligned.len().next_multiple_of(4), 0);
    let mut broken = good.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 0xff;
    let inner = archive("x", 5000);
    let cut_inside = pack("zstd", &inner[..inner.len() - 200]);
    let no_archive = pack("zstd", b"hello");
    let lzo = [&[0x89, b'L', b'Z', b'O'][..], &[7; 99]].concat();
    let modern = pack("lz4 frame", &archive("x", 5));
    let crc64 = xz_with_crc64(&archive("x", 500));
    for (bad, why) in [
        (broken, "no sound zstd stream"),
        (cut_inside, "no sound archive"),
        (no_archive, "no cpio archive"),
        (lzo, "kexec does not unpack it"),
        (modern, "modern frame"),
        (crc64, "CRC64"),
        (good[..good.len() - 2].to_vec(), "no sound zstd stream"),
    ] {
        let mut all = [&aligned[..], &bad].concat();
        all.resize(all.len().next_multiple_of(4), 0);
        all.extend_from_slice(&good);
        for pieces in [
            vec![piece(all.clone())],
            vec![piece(all.clone()), piece(good.clone())],
        ] {
            let (handed, report) = auto(&pieces);
            assert_eq!(report.parts[0].form, PartForm::Raw);
            assert!(report.parts[1].why.contains(why), "{why}: {report:?}");
            let rest = joined(&pieces).split_off(aligned.len());
            assert!(joined(&handed).ends_with(&rest), "{why}");
            let behind = report.parts[1..].iter().all(|p| p.form == PartForm::Packed);
            assert!(behind && !report.is_raw(0));
            let error = unpack(&pieces, &rules(UnpackChoice::Always)).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
    // Rubbish is no part that could be unpacked.
    let all = [&good[..], b"rubbish"].concat();
    let (handed, report) = auto(&[piece(all)]);
    assert_eq!(forms(&report), [PartForm::Raw]);
    assert!(joined(&handed).ends_with(b"rubbish"));
    assert!(unpack(&handed, &rules(UnpackChoice::Always)).is_ok());
}

#[test]
fn what_must_not_move_keeps_everything() {
    let mut good = pack("gzip", &archive("init", 5000));
    for len in 5000.. {
        if !good.len().is_multiple_of(4) {
            break;
        }
        good = pack("gzip", &archive("init", len));
    }
    let lzo = [&[0x89, b'L', b'Z', b'O'][..], &[7; 99]].concat();
    let (handed, report) = auto(&[piece([&good[..], &lzo].concat())]);
    assert_eq!(handed.len(), 1);
    assert!(report.note.unwrap().contains("no multiple of 4"));
}

#[test]
fn files_that_are_no_archive_are_left_alone() {
    for bytes in [&b"hsqs squashfs"[..], b"", &[0; 700], b"07070"] {
        let (handed, report) = auto(&[piece(bytes.to_vec())]);
        assert_eq!((handed.len(), report.note.clone()), (1, None), "{report:?}");
        assert!(!report.is_changed());
    }
    assert_eq!(auto(&[]).0, []);
}

#[test]
fn there_has_to_be_room() {
    let plain = archive("init", 100_000);
    let packed = pack("gzip", &plain);
    let pieces = [piece(packed.clone()), piece(packed)];
    let with = |most: u64, choice| UnpackRules {
        room: Ok(Room {
            most,
            because: "the machine is small".to_owned(),
        }),
        ..rules(choice)
    };
    let one = u64::try_from(plain.len()).unwrap();
    for (most, forms_then, words) in [
        (one * 2 + 4096, vec![PartForm::Raw; 2], ""),
        (
            one * 2,
            vec![PartForm::Raw, PartForm::Packed],
            "unpacks to 97.8",
        ),
        (one + 90, vec![PartForm::Packed; 2], "unpacks to 97.8"),
        (one - 1, vec![PartForm::Packed; 2], "unpacks to more"),
        (
            0,
            vec![PartForm::Packed; 2],
            "unpacks to more, but there is memory",
        ),
    ] {
        let (handed, report) = unpack(&pieces, &with(most, UnpackChoice::Auto)).unwrap();
        same(&pieces, &handed);
        assert_eq!(forms(&report), forms_then, "{most}");
        let lines = report.lines().concat();
        assert!(lines.contains(words), "{most}: {lines}");
        let stays = forms_then.contains(&PartForm::Packed);
        assert_eq!(lines.contains("the machine is small"), stays, "{lines}");
        let always = unpack(&pieces, &with(most, UnpackChoice::Always));
        assert_eq!(always.is_err(), stays, "{most}");
    }
    let blind = UnpackRules {
        room: Err("it is dark".to_owned()),
        ..rules(UnpackChoice::Auto)
    };
    let (handed, report) = unpack(&pieces, &blind).unwrap();
    assert!(handed == pieces && report.note.as_deref() == Some("it is dark"));
    // Where nothing is compressed, nothing is said.
    let (_, report) = unpack(&[piece(plain)], &blind).unwrap();
    assert_eq!(report.note, None);
}

#[test]
fn bombs_stop_early() {
    // A gigabyte of zeros in a megabyte.
    let bomb = pack("gzip", &vec![0; 200 << 20]);
    let began = std::time::Instant::now();
    let tight = UnpackRules {
        room: Ok(Room {
            most: 1 << 20,
            because: "a test".to_owned(),
        }),
        ..rules(UnpackChoice::Auto)
    };
    for name in ["gzip", "zstd", "xz", "lz4 legacy", "bzip2"] {
        let bomb = match name {
            "gzip" => bomb.clone(),
            name => pack(name, &vec![0; 64 << 20]),
        };
        let (handed, report) = unpack(&[piece(bomb)], &tight).unwrap();
        assert_eq!(forms(&report), [PartForm::Packed], "{name}");
        assert!(handed.len() == 1 && report.parts[0].why.contains("more"));
    }
    println!("{:?}", began.elapsed());
}

/// Their number is bounded, and what is behind them is still the same to a kernel.
#[test]
fn a_thousand_parts() {
    let many = vec![pack("zstd", &archive("a", 4)); 1000].concat();
    let before = [piece(many)];
    let (after, report) = auto(&before);
    assert_eq!(report.parts.len(), 257);
    assert!(report.parts.last().unwrap().why.contains("256 parts"));
    same(&before, &after);
}

#[test]
fn what_may_not_be_unpacked_is_not() {
    let packed = piece(pack("zstd", &archive("init", 500)));
    let forbidden = UnpackRules {
        forbidden: Some("IMA".to_owned()),
        ..rules(UnpackChoice::Auto)
    };
    let (handed, report) = unpack(std::slice::from_ref(&packed), &forbidden).unwrap();
    assert_eq!((handed.len(), report.note.as_deref()), (1, Some("IMA")));
    let always = UnpackRules {
        choice: UnpackChoice::Always,
        ..forbidden.clone()
    };
    let error = unpack(std::slice::from_ref(&packed), &always).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the initrd cannot be unpacked before the jump: IMA"
    );
    let raw = [piece(archive("init", 500))];
    assert_eq!(unpack(&raw, &always).unwrap().1.note, None);
}

#[test]
fn a_slow_hash_leaves_fast_codecs_packed_and_takes_lz4() {
    let plain = archive("init", 9_000_000);
    let slow = |reads_lz4| UnpackRules {
        hashing: Hashing::ByTheKernel,
        reads_lz4,
        ..rules(UnpackChoice::Auto)
    };
    for (name, without, with) in [
        ("xz", PartForm::Raw, PartForm::Lz4),
        ("bzip2", PartForm::Raw, PartForm::Lz4),
        ("gzip", PartForm::Packed, PartForm::Lz4),
        ("lz4 legacy", PartForm::Packed, PartForm::Packed),
    ] {
        let pieces = [
            piece(archive("kernel/x86/microcode/x", 10)),
            piece(pack(name, &plain)),
            piece(pack("xz", &archive("last", 10))),
        ];
        let pieces = aligned(pieces.to_vec());
        for (reads_lz4, form) in [(false, without), (true, with)] {
            let (handed, report) = unpack(&pieces, &slow(reads_lz4)).unwrap();
            same(&pieces, &handed);
            assert_eq!(report.parts[0].form, form, "{name}: {report:?}");
            let line = report.lines().concat();
            assert!(line.contains("million instructions"), "{line}");
        }
    }
}

/// Pieces as `kexec_plan::file` joins them.
fn aligned(mut pieces: Vec<Piece>) -> Vec<Piece> {
    let count = pieces.len();
    for piece in pieces.iter_mut().take(count.saturating_sub(1)) {
        piece.padding = piece.len.next_multiple_of(4) - piece.len + 4;
    }
    pieces
}
