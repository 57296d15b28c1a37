//! The fields of an ELF file in either width and either order of bytes.

use super::{Class, Endian, NAME, Segment};
use crate::{ImageError, fields};

/// The fields of the ELF header that are used.
pub(super) struct Header {
    pub e_type: u16,
    pub machine: u16,
    pub entry: u64,
    pub phoff: u64,
    pub phentsize: u16,
    pub phnum: u16,
    shoff: u64,
    shentsize: u16,
    shnum: u16,
    shstrndx: u16,
}

/// A section: its name as an offset in the table of names, and its bytes.
pub(super) struct SectionHeader {
    pub name: u32,
    pub offset: u64,
    pub size: u64,
}

/// The section table.
pub(super) struct Sections {
    pub headers: Vec<SectionHeader>,
    /// Which section holds the names.
    pub names: usize,
    /// Where the table ends in the file; `None` when there is none.
    pub end: Option<u64>,
}

/// An ELF file as a source of fields.
pub(super) struct Reader<'a> {
    pub bytes: &'a [u8],
    wide: bool,
    big: bool,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], class: Class, endian: Endian) -> Self {
        Reader {
            bytes,
            wide: class == Class::Elf64,
            big: endian == Endian::Big,
        }
    }

    /// Where `e_phnum` is, for messages; `e_phentsize` is the field before it.
    pub fn offset_of_phnum(&self) -> u64 {
        self.pick(44, 56)
    }

    /// What `e_phentsize` has to be.
    pub fn program_header_len(&self) -> u16 {
        self.pick(32, 56)
    }

    pub fn header(&self) -> Result<Header, ImageError> {
        let what = "the ELF header";
        // From e_flags on, the fields are 16 bytes further in the wide header.
        let tail = self.pick(0, 12);
        Ok(Header {
            e_type: self.u16(16, what)?,
            machine: self.u16(18, what)?,
            entry: self.word(24, what)?,
            phoff: self.word(self.pick(28, 32), what)?,
            shoff: self.word(self.pick(32, 40), what)?,
            phentsize: self.u16(42 + tail, what)?,
            phnum: self.u16(44 + tail, what)?,
            shentsize: self.u16(46 + tail, what)?,
            shnum: self.u16(48 + tail, what)?,
            shstrndx: self.u16(50 + tail, what)?,
        })
    }

    /// Program header number `index`: its type, its fields, where it is.
    pub fn program_header(
        &self,
        header: &Header,
        index: u16,
    ) -> Result<(u32, Segment, u64), ImageError> {
        let what = format!("program header {index}");
        let step = u64::from(index) * u64::from(header.phentsize);
        let start = header.phoff.saturating_add(step);
        let at = |narrow: u64, wide: u64| start.saturating_add(self.pick(narrow, wide));
        let segment = Segment {
            offset: self.word(at(4, 8), &what)?,
            vaddr: self.word(at(8, 16), &what)?,
            paddr: self.word(at(12, 24), &what)?,
            filesz: self.word(at(16, 32), &what)?,
            memsz: self.word(at(20, 40), &what)?,
            flags: self.u32(at(24, 4), &what)?,
            align: self.word(at(28, 48), &what)?,
        };
        Ok((self.u32(start, &what)?, segment, start))
    }

    /// Bytes of an entry of the dynamic section.
    pub fn dynamic_entry_len(&self) -> u64 {
        self.pick(8, 16)
    }

    /// Tag and value of entry number `index` of the dynamic section.
    pub fn dynamic_entry(&self, dynamic: &Segment, index: u64) -> Result<(u64, u64), ImageError> {
        let what = "the dynamic section";
        let step = index.saturating_mul(self.dynamic_entry_len());
        let at = dynamic.offset.saturating_add(step);
        let value = at.saturating_add(self.pick(4, 8));
        Ok((self.word(at, what)?, self.word(value, what)?))
    }

    /// The section table. It usually is the last thing in the file, so one
    /// that is not all there is the sign of a file that was cut, even though
    /// loading does not need it.
    pub fn sections(&self, header: &Header) -> Result<Sections, ImageError> {
        let what = "the section table";
        let mut headers = Vec::new();
        let names = header.shstrndx.into();
        if header.shoff == 0 {
            let end = None;
            return Ok(Sections {
                headers,
                names,
                end,
            });
        }
        let step = u64::from(header.shentsize);
        let section = |index: u64| {
            let start = header.shoff.saturating_add(index.saturating_mul(step));
            let at = |narrow: u64, wide: u64| start.saturating_add(self.pick(narrow, wide));
            Ok(SectionHeader {
                name: self.u32(start, what)?,
                offset: self.word(at(16, 24), what)?,
                size: self.word(at(20, 32), what)?,
            })
        };
        // "If the number of sections is greater than or equal to SHN_LORESERVE
        // ..., e_shnum has the value zero and the actual number ... is
        // contained in the sh_size field of the section header at index 0."
        let count = match header.shnum {
            0 => section(0)?.size,
            n => n.into(),
        };
        // An entry takes its bytes, so the file limits the number of turns.
        let end = header.shoff.saturating_add(count.saturating_mul(step));
        let expected = self.pick(40, 64);
        if count > 0 && step != expected {
            let at = self.pick(46, 58);
            return Err(super::malformed(
                "e_shentsize",
                at,
                step,
                &expected.to_string(),
            ));
        }
        if end > fields::len(self.bytes) {
            return Err(self.truncated(what, end));
        }
        for index in 0..count {
            headers.push(section(index)?);
        }
        Ok(Sections {
            headers,
            names,
            end: Some(end),
        })
    }

    pub fn u32_in(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let raw = fields::array(bytes, at)?;
        Some(if self.big {
            u32::from_be_bytes(raw)
        } else {
            u32::from_le_bytes(raw)
        })
    }

    fn pick<T>(&self, narrow: T, wide: T) -> T {
        if self.wide { wide } else { narrow }
    }

    fn field<const N: usize>(&self, at: u64, what: &str) -> Result<[u8; N], ImageError> {
        usize::try_from(at)
            .ok()
            .and_then(|at| fields::array(self.bytes, at))
            .ok_or_else(|| self.truncated(what, at.saturating_add(fields::len_u64(N))))
    }

    fn truncated(&self, what: &str, needs: u64) -> ImageError {
        ImageError::Truncated {
            format: NAME,
            what: what.to_owned(),
            needs,
            has: fields::len(self.bytes),
        }
    }

    fn u16(&self, at: u64, what: &str) -> Result<u16, ImageError> {
        let raw = self.field(at, what)?;
        Ok(if self.big {
            u16::from_be_bytes(raw)
        } else {
            u16::from_le_bytes(raw)
        })
    }

    fn u32(&self, at: u64, what: &str) -> Result<u32, ImageError> {
        let raw = self.field(at, what)?;
        Ok(if self.big {
            u32::from_be_bytes(raw)
        } else {
            u32::from_le_bytes(raw)
        })
    }

    /// An address, offset or size, as wide as the class says.
    fn word(&self, at: u64, what: &str) -> Result<u64, ImageError> {
        if !self.wide {
            return self.u32(at, what).map(u64::from);
        }
        let raw = self.field(at, what)?;
        Ok(if self.big {
            u64::from_be_bytes(raw)
        } else {
            u64::from_le_bytes(raw)
        })
    }
}
