//! What `kexec parallel-shutdown` reads: mount tables, swaps, consoles, the steps that one
//! process gives to another, and the times that systemd prints.
#![no_main]

use kexec_reboot::parallel_shutdown::uses::{consoles, mounts, swaps};
use kexec_reboot::parallel_shutdown::{WorkStep, parse};
use kexec_reboot::record::InitTimes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(mounts) = mounts(&text) {
        // No line is left out: what it mounts would seem unused.
        assert_eq!(mounts.len(), text.lines().count());
    }
    assert!(swaps(&text).len() <= text.lines().count());
    let _ = consoles(&text, &text);
    let _ = InitTimes::default().with(&text);
    for step in parse(&text).unwrap_or_default() {
        let (WorkStep::Free(name) | WorkStep::Unbind(_, name)) = step;
        // It becomes a part of a path.
        assert!(!name.contains('/') && !name.starts_with('.') && !name.is_empty());
    }
});
