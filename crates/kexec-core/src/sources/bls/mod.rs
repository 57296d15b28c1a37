//! The Boot Loader Specification as systemd-boot implements it.

pub mod choose;
pub mod conf;
pub mod entry;
pub mod glob;
mod lines;
pub mod name;
pub mod order;
pub mod stub;
pub mod ukis;
