//! The ways in which a page is compressed (`page_desc.flags`).

/// `DUMP_DH_COMPRESSED_ZLIB`: RFC 1950.
const ZLIB: u64 = 1;
/// `DUMP_DH_COMPRESSED_LZO`: the kernel's Documentation/staging/lzo.rst.
const LZO: u64 = 2;
/// `DUMP_DH_COMPRESSED_SNAPPY`: snappy's format_description.txt, without frames.
const SNAPPY: u64 = 4;
/// `DUMP_DH_COMPRESSED_ZSTD`: RFC 8878.
const ZSTD: u64 = 0x20;
/// All of these. Other bits of the flags say nothing of a page.
const ANY: u64 = ZLIB | LZO | SNAPPY | ZSTD;

/// Fills a page with what `bytes` are compressed from.
///
/// # Errors
/// What is wrong with them, for a sentence.
pub(super) fn decompress(flags: u64, bytes: &[u8], page: &mut [u8]) -> Result<(), String> {
    let wanted = page.len();
    let (name, found) = match flags & ANY {
        0 => {
            let len = bytes.len();
            if len == wanted {
                page.copy_from_slice(bytes);
            }
            ("stored", Ok(len))
        }
        ZLIB => ("zlib", zlib(bytes, page)),
        LZO => {
            let found = lzokay::decompress::decompress(bytes, page);
            ("lzo", found.map_err(|error| error.to_string()))
        }
        SNAPPY => {
            let found = snap::raw::decompress_len(bytes).and_then(|len| match len == wanted {
                true => snap::raw::Decoder::new().decompress(bytes, page),
                false => Ok(len),
            });
            ("snappy", found.map_err(|error| error.to_string()))
        }
        ZSTD => {
            let found = zstd::bulk::decompress_to_buffer(bytes, page);
            ("zstd", found.map_err(|error| error.to_string()))
        }
        other => return Err(format!("has the unknown compression {other:#x}")),
    };
    match found {
        Ok(found) if found == wanted => Ok(()),
        Ok(found) => Err(format!("({name}) has {found} bytes, expected {wanted}")),
        Err(error) => Err(format!("({name}) is damaged: {error}")),
    }
}

fn zlib(bytes: &[u8], page: &mut [u8]) -> Result<usize, String> {
    let mut stream = flate2::Decompress::new(true);
    let finish = flate2::FlushDecompress::Finish;
    match stream.decompress(bytes, page, finish) {
        Ok(flate2::Status::StreamEnd) => {
            Ok(usize::try_from(stream.total_out()).unwrap_or(usize::MAX))
        }
        Ok(_) => Err("it does not end with the page".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
