//! Who drives the screen, as far as files tell.

use serde::{Deserialize, Serialize};

use crate::Fact;
use crate::Root;
use crate::numbered::numbered_names;

/// More cards than any machine has.
const MAX_CARDS: usize = 256;

/// The names of drivers that use the firmware's framebuffer as it is
/// (drivers/video/fbdev, drivers/gpu/drm/sysfb).
const FIRMWARE_DRIVERS: &[&str] = &["simple-framebuffer", "efi-framebuffer", "vesa-framebuffer"];

/// Who drives the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DisplayState {
    /// The names of the framebuffers in /proc/fb or
    /// /sys/class/graphics/fbN/name: `EFI VGA`, `simpledrmdrmfb`.
    pub framebuffers: Fact<Vec<String>>,
    /// The drivers of /sys/class/drm/cardN: `i915`, `simple-framebuffer`.
    pub cards: Fact<Vec<String>>,
    /// Those of simple-framebuffer, efi-framebuffer and vesa-framebuffer that
    /// hold a device in /sys/bus/platform/drivers.
    pub firmware_drivers: Fact<Vec<String>>,
}

impl Default for DisplayState {
    fn default() -> DisplayState {
        DisplayState {
            framebuffers: Fact::not_recorded(),
            cards: Fact::not_recorded(),
            firmware_drivers: Fact::not_recorded(),
        }
    }
}

pub(super) fn read(root: &Root) -> DisplayState {
    if !root.exists("/sys/class") {
        let none = || Fact::Unreadable("/sys is not mounted".to_owned());
        return DisplayState {
            framebuffers: none(),
            cards: none(),
            firmware_drivers: none(),
        };
    }
    DisplayState {
        framebuffers: framebuffers(root),
        cards: cards(root),
        firmware_drivers: firmware_drivers(root),
    }
}

fn framebuffers(root: &Root) -> Fact<Vec<String>> {
    let listed = root.text("/proc/fb").map(|text| {
        // `0 EFI VGA`
        let names = text.lines().filter_map(|line| line.trim().split_once(' '));
        names
            .map(|(_, name)| name.trim().to_owned())
            .take(MAX_CARDS)
            .collect()
    });
    listed.or(|| {
        let folder = "/sys/class/graphics";
        numbered_names(root, folder, "fb", MAX_CARDS).map(|numbers| {
            let name = |n: u32| root.text(&format!("{folder}/fb{n}/name"));
            numbers
                .into_iter()
                .filter_map(|n| name(n).known().cloned())
                .collect()
        })
    })
}

fn cards(root: &Root) -> Fact<Vec<String>> {
    let folder = "/sys/class/drm";
    numbered_names(root, folder, "card", MAX_CARDS).map(|numbers| {
        // Cards without hardware (vgem) have no driver.
        let driver = |n: u32| match root.link(&format!("{folder}/card{n}/device/driver")) {
            Fact::Known(target) => target.rsplit('/').next().map(str::to_owned),
            _ => None,
        };
        numbers.into_iter().filter_map(driver).collect()
    })
}

fn firmware_drivers(root: &Root) -> Fact<Vec<String>> {
    let folder = "/sys/bus/platform/drivers";
    let mut held = Vec::new();
    for driver in FIRMWARE_DRIVERS {
        // A device is a link named `efi-framebuffer.0`.
        match root.entries(&format!("{folder}/{driver}")) {
            Fact::Known(names) => {
                let device = names.iter().any(|n| n.contains("-framebuffer."));
                held.extend(device.then(|| (*driver).to_owned()));
            }
            Fact::Absent => {}
            Fact::Unreadable(reason) => return Fact::Unreadable(reason),
        }
    }
    Fact::Known(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_come_from_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let folder = |path: &str| std::fs::create_dir_all(at(path)).unwrap();
        let root = Root::new(dir.path());
        assert!(read(&root).cards.reason().unwrap().contains("/sys"));

        folder("sys/class/graphics/fbcon");
        folder("sys/class/graphics/fb0");
        std::fs::write(at("sys/class/graphics/fb0/name"), "simpledrmdrmfb\n").unwrap();
        folder("sys/class/drm/card1/device");
        folder("sys/class/drm/card1-HDMI-A-1");
        folder("sys/class/drm/card2/device");
        folder("sys/class/drm/renderD128");
        symlink(
            "../../../bus/pci/drivers/i915",
            at("sys/class/drm/card1/device/driver"),
        )
        .unwrap();
        folder("sys/bus/platform/drivers/simple-framebuffer");
        std::fs::write(at("sys/bus/platform/drivers/simple-framebuffer/bind"), "").unwrap();
        let known = |names: &[&str]| Fact::Known(names.iter().map(|n| (*n).to_owned()).collect());
        let display = read(&root);
        assert_eq!(display.framebuffers, known(&["simpledrmdrmfb"]));
        assert_eq!(display.cards, known(&["i915"]));
        assert_eq!(display.firmware_drivers, known(&[]));

        folder("proc");
        std::fs::write(at("proc/fb"), "0 EFI VGA\n1 astdrmfb\n").unwrap();
        symlink(
            "../../../devices/platform/simple-framebuffer.0",
            at("sys/bus/platform/drivers/simple-framebuffer/simple-framebuffer.0"),
        )
        .unwrap();
        let display = read(&root);
        assert_eq!(display.framebuffers, known(&["EFI VGA", "astdrmfb"]));
        assert_eq!(display.firmware_drivers, known(&["simple-framebuffer"]));
    }
}
