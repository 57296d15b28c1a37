//! Other programs that load a crash kernel at boot: with two of them, the one that comes
//! last wins, and neither knows.

use std::path::Path;

use kexec_machine::Tree;

use super::parts::OWN_UNITS;

/// The units of other programs that load a crash kernel: Debian's kdump-tools, and the
/// kdump of Fedora (kdumpctl) and openSUSE.
pub const CRASH_UNITS: &[&str] = &[
    "kdump-tools.service",
    "kdump.service",
    "kdump-early.service",
];

/// One of [`CRASH_UNITS`] that is enabled on the system below `root`, by a link in a folder
/// of a target, as `systemctl enable` makes them (systemd.unit(5), "[Install]").
pub fn crash_loader(root: &Path) -> Option<&'static str> {
    let tree = Tree::new(root);
    let mut folders = tree.names(OWN_UNITS);
    folders.retain(|name| name.ends_with(".wants") || name.ends_with(".requires"));
    let linked = |unit: &&&str| {
        let mut links = folders
            .iter()
            .map(|folder| format!("{OWN_UNITS}/{folder}/{unit}"));
        links.any(|link| tree.stat_itself(&link).is_ok())
    };
    CRASH_UNITS.iter().find(linked).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enabled_is_found_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(crash_loader(root.path()), None);
        let units = root.path().join("etc/systemd/system");
        std::fs::create_dir_all(units.join("basic.target.wants")).unwrap();
        // Installed, masked or changed is not enabled.
        std::fs::write(units.join("kdump.service"), "").unwrap();
        assert_eq!(crash_loader(root.path()), None);
        // Its file may be missing in an image.
        let to = "/usr/lib/systemd/system/kdump-tools.service";
        let link = units.join("basic.target.wants/kdump-tools.service");
        std::os::unix::fs::symlink(to, link).unwrap();
        assert_eq!(crash_loader(root.path()), Some("kdump-tools.service"));
    }
}
