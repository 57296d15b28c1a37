//! The hardware watchdog that systemd arms for the jump (`KExecWatchdogSec=` of
//! systemd-system.conf(5)).

use serde::Serialize;

use super::text;
use kexec_machine::volumes::Volumes;

/// What systemd's configuration says; the text is systemd's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Watchdog {
    /// `KExecWatchdogSec=`, where it is set and not switched off.
    pub kexec: Option<String>,
    /// `RuntimeWatchdogSec=`, likewise.
    pub runtime: Option<String>,
}

/// The files, and the folders of drop-ins, in the order in which they count
/// (systemd-system.conf(5)): the last one wins.
const FILES: &[&str] = &["/usr/lib/systemd/system.conf", "/etc/systemd/system.conf"];
const FOLDERS: &[&str] = &[
    "/usr/lib/systemd/system.conf.d",
    "/run/systemd/system.conf.d",
    "/etc/systemd/system.conf.d",
];

pub(super) fn read(volumes: &Volumes) -> Watchdog {
    let drop_ins = FOLDERS.iter().flat_map(|folder| {
        let names = volumes.machine_entries(folder);
        let mut names = names.known().cloned().unwrap_or_default();
        names.retain(|name| name.ends_with(".conf"));
        names
            .into_iter()
            .map(move |name| (name.clone(), format!("{folder}/{name}")))
    });
    // Drop-ins are sorted by name, whichever folder they are in; among those of
    // one name the folder decides.
    let mut drop_ins: Vec<_> = drop_ins.collect();
    drop_ins.sort_by(|a, b| a.0.cmp(&b.0));
    let files = FILES.iter().map(|file| (*file).to_owned());
    let mut watchdog = Watchdog::default();
    for path in files.chain(drop_ins.into_iter().map(|(_, path)| path)) {
        for line in text(volumes, &path).unwrap_or_default().lines() {
            set(&mut watchdog, line.trim());
        }
    }
    watchdog
}

fn set(watchdog: &mut Watchdog, line: &str) {
    let Some((name, value)) = line.split_once('=') else {
        return;
    };
    let value = value.trim();
    let on = !matches!(value, "" | "0" | "off" | "infinity");
    let value = on.then(|| value.to_owned());
    match name.trim() {
        "KExecWatchdogSec" => watchdog.kexec = value,
        "RuntimeWatchdogSec" => watchdog.runtime = value,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::tree;
    use super::*;

    #[test]
    fn the_last_setting_counts() {
        let (_root, volumes) = tree(&[
            (
                "etc/systemd/system.conf",
                b"[Manager]\n#KExecWatchdogSec=1\nKExecWatchdogSec=10min\n",
            ),
            (
                "etc/systemd/system.conf.d/10-a.conf",
                b"RuntimeWatchdogSec=30\n",
            ),
            (
                "usr/lib/systemd/system.conf.d/20-b.conf",
                b"RuntimeWatchdogSec = off\n",
            ),
        ]);
        let watchdog = read(&volumes);
        assert_eq!(watchdog.kexec.as_deref(), Some("10min"));
        assert_eq!(watchdog.runtime, None);
        let (_root, volumes) = tree(&[]);
        assert_eq!(read(&volumes), Watchdog::default());
    }
}
