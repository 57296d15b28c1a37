//! An initrd for a next kernel that was given none, on EFI machines.
//!
//! The EFI stub of the first boot puts the address and the length of the initrd
//! that it loaded into an EFI configuration table, `LINUX_EFI_INITRD_MEDIA_GUID`
//! (the kernel shows it as `INITRD=` in its line `efi:`). The table stays, in
//! memory that the running kernel has used for other things since. A kernel
//! whose boot loader told it of no initrd believes what is there now: seen is
//! "Kernel panic - not syncing: Cannot find place for new RAMDISK of size
//! 181977965658112", before there is a console to say so.

use kexec_image::cpio;

use super::{FilePlan, piece};
use crate::Piece;

/// For people, in place of a path.
const ORIGIN: &str = "none given, an empty archive";

/// Archives are padded to this.
const BLOCK: usize = 512;

impl FilePlan {
    /// Whether the caller or the kernel's file brings an initrd.
    pub fn has_initrd(&self) -> bool {
        !self.initrd.iter().all(Piece::is_empty_initrd)
    }

    /// The same with an empty archive as its initrd, if it has none: that keeps
    /// Linux from looking for another one.
    #[must_use]
    pub fn with_empty_initrd(mut self) -> FilePlan {
        if self.initrd.is_empty() {
            let mut archive = cpio::Writer::new().finish();
            archive.resize(BLOCK, 0);
            self.initrd.push(piece(ORIGIN.to_owned(), archive.into()));
        }
        self
    }
}

impl Piece {
    /// Whether this is the empty archive in place of an initrd that nobody gave.
    pub fn is_empty_initrd(&self) -> bool {
        self.origin == ORIGIN
    }
}
