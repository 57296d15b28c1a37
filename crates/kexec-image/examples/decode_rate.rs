//! How fast a stream is decompressed here, one thread, the best of some rounds:
//! `cargo run --release -p kexec-image --example decode_rate FILE ROUNDS` prints the
//! codec, the bytes that came out and the nanoseconds.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use kexec_image::decompress;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file, rounds] = words.as_slice() else {
        return Err(format!("expected FILE ROUNDS, found {words:?}").into());
    };
    let bytes = std::fs::read(file).map_err(|error| format!("reading {file}: {error}"))?;
    let codec = decompress::detect(&bytes).ok_or("no known codec")?;
    let mut best = None;
    for _ in 0..rounds.parse()? {
        let start = Instant::now();
        // Shown and forgotten, so that the content's memory is not measured.
        let mut show = |piece: &[u8]| {
            black_box(piece);
        };
        let checked = codec.check_with(black_box(&bytes), u64::MAX, &mut show)?;
        let time = start.elapsed().as_nanos();
        best = Some(best.map_or((time, checked.len), |known: (u128, u64)| {
            known.min((time, checked.len))
        }));
    }
    let (time, len) = best.ok_or("no rounds")?;
    println!("{} {len} {time}", codec.name);
    Ok(())
}
