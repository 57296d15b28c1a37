//! What classic plans get from a machine: facts, consoles, the purgatory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod carried;
mod consoles;
mod facts;
mod machine;
mod no_initrd;
mod purgatory;
mod screen;
