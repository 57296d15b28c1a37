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

use super::{Format, Opened, Wrapped};
use crate::pe::{self, Pe, PeSection};
use crate::{ImageError, Options};

const NAME: &str = "UKI";

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
}

impl Uki {
    /// The parts of the initrd in the order in which the kernel gets them,
    /// with the names of their sections: `.ucode`, then every `.initrd`.
    pub fn initrd_parts(&self) -> Vec<(&'static str, Bytes)> {
        let ucode = self.ucode.iter().map(|b| (".ucode", b.clone()));
        let initrds = self.initrds.iter().map(|b| (".initrd", b.clone()));
        ucode.chain(initrds).collect()
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
            .finish()
    }
}

fn open(bytes: &Bytes, options: &Options) -> Result<Opened, ImageError> {
    let pe = Pe::parse(bytes, NAME)?;
    let parts = Parts::read(bytes, &pe)?;
    let profile = parts.choose(options.profile)?;

    let Some(linux) = parts.one(profile, ".linux")? else {
        let names: Vec<&str> = pe.sections.iter().map(|s| s.name.as_str()).collect();
        return Err(ImageError::Missing {
            what: "a .linux section (the kernel)".into(),
            has: if names.is_empty() {
                "no sections".into()
            } else {
                names.join(" ")
            },
        });
    };
    let uki = Uki {
        cmdline: parts.text(profile, ".cmdline")?.map(|b| cmdline(&b)),
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
        sections: parts.sections.into_iter().map(|(s, ..)| s).collect(),
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
    /// Each with its content and where its header is in the file.
    sections: Vec<(Section, Bytes, u64)>,
    profiles: Vec<Profile>,
}

impl Parts {
    /// Reads every section, whether its profile is chosen or not: a file that
    /// is cut short is refused whatever is taken from it.
    fn read(bytes: &Bytes, pe: &Pe) -> Result<Parts, ImageError> {
        // Without overlaps everything that is taken out of a file together is
        // no longer than the file.
        pe::no_overlap(NAME, pe.sections.iter().filter_map(place).collect())?;
        let mut sections = Vec::new();
        let mut profiles = Vec::new();
        for section in &pe.sections {
            let data = bytes.slice(pe.section_data(section)?);
            if section.name == ".profile" {
                profiles.push(profile(profiles.len(), text(section, &data)?));
            }
            let range = section.data_range();
            let described = Section {
                name: section.name.clone(),
                offset: range.start,
                len: range.end - range.start,
                profile: profiles.len().checked_sub(1),
            };
            sections.push((described, data, section.header_at));
        }
        Ok(Parts { sections, profiles })
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

    /// The sections of this name that count for a profile: its own, or those
    /// of the base if it has none. "Sections associated with specific profiles
    /// comprehensively override those of the same name in the base profile"
    /// (UAPI.5, "Multi-Profile UKIs").
    fn select(&self, profile: Option<usize>, name: &str) -> Vec<&(Section, Bytes, u64)> {
        let of = |owner: Option<usize>| -> Vec<_> {
            self.sections
                .iter()
                .filter(|(s, ..)| s.name == name && s.profile == owner)
                .collect()
        };
        let own = of(profile);
        if own.is_empty() { of(None) } else { own }
    }

    /// The contents of all sections of this name, in order.
    fn all(&self, profile: Option<usize>, name: &str) -> Vec<Bytes> {
        self.select(profile, name)
            .into_iter()
            .map(|(_, data, _)| data.clone())
            .collect()
    }

    /// The content of a section that may appear once in a profile.
    fn one(&self, profile: Option<usize>, name: &str) -> Result<Option<Bytes>, ImageError> {
        match self.select(profile, name).as_slice() {
            [] => Ok(None),
            [(_, data, _)] => Ok(Some(data.clone())),
            [_, (_, _, at), ..] => Err(ImageError::Malformed {
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
                let at = self.select(profile, name).first().map_or(0, |s| s.2);
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
fn cmdline(bytes: &[u8]) -> Vec<u8> {
    let line: Vec<u8> = until_nul(bytes)
        .iter()
        .map(|b| if *b < b' ' { b' ' } else { *b })
        .collect();
    line.trim_ascii().to_vec()
}

/// The first line, harmless to print.
fn one_line(bytes: &[u8]) -> String {
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

/// A `.profile` section: `KEY=VALUE` lines as in os-release(5).
fn profile(index: usize, data: &[u8]) -> Profile {
    let mut profile = Profile {
        index,
        id: None,
        title: None,
    };
    for line in String::from_utf8_lossy(until_nul(data)).lines() {
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        let value = Some(printable(&unquote(value))).filter(|v| !v.is_empty());
        match key {
            "ID" => profile.id = value,
            "TITLE" => profile.title = value,
            _ => {}
        }
    }
    profile
}

/// The value of an os-release assignment: shell quotes around the whole value
/// and backslashes before special characters (os-release(5)).
fn unquote(value: &str) -> String {
    let value = value.trim();
    if let Some(inner) = value.strip_prefix('\'') {
        return inner.strip_suffix('\'').unwrap_or(inner).into();
    }
    let inner = match value.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
        None => value,
    };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
