use super::*;
use crate::formats::{Opened, uki};
use crate::testing::PeBuilder;

const HERE: Platform = Platform {
    arch: Some(Arch::X86_64),
    secure_boot: false,
};

fn uki_file() -> Bytes {
    let file = PeBuilder::new()
        .section(".osrel", b"ID=os\n".to_vec())
        .section(".linux", b"kernel".to_vec())
        .section(".cmdline", b"base".to_vec())
        .section(".uname", b"6.12.1".to_vec())
        .section(".ucode", b"ucode".to_vec())
        .section(".initrd", b"initrd".to_vec())
        .section(".pcrsig", b"{}\0".to_vec())
        .section(".profile", b"ID=a\n".to_vec());
    Bytes::from(file.build())
}

fn read(file: &Bytes) -> Uki {
    match (uki::FORMAT.open)(file, &crate::Options::default()) {
        Ok(Opened::Wrapped(wrapped)) => wrapped.uki.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn companion(path: &str, content: impl Into<Vec<u8>>) -> Companion {
    Companion {
        path: path.to_owned(),
        content: Bytes::from(content.into()),
    }
}

fn addon(path: &str, sections: &[(&str, &str)]) -> Companion {
    let file = sections.iter().fold(PeBuilder::new(), |pe, (name, text)| {
        pe.section(name, text.as_bytes().to_vec())
    });
    companion(path, file.build())
}

fn names(parts: &[(String, Bytes)]) -> Vec<&str> {
    parts.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn addons_go_where_the_stub_puts_them() {
    let file = uki_file();
    let mut uki = read(&file);
    let companions = [
        addon(
            "/loader/addons/g.addon.efi",
            &[
                (".cmdline", "global\n"),
                (".ucode", "ug"),
                (".initrd", "ig"),
            ],
        ),
        addon(
            "/EFI/Linux/os.efi.extra.d/a.addon.efi",
            &[
                (".cmdline", "local"),
                (".ucode", "ua"),
                (".uname", "6.12.1\n"),
            ],
        ),
    ];
    let added = added(&uki, &file, &companions, HERE).unwrap();
    assert_eq!(added.left_out, [""; 0]);
    assert_eq!(added.cmdline, b"global local");
    uki.added = added;
    // The microcode of the most particular addon is in front.
    assert_eq!(
        names(&uki.initrd_parts()),
        [
            "/EFI/Linux/os.efi.extra.d/a.addon.efi .ucode",
            "/loader/addons/g.addon.efi .ucode",
            ".ucode",
            ".initrd",
            "/loader/addons/g.addon.efi .initrd",
            ".extra",
        ]
    );
}

#[test]
fn credentials_extensions_and_sections_become_files_of_the_initrd() {
    let file = uki_file();
    let uki = read(&file);
    let companions = [
        companion("/EFI/Linux/os.efi.extra.d/my.cred", "secret"),
        companion("/EFI/Linux/os.efi.extra.d/x.sysext.raw", "x"),
        companion("/EFI/Linux/os.efi.extra.d/y.confext.raw", "y"),
        companion("/loader/credentials/g.cred", "g"),
        companion("/loader/extensions/z.sysext.raw", "z"),
        companion("/loader/extensions/z.confext.raw", "z"),
        companion("/os/by-key.cred", "k"),
    ];
    let added = added(&uki, &file, &companions, HERE).unwrap();
    let (name, archive) = added.back.first().unwrap();
    assert_eq!(name, ".extra");
    let text = String::from_utf8_lossy(archive);
    for path in [
        ".extra/credentials/my.cred",
        ".extra/credentials/by-key.cred",
        ".extra/sysext/x.sysext.raw",
        ".extra/confext/y.confext.raw",
        ".extra/global_credentials/g.cred",
        ".extra/global_sysext/z.sysext.raw",
        ".extra/global_confext/z.confext.raw",
        ".extra/tpm2-pcr-signature.json",
        ".extra/os-release",
        ".extra/profile",
    ] {
        assert!(text.contains(&format!("{path}\0")), "{path}");
    }
    assert!(!text.contains("tpm2-pcr-public-key"), "{text}");
    // Only root may read a credential.
    let at = text.find(".extra/credentials/my.cred").unwrap();
    assert_eq!(&text[at - 110 + 14..at - 110 + 22], "00008100");
    assert!(archive.starts_with(cpio::MAGIC));
}

#[test]
fn what_the_stub_would_not_take_is_left_out_and_said() {
    let file = uki_file();
    let uki = read(&file);
    let foreign = PeBuilder {
        machine: 0xaa64,
        ..PeBuilder::new().section(".cmdline", b"arm".to_vec())
    };
    let signed = PeBuilder {
        certificates: vec![0; 16],
        ..PeBuilder::new().section(".cmdline", b"signed".to_vec())
    };
    let companions = [
        companion("/a.addon.efi", "no PE file"),
        companion("/b.addon.efi", foreign.build()),
        addon("/c.addon.efi", &[(".cmdline", "x"), (".uname", "6.1.0")]),
        addon("/d.addon.efi", &[(".cmdline", "unsigned")]),
        companion("/e.addon.efi", signed.build()),
        addon("/f.addon.efi", &[(".linux", "kernel")]),
    ];
    let platform = Platform {
        secure_boot: true,
        ..HERE
    };
    let added = added(&uki, &file, &companions, platform).unwrap();
    assert_eq!(added.cmdline, b"signed");
    let notes: Vec<String> = added
        .left_out
        .iter()
        .map(|note| note.chars().take(60).collect())
        .collect();
    assert_eq!(
        notes,
        [
            "/a.addon.efi: malformed PE addon: the DOS magic at byte 0x0 ",
            "/b.addon.efi: it is for arm64, and this is x86_64",
            "/c.addon.efi: it is for kernel 6.1.0, and this is 6.12.1",
            "/d.addon.efi: Secure Boot is on and it is not signed",
            "/f.addon.efi: malformed PE addon: the section table at byte ",
        ]
    );
}
