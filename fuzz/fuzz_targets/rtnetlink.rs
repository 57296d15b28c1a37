//! What the kernel says of its network: a byte that chooses the kind, and a stream
//! of messages as rtnetlink(7) writes them.
#![no_main]

use std::collections::BTreeMap;

use kexec_reboot::handover::network::{NetworkItem, NetworkItemKind};
use kexec_sys::{RouteMessage, netlink};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, stream)) = bytes.split_first() else {
        return;
    };
    let kind = NetworkItemKind::ALL[usize::from(*first) % NetworkItemKind::ALL.len()];
    let names = BTreeMap::from([(1, "lo".to_owned()), (2, "eth0".to_owned())]);
    for part in netlink::parts(stream) {
        let message = RouteMessage {
            kind: part.kind,
            payload: part.payload.to_vec(),
        };
        let Some(item) = NetworkItem::new(kind, message) else {
            continue;
        };
        // What is asked for again is a message of the same kind, not a longer story.
        let request = item.request();
        assert_eq!(request.kind, kind.new_message());
        assert!(request.payload.len() <= part.payload.len() + 12);
        let _ = (item.identity(), item.told(&names));
    }
});
