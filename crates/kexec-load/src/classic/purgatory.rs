//! The purgatory of a plan: what it has to find in memory, computed over what
//! will be loaded, and the state in which it leaves the processor.

use kexec_plan::classic::{
    CheckRegion, ClassicError, Exit, ExitMode, Integrity, LoadPlan, PurgatoryShape, Segment,
    SegmentKind,
};
use kexec_plan::token::{STAMP, STAMP_ROOM};
use kexec_purgatory::{
    BLOB, Backup, Check, Console, Crc32c, EntryState, JumpBack, Label, Mode, Params,
    PurgatoryError, Region, Stack,
};
use sha2::{Digest as _, Sha256};

use kexec_machine::Snapshot;

/// What the caller can ask of the purgatory, besides what is in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PurgatoryOptions {
    /// `--reset-vga`: set a VGA to text mode first.
    pub reset_vga: bool,
    /// Say a word before the check and before the jump.
    pub hello: bool,
}

/// Why a plan has no purgatory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PurgatoryFailure {
    /// It cannot be made for these parameters.
    #[error(transparent)]
    Params(#[from] PurgatoryError),
    /// It does not fit in its place.
    #[error(transparent)]
    Plan(#[from] ClassicError),
    /// What the plan says of a segment to be checked contradicts itself.
    #[error(
        "{name}: {len:#x} bytes at {start:#x} should be checked, but segment {segment} does not \
         hold them: {reason}"
    )]
    Check {
        /// The segment's name.
        name: String,
        /// Which of the plan's segments it is, counted from 0.
        segment: usize,
        /// Where the check begins.
        start: u64,
        /// How many bytes it covers.
        len: u64,
        /// What does not fit.
        reason: String,
    },
}

impl PurgatoryFailure {
    /// What to do about it.
    pub fn remedy(&self) -> &str {
        match self {
            PurgatoryFailure::Params(PurgatoryError::NotBuilt(_)) => {
                "use a build for x86_64, or load with kexec_file_load (-s)"
            }
            PurgatoryFailure::Params(_) => {
                "kexec plan shows where everything goes; with -s the kernel places it"
            }
            PurgatoryFailure::Plan(e) => e.remedy(),
            PurgatoryFailure::Check { .. } => {
                "this is a bug in kexec: please report it with the output of kexec plan"
            }
        }
    }
}

/// What the planner has to know of the purgatory.
///
/// # Errors
/// None was built for this architecture.
pub fn purgatory_shape() -> Result<PurgatoryShape, PurgatoryError> {
    let blob = BLOB
        .as_ref()
        .ok_or(PurgatoryError::NotBuilt(kexec_purgatory::UNAVAILABLE))?;
    Ok(PurgatoryShape {
        size: blob.size,
        align: kexec_purgatory::ALIGN,
        entry_offset: blob.entry,
    })
}

/// How fast the machine's time-stamp counter runs, kHz; 0 where that is not
/// known, which the purgatory can do with.
pub fn tsc_khz(host: &Snapshot) -> u64 {
    host.firmware.tsc_khz.known().copied().unwrap_or(0)
}

/// Makes the purgatory of `plan` and puts it in its place. Reads everything
/// that is to be checked once, and copies nothing.
///
/// # Errors
/// No purgatory was built for this architecture, or the plan asks for what
/// none can do.
pub fn purgatory(
    plan: &mut LoadPlan,
    consoles: &[Console],
    tsc_khz: u64,
    options: &PurgatoryOptions,
) -> Result<(), PurgatoryFailure> {
    let params = params(plan, consoles, tsc_khz, options)?;
    let image = kexec_purgatory::image(plan.purgatory.base, &params)?;
    plan.set_purgatory(image.into())?;
    Ok(())
}

fn params(
    plan: &LoadPlan,
    consoles: &[Console],
    tsc_khz: u64,
    options: &PurgatoryOptions,
) -> Result<Params, PurgatoryFailure> {
    let spec = &plan.purgatory;
    let mut params = Params::new(entry_state(spec.exit, plan.preserve_context));
    params.regions = spec
        .checks
        .iter()
        .map(|check| region(plan, check))
        .collect::<Result<_, _>>()?;
    params.consoles = consoles.to_vec();
    params.tsc_khz = tsc_khz;
    params.jump_back = spec.jump_back.map(|range| JumpBack {
        cmdline: range.start,
        capacity: range.len(),
    });
    params.stamp = stamp(plan);
    params.backup = spec.copy.map(|copy| Backup {
        source: copy.from.start,
        destination: copy.to,
        len: copy.from.len(),
    });
    params.reset_vga = options.reset_vga;
    params.hello = options.hello;
    Ok(params)
}

/// Where the next command line has room for the time of the jump: a part of the
/// parameters, which lie in memory as they are loaded.
fn stamp(plan: &LoadPlan) -> Option<u64> {
    let room = STAMP_ROOM.as_bytes();
    let at = |bytes: &[u8]| bytes.windows(room.len()).position(|w| w == room);
    // Most command lines have none, and the parameters need not be searched.
    at(plan.cmdline.as_bytes())?;
    let segment = plan.segment(SegmentKind::Parameters)?;
    let found = at(&segment.bytes())?;
    let digits = found.checked_add(STAMP.len() + 1)?;
    segment
        .memory
        .start
        .checked_add(u64::try_from(digits).ok()?)
}

fn entry_state(exit: Exit, preserve_context: bool) -> EntryState {
    let (mode, stack) = match exit.mode {
        // What is jumped to may return to the old kernel; Linux, which does
        // not, takes a stack of its own at once.
        ExitMode::Long64 if preserve_context => (Mode::Long64, Stack::Caller),
        ExitMode::Long64 => (Mode::Long64, Stack::Purgatory),
        ExitMode::Protected32 => (Mode::Protected32, Stack::Purgatory),
        ExitMode::Long64FourLevel { page_tables } => {
            (Mode::Long64FourLevel { page_tables }, Stack::Purgatory)
        }
    };
    let mut state = EntryState::new(mode, exit.rip);
    state.stack = stack;
    state.rax = exit.rax;
    state.rbx = exit.rbx;
    state.rsi = exit.rsi;
    state.rdi = exit.rdi;
    state
}

fn region(plan: &LoadPlan, check: &CheckRegion) -> Result<Region, PurgatoryFailure> {
    let wrong = |reason: String| PurgatoryFailure::Check {
        name: check.name.clone(),
        segment: check.segment,
        start: check.start,
        len: check.len,
        reason,
    };
    let segment = plan.segments.get(check.segment);
    let segment = segment.ok_or_else(|| wrong("there is no such segment".to_owned()))?;
    if check.start != segment.memory.start || check.len > segment.memory.len() {
        return Err(wrong(format!("it is at {}", segment.memory)));
    }
    let expected = match plan.purgatory.integrity {
        Integrity::None => Check::None,
        Integrity::Crc32c => {
            let mut crc = Crc32c::new();
            walk(segment, check.len, |run| match run {
                MemoryRun::Bytes(bytes) => crc.update(bytes),
                MemoryRun::Zeros(len) => crc.zeros(len),
            })
            .map_err(wrong)?;
            Check::Crc32c(crc.finish())
        }
        Integrity::Sha256 => {
            let mut sha = Sha256::new();
            walk(segment, check.len, |run| match run {
                MemoryRun::Bytes(bytes) => sha.update(bytes),
                MemoryRun::Zeros(len) => sha256_zeros(&mut sha, len),
            })
            .map_err(wrong)?;
            Check::Sha256(sha.finalize().into())
        }
    };
    Ok(Region {
        start: check.start,
        len: check.len,
        label: Label::new(&check.name),
        check: expected,
    })
}

/// What memory will hold, run by run.
enum MemoryRun<'a> {
    Bytes(&'a [u8]),
    Zeros(u64),
}

/// The first `len` bytes of a segment as they will be in memory: its content,
/// and zeros behind that.
///
/// # Errors
/// A piece does not have the bytes that it says.
fn walk(segment: &Segment, len: u64, mut each: impl FnMut(MemoryRun<'_>)) -> Result<(), String> {
    let mut left = len;
    for piece in &segment.content {
        if piece.bytes.len() != piece.len {
            return Err(format!(
                "{} has {} bytes, expected {}",
                piece.origin,
                piece.bytes.len(),
                piece.len
            ));
        }
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        let bytes = &piece.bytes;
        let bytes = bytes.get(..wanted.min(bytes.len())).unwrap_or_default();
        each(MemoryRun::Bytes(bytes));
        left = left.saturating_sub(u64_of(bytes.len()));
        let zeros = left.min(u64_of(piece.padding));
        each(MemoryRun::Zeros(zeros));
        left = left.saturating_sub(zeros);
        if left == 0 {
            break;
        }
    }
    each(MemoryRun::Zeros(left));
    Ok(())
}

fn u64_of(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn sha256_zeros(sha: &mut Sha256, len: u64) {
    const PAGE: [u8; 4096] = [0; 4096];
    let mut left = len;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(PAGE.len());
        let part = PAGE.get(..part.min(PAGE.len())).unwrap_or(&PAGE);
        sha.update(part);
        left = left.saturating_sub(u64_of(part.len()));
    }
}
