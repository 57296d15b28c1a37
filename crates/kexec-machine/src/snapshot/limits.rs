//! What bounds the memory that this process can still take, besides what is free: what the
//! running kernel promises at most, and the limits of its control group.

use serde::{Deserialize, Serialize};

use super::MachineMemory;
use crate::{Fact, Root};

/// The limit of a control group that leaves the least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLimit {
    /// Bytes that its processes can still take; page cache that is not in use counts as free.
    pub left: u64,
    /// The file with the limit.
    pub file: String,
}

/// Memory that can still be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsableMemory {
    /// Bytes; or why that is unknown.
    pub bytes: Fact<u64>,
    /// What else than free memory bounds it, for people.
    pub limit: Option<String>,
}

/// A group is not deeper than this in its tree.
const DEEPEST: usize = 64;

/// `vm.overcommit_memory` (Documentation/mm/overcommit-accounting.rst): "2 - Don't
/// overcommit".
const NEVER_OVERCOMMIT: u32 = 2;

/// From here on a limit of the first version is none: the largest number of pages
/// (`PAGE_COUNTER_MAX`), in bytes, which depends on the page size.
const UNLIMITED: u64 = 1 << 62;

/// Bytes that the running kernel still promises (`CommitLimit` less `Committed_AS` of
/// proc_meminfo(5)), where it promises no more than it has.
pub(super) fn commit_left(root: &Root, limit: Fact<u64>, promised: Fact<u64>) -> Fact<u64> {
    let file = "/proc/sys/vm/overcommit_memory";
    let strict = root.parse(file, "0, 1 or 2", |text| text.parse::<u32>().ok());
    strict.and_then(|mode| match mode {
        NEVER_OVERCOMMIT => {
            limit.and_then(|limit| promised.map(|promised| limit.saturating_sub(promised)))
        }
        _ => Fact::Absent,
    })
}

/// The files of a version of control groups.
struct Version {
    limit: &'static str,
    usage: &'static str,
    /// Of memory.stat: page cache that was not used lately, with the groups below.
    inactive: &'static str,
}

/// Documentation/admin-guide/cgroup-v2.rst, "Memory Interface Files".
const V2: Version = Version {
    limit: "memory.max",
    usage: "memory.current",
    inactive: "inactive_file",
};

/// Documentation/admin-guide/cgroup-v1/memory.rst.
const V1: Version = Version {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    inactive: "total_inactive_file",
};

/// The limit of this process's control group, or of one that it is in, that leaves the
/// least; absent where there is none (cgroups(7), /proc/PID/cgroup).
pub(super) fn group_limit(root: &Root) -> Fact<GroupLimit> {
    root.text("/proc/self/cgroup").and_then(|text| {
        let Some((version, base, group)) = memory_group(root, &text) else {
            return Fact::Absent;
        };
        let group = group.trim_matches('/');
        let names: Vec<&str> = group.split('/').filter(|name| !name.is_empty()).collect();
        // Outside of what this process sees of the tree.
        if names.len() > DEEPEST || names.contains(&"..") {
            let shown: String = group.chars().take(80).collect();
            return Fact::Unreadable(format!("/proc/self/cgroup: no usable path: {shown:?}"));
        }
        let mut least = Fact::Absent;
        for depth in 0..=names.len() {
            let above = names.get(..depth).unwrap_or_default();
            let folder = [&[base], above].concat().join("/");
            match (left(root, version, &folder), &least) {
                (Fact::Known(limit), Fact::Known(GroupLimit { left, .. }))
                    if limit.left >= *left => {}
                (Fact::Known(limit), _) => least = Fact::Known(limit),
                (Fact::Unreadable(why), Fact::Absent) => least = Fact::Unreadable(why),
                (Fact::Unreadable(_) | Fact::Absent, _) => {}
            }
        }
        least
    })
}

/// Which version keeps this process's memory, where, and in which group.
fn memory_group<'a>(
    root: &Root,
    text: &'a str,
) -> Option<(&'static Version, &'static str, &'a str)> {
    let mut lines = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        rest.split_once(':')
    });
    let first = lines
        .clone()
        .find(|(controllers, _)| controllers.split(',').any(|name| name == "memory"));
    if let Some((_, group)) = first {
        return Some((&V1, "/sys/fs/cgroup/memory", group));
    }
    let (_, group) = lines.find(|(controllers, _)| controllers.is_empty())?;
    let base = match root.exists("/sys/fs/cgroup/cgroup.controllers") {
        true => "/sys/fs/cgroup",
        false => "/sys/fs/cgroup/unified",
    };
    Some((&V2, base, group))
}

/// What the group in this folder can still take.
fn left(root: &Root, version: &Version, folder: &str) -> Fact<GroupLimit> {
    let file = format!("{folder}/{}", version.limit);
    let number = |text: &str| text.parse::<u64>().ok();
    let limit = root.parse(&file, "a number of bytes or max", |text| match text {
        "max" => Some(UNLIMITED),
        text => number(text),
    });
    limit.and_then(|limit| {
        if limit >= UNLIMITED {
            return Fact::Absent;
        }
        let usage = root.parse(
            &format!("{folder}/{}", version.usage),
            "a number of bytes",
            number,
        );
        let stat = root.text(&format!("{folder}/memory.stat"));
        let inactive = stat.known().and_then(|stat| {
            let mut fields = stat.lines().filter_map(|line| line.split_once(' '));
            let (_, bytes) = fields.find(|(name, _)| *name == version.inactive)?;
            number(bytes)
        });
        usage.map(|usage| GroupLimit {
            left: limit.saturating_sub(usage.saturating_sub(inactive.unwrap_or(0))),
            file,
        })
    })
}

impl MachineMemory {
    /// What this process can still take: the free memory, or less where the running kernel
    /// promises less or a control group has a limit. A limit that cannot be read bounds
    /// nothing.
    pub fn usable(&self) -> UsableMemory {
        let group = self.group_limit.known();
        let bounds = [
            self.commit_left.known().map(|left| {
                let why = "CommitLimit of /proc/meminfo, with vm.overcommit_memory=2";
                (*left, why.to_owned())
            }),
            group.map(|group| (group.left, group.file.clone())),
        ];
        let least = bounds.into_iter().flatten().min_by_key(|(left, _)| *left);
        match (least, self.available.known()) {
            (Some((left, limit)), Some(available)) if left < *available => UsableMemory {
                bytes: Fact::Known(left),
                limit: Some(limit),
            },
            _ => UsableMemory {
                bytes: self.available.clone(),
                limit: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const MIB: u64 = 1 << 20;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The memory of a machine with these files and 1 GiB free.
    fn memory(files: &[(&str, &str)]) -> MachineMemory {
        let root = tempfile::tempdir().unwrap();
        put(
            root.path(),
            "proc/meminfo",
            "MemTotal: 2097152 kB\nMemAvailable: 1048576 kB\nCommitLimit: 512000 kB\n\
             Committed_AS: 102400 kB\n",
        );
        for (path, text) in files {
            put(root.path(), path, text);
        }
        crate::Snapshot::read(root.path()).memory
    }

    fn usable(files: &[(&str, &str)]) -> (u64, Option<String>) {
        let usable = memory(files).usable();
        (usable.bytes.known().unwrap() / MIB, usable.limit)
    }

    #[test]
    fn without_a_limit_it_is_what_is_free() {
        assert_eq!(usable(&[]), (1024, None));
        for mode in ["0\n", "1\n"] {
            assert_eq!(usable(&[("proc/sys/vm/overcommit_memory", mode)]).0, 1024);
        }
    }

    #[test]
    fn what_the_kernel_promises() {
        let strict = ("proc/sys/vm/overcommit_memory", "2\n");
        let (left, limit) = usable(&[strict]);
        assert_eq!(left, 400);
        assert!(limit.unwrap().contains("vm.overcommit_memory=2"));
        let over = "MemAvailable: 1048576 kB\nCommitLimit: 5 kB\nCommitted_AS: 9 kB\n";
        assert_eq!(usable(&[strict, ("proc/meminfo", over)]).0, 0);
        let plenty = "MemAvailable: 1048576 kB\nCommitLimit: 9999999 kB\nCommitted_AS: 9 kB\n";
        assert_eq!(usable(&[strict, ("proc/meminfo", plenty)]), (1024, None));
        let without = memory(&[strict, ("proc/meminfo", "MemAvailable: 1 kB\n")]);
        assert_eq!(without.commit_left, Fact::Absent);
        let odd = memory(&[("proc/sys/vm/overcommit_memory", "two\n")]);
        assert!(matches!(odd.commit_left, Fact::Unreadable(_)));
    }

    #[test]
    fn the_tightest_group_of_the_second_version() {
        let tree = [
            ("proc/self/cgroup", "0::/a.slice/b.service\n"),
            ("sys/fs/cgroup/cgroup.controllers", "memory pids\n"),
            ("sys/fs/cgroup/a.slice/memory.max", "314572800\n"),
            ("sys/fs/cgroup/a.slice/memory.current", "209715200\n"),
            (
                "sys/fs/cgroup/a.slice/memory.stat",
                "anon 7\ninactive_file 52428800\nactive_file 9\n",
            ),
            ("sys/fs/cgroup/a.slice/b.service/memory.max", "max\n"),
            ("sys/fs/cgroup/a.slice/b.service/memory.current", "1\n"),
        ];
        let limit = "/sys/fs/cgroup/a.slice/memory.max".to_owned();
        assert_eq!(usable(&tree), (150, Some(limit)));
        let inner = [
            &tree[..],
            &[("sys/fs/cgroup/a.slice/b.service/memory.max", "2097153\n")],
        ];
        let limit = "/sys/fs/cgroup/a.slice/b.service/memory.max".to_owned();
        assert_eq!(usable(&inner.concat()), (2, Some(limit)));
        // More than is free is no bound.
        let wide = [
            &tree[..],
            &[("sys/fs/cgroup/a.slice/memory.max", "99999999999\n")],
        ];
        assert_eq!(usable(&wide.concat()), (1024, None));
    }

    #[test]
    fn the_first_version_and_both_at_once() {
        let group = "5:cpu,cpuacct:/x\n4:memory:/docker/1\n0::/y\n";
        let tree = [
            ("proc/self/cgroup", group),
            ("sys/fs/cgroup/unified/y/memory.max", "5\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            (
                "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes",
                "104857600\n",
            ),
            (
                "sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes",
                "94371840\n",
            ),
            (
                "sys/fs/cgroup/memory/docker/1/memory.stat",
                "inactive_file 1\ntotal_inactive_file 10485760\n",
            ),
        ];
        let limit = "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes".to_owned();
        assert_eq!(usable(&tree), (20, Some(limit)));
        // In a container, the path may be that of another tree; its root is what is seen.
        let container = [
            ("proc/self/cgroup", "4:memory:/elsewhere\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "52428800\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n"),
        ];
        assert_eq!(usable(&container).0, 50);
        let only_second = [
            ("proc/self/cgroup", "4:pids:/\n0::/y\n"),
            ("sys/fs/cgroup/unified/y/memory.max", "3145728\n"),
            ("sys/fs/cgroup/unified/y/memory.current", "0\n"),
        ];
        assert_eq!(usable(&only_second).0, 3);
    }

    #[test]
    fn what_is_odd_bounds_nothing_and_is_said() {
        let deep = format!("0::{}\n", "/x".repeat(100));
        for group in ["0::/../../other\n", deep.as_str()] {
            let memory = memory(&[("proc/self/cgroup", group)]);
            assert!(matches!(memory.group_limit, Fact::Unreadable(_)), "{group}");
            assert_eq!(memory.usable().limit, None);
        }
        for group in ["", "nonsense\n", "0::/\n", ":::::\n", "4:memory\n"] {
            assert_eq!(
                memory(&[("proc/self/cgroup", group)]).group_limit,
                Fact::Absent,
                "{group}"
            );
        }
        let odd = memory(&[
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/unified/a/memory.max", "much\n"),
        ]);
        assert!(matches!(odd.group_limit, Fact::Unreadable(_)));
    }
}
