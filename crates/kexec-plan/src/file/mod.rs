//! The plan of a load with `kexec_file_load(2)`: which bytes are the kernel,
//! which are the initrd, and the command line. The running kernel places them.

mod empty_initrd;
mod join;

pub use join::{INITRD_ALIGN, INITRD_PADDING};

use bytes::Bytes;
use kexec_image::{Arch, Image, Kernel};
use serde::Serialize;

use crate::token::without_token;
use crate::{Cmdline, Mark, Piece, PlanError};

/// An initrd file as the caller gave it.
#[derive(Debug, Clone)]
pub struct InitrdFile {
    /// Its path, for people.
    pub path: String,
    /// All of it.
    pub bytes: Bytes,
}

/// The command line of a boot entry; `--append` comes on top of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryLine {
    /// What the entry says.
    Text(Cmdline),
    /// What `--cmdline` gives instead.
    Given(Cmdline),
    /// What was derived for a crash kernel from another one.
    Derived(Cmdline),
    /// What a record of the same load has. It is whole: what addons bring is in it already.
    Recorded(Cmdline),
    /// What the UKI brings, which may be nothing.
    OfUki,
}

/// What a file plan is made from.
#[derive(Debug)]
pub struct FileRequest<'a> {
    /// The kernel's path, for people.
    pub path: &'a str,
    /// The kernel, understood.
    pub image: &'a Image,
    /// Initrds of the caller, behind those of a UKI.
    pub initrds: &'a [InitrdFile],
    /// The command line of the boot entry, where one was chosen.
    pub entry: Option<&'a EntryLine>,
    /// The text of `--append`, if it was given.
    pub append: Option<&'a Cmdline>,
    /// `--reuse-cmdline`.
    pub reuse: bool,
    /// The running kernel's command line, for `--reuse-cmdline`.
    pub running: &'a Cmdline,
    /// What is put on the command line, so that the next boot is recognised.
    pub mark: Option<&'a Mark>,
    /// For the crash slot.
    pub crash: bool,
}

/// What will be handed to `kexec_file_load(2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FilePlan {
    /// The formats from the outside in: `UKI > bzImage`.
    pub format: String,
    /// The kernel's own release or version text, when its header carries one.
    pub release: Option<String>,
    /// The kernel as it is handed over.
    pub kernel: Piece,
    /// Whether the kernel is the file itself with nothing taken off.
    pub bare: bool,
    /// The initrd, in the order of its parts; empty for none.
    pub initrd: Vec<Piece>,
    /// The command line.
    pub cmdline: Cmdline,
    /// Where the command line came from, for people.
    pub cmdline_from: &'static str,
    /// For the crash slot.
    pub crash: bool,
}

impl FilePlan {
    /// Bytes of the whole initrd, with padding.
    pub fn initrd_len(&self) -> usize {
        self.initrd.iter().map(|p| p.len + p.padding).sum()
    }
}

/// Which kernel formats the file system call of each architecture takes, and
/// how they are called: the image loaders under arch/*/kernel/ that the
/// kernel's own `kexec_file_load` documentation names (man 2 kexec_file_load;
/// Documentation/arch for the formats).
fn takes(arch: Arch) -> (&'static str, fn(&Kernel) -> bool) {
    match arch {
        Arch::X86_64 => ("a 64-bit bzImage", |k| {
            matches!(k, Kernel::BzImage(_)) && k.arch() == Some(Arch::X86_64)
        }),
        Arch::Arm64 => ("an arm64 Image", |k| matches!(k, Kernel::Arm64(_))),
        Arch::Riscv64 => ("an ELF vmlinux or a RISC-V Image", |k| {
            matches!(k, Kernel::Elf(_) | Kernel::Riscv(_))
        }),
        Arch::LoongArch64 | Arch::Ppc64 | Arch::S390x => {
            ("an ELF vmlinux", |k| matches!(k, Kernel::Elf(_)))
        }
        Arch::X86 | Arch::Arm => ("nothing", |_| false),
    }
}

/// Whether `kexec_file_load(2)` of this architecture takes such an image.
///
/// # Errors
/// When it does not, with what it takes.
pub fn accepts(arch: Arch, image: &Image) -> Result<(), PlanError> {
    let (takes, ok) = takes(arch);
    // An image for another architecture is a finding of the checks, which say
    // it better; here only the format counts.
    let foreign = image.arch().is_some_and(|a| !a.boots_on(arch));
    if foreign || ok(&image.kernel) {
        return Ok(());
    }
    let format = format_name(image);
    Err(PlanError::FormatNotForFileSyscall {
        arch,
        article: if format.starts_with(['a', 'E']) {
            "an"
        } else {
            "a"
        },
        format,
        takes,
    })
}

/// What is handed over, whichever system call does it: the kernel, the parts of
/// the initrd, the command line.
pub fn parts(request: &FileRequest<'_>) -> FilePlan {
    let image = request.image;
    let (cmdline, cmdline_from) = command_line(request);
    let cmdline = match request.mark {
        Some(mark) => mark.put_on(&cmdline),
        None => cmdline,
    };
    FilePlan {
        format: image.describe(),
        release: release(image),
        kernel: piece(request.path.to_owned(), image.bytes.clone()),
        bare: image.is_bare(),
        initrd: initrd(request),
        cmdline,
        cmdline_from,
        crash: request.crash,
    }
}

fn format_name(image: &Image) -> String {
    match (&image.kernel, image.arch()) {
        (Kernel::BzImage(_), Some(Arch::X86)) => "32-bit bzImage".to_owned(),
        (Kernel::Elf(_), Some(arch)) => format!("ELF file for {arch}"),
        (kernel, _) => kernel.format().to_owned(),
    }
}

/// The kernel's own release, where its header or the UKI around it says it.
pub fn release(image: &Image) -> Option<String> {
    let uname = image.uki.as_ref().and_then(|u| u.uname.clone());
    uname.or_else(|| match &image.kernel {
        Kernel::BzImage(b) => b.release().map(str::to_owned),
        _ => None,
    })
}

/// The parts of the initrd: microcode and archives of the UKI, then the files
/// of the caller, each padded so that the next one is found.
fn initrd(request: &FileRequest<'_>) -> Vec<Piece> {
    let uki = request.image.uki.iter().flat_map(|u| u.initrd_parts());
    let inside = uki.map(|(name, bytes)| piece(format!("{} {name}", request.path), bytes));
    let files = request.initrds.iter();
    let files = files.map(|f| piece(f.path.clone(), f.bytes.clone()));
    let mut pieces: Vec<Piece> = inside.chain(files).collect();
    // The last one is left as it is: the length the kernel sees is the file's.
    let count = pieces.len();
    for piece in pieces.iter_mut().take(count.saturating_sub(1)) {
        piece.padding = join::padding(&piece.bytes);
    }
    pieces
}

fn piece(origin: String, bytes: Bytes) -> Piece {
    Piece {
        origin,
        len: bytes.len(),
        padding: 0,
        bytes,
    }
}

/// The command line and where it came from.
///
/// `--reuse-cmdline` takes the old line without what the boot loader put there
/// for its own image, and without the reservation that only the first kernel
/// can make when the crash slot is filled; a UKI's own `.cmdline` is the old
/// line when there is one. A boot entry's line is what its boot loader would
/// hand over.
fn command_line(request: &FileRequest<'_>) -> (Cmdline, &'static str) {
    let empty = Cmdline::default();
    let append = request.append.unwrap_or(&empty);
    let own = request
        .image
        .uki
        .as_ref()
        .and_then(|u| u.cmdline.as_deref());
    let own = own.map(Cmdline::exact);
    // Addons go behind the line, wherever that comes from (systemd-stub(7)).
    let added = request.image.uki.as_ref().map(|u| &u.added.cmdline);
    let added = added.map_or_else(Cmdline::default, |line| Cmdline::exact(line));
    if let Some(entry) = request.entry {
        let (line, from) = match entry {
            EntryLine::Recorded(line) => {
                return (line.clone(), "the record of the load before");
            }
            EntryLine::Text(line) => (line.clone(), "the boot entry"),
            EntryLine::Given(line) => (line.clone(), "--cmdline"),
            EntryLine::Derived(line) => (line.clone(), "the rules for crash kernels"),
            EntryLine::OfUki => (own.unwrap_or_default(), "the UKI's .cmdline"),
        };
        let line = line.followed_by(&added);
        return match (append.is_empty(), entry) {
            (true, _) | (false, EntryLine::Recorded(_)) => (line, from),
            (false, EntryLine::Text(_)) => {
                (line.followed_by(append), "the boot entry and --append")
            }
            (false, EntryLine::Given(_)) => (line.followed_by(append), "--cmdline and --append"),
            (false, EntryLine::Derived(_)) => (
                line.followed_by(append),
                "the rules for crash kernels, and --append",
            ),
            (false, EntryLine::OfUki) => {
                (line.followed_by(append), "the UKI's .cmdline and --append")
            }
        };
    }
    if request.reuse {
        let (old, from) = match own {
            Some(own) => (own, "the UKI's .cmdline (--reuse-cmdline)"),
            None => {
                let drop: &[&str] = if request.crash {
                    &["BOOT_IMAGE", "crashkernel"]
                } else {
                    &["BOOT_IMAGE"]
                };
                let old = without_token(&request.running.without(drop));
                (old, "the running kernel (--reuse-cmdline)")
            }
        };
        return (old.followed_by(&added).followed_by(append), from);
    }
    let (line, from) = match (request.append, own) {
        (Some(append), _) => (append.clone(), "--append"),
        (None, Some(own)) => (own, "the UKI's .cmdline"),
        (None, None) => (empty, "no option: it is empty"),
    };
    (line.followed_by(&added), from)
}

#[cfg(test)]
mod tests;
