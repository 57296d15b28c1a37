//! The system calls of kexec, and nothing that decides.
//!
//! This crate is the only one of the program (beside the purgatory) that holds
//! `unsafe` code. It asks the kernel, and says what the kernel answered; what
//! to ask, and what an answer means to a user, is decided elsewhere.
//!
//! * [`Kernel`]: the few things the program asks of the running kernel. A plain
//!   trait, so that everything above it can be tried on a machine that does not
//!   exist. [`Linux`] is the real one.
//! * [`double`]: the other one: a kernel of the same manners, with a machine
//!   that a test describes, which records what was asked.
//! * [`SealedFile`]: bytes that nobody can change any more, in a file descriptor
//!   that the kernel takes. Files are read once, into one of these, and checked
//!   and loaded from there.
//! * [`netlink`]: the messages of rtnetlink(7), of which a network is made.
//! * [`has_five_levels`], [`has_memory_encryption`], [`has_encrypted_guest_memory`]: what the processor itself says.
//! * [`cycles`]: the processor's cycle counter, which a kexec does not reset.
//! * [`Errno`], [`FileFlags`], [`LoadFlags`]: the kernel's numbers by name.

mod cpu;
mod cycles;
pub mod double;
mod errno;
mod flags;
mod kernel;
mod linux;
pub mod netlink;
mod route;
mod sealed;

pub use cpu::{has_encrypted_guest_memory, has_five_levels, has_memory_encryption};
pub use cycles::cycles;
pub use errno::{Errno, in_words};
pub use flags::{FileFlags, LoadFlags, elf_machine};
pub use kernel::{Kernel, SEGMENT_MAX, Segment, Slot};
pub use linux::Linux;
pub use netlink::RouteMessage;
pub use sealed::{SealStep, SealedError, SealedFile};
