//! A snapshot as a file.

use serde::Deserialize;

use super::memory::MAX_RANGES;
use super::{MemoryRange, crash, serial, setup_data};
use crate::{Fact, Snapshot};

/// The version of the layout that this program writes and reads.
pub const FORMAT: u32 = 1;

/// No snapshot is larger than this many bytes; real ones are some hundred KB.
const MAX_TEXT: usize = 16 << 20;

/// Why a text is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Larger than any snapshot.
    #[error("a snapshot of {len} bytes; none is larger than {MAX_TEXT}")]
    TooLarge {
        /// How large it is.
        len: usize,
    },
    /// Not JSON, or not the JSON of a snapshot.
    #[error("not a machine snapshot: {reason}")]
    Malformed {
        /// What is wrong, with line and column.
        reason: String,
    },
    /// Written by another version of this program.
    #[error("snapshot of format {found}; this program knows format {FORMAT}")]
    Format {
        /// The format that the file names.
        found: u32,
    },
    /// A part of it cannot be.
    #[error("machine snapshot with {what}")]
    Impossible {
        /// What cannot be.
        what: String,
    },
}

impl Snapshot {
    /// The snapshot as JSON, for people and programs. With `redact`, without
    /// what is nobody's business.
    pub fn to_json(&self, redact: bool) -> String {
        let text = if redact {
            serde_json::to_string_pretty(&self.redact())
        } else {
            serde_json::to_string_pretty(self)
        };
        // A plain value with text keys: nothing in it can fail.
        text.unwrap_or_default()
    }

    /// Reads what [`Snapshot::to_json`] wrote.
    ///
    /// # Errors
    /// When the text is none, names a format that is not known here, or holds
    /// what cannot be.
    pub fn from_json(text: &str) -> Result<Snapshot, SnapshotError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        if text.len() > MAX_TEXT {
            return Err(SnapshotError::TooLarge { len: text.len() });
        }
        let malformed = |e: serde_json::Error| SnapshotError::Malformed {
            reason: e.to_string(),
        };
        let head: Head = serde_json::from_str(text).map_err(malformed)?;
        if head.format != FORMAT {
            return Err(SnapshotError::Format { found: head.format });
        }
        let snapshot: Snapshot = serde_json::from_str(text).map_err(malformed)?;
        for (name, map) in [
            ("/proc/iomem", &snapshot.memory.iomem),
            ("the firmware map", &snapshot.memory.firmware_map),
            ("the KHO scratch areas", &snapshot.kexec.kho_scratch),
            ("the CMA ranges", &snapshot.kexec.crash_cma_ranges),
        ] {
            check(name, map)?;
        }
        lists(&snapshot)?;
        if let Fact::Known(params) = &snapshot.firmware.boot_params
            && (params.len() != 8192 || !params.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Err(impossible(
                "boot_params that do not have 8192 hexadecimal digits".to_owned(),
            ));
        }
        Ok(snapshot)
    }
}

/// The bounds that reading a machine keeps to.
fn lists(snapshot: &Snapshot) -> Result<(), SnapshotError> {
    fn len<T>(fact: &Fact<Vec<T>>) -> usize {
        fact.known().map_or(0, Vec::len)
    }
    let firmware = &snapshot.firmware;
    for (name, found, max) in [
        (
            "EFI runtime ranges",
            len(&firmware.efi_runtime.runtime_map),
            MAX_RANGES,
        ),
        (
            "setup_data items",
            len(&firmware.setup_data),
            setup_data::MAX_ITEMS,
        ),
        ("serial ports", len(&snapshot.serial), serial::MAX_PORTS),
        (
            "notes of processors",
            len(&snapshot.crash.cpu_notes),
            crash::MAX_CPUS,
        ),
    ] {
        if found > max {
            return Err(impossible(format!(
                "{found} {name}; none has more than {max}"
            )));
        }
    }
    let items = firmware.setup_data.known().into_iter().flatten();
    for data in items.filter_map(|item| item.data.known()) {
        if data.len() % 2 != 0 || !data.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(impossible(
                "setup_data that is not pairs of hexadecimal digits".to_owned(),
            ));
        }
    }
    Ok(())
}

fn impossible(what: String) -> SnapshotError {
    SnapshotError::Impossible { what }
}

fn check(name: &str, map: &Fact<Vec<MemoryRange>>) -> Result<(), SnapshotError> {
    let Fact::Known(ranges) = map else {
        return Ok(());
    };
    if ranges.len() > MAX_RANGES {
        return Err(impossible(format!(
            "{} ranges in {name}; none has more than {MAX_RANGES}",
            ranges.len()
        )));
    }
    match ranges.iter().find(|r| r.start >= r.end) {
        Some(r) => Err(impossible(format!(
            "a range {:#x}..{:#x} in {name} that ends before it begins",
            r.start, r.end
        ))),
        None => Ok(()),
    }
}
