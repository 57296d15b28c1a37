//! Devices that share a name.

use super::config::Config;
use super::devices::Device;
use super::layout::id_of;
use super::mountinfo::Planned;
use super::paths;
use super::trust::{self, BOOT_POINTS, Verdict};

/// As many devices that share a name are noted one by one; nobody plugs in more, but a
/// program can set up thousands.
const MAX_NOTES: usize = 8;

/// Whether a device that is no boot source answers to a name of one, or to one that
/// /etc/fstab has for boot files; with a note on each.
pub(super) fn forged(
    devices: &[Device],
    verdicts: &[Verdict],
    config: &Config,
    notes: &mut Vec<String>,
) -> bool {
    let mut found = false;
    let mut said: Vec<String> = Vec::new();
    let judged = || devices.iter().zip(verdicts);
    for (device, verdict) in judged() {
        let Verdict::Doubted(doubt) = verdict else {
            continue;
        };
        // A part of a stack shares its name with the whole.
        let twin = judged().find_map(|(other, verdict)| {
            let name = trust::shared(device, other).filter(|_| verdict.is_believed())?;
            (!lies_below(devices, other, device)).then_some((other, name))
        });
        if let Some((other, name)) = twin {
            found = true;
            said.push(format!(
                "{} has the {name} of {} as well, and is not read: {doubt}",
                id_of(device),
                id_of(other),
            ));
        }
        let boot = |line: &&Planned| BOOT_POINTS.contains(&line.point.as_str());
        let mut lines = config.planned.iter().filter(boot);
        found |= lines.any(|line| answers(device, &line.source));
    }
    let more = said.len().saturating_sub(MAX_NOTES);
    notes.extend(said.into_iter().take(MAX_NOTES));
    if more > 0 {
        notes.push(format!(
            "{more} more devices share a name with one that is read, and are not read"
        ));
    }
    found
}

/// Whether a device answers to a word of fstab(5).
pub(super) fn answers(device: &Device, word: &str) -> bool {
    let tagged = paths::tagged(word);
    let word = tagged.as_deref().unwrap_or(word);
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

#[cfg(test)]
mod tests {
    use super::super::superblock::Content;
    use super::*;

    /// Who may set up loop devices can set up thousands of them.
    #[test]
    fn thousands_of_copies_take_no_time_and_few_lines() {
        let device = |name: String| Device {
            name,
            content: Content {
                uuid: Some("u".to_owned()),
                ..Content::default()
            },
            ..Device::default()
        };
        let copies = (0..4096).map(|n| device(format!("loop{n}")));
        let devices: Vec<Device> = copies.chain([device("sda1".to_owned())]).collect();
        let config = Config::default();
        let began = std::time::Instant::now();
        let verdicts = trust::judge(&devices, &[], &config);
        let mut notes = Vec::new();
        assert!(forged(&devices, &verdicts, &config, &mut notes));
        assert_eq!(notes.len(), MAX_NOTES + 1);
        assert_eq!(
            notes.last().map(String::as_str),
            Some("4088 more devices share a name with one that is read, and are not read")
        );
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }
}
