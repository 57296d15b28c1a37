//! `cargo xtask bench WHAT`: what things cost, in tables.

mod downtime;
mod load;

pub use downtime::run as downtime;
pub use load::run as load;
