//! Would a reboot boot something else than what runs? For programs that keep
//! fleets up to date: a pure judgement, whose doubt says no, because a machine
//! that reboots for nothing does so for ever.

use std::fs;
use std::path::Path;

use kexec_image::{Image, Kernel};
use serde::Serialize;

use kexec_load::Error;

use crate::record::BootFacts;
use crate::record::Fingerprint;
use crate::steps::{ChosenLoad, Selection};
use crate::world::World;

/// The id of the default entry, and why a reboot into it is due.
///
/// # Errors
/// When that cannot be said.
pub fn due(world: &World<'_>) -> Result<(String, Vec<String>), Error> {
    let unknown = |reason: String| {
        Error::system(
            "comparing what runs with what a reboot would boot",
            reason,
            "see kexec list",
        )
    };
    let running = Running::read(world.root).ok_or_else(|| {
        unknown(
            "/proc does not show which kernel \
                                                         runs"
                .into(),
        )
    })?;
    let host = world.snapshot();
    let chosen = ChosenLoad::choose(world, &Selection::default_entry(), &host)?;
    let files = chosen.fingerprint().map_err(unknown)?;
    let image = chosen.kernel(&host)?;
    let entry = files.entry.clone();
    Ok((entry, reasons(&running, &RebootTarget::of(&image, files))))
}

/// What the running kernel says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// `uname -r`.
    pub release: String,
    /// `uname -v`: which build, and from when.
    pub version: String,
    /// When it started, milliseconds since 1970.
    pub started: u64,
}

/// What a reboot would boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebootTarget {
    /// The kernel's release, where its file says it.
    pub release: Option<String>,
    /// The whole of what it says about itself: release, builder, build.
    pub banner: Option<String>,
    /// The boot entry, its files, and when each of them was changed.
    pub files: Fingerprint,
}

impl Running {
    /// Reads it from the machine below `root`; `None` when /proc does not say.
    pub fn read(root: &Path) -> Option<Running> {
        let facts = BootFacts::read(root)?;
        let version = fs::read_to_string(root.join("proc/sys/kernel/version")).ok()?;
        Some(Running {
            version: version.trim().to_owned(),
            started: facts.started(),
            release: facts.release,
        })
    }
}

impl RebootTarget {
    /// Of a kernel that was read and the files of its entry.
    pub fn of(image: &Image, files: Fingerprint) -> RebootTarget {
        let uname = image.uki.as_ref().and_then(|uki| uki.uname.clone());
        let (release, banner) = match &image.kernel {
            Kernel::BzImage(bz) => (bz.release().map(str::to_owned), bz.kernel_version.clone()),
            _ => (None, None),
        };
        RebootTarget {
            release: release.or(uname),
            banner,
            files,
        }
    }
}

/// Why a reboot is due; empty when it is not.
pub fn reasons(running: &Running, next: &RebootTarget) -> Vec<String> {
    let mut reasons = Vec::new();
    match &next.release {
        Some(release) if *release != running.release => {
            reasons.push(format!(
                "kernel {} runs, and a reboot would boot {release}",
                running.release
            ));
        }
        Some(_) => {
            let other = next.banner.as_deref();
            // The file's own text ends with what uname -v prints.
            if let Some(banner) = other.filter(|text| !text.ends_with(&running.version)) {
                reasons.push(format!(
                    "a reboot would boot another build of kernel {} ({banner}) than the running \
                     one ({})",
                    running.release, running.version
                ));
            }
        }
        None => {}
    }
    let started = i128::from(running.started) * 1_000_000;
    // When the content changed, and not when the file was touched: a backup or a
    // new link is no reason.
    let changed = next.files.files.iter().filter(|f| f.modified > started);
    reasons
        .extend(changed.map(|file| format!("{} was changed since the boot", file.path.display())));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FileRole, FileStamp};

    const SECOND: i128 = 1_000_000_000;

    fn running() -> Running {
        Running {
            release: "6.12.107+deb13-amd64".into(),
            version: "#1 SMP PREEMPT_DYNAMIC Debian 6.12.107-1 (2026-08-12)".into(),
            started: 1_000_000,
        }
    }

    fn next(release: &str, build: &str, modified: i128) -> RebootTarget {
        RebootTarget {
            release: Some(release.into()),
            banner: Some(format!("{release} (builder@host) {build}")),
            files: Fingerprint {
                entry: "debian".into(),
                request: String::new(),
                files: vec![FileStamp {
                    path: "/boot/initrd.img".into(),
                    size: 1,
                    modified,
                    changed: modified + 500_000 * SECOND,
                    role: FileRole::default(),
                }],
            },
        }
    }

    #[test]
    fn the_same_build_and_older_files_are_no_reason() {
        let running = running();
        let same = next(&running.release, &running.version, 999 * SECOND);
        assert_eq!(reasons(&running, &same), Vec::<String>::new());
        let mut silent = same;
        silent.release = None;
        silent.banner = None;
        assert_eq!(reasons(&running, &silent), Vec::<String>::new());
    }

    #[test]
    fn every_reason_is_said() {
        let running = running();
        let other = next("7.3.0", "#1 SMP", 999 * SECOND);
        assert_eq!(
            reasons(&running, &other),
            ["kernel 6.12.107+deb13-amd64 runs, and a reboot would boot 7.3.0"]
        );
        let rebuilt = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.107-2 (2026-08-30)";
        let build = reasons(&running, &next(&running.release, rebuilt, 999 * SECOND));
        assert_eq!(build.len(), 1);
        assert!(
            build[0].starts_with("a reboot would boot another build"),
            "{build:?}"
        );
        let initrd = next(&running.release, &running.version, 1001 * SECOND);
        assert_eq!(
            reasons(&running, &initrd),
            ["/boot/initrd.img was changed since the boot"]
        );
    }
}
