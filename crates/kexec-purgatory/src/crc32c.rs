// CRC-32C (Castagnoli; RFC 3720 section 12.1, appendix B.4) at the speed of
// memory, without a vector register.
//
// This file is compiled twice: into the freestanding program, and into the
// library, which computes the expected values with the very same code and tests
// it against another implementation. The functions work on the *raw* state:
// the caller inverts it before the first byte and after the last.
//
// A state is a polynomial over GF(2) with its bits reversed: the top bit is
// x^0. Moving it on over n zero bytes multiplies it by x^(8 n); that is linear,
// so it can be done by nibbles with a table, and that one trick serves three
// times: to join streams, and for both halves of a word where the instruction
// is missing.

/// The polynomial 0x1EDC6F41, reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;
const X_POW_0: u32 = 1 << 31;
const X_POW_8: u32 = 1 << 23;

/// Bytes that each of the three streams takes in one round. A page: the joining
/// of the streams (some 40 cycles) is little beside the 1536 of the round.
pub const STREAM: usize = 4096;

/// `[k][n]`: nibble `n` at bit `4 k` of a state, moved on.
type Nibbles = [[u32; 16]; 8];

static ON_BY_STREAM: Nibbles = nibbles(STREAM as u64);
static ON_BY_8: Nibbles = nibbles(8);
static ON_BY_4: Nibbles = nibbles(4);

/// Moves the state on over `data` with the `crc32` instruction (SSE 4.2, but on
/// general registers: CR4.OSFXSR need not be set).
///
/// The instruction takes three cycles and one can start in each, so three streams
/// run side by side and are joined at the end of each round.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
pub fn update_instruction(state: u32, data: &[u8]) -> u32 {
    use core::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};

    let mut state = state;
    let (rounds, rest) = data.as_chunks::<{ 3 * STREAM }>();
    for round in rounds {
        let (first, others) = round.split_at(STREAM);
        let (second, third) = others.split_at(STREAM);
        let (first, _) = first.as_chunks::<8>();
        let (second, _) = second.as_chunks::<8>();
        let (third, _) = third.as_chunks::<8>();
        let (mut a, mut b, mut c) = (u64::from(state), 0, 0);
        for ((x, y), z) in first.iter().zip(second).zip(third) {
            a = _mm_crc32_u64(a, u64::from_le_bytes(*x));
            b = _mm_crc32_u64(b, u64::from_le_bytes(*y));
            c = _mm_crc32_u64(c, u64::from_le_bytes(*z));
        }
        let (a, b, c) = (halves(a).0, halves(b).0, halves(c).0);
        state = moved(&ON_BY_STREAM, moved(&ON_BY_STREAM, a) ^ b) ^ c;
    }
    let (words, rest) = rest.as_chunks::<8>();
    let mut wide = u64::from(state);
    for word in words {
        wide = _mm_crc32_u64(wide, u64::from_le_bytes(*word));
    }
    state = halves(wide).0;
    for byte in rest {
        state = _mm_crc32_u8(state, *byte);
    }
    state
}

/// Moves the state on over `data` by tables: for processors without the
/// instruction.
pub fn update_table(state: u32, data: &[u8]) -> u32 {
    let mut state = state;
    let (words, rest) = data.as_chunks::<8>();
    for word in words {
        let (low, high) = halves(u64::from_le_bytes(*word));
        state = moved(&ON_BY_8, state ^ low) ^ moved(&ON_BY_4, high);
    }
    for byte in rest {
        state ^= u32::from(*byte);
        for _ in 0..8 {
            state = times_x(state);
        }
    }
    state
}

/// The state moved on over `len` zero bytes, in time logarithmic in `len`.
pub const fn update_zeros(state: u32, len: u64) -> u32 {
    multiply(x_pow_8(len), state)
}

/// Low and high half.
#[expect(clippy::cast_possible_truncation, reason = "that is the point")]
const fn halves(wide: u64) -> (u32, u32) {
    (wide as u32, (wide >> 32) as u32)
}

/// The state moved on by what the table is for.
fn moved(table: &Nibbles, state: u32) -> u32 {
    let mut rest = state;
    let mut result = 0;
    for row in table {
        // Masked to 16 entries: the compiler drops the check.
        result ^= row.get((rest & 15) as usize).copied().unwrap_or(0);
        rest >>= 4;
    }
    result
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn nibbles(distance: u64) -> Nibbles {
    let factor = x_pow_8(distance);
    let mut table = [[0; 16]; 8];
    let mut row = 0;
    while row < 8 {
        let mut nibble = 0;
        while nibble < 16 {
            table[row][nibble as usize] = multiply(factor, nibble << (4 * row));
            nibble += 1;
        }
        row += 1;
    }
    table
}

/// The product of two polynomials modulo the CRC's.
const fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0;
    let mut shifted = b; // b times x^k
    let mut k = 0;
    while k < 32 {
        if a & (X_POW_0 >> k) != 0 {
            product ^= shifted;
        }
        shifted = times_x(shifted);
        k += 1;
    }
    product
}

const fn times_x(a: u32) -> u32 {
    (a >> 1) ^ if a & 1 == 1 { POLYNOMIAL } else { 0 }
}

/// x to the power `8 n` modulo the CRC's polynomial.
const fn x_pow_8(n: u64) -> u32 {
    let mut result = X_POW_0;
    let mut square = X_POW_8;
    let mut n = n;
    while n != 0 {
        if n & 1 == 1 {
            result = multiply(result, square);
        }
        square = multiply(square, square);
        n >>= 1;
    }
    result
}
