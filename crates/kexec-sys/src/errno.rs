//! Error numbers by name.

use std::borrow::Borrow;
use std::fmt;
use std::io;

/// What the kernel answered instead of "done": an error number of errno(3).
///
/// `Debug` writes `EPERM`, `Display` writes `operation not permitted (EPERM)`;
/// a number without a name is `errno 4000`. The texts are our own tables, so that
/// they are the same on every machine and with every C library.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(i32);

impl Errno {
    /// The error with this number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The error number, as errno(3) has it on this architecture.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The error number in an [`io::Error`]; EIO where it holds none (an error
    /// that the standard library made up itself).
    #[must_use]
    pub fn from_io(error: &io::Error) -> Self {
        error.raw_os_error().map_or(Self::EIO, Self)
    }

    /// The name: `EPERM`; `None` for a number that has none.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|(_, name, _)| *name)
    }

    fn row(self) -> Option<&'static (i32, &'static str, &'static str)> {
        TABLE.iter().find(|(number, ..)| *number == self.0)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some((_, name, text)) => {
                let plain = PLAIN.iter().find(|(errno, _)| errno == self);
                match (plain, lower(text)) {
                    (Some((_, plain)), _) => write!(f, "{plain} ({name})"),
                    (None, Some((first, rest))) => write!(f, "{first}{rest} ({name})"),
                    (None, None) => write!(f, "{text} ({name})"),
                }
            }
            None => write!(f, "errno {}", self.0),
        }
    }
}

/// A text with a small first letter, unless it begins with an abbreviation.
fn lower(text: &str) -> Option<(char, &str)> {
    let mut letters = text.chars();
    let first = letters.next()?.to_ascii_lowercase();
    let rest = letters.as_str();
    let word = rest.starts_with(|letter: char| letter.is_lowercase() || letter == ' ');
    word.then_some((first, rest))
}

/// What a program meets that opens files, in plain words: the C library's are for programmers.
const PLAIN: &[(Errno, &str)] = &[
    (Errno::ENOENT, "no such file"),
    (
        Errno::EIO,
        "the device reports an error in reading or writing",
    ),
    (Errno::ENOMEM, "not enough memory"),
    (Errno::EBUSY, "it is in use"),
    (Errno::EEXIST, "it exists already"),
    (Errno::ENOTDIR, "not a folder where one is expected"),
    (Errno::EISDIR, "a folder where none is expected"),
    (
        Errno::ETXTBSY,
        "a program is running from it, or it is being written",
    ),
    (Errno::EFBIG, "the file would be too large"),
    (Errno::ENOSPC, "no space is left"),
    (Errno::EROFS, "the file system is read-only"),
    (Errno::ENAMETOOLONG, "the name is too long"),
    (Errno::ENOSYS, "the running kernel has no such system call"),
    (Errno::ENOTEMPTY, "the folder is not empty"),
    (
        Errno::ELOOP,
        "too many symbolic links, or one where none is allowed",
    ),
    (Errno::ESTALE, "the server no longer has the file"),
    (Errno::EUCLEAN, "the file system is damaged"),
    (Errno::EDQUOT, "the quota is used up"),
];

/// An error of the standard library for people: that of a system call as [`Errno`] names it, without
/// `(os error 2)`, and another one in its own words.
pub fn in_words(error: impl Borrow<io::Error>) -> String {
    let error = error.borrow();
    match error.raw_os_error() {
        Some(number) => Errno(number).to_string(),
        // The standard library's words for it: "entity not found".
        None if error.kind() == io::ErrorKind::NotFound && error.get_ref().is_none() => {
            "no such file".to_owned()
        }
        None => error.to_string(),
    }
}

impl std::error::Error for Errno {}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

/// One constant and one row per error. The numbers are the C library's, because
/// they differ between architectures.
macro_rules! errnos {
    ($($name:ident $text:literal)*) => {
        impl Errno {
            $(
                #[doc = concat!($text, ".")]
                pub const $name: Self = Self(libc::$name);
            )*
        }
        /// Number, name, meaning. Numbers with two names (EAGAIN, EWOULDBLOCK)
        /// are here under the one that the manual pages of kexec would use.
        const TABLE: &[(i32, &str, &str)] = &[$((libc::$name, stringify!($name), $text),)*];
    };
}

errnos! {
    EPERM "Operation not permitted"
    ENOENT "No such file or directory"
    ESRCH "No such process"
    EINTR "Interrupted system call"
    EIO "Input/output error"
    ENXIO "No such device or address"
    E2BIG "Argument list too long"
    ENOEXEC "Exec format error"
    EBADF "Bad file descriptor"
    ECHILD "No child processes"
    EAGAIN "Resource temporarily unavailable"
    ENOMEM "Cannot allocate memory"
    EACCES "Permission denied"
    EFAULT "Bad address"
    ENOTBLK "Block device required"
    EBUSY "Device or resource busy"
    EEXIST "File exists"
    EXDEV "Invalid cross-device link"
    ENODEV "No such device"
    ENOTDIR "Not a directory"
    EISDIR "Is a directory"
    EINVAL "Invalid argument"
    ENFILE "Too many open files in system"
    EMFILE "Too many open files"
    ENOTTY "Inappropriate ioctl for device"
    ETXTBSY "Text file busy"
    EFBIG "File too large"
    ENOSPC "No space left on device"
    ESPIPE "Illegal seek"
    EROFS "Read-only file system"
    EMLINK "Too many links"
    EPIPE "Broken pipe"
    EDOM "Numerical argument out of domain"
    ERANGE "Numerical result out of range"
    EDEADLK "Resource deadlock avoided"
    ENAMETOOLONG "File name too long"
    ENOLCK "No locks available"
    ENOSYS "Function not implemented"
    ENOTEMPTY "Directory not empty"
    ELOOP "Too many levels of symbolic links"
    ENOMSG "No message of desired type"
    EIDRM "Identifier removed"
    ECHRNG "Channel number out of range"
    EL2NSYNC "Level 2 not synchronized"
    EL3HLT "Level 3 halted"
    EL3RST "Level 3 reset"
    ELNRNG "Link number out of range"
    EUNATCH "Protocol driver not attached"
    ENOCSI "No CSI structure available"
    EL2HLT "Level 2 halted"
    EBADE "Invalid exchange"
    EBADR "Invalid request descriptor"
    EXFULL "Exchange full"
    ENOANO "No anode"
    EBADRQC "Invalid request code"
    EBADSLT "Invalid slot"
    EBFONT "Bad font file format"
    ENOSTR "Device not a stream"
    ENODATA "No data available"
    ETIME "Timer expired"
    ENOSR "Out of streams resources"
    ENONET "Machine is not on the network"
    ENOPKG "Package not installed"
    EREMOTE "Object is remote"
    ENOLINK "Link has been severed"
    EADV "Advertise error"
    ESRMNT "Srmount error"
    ECOMM "Communication error on send"
    EPROTO "Protocol error"
    EMULTIHOP "Multihop attempted"
    EDOTDOT "RFS specific error"
    EBADMSG "Bad message"
    EOVERFLOW "Value too large for defined data type"
    ENOTUNIQ "Name not unique on network"
    EBADFD "File descriptor in bad state"
    EREMCHG "Remote address changed"
    ELIBACC "Can not access a needed shared library"
    ELIBBAD "Accessing a corrupted shared library"
    ELIBSCN ".lib section in a.out corrupted"
    ELIBMAX "Attempting to link in too many shared libraries"
    ELIBEXEC "Cannot exec a shared library directly"
    EILSEQ "Invalid or incomplete multibyte or wide character"
    ERESTART "Interrupted system call should be restarted"
    ESTRPIPE "Streams pipe error"
    EUSERS "Too many users"
    ENOTSOCK "Socket operation on non-socket"
    EDESTADDRREQ "Destination address required"
    EMSGSIZE "Message too long"
    EPROTOTYPE "Protocol wrong type for socket"
    ENOPROTOOPT "Protocol not available"
    EPROTONOSUPPORT "Protocol not supported"
    ESOCKTNOSUPPORT "Socket type not supported"
    EOPNOTSUPP "Operation not supported"
    EPFNOSUPPORT "Protocol family not supported"
    EAFNOSUPPORT "Address family not supported by protocol"
    EADDRINUSE "Address already in use"
    EADDRNOTAVAIL "Cannot assign requested address"
    ENETDOWN "Network is down"
    ENETUNREACH "Network is unreachable"
    ENETRESET "Network dropped connection on reset"
    ECONNABORTED "Software caused connection abort"
    ECONNRESET "Connection reset by peer"
    ENOBUFS "No buffer space available"
    EISCONN "Transport endpoint is already connected"
    ENOTCONN "Transport endpoint is not connected"
    ESHUTDOWN "Cannot send after transport endpoint shutdown"
    ETOOMANYREFS "Too many references: cannot splice"
    ETIMEDOUT "Connection timed out"
    ECONNREFUSED "Connection refused"
    EHOSTDOWN "Host is down"
    EHOSTUNREACH "No route to host"
    EALREADY "Operation already in progress"
    EINPROGRESS "Operation now in progress"
    ESTALE "Stale file handle"
    EUCLEAN "Structure needs cleaning"
    ENOTNAM "Not a XENIX named type file"
    ENAVAIL "No XENIX semaphores available"
    EISNAM "Is a named type file"
    EREMOTEIO "Remote I/O error"
    EDQUOT "Disk quota exceeded"
    ENOMEDIUM "No medium found"
    EMEDIUMTYPE "Wrong medium type"
    ECANCELED "Operation canceled"
    ENOKEY "Required key not available"
    EKEYEXPIRED "Key has expired"
    EKEYREVOKED "Key has been revoked"
    EKEYREJECTED "Key was rejected by service"
    EOWNERDEAD "Owner died"
    ENOTRECOVERABLE "State not recoverable"
    ERFKILL "Operation not possible due to RF-kill"
    EHWPOISON "Memory page has hardware error"
}

impl Errno {
    /// Operation not supported: what file systems and the kernel's loaders call
    /// [`Errno::EOPNOTSUPP`]; the same number on Linux.
    pub const ENOTSUP: Self = Self(libc::ENOTSUP);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_print_by_name_and_unknown_ones_by_number() {
        assert_eq!(format!("{:?}", Errno::EPERM), "EPERM");
        assert_eq!(Errno::EPERM.to_string(), "operation not permitted (EPERM)");
        assert_eq!(Errno::ENOENT.to_string(), "no such file (ENOENT)");
        assert_eq!(Errno::EDOTDOT.to_string(), "RFS specific error (EDOTDOT)");
        assert_eq!(
            Errno::EADDRNOTAVAIL.to_string(),
            "cannot assign requested address (EADDRNOTAVAIL)"
        );
        let made_up = io::Error::new(io::ErrorKind::NotFound, "no disk has it");
        for (error, text) in [
            (io::Error::from_raw_os_error(2), "no such file (ENOENT)"),
            (io::ErrorKind::NotFound.into(), "no such file"),
            (made_up, "no disk has it"),
        ] {
            assert_eq!(in_words(error), text);
        }
        let odd = Errno::from_raw(4000);
        assert_eq!(odd.to_string(), "errno 4000");
        assert_eq!(format!("{odd:?}"), "errno 4000");
        assert_eq!(odd.name(), None);
    }

    #[test]
    fn the_table_is_whole_and_without_doubles() {
        let mut numbers: Vec<i32> = TABLE.iter().map(|row| row.0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), TABLE.len(), "a number twice");
        // asm-generic: 1 to 133, without 41 (EWOULDBLOCK) and 58 (EDEADLOCK).
        #[cfg(target_arch = "x86_64")]
        {
            let expected: Vec<i32> = (1..=133).filter(|n| *n != 41 && *n != 58).collect();
            assert_eq!(numbers, expected);
        }
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn texts_are_those_the_c_library_prints() {
        for (number, name, text) in TABLE {
            let theirs = io::Error::from_raw_os_error(*number).to_string();
            assert_eq!(theirs, format!("{text} (os error {number})"), "{name}");
        }
    }

    #[test]
    fn errors_travel_from_and_to_the_standard_library() {
        let io: io::Error = Errno::ENODATA.into();
        assert_eq!(Errno::from_io(&io), Errno::ENODATA);
        assert_eq!(Errno::from_io(&io::Error::other("made up")), Errno::EIO);
        assert_eq!(Errno::from(rustix::io::Errno::BUSY), Errno::EBUSY);
        assert_eq!(Errno::ENOTSUP, Errno::EOPNOTSUPP);
    }
}
