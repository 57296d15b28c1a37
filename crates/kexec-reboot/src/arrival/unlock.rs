//! Encrypted disks below / and /var whose keys the TPM hands out only while its
//! registers (PCRs) have the values of a boot through the firmware. A kexec does
//! not reset them, so that a machine without a keyboard would wait for a
//! passphrase for ever.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use kexec_sys::Errno;
use serde::Serialize;

use kexec_machine::open;
use kexec_machine::volumes::Volumes;

/// An encrypted disk that has to be unlocked on the way up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Locked {
    /// The device that holds it.
    pub device: String,
    /// What is mounted from it: `/` or `/var`.
    pub mounted: String,
    /// The ways in which it unlocks by itself.
    pub keyslots: Vec<Keyslot>,
    /// Why its header could not be read.
    pub unreadable: Option<String>,
}

/// A way in which a disk unlocks by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keyslot {
    /// The token's type: `systemd-tpm2`, `clevis`.
    pub kind: String,
    /// The PCRs whose values it is bound to.
    pub pcrs: BTreeSet<u32>,
    /// The PCRs that a signed policy covers: their values during a boot are
    /// signed beforehand.
    pub signed_pcrs: BTreeSet<u32>,
}

/// `LUKS\xba\xbe`, the magic of a LUKS header (LUKS2 On-Disk Format
/// Specification, section 2.1).
const MAGIC: &[u8] = b"LUKS\xba\xbe";
/// Where the JSON area begins: behind the binary header (the same, section 2.2).
const JSON_AT: usize = 4096;
/// The largest header that the specification allows (section 2.2).
const MAX_HEADER: u64 = 4 << 20;
/// How deep disks may be stacked.
const MAX_DEPTH: usize = 8;

pub(super) fn read(root: &Path, volumes: &Volumes) -> Vec<Locked> {
    let mut locked: Vec<Locked> = Vec::new();
    for volume in volumes.every() {
        let mount = volume
            .mounts
            .iter()
            .find(|m| matches!(m.point.as_str(), "/" | "/var"));
        let (Some(mount), Some(device)) = (mount, &volume.device) else {
            continue;
        };
        let Some(name) = kernel_name(root, device) else {
            continue;
        };
        for below in stacked(volumes, &name, 0) {
            let device = format!("/dev/{below}");
            if locked.iter().any(|one| one.device == device) {
                continue;
            }
            locked.extend(header(root, &device, &mount.point));
        }
    }
    locked
}

/// `/dev/mapper/root` is `dm-0` to the kernel.
fn kernel_name(root: &Path, device: &str) -> Option<String> {
    let path = root.join(device.trim_start_matches('/'));
    let real = std::fs::read_link(&path).map_or(path, std::path::PathBuf::from);
    Some(real.file_name()?.to_str()?.to_owned())
}

/// The devices below a stacked one, all the way down, itself not among them.
fn stacked(volumes: &Volumes, name: &str, depth: usize) -> Vec<String> {
    if depth > MAX_DEPTH {
        return Vec::new();
    }
    let below = volumes.machine_entries(&format!("/sys/class/block/{name}/slaves"));
    let below = below.known().cloned().unwrap_or_default();
    below
        .into_iter()
        .flat_map(|name| {
            let mut all = stacked(volumes, &name, depth + 1);
            all.push(name);
            all
        })
        .collect()
}

/// The header of a device, when it is a LUKS one that unlocks by itself.
fn header(root: &Path, device: &str, mounted: &str) -> Option<Locked> {
    use std::io::Read;
    let path = root.join(device.trim_start_matches('/'));
    let mut bytes = Vec::new();
    let result = open::blocks(&path).and_then(|file| {
        let read = file.take(MAX_HEADER).read_to_end(&mut bytes);
        read.map_err(|e| Errno::from_io(&e).to_string())
    });
    let found = |keyslots, unreadable| Locked {
        device: device.to_owned(),
        mounted: mounted.to_owned(),
        keyslots,
        unreadable,
    };
    match result {
        Err(why) => Some(found(Vec::new(), Some(why))),
        Ok(_) if !bytes.starts_with(MAGIC) => None,
        Ok(_) => {
            let keyslots = keyslots(&bytes);
            (!keyslots.is_empty()).then(|| found(keyslots, None))
        }
    }
}

/// The tokens of a LUKS2 header that need nobody at the keyboard. LUKS1 has
/// none.
pub fn keyslots(header: &[u8]) -> Vec<Keyslot> {
    let json = header.get(JSON_AT..).unwrap_or_default();
    let end = json.iter().position(|b| *b == 0).unwrap_or(json.len());
    let json = json.get(..end).unwrap_or_default();
    let Ok(metadata) = serde_json::from_slice::<serde_json::Value>(json) else {
        return Vec::new();
    };
    let tokens = metadata.get("tokens").and_then(|tokens| tokens.as_object());
    tokens
        .into_iter()
        .flat_map(|tokens| tokens.values())
        .filter_map(keyslot)
        .collect()
}

fn keyslot(token: &serde_json::Value) -> Option<Keyslot> {
    let kind = token.get("type")?.as_str()?;
    let pcrs = |name: &str| -> BTreeSet<u32> {
        let list = token.get(name).and_then(|list| list.as_array());
        let numbers = list.into_iter().flatten().filter_map(|n| n.as_u64());
        numbers.filter_map(|n| u32::try_from(n).ok()).collect()
    };
    match kind {
        // systemd-cryptenroll(1).
        "systemd-tpm2" => Some(Keyslot {
            kind: kind.to_owned(),
            pcrs: pcrs("tpm2-pcrs"),
            signed_pcrs: pcrs("tpm2_pubkey_pcrs"),
        }),
        "clevis" => Some(Keyslot {
            kind: kind.to_owned(),
            pcrs: clevis_pcrs(token).unwrap_or_default(),
            signed_pcrs: BTreeSet::new(),
        }),
        _ => None,
    }
}

/// The `pcr_ids` of a clevis tpm2 pin, `"1,7"`, in the protected header of its
/// JWE: base64url without padding (RFC 7515, section 2).
fn clevis_pcrs(token: &serde_json::Value) -> Option<BTreeSet<u32>> {
    let protected = token.get("jwe")?.get("protected")?.as_str()?;
    let header: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(protected).ok()?).ok()?;
    let ids = header
        .get("clevis")?
        .get("tpm2")?
        .get("pcr_ids")?
        .as_str()?;
    Some(
        ids.split(',')
            .filter_map(|id| id.trim().parse().ok())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luks(json: &str) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        header.resize(JSON_AT, 0);
        header.extend_from_slice(json.as_bytes());
        header.push(0);
        header
    }

    #[test]
    fn tokens_of_a_header() {
        // {"alg":"dir","clevis":{"pin":"tpm2","tpm2":{"pcr_ids":"7,11"}}}
        let protected =
            "eyJhbGciOiJkaXIiLCJjbGV2aXMiOnsicGluIjoidHBtMiIsInRwbTIiOnsicGNyX2lkcyI6IjcsMTEifX19";
        let json = format!(
            "{{\"tokens\":{{\"0\":{{\"type\":\"systemd-tpm2\",\"tpm2-pcrs\":[7],\
             \"tpm2_pubkey_pcrs\":[11]}},\"1\":{{\"type\":\"systemd-recovery\"}},\
             \"2\":{{\"type\":\"clevis\",\"jwe\":{{\"protected\":\"{protected}\"}}}}}}}}"
        );
        let slots = keyslots(&luks(&json));
        assert_eq!(slots.len(), 2);
        assert_eq!(slots[0].pcrs, BTreeSet::from([7]));
        assert_eq!(slots[0].signed_pcrs, BTreeSet::from([11]));
        assert_eq!(slots[1].pcrs, BTreeSet::from([7, 11]));
    }

    #[test]
    fn broken_headers_have_no_tokens() {
        for bytes in [
            &b""[..],
            MAGIC,
            &luks("{"),
            &luks("[]"),
            &luks("{\"tokens\":3}"),
        ] {
            assert!(keyslots(bytes).is_empty());
        }
        let odd = "{\"tokens\":{\"0\":{\"type\":\"clevis\",\"jwe\":{\"protected\":\"!\"}}}}";
        assert!(keyslots(&luks(odd))[0].pcrs.is_empty());
    }

    #[test]
    fn found_below_the_root_file_system() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, bytes: &[u8]| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        put(
            "proc/self/mountinfo",
            b"22 1 253:0 / / rw - ext4 /dev/dm-0 rw\n",
        );
        put("sys/class/block/dm-0/slaves/vda3/x", b"");
        put("dev/dm-0", b"");
        put(
            "dev/vda3",
            &luks("{\"tokens\":{\"0\":{\"type\":\"systemd-tpm2\",\"tpm2-pcrs\":[11]}}}"),
        );
        let locked = read(root.path(), &Volumes::read(root.path()));
        assert_eq!(locked.len(), 1, "{locked:?}");
        assert_eq!(
            (locked[0].device.as_str(), locked[0].mounted.as_str()),
            ("/dev/vda3", "/")
        );
    }
}
