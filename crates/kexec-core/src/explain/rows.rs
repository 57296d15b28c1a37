//! The table: errno, cause, remedy.

use super::Row;

/// Every cause that is known, in the order in which they are tried: the first
/// row of an errno that applies is the answer, and the last of each applies
/// always.
pub const ROWS: &[Row] = &[];
