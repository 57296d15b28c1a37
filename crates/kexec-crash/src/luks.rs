//! How much memory it takes to open an encrypted disk: the header of LUKS2 has it for each
//! key slot (LUKS2 On-Disk Format Specification 1.1.1, 2.1 "Binary Header" and 3.2
//! "Keyslots Object").

use serde_json::Value;

/// The JSON area begins here (2.1: the binary header takes 4096 bytes).
const JSON_AT: usize = 4096;
/// What a LUKS2 header begins with, and its version behind it (2.1).
const MAGIC: &[u8] = b"LUKS\xba\xbe\x00\x02";
/// The largest header (2.2: the JSON area ends at 4 MiB at most).
pub const LARGEST: u64 = 4 << 20;

/// Bytes that the most expensive key slot of a header takes (argon2, "memory" in KiB; a
/// slot with PBKDF2 takes none); `None` for what is no header of LUKS2.
pub fn memory(header: &[u8]) -> Option<u64> {
    if !header.starts_with(MAGIC) {
        return None;
    }
    let json = header.get(JSON_AT..)?;
    let end = json.iter().position(|b| *b == 0).unwrap_or(json.len());
    let metadata: Value = serde_json::from_slice(json.get(..end)?).ok()?;
    let slots = metadata.get("keyslots")?.as_object()?;
    let memory = |slot: &Value| slot.get("kdf")?.get("memory")?.as_u64();
    let most = slots.values().filter_map(memory).max();
    Some(most.unwrap_or(0).saturating_mul(1024))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header with this JSON.
    pub(crate) fn header(json: &str) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        header.resize(JSON_AT, 0);
        header.extend_from_slice(json.as_bytes());
        header.resize(16384, 0);
        header
    }

    #[test]
    fn the_most_expensive_slot_counts() {
        let json = r#"{"keyslots":{"0":{"kdf":{"type":"argon2id","memory":1048576}},
            "1":{"kdf":{"type":"argon2i","memory":65536}},"2":{"kdf":{"type":"pbkdf2"}}}}"#;
        assert_eq!(memory(&header(json)), Some(1 << 30));
        let pbkdf2 = r#"{"keyslots":{"0":{"kdf":{"type":"pbkdf2","iterations":1000}}}}"#;
        assert_eq!(memory(&header(pbkdf2)), Some(0));
        let huge = r#"{"keyslots":{"0":{"kdf":{"memory":18446744073709551615}}}}"#;
        assert_eq!(memory(&header(huge)), Some(u64::MAX));
    }

    #[test]
    fn what_is_no_header_is_none() {
        for none in ["", "{}", "[]", "{\"keyslots\":[]}", "{"] {
            assert_eq!(memory(&header(none)), None, "{none}");
        }
        let mut first = header("{\"keyslots\":{}}");
        assert_eq!(memory(&first), Some(0));
        first[7] = 1;
        assert_eq!(memory(&first), None);
        assert_eq!(memory(MAGIC), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = memory(&bytes);
            let _ = memory(&header(&String::from_utf8_lossy(&bytes)));
        }
    }
}
