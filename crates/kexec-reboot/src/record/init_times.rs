//! When the initrd and the rest of the boot began and ended, as systemd counted it:
//! microseconds on `CLOCK_MONOTONIC`, which starts with the kernel's clock
//! (org.freedesktop.systemd1(5), "Properties": the timestamps of the manager). Other inits
//! keep no such times.

use std::path::Path;

use kexec_machine::programs;
use serde::{Deserialize, Serialize};

/// The moments of a boot after the kernel, milliseconds since its clock started. What is
/// unknown, or has not come yet, is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitTimes {
    /// systemd started in the initrd.
    pub initrd: Option<u64>,
    /// systemd started on the root file system.
    pub userspace: Option<u64>,
    /// Everything that the boot starts had started.
    pub finished: Option<u64>,
    /// The kernel's first program was the initrd's.
    #[serde(default)]
    pub from_initrd: bool,
}

/// The properties, in the order of [`InitTimes`].
const PROPERTIES: [&str; 3] = [
    "InitRDTimestampMonotonic",
    "UserspaceTimestampMonotonic",
    "FinishTimestampMonotonic",
];

impl InitTimes {
    /// Asks systemd, where it runs this machine.
    #[must_use]
    pub(crate) fn asked(self, root: &Path) -> InitTimes {
        // sd_booted(3). A test's root has no init to be asked.
        let is_systemds = root == Path::new("/") && root.join("run/systemd/system").is_dir();
        if !is_systemds {
            return self;
        }
        let mut command = programs::command("systemctl");
        command.args(["show", "--property", &PROPERTIES.join(",")]);
        let said = command.output().map(|output| output.stdout);
        self.with(&String::from_utf8_lossy(&said.unwrap_or_default()))
    }

    /// With what `systemctl show` printed: lines such as `FinishTimestampMonotonic=8140093`,
    /// where 0 means that it has not come.
    #[must_use]
    pub fn with(self, text: &str) -> InitTimes {
        let of = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            let (_, value) = lines.find(|(key, _)| *key == name)?;
            let microseconds: u64 = value.trim().parse().ok()?;
            (microseconds > 0).then_some(microseconds / 1000)
        };
        let [initrd, userspace, finished] = PROPERTIES.map(of);
        InitTimes {
            initrd,
            userspace,
            finished,
            ..self
        }
    }

    /// How long the initrd ran, if there was one: from `first`, the kernel's first program,
    /// or where that is unknown from the start of its systemd, to the start of systemd on
    /// the root file system.
    pub(super) fn of_initrd(&self, first: Option<u64>) -> Option<u64> {
        let from = match self.from_initrd {
            true => first.or(self.initrd),
            false => self.initrd,
        };
        self.userspace?.checked_sub(from?)
    }

    /// How long the boot took from there until everything had started.
    pub(super) fn of_userspace(&self) -> Option<u64> {
        self.finished?.checked_sub(self.userspace?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(text: &str) -> InitTimes {
        InitTimes::default().with(text)
    }

    #[test]
    fn what_systemd_prints() {
        let all = times(
            "UserspaceTimestampMonotonic=3120400\nInitRDTimestampMonotonic=1502000\n\
             FinishTimestampMonotonic=8140093\n",
        );
        assert_eq!(
            (all.initrd, all.userspace, all.finished),
            (Some(1502), Some(3120), Some(8140))
        );
        assert_eq!(
            (all.of_initrd(None), all.of_userspace()),
            (Some(1618), Some(5020))
        );
        // Without a systemd in the initrd, and before the boot has ended.
        let early = times(
            "InitRDTimestampMonotonic=0\nUserspaceTimestampMonotonic=3120400\nFinishTimestampMonotonic=0\n",
        );
        assert_eq!(
            (early.of_initrd(Some(900)), early.of_userspace()),
            (None, None)
        );
        let scripts = InitTimes {
            from_initrd: true,
            ..early
        };
        assert_eq!(scripts.of_initrd(Some(900)), Some(2220));
        assert_eq!(scripts.of_initrd(None), None);
    }

    #[test]
    fn what_is_no_time_is_unknown() {
        for text in [
            "",
            "=",
            "FinishTimestampMonotonic",
            "FinishTimestampMonotonic=\nUserspaceTimestampMonotonic=x",
            "FinishTimestampMonotonic=-1\nUserspaceTimestampMonotonic=99999999999999999999999",
            "Failed to connect to bus",
        ] {
            assert_eq!(times(text), InitTimes::default(), "{text:?}");
        }
        // Times in another order are no lengths.
        let odd = times(
            "UserspaceTimestampMonotonic=9000\nFinishTimestampMonotonic=8000\nInitRDTimestampMonotonic=10000\n",
        );
        assert_eq!((odd.of_initrd(None), odd.of_userspace()), (None, None));
    }

    #[test]
    fn nobody_is_asked_for_another_root() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
        assert_eq!(
            InitTimes::default().asked(root.path()),
            InitTimes::default()
        );
    }
}
