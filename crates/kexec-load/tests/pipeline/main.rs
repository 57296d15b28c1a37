//! The whole walk from files to a loaded kernel, through the double of the kernel.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod initrds;
#[cfg(target_arch = "x86_64")]
mod unpacked;

use std::path::{Path, PathBuf};

use kexec_image::cpio::{self, File};
use kexec_image::testing::PeBuilder;
use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_image::testing::codec::COMPRESSORS;
use kexec_load::preflight::Severity;
use kexec_load::request::{ClassicLoadOptions, CompanionFile};
use kexec_load::{CmdlineChoice, Error, LoadRequest, SyscallChoice, pipeline};
use kexec_machine::Snapshot;
use kexec_sys::double::{Call, Double, Machine};
use kexec_sys::{FileFlags, Kernel, Slot};

/// A folder with a kernel and two initrds.
struct Boot {
    folder: tempfile::TempDir,
}

impl Boot {
    fn new() -> Boot {
        let boot = Boot {
            folder: tempfile::tempdir().unwrap(),
        };
        boot.file("vmlinuz", &bzimage());
        boot.file("initrd", &cpio("first"));
        boot.file("more", &cpio("second"));
        boot
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn request(&self, kernel: &str, initrds: &[&str]) -> LoadRequest {
        LoadRequest {
            kernel: self.path(kernel).into(),
            initrds: initrds.iter().map(|i| self.path(i).into()).collect(),
            cmdline: CmdlineChoice {
                entry: None,
                append: Some("root=/dev/vda".into()),
                reuse: false,
            },
            mark: None,
            slot: Slot::Normal,
            syscall: SyscallChoice::Auto,
            unpack: kexec_load::request::Unpack::default(),
            profile: None,
            companions: None,
            debug: false,
            old_spelling: false,
            classic: ClassicLoadOptions::default(),
        }
    }
}

/// An archive with one file.
fn cpio(content: &str) -> Vec<u8> {
    let file = File {
        path: "init".to_owned(),
        mode: 0o755,
        content: content.to_owned().into(),
    };
    cpio::archive(&[file]).unwrap()
}

/// A small kernel with a payload of gzip.
fn bzimage() -> Vec<u8> {
    let row = COMPRESSORS.iter().find(|c| c.name == "gzip").unwrap();
    let inner: Vec<u8> = (0..5000u32)
        .map(|i| u8::try_from(i * i % 251).unwrap())
        .collect();
    BzImageBuilder::new()
        .payload((row.compress)(&inner), inner.len(), "gzip")
        .build()
}

fn host(name: &str) -> Snapshot {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kexec-machine/tests/machines");
    Snapshot::read(&machines.join(name))
}

fn load(kernel: &Double, request: &LoadRequest, host: &Snapshot) -> Result<(), Error> {
    let inputs = pipeline::read(request, None, None)?;
    let prepared = pipeline::prepare(request, &inputs, host)?;
    pipeline::load(
        kernel,
        request,
        FileFlags::EMPTY,
        &inputs,
        prepared,
        host,
        &mut |_| Ok(()),
    )
    .map(drop)
}

fn double() -> Double {
    Double::new(Machine::default())
}

#[test]
fn what_is_checked_is_what_the_kernel_gets() {
    let (boot, kernel) = (Boot::new(), double());
    load(
        &kernel,
        &boot.request("vmlinuz", &["initrd"]),
        &host("debian-cloud"),
    )
    .unwrap();
    let image = kernel.normal().unwrap();
    assert_eq!(image.kernel(), Some(&bzimage()[..]));
    assert_eq!(image.initrd(), Some(&cpio("first")[..]));
    assert_eq!(image.cmdline().unwrap().to_bytes(), b"root=/dev/vda");
    let Call::FileLoad {
        kernel_in_memory, ..
    } = &kernel.calls()[0]
    else {
        panic!("{:?}", kernel.calls());
    };
    assert!(kernel_in_memory, "the file could be swapped in between");
}

#[test]
fn initrds_are_joined_on_four_bytes() {
    let (boot, kernel) = (Boot::new(), double());
    boot.file("odd", &[&cpio("odd")[..], &[0, 0]].concat());
    let request = boot.request("vmlinuz", &["odd", "more"]);
    load(&kernel, &request, &host("debian-cloud")).unwrap();
    let image = kernel.normal().unwrap();
    let joined = [cpio("odd"), vec![0; 4], cpio("second")].concat();
    assert_eq!(image.initrd(), Some(&joined[..]));
}

#[test]
fn a_uki_is_taken_apart() {
    let (boot, kernel) = (Boot::new(), double());
    let uki = PeBuilder::new()
        .section(".cmdline", "from the uki")
        .section(".linux", bzimage())
        .section(".initrd", cpio("in the uki"))
        .build();
    boot.file("linux.efi", &uki);
    let mut request = boot.request("linux.efi", &["initrd"]);
    request.cmdline.append = None;
    load(&kernel, &request, &host("debian-cloud")).unwrap();
    let image = kernel.normal().unwrap();
    assert_eq!(image.kernel(), Some(&bzimage()[..]));
    let joined = [cpio("in the uki"), cpio("first")].concat();
    assert_eq!(image.initrd(), Some(&joined[..]));
    assert_eq!(image.cmdline().unwrap().to_bytes(), b"from the uki");
}

#[test]
fn what_lies_beside_a_uki_goes_with_it() {
    let (boot, kernel) = (Boot::new(), double());
    let uki = PeBuilder::new()
        .section(".osrel", "ID=test\n")
        .section(".cmdline", "from the uki")
        .section(".linux", bzimage())
        .section(".initrd", cpio("in the uki"))
        .build();
    boot.file("linux.efi", &uki);
    let addon = PeBuilder::new()
        .section(".cmdline", "from the addon")
        .section(".initrd", cpio("in the addon"));
    boot.file("a.addon.efi", &addon.build());
    boot.file("broken.addon.efi", b"no program");
    boot.file("secret.cred", b"a secret");
    let beside = ["a.addon.efi", "broken.addon.efi", "secret.cred"].map(|name| CompanionFile {
        file: boot.path(name).into(),
        place: format!("/EFI/Linux/linux.efi.extra.d/{name}"),
    });
    let mut request = boot.request("linux.efi", &[]);
    request.cmdline = CmdlineChoice::default();
    request.companions = Some(beside.to_vec());
    let host = host("debian-cloud");
    load(&kernel, &request, &host).unwrap();
    let image = kernel.normal().unwrap();
    let line = b"from the uki from the addon";
    assert_eq!(image.cmdline().unwrap().to_bytes(), line);
    let front = [cpio("in the uki"), cpio("in the addon"), b"070701".to_vec()].concat();
    assert!(image.initrd().unwrap().starts_with(&front));
    let initrd = String::from_utf8_lossy(image.initrd().unwrap()).into_owned();
    assert!(
        initrd.contains(".extra/credentials/secret.cred\0"),
        "{initrd}"
    );
    assert!(initrd.contains(".extra/os-release\0"), "{initrd}");

    let inputs = pipeline::read(&request, None, None).unwrap();
    let prepared = pipeline::prepare(&request, &inputs, &host).unwrap();
    let mut findings = prepared.findings.iter();
    let found = findings.find(|f| f.check == "uki-companions").unwrap();
    assert_eq!(found.severity, Severity::Warning);
    assert!(
        found.problem.what.contains("broken.addon.efi"),
        "{}",
        found.problem.what
    );
}

#[test]
fn a_refused_load_keeps_what_was_loaded() {
    let (boot, kernel, host) = (Boot::new(), double(), host("debian-cloud"));
    load(&kernel, &boot.request("vmlinuz", &["initrd"]), &host).unwrap();
    let before = kernel.calls().len();

    // One byte of the payload changed; no signature would tell.
    let mut changed = bzimage();
    let payload = changed.windows(3).rposition(|w| w == [0x1f, 0x8b, 8]);
    changed[payload.unwrap() + 15] ^= 1;
    boot.file("changed", &changed);
    let error = load(&kernel, &boot.request("changed", &[]), &host).unwrap_err();
    assert!(
        matches!(error, Error::Refused { .. } | Error::Image { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("changed"), "{error}");

    boot.file("short", &bzimage()[..2600]);
    let error = load(&kernel, &boot.request("short", &[]), &host).unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");

    let mut long = boot.request("vmlinuz", &[]);
    long.cmdline.append = Some("x".repeat(3000).as_str().into());
    let error = load(&kernel, &long, &host).unwrap_err();
    assert!(error.to_string().contains("3000 bytes"), "{error}");

    assert_eq!(
        kernel.calls().len(),
        before,
        "the kernel was asked all the same"
    );
    assert_eq!(kernel.normal().unwrap().kernel(), Some(&bzimage()[..]));
}

#[test]
fn another_machines_kernel_is_refused() {
    let (boot, kernel) = (Boot::new(), double());
    let error = load(
        &kernel,
        &boot.request("vmlinuz", &[]),
        &host("debian-arm64"),
    )
    .unwrap_err();
    assert!(error.to_string().contains("built for x86_64"), "{error}");
    assert!(kernel.calls().is_empty());
}

#[test]
fn an_initrd_of_unknown_kind_is_a_warning_and_an_empty_one_a_refusal() {
    let boot = Boot::new();
    boot.file("text", b"not an initrd");
    boot.file("empty", b"");
    let host = host("debian-cloud");
    let severity = |initrd: &str| {
        let request = boot.request("vmlinuz", &[initrd]);
        let inputs = pipeline::read(&request, None, None).unwrap();
        let prepared = pipeline::prepare(&request, &inputs, &host).unwrap();
        let findings = prepared.findings.iter();
        findings
            .filter(|f| f.check == "initrd-known")
            .map(|f| f.severity)
            .max()
    };
    assert_eq!(severity("initrd"), Some(Severity::Pass));
    assert_eq!(severity("text"), Some(Severity::Warning));
    assert_eq!(severity("empty"), Some(Severity::Refusal));
}

/// There the kernel would be at a multiple of 1 MiB, move up, and overwrite its initrd.
#[test]
fn no_image_goes_into_memory_that_is_kept_for_devices() {
    for (release, cma, expected) in [
        ((7, 3), Some(256 << 20), true),
        ((6, 17), Some(256 << 20), true),
        ((7, 3), Some(0), false),
        ((7, 3), None, false),
        ((6, 16), Some(256 << 20), false),
    ] {
        let mut host = host("debian-cloud");
        host.release = format!("{}.{}.0", release.0, release.1);
        host.config = kexec_machine::Fact::Absent;
        host.memory.cma = cma.map_or(kexec_machine::Fact::Absent, kexec_machine::Fact::Known);
        let boot = Boot::new();
        let kernel = double();
        kernel.change(|m| m.release = release);
        load(&kernel, &boot.request("vmlinuz", &[]), &host).unwrap();
        let calls = kernel.calls();
        let Call::FileLoad { flags, .. } = &calls[0] else {
            panic!("{calls:?}");
        };
        assert_eq!(
            flags.contains(FileFlags::NO_CMA),
            expected,
            "{release:?} {cma:?}"
        );
    }
}

/// Kernels before 6.8 answer EINVAL to the flag, and every call counts against
/// the load limits: it is left out there.
#[test]
fn debug_never_makes_a_load_fail() {
    for (machine, release, expected) in [
        ("debian-cloud", (6, 12), true),
        ("secure-boot", (6, 1), false),
    ] {
        let mut host = host(machine);
        host.release = format!("{}.{}.0", release.0, release.1);
        host.security.secure_boot = kexec_machine::Fact::Known(false);
        host.config = kexec_machine::Fact::Absent;
        let boot = Boot::new();
        let kernel = double();
        kernel.change(|m| m.release = release);
        let mut request = boot.request("vmlinuz", &[]);
        request.debug = true;
        load(&kernel, &request, &host).unwrap();
        let calls = kernel.calls();
        let Call::FileLoad { flags, .. } = &calls[0] else {
            panic!("{calls:?}");
        };
        assert_eq!(flags.contains(FileFlags::DEBUG), expected, "{release:?}");
        assert_eq!(calls.len(), 1);
    }
}

/// The signature that IMA appraises is on the file, not on a copy of its bytes.
#[test]
fn ima_gets_the_file_itself() {
    let boot = Boot::new();
    let mut host = host("debian-cloud");
    host.security.ima_appraises_kexec = kexec_machine::Fact::Known(true);
    let kernel = double();
    load(&kernel, &boot.request("vmlinuz", &[]), &host).unwrap();
    let Call::FileLoad {
        kernel_in_memory, ..
    } = kernel.calls()[0]
    else {
        panic!("{:?}", kernel.calls());
    };
    assert!(!kernel_in_memory);
}

#[test]
fn a_missing_file_is_named() {
    let boot = Boot::new();
    for (request, what) in [
        (boot.request("missing", &[]), "kernel"),
        (boot.request("vmlinuz", &["missing"]), "initrd"),
    ] {
        let text = pipeline::read(&request, None, None)
            .unwrap_err()
            .to_string();
        assert!(text.starts_with(&format!("cannot read {what}")), "{text}");
        assert!(
            text.contains("missing") && text.contains("ENOENT"),
            "{text}"
        );
    }
}

/// Found on a machine of 512 MiB, where the out-of-memory killer answered.
#[test]
fn files_larger_than_the_memory_are_not_read() {
    let boot = Boot::new();
    let request = boot.request("vmlinuz", &["initrd", "more"]);
    let size = |name| std::fs::metadata(boot.path(name)).unwrap().len();
    let all = size("vmlinuz") + size("initrd") + size("more");
    assert!(pipeline::read(&request, None, Some(all)).is_ok());
    let error = pipeline::read(&request, None, Some(all - 1)).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }));
    let text = error.to_string();
    let found = format!("{} bytes", size("more"));
    assert!(text.contains("more") && text.contains(&found), "{text}");
}

#[test]
fn a_profile_of_something_that_is_no_uki_is_refused() {
    let boot = Boot::new();
    let mut request = boot.request("vmlinuz", &[]);
    request.profile = Some(1);
    let text = load(&double(), &request, &host("debian-cloud")).unwrap_err();
    assert!(
        text.to_string().contains("only a UKI has profiles"),
        "{text}"
    );
}

#[test]
fn unloading_is_asked_of_the_right_slot() {
    let kernel = double();
    kernel.file_unload(Slot::Crash).unwrap();
    assert!(matches!(
        kernel.calls()[..],
        [Call::FileUnload {
            slot: Slot::Crash,
            result: Ok(())
        }]
    ));
}

/// A pipe with these bytes, as a shell's `<(...)` hands it over.
fn pipe(bytes: &'static [u8]) -> (PathBuf, std::io::PipeReader) {
    let (read, mut write) = std::io::pipe().unwrap();
    std::thread::spawn(move || std::io::Write::write_all(&mut write, bytes));
    let fd = std::os::fd::AsRawFd::as_raw_fd(&read);
    (format!("/proc/self/fd/{fd}").into(), read)
}

#[test]
fn a_kernel_out_of_a_pipe_is_bounded_by_free_memory() {
    static MANY: [u8; 1 << 20] = [7; 1 << 20];
    let boot = Boot::new();
    let read = |available| {
        let (path, _held) = pipe(&MANY);
        let mut request = boot.request("vmlinuz", &[]);
        request.initrds = vec![path.into()];
        pipeline::read(&request, None, Some(available))
    };
    let inputs = read(16 << 20).unwrap();
    assert_eq!(inputs.initrds[0].sealed.len(), 1 << 20);
    let error = read(1 << 20).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("it unpacks to more than"), "{said}");
}

#[test]
fn devices_and_sockets_are_no_kernels() {
    let boot = Boot::new();
    let _socket = std::os::unix::net::UnixListener::bind(boot.path("socket")).unwrap();
    for (path, kind) in [
        (boot.path("socket"), "it is a socket"),
        ("/dev/zero".into(), "it is a character device"),
        (boot.path("."), "it is a directory"),
    ] {
        let mut request = boot.request("vmlinuz", &[]);
        request.kernel = path.into();
        let error = pipeline::read(&request, None, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains(kind), "{error}");
    }
}

/// What a wrapper around a kernel unpacks to is bounded by what is free.
#[test]
fn a_compressed_kernel_does_not_fill_memory() {
    let boot = Boot::new();
    let gzip = COMPRESSORS.first().unwrap();
    boot.file(
        "bomb",
        &(gzip.compress)(&(gzip.compress)(&vec![0; 8 << 20])),
    );
    let request = boot.request("bomb", &[]);
    let inputs = pipeline::read(&request, None, None).unwrap();
    let mut host = host("debian-cloud");
    host.memory.available = kexec_machine::Fact::Known(4 << 20);
    let error = pipeline::prepare(&request, &inputs, &host).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("decompresses to more than"), "{said}");
    assert!(error.remedy().contains("free the memory") || error.remedy().contains("free memory"));
}
