//! Who else than root decides what is in the files of a boot entry: owners and
//! permissions of the files, and of the folders above them on their file system.

use std::collections::BTreeSet;

use serde::Serialize;

use kexec_machine::Fact;
use kexec_machine::volumes::BootFile;
use kexec_machine::volumes::Volumes;

/// Something that not only root can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposed {
    /// The file or folder, as people see it.
    pub path: String,
    /// The user it belongs to.
    pub owner: u32,
    /// The group it belongs to.
    pub group: u32,
    /// Its permissions: the lower twelve bits of `st_mode`.
    pub mode: u32,
    /// The file system keeps no permissions of its own: the mount says them.
    pub by_mount: bool,
}

/// File systems without owners and permissions (mount(8), "Mount options for fat",
/// "for ntfs"; `Documentation/filesystems/vfat.rst`).
const BY_MOUNT: &[&str] = &["vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfs"];

/// `S_IFMT`, `S_IFDIR`, `S_ISVTX`, `S_IWGRP` and `S_IWOTH` of inode(7).
const TYPE: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Whose files are nobody else's.
#[derive(Debug, Clone, Copy)]
struct Own {
    user: u32,
    group: u32,
}

impl Own {
    /// Root; and in a tree that somebody has made to look at, its maker.
    fn of(volumes: &Volumes) -> Own {
        match volumes.machine_stat("/") {
            Fact::Known(top) if top.st_uid != 0 => Own {
                user: top.st_uid,
                group: top.st_gid,
            },
            _ => Own { user: 0, group: 0 },
        }
    }

    fn lets_others_in(self, owner: u32, group: u32, mode: u32) -> bool {
        let is_own = owner == 0 || owner == self.user;
        let by_group = mode & GROUP_WRITES != 0 && group != 0 && group != self.group;
        // In a sticky folder nobody can replace what is root's.
        let sticky = mode & TYPE == FOLDER && mode & STICKY != 0;
        !is_own || (!sticky && (by_group || mode & OTHERS_WRITE != 0))
    }
}

/// Looks at files and the folders above them; what cannot be looked at is left out.
pub(super) fn read<'a>(
    volumes: &Volumes,
    files: impl Iterator<Item = &'a BootFile>,
) -> Vec<Exposed> {
    let own = Own::of(volumes);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for file in files {
        // Where a link of the running machine leads, what is there counts as well.
        let absolute = file.shown.starts_with('/');
        let real = absolute.then(|| volumes.locate(&file.shown).ok()).flatten();
        let all = std::iter::once(file).chain(&real);
        for one in all.flat_map(|file| with_folders(volumes, file)) {
            if !seen.insert((one.volume.clone(), one.path.clone())) {
                continue;
            }
            let Fact::Known(stat) = volumes.stat(&one) else {
                continue;
            };
            let (owner, group, mode) = (stat.st_uid, stat.st_gid, stat.st_mode);
            if own.lets_others_in(owner, group, mode) {
                let kind = volumes.get(&one.volume).and_then(|v| v.kind.as_deref());
                found.push(Exposed {
                    path: one.shown,
                    owner,
                    group,
                    mode: mode & !TYPE,
                    by_mount: kind.is_some_and(|kind| BY_MOUNT.contains(&kind)),
                });
            }
        }
    }
    found
}

/// A file, and every folder above it, up to the top of its file system.
fn with_folders(volumes: &Volumes, file: &BootFile) -> Vec<BootFile> {
    let mut all = vec![file.clone()];
    let mut path = file.path.as_str();
    while let Some((above, _)) = path.rsplit_once('/') {
        let folder = if above.is_empty() { "/" } else { above };
        if path != "/" {
            all.push(volumes.file(&file.volume, folder));
        }
        path = above;
    }
    all
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::path::Path;

    use super::*;

    #[test]
    fn whose_a_file_is() {
        let own = Own { user: 0, group: 0 };
        let file = 0o100_000;
        for (owner, group, mode, exposed) in [
            (0, 0, file | 0o644, false),
            (0, 0, file | 0o664, false),
            (0, 0, file | 0o666, true),
            (0, 6, file | 0o644, false),
            (0, 6, file | 0o664, true),
            (1000, 0, file | 0o400, true),
            (0, 0, FOLDER | 0o755, false),
            (0, 0, FOLDER | 0o1777, false),
            (1000, 0, FOLDER | 0o1777, true),
            (0, 0, FOLDER | 0o777, true),
            // Sticky means nothing for a file.
            (0, 0, file | 0o1666, true),
        ] {
            let told = own.lets_others_in(owner, group, mode);
            assert_eq!(told, exposed, "{owner}:{group} {mode:o}");
        }
        let own = Own {
            user: 1000,
            group: 100,
        };
        assert!(!own.lets_others_in(1000, 100, file | 0o664));
        assert!(own.lets_others_in(1001, 100, file | 0o664));
    }

    fn mode(root: &Path, path: &str, mode: u32) {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn exposed(volumes: &Volumes, path: &str) -> Vec<(String, u32)> {
        let file = volumes.locate(path).unwrap();
        let found = read(volumes, std::iter::once(&file));
        found.into_iter().map(|e| (e.path, e.mode)).collect()
    }

    #[test]
    fn files_and_the_folders_above_them() {
        let mounts = "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n";
        let (root, volumes) = super::super::testing::tree(&[
            ("proc/self/mountinfo", mounts.as_bytes()),
            ("boot/deep/vmlinuz", b"x"),
            ("elsewhere/real", b"x"),
        ]);
        let at = root.path();
        mode(at, "boot", 0o755);
        assert_eq!(exposed(&volumes, "/boot/deep/vmlinuz"), []);
        mode(at, "boot", 0o777);
        mode(at, "boot/deep/vmlinuz", 0o646);
        let both = [
            ("/boot/deep/vmlinuz".to_owned(), 0o646),
            ("/boot".to_owned(), 0o777),
        ];
        assert_eq!(exposed(&volumes, "/boot/deep/vmlinuz"), both);
        mode(at, "boot", 0o755);
        mode(at, "boot/deep/vmlinuz", 0o644);
        // Where a link leads.
        mode(at, "elsewhere", 0o757);
        std::os::unix::fs::symlink("../elsewhere/real", at.join("boot/linked")).unwrap();
        let link = volumes.file(&volumes.locate("/boot").unwrap().volume, "/boot/linked");
        let found = read(&volumes, std::iter::once(&link));
        let paths: Vec<&str> = found.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["/elsewhere"]);
        // Only root can give a file away.
        if fs::metadata(at).is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
            chown(at.join("boot/deep"), Some(1234), Some(0)).unwrap();
            let found = exposed(&volumes, "/boot/deep/vmlinuz");
            assert_eq!(found[0].0, "/boot/deep");
        }
    }
}
