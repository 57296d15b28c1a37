//! Kernels that are left with their memory preserved, and the jump-back image.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use kexec_image::testing::bzimage::BzImageBuilder;
use kexec_load::jump_back::load_helper;
use kexec_load::{Error, LoadRequest, SyscallChoice, pipeline};
use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_sys::double::{Call, Double, Machine};
use kexec_sys::{FileFlags, LoadFlags, elf_machine};

fn host(change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kexec-machine/tests/machines");
    let mut host = Snapshot::read(&machines.join("debian-cloud"));
    let Fact::Known(config) = &mut host.config else {
        panic!("no configuration");
    };
    config.insert("CONFIG_KEXEC_JUMP".into(), "y".into());
    change(&mut host);
    host
}

fn without_jump(host: &mut Snapshot) {
    if let Fact::Known(config) = &mut host.config {
        config.remove("CONFIG_KEXEC_JUMP");
    }
}

fn double() -> Double {
    Double::new(Machine::default())
}

/// Loads a bzImage that is to jump back.
fn load(kernel: &Double, host: &Snapshot) -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vmlinuz");
    std::fs::write(&path, BzImageBuilder::new().build()).unwrap();
    let mut request = LoadRequest::new(path);
    request.syscall = SyscallChoice::Classic;
    request.classic.options.preserve_context = true;
    request.classic.options.mem_min = Some(0x200_0000);
    request.classic.options.mem_max = Some(0xfff_ffff);
    let inputs = pipeline::read(&request, None, None)?;
    let prepared = pipeline::prepare(&request, &inputs, host)?;
    let flags = FileFlags::EMPTY;
    pipeline::load(
        kernel,
        &request,
        flags,
        &inputs,
        prepared,
        host,
        &mut |_| Ok(()),
    )
    .map(drop)
}

#[test]
fn a_load_that_preserves_says_so_to_the_kernel() {
    let kernel = double();
    load(&kernel, &host(|_| ())).unwrap();
    assert!(kernel.normal().unwrap().preserves_context());
    let Call::Load { places, .. } = &kernel.calls()[0] else {
        panic!("{:?}", kernel.calls());
    };
    let covered: u64 = places.iter().map(|p| p.memsz).sum();
    assert_eq!(covered, 0xe00_0000);
}

#[test]
fn a_kernel_that_cannot_be_kept_is_told_before_the_load() {
    let kernel = double();
    let error = load(&kernel, &host(without_jump)).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(error.to_string().contains("without CONFIG_KEXEC_JUMP"));
    assert!(error.remedy().contains("CONFIG_KEXEC_JUMP"));
    assert!(kernel.calls().is_empty());
}

#[test]
fn a_kernel_that_only_says_einval_is_explained() {
    let kernel = double();
    kernel.change(|m| m.has_jump = false);
    let unknown = host(|h| h.config = Fact::Absent);
    let text = load(&kernel, &unknown).unwrap_err().to_string();
    assert!(
        text.contains("CONFIG_KEXEC_JUMP") && text.contains("EINVAL"),
        "{text}"
    );
    let error = load_helper(&kernel, &unknown, Some(1)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("CONFIG_KEXEC_JUMP") && text.contains("EINVAL"),
        "{text}"
    );
    let answer = std::error::Error::source(&error).unwrap();
    assert_eq!(
        answer.downcast_ref(),
        Some(&kexec_sys::Errno::EINVAL),
        "{answer}"
    );
}

#[test]
fn the_jump_back_image_lies_in_this_kernels_memory() {
    let kernel = double();
    let loaded = load_helper(&kernel, &host(|_| ()), Some(0x1_1234_5678));
    assert_eq!(loaded.unwrap(), 0x1_1234_5678);
    let calls = kernel.calls();
    let Call::Load {
        entry,
        places,
        flags,
        result: Ok(()),
    } = &calls[0]
    else {
        panic!("{calls:?}");
    };
    let wanted = LoadFlags::arch(elf_machine::X86_64) | LoadFlags::PRESERVE_CONTEXT;
    assert_eq!((*entry, *flags), (places[0].mem, wanted));
    assert_eq!(places.len(), 1);
    let image = kernel.normal().unwrap();
    let bytes = &image.segments()[0].bytes;
    assert!(
        bytes
            .windows(8)
            .any(|w| w == 0x1_1234_5678_u64.to_le_bytes())
    );
}

/// kexec_load(2) has to know where memory is.
#[test]
fn without_a_memory_map_there_is_no_jump_back_image() {
    let blind = host(|h| h.memory.iomem = Fact::Unreadable("it shows zeros".into()));
    let error = load_helper(&double(), &blind, Some(0x1234)).unwrap_err();
    assert!(matches!(error, Error::Plan(_)), "{error}");
}

#[test]
fn the_command_line_says_where_the_other_kernel_waits() {
    let told = |line: &str| {
        let host = host(|h| h.cmdline = Fact::Known(line.into()));
        load_helper(&double(), &host, None).map_err(|e| e.to_string())
    };
    assert_eq!(
        told("quiet kexec_jump_back_entry=0x7f12c20d"),
        Ok(0x7f12_c20d)
    );
    assert_eq!(told("kexec_jump_back_entry=1f"), Ok(0x1f));
    for line in [
        "quiet",
        "kexec_jump_back_entry=",
        "kexec_jump_back_entry=0xzz",
    ] {
        let error = told(line).unwrap_err();
        assert!(error.contains("kexec_jump_back_entry="), "{error}");
    }
    // What the caller says counts.
    let host = host(|h| h.cmdline = Fact::Known("kexec_jump_back_entry=0x10".into()));
    assert_eq!(load_helper(&double(), &host, Some(0x20)).unwrap(), 0x20);
}

#[test]
fn nothing_that_is_loaded_is_thrown_away() {
    let kernel = double();
    let loaded = host(|h| h.kexec.loaded = Fact::Known(true));
    let error = load_helper(&kernel, &loaded, Some(1)).unwrap_err();
    assert!(error.remedy().contains("kexec -u"), "{error}");
    let error = load_helper(&kernel, &host(without_jump), Some(1)).unwrap_err();
    assert!(
        error.to_string().contains("without CONFIG_KEXEC_JUMP"),
        "{error}"
    );
    assert!(kernel.calls().is_empty());
}

#[test]
fn other_refusals_keep_their_own_cause() {
    let kernel = double();
    kernel.change(|m| m.cap_sys_boot = false);
    let host = host(|h| h.security.cap_sys_boot = Fact::Known(false));
    let error = load_helper(&kernel, &host, Some(1))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("CAP_SYS_BOOT") && error.contains("EPERM"),
        "{error}"
    );
}
