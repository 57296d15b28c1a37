//! Small ELF programs.

/// An ELF program of x86_64 that needs these libraries; none: a static one.
///
/// # Panics
/// When its parts do not fit into memory.
#[must_use]
pub fn program(libraries: &[&str]) -> Vec<u8> {
    let dynamic = !libraries.is_empty();
    let phnum: u16 = if dynamic { 3 } else { 1 };
    let mut names = vec![0u8];
    let mut entries: Vec<(u64, u64)> = Vec::new();
    for library in libraries {
        entries.push((1, names.len() as u64));
        names.extend(library.as_bytes());
        names.push(0);
    }
    let interp = b"/lib64/ld-linux-x86-64.so.2\0";
    let start = 64 + 56 * u64::from(phnum);
    let at_names = start + interp.len() as u64;
    let at_dynamic = (at_names + names.len() as u64).next_multiple_of(8);
    entries.push((5, at_names));
    entries.push((10, names.len() as u64));
    entries.push((0, 0));
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    for half in [2u16, 62] {
        out.extend(half.to_le_bytes());
    }
    out.extend(1u32.to_le_bytes());
    for word in [0u64, 64, 0] {
        out.extend(word.to_le_bytes());
    }
    out.extend(0u32.to_le_bytes());
    for half in [64u16, 56, phnum, 64, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    let end = at_dynamic + 16 * entries.len() as u64;
    let mut segment = |kind: u32, offset: u64, len: u64| {
        out.extend(kind.to_le_bytes());
        out.extend(4u32.to_le_bytes());
        for word in [offset, offset, offset, len, len, 8] {
            out.extend(word.to_le_bytes());
        }
    };
    segment(1, 0, end);
    if dynamic {
        segment(3, start, interp.len() as u64);
        segment(2, at_dynamic, 16 * entries.len() as u64);
    }
    out.extend(interp);
    out.extend(&names);
    out.resize(usize::try_from(at_dynamic).expect("a small file"), 0);
    for (tag, value) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    out
}
