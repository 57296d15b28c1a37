//! The flags of the two system calls, by name (`include/uapi/linux/kexec.h`).

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// ELF machine numbers (`e_machine`; `include/uapi/linux/elf-em.h`), as
/// kexec_load(2) takes them in the high half of its flags.
pub mod elf_machine {
    use kexec_image::Arch;

    /// i386.
    pub const I386: u16 = 3;
    /// PowerPC, 64 bit.
    pub const PPC64: u16 = 21;
    /// IBM Z.
    pub const S390: u16 = 22;
    /// ARM, 32 bit.
    pub const ARM: u16 = 40;
    /// x86-64.
    pub const X86_64: u16 = 62;
    /// ARM, 64 bit.
    pub const AARCH64: u16 = 183;
    /// RISC-V.
    pub const RISCV: u16 = 243;
    /// LoongArch.
    pub const LOONGARCH: u16 = 258;

    /// The number of an architecture that is known here.
    #[must_use]
    pub const fn of(arch: Arch) -> u16 {
        match arch {
            Arch::X86 => I386,
            Arch::X86_64 => X86_64,
            Arch::Arm => ARM,
            Arch::Arm64 => AARCH64,
            Arch::Riscv64 => RISCV,
            Arch::LoongArch64 => LOONGARCH,
            Arch::Ppc64 => PPC64,
            Arch::S390x => S390,
        }
    }
}

/// Writes the names of the set bits joined by `|`, then what has no name.
fn names(f: &mut fmt::Formatter<'_>, mut bits: u32, table: &[(u32, &str)]) -> fmt::Result {
    let mut first = true;
    for (bit, name) in table {
        if bits & bit == *bit {
            bits &= !bit;
            f.write_str(if first { "" } else { "|" })?;
            f.write_str(name)?;
            first = false;
        }
    }
    match (bits, first) {
        (0, true) => f.write_str("0"),
        (0, false) => Ok(()),
        (rest, true) => write!(f, "{rest:#x}"),
        (rest, false) => write!(f, "|{rest:#x}"),
    }
}

/// What both kinds of flags can do.
macro_rules! flag_methods {
    ($type:ident) => {
        impl $type {
            /// No flag is set.
            pub const EMPTY: Self = Self(0);

            /// The flags with these bits, named or not.
            #[must_use]
            pub const fn from_bits(bits: u32) -> Self {
                Self(bits)
            }
            /// The bits as the kernel takes them.
            #[must_use]
            pub const fn bits(self) -> u32 {
                self.0
            }
            /// Whether every bit of `other` is set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
            /// These flags and those of `other`.
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
        impl BitOr for $type {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                self.union(other)
            }
        }
        impl BitOrAssign for $type {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }
    };
}

/// Flags of kexec_file_load(2) (`KEXEC_FILE_*`). `Debug` writes the names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FileFlags(u32);

flag_methods!(FileFlags);

impl FileFlags {
    /// Free the image instead of loading one. Set by
    /// [`crate::Kernel::file_unload`]; here so that it can be named.
    pub const UNLOAD: Self = Self(0x1);
    /// The crash slot is meant.
    pub const ON_CRASH: Self = Self(0x2);
    /// No initrd comes with the kernel. Set by [`crate::Kernel::file_load`].
    pub const NO_INITRAMFS: Self = Self(0x4);
    /// The kernel logs what it does (since Linux 6.8).
    pub const DEBUG: Self = Self(0x8);
    /// Take no memory from the CMA for the image (since Linux 6.17).
    pub const NO_CMA: Self = Self(0x10);
    /// Carry the running machine's device tree over to the next kernel (since
    /// Linux 6.18; x86, other architectures do it anyway).
    pub const FORCE_DTB: Self = Self(0x20);
}

impl fmt::Debug for FileFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        names(
            f,
            self.0,
            &[
                (0x1, "UNLOAD"),
                (0x2, "ON_CRASH"),
                (0x4, "NO_INITRAMFS"),
                (0x8, "DEBUG"),
                (0x10, "NO_CMA"),
                (0x20, "FORCE_DTB"),
            ],
        )
    }
}

/// Flags of kexec_load(2) (`KEXEC_*`): actions in the low 16 bits, the ELF
/// machine of the next kernel in the high ones. `Debug` writes the names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LoadFlags(u32);

flag_methods!(LoadFlags);

impl LoadFlags {
    /// The crash slot is meant.
    pub const ON_CRASH: Self = Self(0x1);
    /// Keep the running system in memory, to come back to (kexec jump; only with
    /// `CONFIG_KEXEC_JUMP`).
    pub const PRESERVE_CONTEXT: Self = Self(0x2);
    /// The kernel may rewrite the ELF core header when memory or CPUs come and
    /// go (since Linux 6.6).
    pub const UPDATE_ELFCOREHDR: Self = Self(0x4);
    /// The loader left the places that CPU and memory hotplug rewrite out of its
    /// digest (since Linux 6.10).
    pub const CRASH_HOTPLUG_SUPPORT: Self = Self(0x8);
    /// The bits that hold the ELF machine.
    pub const ARCH_MASK: Self = Self(0xffff_0000);

    /// The next kernel's ELF machine ([`elf_machine`]); 0 means this kernel's.
    #[must_use]
    pub const fn arch(machine: u16) -> Self {
        // Lossless; `From` is not const yet.
        Self((machine as u32) << 16)
    }

    /// The ELF machine in these flags, 0 for "this kernel's".
    #[must_use]
    pub const fn machine(self) -> u16 {
        let [high, low, ..] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }
}

impl fmt::Debug for LoadFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.machine() != 0 {
            write!(f, "ARCH({})", self.machine())?;
            if self.0 & 0xffff == 0 {
                return Ok(());
            }
            f.write_str("|")?;
        }
        names(
            f,
            self.0 & 0xffff,
            &[
                (0x1, "ON_CRASH"),
                (0x2, "PRESERVE_CONTEXT"),
                (0x4, "UPDATE_ELFCOREHDR"),
                (0x8, "CRASH_HOTPLUG_SUPPORT"),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_the_one_that_an_elf_file_names() {
        for arch in kexec_image::Arch::ALL {
            let found = kexec_image::Arch::from_elf_machine(elf_machine::of(*arch));
            assert_eq!(found, Some(*arch));
        }
    }

    #[test]
    fn flags_have_the_kernels_values_and_names() {
        assert_eq!(format!("{:?}", FileFlags::EMPTY), "0");
        assert_eq!(
            format!("{:?}", FileFlags::from_bits(0x7f)),
            "UNLOAD|ON_CRASH|NO_INITRAMFS|DEBUG|NO_CMA|FORCE_DTB|0x40"
        );
        assert_eq!(format!("{:?}", FileFlags::from_bits(0x80)), "0x80");
        let crash = LoadFlags::arch(elf_machine::X86_64) | LoadFlags::ON_CRASH;
        assert_eq!(crash.bits(), 0x003e_0001);
        assert_eq!(crash.machine(), 62);
        assert_eq!(format!("{crash:?}"), "ARCH(62)|ON_CRASH");
        assert_eq!(
            format!("{:?}", LoadFlags::arch(elf_machine::AARCH64)),
            "ARCH(183)"
        );
        assert_eq!(
            format!("{:?}", LoadFlags::from_bits(0x1e)),
            "PRESERVE_CONTEXT|UPDATE_ELFCOREHDR|CRASH_HOTPLUG_SUPPORT|0x10"
        );
        assert!(crash.contains(LoadFlags::ON_CRASH));
    }
}
