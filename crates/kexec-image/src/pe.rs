//! The bounds of PE files.
