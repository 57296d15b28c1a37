//! What would make the downtime shorter: one row each. None of it is a fault of the load,
//! and what has another price than work says which.

use kexec_plan::{Method, SyscallChoice};
use serde::Serialize;

use super::consoles::BITS_PER_BYTE;
use super::facts::DowntimeFacts;
use super::phases::{Phase, decompression, name};
use super::rates::{Rates, millis};

/// Something that would make the downtime shorter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Advice {
    /// The name of the row.
    pub name: &'static str,
    /// How much shorter, about, in milliseconds; null where that cannot be said.
    pub saves_millis: Option<u64>,
    /// What takes the time.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// What a row looks at.
struct Costs<'a> {
    facts: &'a DowntimeFacts,
    rates: &'a Rates,
    phases: &'a [Phase],
}

impl Costs<'_> {
    /// Milliseconds of a phase.
    fn of(&self, name: &str) -> u64 {
        let phase = self.phases.iter().find(|phase| phase.name == name);
        phase.map_or(0, |phase| phase.millis)
    }

    /// Milliseconds of so many million instructions of a kernel's boot.
    fn of_boot(&self, million: u64) -> u64 {
        self.rates.boot_nanos_per_million().saturating_mul(million) / 1_000_000
    }
}

/// A row: the advice, where it applies.
type Row = fn(&Costs<'_>) -> Option<Advice>;

/// `cma=`, with which kernels from 7.3 on leave their check out, is none of them: 7.3.4 loses
/// the next kernel's initrd, and no image is put there.
const ROWS: &[Row] = &[
    serial_console,
    system_call,
    unpack_kernel,
    initrd_codec,
    self_tests,
    calibration,
    shutdown,
];

/// Every advice that applies, what saves most first.
pub(super) fn all(facts: &DowntimeFacts, rates: &Rates, phases: &[Phase]) -> Vec<Advice> {
    let costs = Costs {
        facts,
        rates,
        phases,
    };
    let mut all: Vec<Advice> = ROWS.iter().filter_map(|row| row(&costs)).collect();
    all.sort_by_key(|advice| std::cmp::Reverse(advice.saves_millis));
    all
}

/// Less than this many milliseconds is not worth a word.
const WORTH: u64 = 100;

fn serial_console(costs: &Costs<'_>) -> Option<Advice> {
    let saves = costs.of(name::MESSAGES);
    let names: Vec<String> = costs
        .facts
        .consoles
        .iter()
        .map(ToString::to_string)
        .collect();
    (saves >= WORTH).then(|| Advice {
        name: "serial-console",
        saves_millis: Some(saves),
        why: format!(
            "the next kernel waits until its messages are written to {}, {BITS_PER_BYTE} bits for \
             each byte",
            names.join(" and ")
        ),
        remedy: "add `quiet` (or `loglevel=4`) to its command line; the messages stay in its log \
                 (dmesg)"
            .to_owned(),
    })
}

/// `-s` and `-a`, where nothing else asks for them.
fn system_call(costs: &Costs<'_>) -> Option<Advice> {
    let facts = costs.facts;
    let option = match facts.choice {
        SyscallChoice::File => "-s",
        SyscallChoice::Auto => "-a",
        SyscallChoice::Classic | SyscallChoice::Fastest => return None,
    };
    if facts.method != Method::FileLoad || facts.verified {
        return None;
    }
    let packed = facts.kernel.packed.as_ref();
    let bytes = facts
        .initrd
        .iter()
        .map(|part| part.unpacked)
        .fold(packed.map_or(0, |p| p.unpacked), u64::saturating_add);
    let hash = costs.of(name::INTEGRITY);
    let others = millis(bytes, costs.rates.crc32c);
    let saves = hash
        .saturating_add(costs.of(name::KERNEL))
        .saturating_sub(others);
    (saves >= WORTH).then(|| Advice {
        name: "system-call",
        saves_millis: Some(saves),
        why: "kexec_file_load(2) takes the kernel only as it is in its file, and the running \
              kernel's purgatory checks it with SHA-256"
            .to_owned(),
        remedy: format!(
            "leave `{option}` out: kexec_load(2) is used then, and the kernel unpacked before the \
             jump. The running kernel checks no signature then; this machine does not ask it to"
        ),
    })
}

fn unpack_kernel(costs: &Costs<'_>) -> Option<Advice> {
    let facts = costs.facts;
    let why = facts.kernel.not_unpacked.as_ref()?;
    let saves = costs.of(name::KERNEL);
    if facts.method != Method::ClassicLoad || saves == 0 {
        return None;
    }
    let remedy = if why.unwanted {
        "leave `--unpack=never` out, or use `--unpack=auto` with the options of kexec-tools"
    } else if why.may_be_insisted {
        "once you know that it is safe: `--unpack=always`; `kexec history` shows how the last \
         jumps went"
    } else {
        return None;
    };
    Some(Advice {
        name: "unpack-kernel",
        saves_millis: Some(saves),
        why: format!(
            "the next kernel unpacks itself after the jump: {}",
            why.reason
        ),
        remedy: remedy.to_owned(),
    })
}

/// What unpacks slowly, and more slowly than zstd would.
fn initrd_codec(costs: &Costs<'_>) -> Option<Advice> {
    let (facts, rates) = (costs.facts, costs.rates);
    let slow = facts
        .initrd
        .iter()
        .filter(|part| matches!(part.codec, Some("xz" | "gzip" | "bzip2" | "lzma")));
    let (mut now, mut then, mut codecs) = (0_u64, 0_u64, Vec::new());
    for part in slow {
        now = now.saturating_add(decompression(part, rates));
        then = then.saturating_add(millis(part.unpacked, rates.zstd));
        codecs.extend(part.codec);
    }
    codecs.dedup();
    let saves = now.saturating_sub(then);
    (now > WORTH && saves > 0).then(|| Advice {
        name: "initrd-codec",
        saves_millis: Some(saves),
        why: format!(
            "the next kernel unpacks its initrd out of {}",
            codecs.join(" and ")
        ),
        remedy: format!(
            "rebuild it with zstd (COMPRESS=zstd in /etc/initramfs-tools/initramfs.conf, \
             compress=\"zstd\" in /etc/dracut.conf.d/, COMPRESSION=\"zstd\" in \
             /etc/mkinitcpio.conf); {}",
            match &facts.kernel.not_unpacked {
                Some(why) if why.unwanted => "or leave `--unpack=never` out",
                _ => "`kexec plan` shows why it stays packed",
            }
        ),
    })
}

/// 437 million instructions of a boot of Debian's kernel 7.3.4, of 1250.
const SELF_TESTS: u64 = 437;

/// Never where the tests are what somebody relies on.
fn self_tests(costs: &Costs<'_>) -> Option<Advice> {
    let facts = costs.facts;
    let machine = &facts.machine;
    let wanted = machine.fips || facts.next_fips || facts.no_tests;
    (machine.self_tests && !wanted).then(|| Advice {
        name: "crypto-self-tests",
        saves_millis: Some(costs.of_boot(SELF_TESTS)),
        why: "the next kernel tests its crypto code while it boots".to_owned(),
        remedy: "add `cryptomgr.notests` to its command line. This weakens the machine: crypto \
                 code that computes wrong results is then not noticed; leave the tests on where \
                 FIPS 140 or another rule asks for them"
            .to_owned(),
    })
}

/// 12 to 20 million instructions on the same processor.
const CALIBRATION: u64 = 16;

fn calibration(costs: &Costs<'_>) -> Option<Advice> {
    let saves = costs.of_boot(CALIBRATION);
    (!costs.facts.lpj && saves > 0).then(|| Advice {
        name: "lpj",
        saves_millis: Some(saves),
        why: "where the next kernel does not know the clock of its processor, it measures its \
              delay loop"
            .to_owned(),
        remedy: "add `lpj=N` to its command line, with the number in the running kernel's log: \
                 dmesg | grep -o 'lpj=[0-9]*'. It is right for this processor only"
            .to_owned(),
    })
}

/// So many NVMe controllers take their time, one after the other.
const MANY: usize = 4;

fn shutdown(costs: &Costs<'_>) -> Option<Advice> {
    let machine = &costs.facts.machine;
    let applies = machine.nvme >= MANY && machine.parallel_shutdown_is_off;
    applies.then(|| Advice {
        name: "parallel-shutdown",
        saves_millis: None,
        why: format!(
            "before the jump, the running kernel shuts its devices down one after the other, \
             among them {} NVMe controllers",
            machine.nvme
        ),
        remedy: format!("kexec enable {PARALLEL_SHUTDOWN}"),
    })
}

/// The feature that shuts devices down side by side.
pub const PARALLEL_SHUTDOWN: &str = "parallel-shutdown";
