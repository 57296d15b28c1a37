//! Can this machine be left now? Asked before anything is taken down, frozen or
//! unmounted.

use std::path::Path;

use kexec_sys::{Errno, Kernel, Slot};

use kexec_machine::snapshot::loaded;
use kexec_machine::snapshot::loaded::SlotState;

/// Whether a kernel is loaded in the normal slot; `None` when the kernel does
/// not say.
pub fn is_loaded(root: &Path) -> Option<bool> {
    is_loaded_in(root, Slot::Normal)
}

/// The same for either slot.
pub fn is_loaded_in(root: &Path, slot: Slot) -> Option<bool> {
    match loaded::ask(root, slot) {
        SlotState::Yes => Some(true),
        SlotState::No | SlotState::NoKexec => Some(false),
        SlotState::Unknown => None,
    }
}

/// What keeps a jump from happening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// No kernel is loaded.
    NothingLoaded,
    /// The running kernel was built without kexec.
    NoKexec,
    /// reboot(2) would answer this.
    Answer(Errno),
}

/// Whether reboot(2) would jump, as far as that can be known without jumping: a
/// kernel is loaded, and this process may ask for it.
///
/// Where nothing tells whether a kernel is loaded (no sysfs, and none can be
/// mounted), only the jump itself does; then this is no obstacle.
///
/// # Errors
/// Why it would not.
pub fn ready(kernel: &dyn Kernel, root: &Path) -> Result<(), Obstacle> {
    match loaded::ask(root, Slot::Normal) {
        SlotState::No => return Err(Obstacle::NothingLoaded),
        SlotState::NoKexec => return Err(Obstacle::NoKexec),
        SlotState::Yes | SlotState::Unknown => {}
    }
    if loaded::in_pid_namespace(root) {
        return Err(Obstacle::Answer(Errno::EINVAL));
    }
    kernel.may_reboot().map_err(Obstacle::Answer)
}

#[cfg(test)]
mod tests {
    use kexec_sys::double::{Double, Machine};
    use kexec_sys::{LoadFlags, Segment};

    use super::*;

    const SEGMENT: Segment<'static> = Segment {
        bytes: b"code",
        mem: 0x10_0000,
        memsz: 0x1000,
    };

    #[test]
    fn what_can_be_known_is_known_before_anything_is_done() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let kernel = Double::default().with_sysfs(root).unwrap();
        assert_eq!(ready(&kernel, root), Err(Obstacle::NothingLoaded));
        kernel
            .load(SEGMENT.mem, &[SEGMENT], LoadFlags::EMPTY)
            .unwrap();
        assert_eq!(ready(&kernel, root), Ok(()));
        kernel.change(|m| m.cap_sys_boot = false);
        let denied = Err(Obstacle::Answer(Errno::EPERM));
        assert_eq!(ready(&kernel, root), denied);
        kernel.change(|m| m.cap_sys_boot = true);
        // A namespace of its own (a container): reboot(2) knows no kexec there.
        let ns = root.join("proc/self/ns");
        std::fs::create_dir_all(&ns).unwrap();
        std::os::unix::fs::symlink("pid:[4026532000]", ns.join("pid")).unwrap();
        let elsewhere = Err(Obstacle::Answer(Errno::EINVAL));
        assert_eq!(ready(&kernel, root), elsewhere);
    }

    /// Newer kernels have the file in a folder of its own, which counts; what says neither
    /// 0 nor 1 says nothing.
    #[test]
    fn both_names_are_looked_at_and_no_answer_is_none() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let kernel = Double::new(Machine::default());
        assert_eq!((is_loaded(root), ready(&kernel, root)), (None, Ok(())));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for text in ["", "x\n", "2\n"] {
            write("sys/kernel/kexec_loaded", text);
            assert_eq!(is_loaded(root), None, "{text:?}");
        }
        write("sys/kernel/kexec/loaded", "0\n");
        assert_eq!(is_loaded(root), Some(false));
        write("sys/kernel/kexec_loaded", "1\n");
        assert_eq!(is_loaded(root), Some(false));
        write("sys/kernel/kexec/loaded", "");
        assert_eq!(is_loaded(root), Some(true));
    }
}
