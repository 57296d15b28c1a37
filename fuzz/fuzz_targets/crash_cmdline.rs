//! The command line of a crash kernel: every difference is a step, and a second time changes
//! nothing.
#![no_main]

use kexec_crash::cmdline::{Change, derive};
use kexec_plan::Cmdline;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut halves = bytes.splitn(2, |byte| *byte == b'\n');
    let from = Cmdline::exact(halves.next().unwrap_or_default());
    let append = halves.next().map(Cmdline::exact);
    let derived = derive(&from, &[], append.as_ref());
    assert_eq!(derived.from, from);
    // Taking a word with an open quote out may move where quotes pair up.
    if bytes.contains(&b'"') || append.is_some() {
        return;
    }
    let again = derive(&derived.line, &[], None);
    assert!(again.steps.iter().all(|step| step.change != Change::Added));
});
