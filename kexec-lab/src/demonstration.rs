//! The demonstration of README.md: one Debian kernel takes a machine with UEFI into
//! another one.

use crate::guest::{Guest, GuestRun, NextKernel};
use crate::lab::Lab;
use crate::memory_map::MapChanges;
use crate::qemu::GuestFirmware;
use anyhow::{Result, ensure};

/// The kernel that the machine starts with.
pub const FIRST: &str = "6.1";
/// The kernel that it jumps into.
pub const SECOND: &str = "6.12";

/// What happens in the first kernel.
const SCRIPT: &str = r#"
run load kexec load $NEXT --initrd $NEXT_INITRD --append "$CONSOLE hello=from-the-first-kernel"
run status kexec status
jump kexec -e
"#;

/// The machine, with this program under test.
///
/// # Errors
/// If one of the two kernels cannot be fetched.
pub fn guest(lab: &Lab, kexec: Vec<u8>) -> Result<Guest<'_>> {
    Ok(Guest::new(lab, &lab.kernel(FIRST)?)
        .firmware(GuestFirmware::Ovmf)
        .cpus(2)
        .program("bin/kexec", kexec)
        .next(NextKernel::new(&lab.kernel(SECOND)?))
        .script(SCRIPT))
}

/// What the second kernel found, beside what the first one had: lines to be shown.
///
/// # Errors
/// If one of them reported nothing.
pub fn differences(outcome: &GuestRun) -> Result<Vec<String>> {
    let (one, two) = reports(outcome)?;
    let same = |equal: bool| if equal { "as before" } else { "DIFFERENT" };
    let text = format!(
        "/proc/cmdline: {}\nprocessors: {}; ACPI tables: {}; EFI runtime map: {}\nmemory map: {}",
        two.command_line(),
        two.cpus,
        same(one.acpi == two.acpi),
        same(one.efi_runtime_map == two.efi_runtime_map),
        MapChanges::between(one, two)?,
    );
    Ok(text.lines().map(str::to_owned).collect())
}

/// Refuses a second kernel that is not the one that was meant, or that does not see
/// the machine of the first one.
///
/// # Errors
/// If it is so, with what differs.
pub fn check(lab: &Lab, outcome: &GuestRun) -> Result<()> {
    let (one, two) = reports(outcome)?;
    let meant = lab.kernel(SECOND)?.release;
    ensure!(
        two.release == meant,
        "expected {meant} after the jump, found {}",
        two.release
    );
    let is_same = MapChanges::between(one, two)?.are_expected()
        && one.cpus == two.cpus
        && one.acpi == two.acpi
        && one.efi_runtime_map == two.efi_runtime_map;
    ensure!(
        is_same,
        "the second kernel does not see the machine of the first one:\n{}",
        differences(outcome)?.join("\n")
    );
    Ok(())
}

fn reports(outcome: &GuestRun) -> Result<(&crate::Report, &crate::Report)> {
    Ok((
        &outcome.stage("first")?.report,
        &outcome.stage("second")?.report,
    ))
}
