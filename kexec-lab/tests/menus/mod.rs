//! Menus for two programs to list: some by hand, most by chance, but the same
//! ones every time.

use kexec_image::testing::PeBuilder;
use kexec_lab::apt::Suite;

/// Files by their paths on the ESP.
pub type Files = Vec<(String, Vec<u8>)>;

/// How many menus are made by chance.
const COUNT: u64 = 40;

/// Every menu with its name.
pub fn all(suite: Suite) -> Vec<(String, Files)> {
    let mut all = vec![
        ("arch".to_owned(), arch()),
        ("counted".to_owned(), counted()),
    ];
    // systemd knows profiles from 257 on, and sorts by them since 262.
    if suite == Suite::Sid {
        all.push(("profiles".to_owned(), profiles()));
    }
    let profiles = suite == Suite::Sid;
    all.extend((0..COUNT).map(|seed| (format!("chance{seed}"), chance(seed, profiles))));
    all
}

fn file(path: &str, text: &str) -> (String, Vec<u8>) {
    (path.to_owned(), text.as_bytes().to_vec())
}

fn arch() -> Files {
    vec![
        file("k", ""),
        file("loader/loader.conf", "timeout 3\ndefault arch-lts.conf\n"),
        file(
            "loader/entries/arch.conf",
            "title Arch Linux\nlinux /k\ninitrd /k\n",
        ),
        file(
            "loader/entries/arch-fallback.conf",
            "title Arch Linux\nlinux k\n",
        ),
        file(
            "loader/entries/arch-lts.conf",
            "title\tArch Linux (lts) \nlinux //k\n",
        ),
    ]
}

fn counted() -> Files {
    let entry = |version: &str| {
        format!("title Debian\nversion {version}\nsort-key debian\nlinux /k\noptions quiet\n")
    };
    vec![
        file("k", ""),
        file("loader/loader.conf", "default debian-*\n"),
        file(
            "loader/entries/debian-6.12.107+deb13-amd64+0-3.conf",
            &entry("6.12.107+deb13-amd64"),
        ),
        file(
            "loader/entries/debian-6.12.94+deb13-amd64+2-1.conf",
            &entry("6.12.94+deb13-amd64"),
        ),
        file(
            "loader/entries/debian-6.12.9+deb13-amd64.conf",
            &entry("6.12.9+deb13-amd64"),
        ),
        file(
            "loader/entries/debian-6.12~rc1+deb14-amd64.conf~",
            &entry("6.13"),
        ),
    ]
}

fn uki(os_release: &str) -> PeBuilder {
    PeBuilder::new()
        .section(".sdmagic", "#### LoaderInfo: systemd-stub 262 ####")
        .section(".linux", vec![b'k'; 600])
        .section(".osrel", os_release)
}

fn profiles() -> Files {
    let os = "ID=os\nPRETTY_NAME=\"An OS\"\nVERSION_ID=2\n";
    let several = uki(os)
        .section(".cmdline", "base")
        .section(".profile", "ID=main\nTITLE=Regular\n")
        .section(".profile", "ID=reset\nTITLE=\"Factory reset\"\n")
        .section(".cmdline", "reset")
        .section(".profile", "")
        .section(".profile", "ID=other\n")
        .section(".osrel", "ID=other\nPRETTY_NAME=Other\nVERSION_ID=9\n");
    vec![
        ("EFI/Linux/several.efi".to_owned(), several.build()),
        ("EFI/Linux/one.efi".to_owned(), uki(os).build()),
        (
            "EFI/Linux/counted+1-2.efi".to_owned(),
            uki("NAME=C\nBUILD_ID=7\n").section(".profile", "").build(),
        ),
        file("EFI/Linux/none.efi", "no program"),
    ]
}

/// The generator of Knuth's MMIX: enough to be different, the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % below
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.get(self.next(of.len())).copied().unwrap_or_default()
    }
}

/// A menu whose names and versions are hard to sort. No two names are equal as
/// versions: their order is systemd's secret.
fn chance(seed: u64, profiles: bool) -> Files {
    let mut chance = Chance(seed);
    let mut files = vec![file("k", "")];
    let mut names: Vec<String> = Vec::new();
    for _ in 0..2 + chance.next(10) {
        let length = 1 + chance.next(4);
        let name: String = (0..length)
            .map(|_| chance.one(&["a", "b", "x", "1", "2", "10", "-", "."]))
            .collect();
        let last = name.ends_with(['-', '.']) || name.starts_with('.');
        if last || names.contains(&name) {
            continue;
        }
        let counter = chance.one(&["", "", "", "+0", "+1-2", "+0-3", "+3"]);
        let sort_key = chance.one(&["", "", "fedora", "arch"]);
        let version = chance.one(&[
            "", "6.1", "6.12", "6.12~rc1", "6.12-1", "6.12^1", "1:6", "6.09",
        ]);
        let line = |key: &str, value: &str| match value {
            "" => String::new(),
            value => format!("{key}{value}\n"),
        };
        if chance.next(4) == 0 {
            let os = format!(
                "PRETTY_NAME=p\n{}{}",
                line("ID=", sort_key),
                line("VERSION_ID=", version)
            );
            let mut pe = uki(&os);
            for number in 0..(if profiles { chance.next(4) } else { 0 }) {
                pe = pe
                    .section(".profile", format!("ID=p{number}\n"))
                    .section(".cmdline", "x");
            }
            files.push((format!("EFI/Linux/{name}{counter}.efi"), pe.build()));
        } else {
            let machine = chance.one(&["", "0123456789abcdef0123456789abcdef"]);
            let text = format!(
                "linux /k\n{}{}{}{}",
                line("title ", chance.one(&["", "A", "B"])),
                line("sort-key ", sort_key),
                line("version ", version),
                line("machine-id ", machine),
            );
            files.push(file(&format!("loader/entries/{name}{counter}.conf"), &text));
        }
        names.push(name);
    }
    let default = chance.one(&["", "a*", "*1*", "?.conf", "[ab]*.conf", "B.CONF", "*.efi"]);
    if !default.is_empty() {
        files.push(file("loader/loader.conf", &format!("default {default}\n")));
    }
    files
}
