//! Little-endian numbers and GUIDs out of bytes that somebody else wrote.

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    let end = at.checked_add(N)?;
    bytes.get(at..end)?.try_into().ok()
}

/// The `u16` at this offset; `None` beyond the end.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// The `u32` at this offset; `None` beyond the end.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// The `u64` at this offset; `None` beyond the end.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// A GUID as EFI stores it, in the usual spelling: the first three fields are
/// little-endian (UEFI specification, appendix A).
pub fn guid_at(bytes: &[u8], at: usize) -> Option<String> {
    let guid: [u8; 16] = array(bytes, at)?;
    let (a, b, c) = (u32_at(&guid, 0)?, u16_at(&guid, 4)?, u16_at(&guid, 6)?);
    let rest: String = guid
        .get(8..)?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (head, tail) = rest.split_at_checked(4)?;
    Some(format!("{a:08x}-{b:04x}-{c:04x}-{head}-{tail}"))
}
