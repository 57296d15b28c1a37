//! The network as it was before a jump that fails: interfaces that go down lose
//! routes, IPv6 addresses and more, which come not back when they go up.
//!
//! Everything is asked of the kernel by rtnetlink(7), so that no file is needed.

mod item;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use kexec_sys::{Errno, Kernel, RouteMessage};

pub use item::{Item, Kind};

/// `RTM_GETLINK`, and the length of `struct ifinfomsg`.
const GET_LINK: u16 = 18;
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

/// The loopback, which stays up.
pub(super) const LOOPBACK: &str = "lo";

/// What the network was like.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Names of the interfaces by their index.
    names: BTreeMap<u32, String>,
    /// Those that were up, in the kernel's order.
    up: Vec<String>,
    /// Everything that is put back.
    items: Vec<Item>,
}

/// A part that could not be read: what, and why.
type Unread = (&'static str, Errno);

/// Asks for everything that could be lost. What cannot be read is said to `say`.
pub fn save(kernel: &dyn Kernel, say: &mut dyn FnMut(String)) -> Network {
    let mut network = Network::default();
    match links(kernel) {
        Ok((names, up)) => (network.names, network.up) = (names, up),
        Err(e) => {
            // Nothing of the kind will answer.
            unsaved(say, ("anything", e));
            return network;
        }
    }
    let (items, unread) = items(kernel);
    network.items = items;
    for one in unread {
        unsaved(say, one);
    }
    network
}

fn unsaved(say: &mut dyn FnMut(String), (what, errno): Unread) {
    say(format!(
        "cannot read {what} of the network: {errno}; should the jump fail, they will not be put back"
    ));
}

/// Names by index, and which are up.
fn links(kernel: &dyn Kernel) -> Result<(BTreeMap<u32, String>, Vec<String>), Errno> {
    let mut names = BTreeMap::new();
    let mut up = Vec::new();
    for message in kernel.route_dump(GET_LINK, LINK_HEADER, 0)? {
        if let Some((index, name, flags)) = link(&message) {
            if flags & IFF_UP != 0 && name != LOOPBACK {
                up.push(name.clone());
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
fn items(kernel: &dyn Kernel) -> (Vec<Item>, Vec<Unread>) {
    let mut items = Vec::new();
    let mut unread = Vec::new();
    for kind in Kind::ALL {
        for family in kind.families() {
            match kernel.route_dump(kind.get_message(), kind.header(), *family) {
                Ok(messages) => {
                    let known = messages.into_iter().filter_map(|m| Item::new(kind, m));
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

/// Puts everything back that is not as it was. `taken_down` are interfaces that
/// went down, for when it is not known which were up. What does not come back is
/// said to `say`, each by its name.
pub fn restore(
    kernel: &dyn Kernel,
    before: &Network,
    taken_down: &[String],
    say: &mut dyn FnMut(String),
) {
    let mut down: Vec<&String> = before.up.iter().collect();
    down.extend(taken_down.iter().filter(|name| !before.up.contains(name)));
    let missing = bring_up(kernel, &down);
    for (name, errno) in missing {
        say(format!(
            "cannot bring network interface {name} up again: {errno}; it was up before"
        ));
    }
    put_back(kernel, before);
    let (now, _) = items(kernel);
    let now: HashSet<Vec<u8>> = now.iter().map(Item::identity).collect();
    for item in &before.items {
        if !now.contains(&item.identity()) {
            say(format!(
                "lost, and not to be put back: {}",
                item.told(&before.names)
            ));
        }
    }
}

/// An interface may need another one that is still down (a VLAN's): as long as one
/// comes up, the others are tried again.
fn bring_up<'a>(kernel: &dyn Kernel, names: &[&'a String]) -> Vec<(&'a String, Errno)> {
    let mut waiting: Vec<&String> = names.to_vec();
    loop {
        let tried = waiting
            .iter()
            .map(|name| (*name, kernel.set_interface(name, true)));
        let failed: Vec<(&String, Errno)> = tried
            .filter_map(|(name, result)| result.err().map(|errno| (name, errno)))
            .collect();
        if failed.is_empty() || failed.len() == waiting.len() {
            return failed;
        }
        waiting = failed.into_iter().map(|(name, _)| name).collect();
    }
}

/// Asks for what is missing, until all of it was taken or has been tried often.
fn put_back(kernel: &dyn Kernel, before: &Network) {
    let (now, _) = items(kernel);
    let now: HashSet<Vec<u8>> = now.iter().map(Item::identity).collect();
    let missing = before.items.iter().filter(|i| !now.contains(&i.identity()));
    let mut missing: Vec<&Item> = missing.collect();
    // The kernel puts the newest IPv6 address in front, and prefers what is there.
    let is_address = |item: &&Item| item.kind == Kind::Address && item.is_ipv6();
    let first = missing.iter().position(is_address).unwrap_or_default();
    let many = missing.iter().filter(|i| is_address(i)).count();
    if let Some(addresses) = missing.get_mut(first..first.saturating_add(many)) {
        addresses.reverse();
    }
    let requests = missing.iter().map(|item| (item.request(), flags(item)));
    let mut missing: Vec<(RouteMessage, u16)> = requests.collect();
    for turn in 0..TRIES {
        if turn > 0 {
            std::thread::sleep(PAUSE);
        }
        missing.retain(|(message, flags)| {
            !matches!(
                kernel.route_request(message, *flags),
                Ok(()) | Err(Errno::EEXIST)
            )
        });
        if missing.is_empty() {
            break;
        }
    }
}

/// Routes of IPv4 to one place keep their order when each goes behind the others.
fn flags(item: &Item) -> u16 {
    match item.kind {
        Kind::Route if item.is_ipv6() => CREATE,
        Kind::Route => CREATE | APPEND,
        Kind::Rule => CREATE | EXCLUSIVE,
        Kind::Address | Kind::Neighbour | Kind::NextHop => CREATE | REPLACE,
    }
}
