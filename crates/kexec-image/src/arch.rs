//! Architectures, as data.

use serde::{Deserialize, Serialize};

/// The architecture a kernel was built for, or that a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// 32-bit x86.
    X86,
    /// 64-bit x86.
    X86_64,
    /// 32-bit Arm.
    Arm,
    /// 64-bit Arm.
    Arm64,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit LoongArch.
    LoongArch64,
    /// 64-bit POWER, either byte order.
    Ppc64,
    /// IBM Z.
    S390x,
}

impl Arch {
    /// Every architecture we can name.
    pub const ALL: &'static [Arch] = &[
        Arch::X86,
        Arch::X86_64,
        Arch::Arm,
        Arch::Arm64,
        Arch::Riscv64,
        Arch::LoongArch64,
        Arch::Ppc64,
        Arch::S390x,
    ];

    /// The name the kernel itself uses for its `arch/` folder or people for
    /// the machine.
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86 => "i386",
            Arch::X86_64 => "x86_64",
            Arch::Arm => "arm",
            Arch::Arm64 => "arm64",
            Arch::Riscv64 => "riscv64",
            Arch::LoongArch64 => "loongarch64",
            Arch::Ppc64 => "ppc64",
            Arch::S390x => "s390x",
        }
    }

    /// From the machine field of `uname(2)`, or from the name that Rust gives an
    /// architecture (`std::env::consts::ARCH`).
    pub fn from_uname(machine: &str) -> Option<Arch> {
        Some(match machine {
            "i386" | "i486" | "i586" | "i686" | "x86" => Arch::X86,
            "x86_64" => Arch::X86_64,
            "aarch64" | "arm64" => Arch::Arm64,
            "riscv64" => Arch::Riscv64,
            "loongarch64" => Arch::LoongArch64,
            "ppc64" | "ppc64le" | "powerpc64" => Arch::Ppc64,
            "s390x" => Arch::S390x,
            m if m == "arm" || m.starts_with("armv") => Arch::Arm,
            _ => return None,
        })
    }

    /// From `e_machine` of an ELF header (System V gABI, "ELF Header").
    pub fn from_elf_machine(machine: u16) -> Option<Arch> {
        Some(match machine {
            3 | 6 => Arch::X86,
            62 => Arch::X86_64,
            40 => Arch::Arm,
            183 => Arch::Arm64,
            243 => Arch::Riscv64,
            258 => Arch::LoongArch64,
            21 => Arch::Ppc64,
            22 => Arch::S390x,
            _ => return None,
        })
    }

    /// From `Machine` of a COFF header (PE Format, "Machine Types").
    pub fn from_pe_machine(machine: u16) -> Option<Arch> {
        Some(match machine {
            0x014c => Arch::X86,
            0x8664 => Arch::X86_64,
            0x01c0 | 0x01c2 | 0x01c4 => Arch::Arm,
            0xaa64 => Arch::Arm64,
            0x5064 => Arch::Riscv64,
            0x6264 => Arch::LoongArch64,
            _ => return None,
        })
    }

    /// The largest command line the architecture's kernels take, in bytes with
    /// the terminating NUL: `COMMAND_LINE_SIZE` of each `uapi/asm/setup.h`.
    pub fn command_line_size(self) -> usize {
        match self {
            Arch::X86 | Arch::X86_64 | Arch::Arm64 | Arch::Ppc64 => 2048,
            Arch::Arm | Arch::Riscv64 => 1024,
            Arch::LoongArch64 | Arch::S390x => 4096,
        }
    }

    /// Whether kernels of `self` run on a machine whose kernel is `machine`.
    /// A 32-bit x86 kernel boots on a 64-bit one; nothing else mixes.
    pub fn boots_on(self, machine: Arch) -> bool {
        self == machine || (self == Arch::X86 && machine == Arch::X86_64)
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
