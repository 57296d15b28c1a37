//! What holds the memory: an ELF file, or one or more files in the format
//! kdump-compressed.

use crate::cached::Cached;
use crate::elf::{Elf, Load};
use crate::kdump::{Kdump, PageState};
use crate::pieces::{Found, Piece, Pieces};
use crate::{Source, VmcoreError};

/// The memory in a dump.
pub(crate) enum Store<'a> {
    /// Pieces of an ELF file.
    Elf {
        source: Box<Cached<'a>>,
        /// Empty when the headers have no virtual addresses.
        by_vaddr: Pieces,
        by_paddr: Pieces,
    },
    /// Pages by their physical addresses: the parts of one dump.
    Kdump(Vec<Kdump<'a>>),
}

/// Where some memory is, and how many bytes from there on are in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the ELF file.
    File { offset: u64, len: u64 },
    /// In a page of this part of the dump.
    Page {
        part: usize,
        page: u64,
        inside: u64,
        len: u64,
    },
    /// Left out of the dump.
    Excluded { len: u64 },
    /// Not there.
    Missing { len: u64 },
}

impl Place {
    /// The same place, with no more bytes than this.
    pub(crate) fn at_most(self, most: u64) -> Place {
        let mut place = self;
        let (Place::File { len, .. }
        | Place::Page { len, .. }
        | Place::Excluded { len }
        | Place::Missing { len }) = &mut place;
        *len = most.min(*len);
        place
    }

    /// How many bytes are there; none where nothing is.
    pub(crate) fn readable(self) -> Option<u64> {
        match self {
            Place::File { len, .. } | Place::Page { len, .. } => Some(len),
            Place::Excluded { .. } | Place::Missing { .. } => None,
        }
    }
}

impl From<Found> for Place {
    fn from(found: Found) -> Place {
        match found {
            Found::File { offset, len } => Place::File { offset, len },
            Found::Excluded { len } => Place::Excluded { len },
            Found::Missing { len } => Place::Missing { len },
        }
    }
}

impl<'a> Store<'a> {
    pub(crate) fn elf(source: Cached<'a>, elf: &Elf) -> Store<'a> {
        // QEMU and some kernels leave the virtual addresses empty.
        let has_vaddr = elf.loads.iter().any(|load| load.vaddr != 0);
        let pieces = |start: fn(&Load) -> u64| {
            let piece = |load: &Load| Piece {
                start: start(load),
                len: load.filesz,
                offset: load.offset,
                whole: load.memsz,
            };
            Pieces::new(elf.loads.iter().map(piece).collect())
        };
        Store::Elf {
            source: Box::new(source),
            by_vaddr: match has_vaddr {
                true => pieces(|load| load.vaddr),
                false => Pieces::default(),
            },
            by_paddr: pieces(|load| load.paddr),
        }
    }

    /// No more bytes than this had the machine.
    pub(crate) fn most(&self) -> u64 {
        match self {
            Store::Elf {
                source, by_paddr, ..
            } => source.len().saturating_add(by_paddr.excluded()),
            Store::Kdump(parts) => parts.iter().map(Kdump::most).max().unwrap_or(0),
        }
    }

    /// Where a virtual address is, as far as the headers have them.
    pub(crate) fn by_vaddr(&self, address: u64) -> Place {
        match self {
            Store::Elf { by_vaddr, .. } => by_vaddr.find(address).into(),
            Store::Kdump(_) => Place::Missing { len: u64::MAX },
        }
    }

    /// Where a physical address is.
    ///
    /// # Errors
    /// When what says that cannot be read.
    pub(crate) fn by_paddr(&self, address: u64) -> Result<Place, VmcoreError> {
        let parts = match self {
            Store::Elf { by_paddr, .. } => return Ok(by_paddr.find(address).into()),
            Store::Kdump(parts) => parts,
        };
        let mut answer = Place::Missing { len: 1 };
        for (number, part) in parts.iter().enumerate() {
            let (page, inside) = (address / part.block, address % part.block);
            let len = part.block - inside;
            match part.state(page)? {
                PageState::There => {
                    return Ok(Place::Page {
                        part: number,
                        page,
                        inside,
                        len,
                    });
                }
                PageState::Excluded => answer = Place::Excluded { len },
                PageState::Missing if matches!(answer, Place::Missing { .. }) => {
                    answer = Place::Missing { len };
                }
                PageState::Missing => {}
            }
        }
        Ok(answer)
    }

    /// Fills the buffer, which is no longer than what the place has. `address` is for the
    /// error.
    ///
    /// # Errors
    /// When nothing is there, or it cannot be read.
    pub(crate) fn read(
        &self,
        what: &'static str,
        address: u64,
        place: Place,
        buffer: &mut [u8],
    ) -> Result<(), VmcoreError> {
        match (self, place) {
            (Store::Elf { source, .. }, Place::File { offset, .. }) => {
                let wanted = buffer.len();
                let failed = |source_error| {
                    let len = source.len();
                    let end = offset.checked_add(u64::try_from(wanted).unwrap_or(u64::MAX));
                    if end.is_none_or(|end| end > len) {
                        let at = offset;
                        return VmcoreError::CutShort { what, at, len };
                    }
                    VmcoreError::Read {
                        at: offset,
                        wanted,
                        source: source_error,
                    }
                };
                source.read_exact_at(offset, buffer).map_err(failed)
            }
            (
                Store::Kdump(parts),
                Place::Page {
                    part, page, inside, ..
                },
            ) => match parts.get(part) {
                Some(part) => part.copy(what, page, inside, buffer),
                None => Err(VmcoreError::NotInDump { what, address }),
            },
            (_, Place::Excluded { .. }) => Err(VmcoreError::Excluded { what, address }),
            _ => Err(VmcoreError::NotInDump { what, address }),
        }
    }

    /// How many bytes of a place are in a hole of the file.
    pub(crate) fn in_hole(&self, place: Place) -> u64 {
        match (self, place) {
            (Store::Elf { source, .. }, Place::File { offset, len }) => {
                let hole = source.next_data(offset).saturating_sub(offset);
                hole.min(len)
            }
            _ => 0,
        }
    }

    /// Fills the buffer with what is at a physical address and behind it.
    pub(crate) fn read_physical(
        &self,
        what: &'static str,
        paddr: u64,
        buffer: &mut [u8],
    ) -> Result<(), VmcoreError> {
        let mut rest = buffer;
        let mut at = paddr;
        while !rest.is_empty() {
            let place = self.by_paddr(at)?;
            let there = place.readable().unwrap_or(u64::MAX);
            let part = usize::try_from(there).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(part);
            self.read(what, at, place, now)?;
            at = at.wrapping_add(u64::try_from(part).unwrap_or(0));
            rest = later;
        }
        Ok(())
    }
}
