//! How large the region of a crash kernel has to be: a sum of parts, each with its reason.
//! What the kernel takes for itself was measured in virtual machines, per release.

use kexec_machine::{Fact, Snapshot};
use serde::Serialize;

use crate::size::{MIB, parameter};

/// What an estimate is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The kernel's release, `6.12.57+deb13-amd64`.
    pub release: Option<String>,
    /// Bytes that the kernel takes until it runs: `init_size` of the boot protocol.
    pub kernel: u64,
    /// Bytes of the initrd as it is loaded.
    pub initrd: u64,
    /// Bytes of the initrd, unpacked; `None` where it could not be unpacked here.
    pub unpacked: Option<u64>,
    /// Whether the command line has `root=`: without it, the initrd is unpacked into a
    /// tmpfs, which takes half of the memory at most.
    pub has_root: bool,
    /// What runs to save the dump.
    pub programs: Programs,
    /// Bytes that it takes to open an encrypted target with a passphrase.
    pub keys: Fact<u64>,
    /// Whether the memory of the machine is [encrypted](is_encrypted).
    pub encrypted: bool,
}

/// What runs to save the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    /// A few programs of the initrd.
    Few,
    /// An initrd in which systemd runs.
    Systemd,
    /// The system on the disk.
    System,
}

impl Programs {
    /// Bytes, and what they are for. Those of the first were measured (makedumpfile with its
    /// buffer of 4 MiB, makedumpfile(8), a shell). systemd with udev, journald, logind and D-Bus adds
    /// 17 MiB: Debian 13's small installed system, started as a crash kernel of 512 MiB, left 415
    /// available at the worst time, and the kernel's own parts of the sum are 80
    /// (`kexec-lab/tests/crash_whole_system.rs`). Rounded up to 8 MiB; and for the system on the
    /// disk half as much again, because a server has more services.
    fn need(self) -> (u64, &'static str) {
        match self {
            Programs::Few => (16 * MIB, "a shell, makedumpfile and its buffer"),
            Programs::Systemd => (40 * MIB, "systemd of the initrd starts what saves the dump"),
            Programs::System => (
                64 * MIB,
                "the system on the disk is started to save the dump",
            ),
        }
    }
}

/// One part of the sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Part {
    /// What takes it.
    pub what: &'static str,
    /// Bytes.
    pub bytes: u64,
    /// How that is known.
    pub why: String,
}

/// How large the region has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Estimate {
    /// Bytes, a multiple of 8 MiB.
    pub bytes: u64,
    /// The parameter: `crashkernel=192M`; null where the initrd is unknown, which may take
    /// most of it.
    pub parameter: Option<String>,
    /// The kernel and the initrds that it is for; empty where it is for a kernel at large.
    pub files: Vec<String>,
    /// What it is the sum of.
    pub parts: Vec<Part>,
    /// What could not be looked at, and what was taken instead.
    pub notes: Vec<String>,
}

/// The estimate is a multiple of this: no more exact than what was measured, in steps of
/// 8 MiB.
pub const STEP: u64 = 8 * MIB;

/// What kernels from a release on take beyond `init_size`, while one processor runs: page
/// tables, slabs, per-CPU areas, drivers, and the first programs. Measured as the smallest
/// region in which Debian's cloud kernel read /proc/vmcore with an initrd of 2 MB (80 MiB of
/// 6.1.0-50, 72 MiB of 6.12.117, 88 MiB of 7.3.4, in steps of 8 MiB), less `init_size` and
/// the initrd; rounded up. Each row: from which release on, with which it was measured, bytes.
const OWN: &[((u32, u32), &str, u64)] = &[
    ((0, 0), "6.1", 24 * MIB),
    ((6, 12), "6.12", 16 * MIB),
    ((7, 0), "7.3", 24 * MIB),
];

/// Memory is described in sections of 128 MiB, 64 bytes for each page
/// (Documentation/mm/memory-model.rst, "SPARSEMEM"): 2 MiB for a section that is only begun.
const SECTION: u64 = 128 * MIB;
/// Bytes that describe a section.
const DESCRIPTION: u64 = 2 * MIB;
/// Bytes of a tmpfs that are taken by what is no content: pages that are not full, inodes.
const SLACK_SHARE: u64 = 16;
/// Where memory is encrypted, devices reach a part only that is not: Linux sets it aside early,
/// 64 MiB at least, and 6 % of a large memory (`mem_encrypt_setup_arch` of
/// arch/x86/mm/mem_encrypt.c, `IO_TLB_DEFAULT_SIZE` of include/linux/swiotlb.h).
const BOUNCE: u64 = 64 * MIB;
/// No more than this is set aside (the same function).
const BOUNCE_MAX: u64 = 1 << 30;
/// The share of the other parts: 6 % of the sum with this one.
const BOUNCE_SHARE: u64 = 15;
/// What cryptsetup takes beyond the memory that argon2 fills. Measured as the largest resident
/// set of `cryptsetup open --test-passphrase` (2.6.1): 73,228 KiB for a key slot of 65,536 KiB,
/// 73,656 with four threads, 1,056,216 for one of 1,048,576, 8,168 for one with PBKDF2.
const CRYPTSETUP: u64 = 8 * MIB;
/// Without a look into the initrd: what zstd and xz usually make of one.
const USUAL_RATIO: u64 = 3;

/// Estimates the region.
pub fn estimate(needs: &Needs) -> Estimate {
    let mut notes = Vec::new();
    let unpacked = needs.unpacked.unwrap_or_else(|| {
        notes.push(format!(
            "the initrd could not be unpacked here; {USUAL_RATIO} times its size was taken"
        ));
        needs.initrd.saturating_mul(USUAL_RATIO)
    });
    let (own, measured) = own(needs.release.as_deref(), &mut notes);
    let (programs, programs_why) = needs.programs.need();
    let part = |what, bytes, why: &str| Part {
        what,
        bytes,
        why: why.to_owned(),
    };
    let mut parts = vec![
        part("kernel", needs.kernel, "init_size of its header"),
        part("initrd", needs.initrd, "as it is loaded"),
        part("initrd, unpacked", unpacked, "beside the packed one"),
        part(
            "kernel's own memory",
            own,
            &format!("measured for Linux {measured}"),
        ),
        part("programs", programs, programs_why),
    ];
    match &needs.keys {
        Fact::Known(keys) if *keys > 0 => {
            let why = "argon2, by the LUKS header of the target, and cryptsetup itself";
            let bytes = keys.saturating_add(CRYPTSETUP);
            parts.push(part("passphrase of the target", bytes, why));
        }
        Fact::Known(_) | Fact::Absent => {}
        Fact::Unreadable(why) => notes.push(format!(
            "whether the target needs a passphrase, and how much memory that takes, is unknown: {why}"
        )),
    }
    if needs.encrypted {
        let others = parts.iter().fold(0, |s: u64, p| s.saturating_add(p.bytes));
        let bounce = (others / BOUNCE_SHARE).clamp(BOUNCE, BOUNCE_MAX);
        let why = "the machine's memory is encrypted, and devices reach only what is not";
        parts.push(part("bounce buffers of devices", bounce, why));
    }
    let sum = |parts: &[Part]| parts.iter().fold(0, |s: u64, p| s.saturating_add(p.bytes));
    let before = sum(&parts);
    // The region begins and ends somewhere in a section, and low memory is in another one.
    let sections = (before / SECTION).saturating_add(3);
    let pages = sections.saturating_mul(DESCRIPTION);
    let why = format!("{sections} sections of 128 MiB");
    parts.push(part("descriptions of pages", pages, &why));
    // While it is unpacked, the memory of the packed one is not counted.
    let half = unpacked.saturating_mul(2);
    let half = half.saturating_add(unpacked / SLACK_SHARE);
    let half = half
        .saturating_add(needs.kernel)
        .saturating_add(needs.initrd);
    let total = sum(&parts);
    if !needs.has_root && half > total {
        let why = "without root=, the initrd is unpacked into half of the memory at most";
        parts.push(part("other half of the tmpfs", half - total, why));
    }
    let bytes = sum(&parts)
        .checked_next_multiple_of(STEP)
        .unwrap_or(u64::MAX);
    Estimate {
        bytes,
        parameter: Some(format!("crashkernel={}", parameter(bytes))),
        files: Vec::new(),
        parts,
        notes,
    }
}

impl Estimate {
    /// The same, where no initrd is known: the sum is no answer, and there is no parameter.
    pub fn without_initrd(mut self) -> Estimate {
        self.parameter = None;
        self
    }
}

/// Whether the memory of the machine is encrypted, so that devices need buffers that are not: a
/// virtual machine by the processor's word (SEV, TDX), or a machine with AMD's SME that was
/// asked for (Documentation/admin-guide/kernel-parameters.txt, "mem_encrypt="). The crash kernel
/// of such a machine encrypts it again.
pub fn is_encrypted(host: &Snapshot) -> bool {
    let firmware = &host.firmware;
    let kind = firmware.hypervisor.known().map(String::as_str);
    let asked = host
        .cmdline
        .known()
        .and_then(|line| line.value("mem_encrypt"));
    let asked = match asked.as_deref() {
        Some("on") => true,
        Some("off") => false,
        _ => host.built_with("CONFIG_AMD_MEM_ENCRYPT_ACTIVE_BY_DEFAULT") == Some(true),
    };
    firmware.encrypted_guest.is_true()
        || matches!(kind, Some("tdx" | "sev-snp"))
        || (firmware.sme_possible.is_true() && asked)
}

/// What a kernel takes for itself, and with which release that was measured.
fn own(release: Option<&str>, notes: &mut Vec<String>) -> (u64, &'static str) {
    let largest = || {
        let rows = OWN.iter().rev().max_by_key(|row| row.2);
        rows.map_or((0, ""), |(_, measured, bytes)| (*bytes, *measured))
    };
    let version = release.and_then(version);
    let Some(version) = version else {
        notes.push(
            "the release of the kernel is unknown; the largest measured need was taken".to_owned(),
        );
        return largest();
    };
    let row = OWN.iter().rev().find(|(from, _, _)| *from <= version);
    row.map_or_else(largest, |(_, measured, bytes)| (*bytes, *measured))
}

/// `major.minor` of a release.
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn needs() -> Needs {
        Needs {
            release: Some("6.12.57+deb13-cloud-amd64".to_owned()),
            kernel: 40 * MIB,
            initrd: MIB,
            unpacked: Some(2 * MIB),
            has_root: true,
            programs: Programs::Few,
            keys: Fact::Known(0),
            encrypted: false,
        }
    }

    #[test]
    fn the_parts_are_the_sum() {
        let found = estimate(&needs());
        let sum: u64 = found.parts.iter().map(|p| p.bytes).sum();
        assert!(found.bytes >= sum && found.bytes - sum < STEP);
        assert_eq!(found.bytes % STEP, 0);
        assert_eq!(
            found.parameter,
            Some(format!("crashkernel={}M", found.bytes / MIB))
        );
        assert_eq!(found.notes, Vec::<String>::new());
    }

    #[test]
    fn without_an_initrd_there_is_no_parameter() {
        assert_eq!(estimate(&needs()).without_initrd().parameter, None);
    }

    #[test]
    fn a_part_names_the_release_that_was_measured() {
        let of = |release: &str| {
            let found = estimate(&Needs {
                release: Some(release.to_owned()),
                ..needs()
            });
            let own = found.parts.into_iter().find(|p| p.what.contains("own"));
            own.unwrap().why
        };
        assert_eq!(of("5.10.0"), "measured for Linux 6.1");
        assert_eq!(of("6.12.57"), "measured for Linux 6.12");
        assert_eq!(of("7.4"), "measured for Linux 7.3");
    }

    #[test]
    fn what_takes_more_needs_more() {
        let plain = estimate(&needs()).bytes;
        let of = |change: fn(&mut Needs)| {
            let mut needs = needs();
            change(&mut needs);
            estimate(&needs)
        };
        assert!(of(|n| n.kernel += 32 * MIB).bytes > plain);
        assert!(of(|n| n.initrd += 32 * MIB).bytes > plain);
        assert!(of(|n| n.programs = Programs::Systemd).bytes > plain);
        assert!(of(|n| n.programs = Programs::System).bytes >= plain + 48 * MIB);
        // 1,056,216 KiB were seen.
        let keys = of(|n| n.keys = Fact::Known(1 << 30));
        assert!(keys.bytes >= plain + 1_056_216 * 1024);
        let unseen = of(|n| {
            n.initrd = 40 * MIB;
            n.unpacked = None;
        });
        assert!(unseen.bytes > plain + 150 * MIB);
        assert_eq!(unseen.notes.len(), 1);
        let unnamed = of(|n| n.release = None);
        assert!(unnamed.bytes >= plain && unnamed.notes.len() == 1);
    }

    #[test]
    fn encrypted_memory_needs_buffers_for_devices() {
        let of = |kernel, encrypted| {
            let found = estimate(&Needs {
                kernel,
                encrypted,
                ..needs()
            });
            let bounce = found.parts.iter().find(|p| p.what.contains("bounce"));
            (bounce.map(|part| part.bytes), found.bytes)
        };
        let (none, plain) = of(40 * MIB, false);
        let (bounce, bytes) = of(40 * MIB, true);
        assert_eq!((none, bounce), (None, Some(64 * MIB)));
        assert!(bytes >= plain + 64 * MIB);
        // 6 % of all of it, and 1 GiB at most.
        let (bounce, bytes) = of(4 << 30, true);
        assert!(bounce.is_some_and(|bounce| bounce >= bytes * 6 / 100));
        assert_eq!(of(64 << 30, true).0, Some(1 << 30));
    }

    #[test]
    fn encryption_is_seen_by_what_is_on() {
        let machines = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../kexec-machine/tests/machines"
        );
        let host = || Snapshot::read(&std::path::Path::new(machines).join("crash-reserved"));
        assert!(!is_encrypted(&host()));
        let mut guest = host();
        guest.firmware.encrypted_guest = Fact::Known(true);
        assert!(is_encrypted(&guest));
        let mut guest = host();
        guest.firmware.hypervisor = Fact::Known("tdx".to_owned());
        assert!(is_encrypted(&guest));
        // What the processor could do is not what it does.
        let mut server = host();
        server.firmware.sme_possible = Fact::Known(true);
        assert!(!is_encrypted(&server));
        server.cmdline = Fact::Known("mem_encrypt=on".into());
        assert!(is_encrypted(&server));
    }

    #[test]
    fn a_tmpfs_has_half_of_the_memory() {
        let large = |has_root| {
            estimate(&Needs {
                unpacked: Some(300 * MIB),
                has_root,
                ..needs()
            })
        };
        assert!(large(false).bytes > large(true).bytes + 100 * MIB);
        assert!(large(false).bytes >= 640 * MIB);
    }

    /// The smallest regions that were seen to work, with two initrds: an estimate is as
    /// large at least, and at most 1.6 times as large.
    #[test]
    fn estimates_are_held_against_measured_regions() {
        // Tenths of MB of the initrd, MB of what is in it, and MiB of the region.
        for (release, init_size, initrd, unpacked, measured) in [
            ("6.1.0-50-cloud-amd64", 53_968_896, 20, 2, 80),
            ("6.1.0-50-cloud-amd64", 53_968_896, 167, 60, 184),
            ("6.12.117+deb13-cloud-amd64", 58_580_992, 20, 2, 72),
            ("6.12.117+deb13-cloud-amd64", 58_580_992, 153, 60, 184),
            ("7.3.4+deb13-cloud-amd64", 63_148_032, 20, 2, 88),
            ("7.3.4+deb13-cloud-amd64", 63_148_032, 153, 60, 192),
        ] {
            let found = estimate(&Needs {
                release: Some(release.to_owned()),
                kernel: init_size,
                initrd: initrd * 1_000_000 / 10,
                unpacked: Some(unpacked * 1_000_000),
                has_root: false,
                programs: Programs::Few,
                keys: Fact::Absent,
                encrypted: false,
            });
            let (found, most) = (found.bytes / MIB, measured * 16 / 10);
            println!("{release}, {unpacked} MB: measured {measured} MiB, estimated {found} MiB");
            assert!(
                (measured..=most).contains(&found),
                "{release}: {found} for {measured}"
            );
        }
    }

    #[test]
    fn releases_are_ordered() {
        assert!(OWN.is_sorted_by_key(|row| row.0));
        assert_eq!(version("6.12.57+deb13"), Some((6, 12)));
        assert_eq!(version("7.3-rc1"), Some((7, 3)));
        assert_eq!(version("next"), None);
        assert_eq!(version("6"), None);
    }

    proptest! {
        #[test]
        fn any_numbers(kernel: u64, initrd: u64, unpacked: Option<u64>, keys: u64, release in "\\PC{0,9}") {
            let found = estimate(&Needs { release: Some(release), kernel, initrd, unpacked, keys: Fact::Known(keys), encrypted: true, has_root: false, programs: Programs::System });
            prop_assert!(found.bytes >= kernel.max(initrd).max(keys));
        }
    }
}
