//! Debian packages, fetched and unpacked beside the system, never into it.
//!
//! Each Debian release gets an apt root of its own below the lab's folder:
//! own sources, own index, own cache, and an empty dpkg status, so that apt
//! resolves the whole closure of a package whatever the host has installed.
//! apt checks signatures and hashes as ever. No privilege is needed and the
//! host's own apt configuration is only read (mirror and proxy).

mod debs;
mod mirror;
mod root;
mod tree;

pub use mirror::Mirror;
pub use root::Package;
pub use tree::UnpackedTree;

use crate::programs;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A suite of the Debian archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// Debian 11.
    Bullseye,
    /// Debian 12.
    Bookworm,
    /// Debian 12 for 32-bit machines.
    BookwormI386,
    /// Debian 12 for arm64.
    BookwormArm64,
    /// Debian 12 for armhf.
    BookwormArmhf,
    /// Debian 12 for ppc64el.
    BookwormPpc64el,
    /// Debian 12 for s390x.
    BookwormS390x,
    /// Newer packages built for Debian 12.
    BookwormBackports,
    /// Debian 13.
    Trixie,
    /// Newer packages built for Debian 13.
    TrixieBackports,
    /// Debian unstable, which has the newest systemd.
    Sid,
}

impl Suite {
    /// The archive's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm
            | Self::BookwormI386
            | Self::BookwormArm64
            | Self::BookwormArmhf
            | Self::BookwormPpc64el
            | Self::BookwormS390x => "bookworm",
            Self::BookwormBackports => "bookworm-backports",
            Self::Trixie => "trixie",
            Self::TrixieBackports => "trixie-backports",
            Self::Sid => "sid",
        }
    }

    /// The release that it belongs to: a system of it has packages of both.
    pub(crate) fn release(self) -> &'static str {
        self.root().0
    }

    /// The release whose apt root holds it, and that root's suites.
    fn root(self) -> (&'static str, &'static str) {
        match self {
            Self::Bullseye => ("bullseye", "bullseye"),
            Self::BookwormI386 => ("bookworm-i386", "bookworm"),
            Self::BookwormArm64 => ("bookworm-arm64", "bookworm"),
            Self::BookwormArmhf => ("bookworm-armhf", "bookworm"),
            Self::BookwormPpc64el => ("bookworm-ppc64el", "bookworm"),
            Self::BookwormS390x => ("bookworm-s390x", "bookworm"),
            Self::Bookworm | Self::BookwormBackports => ("bookworm", "bookworm bookworm-backports"),
            Self::Trixie | Self::TrixieBackports => ("trixie", "trixie trixie-backports"),
            Self::Sid => ("sid", "sid"),
        }
    }

    /// The architecture of its packages, by Debian's name.
    fn architecture(self) -> &'static str {
        match self {
            Self::BookwormI386 => "i386",
            Self::BookwormArm64 => "arm64",
            Self::BookwormArmhf => "armhf",
            Self::BookwormPpc64el => "ppc64el",
            Self::BookwormS390x => "s390x",
            Self::Bullseye
            | Self::Bookworm
            | Self::BookwormBackports
            | Self::Trixie
            | Self::TrixieBackports
            | Self::Sid => "amd64",
        }
    }
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.architecture() {
            "amd64" => f.write_str(self.name()),
            // Its packages have the names and versions of the others.
            other => write!(f, "{}-{other}", self.name()),
        }
    }
}

/// Which packages of a resolved closure are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The package and everything that it depends on.
    Closure,
    /// Only packages whose name starts with one of these.
    Named(&'static [&'static str]),
}

impl Keep {
    fn wants(self, name: &str) -> bool {
        match self {
            Self::Closure => true,
            Self::Named(starts) => starts.iter().any(|start| name.starts_with(start)),
        }
    }
}

/// The apt roots and unpacked trees below one folder.
#[derive(Debug, Clone)]
pub struct Apt {
    folder: PathBuf,
    mirror: Mirror,
    keyring: PathBuf,
}

/// Debian's archive keys as the `debian-archive-keyring` package of Debian
/// and of Ubuntu installs them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Present where that package is new enough to know Debian 13's keys.
const TRIXIE_KEYS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-trixie-automatic.gpg",
    "/usr/share/keyrings/debian-archive-trixie-automatic.pgp",
];

impl Apt {
    /// Opens the apt roots below `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// If this is not a machine with apt, or Debian's keyring is missing.
    pub fn open(folder: &Path) -> Result<Self> {
        for tool in ["apt-get", "apt-config", "dpkg-deb"] {
            if programs::find(tool).is_none() {
                bail!(
                    "looked for {tool} to fetch the lab's Debian packages: there is none; \
                     the lab needs a Debian or Ubuntu machine (packages apt, dpkg)"
                );
            }
        }
        let keyring = PathBuf::from(KEYRING);
        if !keyring.exists() {
            bail!(
                "looked for Debian's archive keys in {KEYRING}: there is no such file; \
                 install the package debian-archive-keyring (apt-get install debian-archive-keyring)"
            );
        }
        std::fs::create_dir_all(folder)
            .with_context(|| format!("making the lab's folder {}", folder.display()))?;
        let folder = folder
            .canonicalize()
            .with_context(|| format!("resolving {}", folder.display()))?;
        let mut apt = Self {
            folder,
            mirror: Mirror::of_this_machine(),
            keyring,
        };
        if !TRIXIE_KEYS.iter().any(|file| Path::new(file).exists()) {
            // An older keyring still vouches for Debian 12, whose own keyring
            // package knows the newer keys.
            let tree = apt.tree(
                Suite::Bookworm,
                "debian-archive-keyring",
                Keep::Named(&["debian-archive-keyring"]),
            )?;
            apt.keyring = tree.path.join(KEYRING.trim_start_matches('/'));
        }
        Ok(apt)
    }

    /// Where packages come from.
    #[must_use]
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// `package` of `suite` (and what `keep` says of its dependencies),
    /// unpacked into one folder. What is already there is used as it is; the
    /// archive's index is asked again once a day.
    ///
    /// # Errors
    /// If the package cannot be resolved, fetched or unpacked.
    pub fn tree(&self, suite: Suite, package: &str, keep: Keep) -> Result<UnpackedTree> {
        let root = root::AptRoot::open(self, suite)?;
        tree::prepare(self, &root, package, keep)
    }

    /// Refuses packages that `suite` does not have, or not with all that they need.
    ///
    /// # Errors
    /// If it does not have one of them, or its index cannot be read.
    pub fn require(&self, suite: Suite, packages: &[&str]) -> Result<()> {
        root::AptRoot::open(self, suite)?.require(packages)
    }

    /// The `.deb` files of `package` of `suite` and of its whole closure, but for
    /// the packages in `there`.
    ///
    /// # Errors
    /// If the package cannot be resolved or fetched.
    pub fn debs(
        &self,
        suite: Suite,
        package: &str,
        there: &BTreeSet<String>,
    ) -> Result<Vec<PathBuf>> {
        let root = root::AptRoot::open(self, suite)?;
        debs::fetch(self, &root, package, there)
    }

    /// The file with the sources of a suite's apt root, and the settings (apt
    /// configuration) for reaching them. They can hold a password.
    ///
    /// # Errors
    /// If the apt root cannot be made.
    pub(crate) fn sources(&self, suite: Suite) -> Result<(PathBuf, String)> {
        let root = root::AptRoot::open(self, suite)?;
        let settings = format!(
            "Acquire::Check-Valid-Until \"false\";\n{}",
            self.mirror.settings
        );
        Ok((root.sources(), settings))
    }
}
