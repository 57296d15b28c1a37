//! The rules on top of [`RULES`](super::RULES) for the initrd of each service: it was made
//! for such a command line.

use super::rules::{Rule, remove, set};
use crate::checks::DUMP_UNIT;
use crate::target::Service;

/// kdump-utils' initrd mounts the target itself.
const OWN_TARGET: &str = "the initrd of kdump-utils mounts the target of the dump, and no root";
/// What kdump-utils removes and adds.
const KDUMP_UTILS: &str = "kdump-utils, /etc/sysconfig/kdump, KDUMP_COMMANDLINE_REMOVE";
/// openSUSE's initrd has its own root.
const OWN_ROOT: &str = "the initrd of openSUSE's kdump is the root of the crash kernel";
/// What openSUSE's kdump removes and adds.
const KDUMP: &str = "kdump(5) of openSUSE, KDUMP_COMMANDLINE";

/// Debian's: the system on the disk saves the dump.
const FOR_KDUMP_TOOLS: &[Rule] = &[set(
    "systemd.unit",
    DUMP_UNIT,
    "the initrd is that of kdump-tools, whose unit saves the dump",
    "kdump-tools(5)",
)];

const FOR_KDUMP_UTILS: &[Rule] = &[
    remove("root", OWN_TARGET, KDUMP_UTILS),
    remove("rd.lvm.lv", OWN_TARGET, KDUMP_UTILS),
    remove("rd.luks.uuid", OWN_TARGET, KDUMP_UTILS),
    remove("rd.dm.uuid", OWN_TARGET, KDUMP_UTILS),
    remove("rd.md.uuid", OWN_TARGET, KDUMP_UTILS),
    remove("fcoe", OWN_TARGET, KDUMP_UTILS),
    remove("netroot", OWN_TARGET, KDUMP_UTILS),
    set(
        "rd.systemd.gpt_auto",
        "no",
        "systemd would look for a root by the partition table",
        "systemd-gpt-auto-generator(8)",
    ),
];

const FOR_KDUMP: &[Rule] = &[
    set("root", "kdump", OWN_ROOT, KDUMP),
    set("rootflags", "bind", OWN_ROOT, KDUMP),
];

/// The rules for the initrd of a service.
pub const fn for_initrd_of(service: Service) -> &'static [Rule] {
    match service {
        Service::KdumpTools => FOR_KDUMP_TOOLS,
        Service::KdumpUtils => FOR_KDUMP_UTILS,
        Service::Kdump => FOR_KDUMP,
    }
}

#[cfg(test)]
mod tests {
    use super::super::derive;
    use super::*;

    fn line(service: Service, from: &str) -> String {
        let derived = derive(&from.into(), for_initrd_of(service), None);
        let words = derived.line.to_string();
        // What every service gets is tested elsewhere.
        let own = words.split(' ').filter(|word| {
            from.split(' ').any(|its| its == *word)
                || for_initrd_of(service)
                    .iter()
                    .any(|rule| word.split('=').next() == Some(rule.name))
        });
        own.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_initrd_gets_the_line_that_it_was_made_for() {
        let from = "root=UUID=a rootflags=subvol=x ro rd.lvm.lv=v/root rd.luks.uuid=b fcoe=e:nodcb \
                    netroot=iscsi:x rd.dm.uuid=c rd.md.uuid=d console=ttyS0 systemd.unit=rescue.target";
        assert_eq!(
            line(Service::KdumpUtils, from),
            "rootflags=subvol=x ro console=ttyS0 systemd.unit=rescue.target rd.systemd.gpt_auto=no"
        );
        let debian = line(Service::KdumpTools, from);
        assert!(debian.starts_with("root=UUID=a rootflags=subvol=x ro rd.lvm.lv=v/root"));
        assert!(debian.ends_with("console=ttyS0 systemd.unit=kdump-tools-dump.service"));
        let suse = line(Service::Kdump, from);
        assert!(
            !suse.contains("root=UUID") && !suse.contains("subvol"),
            "{suse}"
        );
        assert!(suse.ends_with("root=kdump rootflags=bind"), "{suse}");
    }

    #[test]
    fn every_row_is_whole() {
        for rule in Service::ALL.iter().flat_map(|s| for_initrd_of(*s)) {
            assert!(!rule.reason.is_empty() && !rule.reason.ends_with('.'));
            assert!(!rule.source.is_empty());
        }
    }
}
