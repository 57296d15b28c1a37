use proptest::prelude::*;

use super::*;

/// A small ELF file in any class and order of bytes.
struct Builder {
    wide: bool,
    big: bool,
    e_type: u16,
    machine: u16,
    phnum: Option<u16>,
    /// type, offset, filesz, paddr, memsz, align
    segments: Vec<(u32, u64, u64, u64, u64, u64)>,
    body: Vec<u8>,
    /// Names of sections, the last of which is the table of names.
    sections: Vec<&'static str>,
}

impl Builder {
    fn new(wide: bool, big: bool) -> Self {
        Builder {
            wide,
            big,
            e_type: 2,
            machine: match (wide, big) {
                (true, false) => 62,
                (true, true) => 21,
                (false, _) => 3,
            },
            phnum: None,
            segments: vec![(1, 0x400, 0x80, 0x100_0000, 0x1000, 0x1000)],
            body: vec![0x90; 0x100],
            sections: Vec::new(),
        }
    }

    fn n(&self, value: u64, len: usize) -> Vec<u8> {
        let bytes = value.to_le_bytes();
        let mut bytes = bytes[..len].to_vec();
        if self.big {
            bytes.reverse();
        }
        bytes
    }

    fn word(&self, value: u64) -> Vec<u8> {
        self.n(value, if self.wide { 8 } else { 4 })
    }

    fn build(&self) -> Vec<u8> {
        let (class, data) = (1 + u8::from(self.wide), 1 + u8::from(self.big));
        let (ehsize, phentsize, shentsize) = match self.wide {
            true => (64, 56, 64),
            false => (52, 32, 40),
        };
        let shoff = match self.sections.len() {
            0 => 0,
            _ => 0x400 + fields::len(&self.body),
        };
        let mut file = vec![0x7f, b'E', b'L', b'F', class, data, 1, 0];
        file.resize(16, 0);
        file.extend(self.n(self.e_type.into(), 2));
        file.extend(self.n(self.machine.into(), 2));
        file.extend(self.n(1, 4));
        file.extend(self.word(0x100_0000));
        file.extend(self.word(ehsize));
        file.extend(self.word(shoff));
        file.extend(self.n(0, 4));
        let count = |n: usize| fields::len_u64(n);
        let phnum = self.phnum.map_or(count(self.segments.len()), u64::from);
        let shnum = count(self.sections.len());
        for field in [
            ehsize,
            phentsize,
            phnum,
            shentsize,
            shnum,
            shnum.saturating_sub(1),
        ] {
            file.extend(self.n(field, 2));
        }
        for &(p_type, offset, filesz, paddr, memsz, align) in &self.segments {
            file.extend(self.n(p_type.into(), 4));
            if self.wide {
                file.extend(self.n(5, 4));
            }
            for field in [offset, paddr, paddr, filesz, memsz] {
                file.extend(self.word(field));
            }
            if !self.wide {
                file.extend(self.n(5, 4));
            }
            file.extend(self.word(align));
        }
        file.resize(0x400, 0);
        file.extend(&self.body);
        let names = self.sections.join("\0") + "\0";
        let names_at = shoff + shnum * shentsize;
        let mut name = 0;
        for section in &self.sections {
            let start = file.len();
            file.extend(self.n(name, 4));
            file.resize(start + if self.wide { 24 } else { 16 }, 0);
            file.extend(self.word(names_at));
            file.extend(self.word(count(names.len())));
            file.resize(start + if self.wide { 64 } else { 40 }, 0);
            name += count(section.len()) + 1;
        }
        if shnum > 0 {
            file.extend(names.as_bytes());
        }
        file
    }

    fn parse(&self) -> Result<ElfKernel, ImageError> {
        ElfKernel::parse(&self.build())
    }
}

fn error(result: Result<ElfKernel, ImageError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn either_class_in_either_order_of_bytes() {
    for (wide, big) in [(false, false), (false, true), (true, false), (true, true)] {
        let elf = Builder::new(wide, big).parse().unwrap();
        assert_eq!(elf.class == Class::Elf64, wide);
        assert_eq!(elf.endian == Endian::Big, big);
        assert_eq!(elf.elf_type, ElfType::Exec);
        assert_eq!(elf.entry, 0x100_0000);
        let expected = Segment {
            offset: 0x400,
            filesz: 0x80,
            vaddr: 0x100_0000,
            paddr: 0x100_0000,
            memsz: 0x1000,
            align: 0x1000,
            flags: 5,
        };
        assert_eq!(elf.segments, [expected]);
        assert!(!elf.is_linux);
    }
    let arch = |wide, big| Builder::new(wide, big).parse().unwrap().arch;
    assert_eq!(arch(true, false), Some(Arch::X86_64));
    assert_eq!(arch(true, true), Some(Arch::Ppc64));
    assert_eq!(arch(false, false), Some(Arch::X86));
}

#[test]
fn a_32_bit_file_of_a_64_bit_machine_is_of_no_known_architecture() {
    let mut builder = Builder::new(false, false);
    builder.machine = 243;
    assert_eq!(builder.parse().unwrap().arch, None);
}

#[test]
fn a_file_cut_anywhere_before_its_end_is_refused() {
    for (wide, big) in [(false, true), (true, false)] {
        let mut builder = Builder::new(wide, big);
        builder.sections = vec!["", ".text", ".shstrtab"];
        // The names themselves are behind the table here.
        let file = builder.build();
        let end = file.len() - "\0.text\0.shstrtab\0".len();
        for len in 0..end {
            assert!(ElfKernel::parse(&file[..len]).is_err(), "cut to {len}");
        }
        assert!(ElfKernel::parse(&file).is_ok());
    }
}

/// libFuzzer found that a caller who slices the file by the two fields gets nothing.
#[test]
fn a_segment_of_zeros_alone_may_point_behind_the_end_of_the_file() {
    let mut builder = Builder::new(true, false);
    let data = builder.segments[0];
    builder
        .segments
        .push((1, 0x100_0078, 0, 0x200_0000, 0x1000, 0x1000));
    let file = builder.build();
    let elf = ElfKernel::parse(&file).unwrap();
    assert_eq!(elf.segments[1].bytes(&file), Some(&[][..]));
    assert_eq!(elf.segments[0].bytes(&file).unwrap().len() as u64, data.2);
    assert_eq!(elf.segments[0].bytes(&file[..0x440]), None);
}

#[test]
fn a_segment_that_is_cut_is_named_with_its_numbers() {
    let file = Builder::new(true, false).build();
    let error = error(ElfKernel::parse(&file[..0x440]));
    assert_eq!(
        error,
        "ELF cut short: segment 0 ends at byte 1152, the file has 1088"
    );
}

#[test]
fn what_no_kernel_has_is_refused() {
    let with = |change: fn(&mut Builder)| {
        let mut builder = Builder::new(true, false);
        change(&mut builder);
        error(builder.parse())
    };
    assert!(with(|b| b.e_type = 1).contains("e_type"));
    assert!(with(|b| b.e_type = 4).contains("e_type"));
    assert!(with(|b| b.phnum = Some(u16::MAX)).contains("at most 128"));
    assert!(with(|b| b.segments.clear()).contains("a segment to load"));
    assert!(with(|b| b.segments[0].0 = 4).contains("a segment to load"));
    assert!(with(|b| b.segments[0].4 = 0x7f).contains("p_memsz of segment 0"));
    assert!(with(|b| b.segments[0].5 = 3).contains("p_align of segment 0"));
    assert!(with(|b| b.segments[0].3 = u64::MAX - 8).contains("p_paddr of segment 0"));
    assert!(with(|b| b.segments[0].1 = u64::MAX).contains("cut short"));
    let mut file = Builder::new(true, false).build();
    for (at, field) in [(4, "EI_CLASS"), (5, "EI_DATA"), (6, "EI_VERSION")] {
        let good = std::mem::replace(&mut file[at], 9);
        assert!(error(ElfKernel::parse(&file)).contains(field));
        file[at] = good;
    }
}

#[test]
fn a_kernel_is_told_by_its_note_or_its_sections() {
    let mut builder = Builder::new(true, false);
    builder.sections = vec!["", ".init.text", ".shstrtab"];
    assert!(builder.parse().unwrap().is_linux);
    builder.sections = vec!["", ".text", ".shstrtab"];
    assert!(!builder.parse().unwrap().is_linux);

    let note = |owner: &[u8]| {
        let mut builder = Builder::new(true, true);
        let mut body = builder.n(4, 4);
        body.extend(builder.n(2, 4));
        body.extend(builder.n(3, 4));
        body.extend(b"GNU\0ab\0\0");
        body.extend(builder.n(fields::len(owner), 4));
        body.extend(builder.n(4, 4));
        body.extend(builder.n(0x100, 4));
        body.extend(owner);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(b"salt");
        let len = fields::len(&body);
        builder.body.splice(..body.len(), body);
        builder.segments.push((4, 0x400, len, 0, len, 4));
        builder.parse().unwrap().is_linux
    };
    assert!(note(b"Linux\0"));
    assert!(!note(b"Xen\0"));
}

/// In these files every section has the table of names as its content.
#[test]
fn a_kernel_that_takes_five_levels_is_told_by_what_it_exports() {
    let five_level = |machine: u16, sections: &[&'static str]| {
        let mut builder = Builder::new(true, false);
        builder.machine = machine;
        builder.sections = sections.to_vec();
        builder.parse().unwrap().five_level
    };
    let exports = ["", "__ksymtab_strings", "ptrs_per_p4d", ".shstrtab"];
    assert!(five_level(62, &exports));
    assert!(!five_level(183, &exports));
    assert!(!five_level(
        62,
        &["", "__ksymtab_strings", "xptrs_per_p4d", ".shstrtab"]
    ));
    assert!(!five_level(
        62,
        &["", "__ksymtab_strings", "ptrs_per_p4d_", ".shstrtab"]
    ));
    assert!(!five_level(
        62,
        &["", "__ksymtab", "ptrs_per_p4d", ".shstrtab"]
    ));
    assert!(!five_level(62, &[]));
}

proptest! {
    #[test]
    fn changed_headers_do_not_harm(
        wide: bool,
        big: bool,
        flips in proptest::collection::vec((0_usize..0x1c0, any::<u8>()), 1..8),
    ) {
        let mut builder = Builder::new(wide, big);
        builder.sections = vec!["", ".text", ".shstrtab"];
        builder.segments.push((4, 0x400, 0x40, 0, 0x40, 4));
        let mut file = builder.build();
        for (at, byte) in flips {
            file[at] = byte;
        }
        if let Ok(elf) = ElfKernel::parse(&file) {
            for segment in &elf.segments {
                prop_assert!(segment.bytes(&file).is_some());
                prop_assert!(segment.paddr.checked_add(segment.memsz.saturating_sub(1)).is_some());
            }
        }
    }

    #[test]
    fn random_bytes_behind_the_magic_do_not_harm(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        class in 1_u8..3,
        data in 1_u8..3,
    ) {
        let head = [0x7f, b'E', b'L', b'F', class, data, 1];
        let _ = ElfKernel::parse(&[&head[..], &noise].concat());
    }
}
