//! Loading ahead: what a reboot would boot lies in the kernel's slot before
//! anybody asks for a reboot, so that whoever asks gets a kexec.
//!
//! ```text
//! Situation (read) ──decide──▶ Step: leave it, load, or take it out
//! ```
//!
//! One rule stands above all others: what is loaded ahead is what a reboot
//! through the firmware would boot now, or the machine is left to the firmware.
//! Where that cannot be told, what is loaded stays, and a warning says so.

pub mod cold_every;
pub mod instances;
mod policy;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::record::files::{OnDisk, RecordFiles};
use kexec_load::Error;

pub use policy::{InSlot, PreloadMoment, Situation, Step, decide};

/// A load ahead was refused. What was loaded ahead before is not what a reboot would
/// boot any more: `take_out` takes it out. Says what to tell of it, the refusal first.
pub(crate) fn after_refusal(
    refusal: Error,
    slot: &InSlot,
    take_out: impl FnOnce() -> Result<(), Error>,
) -> Error {
    if !matches!(slot, InSlot::Ours(_) | InSlot::Accident(_)) {
        return refusal;
    }
    match take_out() {
        Ok(()) => refusal,
        Err(unload) => Error::stays(refusal, unload),
    }
}

/// Where it is remembered that this boot is to end in the firmware: nothing is
/// loaded ahead any more. Under /run, so that it ends with the boot.
pub(crate) fn cold_flag(root: &Path) -> PathBuf {
    root.join("run/kexec/cold")
}

/// Whether this boot is to end in the firmware, because that was requested.
pub fn is_cold(root: &Path) -> bool {
    cold_flag(root).exists()
}

/// Has this boot end in the firmware: nothing is loaded ahead any more.
///
/// # Errors
/// When /run cannot be written to.
pub(crate) fn choose_cold(root: &Path) -> io::Result<()> {
    let path = cold_flag(root);
    if let Some(folder) = path.parent() {
        OnDisk.make_folder(folder, false)?;
    }
    OnDisk.write_new(&path, b"").map(drop)
}

/// Where it is remembered how the last preload of this boot went.
fn refused_flag(root: &Path) -> PathBuf {
    root.join("run/kexec/preload")
}

/// Remembers whether a preload was refused, and why; with [`None`] it was not.
///
/// # Errors
/// When /run cannot be written to.
pub fn remember_refusal(root: &Path, why: Option<&Error>) -> io::Result<()> {
    let path = refused_flag(root);
    if let Some(folder) = path.parent() {
        OnDisk.make_folder(folder, false)?;
    }
    let text = why.map(ToString::to_string).unwrap_or_default();
    OnDisk.write_new(&path, text.as_bytes()).map(drop)
}

/// Whether the last preload of this boot was refused; `None` where there was none, or
/// only root may know.
pub fn refused(root: &Path) -> Option<bool> {
    let text = OnDisk.read(&refused_flag(root)).ok()??;
    Some(!text.is_empty())
}

/// Takes [`choose_cold`] back.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn choose_kexec(root: &Path) -> io::Result<()> {
    match fs::remove_file(cold_flag(root)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Fingerprint, PreloadTarget, Preloaded};

    fn refused(what: &str, remedy: &str) -> Error {
        Error::refused(what, "refused", remedy)
    }

    /// dist/bin/kexec-load-kernel asks for it as well.
    #[test]
    fn the_script_of_debian_looks_for_the_same_flag() {
        let script = include_str!("../../../../dist/bin/kexec-load-kernel");
        let flag = format!("[ -e {} ]", cold_flag(Path::new("/")).display());
        assert!(script.contains(&flag), "{flag}");
    }

    #[test]
    fn a_refusal_is_told_although_the_old_image_stays() {
        let ours = InSlot::Ours(Preloaded {
            target: PreloadTarget::Default,
            from: Fingerprint {
                entry: "debian".to_owned(),
                request: String::new(),
                files: vec![],
            },
        });
        let load = || refused("the new kernel", "sign it");
        let told = |slot: &InSlot, unload: Result<(), Error>| {
            let mut asked = false;
            let error = after_refusal(load(), slot, || {
                asked = true;
                unload
            });
            (error.to_string(), error.remedy().to_owned(), asked)
        };
        let plain = |asked| {
            let text = "the new kernel: refused".to_owned();
            (text, "sign it".to_owned(), asked)
        };
        assert_eq!(told(&ours, Ok(())), plain(true));
        // What somebody else loaded is not touched.
        for slot in [InSlot::Theirs, InSlot::Empty, InSlot::Unknown] {
            assert_eq!(told(&slot, Ok(())), plain(false));
        }
        let (text, hint, asked) = told(&ours, Err(refused("unloading", "be root")));
        assert!(asked);
        assert!(text.starts_with("the new kernel: refused; "), "{text}");
        assert!(text.ends_with(": unloading: refused"), "{text}");
        assert_eq!(hint, "sign it; be root");
        let (_, hint, _) = told(&ours, Err(refused("unloading", "sign it")));
        assert_eq!(hint, "sign it");
    }

    #[test]
    fn the_last_preload_is_remembered() {
        let root = tempfile::tempdir().unwrap();
        assert!(remember_refusal(root.path(), None).is_err());
        fs::create_dir(root.path().join("run")).unwrap();
        assert_eq!(super::refused(root.path()), None);
        for (why, is) in [
            (None, false),
            (Some(refused("x", "y")), true),
            (None, false),
        ] {
            remember_refusal(root.path(), why.as_ref()).unwrap();
            assert_eq!(super::refused(root.path()), Some(is));
        }
    }

    #[test]
    fn a_cold_boot_is_chosen_and_taken_back() {
        let root = tempfile::tempdir().unwrap();
        assert!(choose_cold(root.path()).is_err());
        fs::create_dir(root.path().join("run")).unwrap();
        choose_cold(root.path()).unwrap();
        choose_cold(root.path()).unwrap();
        assert!(cold_flag(root.path()).exists());
        choose_kexec(root.path()).unwrap();
        choose_kexec(root.path()).unwrap();
        assert!(!cold_flag(root.path()).exists());
    }
}
