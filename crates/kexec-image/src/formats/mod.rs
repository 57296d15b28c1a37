//! One file per format, and the list of them.

pub mod arm64;
pub mod bzimage;
pub mod compressed;
pub mod elf;
pub mod multiboot;
mod multiboot2;
pub mod riscv;
pub mod uki;
pub mod zboot;

use bytes::Bytes;

use crate::{ImageError, Kernel, Options, Uki};

/// One format: how to tell it and how to open it.
pub struct Format {
    /// The field's own name for it.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Whether these bytes claim to be this format: magic numbers only, cheap,
    /// and never a promise that they are well formed.
    pub probe: fn(&[u8]) -> bool,
    /// Reads the headers and refuses what is broken or cut short.
    pub open: fn(&Bytes, &Options) -> Result<Opened, ImageError>,
}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What came out of opening a file.
#[derive(Debug)]
pub enum Opened {
    /// A kernel: this is the end of the unwrapping.
    Kernel(Kernel),
    /// Something around a kernel.
    Wrapped(Wrapped),
}

/// What was inside a wrapper.
#[derive(Debug)]
pub struct Wrapped {
    /// The bytes inside, to be recognised next.
    pub inner: Bytes,
    /// What else a UKI carried.
    pub uki: Option<Uki>,
}

/// Every format, in the order in which they are tried. A bzImage is also a PE
/// file and so is a UKI, so the order is part of the meaning: the most
/// particular first.
pub const FORMATS: &[Format] = &[
    zboot::FORMAT,
    arm64::FORMAT,
    riscv::FORMAT,
    bzimage::FORMAT,
    uki::FORMAT,
    elf::FORMAT,
    compressed::GZIP,
    compressed::XZ,
    compressed::ZSTD,
    compressed::LZ4,
    compressed::BZIP2,
    compressed::LZMA,
    multiboot::FORMAT,
];
