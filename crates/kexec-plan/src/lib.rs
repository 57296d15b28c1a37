//! From an image, a command line and what is known of the machine to a plan
//! that says byte for byte what will be loaded and how. No I/O, no clock, no
//! randomness: the same input gives the same plan on every host, for every
//! architecture.
#![forbid(unsafe_code)]

pub mod cmdline;
mod error;
pub mod file;
pub mod method;

pub use cmdline::Cmdline;
pub use error::PlanError;
pub use file::{FilePlan, FileRequest, InitrdFile, Piece};
pub use method::{Decision, Method, MethodFacts, SyscallChoice};
