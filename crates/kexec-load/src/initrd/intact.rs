//! Whether an initrd is all there: every archive in it to its end, through every
//! compression, as a kernel unpacks it (Documentation/driver-api/early-userspace/
//! buffer-format.rst). A kernel that unpacks half of one says so in one line, and
//! panics for want of an init.

use kexec_image::ImageError;
use kexec_image::decompress::xz_methods::{Filter, methods};
use kexec_image::decompress::{MAX_WINDOW, detect, is_window_refusal};

use kexec_plan::size::Memory;

use super::walk::{Walk, WalkPosition};
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
    /// Bytes of it, compressed; 0 where it was not looked into to its end.
    pub len: u64,
    /// Bytes that it unpacks to; likewise.
    pub unpacked: u64,
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
pub(crate) const LZ4_FRAME: &[u8] = &[0x04, 0x22, 0x4d, 0x18];

/// Looks at all of `initrd`; of each part that is compressed, at `largest` bytes of its
/// content at most, none of which are kept.
pub fn look_into(initrd: &[u8], largest: u64) -> InitrdFindings {
    look_into_names(initrd, largest, &mut |_| {})
}

/// The same, and shows `visit` the name of each member of each archive on the way.
pub fn look_into_names(
    initrd: &[u8],
    largest: u64,
    visit: &mut dyn FnMut(&[u8]),
) -> InitrdFindings {
    look(without_bootconfig(initrd), largest, false, visit)
}

/// The same for an initrd that others follow in memory: what kernels do not unpack at
/// its end keeps them from the others.
pub fn look_into_joined(initrd: &[u8], largest: u64) -> InitrdFindings {
    look(initrd, largest, true, &mut |_| {})
}

fn look(
    initrd: &[u8],
    largest: u64,
    followed: bool,
    visit: &mut dyn FnMut(&[u8]),
) -> InitrdFindings {
    let mut packed = Vec::new();
    let found = walk(initrd, largest, followed, &mut packed, visit);
    InitrdFindings { found, packed }
}

/// An initrd less the boot configuration at its end, which kernels take off before they
/// unpack it (Documentation/admin-guide/bootconfig.rst, "Boot Kernel With a Boot
/// Config"): the text, its size, the sum of its bytes, and a word that up to three
/// bytes of padding may follow.
pub(super) fn without_bootconfig(initrd: &[u8]) -> &[u8] {
    let cut = || {
        let padded = (0..4).find_map(|padding| {
            let end = initrd.len().checked_sub(padding)?;
            initrd.get(..end)?.strip_suffix(b"#BOOTCONFIG\n")
        })?;
        let (before, sum) = padded.split_last_chunk::<4>()?;
        let (before, size) = before.split_last_chunk::<4>()?;
        let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        let (archives, text) = before.split_at_checked(before.len().checked_sub(size)?)?;
        let found = text.iter().fold(0_u32, |s, b| s.wrapping_add((*b).into()));
        (found == u32::from_le_bytes(*sum)).then_some(archives)
    };
    cut().unwrap_or(initrd)
}

/// Whether something begins here that kernels unpack, or would if it were in its place.
pub(super) fn begins_part(bytes: &[u8]) -> bool {
    [b"070701", b"070702", LZ4_FRAME, LZO]
        .iter()
        .any(|magic: &&[u8]| bytes.starts_with(magic))
        || detect(bytes).is_some()
}

const LZO: &[u8] = &[0x89, b'L', b'Z', b'O'];

/// What kernels do not pass over in the header of a gzip stream (RFC 1952, 2.3.1): they
/// know the name of the file and nothing else.
pub(super) fn foreign_gzip_header(stream: &[u8]) -> Option<String> {
    let flags = *stream.get(3)?;
    let fields = [
        (1 << 1, "a checksum"),
        (1 << 2, "an extra field"),
        (1 << 4, "a comment"),
    ];
    let (_, found) = fields.iter().find(|(bit, _)| flags & bit != 0)?;
    Some(format!(
        "it is a gzip stream with {found} in its header, but kernels support only a file name \
         there (gzip -n)"
    ))
}

/// Why kernels do not reach what follows a part in lz4's legacy frame, where they do not.
pub(super) fn hidden_by_lz4(rest: &[u8]) -> bool {
    let zeros = rest.iter().take_while(|b| **b == 0).count();
    zeros < 4 && begins_part(rest.get(zeros..).unwrap_or_default())
}

fn walk(
    initrd: &[u8],
    largest: u64,
    followed: bool,
    packed: &mut Vec<CompressedPart>,
    visit: &mut dyn FnMut(&[u8]),
) -> Intact {
    let mut at = 0_usize;
    let mut walk = Walk::default();
    loop {
        let rest = initrd.get(at..).unwrap_or_default();
        let broken = |at, reason| Intact::Broken { at, reason };
        match walk.take_with(rest, visit) {
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
        let foreign = |reason: String| Intact::NotForKernels { at, reason };
        if !begins_part(rest) {
            return match walk.archive || !packed.is_empty() {
                true => Intact::Rest { at },
                false => nothing(rest, at),
            };
        }
        if walk.misaligned {
            return foreign(format!(
                "it does not begin at a multiple of 4 (byte {at}), where kernels look for it; add \
                 zeros in front of it"
            ));
        }
        if rest.starts_with(LZO) {
            packed.push(CompressedPart {
                at,
                codec: "lzo",
                len: 0,
                unpacked: 0,
                filters: Vec::new(),
            });
            let why = "it is compressed with lzo, which kexec does not unpack".to_owned();
            return Intact::Unseen { why };
        }
        if rest.starts_with(LZ4_FRAME) {
            return foreign(
                "it is lz4 in its modern frame, but kernels support only the legacy frame (lz4 -l)"
                    .to_owned(),
            );
        }
        let Some(codec) = detect(rest) else {
            return Intact::Rest { at };
        };
        let gzip = || (codec.name == "gzip").then(|| foreign_gzip_header(rest))?;
        let check = || xz::foreign_check(rest).map(|check| xz::with_check(&check));
        if let Some(reason) = gzip().or_else(check) {
            return foreign(reason);
        }
        packed.push(CompressedPart {
            at,
            codec: codec.name,
            len: 0,
            unpacked: 0,
            filters: Vec::new(),
        });
        let mut inner = Walk::default();
        let mut wrong = None;
        let checked = codec.check_first_with(rest, largest, &mut |bytes| {
            if wrong.is_none() && !inner.stopped {
                wrong = inner.take_with(bytes, visit).err();
            }
        });
        let used = match checked {
            Ok(checked) => {
                if let Some(part) = packed.last_mut() {
                    part.len = u64::try_from(checked.consumed).unwrap_or(u64::MAX);
                    part.unpacked = checked.len;
                }
                checked.consumed
            }
            Err(ImageError::TooLarge { .. }) => {
                let why = format!("it unpacks to more than {largest} bytes");
                return Intact::Unseen { why };
            }
            Err(e) if is_window_refusal(&e) => return window(codec.name, at),
            Err(e) => return broken(at, e.to_string()),
        };
        if inner.stopped {
            return foreign(inner.why_stopped(codec.name));
        }
        let behind = initrd.get(at.saturating_add(used)..).unwrap_or_default();
        let next = behind.iter().position(|b| *b != 0);
        let next = next.and_then(|next| behind.get(next..)).unwrap_or_default();
        let unfinished = !matches!(inner.place, WalkPosition::Between);
        if wrong.is_none() && unfinished && (begins_part(next) || followed && next.is_empty()) {
            return foreign(format!(
                "the archive in it does not end with this {} stream, but kernels unpack each \
                 stream by itself; compress it into one stream, with one thread",
                codec.name
            ));
        }
        if let Some(reason) = wrong.or_else(|| inner.end().err()) {
            return broken(at, format!("in what {} unpacks to, {reason}", codec.name));
        }
        if used == 0 {
            return Intact::Rest { at };
        }
        if codec.name == "lz4" && hidden_by_lz4(behind) {
            return Intact::NotForKernels {
                at: at.saturating_add(used),
                reason: "it follows an lz4 part without four zero bytes between them, so kernels \
                         take it for a block of lz4; add four zero bytes"
                    .to_owned(),
            };
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
        walk = Walk::behind(at);
    }
}

/// An initrd that begins like a part and is none.
fn nothing(rest: &[u8], at: usize) -> Intact {
    // Its first two bytes are all that kernels look for, and what its header may say
    // besides is not tried here.
    if rest.starts_with(&[0x5d, 0]) && rest.len() >= 18 {
        let why = "it begins like lzma, with a header that kexec does not support".to_owned();
        return Intact::Unseen { why };
    }
    let start: Vec<String> = rest.iter().take(6).map(|b| format!("{b:02x}")).collect();
    Intact::NotForKernels {
        at,
        reason: format!(
            "it begins with {}, but is neither a cpio archive nor a whole header of one that is \
             compressed",
            start.join(" ")
        ),
    }
}

/// A stream with a larger window than kexec takes. For zstd, kernels have the same limit
/// (lib/decompress_unzstd.c), for the others none.
fn window(codec: &str, at: usize) -> Intact {
    let most = Memory(MAX_WINDOW);
    if codec == "zstd" {
        let reason = format!(
            "its zstd stream asks for a window of more than {most}, the most that kernels \
             support (zstd --long=27)"
        );
        return Intact::NotForKernels { at, reason };
    }
    Intact::Unseen {
        why: format!("its {codec} dictionary is larger than {most}, the most that kexec takes"),
    }
}

#[cfg(test)]
mod tests {
    use kexec_image::cpio::{self, HEAD_LEN};
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
            initrd.resize(initrd.len().next_multiple_of(4) + 4, 0);
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
