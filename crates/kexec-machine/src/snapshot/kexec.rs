//! What the kernel's kexec says of itself, and whether state is to be handed
//! over to the next kernel (KHO, live update).

use std::collections::BTreeMap;

use kexec_plan::Cmdline;

use super::sysfs::{self, KexecFile};
use super::{KexecState, MemoryRange, version_at_least};
use crate::Fact;
use crate::Root;

/// How many descriptors of one process are looked at for live-update sessions.
const MAX_FDS: usize = 4096;

pub(super) fn read(
    root: &Root,
    release: &str,
    cmdline: &Fact<Cmdline>,
    config: &Fact<BTreeMap<String, String>>,
) -> KexecState {
    KexecState {
        loaded: sysfs::flag(root, KexecFile::Loaded),
        crash_loaded: sysfs::flag(root, KexecFile::CrashLoaded),
        crash_size: sysfs::number(root, KexecFile::CrashSize),
        elfcorehdr_size: sysfs::number(root, KexecFile::ElfcorehdrSize),
        crash_cma_ranges: sysfs::cma_ranges(root),
        crash_hotplug_cpu: sysfs::crash_hotplug(root, "cpu"),
        crash_hotplug_memory: sysfs::crash_hotplug(root, "memory"),
        // Documentation/admin-guide/sysctl/kernel.rst, "kexec_load_disabled" and
        // "kexec_load_limit_*".
        load_disabled: root.flag("/proc/sys/kernel/kexec_load_disabled"),
        load_limit_reboot: limit(root, "/proc/sys/kernel/kexec_load_limit_reboot"),
        load_limit_panic: limit(root, "/proc/sys/kernel/kexec_load_limit_panic"),
        kho: kho(root, release, cmdline, config),
        kho_scratch: kho_scratch(root),
        liveupdate_sessions: sessions(root),
    }
}

fn limit(root: &Root, path: &str) -> Fact<i64> {
    root.parse(path, "a number, -1 for no limit", |text| text.parse().ok())
}

/// Whether kexec handover is on. There is no file that says so to everybody:
/// debugfs has a folder (root only, when it is mounted and the kernel was built
/// with it), the rest follows from `kho=` and the build options
/// (Documentation/admin-guide/mm/kho.rst).
fn kho(
    root: &Root,
    release: &str,
    cmdline: &Fact<Cmdline>,
    config: &Fact<BTreeMap<String, String>>,
) -> Fact<bool> {
    if root.exists("/sys/kernel/debug/kho/out") {
        return Fact::Known(true);
    }
    // Merged in 6.16.
    if version_at_least(release, 6, 16) == Some(false) {
        return Fact::Known(false);
    }
    let Fact::Known(cmdline) = cmdline else {
        return Fact::Unreadable("/proc/cmdline could not be read to look for kho=".to_owned());
    };
    let option = |name: &str| match config {
        Fact::Known(options) => Some(options.get(name).is_some_and(|value| value == "y")),
        _ => None,
    };
    if option("CONFIG_KEXEC_HANDOVER") == Some(false) {
        return Fact::Known(false);
    }
    // The kernel's kstrtobool: only the first letter counts, `on` and `off` by
    // their second.
    let asked = cmdline.value("kho").and_then(|value| {
        let value = value.to_ascii_lowercase();
        match value.as_str() {
            v if v.starts_with(['y', 't', '1']) || v.starts_with("on") => Some(true),
            v if v.starts_with(['n', 'f', '0']) || v.starts_with("of") => Some(false),
            _ => None,
        }
    });
    match (asked, option("CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT")) {
        (Some(asked), _) => Fact::Known(asked),
        (None, Some(default)) => Fact::Known(default),
        (None, None) => Fact::Unreadable(
            "no kho= on the command line, and the kernel's configuration was not found to show \
             the default"
                .to_owned(),
        ),
    }
}

/// Where KHO lets the next kernel live: the scratch areas. debugfs names their
/// starts and lengths in two files, one number per line.
fn kho_scratch(root: &Root) -> Fact<Vec<MemoryRange>> {
    let numbers = |path: &str| {
        root.parse(path, "numbers, one per line", |text| {
            text.split_ascii_whitespace()
                .map(|word| match word.strip_prefix("0x") {
                    Some(hex) => u64::from_str_radix(hex, 16).ok(),
                    None => word.parse().ok(),
                })
                .collect::<Option<Vec<u64>>>()
        })
    };
    let starts = numbers("/sys/kernel/debug/kho/out/scratch_phys");
    let lengths = numbers("/sys/kernel/debug/kho/out/scratch_len");
    starts.and_then(|starts| {
        lengths.map(|lengths| {
            let pairs = starts.iter().zip(&lengths).filter(|(_, len)| **len > 0);
            let ranges = pairs.map(|(start, len)| MemoryRange {
                start: *start,
                end: start.saturating_add(*len),
                kind: "KHO scratch".to_owned(),
                depth: 0,
            });
            ranges.collect()
        })
    })
}

/// Whether some process holds a live-update session. The kernel lists them
/// nowhere; a session is a descriptor whose link is named `[luo_session] NAME`.
fn sessions(root: &Root) -> Fact<bool> {
    if !root.exists("/dev/liveupdate") {
        return if root.exists("/dev") {
            Fact::Known(false)
        } else {
            Fact::Unreadable(
                "/dev does not exist, so /dev/liveupdate was not looked \
                              for"
                .to_owned(),
            )
        };
    }
    let pids = match root.entries("/proc") {
        Fact::Known(names) => names,
        Fact::Absent => return Fact::Unreadable("/proc is not mounted".to_owned()),
        Fact::Unreadable(reason) => return Fact::Unreadable(reason),
    };
    let mut unread = None;
    for pid in pids
        .iter()
        .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
    {
        let folder = format!("/proc/{pid}/fd");
        match root.entries(&folder) {
            Fact::Known(fds) => {
                for fd in fds.iter().take(MAX_FDS) {
                    let link = root.link(&format!("{folder}/{fd}"));
                    if link.known().is_some_and(|l| l.contains("[luo_session]")) {
                        return Fact::Known(true);
                    }
                }
                if fds.len() > MAX_FDS {
                    unread = Some(format!("{folder}: more than {MAX_FDS} descriptors"));
                }
            }
            // The process has ended meanwhile.
            Fact::Absent => {}
            Fact::Unreadable(reason) => unread = Some(reason),
        }
    }
    unread.map_or(Fact::Known(false), Fact::Unreadable)
}
