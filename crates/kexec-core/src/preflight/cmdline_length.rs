//! Does the next kernel take the whole command line?

use kexec_image::{Arch, Kernel};
use kexec_plan::Method;

use crate::explain::say::ELFCOREHDR_ROOM;

use super::{Check, Context, Outcome, Severity};

pub(super) const CHECK: Check = Check {
    name: "cmdline-length",
    about: "the command line fits into what the next kernel reads",
    run,
};

fn run(context: &Context<'_>) -> Vec<Outcome> {
    let cmdline = &context.plan.cmdline;
    let what = format!("command line from {}", context.plan.cmdline_from);
    // Documentation/arch/x86/boot.rst, cmdline_size: "the maximum size of the
    // command line without the terminating zero".
    let (max, says) = match &context.image.kernel {
        Kernel::BzImage(b) if b.cmdline_size > 0 => (
            usize::try_from(b.cmdline_size).unwrap_or(usize::MAX),
            "cmdline_size of the kernel's header",
        ),
        _ => match context.image.arch().or(context.host.arch) {
            Some(arch) => (
                arch.command_line_size().saturating_sub(1),
                "COMMAND_LINE_SIZE of its architecture",
            ),
            None => return Vec::new(),
        },
    };
    // x86's kexec_file_load(2) keeps room for an elfcorehdr= in every load, and
    // counts the terminating zero (measured on 6.1, 6.12 and 7.3:
    // vm/tests/refusals.rs).
    let (max, says) = match (context.host.arch, context.decision.method) {
        (Some(Arch::X86_64), Method::FileLoad) => (
            max.saturating_sub(ELFCOREHDR_ROOM + 1),
            "kexec_file_load(2) of the running kernel",
        ),
        _ => (max, says),
    };
    let len = cmdline.as_bytes().len();
    let mut outcomes = Vec::new();
    if len > max {
        outcomes.push(Outcome::new(
            Severity::Refusal,
            &what,
            format!("{len} bytes long; at most {max} are taken ({says})"),
            format!("make it {} bytes shorter", len - max),
        ));
    } else {
        outcomes.push(Outcome::pass(
            &what,
            format!("{len} of {max} bytes ({says})"),
        ));
    }
    if cmdline.ends_in_init_arguments() && context.plan.cmdline_from.contains("reuse") {
        outcomes.push(Outcome::new(
            Severity::Warning,
            &what,
            "the old line has a `--`: what is appended behind it goes to init, not to the kernel",
            "write the whole line with --command-line, without --reuse-cmdline",
        ));
    }
    outcomes
}
