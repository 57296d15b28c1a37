//! Does the next kernel come out of five-level paging, or does the machine reset before
//! its first word?

use kexec_image::Image;
use kexec_plan::{Cmdline, Method, paging};

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use kexec_machine::Snapshot;

pub(super) const CHECK: Check = Check {
    name: "five-level-paging",
    group: CheckGroup::Machine,
    about: "the next kernel can start with the page tables of the running one",
    run,
};

/// Whether `kexec_file_load(2)` would end in a reset here.
pub(crate) fn file_load_resets(host: &Snapshot, image: &Image, cmdline: &Cmdline) -> bool {
    host.firmware.la57.is_true() && paging::file_load_resets(&host.release, &image.kernel, cmdline)
}

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let host = context.host;
    let resets = file_load_resets(host, context.image, &context.plan.cmdline);
    if !resets {
        return Vec::new();
    }
    let what = "five-level paging";
    let outcome = match context.decision.method {
        Method::ClassicLoad => Observation::pass(
            what,
            "the next kernel uses four levels, and is entered with four",
        ),
        Method::FileLoad => Observation::new(
            Severity::Refusal,
            what,
            format!(
                "the running kernel {} uses it; the next one does not, and cannot switch it off \
                 after kexec_file_load: the machine would reset before the first message",
                host.release
            ),
            format!(
                "use the other system call (-c), whose purgatory switches it off first; where \
                 that is not allowed, boot the running kernel with no5lvl, or update the next one \
                 (fixed in {})",
                paging::mended_in()
            ),
        ),
    };
    vec![outcome]
}
