//! What kernels do with an initrd, by the description of their code and by nothing that
//! this program's own walk does: for tests.

use kexec_image::decompress::detect;

/// A member: its name, its head, its content.
pub(super) type Member = (Vec<u8>, Vec<u8>, Vec<u8>);

/// What a kernel makes of an initrd.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Root {
    /// The members in order.
    pub(super) members: Vec<Member>,
    /// It came to the end.
    pub(super) whole: bool,
    /// The boot configuration.
    pub(super) config: Option<Vec<u8>>,
    /// The files that are used early.
    pub(super) early: Vec<Member>,
}

fn number(head: &[u8], index: usize) -> Option<usize> {
    let digits = head.get(6 + index * 8..14 + index * 8)?;
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The member at `at`, and where the next one begins.
fn member(bytes: &[u8], at: usize) -> Option<(Member, usize)> {
    let head = bytes.get(at..at + 110)?;
    if !(head.starts_with(b"070701") || head.starts_with(b"070702")) {
        return None;
    }
    let (size, name_len) = (number(head, 6)?, number(head, 11)?);
    let name = bytes.get(at + 110..at + 110 + name_len)?;
    let content_at = (at + 110 + name_len).next_multiple_of(4);
    let content = bytes.get(content_at..content_at + size)?;
    let found = (name.to_vec(), head.to_vec(), content.to_vec());
    Some((found, (content_at + size).next_multiple_of(4)))
}

/// Members and zeros from `at` on, with the padding as it is counted from the start of
/// `bytes`; gives where that ends.
fn archives(bytes: &[u8], mut at: usize, members: &mut Vec<Member>) -> usize {
    loop {
        match bytes.get(at) {
            Some(0) => at += 1,
            Some(b'0') if at.is_multiple_of(4) => match member(bytes, at) {
                Some((found, next)) => {
                    members.push(found);
                    at = next.min(bytes.len());
                }
                None => return at,
            },
            _ => return at,
        }
    }
}

/// The whole way of a kernel through an initrd; of each compressed part, `most` bytes are
/// unpacked at most.
pub(super) fn unpacks(initrd: &[u8], most: u64) -> Root {
    let (archive, config) = without_config(initrd);
    let mut members = Vec::new();
    let mut whole = false;
    let mut at = 0;
    let mut raw = false;
    loop {
        let before = members.len();
        let end = archives(archive, at, &mut members);
        raw |= members.len() > before;
        let zeros_only = members.len() == before;
        if end == archive.len() {
            whole = true;
            break;
        }
        // Behind an archive, what is not aligned is broken padding.
        if !zeros_only && raw && !end.is_multiple_of(4) {
            break;
        }
        at = end;
        let rest = &archive[at..];
        let Some(codec) = detect(rest) else { break };
        if codec.name == "lz4" && rest.starts_with(&[0x04, 0x22, 0x4d, 0x18]) {
            break;
        }
        let mut out = Vec::new();
        let decoded = codec.check_first_with(rest, most, &mut |bytes| out.extend(bytes));
        let mut inside = Vec::new();
        let inner = archives(&out, 0, &mut inside);
        // What was unpacked before the damage is there.
        members.extend(inside);
        let Ok(checked) = decoded else { break };
        if inner < out.len() {
            break;
        }
        at += checked.consumed;
        if codec.name == "lz4" {
            // Only the size zero, or the end, ends the frame.
            let behind = &archive[at..];
            if behind.len() >= 4 && !behind.starts_with(&[0; 4]) {
                break;
            }
        }
    }
    Root {
        members,
        whole,
        config,
        early: early(initrd),
    }
}

fn without_config(initrd: &[u8]) -> (&[u8], Option<Vec<u8>>) {
    for padding in 0..4 {
        let end = initrd.len().saturating_sub(padding);
        let Some(front) = initrd[..end].strip_suffix(b"#BOOTCONFIG\n") else {
            continue;
        };
        let Some((front, sum)) = front.split_last_chunk::<4>() else {
            continue;
        };
        let Some((front, size)) = front.split_last_chunk::<4>() else {
            continue;
        };
        let size = u32::from_le_bytes(*size) as usize;
        let Some(at) = front.len().checked_sub(size) else {
            continue;
        };
        let found: u32 = front[at..].iter().map(|b| u32::from(*b)).sum();
        if found == u32::from_le_bytes(*sum) {
            return (&front[..at], Some(initrd[at..].to_vec()));
        }
    }
    (initrd, None)
}

/// The look for microcode and ACPI tables, before anything is unpacked.
fn early(initrd: &[u8]) -> Vec<Member> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 110 < initrd.len() {
        if initrd[at] == 0 {
            at += 4;
            continue;
        }
        let Some((one, next)) = member(initrd, at) else {
            break;
        };
        let folders: [&[u8]; 2] = [b"kernel/x86/microcode/", b"kernel/firmware/acpi/"];
        if folders.iter().any(|folder| one.0.starts_with(folder)) {
            found.push(one);
        }
        at = next;
    }
    found
}
