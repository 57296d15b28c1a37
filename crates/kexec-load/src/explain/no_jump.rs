//! Why a kernel cannot be jumped back to, and what to do about it.

use kexec_machine::Snapshot;

/// Why the running kernel cannot keep its memory over a jump, where its
/// configuration tells.
pub(crate) fn without_jump(host: &Snapshot) -> Option<String> {
    let missing = host.built_with("CONFIG_KEXEC_JUMP") == Some(false);
    missing.then(|| {
        format!(
            "the running kernel ({}) was built without CONFIG_KEXEC_JUMP: nothing can jump back to it",
            host.release
        )
    })
}

/// What to do about that.
pub(crate) const WITH_JUMP: &str = "boot a kernel with CONFIG_KEXEC_JUMP (Debian's have none), or \
                                    load without --load-preserve-context";
