//! What a classic plan says beside its ranges, put into words once for the
//! table and the picture.

use kexec_plan::LoadPlan;
use kexec_plan::classic::{ExitMode, Integrity, SEGMENT_MAX, Segment, SegmentKind};

use super::words::{bytes, counted, percent, visible};

/// How many bytes of the segment the purgatory checks.
pub fn checked(plan: &LoadPlan, segment: usize) -> u64 {
    let checks = plan.purgatory.checks.iter();
    let mine = checks.filter(|c| c.segment == segment);
    mine.fold(0, |sum, c| sum.saturating_add(c.len))
}

/// The segment's name, with the file that it is when that is all it is.
pub fn title(segment: &Segment) -> String {
    let name = visible(&segment.name);
    match segment.content.as_slice() {
        [one] if segment.parts.is_empty() && one.origin != segment.name => {
            format!("{name}: {}", visible(&one.origin))
        }
        _ => name,
    }
}

/// What lies at `address`: `parameters, boot_params`, `kernel+0x200`.
fn place(plan: &LoadPlan, address: u64) -> Option<String> {
    let segment = plan.segments.iter().find(|s| s.memory.contains(address))?;
    let name = visible(&segment.name);
    let part = segment.parts.iter().find(|p| p.range.start == address);
    Some(match (part, address.saturating_sub(segment.memory.start)) {
        (Some(part), _) => format!("{name}, {}", visible(&part.name)),
        (None, 0) => name,
        (None, offset) => format!("{name}+{offset:#x}"),
    })
}

/// A register at the next kernel's first instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// Its name in the mode of that moment.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// What it means.
    pub meaning: String,
}

/// The registers that mean something, the instruction pointer first.
pub fn registers(plan: &LoadPlan) -> Vec<Register> {
    let exit = &plan.purgatory.exit;
    let names = match exit.mode {
        ExitMode::Long64 | ExitMode::Long64FourLevel { .. } => ["RIP", "RAX", "RBX", "RSI", "RDI"],
        ExitMode::Protected32 => ["EIP", "EAX", "EBX", "ESI", "EDI"],
    };
    let values = [exit.rip, exit.rax, exit.rbx, exit.rsi, exit.rdi];
    let register = |(name, value)| Register {
        name,
        value,
        meaning: match (name, value) {
            // What a boot loader of this kind leaves there (Multiboot
            // specification 0.6.96, section 3.2; Multiboot2 specification
            // 2.0, section 3.3).
            ("EAX" | "RAX", 0x2bad_b002) => "multiboot".into(),
            ("EAX" | "RAX", 0x36d7_6289) => "multiboot2".into(),
            ("EAX" | "RAX", 0x0e1f_b007) => "ELF boot notes".into(),
            _ => place(plan, value).unwrap_or_default(),
        },
    };
    let all = names.into_iter().zip(values).map(register);
    // All but the instruction pointer are 0 unless they are used.
    all.enumerate()
        .filter(|(at, r)| *at == 0 || r.value != 0)
        .map(|(_, r)| r)
        .collect()
}

/// What the other registers hold.
pub const OTHERS: &str = "all others are 0; the stack is in the purgatory";

/// An address with what lies there.
pub fn address(plan: &LoadPlan, address: u64) -> String {
    match place(plan, address) {
        Some(place) => format!("{address:#x} ({place})"),
        None => format!("{address:#x} (in no segment)"),
    }
}

/// The way from the running kernel into the next one: the jump to the
/// purgatory, what that does, and the jump from there.
pub fn jumps(plan: &LoadPlan) -> [String; 3] {
    [
        format!("this kernel jumps to {}", address(plan, plan.entry)),
        format!("the purgatory {}", integrity(plan)),
        format!(
            "and jumps to {} in {}",
            address(plan, plan.purgatory.exit.rip),
            mode(plan)
        ),
    ]
}

/// The mode of the processor at that moment.
fn mode(plan: &LoadPlan) -> &'static str {
    match plan.purgatory.exit.mode {
        ExitMode::Long64 => "64-bit mode, everything mapped one to one",
        ExitMode::Protected32 => "32-bit protected mode, no paging, flat segments",
        ExitMode::Long64FourLevel { .. } => {
            "64-bit mode with four-level paging, everything mapped one to one"
        }
    }
}

/// What the purgatory checks before it jumps on.
fn integrity(plan: &LoadPlan) -> String {
    let checks = &plan.purgatory.checks;
    let name = match plan.purgatory.integrity {
        Integrity::Crc32c => "CRC-32C",
        Integrity::Sha256 => "SHA-256",
        Integrity::None => return "checks nothing (-i)".into(),
    };
    let sum = checks.iter().fold(0_u64, |s, c| s.saturating_add(c.len));
    let segments = counted(checks.len(), "segment");
    format!("checks {} of {segments} with {name}", bytes(sum))
}

/// How much it is and how much it could be.
pub fn budget(plan: &LoadPlan) -> String {
    format!(
        "{} of at most {}, {} of at most {} ({})",
        plan.segments.len(),
        SEGMENT_MAX,
        bytes(plan.total),
        bytes(plan.limit),
        percent(plan.total, plan.limit),
    )
}

/// What a kind of segment is, for a legend.
pub const fn kind(kind: SegmentKind) -> &'static str {
    match kind {
        SegmentKind::Kernel => "kernel",
        SegmentKind::Initrd => "initrd",
        SegmentKind::Parameters => "parameters",
        SegmentKind::Module => "module",
        SegmentKind::CoreHeader => "ELF core header",
        SegmentKind::Measurements => "measurements",
        SegmentKind::PageTables => "page tables",
        SegmentKind::Purgatory => "purgatory",
        SegmentKind::Backup => "backup, no content",
    }
}
