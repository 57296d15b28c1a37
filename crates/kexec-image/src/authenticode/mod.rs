//! Authenticode: whether a signed PE file is still the file that was signed.
//!
//! This compares the digest in the signature with the digest of the file, and
//! names the signer. It does not decide about trust: no certificate chain is
//! followed and no key is used; that is for the kernel, which has the keys. A
//! file that was cut short or altered after it was signed is found all the
//! same.
//!
//! Sources: Microsoft, "Windows Authenticode Portable Executable Signature
//! Format", version 1.0 (2008), named "the Authenticode paper" below; "PE
//! Format", The Attribute Certificate Table; RFC 5652 (`SignedData`).

mod der;
mod signed_data;

use std::ops::Range;

use serde::Serialize;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::pe::{self, Pe};
use crate::{ImageError, fields};
use signed_data::SignedData;

const FORMAT: &str = "PE";

/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`: "PE Format", The Attribute Certificate
/// Table.
const PKCS_SIGNED_DATA: u16 = 2;
/// The length of the header of an entry in the certificate table.
const ENTRY_HEADER: usize = 8;
/// Entries that are looked at; real files have one or two.
const MAX_ENTRIES: usize = 16;

/// One signature of a PE file. If it could be checked at all, its digest is
/// that of the file: otherwise [`check`] had failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// Who signed, for people: the common name in the signer's certificate,
    /// or `unknown`.
    pub signer: String,
    /// The digest's algorithm: `SHA-256`, or an object identifier.
    pub digest_algorithm: String,
    /// The digest that the signature holds, in hexadecimal.
    pub digest: String,
    /// Why the digest was not compared with the file's; `None` if it was, and
    /// was the same.
    pub unchecked: Option<String>,
}

/// A digest algorithm that can be computed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    /// From the dotted object identifier (RFC 5754, section 2).
    fn from_oid(oid: &str) -> Option<Algorithm> {
        Some(match oid {
            "2.16.840.1.101.3.4.2.1" => Algorithm::Sha256,
            "2.16.840.1.101.3.4.2.2" => Algorithm::Sha384,
            "2.16.840.1.101.3.4.2.3" => Algorithm::Sha512,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha384 => "SHA-384",
            Algorithm::Sha512 => "SHA-512",
        }
    }

    /// The digest over `regions` of `bytes`, one after the other.
    fn digest(self, bytes: &[u8], regions: &[Range<usize>]) -> Vec<u8> {
        fn over<D: Digest>(bytes: &[u8], regions: &[Range<usize>]) -> Vec<u8> {
            let mut digest = D::new();
            for region in regions {
                digest.update(bytes.get(region.clone()).unwrap_or_default());
            }
            digest.finalize().to_vec()
        }
        match self {
            Algorithm::Sha256 => over::<Sha256>(bytes, regions),
            Algorithm::Sha384 => over::<Sha384>(bytes, regions),
            Algorithm::Sha512 => over::<Sha512>(bytes, regions),
        }
    }
}

/// Compares every signature of a PE file with its content. The list is empty
/// when the file is not a PE file or carries no signature.
///
/// # Errors
/// When the file is not the one that was signed, is cut short, or its
/// certificate table is not well formed.
pub fn check(bytes: &[u8]) -> Result<Vec<Signature>, ImageError> {
    // A kernel whose first instruction happens to read "MZ" but that has no
    // EFI stub has no PE header: arm64 and RISC-V document a zero there.
    if !pe::probe(bytes) || fields::u32_at(bytes, 0x3c) == Some(0) {
        return Ok(Vec::new());
    }
    let pe = Pe::parse(bytes, FORMAT)?;
    let Some(table) = pe.certificates.clone() else {
        return Ok(Vec::new());
    };
    pe.check_bounds()?;
    let regions = regions(&pe, bytes, &table)?;

    let mut signatures = Vec::new();
    let mut known: Vec<(Algorithm, Vec<u8>)> = Vec::new();
    for entry in entries(&pe, bytes)? {
        let Entry::SignedData { at, data } = entry else {
            signatures.push(unchecked_entry(&entry));
            continue;
        };
        let signed = match SignedData::parse(data, at) {
            Ok(signed) => signed,
            Err(der::DerError::Indefinite { at }) => {
                signatures.push(Signature {
                    signer: "unknown".into(),
                    digest_algorithm: "unknown".into(),
                    digest: String::new(),
                    unchecked: Some(format!(
                        "the signature is in BER, not DER (indefinite length at byte {at:#x})"
                    )),
                });
                continue;
            }
            Err(der::DerError::Unexpected {
                what,
                at,
                found,
                expected,
            }) => {
                return Err(ImageError::Malformed {
                    format: "signature",
                    what: what.into(),
                    offset: at,
                    found,
                    expected,
                });
            }
        };
        let algorithm = Algorithm::from_oid(&signed.digest_algorithm);
        if let Some(algorithm) = algorithm {
            let found = match known.iter().find(|(a, _)| *a == algorithm) {
                Some((_, digest)) => digest.clone(),
                None => {
                    let digest = algorithm.digest(bytes, &regions);
                    known.push((algorithm, digest.clone()));
                    digest
                }
            };
            if found != signed.digest {
                return Err(ImageError::Mismatch {
                    what: format!("Authenticode digest ({})", algorithm.name()),
                    expected: hex(signed.digest),
                    found: hex(&found),
                });
            }
        }
        signatures.push(Signature {
            signer: signed.signer,
            digest_algorithm: algorithm
                .map_or(signed.digest_algorithm.clone(), |a| a.name().to_string()),
            digest: hex(signed.digest),
            unchecked: algorithm
                .is_none()
                .then(|| format!("{} cannot be computed", signed.digest_algorithm)),
        });
    }
    Ok(signatures)
}

/// What the digest is taken over: the Authenticode paper, "Calculating the PE
/// Image Hash", steps 3 to 14. The checksum, the directory entry of the
/// certificate table and the table itself are left out.
fn regions(pe: &Pe, bytes: &[u8], table: &Range<u64>) -> Result<Vec<Range<usize>>, ImageError> {
    let file = fields::len(bytes);
    let headers = u64::from(pe.headers_len);
    // There is a certificate table, so there is an entry for it.
    let entry = pe.certificate_directory_at.unwrap_or(pe.checksum_at + 4);
    if entry + 8 > headers {
        return Err(ImageError::Malformed {
            format: FORMAT,
            what: "the length of the headers (SizeOfHeaders)".into(),
            offset: pe.checksum_at - 4,
            found: format!("{headers:#x}"),
            expected: format!("{:#x} or more, behind the data directories", entry + 8),
        });
    }
    let mut regions = vec![
        0..pe.checksum_at,
        pe.checksum_at + 4..entry,
        entry + 8..headers,
    ];
    let mut sections: Vec<Range<u64>> = pe
        .sections
        .iter()
        .filter(|s| s.raw_size != 0)
        .map(|s| u64::from(s.raw_offset)..u64::from(s.raw_offset) + u64::from(s.raw_size))
        .collect();
    sections.sort_by_key(|s| s.start);
    // Step 13 counts from the *sum* of what was hashed, not from the end of
    // the last section; in a file without gaps they are the same, and for the
    // others everybody who signs or verifies follows the paper.
    let sum = headers + sections.iter().map(|s| s.end - s.start).sum::<u64>();
    regions.extend(sections);
    let rest = file
        .saturating_sub(sum)
        .saturating_sub(table.end - table.start);
    regions.push(sum..sum + rest);

    let inside = |region: Range<u64>| -> Option<Range<usize>> {
        let range = usize::try_from(region.start).ok()?..usize::try_from(region.end).ok()?;
        bytes.get(range.clone()).map(|_| range)
    };
    regions
        .into_iter()
        .map(|region| {
            inside(region.clone()).ok_or_else(|| ImageError::Truncated {
                format: FORMAT,
                what: "what was signed".into(),
                needs: region.end,
                has: file,
            })
        })
        .collect()
}

/// An entry of the certificate table.
enum Entry<'a> {
    /// PKCS #7 signed data, and where it is in the file.
    SignedData { at: u64, data: &'a [u8] },
    /// A certificate type that says nothing about a digest of the file.
    Other { certificate_type: u16 },
}

/// The entries of the certificate table: "PE Format", The Attribute
/// Certificate Table. Each begins at a multiple of eight bytes.
fn entries<'a>(pe: &Pe, bytes: &'a [u8]) -> Result<Vec<Entry<'a>>, ImageError> {
    let Some(table) = pe.certificate_table()? else {
        return Ok(Vec::new());
    };
    let mut entries = Vec::new();
    let mut at = table.start;
    while at < table.end {
        let malformed = |found: String, expected: String| ImageError::Malformed {
            format: "certificate table",
            what: "the length of an entry".into(),
            offset: u64::try_from(at).unwrap_or(u64::MAX),
            found,
            expected,
        };
        let room = table.end - at;
        let header = bytes.get(at..table.end).unwrap_or_default();
        let (Some(len), Some(certificate_type)) =
            (fields::u32_at(header, 0), fields::u16_at(header, 6))
        else {
            return Err(malformed(
                format!("{room} bytes"),
                "at least a header of 8 bytes".into(),
            ));
        };
        let data = usize::try_from(len)
            .ok()
            .and_then(|len| header.get(ENTRY_HEADER..len))
            .ok_or_else(|| {
                malformed(
                    format!("{len:#x}"),
                    format!("8 to {room:#x}, the rest of the table"),
                )
            })?;
        if entries.len() == MAX_ENTRIES {
            return Err(malformed(
                format!("one of more than {MAX_ENTRIES}"),
                format!("at most {MAX_ENTRIES} entries"),
            ));
        }
        entries.push(if certificate_type == PKCS_SIGNED_DATA {
            Entry::SignedData {
                at: u64::try_from(at + ENTRY_HEADER).unwrap_or(u64::MAX),
                data,
            }
        } else {
            Entry::Other { certificate_type }
        });
        at += (ENTRY_HEADER + data.len()).next_multiple_of(8);
    }
    Ok(entries)
}

/// What can be said about an entry that holds no signed data.
fn unchecked_entry(entry: &Entry<'_>) -> Signature {
    let why = match entry {
        Entry::SignedData { .. } => "the signature could not be read".to_string(),
        Entry::Other { certificate_type } => format!(
            "its certificate type is {certificate_type:#x}, only PKCS #7 signed data (0x2) \
             holds a digest of the file"
        ),
    };
    Signature {
        signer: "unknown".into(),
        digest_algorithm: "unknown".into(),
        digest: String::new(),
        unchecked: Some(why),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests;
