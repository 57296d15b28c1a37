//! Small dumps, for tests and fuzz targets.
#![expect(
    clippy::indexing_slicing,
    reason = "what is written here is as large as it is made"
)]

mod containers;
mod logs;
mod machines;
mod sparse;

pub use containers::{Compression, KdumpFile, flatten, flattened};
pub use logs::{Message, bytes, bytes_on, fragments, records, records_on, ring, ring_on};
pub use machines::{AARCH64, I686, MACHINES, PPC, RISCV64, S390X, TestMachine, X86_64};
pub use sparse::SparseDump;

use crate::{Endian, Words};

/// As nearly every machine writes numbers.
pub const LITTLE64: Words = Words {
    endian: Endian::Little,
    long: 8,
};

/// A dump that is being made.
#[derive(Debug, Clone)]
pub struct Dump {
    words: Words,
    info: String,
    loads: Vec<(u64, Vec<u8>)>,
    many: bool,
    machine: Option<TestMachine>,
    without_vaddr: bool,
    noteless: bool,
    /// Bytes of an address in the headers, where that is not the machine's own.
    headers: Option<usize>,
}

impl Dump {
    /// An empty one.
    pub fn new(words: Words) -> Dump {
        Dump {
            words,
            info: String::new(),
            loads: Vec::new(),
            many: false,
            machine: None,
            without_vaddr: false,
            noteless: false,
            headers: None,
        }
    }

    /// An empty one of this machine, which says of itself where it was.
    pub fn on(machine: TestMachine) -> Dump {
        let mut dump = Dump {
            machine: Some(machine),
            ..Dump::new(machine.words)
        };
        dump.info("OSRELEASE=6.12.0-test");
        for line in machine.info {
            dump.info(line);
        }
        dump
    }

    /// Leaves the virtual addresses of the ELF headers empty, as QEMU does.
    #[must_use]
    pub fn without_vaddr(mut self) -> Dump {
        self.without_vaddr = true;
        self
    }

    /// Gives it headers of 32 (4) or 64 (8) bits, whatever the machine is.
    #[must_use]
    pub fn headers(mut self, long: usize) -> Dump {
        self.headers = Some(long);
        self
    }

    /// Puts the description into memory, where the kernel has it, and not into a note.
    #[must_use]
    pub fn noteless(mut self) -> Dump {
        let note = self.note();
        self.noteless = true;
        if let Some(machine) = self.machine {
            self.load(machine.base + 0x9e4, &note);
        }
        self
    }

    /// The physical address of a virtual one.
    fn paddr(&self, vaddr: u64) -> u64 {
        match self.machine {
            Some(machine) => vaddr.wrapping_sub(machine.base).wrapping_add(machine.paddr),
            None => 0,
        }
    }

    /// The note VMCOREINFO.
    fn note(&self) -> Vec<u8> {
        let mut note = Vec::new();
        if !self.info.is_empty() && !self.noteless {
            for size in [11, self.info.len(), 0] {
                note.extend(self.number(size as u64, 4));
            }
            note.extend(b"VMCOREINFO\0\0");
            note.extend(self.info.as_bytes());
            note.resize(note.len().next_multiple_of(4) + 16, 0);
        }
        note
    }

    /// Adds a line to its description.
    pub fn info(&mut self, line: &str) {
        self.info.push_str(line);
        self.info.push('\n');
    }

    /// Adds a piece of memory.
    pub fn load(&mut self, vaddr: u64, bytes: &[u8]) {
        self.loads.push((vaddr, bytes.to_vec()));
    }

    /// Counts the program headers as a dump with more than 65534 of them does.
    #[must_use]
    pub fn many(mut self, many: bool) -> Dump {
        self.many = many;
        self
    }

    /// A number of `size` bytes.
    pub fn number(&self, value: u64, size: usize) -> Vec<u8> {
        number(self.words, value, size)
    }

    /// The file, headers and memory.
    pub fn build(&self) -> Vec<u8> {
        let long = self.headers.unwrap_or(self.words.long);
        let wide = long == 8;
        let (ehdr, phdr, shdr) = if wide { (64, 56, 64) } else { (52, 32, 40) };
        // x86_64 or i386.
        let usual = if wide { 62 } else { 3 };
        let count = self.loads.len() + 1;
        let note = self.note();
        let sections = ehdr + phdr * count;
        let mut data = sections + shdr;
        let mut out = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }];
        out.push(if self.words.endian == Endian::Little {
            1
        } else {
            2
        });
        out.resize(16, 0);
        let put =
            |out: &mut Vec<u8>, value: usize, size| out.extend(self.number(value as u64, size));
        for (value, size) in [
            (4, 2),
            (self.machine.map_or(usual, |machine| machine.elf), 2),
            (1, 4),
            (0, long),
            (ehdr, long),
            (sections, long),
            (0, 4),
            (ehdr, 2),
            (phdr, 2),
            (if self.many { 0xffff } else { count }, 2),
            (shdr, 2),
            (1, 2),
            (0, 2),
        ] {
            put(&mut out, value, size);
        }
        let mut segment = |out: &mut Vec<u8>, kind: usize, vaddr: u64, len: usize| {
            put(out, kind, 4);
            if wide {
                put(out, 0, 4);
            }
            put(out, data, long);
            let (vaddr, paddr) = match self.without_vaddr {
                true => (0, self.paddr(vaddr)),
                false => (vaddr, 0),
            };
            out.extend(self.number(vaddr, long));
            out.extend(self.number(paddr, long));
            put(out, len, long);
            put(out, len, long);
            if !wide {
                put(out, 0, 4);
            }
            put(out, 0, long);
            data += len;
        };
        segment(&mut out, 4, 0, note.len());
        for (vaddr, bytes) in &self.loads {
            segment(&mut out, 1, *vaddr, bytes.len());
        }
        // The first section header; only its sh_info says something.
        let info = if wide { 44 } else { 28 };
        out.resize(sections + info, 0);
        put(&mut out, count, 4);
        out.resize(sections + shdr, 0);
        out.extend(note);
        for (_, bytes) in &self.loads {
            out.extend(bytes);
        }
        out
    }
}

/// A number of `size` bytes.
pub fn number(words: Words, value: u64, size: usize) -> Vec<u8> {
    let mut bytes = value.to_le_bytes()[..size].to_vec();
    if words.endian == Endian::Big {
        bytes.reverse();
    }
    bytes
}
