//! A jump that fails, with the real kernel's network in a namespace of its own:
//! everything that a failing jump could cost is there again.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;
use std::time::{Duration, Instant};

use kexec_reboot::handover;
use kexec_reboot::handover::JumpOptions;
use kexec_sys::double::{Asked, Between};
use kexec_sys::{Errno, Linux};

/// The machine stays where it is: only what concerns the network is asked of the
/// running kernel.
fn stays(asked: Asked) -> Result<(), Errno> {
    match asked {
        Asked::Reboot => {
            // The interfaces are down, and everything on them is gone.
            assert_eq!(ip("route show table main"), "");
            assert_eq!(ip("-6 route show table main"), "");
            Err(Errno::EINVAL)
        }
        Asked::Interfaces
        | Asked::SetInterface
        | Asked::RouteDump
        | Asked::RouteRequests
        | Asked::HoldSignals => Ok(()),
        _ => Err(Errno::ENOSYS),
    }
}

/// Set for the process that is in the namespace.
const INSIDE: &str = "KEXEC_TEST_INSIDE";

fn ip(words: &str) -> String {
    let done = Command::new("ip").args(words.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {words}: {said}");
    String::from_utf8(done.stdout).unwrap()
}

const NETWORK: &[&str] = &[
    "link set lo up",
    "link add eth0 type veth peer name far0",
    "link set far0 up",
    "link set eth0 up",
    "addr add 192.0.2.1/24 dev eth0",
    "addr add 192.0.2.2/32 dev eth0 label eth0:x",
    "-6 addr add 2001:db8::1/64 dev eth0",
    "-6 addr add 2001:db8::2/64 dev eth0 noprefixroute valid_lft 3600 preferred_lft 1800",
    "neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev eth0",
    "-6 neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev eth0",
    "nexthop add id 9 via 192.0.2.254 dev eth0",
    "nexthop add id 10 via 192.0.2.253 dev eth0",
    "nexthop add id 11 group 9/10",
    "route add 203.0.113.0/24 nhid 9",
    "route add 203.0.114.0/24 nhid 11",
    "route add default via 192.0.2.254 src 192.0.2.2 mtu 1400",
    "route add 10.0.0.0/8 nexthop via 192.0.2.2 nexthop via 192.0.2.3 weight 5",
    "route add 172.16.0.0/12 via 192.0.2.254 table 1000",
    "route append 172.16.0.0/12 via 192.0.2.253 table 1000",
    "route append 172.16.0.0/12 via 192.0.2.252 table 1000",
    "route add 100.64.0.0/10 via 100.64.0.1 dev eth0 onlink",
    "rule add from 192.0.2.1 table 1000",
    "rule add not iif eth0 fwmark 7 table 1000",
    "-6 rule add to 2001:db8::/32 table 100",
    "-6 route add 2001:db8:1::/48 via 2001:db8::fe",
    "-6 route add 2001:db8:3::/48 via fe80::1 dev eth0 table 100 metric 5",
    "-6 route add 2001:db8:5::/48 nexthop via 2001:db8::2:2 nexthop via 2001:db8::3:3",
];

/// With a preferred address that is checked first, as every address is.
const LATER: &[&str] = &["-6 route add default via 2001:db8::fe src 2001:db8::1"];

fn network() -> String {
    let parts = [
        "-o link show up",
        "-o addr",
        "route show table main",
        "route show table 1000",
        "-6 route show table main",
        "-6 route show table 100",
        "rule",
        "-6 rule",
        "neigh show nud permanent",
        "-6 neigh show nud permanent",
        "nexthop",
    ];
    let all: Vec<String> = parts.iter().map(|words| in_order(ip(words))).collect();
    // Ages go down.
    let all = all.concat();
    let lines = all.lines().map(|line| match line.split_once("valid_lft ") {
        Some((line, age)) if !age.starts_with("forever") => line,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The kernel makes a route for `fe80::/64` of each device when its carrier comes, and
/// the two ends of a veth get theirs in no order. Only among themselves are they sorted.
fn in_order(lines: String) -> String {
    let linked = |line: &&str| line.starts_with("fe80::/64 ");
    let mut routes: Vec<&str> = lines.lines().filter(linked).collect();
    routes.sort_unstable();
    let mut routes = routes.into_iter();
    let sorted = lines.lines().map(|line| match linked(&line) {
        true => routes.next().unwrap_or(line),
        false => line,
    });
    sorted.map(|line| format!("{line}\n")).collect()
}

/// Whether this is the process in the namespace; the other one has run it then.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let inside = Command::new("unshare")
        .arg("--net")
        .arg(program)
        .args(["--ignored", "--exact", "--nocapture", test])
        .env(INSIDE, "1")
        .status();
    assert!(inside.unwrap().success());
    false
}

#[test]
#[ignore = "needs root, unshare(1) and ip(8)"]
fn everything_is_there_again_behind_a_jump_that_fails() {
    if !inside("everything_is_there_again_behind_a_jump_that_fails") {
        return;
    }
    for words in NETWORK {
        ip(words);
    }
    // Until the addresses were checked.
    std::thread::sleep(Duration::from_secs(3));
    for words in LATER {
        ip(words);
    }
    let before = network();
    let how = JumpOptions {
        sync: false,
        interfaces_down: true,
    };
    let mut said = Vec::new();
    let jumped = handover::jump(&Between::new(&Linux, &stays), how, &mut |text| {
        said.push(text)
    });
    assert_eq!(jumped, Err(Errno::EINVAL));
    assert!(said.is_empty(), "{said:#?}");
    std::thread::sleep(Duration::from_secs(3));
    let after = network();
    for (before, after) in before.lines().zip(after.lines()) {
        assert_eq!(before, after);
    }
    assert_eq!(before, after);
}

/// A router's table: all of it is there again within seconds.
#[test]
#[ignore = "needs root, unshare(1) and ip(8)"]
fn a_hundred_thousand_routes_come_back() {
    if !inside("a_hundred_thousand_routes_come_back") {
        return;
    }
    for words in &NETWORK[..6] {
        ip(words);
    }
    let routes = (0..100_000).map(|n: u32| {
        let [_, a, b, c] = (n << 4).to_be_bytes();
        format!("route add 10.{a}.{b}.{c}/28 via 192.0.2.254\n")
    });
    let batch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(batch.path(), routes.collect::<String>()).unwrap();
    ip(&format!("-batch {}", batch.path().display()));
    let count = || ip("route show table main").lines().count();
    let before = count();
    assert!(before > 100_000, "{before}");
    let mut said = Vec::new();
    let how = JumpOptions {
        sync: false,
        interfaces_down: true,
    };
    let started = Instant::now();
    let kernel = Between::new(&Linux, &stays);
    let jumped = handover::jump(&kernel, how, &mut |text| said.push(text));
    let took = started.elapsed();
    assert_eq!(jumped, Err(Errno::EINVAL));
    println!("{before} routes, {took:?}");
    assert!(said.is_empty(), "{said:#?}");
    assert_eq!(count(), before);
    assert!(took < Duration::from_secs(12), "{took:?}");
}
