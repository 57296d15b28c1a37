//! Whether `/` is what the machine runs from. In a chroot or a container the running
//! kernel, its command line and the firmware's variables are those of another system.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::statfs;

use crate::Root;
use crate::volumes::mountinfo::Table;

/// What `/` is, where the machine does not run from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// Process 1 has another `/` (chroot(2)).
    Chroot,
    /// Process 1 is not the machine's (pid_namespaces(7)).
    Container,
    /// /proc is not mounted, which is so in many a chroot and on no running system.
    NoProc,
    /// It is another folder than `/`, whose /proc is the running system's: somebody has
    /// mounted it there, as for a chroot.
    OtherRoot,
}

/// `PROC_PID_INIT_INO` (linux/proc_ns.h): the number of the machine's own namespace of
/// processes.
const FIRST_PIDS: &str = "pid:[4026531836]";

/// `f_type` of procfs (linux/magic.h, `PROC_SUPER_MAGIC`).
const PROCFS: u64 = 0x9fa0;

/// Whether the running kernel is a crash kernel, which a panic started: the memory of the
/// kernel before it can be read then (Documentation/admin-guide/kdump/kdump.rst, "Write Out the
/// Dump File").
pub fn is_crash_kernel(root: &Path) -> bool {
    root.join("proc/vmcore").exists()
}

impl Inside {
    /// Looks at the system below `root`, `/` for this one; `None` where the machine runs
    /// from it, or it is a copy that says so.
    pub fn of(root: &Path) -> Option<Inside> {
        let proc = root.join("proc");
        let is_proc = statfs(&proc)
            .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == PROCFS));
        if root != Path::new("/") {
            return is_proc.then_some(Inside::OtherRoot);
        }
        if !is_proc {
            return Some(Inside::NoProc);
        }
        let id = |path: &str| fs::metadata(path).map(|found| (found.dev(), found.ino()));
        match (id("/proc/1/root/."), id("/")) {
            (Ok(first), Ok(own)) if first != own => return Some(Inside::Chroot),
            (Ok(_), Ok(_)) => {}
            // Only root may look there. The tables of mounts tell, too.
            _ => {
                let table = Table::read(&Root::new(root));
                if table.known().is_some_and(Table::is_foreign) {
                    return Some(Inside::Chroot);
                }
            }
        }
        // Without the link, this kernel has no such namespaces.
        let pids = fs::read_link("/proc/self/ns/pid").ok()?;
        (pids != Path::new(FIRST_PIDS)).then_some(Inside::Container)
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Inside::Chroot => "this is a chroot",
            Inside::Container => "this is a container",
            Inside::NoProc => "/proc is not mounted, as in a chroot",
            Inside::OtherRoot => "its /proc is the running system's",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_machine_speaks_for_itself() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Inside::of(dir.path()), None);
        fs::create_dir(dir.path().join("proc")).unwrap();
        assert_eq!(Inside::of(dir.path()), None);
        std::os::unix::fs::symlink("/proc", dir.path().join("linked")).unwrap();
        // A tree whose proc is the real one.
        let other = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/proc", other.path().join("proc")).unwrap();
        assert_eq!(Inside::of(other.path()), Some(Inside::OtherRoot));
    }
}
