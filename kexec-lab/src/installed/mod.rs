//! Installed systems: a Debian suite on a disk, with a firmware, a boot loader
//! and an init, that a scenario takes through several boots.
//!
//! Three layers, each cached in the lab's folder by its content:
//! [`Recipe`] → a base system (one tar file per suite and init, made with
//! mmdebstrap) → an image (partition table, file systems, boot loader) for each
//! [`Layout`] → a copy of the image for each [`Machine`], with the trial's
//! files. `kexec-lab/README.md` shows how a trial is written.

mod base;
mod cells;
mod files;
mod image;
mod initrd;
mod installer;
mod layout;
mod machine;
mod partitions;
mod payload;
mod trial;

pub use base::{Generator, Init, Recipe};
pub use layout::{CONSOLE, Layout};
pub use machine::Machine;
pub use trial::{Arrival, Boot, Trial};
