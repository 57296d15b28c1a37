//! Whether an initrd is all there: every archive in it to its end, through every
//! compression, as a kernel unpacks it (Documentation/driver-api/early-userspace/
//! buffer-format.rst). A kernel that unpacks half of one says so in one line, and
//! panics for want of an init.

use kexec_image::ImageError;
use kexec_image::cpio::{self, HEAD_LEN, Head};
use kexec_image::decompress::detect;
use kexec_image::decompress::xz_methods::{Filter, methods};

use super::xz;

/// What a walk through an initrd found first that keeps it from being whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intact {
    /// All of it is there.
    Whole,
    /// It ends too early or is damaged, in the part that begins at this byte.
    Broken {
        /// Where the part begins.
        at: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It is all there, but kernels do not read the part that begins at this byte.
    NotForKernels {
        /// Where the part begins.
        at: usize,
        /// What kernels do not read: `its xz stream has check SHA-256`.
        reason: String,
    },
    /// From this byte on it is nothing that kernels unpack; they go on with what
    /// they have.
    Rest {
        /// The first byte that kernels do not unpack.
        at: usize,
    },
    /// It was not looked into to its end.
    Unseen {
        /// What keeps it from being looked into: its size, or its codec.
        why: String,
    },
}

/// A compressed part of an initrd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressedPart {
    /// The byte at which it begins.
    pub at: usize,
    /// What it is compressed with.
    pub codec: &'static str,
    /// The chains of filters in it, where it is xz.
    pub filters: Vec<Vec<Filter>>,
}

/// What a look into an initrd brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitrdFindings {
    /// Whether it is all there.
    pub found: Intact,
    /// Its compressed parts, as far as it was looked into.
    pub packed: Vec<CompressedPart>,
}

/// The magic of lz4's modern frame, which kernels do not unpack.
const LZ4_FRAME: &[u8] = &[0x04, 0x22, 0x4d, 0x18];

/// Looks at all of `initrd`; of each part that is compressed, at `largest` bytes of its
/// content at most, none of which are kept.
pub fn look_into(initrd: &[u8], largest: u64) -> InitrdFindings {
    let mut packed = Vec::new();
    let found = walk(initrd, largest, &mut packed);
    InitrdFindings { found, packed }
}

fn walk(initrd: &[u8], largest: u64, packed: &mut Vec<CompressedPart>) -> Intact {
    let mut at = 0_usize;
    let mut walk = Walk::default();
    loop {
        let rest = initrd.get(at..).unwrap_or_default();
        let broken = |at, reason| Intact::Broken { at, reason };
        match walk.take(rest) {
            Ok(used) => at = at.saturating_add(used),
            Err(reason) => return broken(walk.begin, reason),
        }
        let rest = initrd.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return match walk.end() {
                Ok(()) => Intact::Whole,
                Err(reason) => broken(walk.begin, reason),
            };
        }
        if rest.starts_with(&[0x89, b'L', b'Z', b'O']) {
            packed.push(CompressedPart {
                at,
                codec: "lzo",
                filters: Vec::new(),
            });
            let why = "it is compressed with lzo, which kexec does not unpack".to_owned();
            return Intact::Unseen { why };
        }
        let Some(codec) = detect(rest).filter(|_| !rest.starts_with(LZ4_FRAME)) else {
            return Intact::Rest { at };
        };
        if let Some(check) = xz::foreign_check(rest) {
            return Intact::NotForKernels {
                at,
                reason: xz::with_check(&check),
            };
        }
        packed.push(CompressedPart {
            at,
            codec: codec.name,
            filters: Vec::new(),
        });
        let mut inner = Walk::default();
        let mut wrong = None;
        let checked = codec.check_with(rest, largest, &mut |bytes| {
            if wrong.is_none() && !inner.stopped {
                wrong = inner.take(bytes).err();
            }
        });
        let used = match checked {
            Ok(checked) => checked.consumed,
            Err(ImageError::TooLarge { .. }) => {
                let why = format!("it unpacks to more than {largest} bytes");
                return Intact::Unseen { why };
            }
            Err(e) => return broken(at, e.to_string()),
        };
        if let Some(reason) = wrong.or_else(|| inner.end().err()) {
            return broken(at, format!("in what {} unpacks to, {reason}", codec.name));
        }
        if used == 0 {
            return Intact::Rest { at };
        }
        if codec.name == "xz"
            && let Some(part) = packed.last_mut()
        {
            let methods = methods(rest.get(..used).unwrap_or_default());
            let check = methods.checks.iter().find_map(|c| xz::foreign_number(*c));
            let chain = || methods.chains.iter().find_map(|c| xz::foreign_chain(c));
            if let Some(reason) = check.map(|c| xz::with_check(&c)).or_else(chain) {
                return Intact::NotForKernels { at, reason };
            }
            part.filters = methods.chains;
        }
        at = at.saturating_add(used);
        // Kernels count the padding of what follows from the start of the file.
        walk.count = u64::try_from(at).unwrap_or(u64::MAX);
    }
}

/// Where a walk through archives is.
#[derive(Debug, Default)]
enum WalkPosition {
    /// Between members, where zeros are skipped.
    #[default]
    Between,
    /// In a head.
    Head,
    /// In a name, of a member of this size.
    Name(u64),
    /// In what follows the name: so many bytes, of which the last ones are padding.
    Content { left: u64, padding: u64 },
}

/// A walk through archives that are shown piece by piece.
#[derive(Debug, Default)]
struct Walk {
    place: WalkPosition,
    /// Bytes that are still to be collected for a head or a name.
    need: usize,
    collected: Vec<u8>,
    /// Bytes that were walked over: members begin at multiples of four.
    count: u64,
    /// Where the member that is walked over begins, as `count` counts.
    begin: usize,
    /// It came to something that is no archive.
    stopped: bool,
}

impl Walk {
    /// Walks on over `bytes`, up to their end or to something that is no archive; gives
    /// how many they were.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let used = match &mut self.place {
                WalkPosition::Between if *first == 0 => 1,
                WalkPosition::Between if *first == b'0' => {
                    self.begin = usize::try_from(self.count).unwrap_or(usize::MAX);
                    self.place = WalkPosition::Head;
                    self.need = HEAD_LEN;
                    self.collected.clear();
                    0
                }
                WalkPosition::Between => {
                    self.stopped = true;
                    break;
                }
                WalkPosition::Head | WalkPosition::Name(_) => {
                    let used = self.need.min(rest.len());
                    self.collected
                        .extend_from_slice(rest.get(..used).unwrap_or_default());
                    self.need -= used;
                    used
                }
                WalkPosition::Content { left, .. } => {
                    let len = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                    let used = (*left).min(len);
                    *left -= used;
                    usize::try_from(used).unwrap_or(rest.len())
                }
            };
            self.count = self.count.saturating_add(u64::try_from(used).unwrap_or(0));
            rest = rest.get(used..).unwrap_or_default();
            self.turn()?;
        }
        Ok(bytes.len() - rest.len())
    }

    /// What comes behind something that is complete.
    fn turn(&mut self) -> Result<(), String> {
        match self.place {
            WalkPosition::Head if self.need == 0 => {
                let head = Head::parse(&self.collected).map_err(|e| e.to_string())?;
                self.place = WalkPosition::Name(head.size);
                self.need = head.name_len;
                self.collected.clear();
            }
            WalkPosition::Name(size) if self.need == 0 => {
                let end = cpio::aligned(self.count).saturating_add(size);
                let padded = cpio::aligned(end);
                self.place = WalkPosition::Content {
                    left: padded.saturating_sub(self.count),
                    padding: padded.saturating_sub(end),
                };
                // Nothing has to follow the last member.
                if cpio::is_trailer(cpio::name(&self.collected)) {
                    self.place = WalkPosition::Between;
                }
            }
            _ => {}
        }
        if let WalkPosition::Content { left: 0, .. } = self.place {
            self.place = WalkPosition::Between;
        }
        Ok(())
    }

    /// Whether it may end here.
    fn end(&self) -> Result<(), String> {
        match self.place {
            WalkPosition::Between => Ok(()),
            WalkPosition::Content { left, padding } if left <= padding => Ok(()),
            WalkPosition::Content { left, padding } => Err(format!(
                "the archive ends {} bytes before the end of a file",
                left.saturating_sub(padding)
            )),
            WalkPosition::Head | WalkPosition::Name(_) => {
                Err("the archive ends in the header of a file".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kexec_image::testing::codec::COMPRESSORS;
    use proptest::prelude::*;

    use super::*;

    fn look(initrd: &[u8]) -> Intact {
        look_into(initrd, 1 << 30).found
    }

    fn archive(len: usize) -> Vec<u8> {
        let file = cpio::File {
            path: "usr/bin/init".to_owned(),
            mode: 0o755,
            content: (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect(),
        };
        cpio::archive(&[file]).unwrap()
    }

    fn is_broken(initrd: &[u8]) -> bool {
        matches!(look(initrd), Intact::Broken { .. })
    }

    #[test]
    fn an_archive_is_whole_or_cut() {
        let whole = archive(1001);
        assert_eq!(look(&whole), Intact::Whole);
        // The last member is not needed, nor is padding; a head or content is.
        let file = whole.windows(6).rposition(|w| w == b"070701").unwrap();
        let begins: Vec<usize> = (0..whole.len())
            .filter(|at| whole[*at..].starts_with(b"070701"))
            .collect();
        for len in 1..whole.len() {
            let found = look(whole.get(..len).unwrap());
            // The last file is at most its padding short.
            let between = begins.iter().any(|at| (len..len + 4).contains(at));
            let last = len > file + HEAD_LEN;
            let whole = found == Intact::Whole;
            assert!(!whole || between || last, "{len}: {found:?}");
            assert!(whole || !begins.contains(&len), "{len}: {found:?}");
        }
        assert!(is_broken(whole.get(..file - 100).unwrap()));
        assert!(is_broken(whole.get(..file + 50).unwrap()));
        assert_eq!(look(whole.get(..file).unwrap()), Intact::Whole);
    }

    #[test]
    fn early_and_late_parts_with_zeros_between() {
        for compressor in COMPRESSORS.iter().filter(|c| c.name != "lz4 frame") {
            let mut initrd = archive(10);
            initrd.resize(initrd.len() + 512, 0);
            initrd.extend((compressor.compress)(&archive(100_000)));
            let packed = initrd.len();
            assert_eq!(look(&initrd), Intact::Whole, "{}", compressor.name);
            for cut in [packed - 1, packed - 20, packed - packed / 10] {
                let found = look(initrd.get(..cut).unwrap());
                // A block of lz4's legacy frame ends where the file ends.
                let broken = matches!(found, Intact::Broken { .. });
                assert!(broken, "{}: {cut} of {packed}: {found:?}", compressor.name);
            }
            // An archive inside that is cut, in a stream that is not.
            let inner = archive(100_000);
            let cut = (compressor.compress)(inner.get(..50_000).unwrap());
            assert!(is_broken(&cut), "{}", compressor.name);
            // systemd-stub adds archives behind.
            initrd.resize(initrd.len().next_multiple_of(4), 0);
            initrd.extend(archive(33));
            assert_eq!(look(&initrd), Intact::Whole, "{}", compressor.name);
            initrd.truncate(initrd.len() - 200);
            assert!(is_broken(&initrd), "{}", compressor.name);
        }
    }

    #[test]
    fn an_archive_behind_a_compressed_one_of_any_length() {
        let mut odd = [0; 4];
        for len in 0..40 {
            let mut initrd = (COMPRESSORS[0].compress)(&archive(len));
            odd[initrd.len() % 4] += 1;
            initrd.resize(initrd.len().next_multiple_of(4), 0);
            let second = initrd.len();
            initrd.extend(archive(33));
            assert_eq!(look(&initrd), Intact::Whole, "{len}");
            // No number in its head.
            initrd[second + 60] = b'x';
            let found = look(&initrd);
            assert!(
                matches!(found, Intact::Broken { at, .. } if at == second),
                "{len}: {found:?}"
            );
        }
        assert!(!odd.contains(&0), "{odd:?}");
    }

    #[test]
    fn what_is_no_archive() {
        let mut signed = archive(5);
        let at = signed.len();
        signed.extend(b"~Module signature appended~\n");
        assert_eq!(look(&signed), Intact::Rest { at });
        assert_eq!(
            look(b"\x89LZO\0"),
            Intact::Unseen {
                why: "it is compressed with lzo, which kexec does not unpack".to_owned()
            }
        );
        assert_eq!(look(b""), Intact::Whole);
        let huge = b"070701"
            .iter()
            .chain(&[b'f'; 104])
            .copied()
            .collect::<Vec<u8>>();
        assert!(is_broken(&huge));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let _ = look(&bytes);
        }

        #[test]
        fn flipped_bits(at in 0..400_usize, bit in 0..8_u8) {
            let mut initrd = archive(100);
            let at = at % initrd.len();
            initrd[at] ^= 1_u8 << bit;
            let _ = look(&initrd);
        }
    }
}
