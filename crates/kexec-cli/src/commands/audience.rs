//! Who reads what is printed: somebody at a terminal, or everybody who may read logs.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kexec_load::pipeline::Prepared;

use super::terminal;
use crate::render::text;

/// Where something is printed.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A plan, for those who read it there.
pub fn plan_text(prepared: &Prepared, stream: Stream) -> String {
    let number = match stream {
        Stream::Out => 1,
        Stream::Err => 2,
    };
    let journal = std::env::var("JOURNAL_STREAM").ok();
    let file = format!("/proc/self/fd/{number}");
    match journal.is_some_and(|journal| is_journal(&journal, Path::new(&file))) {
        true => text::plan_for_log(prepared),
        false => text::plan(
            prepared,
            match stream {
                Stream::Out => terminal::layout(),
                Stream::Err => terminal::layout_of_messages(),
            },
        ),
    }
}

/// Whether a file is the journal, whose `device:inode` systemd hands to a service
/// (systemd.exec(5), `$JOURNAL_STREAM`); what the service starts may have another output.
fn is_journal(journal: &str, file: &Path) -> bool {
    let file = std::fs::metadata(file);
    file.is_ok_and(|file| journal == format!("{}:{}", file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_known_by_its_number() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = std::fs::metadata(file.path()).unwrap();
        let journal = format!("{}:{}", found.dev(), found.ino());
        assert!(is_journal(&journal, file.path()));
        let other = format!("{}:{}", found.dev(), found.ino() + 1);
        assert!(!is_journal(&other, file.path()));
        assert!(!is_journal("", file.path()));
        assert!(!is_journal(&journal, Path::new("/proc/self/fd/none")));
    }
}
