//! Real memory files: sealed for good, and right for every kind of source.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use kexec_sys::{Errno, SealStep, SealedError, SealedFile};

/// Bytes that differ at each position, `size` of them.
fn pattern(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0])
        .collect()
}

/// A file on disk with this content, already unlinked, at its start.
fn on_disk(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

/// The same file through a descriptor of its own, as the kernel would read it.
fn reread(sealed: &SealedFile) -> Vec<u8> {
    let mut file = File::from(sealed.as_fd().try_clone_to_owned().unwrap());
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    content
}

#[test]
fn a_file_of_every_size_around_the_chunk_arrives_whole() {
    for size in [
        0,
        1,
        4095,
        4096,
        4097,
        (1 << 20) - 1,
        1 << 20,
        (1 << 20) + 1,
        3_000_001,
    ] {
        let content = pattern(size);
        let sealed = SealedFile::from_file(&on_disk(&content), "kernel", 1 << 30).unwrap();
        assert_eq!(sealed.len(), size);
        assert_eq!(sealed.is_empty(), size == 0);
        assert!(sealed.bytes() == content, "{size} bytes, mapped");
        assert!(sealed.as_slice() == content, "{size} bytes, as slice");
        assert!(
            reread(&sealed) == content,
            "{size} bytes, through the descriptor"
        );
    }
}

#[test]
fn nobody_can_write_grow_shrink_or_unseal() {
    let content = pattern(10_000);
    let sealed = SealedFile::from_bytes(&content, "kernel").unwrap();
    let mut file = File::from(sealed.as_fd().try_clone_to_owned().unwrap());
    let errno = |result: std::io::Result<()>| Errno::from_io(&result.unwrap_err());
    assert_eq!(errno(file.write_all(b"other")), Errno::EPERM);
    assert_eq!(errno(file.set_len(1)), Errno::EPERM);
    assert_eq!(errno(file.set_len(20_000)), Errno::EPERM);
    assert_eq!(
        rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::FUTURE_WRITE),
        Err(rustix::io::Errno::PERM)
    );
    assert!(sealed.bytes() == content);
    // A new descriptor is as powerless.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    if let Ok(mut again) = File::options().write(true).open(path) {
        assert_eq!(errno(again.write_all(b"other")), Errno::EPERM);
    }
}

#[test]
fn the_bytes_outlive_the_file_and_cross_threads() {
    let content = pattern(100_000);
    let sealed = SealedFile::from_bytes(&content, "kernel").unwrap();
    let bytes = sealed.bytes();
    assert_eq!(
        bytes.as_ptr(),
        sealed.bytes().as_ptr(),
        "one mapping for all"
    );
    drop(sealed);
    let tail = bytes.slice(99_000..);
    drop(bytes);
    let seen = thread::spawn(move || tail.to_vec()).join().unwrap();
    assert!(seen == content[99_000..]);
}

#[test]
fn parts_are_joined_in_order() {
    let sealed = SealedFile::from_parts([&b"ab"[..], b"", b"cde"], "initrd").unwrap();
    assert_eq!(sealed.as_slice(), b"abcde");
    assert!(SealedFile::from_parts([], "none").unwrap().is_empty());
}

/// A pipe whose writer sends `content` in pieces.
fn pipe_of(content: Vec<u8>, piece: usize) -> (File, thread::JoinHandle<()>) {
    let (read, mut write) = std::io::pipe().unwrap();
    let writer = thread::spawn(move || {
        for part in content.chunks(piece) {
            // The reader may have left.
            if write.write_all(part).is_err() {
                return;
            }
            thread::yield_now();
        }
    });
    (File::from(OwnedFd::from(read)), writer)
}

#[test]
fn a_pipe_is_read_to_its_end() {
    for (size, piece) in [(0, 1), (10, 1), (70_000, 7_000), (2_500_000, 65_536)] {
        let content = pattern(size);
        let (pipe, writer) = pipe_of(content.clone(), piece);
        let sealed = SealedFile::from_file(&pipe, "stdin", 1 << 30).unwrap();
        assert!(sealed.bytes() == content, "{size} bytes by {piece}");
        writer.join().unwrap();
    }
}

#[test]
fn files_of_proc_that_say_size_0_are_read_all_the_same() {
    let expected = std::fs::read("/proc/version").unwrap();
    let file = File::open("/proc/version").unwrap();
    let sealed = SealedFile::from_file(&file, "version", 4096).unwrap();
    assert_eq!(sealed.as_slice(), expected);
}

#[test]
fn what_is_over_the_limit_is_refused_and_what_meets_it_is_not() {
    for size in [0_usize, 1, 5000, (1 << 20) + 7] {
        let content = pattern(size);
        let limit = u64::try_from(size).unwrap();
        assert!(SealedFile::from_file(&on_disk(&content), "kernel", limit).is_ok());
        let (pipe, writer) = pipe_of(content.clone(), 4096);
        assert!(SealedFile::from_file(&pipe, "kernel", limit).is_ok());
        writer.join().unwrap();

        let Some(limit) = limit.checked_sub(1) else {
            continue;
        };
        let error = SealedFile::from_file(&on_disk(&content), "kernel", limit).unwrap_err();
        let expected = SealedError::TooLarge {
            name: "kernel".to_owned(),
            limit,
            size: Some(limit + 1),
        };
        assert_eq!(error, expected);
        assert_eq!(
            error.to_string(),
            format!("kernel is larger than the limit of {limit} bytes")
        );
        let (pipe, writer) = pipe_of(content, 4096);
        let error = SealedFile::from_file(&pipe, "kernel", limit).unwrap_err();
        assert!(
            matches!(error, SealedError::TooLarge { size: None, .. }),
            "{error:?}"
        );
        drop(pipe);
        writer.join().unwrap();
    }
}

#[test]
fn an_endless_device_stops_at_the_limit() {
    let zero = File::open("/dev/zero").unwrap();
    let error = SealedFile::from_file(&zero, "zeros", 3 << 20).unwrap_err();
    assert!(matches!(error, SealedError::TooLarge { .. }), "{error:?}");
}

#[test]
fn errors_say_the_step_and_the_errno() {
    let directory = File::open("/").unwrap();
    let error = SealedFile::from_file(&directory, "kernel", 10_000_000).unwrap_err();
    assert_eq!(
        error,
        SealedError::System {
            name: "kernel".to_owned(),
            step: SealStep::Read,
            at: 0,
            errno: Errno::EISDIR,
        }
    );
    assert_eq!(
        error.to_string(),
        "cannot read kernel (after 0 bytes): a folder where none is expected (EISDIR)"
    );
    let error = SealedFile::from_bytes(b"x", &"n".repeat(300)).unwrap_err();
    assert!(
        matches!(
            error,
            SealedError::System {
                step: SealStep::Create,
                errno: Errno::EINVAL,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn reading_starts_where_the_file_stands() {
    let mut file = on_disk(b"0123456789");
    file.seek(SeekFrom::Start(4)).unwrap();
    let sealed = SealedFile::from_file(&file, "rest", 100).unwrap();
    assert_eq!(sealed.as_slice(), b"456789");
}

/// Bytes of the mapping at this address that are in memory for this process
/// (/proc/self/smaps).
fn resident(address: usize) -> usize {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let begin = format!("{address:x}-");
    let mapping = smaps
        .lines()
        .skip_while(|line| !line.starts_with(&begin))
        .find_map(|line| line.strip_prefix("Rss:"));
    let kib = mapping.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

#[test]
fn pages_can_be_given_back_and_read_again() {
    const LEN: usize = 3 << 20;
    let content: Vec<u8> = (0..LEN).map(|n| (n / 11).to_le_bytes()[0]).collect();
    let sealed = SealedFile::from_bytes(&content, "pages").unwrap();
    let slice = sealed.bytes().slice(LEN / 2..);
    let address = sealed.as_slice().as_ptr().addr();
    assert!(sealed.as_slice() == content);
    assert_eq!(resident(address), LEN);
    sealed.unmap_pages();
    assert_eq!(resident(address), 0);
    assert!(sealed.as_slice() == content && slice == content[LEN / 2..]);
    assert_eq!(resident(address), LEN);
    SealedFile::from_bytes(b"", "nothing")
        .unwrap()
        .unmap_pages();
}
