//! The jump without init: `kexec reboot --now`.

use std::path::PathBuf;

use kexec_sys::{Errno, Kernel};

use super::{JumpOptions, leave};
use kexec_machine::volumes::{Volumes, trust};

/// The mount points of file systems that are on a device, each file system
/// once, the deepest first.
pub(crate) fn file_systems(volumes: &Volumes) -> Vec<PathBuf> {
    let on_devices = volumes.every().iter().filter(|v| v.device.is_some());
    // A program that answers for a file system would have to live on.
    let points = on_devices.filter_map(|v| {
        let mut mounts = v.mounts.iter().chain(&v.passed);
        mounts.find(|mount| !trust::is_fuse(&mount.kind))
    });
    let mut points: Vec<PathBuf> = points.map(|mount| mount.point.clone().into()).collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    points
}

/// Writes everything out, stops every write, and jumps. Returns only when the
/// jump did not happen, or when the other kernel has jumped back; by then every file system can be written to again.
///
/// This program is kept in memory as a whole first: the root may be on the
/// network whose interfaces go down. Nothing is said while file systems are
/// frozen, because whoever writes to one of them waits for ever.
pub(crate) fn jump_now(
    kernel: &dyn Kernel,
    file_systems: &[PathBuf],
    how: JumpOptions,
    say: &mut dyn FnMut(String),
) -> Result<(), Errno> {
    if let Err(e) = kernel.lock_memory() {
        say(format!("this program could not be locked into memory: {e}"));
    }
    kernel.sync();
    // Nobody could thaw what a program that was ended has frozen.
    kernel.hold_signals(true);
    let mut frozen = Vec::new();
    let mut unsaid = Vec::new();
    for point in file_systems {
        match kernel.freeze(point, true) {
            Ok(()) => frozen.push(point),
            // No such operation: it was written out, and that has to do.
            Err(Errno::EOPNOTSUPP) => {}
            Err(e) => unsaid.push(format!("{} was not frozen: {e}", point.display())),
        }
    }
    let how = JumpOptions {
        // It would wait for the frozen ones.
        sync: false,
        ..how
    };
    let jumped = leave(kernel, how, &mut |text| unsaid.push(text));
    for point in frozen.iter().rev() {
        if let Err(e) = kernel.freeze(point, false) {
            unsaid.push(format!("{} is still frozen: {e}", point.display()));
        }
    }
    kernel.hold_signals(false);
    for text in unsaid {
        say(text);
    }
    jumped
}

#[cfg(test)]
mod tests {
    use kexec_sys::double::{Call, Double, Machine};

    use super::*;

    const HOW: JumpOptions = JumpOptions {
        sync: true,
        interfaces_down: true,
    };

    #[test]
    fn writes_stop_before_interfaces_go_and_go_on_after_a_failure() {
        let kernel = Double::new(Machine {
            unfreezable: vec!["/efi".into()],
            ..Machine::default()
        });
        let points: Vec<PathBuf> = vec!["/boot/x".into(), "/efi".into(), "/".into()];
        let mut said = Vec::new();
        // Nothing is loaded, so that the jump fails.
        let jumped = jump_now(&kernel, &points, HOW, &mut |text| said.push(text));
        assert_eq!(jumped, Err(Errno::EINVAL));
        assert!(said.is_empty(), "{said:?}");
        assert!(kernel.machine().frozen.is_empty());
        let calls = kernel.calls();
        let at = |wanted: fn(&Call) -> bool| calls.iter().position(wanted).unwrap();
        let locked = at(|c| matches!(c, Call::LockMemory));
        let sync = at(|c| matches!(c, Call::Sync));
        let freeze = at(|c| matches!(c, Call::Freeze { frozen: true, .. }));
        let down = at(|c| matches!(c, Call::SetInterface { up: false, .. }));
        let reboot = at(|c| matches!(c, Call::Reboot { .. }));
        let thaw = at(|c| matches!(c, Call::Freeze { frozen: false, .. }));
        let held = at(|c| matches!(c, Call::HoldSignals { held: true }));
        let free = at(|c| matches!(c, Call::HoldSignals { held: false }));
        assert!(held < freeze && thaw < free);
        assert!(locked < sync && sync < freeze && freeze < down);
        assert!(down < reboot && reboot < thaw);
        assert_eq!(calls.iter().filter(|c| matches!(c, Call::Sync)).count(), 1);
    }
}
