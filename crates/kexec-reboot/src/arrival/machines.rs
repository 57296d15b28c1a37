//! The machines of which others have reported that a kexec does not end well: a
//! table, each row with the reports that it rests on and the day of the newest one.
//!
//! A row is added only for a report that somebody has read, and says no more than that
//! report does. [`Reported::Never`] is for machines of which every kexec that was
//! reported failed, and that the row tells apart from all others; whatever arrives
//! now and then, or only looks like the machine of a report, is
//! [`Reported::Sometimes`].

use super::Hardware;

/// How often the next kernel did not come up, by the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// No kexec that was reported has arrived.
    Never,
    /// On some machines like this one, or on some tries.
    Sometimes,
}

/// One thing that a machine says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// SMBIOS "Manufacturer" of the system is this.
    Vendor(&'static str),
    /// SMBIOS "Product Name" of the system begins with this.
    Product(&'static str),
    /// SMBIOS "Product" of the base board begins with this.
    Board(&'static str),
    /// SMBIOS "Asset Tag Number" of the chassis is this.
    AssetTag(&'static str),
    /// The device tree's `model` begins with this.
    Model(&'static str),
    /// The device tree's `compatible` has this.
    Compatible(&'static str),
    /// The processor's name has this in it.
    Processor(&'static str),
}

impl Sign {
    /// Whether this machine has it.
    pub fn is_on(self, hardware: &Hardware) -> bool {
        match self {
            Sign::Vendor(name) => hardware.vendor == name,
            Sign::Product(name) => hardware.product.starts_with(name),
            Sign::Board(name) => hardware.board.starts_with(name),
            Sign::AssetTag(tag) => hardware.asset_tag == tag,
            Sign::Model(name) => hardware.model.starts_with(name),
            Sign::Compatible(name) => hardware.compatible.iter().any(|one| one == name),
            Sign::Processor(name) => hardware.processor.contains(name),
        }
    }
}

/// A kind of machine and what is reported of it.
#[derive(Debug, Clone, Copy)]
pub struct ReportedMachine {
    /// What people call it.
    pub name: &'static str,
    /// It is one when all signs of one of these are there.
    pub signs: &'static [&'static [Sign]],
    /// How often a kexec fails on it.
    pub reported: Reported,
    /// What happens instead of an arrival.
    pub what: &'static str,
    /// What helps, where a report says so.
    pub helps: Option<&'static str>,
    /// Where the reports are.
    pub sources: &'static [&'static str],
    /// The day of the newest of them.
    pub date: &'static str,
}

/// Every machine that was reported.
pub const MACHINES: &[ReportedMachine] = &[
    ReportedMachine {
        name: "Raspberry Pi 4",
        // On UEFI firmware there is SMBIOS, and no device tree.
        signs: &[
            &[Sign::Model("Raspberry Pi 4")],
            &[Sign::Model("Raspberry Pi Compute Module 4")],
            &[Sign::Compatible("brcm,bcm2711")],
            &[Sign::Product("Raspberry Pi 4")],
        ],
        reported: Reported::Sometimes,
        what: "every second kexec came up with one processor of four, others did not come up, and \
               the screen is not set up again. Where the firmware has no PSCI, the kernel refuses \
               the load",
        helps: None,
        sources: &[
            "https://github.com/siderolabs/talos/issues/5649",
            "https://github.com/siderolabs/talos/pull/4608",
            "https://github.com/Tow-Boot/Tow-Boot/issues/66",
            "https://github.com/nix-community/nixos-anywhere/issues/529",
        ],
        date: "2025-05-31",
    },
    ReportedMachine {
        name: "Raspberry Pi 5",
        signs: &[
            &[Sign::Model("Raspberry Pi 5")],
            &[Sign::Compatible("raspberrypi,5-model-b")],
        ],
        reported: Reported::Never,
        what: "every kexec ended with a silent serial console; one berry on the screen shows that \
               the next kernel begins, and no more comes",
        helps: None,
        sources: &["https://github.com/raspberrypi/linux/issues/6465"],
        date: "2024-11-15",
    },
    ReportedMachine {
        name: "ROCK Pi 4",
        signs: &[
            &[Sign::Model("Radxa ROCK Pi 4")],
            &[Sign::Compatible("radxa,rockpi4")],
        ],
        reported: Reported::Never,
        what: "kexec does not work",
        helps: None,
        sources: &["https://github.com/siderolabs/talos/pull/5670"],
        date: "2022-05-31",
    },
    ReportedMachine {
        name: "virtual machine of Microsoft Azure",
        // The tag is the same in Hyper-V's first and second generation.
        signs: &[&[
            Sign::Vendor("Microsoft Corporation"),
            Sign::Product("Virtual Machine"),
            Sign::AssetTag("7783-7084-3265-9085-8269-3286-77"),
        ]],
        reported: Reported::Sometimes,
        what: "some next kernels did not get Hyper-V's devices back (hyperv_fb, hv_vmbus: timed out) \
               or not their second processor, and were not reached over the network",
        helps: None,
        sources: &[
            "https://github.com/systemd/systemd/issues/20072",
            "https://github.com/nix-community/nixos-images/issues/128",
            "https://github.com/siderolabs/talos/pull/8838",
            "https://github.com/nix-community/nixos-anywhere/issues/400",
        ],
        date: "2024-09-30",
    },
    ReportedMachine {
        name: "virtual machine of Google Cloud",
        signs: &[&[
            Sign::Vendor("Google"),
            Sign::Product("Google Compute Engine"),
        ]],
        reported: Reported::Sometimes,
        what: "some machines were stuck in the jump; others, that had failed before, arrived in \
               2023",
        helps: None,
        sources: &[
            "https://github.com/nix-community/nixos-images/pull/129",
            "https://github.com/siderolabs/talos/pull/8838",
        ],
        date: "2024-05-31",
    },
    ReportedMachine {
        name: "virtual machine of VMware on arm64",
        // VBSA is the board of VMware's arm64 guests; ESXi's may have it as well as
        // Fusion's, of which the reports are.
        signs: &[&[Sign::Vendor("VMware, Inc."), Sign::Board("VBSA")]],
        reported: Reported::Sometimes,
        what: "under VMware Fusion the next kernel does not come up",
        helps: None,
        sources: &[
            "https://github.com/siderolabs/talos/issues/4677",
            "https://github.com/siderolabs/talos-vmtoolsd/issues/51",
        ],
        date: "2025-09-30",
    },
    ReportedMachine {
        name: "machine with an Intel N5100 or N5105",
        // Neither report names its board.
        signs: &[&[Sign::Processor("N5105")], &[Sign::Processor("N5100")]],
        reported: Reported::Sometimes,
        what: "on two small machines with this processor every kexec ended in a black screen, until \
               the power was cut",
        helps: None,
        sources: &[
            "https://github.com/nix-community/nixos-anywhere/issues/289",
            "https://github.com/coreos/fedora-coreos-tracker/issues/2071",
        ],
        date: "2025-11-27",
    },
    ReportedMachine {
        name: "Gigabyte C246N-WU2",
        signs: &[&[Sign::Board("C246N-WU2")]],
        reported: Reported::Sometimes,
        what: "the next kernel does not come up, and the console of the old one stays",
        helps: None,
        sources: &["https://github.com/RROrg/rr/issues/122"],
        date: "2023-07-14",
    },
    ReportedMachine {
        name: "HP Z2 Mini G4",
        signs: &[&[Sign::Product("HP Z2 Mini G4")]],
        reported: Reported::Sometimes,
        what: "the next kernel comes up without its network",
        helps: Some(
            "switch \"Extended DHCP Timeout\" off in the firmware's setup (Advanced, Network \
             Settings)",
        ),
        sources: &["https://github.com/siderolabs/talos/issues/8751"],
        date: "2024-05-20",
    },
];

/// The rows that this machine is in.
pub fn known(hardware: &Hardware) -> impl Iterator<Item = &'static ReportedMachine> + '_ {
    let all = |signs: &[Sign]| signs.iter().all(|sign| sign.is_on(hardware));
    MACHINES
        .iter()
        .filter(move |machine| machine.signs.iter().any(|signs| all(signs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(change: impl FnOnce(&mut Hardware)) -> Vec<&'static str> {
        let mut hardware = Hardware::default();
        change(&mut hardware);
        known(&hardware).map(|machine| machine.name).collect()
    }

    #[test]
    fn every_row_has_signs_sources_and_a_date() {
        for machine in MACHINES {
            assert!(!machine.signs.is_empty(), "{machine:?}");
            for signs in machine.signs {
                assert!(!signs.is_empty(), "{machine:?}");
            }
            assert!(!machine.sources.is_empty(), "{machine:?}");
            for source in machine.sources {
                assert!(source.starts_with("https://"), "{source}");
            }
            let parts: Vec<&str> = machine.date.split('-').collect();
            let [year, month, day] = parts[..] else {
                panic!("{machine:?}");
            };
            assert!((2011..2100).contains(&year.parse::<u32>().unwrap()));
            assert!((1..=12).contains(&month.parse::<u32>().unwrap()));
            assert!((1..=31).contains(&day.parse::<u32>().unwrap()));
        }
    }

    #[test]
    fn a_machine_that_says_nothing_is_in_no_row() {
        assert!(names(|_| {}).is_empty());
    }

    #[test]
    fn a_row_wants_all_of_its_signs() {
        let azure = |tag: &'static str| {
            names(move |h| {
                h.vendor = "Microsoft Corporation".into();
                h.product = "Virtual Machine".into();
                h.asset_tag = tag.into();
            })
        };
        assert_eq!(
            azure("7783-7084-3265-9085-8269-3286-77"),
            ["virtual machine of Microsoft Azure"]
        );
        // Hyper-V at home.
        assert!(azure("").is_empty());
        // VMware on a PC.
        let vmware = |board: &'static str| {
            names(move |h| {
                h.vendor = "VMware, Inc.".into();
                h.product = "VMware20,1".into();
                h.board = board.into();
            })
        };
        assert!(vmware("440BX Desktop Reference Platform").is_empty());
        assert_eq!(vmware("VBSA"), ["virtual machine of VMware on arm64"]);
    }

    #[test]
    fn boards_are_known_by_their_device_tree_or_by_smbios() {
        let by = |tree: &[&str], model: &'static str| {
            let tree: Vec<String> = tree.iter().map(|&one| one.to_owned()).collect();
            names(move |h| {
                h.compatible = tree;
                h.model = model.into();
            })
        };
        let four = ["raspberrypi,4-model-b", "brcm,bcm2711"];
        assert_eq!(
            by(&four, "Raspberry Pi 4 Model B Rev 1.4"),
            ["Raspberry Pi 4"]
        );
        let five = ["raspberrypi,5-model-b", "brcm,bcm2712"];
        assert_eq!(
            by(&five, "Raspberry Pi 5 Model B Rev 1.0"),
            ["Raspberry Pi 5"]
        );
        assert_eq!(by(&["radxa,rockpi4b", "radxa,rockpi4"], ""), ["ROCK Pi 4"]);
        assert!(by(&["raspberrypi,3-model-b"], "Raspberry Pi 3 Model B").is_empty());
        let uefi = names(|h| h.product = "Raspberry Pi 4 Model B".into());
        assert_eq!(uefi, ["Raspberry Pi 4"]);
    }
}
