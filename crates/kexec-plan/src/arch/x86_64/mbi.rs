//! What a multiboot kernel is told: the boot information of Multiboot 0.6.96,
//! 3.3, and of Multiboot2 2.0, 3.6 (here: 1 and 2).

use super::params::{run_of_ram, upper_kib};
use super::video::Framebuffer;
use crate::Cmdline;
use crate::classic::Part;
use crate::memory::{MapEntry, MemoryKind, Range};
use kexec_image::fields::{halves, len_u64, pad, put};

/// `boot_loader_name`.
const LOADER: &[u8] = b"kexec-rs";

/// What it is made from.
#[derive(Debug)]
pub(super) struct Info<'a> {
    pub cmdline: &'a Cmdline,
    pub map: &'a [MapEntry],
    /// Where each module is, and its string.
    pub modules: &'a [(Range, Cmdline)],
    pub rsdp: Option<&'a [u8]>,
    pub framebuffer: Option<Framebuffer>,
    /// Where a kernel that was moved is (version 2).
    pub load_base: Option<u64>,
}

/// A finished structure and what is where in it.
#[derive(Debug)]
pub(super) struct Built {
    pub bytes: Vec<u8>,
    pub parts: Vec<Part>,
}

/// An address below 4 GiB; those that are not were refused before.
fn word(value: u64) -> [u8; 4] {
    u32::try_from(value).unwrap_or(0).to_le_bytes()
}

/// `mem_lower` and `mem_upper`, KiB: RAM from 0, at most 640 KiB, and from
/// 1 MiB, up to the first hole.
fn sizes(map: &[MapEntry]) -> (u64, u64) {
    let lower = run_of_ram(map, 0).len() / 1024;
    (lower.min(640), upper_kib(map).min(u32::MAX.into()))
}

/// Types of version 1: 1 is RAM, "all other values currently indicated a
/// reserved area"; those of ACPI are the same as the firmware's own.
fn kind(kind: MemoryKind) -> u32 {
    match kind {
        MemoryKind::Ram | MemoryKind::AcpiData | MemoryKind::AcpiNvs | MemoryKind::Unusable => {
            kind.code()
        }
        _ => MemoryKind::Reserved.code(),
    }
}

impl Info<'_> {
    /// Version 1 (3.3 "Boot information format"), at `base`.
    pub(super) fn one(&self, base: u64) -> Built {
        const LEN: usize = 88;
        const MODULE_LEN: usize = 16;
        let at = |blob: &Vec<u8>| base.saturating_add(len_u64(blob.len()));
        let mut blob = vec![0; LEN];
        let mut parts = Vec::new();

        let map_at = at(&blob);
        for entry in self.map {
            blob.extend(20_u32.to_le_bytes());
            blob.extend(entry.range.start.to_le_bytes());
            blob.extend(entry.range.len().to_le_bytes());
            blob.extend(kind(entry.kind).to_le_bytes());
        }
        let map_len = at(&blob).saturating_sub(map_at);
        parts.push(part("memory map", map_at, at(&blob)));

        let modules_at = at(&blob);
        let table = blob.len();
        blob.resize(
            table.saturating_add(self.modules.len().saturating_mul(MODULE_LEN)),
            0,
        );
        let mut entry_at = table;
        for (range, string) in self.modules {
            let string_at = at(&blob);
            string_of(&mut blob, string.as_bytes());
            let words = [word(range.start), word(range.end), word(string_at)];
            put(&mut blob, entry_at, words.as_flattened());
            entry_at = entry_at.saturating_add(MODULE_LEN);
        }
        parts.push(part("modules", modules_at, at(&blob)));

        let cmdline_at = at(&blob);
        string_of(&mut blob, self.cmdline.as_bytes());
        parts.push(part("command line", cmdline_at, at(&blob)));
        let loader_at = at(&blob);
        string_of(&mut blob, LOADER);

        // Bits 0 memory, 2 command line, 3 modules, 6 map, 9 loader's name.
        let flags: u32 = 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9;
        let (lower, upper) = sizes(self.map);
        put(&mut blob, 0, &flags.to_le_bytes());
        put(&mut blob, 4, &word(lower));
        put(&mut blob, 8, &word(upper));
        put(&mut blob, 16, &word(cmdline_at));
        put(&mut blob, 20, &word(len_u64(self.modules.len())));
        put(&mut blob, 24, &word(modules_at));
        put(&mut blob, 44, &word(map_len));
        put(&mut blob, 48, &word(map_at));
        put(&mut blob, 64, &word(loader_at));
        parts.insert(0, part("multiboot information", base, map_at));
        Built { bytes: blob, parts }
    }

    /// Version 2 (3.6 "Boot information"), at `base`.
    pub(super) fn two(&self, base: u64) -> Built {
        let mut blob = vec![0; 8];
        tag(&mut blob, 1, &[self.cmdline.as_bytes(), &[0]]);
        tag(&mut blob, 2, &[LOADER, &[0]]);
        for (range, string) in self.modules {
            let place = [word(range.start), word(range.end)];
            tag(
                &mut blob,
                3,
                &[place.as_flattened(), string.as_bytes(), &[0]],
            );
        }
        let (lower, upper) = sizes(self.map);
        tag(&mut blob, 4, &[&word(lower), &word(upper)]);
        let mut map = [24_u32.to_le_bytes(), 0_u32.to_le_bytes()].concat();
        for entry in self.map {
            map.extend(entry.range.start.to_le_bytes());
            map.extend(entry.range.len().to_le_bytes());
            map.extend(kind(entry.kind).to_le_bytes());
            map.extend(0_u32.to_le_bytes());
        }
        tag(&mut blob, 6, &[&map]);
        if let Some(fb) = self.framebuffer {
            tag(&mut blob, 8, &[&framebuffer(fb)]);
        }
        if let Some(rsdp) = self.rsdp {
            // The first version of the table has 20 bytes (ACPI specification
            // 6.5, 5.2.5.3).
            tag(&mut blob, if rsdp.len() <= 20 { 14 } else { 15 }, &[rsdp]);
        }
        if let Some(load_base) = self.load_base {
            tag(&mut blob, 21, &[&word(load_base)]);
        }
        tag(&mut blob, 0, &[]);
        let len = len_u64(blob.len());
        put(&mut blob, 0, &word(len));
        let parts = vec![part(
            "multiboot2 information",
            base,
            base.saturating_add(len),
        )];
        Built { bytes: blob, parts }
    }
}

/// A tag: type, size without padding, content; at a multiple of 8.
fn tag(blob: &mut Vec<u8>, kind: u32, content: &[&[u8]]) {
    let size = content
        .iter()
        .fold(8_usize, |sum, c| sum.saturating_add(c.len()));
    blob.extend(kind.to_le_bytes());
    blob.extend(word(len_u64(size)));
    for bytes in content {
        blob.extend_from_slice(bytes);
    }
    pad(blob, 8);
}

/// 3.6.12 "Framebuffer info", type 1: direct colour.
fn framebuffer(fb: Framebuffer) -> Vec<u8> {
    let (low, high) = halves(fb.base);
    let words = [
        low,
        high,
        u32::from(fb.pitch),
        u32::from(fb.width),
        u32::from(fb.height),
    ];
    let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let [red, red_at, green, green_at, blue, blue_at] = fb.masks;
    let depth = u8::try_from(fb.depth).unwrap_or(0);
    bytes.extend([depth, 1, 0, red_at, red, green_at, green, blue_at, blue]);
    bytes
}

fn string_of(blob: &mut Vec<u8>, text: &[u8]) {
    blob.extend_from_slice(text);
    blob.push(0);
    pad(blob, 4);
}

fn part(name: &str, start: u64, end: u64) -> Part {
    Part {
        name: name.to_owned(),
        range: Range::new(start, end),
    }
}
