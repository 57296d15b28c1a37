//! What the machine calls itself.

use serde::Serialize;

use super::text;
use crate::sources::volumes::Volumes;

/// Names out of SMBIOS, or the device tree's model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Hardware {
    /// /sys/class/dmi/id/sys_vendor.
    pub vendor: String,
    /// /sys/class/dmi/id/product_name.
    pub product: String,
    /// /sys/firmware/devicetree/base/model.
    pub model: String,
}

pub(super) fn read(volumes: &Volumes) -> Hardware {
    let word = |path: &str| text(volumes, path).unwrap_or_default();
    Hardware {
        vendor: word("/sys/class/dmi/id/sys_vendor"),
        product: word("/sys/class/dmi/id/product_name"),
        model: word("/sys/firmware/devicetree/base/model"),
    }
}
