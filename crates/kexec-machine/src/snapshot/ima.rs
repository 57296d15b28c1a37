//! The measurements of IMA, which are read only when they are to be carried on:
//! they grow with every file that is measured, and name them all.

use std::path::Path;

use kexec_plan::classic::ImaList;

use crate::Fact;
use crate::Root;

/// Where the list is; the folder moved within securityfs.
const FOLDERS: &[&str] = &[
    "/sys/kernel/security/ima",
    "/sys/kernel/security/integrity/ima",
];

/// A list may be long; this many bytes are some 400 000 measurements.
const MAX_LIST: u64 = 64 << 20;

/// How often to try to read while new measurements come in.
const TRIES: usize = 4;

/// The measurements of the machine below `root`, which is `/` for the running
/// one; absent without IMA.
pub fn measurements(root: &Path) -> Fact<ImaList> {
    let root = Root::new(root);
    let folder = FOLDERS.iter().find(|f| root.exists(f));
    folder.map_or(Fact::Absent, |folder| read(&root, folder))
}

fn read(root: &Root, folder: &str) -> Fact<ImaList> {
    let path = format!("{folder}/binary_runtime_measurements");
    let count = || {
        root.parse(
            &format!("{folder}/runtime_measurements_count"),
            "a number",
            |text| text.parse::<u64>().ok(),
        )
    };
    let mut before = count();
    for _ in 0..TRIES {
        let list = root.bytes_up_to(&path, MAX_LIST);
        let after = count();
        if before == after {
            return after.and_then(|count| {
                list.map(|bytes| ImaList {
                    measurements: bytes.into(),
                    count,
                })
            });
        }
        before = after;
    }
    Fact::Unreadable(format!(
        "{path}: files are measured faster than the list can be read"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_comes_with_its_number() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(measurements(dir.path()), Fact::Absent);
        let folder = dir.path().join("sys/kernel/security/integrity/ima");
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(measurements(dir.path()), Fact::Absent);
        std::fs::write(folder.join("runtime_measurements_count"), "2\n").unwrap();
        std::fs::write(folder.join("binary_runtime_measurements"), [1, 2, 3]).unwrap();
        let list = measurements(dir.path());
        let list = list.known().unwrap();
        assert_eq!(
            (list.count, list.measurements.as_ref()),
            (2, &[1, 2, 3][..])
        );
        let file = std::fs::File::create(folder.join("binary_runtime_measurements")).unwrap();
        file.set_len(MAX_LIST + 1).unwrap();
        let reason = measurements(dir.path());
        assert!(reason.reason().unwrap().contains("larger than 67108864"));
        std::fs::write(folder.join("runtime_measurements_count"), "many").unwrap();
        assert!(measurements(dir.path()).reason().unwrap().contains("many"));
    }
}
