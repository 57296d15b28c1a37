//! Installed systems: a Debian suite on a disk, with a firmware, a boot loader
//! and an init, that a scenario takes through several boots.
//!
//! Three layers, each cached in the lab's folder by its content:
//! [`Recipe`] → a base system (one tar file per suite and init, made with
//! mmdebstrap) → an image (partition table, file systems, boot loader) for each
//! [`SystemLayout`] → a copy of the image for each [`InstalledMachine`], with the trial's
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

pub use base::{Generator, InitSystem, Recipe};
pub use layout::{CONSOLE, SystemLayout};
pub use machine::InstalledMachine;
pub use trial::{FirmwareBoot, StartedBy, Trial};
