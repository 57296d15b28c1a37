//! Where a dump comes from: a file, or a pipe, which is copied first, because a dump is
//! not read from its beginning to its end.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kexec_cli::vmcore_dmesg::STDIN;
use kexec_machine::open;
use kexec_plan::size::Memory;
use kexec_sys::Errno;
use kexec_vmcore::Source;
use rustix::fs::{CWD, FileType, MemfdFlags, Mode, OFlags};

/// Bytes that are copied together.
const PIECE: usize = 1 << 16;

/// A dump in a file.
pub struct DumpFile {
    file: File,
    len: u64,
}

impl Source for DumpFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn next_data(&self, offset: u64) -> u64 {
        // Reads name their offset, so that it does not matter where the file stands.
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(offset)) {
            Ok(data) => data,
            Err(rustix::io::Errno::NXIO) => self.len,
            Err(_) => offset,
        }
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

impl DumpFile {
    /// Opens what a user named: a file, a pipe, or `-` for standard input.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    pub fn open(path: &Path) -> Result<DumpFile, String> {
        let file = match path.as_os_str() == STDIN {
            true => File::from(
                io::stdin()
                    .as_fd()
                    .try_clone_to_owned()
                    .map_err(|e| Errno::from_io(&e).to_string())?,
            ),
            false => open::named(path)?,
        };
        let stat = rustix::fs::fstat(&file).map_err(|e| Errno::from(e).to_string())?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let len = u64::try_from(stat.st_size).unwrap_or(0);
                Ok(DumpFile { file, len })
            }
            FileType::CharacterDevice => {
                Err("it is a terminal or another character device, expected a dump".to_owned())
            }
            _ => Spool::new(std::env::var_os("TMPDIR").map(PathBuf::from))?.copy(file),
        }
    }
}

/// Where a pipe's content is kept.
struct Spool {
    file: File,
    /// The most bytes that go there, and what that follows from.
    most: u64,
    why: String,
}

impl Spool {
    /// In a folder that `TMPDIR` names, which is for that, or else in memory.
    fn new(folder: Option<PathBuf>) -> Result<Spool, String> {
        match folder.filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => Spool::in_folder(&folder).map_err(|error| {
                let errno = Errno::from(error);
                format!(
                    "copying it to TMPDIR ({}): {errno}; name another folder in TMPDIR, or unset \
                     it",
                    folder.display()
                )
            }),
            None => Spool::in_memory(),
        }
    }

    fn in_folder(folder: &Path) -> Result<Spool, rustix::io::Errno> {
        // Without a name: it is gone with this process.
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, folder, flags, Mode::from_raw_mode(0o600))?;
        let room = rustix::fs::fstatvfs(&file)?;
        let most = room.f_bavail.saturating_mul(room.f_frsize);
        Ok(Spool {
            file: file.into(),
            most,
            why: format!("what is free in TMPDIR ({})", folder.display()),
        })
    }

    fn in_memory() -> Result<Spool, String> {
        let failed = |what: &str, errno: Errno| format!("{what}: {errno}");
        let flags = MemfdFlags::CLOEXEC;
        let file = rustix::fs::memfd_create("vmcore", flags | MemfdFlags::NOEXEC_SEAL)
            // Before 6.3.
            .or_else(|_| rustix::fs::memfd_create("vmcore", flags))
            .map_err(|e| failed("copying it to memory", e.into()))?;
        let path = Path::new("/proc/meminfo");
        let text = open::contents(path, 1 << 16)
            .map_err(|e| failed("reading /proc/meminfo", Errno::from_io(&e)))?;
        let free = available(&String::from_utf8_lossy(&text))
            .ok_or("/proc/meminfo has no MemAvailable: save the dump to a file")?;
        let most = free / 2;
        Ok(Spool {
            file: file.into(),
            most,
            why: format!("half of the {} of memory that are available", Memory(free)),
        })
    }

    /// Copies a pipe. Pieces of zeros become holes, which need no room.
    fn copy(self, mut pipe: impl Read) -> Result<DumpFile, String> {
        let errno = |e: &io::Error| Errno::from_io(e).to_string();
        let mut piece = vec![0_u8; PIECE];
        let (mut len, mut stored) = (0_u64, 0_u64);
        loop {
            let mut filled = 0;
            while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                match pipe.read(rest) {
                    Ok(0) => break,
                    Ok(more) => filled += more,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(format!("reading it: {}", errno(&e))),
                }
            }
            let bytes = piece.get(..filled).unwrap_or_default();
            let count = u64::try_from(filled).unwrap_or(u64::MAX);
            if bytes.iter().any(|byte| *byte != 0) {
                stored = stored.saturating_add(count);
                if stored > self.most {
                    return Err(format!(
                        "the dump in the pipe has more than {}, which is {}: save it to a \
                         file and name that, or name a folder with more room in TMPDIR",
                        Memory(self.most),
                        self.why
                    ));
                }
                let written = self.file.write_all_at(bytes, len);
                written.map_err(|e| format!("copying it: {}", errno(&e)))?;
            }
            len = len.saturating_add(count);
            if filled < PIECE {
                break;
            }
        }
        self.file
            .set_len(len)
            .map_err(|e| format!("copying it: {}", errno(&e)))?;
        Ok(DumpFile {
            file: self.file,
            len,
        })
    }
}

/// Bytes of memory that programs can still have (proc_meminfo(5), `MemAvailable`, in
/// units of 1024 bytes).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let number = line.trim().strip_suffix("kB")?.trim();
    number.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(most: u64) -> Spool {
        Spool {
            most,
            ..Spool::in_memory().expect("a memory file")
        }
    }

    #[test]
    fn a_pipe_is_copied_with_its_holes() {
        let mut bytes = vec![0_u8; 3 * PIECE];
        bytes[5] = 1;
        bytes.extend(b"end");
        let most = u64::try_from(PIECE + 3).expect("small");
        let dump = spool(most).copy(bytes.as_slice()).expect("room for it");
        assert_eq!(dump.len(), u64::try_from(bytes.len()).expect("small"));
        let mut found = vec![1; bytes.len()];
        dump.read_exact_at(0, &mut found).expect("all of it");
        assert!(found == bytes);
        assert!(dump.next_data(most) > most);
        let empty = spool(0).copy(&[] as &[u8]).expect("nothing");
        assert!(empty.is_empty());
    }

    #[test]
    fn a_pipe_without_an_end_is_refused() {
        let error = spool(1 << 20).copy(io::repeat(1)).err();
        let said = error.expect("more than 1 MiB");
        assert!(
            said.contains("has more than 1 MiB, which is half of the"),
            "{said}"
        );
    }

    #[test]
    fn the_folder_is_chosen() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(Some(folder.path().into())).expect("a file there");
        assert!(spool.why.contains("TMPDIR"), "{}", spool.why);
        let gone = Spool::new(Some("/nowhere/at/all".into())).err();
        assert!(gone.is_some_and(|said| said.contains("ENOENT")));
        let memory = Spool::new(Some("".into())).expect("memory");
        assert!(memory.why.contains("available"), "{}", memory.why);
    }

    #[test]
    fn what_is_available() {
        let text = "MemFree: 1 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(text), Some(2 << 20));
        assert_eq!(available("MemFree: 1 kB\n"), None);
    }
}
