//! GUIDs out of bytes that somebody else wrote.

use kexec_image::fields::{array, u16_at, u32_at};

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
