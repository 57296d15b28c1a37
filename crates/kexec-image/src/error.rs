//! What can be wrong with an image.

use crate::Layer;

/// Why an image was refused. Every variant says what was looked at, what was
/// found and what was expected; [`ImageError::remedy`] says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// No format in the list knows these bytes.
    #[error("not a kernel image of a supported format: {len} bytes that begin {beginning}{inside}")]
    Unknown {
        /// How many bytes there were.
        len: usize,
        /// The first bytes, in hexadecimal.
        beginning: String,
        /// Where the bytes were found, when the kernel was unpacked from a wrapper.
        inside: String,
    },
    /// The file ends before something that its headers promise.
    #[error("{format} cut short: {what} ends at byte {needs}, the file has {has}")]
    Truncated {
        /// The format that the file was read as.
        format: &'static str,
        /// What is not all there.
        what: String,
        /// Where that ends.
        needs: u64,
        /// How long the file is.
        has: u64,
    },
    /// A field has a value that no well-formed file has.
    #[error("malformed {format}: {what} at byte {offset:#x} is {found}, expected {expected}")]
    Malformed {
        /// The format that the file was read as.
        format: &'static str,
        /// The field, by the name that its format gives it.
        what: String,
        /// Where the field is.
        offset: u64,
        /// The value that is there.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// A program that begins in real mode, where it calls the BIOS.
    #[error(
        "{format} that begins in real mode: {field} at byte {offset:#x} is 0, so it has no protected-mode entry that Linux has"
    )]
    RealMode {
        /// The format that the file was read as.
        format: &'static str,
        /// The field that says so.
        field: &'static str,
        /// Where the field is.
        offset: u64,
    },
    /// A compressed stream does not decompress.
    #[error("damaged {codec} data after {produced} bytes of output: {reason}")]
    Codec {
        /// The compression, as in [`crate::decompress::CODECS`].
        codec: &'static str,
        /// How much came out before it failed.
        produced: u64,
        /// What the decoder said.
        reason: String,
    },
    /// A compressed stream grows beyond what is allowed.
    #[error("{codec} data decompresses to more than {cap} bytes")]
    TooLarge {
        /// The compression, as in [`crate::decompress::CODECS`].
        codec: &'static str,
        /// The limit that was hit.
        cap: u64,
    },
    /// A checksum or digest does not match the bytes.
    #[error("{what} does not match: the file says {expected}, its bytes give {found}")]
    Mismatch {
        /// Which checksum, and of what.
        what: String,
        /// What is written in the file.
        expected: String,
        /// What was computed.
        found: String,
    },
    /// Wrappers within wrappers.
    #[error(
        "more than {} wrappers around the kernel; the innermost seen is {format}",
        crate::MAX_LAYERS
    )]
    TooDeep {
        /// The format of the wrapper that was one too many.
        format: &'static str,
    },
    /// A UKI without something that a UKI must have, or a profile it lacks.
    #[error("UKI without {what}; it has {has}")]
    Missing {
        /// What was looked for.
        what: String,
        /// What is there instead.
        has: String,
    },
    /// A well-formed file that uses something nobody taught this program.
    #[error("{what} is not supported, only {known}")]
    Unsupported {
        /// What it uses.
        what: String,
        /// What would have been understood.
        known: String,
    },
}

impl ImageError {
    /// No format knows `bytes`, which were found inside `layers`.
    pub(crate) fn unknown(bytes: &[u8], layers: &[Layer]) -> ImageError {
        let beginning: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
        let names: Vec<&str> = layers.iter().map(|l| l.format).collect();
        ImageError::Unknown {
            len: bytes.len(),
            beginning: if beginning.is_empty() {
                "with nothing".into()
            } else {
                beginning.join(" ")
            },
            inside: if names.is_empty() {
                String::new()
            } else {
                format!(" (inside {})", names.join(" > "))
            },
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            ImageError::Unknown { .. } => {
                "use the kernel file that the boot loader boots, such as /boot/vmlinuz-RELEASE or \
                 a UKI (.efi)"
            }
            ImageError::Truncated { .. } => {
                "the file was not copied or downloaded whole: copy or install it again"
            }
            ImageError::Malformed { .. }
            | ImageError::Codec { .. }
            | ImageError::Mismatch { .. } => {
                "the file was altered or damaged after it was built: install it again, and check the disk it is on"
            }
            ImageError::RealMode { .. } => {
                "start it from the boot loader: it needs the BIOS, whose state is unknown after a \
                 running system"
            }
            ImageError::TooLarge { cap, .. } if *cap < crate::MAX_OUTPUT => {
                "the free memory of this machine or the file's own header allows no more: free \
                 memory, or check whether the file is damaged"
            }
            ImageError::TooLarge { .. } => {
                "no kernel is that large: the file is damaged, or made to exhaust memory"
            }
            ImageError::TooDeep { .. } => "unpack the file first",
            ImageError::Missing { .. } => {
                "look at the UKI's sections with `objdump -h FILE`; choose a profile with --profile"
            }
            ImageError::Unsupported { .. } => {
                "unpack the kernel first, or install one that was built with another compression"
            }
        }
    }
}
