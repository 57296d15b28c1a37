//! Bytes in, an [`Image`] out: what a kernel file is, what it needs, and which
//! parts it carries. Nothing here opens a file, knows the running machine or
//! decides how the kernel will be booted.
//!
//! [`recognise`] walks [`FORMATS`] in order, takes wrappers off (a compressed
//! file, an EFI zboot image, a UKI) until a kernel is left, and parses that.
//! [`verify`] is the expensive part: it proves that the bytes are the bytes
//! that were built (signature digest, checksum of the compressed payload).
//!
//! | to add | write | register |
//! |---|---|---|
//! | an image format | `formats/NAME.rs` | one line in [`FORMATS`] |
//! | a codec | `decompress/NAME.rs` | one line in [`decompress::CODECS`] |
#![forbid(unsafe_code)]

mod arch;
pub mod authenticode;
pub mod cpio;
pub mod decompress;
mod error;
pub mod fields;
pub mod formats;
pub mod ikconfig;
pub mod os_release;
mod pe;
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::expect_used)]
pub mod testing;
mod verify;

use bytes::Bytes;

pub use arch::Arch;
pub use authenticode::Signature;
pub use error::ImageError;
pub use formats::arm64::Arm64Image;
pub use formats::bzimage::BzImage;
pub use formats::bzimage::vmlinux::Vmlinux;
pub use formats::elf::ElfKernel;
pub use formats::multiboot::Multiboot;
pub use formats::riscv::RiscvImage;
pub use formats::uki::{Added, Addon, Outline, Profile, Section, Uki};
pub use formats::{FORMATS, Format, Opened, Wrapped};
pub use verify::{Proof, verify, verify_showing, verify_unpacked};

/// How many wrappers may sit around one kernel (a gzip around a UKI around a
/// zboot around a kernel is three; nothing real has more).
pub const MAX_LAYERS: usize = 4;

/// No kernel is larger than this many bytes when it is decompressed.
pub const MAX_OUTPUT: u64 = 1 << 30;

/// What the caller decides about reading an image.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which profile of a multi-profile UKI to take: the number counts from 0
    /// as in `@0`, `@1` of the UKI specification. `None` is the base profile.
    pub profile: Option<usize>,
    /// All that is decompressed, wrapper after wrapper, may have this many bytes
    /// together: the bytes of each are kept ([`Layer`]).
    pub max_output: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            profile: None,
            max_output: MAX_OUTPUT,
        }
    }
}

/// One wrapper that was taken off.
#[derive(Clone)]
pub struct Layer {
    /// The name of the wrapper's format, as in [`FORMATS`].
    pub format: &'static str,
    /// The bytes as they were before this wrapper was taken off.
    pub bytes: Bytes,
}

/// A kernel file, understood.
#[derive(Clone)]
pub struct Image {
    /// The wrappers that were taken off, outermost first.
    pub layers: Vec<Layer>,
    /// The bytes of the kernel itself, after unwrapping.
    pub bytes: Bytes,
    /// What the kernel's own header says.
    pub kernel: Kernel,
    /// What a UKI carried beside the kernel, if one of the layers was a UKI.
    pub uki: Option<Uki>,
}

/// The kernel formats that a boot ends in, with what their headers say.
#[derive(Debug, Clone)]
pub enum Kernel {
    /// The x86 boot format: a real-mode header and a compressed kernel.
    BzImage(BzImage),
    /// An ELF file: a vmlinux, a multiboot kernel, a plain program.
    Elf(ElfKernel),
    /// The arm64 `Image`.
    Arm64(Arm64Image),
    /// The RISC-V `Image`.
    Riscv(RiscvImage),
    /// A multiboot kernel that is not an ELF file.
    Multiboot(Multiboot),
}

impl Kernel {
    /// The name of the format, as in [`FORMATS`].
    pub fn format(&self) -> &'static str {
        match self {
            Kernel::BzImage(_) => "bzImage",
            Kernel::Elf(_) => "ELF",
            Kernel::Arm64(_) => "arm64 Image",
            Kernel::Riscv(_) => "RISC-V Image",
            Kernel::Multiboot(_) => "multiboot",
        }
    }

    /// The architecture the kernel was built for, if it is one we know.
    pub fn arch(&self) -> Option<Arch> {
        match self {
            Kernel::BzImage(b) => Some(b.arch()),
            Kernel::Elf(e) => e.arch,
            Kernel::Arm64(_) => Some(Arch::Arm64),
            Kernel::Riscv(_) => Some(Arch::Riscv64),
            Kernel::Multiboot(_) => Some(Arch::X86),
        }
    }
}

impl Image {
    /// The architecture the kernel was built for, if it is one we know.
    pub fn arch(&self) -> Option<Arch> {
        self.kernel.arch()
    }

    /// The formats from the outside in, for people: `UKI > zboot > arm64 Image`.
    pub fn describe(&self) -> String {
        let mut names: Vec<&str> = self.layers.iter().map(|l| l.format).collect();
        names.push(self.kernel.format());
        names.join(" > ")
    }

    /// Whether the kernel is the file itself, with nothing taken off.
    pub fn is_bare(&self) -> bool {
        self.layers.is_empty()
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image")
            .field("is", &self.describe())
            .field("len", &self.bytes.len())
            .field("kernel", &self.kernel)
            .field("uki", &self.uki)
            .finish()
    }
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layer")
            .field("format", &self.format)
            .field("len", &self.bytes.len())
            .finish()
    }
}

/// What is this file?
///
/// # Errors
/// When no format knows the bytes, when a format knows them and finds them
/// broken or cut short, or when wrappers are nested deeper than [`MAX_LAYERS`].
pub fn recognise(file: Bytes, options: &Options) -> Result<Image, ImageError> {
    let mut layers = Vec::new();
    let mut bytes = file;
    let mut uki = None;
    let most = options.max_output;
    let mut options = options.clone();
    loop {
        let Some(format) = FORMATS.iter().find(|f| (f.probe)(&bytes)) else {
            return Err(ImageError::unknown(&bytes, &layers));
        };
        let opened = (format.open)(&bytes, &options).map_err(|error| match error {
            // What is said is the limit of all, not what the others left of it.
            ImageError::TooLarge { codec, cap } if cap == options.max_output => {
                ImageError::TooLarge { codec, cap: most }
            }
            error => error,
        });
        match opened? {
            Opened::Kernel(kernel) => {
                return Ok(Image {
                    layers,
                    bytes,
                    kernel,
                    uki,
                });
            }
            Opened::Wrapped(wrapped) => {
                if layers.len() == MAX_LAYERS {
                    return Err(ImageError::TooDeep {
                        format: format.name,
                    });
                }
                if !is_part(&bytes, &wrapped.inner) {
                    let left = options.max_output;
                    options.max_output = left.saturating_sub(fields::len(&wrapped.inner));
                }
                layers.push(Layer {
                    format: format.name,
                    bytes: std::mem::replace(&mut bytes, wrapped.inner),
                });
                uki = uki.or(wrapped.uki);
            }
        }
    }
}

/// Whether these are bytes of that file, and not a copy.
fn is_part(file: &Bytes, part: &Bytes) -> bool {
    let (file, part) = (file.as_ptr_range(), part.as_ptr_range());
    file.start <= part.start && part.end <= file.end
}
