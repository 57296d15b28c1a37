//! What a configuration comes to: labels and menus. Values only; included files are in
//! place already.

use super::parse::{ConfigReader, Directive, DirectiveKind, LabelDirective, first};

/// A directive and the file that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Number of the file, in the order in which they were opened.
    pub file: usize,
    /// What the line says.
    pub directive: Directive,
}

/// A value and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// Number of the file.
    pub file: usize,
    /// The line, counted from 1.
    pub line: u32,
    /// What is written there.
    pub value: T,
}

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtlinuxConfig {
    /// Who reads it.
    pub reader: ConfigReader,
    /// `DEFAULT`; the last one counts. For U-Boot `ONTIMEOUT` is the same, and
    /// `MENU DEFAULT` where nothing was said before.
    pub default: Option<Located<String>>,
    /// Whether somebody is asked before anything is booted: `PROMPT` or a menu.
    pub asks: bool,
    /// Whether a menu module is shown, by `UI` or by a `DEFAULT` that names one.
    pub menu: bool,
    /// What the menu module is given, where it reads other files than this one.
    pub other_files: Option<Located<String>>,
    /// `APPEND` outside of labels.
    pub append: Option<Located<String>>,
    /// The labels, in their order.
    pub labels: Vec<ExtlinuxLabel>,
    /// The menus, the main one first. U-Boot has only that.
    pub menus: Vec<ExtlinuxMenu>,
    /// The menu that is shown first.
    pub start: usize,
    /// `MENU SAVE`: the label that was booted last becomes the default.
    pub saves: Option<Located<()>>,
    /// A line with which U-Boot gives up, and why.
    pub fatal: Option<Located<String>>,
}

/// The menu, or a submenu, of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtlinuxMenu {
    /// The menu around it.
    parent: Option<usize>,
    /// What is in it.
    pub items: Vec<MenuLine>,
    /// `MENU DEFAULT`: which of the items.
    pub default: Option<usize>,
    /// `TIMEOUT`, in tenths of a second; 0 waits for ever.
    pub timeout: u32,
    /// `ONTIMEOUT`; the last one counts.
    pub on_timeout: Option<Located<String>>,
}

/// What can be chosen in a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MenuLine {
    /// A label, by its number.
    Label(usize),
    /// Another menu, and where it begins.
    Submenu(Located<()>),
    /// `MENU GOTO` and its like, and where.
    Moves(Located<()>),
    /// A label with `MENU DISABLE` or a separator, which cannot be chosen, and where.
    Disabled(Located<()>),
}

/// A `LABEL` with the lines that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtlinuxLabel {
    /// Its name, and where it begins.
    pub name: Located<String>,
    /// `MENU LABEL`: what the menu shows instead of the name.
    pub title: Option<String>,
    /// What it boots.
    pub boots: Option<Located<(LabelDirective, String)>>,
    /// `INITRD`, each line; for U-Boot also `initrd=` of an `APPEND`.
    pub initrds: Vec<Located<String>>,
    /// `APPEND`: the command line.
    pub append: Option<Located<String>>,
    /// `FDT`: a device tree for the kernel.
    pub devicetree: Option<Located<String>>,
    /// `FDTDIR`: a folder in which U-Boot looks for the board's device tree.
    pub devicetree_folder: Option<Located<String>>,
    /// `FDTOVERLAYS`: overlays for the device tree.
    pub overlays: Option<Located<String>>,
    /// Lines of it that the reader does not take for lines of this label.
    pub lost: Option<Located<String>>,
    marked: bool,
    hidden: bool,
    disabled: bool,
    moves: bool,
}

/// Puts the directives together.
pub fn assemble(
    directives: impl IntoIterator<Item = Placed>,
    reader: ConfigReader,
) -> ExtlinuxConfig {
    let mut maker = Maker {
        config: ExtlinuxConfig {
            reader,
            default: None,
            asks: false,
            menu: false,
            other_files: None,
            append: None,
            labels: Vec::new(),
            menus: vec![ExtlinuxMenu::default()],
            start: 0,
            saves: None,
            fatal: None,
        },
        current: 0,
        prompt: false,
        open: None,
        ended: None,
    };
    for placed in directives {
        match reader {
            ConfigReader::Syslinux => maker.syslinux(placed),
            ConfigReader::UBoot => maker.uboot(placed),
        }
    }
    maker.done()
}

/// A configuration in the making.
struct Maker {
    config: ExtlinuxConfig,
    /// The menu whose lines are read.
    current: usize,
    prompt: bool,
    /// The label whose lines are read, which is not in a menu yet.
    open: Option<usize>,
    /// The label that U-Boot left last.
    ended: Option<usize>,
}

impl Maker {
    fn label(&mut self) -> Option<&mut ExtlinuxLabel> {
        self.config.labels.get_mut(self.open?)
    }

    fn menu(&mut self) -> Option<&mut ExtlinuxMenu> {
        self.config.menus.get_mut(self.current)
    }

    /// The label is complete: it becomes an item of the menu.
    fn record(&mut self) {
        let Some(index) = self.open.take() else {
            return;
        };
        let Some(label) = self.config.labels.get(index) else {
            return;
        };
        let at = Located {
            file: label.name.file,
            line: label.name.line,
            value: (),
        };
        let (marked, moves, disabled) = (label.marked, label.moves, label.disabled);
        if label.hidden {
            return;
        }
        if let Some(menu) = self.menu() {
            if marked && !moves && !disabled {
                menu.default = Some(menu.items.len());
            }
            menu.items.push(match (disabled, moves) {
                (true, _) => MenuLine::Disabled(at),
                (false, true) => MenuLine::Moves(at),
                (false, false) => MenuLine::Label(index),
            });
        }
    }

    fn begin(&mut self, at: Located<()>) {
        self.record();
        let outer = self.config.menus.get(self.current).cloned();
        let outer = outer.unwrap_or_default();
        if let Some(menu) = self.menu() {
            menu.items.push(MenuLine::Submenu(at));
        }
        self.config.menus.push(ExtlinuxMenu {
            parent: Some(self.current),
            timeout: outer.timeout,
            on_timeout: outer.on_timeout,
            ..ExtlinuxMenu::default()
        });
        self.current = self.config.menus.len().saturating_sub(1);
    }

    fn end(&mut self) {
        self.record();
        let menu = self.config.menus.get(self.current);
        self.current = menu.and_then(|menu| menu.parent).unwrap_or(self.current);
    }

    fn syslinux(&mut self, Placed { file, directive }: Placed) {
        let line = directive.line;
        let at = |value: String| Located { file, line, value };
        let here = Located {
            file,
            line,
            value: (),
        };
        match directive.says {
            DirectiveKind::Default(text) => self.config.default = Some(at(text)),
            DirectiveKind::OnTimeout(text) => {
                if let Some(menu) = self.menu() {
                    menu.on_timeout = Some(at(text));
                }
            }
            DirectiveKind::Prompt(on) => self.prompt = on,
            DirectiveKind::Timeout(tenths) => {
                if let Some(menu) = self.menu() {
                    menu.timeout = tenths;
                }
            }
            DirectiveKind::Ui(text) => {
                self.config.menu = true;
                self.config.other_files = others(&text).map(at);
            }
            DirectiveKind::MenuBegin => self.begin(here),
            DirectiveKind::MenuEnd => self.end(),
            DirectiveKind::MenuSeparator => {
                self.record();
                if let Some(menu) = self.menu() {
                    menu.items.push(MenuLine::Disabled(here));
                }
            }
            DirectiveKind::MenuStart => self.config.start = self.current,
            DirectiveKind::MenuSave => self.config.saves = Some(here),
            DirectiveKind::MenuDefault if self.open.is_none() => {
                // In front of the labels of a submenu it marks the submenu.
                let menu = self.config.menus.get(self.current);
                if let Some(parent) = menu.and_then(|menu| menu.parent)
                    && let Some(parent) = self.config.menus.get_mut(parent)
                {
                    parent.default = parent.items.len().checked_sub(1);
                }
            }
            DirectiveKind::Label(name) => {
                self.record();
                self.config.labels.push(ExtlinuxLabel::new(at(name)));
                self.open = self.config.labels.len().checked_sub(1);
            }
            // The one who opened the files has put their lines in its place.
            DirectiveKind::Include(..) => {}
            says => match self.label() {
                Some(label) => label.take(file, line, says),
                None => {
                    if let DirectiveKind::Append(text) = says {
                        self.config.append = Some(at(text));
                    }
                }
            },
        }
    }

    fn uboot(&mut self, Placed { file, directive }: Placed) {
        let line = directive.line;
        let at = |value: String| Located { file, line, value };
        match directive.says {
            DirectiveKind::Fatal(word) => {
                self.config
                    .fatal
                    .get_or_insert(at(match word.contains(' ') {
                        true => word,
                        false => format!("{word} has no value"),
                    }));
            }
            DirectiveKind::Label(name) => {
                self.leave();
                self.config.labels.push(ExtlinuxLabel::new(at(name)));
                self.open = self.config.labels.len().checked_sub(1);
            }
            DirectiveKind::Default(text) | DirectiveKind::OnTimeout(text) => {
                self.leave();
                self.config.default = Some(at(text));
            }
            DirectiveKind::Timeout(tenths) => {
                self.leave();
                if let Some(menu) = self.menu() {
                    menu.timeout = tenths;
                }
            }
            DirectiveKind::Include(..) | DirectiveKind::Ends => self.leave(),
            DirectiveKind::MenuDefault => match self.label() {
                Some(label) => {
                    let name = label.name.value.clone();
                    self.config.default.get_or_insert(at(name));
                }
                None => self.prompt = true,
            },
            says @ (DirectiveKind::MenuLabel(_) | DirectiveKind::Menu) => match self.label() {
                Some(label) => label.take(file, line, says),
                None => self.prompt = true,
            },
            DirectiveKind::Nothing => {}
            says => self.uboot_label(file, line, says),
        }
    }

    /// A line of a label.
    fn uboot_label(&mut self, file: usize, line: u32, says: DirectiveKind) {
        if self.open.is_none() {
            // It is left out, although people meant it for the label above.
            let ended = self.ended.and_then(|at| self.config.labels.get_mut(at));
            if let Some(label) = ended {
                label.lost.get_or_insert(Located {
                    file,
                    line,
                    value: "U-Boot ends the label before this line, and ignores it".to_owned(),
                });
            }
            return;
        }
        let Some(label) = self.label() else { return };
        if let (DirectiveKind::Initrd(_), [_, ..]) = (&says, label.initrds.as_slice()) {
            // It goes on with the value as if that were a line of its own.
            self.leave();
            return;
        }
        if let DirectiveKind::Append(text) = &says
            && label.initrds.is_empty()
            && let Some((_, initrd)) = text.split_once("initrd=")
        {
            let value = initrd.split(' ').next().unwrap_or_default().to_owned();
            label.initrds.push(Located { file, line, value });
        }
        label.take(file, line, says);
    }

    /// U-Boot leaves the label.
    fn leave(&mut self) {
        if self.open.is_some() {
            self.ended = self.open;
        }
        self.record();
    }

    fn done(mut self) -> ExtlinuxConfig {
        self.record();
        let mut config = self.config;
        config.asks = self.prompt || config.menu;
        if config.reader == ConfigReader::UBoot {
            return config;
        }
        // DEFAULT menu.c32: the module is no default.
        if let Some(default) = &config.default
            && config.label(first(&default.value).0).is_none()
            && is_module(first(&default.value).0)
        {
            config.menu = true;
            config.asks = true;
            config.other_files = others(&default.value).map(|value| Located {
                value,
                ..default.clone()
            });
            config.default = None;
        }
        config
    }
}

/// What a menu module is given besides the configuration that it is in.
fn others(command: &str) -> Option<String> {
    let (_, files) = first(command);
    (!matches!(files, "" | "~")).then(|| files.to_owned())
}

/// Whether a file is a program of syslinux.
pub(super) fn is_module(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".c32")
}

impl ExtlinuxConfig {
    /// The label of that name: for syslinux the first of several, for U-Boot the last.
    pub fn label(&self, name: &str) -> Option<usize> {
        let is = |label: &ExtlinuxLabel| label.name.value == name;
        match self.reader {
            ConfigReader::Syslinux => self.labels.iter().position(is),
            ConfigReader::UBoot => self.labels.iter().rposition(is),
        }
    }
}

impl ExtlinuxLabel {
    fn new(name: Located<String>) -> ExtlinuxLabel {
        ExtlinuxLabel {
            name,
            title: None,
            boots: None,
            initrds: Vec::new(),
            append: None,
            devicetree: None,
            devicetree_folder: None,
            overlays: None,
            lost: None,
            marked: false,
            hidden: false,
            disabled: false,
            moves: false,
        }
    }

    fn take(&mut self, file: usize, line: u32, says: DirectiveKind) {
        let at = |value: String| Some(Located { file, line, value });
        match says {
            DirectiveKind::MenuLabel(text) => self.title = Some(text),
            DirectiveKind::MenuDefault => self.marked = true,
            DirectiveKind::MenuHide => self.hidden = true,
            DirectiveKind::MenuDisable => self.disabled = true,
            DirectiveKind::MenuMoves => self.moves = true,
            DirectiveKind::Boots(verb, name) => {
                self.boots = Some(Located {
                    file,
                    line,
                    value: (verb, name),
                });
            }
            // One line may name several; of several lines the last counts.
            DirectiveKind::Initrd(names) => self.initrds = at(names).into_iter().collect(),
            DirectiveKind::Append(text) => self.append = at(text),
            DirectiveKind::DeviceTree(name) => self.devicetree = at(name),
            DirectiveKind::DeviceTreeFolder(name) => self.devicetree_folder = at(name),
            DirectiveKind::Overlays(names) => self.overlays = at(names),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
