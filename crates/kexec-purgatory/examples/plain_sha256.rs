//! The time of our plain SHA-256 over noise, in nanoseconds, the best of some
//! rounds. Arguments: bytes, rounds.
//!
//! A program of its own because `throughput` compiles it anew, at other levels of
//! optimisation than the release profile has for this package.

use std::hint::black_box;
use std::time::Instant;

#[path = "../src/sha256.rs"]
mod sha256;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse());
    let (Some(Ok::<usize, _>(bytes)), Some(Ok(rounds))) = (numbers.next(), numbers.next()) else {
        eprintln!("usage: plain_sha256 BYTES ROUNDS");
        std::process::exit(2);
    };
    let mut state = 1_u64;
    let mut data = vec![0; bytes];
    for word in data.chunks_mut(8) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        for (to, from) in word.iter_mut().zip(state.to_le_bytes()) {
            *to = from;
        }
    }
    let time = || {
        let start = Instant::now();
        black_box(sha256::digest(black_box(&data)));
        start.elapsed().as_nanos()
    };
    let shortest = (0..rounds).map(|_| time()).min();
    println!("{}", shortest.unwrap_or(0));
}
