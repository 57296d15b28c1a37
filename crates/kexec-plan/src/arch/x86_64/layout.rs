//! Numbers of the x86 boot protocols, nothing else.
//!
//! Sources: "zero-page" is Documentation/arch/x86/zero-page.rst, "boot" is
//! Documentation/arch/x86/boot.rst, "bootparam.h" is the kernel's exported
//! header `asm/bootparam.h`, "screen_info.h" is `linux/screen_info.h`.

/// The size of a page.
pub const PAGE: u64 = 4096;

/// No segment goes below: real-mode memory, the BIOS and the trampolines of
/// the running kernel are there ("boot", Memory Layout).
pub const FLOOR: u64 = 1 << 20;

/// The end of what four-level paging maps one to one in the kernel: 46 bits
/// (Documentation/arch/x86/x86_64/mm.rst, 64 TiB). Nothing is put above it
/// even where five levels are in use, since the next kernel may run with four
/// (`no5lvl`).
pub const CEILING: u64 = 1 << 46;

/// The end of what 32-bit pointers reach.
pub const FOUR_GIB: u64 = 1 << 32;

/// The highest safe byte of an initrd where the header does not say, 0x37ffffff
/// ("boot", `initrd_addr_max`); 32-bit kernels have no more low memory than
/// that either.
pub const LOW_MEMORY_END: u64 = 0x3800_0000;

/// A 32-bit kernel ends here at the latest: where its own KASLR would put it
/// ("They will be randomized anywhere between 16MB and 512MB",
/// `RANDOMIZE_BASE` in arch/x86/Kconfig). It runs in the memory that it maps
/// for good, and how much of the 896 MiB that is depends on its configuration:
/// address space for the processors' entry areas and for `vmalloc=` is taken
/// from the end.
pub const KERNEL_32_END: u64 = 512 << 20;

/// Where a bzImage that cannot be moved is loaded ("boot", Loading The Rest
/// of The Kernel).
pub const BZIMAGE_LOAD: u64 = 0x10_0000;

/// The 64-bit entry point, from the start of the kernel ("boot", 64-bit Boot
/// Protocol).
pub const ENTRY_64: u64 = 0x200;

/// Kernels are moved by multiples of this: the size of a large page.
pub const LARGE_PAGE: u64 = 2 << 20;

/// Offsets in `struct boot_params` ("zero-page"; the header's fields: "boot",
/// The Real-Mode Kernel Header).
pub mod at {
    pub const SCREEN_INFO: usize = 0x000;
    pub const ACPI_RSDP_ADDR: usize = 0x070;
    pub const EXT_RAMDISK_IMAGE: usize = 0x0c0;
    pub const EXT_RAMDISK_SIZE: usize = 0x0c4;
    pub const EXT_CMD_LINE_PTR: usize = 0x0c8;
    pub const CC_BLOB_ADDRESS: usize = 0x13c;
    pub const EDID_INFO: usize = 0x140;
    pub const EFI_INFO: usize = 0x1c0;
    pub const ALT_MEM_K: usize = 0x1e0;
    pub const E820_ENTRIES: usize = 0x1e8;
    pub const EDDBUF_ENTRIES: usize = 0x1e9;
    pub const EDD_MBR_SIG_BUF_ENTRIES: usize = 0x1ea;
    pub const SECURE_BOOT: usize = 0x1ec;
    /// The setup header begins, with `setup_sects`.
    pub const HEADER: usize = 0x1f1;
    pub const BOOT_FLAG: usize = 0x1fe;
    pub const JUMP: usize = 0x200;
    pub const MAGIC: usize = 0x202;
    pub const VERSION: usize = 0x206;
    pub const TYPE_OF_LOADER: usize = 0x210;
    pub const LOADFLAGS: usize = 0x211;
    pub const CODE32_START: usize = 0x214;
    pub const RAMDISK_IMAGE: usize = 0x218;
    pub const RAMDISK_SIZE: usize = 0x21c;
    pub const EXT_LOADER_VER: usize = 0x226;
    pub const EXT_LOADER_TYPE: usize = 0x227;
    pub const CMD_LINE_PTR: usize = 0x228;
    pub const INITRD_ADDR_MAX: usize = 0x22c;
    pub const KERNEL_ALIGNMENT: usize = 0x230;
    pub const CMDLINE_SIZE: usize = 0x238;
    pub const HARDWARE_SUBARCH: usize = 0x23c;
    pub const SETUP_DATA: usize = 0x250;
    pub const EDD_MBR_SIG_BUFFER: usize = 0x290;
    pub const E820_TABLE: usize = 0x2d0;
    pub const EDDBUF: usize = 0xd00;
}

/// The length of `edid_info` ("zero-page").
pub const EDID_LEN: usize = 0x80;
/// What an EDID begins with (VESA E-EDID standard, release A2, 3.3).
pub const EDID_HEADER: &[u8; 8] = &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
/// The length of `edd_mbr_sig_buffer` ("zero-page").
pub const EDD_MBR_SIG_LEN: usize = 0x40;
/// Entries in it (`EDD_MBR_SIG_MAX`, linux/edd.h).
pub const EDD_MBR_SIG_MAX: u8 = 16;
/// The length of `eddbuf` ("zero-page").
pub const EDDBUF_LEN: usize = 0x1ec;
/// Entries in it (`EDDMAXNR`, linux/edd.h).
pub const EDD_MAX: u8 = 6;
/// Entries in `e820_table` (`E820_MAX_ENTRIES_ZEROPAGE`, bootparam.h).
pub const E820_MAX: usize = 128;

/// Offsets in `struct screen_info`, the first field (screen_info.h).
pub mod screen {
    pub const LEN: usize = 0x40;
    pub const EXT_MEM_K: usize = 0x02;
    pub const COLUMNS: usize = 0x07;
    pub const LINES: usize = 0x0e;
    pub const IS_VGA: usize = 0x0f;
    pub const LFB_WIDTH: usize = 0x12;
    pub const LFB_HEIGHT: usize = 0x14;
    pub const LFB_DEPTH: usize = 0x16;
    pub const LFB_BASE: usize = 0x18;
    pub const CL_MAGIC: usize = 0x20;
    pub const LFB_LINELENGTH: usize = 0x24;
    pub const RED_SIZE: usize = 0x26;
    pub const CAPABILITIES: usize = 0x36;
    pub const EXT_LFB_BASE: usize = 0x3a;
    /// `VIDEO_TYPE_VLFB`: a VESA linear framebuffer.
    pub const TYPE_VESA: u8 = 0x23;
    /// `VIDEO_TYPE_EFI`: an EFI linear framebuffer.
    pub const TYPE_EFI: u8 = 0x70;
    /// `VIDEO_TYPE_VGAC`, the last of the text modes.
    pub const LAST_TEXT: u8 = 0x22;
    /// `VIDEO_CAPABILITY_64BIT_BASE`.
    pub const WIDE_BASE: u32 = 1 << 1;
}

/// Offsets in `struct efi_info` (bootparam.h).
pub mod efi_info {
    pub const LEN: usize = 0x20;
    pub const SIGNATURE: usize = 0x00;
    pub const MEMDESC_SIZE: usize = 0x08;
    pub const MEMDESC_VERSION: usize = 0x0c;
    pub const MEMMAP: usize = 0x10;
    pub const MEMMAP_SIZE: usize = 0x14;
    pub const MEMMAP_HI: usize = 0x1c;
    /// The signature of 64-bit EFI.
    pub const EFI_64: &[u8; 4] = b"EL64";
    /// The signature of 32-bit EFI.
    pub const EFI_32: &[u8; 4] = b"EL32";
}

/// `type_of_loader`. Assigned ids are T=0xD for kexec-tools; anybody without
/// one writes 0xFF ("boot"). The kernel's own `kexec_file_load` writes 0xD0
/// too, and programs tell a kexec from a cold boot by it
/// (/proc/sys/kernel/bootloader_type), so this is what a kexec looks like,
/// whoever made it.
pub const TYPE_OF_LOADER: u8 = 0xd0;

/// Bits of `loadflags` ("boot").
pub mod loadflags {
    pub const LOADED_HIGH: u8 = 1;
    /// "Used internally by the compressed kernel to communicate KASLR status to kernel
    /// proper."
    pub const KASLR_FLAG: u8 = 1 << 1;
    pub const QUIET_FLAG: u8 = 1 << 5;
}

/// What a header says when there is none to copy, as for a vmlinux: the
/// protocol version that has all the fields in use here ("boot").
pub const SYNTHETIC_VERSION: u16 = 0x020f;
/// `header`: "HdrS".
pub const HEADER_MAGIC: &[u8; 4] = b"HdrS";
/// `boot_flag`.
pub const BOOT_FLAG: u16 = 0xaa55;

/// Types of setup_data items (bootparam.h).
pub mod setup {
    pub const E820_EXT: u32 = 1;
    pub const DTB: u32 = 2;
    pub const PCI: u32 = 3;
    pub const EFI: u32 = 4;
    pub const APPLE_PROPERTIES: u32 = 5;
    pub const JAILHOUSE: u32 = 6;
    pub const CC_BLOB: u32 = 7;
    pub const IMA: u32 = 8;
    pub const RNG_SEED: u32 = 9;
}

/// `eax` at the entry of a multiboot kernel (Multiboot 0.6.96, 3.2).
pub const MULTIBOOT_EAX: u64 = 0x2bad_b002;
/// The same of Multiboot2 (2.0, 3.3).
pub const MULTIBOOT2_EAX: u64 = 0x36d7_6289;
