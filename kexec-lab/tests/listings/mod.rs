//! What `bootctl list` and `kexec list` say, as values that can be compared.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// One entry, as both programs show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedEntry {
    pub id: String,
    pub title: String,
    pub version: Option<String>,
    pub sort_key: Option<String>,
    pub left: Option<u64>,
    pub done: Option<u64>,
}

/// A menu, and which entry is its default.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    pub entries: Vec<ListedEntry>,
    pub default: Option<String>,
}

pub fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

pub fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The entries of `bootctl list --json`: systemd 252 says each by itself, later
/// ones say one array of them.
pub fn said(json: &[u8]) -> Result<Vec<Value>> {
    let values = serde_json::Deserializer::from_slice(json).into_iter::<Value>();
    let mut entries = Vec::new();
    for value in values {
        match value.context("reading what bootctl says")? {
            Value::Array(several) => entries.extend(several),
            one => entries.push(one),
        }
    }
    Ok(entries)
}

/// What `bootctl list --json` says, without the entries that no file describes.
pub fn theirs(json: &[u8]) -> Result<Listing> {
    let said = said(json)?;
    let files = said.iter().filter(|e| match e["type"].as_str() {
        Some(kind) => matches!(kind, "type1" | "type2"),
        // systemd 252 does not say what it is, but where it has it from.
        None => e["path"].as_str().is_some_and(|p| !p.starts_with("/sys/")),
    });
    let default = files.clone().find(|e| e["isDefault"] == true);
    Ok(Listing {
        default: default.and_then(|e| text(&e["id"])),
        entries: files
            .map(|e| ListedEntry {
                id: text(&e["id"]).unwrap_or_default(),
                title: text(&e["showTitle"]).unwrap_or_default(),
                version: text(&e["version"]),
                sort_key: text(&e["sortKey"]),
                left: e["triesLeft"].as_u64(),
                // bootctl leaves a count out where the name has none.
                done: e["triesLeft"]
                    .as_u64()
                    .map(|_| e["triesDone"].as_u64().unwrap_or(0)),
            })
            .collect(),
    })
}

/// Whether bootctl's default is an entry of this boot's menu (LoaderEntries) that
/// has no file any more; the next boot will not find it.
pub fn is_gone(json: &[u8]) -> Result<bool> {
    let said = said(json)?;
    let mut default = said.iter().filter(|e| e["isDefault"] == true);
    Ok(default.any(|e| e["type"] == "loader"))
}

/// What systemd-boot itself calls the entries of `kexec list`: the first profile
/// of a UKI has the name of the file, with and without a name of its own.
pub fn by_loader(json: &[u8]) -> Result<BTreeMap<String, String>> {
    let all: Value = serde_json::from_slice(json)?;
    let sources = array(&all["sources"]).iter();
    let entries = sources.flat_map(|source| array(&source["found"]["entries"]));
    let called = entries.filter_map(|entry| {
        let id = text(&entry["id"])?;
        let first = entry["boots"]["target"]["profile"] == 0;
        let (file, _) = id.split_once('@').filter(|_| first)?;
        Some((id.clone(), file.to_owned()))
    });
    Ok(called.collect())
}

/// What `kexec list --json` says of the Boot Loader Specification, and which of
/// the entries are broken.
pub fn ours(json: &[u8]) -> Result<(Listing, Vec<String>)> {
    let all: Value = serde_json::from_slice(json).context("reading what kexec says")?;
    let mut sources = array(&all["sources"]).iter();
    let listed = sources
        .find(|source| source["source"] == "bls")
        .with_context(|| format!("kexec list has no entries of the specification: {all}"))?;
    let entries = array(&listed["found"]["entries"]);
    let default = listed["found"]["choice"]["entry"]["index"].as_u64();
    let default = default.and_then(|at| entries.get(usize::try_from(at).ok()?));
    let broken = entries.iter().filter(|e| !e["boots"]["broken"].is_null());
    let broken = broken.filter_map(|e| text(&e["id"])).collect();
    let menu = Listing {
        default: default.and_then(|e| text(&e["id"])),
        entries: entries
            .iter()
            .map(|e| ListedEntry {
                id: text(&e["id"]).unwrap_or_default(),
                title: text(&e["title"]).unwrap_or_default(),
                version: text(&e["version"]),
                sort_key: text(&e["sort_key"]),
                left: e["tries"]["left"].as_u64(),
                done: e["tries"]["done"].as_u64(),
            })
            .collect(),
    };
    Ok((menu, broken))
}

/// Where two menus differ, in few lines.
pub fn difference(name: &str, theirs: &Listing, ours: &Listing) -> Option<String> {
    if theirs == ours {
        return None;
    }
    let mut text = format!(
        "{name}: the default is {:?} to bootctl and {:?} to kexec",
        theirs.default, ours.default
    );
    let longest = theirs.entries.len().max(ours.entries.len());
    for at in 0..longest {
        let (one, other) = (theirs.entries.get(at), ours.entries.get(at));
        if one != other {
            text.push_str(&format!(
                "\n  {at}: bootctl {one:?}\n  {at}: kexec   {other:?}"
            ));
        }
    }
    Some(text)
}
