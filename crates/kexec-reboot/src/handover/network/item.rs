//! One thing of a network, as rtnetlink(7) shows it: what makes it the same thing
//! as another, and the message that asks for it again.
//!
//! Messages are kept as the kernel wrote them. Understood is no more of them than
//! what changes while the thing stays the same (counters, ages, states), and what
//! the kernel writes but does not take back.

use kexec_sys::RouteMessage;

/// A kind of things, in the order in which they are put back: routes need the
/// addresses, and what they go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkItemKind {
    /// A rule that chooses a table.
    Rule,
    /// An address of an interface.
    Address,
    /// A neighbour that somebody has set.
    Neighbour,
    /// A next hop that routes name by its number.
    NextHop,
    /// A route of any table.
    Route,
}

impl NetworkItemKind {
    /// All of them, in that order.
    pub const ALL: [NetworkItemKind; 5] = [
        NetworkItemKind::Rule,
        NetworkItemKind::Address,
        NetworkItemKind::Neighbour,
        NetworkItemKind::NextHop,
        NetworkItemKind::Route,
    ];

    /// `RTM_NEW...` of `include/uapi/linux/rtnetlink.h`.
    pub fn new_message(self) -> u16 {
        match self {
            NetworkItemKind::Rule => 32,
            NetworkItemKind::Address => 20,
            NetworkItemKind::Neighbour => 28,
            NetworkItemKind::NextHop => 104,
            NetworkItemKind::Route => 24,
        }
    }

    /// `RTM_GET...`, which is always two more.
    pub(super) fn get_message(self) -> u16 {
        self.new_message().saturating_add(2)
    }

    /// The length of the structure in front of the attributes: `fib_rule_hdr`,
    /// `ifaddrmsg`, `ndmsg`, `nhmsg`, `rtmsg`.
    pub fn header(self) -> usize {
        match self {
            NetworkItemKind::Address | NetworkItemKind::NextHop => 8,
            NetworkItemKind::Rule | NetworkItemKind::Neighbour | NetworkItemKind::Route => 12,
        }
    }

    /// What several of them are called in a message.
    pub(super) fn plural(self) -> &'static str {
        match self {
            NetworkItemKind::Rule => "rules",
            NetworkItemKind::Address => "addresses",
            NetworkItemKind::Neighbour => "neighbours",
            NetworkItemKind::NextHop => "next hops",
            NetworkItemKind::Route => "routes",
        }
    }

    /// What one of them is called in a message.
    pub(super) fn singular(self) -> &'static str {
        match self {
            NetworkItemKind::Rule => "rule",
            NetworkItemKind::Address => "address",
            NetworkItemKind::Neighbour => "neighbour",
            NetworkItemKind::NextHop => "next hop",
            NetworkItemKind::Route => "route",
        }
    }

    /// The address families that are asked for; `AF_UNSPEC` where one dump has all.
    pub fn families(self) -> &'static [u8] {
        match self {
            NetworkItemKind::NextHop => &[0],
            _ => &[INET, INET6],
        }
    }
}

/// `AF_INET` and `AF_INET6`.
pub(super) const INET: u8 = 2;
pub(super) const INET6: u8 = 10;

/// `RT_TABLE_LOCAL`: what is in it comes and goes with addresses.
const LOCAL_TABLE: u8 = 255;

/// `NUD_PERMANENT` of `include/uapi/linux/neighbour.h`.
const PERMANENT: u16 = 0x80;

/// `FIB_RULE_INVERT` of `include/uapi/linux/fib_rules.h`: the other flags are
/// states.
const RULE_FLAGS: u32 = 0x2;

/// `RTNH_F_PERVASIVE` and `RTNH_F_ONLINK`: the others are states, and the kernel
/// refuses them.
const HOP_FLAGS: u8 = 0x2 | 0x4;

/// Attributes (`include/uapi/linux/`: rtnetlink.h, if_addr.h, neighbour.h,
/// nexthop.h).
pub(super) mod attribute {
    pub const RTA_DST: u16 = 1;
    pub const RTA_OIF: u16 = 4;
    pub const RTA_GATEWAY: u16 = 5;
    pub const RTA_MULTIPATH: u16 = 9;
    pub const RTA_CACHEINFO: u16 = 12;
    pub const RTA_TABLE: u16 = 15;
    pub const RTA_VIA: u16 = 18;
    pub const RTA_ENCAP_TYPE: u16 = 21;
    pub const RTA_ENCAP: u16 = 22;
    pub const RTA_EXPIRES: u16 = 23;
    pub const RTA_NH_ID: u16 = 30;
    pub const IFA_ADDRESS: u16 = 1;
    pub const IFA_LOCAL: u16 = 2;
    pub const NDA_DST: u16 = 1;
    pub const NDA_LLADDR: u16 = 2;
    pub const NHA_ID: u16 = 1;
    /// The last attribute of a next hop that describes and does not count.
    pub const NHA_ENCAP: u16 = 8;
    pub const FRA_TABLE: u16 = 15;
    pub const FRA_PRIORITY: u16 = 6;
}
use attribute::*;

/// The kernel's clock in user space: ticks in a second (`USER_HZ`).
const USER_HZ: u32 = 100;

/// One rule, address, neighbour, next hop or route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkItem {
    /// Which of these it is.
    pub kind: NetworkItemKind,
    /// As the kernel wrote it, without the header.
    payload: Vec<u8>,
}

/// An attribute: its type without flags, and its value.
#[derive(Debug, Clone, Copy)]
struct Attribute<'a> {
    kind: u16,
    value: &'a [u8],
}

impl NetworkItem {
    /// What the kernel wrote, if it is a thing that is put back: not what comes
    /// and goes with something else (the table `local`, neighbours that were found
    /// by asking), and not what is shorter than its structure.
    pub fn new(kind: NetworkItemKind, message: RouteMessage) -> Option<NetworkItem> {
        if message.kind != kind.new_message() || message.payload.len() < kind.header() {
            return None;
        }
        let item = NetworkItem {
            kind,
            payload: message.payload,
        };
        let wanted = match kind {
            NetworkItemKind::Route => item.byte(4) != LOCAL_TABLE,
            NetworkItemKind::Neighbour => item.half(8) & PERMANENT != 0,
            NetworkItemKind::Rule | NetworkItemKind::Address | NetworkItemKind::NextHop => true,
        };
        wanted.then_some(item)
    }

    /// Whether it belongs to IPv6: every structure begins with the family.
    pub(super) fn is_ipv6(&self) -> bool {
        self.byte(0) == INET6
    }

    /// What stays the same as long as it is the same thing.
    pub fn identity(&self) -> Vec<u8> {
        let keep: &[u16] = match self.kind {
            // The number, and nothing else.
            NetworkItemKind::NextHop => {
                return [&[0xff], self.value(NHA_ID).unwrap_or_default()].concat();
            }
            NetworkItemKind::Address => &[IFA_ADDRESS, IFA_LOCAL],
            NetworkItemKind::Neighbour => &[NDA_DST],
            NetworkItemKind::Route | NetworkItemKind::Rule => &[],
        };
        let mut header = self.header().to_vec();
        match self.kind {
            // The flags and the scope follow from the address's state.
            NetworkItemKind::Address => clear(&mut header, 2..4),
            // State and flags.
            NetworkItemKind::Neighbour => clear(&mut header, 8..12),
            NetworkItemKind::Rule => mask(&mut header, RULE_FLAGS),
            NetworkItemKind::Route => mask(&mut header, HOP_FLAGS.into()),
            NetworkItemKind::NextHop => {}
        }
        let mut parts: Vec<Vec<u8>> = self
            .attributes()
            .filter(|a| match self.kind {
                NetworkItemKind::Route => !matches!(a.kind, RTA_CACHEINFO | RTA_EXPIRES),
                _ => keep.is_empty() || keep.contains(&a.kind),
            })
            .map(|a| encoded(a.kind, &self.stated(a)))
            .collect();
        parts.sort();
        std::iter::once(header).chain(parts).flatten().collect()
    }

    /// The message that asks for it again.
    pub fn request(&self) -> RouteMessage {
        let mut payload = self.header().to_vec();
        match self.kind {
            NetworkItemKind::Rule => mask(&mut payload, RULE_FLAGS),
            NetworkItemKind::Route => mask(&mut payload, HOP_FLAGS.into()),
            NetworkItemKind::NextHop => {
                // nhmsg: the scope is found by the kernel.
                clear(&mut payload, 1..2);
                mask(&mut payload, HOP_FLAGS.into());
            }
            NetworkItemKind::Neighbour => put(&mut payload, 8, &PERMANENT.to_ne_bytes()),
            NetworkItemKind::Address => {}
        }
        let by_number = self.kind == NetworkItemKind::Route && self.value(RTA_NH_ID).is_some();
        for a in self.attributes() {
            let left_out = match self.kind {
                NetworkItemKind::Route => match a.kind {
                    RTA_CACHEINFO => true,
                    // A route names its next hop by number, or describes it.
                    RTA_OIF | RTA_GATEWAY | RTA_MULTIPATH | RTA_VIA | RTA_ENCAP
                    | RTA_ENCAP_TYPE => by_number,
                    _ => false,
                },
                NetworkItemKind::Neighbour => !matches!(a.kind, NDA_DST | NDA_LLADDR),
                NetworkItemKind::NextHop => a.kind > NHA_ENCAP,
                NetworkItemKind::Rule | NetworkItemKind::Address => false,
            };
            if !left_out {
                payload.extend(encoded(a.kind, &self.stated(a)));
            }
        }
        if let Some(seconds) = self.expires() {
            payload.extend(encoded(RTA_EXPIRES, &seconds.to_ne_bytes()));
        }
        RouteMessage {
            kind: self.kind.new_message(),
            payload,
        }
    }

    /// After how many seconds a route goes by itself (a router has told it).
    fn expires(&self) -> Option<u32> {
        if self.kind != NetworkItemKind::Route {
            return None;
        }
        // struct rta_cacheinfo: rta_expires is the third field, in ticks.
        let ticks = self.value(RTA_CACHEINFO)?.get(8..12)?.first_chunk::<4>()?;
        let ticks = u32::try_from(i32::from_ne_bytes(*ticks)).ok()?;
        let seconds = ticks.checked_div(USER_HZ)?;
        (seconds > 0).then_some(seconds)
    }

    /// An attribute as the kernel takes it: without the states of next hops.
    fn stated(&self, attribute: Attribute<'_>) -> Vec<u8> {
        let mut value = attribute.value.to_vec();
        if self.kind != NetworkItemKind::Route || attribute.kind != RTA_MULTIPATH {
            return value;
        }
        // struct rtnexthop: u16 length, u8 flags, u8 hops, s32 interface; then
        // attributes.
        let mut at = 0_usize;
        while let Some(length) = half_at(&value, at).map(usize::from) {
            let Some(flags) = at.checked_add(2).and_then(|i| value.get_mut(i)) else {
                break;
            };
            *flags &= HOP_FLAGS;
            let next = length
                .checked_next_multiple_of(4)
                .map(|n| at.checked_add(n));
            match next.flatten() {
                Some(next) if length >= 8 => at = next,
                _ => break,
            }
        }
        value
    }

    /// The structure in front.
    fn header(&self) -> &[u8] {
        self.payload.get(..self.kind.header()).unwrap_or_default()
    }

    fn attributes(&self) -> Attributes<'_> {
        Attributes {
            rest: self.payload.get(self.kind.header()..).unwrap_or_default(),
        }
    }

    /// The value of the first attribute of this type.
    pub(super) fn value(&self, kind: u16) -> Option<&[u8]> {
        attribute_of(self.payload.get(self.kind.header()..)?, kind)
    }

    /// The same as a number of 32 bits.
    pub(super) fn number(&self, kind: u16) -> Option<u32> {
        let value = self.value(kind)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*value))
    }

    /// A byte of the structure in front.
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.payload.get(at).copied().unwrap_or_default()
    }

    /// Two bytes of it.
    fn half(&self, at: usize) -> u16 {
        half_at(&self.payload, at).unwrap_or_default()
    }

    /// Four bytes of it.
    pub(super) fn word(&self, at: usize) -> u32 {
        let four = self.payload.get(at..).and_then(|b| b.first_chunk::<4>());
        four.map_or(0, |four| u32::from_ne_bytes(*four))
    }
}

/// Attributes up to the first that is not whole (`struct rtattr`: u16 length with
/// itself, u16 type whose two highest bits are flags; then padding to four bytes).
struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let length = usize::from(half_at(self.rest, 0)?);
        let kind = half_at(self.rest, 2)? & 0x3fff;
        let value = self.rest.get(4..length)?;
        let next = length.checked_next_multiple_of(4)?;
        self.rest = self.rest.get(next..).unwrap_or_default();
        Some(Attribute { kind, value })
    }
}

/// The value of the first attribute of a type among the attributes of a message.
pub(super) fn attribute_of(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut attributes = Attributes { rest: attributes };
    attributes.find(|a| a.kind == kind).map(|a| a.value)
}

fn half_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_ne_bytes(*two))
}

/// An attribute with its padding.
fn encoded(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len().saturating_add(4)).unwrap_or(u16::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    let places = bytes.iter_mut().skip(at);
    for (place, byte) in places.zip(value) {
        *place = *byte;
    }
}

fn clear(bytes: &mut [u8], range: std::ops::Range<usize>) {
    if let Some(part) = bytes.get_mut(range) {
        part.fill(0);
    }
}

/// The last four bytes of a structure are its flags, where it has some.
fn mask(header: &mut [u8], kept: u32) {
    if let Some(flags) = header.last_chunk_mut::<4>() {
        *flags = (u32::from_ne_bytes(*flags) & kept).to_ne_bytes();
    }
}
