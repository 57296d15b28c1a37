//! Devices that share a name.

use std::collections::BTreeSet;

use super::config::DeviceConfig;
use super::devices::BlockDevice;
use super::gather::id_of;
use super::index::Index;
use super::mountinfo::Planned;
use super::paths;
use super::trust::{BOOT_POINTS, Verdict};

/// As many devices that share a name are noted one by one; nobody plugs in more, but a
/// program can set up thousands.
pub(super) const MAX_NOTES: usize = 8;

/// What a device can share with another, in words: the file system's UUID and the
/// partition's, in lower case. Labels such as `boot` are given to many.
pub(super) fn ids(device: &BlockDevice) -> Vec<String> {
    let named = named_ids(device).into_iter().flatten();
    named
        .map(|(tag, value)| format!("{tag} {}", value.to_ascii_lowercase()))
        .collect()
}

fn named_ids(device: &BlockDevice) -> [Option<(&'static str, &str)>; 2] {
    let part = device.partition.as_ref();
    [
        ("UUID", device.content.uuid.as_deref()),
        ("PARTUUID", part.and_then(|part| part.uuid.as_deref())),
    ]
    .map(|(tag, value)| Some((tag, value.filter(|value| !value.is_empty())?)))
}

/// The identifier that two devices share, in words.
pub(super) fn shared(a: &BlockDevice, b: &BlockDevice) -> Option<String> {
    let both = named_ids(a).into_iter().zip(named_ids(b));
    let mut both = both.filter_map(|(a, b)| Some((a?, b?)));
    let (one, _) = both.find(|((_, a), (_, b))| a.eq_ignore_ascii_case(b))?;
    Some(format!("{} {}", one.0, one.1))
}

/// Whether a device that is no boot source answers to a name of one, or to one that
/// /etc/fstab has for boot files; with a note on each.
pub(super) fn forged(
    index: &Index<'_>,
    verdicts: &[Verdict],
    config: &DeviceConfig,
    notes: &mut Vec<String>,
) -> bool {
    let mut found = false;
    let mut said: Vec<String> = Vec::new();
    let mut more = 0_usize;
    let judged = || index.all.iter().zip(verdicts);
    let believed = judged().filter(|(_, verdict)| verdict.is_believed());
    let believed: BTreeSet<&str> = believed.map(|(device, _)| device.name.as_str()).collect();
    // Only these are looked through for each device: the others share a name as well.
    let honest = index.only(|device| believed.contains(device.name.as_str()));
    for (device, verdict) in judged() {
        let Verdict::Doubted(doubt) = verdict else {
            continue;
        };
        // A part of a stack shares its name with the whole.
        let twin = honest.twin(device, |other| !index.lies_below(other, device));
        let twin = twin.and_then(|other| Some((other, shared(device, other)?)));
        if let Some((other, name)) = twin {
            found = true;
            if said.len() < MAX_NOTES {
                said.push(format!(
                    "{} has the {name} of {} as well, and is not read: {doubt}",
                    id_of(device),
                    id_of(other),
                ));
            } else {
                more = more.saturating_add(1);
            }
        }
        let boot = |line: &&Planned| BOOT_POINTS.contains(&line.point.as_str());
        let mut lines = config.planned.iter().filter(boot);
        found = found || lines.any(|line| answers(device, &line.source));
    }
    notes.extend(said);
    if more > 0 {
        notes.push(format!(
            "{more} more devices share a name with a device that is read, and are not read"
        ));
    }
    found
}

/// Whether a device answers to a word of fstab(5).
pub(super) fn answers(device: &BlockDevice, word: &str) -> bool {
    let tagged = paths::tagged(word);
    let word = tagged.as_deref().unwrap_or(word);
    let part = device.partition.as_ref();
    let names = [
        ("UUID", device.content.uuid.as_ref()),
        ("LABEL", device.content.label.as_ref()),
        ("PARTUUID", part.and_then(|part| part.uuid.as_ref())),
        ("PARTLABEL", part.and_then(|part| part.label.as_ref())),
    ];
    let mut names = names.into_iter().filter_map(|(tag, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some((tag, value))
    });
    names.any(|(tag, value)| paths::is_tag(word, tag, value))
}

#[cfg(test)]
mod tests {
    use super::super::superblock::FileSystemIdentity;
    use super::super::trust;
    use super::*;

    /// Who may set up loop devices can set up thousands of them.
    #[test]
    fn thousands_of_copies_take_no_time_and_few_lines() {
        let device = |name: String| BlockDevice {
            name,
            content: FileSystemIdentity {
                uuid: Some("u".to_owned()),
                ..FileSystemIdentity::default()
            },
            ..BlockDevice::default()
        };
        let copies = (0..4096).map(|n| device(format!("loop{n}")));
        let devices: Vec<BlockDevice> = copies.chain([device("sda1".to_owned())]).collect();
        let config = DeviceConfig::default();
        let began = std::time::Instant::now();
        let verdicts = trust::verdicts(&devices, &[], &config);
        let mut notes = Vec::new();
        assert!(forged(
            &Index::new(&devices),
            &verdicts,
            &config,
            &mut notes
        ));
        assert_eq!(notes.len(), MAX_NOTES + 1);
        assert_eq!(
            notes.last().map(String::as_str),
            Some("4088 more devices share a name with a device that is read, and are not read")
        );
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }
}
