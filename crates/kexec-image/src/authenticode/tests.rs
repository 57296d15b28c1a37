use proptest::prelude::*;

use super::*;
use crate::testing::PeBuilder;

/// Signed with sbsign, which is what Debian's kernels are signed with.
const SBSIGN: &[u8] = include_bytes!("../../tests/fixtures/signed-sbsign.efi");
/// Signed twice: with osslsigncode and SHA-384, then with sbsign.
const TWICE: &[u8] = include_bytes!("../../tests/fixtures/signed-twice.efi");

/// The file from which the fixtures were made; `write_unsigned` writes it.
fn unsigned() -> Vec<u8> {
    PeBuilder {
        // Behind the last section, as in some kernels: signed as well.
        tail: b"bytes behind the last section".repeat(5),
        ..PeBuilder::new()
            .section(".text", (0..=255).cycle().take(700).collect::<Vec<u8>>())
            .section(".data", vec![0xa5; 512])
    }
    .build()
}

#[test]
#[ignore = "only to make the fixtures again: see tests/fixtures/README.md"]
fn write_unsigned() {
    std::fs::write(std::env::var("KEXEC_UNSIGNED").unwrap(), unsigned()).unwrap();
}

#[test]
fn names_the_signer_of_a_good_file() {
    let signatures = check(SBSIGN).unwrap();
    let [signature] = signatures.as_slice() else {
        panic!("{signatures:?}");
    };
    assert_eq!(signature.signer, "kexec-rs test signer");
    assert_eq!(signature.digest_algorithm, "SHA-256");
    assert_eq!(signature.digest.len(), 64);
    assert_eq!(signature.unchecked, None);
}

#[test]
fn checks_every_signature() {
    let signatures = check(TWICE).unwrap();
    let algorithms: Vec<_> = signatures
        .iter()
        .map(|s| (s.digest_algorithm.as_str(), s.unchecked.is_none()))
        .collect();
    assert_eq!(algorithms, [("SHA-384", true), ("SHA-256", true)]);
}

#[test]
fn says_nothing_about_files_without_a_signature() {
    assert_eq!(check(&unsigned()), Ok(vec![]));
    assert_eq!(check(b""), Ok(vec![]));
    assert_eq!(check(b"\x7fELF"), Ok(vec![]));
    // "MZ" as an instruction, and no PE header.
    assert_eq!(check(&[b"MZ".as_slice(), &[0; 0x80]].concat()), Ok(vec![]));
}

/// The bytes of `file` that a signature leaves out.
fn left_out(file: &[u8]) -> [Range<usize>; 3] {
    let pe = Pe::parse(file, FORMAT).unwrap();
    let checksum = usize::try_from(pe.checksum_at).unwrap();
    let entry = usize::try_from(pe.certificate_directory_at.unwrap()).unwrap();
    let table = pe.certificate_table().unwrap().unwrap();
    [checksum..checksum + 4, entry..entry + 8, table]
}

#[test]
fn any_other_byte_that_changes_is_found() {
    let left_out = left_out(SBSIGN);
    for at in 0..SBSIGN.len() {
        if left_out.iter().any(|range| range.contains(&at)) {
            continue;
        }
        let mut file = SBSIGN.to_vec();
        file[at] ^= 0x40;
        let outcome = check(&file);
        // Without "MZ" it is no PE file any more, and no kernel either.
        let is_pe = !matches!(at, 0 | 1);
        assert_eq!(outcome.is_err(), is_pe, "byte {at:#x}: {outcome:?}");
    }
}

#[test]
fn the_checksum_may_change() {
    let [checksum, ..] = left_out(SBSIGN);
    let mut file = SBSIGN.to_vec();
    file[checksum].fill(0);
    check(&file).unwrap();
}

#[test]
fn a_mismatch_shows_both_digests() {
    let mut file = SBSIGN.to_vec();
    file[0x300] ^= 1;
    let error = check(&file).unwrap_err();
    let ImageError::Mismatch {
        what,
        expected,
        found,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(what, "Authenticode digest (SHA-256)");
    assert_eq!(expected, check(SBSIGN).unwrap()[0].digest);
    assert_ne!(expected, found);
    assert_eq!(found.len(), 64);
}

#[test]
fn every_truncation_is_found() {
    for len in 2..SBSIGN.len() {
        let outcome = check(&SBSIGN[..len]);
        assert!(outcome.is_err(), "cut to {len}: {outcome:?}");
    }
}

#[test]
fn bytes_that_were_appended_are_found() {
    let mut file = SBSIGN.to_vec();
    file.extend([0; 8]);
    assert!(matches!(check(&file), Err(ImageError::Mismatch { .. })));
}

/// The fixture with another certificate table.
fn with_table(table: &[u8]) -> Vec<u8> {
    PeBuilder {
        certificates: table.to_vec(),
        ..PeBuilder::new().section(".text", vec![1; 700])
    }
    .build()
}

/// An entry of the certificate table.
fn entry(certificate_type: u16, data: &[u8]) -> Vec<u8> {
    let mut entry = u32::try_from(8 + data.len())
        .unwrap()
        .to_le_bytes()
        .to_vec();
    entry.extend(0x0200_u16.to_le_bytes());
    entry.extend(certificate_type.to_le_bytes());
    entry.extend(data);
    entry.resize(entry.len().next_multiple_of(8), 0);
    entry
}

#[test]
fn other_certificate_types_are_reported_as_unchecked() {
    let signatures = check(&with_table(&entry(0x0ef1, &[0; 24]))).unwrap();
    assert!(
        signatures[0]
            .unchecked
            .as_ref()
            .unwrap()
            .contains("type is 0xef1"),
        "{signatures:?}"
    );
}

#[test]
fn an_unknown_digest_algorithm_is_reported_as_unchecked() {
    // The last occurrence of SHA-256's identifier before the digest is the
    // one in SpcIndirectDataContent; 2.16.840.1.101.3.4.2.8 is SHA3-256.
    let sha256 = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    let digest = check(SBSIGN).unwrap()[0].digest.clone();
    let digest_at = (0..SBSIGN.len())
        .find(|at| hex(&SBSIGN[*at..(*at + 32).min(SBSIGN.len())]) == digest)
        .unwrap();
    let oid_at = (0..digest_at)
        .rev()
        .find(|at| SBSIGN[*at..].starts_with(&sha256))
        .unwrap();
    let mut file = SBSIGN.to_vec();
    file[oid_at + 8] = 8;
    // Even a damaged file then: nothing was compared.
    file[0x300] ^= 1;
    let signatures = check(&file).unwrap();
    assert_eq!(signatures[0].digest_algorithm, "2.16.840.1.101.3.4.2.8");
    assert!(signatures[0].unchecked.is_some());
}

#[test]
fn ber_is_reported_as_unchecked() {
    let signatures = check(&with_table(&entry(2, &[0x30, 0x80, 0, 0]))).unwrap();
    assert!(
        signatures[0].unchecked.as_ref().unwrap().contains("BER"),
        "{signatures:?}"
    );
}

#[test]
fn broken_tables_are_refused() {
    let cases: [(&str, Vec<u8>); 5] = [
        ("an entry without its header", vec![0; 4]),
        (
            "an entry shorter than its header",
            entry(2, &[0; 8]).tap_len(7),
        ),
        (
            "an entry longer than the table",
            entry(2, &[0; 8]).tap_len(17),
        ),
        ("no DER", entry(2, &[0xff; 8])),
        ("many entries", entry(1, &[]).repeat(17)),
    ];
    for (what, table) in cases {
        let outcome = check(&with_table(&table));
        assert!(
            matches!(outcome, Err(ImageError::Malformed { .. })),
            "{what}: {outcome:?}"
        );
    }
}

trait TapLen {
    /// The entry with another length in its header.
    fn tap_len(self, len: u32) -> Self;
}

impl TapLen for Vec<u8> {
    fn tap_len(mut self, len: u32) -> Self {
        self[..4].copy_from_slice(&len.to_le_bytes());
        self
    }
}

#[test]
fn object_identifiers_are_written_as_people_do() {
    assert_eq!(
        der::dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]),
        "1.2.840.113549"
    );
    assert_eq!(der::dotted(&[0x55, 4, 3]), "2.5.4.3");
    assert_eq!(der::dotted(&[0x88, 0x37]), "2.999");
    assert_eq!(der::dotted(&[]), "");
    assert!(der::dotted(&[0xff; 1000]).is_empty());
}

/// Signed files on this machine, `:` between them: real kernels, for whom the
/// digest must come out right.
#[test]
#[ignore = "needs signed kernels in KEXEC_SIGNED_FILES: cargo xtask test names the lab's"]
fn real_files_match() {
    let paths = std::env::var("KEXEC_SIGNED_FILES").unwrap();
    for path in paths.split(':') {
        let file = std::fs::read(path).unwrap();
        let signatures = check(&file).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(!signatures.is_empty(), "{path} is not signed");
        println!("{path}: {signatures:?}");
    }
}

proptest! {
    /// A damaged table never leads to a panic, and never to a digest that
    /// was not compared being taken for one that was.
    #[test]
    fn hostile_tables_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let [.., table] = left_out(SBSIGN);
        let mut file = SBSIGN.to_vec();
        for (index, value) in changes {
            let at = table.start + index.index(table.len());
            file[at] = value;
        }
        if let Ok(signatures) = check(&file) {
            let good = check(SBSIGN).unwrap()[0].digest.clone();
            for signature in signatures {
                prop_assert!(signature.unchecked.is_some() || signature.digest == good);
            }
        }
    }

    #[test]
    fn random_der_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = SignedData::parse(&bytes, 0);
        let _ = check(&with_table(&entry(2, &bytes)));
    }

    #[test]
    fn random_headers_do_no_harm(
        changes in prop::collection::vec((0_usize..0x200, any::<u8>()), 0..8),
        len in 0..SBSIGN.len(),
    ) {
        let mut file = SBSIGN.to_vec();
        for (at, value) in changes {
            file[at] = value;
        }
        file.truncate(len);
        let _ = check(&file);
    }
}
