//! What is in an initrd that matters for a dump: its programs and its modules.

use std::collections::BTreeSet;

use kexec_load::initrd::intact::{Intact, look_into_names};

/// No more than this many bytes of an initrd are unpacked to look into it, of all its parts
/// together.
const LIMIT: u64 = 4 << 30;
/// No more names are looked at; a large initrd has some ten thousand.
const MANY: usize = 1 << 20;

/// Programs that save a dump, or its log, by the end of their path: those of kdump-utils,
/// of openSUSE's kdump, and what others call.
const SAVERS: &[&str] = &[
    "bin/makedumpfile",
    "sbin/makedumpfile",
    "sbin/vmcore-dmesg",
    "bin/vmcore-dmesg",
    "bin/kdump.sh",
    "bin/kdump",
    "bin/kdumptool",
    "kdump/kdump-save",
    "kdump/save_dump.sh",
];

/// The program of systemd, by the end of its path.
const SYSTEMD: &str = "lib/systemd/systemd";

/// File systems inside of an initrd, by the end of their path: dracut's modules "squash",
/// "squash-squashfs" and "squash-erofs" (dracut.modules(7)), which kdump-utils uses, put
/// programs and modules there. They always run systemd.
const IMAGES: &[&str] = &[
    "squash-root.img",
    "squashfs-root.img",
    "erofs-root.img",
    "squash/root.img",
];

/// What was found in an initrd.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// Modules by their names, with `_` for `-`, as /sys/module has them.
    pub modules: BTreeSet<String>,
    /// Programs that save a dump, by their paths.
    pub savers: Vec<String>,
    /// Bytes of everything, unpacked; `None` where a part was not looked into.
    pub unpacked: Option<u64>,
    /// Whether systemd runs in it.
    pub systemd: bool,
    /// Whether every name was seen.
    pub whole: bool,
    /// A file system in it that was not looked into, by its path; `whole` is false then.
    pub image: Option<String>,
}

impl Contents {
    /// Looks into the parts of an initrd, in their order.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Contents {
        let mut contents = Contents {
            unpacked: Some(0),
            whole: true,
            ..Contents::default()
        };
        let mut left = LIMIT;
        for part in parts {
            contents.look(part, &mut left);
        }
        contents.whole &= contents.image.is_none();
        contents
    }

    /// Looks into a part; at most `left` bytes of it are unpacked.
    fn look(&mut self, part: &[u8], left: &mut u64) {
        if *left == 0 {
            self.whole = false;
            self.unpacked = None;
            return;
        }
        let mut names = MANY;
        let seen = look_into_names(part, *left, &mut |name| {
            if names > 0 {
                names -= 1;
                self.name(&String::from_utf8_lossy(name));
            }
        });
        self.whole &= seen.found == Intact::Whole && names > 0;
        let packed = seen.packed;
        let inside = packed
            .iter()
            .fold(0, |sum: u64, p| sum.saturating_add(p.unpacked));
        let taken = packed
            .iter()
            .fold(0, |sum: u64, p| sum.saturating_add(p.len));
        let plain = u64::try_from(part.len())
            .unwrap_or(u64::MAX)
            .saturating_sub(taken);
        // A part that was not unpacked to its end has no length.
        let known = packed.iter().all(|part| part.len > 0);
        let total = inside.saturating_add(plain);
        *left = match known {
            true => left.saturating_sub(inside),
            false => 0,
        };
        self.unpacked = self
            .unpacked
            .filter(|_| known)
            .map(|sum| sum.saturating_add(total));
    }

    fn name(&mut self, path: &str) {
        if let Some(module) = module(path) {
            self.modules.insert(module);
        } else if ends_in(path, SYSTEMD) {
            self.systemd = true;
        } else if self.image.is_none() && IMAGES.iter().any(|image| ends_in(path, image)) {
            self.image = Some(path.to_owned());
            self.systemd = true;
        } else if SAVERS.iter().any(|saver| ends_in(path, saver))
            && self.savers.len() < SAVERS.len()
        {
            self.savers.push(path.to_owned());
        }
    }
}

/// Whether a path ends in these components.
fn ends_in(path: &str, end: &str) -> bool {
    let before = path.strip_suffix(end);
    before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// The name of the module in this file.
fn module(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let suffixes = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"];
    let name = suffixes
        .iter()
        .find_map(|suffix| file.strip_suffix(suffix))?;
    Some(name.replace('-', "_")).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kexec_image::cpio;
    use kexec_image::testing::codec::COMPRESSORS;
    use proptest::prelude::*;

    use super::*;

    fn archive(names: &[&str]) -> Vec<u8> {
        let file = |name: &&str| cpio::File {
            path: (*name).to_owned(),
            mode: 0o644,
            content: Bytes::from_static(b"content"),
        };
        cpio::archive(&names.iter().map(file).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn modules_and_programs_are_found_in_every_part() {
        let early = archive(&["kernel/x86/microcode/a.bin"]);
        let main = archive(&[
            "usr/lib/modules/6.12/kernel/fs/ext4/ext4.ko.xz",
            "lib/modules/6.12/kernel/drivers/virtio/virtio-pci.ko",
            "usr/bin/makedumpfile",
            "usr/bin/notmakedumpfile",
            "usr/lib/systemd/systemd",
            "etc/x.ko.conf",
        ]);
        let packed = (COMPRESSORS[0].compress)(&main);
        let found = Contents::of([early.as_slice(), packed.as_slice()]);
        assert_eq!(
            found.modules.iter().map(String::as_str).collect::<Vec<_>>(),
            ["ext4", "virtio_pci"]
        );
        assert_eq!(found.savers, ["usr/bin/makedumpfile"]);
        assert!(found.whole && found.systemd);
        let all = u64::try_from(early.len() + main.len()).unwrap();
        assert_eq!(found.unpacked, Some(all));
    }

    /// They were unpacked twice, and the names behind the first one never seen.
    #[test]
    fn every_archive_of_one_file_is_looked_into() {
        let pack = COMPRESSORS[0].compress;
        let (one, other) = (
            archive(&["usr/bin/makedumpfile"]),
            archive(&["lib/ext4.ko"]),
        );
        let found = Contents::of([[pack(&one), pack(&other)].concat().as_slice()]);
        assert_eq!(found.savers, ["usr/bin/makedumpfile"]);
        assert!(found.modules.contains("ext4") && found.whole);
        let all = u64::try_from(one.len() + other.len()).unwrap();
        assert_eq!(found.unpacked, Some(all));
    }

    #[test]
    fn what_is_cut_is_not_whole() {
        let packed = (COMPRESSORS[0].compress)(&archive(&["a", "b"]));
        let found = Contents::of([packed.get(..packed.len() / 2).unwrap()]);
        assert!(!found.whole);
        assert_eq!(found.unpacked, None);
        assert!(Contents::of([]).whole);
    }

    /// kdump-utils' usual initrd: nearly everything is in a file system in it.
    #[test]
    fn an_image_in_it_is_not_looked_into() {
        for image in [
            "squashfs-root.img",
            "squash/root.img",
            "usr/erofs-root.img",
            "squash-root.img",
        ] {
            let found = Contents::of([archive(&["init", image]).as_slice()]);
            assert_eq!(found.image.as_deref(), Some(image));
            assert!(!found.whole && found.systemd && found.unpacked.is_some());
        }
        let other = Contents::of([archive(&["root.img", "notsquash-root.img"]).as_slice()]);
        assert!(other.whole && other.image.is_none());
    }

    #[test]
    fn all_parts_together_have_one_limit() {
        let packed = (COMPRESSORS[0].compress)(&archive(&["usr/bin/makedumpfile"]));
        let mut contents = Contents {
            unpacked: Some(0),
            whole: true,
            ..Contents::default()
        };
        let mut left = LIMIT;
        contents.look(&packed, &mut left);
        assert!(left < LIMIT && contents.whole);
        let mut left = 8;
        contents.look(&packed, &mut left);
        assert_eq!((left, contents.whole, contents.unpacked), (0, false, None));
        // Nothing is left for the next one.
        let before = contents.savers.len();
        contents.look(&packed, &mut left);
        assert_eq!(contents.savers.len(), before);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Contents::of([bytes.as_slice()]);
        }
    }
}
