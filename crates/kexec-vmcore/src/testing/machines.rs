//! Machines whose kernels' memory maps are known.

use super::LITTLE64;
use crate::{Endian, Words};

/// A machine for a dump.
#[derive(Debug, Clone, Copy)]
pub struct TestMachine {
    /// What `uname -m` says.
    pub uname: &'static str,
    /// `e_machine`.
    pub elf: usize,
    /// How it writes numbers.
    pub words: Words,
    /// Where its log is in the kernel's addresses.
    pub base: u64,
    /// Where that is in its memory.
    pub paddr: u64,
    /// What its kernel says of that.
    pub info: &'static [&'static str],
}

const LITTLE32: Words = Words {
    endian: Endian::Little,
    long: 4,
};

/// 64 bits, little-endian.
pub const X86_64: TestMachine = TestMachine {
    uname: "x86_64",
    elf: 62,
    words: LITTLE64,
    base: 0xffff_ffff_8200_0000,
    paddr: 0x0300_0000,
    info: &[
        "NUMBER(phys_base)=16777216",
        "SYMBOL(init_top_pgt)=ffffffff82f00000",
    ],
};

/// 64 bits, with an image apart from the map of all memory.
pub const AARCH64: TestMachine = TestMachine {
    uname: "aarch64",
    elf: 183,
    words: LITTLE64,
    base: 0xffff_8000_8200_0000,
    paddr: 0x4200_0000,
    info: &[
        "NUMBER(VA_BITS)=48",
        "NUMBER(kimage_voffset)=0xffff800040000000",
        "NUMBER(PHYS_OFFSET)=0x40000000",
        "SYMBOL(_stext)=ffff800080010000",
    ],
};

/// 64 bits, with an image apart from the map of all memory.
pub const RISCV64: TestMachine = TestMachine {
    uname: "riscv64",
    elf: 243,
    words: LITTLE64,
    base: 0xffff_ffff_8100_0000,
    paddr: 0x8120_0000,
    info: &[
        "NUMBER(PAGE_OFFSET)=0xff60000000000000",
        "NUMBER(phys_ram_base)=2147483648",
        "NUMBER(KERNEL_LINK_ADDR)=0xffffffff80000000",
        "NUMBER(va_kernel_pa_offset)=0xfffffffeffe00000",
    ],
};

/// 32 bits, little-endian.
pub const I686: TestMachine = TestMachine {
    uname: "i686",
    elf: 3,
    words: LITTLE32,
    base: 0xc200_0000,
    paddr: 0x0200_0000,
    info: &["SYMBOL(_stext)=c1000000"],
};

/// 64 bits, big-endian.
pub const S390X: TestMachine = TestMachine {
    uname: "s390x",
    elf: 22,
    words: Words {
        endian: Endian::Big,
        long: 8,
    },
    base: 0x0200_0000,
    paddr: 0x0200_0000,
    info: &[],
};

/// 32 bits, big-endian.
pub const PPC: TestMachine = TestMachine {
    uname: "ppc",
    elf: 20,
    words: Words {
        endian: Endian::Big,
        long: 4,
    },
    base: 0xc200_0000,
    paddr: 0x0200_0000,
    info: &[],
};

/// All of these.
pub const MACHINES: [TestMachine; 6] = [X86_64, AARCH64, RISCV64, I686, S390X, PPC];
