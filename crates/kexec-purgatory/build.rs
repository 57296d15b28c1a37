//! Compiles `src/blob` to a freestanding program for the target, checks what the
//! compiler and the linker made of it, and writes it down as a flat image with
//! the list of the places that hold an address.
//!
//! The program is built by the very compiler that builds the library, for the
//! same target, so nothing but a plain `cargo build` is needed. `RUSTFLAGS` do
//! not reach it: the same source and compiler give the same bytes.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use object::elf::{R_X86_64_RELATIVE, SHF_ALLOC, SHT_NOBITS};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, RelocationTarget,
    SectionFlags,
};

/// The most memory that the program may take, zeroed data and stack included.
const SIZE_MAX: u64 = 16 * 1024;

/// `or rax, CR4.OSFXSR | CR4.OSXMMEXCPT; mov cr4, rax`: the code that is compiled
/// for the host's own target uses SSE, the kernel leaves it off.
const ENABLES_SSE: &[u8] = &[0x48, 0x0d, 0x00, 0x06, 0x00, 0x00, 0x0f, 0x22, 0xe0];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/blob");
    for shared in ["abi.rs", "crc32c.rs", "sha256.rs"] {
        println!("cargo::rerun-if-changed=src/{shared}");
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let os = variable("CARGO_CFG_TARGET_OS")?;
    let generated = if arch == "x86_64" && os == "linux" {
        let elf = compile(&out)?;
        let flat = flatten(&fs::read(&elf)?).map_err(|error| {
            format!(
                "the purgatory that was built ({}) cannot be used: {error}",
                elf.display()
            )
        })?;
        fs::write(out.join("blob.bin"), &flat.bytes)?;
        flat.source()?
    } else {
        format!(
            "pub(crate) const BUILT: Result<Blob, &str> = \
             Err(\"this program was built for {arch} ({os}), and there is a purgatory for x86_64 Linux only\");\n"
        )
    };
    fs::write(out.join("blob.rs"), generated)?;
    Ok(())
}

/// One of those that cargo sets for this program, and follows itself: asking to be
/// run again when it changes would compare cargo's own environment, in which `cargo
/// run` has put another package's.
fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set: this is to be run by cargo"))
}

fn compile(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let here = variable("CARGO_MANIFEST_DIR")?;
    let script = Path::new(&here).join("src/blob/link.ld");
    let elf = out.join("purgatory.elf");
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "bin",
            "--crate-name",
            "purgatory",
        ])
        .args(["--target", &variable("TARGET")?])
        .args([
            "-C",
            "opt-level=s",
            "-C",
            "codegen-units=1",
            "-C",
            "debuginfo=0",
        ])
        .args(["-C", "panic=abort", "-C", "force-unwind-tables=no"])
        // A non-maskable interrupt may come at any time, on this stack.
        .args(["-C", "no-redzone=yes"])
        .args(["-C", "no-vectorize-loops", "-C", "no-vectorize-slp"])
        .args([
            "-C",
            "relocation-model=pie",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "relro-level=off",
        ])
        .args([
            "-C",
            "link-arg=-static-pie",
            "-C",
            "link-arg=-nostartfiles",
            "-C",
            "link-arg=-nostdlib",
        ])
        .args([
            "-C",
            "link-arg=-Wl,--no-dynamic-linker",
            "-C",
            "link-arg=-Wl,--build-id=none",
        ])
        .arg("-C")
        .arg(format!("link-arg=-Wl,-T,{}", script.display()))
        .arg(format!("--remap-path-prefix={here}=kexec-purgatory"))
        .arg("-o")
        .arg(&elf)
        .arg(Path::new(&here).join("src/blob/main.rs"));
    if variable("CARGO_CFG_TARGET_ENV")? == "musl" {
        // Not the start files that come with the target either.
        rustc.args(["-C", "link-self-contained=no"]);
    }
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    let output = rustc
        .output()
        .map_err(|error| format!("{rustc:?} could not be started: {error}"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "the purgatory did not compile ({}):\n{rustc:?}\n{message}",
            output.status
        )
        .into());
    }
    Ok(elf)
}

/// The program as it lies in memory.
struct Flat {
    /// From address 0; what follows up to `size` is zero.
    bytes: Vec<u8>,
    size: u64,
    entry: u64,
    params: u64,
    stack_top: u64,
    /// Places of 64-bit addresses, and what they hold when loaded at 0.
    relocations: Vec<(u64, u64)>,
    text: (u64, u64),
    text32: (u64, u64),
}

fn flatten(elf: &[u8]) -> Result<Flat, Box<dyn Error>> {
    let file = object::File::parse(elf)?;
    let symbol = |name: &str| {
        file.symbols()
            .find(|symbol| symbol.name() == Ok(name))
            .map(|symbol| symbol.address())
            .ok_or_else(|| format!("no symbol {name}"))
    };
    for symbol in file.symbols().skip(1) {
        if symbol.is_undefined() && symbol.name() != Ok("") {
            return Err(format!("symbol {} is not defined", symbol.name()?).into());
        }
    }

    let section = |name: &str| {
        file.section_by_name(name)
            .ok_or_else(|| format!("no section {name}"))
    };
    let bss = section(".bss")?;
    let (start_of_zeros, size) = (bss.address(), bss.address() + bss.size());
    if size > SIZE_MAX {
        return Err(format!("it takes {size} bytes of memory, more than {SIZE_MAX}").into());
    }
    let mut bytes = vec![0; usize::try_from(start_of_zeros)?];
    for section in file.sections() {
        let SectionFlags::Elf {
            sh_flags, sh_type, ..
        } = section.flags()
        else {
            continue;
        };
        if sh_flags.0 & SHF_ALLOC.0 == 0 || sh_type == SHT_NOBITS {
            continue;
        }
        let name = section.name()?;
        let (start, end) = (section.address(), section.address() + section.size());
        if start >= size && DYNAMIC_LINKING.contains(&name) {
            continue;
        }
        let place = bytes
            .get_mut(usize::try_from(start)?..usize::try_from(end)?)
            .ok_or_else(|| {
                format!(
                    "section {name} at {start:#x}..{end:#x} lies behind the end {start_of_zeros:#x}"
                )
            })?;
        place.copy_from_slice(section.data()?);
    }

    let mut relocations = Vec::new();
    for (place, relocation) in file.dynamic_relocations().into_iter().flatten() {
        let relative = RelocationFlags::Elf {
            r_type: R_X86_64_RELATIVE,
        };
        if relocation.flags() != relative || relocation.target() != RelocationTarget::Absolute {
            return Err(format!(
                "the relocation at {place:#x} is not a relative one: {relocation:?}"
            )
            .into());
        }
        let addend = u64::try_from(relocation.addend())?;
        if place + 8 > start_of_zeros || addend > size {
            return Err(format!(
                "the relocation at {place:#x} (to {addend:#x}) leaves the program"
            )
            .into());
        }
        relocations.push((place, addend));
    }

    let span = |name: &str| {
        section(name).map(|section| (section.address(), section.address() + section.size()))
    };
    let (text, text32) = (span(".text")?, span(".text32")?);
    let entry = symbol("purgatory_entry")?;
    let head = bytes
        .get(usize::try_from(entry)?..)
        .and_then(|head| head.get(..0x100))
        .unwrap_or_default();
    if !head
        .windows(ENABLES_SSE.len())
        .any(|window| window == ENABLES_SSE)
    {
        return Err("the entry does not enable SSE, which the rest of the program uses".into());
    }
    let params = symbol("purgatory_params")?;
    let stack_top = symbol("purgatory_stack_top")?;
    if file.entry() != entry || entry != 0 {
        return Err(format!("the entry is at {entry:#x}, not at its first byte").into());
    }
    Ok(Flat {
        bytes,
        size,
        entry,
        params,
        stack_top,
        relocations,
        text,
        text32,
    })
}

/// What the linker adds for a dynamic linker, behind the end of the program.
const DYNAMIC_LINKING: &[&str] = &[
    ".dynamic",
    ".dynsym",
    ".dynstr",
    ".hash",
    ".gnu.hash",
    ".rela.dyn",
    ".rela.plt",
    ".relr.dyn",
];

impl Flat {
    fn source(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::from("pub(crate) const BUILT: Result<Blob, &str> = Ok(Blob {\n");
        writeln!(
            text,
            "    bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/blob.bin\")),"
        )?;
        writeln!(text, "    size: {:#x},", self.size)?;
        writeln!(text, "    entry: {:#x},", self.entry)?;
        writeln!(text, "    params: {:#x},", self.params)?;
        writeln!(text, "    stack_top: {:#x},", self.stack_top)?;
        writeln!(text, "    relocations: &{:?},", self.relocations)?;
        writeln!(text, "    text: {:#x}..{:#x},", self.text.0, self.text.1)?;
        writeln!(
            text,
            "    text32: {:#x}..{:#x},",
            self.text32.0, self.text32.1
        )?;
        writeln!(text, "}});")?;
        Ok(text)
    }
}
