//! What a running kernel knows about the machine that it was started on,
//! recorded from real kernels as fixtures for the planner's tests.
//!
//! A machine's folder holds:
//!
//! | file | content |
//! |---|---|
//! | `release`, `cmdline` | `uname -r`, `/proc/cmdline` |
//! | `boot_params` | `/sys/kernel/boot_params/data`: the 4096 bytes that the kernel was given |
//! | `setup_data-N.type`, `setup_data-N.data` | `/sys/kernel/boot_params/setup_data/N` |
//! | `memmap` | `/sys/firmware/memmap`: first and last address, type |
//! | `iomem` | `/proc/iomem`, as root sees it |
//! | `efi-runtime-map` | `/sys/firmware/efi/runtime-map`: type, physical and virtual address, pages, attribute; only with UEFI |
//! | `efi` | the other files of `/sys/firmware/efi`, as `name: value` lines; only with UEFI |
//! | `dmesg-memory` | what the kernel said about its memory map |
//!
//! A kernel that UEFI started through its EFI stub has no `HdrS` in its
//! `boot_params`: the stub fills in what the kernel reads, and no more.

use crate::{Guest, GuestFirmware, KERNELS, Lab, LabKernel, Stage};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// MiB of a recorded machine. At this size q35 has memory above 4 GiB.
const MEMORY_MB: u32 = 4096;

/// Puts out everything that the report does not have.
const SCRIPT: &str = r#"
if [ -d /sys/firmware/efi ]; then
	for file in config_table fw_platform_size fw_vendor runtime systab; do
		[ -r /sys/firmware/efi/$file ] && sed "s/^/$file: /" /sys/firmware/efi/$file
	done | put efi
fi
dmesg | sed 's/^\[[ 0-9.]*\] //' | grep -E '^(BIOS-e820|BIOS-provided|e820:|efi:|extended physical|last_pfn|reserve setup_data|NX )' | put dmesg-memory
"#;

/// The name of a machine's folder.
#[must_use]
pub fn name(kernel: &str, firmware: GuestFirmware) -> String {
    format!("{kernel}-{firmware}")
}

/// The folder of the recorded machines in this repository.
#[must_use]
pub fn folder() -> PathBuf {
    crate::files::workspace().join("kexec-lab/fixtures/machines")
}

/// Boots each kernel of the lab under each firmware and records it below
/// `into`, in place of what was there.
///
/// # Errors
/// If a guest fails or a file cannot be written.
pub fn record_all(lab: &Lab, into: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for source in KERNELS {
        let kernel = lab.kernel(source.label)?;
        for firmware in GuestFirmware::ALL {
            let folder = into.join(name(source.label, firmware));
            record(lab, &kernel, firmware, &folder)
                .with_context(|| format!("recording {}", folder.display()))?;
            folders.push(folder);
        }
    }
    Ok(folders)
}

/// Records one machine.
///
/// # Errors
/// As [`record_all`].
pub fn record(lab: &Lab, kernel: &LabKernel, firmware: GuestFirmware, folder: &Path) -> Result<()> {
    let outcome = Guest::new(lab, kernel)
        .firmware(firmware)
        .memory_mb(MEMORY_MB)
        .cpus(2)
        .script(SCRIPT)
        .run()?;
    write(outcome.stage("first")?, folder)
}

fn write(stage: &Stage, folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("removing the old {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let put = |name: &str, data: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, data).with_context(|| format!("writing {}", path.display()))
    };
    let report = &stage.report;
    let line = |text: &str| format!("{text}\n").into_bytes();
    put("release", &line(&report.release))?;
    put("cmdline", &line(&report.command_line()))?;
    put("iomem", report.iomem.as_bytes())?;
    let memmap: String = report
        .memmap
        .iter()
        .map(|range| format!("{:#x} {:#x} {}\n", range.start, range.end, range.kind))
        .collect();
    put("memmap", memmap.as_bytes())?;
    if !report.efi_runtime_map.is_empty() {
        put("efi-runtime-map", &line(&report.efi_runtime_map.join("\n")))?;
    }
    let boot_params = report.boot_params()?;
    put("boot_params", &boot_params.data)?;
    for (number, item) in boot_params.setup_data.iter().enumerate() {
        let name = |what: &str| format!("setup_data-{number}.{what}");
        put(&name("type"), &line(&format!("{:#x}", item.kind)))?;
        put(&name("data"), &item.data)?;
    }
    stage.file("dmesg-memory")?;
    for (name, data) in &stage.files {
        put(name, data)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fixtures in the repository are whole, whatever kernel made them.
    #[test]
    fn recorded_machines_are_whole() {
        for source in KERNELS {
            for firmware in GuestFirmware::ALL {
                let folder = folder().join(name(source.label, firmware));
                let read = |file: &str| {
                    std::fs::read(folder.join(file))
                        .unwrap_or_else(|error| panic!("{}/{file}: {error}", folder.display()))
                };
                let text = |file: &str| String::from_utf8(read(file)).unwrap();
                assert!(text("release").starts_with(source.release));
                let boot_params = read("boot_params");
                assert_eq!(boot_params.len(), 4096);
                // Offsets: the kernel's Documentation/arch/x86/zero-page.rst.
                match firmware {
                    GuestFirmware::SeaBios => assert_eq!(&boot_params[0x202..0x206], b"HdrS"),
                    // efi_info.efi_loader_signature
                    GuestFirmware::Ovmf | GuestFirmware::SecureBoot => {
                        assert_eq!(&boot_params[0x1c0..0x1c4], b"EL64")
                    }
                }
                assert!(text("memmap").contains("System RAM"));
                assert!(text("iomem").contains("Kernel code"));
                assert!(
                    !text("iomem").starts_with("00000000-00000000"),
                    "recorded without privilege"
                );
                assert!(text("dmesg-memory").contains("e820"));
                assert_eq!(
                    folder.join("efi-runtime-map").exists(),
                    firmware == GuestFirmware::Ovmf
                );
            }
        }
    }
}
