//! What `kexec metrics` writes: the text format of Prometheus
//! (prometheus.io/docs/instrumenting/exposition_formats), as node_exporter's textfile
//! collector reads it. What is unknown is left out: a 0 would be an answer.

use std::fmt::Write as _;

use kexec_reboot::record::{Attempt, Outcome};

use super::phases::phases;

/// Everything that is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsFacts {
    /// When these were read, milliseconds since 1970.
    pub now: u64,
    /// `uname -r`.
    pub running: String,
    /// Every remembered request, the newest first.
    pub attempts: Vec<Attempt>,
    /// Kexecs since the machine went through the firmware.
    pub kexecs: Option<u64>,
    /// Which reboots go through the firmware, where that is set.
    pub cold_every: Option<u64>,
    /// Whether an image is in the normal and the crash slot, where the kernel shows it.
    pub loaded: [Option<bool>; 2],
    /// Whether what is in the normal slot was loaded ahead.
    pub preloaded: Option<bool>,
    /// Whether the last preload was refused; `None` where none was tried.
    pub preload_refused: Option<bool>,
}

/// How a request ended, as a label; every value that there is.
const OUTCOMES: [&str; 6] = [
    "kexec",
    "other_kexec",
    "cold",
    "cold_requested",
    "cold_refused",
    "unknown",
];

/// The outcome of a request, once it has one.
fn outcome(attempt: &Attempt) -> Option<&'static str> {
    Some(match attempt.outcome.as_ref()? {
        Outcome::Pending => return None,
        Outcome::Kexec(_) => "kexec",
        Outcome::Cold { .. } if attempt.refused => "cold_refused",
        Outcome::Cold { .. } if attempt.cold.is_some() => "cold_requested",
        Outcome::Cold { jumped: true, .. } => "other_kexec",
        Outcome::Cold { .. } => "cold",
        Outcome::Unknown { .. } => "unknown",
    })
}

/// The text.
pub fn metrics(facts: &MetricsFacts) -> String {
    let mut out = Exposition::default();
    let mut ended = facts
        .attempts
        .iter()
        .filter_map(|attempt| Some((attempt, outcome(attempt)?)));
    if let Some((last, how)) = ended.clone().next() {
        out.gauge(
            "kexec_requests",
            "Requested reboots among the last hundred, by outcome.",
        );
        for name in OUTCOMES {
            let count = ended.clone().filter(|(_, how)| *how == name).count();
            out.sample(&[("outcome", name)], &count.to_string());
        }
        out.gauge(
            "kexec_last_reboot_outcome",
            "Outcome of the last requested reboot: 1 for the one that it was.",
        );
        for name in OUTCOMES {
            out.sample(&[("outcome", name)], flag(name == how));
        }
        last_reboot(&mut out, last);
    }
    if let Some(runs) = ended.find_map(|(attempt, _)| expected(attempt, &facts.running)) {
        out.gauge(
            "kexec_expected_release_running",
            "Whether the kernel release of the last requested kexec is the running one.",
        );
        out.sample(&[], flag(runs));
    }
    if let Some(kexecs) = facts.kexecs {
        out.gauge(
            "kexec_reboots_since_cold_boot",
            "Kexecs since the machine last went through the firmware.",
        );
        out.sample(&[], &kexecs.to_string());
    }
    if let Some(every) = facts.cold_every {
        out.gauge(
            "kexec_cold_every_reboots",
            "Every reboot of this number goes through the firmware (cold-every).",
        );
        out.sample(&[], &every.to_string());
    }
    slots(&mut out, facts);
    out.gauge(
        "kexec_metrics_timestamp_seconds",
        "When these metrics were written, seconds since 1970.",
    );
    out.sample(&[], &seconds(facts.now));
    out.text
}

/// The last request that has an outcome.
fn last_reboot(out: &mut Exposition, last: &Attempt) {
    out.gauge(
        "kexec_last_reboot_info",
        "The last requested reboot: from which release, which was requested, which booted.",
    );
    let arrived = match &last.outcome {
        Some(Outcome::Kexec(arrival)) => arrival.to.as_str(),
        Some(Outcome::Cold { to, .. }) => to.as_str(),
        _ => "",
    };
    let requested = last.target.release.as_deref().unwrap_or_default();
    out.sample(
        &[
            ("from", last.from.as_str()),
            ("requested", requested),
            ("booted", arrived),
            ("handover", last.handover.as_str()),
        ],
        "1",
    );
    out.gauge(
        "kexec_last_reboot_timestamp_seconds",
        "When the last reboot was requested, seconds since 1970.",
    );
    out.sample(&[], &seconds(last.asked.realtime));
    let phases = phases(last);
    if !phases.is_empty() {
        out.gauge(
            "kexec_last_reboot_phase_seconds",
            "How long the parts of the last requested reboot took.",
        );
        for (phase, milliseconds) in phases {
            out.sample(&[("phase", phase)], &seconds(milliseconds));
        }
    }
}

/// Whether what was requested runs; `None` for a request without a release.
fn expected(attempt: &Attempt, running: &str) -> Option<bool> {
    let release = attempt.target.release.as_deref()?;
    Some(release == running)
}

fn slots(out: &mut Exposition, facts: &MetricsFacts) {
    let slots = ["normal", "crash"].into_iter().zip(facts.loaded);
    let known: Vec<_> = slots.filter_map(|(slot, is)| Some((slot, is?))).collect();
    if !known.is_empty() {
        out.gauge(
            "kexec_loaded",
            "Whether an image is loaded: normal, which a reboot jumps into; crash, a panic.",
        );
        for (slot, is) in known {
            out.sample(&[("slot", slot)], flag(is));
        }
    }
    if let Some(is) = facts.preloaded {
        out.gauge(
            "kexec_preloaded",
            "Whether the loaded image was loaded ahead: the next reboot is a kexec.",
        );
        out.sample(&[], flag(is));
    }
    if let Some(is) = facts.preload_refused {
        out.gauge(
            "kexec_preload_refused",
            "Whether the last preload of this boot was refused or failed.",
        );
        out.sample(&[], flag(is));
    }
}

const fn flag(is: bool) -> &'static str {
    if is { "1" } else { "0" }
}

/// Milliseconds as seconds.
fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// A text in the making.
#[derive(Debug, Default)]
struct Exposition {
    text: String,
    name: &'static str,
}

impl Exposition {
    /// What follows are samples of this gauge.
    fn gauge(&mut self, name: &'static str, help: &str) {
        self.name = name;
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: &str) {
        self.text.push_str(self.name);
        for (at, (name, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{name}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// A label's value: the format names three characters that are escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::reboots::tests::{attempt, cold, kexec};
    use super::*;

    fn facts(attempts: Vec<Attempt>) -> MetricsFacts {
        MetricsFacts {
            now: 1_795_388_700_250,
            running: "7.3.0".into(),
            attempts,
            kexecs: Some(2),
            cold_every: Some(10),
            loaded: [Some(true), Some(false)],
            preloaded: Some(true),
            preload_refused: Some(false),
        }
    }

    /// What the format allows and nothing else, read strictly: `# HELP`, `# TYPE`, then
    /// the samples of that name, each set of labels once.
    fn read(text: &str) -> BTreeMap<String, f64> {
        let mut all = BTreeMap::new();
        let mut families = Vec::new();
        let mut lines = text.strip_suffix('\n').unwrap().split('\n').peekable();
        while let Some(line) = lines.next() {
            let help = line
                .strip_prefix("# HELP ")
                .unwrap_or_else(|| panic!("{line:?}"));
            let (name, help) = help.split_once(' ').unwrap();
            assert!(is_name(name) && name.starts_with("kexec_"), "{line:?}");
            assert!(help.ends_with('.') && !help.contains('\\'), "{line:?}");
            assert!(
                !name.ends_with("_total"),
                "a gauge is called a counter: {line:?}"
            );
            assert!(!families.contains(&name), "twice: {line:?}");
            families.push(name);
            assert_eq!(lines.next(), Some(format!("# TYPE {name} gauge").as_str()));
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (labels, value) = sample(line.strip_prefix(name).unwrap());
                let key = format!("{name} {}", labels.join(" ")).trim_end().to_owned();
                assert_eq!(all.insert(key, value), None, "{line:?}");
            }
            assert!(
                all.keys().any(|key| key.split(' ').next() == Some(name)),
                "{name}"
            );
        }
        all
    }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`.
    fn is_name(text: &str) -> bool {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        text.chars().all(word) && !text.is_empty() && !text.starts_with(char::is_numeric)
    }

    /// `{name="value",...} 1.5`.
    fn sample(rest: &str) -> (Vec<String>, f64) {
        let mut labels = Vec::new();
        let mut rest = rest;
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                let (name, value) = rest.split_once("=\"").unwrap();
                assert!(is_name(name), "{rest:?}");
                let (mut text, mut chars) = (String::new(), value.char_indices());
                let end = loop {
                    match chars.next().expect("the value ends") {
                        (at, '"') => break at,
                        (_, '\\') => text.push(match chars.next() {
                            Some((_, 'n')) => '\n',
                            Some((_, c @ ('"' | '\\'))) => c,
                            other => panic!("an escape that is none: {other:?}"),
                        }),
                        (_, c) => text.push(c),
                    }
                };
                labels.push(format!("{name}={text}"));
                rest = value.get(end + 1..).unwrap();
                match rest.strip_prefix(',') {
                    Some(next) => rest = next,
                    None => break,
                }
            }
            rest = rest.strip_prefix('}').unwrap();
        }
        let value = rest.strip_prefix(' ').unwrap();
        assert!(
            value.bytes().all(|b| b.is_ascii_digit() || b == b'.'),
            "{value:?}"
        );
        (labels, value.parse().unwrap())
    }

    #[test]
    fn a_kexec_that_arrived() {
        let text = metrics(&facts(vec![
            attempt(Some(Outcome::Pending)),
            attempt(Some(kexec(Some(180)))),
            attempt(Some(cold(Some(70_000)))),
        ]));
        insta::assert_snapshot!(text);
        let read = read(&text);
        assert_eq!(read["kexec_requests outcome=kexec"], 1.0);
        assert_eq!(read["kexec_requests outcome=unknown"], 0.0);
        assert_eq!(read["kexec_last_reboot_outcome outcome=kexec"], 1.0);
        assert_eq!(read["kexec_last_reboot_outcome outcome=cold"], 0.0);
        assert_eq!(read["kexec_last_reboot_phase_seconds phase=jump"], 0.18);
        assert_eq!(read["kexec_expected_release_running"], 1.0);
        assert_eq!(read["kexec_metrics_timestamp_seconds"], 1_795_388_700.25);
    }

    #[test]
    fn what_is_unknown_is_absent() {
        let nothing = MetricsFacts {
            kexecs: None,
            cold_every: None,
            loaded: [None, None],
            preloaded: None,
            preload_refused: None,
            ..facts(vec![])
        };
        let names = |facts: &MetricsFacts| read(&metrics(facts)).into_keys().collect::<Vec<_>>();
        assert_eq!(names(&nothing), ["kexec_metrics_timestamp_seconds"]);
        // Nothing has ended yet.
        let pending = MetricsFacts {
            attempts: vec![attempt(None), attempt(Some(Outcome::Pending))],
            ..nothing.clone()
        };
        assert_eq!(names(&pending), ["kexec_metrics_timestamp_seconds"]);
        // An outcome without times has no phases.
        let unknown = Outcome::Unknown { why: "x".into() };
        let unknown = MetricsFacts {
            attempts: vec![attempt(Some(unknown))],
            ..nothing
        };
        let names = names(&unknown);
        assert!(
            !names.iter().any(|name| name.contains("phase")),
            "{names:?}"
        );
        assert!(names.iter().any(|name| name.contains("kexec_requests")));
    }

    #[test]
    fn cold_boots_are_told_apart() {
        let with = |change: fn(&mut Attempt), outcome| {
            let mut one = attempt(Some(outcome));
            change(&mut one);
            one
        };
        let jumped = Outcome::Cold {
            to: "7.3.0".into(),
            at: 0,
            candidates: vec![],
            jumped: true,
            firmware: None,
            kernel: None,
            initrd: None,
            userspace: None,
        };
        for (attempt, is) in [
            (with(|_| (), cold(None)), "cold"),
            (
                with(|a| a.cold = Some("it is its turn".into()), cold(None)),
                "cold_requested",
            ),
            (
                with(
                    |a| {
                        a.cold = Some("no kernel".into());
                        a.refused = true;
                    },
                    cold(None),
                ),
                "cold_refused",
            ),
            (with(|_| (), jumped), "other_kexec"),
        ] {
            let read = read(&metrics(&facts(vec![attempt])));
            assert_eq!(
                read[&format!("kexec_last_reboot_outcome outcome={is}")],
                1.0,
                "{is}"
            );
            assert_eq!(read[&format!("kexec_requests outcome={is}")], 1.0, "{is}");
        }
    }

    #[test]
    fn the_firmware_is_a_phase_where_it_was_counted() {
        let of = |firmware| phases(&attempt(Some(cold(firmware))));
        assert_eq!(
            of(Some(70_000)),
            [("shutdown", 237_000), ("firmware", 70_000), ("kernel", 410)]
        );
        assert_eq!(
            of(None),
            [("shutdown_and_firmware", 307_000), ("kernel", 410)]
        );
        // Clocks that were set in between.
        let mut odd = attempt(Some(cold(Some(400_000))));
        assert_eq!(phases(&odd), [("firmware", 400_000), ("kernel", 410)]);
        odd.asked.realtime = u64::MAX;
        assert_eq!(phases(&odd), [("firmware", 400_000), ("kernel", 410)]);
    }

    #[test]
    fn hostile_records_stay_in_their_labels() {
        let hostile = "a\"} 1\nkexec_loaded{slot=\"x\"} 9\\\u{1b}[2J\r\u{202e}é";
        let mut one = attempt(Some(kexec(None)));
        one.from = hostile.into();
        one.handover = "x\\n\\".into();
        one.target.release = Some(hostile.into());
        let text = metrics(&facts(vec![one]));
        assert!(!text.contains(" 9\n"), "{text}");
        let lines = metrics(&facts(vec![attempt(Some(kexec(None)))]))
            .lines()
            .count();
        assert_eq!(text.split('\n').count(), lines + 1, "{text}");
        assert_eq!(read(&text)["kexec_loaded slot=normal"], 1.0);
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
