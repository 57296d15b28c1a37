//! The kernel out of a bzImage, started without the program that would unpack it.
//!
//! That program leaves one run of memory behind: each segment where its physical address
//! says, counted from the first; and tells the kernel in boot_params whether it was placed
//! at random. The same is done here before the jump. docs/unpacking.md lists what else the
//! program does, kernel by kernel, and why nothing of it is missing.

use kexec_image::BzImage;
use kexec_image::fields::len;
use kexec_image::formats::bzimage::xloadflags;

use super::four_level;
use super::kaslr::{Slots, allowed};
use super::layout::{CEILING, LARGE_PAGE, PAGE};
use super::linux::{Start, builder, finish};
use super::paging;
use super::params::{Header, KernelStart};
use crate::classic::elf::{content_len, physical_entry, runs};
use crate::classic::{
    Builder, ClassicError, ClassicRequest, Draft, ExitMode, KaslrSeed, LoadPlan, SegmentKind,
    UnpackedKernel,
};
use crate::memory::Range;
use crate::memory::range::align_up;

/// Makes the plan. `image` is what the kernel was in.
pub(super) fn plan(
    request: &ClassicRequest<'_>,
    image: &BzImage,
    kernel: &UnpackedKernel,
) -> Result<LoadPlan, ClassicError> {
    let Some(mut seed) = kernel.seed else {
        return with(request, image, kernel, None);
    };
    for _ in 0..DRAWS {
        match with(request, image, kernel, Some(seed)) {
            // In the middle of memory, a kernel may leave no hole for a large initrd.
            Err(ClassicError::NoRoom(_)) => seed = KaslrSeed(seed.0.wrapping_add(NEXT_SEED)),
            planned => return planned,
        }
    }
    let mut plan = with(request, image, kernel, None)?;
    plan.notes.push(NOT_RANDOM.to_owned());
    Ok(plan)
}

/// How often a place is drawn that leaves a hole for everything else.
const DRAWS: usize = 16;

/// From one draw to the next: what `Slots::pick` goes on by.
const NEXT_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Said where no place could be drawn.
const NOT_RANDOM: &str =
    "the kernel is not placed at random in physical memory: no place is left for that";

/// The same with this seed for the place in physical memory.
fn with(
    request: &ClassicRequest<'_>,
    image: &BzImage,
    kernel: &UnpackedKernel,
    seed: Option<KaslrSeed>,
) -> Result<LoadPlan, ClassicError> {
    let entry = physical_entry(&kernel.elf)?;
    let run = runs(&kernel.elf, &kernel.bytes, request.path, true, PAGE)?;
    let run = run
        .into_iter()
        .next()
        .ok_or_else(|| wrong("nothing to load"))?;
    let linked = run.range.start;
    let mut builder = builder(request)?;
    let filled = content_len(&run.content);
    // Large pages map it, so all of the last one is memory.
    let size = align_up(kernel.memory_len.max(filled), LARGE_PAGE)
        .ok_or_else(|| wrong("it goes beyond the address space"))?;
    let draft = Draft {
        name: "kernel".into(),
        kind: SegmentKind::Kernel,
        size,
        check_len: filled,
        content: run.content,
    };
    let align = image.kernel_step();
    let start = Start {
        method: "the kernel out of the bzImage, 64-bit entry".into(),
        mode: ExitMode::Long64,
        header: Header::Image {
            file: &request.image.bytes,
            end: image.header_end,
        },
        cmdline_max: image.cmdline_size.into(),
        initrd_end: CEILING,
        small_end: CEILING,
        efi: image.xloadflags & xloadflags::EFI_KEXEC != 0,
        four_level: four_level::needed(request, paging::takes_five(image)),
        start: KernelStart::Unpacked {
            kaslr: kernel.seed.is_some(),
        },
    };
    // What the decompressor would have needed for its choice: the file, or the memory.
    let needed = size.max(len(&kernel.bytes));
    let chosen =
        seed.and_then(|seed| at_random(&mut builder, request, linked, needed, align, seed));
    let at = match chosen {
        Some(at) => {
            builder.put(draft, at)?;
            at
        }
        None => builder.place(draft, align, Range::new(linked, CEILING))?,
    };
    let rip = entry.wrapping_sub(linked).wrapping_add(at);
    finish(builder, request, &start, at, rip)
}

/// A place at random, if there is one.
fn at_random(
    builder: &mut Builder<'_>,
    request: &ClassicRequest<'_>,
    linked: u64,
    len: u64,
    align: u64,
    seed: KaslrSeed,
) -> Option<u64> {
    let free = allowed(&builder.free(), &request.memory.removable, request.cmdline);
    let slots = Slots::new(&free, len, align, linked);
    let cost = |at| builder.handed_out(Range::new(at, at.saturating_add(len)));
    let at = slots.pick(seed, cost);
    if at.is_none() {
        builder.note(NOT_RANDOM);
    }
    at
}

fn wrong(reason: &str) -> ClassicError {
    ClassicError::Layout {
        format: "vmlinux",
        reason: reason.to_owned(),
    }
}
