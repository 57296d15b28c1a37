//! rtnetlink(7): what the kernel keeps of links, addresses, routes and rules, as
//! messages. How a message begins, and what a stream of them is.

/// A message without its header. Integers are in the machine's byte order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteMessage {
    /// `nlmsg_type`: `RTM_NEWLINK`, `RTM_NEWROUTE` ...
    pub kind: u16,
    /// All behind the header: the structure of that kind, then attributes.
    pub payload: Vec<u8>,
}

/// The length of `struct nlmsghdr` (`include/uapi/linux/netlink.h`).
pub(crate) const HEADER: usize = 16;

/// `NLMSG_ERROR` and `NLMSG_DONE` of `include/uapi/linux/netlink.h`.
pub(crate) const ERROR: u16 = 2;
pub(crate) const DONE: u16 = 3;

/// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_DUMP` (`NLM_F_ROOT | NLM_F_MATCH`) and, of
/// an answer, `NLM_F_DUMP_INTR`: what is dumped has changed meanwhile.
pub(crate) const REQUEST: u16 = 0x1;
pub(crate) const ACK: u16 = 0x4;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const INTERRUPTED: u16 = 0x10;

/// One message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`: that of the request which is answered.
    pub sequence: u32,
    /// What is behind the header.
    pub payload: &'a [u8],
}

/// The messages of a stream, up to the first that is not whole.
#[must_use]
pub fn parts(stream: &[u8]) -> Parts<'_> {
    Parts { rest: stream }
}

/// See [`parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let header = self.rest.first_chunk::<HEADER>()?;
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let payload = self.rest.get(HEADER..length)?;
        // NLMSG_ALIGN; the last one may end without its padding.
        let next = length.checked_next_multiple_of(4)?;
        self.rest = self.rest.get(next..).unwrap_or_default();
        Some(Part {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload,
        })
    }
}

/// A message with its header.
#[must_use]
pub fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = HEADER.saturating_add(payload.len());
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    // nlmsg_pid: the kernel fills in whose it is.
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// What an `NLMSG_ERROR` says: 0 is an acknowledgement, else an errno.
pub(crate) fn answer(payload: &[u8]) -> Option<i32> {
    let code = payload.first_chunk::<4>()?;
    i32::from_ne_bytes(*code).checked_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_message_by_message() {
        let mut stream = message(16, 2, 7, b"abcde");
        stream.extend([0; 3]);
        stream.extend(message(DONE, 0, 7, &[]));
        let found: Vec<Part<'_>> = parts(&stream).collect();
        let kinds: Vec<(u16, &[u8])> = found.iter().map(|p| (p.kind, p.payload)).collect();
        assert_eq!(kinds, [(16, &b"abcde"[..]), (DONE, &[])]);
        assert_eq!((found[0].flags, found[0].sequence), (2, 7));
    }

    #[test]
    fn a_stream_that_is_broken_ends() {
        let whole = message(16, 0, 1, b"12345678");
        for cut in 0..whole.len() {
            assert_eq!(parts(&whole[..cut]).count(), 0, "{cut}");
        }
        for length in [0u32, 1, 15, 25, 1000, u32::MAX, u32::MAX - 2] {
            let mut broken = whole.clone();
            broken[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(parts(&broken).count(), 0, "{length}");
        }
        // The shortest there can be: no endless loop on messages without content.
        assert_eq!(parts(&message(1, 0, 0, &[]).repeat(1000)).count(), 1000);
    }

    #[test]
    fn an_answer_is_an_errno() {
        assert_eq!(answer(&(-17i32).to_ne_bytes()), Some(17));
        assert_eq!(answer(&[0; 4]), Some(0));
        assert_eq!(answer(&[0; 3]), None);
        assert_eq!(answer(&i32::MIN.to_ne_bytes()), None);
    }
}
