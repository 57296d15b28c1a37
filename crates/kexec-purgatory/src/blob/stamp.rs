//! Telling the next kernel when the jump was: the time-stamp counter, in digits
//! on its command line.

use crate::abi::{RawParams, STAMP_LEN};

/// Writes the counter's value over the digits that the loader left room for.
pub fn write(params: &RawParams, ticks: u64) {
    // SAFETY: the loader says that so many bytes of the command line are there.
    let room =
        unsafe { core::slice::from_raw_parts_mut(params.stamp as *mut u8, STAMP_LEN as usize) };
    for (digit, to) in room.iter_mut().rev().enumerate() {
        let value = (ticks >> (4 * digit)) as u8 & 15;
        *to = if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        };
    }
}
