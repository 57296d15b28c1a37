//! The network as it was before a jump that fails: interfaces that go down lose
//! routes, IPv6 addresses and more, which come not back when they go up.
//!
//! Everything is asked of the kernel by rtnetlink(7), so that no file is needed.

mod item;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use kexec_sys::{Errno, Kernel, RouteMessage};

pub use item::{NetworkItem, NetworkItemKind};

/// `RTM_GETLINK` and `RTM_SETLINK`, and the length of `struct ifinfomsg`.
const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;
const LINK_HEADER: usize = 16;

/// `IFLA_IFNAME` of `include/uapi/linux/if_link.h`; `IFF_UP` of netdevice(7).
const IFLA_IFNAME: u16 = 3;
const IFF_UP: u32 = 1;

/// `NLM_F_REPLACE`, `NLM_F_EXCL`, `NLM_F_CREATE`, `NLM_F_APPEND` of
/// `include/uapi/linux/netlink.h`.
const REPLACE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

/// How often what does not come back at once is asked for again, and how long
/// apart: an IPv6 address is checked for a second before routes may use it.
const TRIES: u32 = 25;
const PAUSE: Duration = Duration::from_millis(100);

/// How long reading the network may take, and how long putting it back: whoever waits
/// for the jump, or for its failure, is not kept for longer. 100,000 routes take about
/// a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of that, what is kept for a last look at what there is.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// So much that is lost is said by its name; of more, how many of each kind.
const NAMED: usize = 20;

/// The loopback, which stays up.
pub(super) const LOOPBACK: &str = "lo";

/// What the network was like.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Names of the interfaces by their index.
    names: BTreeMap<u32, String>,
    /// Those that were up, by their index, in the kernel's order. A name may be another
    /// one's by the time that they are to come up.
    up: Vec<u32>,
    /// Everything that is put back.
    items: Vec<NetworkItem>,
}

/// Until when something may take.
#[derive(Debug, Clone, Copy)]
struct Until(Instant);

impl Until {
    fn after(within: Duration) -> Until {
        let now = Instant::now();
        Until(now.checked_add(within).unwrap_or(now))
    }

    fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// A part that could not be read: what, and why.
type Unread = (&'static str, Errno);

/// Asks for everything that could be lost. What cannot be read is said to `say`.
pub fn save(kernel: &dyn Kernel, say: &mut dyn FnMut(String)) -> Network {
    let mut network = Network::default();
    let until = Until::after(PATIENCE);
    match links(kernel, until) {
        Ok((names, up)) => (network.names, network.up) = (names, up),
        Err(e) => {
            // Nothing of the kind will answer.
            unsaved(say, ("anything", e));
            return network;
        }
    }
    let (items, unread) = items(kernel, until);
    network.items = items;
    for one in unread {
        unsaved(say, one);
    }
    network
}

fn unsaved(say: &mut dyn FnMut(String), (what, errno): Unread) {
    say(format!(
        "cannot read {what} of the network: {errno}; if the jump fails, they will not be restored"
    ));
}

/// Names by index, and which are up.
fn links(kernel: &dyn Kernel, until: Until) -> Result<(BTreeMap<u32, String>, Vec<u32>), Errno> {
    let mut names = BTreeMap::new();
    let mut up = Vec::new();
    for message in kernel.route_dump(GET_LINK, LINK_HEADER, 0, until.left())? {
        if let Some((index, name, flags)) = link(&message) {
            if flags & IFF_UP != 0 && name != LOOPBACK {
                up.push(index);
            }
            names.insert(index, name);
        }
    }
    Ok((names, up))
}

/// Index, name and flags (`struct ifinfomsg`: index at 4, flags at 8).
fn link(message: &RouteMessage) -> Option<(u32, String, u32)> {
    let word = |at: usize| {
        let four = message.payload.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*four))
    };
    let name = item::attribute_of(message.payload.get(LINK_HEADER..)?, IFLA_IFNAME)?;
    let name = name.strip_suffix(&[0]).unwrap_or(name);
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some((word(4)?, name, word(8)?))
}

/// Everything that there is, and what could not be read of it.
fn items(kernel: &dyn Kernel, until: Until) -> (Vec<NetworkItem>, Vec<Unread>) {
    let mut items = Vec::new();
    let mut unread = Vec::new();
    for kind in NetworkItemKind::ALL {
        for family in kind.families() {
            let (request, header) = (kind.get_message(), kind.header());
            match kernel.route_dump(request, header, *family, until.left()) {
                Ok(messages) => {
                    let known = messages
                        .into_iter()
                        .filter_map(|m| NetworkItem::new(kind, m));
                    items.extend(known);
                }
                // A kernel without IPv6, or older than next hops, has none of it.
                Err(Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT) => {}
                Err(e) => unread.push((kind.plural(), e)),
            }
        }
    }
    (items, unread)
}

/// Puts everything back that is not as it was, for as long as [`PATIENCE`] lasts.
/// `taken_down` are interfaces that went down, for when it is not known which were up.
/// What does not come back is said to `say`: each by its name, or of many how many of
/// each kind.
pub fn restore(
    kernel: &dyn Kernel,
    before: &Network,
    taken_down: &[String],
    say: &mut dyn FnMut(String),
) {
    restore_within(kernel, before, taken_down, PATIENCE, say);
}

fn restore_within(
    kernel: &dyn Kernel,
    before: &Network,
    taken_down: &[String],
    patience: Duration,
    say: &mut dyn FnMut(String),
) {
    let end = Until::after(patience);
    let until = Until::after(patience.saturating_sub(LAST_LOOK.min(patience / 4)));
    // One that came up between the look and the end is up as well.
    let mut up = before.up.clone();
    let mut unknown = Vec::new();
    for name in taken_down {
        match before.index(name) {
            Some(index) if !up.contains(&index) => up.push(index),
            Some(_) => {}
            None => unknown.push(name),
        }
    }
    let failed = bring_up(kernel, &up, until).into_iter();
    let failed = failed.map(|(index, errno)| (before.name(index), errno));
    for (name, errno) in failed.chain(bring_up_by_name(kernel, &unknown)) {
        say(format!(
            "cannot bring network interface {name} up again: {errno}; it was up before"
        ));
    }
    let not_taken = put_back(kernel, before, until);
    let late = until.left().is_zero();
    let (now, unread) = items(kernel, end);
    let now: HashSet<Vec<u8>> = now.iter().map(NetworkItem::identity).collect();
    let lost: Vec<&NetworkItem> = if unread.is_empty() {
        let all = before.items.iter();
        all.filter(|item| !now.contains(&item.identity())).collect()
    } else {
        // What there is now cannot be read: what was not taken is not there.
        not_taken
    };
    tell(before, &lost, late, patience, say);
}

/// Says what is lost.
fn tell(
    before: &Network,
    lost: &[&NetworkItem],
    late: bool,
    patience: Duration,
    say: &mut dyn FnMut(String),
) {
    if lost.len() <= NAMED {
        for item in lost {
            say(format!(
                "lost, and cannot be restored: {}",
                item.told(&before.names)
            ));
        }
        return;
    }
    let of = |kind: NetworkItemKind| lost.iter().filter(move |item| item.kind == kind).count();
    let counts = NetworkItemKind::ALL
        .iter()
        .filter_map(|kind| match of(*kind) {
            0 => None,
            1 => Some(format!("1 {}", kind.singular())),
            count => Some(format!("{count} {}", kind.plural())),
        });
    let counts: Vec<String> = counts.collect();
    let why = match late {
        true => format!(" within {} s", patience.as_secs_f32()),
        false => String::new(),
    };
    say(format!(
        "lost, and not restored{why}: {}; restart what configures the network, such as \
         systemd-networkd, NetworkManager or a routing daemon",
        counts.join(", ")
    ));
}

impl Network {
    fn index(&self, name: &str) -> Option<u32> {
        let mut all = self.names.iter();
        all.find(|(_, known)| *known == name)
            .map(|(index, _)| *index)
    }

    fn name(&self, index: u32) -> String {
        let known = self.names.get(&index).cloned();
        known.unwrap_or_else(|| format!("with the index {index}"))
    }
}

/// An interface may need another one that is still down (a VLAN's): as long as one
/// comes up, the others are tried again. Returns those that stay down.
fn bring_up(kernel: &dyn Kernel, up: &[u32], until: Until) -> Vec<(u32, Errno)> {
    let mut waiting = up.to_vec();
    loop {
        let requests: Vec<_> = waiting.iter().map(|index| (link_up(*index), 0)).collect();
        let answers = kernel.route_requests(&requests, until.left());
        let failed = waiting.iter().zip(answers);
        let failed: Vec<(u32, Errno)> = failed
            .filter_map(|(index, answer)| answer.err().map(|errno| (*index, errno)))
            .collect();
        if failed.is_empty() || failed.len() == waiting.len() || until.left().is_zero() {
            return failed;
        }
        waiting = failed.into_iter().map(|(index, _)| index).collect();
    }
}

/// The request that brings an interface up (`struct ifinfomsg`: index at 4, flags at 8,
/// which of them change at 12).
fn link_up(index: u32) -> RouteMessage {
    let parts = [0, index, IFF_UP, IFF_UP].map(u32::to_ne_bytes);
    RouteMessage {
        kind: SET_LINK,
        payload: parts.concat(),
    }
}

/// Interfaces of which only the name is known.
fn bring_up_by_name(kernel: &dyn Kernel, names: &[&String]) -> Vec<(String, Errno)> {
    let tried = names.iter();
    let tried = tried.map(|name| ((*name).clone(), kernel.set_interface(name, true)));
    tried
        .filter_map(|(name, result)| result.err().map(|errno| (name, errno)))
        .collect()
}

/// Asks for what is missing, until all of it was taken, has been tried often, or time is
/// over. Returns what was not taken.
fn put_back<'a>(kernel: &dyn Kernel, before: &'a Network, until: Until) -> Vec<&'a NetworkItem> {
    let (now, _) = items(kernel, until);
    let now: HashSet<Vec<u8>> = now.iter().map(NetworkItem::identity).collect();
    let missing = before.items.iter().filter(|i| !now.contains(&i.identity()));
    let mut missing: Vec<&NetworkItem> = missing.collect();
    // The kernel puts the newest IPv6 address in front, and prefers what is there.
    let is_address = |item: &&NetworkItem| item.kind == NetworkItemKind::Address && item.is_ipv6();
    let first = missing.iter().position(is_address).unwrap_or_default();
    let many = missing.iter().filter(|i| is_address(i)).count();
    if let Some(addresses) = missing.get_mut(first..first.saturating_add(many)) {
        addresses.reverse();
    }
    for turn in 0..TRIES {
        if missing.is_empty() {
            break;
        }
        if turn > 0 {
            std::thread::sleep(PAUSE.min(until.left()));
        }
        if until.left().is_zero() {
            break;
        }
        let requests: Vec<_> = missing.iter().map(|i| (i.request(), flags(i))).collect();
        let answers = kernel.route_requests(&requests, until.left());
        let answered = missing.into_iter().zip(answers);
        missing = answered
            .filter(|(_, answer)| !matches!(answer, Ok(()) | Err(Errno::EEXIST)))
            .map(|(item, _)| item)
            .collect();
    }
    missing
}

/// Routes of IPv4 to one place keep their order when each goes behind the others.
fn flags(item: &NetworkItem) -> u16 {
    match item.kind {
        NetworkItemKind::Route if item.is_ipv6() => CREATE,
        NetworkItemKind::Route => CREATE | APPEND,
        NetworkItemKind::Rule => CREATE | EXCLUSIVE,
        NetworkItemKind::Address | NetworkItemKind::Neighbour | NetworkItemKind::NextHop => {
            CREATE | REPLACE
        }
    }
}
