//! /proc/self/mountinfo (proc_pid_mountinfo(5)) and /etc/fstab (fstab(5)), as
//! values.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::paths;
use crate::Fact;
use crate::Root;

/// No table is followed further than this many lines: a mount namespace has at most
/// 100,000 mounts (Documentation/admin-guide/sysctl/fs.rst, `mount-max`).
const MAX_MOUNTS: usize = 1 << 17;

/// No table is longer than this many bytes; a line of a container host has 500.
const MAX_TABLE: u64 = 64 << 20;

/// The table of this process's mount namespace.
const OWN: &str = "/proc/self/mountinfo";

/// The table of the first process's. Only its text is read.
const FIRST: &str = "/proc/1/mountinfo";

/// One mount of this mount namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The number of the mount, unique while it lasts.
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
    /// It shows what is at that place without it: a folder that was mounted on itself, as
    /// a unit with `ReadWritePaths=` has it. No other file system is there for it.
    #[serde(default)]
    pub again: bool,
    /// The folders that an overlay only reads (Documentation/filesystems/overlayfs.rst,
    /// `lowerdir`), as they were called when it was mounted.
    #[serde(default)]
    pub lower: Vec<String>,
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

/// A mount table, and the one that tells who mounted what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    own: String,
    first: String,
}

impl Table {
    /// Reads both; that of the first process is empty where it cannot be read.
    pub(crate) fn read(root: &Root) -> Fact<Table> {
        let text = |path: &str| {
            let bytes = root.bytes_up_to(path, MAX_TABLE);
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        text(OWN).map(|own| Table {
            own,
            first: text(FIRST).known().cloned().unwrap_or_default(),
        })
    }

    /// Whether another file system is at `/` than the machine runs from, as in a chroot
    /// or a container that sees the machine's processes.
    pub(crate) fn is_foreign(&self) -> bool {
        let top = |text: &str| {
            let mounts = parse(text, "").into_iter();
            let mut mounts = mounts.filter(|mount| mount.point == "/");
            mounts.next_back().map(|mount| (mount.number, mount.top))
        };
        let first = top(&self.first);
        first.is_some() && first != top(&self.own)
    }

    /// The mounts that paths lead to, in the order of the file. A mount that another one
    /// was put on at the same place is left out, and so is a line that cannot be
    /// understood.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        split(&self.own, &self.first).0
    }

    /// The mounts that another one was put on at the same place.
    pub(super) fn covered(&self) -> Vec<Mount> {
        split(&self.own, &self.first).1
    }

    /// The automount points, also those that something is mounted on.
    pub(super) fn automounts(&self) -> Vec<Mount> {
        let mut all = lines(&self.own);
        all.retain(|mount| mount.kind == "autofs");
        all
    }
}

/// The mounts of a table that paths lead to; `first` is the table of the first process,
/// empty where it is not known.
pub fn parse(text: &str, first: &str) -> Vec<Mount> {
    split(text, first).0
}

fn lines(text: &str) -> Vec<Mount> {
    text.lines().take(MAX_MOUNTS).filter_map(line).collect()
}

/// Whether `nosuid` tells nothing of who mounted what: with NoNewPrivileges= and a mount
/// namespace of its own, systemd gives the flag to every mount of a unit.
fn tells_nothing(all: &[Mount]) -> bool {
    all.iter().any(|mount| mount.point == "/" && mount.nosuid)
}

fn split(text: &str, first: &str) -> (Vec<Mount>, Vec<Mount>) {
    let mut all = lines(text);
    if tells_nothing(&all) {
        let first = lines(first);
        let known = !tells_nothing(&first);
        let nosuid = first.iter().filter(|mount| known && mount.nosuid);
        let nosuid: BTreeSet<_> = nosuid.map(place).collect();
        for mount in &mut all {
            mount.nosuid = nosuid.contains(&place(mount));
        }
    }
    // The first of an id counts, should two have it.
    let points = all.iter().rev().map(|m| (m.id, m));
    let points: BTreeMap<u64, &Mount> = points.collect();
    let parent = |mount: &Mount| {
        let parent = points.get(&mount.parent).copied();
        parent.filter(|parent| parent.id != mount.id)
    };
    // The root mount is its own parent's child in some containers.
    let above = all.iter().filter(|mount| {
        let parent = parent(mount);
        parent.is_some_and(|parent| parent.point == mount.point)
    });
    let covered: BTreeSet<u64> = above.map(|mount| mount.parent).collect();
    let again: BTreeSet<u64> = {
        let again = all.iter().filter(|mount| is_again(mount, &parent));
        again.map(|mount| mount.id).collect()
    };
    for mount in &mut all {
        mount.again = again.contains(&mount.id);
    }
    all.into_iter()
        .partition(|mount| !covered.contains(&mount.id))
}

/// What is mounted, and where.
fn place(mount: &Mount) -> (&str, &str, &str) {
    (&mount.number, &mount.top, &mount.point)
}

/// Whether a mount shows what its parent has at that place. One on top of another at one
/// place is what that one is.
fn is_again<'a>(mount: &'a Mount, parent: &impl Fn(&Mount) -> Option<&'a Mount>) -> bool {
    let mut mount = mount;
    for _ in 0..MAX_STACKED {
        let Some(above) = parent(mount) else {
            return false;
        };
        let Some(below) = paths::below(&mount.point, &above.point) else {
            return false;
        };
        let shown = paths::normal(&format!("{}/{below}", above.top));
        if above.number != mount.number || shown != mount.top {
            return false;
        }
        if above.point != mount.point {
            return true;
        }
        mount = above;
    }
    false
}

/// As many mounts of one folder lie on each other at one place as are looked through.
const MAX_STACKED: usize = 16;

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
    let own = unescaped(rest.next()?);
    let writable = own.split(',').any(|option| option == "rw");
    let lower = match kind.as_str() {
        "overlay" => lower(&own),
        _ => Vec::new(),
    };
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
        again: false,
        lower,
    })
}

/// `lowerdir=/a:/b`, or each by itself: `lowerdir+=/a,lowerdir+=/b`.
fn lower(options: &str) -> Vec<String> {
    let values = options.split(',').filter_map(|option| {
        let (name, value) = option.split_once('=')?;
        matches!(name, "lowerdir" | "lowerdir+" | "datadir+").then_some(value)
    });
    let folders = values.flat_map(|value| value.split(':'));
    let whole = folders.filter(|folder| folder.starts_with('/'));
    whole.take(MAX_LOWER).map(str::to_owned).collect()
}

/// As many folders of an overlay are looked at; a system has a few.
const MAX_LOWER: usize = 16;

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
pub fn unescaped(text: &str) -> String {
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

    fn own(text: &str) -> Vec<Mount> {
        parse(text, "")
    }

    #[test]
    fn fields_behind_the_optional_ones_are_found() {
        let mounts = own(
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
        let mounts = own("1 1 0:2 / / rw - rootfs rootfs rw\n\
             22 1 254:2 / / rw - ext4 /dev/vda2 rw\n\
             31 22 0:41 / /efi rw - autofs systemd-1 rw\n\
             40 31 254:1 / /efi rw - vfat /dev/vda1 rw\n");
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
        assert_eq!(own(&text).len(), MAX_MOUNTS);
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }

    #[test]
    fn where_the_root_is_nosuid_the_flag_tells_nothing() {
        let text = |root: &str| {
            format!(
                "1 0 8:1 / / rw{root} - ext4 /dev/a rw\n2 1 8:2 / /mnt rw,nosuid - ext4 /dev/b rw\n"
            )
        };
        let nosuid = |text: &str| own(text).iter().any(|mount| mount.nosuid);
        assert!(nosuid(&text("")));
        assert!(!nosuid(&text(",nosuid")));
    }

    /// In a unit everything is nosuid: the table of the first process has the flags of
    /// the mounts of the system, and its numbers are others.
    #[test]
    fn the_first_process_tells_who_mounted_what() {
        let unit = "9 0 8:1 / / rw,nosuid - ext4 /dev/a rw\n\
                    8 9 8:2 / /mnt rw,nosuid - ext4 /dev/b rw\n\
                    7 9 8:3 / /srv rw,nosuid - ext4 /dev/c rw\n\
                    6 9 8:4 / /new rw,nosuid - ext4 /dev/d rw\n";
        let first = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
                     2 1 8:2 / /mnt rw,nosuid - ext4 /dev/b rw\n\
                     3 1 8:3 / /srv rw - ext4 /dev/c rw\n";
        let flagged = |text: &str, first: &str| -> Vec<String> {
            let mounts = parse(text, first);
            let mounts = mounts.into_iter().filter(|mount| mount.nosuid);
            mounts.map(|mount| mount.point).collect()
        };
        assert_eq!(flagged(unit, first), ["/mnt"]);
        assert_eq!(flagged(unit, ""), [""; 0]);
        assert_eq!(flagged(unit, unit), [""; 0]);
        // Where the own flags tell, they count.
        let own = first.replace("/mnt rw,nosuid", "/mnt rw");
        assert_eq!(flagged(&own, first), [""; 0]);
        let dir = tempfile::tempdir().unwrap();
        for (process, text) in [("self", unit), ("1", first)] {
            let folder = dir.path().join("proc").join(process);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("mountinfo"), text).unwrap();
        }
        let table = Table::read(&Root::new(dir.path()));
        let mounts = table.known().unwrap().mounts();
        assert_eq!(mounts.iter().filter(|mount| mount.nosuid).count(), 1);
    }

    #[test]
    fn a_folder_mounted_on_itself_is_no_other_file_system() {
        let again = |text: &str| -> Vec<String> {
            let mounts = own(text).into_iter().filter(|mount| mount.again);
            mounts.map(|mount| mount.point).collect()
        };
        let root = "1 0 8:2 /@ / rw - ext4 /dev/a rw\n";
        let twice = format!("{root}2 1 8:2 /@/boot /boot rw - ext4 /dev/a rw\n");
        assert_eq!(again(&twice), ["/boot"]);
        let thrice = format!("{twice}3 2 8:2 /@/boot /boot ro - ext4 /dev/a rw\n");
        assert_eq!(again(&thrice), ["/boot"]);
        let within = format!("{twice}3 2 8:2 /@/boot/efi /boot/efi ro - ext4 /dev/a rw\n");
        assert_eq!(again(&within), ["/boot", "/boot/efi"]);
        for other in [
            // Another folder, another file system, and a real one that is mounted on itself.
            "2 1 8:2 /@/old /boot rw - ext4 /dev/a rw\n",
            "2 1 8:1 / /boot rw - ext4 /dev/b rw\n",
            "2 1 8:1 / /boot rw - ext4 /dev/b rw\n3 2 8:1 / /boot rw - ext4 /dev/b rw\n",
            "2 9 8:2 /@/boot /boot rw - ext4 /dev/a rw\n",
        ] {
            assert_eq!(again(&format!("{root}{other}")), [""; 0], "{other}");
        }
    }

    #[test]
    fn what_an_overlay_lies_on() {
        let lower = |options: &str| {
            own(&format!("1 0 0:30 / / rw - overlay o rw,{options}\n"))[0]
                .lower
                .clone()
        };
        assert_eq!(
            lower("lowerdir=/media/root-ro:/b,upperdir=/c"),
            ["/media/root-ro", "/b"]
        );
        assert_eq!(lower("lowerdir+=/a,lowerdir+=/b\\040c"), ["/a", "/b c"]);
        assert_eq!(lower("lowerdir=lower"), [""; 0]);
    }

    #[test]
    fn a_table_of_a_container_host_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        let path = "x".repeat(200);
        let lines =
            (0..40_000).map(|n| format!("{n} 1 0:{n} / /run/{path}/{n} rw - overlay o rw\n"));
        let text: String = lines.collect();
        std::fs::write(dir.path().join("proc/self/mountinfo"), text).unwrap();
        let table = Table::read(&Root::new(dir.path()));
        assert_eq!(table.known().map(|t| t.mounts().len()), Some(40_000));
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
            let _ = (parse(&text, &text), fstab(&text));
        }
    }
}
