//! Whether a program runs in the shutdown image: it needs its interpreter and
//! its libraries there.

use kexec_image::formats::elf::Needs;
use kexec_machine::volumes::Volumes;

/// Whether a program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Runs {
    /// It needs nothing that is not there.
    Yes,
    /// What it needs, and does not find: the path of its interpreter, or the names
    /// of libraries.
    Lacks(String),
    /// It is no ELF file that can be read, for example a script.
    Unknown,
}

/// Libraries that are in every image with a program at all.
const ALWAYS: &[&str] = &["libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];
/// Where an image has libraries, with and without Debian's folder of an architecture.
const FOLDERS: &[&str] = &[
    "usr/lib",
    "usr/lib64",
    "lib",
    "lib64",
    "usr/lib/x86_64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "lib/aarch64-linux-gnu",
];

/// Whether the program at `path` of this machine runs in the image at `image`; where
/// there is none yet, in one that has a C library and nothing else.
pub(super) fn runs(volumes: &Volumes, path: &str, image: Option<&str>) -> Runs {
    let bytes = volumes.machine_program(path);
    let Some(needs) = bytes.known().and_then(|bytes| Needs::parse(bytes)) else {
        return Runs::Unknown;
    };
    let Some(interpreter) = needs.interpreter else {
        return Runs::Yes;
    };
    let Some(image) = image else {
        let lacks = needs.libraries.into_iter();
        let lacks = lacks.filter(|name| !ALWAYS.contains(&name.as_str()));
        return listed(lacks.collect());
    };
    if !volumes.machine_has(&format!("{image}{interpreter}")) {
        return Runs::Lacks(interpreter);
    }
    let there = |name: &String| {
        let mut folders = FOLDERS.iter();
        folders.any(|folder| volumes.machine_has(&format!("{image}/{folder}/{name}")))
    };
    listed(needs.libraries.into_iter().filter(|n| !there(n)).collect())
}

fn listed(lacks: Vec<String>) -> Runs {
    match lacks.is_empty() {
        true => Runs::Yes,
        false => Runs::Lacks(lacks.join(", ")),
    }
}
