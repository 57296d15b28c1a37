use proptest::prelude::*;

use super::*;
use crate::testing::PeBuilder;

fn two_sections() -> Vec<u8> {
    PeBuilder::new()
        .section(".text", vec![0x11; 300])
        .section(".longname"[..8].as_ref(), vec![0x22; 0x200])
        .build()
}

fn parse(bytes: &[u8]) -> Result<Pe, ImageError> {
    Pe::parse(bytes, "PE")
}

/// The file with `value` at `at`.
fn patched(mut bytes: Vec<u8>, at: usize, value: &[u8]) -> Vec<u8> {
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

#[test]
fn reads_the_headers_of_a_small_file() {
    let file = two_sections();
    let pe = parse(&file).unwrap();
    assert_eq!(pe.machine, 0x8664);
    assert_eq!(pe.headers_len, 0x200);
    assert_eq!(pe.certificates, None);
    let names: Vec<_> = pe.sections.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, [".text", ".longnam"]);
    let range = pe.section_data(&pe.sections[0]).unwrap();
    assert_eq!(file[range], [0x11; 300]);
    pe.check_bounds().unwrap();
}

#[test]
fn a_header_offset_of_minus_one_is_refused_with_its_place() {
    let file = patched(two_sections(), 0x3c, &u32::MAX.to_le_bytes());
    let error = parse(&file).unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed PE: the offset of the PE header (e_lfanew) at byte 0x3c is 0xffffffff, \
         expected an offset within the first MiB"
    );
}

#[test]
fn more_sections_than_any_uki_has_are_refused() {
    let file = patched(two_sections(), 0x80 + 6, &1025_u16.to_le_bytes());
    assert!(matches!(parse(&file), Err(ImageError::Malformed { .. })));
}

#[test]
fn a_short_optional_header_is_refused() {
    let file = patched(two_sections(), 0x80 + 20, &8_u16.to_le_bytes());
    assert!(matches!(parse(&file), Err(ImageError::Malformed { .. })));
}

#[test]
fn content_is_never_longer_than_the_data_in_the_file() {
    let file = PeBuilder::new()
        .section(".linux", vec![7; 0x8000])
        .with(|s| s.virtual_size = Some(48 << 20))
        .build();
    let pe = parse(&file).unwrap();
    let range = pe.section_data(&pe.sections[0]).unwrap();
    assert_eq!(range.len(), 0x8000);
    pe.check_bounds().unwrap();
}

#[test]
fn content_ends_before_the_padding() {
    let file = PeBuilder::new()
        .section(".cmdline", b"quiet".to_vec())
        .build();
    let pe = parse(&file).unwrap();
    assert_eq!(&file[pe.section_data(&pe.sections[0]).unwrap()], b"quiet");
}

#[test]
fn a_section_behind_the_end_of_the_file_is_truncation() {
    let file = PeBuilder::new()
        .section(".linux", vec![7; 0x200])
        .with(|s| s.raw_offset = Some(0xffff_ff00))
        .build();
    let pe = parse(&file).unwrap();
    let expected = ImageError::Truncated {
        format: "PE",
        what: "the section .linux".into(),
        needs: 0x1_0000_0100,
        has: file.len() as u64,
    };
    assert_eq!(pe.section_data(&pe.sections[0]), Err(expected.clone()));
    assert_eq!(pe.check_bounds(), Err(expected));
}

#[test]
fn sections_that_share_bytes_are_refused() {
    let file = PeBuilder::new()
        .section(".a", vec![1; 0x400])
        .section(".b", vec![2; 0x400])
        .with(|s| s.raw_offset = Some(0x400))
        .build();
    let error = parse(&file).unwrap().check_bounds().unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed PE: the place of the section .b at byte 0x1c4 is 0x400, \
         expected 0x600 or more, behind the section .a"
    );
}

#[test]
fn a_certificate_table_behind_the_end_is_truncation() {
    let builder = PeBuilder {
        certificates: vec![0; 64],
        ..PeBuilder::new().section(".a", vec![1; 0x200])
    };
    let file = builder.build();
    let pe = parse(&file).unwrap();
    assert_eq!(pe.certificate_table().unwrap(), Some(0x400..0x440));
    pe.check_bounds().unwrap();
    let cut = parse(&file[..file.len() - 1]).unwrap();
    assert!(matches!(
        cut.check_bounds(),
        Err(ImageError::Truncated { needs: 0x440, .. })
    ));
}

#[test]
fn every_truncation_is_an_error() {
    let file = two_sections();
    for len in 0..file.len() {
        let cut = &file[..len];
        let outcome = parse(cut).and_then(|pe| pe.check_bounds());
        assert!(
            matches!(outcome, Err(ImageError::Truncated { .. })),
            "cut to {len}: {outcome:?}"
        );
    }
}

proptest! {
    /// Whatever the headers say, ranges that are handed out are inside.
    #[test]
    fn hostile_headers_never_lead_outside(
        changes in prop::collection::vec((0_usize..0x200, any::<u8>()), 0..24),
        len in 0_usize..0x600,
    ) {
        let mut file = two_sections();
        for (at, value) in changes {
            file[at] = value;
        }
        file.truncate(len);
        if let Ok(pe) = parse(&file) {
            for section in &pe.sections {
                if let Ok(range) = pe.section_data(section) {
                    prop_assert!(file.get(range).is_some());
                }
            }
            if let Ok(Some(range)) = pe.certificate_table() {
                prop_assert!(file.get(range).is_some());
            }
            let _ = pe.check_bounds();
        }
    }
}
