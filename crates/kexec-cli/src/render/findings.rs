//! What the checks found, as text for people.

use kexec_load::preflight::{CheckGroup, Finding, Severity};

use super::layout::{Ink, Layout};
use super::text::message;
use super::words::counted;

/// A finding as it goes to stderr before a load.
pub fn warning(finding: &Finding, layout: Layout) -> String {
    let text = format!("{}: {}", finding.severity.word(), found(finding));
    message(&text, &finding.problem.remedy, layout)
}

/// What was looked at and what was found.
fn found(finding: &Finding) -> String {
    format!("{}: {}", finding.problem.what, finding.problem.why)
}

/// Column in which the text of a finding stands.
pub(super) const FOUND: usize = 18;

/// The findings of `kexec check -p`, and whether a panic would be saved.
pub fn findings_of_a_crash(findings: &[Finding], layout: Layout) -> String {
    listed(findings, "", &crash_verdict(findings), layout)
}

/// Every finding with the name of its check: problems first, the others in their groups,
/// and what it comes to.
pub fn findings(findings: &[Finding], layout: Layout) -> String {
    findings_and(findings, "", layout)
}

/// The same with another section behind the groups.
pub fn findings_and(findings: &[Finding], other: &str, layout: Layout) -> String {
    listed(findings, other, &verdict(findings), layout)
}

fn listed(findings: &[Finding], other: &str, verdict: &str, layout: Layout) -> String {
    let mut out = String::new();
    let is_problem = |finding: &&Finding| finding.severity >= Severity::Unknown;
    let mut problems: Vec<&Finding> = findings.iter().filter(is_problem).collect();
    problems.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    section(&mut out, "Problems", &problems, layout);
    for group in CheckGroup::ALL {
        let others = findings.iter().filter(|finding| !is_problem(finding));
        let others = others.filter(|finding| finding.group == *group);
        section(&mut out, group.title(), &others.collect::<Vec<_>>(), layout);
    }
    out.push_str(other);
    layout.field(&mut out, 0, "", verdict);
    out
}

/// Findings below a heading; nothing for none.
fn section(out: &mut String, title: &str, findings: &[&Finding], layout: Layout) {
    if findings.is_empty() {
        return;
    }
    layout.field_in(out, 0, ("", None), (title, Some(Ink::Strong)));
    for finding in findings {
        let label = format!("  {}", finding.severity.word());
        let ink = Ink::of(finding.severity);
        let text = format!("{} [{}]", found(finding), finding.check);
        layout.field_in(out, FOUND, (&label, ink), (&text, None));
        layout.field(out, FOUND + 2, "", &finding.problem.remedy);
    }
    out.push('\n');
}

/// `1 refused, 2 warnings, 27 ok. It would not be loaded.`
fn verdict(findings: &[Finding]) -> String {
    let verdict = match (
        count(findings, Severity::Refusal),
        count(findings, Severity::Unknown),
    ) {
        (0, 0) => "It would be loaded.",
        (0, _) => "It would be loaded, as far as could be checked.",
        _ => "It would not be loaded.",
    };
    match counts(findings) {
        counts if counts.is_empty() => verdict.to_owned(),
        counts => format!("{counts}. {verdict}"),
    }
}

/// `A panic would not be saved: 1 refused, 2 warnings, 27 ok.`
fn crash_verdict(findings: &[Finding]) -> String {
    let has = |severity| count(findings, severity) > 0;
    let verdict = match () {
        () if has(Severity::Refusal) => "A panic would not be saved",
        () if has(Severity::Warning) => "A panic may not be saved",
        () if has(Severity::Unknown) => "A panic would be saved, as far as could be checked",
        () => "A panic would be saved",
    };
    format!("{verdict}: {}.", counts(findings))
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|f| f.severity == severity).count()
}

/// `1 refused, 2 warnings, 27 ok`
fn counts(findings: &[Finding]) -> String {
    let count = |severity| count(findings, severity);
    let counts = [
        (
            Severity::Refusal,
            format!("{} refused", count(Severity::Refusal)),
        ),
        (
            Severity::Warning,
            counted(count(Severity::Warning), "warning"),
        ),
        (
            Severity::Unknown,
            format!("{} could not be checked", count(Severity::Unknown)),
        ),
        (Severity::Note, counted(count(Severity::Note), "note")),
        (Severity::Pass, format!("{} ok", count(Severity::Pass))),
    ];
    let counts = counts
        .into_iter()
        .filter(|(severity, _)| count(*severity) > 0);
    let counts: Vec<String> = counts.map(|(_, text)| text).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use kexec_machine::Problem;

    use super::*;

    fn finding(check: &'static str, group: CheckGroup, severity: Severity, text: &str) -> Finding {
        let remedy = match severity {
            Severity::Pass | Severity::Note => "",
            _ => text,
        };
        Finding {
            check,
            group,
            severity,
            problem: Problem::new(text, text, remedy),
        }
    }

    /// As many as a real machine has, in the order of the checks.
    fn some_findings() -> Vec<Finding> {
        use CheckGroup::{Initrd, Kernel, Machine, Reboot, SystemCall};
        vec![
            finding("image-intact", Kernel, Severity::Pass, "the kernel"),
            finding("initrd-intact", Initrd, Severity::Refusal, "the initrd"),
            finding("permission", SystemCall, Severity::Pass, "the call"),
            finding("memory", Machine, Severity::Unknown, "the memory"),
            finding("hardware", Machine, Severity::Pass, "the machine"),
            finding("watchdog", Machine, Severity::Warning, "the watchdog"),
            finding("last-kexec", Reboot, Severity::Note, "the last one"),
            finding("shutdown-image", Reboot, Severity::Refusal, "the image"),
        ]
    }

    #[test]
    fn problems_come_first_and_each_check_has_its_name() {
        insta::assert_snapshot!(findings(&some_findings(), Layout::PLAIN));
    }

    #[test]
    fn findings_fit_a_terminal() {
        let narrow = Layout {
            width: Some(44),
            colours: true,
        };
        let mut long = some_findings();
        long.truncate(2);
        for finding in &mut long {
            finding.problem.why = "word ".repeat(20).trim_end().to_owned();
        }
        let text = findings(&long, narrow);
        insta::assert_snapshot!(text.replace('\x1b', "ESC"));
    }

    #[test]
    fn what_it_comes_to() {
        let of = |severities: &[Severity]| {
            let all = severities
                .iter()
                .map(|s| finding("x", CheckGroup::Kernel, *s, "x"));
            verdict(&all.collect::<Vec<_>>())
        };
        use Severity::{Note, Pass, Refusal, Unknown, Warning};
        assert_eq!(of(&[Pass, Pass]), "2 ok. It would be loaded.");
        assert_eq!(
            of(&[Pass, Refusal, Warning, Warning, Refusal, Note]),
            "2 refused, 2 warnings, 1 note, 1 ok. It would not be loaded."
        );
        assert_eq!(
            of(&[Unknown]),
            "1 could not be checked. It would be loaded, as far as could be checked."
        );
        assert_eq!(of(&[]), "It would be loaded.");
        let of = |severities: &[Severity]| {
            let all = severities
                .iter()
                .map(|s| finding("x", CheckGroup::Kernel, *s, "x"));
            crash_verdict(&all.collect::<Vec<_>>())
        };
        for (severities, said) in [
            (
                [Refusal, Warning].as_slice(),
                "A panic would not be saved: 1 refused, 1 warning.",
            ),
            (
                &[Warning, Pass],
                "A panic may not be saved: 1 warning, 1 ok.",
            ),
            (
                &[Unknown],
                "A panic would be saved, as far as could be checked: 1 could not be checked.",
            ),
            (&[Pass, Note], "A panic would be saved: 1 note, 1 ok."),
        ] {
            assert_eq!(of(severities), said);
        }
    }

    /// What would clear the screen, turn the line around, begin another one.
    #[test]
    fn nothing_from_outside_acts_on_a_terminal() {
        let hostile = "\x1b[2Jx\u{202e}y\nkexec: z";
        let finding = finding("test", CheckGroup::Kernel, Severity::Warning, hostile);
        for (text, lines) in [
            (warning(&finding, Layout::PLAIN), 2),
            (findings(&[finding], Layout::PLAIN), 5),
        ] {
            assert_eq!(text.lines().count(), lines, "{text:?}");
            let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(acts), "{text:?}");
        }
    }
}
