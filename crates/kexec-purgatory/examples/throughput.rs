//! How fast the checks are on this machine, one thread:
//! `cargo run --release -p kexec-purgatory --example throughput`.
//!
//! A check at memory speed is the claim: CRC-32C at least half as fast as a plain
//! read of the same memory, and at least 30 times as fast as a plain SHA-256.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kexec_purgatory::Crc32c;

/// Far more than any cache.
const BYTES: usize = 256 << 20;
/// The best of so many: the machine may have other things to do.
const ROUNDS: usize = 5;

fn main() {
    let mut state = 1_u64;
    let words = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_le_bytes()
    });
    let data: Vec<u8> = words.take(BYTES / 8).flatten().collect();

    let read = best(&data, ROUNDS, sum);
    let crc = best(&data, ROUNDS, |data| u64::from(Crc32c::of(data)));
    let part = data.get(..BYTES / 8).unwrap_or(&data);
    let sha = best(part, 2, |data| u64::from(kexec_purgatory::sha256(data)[0]));

    println!("plain read    {read:6.2} GB/s");
    println!(
        "CRC-32C       {crc:6.2} GB/s, {:.2} of the read",
        crc / read
    );
    println!(
        "plain SHA-256 {sha:6.2} GB/s, the CRC is {:.1} times as fast",
        crc / sha
    );
}

/// A sum of all words, in eight parts so that nothing waits for an addition.
fn sum(data: &[u8]) -> u64 {
    let mut parts = [0_u64; 8];
    for line in data.as_chunks::<64>().0 {
        for (part, word) in parts.iter_mut().zip(line.as_chunks::<8>().0) {
            *part = part.wrapping_add(u64::from_le_bytes(*word));
        }
    }
    parts.into_iter().fold(0, u64::wrapping_add)
}

/// Gigabytes in a second, the best of some rounds.
fn best(data: &[u8], rounds: usize, check: impl Fn(&[u8]) -> u64) -> f64 {
    let mut shortest = Duration::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        black_box(check(black_box(data)));
        shortest = shortest.min(start.elapsed());
    }
    f64::from(u32::try_from(data.len()).unwrap_or(u32::MAX)) / shortest.as_secs_f64() / 1e9
}
