//! Does the next kernel take the whole command line?

use kexec_image::{Arch, Image, Kernel};
use kexec_plan::Method;

use crate::explain::say::ELFCOREHDR_ROOM;

use super::{Check, CheckGroup, LoadContext, Observation, Severity};

pub(super) const CHECK: Check = Check {
    name: "cmdline-length",
    group: CheckGroup::CommandLine,
    about: "the next kernel reads the whole command line",
    run,
};

/// The longest command line in bytes, without the terminating NUL, and who says
/// so.
pub(crate) fn longest(image: &Image, arch: Arch, method: Method) -> (usize, &'static str) {
    let (max, says) = match &image.kernel {
        // Documentation/arch/x86/boot.rst, cmdline_size: "the maximum size of
        // the command line without the terminating zero".
        Kernel::BzImage(b) if b.cmdline_size > 0 => (
            usize::try_from(b.cmdline_size).unwrap_or(usize::MAX),
            "cmdline_size of the kernel's header",
        ),
        _ => (
            arch.command_line_size().saturating_sub(1),
            "COMMAND_LINE_SIZE of its architecture",
        ),
    };
    match (arch, method) {
        // x86's kexec_file_load(2) keeps room for an elfcorehdr= in every load,
        // and counts the terminating zero (measured: kexec-lab/tests/refusals.rs).
        (Arch::X86_64, Method::FileLoad) => (
            max.saturating_sub(ELFCOREHDR_ROOM + 1),
            "kexec_file_load(2) of the running kernel",
        ),
        _ => (max, says),
    }
}

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let cmdline = &context.plan.cmdline;
    let what = format!("command line from {}", context.plan.cmdline_from);
    let Some(arch) = context.image.arch().or(context.host.arch) else {
        return Vec::new();
    };
    let (max, says) = longest(context.image, arch, context.decision.method);
    let len = cmdline.as_bytes().len();
    let mut outcomes = Vec::new();
    if len > max {
        outcomes.push(Observation::new(
            Severity::Refusal,
            &what,
            format!("{len} bytes long; at most {max} are allowed ({says})"),
            format!("make it {} bytes shorter", len - max),
        ));
    } else {
        outcomes.push(Observation::pass(
            &what,
            format!("{len} of {max} bytes ({says})"),
        ));
    }
    if cmdline.ends_in_init_arguments() && context.plan.cmdline_from.contains("reuse") {
        outcomes.push(Observation::new(
            Severity::Warning,
            &what,
            "the old command line has a `--`: what is appended after it goes to init, not to the \
             kernel",
            "give the whole command line with --command-line, without --reuse-cmdline",
        ));
    }
    outcomes
}
