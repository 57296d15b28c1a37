//! loader.conf: its patterns against ids, and what is chosen. The first line
//! holds the ids.
#![no_main]

use kexec_entries::bls::choose::{Candidate, BlsDefault, LoaderSettings, choose};
use kexec_entries::bls::conf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (ids, text) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => bytes.split_at(at),
        None => (&b""[..], bytes),
    };
    let ids = String::from_utf8_lossy(ids);
    let candidates: Vec<Candidate> = ids
        .split_whitespace()
        .map(|id| Candidate {
            id: id.to_owned(),
            aliases: Vec::new(),
            bad: id.starts_with('-'),
            other_profile: id.contains('@'),
        })
        .collect();
    let wishes = LoaderSettings {
        last_booted: candidates.last().map(|c| c.id.clone()),
        conf: conf::parse(text),
        ..LoaderSettings::default()
    };
    match choose(&candidates, &wishes).decision {
        BlsDefault::Entry { at, .. } => assert!(at < candidates.len()),
        BlsDefault::Nothing => assert!(candidates.iter().all(|c| c.other_profile)),
        BlsDefault::Foreign { .. } | BlsDefault::Unclear { .. } => {}
    }
});
