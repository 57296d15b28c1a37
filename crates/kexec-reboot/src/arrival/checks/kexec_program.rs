//! Is there the program that systemd wants to see?

use super::{ArrivalCheck, ArrivalContext};
use crate::handover::init::Init;
use kexec_load::preflight::{CheckGroup, Observation, Severity};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "kexec-program",
    group: CheckGroup::Reboot,
    about: "/usr/sbin/kexec exists where systemd up to 260 needs it",
    run,
};

/// The first systemd that looks for none.
const NOT_WANTED: u32 = 261;

fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    let init = &context.arrival.init;
    if init.init != Init::Systemd || !context.by_init {
        return Vec::new();
    }
    let what = "/usr/sbin/kexec";
    let outcome = match (init.systemd, init.kexec_installed) {
        (Some(version), _) if version >= NOT_WANTED => {
            Observation::pass(what, format!("systemd {version} does not need it"))
        }
        (_, true) => Observation::pass(what, "it exists, as systemd needs it"),
        (version, false) => Observation::new(
            Severity::Warning,
            what,
            match version {
                Some(version) => format!(
                    "no such file, and logind of systemd {version} refuses a kexec without it"
                ),
                None => "no such file, and systemd up to 260 refuses a kexec without it".into(),
            },
            "install this program there; until then the service manager is asked instead of logind",
        ),
    };
    vec![outcome]
}
