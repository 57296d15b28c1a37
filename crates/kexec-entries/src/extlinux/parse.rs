//! The words of an extlinux.conf or syslinux.cfg. Two programs read them, each with a
//! grammar of its own: syslinux (wiki.syslinux.org, "Config" and "Menu"; what its 6.04 did
//! in QEMU) and U-Boot (doc/README.pxe; what boot/pxe_utils.c of 2023.01 does with what
//! that text leaves open). No files are opened here.

/// More lines than this are not read; a menu of a rescue disk has some hundreds.
const MAX_LINES: usize = 1 << 16;

/// Who reads a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigReader {
    /// syslinux, extlinux and their relatives, on PCs.
    Syslinux,
    /// U-Boot, on boards.
    UBoot,
}

impl std::fmt::Display for ConfigReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ConfigReader::Syslinux => "syslinux",
            ConfigReader::UBoot => "U-Boot",
        })
    }
}

/// One line that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its line, counted from 1.
    pub line: u32,
    /// What it says.
    pub says: DirectiveKind,
}

/// What a line says, as far as it decides what is booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectiveKind {
    /// `DEFAULT`: for syslinux a label or a kernel, with options; for U-Boot a label.
    Default(String),
    /// `ONTIMEOUT`: the same for when nobody presses a key.
    OnTimeout(String),
    /// `PROMPT`: 0 boots without asking.
    Prompt(bool),
    /// `TIMEOUT`, in tenths of a second; 0 waits for ever.
    Timeout(u32),
    /// `UI`: a module that shows a menu, with arguments.
    Ui(String),
    /// `INCLUDE` and `MENU INCLUDE`; with a second word the file is a submenu.
    Include(String, bool),
    /// `LABEL`: what follows belongs to it.
    Label(String),
    /// `MENU LABEL`, without the `^` that marks a letter.
    MenuLabel(String),
    /// `MENU DEFAULT`: the label is the default of its menu.
    MenuDefault,
    /// `MENU BEGIN`: a submenu.
    MenuBegin,
    /// `MENU END`: the submenu ends.
    MenuEnd,
    /// `MENU HIDE`: the label is not in the menu.
    MenuHide,
    /// `MENU DISABLE`: the label cannot be chosen.
    MenuDisable,
    /// `MENU SEPARATOR`: an empty line, with which a label ends.
    MenuSeparator,
    /// `MENU GOTO`, `MENU EXIT`, `MENU QUIT`: the label does not boot anything.
    MenuMoves,
    /// `MENU START`: the menu that is shown first.
    MenuStart,
    /// `MENU SAVE`: what was booted last is the default.
    MenuSave,
    /// Another line that begins with `MENU`; U-Boot asks then.
    Menu,
    /// A line of a label that has no part in what is booted.
    Nothing,
    /// `LINUX`, `KERNEL` and other words that name what is booted.
    Boots(LabelDirective, String),
    /// `INITRD`: files, for syslinux with commas between them.
    Initrd(String),
    /// `APPEND`: the command line.
    Append(String),
    /// `FDT` or `DEVICETREE`: a device tree.
    DeviceTree(String),
    /// `FDTDIR` or `DEVICETREEDIR`: a folder of device trees.
    DeviceTreeFolder(String),
    /// `FDTOVERLAYS` or `DEVICETREE-OVERLAY`: files with blanks between them.
    Overlays(String),
    /// A line with which U-Boot leaves a label, and does nothing else.
    Ends,
    /// A line with which U-Boot rejects the whole configuration.
    Fatal(String),
}

/// The word that names what is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelDirective {
    /// `LINUX`: a Linux kernel, whatever it is called.
    Linux,
    /// `KERNEL`: for syslinux, its name tells whether it is a Linux kernel.
    Kernel,
    /// `FIT`: a U-Boot image with a kernel in it.
    Fit,
    /// `LOCALBOOT`: the next boot device.
    LocalBoot,
    /// `CONFIG`: another configuration.
    Config,
    /// `BOOT`, `BSS`, `PXE`, `FDIMAGE`, `COMBOOT`, `COM32`: other programs.
    Program,
}

/// The lines that mean something to the reader, in their order. Others, such as colours,
/// are left out.
pub fn parse(text: &str, reader: ConfigReader) -> Vec<Directive> {
    match reader {
        ConfigReader::Syslinux => syslinux(text),
        ConfigReader::UBoot => uboot(text),
    }
}

fn syslinux(text: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut in_text = false;
    for (line, number) in text.lines().take(MAX_LINES).zip(1..) {
        let (word, rest) = first(line);
        if in_text {
            in_text = !word.eq_ignore_ascii_case("endtext");
            continue;
        }
        if word.eq_ignore_ascii_case("text") {
            in_text = first(rest).0.eq_ignore_ascii_case("help");
            continue;
        }
        if let Some(says) = directive(word, rest) {
            found.push(Directive { line: number, says });
        }
    }
    found
}

/// The first word, and what is behind it.
pub(super) fn first(line: &str) -> (&str, &str) {
    let line = line.trim();
    match line.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (line, ""),
    }
}

/// A file that is included, and whether it is a submenu.
fn included(rest: &str) -> DirectiveKind {
    let (name, tag) = first(rest);
    DirectiveKind::Include(name.to_owned(), !tag.is_empty())
}

fn directive(word: &str, rest: &str) -> Option<DirectiveKind> {
    let text = || rest.to_owned();
    let says = match word.to_ascii_lowercase().as_str() {
        "default" => DirectiveKind::Default(text()),
        "ontimeout" => DirectiveKind::OnTimeout(text()),
        "prompt" => DirectiveKind::Prompt(rest.parse::<i64>().ok()? != 0),
        "timeout" => DirectiveKind::Timeout(rest.parse().ok()?),
        "ui" => DirectiveKind::Ui(text()),
        "include" => included(rest),
        "label" => DirectiveKind::Label(first(rest).0.to_owned()),
        "menu" => return menu(rest),
        "linux" => DirectiveKind::Boots(LabelDirective::Linux, text()),
        "kernel" => DirectiveKind::Boots(LabelDirective::Kernel, text()),
        "fit" => DirectiveKind::Boots(LabelDirective::Fit, text()),
        "localboot" => DirectiveKind::Boots(LabelDirective::LocalBoot, text()),
        "config" => DirectiveKind::Boots(LabelDirective::Config, text()),
        "boot" | "bss" | "pxe" | "fdimage" | "comboot" | "com32" => {
            DirectiveKind::Boots(LabelDirective::Program, text())
        }
        "initrd" => DirectiveKind::Initrd(text()),
        "append" => DirectiveKind::Append(text()),
        "fdt" | "devicetree" => DirectiveKind::DeviceTree(text()),
        "fdtdir" | "devicetreedir" => DirectiveKind::DeviceTreeFolder(text()),
        "fdtoverlays" | "devicetree-overlay" => DirectiveKind::Overlays(text()),
        _ => return None,
    };
    Some(says)
}

fn menu(rest: &str) -> Option<DirectiveKind> {
    let (word, rest) = first(rest);
    Some(match word.to_ascii_lowercase().as_str() {
        "label" => DirectiveKind::MenuLabel(rest.replacen('^', "", 1)),
        "default" => DirectiveKind::MenuDefault,
        "include" => included(rest),
        "begin" => DirectiveKind::MenuBegin,
        "end" => DirectiveKind::MenuEnd,
        "hide" => DirectiveKind::MenuHide,
        "disable" | "disabled" => DirectiveKind::MenuDisable,
        "separator" => DirectiveKind::MenuSeparator,
        "goto" | "exit" | "quit" => DirectiveKind::MenuMoves,
        "start" => DirectiveKind::MenuStart,
        "save" => DirectiveKind::MenuSave,
        _ => return None,
    })
}

/// U-Boot ends a label at the first word that a label cannot have, and leaves out what
/// it does not know outside of labels.
fn uboot(text: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut in_label = false;
    for (line, number) in text.lines().take(MAX_LINES).zip(1..) {
        let line = line.trim_start_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = match line.split_once(|c: char| c.is_ascii_whitespace()) {
            Some((word, rest)) => (word, rest.trim_start_matches([' ', '\t'])),
            None => (line, ""),
        };
        let mut says = uboot_directive(word, rest);
        match &says {
            DirectiveKind::Label(_) => in_label = true,
            // Of a label it means nothing.
            DirectiveKind::Include(..) if in_label && word.eq_ignore_ascii_case("menu") => {
                says = DirectiveKind::Menu
            }
            DirectiveKind::Default(_)
            | DirectiveKind::OnTimeout(_)
            | DirectiveKind::Timeout(_)
            | DirectiveKind::Include(..)
            | DirectiveKind::Ends => in_label = false,
            _ => {}
        }
        found.push(Directive { line: number, says });
    }
    found
}

/// Values go to the end of the line, whatever is in them.
fn uboot_directive(word: &str, rest: &str) -> DirectiveKind {
    let word = word.to_ascii_lowercase();
    let text = || rest.to_owned();
    let says = match word.as_str() {
        "menu" => return uboot_menu(rest),
        "default" => DirectiveKind::Default(text()),
        "ontimeout" => DirectiveKind::OnTimeout(text()),
        "timeout" => DirectiveKind::Timeout(number(rest)),
        "include" => DirectiveKind::Include(text(), false),
        "label" => DirectiveKind::Label(text()),
        "linux" => DirectiveKind::Boots(LabelDirective::Linux, text()),
        "kernel" => DirectiveKind::Boots(LabelDirective::Kernel, text()),
        "fit" => DirectiveKind::Boots(LabelDirective::Fit, text()),
        "localboot" => DirectiveKind::Boots(LabelDirective::LocalBoot, text()),
        "initrd" => DirectiveKind::Initrd(text()),
        "append" => DirectiveKind::Append(text()),
        "fdt" | "devicetree" => DirectiveKind::DeviceTree(text()),
        "fdtdir" | "devicetreedir" => DirectiveKind::DeviceTreeFolder(text()),
        "fdtoverlays" | "devicetree-overlay" => DirectiveKind::Overlays(text()),
        // They are no part of what is booted, and do not end a label.
        "ipappend" | "kaslrseed" => return DirectiveKind::Nothing,
        _ => return DirectiveKind::Ends,
    };
    match rest.is_empty() || rest.starts_with('#') {
        true => DirectiveKind::Fatal(word),
        false => says,
    }
}

/// Of a label only two of these lines mean something.
fn uboot_menu(rest: &str) -> DirectiveKind {
    let (word, rest) = first(rest);
    match word.to_ascii_lowercase().as_str() {
        "label" => DirectiveKind::MenuLabel(rest.replacen('^', "", 1)),
        "default" => DirectiveKind::MenuDefault,
        "include" => DirectiveKind::Include(rest.to_owned(), false),
        _ => DirectiveKind::Menu,
    }
}

/// Leading digits, as strtol reads them.
fn number(text: &str) -> u32 {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let digits = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn says(text: &str) -> Vec<(u32, DirectiveKind)> {
        let found = parse(text, ConfigReader::Syslinux).into_iter();
        found.map(|d| (d.line, d.says)).collect()
    }

    fn board(text: &str) -> Vec<DirectiveKind> {
        let found = parse(text, ConfigReader::UBoot).into_iter();
        found.map(|d| d.says).collect()
    }

    #[test]
    fn words_are_known_in_any_case() {
        let found = says(
            "# made by hand\n\
             DEFAULT l0 single\n\
             \tmenu Label ^Debian ^12\n\
             Menu title nothing\n\
             TIMEOUT 50\n\
             prompt 1\n\
             menu default\n\
             INCLUDE /more.cfg Tag\n\
             KERNEL\t../vmlinuz\n",
        );
        assert_eq!(
            found,
            [
                (2, DirectiveKind::Default("l0 single".to_owned())),
                (3, DirectiveKind::MenuLabel("Debian ^12".to_owned())),
                (5, DirectiveKind::Timeout(50)),
                (6, DirectiveKind::Prompt(true)),
                (7, DirectiveKind::MenuDefault),
                (8, DirectiveKind::Include("/more.cfg".to_owned(), true)),
                (
                    9,
                    DirectiveKind::Boots(LabelDirective::Kernel, "../vmlinuz".to_owned())
                ),
            ]
        );
    }

    #[test]
    fn help_texts_are_no_configuration() {
        let found = says("LABEL a\nTEXT HELP\nLABEL b\nKERNEL x\nENDTEXT\nLABEL c\n");
        assert_eq!(
            found,
            [
                (1, DirectiveKind::Label("a".to_owned())),
                (6, DirectiveKind::Label("c".to_owned()))
            ]
        );
        // A text without an end takes the rest with it.
        assert_eq!(says("text help\nLABEL b\n"), []);
        // U-Boot knows no help texts.
        assert_eq!(
            board("LABEL a\nTEXT HELP\nLABEL b\nENDTEXT\n"),
            [
                DirectiveKind::Label("a".to_owned()),
                DirectiveKind::Ends,
                DirectiveKind::Label("b".to_owned()),
                DirectiveKind::Ends
            ]
        );
    }

    #[test]
    fn numbers_that_are_none_are_left_out() {
        assert_eq!(says("TIMEOUT soon\nPROMPT\nTIMEOUT 99999999999\n"), []);
        assert_eq!(board("timeout soon\n"), [DirectiveKind::Timeout(0)]);
    }

    #[test]
    fn what_a_board_reads() {
        assert_eq!(
            board(
                "## by hand\nUI menu.c32\nmenu title x\nmenu begin y\ndefault A b (c)\n\
                 label A b (c)\n\tkernel /a b\n\tkaslrseed\n\tappend a  b\n"
            ),
            [
                DirectiveKind::Ends,
                DirectiveKind::Menu,
                DirectiveKind::Menu,
                DirectiveKind::Default("A b (c)".to_owned()),
                DirectiveKind::Label("A b (c)".to_owned()),
                DirectiveKind::Boots(LabelDirective::Kernel, "/a b".to_owned()),
                DirectiveKind::Nothing,
                DirectiveKind::Append("a  b".to_owned()),
            ]
        );
        assert_eq!(
            board("append\nlabel # x\n"),
            [
                DirectiveKind::Fatal("append".to_owned()),
                DirectiveKind::Fatal("label".to_owned())
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "((label|menu|default|text help|prompt)?[ \t]?\\PC{0,20}\n?){0,8}") {
            for reader in [ConfigReader::Syslinux, ConfigReader::UBoot] {
                for directive in parse(&text, reader) {
                    prop_assert!(usize::try_from(directive.line).unwrap() <= text.lines().count());
                }
            }
        }
    }
}
