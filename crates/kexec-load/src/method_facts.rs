//! What decides the system call, out of the request, the files and the machine.

use kexec_image::{Arch, Image};
use kexec_machine::{Fact, Snapshot};
use kexec_plan::{FilePlan, Method, MethodFacts, file};

use crate::request::{LoadRequest, Unsigned};
use crate::{classic, preflight};

/// The facts that decide the system call.
pub fn method_facts(
    request: &LoadRequest,
    image: &Image,
    plan: &FilePlan,
    arch: Arch,
    host: &Snapshot,
) -> MethodFacts {
    let longest = preflight::longest_cmdline(image, arch, Method::FileLoad);
    let unseen = |reason: Option<&str>| reason.map(str::to_owned);
    let secure_boot = match request.classic.unsigned {
        Unsigned::Taken => &Fact::Absent,
        Unsigned::Refused | Unsigned::ForTheKernel => &host.security.secure_boot,
    };
    MethodFacts {
        choice: request.syscall,
        secure_boot: secure_boot.is_true(),
        secure_boot_unseen: unseen(secure_boot.reason()),
        locked_down: host.locked_down(),
        lockdown_unseen: unseen(host.security.lockdown.reason()),
        signature_enforced: host.signature_enforced().is_true(),
        ima_appraises: host.security.ima_appraises_kexec.is_true(),
        selinux_enforcing: host.security.selinux_enforcing.is_true(),
        handover_state: !request.classic.discard_liveupdate
            && !plan.crash
            && (host.kexec.kho.is_true() || host.kexec.liveupdate_sessions.is_true()),
        // A kernel for another machine is refused by a check, which says it
        // better than a plan that cannot be made.
        not_for_file_load: file::accepts(arch, image).is_err(),
        file_load_resets: preflight::file_load_resets(host, image, &plan.cmdline),
        long_cmdline: plan.cmdline.as_bytes().len() > longest.0,
        classic_option: request.classic.demands_classic(),
        crash: plan.crash,
        dump_keys: plan.crash && host.crash.dump_keys.known().is_some_and(|keys| *keys > 0),
        not_placed_here: !kexec_plan::planners::is_planned(arch)
            || classic::purgatory_shape().is_err(),
        classic_not_built: host.built_with("CONFIG_KEXEC") == Some(false),
        memory_hidden: host.memory.iomem.known().is_none(),
        memory_guarded: host.memory_guarded(),
    }
}
