//! `boot_params`, and behind it in the same segment everything that it points
//! to: the command line, the EFI runtime map, the setup_data list.

use super::efi::Efi;
use super::layout::{
    BOOT_FLAG, E820_MAX, EDD_MAX, EDD_MBR_SIG_LEN, EDD_MBR_SIG_MAX, EDDBUF_LEN, HEADER_MAGIC,
    SYNTHETIC_VERSION, TYPE_OF_LOADER, at, loadflags, screen, setup,
};
use super::setup_data::{self, Item};
use super::video::Video;
use crate::Cmdline;
use crate::classic::{BOOT_PARAMS_LEN, FirmwareFacts, Part, RngSeed};
use crate::memory::{MapEntry, MemoryKind, Range};
use kexec_image::fields::{halves, len_u64, pad, put, u8_at, u32_at, u64_at};

/// Room behind the command line for what a purgatory may append when the
/// running kernel is to be jumped back to: ` kexec_jump_back_entry=0x` and 16
/// digits.
pub(super) const JUMP_BACK_ROOM: usize = 64;

/// Where the setup header comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Header<'a> {
    /// From a bzImage: the whole file, and the end of its header.
    Image { file: &'a [u8], end: usize },
    /// There is none, as for a vmlinux.
    Synthetic,
}

/// What the parameters are made from.
#[derive(Debug)]
pub(super) struct Input<'a> {
    pub header: Header<'a>,
    pub cmdline: &'a Cmdline,
    /// Zero bytes behind the command line's own NUL.
    pub spare: usize,
    pub firmware: &'a FirmwareFacts,
    pub video: &'a Video,
    pub efi: Option<&'a Efi>,
    pub map: &'a [MapEntry],
    pub dtb: Option<&'a [u8]>,
    pub seed: Option<RngSeed>,
    pub places: Places,
    pub start: KernelStart,
}

/// What is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KernelStart {
    /// The file's own entry: the decompressor of a bzImage, or a vmlinux as it is.
    AsItIs,
    /// The kernel out of a bzImage, for which the loader does what the decompressor
    /// would have done.
    Unpacked {
        /// It was placed at random.
        kaslr: bool,
    },
}

/// Addresses of other segments.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Places {
    /// The start of the protected-mode kernel.
    pub kernel: u64,
    /// The initrd's bytes.
    pub initrd: Option<Range>,
    /// Where the measurements of IMA are.
    pub ima: Option<Range>,
}

/// The finished segment.
#[derive(Debug)]
pub(super) struct Blob {
    pub bytes: Vec<u8>,
    pub parts: Vec<Part>,
    /// Where the command line is, with the room behind it.
    pub cmdline: Range,
}

impl Input<'_> {
    /// The segment as it will be at `base`. Its length does not depend on any
    /// address, so that it can be made once to learn the length.
    pub(super) fn build(&self, base: u64) -> Blob {
        let mut blob = vec![0; BOOT_PARAMS_LEN];
        let mut parts = vec![part("boot_params", base, 0, BOOT_PARAMS_LEN)];

        let text = blob.len();
        blob.extend(self.cmdline.as_bytes());
        blob.extend(std::iter::repeat_n(0, self.spare.saturating_add(1)));
        parts.push(part("command line", base, text, blob.len()));
        let cmdline = parts.last().map(|p| p.range).unwrap_or_default();

        let mut memmap = 0;
        if let Some(efi) = self.efi {
            pad(&mut blob, 16);
            let start = blob.len();
            blob.extend(&efi.memmap);
            parts.push(part("EFI runtime map", base, start, blob.len()));
            memmap = base.saturating_add(len_u64(start));
        }
        let list = setup_data::append(&mut blob, base, &self.items(), &mut parts);

        self.write_header(&mut blob, cmdline.start, list);
        self.write_machine(&mut blob, memmap);
        Blob {
            bytes: blob,
            parts,
            cmdline,
        }
    }

    fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        if let Some(more) = self.map.get(E820_MAX..).filter(|more| !more.is_empty()) {
            let data = setup_data::e820(more);
            items.push(Item {
                kind: setup::E820_EXT,
                data,
            });
        }
        items.extend(self.efi.map(|efi| efi.setup.clone()));
        if let Some(ima) = self.places.ima {
            let words = [ima.start, ima.len()];
            let data = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            items.push(Item {
                kind: setup::IMA,
                data,
            });
        }
        if let Some(dtb) = self.dtb {
            items.push(Item {
                kind: setup::DTB,
                data: dtb.to_vec(),
            });
        }
        // Properties of the machine that nobody else will tell; the others of
        // the first boot are made anew, or were for that boot only.
        let machine = [
            setup::PCI,
            setup::APPLE_PROPERTIES,
            setup::JAILHOUSE,
            setup::CC_BLOB,
        ];
        let kept = self
            .firmware
            .setup_data
            .iter()
            .filter(|i| machine.contains(&i.kind));
        items.extend(kept.map(|i| Item {
            kind: i.kind,
            data: i.data.to_vec(),
        }));
        if let Some(RngSeed(seed)) = self.seed {
            items.push(Item {
                kind: setup::RNG_SEED,
                data: seed.to_vec(),
            });
        }
        items
    }

    fn write_header(&self, p: &mut [u8], cmdline: u64, setup_list: u64) {
        match self.header {
            Header::Image { file, end } => {
                let end = end.min(at::EDD_MBR_SIG_BUFFER);
                put(p, at::HEADER, file.get(at::HEADER..end).unwrap_or_default());
            }
            Header::Synthetic => {
                put(p, at::BOOT_FLAG, &BOOT_FLAG.to_le_bytes());
                // A short jump over the header, as it would be in a file.
                put(p, at::JUMP, &[0xeb, 0x6a]);
                put(p, at::MAGIC, HEADER_MAGIC);
                put(p, at::VERSION, &SYNTHETIC_VERSION.to_le_bytes());
                put(p, at::LOADFLAGS, &[loadflags::LOADED_HIGH]);
                put(p, at::INITRD_ADDR_MAX, &0x7fff_ffff_u32.to_le_bytes());
                put(p, at::KERNEL_ALIGNMENT, &0x20_0000_u32.to_le_bytes());
                put(p, at::CMDLINE_SIZE, &2047_u32.to_le_bytes());
            }
        }
        put(p, at::TYPE_OF_LOADER, &[TYPE_OF_LOADER]);
        put(p, at::EXT_LOADER_VER, &[0]);
        put(p, at::EXT_LOADER_TYPE, &[0]);
        // There is no heap to use. KASLR_FLAG is what the decompressor tells the kernel
        // behind it; whoever starts that kernel itself says it in its place.
        let high = u8_at(p, at::LOADFLAGS).unwrap_or(0) & loadflags::LOADED_HIGH;
        let quiet = self
            .cmdline
            .words()
            .take_while(|w| *w != b"--")
            .any(|w| w == b"quiet");
        let flags = if quiet {
            high | loadflags::QUIET_FLAG
        } else {
            high
        };
        let flags = match self.start {
            KernelStart::Unpacked { kaslr: true } => flags | loadflags::KASLR_FLAG,
            KernelStart::Unpacked { kaslr: false } | KernelStart::AsItIs => flags,
        };
        put(p, at::LOADFLAGS, &[flags]);
        if let Ok(kernel) = u32::try_from(self.places.kernel) {
            put(p, at::CODE32_START, &kernel.to_le_bytes());
        }
        let initrd = self.places.initrd.unwrap_or_default();
        wide(p, at::RAMDISK_IMAGE, at::EXT_RAMDISK_IMAGE, initrd.start);
        wide(p, at::RAMDISK_SIZE, at::EXT_RAMDISK_SIZE, initrd.len());
        wide(p, at::CMD_LINE_PTR, at::EXT_CMD_LINE_PTR, cmdline);
        put(p, at::SETUP_DATA, &setup_list.to_le_bytes());
    }

    fn write_machine(&self, p: &mut [u8], memmap: u64) {
        put(p, at::SCREEN_INFO, &self.video.screen_info);
        put(p, at::EDID_INFO, &self.video.edid);
        let first = self
            .map
            .get(..E820_MAX.min(self.map.len()))
            .unwrap_or_default();
        put(p, at::E820_TABLE, &setup_data::e820(first));
        put(
            p,
            at::E820_ENTRIES,
            &[u8::try_from(first.len()).unwrap_or(0)],
        );
        self.write_sizes(p);
        if let Some(efi) = self.efi {
            put(p, at::EFI_INFO, &efi.info(memmap));
        }
        let running = self.firmware.boot_params.as_deref().unwrap_or_default();
        let rsdp = u64_at(running, at::ACPI_RSDP_ADDR).filter(|a| *a != 0);
        let rsdp = rsdp.or(self.firmware.acpi_rsdp).unwrap_or(0);
        put(p, at::ACPI_RSDP_ADDR, &rsdp.to_le_bytes());
        // A decompressor clears it, and finds it again in a guest that has one.
        let blob = match self.start {
            KernelStart::AsItIs => u32_at(running, at::CC_BLOB_ADDRESS).unwrap_or(0),
            KernelStart::Unpacked { .. } => 0,
        };
        put(p, at::CC_BLOB_ADDRESS, &blob.to_le_bytes());
        put(
            p,
            at::SECURE_BOOT,
            &[u8_at(running, at::SECURE_BOOT).unwrap_or(0)],
        );
        let subarch = u32_at(running, at::HARDWARE_SUBARCH).unwrap_or(0);
        put(p, at::HARDWARE_SUBARCH, &subarch.to_le_bytes());
        copy_edd(p, running);
    }

    /// How much memory there is from 1 MiB on without a hole, for programs that
    /// look at nothing else: `alt_mem_k`, and in 16 bits `ext_mem_k`.
    fn write_sizes(&self, p: &mut [u8]) {
        let kib = upper_kib(self.map);
        let alt = u32::try_from(kib).unwrap_or(u32::MAX);
        // The 16-bit field never says more than 63 MiB.
        let ext = u16::try_from(kib.min(0xfc00)).unwrap_or(0);
        put(p, at::ALT_MEM_K, &alt.to_le_bytes());
        put(p, at::SCREEN_INFO + screen::EXT_MEM_K, &ext.to_le_bytes());
    }
}

/// RAM from 1 MiB up to the first hole, in KiB.
pub(super) fn upper_kib(map: &[MapEntry]) -> u64 {
    run_of_ram(map, 1 << 20).len() / 1024
}

/// RAM that begins at or before `from`, up to the first hole.
pub(super) fn run_of_ram(map: &[MapEntry], from: u64) -> Range {
    let mut end = from;
    for entry in map.iter().filter(|e| e.kind == MemoryKind::Ram) {
        if entry.range.start <= end && entry.range.end > end {
            end = entry.range.end;
        }
    }
    Range::new(from, end)
}

/// What the BIOS told of its disks; the numbers of entries bounded by the
/// tables' sizes.
fn copy_edd(p: &mut [u8], running: &[u8]) {
    let count = |at: usize, max: u8| u8_at(running, at).unwrap_or(0).min(max);
    put(p, at::EDDBUF_ENTRIES, &[count(at::EDDBUF_ENTRIES, EDD_MAX)]);
    let signatures = count(at::EDD_MBR_SIG_BUF_ENTRIES, EDD_MBR_SIG_MAX);
    put(p, at::EDD_MBR_SIG_BUF_ENTRIES, &[signatures]);
    for (at, len) in [
        (at::EDD_MBR_SIG_BUFFER, EDD_MBR_SIG_LEN),
        (at::EDDBUF, EDDBUF_LEN),
    ] {
        put(
            p,
            at,
            running.get(at..at.saturating_add(len)).unwrap_or_default(),
        );
    }
}

fn wide(p: &mut [u8], low_at: usize, high_at: usize, value: u64) {
    let (low, high) = halves(value);
    put(p, low_at, &low.to_le_bytes());
    put(p, high_at, &high.to_le_bytes());
}

fn part(name: &str, base: u64, start: usize, end: usize) -> Part {
    let at = |offset: usize| base.saturating_add(len_u64(offset));
    Part {
        name: name.to_owned(),
        range: Range::new(at(start), at(end)),
    }
}
