//! Every row of the errno table, through the kernel double: the double answers
//! because it enforces the rule (or, where no rule of ours is behind an errno,
//! because a security module of the test says so), the snapshot holds what can be
//! seen of the same machine, and the explanation has to find the cause.
// The helpers here are no tests of their own, which the lints would leave alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod image;
mod permission;
mod place;

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::Path;

use kexec_image::Arch;
use kexec_load::explain::{CallContext, Explanation, ImageFacts, KernelCall, causes, explain};
use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_machine::snapshot::Lockdown;
use kexec_sys::double::{self, Double, Ima, Machine, Signatures, Signer, Verdict};
use kexec_sys::{Errno, FileFlags, Kernel, LoadFlags, SealedFile, Segment, Slot};

const CLASSIC: KernelCall = KernelCall::ClassicLoad(Slot::Normal);
const FILE: KernelCall = KernelCall::FileLoad(Slot::Normal);
const CRASH: KernelCall = KernelCall::FileLoad(Slot::Crash);

/// One situation: what the kernel is like, what can be seen of it, what was
/// asked.
struct Case {
    errno: Errno,
    call: KernelCall,
    kernel: fn(&mut Machine),
    host: fn(&mut Snapshot),
    input: Input,
    /// What the cause and the remedy have to say.
    cause: &'static str,
    remedy: &'static str,
}

/// What is loaded.
#[derive(Clone)]
struct Input {
    /// Not an image at all.
    garbage: bool,
    initrd: usize,
    cmdline: usize,
    /// From a file on disk, not from memory.
    disk: bool,
    /// Somebody has that file open for writing.
    writing: bool,
    /// To be jumped back to.
    preserve: bool,
    facts: fn(&mut ImageFacts),
}

fn plain() -> Input {
    Input {
        garbage: false,
        initrd: 0,
        cmdline: 10,
        disk: false,
        writing: false,
        preserve: false,
        facts: |_| {},
    }
}

fn case(
    errno: Errno,
    call: KernelCall,
    kernel: fn(&mut Machine),
    host: fn(&mut Snapshot),
    cause: &'static str,
    remedy: &'static str,
) -> Case {
    Case {
        errno,
        call,
        kernel,
        host,
        input: plain(),
        cause,
        remedy,
    }
}

impl Case {
    fn with(mut self, change: fn(&mut Input)) -> Case {
        change(&mut self.input);
        self
    }
}

fn debian() -> Snapshot {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kexec-machine/tests/machines");
    Snapshot::read(&machines.join("debian-cloud"))
}

fn option(host: &mut Snapshot, name: &str, on: bool) {
    if let Fact::Known(config) = &mut host.config {
        config.remove(name);
        if on {
            config.insert(name.to_owned(), "y".to_owned());
        }
    }
}

fn locked(machine: &mut Machine) {
    machine.lockdown = double::Lockdown::Integrity;
    machine.signatures = Signatures::Checked;
}

fn sees_lockdown(host: &mut Snapshot) {
    host.security.lockdown = Fact::Known(Lockdown::Integrity);
}

fn enforced(machine: &mut Machine) {
    machine.secure_boot = true;
    machine.signatures = Signatures::Enforced;
}

fn sees_secure_boot(host: &mut Snapshot) {
    host.firmware.efi = true;
    host.security.secure_boot = Fact::Known(true);
}

fn signed(facts: &mut ImageFacts) {
    facts.signer = Some("Debian Secure Boot Signer".to_owned());
}

/// A bzImage as far as the kernel's loader looks (Documentation/arch/x86/boot.rst).
fn bzimage() -> Vec<u8> {
    let mut image = vec![0u8; 8192];
    image[0x1f1] = 1;
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x020fu16.to_le_bytes());
    image[0x211] = 1;
    image[0x236..0x238].copy_from_slice(&0b11u16.to_le_bytes());
    image[0x238..0x23c].copy_from_slice(&2047u32.to_le_bytes());
    image[0x260..0x264].copy_from_slice(&0x10_0000u32.to_le_bytes());
    image
}

/// Asks the double, and explains what it answered.
fn run(case: &Case) -> (Errno, Explanation, Option<usize>) {
    let mut machine = Machine::default();
    (case.kernel)(&mut machine);
    let kernel = Double::new(machine);
    let bytes = if case.input.garbage {
        vec![0x7f; 4096]
    } else {
        bzimage()
    };
    let answer = match case.call {
        KernelCall::FileLoad(slot) => file_load(&kernel, slot, &bytes, &case.input),
        KernelCall::ClassicLoad(slot) => classic_load(&kernel, slot, case.input.preserve),
        KernelCall::Unload(slot) => kernel.unload(slot),
        KernelCall::Reboot => kernel.reboot_kexec(),
    };
    let errno = answer.expect_err("the double loaded it");

    let mut host = debian();
    (case.host)(&mut host);
    let mut facts = ImageFacts {
        format: "bzImage".to_owned(),
        arch: Some(Arch::X86_64),
        bare: true,
        signer: None,
        kernel_len: bytes.len(),
        initrd_len: case.input.initrd,
        cmdline_len: case.input.cmdline + 1,
        preserve_context: case.input.preserve,
    };
    (case.input.facts)(&mut facts);
    let image = case.call.is_load().then_some(&facts);
    let context = CallContext {
        call: case.call,
        host: &host,
        image,
    };
    let row = causes().position(|row| row.errno == errno && (row.when)(&context));
    let text = explain(case.call, errno, "trying it".to_owned(), &host, image);
    (errno, text, row)
}

fn file_load(kernel: &Double, slot: Slot, bytes: &[u8], input: &Input) -> Result<(), Errno> {
    let cmdline = std::ffi::CString::new("x".repeat(input.cmdline)).unwrap();
    let initrd = vec![0u8; input.initrd];
    let initrd = (input.initrd > 0).then(|| SealedFile::from_bytes(&initrd, "initrd").unwrap());
    let flags = match slot {
        Slot::Normal => FileFlags::EMPTY,
        Slot::Crash => FileFlags::ON_CRASH,
    };
    let initrd = initrd.as_ref().map(AsFd::as_fd);
    if input.disk {
        let mut file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        let reader = std::fs::File::open(file.path()).unwrap();
        // The double sees writers by the descriptor that it is handed.
        let fd = if input.writing {
            file.as_file().as_fd()
        } else {
            reader.as_fd()
        };
        kernel.file_load(fd, initrd, &cmdline, flags)
    } else {
        let file = SealedFile::from_bytes(bytes, "kernel").unwrap();
        kernel.file_load(file.as_fd(), initrd, &cmdline, flags)
    }
}

fn classic_load(kernel: &Double, slot: Slot, preserve: bool) -> Result<(), Errno> {
    let segment = Segment {
        bytes: &[1, 2, 3],
        mem: 0x10_0000,
        memsz: 0x1000,
    };
    let flags = match slot {
        Slot::Normal if preserve => LoadFlags::PRESERVE_CONTEXT,
        Slot::Normal => LoadFlags::EMPTY,
        Slot::Crash => LoadFlags::ON_CRASH,
    };
    kernel.load(0x10_0000, &[segment], flags)
}

/// One case for each row at least, in the order of the table.
fn cases() -> Vec<Case> {
    let parts = [permission::cases(), place::cases(), image::cases()];
    parts.into_iter().flatten().collect()
}

#[test]
fn each_cause_is_found_on_a_machine_that_has_it() {
    for case in cases() {
        let name = format!("{:?} of {:?}, {}", case.errno, case.call, case.cause);
        let (errno, text, _) = run(&case);
        assert_eq!(errno, case.errno, "{name}");
        assert!(
            text.problem.why.contains(case.cause),
            "{name}\nsays {}",
            text.problem.why
        );
        assert!(
            text.problem.remedy.contains(case.remedy),
            "{name}\nsays {}",
            text.problem.remedy
        );
        assert_eq!(text.problem.what, "trying it");
        assert!(
            text.to_string().ends_with(&format!("({errno:?})")),
            "{}",
            text.to_string()
        );
    }
}

#[test]
fn each_row_has_a_machine_that_leads_to_it() {
    let reached: BTreeSet<usize> = cases().iter().filter_map(|c| run(c).2).collect();
    let missed: Vec<_> = (0..causes().count())
        .filter(|row| !reached.contains(row))
        .collect();
    assert!(missed.is_empty(), "rows without a test: {missed:?}");
}

#[test]
fn the_last_row_of_an_errno_always_applies() {
    let host = debian();
    let mut last = Vec::new();
    let rows: Vec<_> = causes().collect();
    for (at, row) in rows.iter().enumerate() {
        let is_last = !rows[at + 1..].iter().any(|r| r.errno == row.errno);
        if is_last {
            last.push(row.errno);
            for call in [
                FILE,
                CLASSIC,
                CRASH,
                KernelCall::Unload(Slot::Crash),
                KernelCall::Reboot,
            ] {
                let context = CallContext {
                    call,
                    host: &host,
                    image: None,
                };
                assert!((row.when)(&context), "{row:?}");
                assert!(!(row.why)(&context).is_empty());
                assert!(!(row.remedy)(&context).is_empty());
            }
        }
        // Rows of one errno stand together, so that people can read them.
        let before = at.checked_sub(1).map(|i| rows[i].errno);
        let seen = last.contains(&row.errno) && !is_last;
        assert!(!seen || before == Some(row.errno), "{row:?} stands apart");
    }
}

#[test]
fn a_jump_that_live_update_gave_up_is_told() {
    let kernel = Double::new(Machine {
        reboot_fails: Some(Errno::ENOSPC),
        ..Machine::default()
    });
    assert_eq!(classic_load(&kernel, Slot::Normal, false), Ok(()));
    let errno = kernel.reboot_kexec().unwrap_err();
    let mut host = debian();
    host.kexec.kho = Fact::Known(true);
    let text = explain(KernelCall::Reboot, errno, "jumping".to_owned(), &host, None);
    assert!(
        text.problem
            .why
            .contains("live-update state could not be saved"),
        "{}",
        text.problem.why
    );
    assert_eq!(text.errno, Errno::ENOSPC);
}

#[test]
fn a_redacted_snapshot_explains_the_same() {
    for case in cases() {
        let plain = run(&case).1;
        let host = {
            let mut host = debian();
            (case.host)(&mut host);
            Snapshot::from_json(&host.to_json(true)).unwrap()
        };
        let mut facts = ImageFacts {
            format: "bzImage".to_owned(),
            arch: Some(Arch::X86_64),
            bare: true,
            signer: None,
            kernel_len: if case.input.garbage { 4096 } else { 8192 },
            initrd_len: case.input.initrd,
            cmdline_len: case.input.cmdline + 1,
            preserve_context: case.input.preserve,
        };
        (case.input.facts)(&mut facts);
        let image = case.call.is_load().then_some(&facts);
        let text = explain(case.call, case.errno, "trying it".to_owned(), &host, image);
        assert_eq!(text, plain);
    }
}
