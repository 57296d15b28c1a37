//! The memory of the crashed kernel by its virtual addresses.

use std::cell::Cell;

use crate::cached::Cached;
use crate::elf::{Elf, Load};
use crate::{Source, VmcoreError, Vmcoreinfo, Words};

/// What of the crashed kernel's memory is in a dump.
pub struct Memory<'a> {
    source: Cached<'a>,
    /// By their addresses, and none on another.
    loads: Vec<Load>,
    /// The piece that was read last: the next read is there, too, nearly always.
    last: Cell<usize>,
    /// How it writes numbers.
    pub words: Words,
    /// What it says of itself.
    pub info: Vmcoreinfo,
}

impl std::fmt::Debug for Memory<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("loads", &self.loads)
            .field("words", &self.words)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl<'a> Memory<'a> {
    /// The memory in a dump.
    ///
    /// # Errors
    /// As [`Elf::read`].
    pub fn open(source: &'a dyn Source) -> Result<Memory<'a>, VmcoreError> {
        let source = Cached::new(source);
        let elf = Elf::read(&source)?;
        Ok(Memory {
            source,
            loads: apart(elf.loads),
            last: Cell::new(0),
            words: elf.words,
            info: Vmcoreinfo::parse(&elf.vmcoreinfo),
        })
    }

    /// How large the dump is: nothing in it can be larger.
    pub fn file_len(&self) -> u64 {
        self.source.len()
    }

    /// Fills the buffer with what is at a virtual address; `what` is for the error.
    ///
    /// # Errors
    /// When a part of it is not in the dump, or cannot be read.
    pub fn read(
        &self,
        what: &'static str,
        address: u64,
        buffer: &mut [u8],
    ) -> Result<(), VmcoreError> {
        let mut done = 0_usize;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let missing = || VmcoreError::NotInDump { what, address };
            let at = u64::try_from(done)
                .ok()
                .and_then(|done| address.checked_add(done))
                .ok_or_else(missing)?;
            let load = self.holds(at).ok_or_else(missing)?;
            let inside = at - load.vaddr;
            let there = usize::try_from(load.filesz - inside).unwrap_or(usize::MAX);
            let part = rest.len().min(there);
            let rest = rest.get_mut(..part).unwrap_or_default();
            let offset = load.offset.checked_add(inside).ok_or_else(missing)?;
            let failed = |source| {
                let len = self.source.len();
                let end = offset.checked_add(u64::try_from(part).unwrap_or(u64::MAX));
                if end.is_none_or(|end| end > len) {
                    let at = offset;
                    return VmcoreError::CutShort { what, at, len };
                }
                VmcoreError::Read {
                    at: offset,
                    wanted: part,
                    source,
                }
            };
            self.source.read_exact_at(offset, rest).map_err(failed)?;
            done += part;
        }
        Ok(())
    }

    /// The `long` or address at a virtual address.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub fn long(&self, what: &'static str, address: u64) -> Result<u64, VmcoreError> {
        self.number(what, address, self.words.long)
    }

    /// The number of 1, 2, 4 or 8 bytes at a virtual address.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub fn number(
        &self,
        what: &'static str,
        address: u64,
        size: usize,
    ) -> Result<u64, VmcoreError> {
        let mut bytes = [0_u8; 8];
        let size = size.min(8);
        self.read(what, address, bytes.get_mut(..size).unwrap_or_default())?;
        let missing = VmcoreError::NotInDump { what, address };
        self.words.number(&bytes, 0, size).ok_or(missing)
    }

    /// How many bytes from an address on are not in the dump.
    pub(crate) fn missing(&self, address: u64) -> u64 {
        if self.holds(address).is_some() {
            return 0;
        }
        let next = self.loads.partition_point(|load| load.vaddr <= address);
        let next = self.loads.get(next).map_or(u64::MAX, |load| load.vaddr);
        next.saturating_sub(address)
    }

    /// How many bytes from an address on are in a hole of the file.
    pub(crate) fn in_hole(&self, address: u64) -> u64 {
        let Some(load) = self.holds(address) else {
            return 0;
        };
        let inside = address - load.vaddr;
        let Some(offset) = load.offset.checked_add(inside) else {
            return 0;
        };
        let hole = self.source.next_data(offset).saturating_sub(offset);
        hole.min(load.filesz - inside)
    }

    /// The piece that an address is in.
    fn holds(&self, address: u64) -> Option<Load> {
        let inside = |load: &&Load| {
            address
                .checked_sub(load.vaddr)
                .is_some_and(|inside| inside < load.filesz)
        };
        if let Some(load) = self.loads.get(self.last.get()).filter(inside) {
            return Some(*load);
        }
        // The last one that does not begin behind the address.
        let behind = self.loads.partition_point(|load| load.vaddr <= address);
        let found = behind.checked_sub(1)?;
        self.loads.get(found).filter(inside)?;
        self.last.set(found);
        self.loads.get(found).copied()
    }
}

/// The pieces in the order of their addresses. Where two have the same address, the
/// one that begins first keeps it: in a dump that is not spoilt both are the same
/// memory.
fn apart(mut loads: Vec<Load>) -> Vec<Load> {
    loads.sort_by_key(|load| load.vaddr);
    let mut end = 0_u128;
    loads.retain_mut(|load| {
        let (start, stop) = (
            u128::from(load.vaddr),
            u128::from(load.vaddr) + u128::from(load.filesz),
        );
        let Ok(cut) = u64::try_from(end.saturating_sub(start)) else {
            return false;
        };
        if cut >= load.filesz {
            return false;
        }
        let Some(offset) = load.offset.checked_add(cut) else {
            return false;
        };
        // Cannot overflow: cut is less than filesz, and end is at most 2^64 here.
        load.vaddr = load.vaddr.saturating_add(cut);
        load.offset = offset;
        load.filesz -= cut;
        end = stop;
        true
    });
    loads
}

#[cfg(test)]
mod tests {
    use crate::testing::{Dump, LITTLE64};
    use crate::{Memory, VmcoreError};

    /// 2^17 pieces and as many jumps between them: a walk over all pieces for each jump
    /// would take minutes.
    #[test]
    fn many_pieces_are_found_by_their_addresses() {
        let count = 1_u64 << 17;
        let mut dump = Dump::new(LITTLE64).many(true);
        dump.info("OSRELEASE=6.1");
        for number in 0..count {
            dump.load(0x1000 * (count - number), &[number.to_le_bytes()[0]]);
        }
        let bytes = dump.build();
        let memory = Memory::open(&bytes).expect("a good dump");
        let began = std::time::Instant::now();
        for number in (0..count).map(|n| n * 7919 % count) {
            let found = memory.number("text", 0x1000 * (count - number), 1);
            assert_eq!(found.ok(), Some(number & 0xff));
        }
        assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    }

    #[test]
    fn pieces_on_each_other() {
        let mut dump = Dump::new(LITTLE64);
        dump.info("OSRELEASE=6.1");
        dump.load(0x1004, b"4567");
        dump.load(0x1000, b"012345");
        dump.load(0x1001, b"12");
        let bytes = dump.build();
        let memory = Memory::open(&bytes).expect("a good dump");
        let mut buffer = [0; 8];
        memory.read("text", 0x1000, &mut buffer).expect("all");
        assert_eq!(&buffer, b"01234567");
    }

    #[test]
    fn across_pieces_that_touch_and_not_beyond() {
        let mut dump = Dump::new(LITTLE64);
        dump.info("OSRELEASE=6.1");
        dump.load(0xffff_8880_0000_1000, b"one, ");
        dump.load(0xffff_8880_0000_1005, b"two");
        dump.load(u64::MAX - 3, b"last");
        let bytes = dump.build();
        let memory = Memory::open(&bytes).expect("a good dump");
        let mut buffer = [0; 8];
        memory
            .read("text", 0xffff_8880_0000_1000, &mut buffer)
            .expect("both pieces");
        assert_eq!(&buffer, b"one, two");
        let missing = memory.read("text", 0xffff_8880_0000_1001, &mut buffer);
        assert!(matches!(missing, Err(VmcoreError::NotInDump { .. })));
        assert!(memory.read("text", u64::MAX - 3, &mut buffer[..4]).is_ok());
        assert!(memory.read("text", u64::MAX - 3, &mut buffer[..5]).is_err());
        assert!(memory.read("text", 0, &mut []).is_ok());
        let text = memory
            .read("text", 0, &mut buffer)
            .map_err(|e| e.to_string());
        assert_eq!(
            text,
            Err(
                "text at virtual address 0x0: the dump does not hold that memory; it was \
                 filtered too much, or not copied whole"
                    .to_owned()
            )
        );
    }
}
