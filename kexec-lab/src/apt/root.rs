//! One apt root: its configuration, its index, and what a name resolves to.

use super::{Apt, Suite};
use crate::progress::{megabytes, watched};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long an index is good for.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long to leave the network alone after an index could not be renewed.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// One package of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The name of the binary package.
    pub name: String,
    /// The version, as dpkg compares it.
    pub version: String,
    /// Size of the `.deb` file in bytes.
    pub size: u64,
}

/// What a name resolved to, and in which state of the index.
#[derive(Debug, Serialize, Deserialize)]
struct Resolved {
    index: u64,
    packages: Vec<Package>,
}

/// The apt root that holds a suite.
#[derive(Debug)]
pub(super) struct AptRoot {
    pub(super) suite: Suite,
    folder: PathBuf,
    config: PathBuf,
    /// Seconds since 1970 of the last successful update.
    index: u64,
}

impl AptRoot {
    /// Opens the root and renews its index if that is older than a day. An
    /// old index is used on when the network is away.
    pub(super) fn open(apt: &Apt, suite: Suite) -> Result<Self> {
        let (release, suites) = suite.root();
        let folder = apt.folder.join("apt").join(release);
        let mut root = Self {
            suite,
            config: folder.join("apt.conf"),
            folder,
            index: 0,
        };
        root.configure(apt, suites)
            .with_context(|| format!("preparing the apt root {}", root.folder.display()))?;
        let stamp = root.folder.join("updated");
        let tried = root.folder.join("tried");
        root.index = read_number(&stamp).unwrap_or(0);
        let fresh = age(root.index) < DAY;
        if fresh || (root.index != 0 && age(read_number(&tried).unwrap_or(0)) < HOUR) {
            return Ok(root);
        }
        eprintln!(
            "lab: reading the package index of {release} from {}",
            apt.mirror.uri
        );
        write_number(&tried, now())?;
        let lists = root.folder.join("state/lists");
        let say = || format!("the index of {release}: {} MB", megabytes(&lists));
        match root.apt_get(&["update", "-qq", "--error-on=any"], &root.folder, say) {
            Ok(_) => {
                root.index = now();
                write_number(&stamp, root.index)?;
            }
            Err(error) if root.index == 0 => return Err(error),
            Err(error) => {
                eprintln!("lab: staying with the index of {release} from before: {error:#}")
            }
        }
        Ok(root)
    }

    /// Its file of sources, sources.list(5).
    pub(super) fn sources(&self) -> PathBuf {
        self.folder.join("sources/lab.sources")
    }

    /// Writes the configuration if it is not there already.
    fn configure(&self, apt: &Apt, suites: &str) -> Result<()> {
        let at = self.folder.display();
        let architecture = self.suite.architecture();
        for sub in [
            "state/lists/partial",
            "cache/archives/partial",
            "sources",
            "resolved",
        ] {
            std::fs::create_dir_all(self.folder.join(sub))?;
        }
        // The host's own configuration is left out entirely: its hooks would
        // run on each update, and its pins would choose other versions.
        let config = format!(
            "Dir::Etc::parts \"/dev/null\";\n\
             Dir::Etc::main \"/dev/null\";\n\
             Dir::Etc::sourcelist \"/dev/null\";\n\
             Dir::Etc::sourceparts \"{at}/sources\";\n\
             Dir::Etc::preferences \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"/dev/null\";\n\
             Dir::State \"{at}/state\";\n\
             Dir::State::status \"{at}/status\";\n\
             Dir::State::extended_states \"{at}/extended_states\";\n\
             Dir::Cache \"{at}/cache\";\n\
             Dir::Log \"{at}/log\";\n\
             APT::Architecture \"{architecture}\";\n\
             APT::Architectures {{ \"{architecture}\"; }};\n\
             APT::Install-Recommends \"false\";\n\
             APT::Sandbox::User \"root\";\n\
             Acquire::Check-Valid-Until \"false\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::GzipIndexes \"true\";\n\
             Acquire::Retries \"3\";\n\
             Debug::NoLocking \"true\";\n{}",
            apt.mirror.settings
        );
        write_if_changed(&self.config, &config)?;
        write_if_changed(&self.folder.join("status"), "")?;
        let sources = format!(
            "Types: deb\nURIs: {}\nSuites: {suites}\nComponents: main\n\
             Architectures: {architecture}\nSigned-By: {}\n",
            apt.mirror.uri,
            apt.keyring.display()
        );
        if write_if_changed(&self.sources(), &sources)? {
            // Another mirror: its index is not the one that was read.
            let _ = std::fs::remove_file(self.folder.join("updated"));
        }
        Ok(())
    }

    /// The package and its closure, in apt's order. Kept until the index
    /// changes.
    pub(super) fn resolve(&self, package: &str) -> Result<Vec<Package>> {
        let record = self
            .folder
            .join("resolved")
            .join(format!("{}_{package}.json", self.suite));
        if let Ok(text) = std::fs::read_to_string(&record)
            && let Ok(resolved) = serde_json::from_str::<Resolved>(&text)
            && resolved.index == self.index
        {
            return Ok(resolved.packages);
        }
        let output = self.apt_get(
            &[
                "install",
                "-qq",
                "--yes",
                "--print-uris",
                "--no-install-recommends",
                "-t",
                self.suite.name(),
                package,
            ],
            &self.folder,
            || format!("what {package} of {} is made of", self.suite),
        )?;
        let packages = parse_uris(&String::from_utf8_lossy(&output.stdout));
        if !packages.iter().any(|one| one.name == package) {
            bail!(
                "asked apt what {package} of {} is made of: the answer does not name it: {}",
                self.suite,
                String::from_utf8_lossy(&output.stdout)
            );
        }
        let resolved = Resolved {
            index: self.index,
            packages,
        };
        write_if_changed(&record, &serde_json::to_string_pretty(&resolved)?)?;
        Ok(resolved.packages)
    }

    /// Refuses packages that the suite does not have, or not with all that they need.
    pub(super) fn require(&self, packages: &[&str]) -> Result<()> {
        let mut arguments = vec!["install", "-qq", "--yes", "--print-uris"];
        arguments.extend(["--no-install-recommends", "-t", self.suite.name()]);
        arguments.extend(packages);
        let say = || format!("what {} packages are made of", packages.len());
        self.apt_get(&arguments, &self.folder, say).map(drop)
    }

    /// Fetches these packages as `.deb` files into `into`; apt checks each
    /// against the signed index.
    pub(super) fn download(&self, packages: &[&Package], into: &Path) -> Result<()> {
        let exact: Vec<_> = packages
            .iter()
            .map(|package| format!("{}={}", package.name, package.version))
            .collect();
        let mut arguments = vec!["download", "-qq", "-t", self.suite.name()];
        arguments.extend(exact.iter().map(String::as_str));
        let bytes: u64 = packages.iter().map(|package| package.size).sum();
        let of = bytes.div_ceil(1_000_000);
        let [first, ..] = packages else {
            return Ok(());
        };
        let say = || {
            let so_far = megabytes(into);
            format!(
                "{so_far} of {of} MB of {} and what it needs fetched",
                first.name
            )
        };
        self.apt_get(&arguments, into, say)?;
        Ok(())
    }

    /// apt-get with this root's configuration; `say` knows how far it is.
    fn apt_get(
        &self,
        arguments: &[&str],
        folder: &Path,
        say: impl Fn() -> String + Send,
    ) -> Result<Output> {
        let mut command = Command::new("apt-get");
        command
            .args(arguments)
            .current_dir(folder)
            .env("APT_CONFIG", &self.config)
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        let output = watched(&mut command, say)?;
        if !output.status.success() {
            let words: Vec<_> = arguments.iter().take(8).copied().collect();
            bail!(
                "apt-get {} for {} in {} ended with {}: {}\n\
                 Look at the network and the mirror in {}; KEXEC_LAB_MIRROR=URI names another one.",
                words.join(" "),
                self.suite,
                self.folder.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim(),
                self.sources().display(),
            );
        }
        Ok(output)
    }
}

/// Reads lines of `apt-get --print-uris`: `'URI' FILE SIZE HASH`. FILE is
/// `name_version_arch.deb` with `:` written as `%3a`.
fn parse_uris(text: &str) -> Vec<Package> {
    text.lines()
        .filter(|line| line.starts_with('\''))
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let file = words.next()?.strip_suffix(".deb")?;
            let size = words.next()?.parse().ok()?;
            let mut parts = file.split('_');
            Some(Package {
                name: parts.next()?.to_owned(),
                version: parts.next()?.replace("%3a", ":"),
                size,
            })
        })
        .collect()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn age(seconds: u64) -> Duration {
    Duration::from_secs(now().abs_diff(seconds))
}

fn read_number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn write_number(file: &Path, number: u64) -> Result<()> {
    std::fs::write(file, number.to_string()).with_context(|| format!("writing {}", file.display()))
}

/// Writes `text` with mode 0600 (it may hold a proxy's password); says
/// whether it was another one before.
fn write_if_changed(file: &Path, text: &str) -> Result<bool> {
    if std::fs::read_to_string(file).is_ok_and(|old| old == text) {
        return Ok(false);
    }
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut open| open.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}", file.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn print_uris() {
        let text = "Reading package lists...\n\
            'http://m.example/debian/pool/main/k/kexec-tools/kexec-tools_2.0.32-3_amd64.deb' \
            kexec-tools_1%3a2.0.32-3_amd64.deb 97064 SHA256:00\n\
            'http://m.example/x' not-a-package 1 SHA256:00\n";
        assert_eq!(
            parse_uris(text),
            [Package {
                name: "kexec-tools".to_owned(),
                version: "1:2.0.32-3".to_owned(),
                size: 97064,
            }]
        );
    }
}
