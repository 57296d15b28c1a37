//! The files below a root directory that show what the double is like.

use std::{fs, io};

use super::{Lockdown, State};

impl State {
    pub(super) fn settle(&mut self) {
        self.mirror()
            .expect("the files below the test's root directory can be written");
    }

    /// Writes the files that show this state.
    pub(super) fn mirror(&mut self) -> io::Result<()> {
        let Some(root) = &self.root else {
            return Ok(());
        };
        let write = |path: &str, text: String| {
            let path = root.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, text)
        };
        let bit = |set: bool| format!("{}\n", u8::from(set));
        let left = |limit: Option<u32>| limit.map_or("-1\n".to_owned(), |n| format!("{n}\n"));
        let machine = &self.machine;
        if machine.has_load || machine.has_file_load {
            write("sys/kernel/kexec_loaded", bit(self.normal.is_some()))?;
            write("sys/kernel/kexec_crash_loaded", bit(self.crash.is_some()))?;
            let sysctl = "proc/sys/kernel/kexec_load_";
            write(&format!("{sysctl}disabled"), bit(machine.load_disabled))?;
            if machine.release >= (6, 3) {
                write(&format!("{sysctl}limit_reboot"), left(machine.limit_reboot))?;
                write(&format!("{sysctl}limit_panic"), left(machine.limit_panic))?;
            }
        }
        let lockdown = match machine.lockdown {
            Lockdown::None => "[none] integrity confidentiality\n",
            Lockdown::Integrity => "none [integrity] confidentiality\n",
            Lockdown::Confidentiality => "none integrity [confidentiality]\n",
        };
        write("sys/kernel/security/lockdown", lockdown.to_owned())
    }
}
