//! Initrds of any shape, put together at random.

use proptest::prelude::*;

use super::*;

/// One part of an initrd of a property test.
#[derive(Debug, Clone)]
enum Shape {
    Raw {
        early: bool,
        len: usize,
    },
    Packed {
        codec: usize,
        early: bool,
        len: usize,
    },
    Zeros(usize),
    Align,
    Junk(Vec<u8>),
    Broken {
        codec: usize,
        at: usize,
    },
    NextPiece,
}

impl Shape {
    fn add(&self, initrd: &mut Vec<u8>) {
        let path = |early: &bool, len: usize| match early {
            true => "kernel/firmware/acpi/x".to_owned(),
            false => format!("file{len}"),
        };
        match self {
            Shape::Raw { early, len } => {
                initrd.resize(initrd.len().next_multiple_of(4), 0);
                initrd.extend(archive(&path(early, *len), *len));
            }
            Shape::Packed { codec, early, len } => {
                let packer = COMPRESSORS[codec % COMPRESSORS.len()];
                initrd.extend((packer.compress)(&archive(&path(early, *len), *len)));
            }
            Shape::Zeros(len) => initrd.resize(initrd.len() + len, 0),
            Shape::Align => initrd.resize(initrd.len().next_multiple_of(4) + 4, 0),
            Shape::Junk(bytes) => initrd.extend(bytes),
            Shape::Broken { codec, at } => {
                let packer = COMPRESSORS[codec % COMPRESSORS.len()];
                let mut packed = (packer.compress)(&archive("broken", 300));
                let at = at % packed.len();
                packed[at] ^= 0x55;
                initrd.extend(packed);
            }
            Shape::NextPiece => {}
        }
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        3 => (prop::bool::weighted(0.3), 0..300_usize).prop_map(|(early, len)| Shape::Raw { early, len }),
        6 => (any::<usize>(), prop::bool::weighted(0.2), 0..3000_usize)
            .prop_map(|(codec, early, len)| Shape::Packed { codec, early, len }),
        1 => (0..20_usize).prop_map(Shape::Zeros),
        4 => Just(Shape::Align),
        1 => prop::collection::vec(any::<u8>(), 1..9).prop_map(Shape::Junk),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(codec, at)| Shape::Broken { codec, at }),
        1 => Just(Shape::NextPiece),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn kernels_make_the_same_of_it(
        shapes in prop::collection::vec(shape(), 0..9),
        with_config in prop::bool::weighted(0.2),
        slow in any::<bool>(),
        most in prop_oneof![3 => Just(1_u64 << 24), 1 => 0..20_000_u64],
    ) {
        let mut pieces = vec![Vec::new()];
        for shape in &shapes {
            match shape {
                Shape::NextPiece => pieces.push(Vec::new()),
                shape => shape.add(pieces.last_mut().unwrap()),
            }
        }
        if with_config {
            pieces.last_mut().unwrap().extend(config(b"a = b"));
        }
        let pieces = aligned(pieces.into_iter().map(piece).collect());
        let rules = UnpackRules {
            hashing: if slow { Hashing::ByTheKernel } else { Hashing::Crc32c },
            room: Ok(Room { most, because: String::new() }),
            ..rules(UnpackChoice::Auto)
        };
        let (handed, report) = unpack(&pieces, &rules).unwrap();
        same(&pieces, &handed);
        if !report.is_changed() {
            prop_assert_eq!(&handed, &pieces);
        }
        if let Ok((raw, report)) = unpack(&pieces, &UnpackRules { choice: UnpackChoice::Always, ..rules }) {
            same(&pieces, &raw);
            prop_assert!(forms(&report).iter().all(|form| *form == PartForm::Raw));
        }
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0..300_usize) {
        let mut initrd = pack("gzip", &archive("init", 300));
        let at = at.min(initrd.len());
        initrd.splice(at..at, bytes);
        auto(&[piece(initrd)]);
    }
}
