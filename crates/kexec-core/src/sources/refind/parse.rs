//! The text of a refind.conf: lines of tokens, and stanzas in braces. No files are opened
//! here.

/// More stanzas are not read.
pub const MAX_STANZAS: usize = 1024;

/// A value and its line, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// What is written there.
    pub value: T,
    /// The line.
    pub line: u32,
}

/// `menuentry TITLE { ... }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// Its title, and where it begins.
    pub title: At<String>,
    /// `volume`.
    pub volume: Option<At<String>>,
    /// `loader`.
    pub loader: Option<At<String>>,
    /// Every `initrd`.
    pub initrds: Vec<At<String>>,
    /// `options`, and whether it is one token; of several rEFInd takes the first.
    pub options: Option<At<(String, bool)>>,
    /// `firmware_bootnum`: it starts something of the firmware's.
    pub firmware: Option<u32>,
    /// `disabled`.
    pub disabled: bool,
    /// How many `submenuentry` it has.
    pub variants: usize,
}

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `default_selection`; the last one counts.
    pub default: Option<At<Vec<String>>>,
    /// `scanfor`; the last one counts.
    pub scan: Option<At<Vec<String>>>,
    /// `include`, each.
    pub includes: Vec<At<String>>,
    /// The stanzas, in their order.
    pub stanzas: Vec<Stanza>,
}

/// Which stanza rEFInd takes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// This one, and why.
    Stanza(usize, String),
    /// That cannot be told: the line, where there is one, and why.
    Unclear(Option<u32>, String),
}

/// Reads a configuration.
pub fn parse(text: &str) -> Config {
    let mut config = Config::default();
    let mut open: Option<Stanza> = None;
    let mut inner = false;
    for (line, number) in text.lines().zip(1_u32..) {
        let words = tokens(line);
        let Some((word, rest)) = words.split_first() else {
            continue;
        };
        let word = word.to_ascii_lowercase();
        let first = rest.first().cloned();
        let at = |value: &String| At {
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
                stanza.options = first.map(|value| At {
                    value: (value, rest.len() == 1),
                    line: number,
                });
            }
            (Some(stanza), "firmware_bootnum") => stanza.firmware = Some(number),
            (Some(stanza), "disabled") => stanza.disabled = true,
            (Some(_), _) => {}
            (None, "menuentry") => open = first.as_ref().map(|title| new(at(title))),
            (None, "default_selection") => {
                config.default = Some(At {
                    value: rest.to_vec(),
                    line: number,
                });
            }
            (None, "scanfor") => {
                config.scan = Some(At {
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

fn new(title: At<String>) -> Stanza {
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

impl Config {
    /// What is taken when nobody is there. It follows from this file only where rEFInd is
    /// told to look for nothing but stanzas, and not to take what was booted last.
    pub fn choose(&self) -> Chosen {
        let name = "name an entry or a kernel";
        if let Some(include) = self.includes.first() {
            let reason = format!(
                "it includes {}, which is not read here; {name}",
                include.value
            );
            return Chosen::Unclear(Some(include.line), reason);
        }
        let manual = |scan: &At<Vec<String>>| {
            let mut words = scan.value.iter();
            !scan.value.is_empty() && words.all(|word| word.eq_ignore_ascii_case("manual"))
        };
        if !self.scan.as_ref().is_some_and(manual) {
            let line = self.scan.as_ref().map(|scan| scan.line);
            let reason = format!(
                "rEFInd looks for kernels and boot loaders on the disks by itself, which is not \
                 followed here; {name}"
            );
            return Chosen::Unclear(line, reason);
        }
        let shown = || {
            let all = self.stanzas.iter().enumerate();
            all.filter(|(_, stanza)| !stanza.disabled)
        };
        let wanted = self.default.as_ref().filter(|d| !d.value.is_empty());
        let Some(wanted) = wanted else {
            let reason = format!(
                "there is no default_selection: rEFInd takes what was booted last, and that is not \
                 read here; {name}"
            );
            return Chosen::Unclear(None, reason);
        };
        let line = Some(wanted.line);
        // By the time of the day: the last two of three.
        let [wanted] = wanted.value.as_slice() else {
            let reason =
                format!("default_selection has several values, of which one counts; {name}");
            return Chosen::Unclear(line, reason);
        };
        if wanted.starts_with('+') {
            let reason =
                format!("rEFInd takes what was booted last, and that is not read here; {name}");
            return Chosen::Unclear(line, reason);
        }
        let why = format!("default_selection is {wanted:?}");
        let number = wanted.parse::<usize>().ok();
        let found: Vec<usize> = match number.and_then(|number| number.checked_sub(1)) {
            Some(number) => shown().skip(number).take(1).map(|(at, _)| at).collect(),
            None => {
                let lower = wanted.to_lowercase();
                let fits = |title: &str| title.to_lowercase().contains(&lower);
                let hits = shown().filter(|(_, stanza)| fits(&stanza.title.value));
                hits.map(|(at, _)| at).collect()
            }
        };
        match found.as_slice() {
            [at] => Chosen::Stanza(*at, why),
            [] => Chosen::Unclear(line, format!("{why}, which no stanza is called; {name}")),
            _ => Chosen::Unclear(line, format!("{why}, which fits several stanzas; {name}")),
        }
    }
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
        let chosen = |head: &str| match parse(&format!("{TWO}{head}\n")).choose() {
            Chosen::Stanza(at, _) => at.to_string(),
            Chosen::Unclear(line, why) => format!("{line:?} {why}"),
        };
        assert_eq!(chosen("default_selection linux"), "0");
        assert_eq!(chosen("default_selection \"arch lts\""), "2");
        assert_eq!(chosen("default_selection 2"), "2");
        for (head, said) in [
            ("", "what was booted last"),
            ("default_selection +", "what was booted last"),
            ("default_selection \"+,arch\"", "what was booted last"),
            ("default_selection arch", "fits several"),
            ("default_selection off", "no stanza is called"),
            ("default_selection lts 8:00 12:00", "several values"),
            (
                "default_selection lts\nscanfor internal,manual",
                "by itself",
            ),
            ("include more.conf", "more.conf"),
        ] {
            assert!(chosen(head).contains(said), "{head}: {}", chosen(head));
        }
        assert!(matches!(parse("").choose(), Chosen::Unclear(None, _)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "((menuentry|\\}|scanfor manual|default_selection|submenuentry)? ?\\PC{0,12}(\\{|\")?\n?){0,8}") {
            let config = parse(&text);
            if let Chosen::Stanza(at, _) = config.choose() {
                prop_assert!(at < config.stanzas.len());
            }
        }
    }
}
