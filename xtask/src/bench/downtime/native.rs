//! How fast this machine does the work of each phase: one thread, the best of some
//! rounds. With these rates instructions become milliseconds.

use super::results::PHASES;
use crate::host::cargo;
use anyhow::{Context, Result, bail, ensure};
use kexec_lab::downtime::{DowntimeFiles, MEDIUM, Packing, reference_decoder};
use kexec_lab::programs::StartProgram;
use kexec_lab::{Lab, LabKernel};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Each program decodes so many times.
const ROUNDS: usize = 3;

/// Rates of this machine, in GB (10^9 bytes) per second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NativeRates {
    /// The processor, as /proc/cpuinfo names it.
    pub processor: String,
    /// The load average of a minute before it began: other work on the machine.
    pub load_average: f64,
    /// A plain copy of memory.
    pub copy: f64,
    /// CRC-32C of our purgatory.
    pub crc32c: f64,
    /// SHA-256 in plain C-like code, compiled as kexec-tools compiles its purgatory: the
    /// faster of its two levels of optimisation.
    pub sha256: f64,
    /// Decoders, for each byte that comes out.
    pub decoders: Vec<DecoderRate>,
}

/// How fast something is decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecoderRate {
    /// What is decoded: `kernel`, or the packing of an initrd.
    pub what: String,
    /// The codec.
    pub codec: String,
    /// Our decoder: the crate that it is.
    pub crate_name: String,
    /// Its rate.
    pub ours: f64,
    /// The codec's own program in C, as the next kernel's decoder is C: the rate of the
    /// whole process, `None` where there is none.
    pub reference: Option<f64>,
}

/// The crate that decodes a codec here.
fn crate_of(codec: &str) -> &'static str {
    match codec {
        "zstd" => "zstd (C)",
        "gzip" => "flate2 with zlib-rs",
        "xz" => "lzma-rust2",
        "lz4" => "lz4_flex",
        _ => "another",
    }
}

impl NativeRates {
    /// The rate at which a kernel decodes this, nearest to it: that of the program in C.
    pub fn kernel_decoder(&self, what: &str) -> Option<f64> {
        let decoder = self.decoders.iter().find(|one| one.what == what)?;
        Some(decoder.reference.unwrap_or(decoder.ours))
    }
}

/// Measures the checks, a copy, and every decoder with the medium initrd and the
/// kernel's payload.
pub fn measure(lab: &Lab, kernel: &LabKernel, tsc: &[u8]) -> Result<NativeRates> {
    println!("Measuring this machine itself ...");
    let load_average = std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0.0);
    let checks = example("kexec-purgatory", "throughput", &[])?;
    let rate = |label: &str| {
        let lines = checks.lines();
        let rest = lines.filter_map(|line| line.strip_prefix(label)).next();
        let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        number.with_context(|| format!("looked for {label:?} in:\n{checks}"))
    };
    let files = DowntimeFiles::prepare(lab, kernel, MEDIUM, &Packing::ALL, tsc)?;
    let mut decoders = Vec::new();
    let payload = files.payload_file();
    decoders.push(decoder(lab, PHASES[1], &payload)?);
    for packing in Packing::ALL {
        if packing != Packing::Raw {
            decoders.push(decoder(lab, packing.name(), &files.initrd_file(packing))?);
        }
    }
    Ok(NativeRates {
        processor: processor(),
        load_average,
        copy: rate("memory copy")?,
        crc32c: rate("CRC-32C  ")?,
        sha256: rate("plain SHA-256, for size")?.max(rate("plain SHA-256, level 2")?),
        decoders,
    })
}

/// Both rates for one file.
fn decoder(lab: &Lab, what: &str, file: &Path) -> Result<DecoderRate> {
    let path = file
        .to_str()
        .context("a temporary file's name is no text")?;
    let rounds = ROUNDS.to_string();
    let answer = example("kexec-image", "decode_rate", &[path, &rounds])?;
    let words: Vec<&str> = answer.split_whitespace().collect();
    let [codec, bytes, nanoseconds] = words.as_slice() else {
        bail!("decode_rate answered {answer:?}, expected a codec, bytes and nanoseconds");
    };
    let bytes: u32 = bytes.parse().context("reading the bytes of decode_rate")?;
    let ours = Duration::from_nanos(nanoseconds.parse().context("reading its time")?);
    let packing = Packing::ALL.into_iter().find(|one| one.name() == *codec);
    let reference = packing
        .map(|packing| reference(lab, packing, file))
        .transpose()?;
    Ok(DecoderRate {
        what: what.to_owned(),
        codec: (*codec).to_owned(),
        crate_name: crate_of(codec).to_owned(),
        ours: gigabytes(bytes, ours),
        reference: reference.map(|time| gigabytes(bytes, time)),
    })
}

/// The shortest time of the codec's own program, to nowhere.
fn reference(lab: &Lab, packing: Packing, file: &Path) -> Result<Duration> {
    let mut shortest = Duration::MAX;
    for _ in 0..ROUNDS {
        let mut command = reference_decoder(lab, packing, file)?;
        let started = Instant::now();
        let status = command.stdout(Stdio::null()).start_status()?;
        ensure!(
            status.success(),
            "unpacking {} ended with {status}",
            packing.name()
        );
        shortest = shortest.min(started.elapsed());
    }
    Ok(shortest)
}

/// What an example of this package prints, built for speed as the product is. It may
/// judge what it measured by its exit code; here only the figures count.
fn example(package: &str, name: &str, arguments: &[&str]) -> Result<String> {
    let mut command: Command = cargo(&[
        "run",
        "--quiet",
        "--release",
        "--package",
        package,
        "--example",
        name,
        "--",
    ]);
    let output = command
        .args(arguments)
        .stderr(Stdio::inherit())
        .start_output()?;
    ensure!(
        output.status.code().is_some_and(|code| code < 2),
        "the example {name} ended with {}",
        output.status
    );
    String::from_utf8(output.stdout).with_context(|| format!("reading what {name} printed"))
}

/// To a thousandth, which is more than the measurement has.
fn gigabytes(bytes: u32, time: Duration) -> f64 {
    let rate = f64::from(bytes) / time.as_secs_f64() / 1e9;
    (rate * 1000.0).round() / 1000.0
}

/// The first processor's name.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| "a processor without a name".to_owned())
}
