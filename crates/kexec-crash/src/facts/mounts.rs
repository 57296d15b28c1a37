//! Where a folder really is, and which mount holds it, without touching what may hang.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use kexec_machine::Fact;
use kexec_machine::volumes::mountinfo::unescaped;

use super::text;

/// /proc/self/mountinfo of a machine with many containers has less than this many bytes.
const MAX_MOUNTS: u64 = 16 << 20;
/// Linux follows no more links in one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// File systems whose answer may never come: another machine or a program gives it, or it
/// is only mounted when somebody looks (autofs). Linux has them in
/// Documentation/filesystems/index.rst.
const FAR: &[&str] = &[
    "9p",
    "afs",
    "autofs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "orangefs",
    "smb3",
    "smbfs",
    "virtiofs",
];
/// A mount: where, which file system, on which device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Its folder.
    pub(super) point: String,
    /// The file system.
    pub(super) kind: String,
    /// `major:minor`.
    pub(super) device: String,
    /// What is mounted.
    pub(super) source: String,
}

impl Mount {
    /// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
    pub(super) fn parse(line: &str) -> Option<Mount> {
        let (before, behind) = line.split_once(" - ")?;
        let mut fields = before.split(' ');
        let device = fields.nth(2)?.to_owned();
        let point = unescaped(fields.nth(1)?);
        let mut behind = behind.split(' ');
        Some(Mount {
            point,
            device,
            kind: behind.next()?.to_owned(),
            source: unescaped(behind.next()?),
        })
    }

    /// Whether looking at it may take forever.
    pub(super) fn is_far(&self) -> bool {
        FAR.contains(&self.kind.as_str()) || self.kind.starts_with("fuse.")
    }

    /// Whether it is mounted only when somebody looks.
    pub(super) fn is_automatic(&self) -> bool {
        self.kind == "autofs"
    }
}

/// Every mount.
#[derive(Debug)]
pub(super) struct Mounts(Vec<Mount>);

/// Where a folder is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The folder without links, as far as it was looked at.
    pub(super) folder: PathBuf,
    /// What holds it.
    pub(super) mount: Mount,
}

impl Mounts {
    /// Those of the machine below `root`.
    pub(super) fn read(root: &Path) -> Fact<Mounts> {
        let text = text(&root.join("proc/self/mountinfo"), MAX_MOUNTS);
        text.map(|text| Mounts(text.lines().filter_map(Mount::parse).collect()))
    }

    /// The mount that holds a path without links: the last one of the longest path is the
    /// one that is seen.
    fn holding(&self, path: &Path) -> Option<&Mount> {
        let holds = |mount: &&Mount| path.starts_with(&mount.point);
        let mounts = self.0.iter().filter(holds);
        mounts.max_by_key(|mount| mount.point.len())
    }

    /// Finds a folder, link after link. Ends at the first part of the path that is far, and
    /// looks at nothing there.
    pub(super) fn place(&self, root: &Path, folder: &str) -> Option<Place> {
        let mut left = parts(Path::new(folder));
        let mut links = 0;
        let mut at = PathBuf::from("/");
        while let Some(part) = left.pop_front() {
            if part == ".." {
                at.pop();
                continue;
            }
            let next = at.join(part);
            let mount = self.holding(&next)?;
            if mount.is_far() {
                at = next;
                break;
            }
            let below = next.strip_prefix("/").unwrap_or(&next);
            match fs::read_link(root.join(below)) {
                Ok(target) if links < MAX_LINKS => {
                    links += 1;
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    for part in parts(&target).into_iter().rev() {
                        left.push_front(part);
                    }
                }
                Ok(_) => return None,
                Err(_) => at = next,
            }
        }
        let mount = self.holding(&at)?.clone();
        Some(Place { folder: at, mount })
    }
}

/// The names in a path, with `..` and without `.`.
fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    fn mounts(lines: &[&str]) -> Mounts {
        Mounts(lines.iter().filter_map(|line| Mount::parse(line)).collect())
    }

    #[test]
    fn lines_are_read() {
        let mount =
            Mount::parse("1 0 8:1 / /with\\040blank\\134 rw - ext4 /dev/a\\011b rw").unwrap();
        assert_eq!(mount.point, "/with blank\\");
        assert_eq!(
            (mount.kind.as_str(), mount.source.as_str()),
            ("ext4", "/dev/a\tb")
        );
        assert!(Mount::parse("").is_none() && Mount::parse("1 2 - ").is_none());
        assert_eq!(unescaped("\\04"), "\\04");
        assert_eq!(unescaped("\\777"), "\\777");
    }

    #[test]
    fn links_are_followed_to_the_mount_that_holds_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("var")).unwrap();
        fs::create_dir_all(root.join("data")).unwrap();
        symlink("/data/crash", root.join("var/crash")).unwrap();
        symlink("../data/./crash", root.join("var/relative")).unwrap();
        symlink("loop", root.join("var/loop")).unwrap();
        let mounts = mounts(&[
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
            "2 1 8:2 / /data rw - autofs systemd-1 rw",
            "3 2 8:2 / /data rw - xfs /dev/sdb1 rw",
        ]);
        for folder in ["/var/crash", "/var/relative", "/data/crash"] {
            let place = mounts.place(root, folder).unwrap();
            assert_eq!(place.folder, Path::new("/data/crash"), "{folder}");
            assert_eq!(place.mount.source, "/dev/sdb1");
        }
        assert_eq!(mounts.place(root, "/var/loop"), None);
        assert_eq!(mounts.place(root, "/").unwrap().mount.point, "/");
    }

    /// A folder below a far mount is not looked at: the link there is not followed.
    #[test]
    fn nothing_far_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("var/crash")).unwrap();
        symlink("/data", root.join("var/crash/link")).unwrap();
        for kind in ["nfs4", "autofs", "fuse.sshfs"] {
            let mounts = mounts(&[
                "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
                &format!("2 1 0:40 / /var/crash rw - {kind} host:/x rw"),
            ]);
            let place = mounts.place(root, "/var/crash/link/more").unwrap();
            assert!(place.mount.is_far(), "{kind}");
            assert_eq!(place.folder, Path::new("/var/crash"));
        }
    }

    proptest! {
        #[test]
        fn any_line(line in "\\PC{0,80}", path in "[a-z./\\\\0-9]{0,30}") {
            let _ = Mount::parse(&line);
            let table = mounts(&[&line, "1 0 8:1 / / rw - ext4 /dev/sda1 rw"]);
            let _ = table.place(Path::new("/nonexistent"), &path);
            let _ = unescaped(&path);
        }
    }
}
