//! The text of a refind.conf: lines of tokens, and stanzas in braces. No files are opened
//! here.

/// More stanzas are not read.
const MAX_STANZAS: usize = 1024;
/// Nobody names more in `default_selection`.
const MAX_WANTED: usize = 64;

/// A value and its line, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithLine<T> {
    /// What is written there.
    pub value: T,
    /// The line of the file, counted from 1.
    pub line: u32,
}

/// `menuentry TITLE { ... }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// Its title, and where it begins.
    pub title: WithLine<String>,
    /// `volume`: the file system that `loader` and `initrd` are on.
    pub volume: Option<WithLine<String>>,
    /// `loader`: the program that is started.
    pub loader: Option<WithLine<String>>,
    /// Every `initrd`; rEFInd takes the last.
    pub initrds: Vec<WithLine<String>>,
    /// `options`, and whether it is one token; of several rEFInd takes the first.
    pub options: Option<WithLine<(String, bool)>>,
    /// `firmware_bootnum`: it starts something of the firmware's.
    pub firmware: Option<u32>,
    /// `disabled`: rEFInd leaves it out of its menu.
    pub disabled: bool,
    /// How many `submenuentry` it has.
    pub variants: usize,
}

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefindConfig {
    /// `default_selection`; the last one counts.
    pub default: Option<WithLine<Vec<String>>>,
    /// `scanfor`; the last one counts.
    pub scan: Option<WithLine<Vec<String>>>,
    /// `include`: other files that rEFInd reads as well.
    pub includes: Vec<WithLine<String>>,
    /// The stanzas, in their order.
    pub stanzas: Vec<Stanza>,
}

/// Which stanza rEFInd takes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultStanza {
    /// This one, and why.
    Stanza(usize, String),
    /// That cannot be told: the line, where there is one, and why.
    Unclear(Option<u32>, String),
}

/// Reads a configuration.
pub fn parse(text: &str) -> RefindConfig {
    let mut config = RefindConfig::default();
    let mut open: Option<Stanza> = None;
    let mut inner = false;
    for (line, number) in text.lines().zip(1_u32..) {
        let words = tokens(line);
        let Some((word, rest)) = words.split_first() else {
            continue;
        };
        let word = word.to_ascii_lowercase();
        let first = rest.first().cloned();
        let at = |value: &String| WithLine {
            value: value.clone(),
            line: number,
        };
        match (&mut open, word.as_str()) {
            (Some(_), "}") if inner => inner = false,
            (Some(_), "}") => {
                if let Some(stanza) = open.take()
                    && config.stanzas.len() < MAX_STANZAS
                {
                    config.stanzas.push(stanza);
                }
            }
            (Some(_), _) if inner => {}
            (Some(stanza), "submenuentry") => {
                stanza.variants = stanza.variants.saturating_add(1);
                inner = true;
            }
            (Some(stanza), "volume") => stanza.volume = first.as_ref().map(at),
            (Some(stanza), "loader") => stanza.loader = first.as_ref().map(at),
            (Some(stanza), "initrd") => stanza.initrds.extend(first.as_ref().map(at)),
            (Some(stanza), "options") => {
                stanza.options = first.map(|value| WithLine {
                    value: (value, rest.len() == 1),
                    line: number,
                });
            }
            (Some(stanza), "firmware_bootnum") => stanza.firmware = Some(number),
            (Some(stanza), "disabled") => stanza.disabled = true,
            (Some(_), _) => {}
            (None, "menuentry") => open = first.as_ref().map(|title| new(at(title))),
            (None, "default_selection") => {
                config.default = Some(WithLine {
                    value: rest.to_vec(),
                    line: number,
                });
            }
            (None, "scanfor") => {
                config.scan = Some(WithLine {
                    value: rest.to_vec(),
                    line: number,
                });
            }
            (None, "include") => config.includes.extend(first.as_ref().map(at)),
            (None, _) => {}
        }
    }
    config
}

fn new(title: WithLine<String>) -> Stanza {
    Stanza {
        title,
        volume: None,
        loader: None,
        initrds: Vec::new(),
        options: None,
        firmware: None,
        disabled: false,
        variants: 0,
    }
}

/// The tokens of a line: between blanks, commas and equal signs, or in double quotes, in
/// which two quotes stand for one. `#` begins a comment.
fn tokens(line: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                token.get_or_insert_default().push('"');
            }
            '"' => {
                quoted = !quoted;
                token.get_or_insert_default();
            }
            '#' if !quoted => break,
            ' ' | '\t' | ',' | '=' | '\r' if !quoted => tokens.extend(token.take()),
            c => token.get_or_insert_default().push(c),
        }
    }
    tokens.extend(token);
    tokens
}

impl RefindConfig {
    /// What is taken when nobody is there. It follows from this file only where rEFInd is
    /// told to look for nothing but stanzas, and not to take what was booted last.
    ///
    /// `names` says what the volumes of a stanza are called: rEFInd's titles have the name
    /// of one of them, as in `Boot Arch Linux from ESP`, and it compares with all of that.
    pub fn choose(&self, names: &dyn Fn(&Stanza) -> Vec<String>) -> DefaultStanza {
        let name = "name an entry or a kernel";
        if let Some(include) = self.includes.first() {
            let reason = format!(
                "it includes {}, which kexec does not read; {name}",
                include.value
            );
            return DefaultStanza::Unclear(Some(include.line), reason);
        }
        let manual = |scan: &WithLine<Vec<String>>| {
            let mut words = scan.value.iter();
            !scan.value.is_empty() && words.all(|word| word.eq_ignore_ascii_case("manual"))
        };
        if !self.scan.as_ref().is_some_and(manual) {
            let line = self.scan.as_ref().map(|scan| scan.line);
            let reason = format!(
                "rEFInd searches the disks for kernels and boot loaders, which kexec does not do; \
                 {name}"
            );
            return DefaultStanza::Unclear(line, reason);
        }
        let wanted = self.default.as_ref().filter(|d| !d.value.is_empty());
        let Some(wanted) = wanted else {
            let reason = format!(
                "there is no default_selection: rEFInd boots the last booted entry, which kexec \
                 does not read; {name}"
            );
            return DefaultStanza::Unclear(None, reason);
        };
        let line = Some(wanted.line);
        // By the time of the day: the last two of three.
        let [wanted] = wanted.value.as_slice() else {
            let reason =
                format!("default_selection has several values, and only one counts; {name}");
            return DefaultStanza::Unclear(line, reason);
        };
        let why = format!("default_selection is {wanted:?}");
        if wanted.matches(',').count() >= MAX_WANTED {
            let reason = format!("default_selection names more than {MAX_WANTED}; {name}");
            return DefaultStanza::Unclear(line, reason);
        }
        // Each in its turn, until one fits.
        for part in wanted.split(',').filter(|part| !part.is_empty()) {
            match self.named(part, names) {
                Ok(Some(at)) => return DefaultStanza::Stanza(at, why),
                Ok(None) => {}
                Err(reason) => {
                    return DefaultStanza::Unclear(line, format!("{why}: {reason}; {name}"));
                }
            }
        }
        DefaultStanza::Unclear(line, format!("{why}, and no stanza has that name; {name}"))
    }

    /// The stanza that one part of `default_selection` means (FindMenuShortcutEntry() of
    /// rEFInd); the error is why that cannot be told.
    fn named(
        &self,
        wanted: &str,
        names: &dyn Fn(&Stanza) -> Vec<String>,
    ) -> Result<Option<usize>, String> {
        if wanted.starts_with('+') {
            return Err("rEFInd boots the last booted entry, which kexec does not read".to_owned());
        }
        if wanted.trim() != wanted {
            return Err(format!(
                "whether the blanks around {wanted:?} count depends on the version"
            ));
        }
        let all = self.stanzas.iter().enumerate();
        let mut shown = all.filter(|(_, stanza)| !stanza.disabled);
        let mut chars = wanted.chars();
        if let (Some(key), None) = (chars.next(), chars.next()) {
            // The first nine lines of the menu have a digit.
            return match key.to_digit(10).map(usize::try_from) {
                Some(Ok(number)) => Ok(number
                    .checked_sub(1)
                    .and_then(|number| shown.nth(number))
                    .map(|(at, _)| at)),
                _ => Err("a single character is a key in rEFInd, not part of a title".to_owned()),
            };
        }
        let wanted = wanted.to_lowercase();
        let mut first = None;
        for (at, stanza) in shown {
            let title = stanza.title.value.to_lowercase();
            if title.contains(&wanted) {
                // RefindPlus prefers one that is called exactly so.
                if first.is_some() && title == wanted {
                    return Err(
                        "the first stanza that matches is not the one with exactly this name, \
                         which RefindPlus prefers"
                            .to_owned(),
                    );
                }
                if first.is_none() {
                    first = Some((at, title == wanted));
                }
                if first.is_some_and(|(_, exact)| exact) {
                    break;
                }
            } else if first.is_none() && may_fit(&title, &names(stanza), &wanted) {
                return Err(format!(
                    "rEFInd may give {:?} this title, because the title contains the volume's name",
                    stanza.title.value
                ));
            }
        }
        Ok(first.map(|(at, _)| at))
    }
}

/// What rEFInd calls a volume that has no name of its own: its size and its file system.
const DESCRIPTIONS: &str = "bytes kib mib gib tib pib fat12 fat16 fat32 ext2 ext3 ext4 reiserfs \
                            btrfs xfs jfs iso-9660 hfs+ apfs ntfs exfat volume partition unknown \
                            whole disk efi system partition esp network hd cd";

/// Whether what rEFInd puts around a title may make it fit; all in lower case.
fn may_fit(title: &str, names: &[String], wanted: &str) -> bool {
    let called = |name: &str| format!("boot {title} from {}", name.to_lowercase());
    let number = |word: &str| word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let mut words = wanted.split_whitespace();
    called("").contains(wanted)
        || names.iter().any(|name| called(name).contains(wanted))
        || words.all(|word| number(word) || DESCRIPTIONS.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TWO: &str = "scanfor manual\n\
        menuentry \"Arch Linux\" {\n\
        \ticon /EFI/x.png # a comment\n\
        \tvolume \"ESP\"\n\
        \tloader /vmlinuz-linux\n\
        \tinitrd /ucode.img\n\
        \tinitrd /initramfs-linux.img\n\
        \toptions \"root=UUID=1 say=\"\"x y\"\"\"\n\
        \tsubmenuentry Fallback {\n\
        \t\tinitrd /other.img\n\
        \t}\n\
        }\n\
        menuentry Off {\n\
        disabled\n\
        }\n\
        menuentry \"Arch LTS\" {\n\
        loader /vmlinuz-lts\n\
        options ro root=1\n\
        }\n";

    #[test]
    fn stanzas() {
        let config = parse(TWO);
        let titles: Vec<&str> = config
            .stanzas
            .iter()
            .map(|s| s.title.value.as_str())
            .collect();
        assert_eq!(titles, ["Arch Linux", "Off", "Arch LTS"]);
        let arch = &config.stanzas[0];
        assert_eq!(arch.variants, 1);
        assert_eq!(arch.initrds.len(), 2);
        assert_eq!(
            arch.options.as_ref().unwrap().value,
            ("root=UUID=1 say=\"x y\"".to_owned(), true)
        );
        assert!(!config.stanzas[2].options.as_ref().unwrap().value.1);
    }

    #[test]
    fn the_choice_follows_from_the_file_or_is_refused() {
        let names = |_: &Stanza| vec!["ESP".to_owned()];
        let chosen = |head: &str| match parse(&format!("{TWO}{head}\n")).choose(&names) {
            DefaultStanza::Stanza(at, _) => at.to_string(),
            DefaultStanza::Unclear(line, why) => format!("{line:?} {why}"),
        };
        assert_eq!(chosen("default_selection linux"), "0");
        assert_eq!(chosen("default_selection \"arch lts\""), "2");
        assert_eq!(chosen("default_selection 2"), "2");
        // The first that fits.
        assert_eq!(chosen("default_selection arch"), "0");
        assert_eq!(chosen("default_selection \"gone,lts,arch\""), "2");
        for (head, said) in [
            ("", "the last booted entry"),
            ("default_selection +", "the last booted entry"),
            ("default_selection \"+,arch\"", "the last booted entry"),
            ("default_selection a", "a key in rEFInd"),
            ("default_selection 0", "no stanza has that name"),
            ("default_selection 12", "contains the volume's name"),
            ("default_selection esp", "contains the volume's name"),
            (
                "default_selection \"from ESP\"",
                "contains the volume's name",
            ),
            ("default_selection \"gone,+,arch\"", "the last booted entry"),
            ("default_selection \"gone, arch\"", "blanks"),
            ("default_selection off", "no stanza has that name"),
            ("default_selection lts 8:00 12:00", "several values"),
            (
                "default_selection lts\nscanfor internal,manual",
                "searches the disks",
            ),
            ("include more.conf", "more.conf"),
        ] {
            assert!(chosen(head).contains(said), "{head}: {}", chosen(head));
        }
        assert!(matches!(
            parse("").choose(&names),
            DefaultStanza::Unclear(None, _)
        ));
    }

    #[test]
    fn titles_are_compared_as_refind_does() {
        let chosen = |wanted: &str, titles: &[&str]| {
            let head = format!("scanfor manual\ndefault_selection \"{wanted}\"\n");
            let stanza = |title: &&str| format!("menuentry \"{title}\" {{\nloader /a\n}}\n");
            let text: String = titles.iter().map(stanza).collect();
            match parse(&(head + &text)).choose(&|_| Vec::new()) {
                DefaultStanza::Stanza(at, _) => titles[at].to_owned(),
                DefaultStanza::Unclear(_, why) => why,
            }
        };
        // More than one digit is text.
        assert_eq!(chosen("10", &["Linux 10", "2", "Tenth"]), "Linux 10");
        assert_eq!(chosen("arch", &["Arch", "Arch LTS"]), "Arch");
        let said = chosen("arch", &["Arch LTS", "Arch"]);
        assert!(said.contains("RefindPlus"), "{said}");
        assert!(chosen(&"gone,".repeat(700_000), &["A"; 1000]).contains("more than 64"));
        assert!(chosen("boot a", &["A", "Reboot a"]).contains("the volume's name"));
        assert!(chosen("ext4", &["A", "Root on ext4"]).contains("the volume's name"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "((menuentry|\\}|scanfor manual|default_selection|submenuentry)? ?\\PC{0,12}(\\{|\")?\n?){0,8}") {
            let config = parse(&text);
            if let DefaultStanza::Stanza(at, _) = config.choose(&|_| Vec::new()) {
                prop_assert!(at < config.stanzas.len());
            }
        }
    }
}
