//! What is done to the content of an .xz stream besides its compression: its filters
//! and its check (the .xz file
//! format 1.2.1, 3.1.5 "List of Filter Flags" and 5.3 "Filter IDs"). A decoder needs to
//! know every one of them, and kernels do not.

use super::XZ;
use crate::fields;

/// The lengths of Stream Header and Stream Footer (2.1).
pub(super) const ENDS: usize = 12;

/// One filter of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter {
    /// Its number.
    pub id: u64,
    /// How many bytes of properties it has.
    pub properties: u64,
}

/// The last filter of every block: LZMA2.
pub const LZMA2: u64 = 0x21;
/// Differences between bytes.
pub const DELTA: u64 = 0x03;

/// What was done, each told once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Methods {
    /// The numbers of the integrity checks of the streams (2.1.1.2).
    pub checks: Vec<u8>,
    /// The filters of a block, in the order in which they were applied.
    pub chains: Vec<Vec<Filter>>,
}

/// What was done in the streams that `bytes` are made of. They decode, or this finds
/// less than there is.
pub fn methods(bytes: &[u8]) -> Methods {
    let Methods {
        mut checks,
        mut chains,
    } = Methods::default();
    let mut rest = bytes;
    while let Some(stream) = last_stream(rest) {
        if !checks.contains(&stream.check) {
            checks.push(stream.check);
        }
        for block in stream.blocks {
            if let Some(chain) = rest.get(block.at..).and_then(chain)
                && !chains.contains(&chain)
            {
                chains.push(chain);
            }
        }
        rest = stream.front;
    }
    Methods { checks, chains }
}

/// A block of a stream (3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct XzBlock {
    /// Where it begins.
    pub(super) at: usize,
    /// Its length without the padding ("Unpadded Size", 4.3).
    pub(super) unpadded: usize,
    /// What it unpacks to.
    pub(super) unpacked: u64,
}

/// A stream that was found from its end.
#[derive(Debug)]
pub(super) struct XzStream<'a> {
    /// What is in front of it.
    pub(super) front: &'a [u8],
    /// The number of its check (2.1.1.2).
    pub(super) check: u8,
    /// Where its blocks are.
    pub(super) blocks: Vec<XzBlock>,
    /// Where it ends.
    pub(super) end: usize,
    flags: &'a [u8],
    index: &'a [u8],
    footer: &'a [u8],
}

impl XzStream<'_> {
    /// Whether index and footer are what their checksums say, and the footer agrees with the
    /// header (2.1.2, 4.5).
    pub(super) fn is_sound(&self) -> bool {
        let sum = |bytes: Option<&[u8]>| bytes.map(crc32);
        let index_end = self.index.len().saturating_sub(4);
        let index = sum(self.index.get(..index_end)) == fields::u32_at(self.index, index_end);
        let footer = sum(self.footer.get(4..10)) == fields::u32_at(self.footer, 0);
        index && footer && self.footer.get(8..10) == Some(self.flags)
    }
}

/// Index and Stream Footer of a stream with this header and nothing but that block (2.1.2,
/// 4).
pub(super) fn end_of_one_block(header: &[u8], block: &XzBlock) -> Option<Vec<u8>> {
    let mut out = vec![0, 1];
    for mut value in [fields::len_u64(block.unpadded), block.unpacked] {
        while value >= 0x80 {
            out.push(0x80 | u8::try_from(value & 0x7f).ok()?);
            value >>= 7;
        }
        out.push(u8::try_from(value).ok()?);
    }
    fields::pad(&mut out, 4);
    out.extend_from_slice(&crc32(&out).to_le_bytes());
    let backward = u32::try_from(out.len() / 4).ok()?.checked_sub(1)?;
    let flags = header.get(6..8)?;
    let footer = [&backward.to_le_bytes()[..], flags].concat();
    out.extend_from_slice(&crc32(&footer).to_le_bytes());
    out.extend_from_slice(&footer);
    out.extend_from_slice(b"YZ");
    Some(out)
}

/// The checksum of headers, index and footer (1.1): that of gzip.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The last stream that `bytes` end with, zeros aside.
pub(super) fn last_stream(bytes: &[u8]) -> Option<XzStream<'_>> {
    let zeros = bytes.iter().rev().take_while(|b| **b == 0).count();
    let end = bytes.len().checked_sub(zeros)?;
    let footer = bytes.get(end.checked_sub(ENDS)?..end)?;
    if !footer.ends_with(b"YZ") {
        return None;
    }
    // Backward Size (2.1.2.2): the length of the index in fours, less one.
    let backward = usize::try_from(fields::u32_at(footer, 4)?).ok()?;
    let index_len = backward.checked_add(1)?.checked_mul(4)?;
    let index_at = end.checked_sub(ENDS)?.checked_sub(index_len)?;
    let whole_index = bytes.get(index_at..end - ENDS)?;
    let mut index = whole_index.strip_prefix(&[0])?;
    let count = number(&mut index)?;
    let mut blocks = Vec::new();
    let mut total = 0_usize;
    for _ in 0..count {
        // Unpadded Size of the block; then what it unpacks to (4.3).
        let unpadded = usize::try_from(number(&mut index)?).ok()?;
        let unpacked = number(&mut index)?;
        blocks.push(XzBlock {
            at: total,
            unpadded,
            unpacked,
        });
        total = total.checked_add(unpadded.checked_next_multiple_of(4)?)?;
    }
    let blocks_at = index_at.checked_sub(total)?;
    let stream_at = blocks_at.checked_sub(ENDS)?;
    let (front, stream) = bytes.split_at_checked(stream_at)?;
    if !(XZ.probe)(stream) {
        return None;
    }
    for block in &mut blocks {
        block.at = block.at.checked_add(blocks_at)?;
    }
    Some(XzStream {
        front,
        check: fields::u8_at(stream, 7)? & 0x0f,
        blocks,
        end,
        flags: stream.get(6..8)?,
        index: whole_index,
        footer,
    })
}

/// The filters in the header of a block (3.1).
fn chain(block: &[u8]) -> Option<Vec<Filter>> {
    let [size, flags] = fields::array(block, 0)?;
    let len = (usize::from(size) + 1) * 4;
    let mut fields = block.get(2..len)?;
    for given in [0x40, 0x80] {
        // Compressed Size and Uncompressed Size.
        if flags & given != 0 {
            number(&mut fields)?;
        }
    }
    let mut chain = Vec::new();
    for _ in 0..=(flags & 0x03) {
        let id = number(&mut fields)?;
        let properties = number(&mut fields)?;
        fields = fields.get(usize::try_from(properties).ok()?..)?;
        chain.push(Filter { id, properties });
    }
    Some(chain)
}

/// A number in the variable-length encoding (1.2).
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::codec::{FilterType, xz_filtered, xz_with_crc64};

    fn ids(bytes: &[u8]) -> Vec<Vec<u64>> {
        let chains = methods(bytes).chains.into_iter();
        chains
            .map(|chain| chain.iter().map(|filter| filter.id).collect())
            .collect()
    }

    #[test]
    fn filters_of_each_block_of_each_stream() {
        let data: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let plain = xz_filtered(&data, &[], None);
        assert_eq!(ids(&plain), [[LZMA2]]);
        let delta = xz_filtered(&data, &[(FilterType::Delta, 4)], Some(100_000));
        assert_eq!(ids(&delta), [[DELTA, LZMA2]]);
        let arm = xz_filtered(&data, &[(FilterType::BcjArm, 0)], None);
        let mut all = plain;
        all.extend(&delta);
        all.extend([0; 8]);
        all.extend(&arm);
        all.extend([0; 4]);
        assert!(XZ.check(&all, 1 << 30).is_ok());
        assert_eq!(
            ids(&all),
            [vec![0x07, LZMA2], vec![DELTA, LZMA2], vec![LZMA2]]
        );
        // From the middle on it is no stream any more.
        assert_eq!(ids(&all[100..]).len(), 2);
        assert_eq!(methods(&all[..all.len() - 6]), Methods::default());
        assert_eq!(methods(&all).checks, [1]);
        all.extend(xz_with_crc64(&data));
        assert_eq!(methods(&all).checks, [4, 1]);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = methods(&bytes);
            let _ = chain(&bytes);
        }

        #[test]
        fn flipped_bits(at in any::<usize>(), bit in 0..8_u8) {
            let mut bytes = xz_filtered(b"content", &[(FilterType::BcjX86, 0)], None);
            let at = at % bytes.len();
            bytes[at] ^= 1_u8 << bit;
            let _ = methods(&bytes);
        }
    }
}
