//! The phases, one function each.

use serde::Serialize;

use super::consoles::{BITS_PER_BYTE, LOG_LEN};
use super::facts::{Check, DowntimeFacts, InitrdPart, NotUnpacked};
use super::rates::{Rates, millis};

/// A part of the downtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Phase {
    /// What is done.
    pub name: &'static str,
    /// To how many bytes; 0 where it is not done.
    pub bytes: u64,
    /// For how long, about.
    pub millis: u64,
    /// How, or why not, for people.
    pub how: String,
}

/// The names of the phases.
pub(super) mod name {
    pub(in super::super) const INTEGRITY: &str = "integrity check";
    pub(in super::super) const COPY: &str = "copy";
    pub(in super::super) const KERNEL: &str = "kernel decompression";
    pub(in super::super) const INITRD: &str = "initrd decompression";
    pub(in super::super) const ROOTFS: &str = "initrd unpacking";
    pub(in super::super) const MESSAGES: &str = "kernel messages";
}

/// Every phase, in order.
pub(super) fn all(facts: &DowntimeFacts, rates: &Rates) -> Vec<Phase> {
    [integrity, copy, kernel, initrd, rootfs, messages]
        .iter()
        .map(|phase| phase(facts, rates))
        .collect()
}

fn integrity(facts: &DowntimeFacts, rates: &Rates) -> Phase {
    let (rate, how) = match facts.check {
        Check::Crc32c => (Some(rates.crc32c), "by CRC-32C in kexec's purgatory"),
        Check::Sha256 => (Some(rates.sha256), "by SHA-256 in kexec's purgatory"),
        Check::ByTheKernel => (
            Some(rates.sha256),
            "by SHA-256 in the running kernel's purgatory",
        ),
        Check::LeftOutByTheKernel => (None, "the running kernel leaves it out (kexec handover)"),
        Check::None => (None, "left out, as --integrity=none says"),
    };
    Phase {
        name: name::INTEGRITY,
        bytes: rate.map_or(0, |_| facts.checked),
        millis: rate.map_or(0, |rate| millis(facts.checked, rate)),
        how: how.to_owned(),
    }
}

fn copy(facts: &DowntimeFacts, rates: &Rates) -> Phase {
    Phase {
        name: name::COPY,
        bytes: facts.copied,
        millis: millis(facts.copied, rates.copy),
        how: "to where the next kernel is".to_owned(),
    }
}

fn kernel(facts: &DowntimeFacts, rates: &Rates) -> Phase {
    let nothing = |how: &str| Phase {
        name: name::KERNEL,
        bytes: 0,
        millis: 0,
        how: how.to_owned(),
    };
    let Some(packed) = &facts.kernel.packed else {
        return nothing(match facts.kernel.not_unpacked {
            None => "unpacked before the jump",
            Some(_) => "it is not compressed",
        });
    };
    let Some(rate) = rates.kernel_decoder(packed.codec) else {
        return nothing(&format!("unknown, by {}", packed.codec));
    };
    let why = match &facts.kernel.not_unpacked {
        Some(NotUnpacked { reason, .. }) => format!(", not before the jump: {reason}"),
        None => String::new(),
    };
    Phase {
        bytes: packed.unpacked,
        millis: millis(packed.unpacked, rate),
        ..nothing(&format!("out of {}{why}", packed.codec))
    }
}

/// Milliseconds to decompress a part of an initrd; none for one that is not compressed.
pub(super) fn decompression(part: &InitrdPart, rates: &Rates) -> u64 {
    let rate = part.codec.and_then(|codec| rates.decoder(codec));
    rate.map_or(0, |rate| millis(part.unpacked, rate))
}

fn initrd(facts: &DowntimeFacts, rates: &Rates) -> Phase {
    let packed: Vec<&InitrdPart> = facts.initrd.iter().filter(|p| p.codec.is_some()).collect();
    let sum = |of: &dyn Fn(&InitrdPart) -> u64| {
        let all = packed.iter().map(|part| of(part));
        all.fold(0, u64::saturating_add)
    };
    let mut codecs: Vec<&str> = packed.iter().filter_map(|part| part.codec).collect();
    codecs.dedup();
    Phase {
        name: name::INITRD,
        bytes: sum(&|part| part.unpacked),
        millis: sum(&|part| decompression(part, rates)),
        how: match (facts.initrd.is_empty(), codecs.is_empty()) {
            (true, _) => "there is none".to_owned(),
            (false, true) => "it is not compressed".to_owned(),
            (false, false) => format!("out of {}", codecs.join(" and ")),
        },
    }
}

fn rootfs(facts: &DowntimeFacts, rates: &Rates) -> Phase {
    let sizes = facts.initrd.iter().map(|part| part.unpacked);
    let bytes = sizes.fold(0, u64::saturating_add);
    Phase {
        name: name::ROOTFS,
        bytes,
        millis: millis(bytes, rates.rootfs),
        how: match bytes {
            0 => "there is none",
            _ => "into the next kernel's root file system",
        }
        .to_owned(),
    }
}

fn messages(facts: &DowntimeFacts, _: &Rates) -> Phase {
    let nothing = |how: &str| Phase {
        name: name::MESSAGES,
        bytes: 0,
        millis: 0,
        how: how.to_owned(),
    };
    match (facts.consoles.as_slice(), facts.verbose) {
        ([], _) => nothing("no serial console on the next command line"),
        (_, false) => nothing("few, by quiet or loglevel= on the next command line"),
        _ if facts.virtual_machine => {
            nothing("not counted: how fast a virtual serial port is, is the hypervisor's matter")
        }
        (consoles, true) => {
            let each = consoles
                .iter()
                .map(|c| millis(LOG_LEN.saturating_mul(BITS_PER_BYTE), c.baud.into()));
            let shown: Vec<String> = consoles.iter().map(ToString::to_string).collect();
            Phase {
                bytes: LOG_LEN,
                millis: each.fold(0, u64::saturating_add),
                ..nothing(&format!("to {}", shown.join(" and ")))
            }
        }
    }
}
