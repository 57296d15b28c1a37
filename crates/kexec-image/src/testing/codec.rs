//! Compressors, so that tests can make streams of every codec.

use std::io::Write;

pub use lzma_rust2::FilterType;
use lzma_rust2::{CheckType, LzmaOptions, LzmaWriter, XzOptions, XzWriter};

/// A codec and how to make a stream of it.
#[derive(Debug, Clone, Copy)]
pub struct Compressor {
    /// As in [`crate::decompress::CODECS`], with the variant where there are
    /// several.
    pub name: &'static str,
    /// The name of the codec alone.
    pub codec: &'static str,
    /// Makes one stream.
    pub compress: fn(&[u8]) -> Vec<u8>,
    /// Whether the stream carries a checksum of its content.
    pub checksummed: bool,
}

/// Every kind of stream that a kernel can be wrapped in.
pub const COMPRESSORS: &[Compressor] = &[
    Compressor {
        name: "gzip",
        codec: "gzip",
        compress: gzip,
        checksummed: true,
    },
    Compressor {
        name: "xz",
        codec: "xz",
        compress: |data| xz(data, CheckType::Crc32),
        checksummed: true,
    },
    Compressor {
        name: "xz without a check",
        codec: "xz",
        compress: |data| xz(data, CheckType::None),
        checksummed: false,
    },
    Compressor {
        name: "zstd",
        codec: "zstd",
        compress: zstd,
        checksummed: true,
    },
    Compressor {
        name: "lz4 legacy",
        codec: "lz4",
        compress: lz4_legacy,
        checksummed: false,
    },
    Compressor {
        name: "lz4 frame",
        codec: "lz4",
        compress: lz4_frame,
        checksummed: true,
    },
    Compressor {
        name: "bzip2",
        codec: "bzip2",
        compress: bzip2,
        checksummed: true,
    },
    Compressor {
        name: "lzma with an end marker",
        codec: "lzma",
        compress: |data| lzma(data, None),
        checksummed: false,
    },
    Compressor {
        name: "lzma of known size",
        codec: "lzma",
        compress: |data| lzma(data, Some(crate::fields::len(data))),
        checksummed: false,
    },
];

/// One gzip member with `data`.
pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(data).expect("writing to memory");
    writer.finish().expect("writing to memory")
}

/// One bzip2 stream with `data`.
pub fn bzip2(data: &[u8]) -> Vec<u8> {
    let mut writer = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    writer.write_all(data).expect("writing to memory");
    writer.finish().expect("writing to memory")
}

/// zstd with a checksum, as the kernel's build writes it.
pub fn zstd(data: &[u8]) -> Vec<u8> {
    let mut writer = ::zstd::stream::write::Encoder::new(Vec::new(), 1).expect("memory");
    writer.include_checksum(true).expect("a new encoder");
    writer.write_all(data).expect("writing to memory");
    writer.finish().expect("writing to memory")
}

/// LZ4 in the legacy frame: `lz4 -l`.
pub fn lz4_legacy(data: &[u8]) -> Vec<u8> {
    let mut out = 0x184c_2102_u32.to_le_bytes().to_vec();
    for chunk in data.chunks(8 << 20) {
        let block = lz4_flex::block::compress(chunk);
        let len = u32::try_from(block.len()).expect("a block is small");
        out.extend(len.to_le_bytes());
        out.extend(block);
    }
    out
}

/// LZ4 in the modern frame.
pub fn lz4_frame(data: &[u8]) -> Vec<u8> {
    let info = lz4_flex::frame::FrameInfo::new()
        .content_checksum(true)
        .block_checksums(true);
    let mut writer = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    writer.write_all(data).expect("writing to memory");
    writer.finish().expect("writing to memory")
}

/// xz as its program writes it by itself, with a check that kernels do not know.
pub fn xz_with_crc64(data: &[u8]) -> Vec<u8> {
    xz(data, CheckType::Crc64)
}

/// xz with the x86 filter, as the kernel's build writes it.
pub fn xz(data: &[u8], check: CheckType) -> Vec<u8> {
    let mut options = XzOptions::with_preset(1);
    options.set_check_sum_type(check);
    options.prepend_pre_filter(FilterType::BcjX86, 0);
    let mut writer = XzWriter::new(Vec::new(), options).expect("options are sound");
    writer.write_all(data).expect("writing to memory");
    writer.finish().expect("writing to memory")
}

/// xz with these filters in front of its compression, and blocks of that many bytes.
pub fn xz_filtered(data: &[u8], filters: &[(FilterType, u32)], block: Option<u64>) -> Vec<u8> {
    let mut options = XzOptions::with_preset(1);
    options.set_check_sum_type(CheckType::Crc32);
    options.set_block_size(block.and_then(std::num::NonZeroU64::new));
    for (filter, property) in filters.iter().rev() {
        options.prepend_pre_filter(*filter, *property);
    }
    let mut writer = XzWriter::new(Vec::new(), options).expect("options are sound");
    writer.write_all(data).expect("writing to memory");
    writer.finish().expect("writing to memory")
}

/// LZMA-alone; with an end marker unless the size is given.
pub fn lzma(data: &[u8], size: Option<u64>) -> Vec<u8> {
    let options = LzmaOptions::with_preset(1);
    let mut writer =
        LzmaWriter::new_use_header(Vec::new(), &options, size).expect("options are sound");
    writer.write_all(data).expect("writing to memory");
    writer.finish().expect("writing to memory")
}
