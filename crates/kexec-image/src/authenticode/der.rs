//! Reading DER (ITU-T X.690) as far as a signature needs it: tags of one byte
//! and definite lengths. Nothing is copied and nothing is recursive.

/// The tag of a SEQUENCE (X.690, 8.9).
pub const SEQUENCE: u8 = 0x30;
/// The tag of a SET (X.690, 8.11).
pub const SET: u8 = 0x31;
/// The tag of an INTEGER (X.690, 8.3).
pub const INTEGER: u8 = 0x02;
/// The tag of an OCTET STRING (X.690, 8.7).
pub const OCTET_STRING: u8 = 0x04;
/// The tag of an OBJECT IDENTIFIER (X.690, 8.19).
pub const OID: u8 = 0x06;
/// The context-specific constructed tag 0.
pub const CONTEXT_0: u8 = 0xa0;

/// Why some bytes are not the DER that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DerError {
    /// BER with an indefinite length, which DER forbids.
    Indefinite {
        /// Where in the file.
        at: u64,
    },
    /// Something else than what belongs there.
    Unexpected {
        /// What was being read.
        what: &'static str,
        /// Where in the file.
        at: u64,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
}

/// One element: tag, length, value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag byte.
    pub tag: u8,
    /// Tag, length and content.
    pub whole: &'a [u8],
    /// The content, behind tag and length.
    pub value: &'a [u8],
    /// Where the content is in the file.
    pub value_at: u64,
}

impl<'a> Tlv<'a> {
    /// A reader of the elements inside.
    pub fn inside(&self) -> Der<'a> {
        Der::new(self.value, self.value_at)
    }
}

/// Elements one after the other.
#[derive(Debug, Clone)]
pub struct Der<'a> {
    rest: &'a [u8],
    at: u64,
}

impl<'a> Der<'a> {
    /// Reads `bytes`, which are at `at` in the file.
    pub fn new(bytes: &'a [u8], at: u64) -> Self {
        Der { rest: bytes, at }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, whatever it is.
    pub fn any(&mut self, what: &'static str) -> Result<Tlv<'a>, DerError> {
        let at = self.at;
        let unexpected = |found: String, expected: &str| DerError::Unexpected {
            what,
            at,
            found,
            expected: expected.into(),
        };
        let [tag, first, ..] = *self.rest else {
            return Err(unexpected(
                format!("{} bytes", self.rest.len()),
                "another element",
            ));
        };
        if tag & 0x1f == 0x1f {
            return Err(unexpected(format!("the tag {tag:#x}"), "a tag of one byte"));
        }
        let (len, header) = match first {
            0..0x80 => (usize::from(first), 2),
            0x80 => return Err(DerError::Indefinite { at }),
            _ => {
                let count = usize::from(first & 0x7f);
                let digits = self.rest.get(2..2 + count).filter(|_| count <= 4);
                let Some(digits) = digits else {
                    return Err(unexpected(
                        format!("a length of {count} bytes"),
                        "a length that fits",
                    ));
                };
                let len = digits
                    .iter()
                    .fold(0_usize, |len, digit| (len << 8) | usize::from(*digit));
                (len, 2 + count)
            }
        };
        let end = header.checked_add(len);
        let (Some(whole), Some(value)) = (
            end.and_then(|end| self.rest.get(..end)),
            end.and_then(|end| self.rest.get(header..end)),
        ) else {
            return Err(unexpected(
                format!("a length of {len:#x}"),
                "a length within its surroundings",
            ));
        };
        self.rest = self.rest.get(whole.len()..).unwrap_or_default();
        self.at = at.saturating_add(offset(whole.len()));
        Ok(Tlv {
            tag,
            whole,
            value,
            value_at: at.saturating_add(offset(header)),
        })
    }

    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8, what: &'static str) -> Result<Tlv<'a>, DerError> {
        let at = self.at;
        let element = self.any(what)?;
        if element.tag == tag {
            return Ok(element);
        }
        Err(DerError::Unexpected {
            what,
            at,
            found: format!("the tag {:#x}", element.tag),
            expected: format!("the tag {tag:#x}"),
        })
    }

    /// The next element if it has this tag.
    pub fn optional(&mut self, tag: u8, what: &'static str) -> Result<Option<Tlv<'a>>, DerError> {
        if self.rest.first() == Some(&tag) {
            self.any(what).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The next element, which must be this object identifier.
    pub fn expect_oid(&mut self, oid: &str, what: &'static str) -> Result<(), DerError> {
        let element = self.expect(OID, what)?;
        let found = dotted(element.value);
        if found == oid {
            return Ok(());
        }
        Err(DerError::Unexpected {
            what,
            at: element.value_at,
            found,
            expected: oid.into(),
        })
    }
}

fn offset(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// An object identifier as people write it (X.690, section 8.19).
pub fn dotted(value: &[u8]) -> String {
    let mut arcs: Vec<String> = Vec::new();
    let mut arc = 0_u64;
    // The longest known identifiers have about twenty arcs.
    for byte in value.iter().take(64) {
        arc = (arc << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if arcs.is_empty() {
            let first = (arc / 40).min(2);
            arcs.push(first.to_string());
            arcs.push((arc - first * 40).to_string());
        } else {
            arcs.push(arc.to_string());
        }
        arc = 0;
    }
    arcs.join(".")
}
