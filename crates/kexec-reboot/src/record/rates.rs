//! How fast this machine is: measured once in each boot, and kept.

use std::io;
use std::path::PathBuf;

use kexec_load::downtime::Rates;
use serde::{Deserialize, Serialize};

use super::Store;

/// Version of the file; one of another version is measured anew.
pub const FORMAT: u32 = 1;

/// The longest name of a processor that is believed, in bytes: CPUID has 48.
const MAX_NAME: usize = 256;

/// What was measured, and on which processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredRates {
    /// [`FORMAT`].
    pub format: u32,
    /// `model name` of /proc/cpuinfo; empty where there is none.
    pub processor: String,
    /// How fast it is.
    pub rates: Rates,
}

impl MeasuredRates {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When it is none, of another version, or says what no machine is.
    pub fn parse(text: &[u8]) -> Result<MeasuredRates, String> {
        let read: MeasuredRates = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if read.format != FORMAT {
            return Err(format!("it has format {}, not {FORMAT}", read.format));
        }
        if read.processor.len() > MAX_NAME || read.processor.chars().any(char::is_control) {
            return Err("its processor is no name".to_owned());
        }
        if !read.rates.are_plausible() {
            return Err("no machine is so fast or so slow".to_owned());
        }
        Ok(read)
    }
}

impl Store<'_> {
    fn rates_path(&self) -> PathBuf {
        self.root().join("run/kexec/rates.json")
    }

    /// The rates that were measured on this processor; those that `measure` finds where
    /// there are none, which are then kept. A file that is no good is none, and what
    /// cannot be kept, as by who is not root, is measured again next time.
    pub fn rates(&self, processor: &str, measure: &dyn Fn() -> Rates) -> Rates {
        let path = self.rates_path();
        let kept = self.files().read(&path).ok().flatten();
        let kept = kept.and_then(|text| MeasuredRates::parse(&text).ok());
        if let Some(kept) = kept.filter(|kept| kept.processor == processor) {
            return kept.rates;
        }
        let rates = measure();
        let _ = self.keep_rates(&MeasuredRates {
            format: FORMAT,
            processor: processor.to_owned(),
            rates,
        });
        rates
    }

    fn keep_rates(&self, measured: &MeasuredRates) -> io::Result<()> {
        let path = self.rates_path();
        if let Some(folder) = path.parent() {
            // Not the parents: without a /run there is nothing to keep it in.
            self.files().make_folder(folder, false)?;
        }
        self.write(&path, &serde_json::to_vec_pretty(measured)?)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn rates(copy: u64) -> Rates {
        Rates {
            copy,
            crc32c: 2_000_000,
            sha256: 3_000_000,
            rootfs: 4_000_000,
            zstd_kernel: 5_000_000,
            zstd: 6_000_000,
            gzip: 7_000_000,
            xz: 8_000_000,
            lz4: 9_000_000,
            bzip2: 10_000_000,
        }
    }

    fn measured() -> MeasuredRates {
        MeasuredRates {
            format: FORMAT,
            processor: "a processor".to_owned(),
            rates: rates(1_000_000),
        }
    }

    #[test]
    fn measured_once_on_each_processor() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        let store = Store::new(root.path());
        let count = Cell::new(0_u64);
        let measure = || {
            count.set(count.get() + 1);
            rates(1_000_000 * count.get())
        };
        let path = store.rates_path();
        assert_eq!(store.rates("one", &measure).copy, 1_000_000);
        assert_eq!(store.rates("one", &measure).copy, 1_000_000);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Another processor, and then again the first one.
        assert_eq!(store.rates("two", &measure).copy, 2_000_000);
        assert_eq!(store.rates("one", &measure).copy, 3_000_000);
        // What is no good is put right.
        for text in ["", "{", "{\"format\": 2}"] {
            fs::write(&path, text).unwrap();
            let before = count.get();
            store.rates("one", &measure);
            store.rates("one", &measure);
            assert_eq!(count.get(), before + 1, "{text}");
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn where_nothing_can_be_kept_it_is_measured_each_time() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        let count = Cell::new(0);
        let measure = || {
            count.set(count.get() + 1);
            rates(1_000_000)
        };
        store.rates("one", &measure);
        store.rates("one", &measure);
        assert_eq!(count.get(), 2);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_record_of_rates_is_not_read() {
        let good = serde_json::to_value(measured()).unwrap();
        let parse = |value: &serde_json::Value| MeasuredRates::parse(value.to_string().as_bytes());
        assert_eq!(parse(&good), Ok(measured()));
        let wrong = |key: &str, to: serde_json::Value| {
            let mut bad = good.clone();
            *bad.pointer_mut(key).unwrap() = to;
            assert!(parse(&bad).is_err(), "{bad}");
        };
        wrong("/format", 2.into());
        wrong("/format", "1".into());
        wrong("/processor", "a\u{1b}[2J".into());
        wrong("/processor", "x".repeat(MAX_NAME + 1).into());
        wrong("/processor", 7.into());
        wrong("/rates/copy", 0.into());
        wrong("/rates/xz", u64::MAX.into());
        wrong("/rates/xz", (-1).into());
        wrong("/rates/xz", 1.5.into());
        wrong("/rates", serde_json::json!({}));
        let mut more = good.clone();
        more["more"] = 1.into();
        assert!(parse(&more).is_err());
        let deep = "[".repeat(100_000);
        for text in [&b""[..], b"null", b"[]", b"\xff\xfe", deep.as_bytes()] {
            assert!(MeasuredRates::parse(text).is_err());
        }
    }

    /// A seed that is no record teaches the fuzzer nothing.
    #[test]
    fn the_seeds_of_the_fuzzer_are_records() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/rates");
        let texts = fs::read_dir(seeds).unwrap();
        let texts: Vec<_> = texts
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect();
        assert!(!texts.is_empty());
        for text in texts {
            MeasuredRates::parse(&text).unwrap();
        }
    }
}
