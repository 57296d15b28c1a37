//! Sizes for people, in the units of `crashkernel=`.

use std::fmt;

/// Bytes of one MiB.
pub const MIB: u64 = 1 << 20;

/// A number of bytes for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: [(u64, &str); 3] = [(1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")];
        for (unit, name) in units {
            if self.0 >= unit {
                let (whole, tenth) = (self.0 / unit, (self.0 % unit) * 10 / unit);
                return match tenth {
                    0 => write!(f, "{whole} {name}"),
                    _ => write!(f, "{whole}.{tenth} {name}"),
                };
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

/// The same as `crashkernel=` takes it: whole MiB, rounded up.
pub fn parameter(bytes: u64) -> String {
    format!("{}M", bytes.div_ceil(MIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        let of = |bytes| Bytes(bytes).to_string();
        assert_eq!(of(192 * MIB), "192 MiB");
        assert_eq!(of(3 << 29), "1.5 GiB");
        assert_eq!(of(7), "7 bytes");
        assert_eq!(parameter(192 * MIB), "192M");
        assert_eq!(parameter(192 * MIB + 1), "193M");
        assert_eq!(parameter(u64::MAX), "17592186044416M");
    }
}
