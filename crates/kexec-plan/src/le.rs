//! Little-endian numbers in byte slices. An offset outside is `None`, or
//! nothing is written; never a panic.

pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.first_chunk().copied()
}

pub fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// Writes `what` at `at`, where there is room for all of it.
pub fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    let room = at
        .checked_add(what.len())
        .and_then(|end| bytes.get_mut(at..end));
    if let Some(room) = room {
        room.copy_from_slice(what);
    }
}

/// The low and the high half.
pub fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    )
}

/// A length as the number type of addresses.
pub fn len(bytes: &[u8]) -> u64 {
    len_u64(bytes.len())
}

/// The same of a count.
pub fn len_u64(count: usize) -> u64 {
    count.try_into().unwrap_or(u64::MAX)
}

/// Zeros up to the next multiple of `align`.
pub fn pad(bytes: &mut Vec<u8>, align: usize) {
    bytes.resize(bytes.len().next_multiple_of(align), 0);
}
