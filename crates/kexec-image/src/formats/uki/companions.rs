//! The files beside a UKI that its stub takes.
//!
//! Source: systemd-stub(7), "Companion Files"; UAPI.5, "PE Addons".

/// What a file beside a UKI is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `*.addon.efi`.
    Addon,
    /// `*.cred`.
    Credential,
    /// `*.sysext.raw`.
    Sysext,
    /// `*.confext.raw`.
    Confext,
}

/// Folders whose files go with every UKI of the partition, by kind.
pub const GLOBAL: &[(&str, &[Kind])] = &[
    ("/loader/addons", &[Kind::Addon]),
    ("/loader/credentials", &[Kind::Credential]),
    ("/loader/extensions", &[Kind::Sysext, Kind::Confext]),
];

impl Kind {
    /// By the file name; `None` for names that no stub looks at.
    pub fn of(name: &str) -> Option<Kind> {
        let kinds = [
            (".addon.efi", Kind::Addon),
            (".cred", Kind::Credential),
            (".sysext.raw", Kind::Sysext),
            (".confext.raw", Kind::Confext),
        ];
        let name = name.to_ascii_lowercase();
        let found = kinds.into_iter().find(|(suffix, _)| name.ends_with(suffix));
        found.map(|(_, kind)| kind)
    }

    /// Where the initrd finds it; `global` says that it goes with every UKI.
    pub fn folder(self, global: bool) -> &'static str {
        match (self, global) {
            (Kind::Addon, _) => "",
            (Kind::Credential, false) => ".extra/credentials",
            (Kind::Credential, true) => ".extra/global_credentials",
            (Kind::Sysext, false) => ".extra/sysext",
            (Kind::Sysext, true) => ".extra/global_sysext",
            (Kind::Confext, false) => ".extra/confext",
            (Kind::Confext, true) => ".extra/global_confext",
        }
    }

    /// The permission bits that the initrd gives it: credentials are for root alone.
    pub fn mode(self) -> u32 {
        match self {
            Kind::Credential => 0o400,
            Kind::Addon | Kind::Sysext | Kind::Confext => 0o444,
        }
    }
}
