//! Boot Loader Specification against the real thing: `kexec list` lists what
//! `bootctl list` lists, and the default that it names is what systemd-boot
//! boots next.
// The helpers here are no tests of their own, which the lints would leave alone;
// indexing JSON by a name gives null where there is none.
#![allow(clippy::indexing_slicing)]

mod listings;
mod menus;

use anyhow::{Context, Result, bail};
use kexec_lab::Lab;
use kexec_lab::apt::Suite;
use kexec_lab::installed::{InstalledMachine, SystemLayout};
use listings::*;

/// Puts another menu on the ESP, which is at /efi, in the place of the system's.
const WORDS: &str = r#"
ls /efi > /dev/null
[ -d /root/own ] || cp -r /efi/loader /root/own
clear() {
	rm -rf /efi/loader/entries /efi/loader/loader.conf /efi/loader/addons /efi/EFI/Linux
	mkdir -p /efi/loader/entries /efi/EFI/Linux
}
"#;

/// The menus of `menus/`, listed by both programs, in one boot.
fn listed_by_both(suite: Suite) -> Result<()> {
    let lab = Lab::open()?;
    let mut machine = InstalledMachine::new(&lab, suite, SystemLayout::EfiSystemdBoot).product()?;
    let all = menus::all(suite);
    let mut script = WORDS.to_owned();
    for (name, files) in &all {
        for (path, content) in files {
            machine = machine.file(&format!("root/menus/{name}/{path}"), content.clone());
        }
        script.push_str(&format!(
            "clear; cp -r /root/menus/{name}/. /efi/\n\
             run bootctl-{name} bootctl list --json=short\n\
             run kexec-{name} kexec list --json\n"
        ));
    }
    let trial = machine.stage("list", &script).run()?;
    let stage = trial.stage("list")?;
    let mut wrong = Vec::new();
    for (name, files) in &all {
        let bootctl = stage.run(&format!("bootctl-{name}"))?;
        let kexec = stage.run(&format!("kexec-{name}"))?;
        assert_eq!(
            (bootctl.code, kexec.code),
            (0, 0),
            "{name}: {}",
            kexec.err()
        );
        let mut theirs = theirs(bootctl.out().as_bytes())?;
        let (mut ours, broken) = ours(kexec.out().as_bytes())?;
        if suite == Suite::Bookworm {
            // systemd 252 does not say which is the default.
            ours.default = None;
            // Counters are part of the names that systemd-boot 252 sorts by, and not of
            // those of its bootctl (bookworm_boots_what_was_written).
            if ours.entries.iter().any(|entry| entry.left.is_some()) {
                ours.entries.sort_by(|a, b| a.id.cmp(&b.id));
                theirs.entries.sort_by(|a, b| a.id.cmp(&b.id));
            }
        }
        // bootctl says nothing of what it cannot read; kexec list says why.
        let known = |id: &String| theirs.entries.iter().any(|e| e.id == *id);
        // systemd-boot knows the first profile by the name of the file, and bootctl
        // by another one (sid_boots_the_profile_that_was_listed).
        let pattern = files.iter().any(|(path, text)| {
            path == "loader/loader.conf" && text.trim_ascii_end().ends_with(b".efi")
        });
        let first = ours.default.as_ref().is_some_and(|id| id.ends_with("@p0"));
        if pattern && first {
            ours.default.clone_from(&theirs.default);
        }
        ours.entries
            .retain(|e| known(&e.id) || !broken.contains(&e.id));
        if is_gone(bootctl.out().as_bytes())? {
            ours.default = None;
        }
        wrong.extend(difference(name, &theirs, &ours));
    }
    let entries: usize = all.iter().map(|(_, files)| files.len()).sum();
    println!(
        "{} menus of {entries} files, {:.0} s",
        all.len(),
        trial.seconds()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn bookworm_lists_the_same() -> Result<()> {
    listed_by_both(Suite::Bookworm)
}

#[test]
fn trixie_lists_the_same() -> Result<()> {
    listed_by_both(Suite::Trixie)
}

#[test]
fn sid_lists_the_same() -> Result<()> {
    listed_by_both(Suite::Sid)
}

/// What is changed before a cold boot, and the entry that it is to end in.
struct ColdBoot {
    name: &'static str,
    change: &'static str,
    expected: &'static str,
}

/// `entry FILE LINES...`: an entry that boots the system's own kernel.
const ENTRIES: &str = r#"
own=$(ls /root/own/entries/*.conf | sort | tail -n 1)
linux=$(sed -n 's/^linux *//p' $own)
initrd=$(sed -n 's/^initrd *//p' $own)
options=$(sed -n 's/^options *//p' $own)
entry() {
	file=$1
	shift
	{
		echo "title $file"
		echo "options $options trial=$file"
		echo "initrd $initrd"
		[ -n "$nolinux" ] || echo "linux $linux"
		for line; do echo "$line"; done
	} > "/efi/loader/entries/$file"
}
three() {
	clear
	entry new.conf 'sort-key os' 'version 10'
	entry old.conf 'sort-key os' 'version 9'
	entry oldest.conf 'sort-key os' 'version 1'
}
several() {
	clear
	entry aa.conf 'sort-key aa'
	kernel=$(ls /boot/vmlinuz-* | sort | tail -n 1)
	ukify build --profile='ID=other' --cmdline="$options trial=other" --output=/root/other.efi
	ukify build --linux=$kernel --initrd=/boot/initrd.img-${kernel#*-} \
		--profile='ID=main' --cmdline="$options trial=main" --join-profile=/root/other.efi \
		--output=/efi/EFI/Linux/several.efi
}
"#;

const NEXT: &[ColdBoot] = &[
    ColdBoot {
        name: "first",
        change: "three",
        expected: "new.conf",
    },
    ColdBoot {
        name: "default",
        change: "bootctl set-default old.conf",
        expected: "old.conf",
    },
    ColdBoot {
        name: "oneshot",
        change: "bootctl set-oneshot oldest.conf",
        expected: "oldest.conf",
    },
    ColdBoot {
        name: "oneshot-is-over",
        change: ":",
        expected: "old.conf",
    },
    ColdBoot {
        name: "pattern",
        change: "bootctl set-default ''; echo 'default OLDEST*' > /efi/loader/loader.conf",
        expected: "oldest.conf",
    },
    ColdBoot {
        name: "bad",
        change: "rm /efi/loader/loader.conf; mv /efi/loader/entries/new.conf \
                 /efi/loader/entries/new+0-3.conf",
        expected: "old.conf",
    },
    ColdBoot {
        name: "bad-by-name",
        change: "bootctl set-default new.conf",
        expected: "new.conf",
    },
    ColdBoot {
        name: "saved",
        change: "three; bootctl set-default ''; echo 'default @saved' > /efi/loader/loader.conf; \
                 bootctl set-oneshot old.conf",
        expected: "old.conf",
    },
    ColdBoot {
        name: "saved-nothing",
        change: ":",
        expected: "new.conf",
    },
    ColdBoot {
        name: "saved-and-a-default",
        change: "bootctl set-default oldest.conf",
        expected: "oldest.conf",
    },
    ColdBoot {
        name: "hidden",
        change: "bootctl set-default ''; clear; entry arch.conf; entry arch-fallback.conf; \
                 nolinux=1; entry zz-gone.conf 'linux /not/there'; entry zz-none.conf; nolinux=; \
                 entry zz-arm.conf 'architecture aa64'; entry auto-zz.conf",
        expected: "arch.conf",
    },
];

/// A UKI with two profiles, behind an entry that is the first one of the menu. Its
/// first profile has no name but that of the file, whatever bootctl says.
const PROFILES: &[ColdBoot] = &[
    ColdBoot {
        name: "pattern",
        change: "several; echo 'default *.efi' > /efi/loader/loader.conf",
        expected: "several.efi@main",
    },
    ColdBoot {
        name: "variable",
        change: "rm /efi/loader/loader.conf; bootctl set-default several.efi",
        expected: "several.efi@main",
    },
    ColdBoot {
        name: "main-name",
        change: "bootctl set-default several.efi@main",
        expected: "aa.conf",
    },
    ColdBoot {
        name: "main-number",
        change: "bootctl set-default several.efi@0",
        expected: "aa.conf",
    },
    ColdBoot {
        name: "other-name",
        change: "bootctl set-default several.efi@other",
        expected: "several.efi@other",
    },
    ColdBoot {
        name: "other-number",
        change: "bootctl set-default several.efi@1",
        expected: "aa.conf",
    },
    ColdBoot {
        name: "other-pattern",
        change: "bootctl set-default ''; echo 'default several*other' > /efi/loader/loader.conf",
        expected: "several.efi@other",
    },
    ColdBoot {
        name: "own-names",
        change: "cd /efi; mv EFI/Linux/several.efi EFI/Linux/auto-several.efi; cp loader/entries/aa.conf loader/entries/auto-zz.conf; echo 'default auto-zz*' > loader/loader.conf",
        expected: "aa.conf",
    },
];

/// How entries and loader.conf are written: quotes, backslashes, capital letters, names
/// without their suffix, counters.
fn written(suite: Suite) -> Vec<ColdBoot> {
    let old = suite == Suite::Bookworm;
    let by_version = |before, since| if old { before } else { since };
    vec![
        ColdBoot {
            name: "double-quotes",
            change: "linux=\"\\\"$linux\\\"\"; initrd=\"\\\"$initrd\\\"\"; three; \
                     echo 'default \"old.conf\"' > /efi/loader/loader.conf",
            expected: "old.conf",
        },
        ColdBoot {
            name: "single-quotes",
            change: "three; echo \"default 'old.conf'\" > /efi/loader/loader.conf",
            expected: by_version("new.conf", "old.conf"),
        },
        ColdBoot {
            name: "backslashes",
            change: "clear; entry aa.conf; \
                     sed -i '/^linux/s,/,\\\\,g; /^initrd/s,/,\\\\,g' /efi/loader/entries/aa.conf",
            expected: "aa.conf",
        },
        ColdBoot {
            name: "capitals",
            change: "clear; entry vanilla.conf; entry Zlts.conf",
            expected: "zlts.conf",
        },
        ColdBoot {
            name: "no-suffix",
            change: "three; echo 'default old' > /efi/loader/loader.conf",
            expected: "new.conf",
        },
        ColdBoot {
            name: "counted",
            change: "clear; entry aa.conf 'sort-key aa'; entry zz+3.conf 'sort-key zz'; \
                     echo 'default zz.conf' > /efi/loader/loader.conf",
            expected: by_version("aa.conf", "zz.conf"),
        },
    ]
}

/// What the boot loader does and kexec list does not say: others of that version, patched,
/// may do something else.
const REFUSED: &[&str] = &["no-suffix"];

/// What the boot loader left behind.
const REPORT: &str = "
interface=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
put_file selected /sys/firmware/efi/efivars/LoaderEntrySelected-$interface
put_file entries /sys/firmware/efi/efivars/LoaderEntries-$interface
";

/// Cold boots, one after the other; before each, both programs say what it will
/// be.
fn booted_next(suite: Suite, steps: &[ColdBoot]) -> Result<()> {
    let lab = Lab::open()?;
    let mut machine = InstalledMachine::new(&lab, suite, SystemLayout::EfiSystemdBoot)
        .product()?
        .cold_boots(steps.len());
    for next in steps {
        let script = format!(
            "{WORDS}{ENTRIES}{REPORT}{{ {}; }} > /run/lab/changed 2>&1\n\
             run changed cat /run/lab/changed\nrun kexec kexec list --json\n\
             run bootctl bootctl list --json=short\njump systemctl reboot\n",
            next.change
        );
        machine = machine.stage(next.name, &script);
    }
    let script = format!("{WORDS}{ENTRIES}{REPORT}");
    let trial = machine.stage("end", &script).run()?;
    let names = steps.iter().map(|next| next.name).chain(["end"]);
    let names: Vec<&str> = names.collect();
    let mut wrong = Vec::new();
    for (next, after) in steps.iter().zip(names.iter().skip(1)) {
        let (before, after) = (trial.stage(next.name)?, trial.stage(after)?);
        println!("{}", before.run("changed")?.out());
        let kexec = before.run("kexec")?;
        let (mut menu, broken) = ours(kexec.out().as_bytes())?;
        let called = by_loader(kexec.out().as_bytes())?;
        // Its names are in lower case.
        let name = |id: &String| called.get(id).unwrap_or(id).to_ascii_lowercase();
        let expected = name(&next.expected.to_owned());
        menu.default = menu.default.as_ref().map(name);
        let booted = utf16(after.file("selected")?)?;
        let [booted] = booted.as_slice() else {
            bail!("{}: LoaderEntrySelected holds {booted:?}", next.name);
        };
        let bootctl = theirs(before.run("bootctl")?.out().as_bytes())?.default;
        println!(
            "{}: kexec says {:?}, bootctl {bootctl:?}, booted {booted}",
            next.name, menu.default
        );
        let same = match REFUSED.contains(&next.name) {
            true => menu.default.is_none(),
            false => menu.default.as_ref() == Some(booted),
        };
        if !same || *booted != expected {
            wrong.push(format!(
                "{}: expected {expected}, kexec list said {:?}, systemd-boot booted {booted}",
                next.name, menu.default
            ));
        }
        // The menu of systemd-boot, without the entries of its own.
        let mut shown = utf16(after.file("entries")?)?;
        shown.retain(|id| !id.starts_with("auto-") || id.contains(".conf") || id.contains(".efi"));
        // Counters are part of its names there.
        for id in shown.iter_mut().filter(|_| suite == Suite::Bookworm) {
            if let Some((front, counters)) = id.rsplit_once('+')
                && let Some((_, suffix)) = counters.rsplit_once('.')
            {
                *id = format!("{front}.{suffix}");
            }
        }
        let listed = menu.entries.iter().map(|entry| &entry.id);
        let listed = listed.filter(|id| !broken.contains(id));
        let listed: Vec<String> = listed.map(name).collect();
        if shown != listed {
            wrong.push(format!(
                "{}: systemd-boot's menu is {shown:?}, kexec list has {listed:?}",
                next.name
            ));
        }
    }
    println!("{:.0} s", trial.seconds());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The texts of a variable: in UTF-16, each with its NUL, behind four bytes of
/// attributes.
fn utf16(variable: &[u8]) -> Result<Vec<String>> {
    let value = variable.get(4..).context("a variable without attributes")?;
    let (units, []) = value.as_chunks::<2>() else {
        bail!("an odd number of bytes: {value:?}");
    };
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let texts = units
        .split(|unit| *unit == 0)
        .filter(|text| !text.is_empty());
    texts
        .map(|text| String::from_utf16(text).context("a variable of the boot loader"))
        .collect()
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn trixie_boots_what_was_listed() -> Result<()> {
    booted_next(Suite::Trixie, NEXT)
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn sid_boots_what_was_listed() -> Result<()> {
    booted_next(Suite::Sid, NEXT)
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn trixie_boots_the_profile_that_was_listed() -> Result<()> {
    booted_next(Suite::Trixie, PROFILES)
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn sid_boots_the_profile_that_was_listed() -> Result<()> {
    booted_next(Suite::Sid, PROFILES)
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn bookworm_boots_what_was_written() -> Result<()> {
    booted_next(Suite::Bookworm, &written(Suite::Bookworm))
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn trixie_boots_what_was_written() -> Result<()> {
    booted_next(Suite::Trixie, &written(Suite::Trixie))
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn sid_boots_what_was_written() -> Result<()> {
    booted_next(Suite::Sid, &written(Suite::Sid))
}
