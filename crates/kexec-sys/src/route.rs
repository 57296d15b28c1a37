//! The real kernel's rtnetlink(7) socket. No file is needed for it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::netlink::{self, ACK, DONE, DUMP, ERROR, INTERRUPTED, REQUEST};
use crate::{Errno, RouteMessage};

/// The kernel answers at once; a socket that does not is no reason to hang.
const PATIENCE: Duration = Duration::from_secs(5);

/// One read of a dump takes this many bytes at most: the kernel uses no more than
/// 32 KiB (`Documentation/userspace-api/netlink/intro.rst`, "Buffer sizing").
const BUFFER: usize = 64 << 10;

/// All messages of one dump have at most this many bytes.
const MOST: usize = 128 << 20;

/// How often a dump is tried that was changed meanwhile.
const TRIES: u32 = 4;

pub(crate) fn dump(request: u16, header: usize, family: u8) -> Result<Vec<RouteMessage>, Errno> {
    let mut payload = vec![0; header];
    if let Some(first) = payload.first_mut() {
        *first = family;
    }
    for sequence in 1..=TRIES {
        if let Some(found) = dump_once(request, &payload, sequence)? {
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
        for part in netlink::parts(receive(&socket, &mut buffer)?) {
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

pub(crate) fn request(message: &RouteMessage, flags: u16) -> Result<(), Errno> {
    let socket = socket()?;
    let sequence = 1;
    let flags = flags | REQUEST | ACK;
    send(
        &socket,
        &netlink::message(message.kind, flags, sequence, &message.payload),
    )?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let answers = netlink::parts(receive(&socket, &mut buffer)?);
        let mut ours = answers.filter(|part| part.sequence == sequence && part.kind == ERROR);
        if let Some(part) = ours.next() {
            return errno(part.payload).map_or(Ok(()), Err);
        }
    }
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
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
    Ok(socket)
}

/// An unconnected socket's messages go to the kernel (netlink(7)).
fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    rustix::net::send(socket, bytes, SendFlags::empty())?;
    Ok(())
}

fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let (got, whole) = rustix::net::recv(socket, &mut *buffer, RecvFlags::TRUNC)?;
    if whole > got || got == 0 {
        return Err(Errno::EMSGSIZE);
    }
    buffer.get(..got).ok_or(Errno::EMSGSIZE)
}
