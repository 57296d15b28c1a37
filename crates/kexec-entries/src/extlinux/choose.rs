//! Which label is booted when nobody presses a key.

use super::config::{ExtlinuxConfig, ExtlinuxMenu, Located, MenuLine};
use super::parse::{ConfigReader, LabelDirective, first};

/// What is booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtlinuxDefault {
    /// A label, and why.
    Label(usize, String),
    /// A command line of its own, which names a label with more options, or a
    /// kernel; and why. Only syslinux has that.
    Command(Located<String>, String),
    /// The file does not say, and why.
    Nothing(String),
    /// It cannot be said: what is written where, and why.
    Unclear(Located<()>, String),
}

/// Chooses as the reader of the file does.
pub fn choose(config: &ExtlinuxConfig) -> ExtlinuxDefault {
    let (chosen, timeout) = match config.reader {
        ConfigReader::UBoot => (uboot(config), timeout(config, 0)),
        ConfigReader::Syslinux if config.menu => menu(config),
        ConfigReader::Syslinux => (prompt(config), timeout(config, 0)),
    };
    let on_timeout = match config.reader {
        ConfigReader::UBoot => false,
        ConfigReader::Syslinux => config.menus.iter().any(|menu| menu.on_timeout.is_some()),
    };
    let waits = config.asks && timeout == 0 && !on_timeout;
    match chosen {
        ExtlinuxDefault::Label(label, why) if waits => ExtlinuxDefault::Label(label, waiting(&why)),
        ExtlinuxDefault::Command(text, why) if waits => {
            ExtlinuxDefault::Command(text, waiting(&why))
        }
        chosen => chosen,
    }
}

fn waiting(why: &str) -> String {
    format!("{why}; there is no TIMEOUT, so it waits for a key first")
}

fn timeout(config: &ExtlinuxConfig, menu: usize) -> u32 {
    config.menus.get(menu).map_or(0, |menu| menu.timeout)
}

/// U-Boot boots the label that is called so, character for character; else it goes through
/// the labels from the first on until one boots.
fn uboot(config: &ExtlinuxConfig) -> ExtlinuxDefault {
    if let Some(at) = &config.fatal {
        let reason = format!("{}: U-Boot rejects the whole configuration", at.value);
        return ExtlinuxDefault::Unclear(position(at), reason);
    }
    let named = config.default.as_ref().map(|text| &text.value);
    if let Some(index) = named.and_then(|name| config.label(name)) {
        return ExtlinuxDefault::Label(index, "DEFAULT names it".to_owned());
    }
    let mut labels = config.labels.iter();
    let bootable = labels.position(|label| match &label.boots {
        Some(boots) => boots.value.0 != LabelDirective::LocalBoot,
        None => false,
    });
    match (bootable, named) {
        (None, _) => ExtlinuxDefault::Nothing("there is no label with a kernel".to_owned()),
        (Some(index), None) => ExtlinuxDefault::Label(
            index,
            "it is the first label, and no other is marked".to_owned(),
        ),
        (Some(index), Some(name)) => ExtlinuxDefault::Label(
            index,
            format!("it is the first label, and DEFAULT names {name:?}, which does not exist"),
        ),
    }
}

/// syslinux without a menu.
fn prompt(config: &ExtlinuxConfig) -> ExtlinuxDefault {
    let main = config.menus.first();
    if let Some(text) = main.and_then(|menu| menu.on_timeout.as_ref())
        && config.asks
        && timeout(config, 0) > 0
    {
        return command(config, text, "ONTIMEOUT names it");
    }
    match &config.default {
        Some(text) => command(config, text, "DEFAULT names it, and there is no menu"),
        None if config.labels.is_empty() => {
            ExtlinuxDefault::Nothing("there is no label".to_owned())
        }
        None => {
            ExtlinuxDefault::Nothing("there is no DEFAULT: syslinux waits at its prompt".to_owned())
        }
    }
}

/// A menu of syslinux, and the timeout of the menu that is shown. A `DEFAULT` that names a
/// label decides, wherever that label is; else it is the menu's own default, else its first.
fn menu(config: &ExtlinuxConfig) -> (ExtlinuxDefault, u32) {
    if let Some(at) = &config.other_files {
        let reason = format!("the menu reads {} and not this file", at.value);
        return (ExtlinuxDefault::Unclear(position(at), reason), 1);
    }
    if let Some(at) = &config.saves {
        let reason = "MENU SAVE makes the last booted label the default, and kexec does not read \
                      where syslinux stores it";
        return (ExtlinuxDefault::Unclear(at.clone(), reason.to_owned()), 1);
    }
    let named = config.default.as_ref();
    // What is behind the name is left out by the menu.
    let named = named.and_then(|text| config.label(first(&text.value).0));
    let named = named.and_then(|label| {
        let mut menus = config.menus.iter().enumerate();
        menus.find_map(|(at, menu)| {
            let mut items = menu.items.iter();
            Some((at, items.position(|item| *item == MenuLine::Label(label))?))
        })
    });
    let shown = named.map_or(config.start, |(menu, _)| menu);
    let Some(menu) = config.menus.get(shown) else {
        return (ExtlinuxDefault::Nothing("there is no menu".to_owned()), 1);
    };
    let chosen = match (&menu.on_timeout, menu.timeout) {
        (Some(text), 1..) => command(config, text, "ONTIMEOUT names it"),
        _ => item(menu, named.map(|(_, item)| item)),
    };
    (chosen, menu.timeout)
}

/// What is booted from a menu.
fn item(menu: &ExtlinuxMenu, named: Option<usize>) -> ExtlinuxDefault {
    let (at, why) = match (named, menu.default) {
        (Some(at), _) => (at, "DEFAULT names it"),
        (None, Some(at)) => (at, "MENU DEFAULT marks it"),
        (None, None) => (0, "it is the first label, and no other is marked"),
    };
    match menu.items.get(at) {
        Some(MenuLine::Label(index)) => ExtlinuxDefault::Label(*index, why.to_owned()),
        Some(MenuLine::Submenu(at)) => ExtlinuxDefault::Unclear(
            at.clone(),
            "the default of the menu is a submenu, which boots nothing by itself".to_owned(),
        ),
        Some(MenuLine::Moves(at)) => ExtlinuxDefault::Unclear(
            at.clone(),
            "the default of the menu leads to another menu or nowhere".to_owned(),
        ),
        Some(MenuLine::Disabled(at)) => ExtlinuxDefault::Unclear(
            at.clone(),
            "the menu begins with an item that cannot be chosen, and boots nothing by \
             itself"
                .to_owned(),
        ),
        None => ExtlinuxDefault::Nothing("there is no label in the menu".to_owned()),
    }
}

/// What `DEFAULT` or `ONTIMEOUT` name: a label, or something else.
fn command(config: &ExtlinuxConfig, text: &Located<String>, why: &str) -> ExtlinuxDefault {
    let (name, options) = first(&text.value);
    match config.label(name) {
        Some(index) if options.is_empty() => ExtlinuxDefault::Label(index, why.to_owned()),
        _ => ExtlinuxDefault::Command(text.clone(), why.to_owned()),
    }
}

fn position<T>(at: &Located<T>) -> Located<()> {
    Located {
        file: at.file,
        line: at.line,
        value: (),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Placed, assemble};
    use super::super::parse::parse;
    use super::*;

    fn chosen(text: &str, reader: ConfigReader) -> String {
        let placed = parse(text, reader).into_iter();
        let placed = placed.map(|directive| Placed { file: 0, directive });
        let config = assemble(placed, reader);
        match choose(&config) {
            ExtlinuxDefault::Label(index, why) => {
                format!("{}: {why}", config.labels[index].name.value)
            }
            ExtlinuxDefault::Command(text, why) => format!("{:?}: {why}", text.value),
            ExtlinuxDefault::Nothing(why) => format!("nothing: {why}"),
            ExtlinuxDefault::Unclear(at, why) => format!("line {}: {why}", at.line),
        }
    }

    fn syslinux(text: &str) -> String {
        chosen(text, ConfigReader::Syslinux)
    }

    fn board(text: &str) -> String {
        chosen(text, ConfigReader::UBoot)
    }

    /// What a board boots: labels need a kernel there.
    fn booted(text: &str) -> String {
        let said = board(text);
        said.split(':').next().unwrap_or_default().to_owned()
    }

    const TWO: &str = "label a\nlinux /k\nlabel b\nmenu default\nlinux /k\n";

    #[test]
    fn default_and_menu_default() {
        for (text, expected) in [
            (
                "default b\nlabel a\nlabel b\n",
                "b: DEFAULT names it, and there is no menu",
            ),
            (
                "label a\n",
                "nothing: there is no DEFAULT: syslinux waits at its prompt",
            ),
            ("timeout 5\n", "nothing: there is no label"),
            (
                "default a quiet\nlabel a\n",
                "\"a quiet\": DEFAULT names it, and there is no menu",
            ),
            (
                "default vmlinuz\nlabel a\n",
                "\"vmlinuz\": DEFAULT names it, and there is no menu",
            ),
        ] {
            assert_eq!(syslinux(text), expected, "{text}");
        }
        assert_eq!(board(&format!("default a\n{TWO}")), "a: DEFAULT names it");
        assert_eq!(board(TWO), "b: DEFAULT names it");
        assert_eq!(
            board("label a\nlinux /k\nlabel b\nlinux /k\n"),
            "a: it is the first label, and no other is marked"
        );
        // MENU DEFAULT counts only where nothing was said before it; DEFAULT always.
        assert_eq!(booted(&format!("{TWO}default a\n")), "a");
        let twice = "label a\nmenu default\nlinux /k\nlabel b\nmenu default\nlinux /k\n";
        assert_eq!(booted(twice), "a");
    }

    #[test]
    fn a_board_takes_names_to_the_letter() {
        let spaces = "default A 1 (x)\nlabel A 2 (x)\nlinux /k\nlabel A 1 (x)\nlinux /k\n";
        assert_eq!(booted(spaces), "A 1 (x)");
        assert_eq!(
            board("default gone\nlabel none\nmenu label x\nlabel a\nlinux /k\n"),
            "a: it is the first label, and DEFAULT names \"gone\", which does not exist"
        );
        assert_eq!(
            booted("default a \nlabel b\nlinux /k\nlabel a\nlinux /k\n"),
            "b"
        );
        // Of two with one name it is the last.
        let twice = "default a\nlabel a\nlinux /1\nlabel a\nlinux /2\n";
        let placed = parse(twice, ConfigReader::UBoot).into_iter();
        let placed = placed.map(|directive| Placed { file: 0, directive });
        let config = assemble(placed, ConfigReader::UBoot);
        assert!(matches!(choose(&config), ExtlinuxDefault::Label(1, _)));
        assert_eq!(
            board("label a\nlinux\n"),
            "line 2: linux has no value: U-Boot rejects the whole configuration"
        );
        assert_eq!(
            board("label a\nfdtdir /x\n"),
            "nothing: there is no label with a kernel"
        );
        assert_eq!(
            board("menu title x\nlabel a\nlinux /k\n"),
            "a: it is the first label, and no other is marked; there is no TIMEOUT, so it waits \
             for a key first"
        );
    }

    #[test]
    fn each_menu_has_a_default() {
        let submenu = "ui menu.c32\ntimeout 9\nlabel a\nlabel b\nmenu default\n\
                       menu begin x\nlabel c\nmenu default\nmenu end\nlabel d\n";
        assert_eq!(syslinux(submenu), "b: MENU DEFAULT marks it");
        let only_inside = submenu.replacen("menu default\n", "", 1);
        assert_eq!(
            syslinux(&only_inside),
            "a: it is the first label, and no other is marked"
        );
        assert_eq!(
            syslinux(&format!("default c\n{submenu}")),
            "c: DEFAULT names it"
        );
        assert_eq!(
            syslinux("ui menu.c32\nmenu begin x\nlabel a\nmenu end\nlabel b\n"),
            "line 2: the default of the menu is a submenu, which boots nothing by itself"
        );
        assert_eq!(
            syslinux("ui menu.c32\ntimeout 9\nlabel a\nmenu begin x\nmenu default\nlabel b\n"),
            "line 4: the default of the menu is a submenu, which boots nothing by itself"
        );
        assert_eq!(
            syslinux("ui menu.c32\nlabel a\nmenu begin x\nmenu start\ntimeout 9\nlabel b\n"),
            "b: it is the first label, and no other is marked"
        );
        let hidden = "ui menu.c32\ntimeout 9\nlabel a\nmenu hide\nlabel b\n";
        assert_eq!(
            syslinux(hidden),
            "b: it is the first label, and no other is marked"
        );
        // syslinux 6.04 waits at such a menu.
        for nothing in ["label a\nmenu disable\n", "menu separator\n"] {
            assert_eq!(
                syslinux(&format!("ui menu.c32\ntimeout 9\n{nothing}label b\n")),
                "line 3: the menu begins with an item that cannot be chosen, and boots nothing by \
                 itself"
            );
        }
        assert_eq!(
            syslinux("ui menu.c32\ntimeout 9\ndefault b quiet\nlabel a\nlabel b\n"),
            "b: DEFAULT names it"
        );
    }

    #[test]
    fn a_menu_may_time_out_or_wait() {
        let menu = format!("default menu.c32\n{TWO}");
        assert_eq!(
            syslinux(&menu),
            "b: MENU DEFAULT marks it; there is no TIMEOUT, so it waits for a key first"
        );
        let timed = format!("timeout 50\nontimeout a\n{menu}");
        assert_eq!(syslinux(&timed), "a: ONTIMEOUT names it");
        // Without a prompt nothing times out.
        let silent = "timeout 50\nontimeout a\ndefault b\nlabel a\nlabel b\n";
        assert_eq!(
            syslinux(silent),
            "b: DEFAULT names it, and there is no menu"
        );
    }

    #[test]
    fn what_cannot_be_said() {
        for (line, said) in [
            (
                "ui menu.c32 /other.cfg",
                "the menu reads /other.cfg and not",
            ),
            ("default menu.c32 /x.cfg", "the menu reads /x.cfg and not"),
            ("ui menu.c32\nmenu save", "MENU SAVE makes"),
        ] {
            let said_of = syslinux(&format!("{line}\nlabel a\n"));
            assert!(said_of.contains(said), "{said_of}");
        }
        assert_eq!(
            syslinux("ui menu.c32 ~\ntimeout 5\nlabel a\n"),
            "a: it is the first label, and no other is marked"
        );
    }
}
