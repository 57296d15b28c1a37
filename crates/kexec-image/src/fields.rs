//! Fixed-width fields in bytes that nobody has checked yet; numbers are
//! little-endian. Outside of the bytes nothing is read (`None`) and nothing is
//! written; never a panic.
//!
//! For everybody here and in the crates above who reads headers. A crash dump
//! has the byte order and the width of the machine that crashed, which is known
//! when it is read: that is `kexec_vmcore::Words`, and another thing.

/// The `N` bytes at `at`.
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.first_chunk().copied()
}

/// The byte at `at`.
pub fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// The 16-bit number at `at`.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// The 32-bit number at `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// The 64-bit number at `at`.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// The bytes `at..at + len`, for numbers that came out of a header.
pub fn slice(bytes: &[u8], at: u64, len: u64) -> Option<&[u8]> {
    let end = at.checked_add(len)?;
    bytes.get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)
}

/// A length as the number type of addresses and offsets in files.
pub fn len(bytes: &[u8]) -> u64 {
    len_u64(bytes.len())
}

/// A number of bytes in memory as that type.
pub fn len_u64(len: usize) -> u64 {
    len.try_into().unwrap_or(u64::MAX)
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

/// Adds zeros up to the next multiple of `align`.
pub fn pad(bytes: &mut Vec<u8>, align: usize) {
    bytes.resize(bytes.len().next_multiple_of(align), 0);
}

/// The low and the high half of a number.
pub fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_read_or_written() {
        let mut bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(u16_at(&bytes, 7), Some(0x0908));
        assert_eq!(u32_at(&bytes, 1), Some(0x0504_0302));
        assert_eq!(u64_at(&bytes, 1), Some(0x0908_0706_0504_0302));
        assert_eq!((u8_at(&bytes, 9), u16_at(&bytes, 8)), (None, None));
        assert_eq!((u32_at(&bytes, 6), u64_at(&bytes, 2)), (None, None));
        assert_eq!(u64_at(&bytes, usize::MAX), None);
        assert_eq!(slice(&bytes, 7, 2), Some(&[8, 9][..]));
        assert_eq!(
            (slice(&bytes, 7, 3), slice(&bytes, 1, u64::MAX)),
            (None, None)
        );
        put(&mut bytes, 8, &[0, 0]);
        put(&mut bytes, usize::MAX, &[0]);
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        put(&mut bytes, 7, &[0, 0]);
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 0, 0]);
        assert_eq!(halves(0x1_0000_0002), (2, 1));
    }
}
