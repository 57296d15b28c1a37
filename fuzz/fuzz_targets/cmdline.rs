//! Command lines: splitting, removing and joining words.
#![no_main]

use kexec_plan::Cmdline;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let line = Cmdline::new(bytes);
    let words: usize = line.words().map(<[u8]>::len).sum();
    assert!(words <= line.as_bytes().len());
    let less = line.without(&["BOOT_IMAGE", "crashkernel"]);
    assert!(less.as_bytes().len() <= line.as_bytes().len());
    let _ = (
        line.value("root"),
        line.ends_in_init_arguments(),
        line.followed_by(&less).to_string(),
    );
});
