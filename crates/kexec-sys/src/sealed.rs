//! Bytes that nobody can change any more.
//!
//! A file on disk can be swapped or rewritten between the moment it is checked
//! and the moment it is loaded. So it is read once, into a memory file
//! (memfd_create(2)) which is then sealed against writing, growing and
//! shrinking: what was checked is what the kernel gets, through a descriptor
//! that kexec_file_load(2) takes like that of any file.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use bytes::Bytes;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::Errno;

/// Bytes moved with one sendfile(2), or through the buffer where that does not
/// work: large enough that the calls do not matter.
const CHUNK: u64 = 1 << 20;

/// What was being done when a [`SealedFile`] could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealStep {
    /// Making the memory file (memfd_create(2)).
    Create,
    /// Reading the file that was to be copied.
    Read,
    /// Writing to the memory file: ENOSPC and ENOMEM mean that memory is short.
    Write,
    /// Sealing it (fcntl(2), `F_ADD_SEALS`).
    Seal,
    /// Mapping it (mmap(2)).
    Map,
}

impl SealStep {
    /// The step as it reads in "cannot ... NAME".
    const fn doing(self) -> &'static str {
        match self {
            Self::Create => "make a memory file for",
            Self::Read => "read",
            Self::Write => "keep a copy in memory of",
            Self::Seal => "seal the copy in memory of",
            Self::Map => "map the copy in memory of",
        }
    }
}

/// Why a [`SealedFile`] could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// A system call failed.
    #[error("cannot {} {name} (after {at} bytes): {errno}", step.doing())]
    System {
        /// What the caller calls these bytes.
        name: String,
        /// What was being done.
        step: SealStep,
        /// How many bytes had been copied by then.
        at: u64,
        /// What the kernel answered.
        #[source]
        errno: Errno,
    },
    /// There are more bytes than the caller's limit.
    #[error("{name} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What the caller calls these bytes.
        name: String,
        /// The limit in bytes.
        limit: u64,
        /// The size in bytes where the file says it; `None` where the limit was
        /// met while reading (a pipe).
        size: Option<u64>,
    },
}

/// A memory file that is sealed against every change, mapped for reading.
///
/// It needs no file system that can be written to, and vanishes with its last
/// descriptor.
#[derive(Debug)]
pub struct SealedFile {
    fd: OwnedFd,
    bytes: Bytes,
}

impl SealedFile {
    /// Copies `file` from its current position to its end, which may be a
    /// regular file, a pipe, a FIFO or a device; the bytes are asked for once.
    ///
    /// `name` is what errors call it (and what /proc/PID/fd shows). More than
    /// `limit` bytes are refused, before anything is copied where the file knows
    /// its size.
    ///
    /// # Errors
    /// [`SealedError`], with the step.
    pub fn from_file(file: &File, name: &str, limit: u64) -> Result<Self, SealedError> {
        let mut filling = Filling::new(name)?;
        filling.copy(file, limit)?;
        filling.seal()
    }

    /// Copies `bytes`.
    ///
    /// # Errors
    /// [`SealedError::System`].
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self, SealedError> {
        Self::from_parts([bytes], name)
    }

    /// Copies `parts` one behind the other.
    ///
    /// # Errors
    /// [`SealedError::System`].
    pub fn from_parts<'a>(
        parts: impl IntoIterator<Item = &'a [u8]>,
        name: &str,
    ) -> Result<Self, SealedError> {
        let mut filling = Filling::new(name)?;
        for part in parts {
            filling.write(part)?;
        }
        filling.seal()
    }

    /// The content, without a copy: the `Bytes` share one mapping, which lives
    /// as long as the last of them (longer than this value, if need be).
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The content for as long as this value is borrowed.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the pages back in which this process has the content mapped, so that they no
    /// longer count for it (`RSS`). The content stays in the memory file, and is mapped again
    /// where it is read.
    pub fn unmap_pages(&self) {
        if self.bytes.is_empty() {
            return;
        }
        let start = self.bytes.as_ptr().cast_mut().cast();
        // SAFETY: `bytes` is the whole mapping, which it keeps alive. The mapping is private,
        // so this would undo what was written to it; nothing is, so whoever holds a slice of
        // it reads the same bytes as before, out of the sealed file.
        let advised =
            unsafe { rustix::mm::madvise(start, self.bytes.len(), Advice::LinuxDontNeed) };
        // A kernel that does not do it keeps them mapped, which does no harm.
        debug_assert!(advised.is_ok(), "madvise: {advised:?}");
    }

    /// Size in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl AsFd for SealedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A memory file that is still being written.
struct Filling<'a> {
    name: &'a str,
    file: File,
    /// Bytes written so far.
    at: u64,
}

impl<'a> Filling<'a> {
    fn new(name: &'a str) -> Result<Self, SealedError> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Without NOEXEC_SEAL newer kernels log a warning; kernels before 6.3
        // do not know the flag.
        let made = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
            Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create(name, flags),
            other => other,
        };
        match made {
            Ok(fd) => Ok(Self {
                name,
                file: fd.into(),
                at: 0,
            }),
            Err(errno) => Err(SealedError::System {
                name: name.to_owned(),
                step: SealStep::Create,
                at: 0,
                errno: errno.into(),
            }),
        }
    }

    fn error(&self, step: SealStep, errno: impl Into<Errno>) -> SealedError {
        SealedError::System {
            name: self.name.to_owned(),
            step,
            at: self.at,
            errno: errno.into(),
        }
    }

    fn too_large(&self, limit: u64, size: Option<u64>) -> SealedError {
        SealedError::TooLarge {
            name: self.name.to_owned(),
            limit,
            size,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SealedError> {
        // Short writes and EINTR are write_all's business.
        self.file
            .write_all(bytes)
            .map_err(|error| self.error(SealStep::Write, Errno::from_io(&error)))?;
        self.at = self.at.saturating_add(length(bytes));
        Ok(())
    }

    /// Copies `from` to its end: inside the kernel where sendfile(2) can, through
    /// a small buffer otherwise.
    fn copy(&mut self, from: &File, limit: u64) -> Result<(), SealedError> {
        if let Ok(metadata) = from.metadata()
            && metadata.is_file()
            && metadata.len() > limit
        {
            return Err(self.too_large(limit, Some(metadata.len())));
        }
        if !self.send(from, limit)? {
            self.pump(from, limit)?;
        }
        Ok(())
    }

    /// How many bytes to ask for next: one more than the limit allows, so that
    /// a file that goes beyond it is seen.
    fn next_chunk(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.at).saturating_add(1).min(CHUNK)
    }

    /// Copies with sendfile(2). `false`: it does not work on this file (any
    /// more), and the rest is still to be read.
    fn send(&mut self, from: &File, limit: u64) -> Result<bool, SealedError> {
        loop {
            let chunk = usize::try_from(self.next_chunk(limit)).unwrap_or(usize::MAX);
            match rustix::fs::sendfile(&self.file, from, None, chunk) {
                Ok(0) => {
                    // Some files (of /proc, or with a wrong size) end here but
                    // have more for read(2), which has the last word.
                    return Ok(false);
                }
                Ok(sent) => {
                    self.at = self
                        .at
                        .saturating_add(u64::try_from(sent).unwrap_or(u64::MAX));
                    if self.at > limit {
                        return Err(self.too_large(limit, None));
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                // Not for pipes on older kernels, sockets, directories, ... The
                // position of `from` is where the last success left it. Whose
                // fault an error was cannot be told here, so read(2) and
                // write(2) get to say it.
                Err(_) => return Ok(false),
            }
        }
    }

    /// Copies through a buffer.
    fn pump(&mut self, from: &File, limit: u64) -> Result<(), SealedError> {
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            // `take` and `read_to_end` handle EINTR and short reads; the buffer
            // grows to CHUNK only for a file that has that many bytes.
            let chunk = self.next_chunk(limit);
            let read = from
                .take(chunk)
                .read_to_end(&mut buffer)
                .map_err(|error| self.error(SealStep::Read, Errno::from_io(&error)))?;
            if read == 0 {
                return Ok(());
            }
            if length(&buffer) > limit.saturating_sub(self.at) {
                return Err(self.too_large(limit, None));
            }
            self.write(&buffer)?;
        }
    }

    /// Closes the file to every change and maps it.
    fn seal(self) -> Result<SealedFile, SealedError> {
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        rustix::fs::fcntl_add_seals(&self.file, seals)
            .map_err(|errno| self.error(SealStep::Seal, errno))?;
        // Readers of the descriptor find it as if just opened.
        rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Start(0))
            .map_err(|errno| self.error(SealStep::Seal, errno))?;
        let bytes = self.map()?;
        Ok(SealedFile {
            fd: self.file.into(),
            bytes,
        })
    }

    /// The mapping of a file that has just been sealed.
    fn map(&self) -> Result<Bytes, SealedError> {
        let Ok(size) = usize::try_from(self.at) else {
            return Err(self.error(SealStep::Map, Errno::EOVERFLOW));
        };
        if size == 0 {
            // mmap(2) refuses an empty mapping.
            return Ok(Bytes::new());
        }
        // Private, because kernels before 6.7 refuse a shared mapping of a file
        // that is sealed against writing, even for reading. No page of it is
        // ever written, so both see the same memory.
        // SAFETY: a null hint lets the kernel choose an unused place, so no
        // memory of this process is touched.
        let mapped = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                size,
                ProtFlags::READ,
                MapFlags::PRIVATE,
                &self.file,
                0,
            )
        };
        let start = mapped.map_err(|errno| self.error(SealStep::Map, errno))?;
        let Some(start) = NonNull::new(start.cast::<u8>()) else {
            return Err(self.error(SealStep::Map, Errno::EFAULT));
        };
        Ok(Bytes::from_owner(Mapping { start, size }))
    }
}

/// A slice's length as a file size.
fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A mapping of a sealed file, for reading. Only [`Filling::map`] makes one.
struct Mapping {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping belongs to no thread, and nobody writes to it.
unsafe impl Send for Mapping {}
// SAFETY: as above: it is memory that is only ever read.
unsafe impl Sync for Mapping {}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `start` and `size` are those of a live mapping (only `Drop`
        // ends it). It is a plain `&[u8]` in spite of being a file: the file was
        // sealed before it was mapped, against writing (so no byte changes under
        // the reference) and against shrinking (so no page goes away and no
        // access raises SIGBUS), and the seals themselves are sealed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that mmap returned, unmapped once; slices
        // of it borrow from this value and are gone.
        let ended = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.size) };
        // It fails only for arguments that are no mapping.
        debug_assert!(ended.is_ok(), "munmap: {ended:?}");
    }
}
