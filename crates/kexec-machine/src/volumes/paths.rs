//! Paths of the machine and paths of file systems, translated into each other.

use super::layout::VolumeLayout;
use super::lookup::{self, Lookup};
use super::{Mount, Volume};
use crate::Fact;
use crate::Root;

/// As many links as the kernel follows in one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Whether an identifier is this one; letters in either case.
pub(super) fn same(known: &Option<String>, wanted: &str) -> bool {
    known
        .as_ref()
        .is_some_and(|known| known.eq_ignore_ascii_case(wanted))
}

/// One leading slash, none at the end, no `.`, and `..` taken back as far as
/// the top.
pub(super) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// What is behind `folder` in `path`, with its leading slash; `None` when the
/// path is not in that folder.
pub(super) fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    match path.strip_prefix(folder.trim_end_matches('/'))? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

fn joined(folder: &str, path: &str) -> String {
    normal(&format!("{folder}/{path}"))
}

/// The path without links. What is not there is taken as it is written.
pub(super) fn canonical(root: &Root, path: &str) -> Result<String, String> {
    let mut todo: Vec<String> = parts(path);
    let mut done = String::from("/");
    let mut links = 0;
    while let Some(part) = todo.pop() {
        let next = joined(&done, &part);
        if part == ".." {
            done = next;
            continue;
        }
        let Fact::Known(target) = root.link(&next) else {
            done = next;
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(format!("{path}: more than {MAX_LINKS} symbolic links"));
        }
        if target.starts_with('/') {
            done = String::from("/");
        }
        todo.extend(parts(&target));
    }
    Ok(done)
}

/// The components, last one first.
fn parts(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.rev().map(str::to_owned).collect()
}

/// The file system that a path without links is on, and the path from its top.
/// The deepest mount point decides; what fstab(5) only wants there counts too, and
/// takes the place of what is mounted there and is no boot source.
///
/// # Errors
/// When nothing is known to be there, or it is no boot source.
pub(super) fn owner<'a>(
    layout: &'a VolumeLayout,
    path: &str,
) -> Result<(&'a Volume, String), String> {
    let all = &layout.all;
    let planned = all
        .iter()
        .filter_map(|v| Some((v, v.planned.as_deref()?, "/", None)));
    let wanted: Vec<&str> = planned.clone().map(|(_, point, ..)| point).collect();
    let mounted = all.iter().flat_map(|volume| {
        let doubt = volume.verdict.doubt();
        let mounts = volume
            .mounts
            .iter()
            .map(move |m| (m, doubt.map(ToString::to_string)));
        let user = || Some("it is mounted by a user".to_owned());
        let passed = volume.passed.iter().map(move |m| (m, user()));
        // A folder that is mounted on itself is where it is without that.
        let mounts = mounts.chain(passed).filter(|(m, _)| !m.again);
        mounts.map(move |(m, why)| (volume, m.point.as_str(), m.top.as_str(), why))
    });
    let mounted = mounted.filter(|(_, point, _, why)| why.is_none() || !wanted.contains(point));
    let found = mounted
        .chain(planned)
        .filter_map(|(volume, point, top, why)| {
            Some((volume, point, top, why, below(path, point)?))
        })
        .max_by_key(|(_, point, ..)| point.len());
    let refused = layout.blocked.iter();
    let refused = refused.map(|(point, why)| (point, why.as_str()));
    let asleep = "the automount there was left alone";
    let asleep = layout.asleep.iter().map(|point| (point, asleep));
    let blocked = asleep.chain(refused);
    let blocked = blocked.filter(|(point, _)| below(path, point).is_some());
    let better = |(_, at, _, why, _): &(&Volume, &str, &str, Option<String>, &str), point: &str| {
        at.len() > point.len() || (at.len() == point.len() && why.is_none())
    };
    if let Some((point, why)) = blocked.max_by_key(|(point, _)| point.len())
        && !found.as_ref().is_some_and(|found| better(found, point))
    {
        return Err(format!(
            "{path}: the file system for {point} is unknown: {why}"
        ));
    }
    match found {
        Some((volume, _, top, None, rest)) => Ok((volume, joined(top, rest))),
        Some((volume, point, _, Some(why), _)) => Err(format!(
            "{path}: {} at {point} is not a boot source: {why}",
            volume.id
        )),
        None => Err(format!(
            "{path}: no file system is known to be mounted there"
        )),
    }
}

/// The mount of a volume through which a path of it can be reached, and the path
/// from that mount's top. The mount that shows most of the file system is taken.
pub(super) fn through<'a>(volume: &'a Volume, path: &str) -> Option<(&'a Mount, String)> {
    let reach = |m: &'a Mount| Some((m, below(path, &m.top)?.to_owned()));
    let reached = volume.mounts.iter().filter_map(reach);
    reached.min_by_key(|(m, _)| (m.top.len(), m.point.len()))
}

/// The mount point that hides what is at `path` of a mount.
pub(super) fn cover<'a>(layout: &'a VolumeLayout, mount: &'a Mount, path: &str) -> Option<&'a str> {
    let machine = joined(&mount.point, path);
    covers(layout, mount, &machine)
        .next()
        .map(|(point, _)| point)
}

/// The mount points between a mount and a path of the machine on it, each with whether
/// the same is there without it.
fn covers<'a, 'b>(
    layout: &'a VolumeLayout,
    mount: &'b Mount,
    machine: &'b str,
) -> impl Iterator<Item = (&'a str, bool)> + use<'a, 'b> {
    let mounts = layout
        .all
        .iter()
        .flat_map(|v| v.mounts.iter().chain(&v.passed));
    let points = mounts.map(|m| (m.point.as_str(), m.again));
    let asleep = layout.asleep.iter().map(|point| (point.as_str(), false));
    let under =
        |point: &str| point.len() > mount.point.len() && below(point, &mount.point).is_some();
    points
        .chain(asleep)
        .filter(move |(point, _)| under(point) && below(machine, point).is_some())
}

/// Whether what is seen at `path` of a mount is on that mount: nothing covers it, but
/// perhaps itself once more.
pub(super) fn seen(layout: &VolumeLayout, mount: &Mount, path: &str) -> bool {
    let machine = joined(&mount.point, path);
    covers(layout, mount, &machine).all(|(_, again)| again)
}

/// A path as people see it on the running machine.
pub(super) fn shown(layout: &VolumeLayout, volume: &Volume, path: &str) -> String {
    match through(volume, path) {
        Some((mount, rest)) if seen(layout, mount, &rest) => joined(&mount.point, &rest),
        Some(_) => format!("{}: {path}", volume.id),
        None => format!("{} (not mounted): {path}", volume.id),
    }
}

/// The volume that a word of fstab(5) or root= names.
pub(super) fn find<'a>(root: &Root, all: &'a [Volume], wanted: &str) -> Lookup<'a> {
    let some = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    if !wanted.starts_with("/dev/") {
        return lookup::only(all, wanted, |v| {
            let own = |tag: &str, value: &Option<String>| {
                some(value).is_some_and(|value| is_tag(wanted, tag, &value))
            };
            own("UUID", &v.uuid)
                || own("LABEL", &v.label)
                || lookup::on(v, |p| {
                    own("PARTUUID", &p.uuid) || own("PARTLABEL", &p.label)
                })
        });
    }
    // Links by what is on a medium lead to whichever came last.
    if let Some(tagged) = tagged(wanted) {
        match find(root, all, &tagged) {
            Lookup::None => {}
            found => return found,
        }
    }
    let Ok(node) = canonical(root, wanted) else {
        return Lookup::None;
    };
    lookup::only(all, &format!("the name {wanted}"), |v| {
        let Some(own) = v.device.as_deref() else {
            return false;
        };
        own == node || own == wanted || canonical(root, own).as_deref() == Ok(node.as_str())
    })
}

/// Whether a file system answers to `TAG=value`.
pub(super) fn is_called(volume: &Volume, word: &str) -> bool {
    let own = |tag: &str, value: &Option<String>| {
        let value = value.as_ref().filter(|value| !value.is_empty());
        value.is_some_and(|value| is_tag(word, tag, value))
    };
    own("UUID", &volume.uuid)
        || own("LABEL", &volume.label)
        || lookup::on(volume, |p| {
            own("PARTUUID", &p.uuid) || own("PARTLABEL", &p.label)
        })
}

/// A link of udev by what is on a medium, as fstab(5) has it otherwise: `LABEL=...` for
/// `/dev/disk/by-label/...`.
pub(super) fn tagged(path: &str) -> Option<String> {
    let by = |folder: &str, tag: &str| {
        let name = path.strip_prefix(folder)?;
        Some(format!("{tag}={}", super::devices::unescaped(name)))
    };
    by("/dev/disk/by-uuid/", "UUID")
        .or_else(|| by("/dev/disk/by-partuuid/", "PARTUUID"))
        .or_else(|| by("/dev/disk/by-label/", "LABEL"))
        .or_else(|| by("/dev/disk/by-partlabel/", "PARTLABEL"))
}

/// Whether a word of fstab(5) names a file system by a tag.
pub(super) fn is_tagged(word: &str) -> bool {
    let tags = ["UUID", "LABEL", "PARTUUID", "PARTLABEL", "ID"];
    word.split_once('=')
        .is_some_and(|(tag, _)| tags.contains(&tag))
}

/// Whether `word` is `TAG=value`: UUIDs in either case, labels as they are. fstab(5)
/// allows quotes around the value.
pub(super) fn is_tag(word: &str, tag: &str, value: &str) -> bool {
    match word.split_once('=') {
        Some((name, given)) if name == tag => {
            let given = given.trim_matches(['"', '\'']);
            match tag.ends_with("UUID") {
                true => value.eq_ignore_ascii_case(given),
                false => value == given,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_one_way() {
        assert_eq!(normal("boot//./grub/../vmlinuz/"), "/boot/vmlinuz");
        assert_eq!(normal("../../.."), "/");
        assert_eq!(below("/boot/vmlinuz", "/boot"), Some("/vmlinuz"));
        assert_eq!(below("/boot", "/boot"), Some("/"));
        assert_eq!(below("/bootleg", "/boot"), None);
        assert_eq!(below("/boot", "/"), Some("/boot"));
    }

    #[test]
    fn links_are_followed_and_circles_end() {
        let dir = tempfile::tempdir().unwrap();
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
        };
        std::fs::create_dir_all(dir.path().join("usr/boot")).unwrap();
        link("usr/boot", "boot");
        link("/boot/vmlinuz-1", "usr/vmlinuz");
        link("b", "a");
        link("a", "b");
        let root = Root::new(dir.path());
        assert_eq!(canonical(&root, "/boot/x/../y").unwrap(), "/usr/boot/y");
        assert_eq!(
            canonical(&root, "/usr/vmlinuz").unwrap(),
            "/usr/boot/vmlinuz-1"
        );
        assert!(canonical(&root, "/a/x").unwrap_err().contains("40"));
    }
}
