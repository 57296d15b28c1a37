//! A virtual machine that holds nothing but what a test puts into its memory.
//!
//! It starts in a few lines of machine code (a multiboot kernel to QEMU) that
//! leave the processor as a kernel's kexec code does: 64-bit mode, identity
//! mapping, CR4 = PAE, no descriptor tables. They jump to the purgatory. What it
//! jumps to is a few lines more, which report the registers at port 0xe9 and end
//! the machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs};

use kexec_purgatory::{Params, entry, image};

/// Where the stack pointer stands when the purgatory is entered.
pub const CALLER_STACK: u64 = 0x11_8ff0;
/// The word there.
pub const RETURN_ADDRESS: u64 = 0x00ff_1234_5678_9abc;
/// CR0 then: PG, NE, ET, PE.
pub const CR0: u64 = 0x8000_0031;

const START: u64 = 0x10_0000;
const PAGE_TABLES: u64 = 0x10_1000;
const RECORD: u64 = 0x11_0000;
const RECORD_64: usize = 21 * 8;
const RECORD_32: usize = 14 * 4;
/// What the end writes to QEMU's isa-debug-exit, which makes it 2 n + 1.
const EXIT: u8 = 0x2a;
const EXIT_STATUS: i32 = 0x55;
const PATIENCE: Duration = Duration::from_secs(120);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// What was to be jumped to ran.
    Target,
    /// The machine was reset.
    Reset,
    /// Neither, in two minutes.
    Hang,
    /// QEMU did not like it.
    Qemu,
}

/// What a run left.
#[derive(Debug)]
pub struct Run {
    pub end: End,
    /// What came out of ttyS0.
    pub serial: String,
    pub took: Duration,
    /// What QEMU said; for the message of a failed test.
    #[expect(dead_code, reason = "printed by Debug")]
    qemu: String,
    report: Vec<u8>,
    record: usize,
}

impl Run {
    /// rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 to r15, cr0, cr4, cs, ds, ss.
    pub fn registers64(&self) -> Vec<u64> {
        let (words, _) = self.report[..RECORD_64].as_chunks::<8>();
        words.iter().map(|word| u64::from_le_bytes(*word)).collect()
    }

    /// eax, ebx, ecx, edx, esi, edi, ebp, esp, cr0, cr4, cs, ds, ss, EFER.
    pub fn registers32(&self) -> Vec<u64> {
        let (words, _) = self.report[..RECORD_32].as_chunks::<4>();
        words
            .iter()
            .map(|word| u32::from_le_bytes(*word).into())
            .collect()
    }

    /// The memory asked for.
    pub fn dumped(&self) -> &[u8] {
        &self.report[self.record..]
    }
}

/// The machine before it runs.
pub struct Machine {
    qemu: OsString,
    pub cpu: String,
    pub machine: String,
    pub memory: String,
    pieces: BTreeMap<u64, Vec<u8>>,
    target: Option<(u64, bool)>,
    dumps: Vec<(u64, usize)>,
    start: u64,
}

impl Machine {
    /// A machine that `KEXEC_QEMU` runs.
    ///
    /// # Panics
    /// If it is not set, or there is no purgatory for this architecture.
    pub fn new() -> Self {
        let qemu = env::var_os("KEXEC_QEMU")
            .expect("looked for KEXEC_QEMU, which names a QEMU: it is not set");
        assert!(
            kexec_purgatory::BLOB.is_some(),
            "{}",
            kexec_purgatory::UNAVAILABLE
        );
        let mut machine = Self {
            qemu,
            cpu: "max".into(),
            machine: "q35".into(),
            memory: "256M".into(),
            pieces: BTreeMap::new(),
            target: None,
            dumps: Vec::new(),
            start: 0,
        };
        machine.put(CALLER_STACK, RETURN_ADDRESS.to_le_bytes().to_vec());
        machine
    }

    /// Puts bytes into memory.
    pub fn put(&mut self, at: u64, bytes: Vec<u8>) {
        self.pieces.insert(at, bytes);
    }

    /// The bytes put at an address.
    pub fn bytes(&self, at: u64) -> Vec<u8> {
        self.pieces[&at].clone()
    }

    /// Changes a bit of what was put there.
    pub fn flip(&mut self, at: u64) {
        let (start, piece) = self
            .pieces
            .range_mut(..=at)
            .next_back()
            .expect("something is there");
        piece[usize::try_from(at - start).unwrap()] ^= 4;
    }

    /// Puts the purgatory there, to be run first.
    pub fn purgatory(&mut self, base: u64, params: &Params) {
        self.put(base, image(base, params).unwrap());
        self.start = entry(base);
    }

    /// Puts 64-bit code there that reports.
    pub fn target64(&mut self, at: u64) {
        self.target = Some((at, true));
    }

    /// Puts 32-bit code there that reports.
    pub fn target32(&mut self, at: u64) {
        self.target = Some((at, false));
    }

    /// Has the target report memory, too.
    pub fn dump(&mut self, at: u64, len: usize) {
        self.dumps.push((at, len));
    }

    /// Runs it, to one of its ends. One at a time.
    pub fn run(&self) -> Run {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("start"), start_code(self.start)).unwrap();

        let mut qemu = Command::new(&self.qemu);
        qemu.args([
            "-machine",
            &self.machine,
            "-accel",
            "tcg",
            "-cpu",
            &self.cpu,
            "-m",
            &self.memory,
        ])
        .args([
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
            "-vga",
            "std",
        ])
        .args([
            "-device",
            "isa-debug-exit,iobase=0xf4,iosize=4",
            "-kernel",
            "start",
        ])
        .args(["-serial", "file:serial", "-debugcon", "file:report"]);
        let mut put = |at: u64, bytes: &[u8]| {
            let name = format!("{at:x}");
            fs::write(path(&name), bytes).unwrap();
            qemu.arg("-device")
                .arg(format!("loader,file={name},addr={at:#x},force-raw=on"));
        };
        for (at, bytes) in &self.pieces {
            put(*at, bytes);
        }
        if let Some((at, long)) = self.target {
            put(at, &report_code(long, &self.dumps));
        }

        let started = Instant::now();
        let (status, output) = ends(qemu.current_dir(dir.path()), &path("errors"));
        let took = started.elapsed();
        Run {
            end: match status {
                None => End::Hang,
                Some(EXIT_STATUS) => End::Target,
                Some(0) => End::Reset,
                Some(_) => End::Qemu,
            },
            serial: String::from_utf8_lossy(&fs::read(path("serial")).unwrap_or_default())
                .into_owned(),
            took,
            qemu: output,
            report: fs::read(path("report")).unwrap_or_default(),
            record: if matches!(self.target, Some((_, false))) {
                RECORD_32
            } else {
                RECORD_64
            },
        }
    }
}

/// The status QEMU ends with, if it ends in time, and what it says.
fn ends(qemu: &mut Command, errors: &Path) -> (Option<i32>, String) {
    let stderr = fs::File::create(errors).unwrap();
    let mut child = qemu
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status.code().unwrap_or(-1));
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    (status, fs::read_to_string(errors).unwrap_or_default())
}

/// An address that an instruction holds in 32 bits.
fn short(address: u64) -> [u8; 4] {
    u32::try_from(address).unwrap().to_le_bytes()
}

/// The multiboot kernel: a header, 32-bit code, 64-bit code, page tables.
fn start_code(purgatory: u64) -> Vec<u8> {
    const GDT: u64 = START + 0x100;
    const GDTR: u64 = START + 0x120;
    const NO_TABLE: u64 = START + 0x130;
    const CODE_32: u64 = START + 0x40;
    const CODE_64: u64 = START + 0x80;
    let mut image = vec![0; 0x3000];
    let mut put = |at: u64, parts: &[&[u8]]| {
        let at = usize::try_from(at - START).unwrap();
        let bytes = parts.concat();
        image[at..at + bytes.len()].copy_from_slice(&bytes);
    };

    // Multiboot Specification 0.6.96, section 3.1: with the addresses (bit 16).
    let (magic, flags) = (0x1bad_b002_u32, 0x1_0000_u32);
    let checksum = 0_u32.wrapping_sub(magic + flags);
    let end = START + 0x3000;
    put(
        START,
        &[
            &magic.to_le_bytes(),
            &flags.to_le_bytes(),
            &checksum.to_le_bytes(),
        ],
    );
    put(
        START + 12,
        &[
            &short(START),
            &short(START),
            &short(end),
            &short(end),
            &short(CODE_32),
        ],
    );

    put(
        CODE_32,
        &[
            &[0xfa],                                  // cli
            &[0xb8, 0x20, 0, 0, 0, 0x0f, 0x22, 0xe0], // cr4 = PAE
            &[0xb8],
            &short(PAGE_TABLES),
            &[0x0f, 0x22, 0xd8], // cr3
            &[0xb9],
            &short(0xc000_0080),                         // ecx = EFER
            &[0xb8, 0, 1, 0, 0, 0x31, 0xd2, 0x0f, 0x30], // wrmsr LME
            &[0xb8],
            &short(CR0),
            &[0x0f, 0x22, 0xc0], // cr0
            &[0x0f, 0x01, 0x15],
            &short(GDTR), // lgdt
            &[0xea],
            &short(CODE_64),
            &[8, 0], // ljmp 8:CODE_64
        ],
    );
    put(
        CODE_64,
        &[
            &[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0], // ds = es = ss = 0
            &[0x0f, 0x01, 0x1c, 0x25],
            &short(NO_TABLE), // lidt
            &[0x0f, 0x01, 0x14, 0x25],
            &short(NO_TABLE), // lgdt
            &[0x48, 0xbc],
            &CALLER_STACK.to_le_bytes(), // rsp
            &[0x48, 0xb8],
            &purgatory.to_le_bytes(), // rax
            &[0xff, 0xe0],            // jmp rax
        ],
    );
    put(GDT + 8, &[&0x00af_9b00_0000_ffff_u64.to_le_bytes()]);
    put(GDTR, &[&15_u16.to_le_bytes(), &short(GDT)]);

    // Eight pages of 1 GiB.
    put(PAGE_TABLES, &[&(PAGE_TABLES + 0x1000 + 3).to_le_bytes()]);
    for gib in 0..8 {
        put(
            PAGE_TABLES + 0x1000 + 8 * gib,
            &[&((gib << 30) + 0x83).to_le_bytes()],
        );
    }
    image
}

/// Writes the registers to `RECORD`, then that and the dumps to port 0xe9, and
/// ends the machine.
fn report_code(long: bool, dumps: &[(u64, usize)]) -> Vec<u8> {
    let mut code = Vec::new();
    let mut at = RECORD;
    let mut store = |code: &mut Vec<u8>, register: u8| {
        // mov [at], register
        if long {
            code.extend([
                0x48 | (register >> 3 << 2),
                0x89,
                0x04 | ((register & 7) << 3),
                0x25,
            ]);
        } else {
            code.extend([0x89, 0x05 | (register << 3)]);
        }
        code.extend(short(at));
        at += if long { 8 } else { 4 };
    };
    let general: &[u8] = &[0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];
    for register in if long { general } else { &general[..8] } {
        store(&mut code, *register);
    }
    for into_eax in [
        &[0x0f, 0x20, 0xc0][..],
        &[0x0f, 0x20, 0xe0],
        &[0x8c, 0xc8],
        &[0x8c, 0xd8],
        &[0x8c, 0xd0],
    ] {
        code.extend(into_eax);
        store(&mut code, 0);
    }
    if !long {
        code.extend([0xb9, 0x80, 0, 0, 0xc0, 0x0f, 0x32]); // rdmsr EFER
        store(&mut code, 0);
    }
    let record = (RECORD, if long { RECORD_64 } else { RECORD_32 });
    for (from, len) in [&[record], dumps].concat() {
        code.push(0xbe); // esi
        code.extend(short(from));
        code.push(0xb9); // ecx
        code.extend(short(len as u64));
        code.extend([0xba, 0xe9, 0, 0, 0, 0xf3, 0x6e]); // edx; rep outsb
    }
    code.extend([0xba, 0xf4, 0, 0, 0, 0xb8, EXIT, 0, 0, 0, 0xef]); // out dx, eax
    code.extend([0xeb, 0xfe]);
    code
}
