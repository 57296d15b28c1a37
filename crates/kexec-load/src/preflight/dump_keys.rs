//! Do the keys of an encrypted dump target get to the crash kernel?

use kexec_plan::Method;

use super::{Check, CheckGroup, LoadContext, Observation, Severity};
use kexec_machine::Fact;

pub(super) const CHECK: Check = Check {
    name: "dump-keys",
    group: CheckGroup::SystemCall,
    about: "the crash kernel gets the keys of an encrypted dump target that are kept for it",
    run,
};

fn run(context: &LoadContext<'_>) -> Vec<Observation> {
    let keys = &context.host.crash.dump_keys;
    let what = "keys of an encrypted dump target";
    let observation = match (context.plan.crash, keys, context.decision.method) {
        (false, ..) | (_, Fact::Absent | Fact::Known(0), _) => return Vec::new(),
        (_, Fact::Known(keys), Method::FileLoad) => {
            Observation::pass(what, format!("{keys}, which the running kernel hands on"))
        }
        // Only the running kernel's own loader reads them
        // (Documentation/admin-guide/kdump/kdump.rst, "Write the dump file to encrypted disk
        // volume").
        (_, Fact::Known(keys), Method::ClassicLoad) => Observation::new(
            Severity::Refusal,
            what,
            format!(
                "{keys} in /sys/kernel/config/crash_dm_crypt_keys, and kexec_load(2) hands none of \
                 them on: the crash kernel could not open the dump target"
            ),
            "load with -s, or remove the keys",
        ),
        (_, Fact::Unreadable(_), Method::FileLoad) => return Vec::new(),
        (_, Fact::Unreadable(why), Method::ClassicLoad) => Observation::new(
            Severity::Unknown,
            what,
            format!("whether there are any is unknown: {why}"),
            "load with -s",
        ),
    };
    vec![observation]
}
