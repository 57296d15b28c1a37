//! `cargo xtask bench WHAT`: what things cost, in tables.

mod load;

pub use load::run as load;
