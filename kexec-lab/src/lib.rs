//! The test lab: real kernels under QEMU, driven from Rust tests.
//!
//! A [`Lab`] fetches what it needs as Debian packages into a cache of its own
//! (nothing is installed, no privilege is needed): QEMU, firmware, kernels,
//! busybox and the real kexec-tools. A [`Guest`] is one virtual machine: a
//! kernel, an initramfs written by [`Initramfs`], a shell script, and
//! perhaps a second kernel to jump into. Running it gives a [`GuestRun`]:
//! what each kernel of that machine reported, typed.
//!
//! ```no_run
//! use kexec_lab::{Guest, GuestFirmware, Lab, NextKernel};
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::open()?;
//! let outcome = Guest::new(&lab, &lab.kernel("6.12")?)
//!     .firmware(GuestFirmware::Ovmf)
//!     .program("bin/kexec", std::fs::read("kexec")?)
//!     .next(NextKernel::new(&lab.kernel("6.1")?))
//!     .script("run load kexec -s -l $NEXT --initrd $NEXT_INITRD --append \"$CONSOLE\"\njump kexec -e\n")
//!     .run()?;
//! println!("{}", outcome.stage("second")?.report.release);
//! # Ok(())
//! # }
//! ```
//!
//! QEMU interprets every guest (`-accel tcg`); `/dev/kvm` is never used, so
//! the lab behaves alike on a laptop, in a container and on a CI machine.

pub mod apt;
mod cpio;
pub mod crash_size;
pub mod demonstration;
mod disk;
pub mod downtime;
mod driver;
pub mod dump_tools;
mod files;
pub mod foreign;
pub mod grub;
mod guest;
mod initramfs;
pub mod installed;
mod kept;
mod lab;
mod linked;
pub mod loads;
pub mod machines;
mod memory_map;
pub mod modules;
mod product;
pub mod programs;
pub mod progress;
mod pypi;
mod qemu;
pub mod readme;
pub mod reboot_requests;
pub mod reserved;
mod scripts;

pub use cpio::{ArchiveMember, CpioError, newc};
pub use guest::{
    BootParams, CommandRun, Cost, End, Guest, GuestRun, MemmapEntry, NextKernel, Report,
    ReportedSetupData, Stage,
};
pub use initramfs::Initramfs;
pub use kept::KeptFiles;
pub use lab::{KERNELS, Lab, LabKernel, lab_folder};
pub use memory_map::{MapChange, MapChanges};
pub use product::{Product, kexec_binary, kexec_deb, kexec_release, vmcore_dmesg};
pub use pypi::PythonProgram;
pub use qemu::{GuestFirmware, GuestSlot, Qemu, monitor_port};
