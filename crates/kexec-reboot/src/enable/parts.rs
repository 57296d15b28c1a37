//! What can be switched on, as data: features, and the files that each of them
//! needs. Their texts are those of `dist/`, which packages install; a machine
//! that has only the program gets them from here.

use super::program::Quoting;
use crate::parallel_shutdown;

/// Something that can be switched on and off.
#[derive(Debug)]
pub struct Feature {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Its units; the first says whether it is on.
    pub units: &'static [FeatureUnit],
    /// Files that are there only while it is on.
    pub files: &'static [FeatureFile],
    /// Hooks, which do nothing while it is off; packages bring them along.
    pub hooks: &'static [FeatureFile],
}

impl PartialEq for Feature {
    fn eq(&self, other: &Feature) -> bool {
        self.name == other.name
    }
}

impl Eq for Feature {}

impl Feature {
    /// What of it only systemd understands: its units, or its hook.
    pub fn for_systemd(&self) -> Option<&'static str> {
        let mut hooks = self.hooks.iter();
        if !self.units.is_empty() {
            return Some("its units are systemd's");
        }
        let is_systemds = hooks.any(|hook| hook.path.starts_with(SYSTEMDS_HOOKS));
        is_systemds.then_some("its hook is systemd's")
    }
}

/// A unit that is started at boot.
#[derive(Debug)]
pub struct FeatureUnit {
    /// The name of the unit: `kexec-preload.service`.
    pub name: &'static str,
    /// What is in its file.
    pub text: &'static str,
    /// The folder that has the link which starts it at boot.
    pub wants: &'static str,
}

/// A file, where it belongs, and when.
#[derive(Debug)]
pub struct FeatureFile {
    /// Where it is written.
    pub path: &'static str,
    /// What is in it.
    pub text: &'static str,
    /// Its permissions.
    pub mode: u32,
    /// How the program's path is written in it.
    pub syntax: Quoting,
    /// Where a package has it, if it comes with one.
    pub packaged: Option<&'static str>,
    /// Only where this is there: what the file is for.
    pub with: Option<&'static str>,
}

/// Where units of packages are (systemd.unit(5), "Unit File Load Path").
pub(super) const PACKAGED_UNITS: &[&str] = &["/usr/lib/systemd/system", "/lib/systemd/system"];
/// Where the administrator's are.
pub(super) const OWN_UNITS: &str = "/etc/systemd/system";
/// Where `systemctl enable` links units that multi-user.target wants.
pub(super) const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";
/// The same for timers.target.
pub(super) const TIMERS: &str = "/etc/systemd/system/timers.target.wants";

macro_rules! dist {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist/", $path))
    };
}

/// The one folder that systemd-shutdown(8) looks into.
const SYSTEMDS_HOOKS: &str = "/usr/lib/systemd/system-shutdown/";

const SCRIPT: u32 = 0o755;
const TEXT: u32 = 0o644;

const PRELOAD: FeatureUnit = FeatureUnit {
    name: "kexec-preload.service",
    text: dist!("systemd/kexec-preload.service"),
    wants: WANTS,
};

const REFRESH: FeatureUnit = FeatureUnit {
    name: "kexec-refresh.service",
    text: dist!("systemd/kexec-refresh.service"),
    wants: WANTS,
};

const METRICS: FeatureUnit = FeatureUnit {
    name: "kexec-metrics.timer",
    text: dist!("systemd/kexec-metrics.timer"),
    wants: TIMERS,
};

const SERVICES_STOPPED: FeatureUnit = FeatureUnit {
    name: "kexec-services-stopped.service",
    text: dist!("systemd/kexec-services-stopped.service"),
    wants: WANTS,
};

const CRASH: FeatureUnit = FeatureUnit {
    name: "kexec-crash.service",
    text: dist!("systemd/kexec-crash.service"),
    wants: WANTS,
};

const CRASH_CHANGED: FeatureUnit = FeatureUnit {
    name: "kexec-crash-changed.path",
    text: dist!("systemd/kexec-crash-changed.path"),
    wants: WANTS,
};

/// The hook of kernel-install(8), for preload and crash.
const KERNEL_INSTALL: FeatureFile = FeatureFile {
    path: "/etc/kernel/install.d/95-kexec.install",
    text: dist!("kernel-install/95-kexec.install"),
    mode: SCRIPT,
    syntax: Quoting::Shell,
    packaged: Some("/usr/lib/kernel/install.d/95-kexec.install"),
    with: Some("/usr/lib/kernel/install.d"),
};

/// Debian's, for the same.
const KERNEL_POSTINST: FeatureFile =
    debian("/etc/kernel/postinst.d/zzz-kexec", "/etc/kernel/postinst.d");
const KERNEL_POSTRM: FeatureFile = debian("/etc/kernel/postrm.d/zzz-kexec", "/etc/kernel/postrm.d");
const INITRAMFS: FeatureFile = debian(
    "/etc/initramfs/post-update.d/zzz-kexec",
    "/usr/share/initramfs-tools",
);

/// Debian's hooks: `zzz`, because update-grub has `zz` and comes first.
const fn debian(path: &'static str, with: &'static str) -> FeatureFile {
    FeatureFile {
        path,
        text: dist!("debian/kernel-hook"),
        mode: SCRIPT,
        syntax: Quoting::Shell,
        packaged: Some(path),
        with: Some(with),
    }
}

/// A hook of pacman, and where a package has it.
const fn pacman(path: &'static str, text: &'static str, packaged: &'static str) -> FeatureFile {
    FeatureFile {
        path,
        text,
        mode: TEXT,
        syntax: Quoting::Pacman,
        packaged: Some(packaged),
        with: Some("/usr/share/libalpm/hooks"),
    }
}

/// A file that no package has: it is there while the feature is on.
const fn switch(path: &'static str, text: &'static str, syntax: Quoting) -> FeatureFile {
    FeatureFile {
        path,
        text,
        mode: TEXT,
        syntax,
        packaged: None,
        with: None,
    }
}

/// Every feature that `kexec enable` and `kexec disable` know.
pub const FEATURES: &[Feature] = &[
    Feature {
        name: "preload",
        about: "what a reboot would boot is loaded ahead, so every reboot is a kexec",
        units: &[PRELOAD, REFRESH],
        files: &[switch(
            "/etc/systemd/system/systemd-reboot.service.d/50-kexec.conf",
            dist!("systemd/systemd-reboot.service.d/50-kexec.conf"),
            Quoting::Unit,
        )],
        hooks: &[
            KERNEL_INSTALL,
            KERNEL_POSTINST,
            KERNEL_POSTRM,
            INITRAMFS,
            pacman(
                "/etc/pacman.d/hooks/95-kexec.hook",
                dist!("pacman/95-kexec.hook"),
                "/usr/share/libalpm/hooks/95-kexec.hook",
            ),
        ],
    },
    Feature {
        name: "refresh",
        about: "at every shutdown, the loaded image is compared with what a reboot would boot",
        units: &[REFRESH],
        files: &[],
        hooks: &[],
    },
    Feature {
        name: "exitrd",
        about: "the shutdown images of dracut and mkinitcpio get this program",
        units: &[],
        files: &[
            FeatureFile {
                path: "/etc/dracut.conf.d/50-kexec.conf",
                text: dist!("dracut/50-kexec.conf"),
                mode: TEXT,
                syntax: Quoting::Shell,
                packaged: None,
                with: Some("/usr/lib/dracut"),
            },
            FeatureFile {
                path: "/etc/systemd/system/mkinitcpio-generate-shutdown-ramfs.service.d/50-kexec.conf",
                text: dist!("systemd/mkinitcpio-generate-shutdown-ramfs.service.d/50-kexec.conf"),
                mode: TEXT,
                syntax: Quoting::Unit,
                packaged: None,
                with: Some("/usr/lib/initcpio"),
            },
        ],
        hooks: &[FeatureFile {
            path: "/usr/lib/dracut/modules.d/50kexec/module-setup.sh",
            text: dist!("dracut/50kexec/module-setup.sh"),
            mode: SCRIPT,
            syntax: Quoting::Shell,
            packaged: Some("/usr/lib/dracut/modules.d/50kexec/module-setup.sh"),
            with: Some("/usr/lib/dracut"),
        }],
    },
    Feature {
        name: "metrics",
        about: "how reboots went is written for Prometheus, every five minutes",
        units: &[METRICS],
        files: &[FeatureFile {
            path: "/etc/systemd/system/kexec-metrics.service",
            text: dist!("systemd/kexec-metrics.service"),
            mode: TEXT,
            syntax: Quoting::Unit,
            packaged: Some("/usr/lib/systemd/system/kexec-metrics.service"),
            with: None,
        }],
        hooks: &[],
    },
    Feature {
        name: "parallel-shutdown",
        about: "before the jump, unused devices are unbound at the same time",
        units: &[SERVICES_STOPPED],
        files: &[switch(
            parallel_shutdown::SWITCH,
            dist!("systemd/parallel-shutdown.conf"),
            Quoting::Shell,
        )],
        hooks: &[FeatureFile {
            path: "/usr/lib/systemd/system-shutdown/50-kexec",
            text: dist!("systemd/system-shutdown/50-kexec"),
            mode: SCRIPT,
            syntax: Quoting::Shell,
            packaged: Some("/usr/lib/systemd/system-shutdown/50-kexec"),
            with: None,
        }],
    },
    Feature {
        name: "crash",
        about: "the crash kernel is loaded at boot, and again when the machine or its files change",
        units: &[CRASH, CRASH_CHANGED],
        files: &[switch(
            "/etc/udev/rules.d/98-kexec-crash.rules",
            dist!("udev/98-kexec-crash.rules"),
            Quoting::Shell,
        )],
        hooks: &[
            KERNEL_INSTALL,
            KERNEL_POSTINST,
            KERNEL_POSTRM,
            INITRAMFS,
            pacman(
                "/etc/pacman.d/hooks/95-kexec-crash.hook",
                dist!("pacman/95-kexec-crash.hook"),
                "/usr/share/libalpm/hooks/95-kexec-crash.hook",
            ),
        ],
    },
];
