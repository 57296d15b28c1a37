//! A copy of ACPI's root pointer, for kernels that are handed one.

use std::path::Path;

use crate::Fact;
use crate::Root;

/// `RSDP_Structure` (ACPI specification 6.5, 5.2.5.3): eight bytes of
/// signature, a checksum over the first 20 bytes, the revision at 15; from
/// revision 2 on a length at 20 and a checksum over all of it.
const SIGNATURE: &[u8] = b"RSD PTR ";
const LEN_1: usize = 20;
const LEN_2: usize = 36;
const REVISION: usize = 15;

/// The RSDP at the physical `address`, out of /dev/mem of the machine below
/// `root`, which is `/` for the running one. Unreadable where the kernel shows
/// no firmware memory (lockdown, CONFIG_STRICT_DEVMEM with
/// CONFIG_IO_STRICT_DEVMEM).
pub fn rsdp(root: &Path, address: u64) -> Fact<Vec<u8>> {
    let path = "/dev/mem";
    let at = format!("{path} at {address:#x}");
    let found = Root::new(root).memory_at(path, address, LEN_2);
    found.and_then(|bytes| match check(&bytes) {
        Ok(len) => Fact::Known(bytes.get(..len).unwrap_or_default().to_vec()),
        Err(reason) => Fact::Unreadable(format!("{at}: {reason}")),
    })
}

/// How long it is.
fn check(bytes: &[u8]) -> Result<usize, String> {
    let sum = |len: usize| {
        let covered = bytes.get(..len).unwrap_or_default();
        covered
            .iter()
            .fold(0_u8, |sum, byte| sum.wrapping_add(*byte))
    };
    if bytes.len() < LEN_1 || !bytes.starts_with(SIGNATURE) {
        let found: String = String::from_utf8_lossy(bytes).chars().take(8).collect();
        return Err(format!("begins with {found:?}, expected \"RSD PTR \""));
    }
    let len = match bytes.get(REVISION) {
        Some(0 | 1) => LEN_1,
        _ => LEN_2,
    };
    if bytes.len() < len {
        return Err(format!("{} bytes, expected {len}", bytes.len()));
    }
    match (sum(LEN_1), sum(len)) {
        (0, 0) => Ok(len),
        (first, all) => Err(format!("checksums {first:#x} and {all:#x}, expected 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(revision: u8) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.resize(LEN_2, 0x11);
        bytes[REVISION] = revision;
        for (at, len) in [(8, LEN_1), (32, LEN_2)] {
            bytes[at] = 0;
            let sum = bytes[..len]
                .iter()
                .fold(0_u8, |sum, b| sum.wrapping_add(*b));
            bytes[at] = sum.wrapping_neg();
        }
        bytes
    }

    #[test]
    fn both_versions_have_their_lengths() {
        for (revision, len) in [(0, LEN_1), (2, LEN_2)] {
            let good = pointer(revision);
            assert_eq!(check(&good), Ok(len));
            for at in 0..len {
                let mut bad = good.clone();
                bad[at] ^= 0x10;
                assert!(check(&bad).is_err(), "byte {at}");
                assert!(check(&good[..at]).is_err(), "{at} bytes");
            }
        }
        // All that there is of an old one.
        assert_eq!(check(&pointer(0)[..LEN_1]), Ok(LEN_1));
    }

    #[test]
    fn it_is_read_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(rsdp(dir.path(), 0x1000), Fact::Absent);
        std::fs::create_dir(dir.path().join("dev")).unwrap();
        let mut memory = vec![0; 0x1000];
        memory.extend(pointer(2));
        std::fs::write(dir.path().join("dev/mem"), &memory).unwrap();
        assert_eq!(rsdp(dir.path(), 0x1000), Fact::Known(pointer(2)));
        let wrong = rsdp(dir.path(), 0xff0);
        assert!(wrong.reason().unwrap().contains("/dev/mem at 0xff0"));
        assert!(rsdp(dir.path(), u64::MAX).reason().is_some());
        assert!(rsdp(dir.path(), 0x2000).reason().is_some());
    }
}
