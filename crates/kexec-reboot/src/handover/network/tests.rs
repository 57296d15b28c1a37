//! A network of a double, and messages that no kernel writes.

use kexec_sys::double::{Asked, Between, Call, Double, Interface, Kept, Machine};

use super::super::{JumpOptions, jump};
use super::*;

/// An attribute with its padding.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).unwrap();
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn message(kind: u16, header: &[u8], attributes: &[(u16, &[u8])]) -> RouteMessage {
    let attributes = attributes.iter().flat_map(|(k, v)| attribute(*k, v));
    RouteMessage {
        kind,
        payload: header.iter().copied().chain(attributes).collect(),
    }
}

fn link_message(index: u32, name: &str, flags: u32) -> RouteMessage {
    let mut header = [0; LINK_HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    let name = [name.as_bytes(), &[0]].concat();
    message(16, &header, &[(IFLA_IFNAME, &name)])
}

/// `default via 192.0.2.254 dev eth0` (interface 2), with these flags.
fn default_route(flags: u32) -> RouteMessage {
    let header = [&[2, 0, 0, 0, 254, 3, 0, 1][..], &flags.to_ne_bytes()].concat();
    let attributes: &[(u16, &[u8])] = &[
        (15, &254u32.to_ne_bytes()),
        (5, &[192, 0, 2, 254]),
        (4, &2u32.to_ne_bytes()),
    ];
    message(24, &header, attributes)
}

/// `2001:db8::1/64` on eth0, tentative or not, with an age.
fn address(flags: u8, age: u32) -> RouteMessage {
    let header = [&[10, 64, flags, 0][..], &2u32.to_ne_bytes()].concat();
    let ip: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
    let age = [age.to_ne_bytes(); 4].concat();
    message(20, &header, &[(1, &ip.octets()), (6, &age)])
}

fn item(kind: NetworkItemKind, message: RouteMessage) -> NetworkItem {
    NetworkItem::new(kind, message).unwrap()
}

fn kept(message: RouteMessage, until: &str) -> Kept {
    Kept {
        message,
        until: Some(until.to_owned()),
        refuses: None,
        there: true,
    }
}

/// eth0 with what goes when it goes down, and a jump that fails.
fn machine() -> Machine {
    let mut lasting = kept(link_message(2, "eth0", IFF_UP), "");
    lasting.until = None;
    Machine {
        interfaces: vec![Interface::up("lo"), Interface::up("eth0")],
        network: vec![
            lasting,
            kept(default_route(0), "eth0"),
            kept(address(0, 7), "eth0"),
        ],
        ..Machine::default()
    }
}

const DOWN: JumpOptions = JumpOptions {
    sync: false,
    interfaces_down: true,
};

#[test]
fn what_went_with_an_interface_is_put_back() {
    let kernel = Double::new(machine());
    let mut said = Vec::new();
    let jumped = jump(&kernel, DOWN, &mut |text| said.push(text));
    assert_eq!(jumped, Err(Errno::EINVAL));
    assert!(said.is_empty(), "{said:?}");
    assert!(kernel.machine().network.iter().all(|k| k.there));
    let calls = kernel.calls();
    let at = |wanted: &dyn Fn(&Call) -> bool| calls.iter().position(wanted).unwrap();
    // Read before, asked for again behind the jump: addresses before routes.
    let saved = at(&|c| matches!(c, Call::RouteDump { request: 26, .. }));
    let down = at(&|c| matches!(c, Call::SetInterface { up: false, .. }));
    let reboot = at(&|c| matches!(c, Call::Reboot { .. }));
    let asked = |kind: u16| {
        at(&|c| matches!(c, Call::RouteRequest { message, .. } if message.kind == kind))
    };
    assert!(saved < down && down < reboot);
    assert!(reboot < asked(20) && asked(20) < asked(24));
}

#[test]
fn what_cannot_be_put_back_is_said_by_its_name() {
    let mut machine = machine();
    for kept in &mut machine.network {
        kept.refuses = Some(Errno::EINVAL);
    }
    let kernel = Double::new(machine);
    let mut said = Vec::new();
    jump(&kernel, DOWN, &mut |text| said.push(text)).unwrap_err();
    assert_eq!(
        said,
        [
            "lost, and cannot be restored: address 2001:db8::1/64 on eth0",
            "lost, and cannot be restored: IPv4 route default via 192.0.2.254 dev eth0",
        ]
    );
}

/// A VLAN goes down with what it is on: it was up before all the same.
#[test]
fn an_interface_that_went_down_with_another_comes_up_too() {
    let mut machine = machine();
    machine.interfaces.push(Interface {
        up: false,
        ..Interface::up("eth0.10")
    });
    let mut vlan = kept(link_message(3, "eth0.10", IFF_UP), "");
    vlan.until = None;
    machine.network.push(vlan);
    let kernel = Double::new(machine);
    jump(&kernel, DOWN, &mut |_| {}).unwrap_err();
    assert!(kernel.machine().interfaces.iter().all(|i| i.up));
}

/// As long as an interface is down, udev may give it another name.
#[test]
fn an_interface_that_was_renamed_meanwhile_comes_up() {
    let double = Double::new(machine());
    let renames = |asked| {
        if asked == Asked::Reboot {
            double.change(|machine| machine.interfaces[1].name = "lan0".to_owned());
        }
        Ok(())
    };
    let mut said = Vec::new();
    let kernel = Between::new(&double, &renames);
    jump(&kernel, DOWN, &mut |text| said.push(text)).unwrap_err();
    assert!(said.is_empty(), "{said:?}");
    assert!(double.machine().interfaces.iter().all(|i| i.up));
}

/// One that comes up between the look and the end, and one that nobody has seen.
#[test]
fn what_was_taken_down_comes_up_whatever_was_seen_before() {
    let mut machine = machine();
    for name in ["eth1", "eth2"] {
        machine.interfaces.push(Interface::up(name));
    }
    let mut down = kept(link_message(3, "eth1", 0), "");
    down.until = None;
    machine.network.push(down);
    let kernel = Double::new(machine);
    jump(&kernel, DOWN, &mut |_| {}).unwrap_err();
    assert!(kernel.machine().interfaces.iter().all(|i| i.up));
}

/// `count` routes that went, each to another place.
fn many(count: u32) -> Network {
    let routes = (0..count).map(|n| {
        let mut route = default_route(0);
        route.payload.extend(attribute(1, &n.to_be_bytes()));
        item(NetworkItemKind::Route, route)
    });
    Network {
        names: [(2, "eth0".to_owned())].into(),
        up: vec![2],
        items: std::iter::once(item(NetworkItemKind::Address, address(0, 7)))
            .chain(routes)
            .collect(),
    }
}

/// A kernel that refuses all of a large table, however often it is asked: that does
/// not take for ever, and not 100,000 lines.
#[test]
fn putting_back_ends_in_time_and_many_are_counted() {
    let kernel = Double::new(Machine::default());
    let patience = Duration::from_millis(400);
    let started = Instant::now();
    let mut said = Vec::new();
    let before = many(3000);
    restore_within(&kernel, &before, &[], patience, &mut |text| said.push(text));
    let took = started.elapsed();
    // All tries alone would take longer than two seconds of pauses.
    assert!(took < Duration::from_millis(1900), "{took:?}");
    let [lost] = said.as_slice() else {
        panic!("{} lines", said.len());
    };
    assert!(lost.contains(": 1 address, 3000 routes; "), "{lost}");
}

/// Nothing answers any more.
#[test]
fn a_silent_kernel_is_told_by_what_it_did_not_take() {
    let double = Double::new(Machine::default());
    let silent = |asked| match asked {
        Asked::RouteRequests | Asked::RouteDump => Err(Errno::ETIMEDOUT),
        _ => Ok(()),
    };
    let kernel = Between::new(&double, &silent);
    let mut said = Vec::new();
    let patience = Duration::from_millis(50);
    restore_within(&kernel, &many(50), &[], patience, &mut |text| {
        said.push(text);
    });
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("interface eth0 up again"), "{said:?}");
    let lost = "lost, and not restored within 0.05 s: 1 address, 50 routes; ";
    assert!(said[1].starts_with(lost), "{said:?}");
}

#[test]
fn a_thing_is_the_same_whatever_its_state_is() {
    let same = |kind, a, b| item(kind, a).identity() == item(kind, b).identity();
    assert!(same(
        NetworkItemKind::Address,
        address(0, 7),
        address(0x40, 9)
    ));
    // RTNH_F_LINKDOWN.
    assert!(same(
        NetworkItemKind::Route,
        default_route(0),
        default_route(16)
    ));
    // RTNH_F_ONLINK is no state.
    assert!(!same(
        NetworkItemKind::Route,
        default_route(0),
        default_route(4)
    ));
    let hop = |scope: u8| message(104, &[2, scope, 0, 0, 0, 0, 0, 0], &[(1, &[9, 0, 0, 0])]);
    assert!(same(NetworkItemKind::NextHop, hop(0), hop(253)));
}

#[test]
fn what_the_kernel_does_not_take_back_is_left_out() {
    // Flags that are states.
    let request = item(NetworkItemKind::Route, default_route(16)).request();
    assert_eq!(request, default_route(0));
    // A route that a router told goes after as many seconds as were left.
    let mut told = default_route(0);
    let mut cache = [0; 32];
    cache[8..12].copy_from_slice(&180_000i32.to_ne_bytes());
    told.payload.extend(attribute(12, &cache));
    let mut expected = default_route(0);
    expected
        .payload
        .extend(attribute(23, &1800u32.to_ne_bytes()));
    assert_eq!(item(NetworkItemKind::Route, told).request(), expected);
    // One of several next hops is down.
    let hops = |flags: u8| {
        let hop = |last: u8| {
            let gateway = attribute(5, &[192, 0, 2, last]);
            [&[16, 0, flags, 0, 2, 0, 0, 0][..], &gateway].concat()
        };
        let both = [hop(1), hop(2)].concat();
        message(24, &[2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0], &[(9, &both)])
    };
    assert_eq!(item(NetworkItemKind::Route, hops(17)).request(), hops(0));
    // A route by the number of its next hop does not describe it.
    let mut numbered = default_route(0);
    numbered.payload.extend(attribute(30, &[9, 0, 0, 0]));
    let request = item(NetworkItemKind::Route, numbered).request();
    let header = &default_route(0).payload[..12];
    let expected: &[(u16, &[u8])] = &[(15, &254u32.to_ne_bytes()), (30, &[9, 0, 0, 0])];
    assert_eq!(request, message(24, header, expected));
}

#[test]
fn what_comes_and_goes_by_itself_is_left_alone() {
    let local = [2, 32, 0, 0, 255, 2, 254, 2, 0, 0, 0, 0];
    assert_eq!(
        NetworkItem::new(NetworkItemKind::Route, message(24, &local, &[])),
        None
    );
    let neighbour = |state: u8| message(28, &[2, 0, 0, 0, 2, 0, 0, 0, state, 0, 0, 0], &[]);
    assert_eq!(
        NetworkItem::new(NetworkItemKind::Neighbour, neighbour(2)),
        None
    );
    assert!(NetworkItem::new(NetworkItemKind::Neighbour, neighbour(0x80)).is_some());
}

/// Lengths that are not true, at every place: no panic, no endless loop.
#[test]
fn broken_messages_are_read_as_far_as_they_go() {
    let names = BTreeMap::new();
    let mut hops = default_route(0);
    hops.payload.extend(attribute(9, &[0; 24]));
    for (kind, whole) in [
        (NetworkItemKind::Address, address(0, 7)),
        (NetworkItemKind::Route, default_route(0)),
        (NetworkItemKind::Route, hops),
    ] {
        for at in 0..whole.payload.len() {
            for byte in [0, 1, 3, 4, 9, 0x7f, 0x80, 0xff] {
                let mut broken = whole.clone();
                broken.payload[at] = byte;
                if let Some(item) = NetworkItem::new(kind, broken) {
                    let _ = (item.identity(), item.request(), item.told(&names));
                }
            }
            let mut cut = whole.clone();
            cut.payload.truncate(at);
            assert!(at >= kind.header() || NetworkItem::new(kind, cut).is_none());
            let mut link = link_message(2, "eth0", 1);
            link.payload.truncate(at);
            let _ = super::link(&link);
        }
    }
    // Not what was asked for.
    assert_eq!(
        NetworkItem::new(NetworkItemKind::Rule, default_route(0)),
        None
    );
}
