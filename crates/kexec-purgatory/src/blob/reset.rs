//! The ways to reset a PC, one after another until one works.

use crate::abi::RawParams;
use crate::arch::{self, inb, outb};
use crate::console::Console;

/// Reads of the keyboard controller's status before it is given up.
const POLLS: u32 = 0x1_0000;

/// Says so, waits so that it can be read, resets.
pub fn announced(params: &RawParams, console: &mut Console) -> ! {
    console.text("kexec: not jumping; the machine is reset in ");
    console.decimal(params.wait_seconds);
    console.text(" seconds\n");
    wait(params, params.wait_seconds.saturating_mul(1000));
    now(params)
}

/// Resets the machine, at once.
pub fn now(params: &RawParams) -> ! {
    // The keyboard controller pulses the reset line (8042, command 0xfe).
    for _ in 0..POLLS {
        if inb(0x64) & 2 == 0 {
            break;
        }
        arch::pause();
    }
    outb(0x64, 0xfe);
    wait(params, 50);
    // The reset control register of the chipset (Intel ICH, RST_CNT 0xcf9): a
    // hard reset is chosen, then triggered; then one with a power cycle.
    for value in [0x02, 0x06, 0x0a, 0x0e] {
        outb(0xcf9, value);
        wait(params, 50);
    }
    arch::triple_fault()
}

/// Waits by the time-stamp counter, or by reads of a port that nothing answers
/// at (about a microsecond each) where its frequency is not known.
fn wait(params: &RawParams, milliseconds: u32) {
    if params.tsc_khz == 0 {
        for _ in 0..u64::from(milliseconds) * 1000 {
            inb(0x80);
        }
        return;
    }
    let start = arch::ticks();
    let ticks = params.tsc_khz.saturating_mul(u64::from(milliseconds));
    while arch::ticks().wrapping_sub(start) < ticks {
        arch::pause();
    }
}
