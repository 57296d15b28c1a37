//! Which family of distributions this machine is of.

/// Families of distributions, which have the same names of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and what is made from them.
    Debian,
    /// Fedora and what is made from it.
    Fedora,
    /// openSUSE and SUSE.
    Suse,
    /// Arch Linux and what is made from it.
    Arch,
}

impl Family {
    /// Every family, in the order of the columns of [`REQUIREMENTS`](super::REQUIREMENTS).
    pub const ALL: [Self; 4] = [Self::Debian, Self::Fedora, Self::Suse, Self::Arch];

    /// What installs packages, as typed by root.
    #[must_use]
    pub fn install(self) -> &'static str {
        match self {
            Self::Debian => "apt-get install",
            Self::Fedora => "dnf install",
            Self::Suse => "zypper install",
            Self::Arch => "pacman -S",
        }
    }

    /// The family of this machine: os-release(5), `ID` and `ID_LIKE`.
    #[must_use]
    pub fn of_this_machine() -> Option<Self> {
        let text = std::fs::read_to_string("/etc/os-release")
            .or_else(|_| std::fs::read_to_string("/usr/lib/os-release"));
        Self::named(&text.ok()?)
    }

    /// The same in the text of such a file.
    pub(super) fn named(os_release: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = os_release.lines();
            lines.find_map(|line| Some(line.strip_prefix(key)?.trim_matches(['"', '\''])))
        };
        let like = value("ID_LIKE=").unwrap_or_default().split(' ');
        value("ID=")
            .into_iter()
            .chain(like)
            .find_map(|name| match name {
                "debian" | "ubuntu" => Some(Self::Debian),
                "fedora" | "rhel" => Some(Self::Fedora),
                "suse" | "opensuse" => Some(Self::Suse),
                "arch" => Some(Self::Arch),
                _ if name.starts_with("opensuse") => Some(Self::Suse),
                _ => None,
            })
    }
}
