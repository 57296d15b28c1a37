//! Initrds that are unpacked before the jump, by both system calls.

use kexec_image::testing::codec::{gzip, xz_filtered, zstd};
use kexec_image::testing::vmlinux::VmlinuxBuilder;
use kexec_load::pipeline::Prepared;
use kexec_load::request::{Unpack, UnpackChoice};
use kexec_machine::Fact;
use kexec_machine::snapshot::GroupLimit;
use kexec_plan::Method;
use kexec_plan::unpack::cost::PartForm;
use kexec_sys::Errno;
use kexec_sys::double::LoadedImage;

use super::*;

fn large(name: &str) -> Vec<u8> {
    let file = File {
        path: name.to_owned(),
        mode: 0o755,
        content: vec![b'x'; 3_000_000].into(),
    };
    cpio::archive(&[file]).unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    xz_filtered(bytes, &[], None)
}

/// A load with this initrd.
struct Try {
    boot: Boot,
    request: LoadRequest,
    host: Snapshot,
}

impl Try {
    fn new(initrd: &[u8], syscall: SyscallChoice, choice: UnpackChoice) -> Try {
        let boot = Boot::new();
        boot.file("initrd", initrd);
        let mut request = boot.request("vmlinuz", &["initrd"]);
        request.syscall = syscall;
        request.unpack = Unpack {
            choice,
            ..Unpack::default()
        };
        Try {
            boot,
            request,
            host: host("debian-cloud"),
        }
    }

    fn prepared(&self) -> Result<Prepared, Error> {
        let inputs = pipeline::read(&self.request, None, None)?;
        pipeline::prepare(&self.request, &inputs, &self.host)
    }

    fn load(&self, kernel: &Double) -> Result<Prepared, Error> {
        let inputs = pipeline::read(&self.request, None, None)?;
        pipeline::load(
            kernel,
            &self.request,
            FileFlags::EMPTY,
            &inputs,
            self.prepared()?,
            &self.host,
            &mut |_| Ok(()),
        )
    }

    /// Loads it, and gives what was unpacked, and the initrd that the kernel got.
    fn loaded(&self, kernel: &Double) -> (Prepared, Vec<u8>) {
        let prepared = self.load(kernel).unwrap();
        let image = kernel.normal().unwrap();
        let initrd = match &*image {
            LoadedImage::Files { initrd, .. } => initrd.clone().unwrap(),
            LoadedImage::Segments { segments, .. } => {
                let is = |bytes: &&Vec<u8>| {
                    let at = prepared.plan.initrd[0].bytes.get(..64).unwrap();
                    bytes.starts_with(at)
                };
                segments.iter().map(|s| &s.bytes).find(is).unwrap().clone()
            }
        };
        (prepared, initrd)
    }
}

fn forms(prepared: &Prepared) -> Vec<PartForm> {
    let parts = prepared.unpacked.initrd.parts.iter();
    parts.map(|part| part.form).collect()
}

#[test]
fn each_call_gets_the_form_that_is_cheapest_with_it() {
    let plain = large("init");
    for (syscall, pack, form) in [
        (
            SyscallChoice::Classic,
            zstd as fn(&[u8]) -> Vec<u8>,
            PartForm::Raw,
        ),
        (SyscallChoice::Classic, xz, PartForm::Raw),
        (SyscallChoice::File, zstd, PartForm::Packed),
        (SyscallChoice::File, gzip, PartForm::Packed),
    ] {
        let packed = pack(&plain);
        let auto = Try::new(&packed, syscall, UnpackChoice::Auto);
        let (prepared, initrd) = auto.loaded(&double());
        assert_eq!(forms(&prepared), [form], "{syscall:?}");
        let expected = if form == PartForm::Raw {
            &plain
        } else {
            &packed
        };
        assert!(initrd.starts_with(expected), "{syscall:?}");
        assert_eq!(prepared.plan.initrd_len(), expected.len());
        assert_eq!(prepared.initrds[0].len, packed.len());
        let lines = prepared.unpacked.lines();
        // The kernel has the first one.
        assert_eq!(lines.len(), 2, "{lines:?}");
        let checked = prepared.findings.iter();
        let checked = checked.filter(|f| f.check == "initrd-intact");
        assert!(
            checked.clone().count() == 1 && checked.clone().all(|f| f.severity == Severity::Pass)
        );
        if let Some(placed) = &prepared.placed {
            assert!(placed.notes.contains(&lines[1]));
        }
        // All of it, whatever it costs.
        let always = Try::new(&packed, syscall, UnpackChoice::Always);
        match syscall {
            SyscallChoice::File => {
                let (_, initrd) = always.loaded(&double());
                assert!(initrd == plain);
            }
            // The kernel of these tests cannot be unpacked.
            _ => {
                let error = always.prepared().unwrap_err().to_string();
                assert!(error.contains("the kernel cannot be unpacked"), "{error}");
            }
        }
        let never = Try::new(&packed, syscall, UnpackChoice::Never);
        let (prepared, initrd) = never.loaded(&double());
        assert!(initrd.starts_with(&packed) && prepared.unpacked.lines().is_empty());
    }
}

#[test]
fn a_file_that_compresses_hard_goes_raw_with_the_kernels_own_loader() {
    // Random bytes, which xz leaves as they are and kernels copy slowly.
    let mut state = 1_u32;
    let noise: Vec<u8> = (0..500_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    let file = File {
        path: "init".to_owned(),
        mode: 0o755,
        content: noise.into(),
    };
    let plain = cpio::archive(&[file]).unwrap();
    let auto = Try::new(&xz(&plain), SyscallChoice::File, UnpackChoice::Auto);
    let (prepared, initrd) = auto.loaded(&double());
    assert_eq!(forms(&prepared), [PartForm::Raw]);
    assert!(initrd == plain && prepared.decision.method == Method::FileLoad);
}

#[test]
fn the_other_call_begins_with_the_files_again() {
    let plain = large("init");
    let packed = zstd(&plain);
    let fast = Try::new(&packed, SyscallChoice::Fastest, UnpackChoice::Auto);
    let kernel = double();
    kernel.change(|m| m.load_denied = Some(Errno::EPERM));
    let (prepared, initrd) = fast.loaded(&kernel);
    assert_eq!(prepared.decision.method, Method::FileLoad);
    assert_eq!(forms(&prepared), [PartForm::Packed]);
    assert!(initrd == packed);
    // And the other way round.
    let both = Try::new(&packed, SyscallChoice::Auto, UnpackChoice::Auto);
    let kernel = double();
    kernel.change(|m| m.has_file_load = false);
    let (prepared, initrd) = both.loaded(&kernel);
    assert_eq!(prepared.decision.method, Method::ClassicLoad);
    assert_eq!(forms(&prepared), [PartForm::Raw]);
    assert!(initrd.starts_with(&plain));
}

#[test]
fn several_files_are_joined_as_before() {
    let boot = Boot::new();
    boot.file("initrd", &zstd(&cpio("first")));
    boot.file("more", &gzip(&cpio("second")));
    let mut request = boot.request("vmlinuz", &["initrd", "more"]);
    request.unpack.choice = UnpackChoice::Auto;
    request.syscall = SyscallChoice::Classic;
    let kernel = double();
    load(&kernel, &request, &host("debian-cloud")).unwrap();
    let image = kernel.normal().unwrap();
    let joined = [cpio("first"), cpio("second")].concat();
    let mut segments = image.segments().iter();
    assert!(segments.any(|segment| segment.bytes.starts_with(&joined)));
}

#[test]
fn where_memory_is_short_it_stays_packed() {
    let packed = zstd(&large("init"));
    let mut tight = Try::new(&packed, SyscallChoice::Classic, UnpackChoice::Auto);
    tight.host.memory.available = Fact::Known(100 << 20);
    let (prepared, initrd) = tight.loaded(&double());
    assert_eq!(forms(&prepared), [PartForm::Packed]);
    assert!(initrd.starts_with(&packed));
    let line = prepared.unpacked.lines().concat();
    assert!(line.contains("100 MiB are free"), "{line}");
    // A control group's limit counts as little memory does, and is named.
    let mut limited = Try::new(&packed, SyscallChoice::Classic, UnpackChoice::Auto);
    limited.host.memory.group_limit = Fact::Known(GroupLimit {
        left: 100 << 20,
        file: "/sys/fs/cgroup/a.slice/memory.max".to_owned(),
    });
    let (prepared, initrd) = limited.loaded(&double());
    assert!(initrd.starts_with(&packed));
    let line = prepared.unpacked.lines().concat();
    let named = "100 MiB are left by /sys/fs/cgroup/a.slice/memory.max";
    assert!(line.contains(named), "{line}");
    // Held, it gets less.
    let mut held = Try::new(&packed, SyscallChoice::Classic, UnpackChoice::Auto);
    held.host.memory.available = Fact::Known(230 << 20);
    assert_eq!(forms(&held.prepared().unwrap()), [PartForm::Raw]);
    held.request.unpack.held = true;
    let report = held.prepared().unwrap();
    assert_eq!(forms(&report), [PartForm::Packed]);
    let line = report.unpacked.lines().concat();
    assert!(line.contains("a quarter of the free memory"), "{line}");
    held.host.memory.available = Fact::Unreadable("no /proc".to_owned());
    let blind = held.prepared().unwrap();
    let lines = blind.unpacked.lines().concat();
    assert!(lines.contains("no /proc"), "{lines}");
    tight.request.unpack.choice = UnpackChoice::Always;
    let error = tight.prepared().unwrap_err();
    assert!(error.to_string().contains("100 MiB are free"), "{error}");
    assert!(error.remedy().contains("--unpack=auto"));
}

#[test]
fn a_kernel_without_memory_gets_the_files_as_they_are() {
    let packed = zstd(&large("init"));
    let auto = Try::new(&packed, SyscallChoice::Classic, UnpackChoice::Auto);
    let kernel = double();
    // The kernel and the packed initrd, but not three megabytes more.
    let held = auto.prepared().unwrap();
    let placed = held.placed.unwrap();
    let memory: u64 = placed.segments.iter().map(|s| s.memory.len()).sum();
    kernel.change(|m| m.free_pages = memory / 4096 - 500);
    let (prepared, initrd) = auto.loaded(&kernel);
    assert!(initrd.starts_with(&packed));
    let lines = prepared.unpacked.lines().concat();
    assert!(lines.contains("ENOMEM"), "{lines}");
    assert_eq!(kernel.calls().len(), 2);
    kernel.change(|m| m.free_pages = 1);
    assert!(auto.load(&kernel).is_err());
}

/// Unpacked, the kernel is in this process as well; its file may have room where it has not.
#[test]
fn a_kernel_without_memory_gets_the_bzimage() {
    let vmlinux = VmlinuxBuilder {
        relocations: Vec::new(),
        ..VmlinuxBuilder::default()
    };
    let vmlinux = vmlinux.build();
    let builder = BzImageBuilder {
        init_size: 2 << 20,
        ..BzImageBuilder::new()
    };
    let builder = builder.payload(gzip(&vmlinux), vmlinux.len(), "gzip");
    let auto = Try::new(&cpio("x"), SyscallChoice::Classic, UnpackChoice::Auto);
    auto.boot.file("vmlinuz", &builder.build());
    let unpacked = auto.prepared().unwrap();
    assert!(unpacked.unpacked.kernel.unpacked, "{:?}", unpacked.unpacked);
    let placed = unpacked.placed.unwrap();
    let memory: u64 = placed.segments.iter().map(|s| s.memory.len()).sum();
    let kernel = double();
    kernel.change(|m| m.free_pages = memory / 4096 - 1);
    let (prepared, _) = auto.loaded(&kernel);
    assert_eq!(kernel.calls().len(), 2);
    assert!(!prepared.unpacked.kernel.unpacked);
    let lines = prepared.unpacked.lines().concat();
    assert!(
        lines.contains("no memory for it, unpacked (ENOMEM)"),
        "{lines}"
    );
}

#[test]
fn files_that_somebody_judges_are_passed_as_they_are() {
    let packed = zstd(&cpio("x"));
    type Change = fn(&mut Snapshot);
    let changes: [(Change, &str); 2] = [
        (
            |h| h.security.ima_appraises_kexec = Fact::Known(true),
            "IMA rule",
        ),
        (
            |h| h.security.selinux_enforcing = Fact::Known(true),
            "SELinux",
        ),
    ];
    for (change, word) in changes {
        let mut judged = Try::new(&packed, SyscallChoice::File, UnpackChoice::Auto);
        change(&mut judged.host);
        let prepared = judged.prepared().unwrap();
        assert_eq!(prepared.plan.initrd[0].len, packed.len());
        let lines = prepared.unpacked.lines().concat();
        assert!(lines.contains(word), "{lines}");
        judged.request.unpack.choice = UnpackChoice::Always;
        let error = judged.prepared().unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    let mut crash = Try::new(&packed, SyscallChoice::File, UnpackChoice::Auto);
    crash.request.slot = Slot::Crash;
    let lines = crash.prepared().unwrap().unpacked.lines().concat();
    assert!(lines.contains("crash kernel"), "{lines}");
    assert!(crash.boot.path("initrd").exists());
}

/// What speaks against a kernel without its decompressor, by what is known of the machine.
#[test]
fn the_machine_may_need_the_decompressor() {
    type Change = fn(&mut Snapshot);
    let machines: &[(Change, &str)] = &[
        (
            |host| {
                let option = "CONFIG_AMD_MEM_ENCRYPT_ACTIVE_BY_DEFAULT";
                host.config = Fact::Known([(option.to_owned(), "y".to_owned())].into());
            },
            "memory is encrypted",
        ),
        (
            |host| host.firmware.encrypted_guest = Fact::Known(true),
            "memory is encrypted",
        ),
        (
            |host| host.memory.unaccepted = Fact::Known(1 << 30),
            "memory is encrypted",
        ),
    ];
    for (change, expected) in machines {
        let mut one = Try::new(&large("a"), SyscallChoice::Classic, UnpackChoice::Always);
        change(&mut one.host);
        let text = one.prepared().unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

/// A kernel that is built to encrypt memory does so where the processor can, and where its
/// command line lets it.
#[test]
fn a_kernel_that_would_encrypt_memory_but_cannot_is_unpacked() {
    let of = |sme: bool, word: &str| {
        let mut one = Try::new(&large("a"), SyscallChoice::Classic, UnpackChoice::Auto);
        let option = "CONFIG_AMD_MEM_ENCRYPT_ACTIVE_BY_DEFAULT";
        one.host.config = Fact::Known([(option.to_owned(), "y".to_owned())].into());
        one.host.firmware.sme_possible = Fact::Known(sme);
        one.request.cmdline.append = Some(word.into());
        let lines = one.prepared().unwrap().unpacked.lines().concat();
        lines.contains("memory is encrypted")
    };
    assert!(of(true, "quiet"));
    // What the running kernel was told counts where the processor can.
    let running = |sme: bool| {
        let mut one = Try::new(&large("a"), SyscallChoice::Classic, UnpackChoice::Auto);
        one.host.cmdline = Fact::Known("mem_encrypt=on".into());
        one.host.firmware.sme_possible = Fact::Known(sme);
        let lines = one.prepared().unwrap().unpacked.lines().concat();
        lines.contains("memory is encrypted")
    };
    assert!(running(true));
    assert!(!running(false));
    assert!(!of(true, "mem_encrypt=off"));
    assert!(!of(false, "quiet"));
    assert!(!of(false, "mem_encrypt=on"));
}

/// After an image that did not arrive, kernel and initrd stay as they are, unless it is
/// insisted on.
#[test]
fn what_was_lost_is_not_tried_again_by_itself() {
    let packed = zstd(&large("a"));
    let tried = |choice, lost: Option<&str>, append: &str| {
        let mut one = Try::new(&packed, SyscallChoice::Classic, choice);
        one.request.unpack.not_earned = lost.map(str::to_owned);
        one.request.cmdline.append = Some(append.into());
        let prepared = one.prepared().unwrap();
        (
            prepared.unpacked.initrd.is_changed(),
            prepared.unpacked.lines().concat(),
        )
    };
    assert!(tried(UnpackChoice::Auto, None, "quiet").0);
    let (changed, lines) = tried(UnpackChoice::Auto, Some("/boot/vmlinuz"), "quiet");
    assert!(!changed, "{lines}");
    assert!(
        lines.contains("was not seen to arrive (/boot/vmlinuz)"),
        "{lines}"
    );
    // The next kernel would keep the larger one.
    let (changed, lines) = tried(UnpackChoice::Auto, None, "retain_initrd");
    assert!(!changed && lines.contains("(retain_initrd)"), "{lines}");
}
