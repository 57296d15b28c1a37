//! What is where in a UKI, from its first bytes alone: a boot menu wants the
//! names of a dozen UKIs, not to read a gigabyte.

use std::ops::Range;

use super::{NAME, PROFILE, Section};
use crate::pe::Pe;
use crate::{Arch, ImageError};

/// As many first bytes of a file as hold every header that is accepted: real
/// UKIs have their section table within the first page or two.
pub const HEAD: u64 = 64 << 10;

/// The section table of a UKI or of an addon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The machine it is for; `None` when that is none that is known here.
    pub arch: Option<Arch>,
    /// Every section, in the order of the table.
    pub sections: Vec<Section>,
}

impl Outline {
    /// Reads the headers out of the first [`HEAD`] bytes of a file, or out of
    /// all of it. Where the sections are is not checked against the file.
    ///
    /// # Errors
    /// When the bytes are not those of a PE file.
    pub fn parse(head: &[u8]) -> Result<Outline, ImageError> {
        Ok(Outline::of(&Pe::parse(head, NAME)?))
    }

    pub(super) fn of(pe: &Pe) -> Outline {
        let mut profile = None;
        let sections = pe.sections.iter().map(|section| {
            if section.name == PROFILE {
                profile = Some(profile.map_or(0, |last: usize| last.saturating_add(1)));
            }
            let Range { start, end } = section.data_range();
            Section {
                name: section.name.clone(),
                offset: start,
                len: end - start,
                profile,
            }
        });
        Outline {
            sections: sections.collect(),
            arch: Arch::from_pe_machine(pe.machine),
        }
    }

    /// How many profiles there are; 0 when the file has no `.profile` sections.
    pub fn profiles(&self) -> usize {
        let last = self.sections.last().and_then(|section| section.profile);
        last.map_or(0, |last| last.saturating_add(1))
    }

    /// Which sections of this name count for a profile: see [`select`].
    pub(super) fn select(&self, profile: Option<usize>, name: &str) -> Vec<usize> {
        select(&self.sections, profile, name)
    }

    /// The section of this name that counts for a profile; the first one when
    /// there are several.
    pub fn section(&self, profile: Option<usize>, name: &str) -> Option<&Section> {
        let first = self.select(profile, name).into_iter().next()?;
        self.sections.get(first)
    }

    /// The names of all sections, for people.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.sections.iter().map(|s| s.name.as_str()).collect();
        match names.is_empty() {
            true => "no sections".into(),
            false => names.join(" "),
        }
    }
}

/// Which sections of this name count for a profile: its own, or those of the base
/// if it has none. "Sections associated with specific profiles comprehensively
/// override those of the same name in the base profile" (UAPI.5, "Multi-Profile
/// UKIs").
pub(super) fn select(sections: &[Section], profile: Option<usize>, name: &str) -> Vec<usize> {
    let of = |owner: Option<usize>| -> Vec<usize> {
        let numbered = sections.iter().enumerate();
        numbered
            .filter(|(_, s)| s.name == name && s.profile == owner)
            .map(|(at, _)| at)
            .collect()
    };
    let own = of(profile);
    if own.is_empty() { of(None) } else { own }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::PeBuilder;

    fn uki() -> PeBuilder {
        PeBuilder::new()
            .section(".osrel", b"ID=x".to_vec())
            .section(".linux", vec![0; 100_000])
            .section(".cmdline", b"base".to_vec())
            .section(".profile", Vec::new())
            .section(".profile", b"ID=b".to_vec())
            .section(".cmdline", b"b".to_vec())
    }

    #[test]
    fn the_first_bytes_say_where_everything_is() {
        let file = uki().build();
        let outline = Outline::parse(&file[..4096]).unwrap();
        assert_eq!(outline, Outline::parse(&file).unwrap());
        assert_eq!(outline.arch, Some(Arch::X86_64));
        assert_eq!(outline.profiles(), 2);
        let text = |profile, name| {
            let section = outline.section(profile, name)?;
            let start = usize::try_from(section.offset).unwrap();
            let end = start + usize::try_from(section.len).unwrap();
            Some(String::from_utf8_lossy(&file[start..end]).into_owned())
        };
        assert_eq!(text(Some(0), ".cmdline").as_deref(), Some("base"));
        assert_eq!(text(Some(1), ".cmdline").as_deref(), Some("b"));
        assert_eq!(text(Some(1), ".osrel").as_deref(), Some("ID=x"));
        assert_eq!(text(Some(0), ".initrd"), None);
    }

    #[test]
    fn a_uki_with_very_many_profiles_fits_into_the_head() {
        let many = (0..250).fold(uki(), |pe, n| {
            pe.section(".profile", format!("ID=p{n}").into_bytes())
                .section(".cmdline", b"x".to_vec())
        });
        let file = many.build();
        let head = usize::try_from(HEAD).unwrap().min(file.len());
        assert_eq!(Outline::parse(&file[..head]).unwrap().profiles(), 252);
        assert_eq!(
            Outline::parse(&uki().build()[..200])
                .unwrap_err()
                .to_string(),
            "UKI cut short: the optional header ends at byte 212, the file has 200"
        );
    }
}
