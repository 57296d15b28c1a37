//! One folder per architecture. All are compiled and tested on every host.

pub mod x86_64;
