//! The Debian package in installed systems: over kexec-tools, for those who depend
//! on that, over itself, in use, and gone again.

use anyhow::{Result, ensure};
use kexec_lab::Lab;
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, StartedBy, SystemLayout, Trial};
use std::time::Duration;

/// What both stages know. The lab's systems are made without documents and manual
/// pages; this package is to bring its own.
const WORDS: &str = r#"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# Everything on the disk but what changes by itself, and dpkg's backups.
list() {
	find / -xdev \( -path /lab -o -path /tmp -o -path /var/tmp -o -path /var/log \
		-o -path /var/lib/systemd -o -name '*-old' \) -prune -o -print | sort
}
"#;

/// Up to its use.
const INSTALL: &str = r#"
rm -f /etc/dpkg/dpkg.cfg.d/*
list > /var/tmp/before
# It is not run, so nothing of what it depends on is needed.
run old dpkg -i --force-depends /lab/debs/kexec-tools_*.deb
run old-settings cat /etc/default/kexec
# As its owner has set it up.
cp /lab/settings /etc/default/kexec
run install dpkg -i /lab/debs/kexec-rs.deb
dpkg-deb -x /lab/debs/kexec-rs.deb /var/tmp/ours
run ours cmp /usr/sbin/kexec /var/tmp/ours/usr/sbin/kexec
run version kexec --version
run dmesg vmcore-dmesg --vmcoreinfo /proc/kcore
run whole dpkg -V kexec-rs
run audit dpkg --audit
run diversions dpkg-divert --list '*kexec*'
run reload systemctl daemon-reload
run failed systemctl --failed --no-legend
run running systemctl list-units --no-legend 'kexec*.service'

# A package with kdump-tools' own words about kexec-tools, one for a version that
# we stand for, and one for a version that nobody has.
needs() { # needs NAME DEPENDS
	mkdir -p "/var/tmp/$1/DEBIAN"
	printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: lab <lab@lab>\n' "$1" \
		> "/var/tmp/$1/DEBIAN/control"
	printf 'Depends: %s\nDescription: lab\n' "$2" >> "/var/tmp/$1/DEBIAN/control"
	dpkg-deb --build "/var/tmp/$1" "/var/tmp/$1.deb" > /dev/null
	run "$1" dpkg -i "/var/tmp/$1.deb"
	dpkg -P "$1" > /dev/null
}
clause=$(dpkg-deb -f /lab/debs/kdump-tools_*.deb Depends | tr ',' '\n' | grep kexec-tools)
run clause echo "$clause"
needs needs-kdump "$clause"
needs needs-version 'kexec-tools (>= 1:2.0.32)'
needs needs-future 'kexec-tools (>= 1:2.1)'

# Enabled is loaded; not behind the stop below, which stops what notices it.
run unit systemctl enable kexec-load.service
run unit-loaded sh -c 'n=0; until grep -q 1 /sys/kernel/kexec_loaded; do n=$((n + 1));
	[ $n -le 300 ] || exit 1; sleep 0.2; done'
run unit-off systemctl disable --now kexec-load.service
run unload kexec unload

run again dpkg -i /lab/debs/kexec-rs.deb
run still cmp /usr/sbin/kexec /var/tmp/ours/usr/sbin/kexec
run stop systemctl stop 'kexec*'

# What the settings of kexec-tools name, under the names of kexec-tools.
run man sh -c 'zcat /usr/share/man/man8/kexec-load-kernel.8.gz | grep -c LOAD_KEXEC'
run load-kernel kexec-load-kernel
run twice kexec-load-kernel
jump systemctl kexec
"#;

/// After the jump into what the settings name.
const PRELOAD: &str = r#"
run idle cat /sys/kernel/kexec_loaded
run enable kexec enable preload
run enabled systemctl is-enabled kexec-preload.service kexec-refresh.service
jump kexec reboot
"#;

/// What apt makes of a wish to go back to kexec-tools where kdump-tools is installed: on
/// paper, because neither runs here.
const GO_BACK: &str = r#"
mkdir -p /var/tmp/apt/lists/partial /var/tmp/apt/cache /var/tmp/apt/repo
cp /var/lib/dpkg/status /var/tmp/apt/status
for deb in /lab/debs/*.deb; do
	case "$deb" in
		*/kexec-tools_*)
			dpkg-deb -f "$deb"
			echo "Filename: ./${deb##*/}"
			echo "Size: $(stat -c %s "$deb")"
			echo "SHA256: $(sha256sum "$deb" | cut -d ' ' -f 1)"
			echo
			;;
		*/kexec-rs*) ;;
		*)
			name=$(dpkg-deb -f "$deb" Package)
			! grep -qx "Package: $name" /var/tmp/apt/status || continue
			dpkg-deb -f "$deb" | sed '/^Package:/a Status: install ok installed' \
				>> /var/tmp/apt/status
			echo >> /var/tmp/apt/status
			;;
	esac
done > /var/tmp/apt/repo/Packages
echo 'deb [trusted=yes] file:/var/tmp/apt/repo ./' > /var/tmp/apt/sources
apt() {
	apt-get -o Dir::State::status=/var/tmp/apt/status -o Dir::State::lists=/var/tmp/apt/lists \
		-o Dir::Cache=/var/tmp/apt/cache -o Dir::Etc::sourcelist=/var/tmp/apt/sources \
		-o Dir::Etc::sourceparts=/nonexistent -o APT::Sandbox::User=root "$@"
}
run apt-update apt update
run apt-install apt -s install kexec-tools
run apt-purge apt -s purge kexec-rs kexec-tools+
run apt-purge-alone apt -s purge kexec-rs
"#;

/// After the reboot.
const REMOVE: &str = r#"
run status kexec status
run remembered ls /var/lib/kexec/attempts
# As systemctl add-wants and enable make them, which would load at once.
mkdir -p /etc/systemd/system/rescue.target.wants
ln -s /usr/lib/systemd/system/kexec-load@.service \
	/etc/systemd/system/rescue.target.wants/kexec-load@one.service
ln -s /usr/lib/systemd/system/kexec-load@.service \
	/etc/systemd/system/multi-user.target.wants/kexec-load@two.service
run remove dpkg -r kexec-rs
run gone sh -c 'test ! -e /usr/sbin/kexec && test ! -e /usr/sbin/vmcore-dmesg'
run kept ls /var/lib/kexec/attempts
run purge dpkg -P kexec-rs kexec-tools
run dangling find /etc/systemd -xtype l -name '*kexec*'
list > /var/tmp/after
run left diff /var/tmp/before /var/tmp/after
run diversions dpkg-divert --list '*kexec*'
run audit dpkg --audit
run reload systemctl daemon-reload
run failed systemctl --failed --no-legend
"#;

/// The words that have to come to a good end and, of these, those that have to do
/// it silently.
fn check(trial: &Trial, stage: &str, done: &[&str], silent: &[&str]) -> Result<()> {
    let stage = trial.stage(stage)?;
    for label in done.iter().chain(silent) {
        let run = stage.run(label)?;
        println!("# {label}\n{}{}", run.out(), run.err());
        ensure!(run.code == 0, "{label}: {}{}", run.out(), run.err());
    }
    for label in silent {
        let run = stage.run(label)?;
        ensure!(
            run.out().is_empty() && run.err().is_empty(),
            "{label} is not silent"
        );
    }
    Ok(())
}

fn comes_and_goes(suite: Suite) -> Result<()> {
    let lab = Lab::open()?;
    let layout = SystemLayout::BiosGrub;
    let machine = InstalledMachine::new(&lab, suite, layout);
    let (_, other) = machine.kernels()?;
    let settings = format!(
        "LOAD_KEXEC=true\nVERSION=$(echo {other})\nKERNEL_IMAGE=\"/boot/vmlinuz-$VERSION\"\n\
         INITRD=/boot/{}\nAPPEND=\"$(cat /proc/cmdline) from=settings\"\nUSE_GRUB_CONFIG=false\n",
        layout.initrd_name(&other)
    );
    let trial = machine
        .file("lab/settings", settings)
        .product_deb()?
        // With kexec-tools, on which it depends.
        .debs("kdump-tools")?
        .timeout(Duration::from_secs(600))
        .stage("installed", &format!("{WORDS}{INSTALL}"))
        .stage("preload", &format!("{WORDS}{GO_BACK}{PRELOAD}"))
        .stage("rebooted", &format!("{WORDS}{REMOVE}"))
        .run()?;
    println!("{suite}: {:.0} s", trial.seconds());
    check(
        &trial,
        "installed",
        &[
            "old",
            "install",
            "ours",
            "version",
            "dmesg",
            "clause",
            "needs-kdump",
            "needs-version",
            "again",
            "still",
            "man",
            "unit",
            "unit-loaded",
            "unit-off",
            "unload",
            "load-kernel",
            "twice",
            "jump",
        ],
        &[
            "whole",
            "audit",
            "diversions",
            "reload",
            "failed",
            "running",
            "stop",
        ],
    )?;
    let installed = trial.stage("installed")?;
    ensure!(installed.run("version")?.out().starts_with("kexec-rs "));
    // The other program of the package, which kexec-tools has as well.
    ensure!(installed.run("dmesg")?.out().contains("SYMBOL(prb)="));
    ensure!(installed.run("clause")?.out().contains("kexec-tools"));
    let future = installed.run("needs-future")?;
    ensure!(
        future.code != 0,
        "any version is satisfied: {}",
        future.out()
    );
    // What it found is what kexec-tools writes.
    let settings = installed.run("old-settings")?.out();
    ensure!(settings.contains("\nKERNEL_IMAGE=\"/vmlinuz\"\n"));
    let note = installed.run("install")?.err();
    ensure!(note.contains("LOAD_KEXEC=true"), "{note}");
    let twice = installed.run("twice")?.out();
    ensure!(twice.contains("a kernel is loaded already"), "{twice}");
    ensure!(trial.started_by("preload")? == StartedBy::Kexec);
    let preload = trial.stage("preload")?;
    ensure!(
        preload.report.release == other,
        "{}",
        preload.report.release
    );
    let line = preload.report.command_line();
    ensure!(line.contains(" from=settings"), "{line}");
    check(
        &trial,
        "preload",
        &["idle", "apt-update", "enable", "enabled", "jump"],
        &[],
    )?;
    // Whoever goes back to kexec-tools in one step keeps kdump-tools.
    for label in ["apt-install", "apt-purge"] {
        let said = preload.good(label)?.out();
        println!("# {label}\n{said}");
        ensure!(said.contains("Inst kexec-tools "), "{said}");
        ensure!(!said.contains("Remv kdump-tools"), "{said}");
        ensure!(!said.contains("Purg kdump-tools"), "{said}");
        ensure!(
            said.contains("Remv kexec-rs ") || said.contains("Purg kexec-rs "),
            "{said}"
        );
    }
    println!("# alone\n{}", preload.run("apt-purge-alone")?.out());
    ensure!(trial.started_by("rebooted")? == StartedBy::Kexec);
    check(
        &trial,
        "rebooted",
        &["status", "remembered", "remove", "gone", "kept", "purge"],
        &[
            "left",
            "dangling",
            "diversions",
            "audit",
            "reload",
            "failed",
        ],
    )
}

#[test]
fn on_debian_13() -> Result<()> {
    comes_and_goes(Suite::Trixie)
}

/// Here kexec-tools has /sbin/kexec, which is /usr/sbin/kexec by another name.
#[test]
fn on_debian_12() -> Result<()> {
    comes_and_goes(Suite::Bookworm)
}
