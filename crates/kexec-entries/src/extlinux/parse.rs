//! The words of an extlinux.conf or syslinux.cfg. Two programs read them, each with a
//! grammar of its own: syslinux (wiki.syslinux.org, "Config" and "Menu"; what its 6.04 did
//! in QEMU) and U-Boot (doc/README.pxe; what boot/pxe_utils.c of 2023.01 does with what
//! that text leaves open). No files are opened here.

/// More lines than this are not read; a menu of a rescue disk has some hundreds.
const MAX_LINES: usize = 1 << 16;

/// Who reads a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// syslinux, extlinux and their relatives, on PCs.
    Syslinux,
    /// U-Boot, on boards.
    UBoot,
}

impl std::fmt::Display for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reader::Syslinux => "syslinux",
            Reader::UBoot => "U-Boot",
        })
    }
}

/// One line that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its line, counted from 1.
    pub line: u32,
    /// What it says.
    pub says: Says,
}

/// What a line says, as far as it decides what is booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
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
    /// `MENU DEFAULT`.
    MenuDefault,
    /// `MENU BEGIN`: a submenu.
    MenuBegin,
    /// `MENU END`.
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
    Boots(Verb, String),
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
    /// A line with which U-Boot gives up the whole configuration.
    Fatal(String),
}

/// The word that names what is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
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
pub fn parse(text: &str, reader: Reader) -> Vec<Directive> {
    match reader {
        Reader::Syslinux => syslinux(text),
        Reader::UBoot => uboot(text),
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
fn included(rest: &str) -> Says {
    let (name, tag) = first(rest);
    Says::Include(name.to_owned(), !tag.is_empty())
}

fn directive(word: &str, rest: &str) -> Option<Says> {
    let text = || rest.to_owned();
    let says = match word.to_ascii_lowercase().as_str() {
        "default" => Says::Default(text()),
        "ontimeout" => Says::OnTimeout(text()),
        "prompt" => Says::Prompt(rest.parse::<i64>().ok()? != 0),
        "timeout" => Says::Timeout(rest.parse().ok()?),
        "ui" => Says::Ui(text()),
        "include" => included(rest),
        "label" => Says::Label(first(rest).0.to_owned()),
        "menu" => return menu(rest),
        "linux" => Says::Boots(Verb::Linux, text()),
        "kernel" => Says::Boots(Verb::Kernel, text()),
        "fit" => Says::Boots(Verb::Fit, text()),
        "localboot" => Says::Boots(Verb::LocalBoot, text()),
        "config" => Says::Boots(Verb::Config, text()),
        "boot" | "bss" | "pxe" | "fdimage" | "comboot" | "com32" => {
            Says::Boots(Verb::Program, text())
        }
        "initrd" => Says::Initrd(text()),
        "append" => Says::Append(text()),
        "fdt" | "devicetree" => Says::DeviceTree(text()),
        "fdtdir" | "devicetreedir" => Says::DeviceTreeFolder(text()),
        "fdtoverlays" | "devicetree-overlay" => Says::Overlays(text()),
        _ => return None,
    };
    Some(says)
}

fn menu(rest: &str) -> Option<Says> {
    let (word, rest) = first(rest);
    Some(match word.to_ascii_lowercase().as_str() {
        "label" => Says::MenuLabel(rest.replacen('^', "", 1)),
        "default" => Says::MenuDefault,
        "include" => included(rest),
        "begin" => Says::MenuBegin,
        "end" => Says::MenuEnd,
        "hide" => Says::MenuHide,
        "disable" | "disabled" => Says::MenuDisable,
        "separator" => Says::MenuSeparator,
        "goto" | "exit" | "quit" => Says::MenuMoves,
        "start" => Says::MenuStart,
        "save" => Says::MenuSave,
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
            Says::Label(_) => in_label = true,
            // Of a label it means nothing.
            Says::Include(..) if in_label && word.eq_ignore_ascii_case("menu") => says = Says::Menu,
            Says::Default(_)
            | Says::OnTimeout(_)
            | Says::Timeout(_)
            | Says::Include(..)
            | Says::Ends => in_label = false,
            _ => {}
        }
        found.push(Directive { line: number, says });
    }
    found
}

/// Values go to the end of the line, whatever is in them.
fn uboot_directive(word: &str, rest: &str) -> Says {
    let word = word.to_ascii_lowercase();
    let text = || rest.to_owned();
    let says = match word.as_str() {
        "menu" => return uboot_menu(rest),
        "default" => Says::Default(text()),
        "ontimeout" => Says::OnTimeout(text()),
        "timeout" => Says::Timeout(number(rest)),
        "include" => Says::Include(text(), false),
        "label" => Says::Label(text()),
        "linux" => Says::Boots(Verb::Linux, text()),
        "kernel" => Says::Boots(Verb::Kernel, text()),
        "fit" => Says::Boots(Verb::Fit, text()),
        "localboot" => Says::Boots(Verb::LocalBoot, text()),
        "initrd" => Says::Initrd(text()),
        "append" => Says::Append(text()),
        "fdt" | "devicetree" => Says::DeviceTree(text()),
        "fdtdir" | "devicetreedir" => Says::DeviceTreeFolder(text()),
        "fdtoverlays" | "devicetree-overlay" => Says::Overlays(text()),
        // They are no part of what is booted, and do not end a label.
        "ipappend" | "kaslrseed" => return Says::Nothing,
        _ => return Says::Ends,
    };
    match rest.is_empty() || rest.starts_with('#') {
        true => Says::Fatal(word),
        false => says,
    }
}

/// Of a label only two of these lines mean something.
fn uboot_menu(rest: &str) -> Says {
    let (word, rest) = first(rest);
    match word.to_ascii_lowercase().as_str() {
        "label" => Says::MenuLabel(rest.replacen('^', "", 1)),
        "default" => Says::MenuDefault,
        "include" => Says::Include(rest.to_owned(), false),
        _ => Says::Menu,
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

    fn says(text: &str) -> Vec<(u32, Says)> {
        let found = parse(text, Reader::Syslinux).into_iter();
        found.map(|d| (d.line, d.says)).collect()
    }

    fn board(text: &str) -> Vec<Says> {
        let found = parse(text, Reader::UBoot).into_iter();
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
                (2, Says::Default("l0 single".to_owned())),
                (3, Says::MenuLabel("Debian ^12".to_owned())),
                (5, Says::Timeout(50)),
                (6, Says::Prompt(true)),
                (7, Says::MenuDefault),
                (8, Says::Include("/more.cfg".to_owned(), true)),
                (9, Says::Boots(Verb::Kernel, "../vmlinuz".to_owned())),
            ]
        );
    }

    #[test]
    fn help_texts_are_no_configuration() {
        let found = says("LABEL a\nTEXT HELP\nLABEL b\nKERNEL x\nENDTEXT\nLABEL c\n");
        assert_eq!(
            found,
            [
                (1, Says::Label("a".to_owned())),
                (6, Says::Label("c".to_owned()))
            ]
        );
        // A text without an end takes the rest with it.
        assert_eq!(says("text help\nLABEL b\n"), []);
        // U-Boot knows no help texts.
        assert_eq!(
            board("LABEL a\nTEXT HELP\nLABEL b\nENDTEXT\n"),
            [
                Says::Label("a".to_owned()),
                Says::Ends,
                Says::Label("b".to_owned()),
                Says::Ends
            ]
        );
    }

    #[test]
    fn numbers_that_are_none_are_left_out() {
        assert_eq!(says("TIMEOUT soon\nPROMPT\nTIMEOUT 99999999999\n"), []);
        assert_eq!(board("timeout soon\n"), [Says::Timeout(0)]);
    }

    #[test]
    fn what_a_board_reads() {
        assert_eq!(
            board(
                "## by hand\nUI menu.c32\nmenu title x\nmenu begin y\ndefault A b (c)\n\
                 label A b (c)\n\tkernel /a b\n\tkaslrseed\n\tappend a  b\n"
            ),
            [
                Says::Ends,
                Says::Menu,
                Says::Menu,
                Says::Default("A b (c)".to_owned()),
                Says::Label("A b (c)".to_owned()),
                Says::Boots(Verb::Kernel, "/a b".to_owned()),
                Says::Nothing,
                Says::Append("a  b".to_owned()),
            ]
        );
        assert_eq!(
            board("append\nlabel # x\n"),
            [
                Says::Fatal("append".to_owned()),
                Says::Fatal("label".to_owned())
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "((label|menu|default|text help|prompt)?[ \t]?\\PC{0,20}\n?){0,8}") {
            for reader in [Reader::Syslinux, Reader::UBoot] {
                for directive in parse(&text, reader) {
                    prop_assert!(usize::try_from(directive.line).unwrap() <= text.lines().count());
                }
            }
        }
    }
}
