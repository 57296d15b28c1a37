//! From a kernel's virtual address to a physical one, for dumps whose headers do not
//! have virtual addresses. Each kernel says in VMCOREINFO where it put itself
//! (Documentation/admin-guide/kdump/vmcoreinfo.rst); its memory map is documented per
//! architecture. Nothing here reads a dump: page tables are read through a function.

use crate::{Endian, Vmcoreinfo, Words};

/// The machines whose kernels' memory maps are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    X86_64,
    I386,
    Arm64,
    Arm,
    Riscv64,
    LoongArch64,
    Ppc64,
    Ppc,
    S390x,
    Mips64,
    Mips,
    Other,
}

impl Machine {
    /// By `e_machine` (gABI, "ELF Header").
    pub(crate) fn from_elf(machine: u16, words: Words) -> Machine {
        match (machine, words.long) {
            (62, _) => Machine::X86_64,
            (3, _) => Machine::I386,
            (183, _) => Machine::Arm64,
            (40, _) => Machine::Arm,
            (243, 8) => Machine::Riscv64,
            (258, 8) => Machine::LoongArch64,
            (21, _) => Machine::Ppc64,
            (20, _) => Machine::Ppc,
            (22, 8) => Machine::S390x,
            (8, 8) => Machine::Mips64,
            (8, _) => Machine::Mips,
            _ => Machine::Other,
        }
    }

    /// By what `uname -m` says there.
    pub(crate) fn from_uname(machine: &str) -> Machine {
        match machine {
            "x86_64" => Machine::X86_64,
            "aarch64" | "aarch64_be" => Machine::Arm64,
            "riscv64" => Machine::Riscv64,
            "loongarch64" => Machine::LoongArch64,
            "ppc64" | "ppc64le" => Machine::Ppc64,
            "ppc" => Machine::Ppc,
            "s390x" => Machine::S390x,
            "mips64" => Machine::Mips64,
            "mips" => Machine::Mips,
            _ if machine.starts_with("arm") => Machine::Arm,
            _ if machine.starts_with('i') && machine.ends_with("86") => Machine::I386,
            _ => Machine::Other,
        }
    }

    /// By what its kernel says of itself: QEMU writes "Unknown" in the place of a name into
    /// its dumps in the format kdump-compressed.
    pub(crate) fn from_info(info: &Vmcoreinfo, words: Words) -> Machine {
        let stext = info.symbol("_stext").unwrap_or(0);
        let has_number = |name| info.number(name).is_some();
        let has_symbol = |name| info.symbol(name).is_some();
        // Kernels of 64 bits are in the upper half, but for s390x.
        let is_32_bit = match words.endian {
            Endian::Little => (1..=0xffff_ffff).contains(&stext),
            Endian::Big => {
                (0x8000_0000..=0xffff_ffff).contains(&stext) && !has_symbol("lowcore_ptr")
            }
        };
        let long = if is_32_bit { 4 } else { words.long };
        match (long, words.endian) {
            (8, _) if has_symbol("init_top_pgt") || has_symbol("init_level4_pgt") => {
                Machine::X86_64
            }
            (8, _) if has_number("kimage_voffset") => Machine::Arm64,
            (8, _) if has_number("phys_ram_base") => Machine::Riscv64,
            (8, _) if info.text("SAMODE31").is_some() || info.text("IDENTITYBASE").is_some() => {
                Machine::S390x
            }
            // The windows in which their kernels are; see `Translation::new`.
            (8, _) => match stext >> 60 {
                0xc => Machine::Ppc64,
                0x9 => Machine::LoongArch64,
                0xf => Machine::Mips64,
                _ => Machine::S390x,
            },
            (_, _)
                if (0x8000_0000..0xc000_0000).contains(&stext) && words.endian == Endian::Big =>
            {
                Machine::Mips
            }
            (_, Endian::Big) => Machine::Ppc,
            (_, Endian::Little) if info.text("CONFIG_X86_PAE").is_some() => Machine::I386,
            // Of i386 the header has no base, and that is where its memory begins.
            (_, Endian::Little) => Machine::Arm,
        }
    }

    /// Bytes of a `long`; unknown for other machines.
    pub(crate) fn long(self) -> Option<usize> {
        match self {
            Machine::Other => None,
            Machine::I386 | Machine::Arm | Machine::Ppc | Machine::Mips => Some(4),
            _ => Some(8),
        }
    }
}

/// Addresses that follow each other in virtual and in physical memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    /// The first virtual address.
    first: u64,
    /// The last one.
    last: u64,
    /// The physical address of the first.
    paddr: u64,
}

/// Page tables of x86_64 (Intel SDM volume 3, "4-Level Paging and 5-Level Paging").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PageTables {
    /// The physical address of the top one.
    root: u64,
    /// 4 or 5.
    levels: u32,
    /// Bits of an entry that are its address.
    address: u64,
}

/// How virtual addresses of a kernel become physical ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Translation {
    /// The first that has an address counts.
    windows: Vec<Window>,
    tables: Option<PageTables>,
}

/// Where the kernel of x86_64 is (Documentation/arch/x86/x86_64/mm.rst).
const X86_64_IMAGE: u64 = 0xffff_ffff_8000_0000;
/// The room for it with KASLR, which is the larger one (`KERNEL_IMAGE_SIZE`, same place).
const X86_64_IMAGE_SIZE: u64 = 1 << 30;
/// `VMSPLIT_*` of x86 and arm (their Kconfig): where the kernel's half of 32 bits begins.
const SPLITS: [u64; 6] = [
    0xc000_0000,
    0xb000_0000,
    0x8000_0000,
    0x7800_0000,
    0x4000_0000,
    0,
];

impl Translation {
    /// What the kernel says of itself. `phys_base` is what the header of the dump says
    /// where VMCOREINFO does not say it, as that of an old kernel.
    pub(crate) fn new(machine: Machine, info: &Vmcoreinfo, phys_base: Option<u64>) -> Translation {
        let mut out = Translation::default();
        let number = |name: &str| info.number(name);
        let stext = info.symbol("_stext");
        match machine {
            Machine::X86_64 => {
                let base = number("phys_base").or(phys_base).unwrap_or(0);
                out.add(X86_64_IMAGE, X86_64_IMAGE + (X86_64_IMAGE_SIZE - 1), base);
                let top = info
                    .symbol("init_top_pgt")
                    .or_else(|| info.symbol("init_level4_pgt"));
                let root = top.and_then(|top| out.linear(top));
                out.tables = root.map(|(root, _)| PageTables {
                    root,
                    levels: match number("pgtable_l5_enabled") {
                        Some(1) => 5,
                        _ => 4,
                    },
                    // Bits 12 to 51, without the one that says "encrypted" (AMD's SME).
                    address: 0x000f_ffff_ffff_f000 & !number("sme_mask").unwrap_or(0),
                });
            }
            Machine::I386 => {
                let start = split(stext);
                out.add(start, 0xffff_ffff, 0);
            }
            Machine::Arm => {
                let start = split(stext);
                out.add(start, 0xffff_ffff, phys_base.unwrap_or(0));
            }
            Machine::Arm64 => out.arm64(info, stext),
            Machine::Riscv64 => {
                if let (Some(start), Some(ram)) = (number("PAGE_OFFSET"), number("phys_ram_base")) {
                    if let Some(link) = number("KERNEL_LINK_ADDR") {
                        let paddr = number("va_kernel_pa_offset")
                            .map_or(ram, |offset| link.wrapping_sub(offset));
                        out.add(link, u64::MAX, paddr);
                    }
                    out.add(start, u64::MAX, ram);
                }
            }
            Machine::LoongArch64 => {
                // Documentation/arch/loongarch/introduction.rst, "Virtual Memory": two
                // windows on all physical memory.
                for start in [0x9000_0000_0000_0000, 0x8000_0000_0000_0000] {
                    out.add(start, start + 0x0fff_ffff_ffff_ffff, 0);
                }
            }
            Machine::Ppc64 => out.add(0xc000_0000_0000_0000, 0xc0ff_ffff_ffff_ffff, 0),
            Machine::Ppc => out.add(0xc000_0000, 0xffff_ffff, 0),
            Machine::S390x => {
                let hex = |key: &str| info.hexadecimal(key);
                let identity = hex("IDENTITYBASE").unwrap_or(0);
                // Since 6.10 the kernel has a place of its own
                // (Documentation/arch/s390/mm.rst).
                if let (Some(image), Some(paddr)) = (hex("KERNELOFFSET"), hex("KERNELOFFPHYS")) {
                    out.add(image, u64::MAX, paddr);
                }
                out.add(identity, u64::MAX, 0);
            }
            Machine::Mips64 => {
                // MIPS64 architecture, volume III, "Virtual Address Spaces": kseg0, kseg1
                // and the cached and uncached parts of xkphys.
                out.add(0xffff_ffff_8000_0000, 0xffff_ffff_9fff_ffff, 0);
                out.add(0xffff_ffff_a000_0000, 0xffff_ffff_bfff_ffff, 0);
                for start in [0x9800_0000_0000_0000, 0xa800_0000_0000_0000] {
                    out.add(start, start + 0x07ff_ffff_ffff_ffff, 0);
                }
            }
            Machine::Mips => {
                out.add(0x8000_0000, 0x9fff_ffff, 0);
                out.add(0xa000_0000, 0xbfff_ffff, 0);
            }
            Machine::Other => {}
        }
        out
    }

    /// Documentation/arch/arm64/memory.rst. Since 5.4 the linear map of all memory is in
    /// the lower half of the kernel's addresses and its image in the upper one; before, it
    /// was the other way round. The image's own place tells which.
    fn arm64(&mut self, info: &Vmcoreinfo, stext: Option<u64>) {
        let bits = info
            .number("VA_BITS")
            .filter(|bits| (36..=52).contains(bits));
        let (Some(bits), Some(ram)) = (bits, info.number("PHYS_OFFSET")) else {
            return;
        };
        let upper = |bits: u64| 0_u64.wrapping_sub(1 << bits);
        let voffset = info.number("kimage_voffset");
        let image = |first: u64| voffset.map(|voffset| first.wrapping_sub(voffset));
        // A kernel for 52 bits keeps the halves of the smaller machines that it runs on: of 48
        // bits, or of 47 with pages of 16 KiB. Kernels of 48 bits with such pages differ, so
        // the image's own place tells: it begins where the linear map ends.
        let sizes = match info.text("PAGESIZE") {
            Some("16384") => [47, 48],
            _ => [48, 48],
        };
        let ends = sizes.map(|most| upper(bits.min(most) - 1));
        let is_upper = stext.is_none_or(|stext| stext >> (bits - 1) & 1 == 1);
        if is_upper {
            let below = |end: &u64| stext.is_none_or(|stext| *end <= stext);
            let [_, lowest] = ends;
            let end = ends.into_iter().find(below).unwrap_or(lowest);
            self.add(upper(bits), end.wrapping_sub(1), ram);
            if let Some(paddr) = image(end) {
                self.add(end, u64::MAX, paddr);
            }
        } else {
            let half = upper(bits - 1);
            self.add(half, u64::MAX, ram);
            if let Some(paddr) = image(upper(bits)) {
                self.add(upper(bits), half.wrapping_sub(1), paddr);
            }
        }
    }

    fn add(&mut self, first: u64, last: u64, paddr: u64) {
        if first <= last {
            self.windows.push(Window { first, last, paddr });
        }
    }

    /// The physical address, and how many bytes follow it there.
    fn linear(&self, address: u64) -> Option<(u64, u64)> {
        let holds = |window: &&Window| (window.first..=window.last).contains(&address);
        let window = self.windows.iter().find(holds)?;
        let paddr = window.paddr.wrapping_add(address - window.first);
        Some((paddr, (window.last - address).saturating_add(1)))
    }

    /// The physical address, and how many bytes from it on follow each other; or how many
    /// bytes from the virtual address on have none. `read` answers for eight bytes of
    /// physical memory.
    ///
    /// # Errors
    /// The number of bytes without an address.
    pub(crate) fn of(
        &self,
        address: u64,
        read: &mut dyn FnMut(u64) -> Option<u64>,
    ) -> Result<(u64, u64), u64> {
        if let Some(found) = self.linear(address) {
            return Ok(found);
        }
        let Some(tables) = self.tables else {
            let next = self.windows.iter().map(|window| window.first);
            let next = next.filter(|first| *first > address).min();
            return Err(next.map_or(u64::MAX, |next| next - address));
        };
        let mut table = tables.root;
        for level in (0..tables.levels).rev() {
            let shift = 12 + 9 * level;
            let inside = address & ((1 << shift) - 1);
            let left = (1 << shift) - inside;
            let entry = read(table.wrapping_add((address >> shift & 511) * 8));
            // Bit 0 is "present", bit 7 "a page and no table".
            let Some(entry) = entry.filter(|entry| entry & 1 == 1) else {
                return Err(left);
            };
            let next = entry & tables.address;
            if level == 0 || (level <= 2 && entry & 0x80 != 0) {
                return Ok(((next & !((1 << shift) - 1)) + inside, left));
            }
            table = next;
        }
        Err(1)
    }
}

/// Where the kernel's half begins when its text is there.
fn split(stext: Option<u64>) -> u64 {
    let stext = stext.unwrap_or(u64::MAX);
    let below = SPLITS.into_iter().find(|split| *split <= stext);
    below.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(machine: Machine, info: &str, address: u64) -> Option<u64> {
        let info = Vmcoreinfo::parse(info.as_bytes());
        let translation = Translation::new(machine, &info, Some(0x6000_0000));
        let found = translation.of(address, &mut |_| None);
        found.ok().map(|(paddr, _)| paddr)
    }

    /// Numbers in the form in which kernels write them.
    #[test]
    fn linear_maps() {
        let arm64 = "NUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)=0xffff7fffc0000000\n\
                     NUMBER(PHYS_OFFSET)=0x40000000\nSYMBOL(_stext)=ffff800080010000\n";
        let older = "NUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)=0xfffeffffc8000000\n\
                     NUMBER(PHYS_OFFSET)=0x40000000\nSYMBOL(_stext)=ffff000008081000\n";
        let wide = "NUMBER(VA_BITS)=52\nNUMBER(kimage_voffset)=0xffff7fffc0000000\n\
                    NUMBER(PHYS_OFFSET)=0xfff1000080000000\nSYMBOL(_stext)=ffff800080010000\n";
        // With pages of 16 KiB the linear map ends 2^46 or 2^47 bytes below the top.
        let pages_of_16k = |bits: u64, stext: u64| {
            format!(
                "PAGESIZE=16384\nNUMBER(VA_BITS)={bits}\nNUMBER(PHYS_OFFSET)=0x80000000\n\
                 NUMBER(kimage_voffset)={:#x}\nSYMBOL(_stext)={stext:x}\n",
                stext - 0x9_0001_0000
            )
        };
        for (bits, stext) in [
            (47, 0xffff_c000_8001_0000),
            (48, 0xffff_8000_8001_0000),
            (48, 0xffff_c000_8001_0000),
            (52, 0xffff_c000_8001_0000),
        ] {
            let info = pages_of_16k(bits, stext);
            let linear = 0_u64.wrapping_sub(1 << bits);
            for (address, paddr) in [
                (stext + 0x123, 0x9_0001_0123),
                (linear + 0x1000, 0x8000_1000),
            ] {
                let found = of(Machine::Arm64, &info, address);
                assert_eq!(found, Some(paddr), "{bits} {address:#x}");
            }
        }
        let riscv = "NUMBER(PAGE_OFFSET)=0xff60000000000000\nNUMBER(phys_ram_base)=2147483648\n\
                     NUMBER(KERNEL_LINK_ADDR)=0xffffffff80000000\n\
                     NUMBER(va_kernel_pa_offset)=0xfffffffeffe00000\n";
        let s390 = "IDENTITYBASE=0\nKERNELOFFSET=3ffe0000000\nKERNELOFFPHYS=100000\n";
        for (machine, info, address, paddr) in [
            (Machine::Arm64, arm64, 0xffff_8000_8001_0000, 0xc001_0000),
            (Machine::Arm64, arm64, 0xffff_0000_0010_0000, 0x4010_0000),
            (Machine::Arm64, older, 0xffff_0000_0808_1000, 0x4008_1000),
            (Machine::Arm64, older, 0xffff_8000_0010_0000, 0x4010_0000),
            // On a machine of 48 bits: the kernel moves PHYS_OFFSET by what its linear map
            // begins later.
            (Machine::Arm64, wide, 0xffff_0000_0010_0000, 0x8010_0000),
            (Machine::Riscv64, riscv, 0xffff_ffff_8000_1000, 0x8020_1000),
            (Machine::Riscv64, riscv, 0xff60_0000_0000_1000, 0x8000_1000),
            (Machine::S390x, s390, 0x3ff_e000_0010, 0x10_0010),
            (Machine::S390x, s390, 0x1234, 0x1234),
            (Machine::S390x, "", 0x1234, 0x1234),
            (
                Machine::I386,
                "SYMBOL(_stext)=c1000000\n",
                0xc100_0010,
                0x100_0010,
            ),
            (
                Machine::I386,
                "SYMBOL(_stext)=81000000\n",
                0x8100_0010,
                0x100_0010,
            ),
            (
                Machine::Arm,
                "SYMBOL(_stext)=c0100000\n",
                0xc010_0000,
                0x6010_0000,
            ),
            (Machine::Ppc64, "", 0xc000_0000_0100_0000, 0x100_0000),
            (Machine::Ppc, "", 0xc100_0000, 0x100_0000),
            (Machine::LoongArch64, "", 0x9000_0000_0200_0000, 0x200_0000),
            (Machine::Mips64, "", 0xffff_ffff_8010_0000, 0x10_0000),
            (Machine::Mips64, "", 0x9800_0000_0010_0000, 0x10_0000),
            (Machine::Mips, "", 0x8010_0000, 0x10_0000),
            (
                Machine::X86_64,
                "NUMBER(phys_base)=-16777216\n",
                0xffff_ffff_8200_0000,
                0x100_0000,
            ),
            (Machine::X86_64, "", 0xffff_ffff_8100_0000, 0x6100_0000),
        ] {
            assert_eq!(
                of(machine, info, address),
                Some(paddr),
                "{machine:?} {address:#x}"
            );
        }
        assert_eq!(of(Machine::Other, "", 0x1000), None);
        assert_eq!(of(Machine::Arm64, "", 0xffff_0000_0010_0000), None);
    }

    #[test]
    fn page_tables_of_four_and_five_levels() {
        for levels in [4, 5] {
            let info = format!(
                "NUMBER(phys_base)=0\nSYMBOL(init_top_pgt)=ffffffff80001000\n\
                 NUMBER(pgtable_l5_enabled)={}\nNUMBER(sme_mask)=2251799813685248\n",
                levels - 4
            );
            let translation =
                Translation::new(Machine::X86_64, &Vmcoreinfo::parse(info.as_bytes()), None);
            let encrypted = 1 << 51;
            // Entry 0 of every table leads to the next page, entry 1 of the third last is
            // a page of 1 GiB, entry 2 of the last but one a page of 2 MiB.
            let mut read = |at: u64| match (at & 0xfff) / 8 {
                0 => Some(((at & !0xfff) + 0x1000) | 1 | encrypted),
                1 => Some(0x4000_0000 | 0x81),
                2 => Some(0x60_0000 | 0x81),
                _ => None,
            };
            let last = if levels == 5 { 0x6000 } else { 0x5000 };
            assert_eq!(translation.of(0x123, &mut read), Ok((last + 0x123, 0xedd)));
            let gigabyte = translation.of(1 << 30 | 0x5000, &mut read);
            assert_eq!(gigabyte, Ok((0x4000_5000, (1 << 30) - 0x5000)));
            let megabytes = translation.of(2 << 21 | 0x5000, &mut read);
            assert_eq!(megabytes, Ok((0x60_5000, (1 << 21) - 0x5000)));
            assert_eq!(translation.of(3 << 30, &mut read), Err(1 << 30));
        }
    }
}
