//! What is unpacked before the jump, so that the next kernel need not do it.

pub(crate) mod kernel;
