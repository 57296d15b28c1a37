//! Small kernels as they are inside of a bzImage.

/// Where the kernel's mapping begins
/// ([`crate::formats::bzimage::vmlinux::START_KERNEL_MAP`]).
const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// Where the kernel is linked for: `pref_address` of [`super::BzImageBuilder`].
pub const LINKED: u64 = 0x100_0000;

/// A vmlinux to be: text, data with zeros behind it, and perhaps the segment of the
/// per-CPU variables between them, with the table of relocations behind the file.
#[derive(Debug, Clone)]
pub struct VmlinuxBuilder {
    /// The bytes of the first segment, at [`LINKED`].
    pub text: Vec<u8>,
    /// The bytes of the segment at virtual address 0; none where that is empty.
    pub per_cpu: Vec<u8>,
    /// The bytes of the last segment.
    pub data: Vec<u8>,
    /// Zeros behind them.
    pub zeros: u64,
    /// `e_entry` from [`LINKED`].
    pub entry: u64,
    /// The lists, in the order of the file; no table where there is none.
    pub relocations: Vec<Vec<u32>>,
}

impl Default for VmlinuxBuilder {
    fn default() -> Self {
        VmlinuxBuilder {
            text: vec![0x90; 0x1800],
            per_cpu: Vec::new(),
            data: vec![0xda; 0x2000],
            zeros: 0x3000,
            entry: 0,
            relocations: vec![Vec::new(), Vec::new()],
        }
    }
}

impl VmlinuxBuilder {
    /// Where the segment of the per-CPU variables is in memory.
    pub const PER_CPU: u64 = LINKED + 0x20_0000;
    /// Where the last segment is in memory.
    pub const DATA: u64 = LINKED + 0x40_0000;

    /// A place of the kernel as the table has it.
    ///
    /// # Panics
    /// Never: the low half of an address fits.
    pub fn place(physical: u64) -> u32 {
        let low = physical.wrapping_add(START_KERNEL_MAP) & 0xffff_ffff;
        u32::try_from(low).expect("half of 64 bits")
    }

    /// The file with the table behind it.
    pub fn build(&self) -> Vec<u8> {
        let mapped = |paddr: u64| START_KERNEL_MAP.wrapping_add(paddr);
        let mut segments = vec![(LINKED, mapped(LINKED), &self.text, 0)];
        if !self.per_cpu.is_empty() {
            segments.push((Self::PER_CPU, 0, &self.per_cpu, 0));
        }
        segments.push((Self::DATA, mapped(Self::DATA), &self.data, self.zeros));
        let phnum: u16 = if self.per_cpu.is_empty() { 2 } else { 3 };
        let mut file = vec![0; 64 + 56 * segments.len()];
        let mut headers = Vec::new();
        for (paddr, vaddr, bytes, zeros) in segments {
            file.resize(file.len().next_multiple_of(0x1000), 0);
            let (offset, len) = (file.len() as u64, bytes.len() as u64);
            headers.extend(1_u32.to_le_bytes());
            headers.extend(7_u32.to_le_bytes());
            for field in [offset, vaddr, paddr, len, len + zeros, 0x1000] {
                headers.extend(field.to_le_bytes());
            }
            file.extend(bytes);
        }
        let sections = file.len().next_multiple_of(8);
        file.resize(sections + 64, 0);
        let mut put = |at: usize, bytes: &[u8]| {
            file.splice(at..at + bytes.len(), bytes.iter().copied());
        };
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &2_u16.to_le_bytes());
        put(18, &62_u16.to_le_bytes());
        put(20, &1_u32.to_le_bytes());
        put(24, &(LINKED + self.entry).to_le_bytes());
        put(32, &64_u64.to_le_bytes());
        put(40, &(sections as u64).to_le_bytes());
        put(52, &64_u16.to_le_bytes());
        put(54, &56_u16.to_le_bytes());
        put(56, &phnum.to_le_bytes());
        put(58, &64_u16.to_le_bytes());
        put(60, &1_u16.to_le_bytes());
        put(64, &headers);
        for list in &self.relocations {
            file.extend(0_u32.to_le_bytes());
            file.extend(list.iter().flat_map(|word| word.to_le_bytes()));
        }
        file
    }
}
