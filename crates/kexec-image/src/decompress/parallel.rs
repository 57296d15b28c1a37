//! One stream, decoded by several threads at once: where its format has blocks that stand
//! alone and says where they are, as lz4's legacy frame and xz do. Whatever is odd is left
//! to the decoder that goes through the stream from its start, and so are its errors.

use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use lz4_flex::block::decompress_into;
use lzma_rust2::XzReader;

use super::xz_methods::{self, ENDS, XzBlock};
use super::{Codec, Decoded, LZ4, Meanwhile, XZ, lz4};
use crate::fields;

/// More threads than this gain nothing that a reboot would notice.
const MOST_THREADS: usize = 8;

/// KiB that the decoder of an xz block may take, where several run at once: a dictionary
/// of 32 MiB, and what it needs beside it. Larger ones are decoded by one thread.
const XZ_LIMIT_KIB: u32 = 33 * 1024;

/// The content of the stream that `bytes` begin with, which is not followed by another one
/// of its codec; `None` where one thread has to do it.
pub(super) fn decompress(
    codec: &Codec,
    bytes: &[u8],
    cap: u64,
    threads: usize,
    meanwhile: Meanwhile<'_>,
) -> Option<Decoded> {
    let threads = threads.min(MOST_THREADS);
    if threads < 2 {
        return None;
    }
    match codec.name {
        name if name == LZ4.name => lz4_frame(bytes, cap, threads, meanwhile),
        name if name == XZ.name => xz_stream(bytes, cap, threads, meanwhile),
        _ => None,
    }
}

/// Gives each thread one piece of work after the other; whether all of them were done.
fn share<T: Send>(work: Vec<T>, threads: usize, done: impl Fn(T) -> bool + Sync) -> bool {
    let threads = threads.min(work.len());
    let queue = Mutex::new(work.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        while let Some(one) = next() {
            if !done(one) {
                return false;
            }
        }
        true
    };
    std::thread::scope(|scope| {
        // Where no thread can be had, the others do its work.
        let workers: Vec<_> = (1..threads)
            .map_while(|_| Builder::new().spawn_scoped(scope, run).ok())
            .collect();
        let own = run();
        // All of them have to be waited for.
        workers
            .into_iter()
            .fold(own, |all, worker| all & worker.join().unwrap_or(false))
    })
}

/// So many zeros, if there is memory for them.
fn zeros(len: usize) -> Option<Vec<u8>> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).ok()?;
    zeros.resize(len, 0);
    Some(zeros)
}

/// Splits `out` into runs of these lengths, which it is as long as.
fn runs(out: &mut [u8], lengths: impl Iterator<Item = usize>) -> Option<Vec<&mut [u8]>> {
    let mut rest = out;
    let mut runs = Vec::new();
    for len in lengths {
        let (run, behind) = rest.split_at_mut_checked(len)?;
        runs.push(run);
        rest = behind;
    }
    rest.is_empty().then_some(runs)
}

/// A legacy frame, in which every block but the last one holds 8 MiB.
fn lz4_frame(bytes: &[u8], cap: u64, threads: usize, meanwhile: Meanwhile<'_>) -> Option<Decoded> {
    let (blocks, consumed) = lz4::legacy_blocks(bytes)?;
    let (last, whole) = blocks.split_last()?;
    if whole.is_empty() {
        return None;
    }
    let last = lz4::decoded(last).ok()?;
    let total = whole
        .len()
        .checked_mul(lz4::LEGACY_BLOCK)?
        .checked_add(last.len())?;
    if fields::len_u64(total) > cap {
        return None;
    }
    let mut out = zeros(total)?;
    let (front, end) = out.split_at_mut_checked(total.checked_sub(last.len())?)?;
    end.copy_from_slice(&last);
    drop(last);
    let work: Vec<_> = whole
        .iter()
        .zip(front.chunks_mut(lz4::LEGACY_BLOCK))
        .collect();
    let all = share(work, threads, |(block, out)| {
        let len = decompress_into(block, out);
        meanwhile();
        len.is_ok_and(|len| len == out.len())
    });
    all.then_some(Decoded {
        bytes: out,
        consumed,
        checksummed: false,
    })
}

/// A stream that nothing but zeros follows, so that its index is found.
fn xz_stream(bytes: &[u8], cap: u64, threads: usize, meanwhile: Meanwhile<'_>) -> Option<Decoded> {
    let stream = xz_methods::last_stream(bytes)?;
    if !stream.front.is_empty() || stream.blocks.len() < 2 || !stream.is_sound() {
        return None;
    }
    let total = stream
        .blocks
        .iter()
        .try_fold(0_u64, |sum, block| sum.checked_add(block.unpacked))?;
    if total > cap {
        return None;
    }
    let mut out = zeros(usize::try_from(total).ok()?)?;
    let header = bytes.get(..ENDS)?;
    let lengths = stream.blocks.iter().map(|block| block.unpacked);
    let lengths = lengths.map(|len| usize::try_from(len).unwrap_or(usize::MAX));
    let runs = runs(&mut out, lengths)?;
    let work: Vec<_> = stream.blocks.iter().zip(runs).collect();
    let all = share(work, threads, |(block, out)| {
        let decoded = xz_block(bytes, header, block, out);
        meanwhile();
        decoded.is_some()
    });
    all.then_some(Decoded {
        bytes: out,
        consumed: stream.end,
        checksummed: stream.check != 0,
    })
}

/// Decodes one block, as a stream of its own.
fn xz_block(bytes: &[u8], header: &[u8], block: &XzBlock, out: &mut [u8]) -> Option<()> {
    let padded = block.unpadded.checked_next_multiple_of(4)?;
    let content = bytes.get(block.at..block.at.checked_add(padded)?)?;
    let end = xz_methods::end_of_one_block(header, block)?;
    let stream = header.chain(content).chain(end.as_slice());
    let mut decoder = XzReader::new_mem_limit(stream, false, XZ_LIMIT_KIB);
    decoder.read_exact(out).ok()?;
    let mut more = [0];
    matches!(decoder.read(&mut more), Ok(0)).then_some(())
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::codec::{COMPRESSORS, lz4_legacy, xz_filtered};

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i / 7 * i / 3).to_le_bytes()[0]).collect()
    }

    fn multi_block(len: usize) -> Vec<(&'static Codec, Vec<u8>)> {
        let content = content(len);
        vec![
            (&LZ4, lz4_legacy(&content)),
            (&XZ, xz_filtered(&content, &[], Some(1 << 20))),
        ]
    }

    #[test]
    fn several_threads_find_the_same_as_one() {
        let plain = content(9_500_000);
        for (codec, packed) in multi_block(plain.len()) {
            for zeros in [0, 4, 7] {
                let mut bytes = packed.clone();
                bytes.resize(packed.len() + zeros, 0);
                let one = codec.decompress_first(&bytes, 1 << 30, 1, &|| ()).unwrap();
                let found = decompress(codec, &bytes, 1 << 30, 3, &|| ()).unwrap();
                assert_eq!(found.consumed, packed.len(), "{codec:?}");
                assert!(found == one && found.bytes == plain, "{codec:?}");
            }
            // What follows does not belong to it; xz is then left to one thread.
            let both = [&packed[..], &[0; 4], b"070701"].concat();
            let found = codec.decompress_first(&both, 1 << 30, 2, &|| ()).unwrap();
            assert_eq!(found.consumed, packed.len());
            assert!(found.bytes == plain);
            // Nor is more put out than is allowed.
            assert!(decompress(codec, &packed, 9_499_999, 2, &|| ()).is_none());
            assert!(
                codec
                    .decompress_first(&packed, 9_499_999, 2, &|| ())
                    .is_err()
            );
            assert!(decompress(codec, &packed, 9_500_000, 2, &|| ()).is_some());
            assert!(decompress(codec, &packed, 9_500_000, 1, &|| ()).is_none());
        }
    }

    #[test]
    fn one_block_is_for_one_thread() {
        for compressor in COMPRESSORS {
            let packed = (compressor.compress)(&content(100_000));
            let codec = super::super::detect(&packed).unwrap();
            assert!(decompress(codec, &packed, 1 << 30, 4, &|| ()).is_none());
            let found = codec.decompress_first(&packed, 1 << 30, 4, &|| ()).unwrap();
            assert_eq!(found.bytes, content(100_000), "{}", compressor.name);
        }
    }

    #[test]
    fn damage_is_found_by_several_threads_as_by_one() {
        for (codec, packed) in multi_block(9_000_000) {
            for at in (0..packed.len()).step_by(packed.len() / 12) {
                let mut bytes = packed.clone();
                bytes[at] ^= 0x10;
                let one = codec.decompress_first(&bytes, 1 << 26, 1, &|| ());
                let found = codec.decompress_first(&bytes, 1 << 26, 2, &|| ());
                match (one, found) {
                    (Ok(one), Ok(found)) => assert!(one == found, "{codec:?} {at}"),
                    (one, found) => assert_eq!(one.is_err(), found.is_err(), "{codec:?} {at}"),
                }
            }
            let cut = packed.get(..packed.len() / 2).unwrap();
            assert!(decompress(codec, cut, 1 << 26, 2, &|| ()).is_none());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for codec in [LZ4, XZ] {
                for start in [&b"\x02\x21\x4c\x18"[..], b"\xfd7zXZ\0\0\x01", b""] {
                    let bytes = [start, &bytes].concat();
                    let _ = decompress(&codec, &bytes, 1 << 24, 2, &|| ());
                }
            }
        }
    }
}
