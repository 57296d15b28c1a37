//! Boot loaders that are known by their name only: what they would choose is not read here,
//! so that it is refused, and no other boot loader is taken for them.

use super::entry::{Broken, Origin};
use super::facts::Facts;
use crate::source::{BootMenu, BootedMachine, Choice, Evidence, Source};

/// Boot loaders that are not read.
pub(super) const SOURCE: Source = Source {
    name: "other",
    about: "boot loaders whose configuration kexec does not read",
    find,
    evidence,
    looked_for: None,
};

/// What LoaderInfo begins with where a source of its own answers.
const READ: &[&str] = &["systemd-boot", "GRUB", "Limine", "rEFInd"];

/// A part of the path of the program that the firmware started, in lower case, and whose
/// it is.
const PROGRAMS: &[(&str, &str)] = &[
    ("\\efi\\zbm\\", "ZFSBootMenu"),
    ("zfsbootmenu", "ZFSBootMenu"),
    ("\\efi\\clover\\", "Clover"),
    ("cloverx64.efi", "Clover"),
    ("\\efi\\oc\\", "OpenCore"),
    ("opencore", "OpenCore"),
];

/// What the Raspberry Pi's firmware adds to the command line of what it starts, and nobody
/// else (Raspberry Pi documentation, "config.txt" and "The Linux kernel command line").
const RASPBERRY: &str = "vc_mem.mem_base";

/// The boot loader that started this machine, and what says so.
fn started(facts: &Facts) -> Option<(String, String)> {
    let line = facts.cmdline.known();
    if line.is_some_and(|line| line.value(RASPBERRY).is_some()) && facts.efi.known().is_none() {
        return Some((
            "the Raspberry Pi's firmware (config.txt)".to_owned(),
            format!("{RASPBERRY}= in /proc/cmdline"),
        ));
    }
    let efi = facts.efi.known()?;
    if let Some(info) = efi.loader.info.known() {
        let read = READ.iter().any(|name| info.starts_with(name));
        return (!read).then(|| (info.clone(), "LoaderInfo".to_owned()));
    }
    let option = efi.option(*efi.current.known()?)?;
    let file = option.file.as_ref()?.to_ascii_lowercase();
    let (_, name) = PROGRAMS.iter().find(|(part, _)| file.contains(part))?;
    let said = format!("BootCurrent is Boot{:04X}", option.number);
    Some(((*name).to_owned(), said))
}

fn evidence(facts: &Facts) -> Evidence {
    match started(facts) {
        Some((name, said)) => Evidence::For(format!("the boot loader was {name} ({said})")),
        None => Evidence::Silent,
    }
}

fn find(machine: &BootedMachine<'_>) -> Option<BootMenu> {
    let (name, said) = started(machine.facts)?;
    Some(BootMenu {
        entries: Vec::new(),
        choice: Choice::Refused(Broken {
            at: Origin::file(said),
            reason: format!(
                "this machine was started by {name}, whose configuration kexec does not read; \
                 name an entry or a kernel"
            ),
        }),
        notes: Vec::new(),
    })
}
