//! What /etc/fstab (fstab(5)) wants where nothing is mounted.

use super::config::DeviceConfig;
use super::layout::VolumeLayout;
use super::lookup::Lookup;
use super::mountinfo::Planned;
use super::paths;
use crate::Root;

/// Where boot files are. What fstab has anywhere else holds none.
const BOOT_FOLDERS: &[&str] = &["/boot", "/efi"];

/// Places what is not mounted. What is mounted there by somebody else, or is the wrong
/// one of two, is not what belongs there; and where what belongs there is gone, the
/// folder below holds what was left over from before. `known` says whether it is known
/// what is mounted.
pub(super) fn place(
    root: &Root,
    layout: &mut VolumeLayout,
    config: &DeviceConfig,
    known: bool,
    notes: &mut Vec<String>,
) {
    for line in &config.planned {
        if is_taken(layout, line) {
            continue;
        }
        let id = match paths::find(root, &layout.all, &line.source) {
            Lookup::One(volume) => volume.id.clone(),
            Lookup::None => {
                if known && is_awaited(line) {
                    let reason = gone(line);
                    notes.push(format!("nothing is read at {}: {reason}", line.point));
                    layout.blocked.push((line.point.clone(), reason));
                }
                continue;
            }
            Lookup::Refused(reason) => {
                layout.blocked.push((line.point.clone(), reason));
                continue;
            }
        };
        if let Some(volume) = layout.all.iter_mut().find(|v| v.id == id) {
            volume.planned.get_or_insert_with(|| line.point.clone());
        }
    }
}

/// Whether a file system of the machine is there. A folder that is mounted on itself is
/// none.
fn is_taken(layout: &VolumeLayout, line: &Planned) -> bool {
    let believed = layout.all.iter().take(layout.believed);
    let mut mounts = believed.flat_map(|volume| &volume.mounts);
    mounts.any(|mount| mount.point == line.point && !mount.again)
}

/// Whether boot files are on the device of a line, and nowhere else: the machine does not
/// start without it (`nofail`), or leaves it to root to mount it (`noauto`).
fn is_awaited(line: &Planned) -> bool {
    let has = |name: &str| line.options.iter().any(|option| option == name);
    let device = line.source.starts_with("/dev/") || paths::is_tagged(&line.source);
    let mut folders = BOOT_FOLDERS.iter();
    let boot = folders.any(|folder| paths::below(&line.point, folder).is_some());
    device && boot && !has("nofail") && !has("bind") && !has("rbind")
}

fn gone(line: &Planned) -> String {
    let Planned { source, point, .. } = line;
    format!(
        "/etc/fstab has {source} there, but no file system of that name was found, so the files \
         in the folder {point} itself may be left over from before; attach the device, or, if the \
         machine boots without it, remove the line from /etc/fstab or give it the option nofail"
    )
}
