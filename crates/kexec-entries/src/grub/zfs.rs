//! ZFS pools as GRUB names them: by the number of the pool, in 16 hexadecimal digits
//! where udev writes it as a decimal number. A pool has no device that could be mounted to
//! look; its files are read where its data sets are mounted.

use super::devices::Answer;
use super::disk::device_of;
use super::text::Device;
use kexec_machine::Fact;
use kexec_machine::volumes::{Volumes, udev};

/// The pool with a UUID that `search --fs-uuid` is given; `None` where no device is known
/// to belong to such a pool.
pub(super) fn search(volumes: &Volumes, uuid: &str) -> Option<Answer<Device>> {
    let number = number(uuid)?;
    let is_pool = |kind: Option<&str>| kind == Some("zfs");
    let Some(name) = member(volumes, number) else {
        // Others have UUIDs of 16 digits, too.
        let mut all = volumes.every().iter();
        let other = all.any(|v| {
            v.uuid
                .as_deref()
                .is_some_and(|v| v.eq_ignore_ascii_case(uuid))
        });
        let mut all = volumes.all().iter();
        let pools = all.any(|volume| is_pool(volume.kind.as_deref()));
        return (pools && !other).then(|| {
            Answer::Unknown(format!(
                "no file system of this machine has the UUID {uuid}, and no device is known to \
                 belong to a ZFS pool with that number"
            ))
        });
    };
    let Some(name) = name else {
        return Some(Answer::Unknown(format!(
            "{uuid} is a ZFS pool, and its name is unknown"
        )));
    };
    let mut pools = volumes.all().iter();
    let pool = pools.find(|volume| {
        is_pool(volume.kind.as_deref()) && volume.mounts.iter().any(|m| m.source == name)
    });
    Some(match pool {
        Some(pool) => Answer::Is(device_of(&pool.id)),
        None => Answer::Unknown(format!(
            "{uuid} is the ZFS pool {name}, of which nothing is mounted; ZFS is read only where \
             it is mounted"
        )),
    })
}

/// GRUB writes all 16 digits.
fn number(uuid: &str) -> Option<u64> {
    let digits = uuid.len() == 16 && uuid.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(uuid, 16).ok()).flatten()
}

/// The name of the pool with that number, as udev read it from a device of it; the outer
/// `None`: there is no such device.
fn member(volumes: &Volumes, number: u64) -> Option<Option<String>> {
    let Fact::Known(names) = volumes.machine_entries("/sys/class/block") else {
        return None;
    };
    let decimal = number.to_string();
    names.iter().find_map(|name| {
        let device = volumes.machine_bytes(&format!("/sys/class/block/{name}/dev"));
        let device = String::from_utf8_lossy(device.known()?).trim().to_owned();
        let text = volumes.machine_bytes(&format!("/run/udev/data/b{device}"));
        let text = String::from_utf8_lossy(text.known()?).into_owned();
        let (content, _) = udev(&text);
        let fits = content.kind.as_deref() == Some("zfs_member")
            && content.uuid.as_deref() == Some(decimal.as_str());
        fits.then_some(content.label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_pools() {
        assert_eq!(number("0f6b75ab557fa1c7"), Some(1_111_111_111_811_244_487));
        assert_eq!(number("F6B75AB557FA1C70"), Some(0xf6b7_5ab5_57fa_1c70));
        // A serial number of FAT, a UUID, too short, a sign.
        for other in [
            "1234-ABCD",
            "11111111-2222-3333-4444-555555555555",
            "f6b75ab557fa1c7",
            "+f6b75ab557fa1c7",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
