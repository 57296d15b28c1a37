//! What becomes of output that nobody takes.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

fn kexec() -> Command {
    let mut kexec = Command::new(env!("CARGO_BIN_EXE_kexec"));
    kexec.arg("--help").stderr(Stdio::piped());
    kexec
}

#[test]
fn a_full_disk_is_a_failure_that_is_told_once() {
    let full = File::options().write(true).open("/dev/full");
    let mut full_kexec = kexec();
    full_kexec.stdout(full.expect("every Linux has /dev/full"));
    let done = full_kexec.output().expect("the program runs");
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with("kexec: cannot write the output: no space is left"),
        "{said}"
    );
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = kexec()
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let mut said = String::new();
    let mut err = child.stderr.take().expect("it is piped");
    err.read_to_string(&mut said).expect("it is text");
    let status = child.wait().expect("it ends");
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

/// `eprintln!` ends the program there (SIGABRT), in the middle of whatever it does.
#[test]
fn messages_that_nobody_takes_change_no_exit_code() {
    let full = || {
        File::options()
            .write(true)
            .open("/dev/full")
            .expect("every Linux has it")
    };
    for (words, code) in [(["help", "nonsense"].as_slice(), 2), (&["-S", "extra"], 0)] {
        let mut kexec = Command::new(env!("CARGO_BIN_EXE_kexec"));
        kexec.args(words).stdout(Stdio::null()).stderr(full());
        let status = kexec.status().expect("the program runs");
        let said = status.code();
        // What -S answers is this machine's own state.
        let fits =
            said == Some(code) || (words == ["-S", "extra"] && matches!(said, Some(1 | 255)));
        assert!(fits, "{words:?}: {status}");
    }
}
