//! UKIs that the firmware starts by itself, without a boot loader.

use super::draft::Draft;
use crate::host::Fact;
use crate::sources::entry::BootFile;
use crate::sources::facts::{BootOption, Efi};
use crate::sources::volumes::Volumes;

/// The folder of UKIs, as the firmware writes it.
const FOLDER: &str = "\\EFI\\Linux\\";

/// The option that started this machine, when that is a UKI.
pub(super) fn started(efi: &Efi) -> Option<&BootOption> {
    let option = efi.option(*efi.current.known()?)?;
    let folder = option.file.as_ref()?.get(..FOLDER.len())?;
    folder.eq_ignore_ascii_case(FOLDER).then_some(option)
}

/// Which of the entries the firmware starts next, when no boot loader is between
/// them, and why.
pub(super) fn next(efi: &Efi, volumes: &Volumes, drafts: &[Draft]) -> Option<(usize, String)> {
    if efi.loader.info != Fact::Absent {
        return None;
    }
    let (option, why) = match efi.next.known() {
        Some(next) => (efi.option(*next)?, "for the next boot only (BootNext)"),
        None => {
            let order = efi.order.known()?.iter();
            let mut active = order
                .filter_map(|number| efi.option(*number))
                .filter(|o| o.active);
            (active.next()?, "first in its order")
        }
    };
    let path = option.file.as_ref()?.replace('\\', "/");
    let is = |file: &BootFile| {
        let on = option
            .partuuid
            .as_ref()
            .and_then(|uuid| volumes.by_partuuid(uuid));
        file.path.eq_ignore_ascii_case(&path) && on.is_none_or(|volume| volume.id == file.volume)
    };
    let at = drafts.iter().position(|draft| {
        let kernel = draft.entry.target().map(|target| &target.kernel);
        draft.profile == 0 && kernel.is_some_and(is)
    })?;
    let why = format!(
        "the firmware starts it itself: Boot{:04X} ({}) is {why}",
        option.number, option.description
    );
    Some((at, why))
}
