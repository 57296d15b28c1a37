//! Type 2 entries: what a UKI in /EFI/Linux adds to a menu. Pure: the caller
//! reads the few sections that hold text.
//!
//! Source: UAPI.1, "Type #2 EFI Unified Kernel Images"; UAPI.5, "Multi-Profile
//! UKIs". What stands for a field that os-release does not have is what bootctl
//! 257 and 262 show.

use kexec_image::formats::uki::{cmdline_text, one_line};
use kexec_image::{Outline, Profile, Section, os_release};

/// One entry of a UKI: of a profile, or of all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UkiEntry {
    /// What the boot loader calls it: the file's id, with `@` and the profile.
    pub id: String,
    /// Other names of the same.
    pub aliases: Vec<String>,
    /// What the menu shows.
    pub title: String,
    /// The version of the image or of the system in it.
    pub version: Option<String>,
    /// What it is sorted by.
    pub sort_key: Option<String>,
    /// Its profile; `None` when the UKI has none.
    pub profile: Option<usize>,
    /// The release of the kernel in it.
    pub release: Option<String>,
    /// The command line in it.
    pub cmdline: Option<Vec<u8>>,
    /// It brings a device tree.
    pub device_tree: bool,
}

/// Not more profiles than these are shown; a file may claim as many as it has
/// sections.
const MAX_PROFILES: usize = 64;

/// The entries of a UKI whose file is called `id` without its counters; `text`
/// reads a section.
///
/// # Errors
/// When it has no kernel, or no `.osrel`: boot loaders show no such file.
pub fn items(
    id: &str,
    outline: &Outline,
    text: &mut dyn FnMut(&Section) -> Result<Vec<u8>, String>,
) -> Result<Vec<UkiEntry>, String> {
    let count = outline.profiles();
    let profiles: Vec<Option<usize>> = match count {
        0 => vec![None],
        count => (0..count.min(MAX_PROFILES)).map(Some).collect(),
    };
    let items = profiles.into_iter();
    items
        .map(|profile| item(id, outline, profile, text))
        .collect()
}

fn item(
    id: &str,
    outline: &Outline,
    profile: Option<usize>,
    text: &mut dyn FnMut(&Section) -> Result<Vec<u8>, String>,
) -> Result<UkiEntry, String> {
    if outline.section(profile, ".linux").is_none() {
        return Err("it has no .linux section: it is not a UKI".to_owned());
    }
    let mut read = |name: &str| match outline.section(profile, name) {
        Some(section) => text(section).map(Some),
        None => Ok(None),
    };
    let Some(os_release) = read(".osrel")? else {
        return Err("it has no .osrel section, and boot loaders do not show such files".to_owned());
    };
    let os = Os(String::from_utf8_lossy(&os_release).into_owned());
    let title = os
        .first(&["PRETTY_NAME", "IMAGE_ID", "NAME", "ID"])
        .unwrap_or_else(|| id.to_owned());
    let described = match (profile, read(".profile")?) {
        (Some(index), Some(section)) => Some(Profile::parse(index, &section)),
        _ => None,
    };
    let (ids, title) = match &described {
        Some(profile) => named(id, &title, profile),
        None => (vec![id.to_owned()], title),
    };
    let release = read(".uname")?.map(|bytes| one_line(&bytes));
    let mut ids = ids.into_iter();
    Ok(UkiEntry {
        id: ids.next().unwrap_or_default(),
        aliases: ids.collect(),
        title,
        version: os.first(&["IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID"]),
        sort_key: os.first(&["IMAGE_ID", "ID"]),
        profile,
        release: release.filter(|text| !text.is_empty()),
        cmdline: read(".cmdline")?.map(|bytes| cmdline_text(&bytes)),
        device_tree: [".dtb", ".dtbauto"]
            .iter()
            .any(|name| outline.section(profile, name).is_some()),
    })
}

/// The ids of a profile, the one that is shown first, and its title.
fn named(id: &str, title: &str, profile: &Profile) -> (Vec<String>, String) {
    let number = format!("{id}@{}", profile.index);
    let mut ids = Vec::new();
    ids.extend(profile.id.as_ref().map(|name| format!("{id}@{name}")));
    // The first profile is what the file boots by itself.
    if profile.index == 0 {
        ids.push(id.to_owned());
    }
    ids.push(number);
    let title = match (&profile.title, &profile.id) {
        (Some(words), _) | (None, Some(words)) => format!("{title} ({words})"),
        (None, None) if profile.index == 0 => title.to_owned(),
        (None, None) => format!("{title} (@{})", profile.index),
    };
    (ids, title)
}

struct Os(String);

impl Os {
    /// The first of these fields that is not empty.
    fn first(&self, keys: &[&str]) -> Option<String> {
        let values = keys
            .iter()
            .filter_map(|key| os_release::value(&self.0, key));
        let mut printable = values.map(|value| value.replace(char::is_control, "\u{fffd}"));
        printable.find(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kexec_image::testing::PeBuilder;
    use proptest::prelude::*;

    fn items_of(id: &str, file: &[u8]) -> Result<Vec<UkiEntry>, String> {
        let outline = Outline::parse(file).map_err(|e| e.to_string())?;
        items(id, &outline, &mut |section| {
            let start = usize::try_from(section.offset).unwrap();
            let end = start.saturating_add(usize::try_from(section.len).unwrap());
            let bytes = file.get(start..end).ok_or("cut short")?;
            Ok(bytes.to_vec())
        })
    }

    fn uki(os_release: &str) -> PeBuilder {
        PeBuilder::new()
            .section(".linux", b"kernel".to_vec())
            .section(".osrel", os_release.as_bytes().to_vec())
    }

    /// What bootctl 262 shows of the same files.
    #[test]
    fn fields_that_stand_for_others() {
        let shown = |os_release: &str| {
            let item = items_of("a.efi", &uki(os_release).build())
                .unwrap()
                .remove(0);
            let text = |text: Option<String>| text.unwrap_or_default();
            [item.title, text(item.version), text(item.sort_key)]
        };
        let is = |os_release: &str, expected: [&str; 3]| {
            assert_eq!(shown(os_release), expected, "{os_release}");
        };
        is(
            "ID=a\nNAME=A\nVERSION=\"v 1\"\nVERSION_ID=2\nBUILD_ID=b\nIMAGE_VERSION=3\n",
            ["A", "3", "a"],
        );
        is(
            "ID=a\nNAME=A\nVERSION=\"v 1\"\nVERSION_ID=2\n",
            ["A", "v 1", "a"],
        );
        is("ID=a\nNAME=A\nVERSION_ID=2\nBUILD_ID=b\n", ["A", "2", "a"]);
        is("NAME=A\nBUILD_ID=b\n", ["A", "b", ""]);
        is("ID=a\n", ["a", "", "a"]);
        is("IMAGE_ID=i\nID=z\nNAME=x\n", ["i", "", "i"]);
        is(
            "PRETTY_NAME=\"Arch Linux\"\nID=arch\n",
            ["Arch Linux", "", "arch"],
        );
    }

    #[test]
    fn every_profile_is_an_entry() {
        let file = uki("ID=os\nPRETTY_NAME=OS\n")
            .section(".cmdline", b"base\n".to_vec())
            .section(".uname", b"6.12.1".to_vec())
            .section(".profile", b"ID=main\nTITLE=Regular\n".to_vec())
            .section(".profile", b"ID=reset\nTITLE=\"Factory reset\"\n".to_vec())
            .section(".cmdline", b"reset".to_vec())
            .section(".profile", Vec::new())
            .section(".osrel", b"ID=other\nPRETTY_NAME=Other\n".to_vec())
            .build();
        let found = items_of("multi.efi", &file).unwrap();
        let rows: Vec<_> = found
            .iter()
            .map(|i| {
                let cmdline = String::from_utf8_lossy(i.cmdline.as_ref().unwrap()).into_owned();
                (i.id.as_str(), i.title.as_str(), i.profile, cmdline)
            })
            .collect();
        let line = str::to_owned;
        assert_eq!(
            rows,
            [
                ("multi.efi@main", "OS (Regular)", Some(0), line("base")),
                (
                    "multi.efi@reset",
                    "OS (Factory reset)",
                    Some(1),
                    line("reset")
                ),
                ("multi.efi@2", "Other (@2)", Some(2), line("base")),
            ]
        );
        assert_eq!(found[0].aliases, ["multi.efi", "multi.efi@0"]);
        assert_eq!(found[1].aliases, ["multi.efi@1"]);
        assert_eq!(found[2].release.as_deref(), Some("6.12.1"));
    }

    #[test]
    fn a_single_profile_without_a_name_has_the_name_of_the_file() {
        let file = uki("PRETTY_NAME=h").section(".profile", Vec::new()).build();
        let found = items_of("h.efi", &file).unwrap();
        assert_eq!(
            (found[0].id.as_str(), found[0].title.as_str()),
            ("h.efi", "h")
        );
        let file = uki("PRETTY_NAME=h").build();
        assert_eq!(items_of("h.efi", &file).unwrap()[0].profile, None);
    }

    #[test]
    fn files_that_are_no_entries_say_why() {
        let file = PeBuilder::new().section(".linux", b"k".to_vec()).build();
        assert!(items_of("a.efi", &file).unwrap_err().contains(".osrel"));
        let file = PeBuilder::new().section(".osrel", b"k".to_vec()).build();
        assert!(items_of("a.efi", &file).unwrap_err().contains(".linux"));
    }

    #[test]
    fn a_file_of_profiles_alone_is_bounded() {
        let file = (0..200).fold(uki("ID=x"), |pe, _| pe.section(".profile", Vec::new()));
        assert_eq!(
            items_of("a.efi", &file.build()).unwrap().len(),
            MAX_PROFILES
        );
    }

    proptest! {
        #[test]
        fn any_text_in_a_uki_is_read(os in "\\PC{0,80}", profile in "\\PC{0,40}") {
            let file = uki(&os).section(".profile", profile.into_bytes()).build();
            let items = items_of("a.efi", &file).unwrap();
            let shown = [items[0].title.as_str(), items[0].id.as_str()];
            prop_assert!(shown.iter().all(|text| !text.contains(char::is_control)));
        }
    }
}
