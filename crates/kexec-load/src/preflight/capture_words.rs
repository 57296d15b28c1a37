//! Does the next kernel get words that are there for a capture kernel?

use kexec_plan::FilePlan;

use super::{Check, CheckGroup, LoadContext, Observation, Severity};

pub(super) const CHECK: Check = Check {
    name: "capture-words",
    group: CheckGroup::CommandLine,
    about: "a reused command line is not that of a capture kernel",
    run,
};

/// What tells a kernel that it was started after a crash
/// (Documentation/admin-guide/kernel-parameters.txt).
const CAPTURE: &[&str] = &["elfcorehdr", "reset_devices"];

/// What capture kernels get besides (Documentation/admin-guide/kdump/kdump.rst, "Notes on
/// loading the dump-capture kernel").
const BESIDES: &[&str] = &["irqpoll", "maxcpus", "nr_cpus", "disable_cpu_apicid"];

/// kexec-tools hands these words on, and so does this program: what is right for a
/// dump kernel that starts itself anew cannot be told from here.
fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    judge(context.plan).into_iter().collect()
}

fn judge(plan: &FilePlan) -> Option<Observation> {
    // A UKI's own line is used again, too, and is nobody's accident. And a crash kernel is to
    // act as a capture kernel.
    if plan.crash || !plan.cmdline_from.contains("running kernel") {
        return None;
    }
    let named = |names: &[&str]| -> Vec<String> {
        let words = plan.cmdline.words().filter(|word| {
            let name = word.split(|byte| *byte == b'=').next().unwrap_or_default();
            names.iter().any(|one| one.as_bytes() == name)
        });
        words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    };
    let mut words = named(CAPTURE);
    if words.is_empty() {
        return None;
    }
    words.extend(named(BESIDES));
    Some(Observation::new(
        Severity::Warning,
        format!("command line from {}", plan.cmdline_from),
        format!(
            "the running kernel is a capture kernel, and these parameters are meant for it: {}. \
             The next kernel gets them too, and will act as a capture kernel",
            words.join(" ")
        ),
        "give the whole command line with --command-line, without --reuse-cmdline",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(cmdline: &str, cmdline_from: &'static str) -> Option<String> {
        said_of(cmdline, cmdline_from, false)
    }

    fn said_of(cmdline: &str, cmdline_from: &'static str, crash: bool) -> Option<String> {
        let plan = FilePlan {
            format: "bzImage".into(),
            release: None,
            kernel: kexec_plan::Piece {
                origin: "/k".into(),
                len: 0,
                padding: 0,
                bytes: bytes::Bytes::new(),
            },
            bare: true,
            initrd: vec![],
            cmdline: cmdline.into(),
            cmdline_from,
            crash,
        };
        let outcome = judge(&plan)?;
        assert_eq!(outcome.severity, Severity::Warning);
        Some(outcome.problem.why)
    }

    #[test]
    fn words_of_a_capture_kernel_that_are_handed_on_are_named() {
        let reused = "the running kernel (--reuse-cmdline)";
        let line = "root=/dev/vda1 nr_cpus=1 reset_devices elfcorehdr=0x7000000 quiet";
        let why = said(line, reused).unwrap();
        let words = "reset_devices elfcorehdr=0x7000000 nr_cpus=1.";
        assert!(why.contains(words), "{why}");
        assert!(said("reset_devices", reused).is_some());
        // One processor is wanted by others, too.
        assert_eq!(said("root=/dev/vda1 nr_cpus=1 irqpoll", reused), None);
        assert_eq!(said("elfcorehdrs=1 xreset_devices", reused), None);
        // Whoever writes them means them.
        assert_eq!(said(line, "--append"), None);
        // `--reuse-cmdline --append reset_devices` for a crash kernel is as it should be.
        assert_eq!(said_of(line, reused, true), None);
    }
}
