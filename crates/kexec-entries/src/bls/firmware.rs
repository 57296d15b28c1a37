//! UKIs that the firmware starts itself, without a boot loader.

use super::draft::DraftEntry;
use crate::facts::{BootOption, EfiVariables};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::{Lookup, Volumes};

/// The folder of UKIs, as the firmware writes it.
const FOLDER: &str = "\\EFI\\Linux\\";

/// The option that started this machine, when that is a UKI.
pub(super) fn started(efi: &EfiVariables) -> Option<&BootOption> {
    let option = efi.option(*efi.current.known()?)?;
    let folder = option.file.as_ref()?.get(..FOLDER.len())?;
    folder.eq_ignore_ascii_case(FOLDER).then_some(option)
}

/// What the firmware starts next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FirmwareNext {
    /// This entry, and why.
    Entry(usize, String),
    /// None of the entries, and why.
    Other(String),
    /// A boot loader that decides, or nobody knows.
    Menu,
}

/// What the firmware starts next, when it was not systemd-boot that it started
/// this time.
pub(super) fn next(efi: &EfiVariables, volumes: &Volumes, drafts: &[DraftEntry]) -> FirmwareNext {
    let option = match efi.next.known() {
        Some(next) => efi.option(*next).map(|option| (option, "BootNext")),
        None => first(efi).map(|option| (option, "first in BootOrder")),
    };
    let (Some((option, why)), Fact::Absent) = (option, &efi.loader.info) else {
        return FirmwareNext::Menu;
    };
    let named = format!("Boot{:04X} ({})", option.number, option.description);
    let path = option
        .file
        .as_deref()
        .unwrap_or_default()
        .replace('\\', "/");
    if is_systemd_boot(&path) {
        return FirmwareNext::Menu;
    }
    let on = match option
        .partuuid
        .as_ref()
        .map(|uuid| volumes.by_partuuid(uuid))
    {
        Some(Lookup::One(volume)) => Some(volume),
        Some(Lookup::Refused(reason)) => {
            return FirmwareNext::Other(format!("{named} is {why}: {reason}"));
        }
        Some(Lookup::None) | None => None,
    };
    let is = |file: &BootFile| {
        file.path.eq_ignore_ascii_case(&path) && on.is_none_or(|volume| volume.id == file.volume)
    };
    let at = drafts.iter().position(|draft| {
        let kernel = draft.entry.target().map(|target| &target.kernel);
        draft.profile == 0 && kernel.is_some_and(is)
    });
    match at {
        Some(at) => FirmwareNext::Entry(
            at,
            format!("the firmware starts it itself: {named} is {why}"),
        ),
        None => FirmwareNext::Other(format!("{named} is {why}, which is none of these")),
    }
}

/// The first option that the firmware tries.
fn first(efi: &EfiVariables) -> Option<&BootOption> {
    let order = efi.order.known()?.iter();
    let mut options = order.filter_map(|number| efi.option(*number));
    options.find(|option| option.active)
}

/// Where `bootctl install` puts systemd-boot (bootctl(1)). The second name may be
/// another boot loader's too.
fn is_systemd_boot(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    path.starts_with("/efi/systemd/systemd-boot") || path.starts_with("/efi/boot/boot")
}
