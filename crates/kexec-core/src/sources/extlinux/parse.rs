//! The words of an extlinux.conf or syslinux.cfg (wiki.syslinux.org, "Config";
//! U-Boot, doc/README.pxe). No files are opened here.

/// More lines than this are not read; a menu of a rescue disk has some hundreds.
const MAX_LINES: usize = 1 << 16;

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
    /// `DEFAULT`: a label or a kernel, with options.
    Default(String),
    /// `ONTIMEOUT`: the same for when nobody presses a key.
    OnTimeout(String),
    /// `PROMPT`: 0 boots without asking.
    Prompt(bool),
    /// `TIMEOUT`, in tenths of a second; 0 waits for ever.
    Timeout(u32),
    /// `UI`: a module that shows a menu.
    Ui(String),
    /// `INCLUDE` and `MENU INCLUDE`.
    Include(String),
    /// `LABEL`: what follows belongs to it.
    Label(String),
    /// `MENU LABEL`, without the `^` that marks a letter.
    MenuLabel(String),
    /// `MENU DEFAULT`.
    MenuDefault,
    /// `LINUX`, `KERNEL` and other words that name what is booted.
    Boots(Verb, String),
    /// `INITRD`: files with commas between them.
    Initrd(String),
    /// `APPEND`: the command line.
    Append(String),
    /// `FDT` or `DEVICETREE`: a device tree.
    DeviceTree(String),
    /// `FDTDIR` or `DEVICETREEDIR`: a folder of device trees.
    DeviceTreeFolder(String),
    /// `FDTOVERLAYS` or `DEVICETREE-OVERLAY`: files with blanks between them.
    Overlays(String),
}

/// The word that names what is booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `LINUX`: a Linux kernel, whatever it is called.
    Linux,
    /// `KERNEL`: by its name a Linux kernel or something else.
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

/// The lines that mean something, in their order. Others, such as colours, are
/// left out; what is written in a way that nobody understands is, too.
pub fn parse(text: &str) -> Vec<Directive> {
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

fn directive(word: &str, rest: &str) -> Option<Says> {
    let text = || rest.to_owned();
    let says = match word.to_ascii_lowercase().as_str() {
        "default" => Says::Default(text()),
        "ontimeout" => Says::OnTimeout(text()),
        "prompt" => Says::Prompt(rest.parse::<i64>().ok()? != 0),
        "timeout" => Says::Timeout(rest.parse().ok()?),
        "ui" => Says::Ui(text()),
        "include" => Says::Include(first(rest).0.to_owned()),
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
    match word.to_ascii_lowercase().as_str() {
        "label" => Some(Says::MenuLabel(rest.replacen('^', "", 1))),
        "default" => Some(Says::MenuDefault),
        "include" => Some(Says::Include(first(rest).0.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn says(text: &str) -> Vec<(u32, Says)> {
        parse(text).into_iter().map(|d| (d.line, d.says)).collect()
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
                (8, Says::Include("/more.cfg".to_owned())),
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
    }

    #[test]
    fn numbers_that_are_none_are_left_out() {
        assert_eq!(says("TIMEOUT soon\nPROMPT\nTIMEOUT 99999999999\n"), []);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "((label|menu|default|text help|prompt)?[ \t]?\\PC{0,20}\n?){0,8}") {
            for directive in parse(&text) {
                prop_assert!(usize::try_from(directive.line).unwrap() <= text.lines().count());
            }
        }
    }
}
