//! /proc/self/mountinfo (proc_pid_mountinfo(5)) and /etc/fstab (fstab(5)), as
//! values.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// No table is followed further than this many lines; a busy container host
/// has some thousands.
const MAX_MOUNTS: usize = 1 << 16;

/// One mount of this mount namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Its number.
    pub id: u64,
    /// The number of the mount it is mounted on.
    pub parent: u64,
    /// `major:minor` of its file system, which btrfs and others make up.
    pub number: String,
    /// Which folder of the file system is at the mount point: `/`, or a
    /// subvolume such as `/@`, or what was bind-mounted.
    pub top: String,
    /// Where it is mounted.
    pub point: String,
    /// `ext4`, `autofs`, ...
    pub kind: String,
    /// `/dev/vda2`, or what the file system calls its source.
    pub source: String,
    /// The file system itself, not only this mount of it, may be written to.
    pub writable: bool,
    /// Programs on it do not get their owner's rights.
    #[serde(default)]
    pub nosuid: bool,
}

/// A line of /etc/fstab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// `UUID=...`, `/dev/vda2`, ...
    pub source: String,
    /// Where it belongs.
    pub point: String,
    /// `noauto`, `user`, ...
    pub options: Vec<String>,
}

/// The mounts that paths lead to, in the order of the file. A mount that
/// another one was put on at the same place is left out, and so is a line that
/// cannot be understood.
pub fn parse(text: &str) -> Vec<Mount> {
    split(text).0
}

/// The mounts that another one was put on at the same place.
pub fn covered(text: &str) -> Vec<Mount> {
    split(text).1
}

fn split(text: &str) -> (Vec<Mount>, Vec<Mount>) {
    let lines = text.lines().take(MAX_MOUNTS);
    let mut all: Vec<Mount> = lines.filter_map(line).collect();
    // In a unit with NoNewPrivileges= and a mount namespace, systemd gives the flag to
    // every mount: there it tells nothing of who mounted what.
    if all.iter().any(|mount| mount.point == "/" && mount.nosuid) {
        all.iter_mut().for_each(|mount| mount.nosuid = false);
    }
    // The first of an id counts, should two have it.
    let points = all.iter().rev().map(|m| (m.id, m.point.as_str()));
    let points: BTreeMap<u64, &str> = points.collect();
    // The root mount is its own parent's child in some containers.
    let above = all.iter().filter(|mount| {
        mount.id != mount.parent && points.get(&mount.parent) == Some(&mount.point.as_str())
    });
    let covered: BTreeSet<u64> = above.map(|mount| mount.parent).collect();
    all.into_iter()
        .partition(|mount| !covered.contains(&mount.id))
}

/// The automount points, also those that something is mounted on.
pub fn automounts(text: &str) -> Vec<Mount> {
    let lines = text.lines().take(MAX_MOUNTS).filter_map(line);
    lines.filter(|mount| mount.kind == "autofs").collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`.
fn line(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    let mut next = || fields.next();
    let (id, parent) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let number = next()?.to_owned();
    let (top, point) = (unescaped(next()?), unescaped(next()?));
    let nosuid = next()?.split(',').any(|option| option == "nosuid");
    let mut rest = fields.skip_while(|field| *field != "-").skip(1);
    let (kind, source) = (rest.next()?.to_owned(), unescaped(rest.next()?));
    let writable = rest.next()?.split(',').any(|option| option == "rw");
    point.starts_with('/').then_some(Mount {
        id,
        parent,
        number,
        top,
        point,
        kind,
        source,
        writable,
        nosuid,
    })
}

/// The lines of /etc/fstab that mount something at a path.
pub fn fstab(text: &str) -> Vec<Planned> {
    let lines = text.lines().take(MAX_MOUNTS).map(str::trim);
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let source = unescaped(fields.next()?);
            let point = unescaped(fields.next()?);
            let point = match point.trim_end_matches('/') {
                "" => "/".to_owned(),
                point => point.to_owned(),
            };
            let options = fields.nth(1).unwrap_or_default().split(',');
            let options = options.map(str::to_owned).collect();
            let planned = Planned {
                source,
                point,
                options,
            };
            planned.point.starts_with('/').then_some(planned)
        })
        .collect()
}

/// Both files write blanks and backslashes as `\040`: three octal digits.
pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code = more.get(..3).filter(|_| *first == b'\\').and_then(octal);
        bytes.push(code.unwrap_or(*first));
        rest = match code {
            Some(_) => more.get(3..).unwrap_or_default(),
            None => more,
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn octal(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    u8::from_str_radix(text, 8).ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_behind_the_optional_ones_are_found() {
        let mounts = parse(
            "22 1 254:2 / / rw,relatime shared:1 master:7 - ext4 /dev/vda2 ro\n\
             30 22 0:40 /@/boot /boot\\040old rw - btrfs /dev/mapper/a\\134b rw,subvol=/@\n\
             31 22 0:41 / /efi rw - autofs systemd-1 rw,fd=55,direct\n",
        );
        let [root, boot, efi] = mounts.as_slice() else {
            panic!("{mounts:?}");
        };
        assert_eq!((root.point.as_str(), root.kind.as_str()), ("/", "ext4"));
        assert_eq!(
            (boot.top.as_str(), boot.point.as_str()),
            ("/@/boot", "/boot old")
        );
        assert_eq!(boot.source, "/dev/mapper/a\\b");
        assert!(boot.writable && efi.writable && !root.writable);
        assert_eq!(
            (efi.kind.as_str(), efi.source.as_str()),
            ("autofs", "systemd-1")
        );
    }

    #[test]
    fn a_mount_that_is_covered_at_the_same_place_leads_nowhere() {
        let mounts = parse(
            "1 1 0:2 / / rw - rootfs rootfs rw\n\
             22 1 254:2 / / rw - ext4 /dev/vda2 rw\n\
             31 22 0:41 / /efi rw - autofs systemd-1 rw\n\
             40 31 254:1 / /efi rw - vfat /dev/vda1 rw\n",
        );
        let kinds: Vec<&str> = mounts.iter().map(|m| m.kind.as_str()).collect();
        assert_eq!(kinds, ["ext4", "vfat"]);
    }

    /// A walk over all mounts for each of them would take minutes.
    #[test]
    fn a_container_host_has_many_mounts() {
        let lines = (0..MAX_MOUNTS).map(|n| {
            let parent = n + 10 * MAX_MOUNTS;
            format!("{n} {parent} 0:{n} / /run/{n} rw - overlay overlay rw\n")
        });
        let text: String = lines.collect();
        let began = std::time::Instant::now();
        assert_eq!(parse(&text).len(), MAX_MOUNTS);
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }

    #[test]
    fn where_the_root_is_nosuid_the_flag_tells_nothing() {
        let text = |root: &str| {
            format!(
                "1 0 8:1 / / rw{root} - ext4 /dev/a rw\n2 1 8:2 / /mnt rw,nosuid - ext4 /dev/b rw\n"
            )
        };
        let nosuid = |text: &str| parse(text).iter().any(|mount| mount.nosuid);
        assert!(nosuid(&text("")));
        assert!(!nosuid(&text(",nosuid")));
    }

    #[test]
    fn fstab_has_comments_blanks_and_swap() {
        let planned = fstab(
            "# <file system> <mount point>\n\n\
             UUID=AB-CD\t/boot/efi/ vfat umask=0077 0 1\n\
             /dev/vda2 / ext4 defaults 0 1\n\
             UUID=1 none swap sw 0 0\nbroken\n",
        );
        let planned: Vec<(&str, &str)> = planned
            .iter()
            .map(|p| (p.source.as_str(), p.point.as_str()))
            .collect();
        assert_eq!(planned, [("UUID=AB-CD", "/boot/efi"), ("/dev/vda2", "/")]);
    }

    #[test]
    fn escapes_are_octal_or_left_alone() {
        assert_eq!(unescaped("a\\040b\\"), "a b\\");
        assert_eq!(unescaped("\\777\\+12\\09"), "\\777\\+12\\09");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "([0-9a-z:/\\\\, -]{0,40}\n?){0,6}\\PC{0,40}") {
            let _ = (parse(&text), fstab(&text));
        }
    }
}
