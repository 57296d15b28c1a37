//! The double, asked with kexec_load(2): one table row per rule of the kernel.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use kexec_sys::double::{Call, Double, Ima, Lockdown, Machine, Place, Signatures};
use kexec_sys::{Errno, Kernel, LoadFlags, Segment, Slot, elf_machine};

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;

fn segment(mem: u64, memsz: u64) -> Segment<'static> {
    Segment {
        bytes: b"code",
        mem,
        memsz,
    }
}

/// A machine whose last 64 MiB of the first half GiB are for a crash kernel.
fn machine() -> Machine {
    Machine {
        crash_region: Some(448 * MIB..512 * MIB),
        ..Machine::default()
    }
}

fn crash_segment() -> Segment<'static> {
    segment(448 * MIB, PAGE)
}

/// A kernel with something in both slots.
fn loaded(machine: Machine) -> Double {
    let kernel = Double::new(machine);
    kernel
        .load(MIB, &[segment(MIB, PAGE)], LoadFlags::EMPTY)
        .unwrap();
    kernel
        .load(448 * MIB, &[crash_segment()], LoadFlags::ON_CRASH)
        .unwrap();
    kernel
}

/// Tries it on a kernel with both slots filled, and says the errno (none: it
/// loaded) and whether the slot's former image is still there.
fn attempt(
    change: impl FnOnce(&mut Machine),
    entry: u64,
    segments: &[Segment<'_>],
    flags: LoadFlags,
) -> (Option<Errno>, bool) {
    let kernel = loaded(machine());
    let slot = if flags.contains(LoadFlags::ON_CRASH) {
        Slot::Crash
    } else {
        Slot::Normal
    };
    let before = kernel.loaded(slot).unwrap();
    let other = match slot {
        Slot::Normal => Slot::Crash,
        Slot::Crash => Slot::Normal,
    };
    kernel.change(change);
    let error = kernel.load(entry, segments, flags).err();
    assert!(kernel.loaded(other).is_some(), "the other slot was touched");
    let kept = kernel
        .loaded(slot)
        .is_some_and(|now| std::sync::Arc::ptr_eq(&now, &before));
    (error, kept)
}

#[test]
fn rules_of_the_segments_in_the_normal_slot() {
    let huge = vec![0; 8192];
    let seventeen: Vec<_> = (0..17).map(|n| segment(MIB + n * PAGE, PAGE)).collect();
    #[rustfmt::skip]
    let rows: &[(&str, &[Segment<'_>], Option<Errno>)] = &[
        ("one page", &[segment(MIB, PAGE)], None),
        ("sixteen", &seventeen[..16], None),
        ("seventeen", &seventeen, Some(Errno::EINVAL)),
        ("start off the page", &[segment(MIB + 1, PAGE - 1)], Some(Errno::EADDRNOTAVAIL)),
        ("end off the page", &[segment(MIB, PAGE + 1)], Some(Errno::EADDRNOTAVAIL)),
        ("beyond the end of the number", &[segment(u64::MAX - PAGE + 1, 2 * PAGE)], Some(Errno::EADDRNOTAVAIL)),
        ("below the limit of four levels", &[segment((1 << 46) - 2 * PAGE, PAGE)], None),
        ("at the limit of four levels", &[segment((1 << 46) - PAGE, PAGE)], Some(Errno::EADDRNOTAVAIL)),
        ("the same place twice", &[segment(MIB, PAGE), segment(MIB, PAGE)], Some(Errno::EINVAL)),
        ("overlap by a page", &[segment(MIB, 2 * PAGE), segment(MIB + PAGE, PAGE)], Some(Errno::EINVAL)),
        ("side by side", &[segment(MIB + PAGE, PAGE), segment(MIB, PAGE)], None),
        ("more bytes than memory", &[Segment { bytes: &huge, mem: MIB, memsz: PAGE }], Some(Errno::EINVAL)),
        ("as many bytes as memory", &[Segment { bytes: &huge, mem: MIB, memsz: 8192 }], None),
        ("half of RAM", &[segment(MIB, 512 * MIB)], None),
        ("a page more than half of RAM", &[segment(MIB, 512 * MIB + PAGE)], Some(Errno::EINVAL)),
        ("half of RAM in two", &[segment(MIB, 256 * MIB), segment(512 * MIB, 256 * MIB)], None),
        ("more than half in two", &[segment(MIB, 256 * MIB), segment(512 * MIB, 256 * MIB + PAGE)], Some(Errno::EINVAL)),
        ("not where RAM is: nobody looks", &[segment(1 << 40, PAGE)], None),
        ("an empty segment", &[segment(MIB, PAGE), Segment { bytes: b"", mem: 2 * MIB, memsz: 0 }], None),
        // Each rule goes over all segments before the next rule.
        ("alignment comes before overlap", &[segment(MIB, PAGE), segment(MIB, PAGE), segment(7, 1)], Some(Errno::EADDRNOTAVAIL)),
    ];
    for (what, segments, expected) in rows {
        let (error, kept) = attempt(|_| (), MIB, segments, LoadFlags::EMPTY);
        assert_eq!(error, *expected, "{what}");
        assert_eq!(
            kept,
            expected.is_some(),
            "{what}: a failed load keeps what was there"
        );
    }
}

#[test]
fn five_levels_reach_further() {
    let far = [segment((1 << 46) - PAGE, PAGE)];
    let (error, _) = attempt(|m| m.five_level = true, MIB, &far, LoadFlags::EMPTY);
    assert_eq!(error, None);
    let beyond = [segment((1 << 52) - PAGE, PAGE)];
    let (error, _) = attempt(|m| m.five_level = true, MIB, &beyond, LoadFlags::EMPTY);
    assert_eq!(error, Some(Errno::EADDRNOTAVAIL));
}

#[test]
fn memory_that_is_short_is_enomem_for_the_normal_slot_only() {
    let full = |m: &mut Machine| m.free_pages = 1;
    let two = [segment(MIB, 2 * PAGE)];
    assert_eq!(
        attempt(full, MIB, &two, LoadFlags::EMPTY),
        (Some(Errno::ENOMEM), true)
    );
    let two = [segment(448 * MIB, 2 * PAGE)];
    assert_eq!(
        attempt(full, 448 * MIB, &two, LoadFlags::ON_CRASH),
        (None, false)
    );
}

#[test]
fn a_crash_load_drops_the_old_image_as_soon_as_it_is_allowed_at_all() {
    let good = [crash_segment()];
    let outside = [segment(MIB, PAGE)];
    let astride = [segment(512 * MIB - PAGE, 2 * PAGE)];
    let last = [segment(512 * MIB - PAGE, PAGE)];
    let crash = LoadFlags::ON_CRASH;
    let entry = 448 * MIB;
    type Row<'a> = (
        &'a str,
        fn(&mut Machine),
        u64,
        &'a [Segment<'a>],
        Option<Errno>,
        bool,
    );
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("good", |_| (), entry, &good, None, false),
        ("the region's last page", |_| (), entry, &last, None, false),
        ("outside the region", |_| (), entry, &outside, Some(Errno::EADDRNOTAVAIL), false),
        ("astride its end", |_| (), entry, &astride, Some(Errno::EADDRNOTAVAIL), false),
        ("entry below", |_| (), entry - 1, &good, Some(Errno::EADDRNOTAVAIL), false),
        ("entry at the end", |_| (), 512 * MIB, &good, Some(Errno::EADDRNOTAVAIL), false),
        ("no region any more", |m| m.crash_region = None, entry, &good, Some(Errno::EADDRNOTAVAIL), false),
        // What is refused before the segments are looked at keeps the image.
        ("no capability", |m| m.cap_sys_boot = false, entry, &outside, Some(Errno::EPERM), true),
        ("lockdown", |m| m.lockdown = Lockdown::Integrity, entry, &outside, Some(Errno::EPERM), true),
        ("busy", |m| m.busy = true, entry, &outside, Some(Errno::EBUSY), true),
        ("limit", |m| m.limit_panic = Some(0), entry, &outside, Some(Errno::EPERM), true),
        ("stuck CPUs do not matter to a crash", |m| m.cpus_stuck = true, entry, &good, None, false),
    ];
    for (what, change, entry, segments, expected, kept) in rows {
        let found = attempt(change, *entry, segments, crash);
        assert_eq!(found, (*expected, *kept), "{what}");
    }
}

#[test]
fn who_may_load_at_all_and_in_which_order_it_is_asked() {
    type Row = (&'static str, fn(&mut Machine), LoadFlags, Option<Errno>);
    let bad_flags = LoadFlags::from_bits(0x8000);
    let none = LoadFlags::EMPTY;
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("root", |_| (), none, None),
        ("not built in", |m| m.has_load = false, none, Some(Errno::ENOSYS)),
        ("not built in comes first", |m| { m.has_load = false; m.cap_sys_boot = false; }, bad_flags, Some(Errno::ENOSYS)),
        ("no CAP_SYS_BOOT", |m| m.cap_sys_boot = false, none, Some(Errno::EPERM)),
        ("kexec_load_disabled", |m| m.load_disabled = true, none, Some(Errno::EPERM)),
        ("limit used up", |m| m.limit_reboot = Some(0), none, Some(Errno::EPERM)),
        ("limit not used up", |m| m.limit_reboot = Some(1), none, None),
        ("the other slot's limit", |m| m.limit_panic = Some(0), none, None),
        ("lockdown integrity", |m| m.lockdown = Lockdown::Integrity, none, Some(Errno::EPERM)),
        ("lockdown confidentiality", |m| m.lockdown = Lockdown::Confidentiality, none, Some(Errno::EPERM)),
        ("SELinux", |m| m.load_denied = Some(Errno::EACCES), none, Some(Errno::EACCES)),
        ("IMA appraises kernels", |m| m.ima = Ima::Appraise { files_pass: true }, none, Some(Errno::EACCES)),
        ("IMA idle, Secure Boot, signatures", |m| { m.ima = Ima::Idle; m.secure_boot = true; m.signatures = Signatures::Checked; }, none, Some(Errno::EACCES)),
        ("the same without signatures", |m| { m.ima = Ima::Idle; m.secure_boot = true; }, none, None),
        ("the same without Secure Boot", |m| { m.ima = Ima::Idle; m.signatures = Signatures::Checked; }, none, None),
        ("Secure Boot alone", |m| { m.secure_boot = true; m.signatures = Signatures::Enforced; }, none, None),
        ("IMA comes before lockdown", |m| { m.ima = Ima::Appraise { files_pass: true }; m.lockdown = Lockdown::Integrity; }, none, Some(Errno::EACCES)),
        ("an unknown flag", |_| (), bad_flags, Some(Errno::EINVAL)),
        ("rights come before flags", |m| m.cap_sys_boot = false, bad_flags, Some(Errno::EPERM)),
        ("lockdown comes before flags", |m| m.lockdown = Lockdown::Integrity, bad_flags, Some(Errno::EPERM)),
        ("kexec-tools' -d flag", |_| (), LoadFlags::from_bits(0x10), Some(Errno::EINVAL)),
        ("its own machine", |_| (), LoadFlags::arch(elf_machine::X86_64), None),
        ("another machine", |_| (), LoadFlags::arch(elf_machine::AARCH64), Some(Errno::EINVAL)),
        ("i386 on x86-64", |_| (), LoadFlags::arch(elf_machine::I386), Some(Errno::EINVAL)),
        ("hotplug in 6.6", |m| m.release = (6, 6), LoadFlags::UPDATE_ELFCOREHDR, None),
        ("hotplug in 6.5", |m| m.release = (6, 5), LoadFlags::UPDATE_ELFCOREHDR, Some(Errno::EINVAL)),
        ("new hotplug in 6.10", |m| m.release = (6, 10), LoadFlags::CRASH_HOTPLUG_SUPPORT, None),
        ("new hotplug in 6.9", |m| m.release = (6, 9), LoadFlags::CRASH_HOTPLUG_SUPPORT, Some(Errno::EINVAL)),
        ("kexec jump", |_| (), LoadFlags::PRESERVE_CONTEXT, None),
        ("no kexec jump", |m| m.has_jump = false, LoadFlags::PRESERVE_CONTEXT, Some(Errno::EINVAL)),
        ("busy", |m| m.busy = true, none, Some(Errno::EBUSY)),
        ("flags come before busy", |m| m.busy = true, bad_flags, Some(Errno::EINVAL)),
        ("stuck CPUs", |m| m.cpus_stuck = true, none, Some(Errno::EBUSY)),
        ("KHO does not stop kexec_load", |m| m.kho_scratch = Some(0), none, None),
    ];
    for (what, change, flags, expected) in rows {
        let (error, kept) = attempt(change, MIB, &[segment(MIB, PAGE)], *flags);
        assert_eq!(error, *expected, "{what}");
        assert_eq!(kept, expected.is_some(), "{what}");
    }
}

#[test]
fn every_permitted_call_counts_failed_ones_and_unloads_too() {
    let kernel = Double::new(Machine {
        limit_reboot: Some(4),
        limit_panic: Some(1),
        ..machine()
    });
    let good = [segment(MIB, PAGE)];
    kernel.load(MIB, &good, LoadFlags::EMPTY).unwrap();
    assert_eq!(
        kernel.load(MIB, &[segment(1, 1)], LoadFlags::EMPTY),
        Err(Errno::EADDRNOTAVAIL)
    );
    assert_eq!(kernel.unload(Slot::Normal), Ok(()));
    assert_eq!(kernel.file_unload(Slot::Normal), Ok(()));
    assert_eq!(kernel.machine().limit_reboot, Some(0));
    assert_eq!(kernel.load(MIB, &good, LoadFlags::EMPTY), Err(Errno::EPERM));
    assert_eq!(kernel.unload(Slot::Normal), Err(Errno::EPERM));
    // Calls without the right to make them do not count.
    assert_eq!(kernel.machine().limit_panic, Some(1));
    kernel.change(|m| m.cap_sys_boot = false);
    assert_eq!(kernel.unload(Slot::Crash), Err(Errno::EPERM));
    assert_eq!(kernel.machine().limit_panic, Some(1));
}

#[test]
fn unloading_frees_its_own_slot_and_an_empty_one_is_fine() {
    let kernel = loaded(machine());
    assert_eq!(kernel.unload(Slot::Normal), Ok(()));
    assert!(kernel.normal().is_none() && kernel.crash().is_some());
    assert_eq!(kernel.unload(Slot::Normal), Ok(()));
    assert_eq!(kernel.unload(Slot::Crash), Ok(()));
    assert!(kernel.crash().is_none());

    // The same rights are asked as for a load; lockdown forbids it too.
    let kernel = loaded(machine());
    kernel.change(|m| m.lockdown = Lockdown::Integrity);
    assert_eq!(kernel.unload(Slot::Normal), Err(Errno::EPERM));
    assert!(kernel.normal().is_some());
    // The file syscall is asked about files only.
    assert_eq!(kernel.file_unload(Slot::Normal), Ok(()));
    assert!(kernel.normal().is_none());
}

#[test]
fn an_empty_list_is_no_unload() {
    let kernel = loaded(machine());
    assert_eq!(kernel.load(0, &[], LoadFlags::EMPTY), Err(Errno::EINVAL));
    assert!(kernel.normal().is_some());
}

#[test]
fn what_was_loaded_and_asked_is_remembered() {
    let kernel = Double::default();
    let segments = [segment(MIB, PAGE), segment(1 << 40, PAGE)];
    let flags = LoadFlags::arch(elf_machine::X86_64);
    kernel.load(MIB + 0x200, &segments, flags).unwrap();
    let image = kernel.normal().unwrap();
    assert_eq!(image.segments()[0].bytes, b"code");
    assert_eq!(
        format!("{image:?}"),
        "Segments { entry: 0x100200, segments: [0x100000+0x1000 (4 bytes), \
         0x10000000000+0x1000 (4 bytes)], flags: ARCH(62) }"
    );
    let outside = image.outside(&kernel.machine().ram).len();
    assert_eq!(outside, 1, "the one at 1 TiB");
    let place = |mem| Place {
        mem,
        memsz: PAGE,
        bufsz: 4,
    };
    assert_eq!(
        kernel.calls(),
        [Call::Load {
            entry: MIB + 0x200,
            places: vec![place(MIB), place(1 << 40)],
            flags,
            result: Ok(()),
        }]
    );
}

#[test]
fn no_address_or_size_is_too_odd_to_be_answered() {
    let odd = [
        0,
        1,
        PAGE,
        MIB,
        448 * MIB,
        1 << 46,
        1 << 63,
        u64::MAX - PAGE + 1,
        u64::MAX,
    ];
    for mem in odd {
        for memsz in odd {
            for flags in [LoadFlags::EMPTY, LoadFlags::ON_CRASH] {
                let two = [segment(mem, memsz), segment(memsz, mem)];
                let (error, _) = attempt(|_| (), mem, &two, flags);
                // Only two pages that lie apart can be good here.
                assert!(
                    error.is_some() || memsz <= MIB,
                    "{mem:#x} {memsz:#x} {flags:?}"
                );
            }
        }
    }
}
