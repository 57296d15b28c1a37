//! The kernel inside of a bzImage, taken out and moved to where it will run.

use kexec_image::decompress::Checked;
use kexec_image::{Image, ImageError, Kernel};
use kexec_machine::Snapshot;
use kexec_plan::classic::UnpackedKernel;
use kexec_plan::unpack::memory::{Room, kernel_room};
use kexec_plan::{Cmdline, FilePlan, kaslr};

use crate::demand::held_by_kernel;
use crate::inputs::{Carried, Inputs, image_options};
use crate::request::LoadRequest;
use kexec_plan::size::Memory;

/// The kernel out of a bzImage.
#[derive(Debug)]
pub struct InnerKernel {
    /// It, moved to where it will run in its own mapping.
    pub kernel: UnpackedKernel,
    /// What was proved of it while it was unpacked.
    pub payload: Checked,
}

/// Takes the kernel of a request out of its bzImage, to at most the memory that there is,
/// and moves it.
///
/// # Errors
/// Why it cannot be, for people.
pub(crate) fn take_out(
    request: &LoadRequest,
    inputs: &Inputs,
    image: &Image,
    plan: &FilePlan,
    host: &Snapshot,
) -> Result<InnerKernel, String> {
    let usable = host.memory.usable();
    let room = match usable.bytes.known() {
        Some(available) => kernel_room(
            *available,
            inputs.total(),
            held_by_kernel(image, plan),
            u64::try_from(plan.initrd_len()).unwrap_or(u64::MAX),
            usable.limit.as_deref(),
        ),
        None => Room {
            most: image_options(request.profile, inputs, host).max_output,
            because: "how much memory is free is unknown".to_owned(),
        },
    };
    let taken_out = unpack(image, &plan.cmdline, &inputs.carried, &room);
    // Only its header is needed from here on.
    inputs.unmap_kernel();
    taken_out
}

/// Takes the kernel out, to at most what there is room for, and moves it to where it will run in its
/// own mapping.
///
/// # Errors
/// Why it cannot be, for people.
fn unpack(
    image: &Image,
    cmdline: &Cmdline,
    carried: &Carried,
    room: &Room,
) -> Result<InnerKernel, String> {
    let Kernel::BzImage(bzimage) = &image.kernel else {
        return Err("it is no bzImage".to_owned());
    };
    let (mut inner, payload) =
        bzimage
            .unpack_checked(&image.bytes, room.most)
            .map_err(|error| match error {
                ImageError::TooLarge { .. } => format!(
                    "unpacked, it is larger than the part of the free memory that it may take, \
                     {}: {}",
                    Memory(room.most),
                    room.because
                ),
                other => other.to_string(),
            })?;
    let memory_len = inner.memory_len();
    let mut seed = None;
    if inner.is_movable() && !kaslr::is_off(cmdline) {
        let [mapping, place] = carried
            .kaslr
            .ok_or("the running kernel has no random numbers yet, by which it is placed")?;
        let (linked, step) = (bzimage.pref_address, bzimage.kernel_step());
        inner.relocate(kaslr::virtual_move(
            linked,
            inner.place_len(),
            step,
            mapping,
        ));
        seed = Some(place);
    }
    let (elf, bytes) = inner.into_bytes();
    Ok(InnerKernel {
        kernel: UnpackedKernel {
            elf,
            bytes,
            memory_len,
            seed,
        },
        payload,
    })
}
