//! What `build.rs` built.

use std::ops::Range;

/// The program, as it lies in memory when loaded at address 0.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its bytes from the first on; up to `size` follow zeros.
    pub bytes: &'static [u8],
    /// Bytes of memory it takes.
    pub size: u64,
    /// Offset of the entry.
    pub entry: u64,
    /// Offset of the block of parameters.
    pub params: u64,
    /// Offset of the end of its stack.
    pub stack_top: u64,
    /// Offsets of the 64-bit addresses in it, and what they hold when it is
    /// loaded at address 0.
    pub relocations: &'static [(u64, u64)],
    /// Offsets of the 64-bit code.
    pub text: Range<u64>,
    /// Offsets of the 32-bit code.
    pub text32: Range<u64>,
}

include!(concat!(env!("OUT_DIR"), "/blob.rs"));

/// The program; `None` where none was built, for the reason in [`UNAVAILABLE`].
pub static BLOB: Option<Blob> = match BUILT {
    Ok(blob) => Some(blob),
    Err(_) => None,
};

/// Why there is no program in this build; empty if there is one.
pub const UNAVAILABLE: &str = match BUILT {
    Ok(_) => "",
    Err(reason) => reason,
};

/// Bytes of memory that the program takes, its stack included (the segment's
/// memsz); 0 where none was built. Always less than 16 KiB.
pub const SIZE: u64 = match BUILT {
    Ok(blob) => blob.size,
    Err(_) => 0,
};

/// The alignment of its address: a page, as for every segment.
pub const ALIGN: u64 = 4096;
