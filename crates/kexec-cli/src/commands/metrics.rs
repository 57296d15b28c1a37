//! `kexec metrics`: how reboots went, for Prometheus.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kexec_load::Error;
use kexec_machine::Problem;
use kexec_reboot::conf;
use kexec_reboot::handover;
use kexec_reboot::preload::{self, cold_every};
use kexec_reboot::record::BootFacts;
use kexec_reboot::record::boot::ClockReading;
use kexec_reboot::steps::is_preloaded;
use kexec_reboot::steps::remember::settled;
use kexec_reboot::world::World;
use kexec_sys::Slot;

use super::{exit, load, print};
use crate::render::metrics::{MetricsFacts, metrics};
use crate::render::visible;

/// `kexec metrics`; `output` is a file, or `-` for stdout.
pub fn verb(world: &World<'_>, output: Option<&Path>) -> u8 {
    let done = read(world).and_then(|facts| {
        let text = metrics(&facts);
        match output.filter(|path| *path != Path::new("-")) {
            None => {
                print(&text);
                Ok(())
            }
            Some(path) => write(path, &text).map_err(|e| {
                Error::System(Problem::caused(
                    format!("cannot write the metrics {}", path.display()),
                    e,
                    "name a file in a folder that exists and that you can write to",
                ))
            }),
        }
    });
    match done {
        Ok(()) => exit::DONE,
        Err(error) => {
            load::refuse(&error, false);
            exit::REFUSED
        }
    }
}

/// Reads what is exported.
///
/// # Errors
/// When what is remembered cannot be read.
fn read(world: &World<'_>) -> Result<MetricsFacts, Error> {
    let settled = settled(world)?;
    for note in &settled.notes {
        say_line!("kexec: note: {}", visible(note));
    }
    let boot = BootFacts::read(world.root);
    let kexecs = boot.as_ref();
    let kexecs =
        kexecs.and_then(|boot| cold_every::kexecs_since_cold(&settled.attempts, &boot.boot_id));
    let every = conf::read(world.root)
        .map(|conf| conf.cold_every)
        .unwrap_or_else(|wrong| {
            say_line!("kexec: warning: {}", visible(&wrong));
            None
        });
    let loaded = [Slot::Normal, Slot::Crash].map(|slot| handover::is_loaded_in(world.root, slot));
    Ok(MetricsFacts {
        now: ClockReading::now(world.root).realtime,
        running: boot.map(|boot| boot.release).unwrap_or_default(),
        attempts: settled.attempts,
        kexecs,
        cold_every: every,
        loaded,
        preloaded: loaded[0].map(|_| is_preloaded(world)),
        preload_refused: preload::refused(world.root),
    })
}

/// Puts a file in place of what was there, whole: whoever reads it meanwhile reads the
/// old one. Everybody may read it. The folder may belong to another user, so no link
/// there is followed.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    // A device or a pipe would be gone, and a file in its place.
    if let Ok(found) = fs::metadata(path)
        && !found.is_file()
    {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let name = path.file_name().unwrap_or_default();
    let mut unfinished = std::ffi::OsString::from(".");
    unfinished.push(name);
    // The collector takes what ends in .prom. Two of this program may write at once.
    unfinished.push(format!(".{}.new", std::process::id()));
    let unfinished: PathBuf = path.with_file_name(unfinished);
    match fs::remove_file(&unfinished) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let written = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&unfinished)?;
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o644))?;
        file.write_all(text.as_bytes())?;
        fs::rename(&unfinished, path)
    };
    written().inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("precious"), "p").unwrap();
        let unfinished = format!(".kexec.prom.{}.new", std::process::id());
        symlink(at("precious"), at(&unfinished)).unwrap();
        symlink(at("precious"), at("kexec.prom")).unwrap();
        for text in ["one\n", "two\n"] {
            write(&at("kexec.prom"), text).unwrap();
            assert_eq!(fs::read_to_string(at("kexec.prom")).unwrap(), text);
        }
        assert_eq!(fs::read_to_string(at("precious")).unwrap(), "p");
        let mode = fs::symlink_metadata(at("kexec.prom"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(write(&at("none/kexec.prom"), "x").is_err());
        // What cannot be replaced leaves nothing behind.
        fs::create_dir(at("folder")).unwrap();
        assert!(write(&at("folder"), "x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    /// By root, /dev/null would be a file from then on.
    #[test]
    fn a_device_or_a_pipe_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).unwrap();
        let link = folder.path().join("link");
        symlink("/dev/null", &link).unwrap();
        for path in [&pipe, &link] {
            assert!(write(path, "x").is_err());
            assert!(!fs::symlink_metadata(path).unwrap().is_file());
        }
    }
}
