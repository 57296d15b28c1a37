//! The text of a limine.conf (Limine's CONFIG.md, "Structure of the config file" and
//! "Macros"). No files are opened here.

use std::collections::BTreeMap;

use super::version::{CONDITIONS, HIDES_OTHER_FIRMWARE, LONG_TITLES, LimineVersion};

/// More entries are not read; a disk with a hundred kernels has some hundreds.
pub const MAX_ENTRIES: usize = 1024;
/// Macros may make a text this much longer, as in Limine.
const MAX_GROWTH: usize = 4;
/// A line of the menu has at most this many bytes, the slashes included.
const MAX_LINE: usize = 1024;
/// So many of them count before [`LONG_TITLES`]; Limine cuts the rest off.
const MAX_SHORT_LINE: usize = 63;
/// Folders in folders.
const MAX_DEPTH: usize = 63;

/// What Limine knows of the machine, for its built-in macros and hidden entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiminePlatform {
    /// What the macro `ARCH` stands for: `x86-64`, `ia-32` ...
    pub arch: &'static str,
    /// Whether the firmware is UEFI: `FW_TYPE`.
    pub uefi: bool,
}

/// One line `name: value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The name, in lower case.
    pub name: String,
    /// What is written behind the colon.
    pub value: String,
    /// The line, counted from 1.
    pub line: u32,
}

/// A line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimineEntry {
    /// How deep it is, from 1 on.
    pub depth: usize,
    /// The title without its slashes.
    pub title: String,
    /// How many bytes its line has in front of the title.
    pub lead: usize,
    /// Whether a folder is shown open.
    pub open: bool,
    /// The line, counted from 1.
    pub line: u32,
    /// What is said of it.
    pub settings: Vec<Setting>,
}

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimineConfig {
    /// The global settings, which stand before the first entry; of several the first counts.
    pub settings: Vec<Setting>,
    /// The entries, in their order.
    pub entries: Vec<LimineEntry>,
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
/// Where Limine stops with an error: an entry without the one that it is below or without
/// a title, a macro that is not closed on its line, or macros that make the text too long.
pub fn parse(text: &str, platform: LiminePlatform) -> Result<LimineConfig, Malformed> {
    let text = stripped(text);
    let macros = macros(&text, platform);
    let mut config = LimineConfig::default();
    let mut room = text.len().saturating_add(1).saturating_mul(MAX_GROWTH);
    for (line, number) in text.split('\n').zip(1_u32..) {
        if definition(line).is_some() {
            continue;
        }
        let malformed = |reason: &str| Malformed {
            line: number,
            reason: reason.to_owned(),
        };
        let line = expanded(line, &macros).ok_or_else(|| {
            malformed("a macro begins there (\"${\") but does not end on that line (\"}\")")
        })?;
        room = room
            .checked_sub(line.len())
            .ok_or_else(|| malformed("its macros make the configuration too long"))?;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('/') {
            if config.entries.len() == MAX_ENTRIES {
                return Err(malformed(&format!(
                    "there are more than {MAX_ENTRIES} entries"
                )));
            }
            if line.bytes().all(|b| b == b'/') {
                return Err(malformed("it is an entry without a title"));
            }
            let entry = entry(&line, number);
            let above = config.entries.last().map_or(0, |entry| entry.depth);
            if entry.depth > above.saturating_add(1) {
                return Err(malformed("it is below an entry that does not exist"));
            }
            if entry.depth > MAX_DEPTH {
                return Err(malformed(&format!("it is deeper than {MAX_DEPTH} folders")));
            }
            config.entries.push(entry);
        } else if let Some((name, value)) = line.split_once(':') {
            let settings = match config.entries.last_mut() {
                Some(entry) => &mut entry.settings,
                None => &mut config.settings,
            };
            settings.push(Setting {
                name: name.to_ascii_lowercase(),
                value: value.trim_start_matches(' ').to_owned(),
                line: number,
            });
        }
    }
    Ok(config)
}

/// The text as Limine goes on with it: up to a NUL, without the carriage returns, and without
/// the blanks around its lines. Of a blank behind a carriage return it does not see that it
/// is at the end.
fn stripped(text: &str) -> String {
    let text = text.split('\0').next().unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for (line, number) in text.split('\n').zip(0_usize..) {
        if number > 0 {
            out.push('\n');
        }
        let line = line.trim_start_matches([' ', '\t', '\r']);
        let body = line.trim_end_matches([' ', '\t']);
        out.extend(body.split('\r'));
        let blanks = line.get(body.len()..).unwrap_or_default();
        if body.ends_with('\r') {
            out.extend(blanks.chars().next());
        }
    }
    out
}

fn entry(line: &str, number: u32) -> LimineEntry {
    let line = cut(line, MAX_LINE);
    let title = line.trim_start_matches('/');
    let depth = line.len().saturating_sub(title.len());
    let open = title.starts_with('+');
    let title = title.strip_prefix('+').unwrap_or(title);
    let title = title.trim_start_matches(' ');
    LimineEntry {
        depth,
        title: title.to_owned(),
        lead: line.len().saturating_sub(title.len()),
        open,
        line: number,
        settings: Vec::new(),
    }
}

/// At most so many bytes of a text.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most))
        .unwrap_or_default()
}

/// The name and the value of a macro that a line `${NAME}=value` defines.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("${")?.split_once('}')?;
    Some((name, rest.strip_prefix('=')?))
}

/// The macros; of one that is defined twice the last counts, everywhere.
fn macros(text: &str, platform: LiminePlatform) -> BTreeMap<&str, &str> {
    let firmware = if platform.uefi { "UEFI" } else { "BIOS" };
    let mut macros = BTreeMap::from([("ARCH", platform.arch), ("FW_TYPE", firmware)]);
    macros.extend(text.split('\n').filter_map(definition));
    macros
}

/// A line with its macros put in, once; nothing where one is not closed. A macro that
/// nobody defined stays, so that who meets it can say so.
fn expanded(line: &str, macros: &BTreeMap<&str, &str>) -> Option<String> {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once("${") {
        let (name, behind) = behind.split_once('}')?;
        out.push_str(before);
        match macros.get(name) {
            Some(value) => out.push_str(value),
            None => {
                for part in ["${", name, "}"] {
                    out.push_str(part);
                }
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

impl LimineConfig {
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

impl LimineEntry {
    /// The first setting with one of these names, by the first of the names.
    pub fn setting(&self, names: &[&str]) -> Option<&Setting> {
        names
            .iter()
            .find_map(|name| self.settings.iter().find(|setting| setting.name == *name))
    }

    /// Its title, as much of it as that version keeps.
    pub fn title(&self, version: LimineVersion) -> &str {
        match version < LONG_TITLES {
            true => cut(&self.title, MAX_SHORT_LINE.saturating_sub(self.lead)),
            false => &self.title,
        }
    }

    /// Whether that version leaves it out of the menu.
    pub(super) fn is_hidden(&self, platform: LiminePlatform, version: LimineVersion) -> bool {
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
        (version >= CONDITIONS && (other || foreign))
            || (version >= HIDES_OTHER_FIRMWARE && chained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PC: LiminePlatform = LiminePlatform {
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
    fn blanks_and_carriage_returns_go() {
        assert_eq!(
            stripped(" a \t\n\t\r b\r\n \r \nc\rd \r\n e"),
            "a\nb\n\ncd \ne"
        );
        assert_eq!(stripped("a\r  \nb\0c"), "a \nb");
        let config = parse("default_entry: 2 \r\n/A\n/B \t\nprotocol: linux \n", PC).unwrap();
        assert_eq!(config.global("default_entry").unwrap().value, "2 ");
        assert_eq!(config.entries[1].title, "B");
        let protocol = config.entries[1].setting(&["protocol"]).unwrap();
        assert_eq!(protocol.value, "linux");
    }

    #[test]
    fn behind_the_first_entry_nothing_is_global() {
        let config = parse("timeout: 1\n/A\ndefault_entry: 2\n/B\ntimeout: 3\n", PC).unwrap();
        assert_eq!(config.global("default_entry"), None);
        assert_eq!(config.settings.len(), 1);
        assert_eq!(config.entries[0].settings[0].value, "2");
    }

    #[test]
    fn a_macro_ends_on_its_line() {
        for (text, line) in [
            ("/a\ncmdline: ${B\n}\n", 2),
            ("# ${a}\n# ${b\n", 2),
            ("${A\n", 1),
        ] {
            assert_eq!(parse(text, PC).unwrap_err().line, line, "{text}");
        }
        // Neither takes a time that grows with the square of the text.
        let open = "${".repeat(1_900_000);
        assert!(parse(&open, PC).is_err());
        assert!(parse(&format!("a: {open}}}\n"), PC).is_ok());
        assert!(parse(&format!("a: {}\n", "${${x}".repeat(600_000)), PC).is_ok());
    }

    #[test]
    fn titles_and_their_limits() {
        let long = "é".repeat(40);
        let config = parse(&format!("/{long}\n"), PC).unwrap();
        assert_eq!(config.entries[0].title(LONG_TITLES), long);
        assert_eq!(
            config.entries[0].title(HIDES_OTHER_FIRMWARE),
            "é".repeat(31)
        );
        assert_eq!(parse("/a\n//\n", PC).unwrap_err().line, 2);
        let deep: String = (1..70)
            .map(|depth| format!("{}x\n", "/".repeat(depth)))
            .collect();
        assert_eq!(parse(&deep, PC).unwrap_err().line, 64);
    }

    #[test]
    fn what_is_hidden_depends_on_the_version() {
        let config = parse("/a\nif_arch: aarch64\n/b\nprotocol: bios\n", PC).unwrap();
        let hidden = |at: usize, version| config.entries[at].is_hidden(PC, version);
        assert!(!hidden(0, LONG_TITLES) && hidden(0, CONDITIONS));
        let old = LimineVersion { major: 9, minor: 6 };
        assert!(!hidden(1, old) && hidden(1, HIDES_OTHER_FIRMWARE));
    }

    #[test]
    fn hidden_entries() {
        let hidden = |text: &str, uefi| {
            let config = parse(&format!("/a\n{text}\n"), PC).unwrap();
            config.entries[0].is_hidden(LiminePlatform { uefi, ..PC }, CONDITIONS)
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
                    let _ = (config.is_folder(at), config.entries[at].is_hidden(PC, CONDITIONS));
                }
            }
        }
    }
}
