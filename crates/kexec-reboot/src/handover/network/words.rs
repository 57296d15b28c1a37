//! A thing of the network in the words of ip(8).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::item::attribute::*;
use super::item::{NetworkItem, NetworkItemKind};

impl NetworkItem {
    /// `address 192.0.2.1/24 on eth0`, `IPv4 route default via 192.0.2.254 dev eth0`;
    /// `names` are those of the interfaces, by their index.
    pub fn told(&self, names: &BTreeMap<u32, String>) -> String {
        told(self, names)
    }
}

fn told(item: &NetworkItem, names: &BTreeMap<u32, String>) -> String {
    let name = |index: u32| {
        let known = names.get(&index).cloned();
        known.unwrap_or_else(|| format!("interface {index}"))
    };
    match item.kind {
        NetworkItemKind::Address => {
            let value = item.value(IFA_LOCAL).or_else(|| item.value(IFA_ADDRESS));
            format!(
                "address {}/{} on {}",
                address(value),
                item.byte(1),
                name(item.word(4))
            )
        }
        NetworkItemKind::Neighbour => format!(
            "neighbour {} on {}",
            address(item.value(NDA_DST)),
            name(item.word(4))
        ),
        NetworkItemKind::NextHop => format!("next hop {}", item.number(NHA_ID).unwrap_or_default()),
        NetworkItemKind::Rule => format!(
            "IPv{} rule {}, table {}",
            if item.is_ipv6() { 6 } else { 4 },
            item.number(FRA_PRIORITY).unwrap_or_default(),
            table(item, FRA_TABLE)
        ),
        NetworkItemKind::Route => route(item, &name),
    }
}

fn route(item: &NetworkItem, name: &dyn Fn(u32) -> String) -> String {
    let version = if item.is_ipv6() { 6 } else { 4 };
    let mut text = format!("IPv{version} route ");
    match item.value(RTA_DST) {
        None => text.push_str("default"),
        dst => text.push_str(&format!("{}/{}", address(dst), item.byte(1))),
    }
    if let Some(gateway) = item.value(RTA_GATEWAY) {
        text.push_str(&format!(" via {}", address(Some(gateway))));
    }
    if let Some(index) = item.number(RTA_OIF) {
        text.push_str(&format!(" dev {}", name(index)));
    }
    match table(item, RTA_TABLE) {
        MAIN_TABLE => {}
        table => text.push_str(&format!(" table {table}")),
    }
    text
}

/// `RT_TABLE_MAIN`.
const MAIN_TABLE: u32 = 254;

/// A table's number; the structure has room for small ones only.
fn table(item: &NetworkItem, attribute: u16) -> u32 {
    let short = || u32::from(item.byte(4));
    item.number(attribute).unwrap_or_else(short)
}

fn address(value: Option<&[u8]>) -> String {
    let value = value.unwrap_or_default();
    let known = match value.len() {
        4 => value
            .first_chunk()
            .map(|b: &[u8; 4]| IpAddr::from(Ipv4Addr::from(*b))),
        16 => value
            .first_chunk()
            .map(|b: &[u8; 16]| IpAddr::from(Ipv6Addr::from(*b))),
        _ => None,
    };
    known.map_or_else(|| "?".to_owned(), |known| known.to_string())
}
