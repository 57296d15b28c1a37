//! Texts that only packages have.

use super::crates::ProgramCrate;
use crate::host::day;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The version of the workspace, without a packager's suffix.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Who answers for the packages.
pub const MAINTAINER: &str = "kexec-rs contributors <kexec-rs@users.noreply.github.com>";
/// Where the project lives.
pub const HOMEPAGE: &str = env!("CARGO_PKG_REPOSITORY");
/// One line for every package.
pub const SUMMARY: &str = "reboot into another kernel without the firmware";
/// The paragraphs below it.
pub const DESCRIPTION: &[&str] = &[
    "kexec loads a kernel into memory and jumps into it. A server that spends minutes in its \
     firmware is back in seconds.",
    "This is kexec in Rust: one static program with the command line of kexec-tools and, in \
     addition, verbs that do everything for a reboot: \"kexec reboot\" finds what a normal reboot \
     would boot, checks it, loads it, and only then asks init for the shutdown.",
];
/// The version of kexec-tools whose command line it takes.
pub const STANDS_FOR: &str = "2.0.32";

/// Debian's version: the first package of this version.
pub fn debian_version() -> String {
    format!("{VERSION}-1")
}

/// Debian's changelog (Debian Policy 4.4): one entry, which points at ours.
pub fn debian_changelog(date: SystemTime) -> String {
    format!(
        "kexec-rs ({}) unstable; urgency=medium\n\n  * New upstream version: see changelog.gz.\n\n \
         -- {MAINTAINER}  {}\n",
        debian_version(),
        rfc_5322(date)
    )
}

/// A time as Debian's changelog has it: `Mon, 23 Nov 2026 03:07:38 +0000`.
pub fn rfc_5322(date: SystemTime) -> String {
    // 1 January 1970 was a Thursday.
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let since = date.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let days = usize::try_from(since.as_secs() / 86400).unwrap_or(0);
    let weekday = WEEKDAYS.get(days % 7).copied().unwrap_or_default();
    let text = humantime::format_rfc3339_seconds(date).to_string();
    let iso = day(date);
    let mut parts = iso.split('-');
    let year = parts.next().unwrap_or_default();
    let month: usize = parts.next().and_then(|m| m.parse().ok()).unwrap_or(1);
    let month = MONTHS.get(month - 1).copied().unwrap_or_default();
    let of_month = parts.next().unwrap_or_default();
    let time = text.get(11..19).unwrap_or_default();
    format!("{weekday}, {of_month} {month} {year} {time} +0000")
}

/// What is part of the program and not ours: for each its version and its
/// licence, and then the texts.
pub fn third_party(crates: &[ProgramCrate]) -> Result<String> {
    let mut out =
        "These libraries are part of the program. Where several licences are named with OR, \
                   any of them may be chosen.\n\n\
                   The GNU C library: LGPL-2.1-or-later; its sources are those of the distribution \
                   that this was built on\n\
                   The Rust standard library: MIT OR Apache-2.0\n"
            .to_owned();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in crates.iter().filter(|one| one.is_linked) {
        // Our own have no archive, and their licence is in the package anyway.
        if one.checksum.is_none() {
            continue;
        }
        let ProgramCrate { name, licence, .. } = one;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name} {}: {licence}", one.version);
        for path in licence_files(&one.folder, licence)? {
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    for (text, names) in &texts {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let _ = write!(
            out,
            "\n{}\n{}\n\n{text}\n",
            "-".repeat(72),
            names.join(", ")
        );
    }
    Ok(out)
}

/// The files with a crate's licence: MIT's where that may be chosen, because it is
/// short; else all that there are.
fn licence_files(folder: &Path, licence: &str) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    let mut names: Vec<String> = listed
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.retain(|name| {
        let name = name.to_ascii_uppercase();
        ["LICENSE", "LICENCE", "COPYING", "NOTICE"]
            .iter()
            .any(|start| name.starts_with(start))
    });
    let is_mit = |name: &String| name.eq_ignore_ascii_case("LICENSE-MIT");
    if licence.split(' ').any(|word| word == "MIT") && names.iter().any(is_mit) {
        names.retain(is_mit);
    }
    ensure!(
        !names.is_empty(),
        "looked for the licence ({licence}) in {}: there is no such file",
        folder.display()
    );
    names.sort();
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::crates;
    use super::*;
    use kexec_cli::args::Arch;

    #[test]
    fn times_of_a_changelog() {
        let at = |seconds| rfc_5322(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(at(1_709_251_199), "Thu, 29 Feb 2024 23:59:59 +0000");
        assert_eq!(at(1_795_403_258), "Mon, 23 Nov 2026 03:07:38 +0000");
    }

    /// Each crate that is linked in, with the words of its licence.
    #[test]
    fn licences_of_others() {
        let text = third_party(&crates::of_program(Arch::X86_64).unwrap()).unwrap();
        for line in ["bzip2-1.0.6", "lzma-rust2 ", "zlib-rs ", "GNU C library"] {
            assert!(text.contains(line), "{line}");
        }
        assert!(!text.contains("kexec-load"));
        assert!(text.contains("Permission is hereby granted"));
        assert!(text.contains("Apache License"));
    }
}
