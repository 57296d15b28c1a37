//! Paths of the machine and paths of file systems, translated into each other.

use super::{Mount, Volume};
use crate::host::Fact;
use crate::host::root::Root;

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
/// The deepest mount point decides; what fstab(5) only wants there counts too.
pub(super) fn owner<'a>(all: &'a [Volume], path: &str) -> Option<(&'a Volume, String)> {
    let mounted = all.iter().flat_map(|volume| {
        let mounts = volume.mounts.iter();
        mounts.map(move |m| (volume, m.point.as_str(), m.top.as_str()))
    });
    let planned = all
        .iter()
        .filter_map(|v| Some((v, v.planned.as_deref()?, "/")));
    mounted
        .chain(planned)
        .filter_map(|(volume, point, top)| Some((volume, point, top, below(path, point)?)))
        .max_by_key(|(_, point, ..)| point.len())
        .map(|(volume, _, top, rest)| (volume, joined(top, rest)))
}

/// The mount of a volume through which a path of it can be reached, and the path
/// from that mount's top. The mount that shows most of the file system is taken.
pub(super) fn through<'a>(volume: &'a Volume, path: &str) -> Option<(&'a Mount, String)> {
    let reach = |m: &'a Mount| Some((m, below(path, &m.top)?.to_owned()));
    let reached = volume.mounts.iter().filter_map(reach);
    reached.min_by_key(|(m, _)| (m.top.len(), m.point.len()))
}

/// The mount point that hides what is at `path` of a mount.
pub(super) fn cover<'a>(all: &'a [Volume], mount: &Mount, path: &str) -> Option<&'a str> {
    let machine = joined(&mount.point, path);
    let points = all.iter().flat_map(|v| &v.mounts).map(|m| m.point.as_str());
    points
        .filter(|point| point.len() > mount.point.len() && below(point, &mount.point).is_some())
        .find(|point| below(&machine, point).is_some())
}

/// A path as people see it on the running machine.
pub(super) fn shown(all: &[Volume], volume: &Volume, path: &str) -> String {
    match through(volume, path) {
        Some((mount, rest)) if cover(all, mount, &rest).is_none() => joined(&mount.point, &rest),
        Some(_) => format!("{}: {path}", volume.id),
        None => format!("{} (not mounted): {path}", volume.id),
    }
}

/// The volume that a word of fstab(5) or root= names.
pub(super) fn find<'a>(root: &Root, all: &'a [Volume], wanted: &str) -> Option<&'a Volume> {
    let part = |v: &Volume| v.partition.clone().unwrap_or_default();
    let is = |v: &&'a Volume| match wanted.split_once('=') {
        Some(("UUID", uuid)) => same(&v.uuid, bare(uuid)),
        Some(("LABEL", label)) => v.label.as_deref() == Some(bare(label)),
        Some(("PARTUUID", uuid)) => same(&part(v).uuid, bare(uuid)),
        Some(("PARTLABEL", label)) => part(v).label.as_deref() == Some(bare(label)),
        _ => false,
    };
    if !wanted.starts_with("/dev/") {
        return all.iter().find(is);
    }
    let node = canonical(root, wanted).ok()?;
    let has = |v: &&'a Volume, node: &str| {
        let names = v.device.as_deref() == Some(node);
        names
            || v.device
                .as_deref()
                .is_some_and(|own| canonical(root, own).as_deref() == Ok(node))
    };
    all.iter().find(|v| has(v, &node) || has(v, wanted))
}

/// fstab(5) allows quotes around the value.
fn bare(value: &str) -> &str {
    value.trim_matches('"')
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
