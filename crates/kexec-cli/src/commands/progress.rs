//! What is being read, for somebody who looks on: names and sizes at once, and
//! a bar when the disk is slow. Nothing of it where no terminal looks on.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::render::text::size;
use crate::render::visible;

/// A bar comes when reading takes longer than this.
const SLOW: Duration = Duration::from_millis(700);
/// How often it is drawn.
const STEP: Duration = Duration::from_millis(200);
/// Its width in letters.
const WIDTH: u64 = 30;

/// Does `work` and shows how far it has come in reading files of these names
/// and sizes in bytes.
pub fn reading<T>(files: &[(String, u64)], work: impl FnOnce() -> T) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    for (name, bytes) in files {
        let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX);
        say_line!("reading {} ({})", visible(name), size(bytes));
    }
    let total = files
        .iter()
        .fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
    let start = read_so_far();
    let (done, wait) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let Some(start) = start else { return };
            let mut shown = false;
            let mut pause = SLOW;
            while wait.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let read = read_so_far().unwrap_or(start).saturating_sub(start);
                say!("\r{}", bar(read, total));
                let _ = std::io::stderr().flush();
                (shown, pause) = (true, STEP);
            }
            if shown {
                // The line is empty again.
                say!("\r\x1b[K");
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// `[######........]  42 %`; never more than all of it.
fn bar(read: u64, total: u64) -> String {
    let part = |scale: u64| {
        let scaled = u128::from(read.min(total)) * u128::from(scale);
        let scaled = scaled.checked_div(u128::from(total)).unwrap_or(0);
        usize::try_from(scaled).unwrap_or(0)
    };
    let full = part(WIDTH);
    let empty = usize::try_from(WIDTH).unwrap_or(0).saturating_sub(full);
    format!(
        "[{}{}] {:3} %",
        "#".repeat(full),
        ".".repeat(empty),
        part(100)
    )
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
    fn bars_stay_in_their_place() {
        assert_eq!(bar(0, 100), format!("[{}]   0 %", ".".repeat(30)));
        assert_eq!(
            bar(50, 100),
            format!("[{}{}]  50 %", "#".repeat(15), ".".repeat(15))
        );
        assert_eq!(bar(u64::MAX, 100), format!("[{}] 100 %", "#".repeat(30)));
        assert_eq!(bar(5, 0), format!("[{}]   0 %", ".".repeat(30)));
    }

    #[test]
    fn the_work_is_done_once_whoever_looks_on() {
        let mut count = 0;
        assert_eq!(
            reading(&[("x".into(), 1)], || {
                count += 1;
                count
            }),
            1
        );
    }
}
