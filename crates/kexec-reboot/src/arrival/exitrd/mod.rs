//! The shutdown image: a file system in memory into which systemd-shutdown
//! changes when everything else is unmounted (systemd-shutdown(8)). What it runs
//! there, /shutdown, decides how the journey ends: with a jump, or with a reboot
//! through the firmware without a word.

mod mkinitcpio;
mod program;

use serde::Serialize;

use super::text;
use kexec_machine::Fact;
use kexec_machine::volumes::Volumes;
use program::Runs;

/// What /shutdown of the image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitrdKind {
    /// systemd-shutdown itself, as mkinitcpio's hook `sd-shutdown` and NixOS have
    /// it. It asks the kernel for the jump where no kexec program helps.
    Systemd,
    /// dracut's script, which takes a kexec program of the root file system along.
    Dracut,
    /// The script of mkinitcpio's hook `shutdown`.
    Mkinitcpio,
    /// A program or script of unknown origin.
    Other,
}

/// Whether it ends in a jump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "jumps", rename_all = "snake_case")]
pub enum ExitrdJump {
    /// The shutdown image jumps into a loaded kernel.
    Yes {
        /// The program in it that jumps, for messages.
        by: String,
    },
    /// The shutdown image reboots through the firmware.
    No {
        /// What it lacks for a jump.
        why: String,
    },
    /// That is not known.
    Unknown {
        /// Why that cannot be told.
        why: String,
    },
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exitrd {
    /// There will be none: systemd-shutdown itself jumps.
    None,
    /// There is one, or there will be one.
    Used {
        /// Which program its /shutdown is.
        kind: ExitrdKind,
        /// Whether it ends in a jump.
        jump: ExitrdJump,
        /// What says that there is one.
        because: String,
    },
}

/// Where a kexec program may be, in the image and on the old root.
const FOLDERS: &[&str] = &["usr/sbin", "usr/bin", "sbin", "bin"];
/// Where the image is.
const IMAGE: &str = "/run/initramfs";
/// What systemd-shutdown says before it jumps, in every version: so it is known.
const SYSTEMD_SAYS: &[u8] = b"Rebooting with kexec.";
/// The process that systemd-shutdown up to 260 runs a kexec program in, before it
/// asks the kernel itself.
const SYSTEMD_RUNS: &[u8] = b"(sd-kexec)";

impl Exitrd {
    /// What the next shutdown of this machine would find.
    pub fn read(volumes: &Volumes) -> Exitrd {
        if volumes.machine_has(&format!("{IMAGE}/shutdown")) {
            let (kind, jump) = present(volumes);
            return Exitrd::Used {
                kind,
                jump,
                because: format!("{IMAGE}/shutdown is there"),
            };
        }
        if let Some((kind, jump)) = mkinitcpio::planned(volumes) {
            return Exitrd::Used {
                kind,
                jump,
                because: format!("{} makes a shutdown image", mkinitcpio::SERVICE),
            };
        }
        // Without this mark dracut's unit unpacks nothing (dracut.cmdline(7),
        // "Debug": how to be asked for a shell at shutdown).
        if volumes.machine_has("/usr/lib/dracut/dracut-initramfs-restore")
            && volumes.machine_has(&format!("{IMAGE}/.need_shutdown"))
        {
            return Exitrd::Used {
                kind: ExitrdKind::Dracut,
                jump: from_the_old_root(volumes, Libraries::Dracut),
                because: "dracut-shutdown.service unpacks the initramfs".to_owned(),
            };
        }
        Exitrd::None
    }
}

/// What the image is that lies there already.
fn present(volumes: &Volumes) -> (ExitrdKind, ExitrdJump) {
    let bytes = match volumes.machine_program(&shutdown(volumes)) {
        Fact::Known(bytes) => bytes,
        other => {
            let why = format!(
                "{IMAGE}/shutdown cannot be read: {}",
                other.reason().unwrap_or("it is a dangling link")
            );
            return (ExitrdKind::Other, ExitrdJump::Unknown { why });
        }
    };
    if bytes.starts_with(b"\x7fELF") {
        return compiled(volumes, &bytes);
    }
    let has = |path: &str| volumes.machine_has(&format!("{IMAGE}/{path}"));
    let script = String::from_utf8_lossy(&bytes);
    let dracut = script.contains("dracut") || has("usr/lib/dracut") || has("lib/dracut");
    let mkinitcpio = has("init_functions") || has("mkinitcpio-shutdown.conf");
    let kind = match (dracut, mkinitcpio) {
        (true, _) => ExitrdKind::Dracut,
        (_, true) => ExitrdKind::Mkinitcpio,
        _ => ExitrdKind::Other,
    };
    let inside = inside(volumes);
    let jump = if kind == ExitrdKind::Dracut && inside.is_none() {
        from_the_old_root(volumes, Libraries::InTheImage)
    } else {
        scripted(volumes, &script, inside, Libraries::InTheImage)
    };
    (kind, jump)
}

/// Where the program /shutdown is: NixOS has a link into the image's store.
fn shutdown(volumes: &Volumes) -> String {
    let path = format!("{IMAGE}/shutdown");
    match volumes.machine_link(&path) {
        Fact::Known(to) if to.starts_with('/') => format!("{IMAGE}{to}"),
        _ => path,
    }
}

/// What a /shutdown is that is a program and no script.
fn compiled(volumes: &Volumes, bytes: &[u8]) -> (ExitrdKind, ExitrdJump) {
    let holds = |what: &[u8]| bytes.windows(what.len()).any(|at| at == what);
    if !holds(SYSTEMD_SAYS) {
        let why = format!("{IMAGE}/shutdown is an unknown program");
        return (ExitrdKind::Other, ExitrdJump::Unknown { why });
    }
    let by = "it is systemd-shutdown, which jumps".to_owned();
    let jump = match inside(volumes).filter(|_| holds(SYSTEMD_RUNS)) {
        // What starts and fails is taken for the answer; what cannot be started is not.
        Some((path, Runs::Lacks(what))) if !what.starts_with('/') => ExitrdJump::No {
            why: format!("systemd-shutdown runs {path} of the image, which lacks {what}"),
        },
        _ => ExitrdJump::Yes { by },
    };
    (ExitrdKind::Systemd, jump)
}

/// The kexec program in the image, and whether it runs there.
fn inside(volumes: &Volumes) -> Option<(String, Runs)> {
    let mut paths = FOLDERS
        .iter()
        .map(|folder| format!("{IMAGE}/{folder}/kexec"));
    let path = paths.find(|path| volumes.machine_has(path))?;
    let runs = program::runs(volumes, &path, Some(IMAGE));
    Some((path, runs))
}

/// How a script ends, with this program in its image.
fn scripted(
    volumes: &Volumes,
    script: &str,
    inside: Option<(String, Runs)>,
    libraries: Libraries,
) -> ExitrdJump {
    let lines: Vec<&str> = script
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let any = |words: &[&str]| {
        let has = |line: &&str| words.iter().all(|word| line.contains(word));
        lines.iter().any(has)
    };
    if !any(&["kexec"]) {
        return ExitrdJump::No {
            why: "its script does not use kexec".to_owned(),
        };
    }
    match inside {
        Some((path, Runs::Yes)) => ExitrdJump::Yes {
            by: format!("it has the program {path}"),
        },
        Some((path, Runs::Unknown)) => ExitrdJump::Unknown {
            why: format!("whether {path} runs there is unknown"),
        },
        Some((path, Runs::Lacks(what))) => ExitrdJump::No {
            why: format!("its program {path} lacks {what}"),
        },
        None if any(&["oldroot", "kexec"]) => from_the_old_root(volumes, libraries),
        // It may make up the place of the program as it goes.
        None if any(&["oldroot"]) && (any(&["cp ", "kexec"]) || any(&["PATH", "oldroot"])) => {
            ExitrdJump::Unknown {
                why:
                    "it has no kexec program, and whether its script copies one into it is unknown"
                        .to_owned(),
            }
        }
        None => ExitrdJump::No {
            why: "it has no kexec program".to_owned(),
        },
    }
}

/// Which libraries a program from the old root finds in the image.
#[derive(Clone, Copy)]
enum Libraries {
    /// Those that are in it: it is there.
    InTheImage,
    /// dracut's, which has systemd's among others; it is not unpacked yet.
    Dracut,
    /// Those of mkinitcpio's few programs; it is not made yet.
    Mkinitcpio,
}

/// A script that takes the program of the root file system along: dracut's, and
/// mkinitcpio's since 2012. It has to be a regular file there: a link that is
/// copied leads nowhere.
fn from_the_old_root(volumes: &Volumes, libraries: Libraries) -> ExitrdJump {
    let mut paths = FOLDERS.iter().map(|folder| format!("/{folder}/kexec"));
    let regular = |path: &String| {
        volumes.machine_has(path) && !matches!(volumes.machine_link(path), Fact::Known(_))
    };
    let Some(path) = paths.find(regular) else {
        return ExitrdJump::No {
            why: "it has no kexec program, and the root file system has none that it could take \
                  along (a regular file in /usr/sbin, /usr/bin, /sbin or /bin)"
                .to_owned(),
        };
    };
    let image = match libraries {
        Libraries::InTheImage => Some(IMAGE),
        Libraries::Dracut | Libraries::Mkinitcpio => None,
    };
    let by = format!("it takes {path} along");
    match (program::runs(volumes, &path, image), libraries) {
        (Runs::Yes, _) => ExitrdJump::Yes { by },
        (Runs::Lacks(what), Libraries::InTheImage | Libraries::Mkinitcpio) => ExitrdJump::No {
            why: format!("{by}, which lacks {what} there"),
        },
        (Runs::Lacks(what), Libraries::Dracut) => ExitrdJump::Unknown {
            why: format!(
                "unless the initramfs has a kexec program, {by}, which needs {what}; whether the \
                 initramfs has that is unknown"
            ),
        },
        (Runs::Unknown, _) => ExitrdJump::Unknown {
            why: format!("{by}, and whether that runs there is unknown"),
        },
    }
}

#[cfg(test)]
mod tests;
