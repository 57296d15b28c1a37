//! The versions of Limine, as far as what they choose differs (Limine's ChangeLog).

/// Major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimineVersion {
    /// The first number of `12.1.0`.
    pub major: u32,
    /// The second number of `12.1.0`.
    pub minor: u32,
}

const fn version(major: u32, minor: u32) -> LimineVersion {
    LimineVersion { major, minor }
}

/// What starts another program is hidden under the other firmware ("BIOS (chainloading)
/// boot menu entries are now hidden", 10.0.0).
pub(super) const HIDES_OTHER_FIRMWARE: LimineVersion = version(10, 0);
/// `default_entry` may be a path, and `LimineLastBootedEntry` is one (11.0.0).
pub(super) const PATHS: LimineVersion = version(11, 0);
/// The variables of the Boot Loader Interface that name an entry (11.4.0).
pub(super) const INTERFACE: LimineVersion = version(11, 4);
/// "The removal of entry name length limits" (12.0.0).
pub(super) const LONG_TITLES: LimineVersion = version(12, 0);
/// `if_fw_type` and `if_arch` (12.1.0).
pub(super) const CONDITIONS: LimineVersion = version(12, 1);

/// One of each kind, from the oldest on.
pub(super) const KINDS: &[LimineVersion] = &[
    version(8, 0),
    HIDES_OTHER_FIRMWARE,
    PATHS,
    INTERFACE,
    LONG_TITLES,
    CONDITIONS,
];

impl LimineVersion {
    /// The version that LoaderInfo names, as in `Limine 10.3.0`.
    pub fn of(info: &str) -> Option<LimineVersion> {
        let mut numbers = info.strip_prefix("Limine ")?.split('.');
        Some(version(
            numbers.next()?.parse().ok()?,
            numbers.next()?.parse().ok()?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_info_names_the_version() {
        assert_eq!(LimineVersion::of("Limine 10.3.0"), Some(version(10, 3)));
        assert!(LimineVersion::of("Limine 9.6.7") < Some(PATHS));
        for other in [
            "Limine",
            "Limine x",
            "Limine 12",
            "GRUB 2.12",
            "Limine 99999999999.1",
        ] {
            assert_eq!(LimineVersion::of(other), None, "{other}");
        }
        assert!(KINDS.is_sorted());
    }
}
