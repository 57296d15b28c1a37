//! What is known of the running boot: the facts by which an attempt is judged.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kexec_plan::token::stamp_on;
use kexec_plan::{Cmdline, Token};
use serde::{Deserialize, Serialize};

use super::InitTimes;

/// One moment, on every clock there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClockReading {
    /// Milliseconds since 1970, as the machine's clock had it.
    pub realtime: u64,
    /// Milliseconds since the kernel started its clock (`CLOCK_BOOTTIME`).
    pub uptime: u64,
    /// The cycle counter, which goes on over a kexec and begins anew with a
    /// reset; where the processor has one that always runs at one speed.
    pub cycles: Option<u64>,
}

/// What tells the running boot from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFacts {
    /// /proc/sys/kernel/random/boot_id: another one with every kernel.
    pub boot_id: String,
    /// `uname -r`.
    pub release: String,
    /// The token on the command line.
    pub token: Option<Token>,
    /// The clocks at the time when these facts were read.
    pub now: ClockReading,
    /// Cycles per millisecond, measured just now.
    pub cycles_per_ms: Option<u64>,
    /// The cycle counter at the jump, where the purgatory marked it.
    pub jumped: Option<u64>,
    /// Milliseconds of uptime at which the kernel started the first program;
    /// `None` when the kernel's log does not go back so far.
    pub userspace: Option<u64>,
    /// What init knows of the boot, once it was asked.
    #[serde(default)]
    pub init: InitTimes,
}

/// How long the cycle counter is looked at.
const CALIBRATION: Duration = Duration::from_millis(20);

/// The most of the kernel's log that is searched, records.
const LOG_RECORDS: usize = 20_000;

impl ClockReading {
    /// Now, on the machine whose /proc is below `root`.
    pub fn now(root: &Path) -> ClockReading {
        let realtime = SystemTime::now().duration_since(UNIX_EPOCH);
        ClockReading {
            realtime: realtime.map_or(0, milliseconds),
            uptime: milliseconds(uptime()),
            cycles: steady(root).then(kexec_sys::cycles).flatten(),
        }
    }
}

impl BootFacts {
    /// Reads the facts of the running boot; takes some milliseconds where there
    /// is a cycle counter. `None` when the kernel does not say which boot it is.
    pub fn read(root: &Path) -> Option<BootFacts> {
        let text = |path: &str| {
            let text = fs::read_to_string(root.join(path)).ok()?;
            Some(text.trim().to_owned())
        };
        let cmdline = fs::read(root.join("proc/cmdline")).unwrap_or_default();
        let cmdline = Cmdline::new(&cmdline);
        let now = ClockReading::now(root);
        let first = first_program(&root.join("dev/kmsg"));
        Some(BootFacts {
            boot_id: text("proc/sys/kernel/random/boot_id").filter(|id| !id.is_empty())?,
            release: text("proc/sys/kernel/osrelease").unwrap_or_default(),
            token: Token::on(&cmdline),
            cycles_per_ms: now.cycles.and_then(|_| calibrate()),
            now,
            jumped: stamp_on(&cmdline),
            userspace: first.map(|first| first.at),
            init: InitTimes {
                from_initrd: first.is_some_and(|first| first.of_initrd),
                ..InitTimes::default()
            },
        })
    }

    /// When this kernel started its clock, milliseconds since 1970.
    pub fn started(&self) -> u64 {
        self.now.realtime.saturating_sub(self.now.uptime)
    }

    /// Milliseconds from `earlier` to the start of this kernel's clock, by the
    /// cycle counter; `None` when it began anew since then.
    pub(super) fn cycles_to_start(&self, earlier: &ClockReading) -> Option<u64> {
        let passed = self.now.cycles?.checked_sub(earlier.cycles?)?;
        let passed = passed.checked_div(self.cycles_per_ms?)?;
        passed.checked_sub(self.now.uptime)
    }

    /// Milliseconds from the jump to the start of this kernel's clock.
    pub(super) fn jump_to_start(&self) -> Option<u64> {
        let passed = self.now.cycles?.checked_sub(self.jumped?)?;
        let passed = passed.checked_div(self.cycles_per_ms?)?;
        passed.checked_sub(self.now.uptime)
    }

    /// Milliseconds from the processor's reset to the start of this kernel's clock, if
    /// the counter began with 0 there.
    pub(super) fn reset_to_start(&self) -> Option<u64> {
        let passed = self.now.cycles?.checked_div(self.cycles_per_ms?)?;
        passed.checked_sub(self.now.uptime)
    }

    /// Whether the cycle counter was reset when this kernel started, which a
    /// kexec does not do; `None` where that cannot be known.
    pub(super) fn counter_began_anew(&self, earlier: &ClockReading) -> Option<bool> {
        let (now, before) = (self.now.cycles?, earlier.cycles?);
        // What it was when this kernel's clock started; the rate is not exact, and an eighth
        // is more than it is wrong.
        let since = self.now.uptime.checked_mul(self.cycles_per_ms.unwrap_or(0));
        let start = now.saturating_sub(since.unwrap_or(0));
        Some(now < before || start < before.saturating_sub(before / 8))
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since the kernel started its clock, which no clock that is set changes.
pub(super) fn uptime_ms() -> u64 {
    milliseconds(uptime())
}

fn uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or(0),
        time.tv_nsec.try_into().unwrap_or(0),
    )
}

/// Whether the cycle counter runs at one speed whatever the processor does
/// (`constant_tsc` and `nonstop_tsc` in /proc/cpuinfo).
fn steady(root: &Path) -> bool {
    let Ok(text) = fs::read_to_string(root.join("proc/cpuinfo")) else {
        return false;
    };
    let flags = text.lines().find(|line| line.starts_with("flags"));
    let has = |flag| flags.is_some_and(|line| line.split_whitespace().any(|f| f == flag));
    has("constant_tsc") && has("nonstop_tsc")
}

fn calibrate() -> Option<u64> {
    let (from, first) = (uptime(), kexec_sys::cycles()?);
    std::thread::sleep(CALIBRATION);
    let (to, last) = (uptime(), kexec_sys::cycles()?);
    let microseconds = u64::try_from(to.checked_sub(from)?.as_micros()).ok()?;
    let cycles = last.checked_sub(first)?.checked_mul(1000)?;
    cycles.checked_div(microseconds).filter(|c| *c > 0)
}

/// The kernel's first program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FirstProgram {
    /// When it was started, milliseconds of uptime.
    at: u64,
    /// It is the initrd's.
    of_initrd: bool,
}

/// What the kernel starts from an initrd (`ramdisk_execute_command` in init/main.c); on a
/// root file system it tries /sbin/init first.
const INITRDS: &str = "/init";

/// Looks for the kernel's own words about the first program, `Run /init as init
/// process`. /dev/kmsg gives one record with each read
/// (Documentation/ABI/testing/dev-kmsg).
fn first_program(kmsg: &Path) -> Option<FirstProgram> {
    use std::io::Read;
    let mut log = fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().try_into().ok()?)
        .open(kmsg)
        .ok()?;
    let mut record = [0; 8192];
    for _ in 0..LOG_RECORDS {
        let read = match log.read(&mut record) {
            Ok(0) => return None,
            Ok(read) => read,
            // A record was overwritten before it was read; the next one is there.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => continue,
            Err(_) => return None,
        };
        let found = record.get(..read).and_then(first_program_in);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// `6,543,1234567,-;Run /init as init process`: the third field is the uptime
/// in microseconds.
fn first_program_in(record: &[u8]) -> Option<FirstProgram> {
    let text = std::str::from_utf8(record).ok()?;
    let (head, message) = text.split_once(';')?;
    let message = message.lines().next()?;
    let program = message
        .strip_prefix("Run ")?
        .strip_suffix(" as init process")?;
    if !program.starts_with('/') {
        return None;
    }
    let microseconds: u64 = head.split(',').nth(2)?.parse().ok()?;
    Some(FirstProgram {
        at: microseconds / 1000,
        of_initrd: program == INITRDS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_about_its_first_program() {
        let of = |text: &str| first_program_in(text.as_bytes());
        let first = |of_initrd| {
            Some(FirstProgram {
                at: 1234,
                of_initrd,
            })
        };
        assert_eq!(
            of("6,543,1234567,-;Run /init as init process\n"),
            first(true)
        );
        assert_eq!(
            of("6,543,1234567,-;Run /sbin/init as init process"),
            first(false)
        );
        for other in [
            "6,543,1234567,-;Freeing unused kernel image",
            "6,543,x,-;Run /init as init process",
            "Run /init as init process",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(first_program_in(b"6,1,1,-;Run /\xff as init process"), None);
    }

    #[test]
    fn read_below_a_root() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(BootFacts::read(root.path()), None);
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("proc/sys/kernel/random/boot_id", "the-boot\n");
        put("proc/sys/kernel/osrelease", "6.12.1\n");
        put("proc/cmdline", "quiet kexec.id=0123456789abcdef\n");
        let facts = BootFacts::read(root.path()).unwrap();
        assert_eq!(
            (facts.boot_id.as_str(), facts.release.as_str()),
            ("the-boot", "6.12.1")
        );
        assert_eq!(facts.token.unwrap().as_str(), "0123456789abcdef");
        assert_eq!((facts.now.cycles, facts.userspace), (None, None));
    }

    #[test]
    fn the_cycle_counter_tells_kexec_from_reset() {
        let earlier = |cycles| ClockReading {
            realtime: 0,
            uptime: 100_000,
            cycles,
        };
        let facts = BootFacts {
            boot_id: "b".into(),
            release: "r".into(),
            token: None,
            now: ClockReading {
                realtime: 0,
                uptime: 5_000,
                cycles: Some(220_000_000),
            },
            cycles_per_ms: Some(1_000),
            jumped: None,
            userspace: None,
            init: InitTimes::default(),
        };
        let before = earlier(Some(200_000_000));
        assert_eq!(facts.cycles_to_start(&before), Some(15_000));
        assert_eq!(facts.counter_began_anew(&before), Some(false));
        let more = earlier(Some(300_000_000));
        assert_eq!(facts.cycles_to_start(&more), None);
        assert_eq!(facts.counter_began_anew(&more), Some(true));
        assert_eq!(facts.counter_began_anew(&earlier(None)), None);
        // Reset, and up for longer than the boot before.
        let long = BootFacts {
            now: ClockReading {
                uptime: 210_000,
                ..facts.now
            },
            ..facts
        };
        assert_eq!(long.counter_began_anew(&before), Some(true));
    }
}
