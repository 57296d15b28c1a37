//! How fast the checks are on this machine, one thread, and whether that keeps
//! the promise:
//! `cargo run --release -p kexec-purgatory --example throughput`.
//!
//! A check at memory speed is the promise: CRC-32C at least half as fast as a
//! plain read of the same memory, and at least 30 times as fast as the SHA-256
//! in C of kexec-tools' purgatory. Exit code 1 if one of the two does not hold,
//! 2 if it could not be measured.
//!
//! The code of kexec-tools cannot be in this repository (GPL), so our own plain
//! SHA-256 stands for it: the same algorithm in 32-bit words, compiled here as
//! that purgatory is, for size and for moderate speed (its flags name both
//! levels), and without vectorisation. The faster of the two counts. (The
//! compiler's switch for "no SSE at all" is being withdrawn for this target; with
//! the vectorisers off no SSE is left in the rounds, only in copies of the
//! state.)

use std::error::Error;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use kexec_purgatory::Crc32c;

/// Far more than any cache.
const BYTES: usize = 256 << 20;
/// The best of so many: the machine may have other things to do.
const ROUNDS: u32 = 7;
/// SHA-256 is slower by so much that less memory will do.
const SHA256_BYTES: u32 = 32 << 20;

/// CRC-32C against the plain read.
const MIN_OF_READ: f64 = 0.5;
/// CRC-32C against the plain SHA-256.
const MIN_OF_SHA256: f64 = 30.0;

fn main() -> ExitCode {
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("throughput: {error}");
            ExitCode::from(2)
        }
    }
}

fn measure() -> Result<bool, Box<dyn Error>> {
    let mut state = 1_u64;
    let words = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_le_bytes()
    });
    let data: Vec<u8> = words.take(BYTES / 8).flatten().collect();

    // In turns, so that what else the machine does hits both.
    let (mut read, mut crc, mut copied) = (Duration::MAX, Duration::MAX, Duration::MAX);
    // Other than zeros, so that its pages are there before anything is copied.
    let mut copy = vec![1; BYTES];
    for _ in 0..ROUNDS {
        read = read.min(time(|| sum(black_box(&data))));
        crc = crc.min(time(|| Crc32c::of(black_box(&data))));
        copied = copied.min(time(|| copy.copy_from_slice(black_box(&data))));
        black_box(&mut copy);
    }
    drop((data, copy));
    let bytes = u32::try_from(BYTES)?;
    let (read, crc, copied) = (rate(bytes, read), rate(bytes, crc), rate(bytes, copied));
    let (small, fast) = (plain_sha256("s")?, plain_sha256("2")?);

    println!("plain read               {read:7.2} GB/s");
    println!("memory copy              {copied:7.2} GB/s");
    println!("CRC-32C                  {crc:7.2} GB/s");
    println!("plain SHA-256, for size  {small:7.3} GB/s");
    println!("plain SHA-256, level 2   {fast:7.3} GB/s");
    let of_read = judge("CRC-32C / plain read", crc / read, MIN_OF_READ);
    let of_sha = judge(
        "CRC-32C / plain SHA-256",
        crc / small.max(fast),
        MIN_OF_SHA256,
    );
    Ok(of_read && of_sha)
}

fn judge(what: &str, ratio: f64, min: f64) -> bool {
    let good = ratio >= min;
    let verdict = if good { "PASS" } else { "FAIL" };
    println!("{verdict} {what}: {ratio:.2}, at least {min} wanted");
    good
}

/// Gigabytes in a second of the plain SHA-256, compiled for `level`.
fn plain_sha256(level: &str) -> Result<f64, Box<dyn Error>> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/plain_sha256.rs");
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("plain_sha256");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    output(
        Command::new(rustc)
            .args(["--edition", "2024", "-C", "codegen-units=1"])
            .args(["-C", "no-vectorize-loops", "-C", "no-vectorize-slp"])
            .args(["-C", &format!("opt-level={level}"), "-o"])
            .arg(&program)
            .arg(source),
    )?;
    let time = output(Command::new(&program).args([SHA256_BYTES.to_string(), ROUNDS.to_string()]))?;
    let time = Duration::from_nanos(time.trim().parse()?);
    Ok(rate(SHA256_BYTES, time))
}

fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?} could not be started: {error}"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}\n{message}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
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

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

/// Gigabytes in a second.
fn rate(bytes: u32, time: Duration) -> f64 {
    f64::from(bytes) / time.as_secs_f64() / 1e9
}
