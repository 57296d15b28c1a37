//! Numbers as options take them. Those of kexec-tools are looked at even where they
//! have no effect, so that a mistyped one is found.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// An address as C's `strtoul` reads it with base 0: decimal, `0x` or octal.
/// Nothing at all is 0, and what is too large is the largest.
pub fn address(text: &OsStr) -> Option<u64> {
    let text = text.to_str()?.trim_ascii_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let (digits, base) = match hex {
        Some(hex) => (hex, 16),
        None if digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if digits.is_empty() {
        // `strtoul` stops before the x of a lone "0x".
        return (base != 16 && text.is_empty()).then_some(0);
    }
    if !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let value = u64::from_str_radix(digits, base).unwrap_or(u64::MAX);
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// A whole number, such as that of a profile.
pub fn whole(text: &OsStr) -> Option<usize> {
    text.to_str()?.parse().ok()
}

/// The first I/O port of an x86 serial port: `ttyS0`, `ttyS1`, or an I/O address
/// with `0x`.
pub fn serial_port(text: &OsStr) -> Option<u16> {
    match text.as_bytes() {
        b"ttyS0" => Some(0x3f8),
        b"ttyS1" => Some(0x2f8),
        _ => {
            // The width of the x86 I/O space is 16 bits; no sign, no more digits.
            let hex = text.to_str()?.strip_prefix("0x")?;
            let digits = (1..=4).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u16::from_str_radix(hex, 16).ok())?
        }
    }
}

/// The speed of an x86 serial port. The chip divides 115200 (National
/// Semiconductor PC16550D, "Programmable Baud Generator"); below 9600 nothing
/// is accepted but 0, which leaves the speed as it is.
pub fn serial_baud(text: &OsStr) -> Option<u32> {
    let baud = text.to_str()?.parse::<u32>().ok()?;
    let possible = baud == 0 || ((9600..=115_200).contains(&baud) && 115_200 % baud == 0);
    possible.then_some(baud)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_strtoul_reads_them() {
        let read = |t: &str| address(OsStr::new(t));
        assert_eq!(read("0x100000"), Some(0x10_0000));
        assert_eq!(read("010"), Some(8));
        assert_eq!(read("10"), Some(10));
        assert_eq!(read(" +0"), Some(0));
        assert_eq!(read(""), Some(0));
        assert_eq!(read("-1"), Some(u64::MAX));
        assert_eq!(read("99999999999999999999999"), Some(u64::MAX));
        for bad in ["zz", "0x10g", "08", "0x", "1 ", "-", "--1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn serial_ports_and_speeds() {
        for good in ["ttyS0", "ttyS1", "0x3f8"] {
            assert!(serial_port(OsStr::new(good)).is_some());
        }
        for bad in ["", "ttyS2", "3f8", "1000", "0x", "0xzz", "0x10000"] {
            assert!(serial_port(OsStr::new(bad)).is_none(), "{bad}");
        }
        for good in ["0", "9600", "19200", "38400", "57600", "115200"] {
            assert!(serial_baud(OsStr::new(good)).is_some());
        }
        for bad in ["", "7", "4800", "10000", "230400", "-9600", "x"] {
            assert!(serial_baud(OsStr::new(bad)).is_none(), "{bad}");
        }
    }
}
