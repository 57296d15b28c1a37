//! What the program does at a terminal, which is a pseudo-terminal here: width, colours,
//! pager.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A folder in which `kexec list` finds one boot entry.
fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let put = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("a file");
    };
    put("proc/cmdline", "root=/dev/vda1\n");
    put("proc/sys/kernel/osrelease", "6.12.1\n");
    put("boot/vmlinuz-linux", "a kernel");
    put("boot/initramfs-linux.img", "an initrd");
    root
}

/// What a terminal of this size shows of `kexec list --root ROOT`, with these further
/// words and variables.
fn shown(root: &Path, size: (u16, u16), words: &[&str], set: &[(&str, &str)]) -> String {
    let mut kexec = Command::new(env!("CARGO_BIN_EXE_kexec"));
    kexec.args(["list", "--root"]).arg(root).args(words);
    kexec
        .env_clear()
        .env("TERM", "xterm")
        .envs(set.iter().copied());
    let (said, code) = at_terminal(kexec, size);
    assert_eq!(code, Some(0), "{said}");
    said.replace("\r\n", "\n")
}

/// Runs a command at a terminal of this many columns and lines: what came, and the exit
/// code.
fn at_terminal(mut kexec: Command, (columns, lines): (u16, u16)) -> (String, Option<i32>) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&master).expect("it can be used");
    unlockpt(&master).expect("it can be opened");
    let size = Winsize {
        ws_row: lines,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).expect("it has a size");
    let name = ptsname(&master, Vec::new()).expect("it has a name");
    let name = name.into_string().expect("it is text");
    let open = || {
        let opened = File::options().read(true).write(true).open(&name);
        Stdio::from(opened.expect("it opens"))
    };
    kexec.stdin(open()).stdout(open()).stderr(open());
    let mut child = kexec.spawn().expect("the program runs");
    // The last copies of the terminal on this side.
    drop(kexec);
    let mut said = Vec::new();
    let mut part = [0; 4096];
    let mut terminal = File::from(master);
    // EIO: nobody has it open any more.
    while let Ok(count @ 1..) = terminal.read(&mut part) {
        said.extend(part.iter().take(count));
    }
    let status = child.wait().expect("it ends");
    (String::from_utf8_lossy(&said).into_owned(), status.code())
}

/// Without what colours it.
fn plain(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once('m').map_or(part, |(_, rest)| rest));
    first + &rest.collect::<String>()
}

const HIGH: u16 = 200;

#[test]
fn a_list_fits_the_terminal() {
    let root = machine();
    for columns in [60, 90] {
        let text = shown(root.path(), (columns, HIGH), &["--color=never"], &[]);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(columns.into()), "{columns}: {text}");
        assert!(widest > Some(40), "{text}");
    }
    // A pipe has one thing on each line, whatever its length.
    let mut kexec = Command::new(env!("CARGO_BIN_EXE_kexec"));
    let piped = kexec.args(["list", "--root"]).arg(root.path()).output();
    let piped = String::from_utf8(piped.expect("it runs").stdout).expect("it is text");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let narrow = shown(root.path(), (60, HIGH), &["--color=never"], &[]);
    assert_eq!(words(&piped), words(&narrow));
    assert!(piped.lines().any(|line| line.len() > 90), "{piped}");
}

#[test]
fn colours_are_for_terminals_and_who_wants_them() {
    let root = machine();
    let coloured = |words: &[&str], set: &[(&str, &str)]| {
        shown(root.path(), (100, HIGH), words, set).contains("\x1b[1m")
    };
    assert!(coloured(&[], &[]));
    assert!(!coloured(&[], &[("NO_COLOR", "1")]));
    assert!(!coloured(&[], &[("TERM", "dumb")]));
    assert!(!coloured(&["--color=never"], &[]));
    assert!(coloured(&["--color=always"], &[("NO_COLOR", "1")]));
    assert!(!coloured(&["--json"], &[]));
    let mut kexec = Command::new(env!("CARGO_BIN_EXE_kexec"));
    kexec.args(["list", "--color=always", "--root"]);
    let piped = kexec.arg(root.path()).output().expect("it runs");
    assert!(String::from_utf8_lossy(&piped.stdout).contains("\x1b[1m"));
}

/// The pager here is sed, which shows that it was the one to print.
#[test]
fn what_does_not_fit_goes_through_the_pager() {
    let root = machine();
    let pager = [("PAGER", "sed s/^/paged:/"), ("PATH", "/usr/bin:/bin")];
    let text = shown(root.path(), (80, 5), &[], &pager);
    assert!(
        text.lines().all(|line| line.starts_with("paged:")),
        "{text}"
    );
    // What fits, what is for programs, and what was not to be paged.
    for (lines, words) in [
        (HIGH, &[] as &[&str]),
        (5, &["--no-pager"]),
        (5, &["--json"]),
    ] {
        let text = shown(root.path(), (80, lines), words, &pager);
        assert!(!text.contains("paged:"), "{words:?}: {text}");
    }
}

#[test]
fn a_pager_that_is_missing_or_ends_early_is_no_error() {
    let root = machine();
    let whole = shown(root.path(), (80, 5), &["--no-pager"], &[]);
    let missing = shown(root.path(), (80, 5), &[], &[("PAGER", "/no/such/pager")]);
    assert_eq!(plain(&missing), plain(&whole));
    let early = [("PAGER", "head -n 1"), ("PATH", "/usr/bin:/bin")];
    let early = shown(root.path(), (80, 5), &[], &early);
    assert_eq!(early.lines().count(), 1, "{early}");
}

/// A kernel that comes through a pipe, late: at a terminal a line says what is waited for,
/// and is gone before the next one.
#[test]
fn slow_work_is_shown_and_the_line_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("slow");
    let make = || mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
    make().expect("a pipe");
    let late = |pipe: PathBuf| {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1500));
            std::fs::write(pipe, "no kernel")
        })
    };
    let plan = || {
        let mut kexec = Command::new(env!("CARGO_BIN_EXE_kexec"));
        kexec.arg("plan").arg(&pipe);
        kexec
    };
    let writer = late(pipe.clone());
    let (said, code) = at_terminal(plan(), (80, HIGH));
    writer.join().expect("it ends").expect("it writes");
    assert_eq!(code, Some(1), "{said}");
    let (line, rest) = said.rsplit_once("\r\x1b[K").expect("a line that goes");
    assert!(line.contains("reading "), "{said:?}");
    assert!(rest.starts_with("kexec: "), "{said:?}");
    // Nobody looks on.
    let writer = late(pipe.clone());
    let done = plan().output().expect("it runs");
    writer.join().expect("it ends").expect("it writes");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        said.starts_with("kexec: ") && !said.contains('\r'),
        "{said:?}"
    );
}
