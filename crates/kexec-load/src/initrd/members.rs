//! The names in an initrd: archive after archive, compressed or not, as a
//! kernel would unpack them (Documentation/driver-api/early-userspace/
//! buffer-format.rst).

use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;

use kexec_image::cpio::{self, HEAD_LEN, Head};
use kexec_image::decompress::stream;

/// What was seen of an initrd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembersSeen {
    /// Every name up to the end of the initrd.
    All,
    /// The visitor had enough.
    Enough,
    /// It goes on beyond what is looked at, or behind something that is no
    /// archive.
    Some,
}

/// Shows `visit` the name of each member of `initrd`, until it breaks. At most
/// `limit` bytes are unpacked, none of them kept.
pub fn members(
    initrd: &[u8],
    limit: u64,
    visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> MembersSeen {
    let mut rest = initrd;
    let mut left = limit;
    loop {
        let zeros = rest.iter().take_while(|b| **b == 0).count();
        rest = rest.get(zeros..).unwrap_or_default();
        if rest.is_empty() {
            return MembersSeen::All;
        }
        if let Some(reader) = stream(rest) {
            let Ok(reader) = reader else {
                return MembersSeen::Some;
            };
            // Whatever follows a compressed archive is not looked for: nobody
            // puts something behind it.
            let mut reader = Counting::new(BufReader::new(reader.take(left)));
            return archives(&mut reader, visit).unwrap_or(MembersSeen::Some);
        }
        let mut reader = Counting::new(rest);
        match archive(&mut reader, visit) {
            Ok(Some(MembersSeen::Enough)) => return MembersSeen::Enough,
            Ok(_) => {}
            Err(_) => return MembersSeen::Some,
        }
        let used = usize::try_from(reader.count).unwrap_or(usize::MAX);
        left = left.saturating_sub(reader.count);
        rest = rest.get(used..).unwrap_or_default();
    }
}

/// Archive after archive until the end.
fn archives(
    reader: &mut Counting<impl Read>,
    visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<MembersSeen> {
    loop {
        match archive(reader, visit)? {
            Some(MembersSeen::Enough) => return Ok(MembersSeen::Enough),
            Some(_) => {}
            None => return Ok(MembersSeen::All),
        }
    }
}

/// One archive; `None` at the end of everything.
fn archive(
    reader: &mut Counting<impl Read>,
    visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<Option<MembersSeen>> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    loop {
        let mut head = [0; HEAD_LEN];
        if !first_byte(reader, &mut head)? {
            return Ok(None);
        }
        reader.read_exact(head.get_mut(1..).unwrap_or_default())?;
        let head = Head::parse(&head).map_err(|_| broken())?;
        if head.is_skipped() {
            reader.skip(u64::try_from(head.name_len).unwrap_or(u64::MAX))?;
            reader.align()?;
            reader.skip(head.size)?;
            reader.align()?;
            continue;
        }
        let mut name = vec![0; head.name_len];
        reader.read_exact(&mut name)?;
        reader.align()?;
        let name = cpio::name(&name);
        if cpio::is_trailer(name) {
            return Ok(Some(MembersSeen::All));
        }
        if visit(name).is_break() {
            return Ok(Some(MembersSeen::Enough));
        }
        reader.skip(head.size)?;
        reader.align()?;
    }
}

/// Skips zeros between archives; false at the end.
fn first_byte(reader: &mut impl Read, head: &mut [u8; HEAD_LEN]) -> io::Result<bool> {
    let [first, ..] = head;
    loop {
        let mut byte = [0];
        if reader.read(&mut byte)? == 0 {
            return Ok(false);
        }
        let [byte] = byte;
        if byte != 0 {
            *first = byte;
            return Ok(true);
        }
    }
}

/// Knows how far it is, because members are padded.
struct Counting<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Counting<R> {
    fn new(inner: R) -> Counting<R> {
        Counting { inner, count: 0 }
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.by_ref().take(bytes), &mut io::sink())?;
        if skipped == bytes {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn align(&mut self) -> io::Result<()> {
        let padding = cpio::aligned(self.count).saturating_sub(self.count);
        let mut zeros = [0; 3];
        let zeros = zeros.get_mut(..usize::try_from(padding).unwrap_or(0));
        self.read_exact(zeros.unwrap_or_default())
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count = self.count.saturating_add(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kexec_image::testing::codec::COMPRESSORS;
    use proptest::prelude::*;

    use super::*;

    fn archive_of(names: &[&str]) -> Vec<u8> {
        let file = |name: &&str| cpio::File {
            path: (*name).to_owned(),
            mode: 0o644,
            content: Bytes::from_static(b"content"),
        };
        cpio::archive(&names.iter().map(file).collect::<Vec<_>>()).unwrap()
    }

    fn names(initrd: &[u8]) -> (Vec<String>, MembersSeen) {
        let mut names = Vec::new();
        let seen = members(initrd, 1 << 20, &mut |name| {
            names.push(String::from_utf8_lossy(name).into_owned());
            ControlFlow::Continue(())
        });
        (names, seen)
    }

    #[test]
    fn archives_one_behind_the_other() {
        let mut initrd = archive_of(&["kernel/x86"]);
        initrd.resize(initrd.len().next_multiple_of(512), 0);
        for compressor in COMPRESSORS.iter().filter(|c| c.codec != "lzma") {
            let mut all = initrd.clone();
            let mut second = archive_of(&["a"]);
            second.extend(archive_of(&["b"]));
            all.extend((compressor.compress)(&second));
            let (names, seen) = names(&all);
            assert_eq!(
                names,
                ["kernel", "kernel/x86", "a", "b"],
                "{}",
                compressor.name
            );
            assert_eq!(seen, MembersSeen::All, "{}", compressor.name);
        }
        assert_eq!(names(&initrd).1, MembersSeen::All);
        assert_eq!(names(b"").1, MembersSeen::All);
    }

    #[test]
    fn the_visitor_may_stop_and_the_limit_does() {
        let initrd = archive_of(&["a", "b"]);
        let seen = members(&initrd, 1 << 20, &mut |_| ControlFlow::Break(()));
        assert_eq!(seen, MembersSeen::Enough);
        let packed = (COMPRESSORS[0].compress)(&archive_of(&["a", "b", "c", "d"]));
        let mut count = 0;
        let seen = members(&packed, 300, &mut |_| {
            count += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((seen, count), (MembersSeen::Some, 2));
    }

    #[test]
    fn what_is_no_archive_is_not_all() {
        assert_eq!(names(b"hsqs squashfs").1, MembersSeen::Some);
        let mut cut = archive_of(&["a", "b"]);
        cut.truncate(150);
        assert_eq!(names(&cut), (vec!["a".to_owned()], MembersSeen::Some));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0_usize..300) {
            let mut initrd = archive_of(&["a", "b"]);
            let at = at.min(initrd.len());
            initrd.splice(at..at, bytes.drain(..));
            let _ = names(&initrd);
        }
    }
}
