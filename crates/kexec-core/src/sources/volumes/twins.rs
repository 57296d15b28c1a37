//! Devices that share a name.

use super::config::Config;
use super::devices::Device;
use super::layout::id_of;
use super::mountinfo::Planned;
use super::paths;
use super::trust::{self, BOOT_POINTS, Verdict};

/// Whether a device that is no boot source answers to a name of one, or to one that
/// /etc/fstab has for boot files; with a note on each.
pub(super) fn forged(
    devices: &[Device],
    verdicts: &[Verdict],
    config: &Config,
    notes: &mut Vec<String>,
) -> bool {
    let mut found = false;
    let judged = || devices.iter().zip(verdicts);
    for (device, verdict) in judged() {
        let Verdict::Doubted(doubt) = verdict else {
            continue;
        };
        // A part of a stack shares its name with the whole.
        let twin = judged().find_map(|(other, verdict)| {
            let believed = verdict.is_believed() && !lies_below(devices, other, device);
            let name = trust::shared(device, other).filter(|_| believed)?;
            Some((other, name))
        });
        if let Some((other, name)) = twin {
            found = true;
            notes.push(format!(
                "{} has the {name} of {} as well, and is not read: {doubt}",
                id_of(device),
                id_of(other),
            ));
        }
        let boot = |line: &&Planned| BOOT_POINTS.contains(&line.point.as_str());
        let mut lines = config.planned.iter().filter(boot);
        found |= lines.any(|line| answers(device, &line.source));
    }
    found
}

/// Whether a device answers to a word of fstab(5).
fn answers(device: &Device, word: &str) -> bool {
    let part = device.partition.clone().unwrap_or_default();
    let names = [
        ("UUID", &device.content.uuid),
        ("LABEL", &device.content.label),
        ("PARTUUID", &part.uuid),
        ("PARTLABEL", &part.label),
    ];
    let mut names = names.into_iter().filter_map(|(tag, value)| {
        let value = value.as_ref().filter(|value| !value.is_empty())?;
        Some((tag, value))
    });
    names.any(|(tag, value)| paths::is_tag(word, tag, value))
}

/// Whether `lower` is part of what `upper` is made of.
pub(super) fn lies_below(devices: &[Device], upper: &Device, lower: &Device) -> bool {
    let whole = lower.disk.as_deref();
    let mut todo: Vec<&str> = upper.below.iter().map(String::as_str).collect();
    todo.extend(upper.disk.as_deref().filter(|disk| Some(*disk) != whole));
    let mut seen: Vec<&str> = Vec::new();
    while let Some(name) = todo.pop() {
        if name == lower.name || Some(name) == whole {
            return true;
        }
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        if let Some(device) = devices.iter().find(|d| d.name == name) {
            todo.extend(device.below.iter().chain(&device.disk).map(String::as_str));
        }
    }
    false
}
