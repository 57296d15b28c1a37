//! Values made visible: text for people, JSON for programs, a picture.

mod bands;
#[cfg_attr(not(test), expect(dead_code, reason = "wired in by the plan verb"))]
pub mod classic;
mod facts;
pub mod json;
#[cfg(test)]
mod plans;
#[cfg_attr(not(test), expect(dead_code, reason = "wired in by the plan verb"))]
pub mod svg;
pub mod text;
mod words;
