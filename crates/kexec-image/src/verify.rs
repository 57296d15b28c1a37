//! Are these the bytes that were built?

use serde::Serialize;

use crate::decompress::Checked;
use crate::formats::bzimage::PayloadCodec;
use crate::{BzImage, Image, ImageError, Kernel, Options, authenticode};

/// One thing that was proven about the bytes of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "proof")]
pub enum Proof {
    /// The Authenticode digest in the signature equals the digest of the file.
    Authenticode {
        /// Which layer, or the kernel itself.
        of: String,
        /// Who signed, for people; the kernel decides whether it trusts them.
        signer: String,
    },
    /// The compressed payload decompressed to the length and checksum it has.
    Payload {
        /// The compression, as in [`crate::decompress::CODECS`].
        codec: String,
        /// Bytes after decompression.
        len: u64,
        /// Whether the codec carries a checksum of its content.
        checksummed: bool,
    },
    /// Nothing but the bounds of headers could be checked.
    Bounds,
}

/// Checks everything that the file says about its own content: the digests of
/// its signatures, and the payload of a bzImage that no signature covers.
///
/// What was proven is returned, strongest first; [`Proof::Bounds`] alone when
/// there was nothing to compare with. Whether a signer is trusted is not asked:
/// the kernel has the keys.
///
/// # Errors
/// When a digest or a checksum does not match, or a payload does not
/// decompress to what the header promises.
pub fn verify(image: &Image) -> Result<Vec<Proof>, ImageError> {
    verify_showing(image, &mut |_| ())
}

/// The same; what a payload unpacks to is shown piece by piece, where it is unpacked for
/// the proof.
///
/// # Errors
/// As [`verify`].
pub fn verify_showing(
    image: &Image,
    show: &mut dyn FnMut(&[u8]),
) -> Result<Vec<Proof>, ImageError> {
    prove(image, |kernel| {
        let cap = Options::default().max_output;
        kernel.check_payload_with(&image.bytes, cap, show)
    })
}

/// The same for an image whose payload was unpacked before, and found to be this.
///
/// # Errors
/// As [`verify`].
pub fn verify_unpacked(image: &Image, payload: Checked) -> Result<Vec<Proof>, ImageError> {
    prove(image, |_| Ok(Some(payload)))
}

fn prove(
    image: &Image,
    unpack: impl FnOnce(&BzImage) -> Result<Option<Checked>, ImageError>,
) -> Result<Vec<Proof>, ImageError> {
    let mut proofs = Vec::new();
    for layer in &image.layers {
        check_signatures(layer.format, &layer.bytes, &mut proofs)?;
    }
    let format = image.kernel.format();
    check_signatures(format, &image.bytes, &mut proofs)?;

    // A digest that matches covers every byte of its file, the payload among
    // them, so decompressing would prove nothing more. It would cost seconds
    // for a payload of xz.
    if proofs.is_empty()
        && let Kernel::BzImage(kernel) = &image.kernel
        && let Some(payload) = &kernel.payload
        && let Some(checked) = unpack(kernel)?
        && let PayloadCodec::Known(codec) = payload.codec
    {
        proofs.push(Proof::Payload {
            codec: codec.to_owned(),
            len: checked.len,
            checksummed: checked.checksummed,
        });
    }
    if proofs.is_empty() {
        proofs.push(Proof::Bounds);
    }
    Ok(proofs)
}

/// Adds a proof for every signature of `bytes` whose digest could be compared.
fn check_signatures(of: &str, bytes: &[u8], proofs: &mut Vec<Proof>) -> Result<(), ImageError> {
    for signature in authenticode::check(bytes)? {
        if signature.unchecked.is_none() {
            proofs.push(Proof::Authenticode {
                of: of.to_owned(),
                signer: signature.signer,
            });
        }
    }
    Ok(())
}
