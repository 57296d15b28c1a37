//! What only kexec_load(2) on x86 knows: how the next kernel is entered, and
//! what the code between the two kernels does.

use super::{Effect, Flag, Group, Id, LOADS, Syntax, Value, X86};

const fn flag(id: Id, long: &'static str, effect: Effect) -> Flag {
    Flag {
        arches: X86,
        ..Flag::new(id, long, Group::X86, effect)
    }
}

const PORT: Effect = Effect::CLASSIC.beside(Id::ConsoleSerial);

pub(super) const FLAGS: &[Flag] = &[
    // These two ask for another entry, so they choose kexec_load(2) by themselves.
    Flag {
        load_only: true,
        doc_short: "Refused: current kernels have no real-mode entry",
        ..flag(Id::RealMode, "real-mode", Effect::modes(LOADS))
    },
    Flag {
        load_only: true,
        doc_short: "Enter the kernel at its 32-bit entry",
        ..flag(Id::Entry32Bit, "entry-32bit", Effect::modes(LOADS))
    },
    Flag {
        load_only: true,
        doc_short: "Do not pass the EFI firmware to the next kernel",
        ..flag(Id::NoEfi, "noefi", Effect::CLASSIC)
    },
    Flag {
        load_only: true,
        doc_short: "Use the running kernel's video type without checking it",
        ..flag(Id::ReuseVideoType, "reuse-video-type", Effect::CLASSIC)
    },
    Flag {
        doc_short: "Reset a VGA card between the kernels",
        ..flag(Id::ResetVga, "reset-vga", Effect::CLASSIC)
    },
    Flag {
        doc_short: "Show messages on a VGA card between the kernels",
        ..flag(Id::ConsoleVga, "console-vga", Effect::CLASSIC)
    },
    Flag {
        doc_short: "Show messages on a serial port between the kernels",
        ..flag(Id::ConsoleSerial, "console-serial", Effect::CLASSIC)
    },
    Flag {
        value: Value::Required("PORT", Syntax::SerialPort),
        doc_short: "The serial port: ttyS0, ttyS1 or 0xADDR",
        ..flag(Id::Serial, "serial", PORT)
    },
    Flag {
        value: Value::Required("BAUD", Syntax::SerialSpeed),
        doc_short: "Its speed: a divisor of 115200, at least 9600; 0 keeps the current one",
        ..flag(Id::SerialBaud, "serial-baud", PORT)
    },
];
