//! The table: errno, cause, remedy. One file per kind of question.
//!
//! Sources: kexec_load(2), kexec_file_load(2) and reboot(2), ERRORS;
//! kernel_lockdown(7); Documentation/admin-guide/sysctl/kernel.rst
//! (`kexec_load_disabled`, `kexec_load_limit_*`); Documentation/ABI/testing/
//! ima_policy; and what kernels from 6.1 to 7.x were seen to answer.

mod image;
mod permission;
mod place;

use kexec_sys::Errno;

use super::say::DMESG;
use super::{CallContext, ErrnoCause, KernelCall};

/// Every cause that is known, in the order in which they are tried: the first
/// row of an errno that applies is the answer, and the last of each applies
/// always. The kernel's own order of checks decides the order where one errno
/// has several causes.
pub fn causes() -> impl Iterator<Item = &'static ErrnoCause> {
    [permission::CAUSES, place::CAUSES, image::CAUSES]
        .into_iter()
        .flatten()
}

/// What is said about an errno that has no row.
pub(super) fn unknown(c: &CallContext<'_>, errno: Errno) -> (String, String) {
    if c.call == KernelCall::Reboot && c.host.kexec.kho.is_true() {
        return (
            format!(
                "the kernel abandoned the jump, most likely because live-update state could not \
                 be saved ({errno})"
            ),
            format!(
                "{DMESG}; the sessions' owner has to finish or give up (ls -l /proc/*/fd | grep luo_session)"
            ),
        );
    }
    (
        format!("the kernel gave a reason that is unknown for this call: {errno}"),
        DMESG.to_owned(),
    )
}
