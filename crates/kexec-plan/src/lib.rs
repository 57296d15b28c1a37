//! From an image, a command line and what is known of the machine to a plan
//! that says byte for byte what will be loaded and how. No I/O, no clock, no
//! randomness: the same input gives the same plan on every host, for every
//! architecture.
#![forbid(unsafe_code)]

mod arch;

pub mod classic;
pub mod cmdline;
pub mod crash;
mod error;
pub mod file;
pub mod memory;
pub mod method;
mod piece;
pub mod planners;
#[cfg(feature = "schema")]
mod schema;
pub mod size;
pub mod token;
pub mod unpack;

pub use arch::x86_64::{kaslr, paging};
pub use classic::{ClassicError, ClassicRequest, LoadPlan};
pub use cmdline::Cmdline;
pub use error::PlanError;
pub use file::{EntryLine, FilePlan, FileRequest, InitrdFile};
pub use method::{Decision, Method, MethodFacts, SyscallChoice};
pub use piece::Piece;
pub use token::{Mark, Token};
