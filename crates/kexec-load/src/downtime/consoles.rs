//! How much of its log the next kernel writes to slow serial consoles.

use std::fmt;

use kexec_machine::Snapshot;
use kexec_plan::Cmdline;

/// Bytes of the log of a kernel's boot: Debian's cloud kernel 7.3.4 in a virtual machine.
/// Real machines have more.
pub(super) const LOG_LEN: u64 = 24_500;

/// A start bit, eight bits of data, a stop bit (8n1).
pub(super) const BITS_PER_BYTE: u64 = 10;

/// The speed of a serial console that none is given for, and its parity
/// (Documentation/admin-guide/serial-console.rst: "9600n8").
const DEFAULT_BAUD: u32 = 9600;

/// The level of messages that reach a console, where nothing says another
/// (CONFIG_CONSOLE_LOGLEVEL_DEFAULT), and that of `quiet` (..._QUIET); their defaults in
/// lib/Kconfig.debug.
const DEFAULT_LEVEL: u32 = 7;
const QUIET_LEVEL: u32 = 4;
/// `KERN_INFO` (Documentation/core-api/printk-basics.rst), which most messages have. Those
/// below the console's level are shown.
const INFO: u32 = 6;

/// A serial port that the next kernel writes its messages to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialConsole {
    /// As it is on the command line: `ttyS0`.
    pub name: String,
    /// Bits in a second.
    pub baud: u32,
}

impl fmt::Display for SerialConsole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} baud", self.name, self.baud)
    }
}

/// The serial consoles of a command line: `console=ttyS1,115200n8`, and
/// `console=uart8250,io,0x3f8,115200` (Documentation/admin-guide/kernel-parameters.txt).
/// A port where the running kernel found no chip is none.
pub(super) fn serial_consoles(cmdline: &Cmdline, host: &Snapshot) -> Vec<SerialConsole> {
    let mut found: Vec<SerialConsole> = Vec::new();
    for word in cmdline.words().take_while(|w| *w != b"--") {
        let text = String::from_utf8_lossy(word).replace('"', "");
        let Some(value) = text.strip_prefix("console=") else {
            continue;
        };
        let options: Vec<&str> = value.split(',').collect();
        let (name, speed) = match *options {
            ["uart8250" | "uart", _, port, ref rest @ ..] => (port, rest.first()),
            [name, ref rest @ ..] if is_there(name, host) => (name, rest.first()),
            _ => continue,
        };
        let digits = speed.map(|s| s.split(|c: char| !c.is_ascii_digit()).next());
        let baud = digits.flatten().and_then(|digits| digits.parse().ok());
        let console = SerialConsole {
            name: name.to_owned(),
            baud: baud.filter(|baud| *baud > 0).unwrap_or(DEFAULT_BAUD),
        };
        if !found.iter().any(|old| old.name == console.name) {
            found.push(console);
        }
    }
    found
}

/// Whether this is a serial port that is not known to have no chip.
fn is_there(name: &str, host: &Snapshot) -> bool {
    let line = name
        .strip_prefix("ttyS")
        .and_then(|n| n.parse::<u32>().ok());
    let Some(line) = line else {
        return false;
    };
    let ports = host.serial.known().into_iter().flatten();
    let mut ports = ports.filter(|port| port.line == line);
    ports.next().is_none_or(|port| port.kind != 0)
}

/// Whether the messages of the boot reach the consoles
/// (Documentation/admin-guide/kernel-parameters.txt: `quiet`, `debug`, `loglevel=`,
/// `ignore_loglevel`). The last word counts.
pub(super) fn is_verbose(cmdline: &Cmdline) -> bool {
    let mut level = DEFAULT_LEVEL;
    for word in cmdline.words().take_while(|w| *w != b"--") {
        level = match word {
            b"quiet" => QUIET_LEVEL,
            b"debug" => u32::MAX,
            b"ignore_loglevel" => return true,
            word => {
                let value = word.strip_prefix(b"loglevel=");
                let value = value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
                value.unwrap_or(level)
            }
        };
    }
    level > INFO
}
