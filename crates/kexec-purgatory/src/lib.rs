//! The program that runs between the two kernels, and the library that fits it
//! to a place in memory and to a plan.
//!
//! A classic `kexec_load` may hand the kernel a piece of code of its own as the
//! place to jump to. This one checks that everything that was loaded is still
//! what was loaded, says what is not and resets the machine, or else sets the
//! registers as the next kernel's boot protocol wants them, and jumps.
//!
//! ```
//! use kexec_purgatory::{Check, Crc32c, EntryState, Label, Mode, Params, Region};
//!
//! let initrd = b"the bytes of a segment";
//! let mut state = EntryState::new(Mode::Long64, 0x100_0200);
//! state.rsi = 0x9_0000; // where boot_params is
//! let mut params = Params::new(state);
//! params.regions.push(Region {
//!     start: 0x3000_0000,
//!     len: initrd.len() as u64,
//!     label: Label::new("initrd"),
//!     check: Check::Crc32c(Crc32c::of(initrd)),
//! });
//! # if kexec_purgatory::BLOB.is_some() {
//! let base = 0x2000_0000; // aligned to ALIGN, with room for SIZE bytes
//! let segment = kexec_purgatory::image(base, &params)?;
//! let start_address = kexec_purgatory::entry(base); // for kexec_load
//! # }
//! # Ok::<(), kexec_purgatory::PurgatoryError>(())
//! ```
//!
//! * [`Params`]: all that it is told. [`image`] turns it into bytes.
//! * [`Crc32c`]: the same checksum code as the program's, for the expected values.
//! * `src/blob/`: the program, in Rust with an entry in assembly. `build.rs`
//!   compiles it, checks it (relative relocations only, nothing undefined, size,
//!   SSE enabled first) and stores it as a flat image. It knows x86_64; another
//!   architecture is a directory entry in `src/blob/arch` and an arm of build.rs.
//!
//! What it needs of the kernel that jumps to it: 64-bit mode, an identity mapping
//! of every segment and (for the text screen) of the first megabyte, interrupts
//! off. Registers, stack, descriptor tables and CR4 may be anything.

mod abi;
mod built;
mod crc32c;
mod digest;
mod error;
mod image;
mod params;
mod sha256;

pub use built::{ALIGN, BLOB, Blob, SIZE, UNAVAILABLE};
pub use digest::Crc32c;
pub use error::PurgatoryError;
pub use image::{entry, image, requires_below_4g};
pub use params::{
    Backup, Check, Console, EntryState, JumpBack, Label, MAX_CONSOLES, MAX_REGIONS, Mode, Params,
    Region, Stack,
};

/// The SHA-256 of `data`, by the code that the purgatory uses: plain, some
/// 0.3 GB/s. For large segments take a faster one; the digest is the same.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    sha256::digest(data)
}
