//! A root with Rust, git, certificates and the sources, and nothing else.

use crate::host;
use anyhow::{Context, Result, bail, ensure};
use kexec_lab::apt::{Mirror, Suite};
use kexec_lab::programs::{StartProgram, output_of};
use kexec_lab::progress::watched;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// This file and its script, which a proof depends on.
pub const SOURCE: &str = concat!(include_str!("root.rs"), include_str!("enter.sh"));
const ENTER: &str = include_str!("enter.sh");
/// How long the files of a fresh root are used again.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The environment in the root: what a fresh login has.
const PATH: &str = "/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Beginnings of the names of variables that say how the network is reached.
const NETWORK: [&str; 8] = [
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_SOURCE_",
    "SSL_CERT_",
    "KEXEC_LAB_MIRROR",
    "http_proxy",
    "https_proxy",
];

/// A root that was made. It stays when a command fails, to look at.
#[derive(Debug)]
pub struct BareRoot {
    path: PathBuf,
    toolchain: PathBuf,
    lab: PathBuf,
    /// Held while it is used: there is one for each suite.
    _lock: fs::File,
}

/// How a command ran.
#[derive(Debug)]
pub struct CommandTimes {
    /// The time until its first line of output.
    pub first: Duration,
    /// The time until its end.
    pub took: Duration,
}

impl BareRoot {
    /// Makes one below `folder`, in place of the one before.
    pub fn make(folder: &Path, suite: Suite) -> Result<Self> {
        let path = folder.join(suite.name());
        let lock_path = folder.join(format!("{suite}.lock"));
        let lock = fs::File::create(&lock_path)
            .with_context(|| format!("opening {}", lock_path.display()))?;
        lock.lock()
            .with_context(|| format!("locking {}", lock_path.display()))?;
        let root = Self {
            path,
            toolchain: toolchain()?,
            lab: folder.join("lab"),
            _lock: lock,
        };
        // Nothing is mounted below it but in namespaces that are gone.
        root.remove()?;
        for folder in [&root.path, &root.lab] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let tar = files(folder, suite)?;
        output_of(
            Command::new("tar")
                .arg("-xf")
                .arg(&tar)
                .arg("-C")
                .arg(&root.path),
        )?;
        root.network()?;
        root.rust()?;
        root.sources()?;
        Ok(root)
    }

    /// Runs a command in the sources, and shows what it says.
    pub fn run(&self, wanted: &str) -> Result<CommandTimes> {
        let mut command = Command::new("setpriv");
        // However this ends, so does everything in there.
        command
            .args(["--pdeathsig", "KILL", "--"])
            .args(["unshare", "--mount", "--pid", "--fork", "--kill-child"])
            .args(["/bin/sh", "-c", ENTER, "enter.sh"])
            .args([&self.path, &self.toolchain, &self.lab])
            .arg(wanted)
            .env_clear()
            .envs(std::env::vars().filter(|(name, _)| {
                let name = name.as_str();
                NETWORK.iter().any(|start| name.starts_with(start))
            }))
            .envs([("HOME", "/root"), ("PATH", PATH), ("KEXEC_LAB", "/lab")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command.start()?;
        let output = child.stdout.take().context("the output is no pipe")?;
        let mut first = None;
        for line in BufReader::new(output).lines() {
            let line = line.context("reading what the command says")?;
            first.get_or_insert_with(|| started.elapsed());
            println!("  {line}");
        }
        let status = child.wait().context("waiting for the command")?;
        ensure!(
            status.success(),
            "`{wanted}` ended with {status} in the bare root {}, which stays to be looked at",
            self.path.display()
        );
        let took = started.elapsed();
        Ok(CommandTimes {
            first: first.unwrap_or(took),
            took,
        })
    }

    /// Removes the folder with everything in it.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The network is reached as on this machine.
    fn network(&self) -> Result<()> {
        let settings = Mirror::of_this_machine();
        let settings = format!(
            "Acquire::Check-Valid-Until \"false\";\n{}",
            settings.settings()
        );
        let apt = self.path.join("etc/apt/apt.conf.d/99network");
        super::write(&apt, &settings)?;
        for file in [
            "etc/resolv.conf",
            "etc/hosts",
            "etc/ssl/certs/ca-certificates.crt",
        ] {
            let from = Path::new("/").join(file);
            if from.exists() {
                fs::copy(&from, self.path.join(file))
                    .with_context(|| format!("copying {}", from.display()))?;
            }
        }
        Ok(())
    }

    /// Places for the toolchain and the lab; cargo's settings, and the crates that it
    /// has fetched already.
    fn rust(&self) -> Result<()> {
        let cargo = self.path.join("root/.cargo");
        for folder in [&cargo, &self.path.join("opt/rust"), &self.path.join("lab")] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")));
        let Some(home) = home else { return Ok(()) };
        for name in ["config.toml", "registry"] {
            let from = home.join(name);
            if from.exists() {
                output_of(Command::new("cp").arg("-a").arg(&from).arg(&cargo))?;
            }
        }
        Ok(())
    }

    /// The sources as they are now, with the history that says when.
    fn sources(&self) -> Result<()> {
        let into = self.path.join("root/kexec-rs");
        let mut clone = Command::new("git");
        clone.args(["clone", "--quiet", "--no-local", "--depth=1"]);
        output_of(
            clone
                .arg(format!("file://{}", host::root().display()))
                .arg(&into),
        )?;
        let names = output_of(
            Command::new("git")
                .args([
                    "ls-files",
                    "-z",
                    "--cached",
                    "--others",
                    "--exclude-standard",
                ])
                .current_dir(host::root()),
        )?;
        for name in names.split_terminator('\0') {
            let (from, to) = (host::root().join(name), into.join(name));
            if fs::symlink_metadata(&from).is_err() {
                // Removed since, and not yet committed.
                let _ = fs::remove_file(&to);
            } else if fs::read(&from).ok() != fs::read(&to).ok() {
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder)?;
                }
                output_of(Command::new("cp").arg("-a").args([&from, &to]))?;
            }
        }
        // Root's copy of somebody else's files is still root's.
        output_of(Command::new("chown").args(["-R", "0:0"]).arg(&into)).map(drop)
    }
}

/// Rust as rustup installs it, which needs nothing around it.
fn toolchain() -> Result<PathBuf> {
    let said = output_of(Command::new("rustc").args(["--print", "sysroot"]))?;
    let folder = PathBuf::from(said.trim());
    if folder == Path::new("/usr") {
        bail!("the Rust of this machine is the distribution's, spread over /usr: use rustup's");
    }
    Ok(folder)
}

/// The files of a fresh root, made if they are not there or old.
fn files(folder: &Path, suite: Suite) -> Result<PathBuf> {
    let tar = folder.join(format!("{suite}.tar"));
    let made = fs::metadata(&tar).and_then(|found| found.modified());
    let is_young = |made| {
        SystemTime::now()
            .duration_since(made)
            .is_ok_and(|age| age < WEEK)
    };
    if made.is_ok_and(is_young) {
        return Ok(tar);
    }
    let mirror = Mirror::of_this_machine();
    println!("making a bare root of {suite} from {}", mirror.uri);
    let partial = folder.join(format!("{suite}.partial"));
    let options = tempfile::NamedTempFile::new().context("making a file for apt's settings")?;
    let settings = format!(
        "Acquire::Check-Valid-Until \"false\";\n{}",
        mirror.settings()
    );
    super::write(options.path(), &settings)?;
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--variant=minbase", "--mode=root", "--format=tar"])
        .arg("--include=ca-certificates,git")
        .arg(format!("--aptopt={}", options.path().display()))
        .arg(suite.name())
        .arg(&partial)
        .arg(&mirror.uri);
    let output = watched(&mut command, || format!("a bare root of {suite} is made"))?;
    ensure!(
        output.status.success(),
        "mmdebstrap of {suite} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    fs::rename(&partial, &tar).with_context(|| format!("moving {}", tar.display()))?;
    Ok(tar)
}
