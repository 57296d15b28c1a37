//! Files as the kernel reads them for kexec_file_load(2).

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::Errno;

/// The largest file that the kernel reads for the file syscall, in bytes; more
/// is EFBIG.
const FILE_MAX: u64 = 0x7fff_ffff;

/// Whether the descriptor is a memory file (memfd_create(2)).
pub(super) fn is_memory_file(fd: BorrowedFd<'_>) -> bool {
    fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).is_ok_and(|target| {
        target
            .as_os_str()
            .as_encoded_bytes()
            .starts_with(b"/memfd:")
    })
}

/// Reads a file as the kernel does: from its first byte, whatever its position;
/// only a regular file that is not empty and that nobody writes to.
pub(super) fn read(fd: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    use rustix::fs::{FileType, OFlags};
    let mode = rustix::fs::fcntl_getfl(fd)?;
    if mode.contains(OFlags::PATH) || mode & OFlags::RWMODE == OFlags::WRONLY {
        return Err(Errno::EBADF);
    }
    let stat = rustix::fs::fstat(fd)?;
    let length = u64::try_from(stat.st_size).unwrap_or(0);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::EINVAL);
    }
    if mode & OFlags::RWMODE != OFlags::RDONLY && !is_memory_file(fd) {
        // Open for writing. (A memory file is not counted as such unless it is
        // opened a second time.)
        return Err(Errno::ETXTBSY);
    }
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    if length > FILE_MAX {
        return Err(Errno::EFBIG);
    }
    let mut content = vec![0; usize::try_from(length).map_err(|_| Errno::EFBIG)?];
    let mut filled = 0;
    while let Some(rest) = content.get_mut(filled..)
        && !rest.is_empty()
    {
        let at = u64::try_from(filled).unwrap_or(u64::MAX);
        match rustix::io::pread(fd, rest, at) {
            // Cut short meanwhile.
            Ok(0) => return Err(Errno::EIO),
            Ok(read) => filled += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(content)
}
