//! What only kexec_load(2) on other architectures knows.

use kexec_image::Arch;

use super::{Arches, Effect, Flag, Group, Id, Value};

pub(super) const FLAGS: &[Flag] = &[Flag {
    arches: Arches::Only(&[Arch::Arm64]),
    value: Value::Required("TTY"),
    doc_short: "Report on this serial port between the kernels, such as ttyAMA0",
    ..Flag::new(Id::ArmSerial, "serial", Group::OtherArch, Effect::CLASSIC)
}];
