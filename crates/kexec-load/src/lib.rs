//! One load of a kernel. Read [`pipeline`] first: it is the whole walk in one
//! file, and every other module is one step of it.
#![forbid(unsafe_code)]

pub mod classic;
pub mod companions;
mod demand;
pub mod downtime;
pub mod error;
pub mod explain;
pub mod initrd;
pub mod inner;
pub mod inputs;
pub mod jump_back;
mod method_facts;
pub mod next_config;
pub mod pipeline;
mod place;
pub mod preflight;
pub mod request;
mod staged;
pub mod unpacked;

pub use error::Error;
pub use inputs::Inputs;
pub use request::{CmdlineChoice, LoadRequest, SyscallChoice};
