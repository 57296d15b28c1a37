//! The story of a kexec. Read [`pipeline`] first: it is the whole walk in one
//! file, and every other module is one step of it.
#![forbid(unsafe_code)]

pub mod arrival;
pub mod classic;
pub mod companions;
pub mod enable;
pub mod error;
pub mod explain;
pub mod handover;
pub mod initrd;
pub mod inputs;
pub mod jump_back;
pub mod needs_reboot;
pub mod pipeline;
mod place;
pub mod preflight;
pub mod preload;
pub mod record;
pub mod request;
pub mod target;

pub use error::Error;
pub use request::{CmdlineChoice, LoadRequest, SyscallChoice};
