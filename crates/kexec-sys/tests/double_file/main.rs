//! The double, asked with kexec_file_load(2): real descriptors, one table row
//! per rule of the kernel. Two rooms: what the files have to be, and who may load
//! them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests too"
)]
#![allow(
    clippy::single_range_in_vec_init,
    reason = "a machine with one range of RAM is meant"
)]

mod files;
mod rights;

use std::ffi::CString;
use std::os::fd::AsFd;

use kexec_sys::double::{Double, Machine};
use kexec_sys::{Errno, FileFlags, Kernel, SealedFile, Slot};

const MIB: u64 = 1 << 20;

/// The least that the x86 loader takes for a kernel: a header, and a payload of
/// a page that wants `init_size` bytes of memory.
fn bzimage(init_size: u32) -> Vec<u8> {
    let mut image = vec![0; 1024 + 4096];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[1]);
    put(0x1fe, &0xaa55_u16.to_le_bytes());
    put(0x202, b"HdrS");
    put(0x206, &0x020f_u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x236, &0x7f_u16.to_le_bytes());
    put(0x238, &2047_u32.to_le_bytes());
    put(0x260, &init_size.to_le_bytes());
    image
}

fn sealed(bytes: &[u8]) -> SealedFile {
    SealedFile::from_bytes(bytes, "test").unwrap()
}

fn machine() -> Machine {
    Machine {
        crash_region: Some(448 * MIB..512 * MIB),
        ..Machine::default()
    }
}

fn loaded(machine: Machine) -> Double {
    let kernel = Double::new(machine);
    let image = sealed(&bzimage(8 << 20));
    for flags in [FileFlags::EMPTY, FileFlags::ON_CRASH] {
        kernel
            .file_load(image.as_fd(), None, c"first", flags)
            .unwrap();
    }
    kernel
}

/// Loads `image` over an older one; the errno, if any, after checking that the
/// older image was kept or not as the kernel has it.
fn attempt(
    change: impl FnOnce(&mut Machine),
    image: &[u8],
    initrd: Option<&[u8]>,
    cmdline: &str,
    flags: FileFlags,
) -> Option<Errno> {
    let kernel = loaded(machine());
    kernel.change(change);
    let initrd = initrd.map(sealed);
    let cmdline = CString::new(cmdline).unwrap();
    let error = kernel
        .file_load(
            sealed(image).as_fd(),
            initrd.as_ref().map(AsFd::as_fd),
            &cmdline,
            flags,
        )
        .err();
    let first = |slot| {
        let image = kernel.loaded(slot);
        image.map(|image| image.cmdline() == Some(c"first"))
    };
    if flags.contains(FileFlags::ON_CRASH) {
        assert_eq!(
            first(Slot::Normal),
            Some(true),
            "the other slot was touched"
        );
    } else {
        assert_eq!(first(Slot::Crash), Some(true), "the other slot was touched");
        assert_eq!(first(Slot::Normal), Some(error.is_some()));
    }
    error
}
