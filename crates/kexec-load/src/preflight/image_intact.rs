//! Is the kernel the one that was built?

use kexec_image::Proof;
use kexec_machine::Problem;

use super::{Check, CheckGroup, LoadContext, Observation, Severity};

pub(super) const CHECK: Check = Check {
    name: "image-intact",
    group: CheckGroup::Kernel,
    about: "the kernel file is complete and unaltered",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let what = format!("kernel {}", context.plan.kernel.origin);
    let proofs = match context.proofs {
        Ok(proofs) => proofs,
        Err(e) => {
            return vec![Observation {
                severity: Severity::Refusal,
                problem: Problem::caused(what, e.clone(), e.remedy()),
            }];
        }
    };
    proofs.iter().map(|p| outcome(&what, p)).collect()
}

fn outcome(what: &str, proof: &Proof) -> Observation {
    match proof {
        Proof::Authenticode { of, signer } => Observation::pass(
            what,
            format!("the signature's digest matches the {of}, signed by {signer}"),
        ),
        Proof::Payload {
            codec,
            len,
            checksummed: true,
        } => Observation::pass(
            what,
            format!("its {codec} payload unpacks to {len} bytes with the right checksum"),
        ),
        Proof::Payload { codec, len, .. } => Observation::pass(
            what,
            format!("its {codec} payload unpacks to {len} bytes, as its header says"),
        ),
        Proof::Bounds => Observation::new(
            Severity::Note,
            what,
            "complete as far as its headers show; the format has no checksum of its content",
            "",
        ),
    }
}
