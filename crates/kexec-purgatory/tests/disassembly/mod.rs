//! Machine code in the eyes of binutils' objdump.
//!
//! Why objdump, not a decoder of our own or a crate: the tests ask which
//! registers the compiler's code uses, so the answer has to come from something
//! that knows every encoding. binutils is on every machine that can build the
//! program, since it brings the linker that rustc calls through the C compiler;
//! a disassembler crate would be a large dependency for a handful of tests.

use std::io::Write as _;
use std::ops::Range;
use std::process::Command;

/// The size of the processor's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// Protected mode.
    B32,
    /// Long mode.
    B64,
}

/// Registers beside the general, segment, control and debug ones, by what the
/// operating system has to enable before they can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Simd {
    /// x87, and MMX which shares its registers.
    X87,
    /// xmm0 to xmm15 by an instruction without a VEX prefix: CR4.OSFXSR.
    Sse,
    /// ymm, xmm by VEX, zmm, masks, tiles: CR4.OSXSAVE and XCR0.
    Extended,
}

/// One line of objdump's.
#[derive(Debug, Clone)]
pub struct Instruction {
    /// Offset in the program.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Its name, the way of AT&T (with the suffix of the size where that is not
    /// in the operands), without prefixes.
    pub name: String,
    /// Its operands, the way of AT&T: sources first, then the destination.
    pub operands: Vec<String>,
}

impl Instruction {
    /// Whether it is none.
    pub fn is_invalid(&self) -> bool {
        let words = self.operands.iter().chain([&self.name]);
        self.name.is_empty()
            || self.name.starts_with('.')
            || words.into_iter().any(|word| word.contains("(bad)"))
    }

    /// The file of registers that it needs, if it is not the general one.
    pub fn simd(&self) -> Option<Simd> {
        let registers = self
            .operands
            .iter()
            .flat_map(|operand| operand.split('%').skip(1))
            .filter_map(|register| file_of(register, self.name.starts_with('v')));
        // Some name no register: fld (%rax), emms, ldmxcsr (%rax), vzeroupper.
        let implied = match self.name.as_str() {
            "emms" | "femms" => Some(Simd::X87),
            "ldmxcsr" | "stmxcsr" => Some(Simd::Sse),
            name if name.starts_with("fxsave") || name.starts_with("fxrstor") => Some(Simd::Sse),
            name if name.starts_with('f') => Some(Simd::X87),
            "wait" => Some(Simd::X87),
            name if name.starts_with("vzero") || name.starts_with("xrstor") => Some(Simd::Extended),
            name if name.starts_with("xsave") || name.starts_with("tile") => Some(Simd::Extended),
            _ => None,
        };
        registers.chain(implied).max()
    }
}

/// The file of a register; `text` starts with its name, without the `%`.
fn file_of(text: &str, is_vex: bool) -> Option<Simd> {
    let name: &str = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default();
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match kind {
        "st" | "mm" => Some(Simd::X87),
        "xmm" if is_vex => Some(Simd::Extended),
        "xmm" => match name["xmm".len()..].parse::<u8>() {
            Ok(0..16) => Some(Simd::Sse),
            _ => Some(Simd::Extended),
        },
        "ymm" | "zmm" | "tmm" | "k" => Some(Simd::Extended),
        _ => None,
    }
}

/// All instructions of `range` of the program; every byte of it is in exactly
/// one of them.
pub fn disassemble(program: &[u8], range: &Range<u64>, bits: Bits) -> Vec<Instruction> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(program).unwrap();
    let output = Command::new("objdump")
        .env("LC_ALL", "C")
        .args(["--disassemble-all", "--disassemble-zeroes", "--wide"])
        .args(["--target=binary", "--disassembler-options=att"])
        .arg(match bits {
            Bits::B32 => "--architecture=i386",
            Bits::B64 => "--architecture=i386:x86-64",
        })
        .arg(format!("--start-address={:#x}", range.start))
        .arg(format!("--stop-address={:#x}", range.end))
        .arg(file.path())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "objdump could not be started ({error}): this test reads the \
                 program with it; install the package `binutils`"
            )
        });
    assert!(
        output.status.success(),
        "objdump ({}) cannot read x86 code; this test needs GNU objdump, of the package \
         `binutils`, for x86: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let code: Vec<_> = text.lines().filter_map(line).collect();

    // What was not understood must not pass for free of SIMD.
    let mut next = range.start;
    for instruction in &code {
        assert_eq!(
            instruction.offset, next,
            "objdump left something out, or its output was not understood:\n{text}"
        );
        next += instruction.len;
    }
    assert_eq!(next, range.end, "objdump stopped early:\n{text}");
    code
}

/// `   2:\t48 89 25 ff 3f 00 00 \tmov    %rsp,0x3fff(%rip)        # 0x4008`
fn line(line: &str) -> Option<Instruction> {
    let (offset, rest) = line.split_once(":\t")?;
    let offset = u64::from_str_radix(offset.trim(), 16).ok()?;
    let (bytes, text) = rest.split_once('\t').unwrap_or((rest, ""));
    let text = text.split('#').next().unwrap_or_default();
    let mut words = text
        .split_whitespace()
        .skip_while(|word| is_prefix(word))
        .peekable();
    // A prefix with nothing behind it stands alone.
    let name = match words.next() {
        Some(name) => name,
        None => text.split_whitespace().last().unwrap_or_default(),
    };
    let operands = words.collect::<Vec<_>>().join(" ");
    Some(Instruction {
        offset,
        len: bytes.split_whitespace().count() as u64,
        name: name.to_owned(),
        operands: split(&operands),
    })
}

/// At the commas outside of parentheses.
fn split(operands: &str) -> Vec<String> {
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in operands.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        match parts.last_mut() {
            Some(part) if c != ',' || depth > 0 => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn is_prefix(word: &str) -> bool {
    const PREFIXES: [&str; 20] = [
        "rep", "repz", "repe", "repnz", "repne", "lock", "data16", "data32", "addr16", "addr32",
        "cs", "ds", "es", "fs", "gs", "ss", "notrack", "bnd", "xacquire", "xrelease",
    ];
    PREFIXES.contains(&word) || word.starts_with("rex") || word.starts_with('{')
}

#[test]
fn what_needs_which_registers_is_told_apart() {
    for (bytes, name, operands, simd) in [
        (&[0xfa][..], "cli", 0, None),
        (&[0x48, 0x01, 0xc8], "add", 2, None),
        (&[0xf3, 0xa4], "movsb", 2, None),
        (&[0x0f, 0x22, 0xe0], "mov", 2, None),
        (
            &[0xf2, 0x4c, 0x0f, 0x38, 0xf1, 0x04, 0x0e],
            "crc32q",
            2,
            None,
        ),
        (
            &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
            "nopw",
            1,
            None,
        ),
        (&[0x0f, 0x00, 0xe0], "verr", 1, None),
        (&[0x0f, 0x28, 0xc1], "movaps", 2, Some(Simd::Sse)),
        (&[0x66, 0x48, 0x0f, 0x6e, 0xc0], "movq", 2, Some(Simd::Sse)),
        (
            &[0x44, 0x0f, 0x11, 0x7c, 0x24, 0x10],
            "movups",
            2,
            Some(Simd::Sse),
        ),
        (&[0x0f, 0xae, 0x10], "ldmxcsr", 1, Some(Simd::Sse)),
        (&[0x0f, 0xae, 0x08], "fxrstor", 1, Some(Simd::Sse)),
        (&[0x0f, 0x6f, 0xc1], "movq", 2, Some(Simd::X87)),
        (&[0xd9, 0xe8], "fld1", 0, Some(Simd::X87)),
        (&[0xdd, 0x00], "fldl", 1, Some(Simd::X87)),
        (&[0xd8, 0xc1], "fadd", 2, Some(Simd::X87)),
        (&[0x0f, 0x77], "emms", 0, Some(Simd::X87)),
        (
            &[0xc5, 0xf8, 0x28, 0xc1],
            "vmovaps",
            2,
            Some(Simd::Extended),
        ),
        (
            &[0xc5, 0xfc, 0x28, 0xc1],
            "vmovaps",
            2,
            Some(Simd::Extended),
        ),
        (&[0xc5, 0xf8, 0x77], "vzeroupper", 0, Some(Simd::Extended)),
        (&[0xc5, 0xf8, 0x92, 0xc8], "kmovw", 2, Some(Simd::Extended)),
        (
            &[0x62, 0xf1, 0x7c, 0x48, 0x28, 0xc1],
            "vmovaps",
            2,
            Some(Simd::Extended),
        ),
        (&[0x0f, 0xae, 0x28], "xrstor", 1, Some(Simd::Extended)),
    ] {
        let code = disassemble(bytes, &(0..bytes.len() as u64), Bits::B64);
        let [instruction] = &code[..] else {
            panic!("{bytes:x?}: {code:?}");
        };
        assert_eq!(instruction.name, name, "{bytes:x?}");
        assert_eq!(instruction.operands.len(), operands, "{instruction:?}");
        assert_eq!(instruction.simd(), simd, "{instruction:?}");
        assert!(!instruction.is_invalid());
    }
}

#[test]
fn what_is_no_instruction_is_said() {
    // push %es, which long mode does not have; the first byte of two.
    for (bytes, bits, is_invalid) in [
        (&[0x06][..], Bits::B64, true),
        (&[0x06], Bits::B32, false),
        (&[0x0f], Bits::B64, true),
        (&[0x90], Bits::B64, false),
    ] {
        let code = disassemble(bytes, &(0..bytes.len() as u64), bits);
        assert_eq!(
            code.iter().any(Instruction::is_invalid),
            is_invalid,
            "{bytes:x?} {bits:?}: {code:?}"
        );
    }
}
