//! The automounts of boot files: whether they are woken up, and who is left asleep.

use super::btrfs::Btrfs;
use super::carriers::Carriers;
use super::config::DeviceConfig;
use super::devices;
use super::index::Index;
use super::mountinfo::{Mount, Table};
use super::trust::BOOT_POINTS;
use super::twins;
use crate::{Fact, Root};

/// What becomes of the automounts of boot files when volumes are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Automounts {
    /// They are woken up, so that what belongs there is mounted.
    #[default]
    Wake,
    /// One that is awake is kept so; nobody walks over the others. For the end of a
    /// shutdown: systemd does not answer for an automount that it is stopping.
    Leave,
}

/// From now on nobody walks over an automount of boot files that sleeps or ends:
/// these are returned. One that is awake is kept so.
pub(crate) fn leave_automounts(root: &mut Root) -> Vec<String> {
    let Fact::Known(table) = Table::read(root) else {
        return Vec::new();
    };
    // Also those that something is mounted on: a walk goes over both.
    let mut points = boot_points(&table.automounts());
    points.retain(|point| !root.keep_or_close(point));
    points
}

/// Whether an automount of boot files is there, and systemd could mount the wrong one of
/// two when it is woken up.
pub(crate) fn may_mislead(root: &Root) -> bool {
    let table = Table::read(root).known().cloned().unwrap_or_default();
    if boot_points(&table.automounts()).is_empty() {
        return false;
    }
    let mut unsaid = Vec::new();
    let Fact::Known(devices) = devices::read(root, &mut unsaid) else {
        return false;
    };
    let config = DeviceConfig::read(root);
    let index = Index::new(&devices);
    let (btrfs, mounts) = (Btrfs::read(root), table.mounts());
    let foreign = table.is_foreign();
    let judged = Carriers::new(root, &index, &btrfs, &mounts, foreign).verdicts(&config);
    twins::forged(&index, &judged, &config, &mut unsaid)
}

/// The automount points of boot files, the upper ones first. Only these are woken up:
/// touching others may ask the network.
pub(super) fn boot_points(automounts: &[Mount]) -> Vec<String> {
    let points = automounts.iter().map(|mount| mount.point.clone());
    let mut points: Vec<String> = points
        .filter(|point| BOOT_POINTS.contains(&point.as_str()))
        .collect();
    points.sort_unstable();
    points.dedup();
    points
}
