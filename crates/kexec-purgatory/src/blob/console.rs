//! Where messages go: 16550 UARTs and the VGA text screen. Every poll ends.

use crate::abi::{CONSOLE_SERIAL, CONSOLE_VGA, MAX_CONSOLES, RawConsole, RawParams};
use crate::{arch, vga};

/// Reads of the line status register before a UART is given up: each takes about
/// a microsecond, and a character takes 33 ms at 300 baud.
const POLLS: u32 = 100_000;

// 16550 registers (National Semiconductor PC16550D, table II).
const TRANSMIT: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;
const HOLDING_EMPTY: u8 = 1 << 5;
const DIVISOR_LATCH: u8 = 1 << 7;
const EIGHT_NONE_ONE: u8 = 3;

pub struct Console {
    consoles: &'static [RawConsole],
    ready: bool,
    /// One bit for each console that did not answer.
    dead: u32,
}

impl Console {
    pub fn new(params: &'static RawParams) -> Self {
        let count = (params.console_count as usize).min(MAX_CONSOLES);
        Self {
            consoles: params.consoles.get(..count).unwrap_or(&[]),
            ready: false,
            dead: 0,
        }
    }

    pub fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            self.byte(byte);
        }
    }

    /// A name of the loader's, up to its first zero; what is not printable ASCII
    /// is shown as `?`.
    pub fn name(&mut self, name: &[u8]) {
        for byte in name {
            match byte {
                0 => return,
                b' '..=b'~' => self.byte(*byte),
                _ => self.byte(b'?'),
            }
        }
    }

    /// A number without leading zeros.
    pub fn hex(&mut self, value: u64) {
        let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            self.digit((value >> (4 * digit)) as u8);
        }
    }

    /// A number below 1000, as people write it.
    pub fn decimal(&mut self, value: u32) {
        if value >= 100 {
            self.digit((value / 100 % 10) as u8);
        }
        if value >= 10 {
            self.digit((value / 10 % 10) as u8);
        }
        self.digit((value % 10) as u8);
    }

    /// Bytes, two digits each.
    pub fn hex_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.digit(byte >> 4);
            self.digit(*byte);
        }
    }

    fn digit(&mut self, digit: u8) {
        let digit = digit & 15;
        self.byte(if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        });
    }

    fn byte(&mut self, byte: u8) {
        if !self.ready {
            self.ready = true;
            self.set_up();
        }
        for (index, console) in self.consoles.iter().enumerate() {
            if self.dead & (1 << index) != 0 {
                continue;
            }
            let sent = match console.kind {
                CONSOLE_SERIAL if byte == b'\n' => {
                    send(console.io_base, b'\r') && send(console.io_base, byte)
                }
                CONSOLE_SERIAL => send(console.io_base, byte),
                CONSOLE_VGA => {
                    vga::put(byte);
                    true
                }
                _ => false,
            };
            if !sent {
                self.dead |= 1 << index;
            }
        }
    }

    /// 8N1 at the given speed, without interrupts. Without a speed the UART stays
    /// as the old kernel left it.
    fn set_up(&self) {
        for console in self.consoles {
            let base = console.io_base;
            if console.kind == CONSOLE_SERIAL && console.divisor != 0 {
                let [low, high] = console.divisor.to_le_bytes();
                arch::outb(base.wrapping_add(INTERRUPT_ENABLE), 0);
                arch::outb(
                    base.wrapping_add(LINE_CONTROL),
                    EIGHT_NONE_ONE | DIVISOR_LATCH,
                );
                arch::outb(base.wrapping_add(TRANSMIT), low);
                arch::outb(base.wrapping_add(INTERRUPT_ENABLE), high);
                arch::outb(base.wrapping_add(LINE_CONTROL), EIGHT_NONE_ONE);
                arch::outb(base.wrapping_add(FIFO_CONTROL), 1);
                arch::outb(base.wrapping_add(MODEM_CONTROL), 3);
            }
        }
    }
}

/// Whether the byte was taken. A port that reads all ones has no UART.
fn send(base: u16, byte: u8) -> bool {
    for _ in 0..POLLS {
        match arch::inb(base.wrapping_add(LINE_STATUS)) {
            0xff => return false,
            status if status & HOLDING_EMPTY != 0 => {
                arch::outb(base.wrapping_add(TRANSMIT), byte);
                return true;
            }
            _ => arch::pause(),
        }
    }
    false
}
