//! `cargo xtask bench WHAT`: what things cost, in tables.

mod crash;
mod downtime;
mod load;

pub use crash::run as crash;
pub use downtime::run as downtime;
pub use load::run as load;
