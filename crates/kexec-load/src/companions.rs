//! Adds to a UKI what its stub would: the files beside it were read with the
//! kernel, and `kexec_image` knows what becomes of them.

use kexec_image::formats::uki;
use kexec_image::formats::uki::companions::{Companion, Platform, added};
use kexec_image::{Image, Layer};

use crate::Error;
use crate::inputs::Inputs;
use crate::request::LoadRequest;
use kexec_machine::Snapshot;

/// Adds to a UKI what its stub would, where the request has it started like that.
///
/// # Errors
/// [`Error::Refused`], when a file beside it cannot be handed over.
pub fn complete(
    request: &LoadRequest,
    inputs: &Inputs,
    image: &mut Image,
    host: &Snapshot,
) -> Result<(), Error> {
    let Some(wanted) = &request.companions else {
        return Ok(());
    };
    let is_uki = |layer: &&Layer| layer.format == uki::FORMAT.name;
    let whole = image.layers.iter().find(is_uki).map(|l| l.bytes.clone());
    let (Some(uki), Some(whole)) = (&mut image.uki, whole) else {
        return Ok(());
    };
    let read = wanted.iter().zip(&inputs.companions);
    let companions: Vec<Companion> = read
        .map(|(companion, input)| Companion {
            path: companion.place.clone(),
            content: input.sealed.bytes(),
        })
        .collect();
    let platform = Platform {
        arch: host.arch,
        secure_boot: host.security.secure_boot.is_true(),
    };
    uki.added = added(uki, &whole, &companions, platform).map_err(|why| {
        Error::refused(
            format!("the files beside {}", request.kernel),
            why,
            "rename or remove that file",
        )
    })?;
    Ok(())
}
