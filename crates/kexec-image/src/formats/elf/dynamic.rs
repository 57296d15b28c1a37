//! What a program needs beside its own file before it runs: an interpreter and
//! shared libraries (System V gABI, "Dynamic Linking").

use super::reader::Reader;
use super::{MAX_PROGRAM_HEADERS, PT_LOAD, Segment, ident};
use crate::fields;

/// `p_type` of the dynamic section.
const PT_DYNAMIC: u32 = 2;
/// `p_type` of the path of the interpreter.
const PT_INTERP: u32 = 3;
/// `d_tag` of the last entry of the dynamic section.
const DT_NULL: u64 = 0;
/// `d_tag` of the name of a library, as an offset in the table of strings.
const DT_NEEDED: u64 = 1;
/// `d_tag` of the address of the table of strings.
const DT_STRTAB: u64 = 5;
/// `d_tag` of the size of that table.
const DT_STRSZ: u64 = 10;
/// The most libraries of a program that are told.
const MAX_LIBRARIES: usize = 64;

/// What a program needs beside its own file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The path of the interpreter; a static program has none.
    pub interpreter: Option<String>,
    /// The names of the libraries that it is linked to, without those that these
    /// are linked to.
    pub libraries: Vec<String>,
}

impl Needs {
    /// Reads the headers of a program; `None` when it is no ELF file, or one that
    /// contradicts itself.
    pub fn parse(bytes: &[u8]) -> Option<Needs> {
        let (class, endian) = ident(bytes).ok()?;
        let r = Reader::new(bytes, class, endian);
        let header = r.header().ok()?;
        if header.phnum > MAX_PROGRAM_HEADERS
            || (header.phnum > 0 && header.phentsize != r.program_header_len())
        {
            return None;
        }
        let mut interpreter = None;
        let mut dynamic = None;
        let mut loads = Vec::new();
        for index in 0..header.phnum {
            let (p_type, segment, _) = r.program_header(&header, index).ok()?;
            match p_type {
                PT_LOAD => loads.push(segment),
                PT_DYNAMIC => dynamic = Some(segment),
                PT_INTERP if interpreter.is_none() => {
                    let path = segment.bytes(bytes)?;
                    interpreter = Some(string(path, 0)?);
                }
                _ => {}
            }
        }
        let libraries = match dynamic {
            Some(dynamic) => libraries(&r, &loads, &dynamic)?,
            None => Vec::new(),
        };
        Some(Needs {
            interpreter,
            libraries,
        })
    }
}

/// The names that the dynamic section gives.
fn libraries(r: &Reader<'_>, loads: &[Segment], dynamic: &Segment) -> Option<Vec<String>> {
    dynamic.bytes(r.bytes)?;
    let mut names = Vec::new();
    let (mut address, mut size) = (None, None);
    for index in 0..dynamic.filesz / r.dynamic_entry_len() {
        match r.dynamic_entry(dynamic, index).ok()? {
            (DT_NULL, _) => break,
            (DT_NEEDED, name) if names.len() < MAX_LIBRARIES => names.push(name),
            (DT_STRTAB, value) => address = Some(value),
            (DT_STRSZ, value) => size = Some(value),
            _ => {}
        }
    }
    let (Some(address), Some(size)) = (address, size) else {
        return Some(Vec::new());
    };
    let strings = loads.iter().find_map(|load| {
        let at = address.checked_sub(load.vaddr)?;
        // All of the table lies in what the segment has in the file.
        let is_inside = at.checked_add(size)? <= load.filesz;
        is_inside.then_some(())?;
        fields::slice(r.bytes, load.offset.checked_add(at)?, size)
    })?;
    names
        .into_iter()
        .map(|name| string(strings, name))
        .collect()
}

/// The text that begins at `at` and ends with a NUL.
fn string(bytes: &[u8], at: u64) -> Option<String> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(rest.get(..end)?).ok()?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::program;

    #[test]
    fn what_a_program_needs() {
        let fixed = Needs::parse(&program(&[])).unwrap();
        assert_eq!((fixed.interpreter, fixed.libraries.len()), (None, 0));
        let moving = Needs::parse(&program(&["libz.so.1", "libc.so.6"])).unwrap();
        assert_eq!(
            moving.interpreter.as_deref(),
            Some("/lib64/ld-linux-x86-64.so.2")
        );
        assert_eq!(moving.libraries, ["libz.so.1", "libc.so.6"]);
        assert_eq!(Needs::parse(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn a_real_program() {
        // Linked as this test is: static, without an interpreter.
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(Needs::parse(&own).unwrap().interpreter, None);
        let shell = std::fs::read("/bin/sh").unwrap();
        let shell = Needs::parse(&shell).unwrap();
        assert!(shell.interpreter.is_some_and(|path| path.starts_with('/')));
        assert!(shell.libraries.iter().any(|name| name.contains(".so")));
    }

    #[test]
    fn a_program_cut_anywhere_is_unknown_or_less() {
        let whole = program(&["libz.so.1"]);
        for len in 0..whole.len() {
            let _ = Needs::parse(&whole[..len]);
        }
        for at in 0..whole.len() {
            let mut hostile = whole.clone();
            hostile[at] ^= 0xff;
            let _ = Needs::parse(&hostile);
        }
    }
}
