//! The VGA text screen: 80 columns of 25 rows at 0xb8000, a character and an
//! attribute each. Lines are written at the bottom and scroll up, so that no
//! cursor has to be known.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::arch::{inb, outb};

const SCREEN: *mut u16 = 0xb8000 as *mut u16;
const COLUMNS: usize = 80;
const ROWS: usize = 25;
/// A blank, light grey on black.
const BLANK: u16 = 0x0720;

/// Characters in the bottom row since the last end of a line; at a multiple of
/// `COLUMNS`, 0 included, the screen scrolls before the next one.
static WRITTEN: AtomicUsize = AtomicUsize::new(0);

pub fn put(byte: u8) {
    let written = WRITTEN.load(Ordering::Relaxed);
    if byte == b'\n' {
        if written == 0 {
            scroll();
        }
        WRITTEN.store(0, Ordering::Relaxed);
        return;
    }
    let column = written % COLUMNS;
    if column == 0 {
        scroll();
    }
    cell(
        (ROWS - 1) * COLUMNS + column,
        (BLANK & 0xff00) | u16::from(byte),
    );
    WRITTEN.store(written + 1, Ordering::Relaxed);
}

fn scroll() {
    for index in 0..(ROWS - 1) * COLUMNS {
        // SAFETY: inside the screen, which no Rust object occupies.
        cell(index, unsafe {
            SCREEN.add(index + COLUMNS).read_volatile()
        });
    }
    for index in (ROWS - 1) * COLUMNS..ROWS * COLUMNS {
        cell(index, BLANK);
    }
}

fn cell(index: usize, value: u16) {
    // SAFETY: every caller stays inside the screen, which no Rust object occupies.
    unsafe { SCREEN.add(index).write_volatile(value) };
}

// The registers of mode 3, 80x25 text at 720x400 (IBM Personal System/2 Hardware
// Interface Technical Reference, video subsystem: parameters of mode 3+).
const MISCELLANEOUS: u8 = 0x67;
static SEQUENCER: [u8; 5] = [0x03, 0x00, 0x03, 0x00, 0x02];
static CRT: [u8; 25] = [
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00,
    0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
];
static GRAPHICS: [u8; 9] = [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff];
static ATTRIBUTE: [u8; 21] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
    0x0c, 0x00, 0x0f, 0x08, 0x00,
];

/// Sets a standard VGA to text mode 3. Fonts and palette stay what they are: a
/// driver that overwrote plane 2 has to restore them.
pub fn text_mode() {
    outb(0x3c2, MISCELLANEOUS);
    registers(0x3c4, &SEQUENCER);
    // Bit 7 of register 0x11 locks registers 0 to 7.
    outb(0x3d4, 0x11);
    outb(0x3d5, 0x0e);
    registers(0x3d4, &CRT);
    registers(0x3ce, &GRAPHICS);
    for (index, value) in (0..).zip(&ATTRIBUTE) {
        let _ = inb(0x3da); // the next write to 0x3c0 is an index
        outb(0x3c0, index);
        outb(0x3c0, *value);
    }
    let _ = inb(0x3da);
    outb(0x3c0, 0x20); // the screen is on
}

#[inline(never)]
fn registers(port: u16, values: &[u8]) {
    for (index, value) in (0..).zip(values) {
        outb(port, index);
        outb(port + 1, *value);
    }
}
