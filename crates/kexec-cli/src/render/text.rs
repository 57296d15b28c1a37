//! Plans, findings and states as text for people.

use kexec_load::Error;
use kexec_load::pipeline::Prepared;
use kexec_machine::Snapshot;
use kexec_machine::snapshot::redact;
use kexec_plan::Cmdline;
use kexec_plan::size::{FileSize, Memory};
use kexec_reboot::handover::shutdown_request::Handover;
use kexec_reboot::preload::Step;
use kexec_reboot::preload::cold_every::ordinal;
use kexec_reboot::record::{Attempt, LoadRecord, SlotContent};

use super::layout::Layout;
use super::words::visible;
use super::{Slots, reboots};

/// Column in which values stand.
const INDENT: usize = 11;

/// A label and its text; nothing when there is nothing to say.
pub(super) fn row(out: &mut String, layout: Layout, label: &str, text: &str) {
    layout.field(out, INDENT, label, text);
}

/// An error in its three parts, as it goes to stderr.
pub fn error(error: &Error, layout: Layout) -> String {
    message(&error.to_string(), error.remedy(), layout)
}

/// What stands in nobody's way, as it goes to stderr.
pub fn note(error: &Error, layout: Layout) -> String {
    message(&format!("note: {error}"), "", layout)
}

/// A message behind the program's name, and what to do below it.
pub(super) fn message(text: &str, remedy: &str, layout: Layout) -> String {
    const NAME: &str = "kexec: ";
    let mut out = String::new();
    layout.field(&mut out, NAME.len(), NAME, text);
    layout.field(&mut out, NAME.len(), "", remedy);
    out
}

/// What became of the last request.
pub fn last(attempt: &Attempt, layout: Layout) -> String {
    let mut out = String::new();
    for (at, line) in reboots::last(attempt).lines().enumerate() {
        row(&mut out, layout, if at == 0 { "last" } else { "" }, line);
    }
    out
}

/// What would be loaded, how, and from which parts.
pub fn plan(prepared: &Prepared, layout: Layout) -> String {
    plan_with(prepared, &prepared.plan.cmdline, layout)
}

/// The same for a log, which others read: values on the command line that may be secret
/// are crossed out, as in a snapshot.
pub fn plan_for_log(prepared: &Prepared) -> String {
    let cmdline = redact::cmdline(&prepared.plan.cmdline);
    plan_with(prepared, &cmdline, Layout::PLAIN)
}

fn plan_with(prepared: &Prepared, cmdline: &Cmdline, layout: Layout) -> String {
    let plan = &prepared.plan;
    let mut out = String::new();
    let release = plan
        .release
        .as_deref()
        .unwrap_or("release not in its header");
    row(&mut out, layout, "kernel", &plan.kernel.origin);
    row(
        &mut out,
        layout,
        "",
        &format!(
            "{}, {}, {release}",
            plan.format,
            FileSize::of(plan.kernel.len)
        ),
    );
    match plan.initrd.as_slice() {
        [] => row(&mut out, layout, "initrd", "none"),
        pieces => {
            for (at, piece) in pieces.iter().enumerate() {
                let label = if at == 0 { "initrd" } else { "" };
                row(
                    &mut out,
                    layout,
                    label,
                    &format!("{} ({})", piece.origin, FileSize::of(piece.len)),
                );
            }
            if pieces.len() > 1 {
                let total = FileSize::of(plan.initrd_len());
                row(
                    &mut out,
                    layout,
                    "",
                    &format!("joined: {} parts, {total}", pieces.len()),
                );
            }
        }
    }
    for line in prepared.unpacked.initrd.lines() {
        row(&mut out, layout, "", &line);
    }
    row(&mut out, layout, "cmdline", &cmdline.to_string());
    let from = format!(
        "({} bytes, from {})",
        plan.cmdline.as_bytes().len(),
        plan.cmdline_from
    );
    let label = if plan.cmdline.is_empty() {
        "cmdline"
    } else {
        ""
    };
    row(&mut out, layout, label, &from);
    let slot = if plan.crash {
        "crash: a panic jumps into it"
    } else {
        "normal: a reboot jumps into it"
    };
    row(&mut out, layout, "slot", slot);
    let decision = &prepared.decision;
    row(
        &mut out,
        layout,
        "method",
        &format!("{}: {}", decision.method.name(), decision.reason),
    );
    if let Some(text) = prepared.unpacked.kernel.line() {
        row(&mut out, layout, "", &text);
    }
    out
}

/// What is about to be rebooted into: the entry with the reason, the plan (of [`plan`]
/// or [`plan_for_log`]), and how it goes on.
pub fn reboot(
    plan: &str,
    entry: Option<(&str, &str, &str)>,
    way: Option<&Handover>,
    layout: Layout,
) -> String {
    let mut out = String::new();
    if let Some((id, title, why)) = entry {
        row(&mut out, layout, "entry", &format!("{id} ({title})"));
        row(&mut out, layout, "", why);
    }
    out.push_str(plan);
    match way {
        Some(way) if way.why.is_empty() => row(&mut out, layout, "then", &way.text()),
        Some(way) => row(
            &mut out,
            layout,
            "then",
            &format!("{}: {}", way.text(), way.why),
        ),
        None => row(
            &mut out,
            layout,
            "then",
            "--now: file systems are frozen, then the jump",
        ),
    }
    out
}

/// `kexec reboot --cold`.
pub fn cold(way: &Handover, layout: Layout) -> String {
    let mut out = String::new();
    row(
        &mut out,
        layout,
        "cold",
        "through the firmware; the loaded image is unloaded",
    );
    row(&mut out, layout, "then", &way.text());
    out
}

/// What `kexec preload` does, and why.
pub fn step(step: &Step) -> String {
    let (what, why) = match step {
        Step::Leave(why) => ("Nothing to do", why),
        Step::Wait(why) => ("Nothing is loaded ahead", why),
        Step::Cannot { why, .. } => ("Nothing can be loaded ahead", why),
        Step::Doubt(why) => ("The loaded image stays", why),
        Step::Load(why) => ("Loading", why),
        Step::TakeOut(why) => ("The image that was loaded ahead is unloaded", why),
    };
    format!("{what}: {}.\n", visible(why))
}

/// `kexec needs-reboot`.
pub fn needs_reboot(entry: &str, reasons: &[String]) -> String {
    if reasons.is_empty() {
        return format!(
            "No reboot is due: what runs is what a reboot would boot ({}).\n",
            visible(entry)
        );
    }
    let lines = reasons
        .iter()
        .map(|reason| format!("{}.\n", visible(reason)));
    format!("A reboot is due:\n{}", lines.collect::<String>())
}

/// What to do about an image that an interrupted change left in the normal slot.
const UNSURE_NORMAL: &str =
    "kexec unload unloads it; kexec load, kexec preload and kexec reboot do so first";
/// The same for the crash slot, which is not emptied by itself.
const UNSURE_CRASH: &str = "kexec crash load loads one anew; kexec crash unload unloads it";

/// What is loaded in both slots.
pub fn status(host: &Snapshot, slots: &Slots, layout: Layout) -> String {
    let mut out = String::new();
    row(&mut out, layout, "running", &host.release);
    let at_work = slots.at_work.as_deref();
    slot(
        &mut out,
        layout,
        "normal",
        &slots.normal,
        at_work,
        ("nothing loaded", UNSURE_NORMAL),
    );
    let nothing = match host.kexec.crash_size.known() {
        Some(0) => {
            "nothing loaded; no memory is reserved for a crash kernel (crashkernel=)".to_owned()
        }
        Some(bytes) => format!("nothing loaded; {} are reserved", Memory(*bytes)),
        None => "nothing loaded".to_owned(),
    };
    let words = (nothing.as_str(), UNSURE_CRASH);
    slot(&mut out, layout, "crash", &slots.crash, at_work, words);
    if let Some(who) = at_work {
        row(
            &mut out,
            layout,
            "now",
            &format!("{who}: this may change at any moment"),
        );
    }
    out
}

/// What `kexec enable` switched on; nothing where nothing is on.
pub fn enabled(features: &[&str], layout: Layout) -> String {
    let mut out = String::new();
    if !features.is_empty() {
        row(&mut out, layout, "enabled", &features.join(", "));
    }
    out
}

/// How far it is to the next cold reboot, where every so many are.
pub fn cold_every(kexecs: Option<u64>, every: u64, layout: Layout) -> String {
    let most = every.saturating_sub(1);
    let rule = format!("every {} reboot goes through the firmware", ordinal(every));
    let mut out = String::new();
    let text = match kexecs {
        None => rule,
        Some(kexecs) => {
            let next = match kexecs >= most {
                true => "the next reboot goes through the firmware",
                false => rule.as_str(),
            };
            format!("{kexecs} of {most} since the last cold boot; {next}")
        }
    };
    row(&mut out, layout, "kexecs", &text);
    out
}

fn slot(
    out: &mut String,
    layout: Layout,
    label: &str,
    content: &SlotContent,
    at_work: Option<&str>,
    (nothing, unsure): (&str, &str),
) {
    match content {
        SlotContent::Unknown => {
            let unknown = "unknown: /sys is not mounted, or the running kernel lacks CONFIG_KEXEC";
            row(out, layout, label, unknown);
        }
        SlotContent::Empty => row(out, layout, label, nothing),
        SlotContent::Foreign => {
            let other =
                "loaded, without a record: by another program, or when no record could be written";
            row(out, layout, label, other);
        }
        SlotContent::Hidden => row(out, layout, label, "loaded; only root can see which image"),
        SlotContent::Interrupted(_) if at_work.is_some() => {
            row(out, layout, label, "being changed")
        }
        SlotContent::Interrupted(found) => {
            row(out, layout, label, &format!("loaded, but {}", found.text()));
            row(out, layout, "", unsure);
        }
        SlotContent::Ours(record) => image(out, layout, label, record),
    }
}

fn image(out: &mut String, layout: Layout, label: &str, r: &LoadRecord) {
    let release = r.release.as_deref().unwrap_or("release not in its header");
    row(
        out,
        layout,
        label,
        &format!("{} ({}, {release})", r.kernel, r.image),
    );
    for part in &r.initrd {
        row(out, layout, "", &format!("initrd {part}"));
    }
    row(out, layout, "", &format!("command line: {}", r.cmdline));
    row(
        out,
        layout,
        "",
        &format!("loaded with {}: {}", r.method, r.reason),
    );
    for text in r.unpacked.lines() {
        row(out, layout, "", &text);
    }
    if r.preloaded.is_some() {
        row(
            out,
            layout,
            "",
            "loaded ahead: the next reboot is a kexec (kexec reboot --cold is not)",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::plans;
    use super::*;

    /// What would clear the screen, turn the line around, begin another one.
    const HOSTILE: &str = "\x1b[2Jx\u{202e}y\nkexec: z";

    fn assert_harmless(text: &str, lines: usize) {
        assert_eq!(text.lines().count(), lines, "{text:?}");
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(acts), "{text:?}");
        assert!(
            text.contains("\\x1b[2Jx\\u{202e}y\\x0akexec: z"),
            "{text:?}"
        );
    }

    #[test]
    fn nothing_from_outside_acts_on_a_terminal() {
        let hostile = || HOSTILE.to_owned();
        let failed = Error::refused(hostile(), hostile(), hostile());
        assert_harmless(&error(&failed, Layout::PLAIN), 2);
        assert_harmless(&note(&failed, Layout::PLAIN), 1);
    }

    #[test]
    fn a_plan_from_outside_is_harmless() {
        let mut prepared = plans::prepared();
        prepared.plan.kernel.origin = HOSTILE.to_owned();
        prepared.plan.cmdline = HOSTILE.into();
        prepared.plan.release = Some(HOSTILE.to_owned());
        let usual = plan(&plans::prepared(), Layout::PLAIN).lines().count();
        assert_harmless(&plan(&prepared, Layout::PLAIN), usual);
        assert_harmless(&plan_for_log(&prepared), usual);
    }

    #[test]
    fn a_log_holds_no_secret_of_the_command_line() {
        let mut prepared = plans::prepared();
        prepared.plan.cmdline = "root=/dev/vda1 quiet luks.key=s3cret -- s3cret".into();
        let plain = plan(&prepared, Layout::PLAIN);
        assert!(plain.contains("luks.key=s3cret -- s3cret"));
        let log = plan_for_log(&prepared);
        assert!(
            log.contains("root=/dev/vda1 quiet luks.key=xxxxxx -- xxxxxx"),
            "{log}"
        );
        assert!(!log.contains("s3cret"), "{log}");
        // The rest is the same.
        let rest = |text: &str| text.replace("s3cret", "xxxxxx");
        assert_eq!(rest(&plain), log);
    }

    #[test]
    fn the_way_to_the_next_cold_reboot() {
        assert_eq!(
            cold_every(Some(2), 10, Layout::PLAIN),
            "kexecs     2 of 9 since the last cold boot; every 10th reboot goes through the \
             firmware\n"
        );
        assert!(
            cold_every(None, 10, Layout::PLAIN)
                .ends_with("kexecs     every 10th reboot goes through the firmware\n")
        );
        assert!(
            cold_every(Some(1), 2, Layout::PLAIN)
                .ends_with("; the next reboot goes through the firmware\n")
        );
    }
}
