//! Which initrds there are for a crash kernel.

use std::fs;
use std::path::{Path, PathBuf};

use kexec_crash::target::{InitrdPlace, Service};
use kexec_machine::open;
use kexec_machine::volumes::FileRef;

/// /etc/machine-id has 32 digits (machine-id(5)).
const MAX_ID: u64 = 256;

/// Where distributions put the initrd of a normal boot, by its release: Debian, Fedora,
/// openSUSE and Arch.
const USUAL: &[&str] = &[
    "boot/initrd.img-RELEASE",
    "boot/initramfs-RELEASE.img",
    "boot/initrd-RELEASE",
];

/// The initrds that services have made for this kernel.
pub fn of_services(root: &Path, release: &str, kernel: &FileRef) -> Vec<(Service, PathBuf)> {
    let machine = open::contents(&root.join("etc/machine-id"), MAX_ID).ok();
    let machine = machine.and_then(|id| String::from_utf8(id).ok());
    let machine = machine
        .as_deref()
        .map(str::trim)
        .filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit()));
    let found = |service: Service, place: &InitrdPlace| {
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        let path = below(&place.path(release, machine)?);
        let fits = |link| leads_to(&below(link), release, kernel);
        (path.is_file() && place.kernel.is_none_or(fits)).then_some((service, path))
    };
    let places = Service::ALL
        .iter()
        .flat_map(|service| service.initrds().iter().map(|place| (*service, place)));
    places
        .filter_map(|(service, place)| found(service, place))
        .collect()
}

/// Whether a link leads to this kernel: to its file, or to one that has its release in its
/// name (`vmlinuz-RELEASE`) or in that of its folder (`/usr/lib/modules/RELEASE/vmlinuz`).
fn leads_to(link: &Path, release: &str, kernel: &FileRef) -> bool {
    let Ok(target) = fs::canonicalize(link) else {
        return false;
    };
    let name = |path: Option<&Path>| {
        let name = path.and_then(Path::file_name);
        name.map(|name| name.to_string_lossy().into_owned())
    };
    let named = name(Some(&target))
        .and_then(|name| {
            name.strip_suffix(release)?
                .strip_suffix('-')
                .map(str::to_owned)
        })
        .is_some();
    let inside = name(target.parent()).as_deref() == Some(release);
    let same = match kernel {
        FileRef::Path(path) => fs::canonicalize(path).is_ok_and(|path| path == target),
        FileRef::Boot(_) => false,
    };
    named || inside || same
}

/// Whether two paths are one file.
pub fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// The initrd of a normal boot.
pub fn usual(root: &Path, release: &str) -> Option<PathBuf> {
    let paths = USUAL
        .iter()
        .map(|path| root.join(path.replace("RELEASE", release)));
    paths.into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn root(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "abcdef\n").unwrap();
        }
        root
    }

    fn found(root: &Path, kernel: &str) -> Vec<String> {
        let found = of_services(root, "6.12", &FileRef::from(&root.join(kernel)));
        let shown = |(service, path): &(Service, PathBuf)| {
            let path = path.strip_prefix(root).unwrap();
            format!("{} {}", service.name(), path.display())
        };
        found.iter().map(shown).collect()
    }

    #[test]
    fn every_place_of_a_service() {
        let dir = root(&[
            "etc/machine-id",
            "boot/abcdef/6.12/initrdkdump",
            "var/lib/kdump/initramfs-6.12kdump.img",
            "boot/initrd-6.12-kdump",
            "boot/initrd-6.11-kdump",
        ]);
        assert_eq!(
            found(dir.path(), "boot/vmlinuz"),
            [
                "kdump-utils boot/abcdef/6.12/initrdkdump",
                "kdump-utils var/lib/kdump/initramfs-6.12kdump.img",
                "kdump boot/initrd-6.12-kdump",
            ]
        );
    }

    /// openSUSE's says by a link beside it for which kernel it is.
    #[test]
    fn an_initrd_of_another_kernel_is_not_taken() {
        let dir = root(&[
            "var/lib/kdump/initrd",
            "boot/vmlinuz-6.11",
            "boot/vmlinuz-6.12",
            "usr/lib/modules/6.12/vmlinuz",
            "boot/mine",
        ]);
        let root = dir.path();
        let link = root.join("var/lib/kdump/kernel");
        assert!(found(root, "boot/vmlinuz-6.12").is_empty(), "no link");
        for (target, fits) in [
            ("../../../boot/vmlinuz-6.11", false),
            ("../../../boot/vmlinuz-6.12", true),
            ("../../../usr/lib/modules/6.12/vmlinuz", true),
            ("../../../boot/mine", true),
            ("../../../boot/gone", false),
        ] {
            symlink(target, &link).unwrap();
            assert_eq!(
                found(root, "boot/mine").len(),
                usize::from(fits),
                "{target}"
            );
            fs::remove_file(&link).unwrap();
        }
    }

    #[test]
    fn the_usual_initrd_is_found_by_its_release() {
        let dir = root(&["boot/initrd.img-6.12", "boot/initramfs-6.13.img"]);
        let of = |release| usual(dir.path(), release);
        assert!(of("6.12").unwrap().ends_with("initrd.img-6.12"));
        assert!(of("6.13").is_some() && of("6.1").is_none());
    }
}
