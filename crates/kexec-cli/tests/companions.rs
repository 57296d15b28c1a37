//! The scripts that packages bring along under the names of kexec-tools: what they make
//! of the configuration that kexec-tools leaves behind. They run with another root and
//! with a `kexec` that only writes down how it was called.

#![allow(clippy::unwrap_used)]

use kexec_cli::companions::COMPANIONS;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Writes down how it was called. `-S -l` answers what the file `loaded` has.
const RECORDER: &str = r#"#!/bin/sh
root=${0%/bin/*}
if [ "$1 $2" = "-S -l" ]; then
	exit "$(cat "$root/loaded")"
fi
{
	printf '%s' "${0##*/}"
	[ $# = 0 ] || printf ' [%s]' "$@"
	echo
} >> "$root/called"
exit "$(cat "$root/code")"
"#;
/// What the scripts name from the root on.
const PLACES: &[&str] = &[
    "/etc/default/kexec",
    "/etc/kexec.conf",
    "/etc/conf.d/kexec",
    "/run/kexec/cold",
    "/no-kexec-reboot",
    "/nokexec",
    "/proc/cmdline",
    "/etc/os-release",
    "/run/systemd/system",
    "/usr/sbin/kexec-bootloader",
    "/usr/share/man/man8/",
    "/usr/share/kexec-rs/",
];

/// What Debian 13's kexec-tools writes at its installation.
const DEBIAN_13: &str = "# Defaults for kexec-tools\n\nKERNEL_IMAGE=\"/vmlinuz\"\n\
    INITRD=\"/initrd.img\"\n\n# If empty, use current /proc/cmdline\nAPPEND=\"\"\n\n\
    USE_GRUB_CONFIG=false\n";

/// A root for a script.
struct Root(TempDir);

impl Root {
    fn new() -> Root {
        let root = Root(tempfile::tempdir().unwrap());
        for name in ["kexec", "kexec-auto-load", "mount", "umount"] {
            root.file(&format!("bin/{name}"), RECORDER, 0o755);
        }
        root.file("loaded", "0", 0o644);
        root.file("code", "0", 0o644);
        root
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, text: &str, mode: u32) {
        let path = self.path().join(name);
        let folder = path.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        if folder != self.path() {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn settings(&self, text: &str) {
        self.file("etc/default/kexec", text, 0o644);
    }

    /// The script, about this root.
    fn script(&self, path: &str) -> String {
        let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist");
        let mut text = fs::read_to_string(dist.join(path)).unwrap();
        let root = self.path().display().to_string();
        for place in PLACES {
            text = text.replace(place, &format!("{root}{place}"));
        }
        let owner = fs::metadata(self.path()).unwrap().uid();
        text.replace("-user 0", &format!("-user {owner}"))
            .replace("\nPATH=", &format!("\nPATH={root}/bin:"))
            .replace("BOOTPART=/boot ", &format!("BOOTPART={root}/boot "))
    }

    fn run(&self, path: &str, words: &[&str]) -> Output {
        self.file("script", &self.script(path), 0o755);
        let script = self.path().join("script");
        Command::new("sh").arg(script).args(words).output().unwrap()
    }

    /// What was called since the last time, with the root as `/`.
    fn called(&self) -> String {
        let path = self.path().join("called");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text.replace(&self.path().display().to_string(), "")
    }
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Loads without an error; how `kexec` was called.
fn loads(root: &Root, path: &str, words: &[&str]) -> String {
    let output = root.run(path, words);
    assert_eq!(code(&output), Some(0), "{}", err(&output));
    assert_eq!(err(&output), "");
    root.called()
}

const LOAD_KERNEL: &str = "bin/kexec-load-kernel";

#[test]
fn what_debian_leaves_behind_is_loaded() {
    let root = Root::new();
    let loads = || loads(&root, LOAD_KERNEL, &[]);
    // There is no file: nothing was ever configured.
    assert_eq!(loads(), "kexec [load]\n");
    root.settings(DEBIAN_13);
    assert_eq!(
        loads(),
        "kexec [load] [/vmlinuz] [--initrd=/initrd.img] [--reuse-cmdline]\n"
    );
    root.settings("KERNEL_IMAGE=\"/boot/a b\"\nINITRD=\"\"\nAPPEND='root=/dev/x y=\"1 2\"'\n");
    assert_eq!(
        loads(),
        "kexec [load] [/boot/a b] [--append=root=/dev/x y=\"1 2\"]\n"
    );
    // A boot entry is not meant.
    root.settings("KERNEL_IMAGE=vmlinuz\n");
    assert_eq!(loads(), "kexec [load] [./vmlinuz] [--reuse-cmdline]\n");
    root.settings(&format!("{DEBIAN_13}USE_GRUB_CONFIG=true\n"));
    assert_eq!(loads(), "kexec [load]\n");
}

/// It always was shell, with everything that shell can do.
#[test]
fn the_settings_are_shell() {
    let root = Root::new();
    root.settings("V=$(echo 6.12)\nKERNEL_IMAGE=/boot/vmlinuz-$V\nAPPEND=\"a=$((1 + 1))\"\n");
    root.file(
        "etc/default/kexec.d/10-more",
        "APPEND=\"$APPEND b\"\n",
        0o644,
    );
    root.file("etc/default/kexec.d/20-more", "INITRD=/i-$V\n", 0o644);
    // run-parts(8) has no such names.
    root.file("etc/default/kexec.d/30.dpkg-old", "APPEND=old\n", 0o644);
    assert_eq!(
        loads(&root, LOAD_KERNEL, &[]),
        "kexec [load] [/boot/vmlinuz-6.12] [--initrd=/i-6.12] [--append=a=2 b]\n"
    );
}

#[test]
fn settings_that_cannot_be_trusted_or_read_are_refused() {
    let root = Root::new();
    let marker = root.path().join("ran");
    let touch = format!("touch '{}'\n", marker.display());
    let refused = |why: &str| {
        let output = root.run(LOAD_KERNEL, &[]);
        assert_eq!(code(&output), Some(1), "{}", err(&output));
        assert!(err(&output).contains(why), "{}", err(&output));
        assert_eq!(root.called(), "");
        assert!(!marker.exists(), "{why}: it was run");
    };
    root.settings(&format!("{touch}KERNEL_IMAGE=\"/x\n"));
    refused("etc/default/kexec is not a fragment of shell");
    root.file("etc/default/kexec", &touch, 0o664);
    refused("etc/default/kexec: users other than root can change it");
    root.settings("KERNEL_IMAGE=/x\n");
    root.file("etc/default/kexec.d/more", &touch, 0o646);
    refused("etc/default/kexec.d/more: users other than root can change it");
    root.file("etc/default/kexec.d/more", &touch, 0o644);
    let folder = root.path().join("etc/default/kexec.d");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    refused("etc/default/kexec.d: users other than root can change it");
}

#[test]
fn nothing_is_loaded_over_what_is_loaded_or_after_coldreboot() {
    let root = Root::new();
    root.settings(DEBIAN_13);
    let idle = |why: &str| {
        let output = root.run(LOAD_KERNEL, &[]);
        assert_eq!(code(&output), Some(0), "{}", err(&output));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(why), "{said}");
        assert_eq!(root.called(), "");
    };
    root.file("loaded", "1", 0o644);
    root.file("no-kexec-reboot", "", 0o644);
    idle("a kernel is loaded already");
    assert!(root.path().join("no-kexec-reboot").exists());
    root.file("loaded", "0", 0o644);
    root.file("run/kexec/cold", "", 0o644);
    idle("coldreboot requested");
    fs::remove_file(root.path().join("run/kexec/cold")).unwrap();
    idle("removed it");
    assert!(!root.path().join("no-kexec-reboot").exists());
    // Whether something is loaded is unknown: kexec itself finds out, and explains.
    root.file("loaded", "255", 0o644);
    assert!(loads(&root, LOAD_KERNEL, &[]).starts_with("kexec [load] [/vmlinuz]"));
}

#[test]
fn load_kexec_is_the_services_switch() {
    let root = Root::new();
    for (line, service) in [
        ("LOAD_KEXEC=false\n", false),
        ("LOAD_KEXEC=true\n", true),
        ("", true),
    ] {
        root.settings(&format!("{DEBIAN_13}{line}"));
        // Whoever types it wants it.
        assert!(!loads(&root, LOAD_KERNEL, &[]).is_empty(), "{line}");
        let called = loads(&root, LOAD_KERNEL, &["--if-enabled"]);
        assert_eq!(!called.is_empty(), service, "{line}");
    }
    let unit = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/debian/kexec-load.service"),
    );
    let start = "\nExecStart=/usr/sbin/kexec-load-kernel --if-enabled\n";
    assert!(unit.unwrap().contains(start));
}

/// The program of kexec-tools reports success then.
#[test]
fn a_refused_load_is_a_failure() {
    let root = Root::new();
    root.settings(DEBIAN_13);
    root.file("code", "1", 0o644);
    assert_eq!(code(&root.run(LOAD_KERNEL, &[])), Some(1));
    assert_eq!(code(&root.run("bin/kexec-bootloader", &[])), Some(1));
    assert_eq!(code(&root.run("openrc/kexec-auto-load", &[])), Some(1));
}

#[test]
fn kexec_bootloader_loads_the_default_entry() {
    let root = Root::new();
    let loads = |words: &[&str]| loads(&root, "bin/kexec-bootloader", words);
    assert_eq!(loads(&[]), "kexec [load]\n");
    assert_eq!(loads(&["--dry-run"]), "kexec [load] [--dry-run]\n");
    for debug in ["-D", "--debug"] {
        assert_eq!(loads(&[debug]), "kexec [list]\nkexec [load]\n");
    }
}

#[test]
fn options_are_those_of_the_manual_pages() {
    let root = Root::new();
    for companion in COMPANIONS {
        let path = format!("bin/{}", companion.name);
        for option in companion.options.iter().flat_map(|(all, _)| *all) {
            let output = root.run(&path, &[option]);
            assert_eq!(code(&output), Some(0), "{path} {option}");
        }
        root.called();
        let help = root.run(&path, &["--help"]);
        let page = format!("see {}(8)", companion.name);
        assert!(String::from_utf8_lossy(&help.stdout).contains(&page));
        let wrong = root.run(&path, &["--help-me"]);
        let last = companion.exit_codes.last().unwrap().0;
        assert_eq!(code(&wrong).map(|c| c.to_string()).as_deref(), Some(last));
        assert!(err(&wrong).contains("no option --help-me"));
        assert_eq!(root.called(), "");
    }
}

/// Of openSUSE's own kexec-bootloader nothing is touched; where there is none, ours
/// stands in, and goes with the package.
#[test]
fn the_rpm_package_fills_in_for_kexec_bootloader() {
    const LINKS: [&str; 2] = [
        "usr/sbin/kexec-bootloader",
        "usr/share/man/man8/kexec-bootloader.8",
    ];
    let suse = "NAME=\"openSUSE Leap\"\nID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n";
    for (release, theirs, links) in [
        (suse, false, true),
        ("ID=\"sles\"\nID_LIKE=\"suse\"\n", false, true),
        (suse, true, false),
        ("ID=fedora\n", false, false),
    ] {
        let root = Root::new();
        root.file("etc/os-release", release, 0o644);
        let path = format!("PATH={}/bin:$PATH\n", root.path().display());
        let run = |script: &str, word: &str| {
            let text = format!("{path}{}", root.script(script));
            let done = Command::new("sh").args(["-c", &text, "sh", word]).output();
            let done = done.unwrap();
            assert_eq!((code(&done), err(&done).as_str()), (Some(0), ""));
        };
        for link in LINKS {
            let name = link.rsplit('/').next().unwrap();
            root.file(&format!("usr/share/kexec-rs/{name}"), "ours", 0o755);
            root.file(&format!("{link}.other"), "", 0o644);
            if theirs {
                root.file(link, "theirs", 0o755);
            }
        }
        let text = |link: &str| fs::read_to_string(root.path().join(link)).ok();
        let expected = match (links, theirs) {
            (true, _) => Some("ours"),
            (_, true) => Some("theirs"),
            _ => None,
        };
        // An upgrade: the new version's posttrans, after the old one's preun.
        run("rpm/posttrans", "");
        run("rpm/preun", "1");
        run("rpm/posttrans", "");
        for link in LINKS {
            assert_eq!(text(link).as_deref(), expected, "{link} {release}");
        }
        run("rpm/preun", "0");
        for link in LINKS {
            let left = theirs.then_some("theirs");
            assert_eq!(text(link).as_deref(), left, "{link} {release}");
            assert!(!root.path().join(link).is_symlink(), "{link}");
        }
    }
}

const AUTO_LOAD: &str = "openrc/kexec-auto-load";

#[test]
fn what_gentoo_leaves_behind_is_loaded() {
    let root = Root::new();
    root.file("proc/cmdline", "BOOT_IMAGE=/x root=UUID=1 quiet\n", 0o644);
    root.file("boot/bzimage", "", 0o644);
    let loads = |settings: &str| {
        root.file("etc/kexec.conf", settings, 0o644);
        loads(&root, AUTO_LOAD, &[])
    };
    // As it is installed with 2.0.32.
    assert_eq!(
        loads("KNAME=\"bzimage\"\nKEXEC_OPT_ARGS=\"--reuse-cmdline\"\n"),
        "kexec [-l] [/boot/bzimage] [--reuse-cmdline]\n"
    );
    assert_eq!(
        loads("KNAME=bzimage\nINITRD=i.img\nKPARAM=\"quiet x\"\n"),
        "kexec [-l] [/boot/bzimage] [--initrd=/boot/i.img] [--append=root=UUID=1 quiet x]\n"
    );
    assert_eq!(
        loads("KNAME=bzimage\nINITRD=/i\nROOTPART=/dev/sda3\nKEXEC_OPT_ARGS='-a --noefi'\n"),
        "kexec [-l] [/boot/bzimage] [-a] [--noefi] [--initrd=/i] [--reuse-cmdline] \
         [--append=root=/dev/sda3]\n"
    );
    assert_eq!(
        loads("KNAME=bzimage\nKEXEC_OPT_ARGS=--command-line=x\n"),
        "kexec [-l] [/boot/bzimage] [--command-line=x]\n"
    );
    // A separate /boot that is not mounted.
    assert_eq!(
        loads("KNAME=other\nKPARAM=root=/dev/x\n"),
        "mount [/boot]\nkexec [-l] [/boot/other] [--append=root=/dev/x]\numount [/boot]\n"
    );
    assert_eq!(
        loads("KNAME=other\nDONT_MOUNT_BOOT=yes\n"),
        "kexec [-l] [/boot/other] [--reuse-cmdline]\n"
    );
    assert_eq!(loads("KNAME=-\n"), "kexec [unload]\n");
    // Nothing is set: what the boot loader would boot.
    assert_eq!(loads("#KNAME=\"kernel\"\n"), "kexec [load]\n");
    assert_eq!(
        loads("KPARAM=debug\n"),
        "kexec [load] [--cmdline=root=UUID=1 debug]\n"
    );
    assert_eq!(
        loads("ROOTPART=/dev/y\n"),
        "kexec [load] [--append=root=/dev/y]\n"
    );
    root.file("etc/kexec.conf", "INITRD=x\n", 0o644);
    let output = root.run(AUTO_LOAD, &[]);
    assert_eq!(code(&output), Some(1));
    assert!(err(&output).contains("sets INITRD and not KNAME"));
    // Ours, as it is brought along, sets nothing.
    let ours = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/openrc/kexec.conf"),
    );
    assert_eq!(loads(&ours.unwrap()), "kexec [load]\n");
    root.file("etc/kexec.conf", "KNAME=bzimage\n", 0o666);
    assert_eq!(code(&root.run(AUTO_LOAD, &[])), Some(1));
    assert_eq!(root.called(), "");
}

/// With functions in place of OpenRC's.
#[test]
fn the_service_loads_when_it_is_told_to() {
    let root = Root::new();
    let acts = |settings: &str, action: &str| {
        let text = format!(
            "PATH={}/bin:$PATH\nyesno() {{ case $1 in yes | YES) ;; *) return 1 ;; esac; }}\n\
             ebegin() {{ :; }}\neend() {{ return \"$1\"; }}\n{settings}\n{}\n{action}\n",
            root.path().display(),
            root.script("openrc/kexec")
        );
        let done = Command::new("sh").args(["-c", &text]).output().unwrap();
        assert_eq!(err(&done), "");
        assert_eq!(code(&done), Some(0));
        root.called()
    };
    let load = "kexec-auto-load\n";
    let unload = "kexec [unload]\n";
    assert_eq!(acts("", "start"), "");
    assert_eq!(acts("LOAD_DURING_SHUTDOWN=no", "start"), load);
    assert_eq!(acts("RC_REBOOT=YES", "stop"), load);
    assert_eq!(acts("RC_REBOOT=YES LOAD_DURING_SHUTDOWN=no", "stop"), "");
    assert_eq!(acts("RC_REBOOT=NO", "stop"), unload);
    root.file("nokexec", "", 0o644);
    assert_eq!(acts("RC_REBOOT=YES", "stop"), unload);
    assert!(!root.path().join("nokexec").exists());
    assert_eq!(acts("RC_REBOOT=YES", "stop"), load);
}
