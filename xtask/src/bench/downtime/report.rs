//! The results as Markdown.

use super::matrix::WAYS;
use super::native::NativeRates;
use super::results::{PHASES, Results, Row, SizeResults};
use anyhow::{Context, Result};
use kexec_lab::downtime::{LoadWay, Packing};
use std::fmt::Write as _;

/// Between these lines of the page is what [`markdown`] makes.
const BEGIN: &str = "<!-- begin: cargo xtask bench downtime --docs -->\n";
/// Letters of a line of the page.
const LINE: usize = 100;
const END: &str = "<!-- end: cargo xtask bench downtime --docs -->\n";

/// How the phases are derived, and what the figures are not.
pub const FOOT: &str = "\
- **Total**: instructions from the start of `kexec -e` to the first act of the next `/init`.
  The virtual machine counts them (QEMU's `-icount shift=0,sleep=off`, one processor, `quiet
  nokaslr` for both kernels), and its cycle counter goes on during the jump. Waiting counts as
  well. The same jump differs by less than 0.5 % from run to run.
- **Floor**: the kernel unpacked by hand, with the unpacked initrd, loaded by kexec-tools `-c -i`:
  nothing is checked or unpacked after the jump.
- **Phases** are differences between rows of the same run, and add up to the total.
  *Integrity*: the row minus the row of `kexec-tools -c -i`; for `kexec load`, the same load
  without a check (`--integrity=none`, unpacked initrd) is subtracted. *Kernel*: with an unpacked
  initrd and no check, the packed kernel minus the floor, for kexec-tools and for `kexec load`
  each. *Initrd*: the packed initrd minus the unpacked one. *Rest*: the floor. A phase that is
  not there can come out a little below zero.
- **Times**: the total divided by that of `kexec load`. **Own part**: what is above the floor,
  divided by the same of `kexec load`.
- **Load**: instructions of the load command before the jump, and the peak of its memory
  (`ru_maxrss`). The machine still runs during that time.
- **`cma=`** is a word of the running kernel. From Linux 7.3 on, `kexec_file_load(2)` leaves its
  check out when the whole image is in that memory. Do not use it with 7.3.4, which puts the kernel
  at a multiple of 1 MiB there. The kernel needs one of 2 MiB: it moves itself up, overwrites the
  first MiB of the initrd, and panics without a root file system (KASLR makes no difference). For
  this row another image was loaded before, so the kernel happened to begin at a multiple of 2 MiB.
- Instructions are not time. A step of SHA-256 is one, and so are eight bytes of a copy. A kernel
  on several processors unpacks its initrd while it starts drivers, so a part of that phase is
  hidden there. Device drivers of real machines make the rest much longer, for every row.
";

/// The tables with the text around them.
pub fn markdown(results: &Results) -> String {
    let mut out = String::new();
    let head = format!(
        "Debian's kernel {} jumps into itself in a virtual machine of one processor ({}). \
         kexec-tools is {}, `kexec` is of {}. The kernel has {} MB, unpacked {} MB, and needs {} MB \
         while it unpacks itself. 1 MB is 10^6 bytes.",
        results.kernel,
        results.qemu,
        results.kexec_tools,
        results.kexec.split(" (").next().unwrap_or_default(),
        tenths(results.kernel_bytes),
        tenths(results.unpacked_kernel_bytes),
        tenths(results.init_size),
    );
    paragraph(&mut out, &head);
    out.push_str("| initrd | MB | unpacked | machine, MiB |\n|---|---:|---:|---:|\n");
    for size in &results.sizes {
        let bytes = |packing: &str| tenths(size.initrds.get(packing).copied().unwrap_or(0));
        for packing in size.packings() {
            let _ = writeln!(
                out,
                "| {}, {packing} | {} | {} | {} |",
                size.name,
                bytes(packing),
                bytes(Packing::Raw.name()),
                size.memory_mb
            );
        }
    }
    out.push_str(
        "\nMillion instructions:\n\n\
         | initrd | by | total | integrity | kernel | initrd | rest | times | own part | load | \
         load, MB |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for size in &results.sizes {
        for packing in size.packings() {
            for way in WAYS {
                if let Some(row) = size.row(way, packing) {
                    line(&mut out, size, row);
                }
            }
        }
        if let Some(row) = size.row(LoadWay::Unpacked, Packing::Raw.name()) {
            line(&mut out, size, row);
        }
    }
    out.push('\n');
    out.push_str(FOOT);
    if let Some(native) = &results.native {
        rates(&mut out, native);
        milliseconds(&mut out, results, native);
    }
    out
}

/// A paragraph in lines of the page's width.
fn paragraph(out: &mut String, text: &str) {
    let mut width = 0_usize;
    for word in text.split(' ') {
        let letters = word.chars().count();
        if width > 0 && width.saturating_add(letters) >= LINE {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
        }
        out.push_str(word);
        width = width.saturating_add(letters).saturating_add(1);
    }
    out.push_str("\n\n");
}

/// A row of the main table.
fn line(out: &mut String, size: &SizeResults, row: &Row) {
    let parts = match row.phases {
        Some(phases) => phases.all().map(|part| (part / 1_000_000).to_string()),
        None => [const { String::new() }; 4],
    };
    let fast = size.row(LoadWay::Load, &row.packing);
    let floor = size.row(LoadWay::Unpacked, Packing::Raw.name());
    let is_floor = row.is(LoadWay::Unpacked);
    let ratio = |of: fn(&Row, u64) -> u64| {
        let floor = floor.map_or(0, |floor| floor.instructions);
        let (this, fast) = (of(row, floor), of(fast?, floor));
        (fast > 0 && !is_floor).then(|| hundredths(this, fast))
    };
    let total = ratio(|row, _| row.instructions);
    let own = floor.and_then(|_| ratio(|row, floor| row.instructions.saturating_sub(floor)));
    let _ = writeln!(
        out,
        "| {}, {} | {} | {} | {} | {} | {} | {} | {} |",
        size.name,
        row.packing,
        code(&row.way),
        row.instructions / 1_000_000,
        parts.join(" | "),
        total.unwrap_or_default(),
        own.unwrap_or_default(),
        row.load_instructions / 1_000_000,
        tenths(row.load_rss),
    );
}

/// What this machine itself does in a second.
fn rates(out: &mut String, native: &NativeRates) {
    out.push_str("\n### The same work on a real processor\n\n");
    let head = format!(
        "One thread on {} with a load average of {:.1}, the best of some rounds, GB/s. Decoders \
         count the bytes that come out. Those of the next kernel are written in C, as the programs \
         of the last column are: zstd, gzip, xz and lz4 of Debian 13.",
        native.processor, native.load_average
    );
    paragraph(out, &head);
    let _ = writeln!(
        out,
        "| | ours | | in C |\n|---|---:|---|---:|\n\
         | memory copy | {:.2} | | |\n\
         | CRC-32C | {:.2} | our purgatory | |\n\
         | SHA-256 | {:.3} | compiled as kexec-tools compiles its purgatory | |",
        native.copy, native.crc32c, native.sha256
    );
    for decoder in &native.decoders {
        let reference = decoder.reference.map(|rate| format!("{rate:.2}"));
        let what = match decoder.what.as_str() {
            what if what == PHASES[1] => format!("kernel, {}", decoder.codec),
            what => format!("initrd, {what}"),
        };
        let _ = writeln!(
            out,
            "| {what} | {:.2} | {} | {} |",
            decoder.ours,
            decoder.crate_name,
            reference.unwrap_or_default()
        );
    }
}

/// What the phases take on that processor.
fn milliseconds(out: &mut String, results: &Results, native: &NativeRates) {
    out.push('\n');
    paragraph(
        out,
        "Milliseconds that the phases take at these rates: the bytes of the phase divided by the \
         rate of its work, as far as the instructions show that a row has the phase at all. The \
         rest depends on the machine's drivers and is not stated.",
    );
    out.push_str(
        "| initrd | by | integrity | kernel | initrd | together |\n|---|---|---:|---:|---:|---:|\n",
    );
    for size in &results.sizes {
        for packing in size.packings() {
            for way in WAYS {
                let Some(times) = times(results, native, size, way, packing) else {
                    continue;
                };
                let sum: f64 = times.iter().sum();
                let [integrity, kernel, initrd] = times.map(|time| format!("{time:.0}"));
                let _ = writeln!(
                    out,
                    "| {}, {packing} | {} | {integrity} | {kernel} | {initrd} | {sum:.0} |",
                    size.name,
                    code(way.name()),
                );
            }
        }
    }
}

/// Milliseconds of integrity, kernel and initrd. A row that has a third of the
/// instructions that kexec-tools -c has for a phase has a third of its time.
fn times(
    results: &Results,
    native: &NativeRates,
    size: &SizeResults,
    way: LoadWay,
    packing: &str,
) -> Option<[f64; 3]> {
    let row = size.row(way, packing)?.phases?;
    let whole = size.row(LoadWay::ToolsClassic, packing)?.phases?;
    let (raw, packed) = (*size.initrds.get("raw")?, *size.initrds.get(packing)?);
    let share = |part: i64, whole: i64| match whole > 0 {
        true => (float(part) / float(whole)).clamp(0.0, 1.5),
        false => 0.0,
    };
    let time = |bytes: u64, rate: f64| megabytes(bytes) / rate;
    let kernel = share(row.kernel, whole.kernel);
    let initrd = share(row.initrd, whole.initrd);
    let integrity = match way {
        // What was unpacked before the jump is checked unpacked.
        LoadWay::Load => {
            let kernel_bytes = match kernel < 0.5 {
                true => results.unpacked_kernel_bytes,
                false => results.kernel_bytes,
            };
            let initrd_bytes = if initrd < 0.5 { raw } else { packed };
            time(kernel_bytes.saturating_add(initrd_bytes), native.crc32c)
        }
        _ => {
            let bytes = results.init_size.saturating_add(packed);
            share(row.integrity, whole.integrity) * time(bytes, native.sha256)
        }
    };
    Some([
        integrity,
        kernel
            * time(
                results.unpacked_kernel_bytes,
                native.kernel_decoder(PHASES[1])?,
            ),
        initrd * time(raw, native.kernel_decoder(packing)?),
    ])
}

/// `page` with these tables in the place of those that are there.
pub fn replaced(page: &str, tables: &str) -> Result<String> {
    let (before, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("looked for the line {:?} in the page", BEGIN.trim()))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("looked for the line {:?} in the page", END.trim()))?;
    Ok(format!("{before}{BEGIN}\n{tables}\n{END}{after}"))
}

/// A way as code, its explanation before or behind it as text.
pub fn code(way: &str) -> String {
    match (way.split_once(": "), way.split_once(", ")) {
        (Some((word, command)), _) => format!("{word}: `{command}`"),
        (_, Some((command, word))) => format!("`{command}`, `{word}`"),
        _ => format!("`{way}`"),
    }
}

/// Megabytes with one decimal.
pub fn tenths(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A ratio with two decimals, without a fraction from ten on.
fn hundredths(of: u64, by: u64) -> String {
    let ratio = float_of(of) / float_of(by);
    if ratio < 10.0 {
        format!("{ratio:.2}")
    } else {
        format!("{ratio:.0}")
    }
}

fn float(number: i64) -> f64 {
    let size = float_of(number.unsigned_abs());
    if number < 0 { -size } else { size }
}

/// Exact to a thousandth of a million.
fn float_of(number: u64) -> f64 {
    u32::try_from(number / 1000).map_or(f64::MAX, f64::from) * 1000.0
}

fn megabytes(bytes: u64) -> f64 {
    float_of(bytes) / 1e6
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::native::DecoderRate;
    use super::super::results::tests::size;
    use super::*;

    pub(in super::super) fn results() -> Results {
        let decoder = |what: &str, reference| DecoderRate {
            what: what.to_owned(),
            codec: "zstd".to_owned(),
            crate_name: "zstd (C)".to_owned(),
            ours: 0.4,
            reference: Some(reference),
        };
        Results {
            kernel: "7.3.4-cloud".to_owned(),
            qemu: "QEMU emulator version 10.0.13".to_owned(),
            kexec_tools: "2.0.32".to_owned(),
            kexec: "kexec-rs 0.1.0 (and so on)".to_owned(),
            kernel_bytes: 14_000_000,
            unpacked_kernel_bytes: 62_100_000,
            init_size: 63_100_000,
            sizes: vec![size()],
            native: Some(NativeRates {
                processor: "a processor".to_owned(),
                load_average: 0.1,
                copy: 10.0,
                crc32c: 20.0,
                sha256: 0.3,
                decoders: vec![decoder("kernel", 0.5), decoder("zstd", 0.8)],
            }),
        }
    }

    #[test]
    fn tables() {
        let text = markdown(&results());
        for line in [
            "| small, zstd | `kexec-tools -c` | 5660 | 3461 | 868 | 69 | 1262 | 2.57 | 4.66 | 1 | 16.0 |",
            "| small, zstd | `kexec load` | 2206 | 10 | 869 | 65 | 1262 | 1.00 | 1.00 | 1 | 16.0 |",
            "| small, raw | floor: `kexec-tools -c -i vmlinux` | 1262 | 0 | 0 | 0 | 1262 |  |  | 1 | 16.0 |",
            "| small, zstd | 1.7 | 5.0 | 2048 |",
            "kexec-tools is 2.0.32, `kexec` is of",
            "| kernel, zstd | 0.40 | zstd (C) | 0.50 |",
            // 64.8 MB at 0.3, 62.1 at 0.5, 5 at 0.8.
            "| small, zstd | `kexec-tools -c` | 216 | 124 | 6 | 346 |",
            "| small, zstd | `kexec-tools -s`, `cma=` | 0 | 124 | 6 | 130 |",
            "| small, zstd | `kexec load` | 1 | 124 | 6 | 131 |",
        ] {
            assert!(text.contains(line), "{line}\nin\n{text}");
        }
    }

    #[test]
    fn a_page_keeps_what_is_around_the_tables() {
        let page = format!("# head\n{BEGIN}old\n{END}tail\n");
        let new = replaced(&page, "new\n").unwrap();
        assert_eq!(new, format!("# head\n{BEGIN}\nnew\n\n{END}tail\n"));
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        assert!(replaced("# head\n", "new").is_err());
    }
}
