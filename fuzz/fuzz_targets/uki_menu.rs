//! What a UKI adds to a menu, and what a file beside it adds to the UKI.
#![no_main]

use bytes::Bytes;
use kexec_entries::bls::ukis;
use kexec_image::formats::uki::companions::{Companion, Platform, added};
use kexec_image::formats::{Opened, uki};
use kexec_image::{Arch, Options, Outline, testing};
use libfuzzer_sys::fuzz_target;

fn base() -> Vec<u8> {
    testing::PeBuilder::new()
        .section(".osrel", b"ID=a\nPRETTY_NAME=\"A\"\n".to_vec())
        .section(".cmdline", b"quiet\n".to_vec())
        .section(".initrd", b"first".to_vec())
        .section(".ucode", b"ucode".to_vec())
        .section(".profile", b"ID=a\nTITLE=\"A\"\n".to_vec())
        .section(".profile", b"ID=b\n".to_vec())
        .section(".cmdline", b"debug".to_vec())
        .build()
}

/// The same with a kernel in it.
fn whole() -> Vec<u8> {
    testing::PeBuilder::new()
        .section(".linux", b"kernel".to_vec())
        .section(".osrel", b"ID=a\nPRETTY_NAME=\"A\"\n".to_vec())
        .section(".profile", b"ID=a\nTITLE=\"A\"\n".to_vec())
        .build()
}

fuzz_target!(|data: &[u8]| {
    let (base, data): (fn() -> Vec<u8>, _) = match data.split_first() {
        Some((first, rest)) if first % 2 == 0 => (whole, rest),
        _ => (base, data),
    };
    let file = Bytes::from(testing::patched(base, data));
    if let Ok(outline) = Outline::parse(&file) {
        let _ = ukis::items("a.efi", &outline, &mut |section| {
            let start = usize::try_from(section.offset).map_err(|e| e.to_string())?;
            let end = usize::try_from(section.len).map_err(|e| e.to_string())?;
            let end = start.checked_add(end).ok_or("too long")?;
            Ok(file.get(start..end).ok_or("cut short")?.to_vec())
        });
    }
    let uki_file = Bytes::from(whole());
    let options = Options::default();
    let Ok(Opened::Wrapped(wrapped)) = (uki::FORMAT.open)(&uki_file, &options) else {
        return;
    };
    let platform = Platform {
        arch: Some(Arch::X86_64),
        secure_boot: false,
    };
    let name = String::from_utf8_lossy(data.get(..8).unwrap_or_default()).into_owned();
    let companions = ["/x.addon.efi".to_owned(), format!("/{name}.cred")].map(|path| Companion {
        path,
        content: file.clone(),
    });
    if let Some(uki) = &wrapped.uki
        && let Ok(added) = added(uki, &uki_file, &companions, platform)
    {
        let taken: usize = added
            .front
            .iter()
            .chain(&added.back)
            .map(|(_, b)| b.len())
            .sum();
        assert!(taken <= 2 * file.len() + 4096);
    }
});
