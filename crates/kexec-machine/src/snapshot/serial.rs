//! Serial ports, where messages between the two kernels go.

use serde::{Deserialize, Serialize};

use crate::Fact;
use crate::Root;
use crate::numbered::numbered_names;

const FOLDER: &str = "/sys/class/tty";

/// The kernel has at most so many (CONFIG_SERIAL_8250_NR_UARTS goes to 512).
pub(super) const MAX_PORTS: usize = 512;

/// /sys/class/tty/ttySN (Documentation/ABI/testing/sysfs-tty).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialPort {
    /// The N of ttySN.
    pub line: u32,
    /// `type`: 0 where the kernel found no chip, 4 for a 16550A
    /// (include/uapi/linux/serial_core.h).
    pub kind: u32,
    /// `io_type`: 0 for I/O ports, others for memory (`SERIAL_IO_*` in
    /// include/uapi/linux/serial.h).
    pub io_type: u32,
    /// `port`: the first I/O port.
    pub port: u64,
    /// `uartclk`: 16 times the highest speed, Hz; 0 where it is not known.
    pub clock: u32,
}

pub(super) fn read(root: &Root) -> Fact<Vec<SerialPort>> {
    numbered_names(root, FOLDER, "ttyS", MAX_PORTS).and_then(|lines| {
        let mut ports = Vec::with_capacity(lines.len());
        for line in lines {
            match port(root, line) {
                Fact::Known(port) => ports.push(port),
                // Another driver's ttyS shows none of this.
                Fact::Absent => {}
                Fact::Unreadable(reason) => return Fact::Unreadable(reason),
            }
        }
        Fact::Known(ports)
    })
}

fn port(root: &Root, line: u32) -> Fact<SerialPort> {
    let path = |name: &str| format!("{FOLDER}/ttyS{line}/{name}");
    let small = |name: &str| root.parse(&path(name), "a number", |text| text.parse::<u32>().ok());
    let base = root.parse(&path("port"), "a number such as 0x3F8", |text| {
        super::memory::hex(text.strip_prefix("0x")?)
    });
    base.and_then(|port| {
        small("type").and_then(|kind| {
            small("io_type").map(|io_type| SerialPort {
                line,
                kind,
                io_type,
                port,
                clock: small("uartclk").known().copied().unwrap_or(0),
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_by_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, file: &str, text: &str| {
            let folder = dir.path().join("sys/class/tty").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(file), text).unwrap();
        };
        for (name, port) in [("ttyS0", "0x3F8"), ("ttyS10", "0x2F8"), ("ttyS2", "0x3E8")] {
            put(name, "port", port);
            put(name, "type", "4\n");
            put(name, "io_type", "0\n");
            put(name, "uartclk", "1843200\n");
        }
        put("ttyS3", "dev", "4:67");
        put("ttySAC0", "dev", "4:67");
        let root = Root::new(dir.path());
        let ports = read(&root);
        let ports: Vec<(u32, u64)> = ports
            .known()
            .unwrap()
            .iter()
            .map(|p| (p.line, p.port))
            .collect();
        assert_eq!(ports, [(0, 0x3f8), (2, 0x3e8), (10, 0x2f8)]);
        put("ttyS0", "io_type", "port");
        assert!(read(&root).reason().unwrap().contains("ttyS0/io_type"));
    }
}
