//! `--type`: what a kernel has to be, by the names that kexec-tools has on
//! x86_64 (2.0.32, `kexec --help`).

use kexec_image::formats::multiboot::Version;
use kexec_image::{Arch, Image, Kernel, Multiboot};

use crate::classic::ClassicError;

/// A type that can be demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// A multiboot kernel of this version.
    Multiboot(Version),
    /// An ELF file for this machine, whatever headers are inside of it.
    Elf(Arch),
    /// A 64-bit bzImage.
    BzImage64,
    /// Any bzImage.
    BzImage,
    /// What a UKI carries.
    Uki,
}

/// Every name, in the order in which kexec-tools tries them.
const TYPES: &[(&str, Type)] = &[
    ("multiboot2-x86", Type::Multiboot(Version::Two)),
    ("elf-x86_64", Type::Elf(Arch::X86_64)),
    ("multiboot-x86", Type::Multiboot(Version::One)),
    ("elf-x86", Type::Elf(Arch::X86)),
    ("bzImage64", Type::BzImage64),
    ("bzImage", Type::BzImage),
    ("uki", Type::Uki),
];

/// Names that kexec-tools has too: the images of network boot loaders of the
/// last century.
const NOT_HERE: &[&str] = &["beoboot-x86", "nbi-x86"];

/// The type that is demanded, if one is.
///
/// # Errors
/// When there is no such type, or the image is none of it; with what it is.
pub(super) fn demanded(name: Option<&str>, image: &Image) -> Result<Option<Type>, ClassicError> {
    let Some(name) = name else { return Ok(None) };
    let refused = |reason: String| ClassicError::Option {
        option: "--type",
        reason,
        hint: "leave it out: the type of a kernel is recognised by its content",
    };
    let known = TYPES.iter().find(|(known, _)| *known == name);
    let Some((_, demanded)) = known else {
        let names = TYPES.iter().map(|(name, _)| *name);
        let names = names.collect::<Vec<_>>().join(", ");
        let what = if NOT_HERE.contains(&name) {
            format!("images of the type {name} are not started by this program")
        } else {
            format!("there is no type {name}")
        };
        return Err(refused(format!("{what}; there are {names}")));
    };
    if fits(*demanded, image) {
        return Ok(Some(*demanded));
    }
    let own: Vec<&str> = TYPES
        .iter()
        .filter(|(_, other)| fits(*other, image))
        .map(|(name, _)| *name)
        .collect();
    let own = if own.is_empty() {
        "of no known type".to_owned()
    } else {
        format!("of the type {}", own.join(" and "))
    };
    Err(refused(format!(
        "{name} was required, but the kernel is {own} ({})",
        image.describe()
    )))
}

fn fits(demanded: Type, image: &Image) -> bool {
    match (demanded, &image.kernel) {
        (Type::Multiboot(version), _) => header(image, version).is_some(),
        (Type::Elf(arch), Kernel::Elf(elf)) => elf.arch == Some(arch),
        (Type::BzImage64, Kernel::BzImage(b)) => b.arch() == Arch::X86_64,
        (Type::BzImage, Kernel::BzImage(_)) => true,
        (Type::Uki, _) => image.uki.is_some(),
        _ => false,
    }
}

/// The header of this version in a kernel that may have several.
pub(super) fn header(image: &Image, version: Version) -> Option<Multiboot> {
    match &image.kernel {
        Kernel::Elf(_) | Kernel::Multiboot(_) => {
            Multiboot::find_version(&image.bytes, version).ok()?
        }
        _ => None,
    }
}
