//! PE addons: small files that add to a UKI.
//!
//! Source: UAPI.5, "PE Addons".

use bytes::Bytes;

use super::{Parts, cmdline_text, one_line};
use crate::pe::Pe;
use crate::{Arch, ImageError};

const NAME: &str = "PE addon";

/// What an addon brings.
#[derive(Clone, PartialEq, Eq)]
pub struct Addon {
    /// The machine it is for; `None` when that is none that is known here.
    pub arch: Option<Arch>,
    /// `.cmdline`, cleaned like that of a UKI.
    pub cmdline: Option<Vec<u8>>,
    /// Every `.initrd`, in the order of the section table.
    pub initrds: Vec<Bytes>,
    /// `.ucode`.
    pub ucode: Option<Bytes>,
    /// `.uname`: the only kernel release that it is meant for.
    pub uname: Option<String>,
    /// Whether it brings a device tree.
    pub device_tree: bool,
    /// Whether there is a signature, by whomever.
    pub signed: bool,
}

impl Addon {
    /// Reads a whole addon.
    ///
    /// # Errors
    /// When it is no PE file, is cut short, has a `.linux` section (then it is
    /// a UKI), or none of the sections that an addon has.
    pub fn parse(bytes: &Bytes) -> Result<Addon, ImageError> {
        let pe = Pe::parse(bytes, NAME)?;
        let parts = Parts::read(bytes, &pe)?;
        let unlike = |found: String, expected: &str| ImageError::Malformed {
            format: NAME,
            what: "the section table".into(),
            offset: pe.checksum_at,
            found,
            expected: expected.into(),
        };
        if parts.one(None, ".linux")?.is_some() {
            let found = "a .linux section: this is a UKI".to_owned();
            return Err(unlike(found, "an addon, which has no kernel"));
        }
        let addon = Addon {
            arch: parts.outline.arch,
            cmdline: parts.text(None, ".cmdline")?.map(|b| cmdline_text(&b)),
            initrds: parts.all(None, ".initrd"),
            ucode: parts.one(None, ".ucode")?,
            uname: parts
                .text(None, ".uname")?
                .map(|b| one_line(&b))
                .filter(|text| !text.is_empty()),
            device_tree: [".dtb", ".dtbauto"]
                .iter()
                .any(|name| !parts.all(None, name).is_empty()),
            signed: pe.certificate_table()?.is_some(),
        };
        if addon.cmdline.is_none()
            && addon.initrds.is_empty()
            && addon.ucode.is_none()
            && !addon.device_tree
        {
            let expected = "a .cmdline, .initrd, .ucode or .dtb section";
            return Err(unlike(parts.outline.names(), expected));
        }
        Ok(addon)
    }
}

impl std::fmt::Debug for Addon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lengths: Vec<usize> = self.initrds.iter().map(Bytes::len).collect();
        f.debug_struct("Addon")
            .field("arch", &self.arch)
            .field(
                "cmdline",
                &self.cmdline.as_deref().map(String::from_utf8_lossy),
            )
            .field("initrds", &lengths)
            .field("ucode", &self.ucode.as_ref().map(Bytes::len))
            .field("uname", &self.uname)
            .field("device_tree", &self.device_tree)
            .field("signed", &self.signed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::PeBuilder;

    fn parse(builder: &PeBuilder) -> Result<Addon, ImageError> {
        Addon::parse(&Bytes::from(builder.build()))
    }

    #[test]
    fn an_addon_brings_what_its_sections_say() {
        let addon = parse(
            &PeBuilder::new()
                .section(".cmdline", b"console=ttyS0\n\0".to_vec())
                .section(".initrd", b"one".to_vec())
                .section(".initrd", b"two".to_vec())
                .section(".ucode", b"u".to_vec())
                .section(".uname", b"6.12.1\n".to_vec()),
        );
        let expected = Addon {
            arch: Some(Arch::X86_64),
            cmdline: Some(b"console=ttyS0".to_vec()),
            initrds: vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")],
            ucode: Some(Bytes::from_static(b"u")),
            uname: Some("6.12.1".to_owned()),
            device_tree: false,
            signed: false,
        };
        assert_eq!(addon, Ok(expected));
    }

    #[test]
    fn a_uki_and_a_file_without_anything_are_no_addons() {
        let uki = PeBuilder::new()
            .section(".linux", b"kernel".to_vec())
            .section(".cmdline", b"quiet".to_vec());
        let error = parse(&uki).unwrap_err().to_string();
        assert!(error.contains("this is a UKI"), "{error}");

        let error = parse(&PeBuilder::new().section(".sbat", b"x".to_vec())).unwrap_err();
        assert!(error.to_string().contains(".sbat"), "{error}");
        assert!(Addon::parse(&Bytes::from_static(b"hello")).is_err());
    }
}
