//! A dump as an ELF core file: /proc/vmcore, a copy of it, or what `makedumpfile -E`
//! made of it. Offsets and names are those of the System V gABI, chapters "ELF
//! Header", "Program Header" and "Note Section".

use std::collections::BTreeMap;

use crate::{Endian, Source, VmcoreError, Words, vmcoreinfo};

/// `e_type` of a core file.
const ET_CORE: u64 = 4;
/// `p_type` of memory.
const PT_LOAD: u64 = 1;
/// `p_type` of notes.
const PT_NOTE: u64 = 4;
/// `e_phnum` when there are more than fit into it (gABI, "ELF Header"): the number
/// is in the `sh_info` of the first section header.
const PN_XNUM: u64 = 0xffff;
/// The most program headers that are accepted: more than any machine has pieces of
/// memory.
pub const MAX_PROGRAM_HEADERS: u64 = 1 << 20;
/// The longest name of a note that is looked at; others are passed over.
const MAX_NAME: u64 = 64;
/// The name of the note with the kernel's description.
const VMCOREINFO: &[u8] = b"VMCOREINFO";

/// A piece of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// `p_vaddr`: where the crashed kernel saw it.
    pub vaddr: u64,
    /// `p_paddr`: where it was.
    pub paddr: u64,
    /// `p_offset`: where it is in the file.
    pub offset: u64,
    /// `p_filesz`: how many bytes of it are there.
    pub filesz: u64,
    /// `p_memsz`: how many bytes the machine had there. makedumpfile leaves pages out at
    /// the end of a piece.
    pub memsz: u64,
}

/// What the headers and the notes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// How it writes numbers.
    pub words: Words,
    /// `e_machine`.
    pub machine: u16,
    /// The memory that it has.
    pub loads: Vec<Load>,
    /// The content of the note `VMCOREINFO`; empty where there is none.
    pub vmcoreinfo: Vec<u8>,
    /// How many notes there are.
    pub notes: String,
}

/// Where the fields of the headers are, which depends on the width of addresses:
/// offset and size.
struct Layout {
    e_phoff: (usize, usize),
    e_shoff: (usize, usize),
    e_phentsize: usize,
    e_phnum: usize,
    phdr: usize,
    p_offset: (usize, usize),
    p_vaddr: (usize, usize),
    p_paddr: (usize, usize),
    p_filesz: (usize, usize),
    p_memsz: (usize, usize),
    sh_info: u64,
}

const ELF32: Layout = Layout {
    e_phoff: (28, 4),
    e_shoff: (32, 4),
    e_phentsize: 42,
    e_phnum: 44,
    phdr: 32,
    p_offset: (4, 4),
    p_vaddr: (8, 4),
    p_paddr: (12, 4),
    p_filesz: (16, 4),
    p_memsz: (20, 4),
    sh_info: 28,
};

const ELF64: Layout = Layout {
    e_phoff: (32, 8),
    e_shoff: (40, 8),
    e_phentsize: 54,
    e_phnum: 56,
    phdr: 56,
    p_offset: (8, 8),
    p_vaddr: (16, 8),
    p_paddr: (24, 8),
    p_filesz: (32, 8),
    p_memsz: (40, 8),
    sh_info: 44,
};

/// How the files of programs that compress begin (`magic`(5)).
const PACKED: [(&[u8], &str, &str); 3] = [
    (b"\x1f\x8b", "gzip", "use `gzip -dc FILE | vmcore-dmesg -`"),
    (
        b"\x28\xb5\x2f\xfd",
        "zstd",
        "use `zstd -dc FILE | vmcore-dmesg -`",
    ),
    (b"\xfd7zXZ\0", "xz", "use `xz -dc FILE | vmcore-dmesg -`"),
];

/// Enough for either header.
const HEADER: usize = 64;

fn read(source: &dyn Source, at: u64, buffer: &mut [u8]) -> Result<(), VmcoreError> {
    let wanted = buffer.len();
    let failed = |source| VmcoreError::Read { at, wanted, source };
    source.read_exact_at(at, buffer).map_err(failed)
}

impl Elf {
    /// Reads the headers and looks for the description of the kernel.
    ///
    /// # Errors
    /// When it is no ELF core file, cannot be read, or contradicts itself.
    pub fn read(source: &dyn Source) -> Result<Elf, VmcoreError> {
        let mut header = [0_u8; HEADER];
        let there = usize::try_from(source.len()).unwrap_or(HEADER).min(HEADER);
        read(source, 0, header.get_mut(..there).unwrap_or_default())?;
        let (layout, words) = ident(&header, there)?;
        let field = |at: usize, size: usize| words.number(&header, at, size).unwrap_or(0);
        if field(16, 2) != ET_CORE {
            return Err(VmcoreError::NotADump {
                found: format!("an ELF file of type {}", field(16, 2)),
                remedy: "a kernel or a program has no log in it",
            });
        }
        let mut elf = Elf {
            words,
            machine: u16::try_from(field(18, 2)).unwrap_or(0),
            loads: Vec::new(),
            vmcoreinfo: Vec::new(),
            notes: String::new(),
        };
        let table = field(layout.e_phoff.0, layout.e_phoff.1);
        let size = field(layout.e_phentsize, 2);
        let mut count = field(layout.e_phnum, 2);
        if count == PN_XNUM {
            let sections = field(layout.e_shoff.0, layout.e_shoff.1);
            let mut info = [0_u8; 4];
            read(source, sections.saturating_add(layout.sh_info), &mut info)?;
            count = words.number(&info, 0, 4).unwrap_or(0);
        }
        let wrong = |found: String| VmcoreError::Headers {
            what: "program headers",
            at: table,
            found,
        };
        if usize::try_from(size).is_ok_and(|size| size < layout.phdr) {
            return Err(wrong(format!(
                "each has {size} bytes (e_phentsize), expected {}",
                layout.phdr
            )));
        }
        let end = table.checked_add(size.saturating_mul(count));
        if count > MAX_PROGRAM_HEADERS || end.is_none_or(|end| end > source.len()) {
            let len = source.len();
            return Err(wrong(format!(
                "{count} of {size} bytes each, and the file has {len}"
            )));
        }
        let mut notes = Vec::new();
        for number in 0..count {
            let mut bytes = [0_u8; 56];
            let bytes = bytes.get_mut(..layout.phdr).unwrap_or_default();
            // Cannot overflow: the end of the table is inside of the file.
            read(source, table.saturating_add(number * size), bytes)?;
            let field = |(at, size): (usize, usize)| words.number(bytes, at, size).unwrap_or(0);
            let load = Load {
                vaddr: field(layout.p_vaddr),
                paddr: field(layout.p_paddr),
                offset: field(layout.p_offset),
                filesz: field(layout.p_filesz),
                memsz: field(layout.p_memsz),
            };
            match field((0, 4)) {
                PT_LOAD => elf.loads.push(load),
                PT_NOTE => notes.push(load),
                _ => {}
            }
        }
        (elf.vmcoreinfo, elf.notes) = find(source, words, &notes)?;
        Ok(elf)
    }
}

/// What the first bytes say of the rest.
fn ident(header: &[u8; HEADER], there: usize) -> Result<(&'static Layout, Words), VmcoreError> {
    let other = |found: &str, remedy| VmcoreError::NotADump {
        found: found.to_owned(),
        remedy,
    };
    if there == 0 {
        return Err(other(
            "an empty file",
            "nothing was written to it: look for the reason where the dump was saved (no room \
             left, or saving was interrupted)",
        ));
    }
    let begins = |magic: &[u8]| header.starts_with(magic);
    if begins(b"DISKDUMP") {
        return Err(other(
            "a dump of diskdump, which Linux has not had since 2.6",
            "use `crash` with it",
        ));
    }
    for (magic, name, remedy) in PACKED {
        if begins(magic) {
            return Err(other(&format!("a file that {name} has compressed"), remedy));
        }
    }
    if !begins(b"\x7fELF") {
        let begin = header.get(..there.min(4)).unwrap_or_default();
        let begin: Vec<String> = begin.iter().map(|byte| format!("{byte:02x}")).collect();
        let found = format!("no ELF file: it begins with {}", begin.join(" "));
        return Err(other(
            &found,
            "the dump of a crash is /proc/vmcore of the crash kernel",
        ));
    }
    let (layout, long) = match header[4] {
        1 => (&ELF32, 4),
        2 => (&ELF64, 8),
        class => {
            let found = format!("an ELF file of class {class}");
            return Err(other(&found, "the classes are 1 (32 bits) and 2 (64 bits)"));
        }
    };
    let endian = match header[5] {
        1 => Endian::Little,
        2 => Endian::Big,
        order => {
            let found = format!("an ELF file whose order of bytes is {order}");
            return Err(other(&found, "the orders are 1 (little) and 2 (big)"));
        }
    };
    // e_phnum and what is looked at before it.
    if there < layout.e_phnum + 2 {
        let found = format!("an ELF file of {there} bytes");
        return Err(other(&found, "copy it again"));
    }
    Ok((layout, Words { endian, long }))
}

/// The content of the note `VMCOREINFO`, the first that is not empty, and how many notes
/// there are up to it.
fn find(
    source: &dyn Source,
    words: Words,
    notes: &[Load],
) -> Result<(Vec<u8>, String), VmcoreError> {
    let mut seen = 0_u64;
    // Where segments were that are done with, by their starts: where another one is
    // on it, nothing new is there.
    let mut done: BTreeMap<u64, u64> = BTreeMap::new();
    for segment in notes {
        let end = segment.offset.checked_add(segment.filesz);
        let Some(end) = end.filter(|end| *end <= source.len()) else {
            return Err(VmcoreError::Headers {
                what: "notes",
                at: segment.offset,
                found: format!(
                    "they have {} bytes, and the file has {}",
                    segment.filesz,
                    source.len()
                ),
            });
        };
        let before = done.range(..end).next_back();
        if segment.filesz == 0 || before.is_some_and(|(_, before)| *before > segment.offset) {
            continue;
        }
        done.insert(segment.offset, end);
        let mut at = segment.offset;
        // namesz, descsz, type; then the name and the content, each to a multiple
        // of four bytes.
        while let Some(name_at) = at.checked_add(12).filter(|next| *next <= end) {
            let mut sizes = [0_u8; 12];
            read(source, at, &mut sizes)?;
            let number = |at: usize| words.number(&sizes, at, 4).unwrap_or(0);
            let (name_len, len) = (number(0), number(4));
            // A kernel fills its notes up with zeros.
            if name_len == 0 && len == 0 {
                break;
            }
            seen += 1;
            // None of these can overflow: an offset in the file and two 32-bit numbers.
            let content = name_at.saturating_add(name_len.next_multiple_of(4));
            let next = content.saturating_add(len.next_multiple_of(4));
            if content.saturating_add(len) > end {
                break;
            }
            if name_len <= MAX_NAME && len > 0 {
                let mut name = vec![0_u8; usize::try_from(name_len).unwrap_or(0)];
                read(source, name_at, &mut name)?;
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                if name == VMCOREINFO {
                    let len = usize::try_from(len.min(vmcoreinfo::MAX)).unwrap_or(0);
                    let mut text = vec![0_u8; len];
                    read(source, content, &mut text)?;
                    return Ok((text, String::new()));
                }
            }
            at = next;
        }
    }
    let found = format!("{seen} notes in {} segments", notes.len());
    Ok((Vec::new(), found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;
    use crate::testing::Dump;

    const BOTH: [(Endian, usize); 4] = [
        (Endian::Little, 8),
        (Endian::Little, 4),
        (Endian::Big, 8),
        (Endian::Big, 4),
    ];

    fn dump(words: Words) -> Dump {
        let mut dump = Dump::new(words);
        dump.info("OSRELEASE=6.1");
        dump.load(0x1000, b"memory");
        dump
    }

    fn said(bytes: &[u8]) -> String {
        match Memory::open(&bytes.to_vec()) {
            Ok(memory) => format!("{memory:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn headers_of_every_width_and_order() {
        for (endian, long) in BOTH {
            let words = Words { endian, long };
            for many in [false, true] {
                let elf = Elf::read(&dump(words).many(many).build()).expect("a good dump");
                assert_eq!(elf.words, words);
                assert_eq!(elf.machine, if long == 8 { 62 } else { 3 });
                assert_eq!(elf.loads.len(), 1, "{words:?} {many}");
                assert_eq!((elf.loads[0].vaddr, elf.loads[0].filesz), (0x1000, 6));
                assert!(elf.vmcoreinfo.starts_with(b"OSRELEASE=6.1\n"));
            }
        }
    }

    #[test]
    fn other_files_are_called_by_their_names() {
        for (bytes, words) in [
            (&b"KDUMP   \x06"[..], "a header of the dump is at byte 0"),
            (b"makedumpfile\0\0\0\0", "reading 32 bytes at byte 0"),
            (b"DISKDUMP", "use `crash`"),
            (b"\x1f\x8b\x08", "use `gzip -dc FILE | vmcore-dmesg -`"),
            (b"\xfd7zXZ\0\0", "xz has compressed"),
            (b"\x01\x02\x03", "it begins with 01 02 03"),
            (b"", "an empty file"),
            (b"\x7fELF\x02\x01\x01", "an ELF file of 7 bytes"),
            (b"\x7fELF\x03\x01\x01", "class 3"),
            (b"\x7fELF\x02\x03\x01", "order of bytes is 3"),
        ] {
            let said = said(bytes);
            assert!(said.contains(words), "{said}");
        }
        let mut program = dump(Words {
            endian: Endian::Little,
            long: 8,
        })
        .build();
        program[16] = 2;
        assert!(said(&program).contains("an ELF file of type 2"));
    }

    /// A copy that ended early says so, wherever it ended: the parts that are needed
    /// to find the log are all in front.
    #[test]
    fn cut_short() {
        let whole = dump(Words {
            endian: Endian::Little,
            long: 8,
        })
        .build();
        let headers = whole.len() - 6;
        for len in 0..headers {
            assert!(Memory::open(&whole[..len].to_vec()).is_err(), "{len}");
        }
        assert!(said(&whole[..100]).contains("and the file has 100"));
    }

    /// 2^12 headers of one area with as many notes, counted by reads.
    #[test]
    fn notes_on_each_other_are_read_once() {
        struct Counting(Vec<u8>, std::cell::Cell<u64>);
        impl Source for Counting {
            fn len(&self) -> u64 {
                Source::len(&self.0)
            }
            fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
                self.1.set(self.1.get() + 1);
                self.0.read_exact_at(offset, buffer)
            }
        }
        let count = 1_u64 << 12;
        let mut notes = Vec::new();
        for _ in 0..count {
            notes.extend([4, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0]);
            notes.extend(b"ABC\0word");
        }
        let mut dump = Dump::new(Words {
            endian: Endian::Little,
            long: 8,
        });
        dump.load(0, &notes);
        for _ in 1..count {
            dump.load(0, b"");
        }
        let mut bytes = dump.build();
        let headers = 64 + 56 * usize::try_from(count + 1).expect("small");
        // The area is behind the first section header; every segment is made of it.
        for header in (64 + 56..headers).step_by(56) {
            let area = u64::try_from(headers + 64).expect("small");
            bytes[header..header + 4].copy_from_slice(&4_u32.to_le_bytes());
            bytes[header + 8..header + 16].copy_from_slice(&area.to_le_bytes());
            let len = u64::try_from(notes.len()).expect("small");
            bytes[header + 32..header + 40].copy_from_slice(&len.to_le_bytes());
        }
        let counting = Counting(bytes, std::cell::Cell::new(0));
        let elf = Elf::read(&counting).expect("good headers");
        assert_eq!(elf.notes, "4096 notes in 4097 segments");
        assert!(counting.1.get() < 4 * count, "{}", counting.1.get());
    }

    #[test]
    fn notes_that_lie() {
        let words = Words {
            endian: Endian::Little,
            long: 8,
        };
        let mut none = Dump::new(words);
        none.load(0x1000, b"memory");
        assert!(said(&none.build()).contains("0 notes in 1 segments"));
        // A note whose content is longer than its segment is the last one looked at.
        let mut bytes = dump(words).build();
        let at = bytes
            .windows(10)
            .position(|part| part == b"VMCOREINFO")
            .expect("the name of the note");
        bytes[at - 8..at - 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(said(&bytes).contains("1 notes in 1 segments"));
    }
}
