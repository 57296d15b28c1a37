//! Values made visible: text for people, JSON for programs, a picture.

mod bands;
pub mod classic;
pub mod dmesg;
pub mod entries;
mod facts;
pub mod journeys;
pub mod json;
#[cfg(test)]
mod plans;
pub mod svg;
pub mod text;
mod words;

pub use words::visible;
