//! Who wants a signature, and what a kernel without one is told.

use super::*;

#[test]
fn signature_under_lockdown() {
    load("locked-down").says(
        "signature",
        &[(Refusal, "there is none, and the running kernel")],
    );
    load("locked-down")
        .classic()
        .says("signature", &[(Refusal, "locked down (integrity)")]);
    // Even Debian's own: its key comes with shim (seen: EPERM).
    load("locked-down")
        .signed("bzImage")
        .says("signature", &[(Warning, "without Secure Boot the keys")]);
    // A UKI that is signed around an unsigned kernel.
    load("locked-down").signed("UKI").wrapped().says(
        "signature",
        &[(Refusal, "a signature on the wrapper does not count")],
    );
    let no_sig = |h: &mut Snapshot| {
        if let Fact::Known(config) = &mut h.config {
            config.remove("CONFIG_KEXEC_SIG");
        }
    };
    load("locked-down")
        .host(no_sig)
        .says("signature", &[(Note, "checks no signature")]);
    load("locked-down")
        .host(|h| h.config = Fact::Absent)
        .says("signature", &[(Warning, "there is none")]);
    // IMA's appraisal is as good to the kernel as a signature.
    load("locked-down")
        .host(|h| h.security.ima_appraises_kexec = Fact::Known(true))
        .says(
            "signature",
            &[(Warning, "there is none"), (Note, "security.ima")],
        );
}

#[test]
fn signature_under_secure_boot() {
    load("secure-boot").says(
        "signature",
        &[(Refusal, "Secure Boot is on, it is locked down")],
    );
    load("secure-boot").signed("bzImage").says(
        "signature",
        &[(
            Note,
            "by Debian Secure Boot Signer; the running kernel verifies it",
        )],
    );
    load("secure-boot")
        .classic()
        .says("signature", &[(Refusal, "locked down")]);
    let unlocked = |h: &mut Snapshot| h.security.lockdown = Fact::Absent;
    load("secure-boot")
        .host(unlocked)
        .classic()
        .says("signature", &[(Warning, "EACCES")]);
    // Without lockdown it is IMA's architecture policy that enforces.
    load("secure-boot")
        .host(unlocked)
        .says("signature", &[(Refusal, "Secure Boot is on")]);
}

/// Secure Boot is on, and neither lockdown nor IMA makes the running kernel insist:
/// the verbs do, the old spelling leaves it to the kernel as kexec-tools does.
#[test]
fn signature_that_only_secure_boot_wants() {
    let lax = || {
        load("secure-boot").host(|h| {
            h.security.lockdown = Fact::Absent;
            let Fact::Known(config) = &mut h.config else {
                panic!("no configuration");
            };
            config.remove("CONFIG_IMA_ARCH_POLICY");
        })
    };
    let none = "Secure Boot is on, and there is none";
    lax().says("signature", &[(Refusal, none)]);
    let remedy = lax().findings();
    let remedy = remedy.iter().find(|f| f.check == "signature").unwrap();
    assert!(remedy.problem.remedy.contains("--unverified"), "{remedy:?}");
    lax()
        .unsigned(Unsigned::ForTheKernel)
        .says("signature", &[(Warning, none)]);
    lax()
        .unsigned(Unsigned::Taken)
        .says("signature", &[(Note, "--unverified loads it anyway")]);
    for unsigned in [Unsigned::Refused, Unsigned::ForTheKernel, Unsigned::Taken] {
        lax()
            .signed("bzImage")
            .unsigned(unsigned)
            .says("signature", &[(Note, "by Debian Secure Boot Signer")]);
    }
    // One around the kernel is none.
    lax().signed("UKI").wrapped().says(
        "signature",
        &[(Refusal, "a signature on the wrapper does not count")],
    );
    // -c is what the caller wants.
    lax().classic().says("signature", &[(Warning, "EACCES")]);
}

#[test]
fn secure_boot_that_cannot_be_seen_is_no_pass() {
    load("debian-cloud")
        .host(|h| h.security.secure_boot = Fact::Unreadable("efivarfs".to_owned()))
        .classic()
        .says(
            "signature",
            &[(Unknown, "whether Secure Boot is on: efivarfs")],
        );
}

#[test]
fn signature_that_nobody_asks_for_or_that_cannot_be_seen() {
    load("debian-cloud").says("signature", &[(Pass, "does not require one")]);
    load("debian-cloud")
        .classic()
        .says("signature", &[(Pass, "allows it")]);
    let hidden = |h: &mut Snapshot| {
        h.security.lockdown = Fact::Unreadable("securityfs is not mounted".to_owned());
    };
    load("debian-cloud").host(hidden).says(
        "signature",
        &[(
            Unknown,
            "there is none; whether the running kernel requires one",
        )],
    );
    load("debian-cloud")
        .host(hidden)
        .classic()
        .says("signature", &[(Unknown, "securityfs")]);
    load("debian-cloud")
        .host(hidden)
        .signed("bzImage")
        .says("signature", &[(Unknown, "there is one by Debian")]);
    load("debian-cloud")
        .host(|h| h.config = Fact::Absent)
        .says("signature", &[(Unknown, "configuration was not found")]);
    load("debian-cloud")
        .host(|h| {
            if let Fact::Known(config) = &mut h.config {
                config.insert("CONFIG_KEXEC_SIG_FORCE".to_owned(), "y".to_owned());
            }
        })
        .says("signature", &[(Refusal, "CONFIG_KEXEC_SIG_FORCE")]);
    let mut broken = load("locked-down");
    broken.proofs = Err(ImageError::Missing {
        what: "a".to_owned(),
        has: "b".to_owned(),
    });
    broken.says("signature", &[(Unknown, "accepts only signed kernels")]);
}
