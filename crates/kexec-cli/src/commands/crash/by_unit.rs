//! `kexec crash load --by-unit`: where kexec-crash.service has nothing to do.
//!
//! These are no conditions of the unit: where a condition fails, systemd skips the whole
//! service, its `ExecStartPre=` included, which removes the mark that
//! kexec-crash-changed.path watches (systemd.path(5), `PathExists=`).

use kexec_machine::snapshot::{KexecFile, sysfs};
use kexec_machine::{Fact, is_crash_kernel};
use kexec_reboot::enable;
use kexec_reboot::world::{Told, World};

/// Whether nothing is to be loaded here; a note has the reason.
pub fn is_left_alone(world: &World<'_>) -> bool {
    let why = reason(world);
    if let Some(why) = &why {
        world.tell(Told::Note(format!("no crash kernel was loaded: {why}")));
    }
    why.is_some()
}

/// Why nothing is to be loaded here.
fn reason(world: &World<'_>) -> Option<String> {
    if is_crash_kernel(world.root) {
        return Some(
            "the running kernel is a crash kernel itself (/proc/vmcore exists)".to_owned(),
        );
    }
    if let Some(unit) = enable::crash_loader(world.root) {
        return Some(format!(
            "{unit} is enabled, which loads one itself; `kexec disable crash` or \
             `systemctl disable --now {unit}` leaves one of the two"
        ));
    }
    if sysfs::crash_size(world.root) == Fact::Known(0) {
        let file = KexecFile::CrashSize.shown(world.root);
        return Some(format!(
            "the running kernel has reserved no memory for one ({file} is 0); add crashkernel=SIZE \
             to the kernel command line (`kexec crash estimate` shows SIZE), and reboot"
        ));
    }
    None
}
