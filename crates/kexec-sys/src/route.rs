//! The real kernel's rtnetlink(7) socket. No file is needed for it.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::netlink::{self, ACK, DONE, DUMP, ERROR, INTERRUPTED, REQUEST};
use crate::{Errno, RouteMessage};

/// One batch of requests has at most so many messages and bytes, so that the answers
/// fit into the socket's buffer: by default that is 208 KiB (`net.core.rmem_default`,
/// `Documentation/admin-guide/sysctl/net.rst`), of which an answer takes about 1 KiB,
/// and one that says no repeats its request.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 16 << 10;

/// Until when an answer is waited for. The kernel answers at once; a socket that does
/// not is no reason to hang.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(within: Duration) -> Deadline {
        let now = Instant::now();
        Deadline(now.checked_add(within).unwrap_or(now))
    }

    /// What is left; nothing is ETIMEDOUT.
    fn left(self) -> Result<Duration, Errno> {
        let left = self.0.saturating_duration_since(Instant::now());
        // A timeout of nothing at all would mean "for ever" to the socket.
        match left < Duration::from_millis(1) {
            true => Err(Errno::ETIMEDOUT),
            false => Ok(left),
        }
    }
}

/// One read of a dump takes this many bytes at most: the kernel uses no more than
/// 32 KiB (`Documentation/userspace-api/netlink/intro.rst`, "Buffer sizing").
const BUFFER: usize = 64 << 10;

/// All messages of one dump have at most this many bytes.
const MOST: usize = 128 << 20;

/// How often a dump is tried that was changed meanwhile.
const TRIES: u32 = 4;

pub(crate) fn dump(
    request: u16,
    header: usize,
    family: u8,
    until: Deadline,
) -> Result<Vec<RouteMessage>, Errno> {
    let mut payload = vec![0; header];
    if let Some(first) = payload.first_mut() {
        *first = family;
    }
    for sequence in 1..=TRIES {
        if let Some(found) = dump_once(request, &payload, sequence, until)? {
            return Ok(found);
        }
    }
    Err(Errno::EAGAIN)
}

/// One try; none when what was dumped changed meanwhile.
fn dump_once(
    request: u16,
    payload: &[u8],
    sequence: u32,
    until: Deadline,
) -> Result<Option<Vec<RouteMessage>>, Errno> {
    let socket = socket()?;
    send(
        &socket,
        &netlink::message(request, REQUEST | DUMP, sequence, payload),
    )?;
    let mut buffer = vec![0; BUFFER];
    let mut found = Vec::new();
    let mut size = 0_usize;
    let mut interrupted = false;
    loop {
        for part in netlink::parts(receive(&socket, &mut buffer, until)?) {
            if part.sequence != sequence {
                continue;
            }
            interrupted |= part.flags & INTERRUPTED != 0;
            match part.kind {
                DONE => return Ok((!interrupted).then_some(found)),
                ERROR => match errno(part.payload) {
                    Some(errno) => return Err(errno),
                    None => return Ok((!interrupted).then_some(found)),
                },
                kind => {
                    size = size.saturating_add(part.payload.len());
                    if size > MOST {
                        return Err(Errno::EMSGSIZE);
                    }
                    found.push(RouteMessage {
                        kind,
                        payload: part.payload.to_vec(),
                    });
                }
            }
        }
    }
}

/// Asks for all of it through one socket, in batches that are answered before the next
/// one goes.
pub(crate) fn requests(
    requests: &[(RouteMessage, u16)],
    until: Deadline,
) -> Vec<Result<(), Errno>> {
    let mut answers = Vec::with_capacity(requests.len());
    let failed = socket().and_then(|socket| {
        let mut buffer = vec![0; BUFFER];
        let mut rest = requests;
        while !rest.is_empty() {
            let (batch, bytes, behind) = batch(rest, answers.len());
            let got = ask(&socket, &mut buffer, &bytes, (answers.len(), batch), until);
            answers.extend(got?);
            rest = behind;
        }
        Ok(())
    });
    // What was not asked for, or not answered.
    answers.resize(requests.len(), failed);
    answers
}

/// The first messages of `requests`, as bytes; how many they are, and what is behind
/// them. Their sequence numbers count from one behind `done`, so that none is 0.
fn batch(
    requests: &[(RouteMessage, u16)],
    done: usize,
) -> (usize, Vec<u8>, &[(RouteMessage, u16)]) {
    let mut bytes = Vec::new();
    let mut count = 0_usize;
    for (message, flags) in requests.iter().take(BATCH) {
        let sequence = sequence(done.saturating_add(count));
        let flags = flags | REQUEST | ACK;
        let one = netlink::message(message.kind, flags, sequence, &message.payload);
        if count > 0 && bytes.len().saturating_add(one.len()) > BATCH_BYTES {
            break;
        }
        bytes.extend(one);
        // NLMSG_ALIGN.
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        count = count.saturating_add(1);
    }
    (count, bytes, requests.get(count..).unwrap_or_default())
}

/// The sequence number of the message with this index.
fn sequence(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

/// One batch of `count` messages, the first of which has the index `first`.
fn ask(
    socket: &OwnedFd,
    buffer: &mut [u8],
    bytes: &[u8],
    (first, count): (usize, usize),
    until: Deadline,
) -> Result<Vec<Result<(), Errno>>, Errno> {
    until.left()?;
    send(socket, bytes)?;
    let mut answers = vec![None; count];
    while answers.iter().any(Option::is_none) {
        for part in netlink::parts(receive(socket, buffer, until)?) {
            let index = usize::try_from(part.sequence).unwrap_or(usize::MAX);
            let index = index.checked_sub(first.saturating_add(1));
            let place = index.and_then(|index| answers.get_mut(index));
            if let (Some(place), ERROR) = (place, part.kind) {
                *place = Some(errno(part.payload).map_or(Ok(()), Err));
            }
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

fn errno(payload: &[u8]) -> Option<Errno> {
    match netlink::answer(payload) {
        Some(0) => None,
        Some(code) => Some(Errno::from_raw(code)),
        None => Some(Errno::EINVAL),
    }
}

fn socket() -> Result<OwnedFd, Errno> {
    // No protocol is NETLINK_ROUTE, 0.
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok(socket)
}

/// An unconnected socket's messages go to the kernel (netlink(7)).
fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    rustix::net::send(socket, bytes, SendFlags::empty())?;
    Ok(())
}

fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8], until: Deadline) -> Result<&'a [u8], Errno> {
    sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(until.left()?))?;
    let received = rustix::net::recv(socket, &mut *buffer, RecvFlags::TRUNC);
    let (got, whole) = received.map_err(|errno| match Errno::from(errno) {
        Errno::EAGAIN => Errno::ETIMEDOUT,
        other => other,
    })?;
    if whole > got || got == 0 {
        return Err(Errno::EMSGSIZE);
    }
    buffer.get(..got).ok_or(Errno::EMSGSIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(size: usize) -> (RouteMessage, u16) {
        let payload = vec![7; size];
        (RouteMessage { kind: 24, payload }, 0x400)
    }

    #[test]
    fn a_batch_is_bounded_and_nothing_is_left_out() {
        // Small ones, one that is larger than a batch, and odd lengths.
        let mut all: Vec<_> = (0..200).map(|_| message(41)).collect();
        all.insert(70, message(BATCH_BYTES * 2));
        all.extend((0..9).map(|_| message(BATCH_BYTES / 2)));
        let mut rest = &all[..];
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let (count, bytes, behind) = batch(rest, seen.len());
            assert!((1..=BATCH).contains(&count), "{count}");
            assert!(bytes.len() <= BATCH_BYTES || count == 1, "{}", bytes.len());
            let parts: Vec<_> = netlink::parts(&bytes).collect();
            assert_eq!(parts.len(), count);
            seen.extend(parts.iter().map(|p| (p.sequence, p.payload.len(), p.flags)));
            rest = behind;
        }
        let expected = all.iter().enumerate();
        let expected = expected.map(|(i, (m, _))| (sequence(i), m.payload.len(), 0x405));
        assert!(seen.into_iter().eq(expected));
    }

    #[test]
    fn no_time_is_no_answer_and_asks_for_nothing() {
        let all = vec![message(12); 3];
        let answers = requests(&all, Deadline::after(Duration::ZERO));
        assert_eq!(answers, [Err(Errno::ETIMEDOUT); 3]);
        let dumped = dump(18, 16, 0, Deadline::after(Duration::ZERO));
        assert_eq!(dumped, Err(Errno::ETIMEDOUT));
    }

    /// The real kernel answers each of a batch on its own: `RTM_GETLINK` by an index
    /// that no interface has, and one that it does not know.
    #[test]
    fn each_of_a_batch_gets_its_own_answer() {
        let get = |index: i32| {
            let mut payload = vec![0; 16];
            payload[4..8].copy_from_slice(&index.to_ne_bytes());
            (RouteMessage { kind: 18, payload }, 0)
        };
        let mut all = vec![get(0x7fff_fff0); 150];
        all[100] = get(1);
        let answers = requests(&all, Deadline::after(Duration::from_secs(5)));
        assert_eq!(answers.len(), 150);
        for (i, answer) in answers.iter().enumerate() {
            let expected = if i == 100 { Ok(()) } else { Err(Errno::ENODEV) };
            assert_eq!(*answer, expected, "{i}");
        }
    }
}
