//! The program that runs between the two kernels.
//!
//! The old kernel has put every segment in its place and jumps here. What was
//! loaded is checked; what is damaged is named on the consoles and the machine
//! is reset. If all is well the registers are loaded and the next kernel runs.
//! No interrupts, no memory but its own, no way out that is an endless loop.
//!
//! This is not a module of the library: `build.rs` compiles it as a program of
//! its own.
#![no_std]
#![no_main]

#[path = "../abi.rs"]
#[allow(dead_code)]
mod abi;
#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
mod arch;
mod console;
#[path = "../crc32c.rs"]
#[allow(dead_code)]
mod crc32c;
mod jump_back;
mod reset;
#[path = "../sha256.rs"]
mod sha256;
mod stamp;
mod verify;
mod vga;

use core::sync::atomic::{AtomicBool, Ordering};

use console::Console;

/// The parameters; their bytes are never changed by Rust code.
fn params() -> &'static abi::RawParams {
    // SAFETY: a block of the program's own image; any bytes are valid in it.
    unsafe { &arch::purgatory_params }
}

#[unsafe(no_mangle)]
extern "C" fn purgatory_main() {
    let jumped = arch::ticks();
    arch::set_fault_handlers();
    let params = params();
    let mut console = Console::new(params);
    if params.flags & abi::FLAG_RESET_VGA != 0 {
        vga::text_mode();
    }
    if params.flags & abi::FLAG_HELLO != 0 {
        console.text("kexec: checking what was loaded\n");
    }
    if !verify::all(params, &mut console) {
        reset::announced(params, &mut console);
    }
    if params.backup_len != 0 {
        arch::copy(
            params.backup_destination,
            params.backup_source,
            params.backup_len,
        );
    }
    // The command line was checked as it was loaded.
    if params.stamp != 0 {
        stamp::write(params, jumped);
    }
    if params.jump_back_cmdline != 0 {
        jump_back::append(params, &mut console);
    }
    if params.flags & abi::FLAG_HELLO != 0 {
        console.text("kexec: jumping to 0x");
        console.hex(params.entry.rip);
        console.text("\n");
    }
}

/// A fault of the processor. `frame`: the vector, then what the processor pushed
/// (an error code for some vectors, rip, cs, ...).
#[unsafe(no_mangle)]
extern "C" fn purgatory_fault(frame: *const u64, address: u64) -> ! {
    static SEEN: AtomicBool = AtomicBool::new(false);
    let params = params();
    // A fault while one is being told: the consoles are the trouble.
    if SEEN.swap(true, Ordering::Relaxed) {
        reset::now(params);
    }
    let mut console = Console::new(params);
    console.text("kexec: processor fault");
    for index in 0..3 {
        console.text(" 0x");
        // SAFETY: the stub and the processor pushed at least six words.
        console.hex(unsafe { frame.add(index).read() });
    }
    console.text(" in the purgatory, address 0x");
    console.hex(address);
    console.text("\n");
    reset::announced(params, &mut console)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    let params = params();
    let mut console = Console::new(params);
    console.text("kexec: internal error in the purgatory\n");
    reset::announced(params, &mut console)
}
