//! Where boot files are read from, and why that place is believed: what `kexec list`
//! and `kexec check` show.

use std::fmt;

use serde::{Deserialize, Serialize};

use kexec_machine::volumes::{BootedFrom, Verdict, VolumeId, Volumes};

/// A file system that boot files or a boot loader's configuration are read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BootSource {
    /// The name of the file system, as in every message.
    pub volume: VolumeId,
    /// The node of its device, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// `ext4`, `vfat`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The UUID of the file system, as udev writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// How it comes to be a boot source: what says that this boot came from it, or where
    /// it is mounted.
    pub how: Vec<String>,
    /// Why nobody but root and the machine's builder decides what is in it.
    pub verdict: Verdict,
}

impl BootSource {
    /// Describes a file system; `booted` is the partition that this boot came from.
    pub fn of(volumes: &Volumes, id: &VolumeId, booted: Option<&BootedFrom>) -> Option<BootSource> {
        let volume = volumes.get(id)?;
        let word = booted.filter(|word| {
            let found = volumes.by_partuuid(&word.partuuid).one();
            found.is_some_and(|found| found.id == *id)
        });
        let word = word.map(|word| format!("this boot came from it ({})", word.said));
        let mounted = volume.mounts.first();
        let mounted = mounted.map(|mount| format!("mounted at {}", mount.point));
        let planned = volume.planned.as_ref();
        let planned = planned.map(|point| format!("/etc/fstab has it at {point}"));
        Some(BootSource {
            volume: id.clone(),
            device: volume.device.clone(),
            kind: volume.kind.clone(),
            uuid: volume.uuid.clone(),
            how: word.into_iter().chain(mounted).chain(planned).collect(),
            verdict: volume.verdict.clone(),
        })
    }

    /// The same for several, each once.
    pub fn all<'a>(
        volumes: &Volumes,
        ids: impl Iterator<Item = &'a VolumeId>,
        booted: Option<&BootedFrom>,
    ) -> Vec<BootSource> {
        let mut found: Vec<BootSource> = Vec::new();
        for id in ids {
            if !found.iter().any(|known| known.volume == *id) {
                found.extend(BootSource::of(volumes, id, booted));
            }
        }
        found
    }

    /// `/dev/vda1 (vfat, ABCD-1234)`.
    pub fn name(&self) -> String {
        let device = self.device.as_deref().unwrap_or(&self.volume.0);
        let more: Vec<&str> = self
            .kind
            .iter()
            .chain(&self.uuid)
            .map(String::as_str)
            .collect();
        match more.is_empty() {
            true => device.to_owned(),
            false => format!("{device} ({})", more.join(", ")),
        }
    }

    /// Why it is read, in words.
    pub fn why(&self) -> String {
        let mut parts = self.how.clone();
        parts.push(self.verdict.to_string());
        parts.join("; ")
    }
}

impl fmt::Display for BootSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.why())
    }
}
