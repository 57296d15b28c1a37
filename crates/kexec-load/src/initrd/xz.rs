//! The .xz streams that kernels unpack: fewer than its programs write.

use kexec_image::decompress::xz_methods::{DELTA, Filter, LZMA2};

/// The integrity check of an xz stream, where kernels do not know it (The .xz File
/// Format 1.2.1, 2.1.1.2 "Stream Flags"; Documentation/staging/xz.rst, "Notes on
/// compression options").
pub(super) fn foreign_check(stream: &[u8]) -> Option<String> {
    if !stream.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        return None;
    }
    foreign_number(stream.get(7)? & 0x0f)
}

/// The same by the number of the check.
pub(super) fn foreign_number(check: u8) -> Option<String> {
    match check {
        0 | 1 => None,
        4 => Some("CRC64 as its check".to_owned()),
        10 => Some("SHA-256 as its check".to_owned()),
        other => Some(format!("check number {other}")),
    }
}

pub(super) fn with_check(check: &str) -> String {
    format!("it is an xz stream with {check}, but kernels support only CRC32 (xz --check=crc32)")
}

/// What no kernel undoes in a chain of filters, whatever its configuration: it knows
/// LZMA2, and one filter for machine code in front of it that has no properties
/// (Documentation/staging/xz.rst).
pub(super) fn foreign_chain(chain: &[Filter]) -> Option<String> {
    let (last, before) = chain.split_last()?;
    let remedy = "kernels support only LZMA2 and the filters for machine code (xz --check=crc32)";
    let foreign = |filter: &Filter| match filter.id {
        DELTA => Some("the delta filter".to_owned()),
        id if bcj(id).is_none() => Some(format!("filter number {id:#x}")),
        _ if filter.properties != 0 => Some("a filter with a start offset".to_owned()),
        _ => None,
    };
    let found = before.iter().find_map(foreign).or_else(|| {
        let last = (last.id != LZMA2).then(|| format!("filter number {:#x}", last.id));
        last.or_else(|| (before.len() > 1).then(|| format!("{} filters", chain.len())))
    })?;
    Some(format!("it is an xz stream with {found}, but {remedy}"))
}

/// The filters for machine code (the .xz file format 1.2.1, 5.3.2), and the option that
/// builds each of them into a kernel, less its `CONFIG_XZ_DEC_` (lib/xz/Kconfig).
pub(super) fn bcj(id: u64) -> Option<&'static str> {
    const OPTIONS: [&str; 8] = [
        "X86", "POWERPC", "IA64", "ARM", "ARMTHUMB", "SPARC", "ARM64", "RISCV",
    ];
    let at = usize::try_from(id.checked_sub(4)?).ok()?;
    OPTIONS.get(at).copied()
}

#[cfg(test)]
mod tests {
    use kexec_image::testing::codec::{FilterType, xz_filtered, xz_with_crc64};

    use super::*;
    use crate::initrd::intact::{InitrdFindings, Intact, look_into};
    use kexec_image::cpio;

    /// An early archive, and behind it the stream of another one.
    fn look(mut compress: impl FnMut(&[u8]) -> Vec<u8>) -> InitrdFindings {
        let file = cpio::File {
            path: "usr/bin/init".to_owned(),
            mode: 0o755,
            content: vec![b'x'; 100_000].into(),
        };
        let mut initrd = cpio::archive(&[]).unwrap();
        initrd.resize(512, 0);
        initrd.extend(compress(&cpio::archive(&[file]).unwrap()));
        look_into(&initrd, 1 << 30)
    }

    #[test]
    fn checks_that_kernels_do_not_know() {
        let found = look(xz_with_crc64).found;
        let Intact::NotForKernels { at: 512, reason } = &found else {
            panic!("{found:?}");
        };
        assert!(reason.contains("CRC64"), "{reason}");
        // In the second stream.
        let mut second = 0;
        let two = look(|archive| {
            let mut both = xz_filtered(archive, &[], None);
            second = 512 + both.len();
            both.extend(xz_with_crc64(archive));
            both
        });
        let at_second = matches!(&two.found, Intact::NotForKernels { at, reason }
            if *at == second && reason.contains("CRC64"));
        assert!(at_second, "{two:?}");
    }

    #[test]
    fn xz_filters_that_kernels_know_and_do_not() {
        use FilterType::{BcjArm64, BcjX86, Delta};
        let of = |filters: &[(FilterType, u32)]| look(|a| xz_filtered(a, filters, None));
        for (filters, ids) in [
            (&[][..], &[0x21][..]),
            (&[(BcjX86, 0)], &[4, 0x21]),
            (&[(BcjArm64, 0)], &[10, 0x21]),
        ] {
            let looked = of(filters);
            assert_eq!(looked.found, Intact::Whole);
            let [part] = &looked.packed[..] else {
                panic!("{looked:?}");
            };
            assert_eq!((part.at, part.codec), (512, "xz"));
            let found: Vec<u64> = part.filters[0].iter().map(|f| f.id).collect();
            assert_eq!(found, ids);
        }
        for (filters, word) in [
            (&[(Delta, 4)][..], "delta"),
            (&[(BcjX86, 0), (BcjArm64, 0)], "3 filters"),
            (&[(BcjX86, 64)], "start offset"),
        ] {
            let found = of(filters).found;
            let Intact::NotForKernels { at: 512, reason } = &found else {
                panic!("{found:?}");
            };
            assert!(reason.contains(word), "{reason}");
        }
        assert_eq!(
            (bcj(3), bcj(4), bcj(11)),
            (None, Some("X86"), Some("RISCV"))
        );
        assert_eq!((bcj(0), bcj(12), bcj(u64::MAX)), (None, None, None));
    }
}
