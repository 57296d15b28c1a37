//! How much memory a load takes.

use kexec_image::{Image, Kernel};
use kexec_plan::FilePlan;

use kexec_plan::size::Memory;

/// Memory is handed out in pages; 4 KiB is the smallest of any machine, so that
/// no need is rounded up too far.
const PAGE: u64 = 4096;

/// What a load takes in memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The kernel, with the room that its header asks for.
    pub(crate) kernel: u64,
    /// The initrds, joined.
    pub(crate) initrd: u64,
}

impl Demand {
    /// Both. The few pages of parameters and purgatory come on top.
    pub(crate) fn total(self) -> u64 {
        self.kernel.saturating_add(self.initrd)
    }
}

impl std::fmt::Display for Demand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kernel, initrd) = (Memory(self.kernel), Memory(self.initrd));
        let total = Memory(self.total());
        match self.initrd {
            0 => write!(f, "{total}"),
            _ => write!(f, "{total} (kernel {kernel}, initrd {initrd})"),
        }
    }
}

/// Bytes of memory that an image holds while it is loaded.
pub fn held(image: &Image, plan: &FilePlan) -> u64 {
    demand(image, plan).total()
}

/// Bytes of memory that the kernel alone holds while it is loaded.
pub(crate) fn held_by_kernel(image: &Image, plan: &FilePlan) -> u64 {
    demand(image, plan).kernel
}

/// What the load of an image takes, as its header says.
pub(crate) fn demand(image: &Image, plan: &FilePlan) -> Demand {
    let file = Memory::of(plan.kernel.len).0;
    let asked = match &image.kernel {
        // Documentation/arch/x86/boot.rst: init_size from 2.10 on; the code
        // moves itself to the end of that area, so all of it is taken.
        Kernel::BzImage(b) => u64::from(b.init_size),
        // Documentation/arch/arm64/booting.rst and riscv/boot-image-header.rst:
        // image_size from the load address on.
        Kernel::Arm64(a) => a.image_size,
        Kernel::Riscv(r) => r.image_size,
        Kernel::Elf(e) => {
            let loads = e.segments.iter();
            loads.fold(0, |sum: u64, s| sum.saturating_add(s.memsz))
        }
        Kernel::Multiboot(m) => m.addresses.map_or(0, |a| a.memory_len),
    };
    let pages = |bytes: u64| bytes.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
    Demand {
        kernel: pages(if asked == 0 { file } else { asked }),
        initrd: pages(Memory::of(plan.initrd_len()).0),
    }
}
