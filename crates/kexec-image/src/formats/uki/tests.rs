use proptest::prelude::*;

use super::*;
use crate::testing::PeBuilder;

fn open_with(file: Vec<u8>, profile: Option<usize>) -> Result<(Bytes, Uki), ImageError> {
    let options = Options {
        profile,
        ..Options::default()
    };
    match (FORMAT.open)(&Bytes::from(file), &options)? {
        Opened::Wrapped(Wrapped {
            inner,
            uki: Some(uki),
        }) => Ok((inner, uki)),
        other => panic!("{other:?}"),
    }
}

fn opened(builder: &PeBuilder) -> Result<(Bytes, Uki), ImageError> {
    open_with(builder.build(), None)
}

/// What a stub brings along.
fn stub() -> PeBuilder {
    PeBuilder::new()
        .section(".text", vec![0x90; 900])
        .section(".sbat", b"sbat,1".to_vec())
}

fn plain() -> PeBuilder {
    stub()
        .section(".osrel", b"NAME=Test\nVERSION_ID=1\n".to_vec())
        .section(".uname", b"6.12.0-test\n".to_vec())
        .section(".cmdline", b"root=LABEL=x quiet\n\0".to_vec())
        .section(".ucode", b"ucode".to_vec())
        .section(".initrd", b"first".to_vec())
        .section(".initrd", b"second".to_vec())
        .section(".linux", b"the kernel".to_vec())
}

/// The example of the specification, and an initrd beside it.
fn profiles() -> PeBuilder {
    stub()
        .section(".linux", b"the kernel".to_vec())
        .section(".cmdline", b"quiet".to_vec())
        .section(".initrd", b"base 1".to_vec())
        .section(".initrd", b"base 2".to_vec())
        .section(".profile", b"ID=regular\nTITLE=\"Regular boot\"\n".to_vec())
        .section(
            ".profile",
            b"ID=factory-reset\nTITLE=\"Reset Device to \\\"Factory\\\" Defaults\"".to_vec(),
        )
        .section(
            ".cmdline",
            b"quiet systemd.unit=factory-reset.target".to_vec(),
        )
        .section(".profile", b"ID=other".to_vec())
        .section(".initrd", b"own".to_vec())
        .section(".dtb", b"tree".to_vec())
}

#[test]
fn takes_everything_out() {
    let (inner, uki) = opened(&plain()).unwrap();
    assert_eq!(inner, "the kernel");
    assert_eq!(
        uki.cmdline.as_deref(),
        Some(b"root=LABEL=x quiet".as_slice())
    );
    assert_eq!(uki.uname.as_deref(), Some("6.12.0-test"));
    assert_eq!(uki.os_release.as_deref(), Some("NAME=Test\nVERSION_ID=1\n"));
    assert!(!uki.device_tree);
    assert_eq!((uki.profile, uki.profiles.len()), (0, 0));
    let parts = uki.initrd_parts();
    let parts: Vec<_> = parts
        .iter()
        .map(|(name, data)| (name.as_str(), data.to_vec()))
        .collect();
    assert_eq!(
        parts,
        [
            (".ucode", b"ucode".to_vec()),
            (".initrd", b"first".to_vec()),
            (".initrd", b"second".to_vec()),
        ]
    );
    let cmdline = uki.sections.iter().find(|s| s.name == ".cmdline").unwrap();
    assert_eq!((cmdline.len, cmdline.profile), (20, None));
}

#[test]
fn a_kernel_is_enough() {
    let (inner, uki) = opened(&PeBuilder::new().section(".linux", vec![1])).unwrap();
    assert_eq!(inner.len(), 1);
    assert_eq!((uki.cmdline, uki.ucode), (None, None));
    assert!(uki.initrds.is_empty());
}

#[test]
fn an_empty_command_line_is_not_a_missing_one() {
    let empty = PeBuilder::new()
        .section(".linux", vec![1])
        .section(".cmdline", b" \n\0\0".to_vec());
    assert_eq!(opened(&empty).unwrap().1.cmdline, Some(vec![]));
}

#[test]
fn command_lines_become_one_line() {
    for (stored, meant) in [
        (b"a b".as_slice(), b"a b".as_slice()),
        (b" a b \n", b"a b"),
        (b"a\nb\r\n\0\0\0", b"a b"),
        (b"a\0b", b"a"),
        (b"a=\xff\xe4", b"a=\xff\xe4"),
        (b"\0", b""),
    ] {
        assert_eq!(cmdline_text(stored), meant, "{stored:?}");
    }
}

/// The kernel of recent ukify: `VirtualSize` is what the kernel wants in
/// memory. The bytes of the section behind it are not the kernel's.
#[test]
fn a_virtual_size_beyond_the_data_reads_the_data() {
    for virtual_size in [0x8000, 0x9000, 48 << 20, u32::MAX] {
        let file = stub()
            .section(".linux", vec![7; 0x8000])
            .with(|s| s.virtual_size = Some(virtual_size))
            .section(".initrd", vec![8; 0x1000]);
        let (inner, uki) = opened(&file).unwrap();
        assert_eq!(inner, vec![7; 0x8000]);
        assert_eq!(uki.initrds, [vec![8; 0x1000]]);
    }
}

/// A signed kernel in a section whose header does not say its length: with
/// the padding its digest would not match, and neither would the kernel's.
#[test]
fn a_signed_kernel_comes_out_without_padding() {
    let signed: &[u8] = include_bytes!("../../../tests/fixtures/signed-sbsign.efi");
    let mut padded = signed.to_vec();
    padded.resize(signed.len().next_multiple_of(512) + 512, 0);
    let uki = PeBuilder::new()
        .section(".linux", padded.clone())
        .with(|s| s.virtual_size = Some(48 << 20));
    assert_eq!(opened(&uki).unwrap().0, signed);
    // Bytes that are no padding are somebody's change.
    *padded.last_mut().unwrap() = 1;
    let uki = PeBuilder::new().section(".linux", padded.clone());
    assert_eq!(opened(&uki).unwrap().0, padded);
}

#[test]
fn sections_behind_the_end_of_the_file_are_truncation() {
    for (offset, size) in [
        (0xffff_fe00, 0x200),
        (0xa00, 0x7fff_ffff),
        (u32::MAX, u32::MAX),
    ] {
        let file = stub().section(".linux", vec![7; 0x200]).with(|s| {
            s.raw_offset = Some(offset);
            s.raw_size = Some(size);
            s.virtual_size = Some(u32::MAX);
        });
        let error = opened(&file).unwrap_err();
        assert!(matches!(error, ImageError::Truncated { .. }), "{error}");
    }
    let file = plain().build();
    let error = open_with(file[..file.len() - 0x200].to_vec(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "UKI cut short: the section .linux ends at byte {}, the file has {}",
            file.len() - 0x200 + 10,
            file.len() - 0x200
        )
    );
}

#[test]
fn a_pe_file_without_a_kernel_says_what_it_has() {
    let error = opened(&stub()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "UKI without a .linux section (the kernel); it has .text .sbat"
    );
}

#[test]
fn two_kernels_are_refused() {
    let error = opened(&plain().section(".linux", vec![1])).unwrap_err();
    assert!(error.to_string().contains("a second .linux"), "{error}");
}

#[test]
fn sections_that_share_bytes_are_refused() {
    // Many initrds over the same bytes would join to far more than the file.
    let mut file = stub()
        .section(".linux", vec![1])
        .section(".initrd", vec![2; 0x400]);
    for _ in 0..80 {
        file = file.section(".initrd", vec![]).with(|s| {
            s.raw_offset = Some(0x1000);
            s.raw_size = Some(0x400);
            s.virtual_size = Some(0x400);
        });
    }
    let error = opened(&file).unwrap_err();
    assert!(matches!(error, ImageError::Malformed { .. }), "{error}");
}

#[test]
fn text_has_a_limit() {
    let file = stub()
        .section(".linux", vec![1])
        .section(".cmdline", vec![b'x'; MAX_TEXT + 1]);
    assert!(matches!(opened(&file), Err(ImageError::Malformed { .. })));
}

#[test]
fn the_first_profile_is_the_default() {
    let (_, uki) = opened(&profiles()).unwrap();
    assert_eq!(uki.profile, 0);
    assert_eq!(uki.cmdline.as_deref(), Some(b"quiet".as_slice()));
    assert_eq!(uki.initrds, ["base 1", "base 2"]);
    let shown: Vec<String> = uki.profiles.iter().map(Profile::to_string).collect();
    assert_eq!(
        shown,
        [
            r#"0 (regular, "Regular boot")"#,
            r#"1 (factory-reset, "Reset Device to \"Factory\" Defaults")"#,
            "2 (other)",
        ]
    );
}

#[test]
fn a_profile_overrides_the_sections_that_it_has() {
    let file = profiles().build();
    let (_, one) = open_with(file.clone(), Some(1)).unwrap();
    assert_eq!(
        one.cmdline.as_deref(),
        Some(b"quiet systemd.unit=factory-reset.target".as_slice())
    );
    assert_eq!(one.initrds, ["base 1", "base 2"]);
    assert!(!one.device_tree);

    let (kernel, two) = open_with(file, Some(2)).unwrap();
    assert_eq!(kernel, "the kernel");
    assert_eq!(two.cmdline.as_deref(), Some(b"quiet".as_slice()));
    assert_eq!(two.initrds, ["own"]);
    assert!(two.device_tree);
    let owners: Vec<_> = two.sections.iter().map(|s| s.profile).collect();
    assert_eq!(
        owners[..7].to_vec(),
        [None, None, None, None, None, None, Some(0)]
    );
    assert_eq!(owners[7..].to_vec(), [1, 1, 2, 2, 2].map(Some));
}

#[test]
fn a_profile_that_is_not_there_names_those_that_are() {
    let error = open_with(profiles().build(), Some(3)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "UKI without profile 3; it has profiles 0 (regular, \"Regular boot\"), \
         1 (factory-reset, \"Reset Device to \\\"Factory\\\" Defaults\"), 2 (other)"
    );
    let error = open_with(plain().build(), Some(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "UKI without profile 1; it has no .profile sections, only profile 0"
    );
    open_with(plain().build(), Some(0)).unwrap();
}

#[test]
fn profile_values_are_unquoted() {
    for (written, meant) in [
        ("plain", "plain"),
        ("\"with space\"", "with space"),
        ("'single \\ quotes'", "single \\ quotes"),
        ("\"a \\$ \\\\\"", "a $ \\"),
        ("\"open", "open"),
        ("\\", ""),
        ("\"\x1b[31m\"", "\u{fffd}[31m"),
    ] {
        let parsed = Profile::parse(0, format!("TITLE={written}\0ID=x").as_bytes());
        assert_eq!(parsed.title.unwrap_or_default(), meant, "{written}");
        assert_eq!(parsed.id, None);
    }
}

#[test]
fn every_truncation_is_an_error() {
    let file = profiles().build();
    // The last section's padding is not content.
    let end = file.len() - 0x200 + 4;
    for len in 0..end {
        let outcome = open_with(file[..len].to_vec(), None);
        assert!(
            matches!(outcome, Err(ImageError::Truncated { .. })),
            "cut to {len}: {outcome:?}"
        );
    }
    open_with(file[..end].to_vec(), None).unwrap();
}

/// UKIs on this machine, `:` between them, as real tools build them.
#[test]
#[ignore = "needs UKIs in KEXEC_UKI_FILES, and ukify is not in the lab"]
fn real_files_open() {
    let paths = std::env::var("KEXEC_UKI_FILES").unwrap();
    for path in paths.split(':') {
        let file = Bytes::from(std::fs::read(path).unwrap());
        let image =
            crate::recognise(file, &Options::default()).unwrap_or_else(|e| panic!("{path}: {e}"));
        println!("{path}: {} {:#?}", image.describe(), image.uki);
        println!("{:?}", crate::authenticode::check(&image.layers[0].bytes));
    }
}

proptest! {
    /// Whatever is in the headers, what comes out is together no longer than
    /// the file.
    #[test]
    fn hostile_headers_do_no_harm(
        changes in prop::collection::vec((0_usize..0x400, any::<u8>()), 0..24),
        profile in prop::option::of(0_usize..5),
        len in 0_usize..0x2000,
    ) {
        let mut file = profiles().build();
        let end = file.len().min(0x400);
        for (at, value) in changes {
            file[at % end] = value;
        }
        file.truncate(len.max(0x200));
        let whole = file.len();
        if let Ok((inner, uki)) = open_with(file, profile) {
            let parts: usize = uki.initrd_parts().iter().map(|(_, b)| b.len()).sum();
            prop_assert!(inner.len() + parts <= whole);
        }
    }

    #[test]
    fn random_section_headers_do_no_harm(
        headers in prop::collection::vec(
            (prop::sample::select(vec![".linux", ".initrd", ".cmdline", ".profile", ".ucode"]),
             any::<u32>(), 0_u32..0x1400, 0_u32..0x1400),
            1..20,
        ),
    ) {
        let mut builder = PeBuilder::new();
        for (name, virtual_size, raw_size, raw_offset) in headers {
            builder = builder.section(name, vec![0; 16]).with(|s| {
                s.virtual_size = Some(virtual_size);
                s.raw_size = Some(raw_size);
                s.raw_offset = Some(raw_offset);
            });
        }
        let _ = opened(&builder);
    }

    #[test]
    fn bytes_behind_mz_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut file = b"MZ".to_vec();
        file.extend(bytes);
        let _ = open_with(file, Some(1));
    }
}
