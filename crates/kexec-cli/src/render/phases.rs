//! The parts of a reboot, for metrics and pictures.

use kexec_reboot::record::outcome::ArrivalTimes;
use kexec_reboot::record::{Attempt, Outcome};

/// The known parts of a reboot: name and milliseconds, in their order. What was not told
/// apart has both names.
pub fn phases(attempt: &Attempt) -> Vec<(&'static str, u64)> {
    let all = match &attempt.outcome {
        Some(Outcome::Kexec(arrival)) => arrived(arrival),
        Some(Outcome::Cold {
            at,
            jumped: false,
            firmware,
            kernel,
            initrd,
            userspace,
            ..
        }) => {
            let down = at.checked_sub(attempt.asked.realtime);
            let down = down.filter(|_| !attempt.preloaded);
            let told_apart = down.zip(*firmware);
            let shutdown = told_apart.and_then(|(all, firmware)| all.checked_sub(firmware));
            let both = down.filter(|_| shutdown.is_none());
            vec![
                ("shutdown", shutdown),
                ("firmware", *firmware),
                ("shutdown_and_firmware", both.filter(|_| firmware.is_none())),
                ("kernel", *kernel),
                ("initrd", *initrd),
                ("userspace", *userspace),
            ]
        }
        _ => Vec::new(),
    };
    let known = all.into_iter();
    known.filter_map(|(name, ms)| Some((name, ms?))).collect()
}

fn arrived(arrival: &ArrivalTimes) -> Vec<(&'static str, Option<u64>)> {
    let shutdown = match arrival.jump {
        Some(_) => "shutdown",
        None => "shutdown_and_jump",
    };
    vec![
        (shutdown, arrival.shutdown),
        ("jump", arrival.jump),
        ("kernel", arrival.kernel),
        ("initrd", arrival.initrd),
        ("userspace", arrival.userspace),
    ]
}
