//! The memory of the crashed kernel by its virtual addresses.

use std::cell::Cell;

use crate::cached::Cached;
use crate::elf::Elf;
use crate::flattened::Flattened;
use crate::kdump::Kdump;
use crate::store::{Place, Store};
use crate::translate::{Machine, Translation};
use crate::{Source, VmcoreError, Vmcoreinfo, Words, flattened, kdump, scan};

/// Bytes of a file that are looked at for its format.
const SIGNATURE: usize = 16;

/// What of the crashed kernel's memory is in a dump.
pub struct Memory<'a> {
    store: Store<'a>,
    translation: Translation,
    /// The virtual address that was translated last, the physical one, and how many bytes
    /// follow each other there: the next one is among them, nearly always.
    last: Cell<(u64, u64, u64)>,
    /// How it writes numbers.
    pub words: Words,
    /// What it says of itself.
    pub info: Vmcoreinfo,
    /// Whether the dump is a flattened one that has no mark at its end: it was not copied
    /// whole.
    pub cut_short: bool,
}

impl std::fmt::Debug for Memory<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("translation", &self.translation)
            .field("words", &self.words)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// How a file begins; shorter where the file is.
fn signature(source: &dyn Source) -> Result<Vec<u8>, VmcoreError> {
    let len = usize::try_from(source.len()).unwrap_or(SIGNATURE);
    let wanted = len.min(SIGNATURE);
    let mut bytes = vec![0; wanted];
    let failed = |source| VmcoreError::Read {
        at: 0,
        wanted,
        source,
    };
    source.read_exact_at(0, &mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The dump in a file, whether it is flattened or not, and whether it is whole.
fn rearranged<'a>(
    source: Box<dyn Source + 'a>,
) -> Result<(Box<dyn Source + 'a>, bool), VmcoreError> {
    if !signature(&*source)?.starts_with(flattened::SIGNATURE) {
        return Ok((source, true));
    }
    let dump = Flattened::open(Box::new(Cached::new(source)))?;
    let ended = dump.ended;
    Ok((Box::new(dump), ended))
}

impl<'a> Memory<'a> {
    /// The memory in a dump: an ELF core file, or one in the format kdump-compressed;
    /// either of them may be flattened.
    ///
    /// # Errors
    /// When it is neither, cannot be read, contradicts itself, or has no description of
    /// its kernel.
    pub fn open(source: &'a dyn Source) -> Result<Memory<'a>, VmcoreError> {
        Memory::open_parts(&[source])
    }

    /// The memory in all the files that `makedumpfile --split` has written of one dump.
    ///
    /// # Errors
    /// As [`Memory::open`]; when there are several files that are not such parts.
    pub fn open_parts(sources: &[&'a dyn Source]) -> Result<Memory<'a>, VmcoreError> {
        let mut parts = Vec::new();
        let mut cut_short = false;
        for source in sources {
            let (dump, ended) = rearranged(Box::new(*source))?;
            cut_short |= !ended;
            let is_kdump = signature(&*dump)?.starts_with(kdump::SIGNATURE);
            if sources.len() == 1 && !is_kdump {
                return Memory::of_elf(dump, cut_short);
            }
            let part = is_kdump.then(|| Kdump::open(dump)).transpose()?;
            match part.filter(|part| part.split || sources.len() == 1) {
                Some(part) => parts.push(part),
                None => {
                    return Err(VmcoreError::NotADump {
                        found: "several files that are not the parts of one dump".to_owned(),
                        remedy: "name one dump, or all that `makedumpfile --split` wrote of one",
                    });
                }
            }
        }
        Memory::of_kdump(parts, cut_short)
    }

    fn of_elf(source: Box<dyn Source + 'a>, cut_short: bool) -> Result<Memory<'a>, VmcoreError> {
        let source = Cached::new(source);
        let elf = Elf::read(&source)?;
        let store = Store::elf(source, &elf);
        let machine = Machine::from_elf(elf.machine, elf.words);
        let found = (elf.vmcoreinfo, elf.notes);
        // An Arm kernel does not write down where its linear map begins in physical memory:
        // it is where the first memory is (Documentation/arch/arm/porting.rst, "PHYS_OFFSET").
        let lowest = || elf.loads.iter().map(|load| load.paddr).min();
        let phys_base = (machine == Machine::Arm).then(lowest).flatten();
        Memory::new(store, elf.words, machine, phys_base, found, cut_short)
    }

    fn of_kdump(mut parts: Vec<Kdump<'a>>, cut_short: bool) -> Result<Memory<'a>, VmcoreError> {
        let Some(first) = parts.first_mut() else {
            return Err(VmcoreError::NoVmcoreinfo {
                found: "no file".to_owned(),
            });
        };
        let (words, machine, phys_base) = (first.words, first.machine, first.phys_base);
        let text = std::mem::take(&mut first.vmcoreinfo);
        let found = (text, "the second header names none".to_owned());
        let store = Store::Kdump(parts);
        Memory::new(store, words, machine, phys_base, found, cut_short)
    }

    /// `found`: the content of the note, or where it was looked for.
    fn new(
        store: Store<'a>,
        words: Words,
        machine: Machine,
        phys_base: Option<u64>,
        found: (Vec<u8>, String),
        cut_short: bool,
    ) -> Result<Memory<'a>, VmcoreError> {
        let (mut text, found) = found;
        if text.is_empty() {
            text = scan::find(&store, words);
        }
        if text.is_empty() {
            return Err(VmcoreError::NoVmcoreinfo { found });
        }
        let info = Vmcoreinfo::parse(&text);
        let machine = match machine {
            Machine::Other => Machine::from_info(&info, words),
            known => known,
        };
        // The headers of a 32-bit kernel's dump may be of 64 bits: QEMU's are as soon as
        // anything ends above 4 GiB - 1, such as the firmware of an i386. The kernel's own
        // structures are not.
        let words = Words {
            long: machine.long().unwrap_or(words.long),
            ..words
        };
        Ok(Memory {
            translation: Translation::new(machine, &info, phys_base),
            store,
            last: Cell::new((0, 0, 0)),
            words,
            info,
            cut_short,
        })
    }

    /// How many bytes of memory the machine had at most: nothing in it can be larger.
    pub(crate) fn most(&self) -> u64 {
        self.store.most()
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
            let place = self.place(at)?;
            let there = place.readable().unwrap_or(u64::MAX);
            let part = usize::try_from(there).unwrap_or(usize::MAX).min(rest.len());
            let rest = rest.get_mut(..part).unwrap_or_default();
            self.store.read(what, at, place, rest)?;
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

    /// How many bytes from an address on are not in the dump, and whether that is because
    /// they were left out of it.
    pub(crate) fn missing(&self, address: u64) -> (u64, bool) {
        match self.place(address) {
            Ok(Place::Missing { len }) => (len, false),
            Ok(Place::Excluded { len }) => (len, true),
            _ => (0, false),
        }
    }

    /// How many bytes from an address on are in a hole of the file.
    pub(crate) fn in_hole(&self, address: u64) -> u64 {
        let place = self.place(address);
        place.map_or(0, |place| self.store.in_hole(place))
    }

    /// Where a virtual address is: by the headers, or else by its physical address.
    fn place(&self, address: u64) -> Result<Place, VmcoreError> {
        let place = self.store.by_vaddr(address);
        let Place::Missing { len: gap } = place else {
            return Ok(place);
        };
        match self.physical(address) {
            Ok((paddr, left)) => Ok(self.store.by_paddr(paddr)?.at_most(left.min(gap))),
            Err(len) => Ok(Place::Missing { len: len.min(gap) }),
        }
    }

    /// The physical address, and how many bytes from it on follow each other; or how many
    /// bytes have none.
    fn physical(&self, address: u64) -> Result<(u64, u64), u64> {
        let (from, paddr, len) = self.last.get();
        if let Some(inside) = address.checked_sub(from).filter(|inside| *inside < len) {
            return Ok((paddr.wrapping_add(inside), len - inside));
        }
        let what = "a page table";
        let mut entry = |at: u64| {
            let mut bytes = [0_u8; 8];
            self.store.read_physical(what, at, &mut bytes).ok()?;
            self.words.number(&bytes, 0, 8)
        };
        let (paddr, len) = self.translation.of(address, &mut entry)?;
        self.last.set((address, paddr, len));
        Ok((paddr, len))
    }
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
