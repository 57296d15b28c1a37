//! How a block device is attached to the machine, as sysfs tells it.

use super::devices::FOLDER;
use super::paths;
use crate::Fact;
use crate::Root;

/// The way from the machine to a device. Empty where sysfs has no path for it, as in
/// trees of tests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Attached {
    /// The paths below /sys/devices: one, or with NVMe's own multipath that of each
    /// controller.
    pub(super) ways: Vec<String>,
    /// It is an MMC that nobody can take out.
    pub(super) soldered: bool,
    /// A part of the way can be taken from the machine, as the firmware says of its
    /// ports (Documentation/ABI/testing/sysfs-devices-removable).
    pub(super) external: bool,
}

/// Deeper paths are not looked at; a disk behind several hubs has twenty parts.
const MAX_PARTS: usize = 128;

/// Reads it for a name below /sys/class/block.
pub(super) fn read(root: &Root, name: &str) -> Attached {
    let Fact::Known(target) = root.link(&format!("{FOLDER}/{name}")) else {
        return Attached::default();
    };
    let path = from(FOLDER, &target);
    let ways = controllers(root, &path).unwrap_or_else(|| vec![path]);
    let ahead = |way: &String| -> Vec<String> {
        let parts = way.match_indices('/').take(MAX_PARTS);
        let above = parts.filter_map(|(at, _)| way.get(..at));
        // A path that does not end in its disk is a controller's.
        above.chain([way.as_str()]).map(str::to_owned).collect()
    };
    let parts: Vec<String> = ways.iter().flat_map(ahead).collect();
    let text = |part: &String, file: &str| root.text(&format!("{part}/{file}")).known().cloned();
    let card = parts.iter().filter(|part| part.contains("/mmc_host/"));
    let card = card.clone().find_map(|part| text(part, "type"));
    let soldered = card.as_deref() == Some("MMC") && is_soldered(root, &ways);
    // A disk has a file of that name as well, with 0 or 1 in it.
    let external = parts
        .iter()
        .filter(|part| part.starts_with("/sys/devices/"))
        .any(|part| text(part, "removable").as_deref() == Some("removable"));
    Attached {
        ways,
        soldered,
        external,
    }
}

/// Whether an MMC is an eMMC on the board, and not a card in a slot, which may say of
/// itself the same (Documentation/driver-api/mmc/mmc-dev-attrs.rst, `type`).
fn is_soldered(root: &Root, ways: &[String]) -> bool {
    let mut hosts = ways.iter().filter_map(|way| way.split_once("/mmc_host/"));
    hosts.any(|(host, card)| {
        let has = |path: &str| root.exists(path);
        if has(&format!("{host}/of_node")) {
            // The device tree knows (Documentation/devicetree/bindings/mmc/mmc-controller.yaml).
            return has(&format!("{host}/of_node/non-removable"));
        }
        // Cards have no boot partitions (Documentation/driver-api/mmc/mmc-dev-parts.rst).
        let disk = card.split_once("/block/").map_or("", |(_, disk)| disk);
        let disk = disk.split('/').next().unwrap_or_default();
        has(&format!("{FOLDER}/{disk}boot0"))
    })
}

/// The controllers of a disk that NVMe's own multipath shows as one: links in the folder
/// of the subsystem.
fn controllers(root: &Root, path: &str) -> Option<Vec<String>> {
    let (before, behind) = path.split_once("/nvme-subsystem/")?;
    let subsystem = behind.split('/').next()?;
    let folder = format!("{before}/nvme-subsystem/{subsystem}");
    let Fact::Known(names) = root.entries(&folder) else {
        return None;
    };
    let links = names.iter().filter_map(|name| {
        let controller = name.strip_prefix("nvme")?;
        controller.parse::<u32>().ok()?;
        let target = root.link(&format!("{folder}/{name}"));
        Some(from(&folder, target.known()?))
    });
    let ways: Vec<String> = links.collect();
    (!ways.is_empty()).then_some(ways)
}

/// Where a link in a folder leads.
fn from(folder: &str, target: &str) -> String {
    match target.starts_with('/') {
        true => paths::normal(target),
        false => paths::normal(&format!("{folder}/{target}")),
    }
}
