//! Does the running kernel want a signature, and is there one?

use kexec_image::{Kernel, Proof, authenticode};
use kexec_plan::Method;

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use crate::explain::say;
use crate::request::Unsigned;
use kexec_machine::{Fact, Snapshot};

pub(super) const CHECK: Check = Check {
    name: "signature",
    group: CheckGroup::Kernel,
    about: "the kernel is signed where the running kernel requires it",
    run,
};

/// What can be said of the signature of the kernel that is handed over. One
/// around it (of a UKI) does not count.
enum Signed {
    /// It is signed, by this signer.
    By(String),
    /// It has no signature at all.
    No,
    /// Not to be told, and why.
    Unclear(String),
}

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let mut outcomes = match context.decision.method {
        Method::FileLoad => vec![file(context)],
        Method::ClassicLoad => vec![classic(context.host)],
    };
    outcomes.extend(ima(context));
    if context.classic.unsigned == Unsigned::Taken && context.host.locked_down() {
        outcomes.push(Observation::new(
            Severity::Warning,
            "--unverified",
            "the running kernel is locked down, and accepts only a kernel with a signature that \
             it trusts",
            "use a signed kernel; or boot without lockdown, for which Secure Boot may have to be \
             off",
        ));
    }
    outcomes
}

/// kexec_load(2) shows the kernel no file: where it wants to verify, it refuses
/// (kernel_lockdown(7); with Secure Boot IMA was seen to say EACCES).
fn classic(host: &Snapshot) -> Observation {
    let what = "kexec_load(2)";
    let remedy = "use kexec_file_load(2): -s instead of -c";
    if host.locked_down() {
        let mode = say::lockdown_mode(host);
        let why = format!("the running kernel is locked down ({mode}) and does not allow it");
        return Observation::new(Severity::Refusal, what, why, remedy);
    }
    if host.security.secure_boot.is_true() {
        let why = "Secure Boot is on: kernels with IMA refuse it then (EACCES)";
        return Observation::new(Severity::Warning, what, why, remedy);
    }
    let lockdown = host.security.lockdown.reason();
    match (lockdown, host.security.secure_boot.reason()) {
        (Some(reason), _) => Observation::new(
            Severity::Unknown,
            what,
            format!("whether the running kernel is locked down: {reason}"),
            "mount securityfs: mount -t securityfs securityfs /sys/kernel/security",
        ),
        (None, Some(reason)) => Observation::new(
            Severity::Unknown,
            what,
            format!("whether Secure Boot is on: {reason}"),
            "mount efivarfs: mount -t efivarfs efivarfs /sys/firmware/efi/efivars",
        ),
        (None, None) => {
            Observation::pass(what, "the running kernel is not locked down and allows it")
        }
    }
}

fn file(context: &LoadContext<'_>) -> Observation {
    let host = context.host;
    let what = format!("signature of kernel {}", context.plan.kernel.origin);
    let enforced = host.signature_enforced();
    let demands = host.locked_down() || enforced.is_true();
    if demands {
        return demanded(context, what);
    }
    if host.security.secure_boot.is_true() {
        return wanted(context, what);
    }
    let unseen: Vec<&str> = [host.security.lockdown.reason(), enforced.reason()]
        .into_iter()
        .flatten()
        .collect();
    // Without a configuration, enforcement at build time cannot be excluded.
    let config =
        matches!(enforced, Fact::Absent).then_some("the kernel's configuration was not found");
    let unseen: Vec<&str> = unseen.into_iter().chain(config).collect();
    if unseen.is_empty() {
        return Observation::pass(what, "the running kernel does not require one");
    }
    let has = match signed(context) {
        Signed::By(signer) => format!("there is one by {signer}"),
        Signed::No => "there is none".to_owned(),
        Signed::Unclear(why) => format!("whether there is one is unknown: {why}"),
    };
    Observation::new(
        Severity::Unknown,
        what,
        format!(
            "{has}; whether the running kernel requires one is unknown: {}",
            unseen.join("; ")
        ),
        "",
    )
}

/// Secure Boot is on, and the running kernel verifies without insisting: it takes
/// an unsigned kernel all the same (kernel/Kconfig.kexec, help of KEXEC_SIG).
fn wanted(context: &LoadContext<'_>, what: String) -> Observation {
    let unsigned = context.classic.unsigned;
    let (severity, remedy) = match unsigned {
        Unsigned::Refused => (
            Severity::Refusal,
            "use a signed kernel, such as the distribution's own; or load this one anyway: \
             --unverified",
        ),
        Unsigned::ForTheKernel => (
            Severity::Warning,
            "use a signed kernel, such as the distribution's own",
        ),
        Unsigned::Taken => (Severity::Note, ""),
    };
    let unverified = match unsigned {
        Unsigned::Taken => "; --unverified loads it anyway",
        Unsigned::ForTheKernel => "; the running kernel does not require one",
        Unsigned::Refused => "",
    };
    match signed(context) {
        Signed::By(signer) => Observation::new(
            Severity::Note,
            what,
            format!(
                "Secure Boot is on, and there is one by {signer}; the running kernel verifies it, \
                 but does not require a key that it has"
            ),
            "",
        ),
        Signed::No => Observation::new(
            severity,
            what,
            format!(
                "Secure Boot is on, and there is none{}{unverified}",
                around(context)
            ),
            remedy,
        ),
        Signed::Unclear(why) => Observation::new(
            severity,
            what,
            format!("Secure Boot is on, and whether there is one is unknown: {why}{unverified}"),
            remedy,
        ),
    }
}

/// Said of an unsigned kernel that came out of something that may be signed.
fn around(context: &LoadContext<'_>) -> &'static str {
    match context.plan.bare {
        true => "",
        false => " (a signature on the wrapper does not count: the kernel inside is verified)",
    }
}

/// The running kernel verifies: what does it find?
fn demanded(context: &LoadContext<'_>, what: String) -> Observation {
    let host = context.host;
    let because = say::why_enforced(host);
    match signed(context) {
        Signed::By(signer) if host.security.secure_boot.is_true() => Observation::new(
            Severity::Note,
            what,
            format!(
                "there is one by {signer}; the running kernel verifies it{because}, and only the \
                 load shows whether it has that key"
            ),
            "",
        ),
        // Seen with Debian's kernels: with lockdown= alone even their own key is
        // missing, because it comes from shim.
        Signed::By(signer) => Observation::new(
            Severity::Warning,
            what,
            format!(
                "there is one by {signer}, but without Secure Boot the keys of the firmware and \
                 of shim are not available to verify it{because}"
            ),
            "boot with Secure Boot on, or without lockdown=",
        ),
        // Kernels without CONFIG_KEXEC_SIG verify nothing, whatever lockdown says.
        Signed::No if host.built_with("CONFIG_KEXEC_SIG") == Some(false) => Observation::new(
            Severity::Note,
            what,
            format!(
                "there is none; the running kernel was built without CONFIG_KEXEC_SIG and checks \
                 no signature{because}"
            ),
            "",
        ),
        Signed::No => Observation::new(
            if host.security.ima_appraises_kexec.is_true()
                || host.built_with("CONFIG_KEXEC_SIG").is_none()
            {
                Severity::Warning
            } else {
                Severity::Refusal
            },
            what,
            format!(
                "there is none{}, and the running kernel accepts only signed kernels{because}",
                around(context)
            ),
            "use a signed kernel, such as the distribution's own, or sign it with a key that the \
             machine trusts (sbsign, mokutil --import)",
        ),
        Signed::Unclear(why) => Observation::new(
            Severity::Unknown,
            what,
            format!("{why}; the running kernel accepts only signed kernels{because}"),
            "",
        ),
    }
}

fn signed(context: &LoadContext<'_>) -> Signed {
    let format = context.image.kernel.format();
    let proofs = match context.proofs {
        Ok(proofs) => proofs,
        Err(e) => return Signed::Unclear(e.to_string()),
    };
    let proof = proofs.iter().find_map(|proof| match proof {
        Proof::Authenticode { of, signer } if of == format => Some(signer),
        _ => None,
    });
    if let Some(signer) = proof {
        return Signed::By(signer.clone());
    }
    if matches!(context.image.kernel, Kernel::Elf(_)) {
        return Signed::Unclear(
            "the signature of an ELF kernel follows its content, and is not checked \
             here"
                .to_owned(),
        );
    }
    // A signature may be there whose digest we cannot compute.
    match authenticode::check(&context.image.bytes) {
        Ok(signatures) => match signatures.into_iter().next() {
            Some(signature) => Signed::By(signature.signer),
            None => Signed::No,
        },
        Err(e) => Signed::Unclear(e.to_string()),
    }
}

/// IMA wants its signature on the file itself, as an extended attribute.
fn ima(context: &LoadContext<'_>) -> Option<Observation> {
    let what = format!("IMA on kernel {}", context.plan.kernel.origin);
    match &context.host.security.ima_appraises_kexec {
        Fact::Known(true) if context.decision.method == Method::ClassicLoad => {
            Some(Observation::new(
                Severity::Refusal,
                what,
                "the policy appraises kernel files, and kexec_load(2) gives it none",
                "use kexec_file_load(2): -s instead of -c",
            ))
        }
        Fact::Known(true) if !context.plan.bare => Some(Observation::new(
            Severity::Warning,
            what,
            "the policy requires a signature on the kernel file (security.ima); this kernel was \
             unpacked from a wrapper, and the copy in memory has none",
            "use a plain kernel file that needs no unpacking, signed with evmctl ima_sign",
        )),
        Fact::Known(true) => Some(Observation::new(
            Severity::Note,
            what,
            "the policy requires a good signature on the file (security.ima); only the load shows \
             whether it has one",
            "",
        )),
        Fact::Known(false) | Fact::Absent => None,
        Fact::Unreadable(reason) => Some(Observation::new(
            Severity::Unknown,
            what,
            format!("whether its policy appraises kernels: {reason}"),
            "",
        )),
    }
}
