//! Unified kernel images: a PE file whose sections are a kernel and what goes
//! with it.
//!
//! Source: UAPI.5, "Unified Kernel Image (UKI)", of the UAPI Group
//! (<https://uapi-group.org/specifications/specs/unified_kernel_image/>),
//! sections "UKI Components" and "Multi-Profile UKIs"; and systemd-stub(7).
//! One thing is wider here than in the specification: `.initrd` may appear
//! more than once in a profile, and the initrds are taken in the order of the
//! section table.

use bytes::Bytes;
use serde::Serialize;

mod addon;
pub mod companions;
mod outline;

pub use addon::Addon;
pub use outline::{HEAD, Outline};

use super::{Format, Opened, Wrapped};
use crate::pe::{self, Pe, PeSection};
use crate::{ImageError, Options, os_release};

const NAME: &str = "UKI";
/// The section that begins a profile.
const PROFILE: &str = ".profile";

/// The longest section that is taken as text. Kernels take 4096 bytes of
/// command line at most, and an os-release file has a few hundred.
const MAX_TEXT: usize = 1 << 20;

/// Less than this pads a section in the file: the largest `FileAlignment` that
/// the PE Format allows ("Optional Header Windows-Specific Fields").
const MAX_PADDING: usize = 64 << 10;

/// See [`Format`].
pub const FORMAT: Format = Format {
    name: NAME,
    about: "a unified kernel image: kernel, initrd and command line in one PE file",
    // Any PE file that no more particular format knew: a PE file without a
    // kernel in it gets an error that says so.
    probe: pe::probe,
    open,
};

/// A section of a UKI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// The name, such as `.cmdline`.
    pub name: String,
    /// Where its content begins in the file.
    pub offset: u64,
    /// The length of its content in bytes, without padding: the smaller of
    /// `VirtualSize` and `SizeOfRawData`.
    pub len: u64,
    /// The profile it belongs to; `None` is the base that all profiles share.
    pub profile: Option<usize>,
}

/// A profile of a multi-profile UKI: what its `.profile` section says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// Its number, counted from 0: `@0`, `@1` ...
    pub index: usize,
    /// `ID=`, a short name for programs.
    pub id: Option<String>,
    /// `TITLE=`, for people.
    pub title: Option<String>,
}

impl Profile {
    /// What a `.profile` section says: `KEY=VALUE` lines as in os-release(5).
    pub fn parse(index: usize, section: &[u8]) -> Profile {
        let text = String::from_utf8_lossy(until_nul(section));
        let value = |key| {
            let value = os_release::value(&text, key);
            value.map(|v| printable(&v)).filter(|v| !v.is_empty())
        };
        Profile {
            index,
            id: value("ID"),
            title: value("TITLE"),
        }
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.index)?;
        match (&self.id, &self.title) {
            (Some(id), Some(title)) => write!(f, " ({id}, {title:?})"),
            (Some(id), None) => write!(f, " ({id})"),
            (None, Some(title)) => write!(f, " ({title:?})"),
            (None, None) => Ok(()),
        }
    }
}

/// What a UKI carries beside the kernel, for the profile that was chosen.
#[derive(Clone, PartialEq, Eq)]
pub struct Uki {
    /// `.cmdline`, without the NUL and the white space at its ends and with
    /// line ends and other control characters as spaces.
    pub cmdline: Option<Vec<u8>>,
    /// Every `.initrd`, in the order of the section table.
    pub initrds: Vec<Bytes>,
    /// `.ucode`: an archive that goes in front of every initrd.
    pub ucode: Option<Bytes>,
    /// `.uname`: the kernel's release, as `uname -r` will print it.
    pub uname: Option<String>,
    /// `.osrel`: the text of the operating system's os-release file.
    pub os_release: Option<String>,
    /// Whether there is a `.dtb` or `.dtbauto` section. They are for machines
    /// whose firmware has no usable device tree.
    pub device_tree: bool,
    /// Every profile; empty when there is no `.profile` section.
    pub profiles: Vec<Profile>,
    /// The profile that was chosen; 0 when there are none.
    pub profile: usize,
    /// Every section of the file, in the order of the section table.
    pub sections: Vec<Section>,
    /// What files beside it add; nothing when the file is read.
    pub added: Added,
}

/// What is added to a UKI by files beside it, as its stub would.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Added {
    /// What goes behind the command line, wherever that comes from.
    pub cmdline: Vec<u8>,
    /// Archives in front of the UKI's own, with their names.
    pub front: Vec<(String, Bytes)>,
    /// Archives behind the UKI's own.
    pub back: Vec<(String, Bytes)>,
    /// What lies beside it and is not added, each with its reason.
    pub left_out: Vec<String>,
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = |parts: &[(String, Bytes)]| -> Vec<(String, usize)> {
            let lengths = parts.iter().map(|(name, b)| (name.clone(), b.len()));
            lengths.collect()
        };
        f.debug_struct("Added")
            .field("cmdline", &String::from_utf8_lossy(&self.cmdline))
            .field("front", &parts(&self.front))
            .field("back", &parts(&self.back))
            .field("left_out", &self.left_out)
            .finish()
    }
}

impl Uki {
    /// The parts of the initrd in the order in which the kernel gets them,
    /// with the names of their sections or files: microcode, then every
    /// `.initrd`, then what was added behind them.
    pub fn initrd_parts(&self) -> Vec<(String, Bytes)> {
        let named = |name: &str, bytes: &Bytes| (name.to_owned(), bytes.clone());
        let ucode = self.ucode.iter().map(|b| named(".ucode", b));
        let initrds = self.initrds.iter().map(|b| named(".initrd", b));
        let front = self.added.front.iter().cloned();
        let back = self.added.back.iter().cloned();
        front.chain(ucode).chain(initrds).chain(back).collect()
    }

    /// The content of the section of this name that counts for the profile that
    /// was chosen. `file` is the file that this was read from.
    pub fn content(&self, name: &str, file: &Bytes) -> Option<Bytes> {
        let profile = (!self.profiles.is_empty()).then_some(self.profile);
        let first = outline::select(&self.sections, profile, name);
        let section = self.sections.get(*first.first()?)?;
        let start = usize::try_from(section.offset).ok()?;
        let end = start.checked_add(usize::try_from(section.len).ok()?)?;
        (end <= file.len()).then(|| file.slice(start..end))
    }
}

impl std::fmt::Debug for Uki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lengths: Vec<usize> = self.initrds.iter().map(Bytes::len).collect();
        f.debug_struct("Uki")
            .field(
                "cmdline",
                &self.cmdline.as_deref().map(String::from_utf8_lossy),
            )
            .field("initrds", &lengths)
            .field("ucode", &self.ucode.as_ref().map(Bytes::len))
            .field("uname", &self.uname)
            .field("os_release", &self.os_release.as_ref().map(String::len))
            .field("device_tree", &self.device_tree)
            .field("profiles", &self.profiles)
            .field("profile", &self.profile)
            .field("sections", &self.sections)
            .field("added", &self.added)
            .finish()
    }
}

fn open(bytes: &Bytes, options: &Options) -> Result<Opened, ImageError> {
    let pe = Pe::parse(bytes, NAME)?;
    let parts = Parts::read(bytes, &pe)?;
    let profile = parts.choose(options.profile)?;

    let Some(linux) = parts.one(profile, ".linux")? else {
        return Err(ImageError::Missing {
            what: "a .linux section (the kernel)".into(),
            has: parts.outline.names(),
        });
    };
    let uki = Uki {
        cmdline: parts.text(profile, ".cmdline")?.map(|b| cmdline_text(&b)),
        initrds: parts
            .all(profile, ".initrd")
            .into_iter()
            .filter(|b| !b.is_empty())
            .collect(),
        ucode: parts.one(profile, ".ucode")?.filter(|b| !b.is_empty()),
        uname: parts
            .text(profile, ".uname")?
            .map(|b| one_line(&b))
            .filter(|text| !text.is_empty()),
        os_release: parts
            .text(profile, ".osrel")?
            .map(|b| String::from_utf8_lossy(until_nul(&b)).into_owned()),
        device_tree: [".dtb", ".dtbauto"]
            .iter()
            .any(|name| !parts.all(profile, name).is_empty()),
        profiles: parts.profiles.clone(),
        profile: profile.unwrap_or(0),
        sections: parts.outline.sections,
        added: Added::default(),
    };
    Ok(Opened::Wrapped(Wrapped {
        inner: unpadded(linux),
        uki: Some(uki),
    }))
}

/// The kernel without the zeros that pad its section, when it is signed.
///
/// Newer ukify writes a `VirtualSize` that is larger than the kernel, so that
/// its length is only known up to the alignment of sections in the file. A
/// signature covers what follows the certificates too (Windows Authenticode
/// Portable Executable Signature Format, "Calculating the PE Image Hash"), so
/// with the padding the running kernel would take it for altered.
fn unpadded(linux: Bytes) -> Bytes {
    let certificates = Pe::parse(&linux, NAME).and_then(|pe| pe.certificate_table());
    let Ok(Some(table)) = certificates else {
        return linux;
    };
    match linux.get(table.end..) {
        Some(rest) if rest.len() < MAX_PADDING && rest.iter().all(|b| *b == 0) => {
            linux.slice(..table.end)
        }
        _ => linux,
    }
}

/// The sections with their contents, sorted into profiles.
struct Parts {
    outline: Outline,
    /// For each section its content and where its header is in the file.
    data: Vec<(Bytes, u64)>,
    profiles: Vec<Profile>,
}

impl Parts {
    /// Reads every section, whether its profile is chosen or not: a file that
    /// is cut short is refused whatever is taken from it.
    fn read(bytes: &Bytes, pe: &Pe) -> Result<Parts, ImageError> {
        // Without overlaps everything that is taken out of a file together is
        // no longer than the file.
        pe::no_overlap(NAME, pe.sections.iter().filter_map(place).collect())?;
        let outline = Outline::of(pe);
        let mut data = Vec::new();
        let mut profiles = Vec::new();
        for section in &pe.sections {
            let content = bytes.slice(pe.section_data(section)?);
            if section.name == PROFILE {
                let text = text(section, &content)?;
                profiles.push(Profile::parse(profiles.len(), text));
            }
            data.push((content, section.header_at));
        }
        Ok(Parts {
            outline,
            data,
            profiles,
        })
    }

    /// The profile to take: the one that was asked for, else `@0`. `None` when
    /// the UKI has no profiles.
    fn choose(&self, asked: Option<usize>) -> Result<Option<usize>, ImageError> {
        let index = asked.unwrap_or(0);
        if self.profiles.is_empty() && index == 0 {
            return Ok(None);
        }
        if index < self.profiles.len() {
            return Ok(Some(index));
        }
        let has: Vec<String> = self.profiles.iter().map(Profile::to_string).collect();
        Err(ImageError::Missing {
            what: format!("profile {index}"),
            has: if has.is_empty() {
                "no .profile sections, only profile 0".into()
            } else {
                format!("profiles {}", has.join(", "))
            },
        })
    }

    /// The sections of this name that count for a profile, with their contents.
    fn select(&self, profile: Option<usize>, name: &str) -> Vec<&(Bytes, u64)> {
        let chosen = self.outline.select(profile, name);
        chosen
            .into_iter()
            .filter_map(|at| self.data.get(at))
            .collect()
    }

    /// The contents of all sections of this name, in order.
    fn all(&self, profile: Option<usize>, name: &str) -> Vec<Bytes> {
        self.select(profile, name)
            .into_iter()
            .map(|(data, _)| data.clone())
            .collect()
    }

    /// The content of a section that may appear once in a profile.
    fn one(&self, profile: Option<usize>, name: &str) -> Result<Option<Bytes>, ImageError> {
        match self.select(profile, name).as_slice() {
            [] => Ok(None),
            [(data, _)] => Ok(Some(data.clone())),
            [_, (_, at), ..] => Err(ImageError::Malformed {
                format: NAME,
                what: "a section header".into(),
                offset: *at,
                found: format!("a second {name}"),
                expected: "one in the same profile".into(),
            }),
        }
    }

    /// The content of a section of text.
    fn text(&self, profile: Option<usize>, name: &str) -> Result<Option<Bytes>, ImageError> {
        let data = self.one(profile, name)?;
        match data {
            Some(data) if data.len() > MAX_TEXT => {
                let at = self.select(profile, name).first().map_or(0, |s| s.1);
                Err(long_text(name, at, data.len()))
            }
            data => Ok(data),
        }
    }
}

/// Where a section is, for the search for overlaps.
fn place(section: &PeSection) -> Option<(std::ops::Range<u64>, String, u64)> {
    let range = section.data_range();
    (!range.is_empty()).then(|| {
        (
            range,
            format!("the section {}", section.name),
            section.header_at + 20,
        )
    })
}

/// The content of a section as text, if it is not too long for that.
fn text<'a>(section: &PeSection, data: &'a [u8]) -> Result<&'a [u8], ImageError> {
    if data.len() > MAX_TEXT {
        return Err(long_text(&section.name, section.header_at, data.len()));
    }
    Ok(data)
}

fn long_text(name: &str, header_at: u64, len: usize) -> ImageError {
    ImageError::Malformed {
        format: NAME,
        what: format!("the length of {name}"),
        offset: header_at + 8,
        found: format!("{len} bytes"),
        expected: format!("at most {MAX_TEXT} bytes of text"),
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}

/// The command line as the kernel will see it. Files that become a `.cmdline`
/// end with a newline and may have several lines; systemd-stub hands the
/// kernel one line, and so do we.
pub fn cmdline_text(bytes: &[u8]) -> Vec<u8> {
    let line: Vec<u8> = until_nul(bytes)
        .iter()
        .map(|b| if *b < b' ' { b' ' } else { *b })
        .collect();
    line.trim_ascii().to_vec()
}

/// The first line, harmless to print.
pub fn one_line(bytes: &[u8]) -> String {
    let line = until_nul(bytes)
        .split(|b| *b == b'\n')
        .next()
        .unwrap_or_default();
    printable(&String::from_utf8_lossy(line.trim_ascii()))
}

fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests;
