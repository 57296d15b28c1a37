//! What the machine calls itself.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::text;
use kexec_machine::volumes::Volumes;

/// Names out of SMBIOS, the device tree and /proc/cpuinfo; empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Hardware {
    /// /sys/class/dmi/id/sys_vendor.
    pub vendor: String,
    /// /sys/class/dmi/id/product_name.
    pub product: String,
    /// /sys/class/dmi/id/board_name.
    pub board: String,
    /// /sys/class/dmi/id/chassis_asset_tag.
    pub asset_tag: String,
    /// /sys/class/dmi/id/bios_vendor.
    pub firmware_vendor: String,
    /// /sys/firmware/devicetree/base/model.
    pub model: String,
    /// /sys/firmware/devicetree/base/compatible: from the narrowest name to the widest.
    pub compatible: Vec<String>,
    /// The first `model name` of /proc/cpuinfo.
    pub processor: String,
}

impl Hardware {
    /// What people know it by.
    pub fn name(&self) -> String {
        if !self.model.is_empty() {
            return self.model.clone();
        }
        let names = [&self.vendor, &self.product, &self.board];
        let names = names.iter().filter(|name| !is_filler(name));
        names
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// What makers leave where a name belongs.
fn is_filler(name: &str) -> bool {
    let fillers = [
        "",
        "default string",
        "to be filled by o.e.m.",
        "system product name",
    ];
    fillers.contains(&name.to_ascii_lowercase().as_str())
}

pub(super) fn read(volumes: &Volumes) -> Hardware {
    let word = |path: &str| text(volumes, path).unwrap_or_default();
    let dmi = |name: &str| word(&format!("/sys/class/dmi/id/{name}"));
    // Devicetree Specification, "compatible": a list of strings, each with its NUL.
    let compatible = word("/sys/firmware/devicetree/base/compatible");
    Hardware {
        vendor: dmi("sys_vendor"),
        product: dmi("product_name"),
        board: dmi("board_name"),
        asset_tag: dmi("chassis_asset_tag"),
        firmware_vendor: dmi("bios_vendor"),
        model: word("/sys/firmware/devicetree/base/model"),
        compatible: compatible
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        processor: processor(&word("/proc/cpuinfo")),
    }
}

/// The first processor's name in the text of /proc/cpuinfo.
pub(crate) fn processor(cpuinfo: &str) -> String {
    let mut names = cpuinfo.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    names.next().unwrap_or_default()
}

/// Which firmware this machine has: its maker and its version, as SMBIOS has them.
pub fn firmware(root: &Path) -> Option<String> {
    let word = |name: &str| {
        let text = fs::read_to_string(root.join("sys/class/dmi/id").join(name)).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let version = word("bios_version")?;
    Some(match word("bios_vendor") {
        Some(vendor) => format!("{vendor} {version}"),
        None => version,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::tree;
    use super::*;

    #[test]
    fn names_of_every_kind() {
        let (root, volumes) = tree(&[
            ("sys/class/dmi/id/sys_vendor", b"Google\n"),
            ("sys/class/dmi/id/product_name", b"Google Compute Engine\n"),
            ("sys/class/dmi/id/board_name", b"Default string\n"),
            ("sys/class/dmi/id/bios_vendor", b"Google\n"),
            ("sys/class/dmi/id/bios_version", b"Google 1.2\n"),
            (
                "sys/firmware/devicetree/base/compatible",
                b"radxa,rockpi4b\0radxa,rockpi4\0rockchip,rk3399\0",
            ),
            (
                "proc/cpuinfo",
                b"processor\t: 0\nmodel\t\t: 156\nmodel name\t: Intel(R) Celeron(R) N5105 @ 2.00GHz\n\n",
            ),
        ]);
        let hardware = read(&volumes);
        assert_eq!(hardware.name(), "Google Google Compute Engine");
        assert_eq!(
            hardware.compatible,
            ["radxa,rockpi4b", "radxa,rockpi4", "rockchip,rk3399"]
        );
        assert_eq!(hardware.processor, "Intel(R) Celeron(R) N5105 @ 2.00GHz");
        assert_eq!(firmware(root.path()).as_deref(), Some("Google Google 1.2"));
    }

    #[test]
    fn nothing_and_rubbish() {
        let (root, volumes) = tree(&[]);
        assert_eq!(read(&volumes), Hardware::default());
        assert_eq!(firmware(root.path()), None);
        let (root, volumes) = tree(&[
            ("sys/firmware/devicetree/base/compatible", b"\0\0\xff\0"),
            ("sys/class/dmi/id/bios_version", b"\xff\n"),
            ("proc/cpuinfo", b"model name"),
        ]);
        assert_eq!(read(&volumes).compatible, ["\u{fffd}"]);
        assert_eq!(firmware(root.path()), None);
    }
}
