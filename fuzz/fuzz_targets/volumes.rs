//! What says where file systems are, and whose: superblocks, partition tables, mount
//! tables, root's configuration and the firmware's boot options.
#![no_main]

use kexec_entries::facts::boot_option;
use kexec_machine::volumes::{config, mountinfo, superblock, tables};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The fuzzer need not find out where a superblock is.
    for at in [0, 1024, 0x1_0000] {
        let mut head = vec![0; at];
        head.extend_from_slice(bytes);
        let _ = (superblock::content(&head), superblock::has_orphans(&head));
    }
    if let Some(place) = tables::gpt_header(bytes, 512) {
        assert!(place.len <= tables::MAX_ENTRIES);
        let _ = tables::gpt_entries(bytes, place.size);
    }
    let _ = (tables::mbr(bytes), boot_option(1, bytes));
    let text = String::from_utf8_lossy(bytes);
    let _ = (mountinfo::parse(&text, &text), mountinfo::fstab(&text));
    // What root's configuration and libmount's table say of devices.
    let named = config::mdadm(&text);
    assert!(named.iter().all(|device| device.starts_with("/dev/")));
    let _ = (config::crypttab(&text), config::users(&text));
});
