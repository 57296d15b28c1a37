//! What only this architecture has: ports, the time-stamp counter, CPUID, the
//! table of faults, copying.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, _rdtsc};
use core::mem::offset_of;

use crate::abi;

core::arch::global_asm!(
    include_str!("x86_64.s"),
    params_size = const size_of::<abi::RawParams>(),
    rip = const offset_of!(abi::RawParams, entry.rip),
    rax = const offset_of!(abi::RawParams, entry.rax),
    rbx = const offset_of!(abi::RawParams, entry.rbx),
    rcx = const offset_of!(abi::RawParams, entry.rcx),
    rdx = const offset_of!(abi::RawParams, entry.rdx),
    rsi = const offset_of!(abi::RawParams, entry.rsi),
    rdi = const offset_of!(abi::RawParams, entry.rdi),
    rbp = const offset_of!(abi::RawParams, entry.rbp),
    rsp = const offset_of!(abi::RawParams, entry.rsp),
    r8 = const offset_of!(abi::RawParams, entry.r8),
    r9 = const offset_of!(abi::RawParams, entry.r9),
    r10 = const offset_of!(abi::RawParams, entry.r10),
    r11 = const offset_of!(abi::RawParams, entry.r11),
    r12 = const offset_of!(abi::RawParams, entry.r12),
    r13 = const offset_of!(abi::RawParams, entry.r13),
    r14 = const offset_of!(abi::RawParams, entry.r14),
    r15 = const offset_of!(abi::RawParams, entry.r15),
    mode = const offset_of!(abi::RawParams, entry.mode),
    stack = const offset_of!(abi::RawParams, entry.stack),
    mode_protected32 = const abi::MODE_PROTECTED32,
    mode_four_level = const abi::MODE_LONG64_FOUR_LEVEL,
    page_tables = const offset_of!(abi::RawParams, page_tables),
    stack_caller = const abi::STACK_CALLER,
);

unsafe extern "C" {
    /// Written by the loader before the program is loaded.
    pub static purgatory_params: abi::RawParams;
    /// The first byte of the program.
    pub static purgatory_entry: u8;
    static purgatory_caller_stack: u64;
    static purgatory_fault_stubs: u8;
    static mut purgatory_idt: [u64; 64];
    fn purgatory_triple_fault() -> !;
}

pub fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: reading a port touches no memory of this program.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) };
    value
}

pub fn outb(port: u16, value: u8) {
    // SAFETY: writing a port touches no memory of this program.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) };
}

pub fn pause() {
    core::hint::spin_loop();
}

pub fn ticks() -> u64 {
    // SAFETY: every 64-bit processor has the counter.
    unsafe { _rdtsc() }
}

/// Whether the processor has the `crc32` instruction: CPUID leaf 1, ECX bit 20
/// (SSE 4.2; Intel SDM volume 2, CPUID).
// Newer versions of Rust have it as a safe function.
#[allow(unused_unsafe)]
pub fn has_crc32_instruction() -> bool {
    // SAFETY: every 64-bit processor has the instruction, and leaf 1.
    let leaf = unsafe { __cpuid(1) };
    leaf.ecx & (1 << 20) != 0
}

/// The word at the stack pointer of the entry: where the kernel wants to be
/// called back, if it jumped with its context preserved.
pub fn return_address() -> u64 {
    // SAFETY: only asked for under a context-preserving kexec, where the kernel
    // calls (not jumps), so that its stack is there and mapped.
    unsafe { core::ptr::read(purgatory_caller_stack as *const u64) }
}

/// Points every fault at its stub. The IDT is loaded already; it is still all
/// zeros, which means "not present".
pub fn set_fault_handlers() {
    let stubs = (&raw const purgatory_fault_stubs) as u64;
    let table = (&raw mut purgatory_idt).cast::<u64>();
    for vector in 0..32 {
        let target = stubs + vector as u64 * 8;
        // An interrupt gate, present, selector 0x10 (Intel SDM volume 3, 7.14.1).
        let low =
            (target & 0xffff) | (0x10 << 16) | (0x8e00 << 32) | ((target & 0xffff_0000) << 32);
        // SAFETY: 32 gates of two words each; nobody else holds the table.
        unsafe {
            table.add(2 * vector).write_volatile(low);
            table.add(2 * vector + 1).write_volatile(target >> 32);
        }
    }
}

/// Copies memory that nothing in this program refers to (address 0 included).
pub fn copy(destination: u64, source: u64, len: u64) {
    // SAFETY: the loader names a destination of its own, apart from this program.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") len => _, inout("rsi") source => _, inout("rdi") destination => _,
            options(nostack, preserves_flags),
        );
    }
}

pub fn triple_fault() -> ! {
    // SAFETY: does not return.
    unsafe { purgatory_triple_fault() }
}
