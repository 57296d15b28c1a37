use super::files::{
    DEBIAN_CONTROL, FILES, FileSource, MAKING, PackageKind, RPM_SCRIPTS, destination,
};
use super::stage::{Artifacts, items, stage};
use super::*;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Everything as in a package, with a few bytes for the program.
pub fn inputs() -> Artifacts {
    Artifacts::new(b"\x7fELF".to_vec(), host::arch().unwrap()).unwrap()
}

/// Every file below a folder, from there on.
fn below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            found.extend(
                below(&path)
                    .into_iter()
                    .map(|more| format!("{name}/{more}")),
            );
        } else {
            found.insert(name.to_owned());
        }
    }
    found
}

/// Every file that somebody puts below dist/ is meant to be installed, or to make
/// packages with.
#[test]
fn everything_below_dist_is_in_the_table() {
    let mut known: BTreeSet<String> = MAKING.iter().map(|path| (*path).to_owned()).collect();
    known.extend(DEBIAN_CONTROL.iter().map(|(path, _, _)| (*path).to_owned()));
    known.extend(RPM_SCRIPTS.iter().map(|(path, _)| (*path).to_owned()));
    for file in FILES {
        if let FileSource::Tree(path) = file.source {
            assert!(host::root().join(path).is_file(), "{path} is not there");
            known.insert(path.to_owned());
        }
    }
    for path in below(&host::root().join("dist")) {
        let path = format!("dist/{path}");
        assert!(known.contains(&path), "{path} is in no line of FILES");
    }
}

/// What `kexec enable` does not write where a package has brought it along is what
/// packages bring along, in the same place and with the same text.
#[test]
fn packages_bring_what_kexec_enable_looks_for() {
    let brings = |path: &str, text: &str| {
        let mut lines = FILES
            .iter()
            .filter(|file| file.to == path.trim_start_matches('/'));
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("{path} is in no package"));
        let FileSource::Tree(source) = line.source else {
            panic!("{path} is not of the repository");
        };
        let there = fs::read_to_string(host::root().join(source)).unwrap();
        assert_eq!(there, text, "{path}");
    };
    let mut count = 0;
    for feature in kexec_reboot::enable::FEATURES {
        for unit in feature.units {
            brings(&format!("usr/lib/systemd/system/{}", unit.name), unit.text);
            count += 1;
        }
        for part in feature.files.iter().chain(feature.hooks) {
            if let Some(path) = part.packaged {
                brings(path, part.text);
                count += 1;
            }
        }
    }
    assert!(count >= 8, "{count}");
}

#[test]
fn no_place_is_taken_twice() {
    for kind in PackageKind::ALL {
        let items = items(*kind, &inputs()).unwrap();
        for pair in items.windows(2) {
            assert_ne!(pair[0].to, pair[1].to);
        }
        for item in &items {
            assert!(
                !item.to.starts_with('/') && !item.to.ends_with('/'),
                "{}",
                item.to
            );
            let program = item.data.starts_with(b"#!") || item.data.starts_with(b"\x7fELF");
            assert_eq!(item.mode == 0o755, program, "{}", item.to);
            assert_eq!(item.mode == 0o777, item.link.is_some(), "{}", item.to);
            if let Some(target) = item.link {
                let folder = Path::new(&item.to).parent().unwrap();
                let target = folder.join(target);
                let there = items.iter().any(|item| Path::new(&item.to) == target);
                assert!(there, "{} leads to nothing", item.to);
            }
        }
    }
    for file in FILES {
        assert!(!file.kinds.is_empty(), "{}", file.to);
    }
}

/// What kexec-tools of one family has besides the program, and its page with it.
#[test]
fn what_one_family_knows_is_in_its_package_alone() {
    let unit = "usr/lib/systemd/system/kexec-load.service";
    let script = "usr/sbin/kexec-load-kernel";
    for kind in PackageKind::ALL {
        let items = items(*kind, &inputs()).unwrap();
        let text = |path: &str| {
            let item = items.iter().find(|item| item.to == path);
            item.map(|item| String::from_utf8_lossy(&item.data).into_owned())
        };
        let deb = *kind == PackageKind::Deb;
        let rpm = *kind == PackageKind::Rpm;
        assert_eq!(text(script).is_some(), deb, "{kind:?}");
        let page = text("usr/share/man/man8/kexec-load-kernel.8.gz");
        assert_eq!(page.is_some(), deb, "{kind:?}");
        assert_eq!(text(unit).is_some(), deb || rpm, "{kind:?}");
        let loads = text(unit).unwrap_or_default();
        assert_eq!(loads.contains("/kexec-load-kernel "), deb, "{kind:?}");
        // In places where no other package of openSUSE has them.
        for name in ["kexec-bootloader", "kexec-bootloader.8"] {
            let place = format!("usr/share/kexec-rs/{name}");
            assert_eq!(text(&place).is_some(), rpm, "{kind:?}");
            let taken = items.iter().filter(|item| item.to.contains(name));
            let taken: Vec<_> = taken
                .filter(|item| !item.to.starts_with("usr/share/kexec-rs/"))
                .collect();
            assert!(taken.is_empty(), "{taken:?}");
        }
    }
}

/// What is there whichever package it is.
#[test]
fn each_package_has_its_essentials() {
    for kind in PackageKind::ALL {
        let items = items(*kind, &inputs()).unwrap();
        let has = |path: &str| items.iter().any(|item| item.to == path);
        assert!(has(&destination(*kind, "usr/sbin/kexec")));
        for page in ["kexec", "kexec-reboot", "kexec-list", "vmcore-dmesg"] {
            assert!(has(&format!("usr/share/man/man8/{page}.8.gz")));
        }
        assert!(items.iter().any(|item| item.to.ends_with("/_kexec")));
        // What is trusted and promised, and where to report.
        assert!(has("usr/share/doc/kexec-rs/SECURITY.md"), "{kind:?}");
        let licence = if *kind == PackageKind::Deb {
            "copyright"
        } else {
            "LICENSE-MIT"
        };
        assert!(items.iter().any(|item| item.to.ends_with(licence)));
    }
    // https://archlinux.org/news/binaries-move-to-usrbin-requiring-update-intervention/
    assert_eq!(
        destination(PackageKind::Arch, "usr/sbin/kexec"),
        "usr/bin/kexec"
    );
}

/// All of docs/ is there, and whoever follows a link in it on an installed machine
/// finds the file, or the web page of it.
#[test]
fn documents_are_complete_and_their_links_lead_somewhere() {
    const FOLDER: &str = "usr/share/doc/kexec-rs";
    for kind in PackageKind::ALL {
        let items = items(*kind, &inputs()).unwrap();
        for path in below(&host::root().join("docs")) {
            let place = format!("{FOLDER}/{path}");
            assert!(items.iter().any(|item| item.to == place), "no {place}");
        }
        let (mut local, mut elsewhere) = (0, 0);
        let documents = items.iter().filter(|item| item.to.ends_with(".md"));
        for document in documents {
            let text = std::str::from_utf8(&document.data).unwrap();
            for target in doc::targets(text) {
                let repository = format!("{}/blob/v{}/", texts::HOMEPAGE, texts::VERSION);
                if let Some(path) = target.strip_prefix(&repository) {
                    let path = path.split('#').next().unwrap();
                    assert!(host::root().join(path).exists(), "{target}");
                    elsewhere += 1;
                } else if doc::is_file(target) {
                    let file = target.split('#').next().unwrap();
                    // Documents stand in one folder, with folders below it.
                    let folder = Path::new(&document.to).parent().unwrap();
                    let mut place = folder.to_owned();
                    for part in file.split('/') {
                        match part {
                            ".." => assert!(place.pop()),
                            part => place.push(part),
                        }
                    }
                    assert!(
                        items.iter().any(|item| Path::new(&item.to) == place),
                        "{} links to {target}, which the package lacks",
                        document.to
                    );
                    local += 1;
                }
            }
        }
        assert!(
            local > 15 && elsewhere > 5,
            "{kind:?}: {local}, {elsewhere}"
        );
    }
}

/// The archive for machines without a package has everything as well, and only its
/// own folder.
#[test]
fn the_static_archive_is_complete() {
    let files = release::tarball_files(&inputs(), "x").unwrap();
    let has = |path: &str| files.iter().any(|file| file.to == format!("x/{path}"));
    for path in [
        "kexec",
        "vmcore-dmesg",
        "README.md",
        "docs/reboot.md",
        "man/man8/kexec-reboot.8",
        "completions/_kexec",
        "LICENSE-MIT",
        "third-party.txt",
    ] {
        assert!(has(path), "{path}");
    }
    for path in below(&host::root().join("docs")) {
        assert!(has(&format!("docs/{path}")), "docs/{path}");
    }
}

/// One place says which version this is.
#[test]
fn every_version_is_that_of_the_workspace() {
    let metadata = host::cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let output = { metadata }.output().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 10);
    for package in packages {
        assert_eq!(package["version"], texts::VERSION, "{}", package["name"]);
    }
}

/// Two folders made one after the other are the same, times and all.
#[test]
fn a_staged_folder_is_reproducible() {
    let folder = tempfile::tempdir().unwrap();
    let listing = |name: &str| {
        let inputs = inputs();
        let into = folder.path().join(name);
        stage(
            &into,
            &items(PackageKind::Deb, &inputs).unwrap(),
            inputs.date,
        )
        .unwrap();
        let output = Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "-c", "-C"])
            .arg(&into)
            .arg(".")
            .output()
            .unwrap();
        assert!(output.status.success());
        let mode = fs::metadata(into.join("usr/sbin/kexec"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o7777, 0o755);
        output.stdout
    };
    assert!(listing("one") == listing("two"));
    let error = stage(&folder.path().join("one"), &[], std::time::UNIX_EPOCH).unwrap_err();
    assert!(error.to_string().contains("empty folder"), "{error:#}");
}

/// dpkg reads what dpkg-deb made; it needs no privilege for that.
#[test]
fn a_debian_package_has_what_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let made = deb::make(folder.path(), &inputs()).unwrap();
    deb::compare(&made).unwrap();
    let first = fs::read(&made.path).unwrap();
    let again = deb::make(folder.path(), &inputs()).unwrap();
    assert!(first == fs::read(&again.path).unwrap(), "not reproducible");
    let ask = |field: &str| {
        let output = Command::new("dpkg-deb")
            .arg("-f")
            .arg(&made.path)
            .arg(field)
            .output();
        String::from_utf8(output.unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(ask("Package"), "kexec-rs");
    assert!(ask("Conflicts").starts_with("kexec-tools,"));
    assert!(ask("Provides").starts_with("kexec-tools (= 1:2.0.32+"));
    // Another program in it is another package: the comparison can fail.
    let mut other = made;
    other.items[0].data.push(0);
    assert!(deb::compare(&other).is_err());
}

/// What PKGBUILD says of itself, to bash.
#[test]
fn the_pkgbuild_is_of_this_version() {
    let script = "source dist/arch/PKGBUILD; echo \"$pkgname $pkgver\"; echo \"${provides[*]}\"
        source \"dist/arch/$install\"; declare -F build package
        declare -F post_install post_upgrade pre_remove";
    let output = Command::new("bash")
        .args(["--norc", "-c", script])
        .current_dir(host::root())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = format!(
        "kexec-rs {}\nkexec-tools={}\nbuild\npackage\npost_install\n\
         post_upgrade\npre_remove\n",
        texts::VERSION,
        texts::STANDS_FOR
    );
    assert_eq!(
        said,
        expected,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
