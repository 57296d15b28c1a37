//! What a file plan is made of, over images that are described, not built: how
//! bytes become an [`Image`] is tested where that is done.

use kexec_image::{Arm64Image, Layer, Uki, cpio};

use super::*;
use crate::Token;

/// An image as recognition would describe it, without a header worth naming.
fn image(uki: Option<Uki>) -> Image {
    let layers = match uki {
        Some(_) => vec![Layer {
            format: "UKI",
            bytes: Bytes::from_static(b"uki"),
        }],
        None => Vec::new(),
    };
    Image {
        layers,
        bytes: Bytes::from_static(b"kernel"),
        kernel: Kernel::Arm64(arm64()),
        uki,
    }
}

fn arm64() -> Arm64Image {
    // Documentation/arch/arm64/booting.rst: a header of 64 bytes with the magic
    // at 56 and, for a kernel without an EFI stub, nothing else to check.
    let mut header = vec![0u8; 4096];
    header[16..24].copy_from_slice(&4096u64.to_le_bytes());
    header[56..60].copy_from_slice(b"ARM\x64");
    let options = kexec_image::Options::default();
    match kexec_image::recognise(header.into(), &options)
        .unwrap()
        .kernel
    {
        Kernel::Arm64(a) => a,
        other => panic!("{other:?}"),
    }
}

fn uki(cmdline: Option<&str>, initrds: &[&'static [u8]], ucode: Option<&'static [u8]>) -> Uki {
    Uki {
        cmdline: cmdline.map(|c| c.as_bytes().to_vec()),
        initrds: initrds.iter().map(|i| Bytes::from_static(i)).collect(),
        ucode: ucode.map(Bytes::from_static),
        uname: Some("6.12.1".into()),
        os_release: None,
        device_tree: false,
        profiles: Vec::new(),
        profile: 0,
        sections: Vec::new(),
        added: kexec_image::Added::default(),
    }
}

/// A request for an arm64 machine whose kernel was started with
/// `BOOT_IMAGE=/vmlinuz root=/dev/vda crashkernel=256M`.
struct Ask {
    image: Image,
    initrds: Vec<InitrdFile>,
    entry: Option<EntryLine>,
    append: Option<Cmdline>,
    reuse: bool,
    mark: Option<Mark>,
    crash: bool,
    arch: Arch,
}

impl Ask {
    fn new(image: Image) -> Ask {
        Ask {
            image,
            initrds: Vec::new(),
            entry: None,
            append: None,
            reuse: false,
            mark: None,
            crash: false,
            arch: Arch::Arm64,
        }
    }

    fn plan(&self) -> Result<FilePlan, PlanError> {
        accepts(self.arch, &self.image)?;
        Ok(parts(&FileRequest {
            path: "/boot/k",
            image: &self.image,
            initrds: &self.initrds,
            entry: self.entry.as_ref(),
            append: self.append.as_ref(),
            reuse: self.reuse,
            running: &Cmdline::from(
                "BOOT_IMAGE=/vmlinuz root=/dev/vda crashkernel=256M kexec.id=0123456789abcdef",
            ),
            mark: self.mark.as_ref(),
            crash: self.crash,
        }))
    }
}

fn file(path: &str, bytes: &'static [u8]) -> InitrdFile {
    InitrdFile {
        path: path.into(),
        bytes: Bytes::from_static(bytes),
    }
}

#[test]
fn an_empty_initrd_stands_in_for_none() {
    let none = Ask::new(image(None)).plan().unwrap();
    assert!(!none.has_initrd());
    let plan = none.with_empty_initrd();
    let [piece] = plan.initrd.as_slice() else {
        panic!("{:?}", plan.initrd);
    };
    assert!(piece.is_empty_initrd() && !plan.has_initrd());
    assert_eq!((piece.len, piece.bytes.len()), (512, 512));
    // The trailer and nothing else.
    let head = cpio::Head::parse(&piece.bytes).unwrap();
    assert_eq!((head.size, head.name_len), (0, 11));
    let name = piece.bytes.slice(cpio::HEAD_LEN..cpio::HEAD_LEN + 11);
    assert!(cpio::is_trailer(cpio::name(&name)));
    let rest = piece.bytes.slice(cpio::HEAD_LEN + 11..);
    assert!(rest.iter().all(|byte| *byte == 0));

    // Whoever brings one gets that one, be it in a UKI.
    let mut ask = Ask::new(image(Some(uki(None, &[b"inside"], None))));
    let given = ask.plan().unwrap().with_empty_initrd();
    assert_eq!(given.initrd.len(), 1);
    assert!(given.has_initrd() && !given.initrd[0].is_empty_initrd());
    ask.image = image(None);
    ask.initrds = vec![file("/i", b"given")];
    let given = ask.plan().unwrap().with_empty_initrd();
    assert_eq!(given.initrd.len(), 1);
    assert!(!given.initrd[0].is_empty_initrd());
}

#[test]
fn the_mark_stands_behind_everything_of_the_kernel() {
    let mut ask = Ask::new(image(None));
    ask.reuse = true;
    ask.append = Some("quiet -- single".into());
    ask.mark = Some(Mark {
        token: Token::from_bytes([0xab; 8]),
        stamp: false,
        mask_bless_boot: false,
    });
    let plan = ask.plan().unwrap();
    assert_eq!(
        plan.cmdline.to_string(),
        "root=/dev/vda crashkernel=256M quiet kexec.id=abababababababab -- single"
    );
}

#[test]
fn what_is_appended_comes_on_top_of_a_boot_entry() {
    let text = EntryLine::Text("root=/dev/vdb -- s".into());
    for (entry, append, line) in [
        (text.clone(), None, "root=/dev/vdb -- s"),
        (text, Some("quiet"), "root=/dev/vdb -- s quiet"),
        (EntryLine::OfUki, None, "own"),
        (EntryLine::OfUki, Some("quiet"), "own quiet"),
    ] {
        let mut ask = Ask::new(image(Some(uki(Some("own"), &[], None))));
        ask.entry = Some(entry);
        ask.append = append.map(Cmdline::from);
        assert_eq!(ask.plan().unwrap().cmdline.to_string(), line);
    }
}

/// What was typed is not said to be the entry's.
#[test]
fn a_command_line_says_where_it_is_from() {
    let from = |entry: EntryLine, append: Option<&str>| {
        let mut ask = Ask::new(image(None));
        ask.entry = Some(entry);
        ask.append = append.map(Cmdline::from);
        ask.plan().unwrap().cmdline_from
    };
    let (own, given) = (EntryLine::Text("a".into()), EntryLine::Given("b".into()));
    assert_eq!(from(own, None), "the boot entry");
    assert_eq!(from(given.clone(), None), "--cmdline");
    assert_eq!(from(given, Some("quiet")), "--cmdline and --append");
}

/// (UKI's own line, --append, --reuse-cmdline, crash slot) to the line that is
/// handed over.
#[test]
#[allow(clippy::type_complexity)]
fn command_line_of_every_combination() {
    type Row = (
        Option<&'static str>,
        Option<&'static str>,
        bool,
        bool,
        &'static str,
    );
    let table: &[Row] = &[
        (None, None, false, false, ""),
        (None, Some("a b"), false, false, "a b"),
        (None, None, true, false, "root=/dev/vda crashkernel=256M"),
        (
            None,
            Some("a"),
            true,
            false,
            "root=/dev/vda crashkernel=256M a",
        ),
        (None, Some("a"), true, true, "root=/dev/vda a"),
        (Some("own"), None, false, false, "own"),
        (Some("own"), Some("a"), false, false, "a"),
        (Some("own"), Some(""), false, false, ""),
        (Some("own"), Some("a"), true, false, "own a"),
        (Some("own"), None, true, false, "own"),
    ];
    for (own, append, reuse, crash, expected) in table {
        let mut ask = Ask::new(image(own.map(|o| uki(Some(o), &[], None))));
        ask.append = append.map(Cmdline::from);
        ask.reuse = *reuse;
        ask.crash = *crash;
        let plan = ask.plan().unwrap();
        assert_eq!(
            plan.cmdline.to_string(),
            *expected,
            "{own:?} {append:?} {reuse} {crash}"
        );
    }
}

#[test]
fn a_uki_without_a_line_reuses_the_running_one() {
    let mut ask = Ask::new(image(Some(uki(None, &[], None))));
    ask.reuse = true;
    let plan = ask.plan().unwrap();
    assert_eq!(plan.cmdline.to_string(), "root=/dev/vda crashkernel=256M");
}

#[test]
fn initrds_are_joined_in_order_and_aligned() {
    let mut ask = Ask::new(image(Some(uki(
        None,
        &[b"first", b"second!!"],
        Some(b"micro"),
    ))));
    ask.initrds = vec![file("/a", b"abc"), file("/b", b"b")];
    let plan = ask.plan().unwrap();
    let parts: Vec<(&str, usize, usize)> = plan
        .initrd
        .iter()
        .map(|p| (p.origin.as_str(), p.len, p.padding))
        .collect();
    assert_eq!(
        parts,
        [
            ("/boot/k .ucode", 5, 3),
            ("/boot/k .initrd", 5, 3),
            ("/boot/k .initrd", 8, 0),
            ("/a", 3, 1),
            ("/b", 1, 0),
        ]
    );
    assert_eq!(plan.initrd_len(), 8 + 8 + 8 + 4 + 1);
    assert_eq!(plan.release.as_deref(), Some("6.12.1"));
    assert!(!plan.bare);
}

#[test]
fn one_initrd_is_handed_on_as_it_is() {
    let mut ask = Ask::new(image(None));
    ask.initrds = vec![file("/a", b"abc")];
    let plan = ask.plan().unwrap();
    assert_eq!(plan.initrd.len(), 1);
    assert_eq!(plan.initrd[0].padding, 0);
    assert!(plan.bare);
}

#[test]
fn what_the_file_call_does_not_take() {
    // A program that is no kernel image of x86 at all.
    let mut elf = vec![0u8; 64];
    elf[..16].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    elf[16..20].copy_from_slice(&[2, 0, 62, 0]); // ET_EXEC, x86_64
    elf[20] = 1;
    elf[32] = 64; // e_phoff
    elf[52] = 64; // e_ehsize
    elf[54] = 56; // e_phentsize
    elf[56] = 1; // e_phnum
    let mut header = vec![0u8; 56];
    header[0] = 1; // PT_LOAD
    header[40] = 1; // p_memsz
    elf.extend(header);
    let options = kexec_image::Options::default();
    let image = kexec_image::recognise(elf.into(), &options).unwrap();
    let mut ask = Ask::new(image);
    ask.arch = Arch::X86_64;
    let error = ask.plan().unwrap_err();
    assert_eq!(
        error.to_string(),
        "kexec_file_load(2) of x86_64 kernels does not accept an ELF file for x86_64; \
         it accepts a 64-bit bzImage"
    );
}

#[test]
fn the_plan_prints() {
    let mut ask = Ask::new(image(Some(uki(Some("own"), &[b"i"], None))));
    ask.initrds = vec![file("/a", b"abc")];
    let text = format!("{:#?}", ask.plan().unwrap());
    for part in [
        "format: \"UKI > arm64 Image\"",
        "kernel: /boot/k (6 bytes + 0)",
        "/boot/k .initrd (1 bytes + 3)",
        "/a (3 bytes + 0)",
        "cmdline: \"own\"",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn what_addons_bring_goes_behind_every_line_and_around_the_archives() {
    let mut uki = uki(Some("own"), &[b"initrd"], Some(b"ucode"));
    uki.added = kexec_image::Added {
        cmdline: b"addon".to_vec(),
        front: vec![("a.addon.efi .ucode".into(), Bytes::from_static(b"au"))],
        back: vec![(".extra".into(), Bytes::from_static(b"e"))],
        left_out: Vec::new(),
    };
    let mut ask = Ask::new(image(Some(uki)));
    let plan = ask.plan().unwrap();
    assert_eq!(plan.cmdline, Cmdline::from("own addon"));
    let origins: Vec<&str> = plan.initrd.iter().map(|p| p.origin.as_str()).collect();
    assert_eq!(
        origins,
        [
            "/boot/k a.addon.efi .ucode",
            "/boot/k .ucode",
            "/boot/k .initrd",
            "/boot/k .extra"
        ]
    );
    ask.append = Some(Cmdline::from("options"));
    assert_eq!(ask.plan().unwrap().cmdline, Cmdline::from("options addon"));
    ask.reuse = true;
    let both = Cmdline::from("own addon options");
    assert_eq!(ask.plan().unwrap().cmdline, both);
    // Of a record it is whole.
    ask.entry = Some(EntryLine::Recorded(both.clone()));
    ask.append = None;
    assert_eq!(ask.plan().unwrap().cmdline, both);
}
