//! The text of a limine.conf (Limine's CONFIG.md, "Structure of the config file" and
//! "Macros"). No files are opened here.

use std::collections::BTreeMap;

/// More entries are not read; a disk with a hundred kernels has some hundreds.
pub const MAX_ENTRIES: usize = 1024;
/// Macros may make a text this much longer, as in Limine.
const MAX_GROWTH: usize = 4;
/// A title has at most this many bytes, the depth included; Limine cuts the rest off.
const MAX_TITLE: usize = 63;

/// What Limine knows of the machine, for its built-in macros and hidden entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// `ARCH`.
    pub arch: &'static str,
    /// Whether the firmware is UEFI: `FW_TYPE`.
    pub uefi: bool,
}

/// `name: value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The name, in lower case.
    pub name: String,
    /// The value.
    pub value: String,
    /// The line, counted from 1.
    pub line: u32,
}

/// A line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How deep it is, from 1 on.
    pub depth: usize,
    /// Its title.
    pub title: String,
    /// Whether a folder is shown open.
    pub open: bool,
    /// The line, counted from 1.
    pub line: u32,
    /// What is said of it.
    pub settings: Vec<Setting>,
}

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Every setting, wherever it stands: of a global one the first counts.
    pub settings: Vec<Setting>,
    /// The entries, in their order.
    pub entries: Vec<Entry>,
}

/// Why a configuration is none: a line and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The line, counted from 1.
    pub line: u32,
    /// What was found and expected.
    pub reason: String,
}

/// Reads a configuration.
///
/// # Errors
/// Where Limine stops with an error: an entry without the one that it is below, or macros
/// that make the text too long.
pub fn parse(text: &str, platform: Platform) -> Result<Config, Malformed> {
    let macros = macros(text, platform);
    let mut config = Config::default();
    let mut room = text.len().saturating_mul(MAX_GROWTH).max(MAX_TITLE);
    for (line, number) in text.lines().zip(1_u32..) {
        let line = line.trim_start_matches([' ', '\t']).trim_end_matches('\r');
        if line.is_empty() || line.starts_with('#') || definition(line).is_some() {
            continue;
        }
        let malformed = |reason: &str| Malformed {
            line: number,
            reason: reason.to_owned(),
        };
        let line = expanded(line, &macros);
        room = room
            .checked_sub(line.len())
            .ok_or_else(|| malformed("its macros make the configuration too long"))?;
        if line.starts_with('/') {
            if config.entries.len() == MAX_ENTRIES {
                return Err(malformed(&format!(
                    "there are more than {MAX_ENTRIES} entries"
                )));
            }
            let entry = entry(&line, number);
            let above = config.entries.last().map_or(0, |entry| entry.depth);
            if entry.depth > above.saturating_add(1) {
                return Err(malformed("it is below an entry that is not there"));
            }
            config.entries.push(entry);
        } else if let Some((name, value)) = line.split_once(':') {
            let setting = Setting {
                name: name.to_ascii_lowercase(),
                value: value.trim_start_matches(' ').to_owned(),
                line: number,
            };
            if let Some(entry) = config.entries.last_mut() {
                entry.settings.push(setting.clone());
            }
            config.settings.push(setting);
        }
    }
    Ok(config)
}

fn entry(line: &str, number: u32) -> Entry {
    let mut end = line.len().min(MAX_TITLE);
    while !line.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let line = line.get(..end).unwrap_or_default();
    let title = line.trim_start_matches('/');
    let depth = line.len().saturating_sub(title.len());
    let open = title.starts_with('+');
    Entry {
        depth,
        title: title
            .strip_prefix('+')
            .unwrap_or(title)
            .trim_start_matches(' ')
            .to_owned(),
        open,
        line: number,
        settings: Vec::new(),
    }
}

/// `${NAME}=value`.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("${")?.split_once('}')?;
    Some((name, rest.strip_prefix('=')?))
}

/// The macros; of one that is defined twice the last counts, everywhere.
fn macros(text: &str, platform: Platform) -> BTreeMap<&str, &str> {
    let firmware = if platform.uefi { "UEFI" } else { "BIOS" };
    let mut macros = BTreeMap::from([("ARCH", platform.arch), ("FW_TYPE", firmware)]);
    let lines = text
        .lines()
        .map(|line| line.trim_start_matches([' ', '\t']).trim_end_matches('\r'));
    macros.extend(lines.filter_map(definition));
    macros
}

/// A line with its macros put in, once. A macro that nobody defined stays.
fn expanded(line: &str, macros: &BTreeMap<&str, &str>) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once("${") {
        out.push_str(before);
        let value = behind.split_once('}').and_then(|(name, behind)| {
            let value = macros.get(name)?;
            Some((value, behind))
        });
        match value {
            Some((value, behind)) => {
                out.push_str(value);
                rest = behind;
            }
            None => {
                out.push_str("${");
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

impl Config {
    /// A global setting.
    pub fn global(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// Whether an entry is a folder: the next one is below it.
    pub fn is_folder(&self, index: usize) -> bool {
        let depth = |at: usize| self.entries.get(at).map_or(0, |entry| entry.depth);
        index
            .checked_add(1)
            .is_some_and(|next| depth(next) > depth(index))
    }
}

impl Entry {
    /// The first setting with one of these names, by the first of the names.
    pub fn setting(&self, names: &[&str]) -> Option<&Setting> {
        names
            .iter()
            .find_map(|name| self.settings.iter().find(|setting| setting.name == *name))
    }

    /// Whether it is left out of the menu.
    pub fn is_hidden(&self, platform: Platform) -> bool {
        let firmware = if platform.uefi { "UEFI" } else { "BIOS" };
        let other = self
            .setting(&["if_fw_type"])
            .is_some_and(|s| !s.value.eq_ignore_ascii_case(firmware));
        let foreign = self.setting(&["if_arch"]).is_some_and(|s| {
            let mut words = s.value.split(' ');
            !words.any(|word| word.eq_ignore_ascii_case(platform.arch))
        });
        let protocol = self.setting(&["protocol"]).map(|s| s.value.as_str());
        let chained = match protocol {
            Some("bios" | "bios_chainload") => platform.uefi,
            Some("efi" | "uefi" | "efi_chainload" | "efi_boot_entry") => !platform.uefi,
            _ => false,
        };
        other || foreign || chained
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PC: Platform = Platform {
        arch: "x86-64",
        uefi: true,
    };

    #[test]
    fn entries_settings_and_macros() {
        let config = parse(
            "# a comment\n\
             TIMEOUT: 5\r\n\
             ${ROOT}=root=/dev/vda2 rw\n\
             /+Systems\n\
             \tcomment: all of them\n\
             //  Arch: ${ARCH}\n\
             \tcmdline: ${ROOT} a:b ${gone}\n\
             \tmodule_path: boot():/a\n\
             module_path:boot():/b\n\
             /Other\n\
             timeout: 7\n",
            PC,
        )
        .unwrap();
        let titles: Vec<(usize, &str, bool, u32)> = config
            .entries
            .iter()
            .map(|e| (e.depth, e.title.as_str(), e.open, e.line))
            .collect();
        assert_eq!(
            titles,
            [
                (1, "Systems", true, 4),
                (2, "Arch: x86-64", false, 6),
                (1, "Other", false, 10)
            ]
        );
        let arch = &config.entries[1];
        assert_eq!(
            arch.setting(&["cmdline"]).unwrap().value,
            "root=/dev/vda2 rw a:b ${gone}"
        );
        let modules = arch.settings.iter().filter(|s| s.name == "module_path");
        let modules: Vec<&str> = modules.map(|s| s.value.as_str()).collect();
        assert_eq!(modules, ["boot():/a", "boot():/b"]);
        assert_eq!(config.global("timeout").unwrap().value, "5");
        assert!(config.is_folder(0) && !config.is_folder(1) && !config.is_folder(2));
    }

    #[test]
    fn what_limine_stops_at() {
        assert_eq!(parse("//a\n", PC).unwrap_err().line, 1);
        assert_eq!(parse("/a\n///b\n", PC).unwrap_err().line, 2);
        let long = "x".repeat(100);
        let bomb = format!(
            "${{A}}={long}\n{}",
            "k: ${A}${A}${A}${A}${A}${A}${A}${A}\n".repeat(60)
        );
        assert!(parse(&bomb, PC).unwrap_err().reason.contains("too long"));
        let many = "/a\n".repeat(MAX_ENTRIES + 1);
        assert!(parse(&many, PC).is_err());
    }

    #[test]
    fn hidden_entries() {
        let hidden = |text: &str, uefi| {
            let config = parse(&format!("/a\n{text}\n"), PC).unwrap();
            config.entries[0].is_hidden(Platform { uefi, ..PC })
        };
        assert!(hidden("if_fw_type: bios", true) && !hidden("if_fw_type: bios", false));
        assert!(hidden("if_arch: aarch64 riscv64", true));
        assert!(!hidden("if_arch: aarch64 x86-64", true));
        assert!(hidden("protocol: bios", true) && hidden("protocol: efi", false));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "((/{0,3}[+]?|\\$\\{A\\}=|cmdline: ?|#)?\\PC{0,12}(\\$\\{A\\})?\n?){0,8}") {
            if let Ok(config) = parse(&text, PC) {
                for at in 0..config.entries.len() {
                    let _ = (config.is_folder(at), config.entries[at].is_hidden(PC));
                }
            }
        }
    }
}
