//! Sizes for people, one way for each kind (docs/style.md, "Sizes"): memory counts in powers of
//! two, as `crashkernel=`, memory maps and free(1) do; files count in powers of ten, as packages
//! and disks do.

use std::fmt;

/// Bytes of one MiB.
pub const MIB: u64 = 1 << 20;

/// A number of bytes of memory: `60.2 MiB`, without a fraction where it is a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory(pub u64);

impl Memory {
    /// Of something that is in memory here.
    pub fn of(len: usize) -> Memory {
        Memory(u64::try_from(len).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 5] = [
            (50, "PiB"),
            (40, "TiB"),
            (30, "GiB"),
            (20, "MiB"),
            (10, "KiB"),
        ];
        let found = UNITS
            .iter()
            .map(|(shift, name)| (1_u64 << shift, name))
            .find(|(unit, _)| self.0 >= *unit);
        let Some((unit, name)) = found else {
            return bare(self.0, f);
        };
        let (whole, rest) = (self.0 / unit, self.0 % unit);
        match rest {
            0 => write!(f, "{whole} {name}"),
            // Never rounded up: what does not fit must not look as if it did.
            _ => write!(f, "{whole}.{} {name}", rest * 10 / unit),
        }
    }
}

/// A number of bytes of a file or a disk: `12.3 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSize(pub u64);

impl FileSize {
    /// Of something that is in memory here.
    pub fn of(len: usize) -> FileSize {
        FileSize(u64::try_from(len).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for FileSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 5] = [
            (1_000_000_000_000_000, "PB"),
            (1_000_000_000_000, "TB"),
            (1_000_000_000, "GB"),
            (1_000_000, "MB"),
            (1_000, "kB"),
        ];
        match UNITS.iter().find(|(unit, _)| self.0 >= *unit) {
            Some((unit, name)) => {
                let tenths = self.0 / (unit / 10);
                write!(f, "{}.{} {name}", tenths / 10, tenths % 10)
            }
            None => bare(self.0, f),
        }
    }
}

/// Few bytes.
fn bare(bytes: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match bytes {
        1 => f.write_str("1 byte"),
        bytes => write!(f, "{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn memory_counts_in_powers_of_two() {
        let of = |bytes| Memory(bytes).to_string();
        assert_eq!(of(0), "0 bytes");
        assert_eq!(of(1), "1 byte");
        assert_eq!(of(1023), "1023 bytes");
        assert_eq!(of(4096), "4 KiB");
        assert_eq!(of(192 * MIB), "192 MiB");
        assert_eq!(of(0x3c3_8000), "60.2 MiB");
        assert_eq!(of((2 << 20) - 1), "1.9 MiB");
        assert_eq!(of(3 << 29), "1.5 GiB");
        assert_eq!(of(1 << 41), "2 TiB");
        assert_eq!(of(u64::MAX), "16383.9 PiB");
    }

    /// A second formatter would count in another way, as it once did: `kexec status` showed the
    /// memory of a crash kernel in MB, and `kexec crash status` in MiB.
    #[test]
    fn nothing_else_has_units() {
        fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    sources(&path, found);
                } else if path.extension().is_some_and(|suffix| suffix == "rs") {
                    found.push(path);
                }
            }
        }
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        for entry in std::fs::read_dir(crates).unwrap() {
            sources(&entry.unwrap().path().join("src"), &mut files);
        }
        assert!(files.len() > 300, "{}", files.len());
        for file in files {
            if file.ends_with("kexec-plan/src/size.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            for unit in ["KiB", "MiB", "GiB", "MB", "GB"] {
                for form in [format!("}} {unit}"), format!("\"{unit}\")")] {
                    assert!(!product.contains(&form), "{}: {form}", file.display());
                }
            }
        }
    }

    #[test]
    fn files_count_in_powers_of_ten() {
        let of = |bytes| FileSize(bytes).to_string();
        assert_eq!(of(0), "0 bytes");
        assert_eq!(of(999), "999 bytes");
        assert_eq!(of(1000), "1.0 kB");
        assert_eq!(of(12_345_678), "12.3 MB");
        assert_eq!(of(2_000_000_000), "2.0 GB");
        assert_eq!(of(u64::MAX), "18446.7 PB");
    }
}
