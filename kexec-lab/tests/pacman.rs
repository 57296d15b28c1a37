//! Arch Linux's package manager, its real program in a Debian guest, with the hook
//! that our package brings along: before it is done with a kernel, what a reboot
//! would boot is loaded. (Everything about the package itself: `cargo xtask dist
//! --check arch`.)

use anyhow::{Result, ensure};
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout};
use kexec_lab::{Initramfs, Lab};
use std::path::Path;

/// As our hook names it.
const HOOK: &str = "dist/pacman/95-kexec.hook";

/// A package of this name that has this file (PKGBUILD(5), .PKGINFO), and pacman
/// without a signature and without looking at mount points.
const WORDS: &str = r#"
package() { # package NAME FILE
	mkdir -p "/root/$1/${2%/*}" /var/lib/pacman
	cp /etc/os-release "/root/$1/$2"
	printf 'pkgname = %s\npkgver = 1-1\narch = any\nsize = 1\n' "$1" > "/root/$1/.PKGINFO"
	tar -C "/root/$1" -cf "/root/$1.pkg.tar" .PKGINFO "${2%%/*}"
}
printf '[options]\nArchitecture = auto\nLocalFileSigLevel = Never\n' > /root/pacman.conf
pac() {
	pacman --config /root/pacman.conf --noconfirm --nodeps "$@"
}
"#;

#[test]
fn loads_before_pacman_is_done() -> Result<()> {
    let lab = Lab::open()?;
    let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(HOOK);
    let hook = std::fs::read(hook)?;
    // On Arch Linux the program is in /usr/bin.
    let mut arch = Initramfs::new();
    arch.symlink("usr/bin/kexec", "/usr/sbin/kexec");
    arch.file("usr/share/libalpm/hooks/95-kexec.hook", hook);
    let machine = InstalledMachine::new(&lab, Suite::Trixie, SystemLayout::BiosGrub)
        .product()?
        .debs("pacman-package-manager")?
        .with(&arch);
    let (first, other) = machine.kernels()?;
    let trial = machine
        .stage(
            "before",
            &format!(
                "run dpkg env DEBIAN_FRONTEND=noninteractive \
                 sh -c 'dpkg -i /lab/debs/*.deb'\n\
                 run enable kexec enable preload\n{WORDS}\
                 package other usr/share/other/file\n\
                 package linux usr/lib/modules/1-lab/vmlinuz\n\
                 run change sed -i 's/set default=\"0\"/set default=\"1>2\"/' \
                 /boot/grub/grub.cfg\n\
                 run nothing pac -U /root/other.pkg.tar\n\
                 run unchanged kexec status\n\
                 run kernel pac -U /root/linux.pkg.tar\n\
                 run changed kexec status\n\
                 jump systemctl reboot\n"
            ),
        )
        .stage("after", "run says kexec status\n")
        .run()?;
    let out = |stage: &str, label: &str| -> Result<String> {
        let run = trial.stage(stage)?.run(label)?;
        println!(
            "# {stage}: {label}: {}\n{}{}",
            run.code,
            run.out(),
            run.err()
        );
        ensure!(run.code == 0, "{label} ended with {}", run.code);
        Ok(run.out())
    };
    for label in ["dpkg", "enable", "change"] {
        out("before", label)?;
    }
    let loading = "Loading what a reboot would boot";
    let nothing = out("before", "nothing")?;
    ensure!(!nothing.contains(loading), "{nothing}");
    let unchanged = out("before", "unchanged")?;
    ensure!(
        unchanged.contains(&first) && !unchanged.contains(&other),
        "{unchanged}"
    );
    let kernel = out("before", "kernel")?;
    ensure!(kernel.contains(loading), "{kernel}");
    let changed = out("before", "changed")?;
    ensure!(changed.contains(&other), "{changed}");
    assert_eq!(trial.started_by("after")?, StartedBy::Kexec);
    assert_eq!(trial.stage("after")?.report.release, other);
    ensure!(out("after", "says")?.contains("kexec'd from"));
    println!("all: {:.1} s", trial.seconds());
    Ok(())
}
