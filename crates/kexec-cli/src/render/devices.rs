//! What `kexec parallel-shutdown` unbinds, keeps and has unbound.

use std::fmt::Write as _;
use std::time::Duration;

use kexec_reboot::parallel_shutdown::{Choice, Unbound, UnboundResult};
use serde_json::{Value, json};

use super::documents;
use super::layout::Layout;
use super::text::message;
use super::words::visible;

/// Column in which reasons stand: behind `0000:00:04.0` and a blank.
const INDENT: usize = 14;

/// What would be unbound, and what would be kept, with the reasons.
pub fn choice(choice: &Choice, layout: Layout) -> String {
    let mut out = String::new();
    let mut section = |title: &str, rows: Vec<(String, String)>| {
        let _ = writeln!(
            out,
            "{title}:{}",
            if rows.is_empty() { " nothing" } else { "" }
        );
        for (name, text) in rows {
            layout.field(&mut out, INDENT, &visible(&name), &visible(&text));
        }
    };
    let unbind = choice.unbind.iter();
    let unbind = unbind.map(|one| (one.device.clone(), format!("{}: {}", one.driver, one.why)));
    section("unbound before the jump", unbind.collect());
    let kept = choice.kept.iter();
    let kept = kept.map(|one| (one.device.clone(), one.why.clone()));
    section("kept", kept.collect());
    out
}

/// What has been unbound, in one line.
pub fn unbound(unbound: &[Unbound]) -> String {
    let times = unbound.iter().filter_map(|one| match one.result {
        UnboundResult::Unbound { ms } => Some(ms),
        _ => None,
    });
    let times: Vec<u64> = times.collect();
    match (times.len(), times.iter().max()) {
        (1, Some(ms)) => format!("kexec: unbound 1 device in {ms} ms\n"),
        (count, Some(ms)) => format!("kexec: unbound {count} devices in {ms} ms\n"),
        (_, None) => "kexec: unbound no device\n".to_owned(),
    }
}

/// What has not been unbound, and why; empty where everything was.
pub fn warnings(unbound: &[Unbound], timeout: Duration, layout: Layout) -> String {
    let mut out = String::new();
    let named = |one: &Unbound| format!("{} ({})", one.device, one.driver);
    for one in unbound {
        if let UnboundResult::Failed { why } = &one.result {
            let text = format!("warning: {} keeps its driver: {why}", named(one));
            out += &message(&visible(&text), "", layout);
        }
    }
    let late = unbound
        .iter()
        .filter(|one| one.result == UnboundResult::Late);
    let late: Vec<String> = late.map(named).collect();
    if !late.is_empty() {
        let text = format!(
            "warning: not unbound within {} s: {}; the running kernel waits for them",
            timeout.as_secs(),
            late.join(", ")
        );
        out += &message(&visible(&text), "", layout);
    }
    out
}

/// All of it as one document.
pub fn json(choice: &Choice, unbound: Option<&[Unbound]>, nothing: Option<&str>) -> Value {
    json!(documents::ParallelShutdown {
        choice,
        unbound,
        nothing,
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use kexec_reboot::parallel_shutdown::{Bus, Kept, UnbindStep, Unbinding};

    pub fn example() -> (Choice, Vec<Unbound>) {
        let choice = Choice {
            unbind: vec![Unbinding {
                device: "0000:00:04.0".to_owned(),
                driver: "nvme".to_owned(),
                why: "nothing uses nvme0n1".to_owned(),
                steps: vec![UnbindStep {
                    bus: Bus::Pci,
                    device: "0000:00:04.0".to_owned(),
                }],
                disks: vec!["nvme0n1".to_owned()],
            }],
            kept: vec![Kept {
                device: "0000:00:00.0".to_owned(),
                why: "it is a bridge\u{1b}".to_owned(),
            }],
        };
        let one = |device: &str, result| Unbound {
            device: device.to_owned(),
            driver: "nvme".to_owned(),
            result,
        };
        let why = "it is in use".to_owned();
        let unbound = vec![
            one("0000:00:04.0", UnboundResult::Unbound { ms: 1002 }),
            one("0000:00:05.0", UnboundResult::Failed { why }),
            one("0000:00:06.0", UnboundResult::Late),
        ];
        (choice, unbound)
    }

    #[test]
    fn what_is_chosen_and_what_became_of_it() {
        let (choice, done) = example();
        assert_eq!(
            super::choice(&choice, Layout::PLAIN),
            "unbound before the jump:\n\
             0000:00:04.0  nvme: nothing uses nvme0n1\n\
             kept:\n\
             0000:00:00.0  it is a bridge\\x1b\n"
        );
        let nothing = super::choice(&Choice::default(), Layout::PLAIN);
        assert_eq!(nothing, "unbound before the jump: nothing\nkept: nothing\n");
        assert_eq!(unbound(&done), "kexec: unbound 1 device in 1002 ms\n");
        assert_eq!(
            warnings(&done, Duration::from_secs(10), Layout::PLAIN),
            "kexec: warning: 0000:00:05.0 (nvme) keeps its driver: it is in use\n\
             kexec: warning: not unbound within 10 s: 0000:00:06.0 (nvme); the running kernel \
             waits for them\n"
        );
        assert_eq!(warnings(&[], Duration::ZERO, Layout::PLAIN), "");
        assert_eq!(unbound(&[]), "kexec: unbound no device\n");
    }
}
