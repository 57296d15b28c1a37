//! The headers of PE/COFF files, read without trusting them.
//!
//! A bzImage, an arm64 `Image`, an EFI zboot kernel and a UKI all carry these
//! headers; what is needed from them is small: where each section is in the
//! file, and where the signature is. Offsets and values are from Microsoft's
//! "PE Format" (<https://learn.microsoft.com/windows/win32/debug/pe-format>),
//! the names are its names. The fields are read one by one at any alignment,
//! because a PE inside of another file may begin at any byte.

use std::ops::Range;

use crate::{ImageError, fields};

/// The most sections that are accepted. A UKI has about fifteen, and a few more
/// for every profile: systemd-stub leaves room for at least 120 since version
/// 258 (its NEWS). The 96 of "PE Format" are a limit of Windows' loader, not of
/// firmware.
pub const MAX_SECTIONS: u16 = 1024;

/// `MZ`, with which an MS-DOS program begins ("PE Format", MS-DOS Stub).
const IMAGE_DOS_SIGNATURE: u16 = 0x5a4d;
/// `PE\0\0`, which stands before the COFF file header ("PE Format", Signature).
const IMAGE_NT_SIGNATURE: u32 = 0x4550;
/// The magic number of a PE32 optional header ("PE Format", Optional Header).
const IMAGE_NT_OPTIONAL_HDR32_MAGIC: u16 = 0x10b;
/// The magic number of a PE32+ optional header, for 64-bit addresses.
const IMAGE_NT_OPTIONAL_HDR64_MAGIC: u16 = 0x20b;

/// Where `e_lfanew` is: "PE Format", MS-DOS Stub, file offset 0x3c.
const E_LFANEW: usize = 0x3c;
/// A PE header beyond this is no header: linkers put it within a page.
const E_LFANEW_MAX: u32 = 0x10_0000;
/// The length of the signature and the COFF file header behind it.
const COFF_END: u64 = 4 + 20;
/// The length of a section header: "PE Format", Section Table.
const SECTION_HEADER: u64 = 40;
/// The certificate table is the fifth data directory, entries of 8 bytes
/// ("PE Format", Optional Header Data Directories).
const CERTIFICATE_DIRECTORY: u32 = 4;

/// A section header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeSection {
    /// The name, up to its first NUL.
    pub name: String,
    /// How much memory it takes (`VirtualSize`).
    pub virtual_size: u32,
    /// Where it is in memory, from the image base (`VirtualAddress`).
    pub virtual_address: u32,
    /// How many bytes of the file belong to it, padding included
    /// (`SizeOfRawData`).
    pub raw_size: u32,
    /// Where those begin (`PointerToRawData`).
    pub raw_offset: u32,
    /// Where its header is in the file.
    pub header_at: u64,
}

impl PeSection {
    /// The bytes of the file that are its content: never more than there are
    /// in the file, whatever `VirtualSize` says. (ukify sets the `VirtualSize`
    /// of `.linux` to the memory that the kernel wants, far beyond its data.)
    pub fn data_range(&self) -> Range<u64> {
        let at = u64::from(self.raw_offset);
        at..at + u64::from(self.raw_size.min(self.virtual_size))
    }

    /// All its bytes in the file, padding included. A section that has none
    /// may point anywhere.
    fn raw_range(&self) -> Range<u64> {
        let at = u64::from(self.raw_offset);
        at..at + u64::from(self.raw_size)
    }
}

/// The headers of a PE file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pe {
    /// The format that is being looked at, for messages.
    format: &'static str,
    /// The length of the file in bytes.
    len: u64,
    /// `Machine`: see [`crate::Arch::from_pe_machine`].
    pub machine: u16,
    /// `SizeOfHeaders`: everything before the first section.
    pub headers_len: u32,
    /// `SizeOfImage`: the memory that the loaded image takes.
    pub image_size: u32,
    /// The sections in the order of their headers.
    pub sections: Vec<PeSection>,
    /// Where the `CheckSum` field (4 bytes) is in the file.
    pub checksum_at: u64,
    /// Where the data directory entry of the certificate table (8 bytes) is
    /// in the file, if there is room for one.
    pub certificate_directory_at: Option<u64>,
    /// Where the certificate table is in the file; not checked against the
    /// length of the file. `None` when there is none.
    pub certificates: Option<Range<u64>>,
}

/// Whether the bytes begin like a PE file: the DOS magic, nothing more.
pub fn probe(bytes: &[u8]) -> bool {
    fields::u16_at(bytes, 0) == Some(IMAGE_DOS_SIGNATURE)
}

impl Pe {
    /// Reads the headers of `bytes`, naming `format` in errors. What lies
    /// behind the headers is not looked at: see [`Pe::check_bounds`].
    ///
    /// # Errors
    /// When the headers are not those of a PE file, point outside of
    /// themselves, or end after the file.
    pub fn parse(bytes: &[u8], format: &'static str) -> Result<Pe, ImageError> {
        let file = Reader { bytes, format };
        let dos = file.u16(0, "the DOS header")?;
        if dos != IMAGE_DOS_SIGNATURE {
            return Err(file.malformed("the DOS magic", 0, dos, "0x5a4d, \"MZ\""));
        }
        let e_lfanew = file.u32(E_LFANEW as u64, "the DOS header")?;
        if !(4..E_LFANEW_MAX).contains(&e_lfanew) {
            return Err(file.malformed(
                "the offset of the PE header (e_lfanew)",
                E_LFANEW as u64,
                e_lfanew,
                "an offset within the first MiB",
            ));
        }
        let coff = u64::from(e_lfanew);
        let magic = file.u32(coff, "the PE signature")?;
        if magic != IMAGE_NT_SIGNATURE {
            return Err(file.malformed("the PE signature", coff, magic, "0x4550, \"PE\\0\\0\""));
        }
        let machine = file.u16(coff + 4, "the COFF header")?;
        let section_count = file.u16(coff + 6, "the COFF header")?;
        if section_count > MAX_SECTIONS {
            return Err(file.malformed(
                "the number of sections",
                coff + 6,
                section_count,
                "at most 1024",
            ));
        }
        let optional_len = file.u16(coff + 20, "the COFF header")?;
        let optional = coff + COFF_END;
        let optional_end = optional + u64::from(optional_len);

        // Where the two kinds of optional header differ: the number of data
        // directories and the first of them.
        let kind = file.u16(optional, "the optional header")?;
        let directory_count_at = match kind {
            IMAGE_NT_OPTIONAL_HDR32_MAGIC => optional + 92,
            IMAGE_NT_OPTIONAL_HDR64_MAGIC => optional + 108,
            _ => {
                return Err(file.malformed(
                    "the magic of the optional header",
                    optional,
                    kind,
                    "0x10b (PE32) or 0x20b (PE32+)",
                ));
            }
        };
        if directory_count_at + 4 > optional_end {
            return Err(file.malformed(
                "the length of the optional header",
                coff + 20,
                optional_len,
                "room for the fields that its magic promises",
            ));
        }
        let image_size = file.u32(optional + 56, "the optional header")?;
        let headers_len = file.u32(optional + 60, "the optional header")?;
        let checksum_at = optional + 64;
        let directory_count = file.u32(directory_count_at, "the optional header")?;

        let entry_at = directory_count_at + 4 + u64::from(CERTIFICATE_DIRECTORY) * 8;
        let has_entry = directory_count > CERTIFICATE_DIRECTORY && entry_at + 8 <= optional_end;
        let mut certificates = None;
        if has_entry {
            // Unlike all the others, this entry is a file offset.
            let at = u64::from(file.u32(entry_at, "the data directories")?);
            let len = u64::from(file.u32(entry_at + 4, "the data directories")?);
            certificates = (len != 0).then_some(at..at + len);
        }

        let mut sections = Vec::new();
        for index in 0..u64::from(section_count) {
            sections.push(file.section(optional_end + index * SECTION_HEADER)?);
        }
        Ok(Pe {
            format,
            len: fields::len(bytes),
            machine,
            headers_len,
            image_size,
            sections,
            checksum_at,
            certificate_directory_at: has_entry.then_some(entry_at),
            certificates,
        })
    }

    /// The content of a section in the file, as a range that is known to be
    /// inside of it: the smaller of `VirtualSize` and `SizeOfRawData`.
    ///
    /// # Errors
    /// When the file ends before the content does.
    pub fn section_data(&self, section: &PeSection) -> Result<Range<usize>, ImageError> {
        let range = section.data_range();
        if range.is_empty() {
            return Ok(0..0);
        }
        self.inside(range, || format!("the section {}", section.name))
    }

    /// The certificate table, as a range that is known to be inside the file.
    ///
    /// # Errors
    /// When the file ends before the table does.
    pub fn certificate_table(&self) -> Result<Option<Range<usize>>, ImageError> {
        self.certificates
            .clone()
            .map(|range| self.inside(range, || "the certificate table".into()))
            .transpose()
    }

    /// Checks that the headers, every section with its padding and the
    /// certificate table lie inside the file and beside each other.
    ///
    /// # Errors
    /// When one of them ends after the file, or two of them share bytes.
    pub fn check_bounds(&self) -> Result<(), ImageError> {
        let mut parts = vec![(
            0..u64::from(self.headers_len),
            "the headers".to_string(),
            self.checksum_at - 4,
        )];
        for section in &self.sections {
            if section.raw_size != 0 {
                let name = format!("the section {}", section.name);
                parts.push((section.raw_range(), name, section.header_at + 20));
            }
        }
        if let (Some(range), Some(at)) = (self.certificates.clone(), self.certificate_directory_at)
        {
            parts.push((range, "the certificate table".into(), at));
        }
        for (range, name, _) in &parts {
            self.inside(range.clone(), || name.clone())?;
        }
        no_overlap(self.format, parts)
    }

    /// `range` as one that is inside the file.
    fn inside(
        &self,
        range: Range<u64>,
        what: impl Fn() -> String,
    ) -> Result<Range<usize>, ImageError> {
        let truncated = || ImageError::Truncated {
            format: self.format,
            what: what(),
            needs: range.end,
            has: self.len,
        };
        if range.end > self.len {
            return Err(truncated());
        }
        match (usize::try_from(range.start), usize::try_from(range.end)) {
            (Ok(start), Ok(end)) => Ok(start..end),
            _ => Err(truncated()),
        }
    }
}

/// Refuses parts of a file that share bytes. Each part is its range, its name
/// and where in the file the field is that puts it there.
pub fn no_overlap(
    format: &'static str,
    mut parts: Vec<(Range<u64>, String, u64)>,
) -> Result<(), ImageError> {
    parts.sort_by_key(|(range, ..)| (range.start, range.end));
    let mut end = 0;
    let mut before = String::new();
    for (range, name, at) in parts {
        if range.start < end {
            return Err(ImageError::Malformed {
                format,
                what: format!("the place of {name}"),
                offset: at,
                found: format!("{:#x}", range.start),
                expected: format!("{end:#x} or more, behind {before}"),
            });
        }
        if range.end > end {
            end = range.end;
            before = name;
        }
    }
    Ok(())
}

/// Fields out of the file, with errors that say what is missing.
struct Reader<'a> {
    bytes: &'a [u8],
    format: &'static str,
}

impl Reader<'_> {
    fn truncated(&self, what: &str, needs: u64) -> ImageError {
        ImageError::Truncated {
            format: self.format,
            what: what.into(),
            needs,
            has: fields::len(self.bytes),
        }
    }

    fn malformed(
        &self,
        what: &str,
        offset: u64,
        found: impl std::fmt::LowerHex,
        expected: &str,
    ) -> ImageError {
        ImageError::Malformed {
            format: self.format,
            what: what.into(),
            offset,
            found: format!("{found:#x}"),
            expected: expected.into(),
        }
    }

    fn array<const N: usize>(&self, at: u64, what: &str) -> Result<[u8; N], ImageError> {
        usize::try_from(at)
            .ok()
            .and_then(|at| fields::array(self.bytes, at))
            .ok_or_else(|| self.truncated(what, at.saturating_add(N as u64)))
    }

    fn u16(&self, at: u64, what: &str) -> Result<u16, ImageError> {
        self.array(at, what).map(u16::from_le_bytes)
    }

    fn u32(&self, at: u64, what: &str) -> Result<u32, ImageError> {
        self.array(at, what).map(u32::from_le_bytes)
    }

    /// The section header at `at`.
    fn section(&self, at: u64) -> Result<PeSection, ImageError> {
        let what = "the section table";
        let name: [u8; 8] = self.array(at, what)?;
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        Ok(PeSection {
            name: String::from_utf8_lossy(name).into_owned(),
            virtual_size: self.u32(at + 8, what)?,
            virtual_address: self.u32(at + 12, what)?,
            raw_size: self.u32(at + 16, what)?,
            raw_offset: self.u32(at + 20, what)?,
            header_at: at,
        })
    }
}

#[cfg(test)]
mod tests;
