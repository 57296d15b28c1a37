//! Small PE files, bzImages, programs and compressed streams, built for tests and fuzz
//! targets: here and in crates that depend on this one (feature `testing`).

pub mod bzimage;
pub mod codec;
mod program;
pub mod vmlinux;

pub use program::program;

/// Where the PE header of a built file is.
const E_LFANEW: u32 = 0x80;
/// The alignment of sections in a built file (`FileAlignment`).
const FILE_ALIGNMENT: usize = 0x200;
/// The alignment of sections in memory (`SectionAlignment`).
const SECTION_ALIGNMENT: u32 = 0x1000;
/// The length of a PE32+ optional header with 16 data directories.
const OPTIONAL_LEN: u16 = 112 + 16 * 8;

/// One section to be.
#[derive(Debug, Clone)]
pub struct TestSection {
    /// At most eight bytes.
    pub name: String,
    /// The content; the file gets it padded.
    pub data: Vec<u8>,
    /// What the header says, when that is not the length of the content.
    pub virtual_size: Option<u32>,
    /// What the header says, when that is not the padded length.
    pub raw_size: Option<u32>,
    /// What the header says, when that is not where the content is.
    pub raw_offset: Option<u32>,
}

/// A PE32+ file to be.
#[derive(Debug, Clone)]
pub struct PeBuilder {
    /// `Machine`; x86_64 unless set.
    pub machine: u16,
    /// The sections, in the order of the file.
    pub sections: Vec<TestSection>,
    /// What follows the last section.
    pub tail: Vec<u8>,
    /// The certificate table, put at the end at a multiple of 8.
    pub certificates: Vec<u8>,
}

impl Default for PeBuilder {
    fn default() -> Self {
        PeBuilder {
            machine: 0x8664,
            sections: Vec::new(),
            tail: Vec::new(),
            certificates: Vec::new(),
        }
    }
}

impl PeBuilder {
    /// A file with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a section whose header tells the truth.
    #[must_use]
    pub fn section(mut self, name: &str, data: impl Into<Vec<u8>>) -> Self {
        self.sections.push(TestSection {
            name: name.into(),
            data: data.into(),
            virtual_size: None,
            raw_size: None,
            raw_offset: None,
        });
        self
    }

    /// Changes the header of the section that was added last.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut TestSection)) -> Self {
        if let Some(last) = self.sections.last_mut() {
            change(last);
        }
        self
    }

    /// The bytes of the file.
    ///
    /// # Panics
    /// When what was asked for does not fit into a PE file.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let number = |n: usize| u32::try_from(n).expect("a PE file is below 4 GiB");
        let headers = E_LFANEW as usize + 24 + usize::from(OPTIONAL_LEN) + 40 * self.sections.len();
        let headers_len = headers.next_multiple_of(FILE_ALIGNMENT);

        let mut file = b"MZ".to_vec();
        file.resize(0x3c, 0);
        file.extend(E_LFANEW.to_le_bytes());
        file.resize(E_LFANEW as usize, 0);
        file.extend(b"PE\0\0");
        file.extend(self.machine.to_le_bytes());
        file.extend(
            u16::try_from(self.sections.len())
                .expect("few sections")
                .to_le_bytes(),
        );
        file.extend([0; 12]);
        file.extend(OPTIONAL_LEN.to_le_bytes());
        file.extend(0x0206_u16.to_le_bytes());

        let optional = file.len();
        file.resize(optional + usize::from(OPTIONAL_LEN), 0);
        let mut put = |at: usize, bytes: &[u8]| {
            let at = optional + at;
            file.splice(at..at + bytes.len(), bytes.iter().copied());
        };
        let size_of_image = SECTION_ALIGNMENT * (number(self.sections.len()) + 2);
        put(0, &0x20b_u16.to_le_bytes());
        put(32, &SECTION_ALIGNMENT.to_le_bytes());
        put(36, &number(FILE_ALIGNMENT).to_le_bytes());
        put(56, &size_of_image.to_le_bytes());
        put(60, &number(headers_len).to_le_bytes());
        // IMAGE_SUBSYSTEM_EFI_APPLICATION ("PE Format", Windows Subsystem).
        put(68, &10_u16.to_le_bytes());
        put(108, &16_u32.to_le_bytes());

        let mut at = headers_len;
        for (address, section) in (1_u32..).zip(&self.sections) {
            let padded = section.data.len().next_multiple_of(FILE_ALIGNMENT);
            let mut name = section.name.clone().into_bytes();
            name.resize(8, 0);
            file.extend(&name);
            let field = |set: Option<u32>, real: usize| set.unwrap_or(number(real)).to_le_bytes();
            file.extend(field(section.virtual_size, section.data.len()));
            file.extend((address * SECTION_ALIGNMENT).to_le_bytes());
            file.extend(field(section.raw_size, padded));
            file.extend(field(section.raw_offset, at));
            file.extend([0; 12]);
            file.extend(0x4000_0040_u32.to_le_bytes());
            at += padded;
        }
        file.resize(headers_len, 0);
        for section in &self.sections {
            file.extend(&section.data);
            file.resize(file.len().next_multiple_of(FILE_ALIGNMENT), 0);
        }
        file.extend(&self.tail);
        if !self.certificates.is_empty() {
            file.resize(file.len().next_multiple_of(8), 0);
            let entry = optional + 112 + 4 * 8;
            let at = number(file.len()).to_le_bytes();
            let len = number(self.certificates.len()).to_le_bytes();
            file.splice(entry..entry + 8, at.into_iter().chain(len));
            file.extend(&self.certificates);
        }
        file
    }
}

/// An EFI zboot file around a compressed kernel. Its payload covers `covered`
/// bytes behind the stream, where the uncompressed size would be.
///
/// # Panics
/// When the stream does not fit into a PE file.
#[must_use]
pub fn zboot(compression: &str, stream: &[u8], covered: usize) -> Vec<u8> {
    /// Where the first section of a file with two of them is.
    const PAYLOAD: u32 = 0x200;
    let mut data = stream.to_vec();
    // The length of what the fixtures in `tests/fixtures/payload.*` unpack to.
    data.extend(4490_u32.to_le_bytes());
    let mut file = PeBuilder {
        machine: 0xaa64,
        ..PeBuilder::new()
            .section(".data", data)
            .section(".text", vec![0x1f; 64])
    }
    .build();
    let size = u32::try_from(stream.len() + covered).expect("a PE file is below 4 GiB");
    let mut put = |at: usize, bytes: &[u8]| {
        file.splice(at..at + bytes.len(), bytes.iter().copied());
    };
    put(4, b"zimg");
    put(8, &PAYLOAD.to_le_bytes());
    put(12, &size.to_le_bytes());
    put(0x18, compression.as_bytes());
    file
}

/// A file out of a fuzzer's bytes: the bytes themselves if they begin like a
/// PE file, else `base` with changes, four bytes each: where, and what.
/// A fuzzer that has to find valid headers alone finds little else.
#[must_use]
pub fn patched(base: impl FnOnce() -> Vec<u8>, data: &[u8]) -> Vec<u8> {
    if data.starts_with(b"MZ") {
        return data.to_vec();
    }
    let mut file = base();
    let len = file.len().max(1);
    for [low, high, value, how] in data.as_chunks::<4>().0 {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % len;
        match how {
            0 => file.truncate(at),
            _ => {
                if let Some(byte) = file.get_mut(at) {
                    *byte = *value;
                }
            }
        }
    }
    file
}
