//! Titles that people can tell apart.

use std::collections::BTreeMap;

use super::draft::DraftEntry;
use crate::entry::BootEntry;

/// Adds to titles that several entries have what is different: the version, else
/// the machine, else the id (UAPI.1, `title`; the order is that of bootctl).
pub(super) fn tell_apart(drafts: &mut [DraftEntry]) {
    let details: [fn(&BootEntry) -> Option<&String>; 3] = [
        |entry| entry.version.as_ref(),
        |entry| entry.machine_id.as_ref(),
        |entry| Some(&entry.id),
    ];
    for detail in details {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for draft in drafts.iter() {
            let count = count.entry(draft.entry.title.clone()).or_default();
            *count = count.saturating_add(1);
        }
        for DraftEntry { entry, .. } in drafts.iter_mut() {
            let several = count.get(&entry.title).is_some_and(|count| *count > 1);
            if let (true, Some(detail)) = (several, detail(entry)) {
                entry.title = format!("{} ({detail})", entry.title);
            }
        }
    }
}
