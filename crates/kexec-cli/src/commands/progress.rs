//! What is being done, for somebody who looks on: a line on standard error that comes
//! when the work takes longer than half a second, and goes when it is done. Nothing of
//! it where no terminal looks on.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kexec_sys::{Kernel, Linux};

use super::terminal;
use crate::render::{shortened, size, visible};

/// A line comes when the work takes longer than this.
const SLOW: Duration = Duration::from_millis(500);
/// How often it is drawn.
const STEP: Duration = Duration::from_millis(125);
/// What turns in front of it.
const WHEEL: [char; 4] = ['|', '/', '-', '\\'];

/// The work that is under way.
#[derive(Debug)]
struct Work {
    /// What is being done.
    what: String,
    /// How many bytes are to be read, and how many the process had read before.
    bytes: Option<(u64, u64)>,
    /// When the first step began.
    since: Instant,
    /// Whether the line is on the screen.
    shown: bool,
    /// How often it was drawn.
    turns: usize,
}

/// The one piece of work of this process.
static WORK: Mutex<Option<Work>> = Mutex::new(None);

fn work() -> MutexGuard<'static, Option<Work>> {
    WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something begins: `what`, in words such as `checking`. It replaces what was being done
/// before.
pub fn doing(what: &str) {
    begin(what.to_owned(), None);
}

/// Files of these names and sizes in bytes are going to be read.
pub fn reading(files: &[(String, u64)]) {
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let total = files
        .iter()
        .fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    let bytes = read_so_far().map(|start| (total, start));
    begin(format!("reading {}", names.join(", ")), bytes);
}

fn begin(what: String, bytes: Option<(u64, u64)>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let mut work = work();
    match work.as_mut() {
        Some(work) => (work.what, work.bytes) = (what, bytes),
        None => {
            *work = Some(Work {
                what,
                bytes,
                since: Instant::now(),
                shown: false,
                turns: 0,
            });
            // Without it nothing is drawn, and nothing else is missing.
            let _ = std::thread::Builder::new().spawn(draw);
        }
    }
}

/// Draws the line again and again, until the work is done.
fn draw() {
    // Signals are for the thread that works: it holds them where it must not be stopped, and a
    // mask is of one thread (pthread_sigmask(3)).
    Linux.hold_signals(true);
    loop {
        std::thread::sleep(STEP);
        match work().as_mut() {
            None => return,
            Some(work) if work.since.elapsed() < SLOW => {}
            Some(work) => {
                let width = terminal::layout_of_messages().width.unwrap_or(80);
                let read = work.bytes.map(|(total, start)| {
                    (read_so_far().unwrap_or(start).saturating_sub(start), total)
                });
                let text = line(&work.what, read, work.turns, width);
                write(&format!("\r{text}\x1b[K"));
                (work.shown, work.turns) = (true, work.turns + 1);
            }
        }
    }
}

/// The line goes, because something else is going to be written; it comes again when what
/// this returns is dropped, and something is still being done.
pub fn step_aside() -> Aside {
    let mut line = work();
    if let Some(work) = line.as_mut() {
        work.hide();
    }
    Aside { _line: line }
}

/// As long as it lives, no line comes.
#[derive(Debug)]
pub struct Aside {
    _line: MutexGuard<'static, Option<Work>>,
}

/// The work is done.
pub fn end() {
    let mut work = work();
    if let Some(mut done) = work.take() {
        done.hide();
    }
}

impl Work {
    fn hide(&mut self) {
        if std::mem::take(&mut self.shown) {
            write("\r\x1b[K");
        }
    }
}

fn write(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// `/ reading /boot/vmlinuz: 12.3 MB of 45.6 MB`, in one line of a terminal.
fn line(what: &str, read: Option<(u64, u64)>, turns: usize, width: usize) -> String {
    let much = match read {
        Some((read, total)) if total > 0 => {
            format!(": {} of {}", size(read.min(total)), size(total))
        }
        _ => String::new(),
    };
    let wheel = WHEEL.get(turns % WHEEL.len()).copied().unwrap_or('|');
    // The last column of some terminals begins the next line.
    let room = width.saturating_sub(much.chars().count() + 3);
    format!("{wheel} {}{much}", shortened(&visible(what), room))
}

/// The bytes that this process has read in all (proc_pid_io(5), `rchar`).
fn read_so_far() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: "))?;
    line.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_in_its_place() {
        assert_eq!(line("checking", None, 0, 80), "| checking");
        assert_eq!(
            line("reading /k", Some((500, 2_000_000)), 5, 80),
            "/ reading /k: 500 bytes of 2.0 MB"
        );
        // What else this process reads does not count.
        let all = line("reading /k", Some((u64::MAX, 1000)), 0, 80);
        assert_eq!(all, "| reading /k: 1.0 kB of 1.0 kB");
        assert_eq!(line("x", Some((0, 0)), 0, 80), "| x");
        let narrow = line(&"/long".repeat(40), Some((1, 1000)), 0, 40);
        assert!(narrow.chars().count() < 40, "{narrow}");
        assert!(narrow.ends_with(": 1 byte of 1.0 kB"), "{narrow}");
        assert!(!line("a\x1b[2J", None, 0, 80).contains('\x1b'));
    }

    /// No terminal looks on: nothing is begun.
    #[test]
    fn without_a_terminal_there_is_no_line() {
        if std::io::stderr().is_terminal() {
            return;
        }
        doing("checking");
        assert!(work().is_none());
    }
}
