//! What only kexec_load(2) on other architectures knows.

use kexec_image::Arch;

use super::{Arches, Effect, Flag, Group, Id, Value};

const NOTHING: Effect =
    Effect::NONE.instead("no messages are shown between the kernels on this architecture");

pub(super) const FLAGS: &[Flag] = &[Flag {
    arches: Arches::Only(&[Arch::Arm64]),
    value: Value::text("TTY"),
    doc_short: "No effect: no messages are shown between the kernels here",
    ..Flag::new(Id::ArmSerial, "serial", Group::OtherArch, NOTHING)
}];
