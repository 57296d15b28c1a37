//! Do kernel and initrd belong together?

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::{ArrivalCheck, ArrivalContext};
use kexec_load::initrd::members::{MembersSeen, members};
use kexec_load::preflight::{CheckGroup, Observation, Severity};

pub(super) const CHECK: ArrivalCheck = ArrivalCheck {
    name: "modules-fit",
    group: CheckGroup::Initrd,
    about: "the initrd has modules for the kernel's release",
    run,
};

/// The most that is unpacked to look for them, bytes. They stand late in most
/// archives, which have some hundred megabytes at most.
const LIMIT: u64 = 1 << 30;

/// Where modules are, by release.
const FOLDERS: &[&[u8]] = &[b"usr/lib/modules/", b"lib/modules/"];

/// The release in the name of a member, `usr/lib/modules/6.12.1/kernel`.
fn release(name: &[u8]) -> Option<String> {
    let name = name
        .strip_prefix(b"./")
        .or(name.strip_prefix(b"/"))
        .unwrap_or(name);
    let rest = FOLDERS
        .iter()
        .find_map(|folder| name.strip_prefix(*folder))?;
    let release = rest.split(|b| *b == b'/').next()?;
    (!release.is_empty()).then(|| String::from_utf8_lossy(release).into_owned())
}

fn run(context: &ArrivalContext<'_>) -> Vec<Observation> {
    let Some(wanted) = &context.plan.release else {
        return Vec::new();
    };
    if !context.plan.has_initrd() {
        return Vec::new();
    }
    let mut others = BTreeSet::new();
    let mut whole = true;
    for piece in &context.plan.initrd {
        let seen = members(&piece.bytes, LIMIT, &mut |name| match release(name) {
            Some(found) if found == *wanted => ControlFlow::Break(()),
            Some(found) => {
                others.insert(found);
                ControlFlow::Continue(())
            }
            None => ControlFlow::Continue(()),
        });
        match seen {
            MembersSeen::Enough => {
                return vec![Observation::pass(
                    "modules in the initrd",
                    format!("they are for the kernel's release, {wanted}"),
                )];
            }
            MembersSeen::All => {}
            MembersSeen::Some => whole = false,
        }
    }
    vec![judge(wanted, &others, whole)]
}

fn judge(wanted: &str, others: &BTreeSet<String>, whole: bool) -> Observation {
    let what = "modules in the initrd";
    if others.is_empty() && whole {
        return Observation::new(
            Severity::Note,
            what,
            "it has none: the kernel must have what it needs for its root file system built in",
            "",
        );
    }
    let names: Vec<&str> = others.iter().map(String::as_str).collect();
    let names = names.join(", ");
    if !whole {
        return Observation::new(
            Severity::Unknown,
            what,
            format!(
                "not all of it could be read; up to there, none are for {wanted} (found: {names})"
            ),
            "",
        );
    }
    Observation::new(
        Severity::Refusal,
        what,
        format!("they are for {names}, but the kernel is {wanted}: it could not load them"),
        "use the initrd of this kernel, or build one (update-initramfs -c -k RELEASE, dracut, \
         mkinitcpio); \
         `kexec load KERNEL` with `systemctl kexec` goes on anyway",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_in_names() {
        for (name, found) in [
            ("usr/lib/modules/6.12.1/kernel/x.ko", Some("6.12.1")),
            ("lib/modules/6.12.1", Some("6.12.1")),
            ("./lib/modules/6.12.1+x/a", Some("6.12.1+x")),
            ("usr/lib/modules", None),
            ("usr/lib/modules/", None),
            ("etc/lib/modules/6/x", None),
        ] {
            assert_eq!(release(name.as_bytes()).as_deref(), found, "{name}");
        }
    }

    #[test]
    fn judgements() {
        let of = |others: &[&str], whole| {
            let others = others.iter().map(|o| (*o).to_owned()).collect();
            judge("7.3", &others, whole).severity
        };
        assert_eq!(of(&[], true), Severity::Note);
        assert_eq!(of(&["6.12"], true), Severity::Refusal);
        assert_eq!(of(&["6.12"], false), Severity::Unknown);
        assert_eq!(of(&[], false), Severity::Unknown);
    }
}
