//! What is known of a machine, read below a root directory that a test can replace:
//! a [`Snapshot`] of what decides what a kexec can do on it, and its [`volumes`], the
//! file systems that it boots from, with the rule of whose word counts ([`volumes::trust`]).
//!
//! Nothing here changes anything. What could not be read says why: [`Fact`].
#![forbid(unsafe_code)]
// What is `pub` is for other crates.
#![deny(unreachable_pub)]

mod fact;
pub mod guid;
mod inside;
mod numbered;
pub mod open;
mod problem;
pub mod programs;
mod pseudo;
mod root;
pub mod snapshot;
pub mod tree;
pub mod volumes;
mod walk;

pub use fact::Fact;
pub use inside::{Inside, is_crash_kernel};
pub use problem::Problem;
pub(crate) use root::Root;
pub use snapshot::Snapshot;
pub use tree::Tree;
