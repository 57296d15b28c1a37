//! What is installed: one table, from which every package is made.

/// A format of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageKind {
    /// The package of Debian and Ubuntu.
    Deb,
    /// The package of Fedora, openSUSE and their relatives.
    Rpm,
    /// The package of Arch Linux.
    Arch,
}

impl PackageKind {
    /// Each kind once, in the order of `cargo xtask dist`.
    pub const ALL: &'static [PackageKind] =
        &[PackageKind::Deb, PackageKind::Rpm, PackageKind::Arch];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            PackageKind::Deb => "deb",
            PackageKind::Rpm => "rpm",
            PackageKind::Arch => "arch",
        }
    }
}

/// Where a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSource {
    /// The program as cargo's release build makes it.
    Product,
    /// Every manual page that has no row of its own; the destination is a folder.
    Pages,
    /// One manual page, by its name without the section.
    Page(&'static str),
    /// One of the completions, by its name below completions/.
    Completion(&'static str),
    /// The licences of the crates that are linked in.
    ThirdParty,
    /// Debian's changelog.
    DebianChangelog,
    /// Every file below docs/; the destination is a folder.
    Docs,
    /// A file of the repository, by its path.
    Tree(&'static str),
    /// A symbolic link to this, seen from the link's own folder.
    Link(&'static str),
}

/// A row of [`FILES`]: a file that packages install.
#[derive(Debug, Clone, Copy)]
pub struct InstalledFile {
    /// Where it comes from.
    pub source: FileSource,
    /// Where it goes, from the root on. What is below usr/share/man, and a
    /// changelog, is compressed and gets `.gz` at its end.
    pub to: &'static str,
    /// Permission bits, as of chmod(1).
    pub mode: u32,
    /// Which packages have it.
    pub kinds: &'static [PackageKind],
}

const ALL: &[PackageKind] = PackageKind::ALL;
const DEB: &[PackageKind] = &[PackageKind::Deb];
const RPM: &[PackageKind] = &[PackageKind::Rpm];
const ARCH: &[PackageKind] = &[PackageKind::Arch];
const NOT_DEB: &[PackageKind] = &[PackageKind::Rpm, PackageKind::Arch];

const fn file(
    source: FileSource,
    to: &'static str,
    kinds: &'static [PackageKind],
) -> InstalledFile {
    InstalledFile {
        source,
        to,
        mode: 0o644,
        kinds,
    }
}

const fn program(
    source: FileSource,
    to: &'static str,
    kinds: &'static [PackageKind],
) -> InstalledFile {
    InstalledFile {
        mode: 0o755,
        ..file(source, to, kinds)
    }
}

const fn link(
    target: &'static str,
    to: &'static str,
    kinds: &'static [PackageKind],
) -> InstalledFile {
    InstalledFile {
        mode: 0o777,
        ..file(FileSource::Link(target), to, kinds)
    }
}

use FileSource::{Completion, DebianChangelog, Docs, Page, Pages, Product, ThirdParty, Tree};

/// Everything that is installed. Arch Linux has usr/bin for usr/sbin.
pub const FILES: &[InstalledFile] = &[
    program(Product, "usr/sbin/kexec", ALL),
    // One program with two names.
    link("kexec", "usr/sbin/vmcore-dmesg", ALL),
    file(Pages, "usr/share/man/man8/", ALL),
    file(
        Completion("kexec"),
        "usr/share/bash-completion/completions/kexec",
        ALL,
    ),
    file(
        Completion("_kexec"),
        "usr/share/zsh/vendor-completions/_kexec",
        DEB,
    ),
    file(
        Completion("_kexec"),
        "usr/share/zsh/site-functions/_kexec",
        NOT_DEB,
    ),
    file(
        Completion("kexec.fish"),
        "usr/share/fish/vendor_completions.d/kexec.fish",
        ALL,
    ),
    file(
        Completion("vmcore-dmesg"),
        "usr/share/bash-completion/completions/vmcore-dmesg",
        ALL,
    ),
    file(
        Completion("_vmcore-dmesg"),
        "usr/share/zsh/vendor-completions/_vmcore-dmesg",
        DEB,
    ),
    file(
        Completion("_vmcore-dmesg"),
        "usr/share/zsh/site-functions/_vmcore-dmesg",
        NOT_DEB,
    ),
    file(
        Completion("vmcore-dmesg.fish"),
        "usr/share/fish/vendor_completions.d/vmcore-dmesg.fish",
        ALL,
    ),
    // Units and hooks: nothing is loaded before `kexec enable`, or before a
    // kexec-load@NAME.service is enabled. The places are those
    // that crates/kexec-load/src/enable/parts.rs looks in.
    program(Tree("dist/bin/coldreboot"), "usr/sbin/coldreboot", ALL),
    file(
        Tree("dist/systemd/kexec-preload.service"),
        "usr/lib/systemd/system/kexec-preload.service",
        ALL,
    ),
    file(
        Tree("dist/systemd/kexec-services-stopped.service"),
        "usr/lib/systemd/system/kexec-services-stopped.service",
        ALL,
    ),
    file(
        Tree("dist/systemd/kexec-refresh.service"),
        "usr/lib/systemd/system/kexec-refresh.service",
        ALL,
    ),
    file(
        Tree("dist/systemd/kexec-metrics.timer"),
        "usr/lib/systemd/system/kexec-metrics.timer",
        ALL,
    ),
    file(
        Tree("dist/systemd/kexec-metrics.service"),
        "usr/lib/systemd/system/kexec-metrics.service",
        ALL,
    ),
    file(
        Tree("dist/systemd/kexec-crash.service"),
        "usr/lib/systemd/system/kexec-crash.service",
        ALL,
    ),
    file(
        Tree("dist/systemd/kexec-crash-changed.path"),
        "usr/lib/systemd/system/kexec-crash-changed.path",
        ALL,
    ),
    file(
        Tree("dist/systemd/kexec-load@.service"),
        "usr/lib/systemd/system/kexec-load@.service",
        ALL,
    ),
    file(
        Tree("dist/systemd/kexec-load.target"),
        "usr/lib/systemd/system/kexec-load.target",
        ALL,
    ),
    file(
        Tree("dist/systemd/kexec-load-enabled.path"),
        "usr/lib/systemd/system/kexec-load-enabled.path",
        ALL,
    ),
    file(
        Tree("dist/systemd/kexec-load-enabled.service"),
        "usr/lib/systemd/system/kexec-load-enabled.service",
        ALL,
    ),
    file(
        Tree("dist/systemd/multi-user.target.d/50-kexec-load.conf"),
        "usr/lib/systemd/system/multi-user.target.d/50-kexec-load.conf",
        ALL,
    ),
    // What kexec-tools of one family has besides the program.
    program(
        Tree("dist/bin/kexec-load-kernel"),
        "usr/sbin/kexec-load-kernel",
        DEB,
    ),
    file(
        Page("kexec-load-kernel"),
        "usr/share/man/man8/kexec-load-kernel.8",
        DEB,
    ),
    file(
        Tree("dist/debian/kexec-load.service"),
        "usr/lib/systemd/system/kexec-load.service",
        DEB,
    ),
    file(
        Tree("dist/systemd/kexec-load.service"),
        "usr/lib/systemd/system/kexec-load.service",
        RPM,
    ),
    // dist/rpm/posttrans puts links to them where others expect them, unless another
    // package has files there.
    program(
        Tree("dist/bin/kexec-bootloader"),
        "usr/share/kexec-rs/kexec-bootloader",
        RPM,
    ),
    file(
        Page("kexec-bootloader"),
        "usr/share/kexec-rs/kexec-bootloader.8",
        RPM,
    ),
    program(
        Tree("dist/kernel-install/95-kexec.install"),
        "usr/lib/kernel/install.d/95-kexec.install",
        ALL,
    ),
    program(
        Tree("dist/dracut/50kexec/module-setup.sh"),
        "usr/lib/dracut/modules.d/50kexec/module-setup.sh",
        ALL,
    ),
    program(
        Tree("dist/systemd/system-shutdown/50-kexec"),
        "usr/lib/systemd/system-shutdown/50-kexec",
        ALL,
    ),
    program(
        Tree("dist/debian/kernel-hook"),
        "etc/kernel/postinst.d/zzz-kexec",
        DEB,
    ),
    program(
        Tree("dist/debian/kernel-hook"),
        "etc/kernel/postrm.d/zzz-kexec",
        DEB,
    ),
    program(
        Tree("dist/debian/kernel-hook"),
        "etc/initramfs/post-update.d/zzz-kexec",
        DEB,
    ),
    file(
        Tree("dist/pacman/95-kexec.hook"),
        "usr/share/libalpm/hooks/95-kexec.hook",
        ARCH,
    ),
    file(
        Tree("dist/pacman/95-kexec-crash.hook"),
        "usr/share/libalpm/hooks/95-kexec-crash.hook",
        ARCH,
    ),
    program(
        Tree("dist/mkinitcpio/kexec"),
        "usr/lib/initcpio/install/kexec",
        ARCH,
    ),
    // What the program is and where it differs.
    file(Tree("README.md"), "usr/share/doc/kexec-rs/README.md", ALL),
    file(Docs, "usr/share/doc/kexec-rs/", ALL),
    file(
        Tree("CONTRIBUTING.md"),
        "usr/share/doc/kexec-rs/CONTRIBUTING.md",
        ALL,
    ),
    file(
        Tree("SECURITY.md"),
        "usr/share/doc/kexec-rs/SECURITY.md",
        ALL,
    ),
    file(
        Tree("CHANGELOG.md"),
        "usr/share/doc/kexec-rs/changelog",
        ALL,
    ),
    // An example, because systemd would make a kexec.service of a script in
    // /etc/init.d, and jump when that is stopped.
    program(
        Tree("dist/sysvinit/kexec"),
        "usr/share/doc/kexec-rs/examples/sysvinit/kexec",
        ALL,
    ),
    // Gentoo's names, for OpenRC: examples, because there is no package of it yet.
    program(
        Tree("dist/openrc/kexec"),
        "usr/share/doc/kexec-rs/examples/openrc/kexec",
        ALL,
    ),
    program(
        Tree("dist/openrc/kexec-auto-load"),
        "usr/share/doc/kexec-rs/examples/openrc/kexec-auto-load",
        ALL,
    ),
    file(
        Tree("dist/openrc/kexec.conf"),
        "usr/share/doc/kexec-rs/examples/openrc/kexec.conf",
        ALL,
    ),
    // Licences.
    file(ThirdParty, "usr/share/doc/kexec-rs/third-party.txt", ALL),
    file(
        Tree("LICENSE-MIT"),
        "usr/share/licenses/kexec-rs/LICENSE-MIT",
        NOT_DEB,
    ),
    file(
        Tree("LICENSE-APACHE"),
        "usr/share/licenses/kexec-rs/LICENSE-APACHE",
        NOT_DEB,
    ),
    file(
        Tree("dist/debian/copyright"),
        "usr/share/doc/kexec-rs/copyright",
        DEB,
    ),
    file(
        DebianChangelog,
        "usr/share/doc/kexec-rs/changelog.Debian",
        DEB,
    ),
    file(
        Tree("dist/debian/lintian-overrides"),
        "usr/share/lintian/overrides/kexec-rs",
        DEB,
    ),
];

/// What dpkg(1) runs and reads beside the control file: a file of the
/// repository, its name in the package, its permissions.
pub const DEBIAN_CONTROL: &[(&str, &str, u32)] = &[
    ("dist/debian/preinst", "preinst", 0o755),
    ("dist/debian/postinst", "postinst", 0o755),
    ("dist/debian/prerm", "prerm", 0o755),
    ("dist/debian/postrm", "postrm", 0o755),
];

/// The same for rpm: a file of the repository, and its section of the spec file.
pub const RPM_SCRIPTS: &[(&str, &str)] = &[
    ("dist/rpm/post", "post"),
    ("dist/rpm/preun", "preun"),
    ("dist/rpm/posttrans", "posttrans"),
];

/// Files below dist/ that are in no package: packages are made with them, the program
/// has them in itself and writes them (`kexec enable`), or Ansible installs them.
#[cfg(test)]
pub const MAKING: &[&str] = &[
    "dist/ansible/kexec_rs/README.md",
    "dist/ansible/kexec_rs/defaults/main.yml",
    "dist/ansible/kexec_rs/meta/main.yml",
    "dist/ansible/kexec_rs/tasks/install-apt.yml",
    "dist/ansible/kexec_rs/tasks/install-dnf.yml",
    "dist/ansible/kexec_rs/tasks/main.yml",
    "dist/arch/PKGBUILD",
    "dist/arch/kexec-rs.install",
    "dist/dracut/50-kexec.conf",
    "dist/systemd/mkinitcpio-generate-shutdown-ramfs.service.d/50-kexec.conf",
    "dist/systemd/parallel-shutdown.conf",
    "dist/systemd/systemd-reboot.service.d/50-kexec.conf",
    "dist/udev/98-kexec-crash.rules",
];

/// Where a file goes in a package of this kind.
pub fn destination(kind: PackageKind, to: &str) -> String {
    let to = match (kind, to.strip_prefix("usr/sbin/")) {
        (PackageKind::Arch, Some(name)) => format!("usr/bin/{name}"),
        _ => to.to_owned(),
    };
    if is_compressed(&to) {
        format!("{to}.gz")
    } else {
        to
    }
}

/// Manual pages and changelogs are (Debian Policy 12.1 and 12.7); rpm and pacman
/// take them as well.
pub fn is_compressed(to: &str) -> bool {
    let name = to.rsplit('/').next().unwrap_or_default();
    to.starts_with("usr/share/man/")
        || to.starts_with("usr/share/doc/")
            && ["changelog", "changelog.Debian", "third-party.txt"].contains(&name)
}
