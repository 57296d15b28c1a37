//! Whether a program runs in the shutdown image: it needs its interpreter and
//! its libraries there (System V gABI, "Dynamic Linking").

use object::elf::{DT_NEEDED, DT_STRSZ, DT_STRTAB, FileHeader32, FileHeader64, PT_INTERP};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, StringTable};

use kexec_machine::volumes::Volumes;

/// Whether a program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Runs {
    /// It needs nothing that is not there.
    Yes,
    /// What it needs, and does not find: the path of its interpreter, or the names
    /// of libraries.
    Lacks(String),
    /// It is no ELF file that can be read, for example a script.
    Unknown,
}

/// Libraries that are in every image with a program at all.
const ALWAYS: &[&str] = &["libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];
/// Where an image has libraries, with and without Debian's folder of an architecture.
const FOLDERS: &[&str] = &[
    "usr/lib",
    "usr/lib64",
    "lib",
    "lib64",
    "usr/lib/x86_64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "lib/aarch64-linux-gnu",
];
/// The most names of libraries that are looked for.
const MOST: usize = 64;

/// Whether the program at `path` of this machine runs in the image at `image`; where
/// there is none yet, in one that has a C library and nothing else.
pub(super) fn runs(volumes: &Volumes, path: &str, image: Option<&str>) -> Runs {
    let bytes = volumes.machine_program(path);
    let Some(needs) = bytes.known().and_then(|bytes| needs(bytes)) else {
        return Runs::Unknown;
    };
    let Some(interpreter) = needs.interpreter else {
        return Runs::Yes;
    };
    let Some(image) = image else {
        let lacks = needs.libraries.into_iter();
        let lacks = lacks.filter(|name| !ALWAYS.contains(&name.as_str()));
        return listed(lacks.collect());
    };
    if !volumes.machine_has(&format!("{image}{interpreter}")) {
        return Runs::Lacks(interpreter);
    }
    let there = |name: &String| {
        let mut folders = FOLDERS.iter();
        folders.any(|folder| volumes.machine_has(&format!("{image}/{folder}/{name}")))
    };
    listed(needs.libraries.into_iter().filter(|n| !there(n)).collect())
}

fn listed(lacks: Vec<String>) -> Runs {
    match lacks.is_empty() {
        true => Runs::Yes,
        false => Runs::Lacks(lacks.join(", ")),
    }
}

/// What a program needs beside it.
#[derive(Debug, PartialEq, Eq)]
struct Needs {
    /// `PT_INTERP`; a static program has none.
    interpreter: Option<String>,
    /// `DT_NEEDED`.
    libraries: Vec<String>,
}

fn needs(bytes: &[u8]) -> Option<Needs> {
    // EI_CLASS
    match bytes.get(4)? {
        1 => of(FileHeader32::<Endianness>::parse(bytes).ok()?, bytes),
        _ => of(FileHeader64::<Endianness>::parse(bytes).ok()?, bytes),
    }
}

fn of<Elf: FileHeader<Endian = Endianness>>(header: &Elf, bytes: &[u8]) -> Option<Needs> {
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, bytes).ok()?;
    let interpreter = segments.iter().find(|s| s.p_type(endian) == PT_INTERP);
    let interpreter = match interpreter {
        Some(segment) => {
            let path = segment.interpreter(endian, bytes).ok()??;
            Some(std::str::from_utf8(path).ok()?.to_owned())
        }
        None => None,
    };
    let mut dynamic: &[Elf::Dyn] = &[];
    for segment in segments {
        if let Some(found) = segment.dynamic(endian, bytes).ok()? {
            dynamic = found;
        }
    }
    let value = |tag| {
        let entry = dynamic.iter().find(|entry| entry.tag(endian) == tag)?;
        Some(entry.val(endian))
    };
    let mut libraries = Vec::new();
    if let Some((at, size)) = value(DT_STRTAB).zip(value(DT_STRSZ)) {
        let mut all = segments.iter();
        let data = all.find_map(|s| s.data_range(endian, bytes, at, size).ok().flatten())?;
        let table = StringTable::new(data, 0, u64::try_from(data.len()).ok()?);
        let needed = dynamic.iter();
        let needed = needed.filter(|entry| entry.tag(endian) == DT_NEEDED);
        for entry in needed.take(MOST) {
            let name = table.get(entry.val32(endian)?).ok()?;
            libraries.push(std::str::from_utf8(name).ok()?.to_owned());
        }
    }
    Some(Needs {
        interpreter,
        libraries,
    })
}

#[cfg(test)]
pub(super) mod testing {
    /// An ELF program of x86_64 that needs these libraries; none: a static one.
    pub fn elf(libraries: &[&str]) -> Vec<u8> {
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
        out.resize(usize::try_from(at_dynamic).unwrap(), 0);
        for (tag, value) in entries {
            out.extend(tag.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::testing::elf;
    use super::*;

    #[test]
    fn what_a_program_needs() {
        let fixed = needs(&elf(&[])).unwrap();
        assert_eq!((fixed.interpreter, fixed.libraries.len()), (None, 0));
        let moving = needs(&elf(&["libz.so.1", "libc.so.6"])).unwrap();
        assert_eq!(
            moving.interpreter.as_deref(),
            Some("/lib64/ld-linux-x86-64.so.2")
        );
        assert_eq!(moving.libraries, ["libz.so.1", "libc.so.6"]);
        assert_eq!(needs(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn a_real_program() {
        // Linked as this test is: static, without an interpreter.
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(needs(&own).unwrap().interpreter, None);
        let shell = std::fs::read("/bin/sh").unwrap();
        assert!(!needs(&shell).unwrap().libraries.is_empty());
    }

    #[test]
    fn a_program_cut_anywhere_is_unknown_or_less() {
        let whole = elf(&["libz.so.1"]);
        for len in 0..whole.len() {
            let _ = needs(&whole[..len]);
        }
        for at in 0..whole.len() {
            let mut hostile = whole.clone();
            hostile[at] ^= 0xff;
            let _ = needs(&hostile);
        }
    }
}
