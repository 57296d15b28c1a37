//! Crash kernels: their command line, the memory that they need, whether they are ready.

use std::time::{Duration, UNIX_EPOCH};

use kexec_crash::cmdline::{Change, Derived};
use kexec_crash::estimate::Estimate;
use kexec_crash::shrink::Shrink;
use kexec_crash::status::{CrashStatus, FileState, reserve};
use kexec_crash::target::Target;
use kexec_crash::watchdog::WatchdogVerdict;
use kexec_load::pipeline::Prepared;
use kexec_load::preflight::Finding;
use serde::Serialize;
use serde_json::{Value, json};

use super::documents;
use super::json::parts;
use super::layout::{Ink, Layout};
use super::words::{bytes, size};

/// Column in which values stand.
const INDENT: usize = 12;

/// What is loaded into the crash slot, or would be.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CrashLoad<'a> {
    /// What is loaded, or would be.
    #[serde(flatten)]
    pub plan: documents::Plan<'a>,
    /// How the command line was derived; null where it was given as a whole.
    pub derived: Option<&'a Derived>,
    /// What the checks found.
    pub findings: &'a [Finding],
}

/// How large the region has to be.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CrashEstimate<'a> {
    /// The sum, its parts and the parameter.
    #[serde(flatten)]
    pub estimate: &'a Estimate,
    /// Bytes that are reserved now; null where the running kernel does not show it.
    pub reserved: Option<u64>,
}

/// What was returned of the region, or would be.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CrashShrink {
    /// Bytes before.
    pub before: u64,
    /// Bytes afterwards.
    pub after: u64,
    /// Bytes that were returned, or would be.
    pub freed: u64,
    /// Whether it was done; false with `--dry-run`.
    pub done: bool,
}

/// `kexec crash load --json`.
pub fn load_json(prepared: &Prepared, derived: Option<&Derived>) -> Value {
    json!(CrashLoad {
        plan: parts(prepared),
        derived,
        findings: &prepared.findings,
    })
}

/// `kexec crash estimate --json`.
pub fn estimate_json(estimate: &Estimate, reserved: Option<u64>) -> Value {
    json!(CrashEstimate { estimate, reserved })
}

/// `kexec crash shrink --json`.
pub fn shrink_json(shrink: Shrink, done: bool) -> Value {
    json!(CrashShrink {
        before: shrink.before,
        after: shrink.after,
        freed: shrink.before.saturating_sub(shrink.after),
        done,
    })
}

/// `kexec crash status --json`.
pub fn status_json(status: &CrashStatus) -> Value {
    json!(status)
}

/// How the command line was derived: each difference, with its reason.
pub fn derived(derived: Option<&Derived>, layout: Layout) -> String {
    let Some(derived) = derived else {
        return String::new();
    };
    let mut out = String::new();
    layout.field_in(&mut out, 0, ("", None), ("Command line", Some(Ink::Strong)));
    for step in &derived.steps {
        let label = match step.change {
            Change::Removed => "  removed",
            Change::Added => "  added",
            Change::LeftToCaller => "  left out",
        };
        layout.field(
            &mut out,
            INDENT,
            label,
            &format!("{}: {} ({})", step.parameter, step.reason, step.source),
        );
    }
    out.push('\n');
    out
}

/// How large the region has to be.
pub fn estimate(estimate: &Estimate, reserved: Option<u64>, layout: Layout) -> String {
    const COLUMN: usize = 26;
    let mut out = String::new();
    for (at, file) in estimate.files.iter().enumerate() {
        layout.field(&mut out, COLUMN, if at == 0 { "files" } else { "" }, file);
    }
    for part in &estimate.parts {
        let text = format!("{} ({})", bytes(part.bytes), part.why);
        layout.field(&mut out, COLUMN, part.what, &text);
    }
    for note in &estimate.notes {
        layout.field(&mut out, COLUMN, "note", note);
    }
    let reserved = match reserved {
        Some(0) => "; nothing is reserved now".to_owned(),
        Some(size) => format!("; {} are reserved now", bytes(size)),
        None => String::new(),
    };
    let sum = format!("{}, in steps of 8 MiB{reserved}", bytes(estimate.bytes));
    layout.field(&mut out, COLUMN, "sum", &sum);
    let value = match &estimate.parameter {
        Some(parameter) => (parameter.as_str(), Some(Ink::Strong)),
        None => (
            "none: an initrd is most of what is needed; name it with --initrd",
            Some(Ink::Warning),
        ),
    };
    layout.field_in(&mut out, COLUMN, ("parameter", None), value);
    out
}

/// What was returned.
pub fn shrink(shrink: Shrink, done: bool, layout: Layout) -> String {
    let freed = bytes(shrink.before.saturating_sub(shrink.after));
    let (before, after) = (bytes(shrink.before), bytes(shrink.after));
    let text = match done {
        true => format!("Returned {freed}: the region had {before}, and has {after} now."),
        false => format!("Would return {freed}: the region has {before}, and would have {after}."),
    };
    let mut out = String::new();
    layout.field(&mut out, 0, "", &text);
    out
}

/// Whether a crash kernel is ready. Of the sysctls, those are shown that keep a dump from being
/// made; or all of them.
pub fn status(status: &CrashStatus, every_sysctl: bool, layout: Layout) -> String {
    let mut out = String::new();
    let row = |out: &mut String, label: &str, text: &str| layout.field(out, INDENT, label, text);
    let (armed, ink) = match (status.armed, status.since) {
        (Some(true), Some(since)) => {
            let at = UNIX_EPOCH.checked_add(Duration::from_secs(since));
            let at = at.map(|at| humantime::format_rfc3339_seconds(at).to_string());
            (format!("yes, since {}", at.unwrap_or_default()), Ink::Ok)
        }
        (Some(true), None) => {
            let why = status
                .image_unknown
                .as_deref()
                .unwrap_or("without a record");
            let text = format!("yes, but which image is unknown: {why}");
            (text, Ink::Warning)
        }
        (Some(false), _) => (
            "no: a panic reboots or stops the machine, and saves nothing".to_owned(),
            Ink::Warning,
        ),
        (None, _) => (
            "unknown: the running kernel does not show it".to_owned(),
            Ink::Warning,
        ),
    };
    layout.field_in(&mut out, INDENT, ("armed", None), (&armed, Some(ink)));
    if let Some(kernel) = &status.kernel {
        let release = status.release.as_deref().unwrap_or("unknown release");
        let old = match status.release.as_deref() == Some(&status.running) {
            true => String::new(),
            false => format!("; {} runs", status.running),
        };
        row(&mut out, "kernel", &format!("{kernel}, {release}{old}"));
    }
    for (at, file) in status.files.iter().enumerate() {
        let state = match file.state {
            FileState::Same => "as it was loaded",
            FileState::Changed => "CHANGED since it was loaded: load it again",
            FileState::Gone => "no such file any more",
            FileState::Unknown => "cannot be looked at",
        };
        let text = format!("{}: {state}", file.path.display());
        row(&mut out, if at == 0 { "files" } else { "" }, &text);
    }
    row(&mut out, "reserved", &reserved(status));
    row(&mut out, "target", &target(status));
    if let Some(why) = &status.not_saved {
        let text = format!("would not be saved: {why} (`kexec check -p` shows more)");
        layout.field_in(
            &mut out,
            INDENT,
            ("dump", None),
            (&text, Some(Ink::Warning)),
        );
    }
    let sysctls = match every_sysctl {
        true => status.sysctls.iter().collect(),
        false => status.preventing(),
    };
    for (at, sysctl) in sysctls.into_iter().enumerate() {
        let value = sysctl
            .value
            .map_or_else(|| "unknown, no such sysctl".to_owned(), |v| v.to_string());
        let text = format!("{} = {value} ({})", sysctl.name, sysctl.means);
        row(&mut out, if at == 0 { "sysctls" } else { "" }, &text);
    }
    watchdogs(&mut out, status, layout);
    out
}

/// The region against the need.
fn reserved(status: &CrashStatus) -> String {
    let reserved = match status.reserved {
        Some(0) => "nothing".to_owned(),
        Some(size) if status.reserved_cma > 0 => {
            format!("{} and {} of CMA", bytes(size), bytes(status.reserved_cma))
        }
        Some(size) => bytes(size),
        None => "unknown".to_owned(),
    };
    match (status.needed, &status.needed_unknown, status.reserved) {
        (Some(needed), _, Some(0)) => {
            format!(
                "{reserved}; {} are needed: {}",
                bytes(needed),
                reserve(needed)
            )
        }
        (Some(needed), _, Some(size)) if size.saturating_add(status.reserved_cma) >= needed => {
            format!("{reserved}, {} are needed", bytes(needed))
        }
        (Some(needed), _, Some(_)) => format!(
            "{reserved}, but {} are needed: {}",
            bytes(needed),
            reserve(needed)
        ),
        (Some(needed), _, None) => format!("{reserved}; {} are needed", bytes(needed)),
        (None, Some(why), Some(0)) => format!(
            "{reserved}; the need is unknown: {why}; {}",
            kexec_plan::crash::RESERVE
        ),
        (None, Some(why), _) => format!("{reserved}; the need is unknown: {why}"),
        (None, None, _) => reserved,
    }
}

/// Where the dump goes.
fn target(status: &CrashStatus) -> String {
    let target = &status.target;
    let service = match target.service {
        Some(service) => format!("{} ({})", service.name(), service.file()),
        None => "no service is configured".to_owned(),
    };
    let place = match (&target.place, target.exists) {
        (Some(Target::Folder(folder)), Some(false)) => format!("{folder}, no such folder"),
        (Some(Target::Folder(folder)), _) => match target.free {
            Some(free) => format!("{folder}, {} are free", size(free)),
            None => folder.clone(),
        },
        (Some(Target::Device(place) | Target::Remote(place)), _) => place.clone(),
        (None, _) => "unknown".to_owned(),
    };
    format!("{place}; {service}")
}

fn watchdogs(out: &mut String, status: &CrashStatus, layout: Layout) {
    let watchdogs = match &status.watchdogs {
        Some(watchdogs) if watchdogs.is_empty() => {
            layout.field(out, INDENT, "watchdogs", "none");
            return;
        }
        Some(watchdogs) => watchdogs,
        None => {
            layout.field(out, INDENT, "watchdogs", "unknown: they cannot be read");
            return;
        }
    };
    for (at, one) in watchdogs.iter().enumerate() {
        let name = one.watchdog.identity.as_deref().unwrap_or("no name");
        let ink = (one.judgement.verdict == WatchdogVerdict::BeforeTheDump).then_some(Ink::Warning);
        let text = format!("{} ({name}): {}", one.watchdog.name, one.judgement.why);
        let label = if at == 0 { "watchdogs" } else { "" };
        layout.field_in(out, INDENT, (label, None), (&text, ink));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use kexec_crash::estimate::{Needs, Programs, estimate};
    use kexec_crash::facts::{Sysctl, Watchdog};
    use kexec_crash::initrd::Contents;
    use kexec_crash::status::{CheckedFile, TargetStatus};
    use kexec_crash::target::Service;
    use kexec_crash::watchdog::{JudgedWatchdog, judge};

    use super::*;

    pub(crate) fn estimated() -> Estimate {
        estimate(&Needs {
            release: None,
            kernel: 60 << 20,
            initrd: 30 << 20,
            unpacked: None,
            has_root: false,
            programs: Programs::System,
            keys: kexec_machine::Fact::Known(1 << 30),
            encrypted: false,
        })
    }

    fn watchdog() -> JudgedWatchdog {
        let watchdog = Watchdog {
            name: "watchdog0".into(),
            identity: Some("iTCO_wdt".into()),
            active: Some(true),
            timeout: Some(30),
            driver: Some("iTCO_wdt".into()),
        };
        let initrd = Contents::of([]);
        JudgedWatchdog {
            judgement: judge(&watchdog, Some(4 << 30), Some(&initrd)),
            watchdog,
        }
    }

    pub(crate) fn ready() -> CrashStatus {
        let file = |path: &str, state| CheckedFile {
            path: path.into(),
            state,
        };
        CrashStatus {
            armed: Some(true),
            since: Some(1_795_388_700),
            image_unknown: None,
            kernel: Some("/boot/vmlinuz-6.12".into()),
            release: Some("6.12".into()),
            running: "6.12".into(),
            files: vec![
                file("/boot/vmlinuz-6.12", FileState::Same),
                file("/var/lib/kdump/initrd.img-6.12", FileState::Changed),
            ],
            reserved: Some(192 << 20),
            reserved_cma: 0,
            needed: Some(160 << 20),
            needed_unknown: None,
            sysctls: vec![Sysctl {
                name: "kernel.panic_on_oops",
                value: Some(1),
                means: "1: an oops is a panic, and is dumped",
            }],
            not_saved: None,
            watchdogs: Some(vec![watchdog()]),
            dump_seconds: Some(90),
            target: TargetStatus {
                service: Some(Service::KdumpTools),
                place: Some(Target::Folder("/var/crash".into())),
                exists: Some(true),
                free: Some(5 << 30),
            },
        }
    }

    pub(crate) fn unarmed() -> CrashStatus {
        CrashStatus {
            armed: Some(false),
            since: None,
            kernel: None,
            release: None,
            files: vec![],
            reserved: Some(0),
            needed: None,
            needed_unknown: Some("no such file".into()),
            sysctls: vec![
                Sysctl {
                    name: "kernel.kexec_load_disabled",
                    value: None,
                    means: "1: nothing can be loaded until the next boot",
                },
                Sysctl {
                    name: "kernel.panic_on_oops",
                    value: Some(0),
                    means: "1: an oops is a panic, and is dumped",
                },
            ],
            not_saved: Some("program that saves the dump: the initrd has none".into()),
            watchdogs: Some(vec![]),
            target: TargetStatus {
                service: None,
                place: Some(Target::Remote("ssh host".into())),
                exists: None,
                free: None,
            },
            ..ready()
        }
    }

    #[test]
    fn what_is_shown() {
        let derived_line = kexec_crash::cmdline::derive(
            &"root=/dev/a quiet panic=0 nr_cpus=1 reset_devices irqpoll".into(),
            &[],
            Some(&"mce=on".into()),
        );
        let shrunk = Shrink {
            before: 256 << 20,
            after: 160 << 20,
        };
        let plain = Layout::PLAIN;
        let small = CrashStatus {
            reserved: Some(64 << 20),
            ..ready()
        };
        let unsure = CrashStatus {
            since: None,
            kernel: None,
            files: vec![],
            image_unknown: Some("a load of /k was interrupted".into()),
            ..ready()
        };
        insta::assert_snapshot!(
            [
                status(&ready(), false, plain),
                status(&unsure, false, plain),
                status(&unarmed(), false, plain),
                status(&unarmed(), true, plain),
                status(&small, false, plain),
                estimate_text(),
                shrink(shrunk, true, plain),
                shrink(shrunk, false, plain),
                derived(Some(&derived_line), plain),
            ]
            .join("\n")
        );
        assert_eq!(derived(None, plain), "");
    }

    fn estimate_text() -> String {
        super::estimate(&estimated(), Some(0), Layout::PLAIN)
    }
}
