//! The checksum on this side of the jump.

use crate::crc32c;

/// CRC-32C of bytes that come in pieces.
///
/// ```
/// use kexec_purgatory::Crc32c;
/// let mut crc = Crc32c::new();
/// crc.update(b"12345");
/// crc.update(b"6789");
/// assert_eq!(crc.finish(), 0xe306_9283);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crc32c {
    state: u32,
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32c {
    /// Of no bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: !0 }
    }

    /// Of these bytes.
    #[must_use]
    pub fn of(data: &[u8]) -> u32 {
        let mut crc = Self::new();
        crc.update(data);
        crc.finish()
    }

    /// Goes on over `data`.
    pub fn update(&mut self, data: &[u8]) {
        self.state = update(self.state, data);
    }

    /// Goes on over `len` zero bytes, without touching memory: for the tail of a
    /// segment that the kernel fills with zeros.
    pub const fn zeros(&mut self, len: u64) {
        self.state = crc32c::update_zeros(self.state, len);
    }

    /// The checksum of all bytes so far.
    #[must_use]
    pub const fn finish(self) -> u32 {
        !self.state
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "an instruction that only newer processors have")]
fn update(state: u32, data: &[u8]) -> u32 {
    if std::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has SSE 4.2.
        unsafe { crc32c::update_instruction(state, data) }
    } else {
        crc32c::update_table(state, data)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn update(state: u32, data: &[u8]) -> u32 {
    crc32c::update_table(state, data)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// The definition (RFC 3720, section 12.1), bit by bit, for every number of
    /// first bytes of `data`: the element `n` is the checksum of `data[..n]`.
    ///
    /// It shares nothing with the code under test: a register that shifts to the
    /// left with the polynomial as it is written there, no table, no reversed
    /// constant; the bits of a byte enter from the lowest on, and the result is
    /// reversed at the end.
    fn reference(data: &[u8]) -> Vec<u32> {
        let mut register = !0_u32;
        let mut checksums = vec![!register.reverse_bits()];
        for byte in data {
            for bit in 0..8 {
                let out = register >> 31;
                register <<= 1;
                if out != u32::from(byte >> bit & 1) {
                    register ^= 0x1edc_6f41;
                }
            }
            checksums.push(!register.reverse_bits());
        }
        checksums
    }

    /// The checksum of all of `data`, by definition.
    fn reference_of(data: &[u8]) -> u32 {
        *reference(data).last().unwrap()
    }

    /// Bytes without a pattern (xorshift, Marsaglia 2003).
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[5]
            })
            .collect()
    }

    fn by_table(data: &[u8]) -> u32 {
        !crc32c::update_table(!0, data)
    }

    #[test]
    fn the_known_values() {
        // RFC 3720, appendix B.4: zeros, ones, counting up and down, and the SCSI
        // Read (10) command; then the check value of every CRC catalogue.
        let up: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let down: [u8; 32] = std::array::from_fn(|i| u8::try_from(31 - i).unwrap());
        let mut read = [0; 48];
        for (place, value) in [
            (0, 0x01),
            (1, 0xc0),
            (16, 0x14),
            (22, 0x04),
            (27, 0x14),
            (31, 0x18),
            (32, 0x28),
            (40, 0x02),
        ] {
            read[place] = value;
        }
        let cases: [(&[u8], u32); 7] = [
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&up, 0x46dd_794e),
            (&down, 0x113f_db5c),
            (&read, 0xd996_3a56),
            (b"123456789", 0xe306_9283),
            (b"", 0),
        ];
        for (data, expected) in cases {
            assert_eq!(reference_of(data), expected, "the reference: {data:x?}");
            assert_eq!(Crc32c::of(data), expected, "{data:x?}");
            assert_eq!(by_table(data), expected, "{data:x?} by table");
        }
    }

    #[test]
    fn every_length_to_a_page_agrees_with_the_reference() {
        let data = noise(4096);
        for (len, expected) in reference(&data).into_iter().enumerate() {
            assert_eq!(Crc32c::of(&data[..len]), expected, "{len} bytes");
            assert_eq!(by_table(&data[..len]), expected, "{len} bytes by table");
        }
    }

    #[test]
    fn lengths_about_the_rounds_of_three_streams_agree_with_the_reference() {
        let round = 3 * crc32c::STREAM;
        let data = noise(5 * round + 64);
        for start in [0, 1, 7] {
            let data = &data[start..];
            let expected = reference(data);
            for rounds in 1..=5 {
                for len in rounds * round - 17..=rounds * round + 17 {
                    let (data, expected) = (&data[..len], expected[len]);
                    assert_eq!(Crc32c::of(data), expected, "{len} bytes from {start}");
                    assert_eq!(
                        by_table(data),
                        expected,
                        "{len} bytes from {start} by table"
                    );
                }
            }
        }
    }

    #[test]
    fn each_byte_counts() {
        let mut data = noise(3 * crc32c::STREAM + 100);
        let good = Crc32c::of(&data);
        for index in 0..data.len() {
            data[index] ^= 0x10;
            assert_ne!(Crc32c::of(&data), good, "byte {index}");
            data[index] ^= 0x10;
        }
    }

    #[test]
    fn sha256_of_every_length_agrees_with_the_reference() {
        let data = noise(1024);
        for len in 0..=data.len() {
            let data = &data[..len];
            assert_eq!(
                crate::sha256(data),
                <[u8; 32]>::from(Sha256::digest(data)),
                "{len} bytes"
            );
        }
    }

    proptest! {
        #[test]
        fn pieces_make_the_whole(data in proptest::collection::vec(any::<u8>(), 0..40_000), cut in any::<prop::sample::Index>()) {
            let (first, second) = data.split_at(cut.index(data.len() + 1));
            let mut crc = Crc32c::new();
            crc.update(first);
            crc.update(second);
            prop_assert_eq!(crc.finish(), reference_of(&data));
        }

        #[test]
        fn zeros_need_not_be_there(data in proptest::collection::vec(any::<u8>(), 0..100), zeros in 0_u16..10_000) {
            let mut crc = Crc32c::new();
            crc.update(&data);
            crc.zeros(u64::from(zeros));
            let mut long = data.clone();
            long.resize(data.len() + usize::from(zeros), 0);
            prop_assert_eq!(crc.finish(), reference_of(&long));
        }
    }
}
