//! Unbinding: side by side, with a deadline, and with what went wrong told.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::super::worker::lines;
use super::*;

/// What a device of the double does.
#[derive(Clone, Copy)]
enum Does {
    /// Is done after this time.
    Ends(Duration),
    /// Never comes back, as a driver that waits for its hardware.
    Hangs,
    /// Refuses at the end.
    Fails,
    /// Cannot even be asked.
    CannotStart,
}

struct Double {
    does: Vec<Does>,
    started: RefCell<Vec<String>>,
}

struct DoubleWork(Does, Instant);

impl Work for DoubleWork {
    fn ended(&mut self) -> Option<Result<(), String>> {
        match self.0 {
            Does::Ends(after) => (self.1.elapsed() >= after).then_some(Ok(())),
            Does::Fails => Some(Err("device or resource busy".to_owned())),
            Does::Hangs | Does::CannotStart => None,
        }
    }
}

impl Unbinder for Double {
    fn start(&self, unbinding: &Unbinding) -> Result<Box<dyn Work>, String> {
        let mut started = self.started.borrow_mut();
        let does = self.does[started.len()];
        started.push(unbinding.device.clone());
        match does {
            Does::CannotStart => Err("no more processes".to_owned()),
            does => Ok(Box::new(DoubleWork(does, Instant::now()))),
        }
    }
}

fn run(does: &[Does], limit: Duration) -> (Vec<UnboundResult>, Duration) {
    let double = Double {
        does: does.to_vec(),
        started: RefCell::default(),
    };
    let one = |at: usize| Unbinding {
        device: format!("0000:00:{at:02}.0"),
        driver: "nvme".to_owned(),
        why: String::new(),
        steps: Vec::new(),
        disks: Vec::new(),
    };
    let chosen: Vec<Unbinding> = (0..does.len()).map(one).collect();
    let started = Instant::now();
    let unbound = unbind_all(&double, &chosen, limit);
    let names: Vec<&str> = unbound.iter().map(|one| one.device.as_str()).collect();
    assert_eq!(names, *double.started.borrow());
    (
        unbound.into_iter().map(|one| one.result).collect(),
        started.elapsed(),
    )
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn eight_devices_take_as_long_as_the_slowest() {
    let one = Duration::from_millis(200);
    let (results, took) = run(&[Does::Ends(one); 8], LONG);
    assert!(took >= one && took < one * 4, "{took:?}");
    for result in results {
        assert!(
            matches!(result, UnboundResult::Unbound { ms } if ms >= 200),
            "{result:?}"
        );
    }
}

#[test]
fn one_that_hangs_is_left_at_the_deadline() {
    let limit = Duration::from_millis(150);
    let (results, took) = run(
        &[Does::Ends(Duration::ZERO), Does::Hangs, Does::Fails],
        limit,
    );
    assert!(took >= limit && took < LONG, "{took:?}");
    assert!(matches!(results[0], UnboundResult::Unbound { .. }));
    assert_eq!(results[1], UnboundResult::Late);
    let why = "device or resource busy".to_owned();
    assert_eq!(results[2], UnboundResult::Failed { why });
}

#[test]
fn nothing_is_waited_for_that_was_not_started() {
    let (results, took) = run(&[Does::CannotStart], LONG);
    assert!(took < LONG);
    assert!(matches!(results[0], UnboundResult::Failed { .. }));
    assert_eq!(run(&[], LONG).0, []);
}

#[test]
fn steps_travel_as_lines() {
    let machine = Machine::new()
        .virtio("0000:00:03.0", "virtio1", "0x0002", "virtio_blk")
        .disk("pci0000:00/0000:00:03.0/virtio1/block", "vda", "254:0");
    let text = lines(&machine.choice().unbind[0]);
    assert_eq!(
        text,
        "free vda\nunbind virtio virtio1\nunbind pci 0000:00:03.0\n"
    );
    assert_eq!(
        parse(&text).unwrap(),
        [
            WorkStep::Free("vda".to_owned()),
            WorkStep::Unbind(Bus::Virtio, "virtio1".to_owned()),
            WorkStep::Unbind(Bus::Pci, "0000:00:03.0".to_owned()),
        ]
    );
    for wrong in [
        "free",
        "free ",
        "free a/b",
        "free ..",
        "free a b",
        "unbind usb 1-1",
        "unbind pci ../../x",
        "unbind pci",
        "load x",
        "",
        "unbind pci x\0",
    ] {
        assert!(parse(&format!("{wrong}\n")).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_process_writes_to_the_driver_that_is_bound() {
    let machine = Machine::new().pci("0000:00:05.0", "0x020000", "e1000e");
    machine.put("dev/vda", "");
    let steps = parse("free vda\nunbind pci 0000:00:05.0\n").unwrap();
    carry_out(machine.path(), &steps).unwrap();
    let written = fs::read_to_string(machine.below("sys/bus/pci/drivers/e1000e/unbind")).unwrap();
    assert_eq!(written, "0000:00:05.0");
    // Whatever is not free stops it before anything is unbound.
    let steps = parse("free gone\nunbind pci 0000:00:05.0\n").unwrap();
    let why = carry_out(machine.path(), &steps).unwrap_err();
    assert!(
        why.starts_with("whether gone is in use is unknown"),
        "{why}"
    );
    // A driver that went by itself.
    fs::remove_file(machine.below("sys/devices/pci0000:00/0000:00:05.0/driver")).unwrap();
    carry_out(machine.path(), &parse("unbind pci 0000:00:05.0\n").unwrap()).unwrap();
}
