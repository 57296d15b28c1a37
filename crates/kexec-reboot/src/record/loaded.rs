//! What is in the kernel's slots, remembered: the kernel itself only knows whether
//! something is loaded. Kept under /run, so that it ends with the boot; readable for
//! root only, because command lines can hold secrets.
//!
//! A slot has these files, all of one layout:
//!
//! * `loaded.json`: what is in it;
//! * `loading.json`: what somebody is about to load. It becomes `loaded.json` by a
//!   rename, which takes no room, once the kernel has taken the image;
//! * `unloading.json`: what `loaded.json` was, while it is taken out;
//! * `replacing.json`: the same, while something is loaded over it for which there is
//!   no room here.
//!
//! All but the first are there only between two steps of one program, which holds the
//! [lock](super::lock). Whoever finds one without a holder finds a program that died.

use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use kexec_load::pipeline::Prepared;
use kexec_load::unpacked::Unpacked;
use kexec_plan::Cmdline;
use kexec_sys::Slot;
use serde::{Deserialize, Serialize};

use super::files::Store;
use crate::record::{FileStamp, Preloaded, RecordedOptions};

/// Version of the layout.
const FORMAT: u32 = 1;

/// No more parts of an initrd are remembered; real ones have a few.
const MANY_PARTS: usize = 64;

/// What is remembered of one load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoadRecord {
    /// Version of this layout.
    pub format: u32,
    /// Seconds since 1970 when it was loaded.
    pub time: u64,
    /// The kernel file.
    pub kernel: String,
    /// What the kernel file is.
    pub image: String,
    /// The kernel's release, when its header says it.
    pub release: Option<String>,
    /// Bytes of the kernel that was handed over.
    pub kernel_len: usize,
    /// Where the parts of the initrd came from.
    pub initrd: Vec<String>,
    /// Bytes of the initrd.
    pub initrd_len: usize,
    /// The next kernel's command line.
    pub cmdline: Cmdline,
    /// The name of the system call that loaded it.
    pub method: String,
    /// Why that system call was chosen.
    pub reason: String,
    /// What was unpacked before the jump, and what was not, with the reasons.
    #[serde(default)]
    pub unpacked: Unpacked,
    /// It was loaded ahead, and from what.
    #[serde(default)]
    pub preloaded: Option<Preloaded>,
    /// The files that it was made of, as they were before they were read, with their roles:
    /// the kernel, the initrds, then the others. Empty where one of them was no file at a path.
    #[serde(default)]
    pub files: Vec<FileStamp>,
    /// The options of `kexec_load(2)` that the image was loaded with. Earlier versions did not
    /// write them down, and pass over them.
    #[serde(default, skip_serializing_if = "RecordedOptions::is_default")]
    pub options: RecordedOptions,
    /// Whether something was loaded when this load began, as the kernel said.
    #[serde(default)]
    pub over: Option<bool>,
}

impl LoadRecord {
    /// What to remember of a plan that is carried out now.
    pub fn of(prepared: &Prepared, now: SystemTime) -> LoadRecord {
        let (plan, decision) = (&prepared.plan, &prepared.decision);
        let mut unpacked = prepared.unpacked.clone();
        unpacked.initrd.parts.truncate(MANY_PARTS);
        LoadRecord {
            format: FORMAT,
            time: now
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            kernel: plan.kernel.origin.clone(),
            image: plan.format.clone(),
            release: plan.release.clone(),
            kernel_len: plan.kernel.len,
            initrd: plan.initrd.iter().map(|p| p.origin.clone()).collect(),
            initrd_len: plan.initrd_len(),
            cmdline: plan.cmdline.clone(),
            method: decision.method.name().to_owned(),
            reason: decision.reason.clone(),
            unpacked,
            preloaded: None,
            files: Vec::new(),
            options: RecordedOptions::default(),
            over: None,
        }
    }

    /// Reads the text of a record.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<LoadRecord, String> {
        let record: LoadRecord = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if record.format != FORMAT {
            return Err(format!("its format is {}, not {FORMAT}", record.format));
        }
        Ok(record)
    }
}

/// Which of a slot's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What is in it.
    Loaded,
    /// What is about to be.
    Loading,
    /// What is being taken out.
    Unloading,
    /// What is being replaced by a load that could not be written down.
    Replacing,
}

impl Which {
    /// Every file of a slot.
    pub const ALL: [Which; 4] = [
        Which::Loaded,
        Which::Loading,
        Which::Unloading,
        Which::Replacing,
    ];
}

impl Store<'_> {
    /// Where a slot's file is.
    pub(crate) fn record_path(&self, slot: Slot, which: Which) -> PathBuf {
        self.root().join("run/kexec").join(match (slot, which) {
            (Slot::Normal, Which::Loaded) => "loaded.json",
            (Slot::Normal, Which::Loading) => "loading.json",
            (Slot::Normal, Which::Unloading) => "unloading.json",
            (Slot::Normal, Which::Replacing) => "replacing.json",
            (Slot::Crash, Which::Loaded) => "crash.json",
            (Slot::Crash, Which::Loading) => "crash-loading.json",
            (Slot::Crash, Which::Unloading) => "crash-unloading.json",
            (Slot::Crash, Which::Replacing) => "crash-replacing.json",
        })
    }

    /// Writes one of a slot's records, whole or not at all.
    ///
    /// # Errors
    /// When /run is missing, full or not writable.
    pub(super) fn write_record(
        &self,
        slot: Slot,
        which: Which,
        record: &LoadRecord,
    ) -> io::Result<()> {
        let path = self.record_path(slot, which);
        if let Some(folder) = path.parent() {
            // Not the parents: without a /run there is nothing to remember in.
            self.files().make_folder(folder, false)?;
        }
        self.write(&path, &serde_json::to_vec_pretty(record)?)
    }

    /// Reads one of a slot's records; `None` when there is none.
    ///
    /// # Errors
    /// When it is there and is no record, or may not be read.
    pub(super) fn read_record(&self, slot: Slot, which: Which) -> io::Result<Option<LoadRecord>> {
        let path = self.record_path(slot, which);
        let Some(text) = self.files().read(&path)? else {
            return Ok(None);
        };
        let record = LoadRecord::parse(&text).map_err(io::Error::other)?;
        Ok(Some(record))
    }

    /// Renames one of a slot's records into another.
    pub(super) fn rename_record(&self, slot: Slot, from: Which, to: Which) -> io::Result<()> {
        let (from, to) = (self.record_path(slot, from), self.record_path(slot, to));
        self.files().rename(&from, &to)
    }

    /// Removes one of a slot's records.
    pub(super) fn remove_record(&self, slot: Slot, which: Which) -> io::Result<()> {
        self.files().remove(&self.record_path(slot, which))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    pub(crate) fn record() -> LoadRecord {
        LoadRecord {
            format: 1,
            time: 1,
            kernel: "/boot/vmlinuz".into(),
            image: "bzImage".into(),
            release: None,
            kernel_len: 3,
            initrd: vec![],
            initrd_len: 0,
            cmdline: "luks.key=secret".into(),
            method: "kexec_file_load".into(),
            reason: "-s was given".into(),
            unpacked: Unpacked::default(),
            preloaded: None,
            files: vec![],
            options: RecordedOptions::default(),
            over: None,
        }
    }

    #[test]
    fn written_for_root_only_and_read() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("run")).unwrap();
        let store = Store::new(root.path());
        for _ in 0..2 {
            store
                .write_record(Slot::Normal, Which::Loaded, &record())
                .unwrap();
        }
        let read = |slot| store.read_record(slot, Which::Loaded).unwrap();
        assert_eq!(read(Slot::Normal), Some(record()));
        assert_eq!(read(Slot::Crash), None);
        let file = store.record_path(Slot::Normal, Which::Loaded);
        let mode = |p: &std::path::Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn without_run_nothing_is_made() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        let written = store.write_record(Slot::Normal, Which::Loading, &record());
        assert!(written.is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_record_of_an_earlier_version_is_read_and_others_are_told() {
        let mut json: serde_json::Value = serde_json::to_value(record()).unwrap();
        let fields = json.as_object_mut().unwrap();
        for field in ["over", "preloaded", "files"] {
            fields.remove(field).unwrap();
        }
        assert_eq!(LoadRecord::parse(json.to_string().as_bytes()), Ok(record()));
        // A later version may write down more.
        let fields = json.as_object_mut().unwrap();
        fields.insert(
            "options".into(),
            serde_json::json!({"hotplug": true, "later": 1}),
        );
        fields.insert("later".into(), serde_json::json!([1]));
        let read = LoadRecord::parse(json.to_string().as_bytes()).unwrap();
        assert!(read.options.planner.hotplug && !read.options.planner.pass_memmap);
        let mut other = record();
        other.format = 9;
        let other = serde_json::to_vec(&other).unwrap();
        assert!(
            LoadRecord::parse(&other)
                .unwrap_err()
                .contains("format is 9")
        );
        for broken in [&b""[..], b"{\"format\":1}", &[0xff; 9]] {
            assert!(LoadRecord::parse(broken).is_err());
        }
    }
}
