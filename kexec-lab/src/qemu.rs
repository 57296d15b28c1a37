//! Finding QEMU, and what one run of it looks like.

use crate::apt::{Apt, Keep, Suite};
use crate::files::read;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;

/// The first QEMU whose interpreter is sound for these guests: older ones
/// miscompile cmpxchg16b, and kernels crash now and then.
const MINIMUM: u32 = 10;
/// Name of the program.
const PROGRAM: &str = "qemu-system-x86_64";

/// The firmware of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestFirmware {
    /// A PC BIOS.
    SeaBios,
    /// UEFI, without Secure Boot.
    Ovmf,
    /// UEFI with Secure Boot on and Microsoft's keys, behind SMM.
    SecureBoot,
}

impl GuestFirmware {
    /// Those that any kernel boots with.
    pub const ALL: [Self; 2] = [Self::SeaBios, Self::Ovmf];

    /// Lower-case name, as in the names of fixtures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SeaBios => "seabios",
            Self::Ovmf => "ovmf",
            Self::SecureBoot => "secure-boot",
        }
    }
}

impl std::fmt::Display for GuestFirmware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A QEMU that can run, and the UEFI firmware beside it.
#[derive(Debug, Clone)]
pub struct Qemu {
    command: Vec<OsString>,
    /// What `--version` says, first line.
    pub version: String,
    ovmf_code: PathBuf,
    ovmf_vars: PathBuf,
}

impl Qemu {
    /// The QEMU of the system if it is new enough, or else trixie's, with its
    /// own libraries and its own dynamic loader, so that it does not matter
    /// how old the host's C library is.
    pub(crate) fn find(apt: &Apt) -> Result<Self> {
        let firmware = apt
            .tree(Suite::Trixie, "ovmf", Keep::Named(&["ovmf"]))?
            .path;
        let (ovmf_code, ovmf_vars) = (
            firmware.join("usr/share/OVMF/OVMF_CODE_4M.fd"),
            firmware.join("usr/share/OVMF/OVMF_VARS_4M.fd"),
        );
        let system = vec![OsString::from(PROGRAM)];
        if let Some(version) = version_of(&system)
            && major(&version) >= Some(MINIMUM)
        {
            return Ok(Self {
                command: system,
                version,
                ovmf_code,
                ovmf_vars,
            });
        }
        let tree = apt
            .tree(Suite::Trixie, "qemu-system-x86", Keep::Closure)?
            .path;
        let libraries = tree.join("usr/lib/x86_64-linux-gnu");
        let command: Vec<OsString> = vec![
            libraries.join("ld-linux-x86-64.so.2").into(),
            "--library-path".into(),
            libraries.into(),
            tree.join("usr/bin").join(PROGRAM).into(),
            "-L".into(),
            tree.join("usr/share/qemu").into(),
            "-L".into(),
            tree.join("usr/share/seabios").into(),
        ];
        let Some(version) = version_of(&command) else {
            bail!("ran {command:?} --version: it does not run or names no version");
        };
        if major(&version) < Some(MINIMUM) {
            bail!("looked for QEMU {MINIMUM} or newer in trixie: found {version}");
        }
        Ok(Self {
            command,
            version,
            ovmf_code,
            ovmf_vars,
        })
    }

    /// Writes a program that runs this QEMU, for tests that only take a program's
    /// name.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn wrapper(&self, path: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let quoted = |word: &OsString| {
            let word = word.to_string_lossy().replace('\'', "'\\''");
            format!("'{word}'")
        };
        let words: Vec<String> = self.command.iter().map(quoted).collect();
        let script = format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "));
        std::fs::write(path, script)
            .and_then(|()| {
                let executable = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(path, executable)
            })
            .with_context(|| format!("writing {}", path.display()))
    }

    /// A command that runs QEMU and dies with the thread that starts it, so
    /// that a killed test leaves no guest behind.
    pub(crate) fn command(&self) -> Command {
        let mut words = Vec::new();
        if crate::programs::find("setpriv").is_some() {
            words.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(OsString::from));
        }
        words.extend(self.command.iter().cloned());
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_else(|| PROGRAM.into()));
        command.args(words);
        command
    }

    /// The arguments that give a guest its firmware. `scratch` takes the copy
    /// of the UEFI variables.
    pub(crate) fn firmware(&self, firmware: GuestFirmware, scratch: &Path) -> Result<Vec<String>> {
        let (code, variables, machine) = match firmware {
            GuestFirmware::SeaBios => return Ok(Vec::new()),
            GuestFirmware::Ovmf => (self.ovmf_code.clone(), self.ovmf_vars.clone(), &[][..]),
            // README.Debian of the package ovmf: the variables may be written by SMM
            // alone.
            GuestFirmware::SecureBoot => (
                self.ovmf_code.with_file_name("OVMF_CODE_4M.secboot.fd"),
                self.ovmf_vars.with_file_name("OVMF_VARS_4M.ms.fd"),
                &[
                    "-machine",
                    "smm=on",
                    "-global",
                    "driver=cfi.pflash01,property=secure,value=on",
                ][..],
            ),
        };
        let vars = scratch.join("OVMF_VARS.fd");
        std::fs::write(&vars, read(&variables)?)
            .with_context(|| format!("writing {}", vars.display()))?;
        let drive =
            |rest: &str, path: &Path| format!("if=pflash,format=raw,{rest}file={}", path.display());
        let mut arguments: Vec<String> = machine.iter().map(|a| (*a).to_owned()).collect();
        arguments.extend([
            "-drive".to_owned(),
            drive("readonly=on,", &code),
            "-drive".to_owned(),
            drive("", &vars),
        ]);
        Ok(arguments)
    }
}

/// Arguments that make QEMU's monitor the third serial port of a guest, `/dev/ttyS2`: the same
/// socket, which is made, from both sides. The monitor echoes each character of a command with all
/// before it: the guest has to read that, or the monitor takes no more than a short command.
#[must_use]
pub fn monitor_port(socket: &Path) -> Vec<String> {
    let socket = socket.display();
    [
        "-chardev",
        &format!("socket,id=monitor,path={socket},server=on,wait=off"),
        "-mon",
        "chardev=monitor,mode=readline",
        "-chardev",
        &format!("socket,id=port,path={socket}"),
        "-device",
        "isa-serial,chardev=port,index=2",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// A QEMU that is killed when it goes out of scope, so that a failed test leaves no guest
/// behind.
#[derive(Debug)]
pub(crate) struct RunningQemu(pub(crate) Child);

impl Drop for RunningQemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn version_of(command: &[OsString]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let output = Command::new(program)
        .args(arguments)
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next()?;
    line.contains("version").then(|| line.to_owned())
}

/// The major version in "QEMU emulator version 10.0.2 (Debian ...)".
fn major(version: &str) -> Option<u32> {
    let (_, rest) = version.split_once("version ")?;
    rest.split('.').next()?.parse().ok()
}

/// Holds back guests on this machine, until it is dropped, that would be more
/// than [`guest_slots`]: interpreted guests that share a processor run into each
/// other's timeouts.
///
/// Nothing is held where a caller such as `flock /tmp/qemu.lock cargo test`
/// holds the first lock for this process already.
#[derive(Debug)]
pub struct GuestSlot(#[expect(dead_code, reason = "held, not read")] Option<File>);

impl GuestSlot {
    /// Waits until fewer guests run than may.
    ///
    /// # Errors
    /// If the lock's file cannot be opened.
    pub fn wait() -> Result<Self> {
        lock_machine().map(Self)
    }

    /// The slot that is held, or else a new one that was waited for.
    pub(crate) fn keep(slot: &mut Option<Self>) -> Result<&Self> {
        let held = match slot.take() {
            Some(held) => held,
            None => Self::wait()?,
        };
        Ok(slot.insert(held))
    }
}

/// How many guests may run at once: one for each processor (measured on two: two
/// cycles of a systemd took no longer each than one), as far as memory goes.
fn guest_slots() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(4))
}

fn lock_machine() -> Result<Option<File>> {
    static HELD_BY_CALLER: OnceLock<bool> = OnceLock::new();
    let folder = std::env::temp_dir();
    let paths: Vec<PathBuf> = (0..guest_slots())
        .map(|n| match n {
            0 => folder.join("qemu.lock"),
            n => folder.join(format!("qemu-{n}.lock")),
        })
        .collect();
    if *HELD_BY_CALLER.get_or_init(|| is_open_here(&folder.join("qemu.lock"))) {
        return Ok(None);
    }
    // One at a time looks for a free place, and the kernel wakes those behind it in
    // their order: a process that runs one guest after the other does not keep the
    // rest out.
    let queue = open_lock(&folder.join("qemu-queue.lock"))?;
    queue.lock().context("waiting in the queue of guests")?;
    let mut waiting = false;
    loop {
        for path in &paths {
            let file = open_lock(path)?;
            if file.try_lock().is_ok() {
                return Ok(Some(file));
            }
        }
        if !waiting {
            eprintln!(
                "lab: waiting for {} guests on this machine ({})",
                paths.len(),
                folder.join("qemu*.lock").display()
            );
            waiting = true;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn open_lock(path: &Path) -> Result<File> {
    // Opening for reading first: a file of another user in a sticky folder
    // can be locked, but not opened with O_CREAT.
    File::open(path)
        .or_else(|_| {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
        })
        .with_context(|| format!("opening {}", path.display()))
}

/// Whether this process has the file open. Asked before the lab opens it: the
/// file can only have been left open by whoever started this process.
fn is_open_here(path: &Path) -> bool {
    std::fs::read_dir("/proc/self/fd").is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(
            major("QEMU emulator version 7.2.17 (Debian 1:7.2+dfsg-7)"),
            Some(7)
        );
        assert_eq!(major("QEMU emulator version 10.0.2"), Some(10));
        assert_eq!(major("something else"), None);
    }
}
