//! What can be typed behind `kexec` and `vmcore-dmesg`, and what is said about it: the definition of
//! the command line as data. The program understands with it, and its help, its
//! manual pages and its completions are made from it.
#![forbid(unsafe_code)]

pub mod args;
pub mod before_panic;
pub mod coldreboot;
pub mod companions;
pub mod help;
pub mod manual;
pub mod visible;
pub mod vmcore_dmesg;
