use std::sync::OnceLock;

use kexec_load::classic::{consoles, serial_port, text_screen};
use kexec_machine::Fact;
use kexec_machine::Snapshot;
use kexec_plan::Cmdline;
use kexec_purgatory::{Console, MAX_CONSOLES};
use proptest::prelude::*;

use crate::machine::Tree;

fn serial(io_base: u16, divisor: Option<u16>) -> Console {
    Console::SerialPort { io_base, divisor }
}

/// A machine with a text screen and four ports: two as usual, one of a PCI card
/// with a fast clock, one behind memory; ttyS4 is not there.
fn machine() -> Tree {
    let tree = Tree::new();
    let mut params = vec![0; 4096];
    params[0x0f] = 1;
    tree.put("sys/kernel/boot_params/data", params)
        .serial(0, "0x3F8", 4, 0, 1_843_200)
        .serial(1, "0x2F8", 4, 0, 1_843_200)
        .serial(2, "0xE010", 4, 0, 14_745_600)
        .serial(3, "0x0", 4, 2, 62_500_000)
        .serial(4, "0x3E8", 0, 0, 1_843_200);
    tree
}

#[test]
fn every_form_of_console() {
    let host = machine().read();
    let cases: &[(&str, &[Console])] = &[
        ("quiet", &[Console::Vga]),
        ("", &[Console::Vga]),
        ("console=tty0", &[Console::Vga]),
        (
            "console=tty1 console=ttyS0",
            &[Console::Vga, serial(0x3f8, None)],
        ),
        ("console=ttyS0,115200", &[serial(0x3f8, Some(1))]),
        ("console=ttyS0,115200n8r", &[serial(0x3f8, Some(1))]),
        ("console=ttyS1,9600n8", &[serial(0x2f8, Some(12))]),
        ("\"console=ttyS1,9600n8\"", &[serial(0x2f8, Some(12))]),
        ("console=\"ttyS1,9600\"", &[serial(0x2f8, Some(12))]),
        // The card's clock is eight times the usual one.
        ("console=ttyS2,115200", &[serial(0xe010, Some(8))]),
        ("console=ttyS0,n8", &[serial(0x3f8, None)]),
        ("console=ttyS0,0", &[serial(0x3f8, None)]),
        ("console=ttyS0,4000000", &[serial(0x3f8, None)]),
        ("console=ttyS0,1", &[serial(0x3f8, None)]),
        ("console=ttyS0,99999999999999", &[serial(0x3f8, None)]),
        // Behind memory, without a chip, not there, not a number.
        ("console=ttyS3", &[]),
        ("console=ttyS4", &[]),
        ("console=ttyS9", &[]),
        ("console=ttyS+0", &[]),
        ("console=ttyS", &[]),
        ("console=ttySAC0", &[]),
        ("console=hvc0", &[]),
        ("console=", &[]),
        ("console=null", &[]),
        (
            "console=uart8250,io,0x3f8,115200n8",
            &[serial(0x3f8, Some(1))],
        ),
        ("console=uart,io,0xe010,115200", &[serial(0xe010, Some(8))]),
        ("console=uart8250,mmio32,0xfe000000,115200", &[]),
        ("console=uart8250,0x3f8", &[]),
        ("console=uart8250,io,0xffff", &[]),
        ("console=uart8250,io,0x0", &[]),
        ("console=uart8250,io,0x10000", &[]),
        ("console=uart8250,io", &[]),
        (
            "earlycon=uart8250,io,0x2f8 console=ttyS0",
            &[serial(0x2f8, None), serial(0x3f8, None)],
        ),
        ("earlycon quiet", &[Console::Vga]),
        (
            "earlyprintk=ttyS1,57600 console=hvc0",
            &[serial(0x2f8, Some(2))],
        ),
        ("earlyprintk=serial console=hvc0", &[serial(0x3f8, None)]),
        (
            "earlyprintk=serial,ttyS1,115200,keep console=hvc0",
            &[serial(0x2f8, Some(1))],
        ),
        (
            "earlyprintk=serial,0x1008,115200 console=hvc0",
            &[serial(0x1008, Some(1))],
        ),
        ("earlyprintk=vga,keep console=hvc0", &[Console::Vga]),
        ("earlyprintk=pciserial,00:18.1,115200 console=hvc0", &[]),
        // Each place once, with the speed that is said anywhere.
        (
            "earlyprintk=ttyS0 console=ttyS0,115200 console=ttyS0",
            &[serial(0x3f8, Some(1))],
        ),
        // Words of init, and of others.
        ("console=ttyS0 -- console=ttyS1", &[serial(0x3f8, None)]),
        ("xconsole=ttyS0 consoleblank=0", &[Console::Vga]),
    ];
    for (line, expected) in cases {
        assert_eq!(consoles(&Cmdline::from(*line), &host), *expected, "{line}");
    }
}

#[test]
fn without_a_list_of_ports_they_are_where_they_always_are() {
    let tree = Tree::new();
    let mut host = tree.read();
    host.serial = Fact::Unreadable("EACCES".to_owned());
    let line = Cmdline::from(
        "console=ttyS0 console=ttyS1 console=ttyS2 console=ttyS3,19200 console=ttyS4",
    );
    let expected = [
        serial(0x3f8, None),
        serial(0x2f8, None),
        serial(0x3e8, None),
        serial(0x2e8, Some(6)),
    ];
    assert_eq!(consoles(&line, &host), expected);
}

#[test]
fn the_screen_has_to_be_in_text_mode() {
    let tree = machine();
    assert!(text_screen(&tree.read()));
    for (kind, text) in [
        (0, false),
        (1, true),
        (0x22, true),
        (0x23, false),
        (0x70, false),
    ] {
        let mut params = vec![0; 4096];
        params[0x0f] = kind;
        tree.put("sys/kernel/boot_params/data", params);
        assert_eq!(text_screen(&tree.read()), text, "{kind:#x}");
    }
    std::fs::remove_file(tree.path("sys/kernel/boot_params/data")).unwrap();
    assert!(text_screen(&tree.read()));
    tree.put("sys/firmware/efi/fw_platform_size", "64");
    assert!(!text_screen(&tree.read()));
    let tree = machine();
    tree.put("proc/fb", "0 i915drmfb\n");
    assert!(!text_screen(&tree.read()));
    assert_eq!(consoles(&Cmdline::from("quiet"), &tree.read()), []);
}

#[test]
fn speeds_become_divisors() {
    assert_eq!(
        serial_port(0x3f8, None, Some(38_400)),
        serial(0x3f8, Some(3))
    );
    assert_eq!(
        serial_port(0x3f8, Some(0), Some(115_200)),
        serial(0x3f8, Some(1))
    );
    assert_eq!(
        serial_port(0x3f8, Some(1_843_200), None),
        serial(0x3f8, None)
    );
    // Not exactly divisible: the nearest.
    assert_eq!(
        serial_port(0x3f8, Some(1_846_154), Some(115_200)),
        serial(0x3f8, Some(1))
    );
    assert_eq!(
        serial_port(0x3f8, Some(u32::MAX), Some(1)),
        serial(0x3f8, None)
    );
}

static MACHINE: OnceLock<Snapshot> = OnceLock::new();

proptest! {
    #[test]
    fn any_command_line_gives_consoles_that_work(
        words in proptest::collection::vec(
            "(console|earlycon|earlyprintk)=(ttyS[0-9]{1,3}|serial|uart8250|tty[0-9]|vga|\\PC{0,3})(,(io|ttyS[0-9]|0x[0-9a-f]{1,6}|\\PC{0,3})){0,2}(,[0-9]{0,11}[a-z]?)?",
            0..10,
        ),
    ) {
        let host = MACHINE.get_or_init(|| machine().read());
        let found = consoles(&Cmdline::from(words.join(" ").as_str()), host);
        prop_assert!(found.len() <= MAX_CONSOLES);
        let mut bases: Vec<u16> = Vec::new();
        for console in &found {
            if let Console::SerialPort { io_base, divisor } = console {
                prop_assert!(*io_base != 0 && *divisor != Some(0));
                prop_assert!(!bases.contains(io_base));
                bases.push(*io_base);
            }
        }
    }
}
