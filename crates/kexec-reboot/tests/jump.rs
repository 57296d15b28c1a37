//! The jump: what goes before it, and what is put back when it fails.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kexec_reboot::handover::{self, JumpOptions};
use kexec_sys::double::{Call, Double, Interface, Machine};
use kexec_sys::{Errno, Kernel, LoadFlags, Segment, elf_machine};

const BOTH: JumpOptions = JumpOptions {
    sync: true,
    interfaces_down: true,
};

/// `lo` stays, one interface was down already, one refuses.
fn with_interfaces() -> Double {
    let mut down = Interface::up("eth1");
    down.up = false;
    let mut stubborn = Interface::up("odd0");
    stubborn.refuses = Some(Errno::EPERM);
    Double::new(Machine {
        interfaces: vec![
            Interface::up("lo"),
            stubborn,
            Interface::up("eth0"),
            down,
            Interface::up("eth2"),
        ],
        ..Machine::default()
    })
}

/// Something is loaded, so that there is something to jump into.
fn load(kernel: &Double) {
    let segment = Segment {
        bytes: &[0x90],
        mem: 0x10_0000,
        memsz: 0x1000,
    };
    let flags = LoadFlags::arch(elf_machine::X86_64);
    kernel.load(segment.mem, &[segment], flags).unwrap();
}

/// Which interfaces are up.
fn up(kernel: &Double) -> Vec<String> {
    let machine = kernel.machine();
    let up = machine.interfaces.iter().filter(|i| i.up);
    up.map(|i| i.name.clone()).collect()
}

#[test]
fn a_jump_syncs_first_and_takes_interfaces_down() {
    let kernel = with_interfaces();
    load(&kernel);
    let mut said = Vec::new();
    // The double "jumps", so the interfaces come up again behind it; what counts
    // is the order in which the kernel was asked.
    handover::jump(&kernel, BOTH, &mut |text| said.push(text)).unwrap_err();
    let calls = kernel.calls();
    let at = |wanted: &dyn Fn(&Call) -> bool| calls.iter().position(wanted).unwrap();
    let sync = at(&|c| matches!(c, Call::Sync));
    let reboot = at(&|c| matches!(c, Call::Reboot { .. }));
    let down = |name: &str| {
        at(&|c| matches!(c, Call::SetInterface { name: n, up: false, .. } if n == name))
    };
    assert!(sync < down("eth0"));
    // The one that refuses comes first and stops nothing.
    assert!(down("odd0") < down("eth0"));
    assert!(down("eth2") < reboot);
    assert!(
        !calls
            .iter()
            .any(|c| matches!(c, Call::SetInterface { name, .. } if name == "lo"))
    );
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("odd0") && said[0].contains("EPERM"));
    assert!(kernel.jumped().is_some());
}

/// kexec-tools leaves the machine without its network.
#[test]
fn a_failed_jump_brings_interfaces_up_again() {
    let kernel = with_interfaces();
    load(&kernel);
    kernel.change(|m| m.reboot_fails = Some(Errno::EBUSY));
    let before = up(&kernel);
    let jumped = handover::jump(&kernel, BOTH, &mut |_| {});
    assert_eq!(jumped, Err(Errno::EBUSY));
    assert_eq!(up(&kernel), before);
    let calls = kernel.calls();
    let raised = |name: &str| {
        calls
            .iter()
            .any(|c| matches!(c, Call::SetInterface { name: n, up: true, .. } if n == name))
    };
    assert!(raised("eth0") && raised("eth2"));
    assert!(!raised("eth1"), "it was down before");
}

#[test]
fn without_sync_and_without_interfaces() {
    let kernel = with_interfaces();
    let how = JumpOptions {
        sync: false,
        interfaces_down: false,
    };
    handover::jump(&kernel, how, &mut |_| {}).unwrap_err();
    assert!(matches!(kernel.calls()[..], [Call::Reboot { .. }]));
}
