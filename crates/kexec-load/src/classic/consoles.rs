//! The consoles of a command line, as far as a program without drivers can
//! write to them.

use kexec_plan::Cmdline;
use kexec_plan::classic::Display;
use kexec_purgatory::{Console, MAX_CONSOLES};

use super::facts::{boot_param, display, number};
use kexec_machine::Snapshot;
use kexec_machine::snapshot::SerialPort;

/// The ports of ttyS0 to ttyS3 on every PC (Documentation/admin-guide/
/// devices.txt leaves them to the hardware; arch/x86/include/asm/serial.h has
/// these).
const STANDARD_PORTS: [u16; 4] = [0x3f8, 0x2f8, 0x3e8, 0x2e8];

/// The clock of a PC's serial port, Hz: 16 times 115200 baud.
const STANDARD_CLOCK: u32 = 1_843_200;

/// `io_type` of a chip behind I/O ports.
const IO_PORTS: u32 = 0;

/// `orig_video_isVGA` of boot_params (Documentation/arch/x86/zero-page.rst:
/// `screen_info` is at 0), and the last of its values that is a text mode
/// (include/uapi/linux/screen_info.h, VIDEO_TYPE_VGAC).
const VIDEO_TYPE: usize = 0x0f;
const LAST_TEXT: u8 = 0x22;

/// Where the purgatory writes its messages: the consoles of `cmdline`, which is
/// the next kernel's. A console that cannot be reached from there is left out:
/// a serial port behind memory, a framebuffer, a hypervisor's.
///
/// `console=ttyS1,115200`, `console=uart8250,io,0x3f8,115200`, `earlycon=` and
/// `earlyprintk=` in the same forms (Documentation/admin-guide/
/// kernel-parameters.txt). Without a speed the port keeps the one it has. A
/// command line without `console=` has the screen.
pub fn consoles(cmdline: &Cmdline, host: &Snapshot) -> Vec<Console> {
    let mut found = ConsoleSearch {
        host,
        consoles: Vec::new(),
    };
    let mut named = false;
    for word in cmdline.words().take_while(|w| *w != b"--") {
        let text = String::from_utf8_lossy(word);
        let bare = text.replace('"', "");
        let Some((name, value)) = bare.split_once('=') else {
            continue;
        };
        let options: Vec<&str> = value.split(',').collect();
        match name {
            "console" => {
                named = true;
                found.console(&options);
            }
            "earlycon" => found.console(&options),
            "earlyprintk" => found.earlyprintk(&options),
            _ => {}
        }
    }
    if !named {
        found.screen();
    }
    found.consoles.truncate(MAX_CONSOLES);
    found.consoles
}

/// Whether there is a text screen to write to: nobody drives the screen in
/// another mode, and the first boot loader left it so.
pub fn text_screen(host: &Snapshot) -> bool {
    if display(&host.display) != Display::Text {
        return false;
    }
    match boot_param(host, VIDEO_TYPE, 1).as_deref() {
        Some([kind]) => (1..=LAST_TEXT).contains(kind),
        _ => !host.firmware.efi,
    }
}

/// The console at an I/O port. `clock` is the chip's, Hz; a speed that it
/// cannot have, or none, leaves the one that is set.
pub fn serial_port(io_base: u16, clock: Option<u32>, baud: Option<u32>) -> Console {
    let clock = clock.filter(|c| *c != 0).unwrap_or(STANDARD_CLOCK);
    // The chip samples 16 times for each bit; the nearest speed is taken.
    let divisor = baud.and_then(|baud| {
        let samples = baud.checked_mul(16).filter(|s| *s != 0)?;
        let nearest = clock.checked_add(samples / 2)?.checked_div(samples)?;
        u16::try_from(nearest).ok().filter(|d| *d != 0)
    });
    Console::SerialPort { io_base, divisor }
}

struct ConsoleSearch<'a> {
    host: &'a Snapshot,
    consoles: Vec<Console>,
}

impl ConsoleSearch<'_> {
    /// The values of `console=` and `earlycon=`.
    fn console(&mut self, options: &[&str]) {
        match *options {
            ["uart8250" | "uart", "io", port, ref rest @ ..] => {
                let baud = rest.first().and_then(|o| speed(o));
                self.at(port, baud);
            }
            [name, ref rest @ ..] => {
                if let Some(line) = line(name) {
                    self.line(line, rest.first().and_then(|o| speed(o)));
                } else if is_virtual_terminal(name) {
                    self.screen();
                }
            }
            [] => {}
        }
    }

    /// `serial[,ttySn|0x...[,baud]]`, `ttySn[,baud]`, `vga`.
    fn earlyprintk(&mut self, options: &[&str]) {
        match *options {
            ["vga", ..] => self.screen(),
            ["serial", place, ref rest @ ..] if place.starts_with("0x") => {
                self.at(place, rest.first().and_then(|o| speed(o)));
            }
            ["serial", name, ref rest @ ..] if line(name).is_some() => {
                self.line(line(name).unwrap_or(0), rest.first().and_then(|o| speed(o)));
            }
            ["serial", ..] => self.line(0, None),
            [name, ref rest @ ..] => {
                if let Some(line) = line(name) {
                    self.line(line, rest.first().and_then(|o| speed(o)));
                }
            }
            [] => {}
        }
    }

    fn screen(&mut self) {
        if text_screen(self.host) {
            self.add(Console::Vga);
        }
    }

    fn at(&mut self, port: &str, baud: Option<u32>) {
        let digits = port.strip_prefix("0x");
        let base = digits.and_then(|d| number(d, 16)).and_then(usable);
        if let Some(base) = base {
            let known = self.port(|p| p.port == u64::from(base));
            let clock = known.map(|p| p.clock);
            self.add(serial_port(base, clock, baud));
        }
    }

    fn line(&mut self, line: u32, baud: Option<u32>) {
        if let Some(port) = self.port(|p| p.line == line) {
            // The kernel looked, and there is no chip, or not behind a port.
            if port.kind != 0
                && port.io_type == IO_PORTS
                && let Some(base) = usable(port.port)
            {
                self.add(serial_port(base, Some(port.clock), baud));
            }
            return;
        }
        let standard = usize::try_from(line).ok();
        if let Some(base) = standard.and_then(|l| STANDARD_PORTS.get(l)) {
            self.add(serial_port(*base, None, baud));
        }
    }

    fn port(&self, is: impl Fn(&SerialPort) -> bool) -> Option<SerialPort> {
        let ports = self.host.serial.known()?;
        ports.iter().find(|p| is(p)).copied()
    }

    /// Each place once; a speed that is said anywhere counts.
    fn add(&mut self, new: Console) {
        let same = |old: &&mut Console| match (&**old, &new) {
            (Console::SerialPort { io_base: a, .. }, Console::SerialPort { io_base: b, .. }) => {
                a == b
            }
            (old, new) => *old == *new,
        };
        match self.consoles.iter_mut().find(same) {
            Some(old) => {
                if let Console::SerialPort {
                    divisor: Some(_), ..
                } = new
                {
                    *old = new;
                }
            }
            None => self.consoles.push(new),
        }
    }
}

/// The eight registers of a chip have to be ports.
fn usable(port: u64) -> Option<u16> {
    u16::try_from(port)
        .ok()
        .filter(|p| (1..=0xfff8).contains(p))
}

/// The N of `ttySN`.
fn line(name: &str) -> Option<u32> {
    number(name.strip_prefix("ttyS")?, 10)?.try_into().ok()
}

/// `tty0`, `tty1`: the screen and the keyboard.
fn is_virtual_terminal(name: &str) -> bool {
    name.strip_prefix("tty")
        .is_some_and(|n| number(n, 10).is_some())
}

/// The speed in `115200n8r`.
fn speed(options: &str) -> Option<u32> {
    let end = options.find(|c: char| !c.is_ascii_digit());
    options.get(..end.unwrap_or(options.len()))?.parse().ok()
}
