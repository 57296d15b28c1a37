//! Numbers as the crashed machine wrote them, which need not be as this one does:
//! order and width are only known from the dump. So this is no second copy of
//! kexec-image's `fields`, which read little-endian headers, and this crate needs
//! no other for it.

/// The order of bytes (gABI, "ELF Identification", `EI_DATA`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endian {
    /// The lowest byte comes first.
    Little,
    /// The highest byte comes first.
    Big,
}

/// How numbers are written: the order of bytes, and how long a C `long` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The order of bytes.
    pub endian: Endian,
    /// Bytes of a `long` and of an address: 4 or 8.
    pub long: usize,
}

impl Words {
    /// The number of 1, 2, 4 or 8 bytes at `at`; nothing where there are not so
    /// many bytes.
    pub fn number(self, bytes: &[u8], at: usize, size: usize) -> Option<u64> {
        let found = bytes.get(at..at.checked_add(size)?)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        match (size, self.endian) {
            (1 | 2 | 4 | 8, Endian::Little) => Some(found.iter().rev().fold(0, fold)),
            (1 | 2 | 4 | 8, Endian::Big) => Some(found.iter().fold(0, fold)),
            _ => None,
        }
    }

    /// The `long` or address at `at`.
    pub fn long(self, bytes: &[u8], at: usize) -> Option<u64> {
        self.number(bytes, at, self.long)
    }

    /// Bits of a `long`.
    pub fn bits(self) -> u32 {
        if self.long == 4 { 32 } else { 64 }
    }

    /// The largest `long`, unsigned.
    pub fn max(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        let words = |endian, long| Words { endian, long };
        let little = words(Endian::Little, 8);
        let big = words(Endian::Big, 4);
        assert_eq!(little.long(&bytes, 0), Some(0x0807_0605_0403_0201));
        assert_eq!(big.long(&bytes, 2), Some(0x0304_0506));
        assert_eq!(big.number(&bytes, 6, 2), Some(0x0708));
        assert_eq!(big.number(&bytes, 7, 2), None);
        assert_eq!(big.number(&bytes, usize::MAX, 2), None);
        assert_eq!(little.number(&bytes, 0, 3), None);
        assert_eq!((big.max(), little.max()), (0xffff_ffff, u64::MAX));
    }
}
