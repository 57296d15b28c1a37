//! Texts of bytes. GRUB reads bytes; where they are no UTF-8 (a title in Latin-1),
//! each is kept as a character that nobody uses, so that texts still compare as
//! GRUB compares them and a command line gets its bytes back.

/// The byte 0 is this character, and so on: the end of the last private use area
/// (The Unicode Standard, 23.5).
const FIRST: u32 = 0x10_ff00;

/// The byte that a character stands for, if it stands for one.
fn raw(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(FIRST)?).ok()
}

/// A text of any bytes.
pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let keep = |text: &mut String, bytes: &[u8]| {
        let stands = |byte: &u8| char::from_u32(FIRST + u32::from(*byte));
        text.extend(bytes.iter().filter_map(stands));
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match raw(c) {
                // A character that stands for a byte is taken for its own bytes.
                Some(_) => keep(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => text.push(c),
            }
        }
        keep(&mut text, chunk.invalid());
    }
    text
}

/// The bytes of a text.
pub(super) fn encode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match raw(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// A text for people, with a replacement character for what is none.
pub(super) fn shown(text: &str) -> String {
    let shown = |c: char| raw(c).map_or(c, |_| char::REPLACEMENT_CHARACTER);
    text.chars().map(shown).collect()
}

/// Whether all of it is UTF-8.
pub(super) fn is_text(text: &str) -> bool {
    text.chars().all(|c| raw(c).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn latin_1() {
        let text = decode(b"Men\xfc \xc3\xbc");
        assert_eq!(shown(&text), "Men\u{fffd} \u{fc}");
        assert!(!is_text(&text) && is_text("Men\u{fc}"));
        assert_ne!(text, decode(b"Men\xe4 \xc3\xbc"));
    }

    proptest! {
        #[test]
        fn every_byte_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(encode(&decode(&bytes)), bytes);
        }

        #[test]
        fn so_does_every_character(text in any::<String>()) {
            prop_assert_eq!(encode(&decode(text.as_bytes())), text.into_bytes());
        }
    }
}
