//! What a test needs, fetched and ready: kernels, QEMU, busybox, the real
//! kexec-tools.

use crate::apt::{Apt, Keep, Suite, UnpackedTree};
use crate::files::{read, workspace};
use crate::initramfs::Initramfs;
use crate::qemu::Qemu;
use crate::{linked, modules, scripts};
use anyhow::{Context, Result, bail};
use kexec_image::{Kernel, Options, recognise};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernels of the lab, by label: the suites that are looked at, in order,
/// and what the release must start with.
///
/// Debian's cloud kernels: built for virtual machines, small, signed.
pub const KERNELS: &[KernelSource] = &[
    KernelSource {
        label: "6.1",
        suites: &[Suite::Bookworm],
        release: "6.1.",
    },
    KernelSource {
        label: "6.12",
        suites: &[Suite::Trixie],
        release: "6.12.",
    },
    KernelSource {
        label: "7.x",
        suites: &[Suite::TrixieBackports, Suite::Sid],
        release: "7.",
    },
];

/// Where a kernel of the lab comes from.
#[derive(Debug, Clone, Copy)]
pub struct KernelSource {
    /// Name in tests and fixtures.
    pub label: &'static str,
    /// Suites, in the order in which they are tried.
    pub suites: &'static [Suite],
    /// What `uname -r` must start with.
    pub release: &'static str,
}

/// A Debian kernel, unpacked.
#[derive(Debug, Clone)]
pub struct LabKernel {
    /// Its label in [`KERNELS`].
    pub label: &'static str,
    /// What `uname -r` says when it runs.
    pub release: String,
    /// The bzImage.
    pub path: PathBuf,
    /// Folder with its modules (`kernel/...`, `.ko` or `.ko.xz`).
    pub modules: PathBuf,
    /// The suite that has it.
    pub suite: Suite,
}

impl LabKernel {
    /// The bzImage that an environment variable names, for what no kernel of Debian can
    /// show. It has no modules.
    ///
    /// # Errors
    /// If the variable is not set, or names no bzImage.
    pub fn named_by(variable: &str, label: &'static str) -> Result<Self> {
        let path = std::env::var_os(variable)
            .map(PathBuf::from)
            .with_context(|| format!("{variable} is not set; it has to name a bzImage"))?;
        let image = recognise(read(&path)?.into(), &Options::default())
            .with_context(|| format!("reading {}, which {variable} names", path.display()))?;
        let Kernel::BzImage(bzimage) = &image.kernel else {
            bail!("{}, which {variable} names, is no bzImage", path.display());
        };
        Ok(Self {
            label,
            release: bzimage.release().unwrap_or_default().to_owned(),
            modules: PathBuf::new(),
            suite: Suite::Sid,
            path,
        })
    }

    /// One of its modules, unpacked; the name as in `modules.dep`, up to `.ko`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn module(&self, name: &str) -> Result<Vec<u8>> {
        let plain = self.modules.join(name);
        if plain.exists() {
            return modules::unpack(&plain);
        }
        modules::unpack(&self.modules.join(format!("{name}.xz")))
    }
}

/// The lab: a cache folder and what it holds.
///
/// Its place is the environment's `KEXEC_LAB`, or `target/lab` of the
/// workspace. Only the first use takes long; a filled cache opens in well
/// under a second.
#[derive(Debug)]
pub struct Lab {
    folder: PathBuf,
    apt: Apt,
    qemu: Qemu,
    busybox: PathBuf,
    /// Symbolic links to busybox, by applet.
    applets: Vec<String>,
    /// Shared with other processes that prepare the same folder.
    lock: File,
}

impl Lab {
    /// Opens the lab, fetching QEMU, firmware and busybox if need be.
    ///
    /// # Errors
    /// If this is no Debian or Ubuntu machine or something cannot be fetched.
    pub fn open() -> Result<Self> {
        Self::open_at(&lab_folder())
    }

    /// The same in another folder.
    ///
    /// # Errors
    /// As [`Lab::open`].
    pub fn open_at(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("making the lab's folder {}", folder.display()))?;
        let lock_path = folder.join("lock");
        let lock =
            File::create(&lock_path).with_context(|| format!("opening {}", lock_path.display()))?;
        lock.lock()
            .with_context(|| format!("locking {}", lock_path.display()))?;
        let apt = Apt::open(folder)?;
        let qemu = Qemu::find(&apt)?;
        let busybox = apt
            .tree(Suite::Bookworm, "busybox-static", Keep::Named(&["busybox"]))?
            .path
            .join("bin/busybox");
        let listing = Command::new(&busybox)
            .arg("--list")
            .output()
            .with_context(|| format!("running {} --list", busybox.display()))?;
        let applets = String::from_utf8_lossy(&listing.stdout)
            .lines()
            .filter(|name| *name != "busybox")
            .map(str::to_owned)
            .collect();
        lock.unlock().context("unlocking the lab's folder")?;
        Ok(Self {
            folder: folder.to_owned(),
            apt,
            qemu,
            busybox,
            applets,
            lock,
        })
    }

    /// The cache folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The QEMU of the lab.
    #[must_use]
    pub fn qemu(&self) -> &Qemu {
        &self.qemu
    }

    /// Any Debian package, for what a test needs beyond the lab's own.
    ///
    /// # Errors
    /// As [`Apt::tree`].
    pub fn package(&self, suite: Suite, package: &str, keep: Keep) -> Result<UnpackedTree> {
        self.lock.lock().context("locking the lab's folder")?;
        let tree = self.apt.tree(suite, package, keep);
        self.lock.unlock().context("unlocking the lab's folder")?;
        tree
    }

    /// The kernel with this label of [`KERNELS`].
    ///
    /// # Errors
    /// If there is no such label, no suite has such a kernel, or it cannot be
    /// fetched.
    pub fn kernel(&self, label: &str) -> Result<LabKernel> {
        let Some(source) = KERNELS.iter().find(|source| source.label == label) else {
            let labels: Vec<_> = KERNELS.iter().map(|source| source.label).collect();
            bail!(
                "asked the lab for the kernel {label:?}: it has {}",
                labels.join(", ")
            );
        };
        self.newest(source, "linux-image-cloud-amd64")
    }

    /// Debian's 6.12 for machines of all kinds, with drivers of graphics cards,
    /// which the cloud kernels do not have. Ten times as large as those.
    ///
    /// # Errors
    /// If it cannot be fetched.
    pub fn generic_kernel(&self) -> Result<LabKernel> {
        let source = KernelSource {
            label: "6.12-generic",
            suites: &[Suite::Trixie],
            release: "6.12.",
        };
        self.newest(&source, "linux-image-amd64")
    }

    /// Debian 11's 5.10, which was built without five-level paging
    /// (CONFIG_X86_5LEVEL).
    ///
    /// # Errors
    /// If it cannot be fetched.
    pub fn four_level_kernel(&self) -> Result<LabKernel> {
        let source = KernelSource {
            label: "5.10",
            suites: &[Suite::Bullseye],
            release: "5.10.",
        };
        self.newest(&source, "linux-image-cloud-amd64")
    }

    /// Debian's 6.1 for 32-bit machines with more than 4 GiB.
    ///
    /// # Errors
    /// If it cannot be fetched.
    pub fn i386_kernel(&self) -> Result<LabKernel> {
        let source = KernelSource {
            label: "6.1-i386",
            suites: &[Suite::BookwormI386],
            release: "6.1.",
        };
        self.newest(&source, "linux-image-686-pae")
    }

    /// `bin/busybox` for 32-bit machines, in the place of the lab's own.
    ///
    /// # Errors
    /// If it cannot be fetched.
    pub fn i386_busybox(&self) -> Result<Initramfs> {
        let keep = Keep::Named(&["busybox"]);
        let tree = self.package(Suite::BookwormI386, "busybox-static", keep)?;
        let mut files = Initramfs::new();
        files.program("bin/busybox", read(&tree.path.join("bin/busybox"))?);
        Ok(files)
    }

    /// The kernel of `package` in the first suite that has the wanted release.
    fn newest(&self, source: &KernelSource, package: &str) -> Result<LabKernel> {
        let mut found = Vec::new();
        for suite in source.suites {
            let tree = self.package(
                *suite,
                package,
                // Up to 6.12 all is in linux-image; from 7.x on it is split.
                Keep::Named(&[
                    "linux-image-",
                    "linux-binary-",
                    "linux-modules-",
                    "linux-base-",
                ]),
            )?;
            let (release, path, modules) = find_kernel(&tree.path)
                .with_context(|| format!("looking for the kernel of {suite}"))?;
            if release.starts_with(source.release) {
                return Ok(LabKernel {
                    label: source.label,
                    release,
                    path,
                    modules,
                    suite: *suite,
                });
            }
            found.push(format!("{suite} has {release}"));
        }
        bail!(
            "looked for a kernel {}* for the label {}: {}",
            source.release,
            source.label,
            found.join(", ")
        )
    }

    /// An initramfs with busybox (every applet as a link), the lab's `/init`
    /// and the name of the stage that it is for.
    ///
    /// # Errors
    /// If busybox cannot be read.
    pub fn initramfs(&self, stage: &str) -> Result<Initramfs> {
        let mut root = Initramfs::new();
        for folder in ["proc", "sys", "dev", "tmp", "run", "mnt", "root"] {
            root.directory(folder);
        }
        // Opened by the kernel before devtmpfs is mounted.
        root.char_device("dev/console", 5, 1);
        root.merge(&self.busybox_files()?);
        root.program("init", scripts::INIT);
        root.file("lab/functions", scripts::FUNCTIONS);
        root.file("lab/stage", format!("{stage}\n"));
        Ok(root)
    }

    /// `bin/busybox` with every applet as a link.
    pub(crate) fn busybox_files(&self) -> Result<Initramfs> {
        let mut files = Initramfs::new();
        files.program("bin/busybox", read(&self.busybox)?);
        for applet in &self.applets {
            files.symlink(&format!("bin/{applet}"), "busybox");
        }
        Ok(files)
    }

    /// The `.deb` files of `package` and its closure without what is in `there`.
    pub(crate) fn debs(
        &self,
        suite: Suite,
        package: &str,
        there: &BTreeSet<String>,
    ) -> Result<Vec<PathBuf>> {
        self.lock.lock().context("locking the lab's folder")?;
        let debs = self.apt.debs(suite, package, there);
        self.lock.unlock().context("unlocking the lab's folder")?;
        debs
    }

    /// Refuses packages that `suite` does not have, or not with all that they need.
    ///
    /// # Errors
    /// As [`Apt::require`].
    pub fn require(&self, suite: Suite, packages: &[&str]) -> Result<()> {
        self.lock.lock().context("locking the lab's folder")?;
        let answer = self.apt.require(suite, packages);
        self.lock.unlock().context("unlocking the lab's folder")?;
        answer
    }

    /// The sources of a suite and the settings for reaching them, for tools that
    /// have an apt of their own.
    pub(crate) fn apt_sources(&self, suite: Suite) -> Result<(PathBuf, String)> {
        self.lock.lock().context("locking the lab's folder")?;
        let sources = self.apt.sources(suite);
        self.lock.unlock().context("unlocking the lab's folder")?;
        sources
    }

    /// The real kexec-tools of Debian sid as `/ref/kexec` and `/ref/vmcore-dmesg`,
    /// with the libraries that they are linked with, for comparisons.
    ///
    /// # Errors
    /// If the package cannot be fetched or does not look as expected.
    pub fn kexec_tools(&self) -> Result<Initramfs> {
        let tree = self.package(Suite::Sid, "kexec-tools", Keep::Closure)?;
        linked::programs(
            &tree.path,
            &[
                ("usr/sbin/kexec", "ref/kexec"),
                ("usr/sbin/vmcore-dmesg", "ref/vmcore-dmesg"),
            ],
        )
    }

    /// The version of [`Lab::kexec_tools`].
    ///
    /// # Errors
    /// As [`Lab::kexec_tools`].
    pub fn kexec_tools_version(&self) -> Result<String> {
        let tree = self.package(Suite::Sid, "kexec-tools", Keep::Closure)?;
        tree.version("kexec-tools")
            .map(str::to_owned)
            .context("the package kexec-tools is not in its own closure")
    }
}

/// Where [`Lab::open`] keeps everything: `KEXEC_LAB`, or `target/lab` of the workspace.
#[must_use]
pub fn lab_folder() -> PathBuf {
    std::env::var_os("KEXEC_LAB")
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| workspace().join("target/lab"), PathBuf::from)
}

/// The one kernel in an unpacked tree: release, file, modules. The file is
/// `boot/vmlinuz-RELEASE` or `usr/lib/modules/RELEASE/vmlinuz`.
fn find_kernel(tree: &Path) -> Result<(String, PathBuf, PathBuf)> {
    for modules in ["lib/modules", "usr/lib/modules"] {
        let Ok(entries) = std::fs::read_dir(tree.join(modules)) else {
            continue;
        };
        for entry in entries {
            let folder = entry?.path();
            let Some(release) = folder.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let candidates = [
                tree.join(format!("boot/vmlinuz-{release}")),
                folder.join("vmlinuz"),
            ];
            if let Some(path) = candidates.iter().find(|path| path.exists()) {
                return Ok((release.to_owned(), path.clone(), folder.clone()));
            }
        }
    }
    bail!(
        "looked for boot/vmlinuz-* and usr/lib/modules/*/vmlinuz below {}: neither is there",
        tree.display()
    )
}
