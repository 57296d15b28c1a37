//! Telling the next kernel where the old one waits to be called back
//! (`kexec_jump_back_entry=`, a kexec that preserves the old kernel's context).

use crate::abi::RawParams;
use crate::arch;
use crate::console::Console;

const KEY: &[u8] = b" kexec_jump_back_entry=0x";

pub fn append(params: &RawParams, console: &mut Console) {
    let address = arch::return_address();
    if address == 0 {
        return;
    }
    let capacity = params.jump_back_capacity as usize;
    // SAFETY: the loader reserved this room in a segment of its own.
    let room =
        unsafe { core::slice::from_raw_parts_mut(params.jump_back_cmdline as *mut u8, capacity) };
    let used = room.iter().position(|byte| *byte == 0);
    let digits = (64 - address.leading_zeros()).div_ceil(4);
    let needed = KEY.len() + digits as usize + 1;
    match used.and_then(|used| room.get_mut(used..used.checked_add(needed)?)) {
        Some(free) => {
            let digits = (0..digits).rev().map(|digit| {
                let value = (address >> (4 * digit)) as u8 & 15;
                if value < 10 {
                    b'0' + value
                } else {
                    b'a' + value - 10
                }
            });
            let text = KEY.iter().copied().chain(digits).chain([0]);
            for (to, from) in free.iter_mut().zip(text) {
                *to = from;
            }
        }
        None => console.text("kexec: no room for kexec_jump_back_entry= on the command line\n"),
    }
}
