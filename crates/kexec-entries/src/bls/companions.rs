//! The files beside a UKI that its stub takes.

use kexec_image::formats::uki::companions::{GLOBAL, Kind};
use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::Volumes;

use super::name;

/// Them, in the order in which the stub takes them: those for every UKI of the
/// partition, then those of this one, each by name.
pub(super) fn find(volumes: &Volumes, uki: &BootFile, notes: &mut Vec<String>) -> Vec<BootFile> {
    let mut found = Vec::new();
    for (folder, kinds) in GLOBAL {
        let folder = volumes.file(&uki.volume, folder);
        found.extend(files(volumes, &folder, kinds, notes));
    }
    let (folder, file) = uki.path.rsplit_once('/').unwrap_or_default();
    // "This counter will be ignored" (systemd-stub(7)).
    let id = match name::parse(file, ".efi") {
        Some(Ok(parsed)) => parsed.id,
        _ => file.to_owned(),
    };
    let folder = volumes.file(&uki.volume, &format!("{folder}/{id}.extra.d"));
    let all = [Kind::Addon, Kind::Credential, Kind::Sysext, Kind::Confext];
    found.extend(files(volumes, &folder, &all, notes));
    found
}

fn files(
    volumes: &Volumes,
    folder: &BootFile,
    kinds: &[Kind],
    notes: &mut Vec<String>,
) -> Vec<BootFile> {
    let names = match volumes.entries(folder) {
        Fact::Known(names) => names,
        Fact::Absent => return Vec::new(),
        Fact::Unreadable(reason) => {
            notes.push(format!(
                "the files that belong to the UKI are unknown: {reason}"
            ));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for name in names {
        let file = volumes.file(&folder.volume, &format!("{}/{name}", folder.path));
        match Kind::of(&name) {
            Some(kind) if kinds.contains(&kind) => found.push((kind, file)),
            // Stubs before systemd 258 took every *.raw for a system extension.
            None if name.ends_with(".raw") => notes.push(format!(
                "{file} is left out: it is neither a .sysext.raw nor a .confext.raw file"
            )),
            _ => {}
        }
    }
    found.sort_by(|(a, file_a), (b, file_b)| a.cmp(b).then_with(|| file_a.path.cmp(&file_b.path)));
    found.into_iter().map(|(_, file)| file).collect()
}
