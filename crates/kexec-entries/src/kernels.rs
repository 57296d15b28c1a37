//! Kernels, initrds and command lines that no boot loader names: where they
//! are by convention.

use kexec_plan::{Cmdline, token};

use super::entry::{BootTarget, Boots, Broken, Origin};
use super::facts::Facts;
use crate::source::BootedMachine;
use kexec_image::fields;
use kexec_machine::Fact;
use kexec_machine::volumes::{BootFile, without_file};

/// Parameters of the running command line that belong to how it was booted.
pub(super) const OF_THIS_BOOT: &[&str] = &["BOOT_IMAGE", "initrd"];

/// Where kernel-install(8) looks for the command line of new entries.
const CONFIGURED: &[&str] = &["/etc/kernel/cmdline", "/usr/lib/kernel/cmdline"];

/// The folders of modules; the second where /lib is no link.
const MODULES: &[&str] = &["/usr/lib/modules", "/lib/modules"];

/// A file by its path on the machine: absent when neither it nor a link is
/// there, unreadable when a link leads to nothing.
pub(super) fn at(machine: &BootedMachine<'_>, path: &str) -> Fact<BootFile> {
    let volumes = machine.volumes;
    let file = match volumes.locate(path) {
        Ok(file) => file,
        Err(reason) => return Fact::Unreadable(without(path, reason)),
    };
    match volumes.exists(&file) {
        Fact::Known(()) => Fact::Known(file),
        Fact::Absent if file.shown != path && volumes.machine_has(path) => {
            Fact::Unreadable(format!("{path} is a link to {file}, which does not exist"))
        }
        Fact::Absent => Fact::Absent,
        Fact::Unreadable(reason) => Fact::Unreadable(reason),
    }
}

/// A reason without the path that it begins with, for those who name that themselves.
pub(super) fn without(path: &str, reason: String) -> String {
    without_file(path, &reason).to_owned()
}

/// The running kernel's command line without what the boot loader added to it,
/// and without the marks of the last kexec.
pub(super) fn running_cmdline(facts: &Facts) -> Fact<Cmdline> {
    let line = facts.cmdline.as_ref();
    line.map(|line| token::without_token(&line.without(OF_THIS_BOOT)))
}

/// The command line for a kernel that no boot entry describes.
pub(super) struct NextCmdline {
    line: Result<Cmdline, Broken>,
    note: String,
}

impl NextCmdline {
    /// What boots with it; broken when there is none.
    pub(super) fn boots(&self, make: impl FnOnce(Cmdline) -> BootTarget) -> Boots {
        match &self.line {
            Ok(line) => {
                let mut target = make(line.clone());
                target.notes.push(self.note.clone());
                Boots::Target(Box::new(target))
            }
            Err(broken) => Boots::Broken(broken.clone()),
        }
    }
}

/// What kernel-install(8) would write into an entry: its configuration, else
/// the running kernel's command line.
pub(super) fn next_cmdline(machine: &BootedMachine<'_>) -> NextCmdline {
    for path in CONFIGURED {
        let text = machine.volumes.machine_bytes(path);
        if let Fact::Known(bytes) = text {
            // The file may have several lines, and comments.
            let text = String::from_utf8_lossy(&bytes);
            let lines = text.lines().map(str::trim);
            let words: Vec<&str> = lines.filter(|l| !l.starts_with('#')).collect();
            return NextCmdline {
                line: Ok(Cmdline::from(words.join(" ").trim())),
                note: format!("command line of {path}"),
            };
        }
    }
    let broken = |reason: String| Broken {
        at: Origin::file("/proc/cmdline"),
        reason,
    };
    NextCmdline {
        line: match running_cmdline(machine.facts) {
            Fact::Known(line) => Ok(line),
            Fact::Absent => Err(broken("there is no command line to use".to_owned())),
            Fact::Unreadable(reason) => Err(broken(reason)),
        },
        note: "command line of the running kernel".to_owned(),
    }
}

/// The releases that have modules, each with its folder.
pub(super) fn releases(machine: &BootedMachine<'_>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for folder in MODULES {
        let Fact::Known(names) = machine.volumes.machine_entries(folder) else {
            continue;
        };
        for name in names {
            if !found.iter().any(|(known, _)| *known == name) {
                let folder = format!("{folder}/{name}");
                found.push((name, folder));
            }
        }
    }
    found
}

/// The release that a kernel says it is, as far as its first bytes do: a bzImage
/// (Documentation/arch/x86/boot.rst, `kernel_version`: 512 bytes behind it is
/// text, whose first word is the release).
pub(super) fn release(machine: &BootedMachine<'_>, kernel: &BootFile) -> Option<String> {
    /// The setup code in front of a bzImage is never longer.
    const SETUP: u64 = 64 * 512;
    let head = machine.volumes.head(kernel, SETUP);
    let head = head.known()?;
    if head.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let at = usize::from(fields::u16_at(head, 0x20e)?).checked_add(0x200)?;
    let text = head.get(at..)?.get(..256)?;
    let end = text.iter().position(|byte| matches!(byte, 0 | b' '))?;
    let text = std::str::from_utf8(text.get(..end)?).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// The first of these that is there, or why one could not be looked at.
fn first(machine: &BootedMachine<'_>, paths: &[String]) -> Fact<BootFile> {
    let mut unreadable = None;
    for path in paths {
        match at(machine, path) {
            Fact::Known(file) => return Fact::Known(file),
            Fact::Absent => {}
            Fact::Unreadable(reason) => unreadable = unreadable.or(Some(reason)),
        }
    }
    unreadable.map_or(Fact::Absent, Fact::Unreadable)
}

/// The two names under which most distributions have the kernel of a release, for people.
pub(super) fn usual_names(release: &str) -> [String; 2] {
    [
        format!("/usr/lib/modules/{release}/vmlinuz"),
        format!("/boot/vmlinuz-{release}"),
    ]
}

/// The kernel of a release: beside its modules (kernel-install(8)), or in /boot
/// under its release.
pub(super) fn kernel(machine: &BootedMachine<'_>, release: &str) -> Fact<BootFile> {
    let mut paths: Vec<String> = MODULES
        .iter()
        .map(|f| format!("{f}/{release}/vmlinuz"))
        .collect();
    let names = ["vmlinuz", "vmlinux", "Image", "kernel"];
    paths.extend(names.iter().map(|name| format!("/boot/{name}-{release}")));
    first(machine, &paths)
}

/// The names that the initrd of a release has: initramfs-tools, dracut, openSUSE's
/// dracut, kernel-install with its own layout, and mkinitcpio, which goes by
/// the name of the package that Arch keeps in `pkgbase`.
pub(super) fn initrd_paths(machine: &BootedMachine<'_>, release: &str) -> Vec<String> {
    let mut paths = vec![
        format!("/boot/initrd.img-{release}"),
        format!("/boot/initramfs-{release}.img"),
        format!("/boot/initrd-{release}"),
    ];
    for folder in MODULES {
        paths.push(format!("{folder}/{release}/initrd"));
        let package = machine
            .volumes
            .machine_bytes(&format!("{folder}/{release}/pkgbase"));
        if let Fact::Known(name) = package {
            let name = String::from_utf8_lossy(&name).trim().to_owned();
            paths.push(format!("/boot/initramfs-{name}.img"));
        }
    }
    paths
}

/// The initrd of a release.
pub(super) fn initrd(machine: &BootedMachine<'_>, release: &str) -> Fact<BootFile> {
    first(machine, &initrd_paths(machine, release))
}
