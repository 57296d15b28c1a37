//! Where our boot_params are not those of another loader, and why.

use kexec_lab::GuestFirmware;

/// Whose boot_params ours are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// `kexec_file_load(2)`: those of the running kernel.
    File,
    /// kexec-tools with `kexec_load(2)`.
    Tools,
    /// Our own with the bzImage, where the other kernel was unpacked before the jump.
    BzImage,
}

impl Against {
    fn name(self) -> &'static str {
        match self {
            Against::File => "`-s`",
            Against::Tools => "kexec-tools",
            Against::BzImage => "the bzImage",
        }
    }
}

/// The values of one field.
#[derive(Debug)]
pub struct Pair {
    pub theirs: String,
    pub ours: String,
    /// The second kernel's EFI runtime map.
    pub runtime_map: String,
}

/// One difference.
pub struct Difference {
    /// The field's name in `BootParams::facts`.
    pub field: &'static str,
    pub against: &'static [Against],
    /// Under which firmware it is seen.
    pub firmware: &'static [GuestFirmware],
    /// With which kernels.
    pub kernels: &'static [&'static str],
    /// What the others write, what we write, and why that is right.
    pub reason: &'static str,
    /// Whether the values are what the reason says.
    pub holds: fn(&Pair) -> bool,
}

impl Difference {
    pub fn is_expected(&self, against: Against, label: &str, firmware: GuestFirmware) -> bool {
        let machine = self.firmware.contains(&firmware) && self.kernels.contains(&label);
        machine && self.against.contains(&against)
    }

    /// The row of docs/boot-params.md.
    pub fn row(&self) -> String {
        let against: Vec<&str> = self.against.iter().map(|a| a.name()).collect();
        let firmware: Vec<&str> = self.firmware.iter().map(|f| f.name()).collect();
        format!(
            "| `{}` | {} | {} | {} |",
            self.field,
            against.join(", "),
            firmware.join(", "),
            self.reason
        )
    }
}

const BOTH: &[GuestFirmware] = &GuestFirmware::ALL;
const OVMF: &[GuestFirmware] = &[GuestFirmware::Ovmf];
const ALL: &[&str] = &["6.1", "6.12", "7.x"];

const FILE: &[Against] = &[Against::File];
const TOOLS: &[Against] = &[Against::Tools];
const BZIMAGE: &[Against] = &[Against::BzImage];
const EACH: &[Against] = &[Against::File, Against::Tools];

/// Every known difference.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        field: "alt_mem_k",
        against: EACH,
        firmware: BOTH,
        kernels: ALL,
        reason: "one KiB less there: the last byte is taken for the end",
        holds: one_more,
    },
    Difference {
        field: "screen_info.ext_mem_k",
        against: EACH,
        firmware: OVMF,
        kernels: ALL,
        reason: "the same number in 16 bits",
        holds: one_more,
    },
    Difference {
        field: "code32_start",
        against: EACH,
        firmware: BOTH,
        kernels: ALL,
        reason: "the default of the kernel's file there; ours is where the kernel is",
        holds: |p| p.theirs == "0x100000" && number(&p.ours).is_multiple_of(0x20_0000),
    },
    Difference {
        field: "code32_start",
        against: BZIMAGE,
        firmware: BOTH,
        kernels: ALL,
        reason: "each is where that kernel is, of which the unpacked one was placed at random",
        holds: |p| number(&p.ours).is_multiple_of(0x20_0000),
    },
    Difference {
        field: "loadflags",
        against: EACH,
        firmware: BOTH,
        kernels: ALL,
        reason: "LOADED_HIGH is cleared there; it is set in the kernel's file, and true",
        holds: |p| number(&p.ours) == number(&p.theirs) | 1,
    },
    Difference {
        field: "SETUP_EFI.runtime",
        against: FILE,
        firmware: OVMF,
        kernels: ALL,
        reason: "0 there: kernels do not read it from 5.7 on; older ones need it",
        holds: |p| p.theirs == "0x0" && number(&p.ours) != 0,
    },
    Difference {
        field: "efi_info.efi_memdesc_size",
        against: FILE,
        firmware: OVMF,
        kernels: ALL,
        reason: "the firmware's there, with padding; ours is the length of what is written",
        holds: |p| p.theirs == "0x30" && p.ours == "0x28",
    },
    Difference {
        field: "efi_info.efi_memmap_size",
        against: FILE,
        firmware: OVMF,
        kernels: ALL,
        reason: "as many descriptors, each of them shorter",
        holds: |p| number(&p.theirs) / 0x30 == number(&p.ours) / 0x28,
    },
    Difference {
        field: "e820_table",
        against: FILE,
        firmware: OVMF,
        kernels: ALL,
        reason: "memory of the EFI runtime map that is RAM there is reserved in ours: tables in it are read after the jump",
        holds: |p| runtime_memory_reserved(p, |_| {}),
    },
    Difference {
        field: "e820_table",
        against: TOOLS,
        firmware: BOTH,
        kernels: ALL,
        reason: "the first KiB is left out there; ours is the firmware's, as with `-s`; under EFI also as above",
        holds: |p| {
            runtime_memory_reserved(p, |theirs| {
                if let Some((start @ 0x400, ..)) = theirs.first_mut() {
                    *start = 0;
                }
            })
        },
    },
    Difference {
        field: "screen_info.cl_magic",
        against: TOOLS,
        firmware: BOTH,
        kernels: ALL,
        reason: "a second pointer to the command line there, for kernels before protocol 2.02",
        holds: |p| p.theirs.ends_with("a33f") && p.ours == "0x0",
    },
    Difference {
        field: "boot_flag",
        against: TOOLS,
        firmware: BOTH,
        kernels: ALL,
        reason: "its second byte is cleared there; boot.rst says 0xAA55",
        holds: |p| p.theirs == "0x55" && p.ours == "0xaa55",
    },
    Difference {
        field: "root_dev",
        against: TOOLS,
        firmware: BOTH,
        kernels: ALL,
        reason: "/dev/hda there; ours is the kernel file's, as with `-s`",
        holds: |p| p.theirs == "0x300" && p.ours == "0x0",
    },
    Difference {
        field: "root_flags",
        against: TOOLS,
        firmware: BOTH,
        kernels: ALL,
        reason: "all bits set there; ours is the kernel file's, as with `-s`",
        holds: |p| p.theirs == "0xffff" && p.ours == "0x1",
    },
    Difference {
        field: "secure_boot",
        against: TOOLS,
        firmware: OVMF,
        kernels: ALL,
        reason: "not handed on there: the next kernel then does not know whether Secure Boot is on",
        holds: |p| p.theirs == "0x0" && number(&p.ours) != 0,
    },
];

fn number(text: &str) -> u64 {
    let digits = text.trim_start_matches("0x");
    u64::from_str_radix(digits, 16).unwrap_or(u64::MAX)
}

fn one_more(p: &Pair) -> bool {
    number(&p.ours).checked_sub(number(&p.theirs)) == Some(1)
}

/// Start, end and type of the entries of a memory map.
type Map = Vec<(u64, u64, String)>;

fn entries(text: &str) -> Map {
    let entry = |line: &str| {
        let (range, kind) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        Some((number(start), number(end), kind.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

/// Whether the maps are the same but for memory of the EFI runtime map, which
/// is RAM there and reserved here; after `change` of their map.
fn runtime_memory_reserved(p: &Pair, change: fn(&mut Map)) -> bool {
    let runtime: Vec<(u64, u64)> = p.runtime_map.lines().filter_map(descriptor).collect();
    let mut theirs = entries(&p.theirs);
    change(&mut theirs);
    let mut ours: Map = Vec::new();
    for (start, end, kind) in entries(&p.ours) {
        let in_ram = |m: &(u64, u64, String)| m.2 == "1" && m.0 <= start && end <= m.1;
        let kept = runtime.contains(&(start, end)) && theirs.iter().any(in_ram);
        let kind = if kept { "1".to_owned() } else { kind };
        match ours.last_mut() {
            Some(last) if last.1 == start && last.2 == kind => last.1 = end,
            _ => ours.push((start, end, kind)),
        }
    }
    theirs == ours
}

/// Start and end of a line of the runtime map: type, physical address, virtual
/// address, pages, attribute.
fn descriptor(line: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = line.split(' ').collect();
    let start = number(words.get(1)?);
    let pages = number(words.get(3)?);
    Some((start, start.checked_add(pages.checked_mul(4096)?)?))
}
