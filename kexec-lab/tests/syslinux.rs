//! syslinux: which label it boots by itself, and which one kexec-load says it boots.
//!
//! A disk in memory with Debian's syslinux and a configuration, whose labels print a file
//! each on the serial port.

use anyhow::{Context, Result, ensure};
use kexec_entries::extlinux::choose::{ExtlinuxDefault, choose};
use kexec_entries::extlinux::config::{Placed, assemble};
use kexec_entries::extlinux::parse::{ConfigReader, parse};
use kexec_lab::apt::{Keep, Suite};
use kexec_lab::{GuestSlot, Lab, grub};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A configuration, in which `[a]` stands for a label that prints `a`, and the label that
/// is booted; none where syslinux waits.
struct Case {
    name: &'static str,
    text: &'static str,
    boots: Option<char>,
}

const fn case(name: &'static str, text: &'static str, boots: Option<char>) -> Case {
    Case { name, text, boots }
}

const CASES: &[Case] = &[
    case(
        "each menu has its default",
        "ui menu.c32\n[a]\n[b]\nmenu default\nmenu begin x\n[c]\nmenu default\nmenu end\n",
        Some('b'),
    ),
    case(
        "a default of a submenu is none of the menu",
        "ui menu.c32\n[a]\nmenu begin x\n[c]\nmenu default\nmenu end\n",
        Some('a'),
    ),
    case(
        "DEFAULT before MENU DEFAULT",
        "ui menu.c32\ndefault b\n[a]\nmenu default\n[b]\n",
        Some('b'),
    ),
    case(
        "DEFAULT in a submenu",
        "ui menu.c32\ndefault c\n[a]\nmenu default\nmenu begin x\n[c]\nmenu end\n",
        Some('c'),
    ),
    case(
        "DEFAULT with options",
        "ui menu.c32\ndefault b quiet\n[a]\n[b]\n",
        Some('b'),
    ),
    case(
        "DEFAULT that names nothing",
        "ui menu.c32\ndefault gone\n[a]\n[b]\n",
        Some('a'),
    ),
    case(
        "DEFAULT that is hidden",
        "ui menu.c32\ndefault b\n[a]\n[b]\nmenu hide\n",
        Some('a'),
    ),
    case(
        "a menu that is DEFAULT",
        "default menu.c32\n[a]\n[b]\nmenu default\n",
        Some('b'),
    ),
    case(
        "the last MENU DEFAULT",
        "ui menu.c32\n[a]\nmenu default\n[b]\nmenu default\n",
        Some('b'),
    ),
    case(
        "a submenu is first",
        "ui menu.c32\nmenu begin x\n[c]\nmenu end\n[b]\n",
        None,
    ),
    case(
        "a submenu is marked",
        "ui menu.c32\n[a]\nmenu begin x\nmenu default\n[c]\nmenu end\n",
        None,
    ),
    case(
        "MENU START",
        "ui menu.c32\n[a]\nmenu begin x\nmenu start\n[c]\nmenu end\n",
        Some('c'),
    ),
    case(
        "ONTIMEOUT",
        "ui menu.c32\nontimeout b\n[a]\n[b]\n",
        Some('b'),
    ),
    case(
        "ONTIMEOUT of another menu",
        "ui menu.c32\n[a]\nmenu begin x\nontimeout b\n[c]\nmenu end\n[b]\n",
        Some('a'),
    ),
    case(
        "a disabled label is first",
        "ui menu.c32\n[a]\nmenu disable\n[b]\n",
        None,
    ),
    case(
        "a separator is first",
        "ui menu.c32\nmenu separator\n[b]\n",
        None,
    ),
    case(
        "a separator in between",
        "ui menu.c32\n[a]\nmenu separator\n[b]\nmenu default\n",
        Some('b'),
    ),
    case(
        "no menu, DEFAULT",
        "default b\n[a]\nmenu default\n[b]\n",
        Some('b'),
    ),
    case("no menu, no DEFAULT", "[a]\nmenu default\n[b]\n", None),
    case(
        "no menu, ONTIMEOUT without a prompt",
        "default a\nontimeout b\n[a]\n[b]\n",
        Some('a'),
    ),
    case(
        "no menu, ONTIMEOUT at a prompt",
        "prompt 1\ndefault a\nontimeout b\n[a]\n[b]\n",
        Some('b'),
    ),
];

/// The configuration as it is written.
fn written(text: &str) -> String {
    let mut out = "serial 0 115200\ntimeout 10\n".to_owned();
    for line in text.lines() {
        match line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            Some(label) => out.push_str(&format!(
                "label {label}\ncom32 cat.c32\nappend {label}.txt\n"
            )),
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

/// What kexec-load says that it boots.
fn said(text: &str) -> Option<char> {
    let placed = parse(text, ConfigReader::Syslinux).into_iter();
    let placed = placed.map(|directive| Placed { file: 0, directive });
    let config = assemble(placed, ConfigReader::Syslinux);
    let ExtlinuxDefault::Label(index, _) = choose(&config) else {
        return None;
    };
    config.labels.get(index)?.name.value.chars().next()
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}

/// What the real one boots.
fn booted(
    lab: &Lab,
    slot: &GuestSlot,
    [tools, modules]: [&Path; 2],
    text: &str,
) -> Result<Option<char>> {
    let scratch = tempfile::tempdir()?;
    let image = scratch.path().join("disk");
    fs::write(&image, vec![0; 16 << 20])?;
    let mtool = |name: &str| {
        let mut command = Command::new(name);
        command.arg("-i").arg(&image);
        command
    };
    run(mtool("mformat").args(["-t", "32", "-h", "16", "-s", "63", "::"]))?;
    run(mtool("mmd").arg("::/syslinux"))?;
    let config = scratch.path().join("syslinux.cfg");
    fs::write(&config, text)?;
    let mut files = vec![config];
    for label in ['a', 'b', 'c'] {
        let file = scratch.path().join(format!("{label}.txt"));
        fs::write(&file, format!("\n@booted {label}\n"))?;
        files.push(file);
    }
    let modules = modules.join("usr/lib/syslinux/modules/bios");
    for name in ["ldlinux", "menu", "libutil", "libcom32", "cat"] {
        files.push(modules.join(format!("{name}.c32")));
    }
    run(mtool("mcopy").args(&files).arg("::/syslinux/"))?;
    let mut install = Command::new(tools.join("usr/bin/syslinux"));
    run(install
        .args(["--directory", "syslinux", "--install"])
        .arg(&image))?;
    let is = |line: &str| line.contains("@booted ");
    match grub::boot(lab, slot, &image, Duration::from_secs(20), is) {
        Ok(lines) => {
            let line = lines.iter().find(|line| is(line));
            let line = line.with_context(|| format!("it ended and booted nothing: {lines:?}"))?;
            Ok(line.split("@booted ").nth(1).and_then(|l| l.chars().next()))
        }
        // It waits for a key.
        Err(_) => Ok(None),
    }
}

#[test]
fn what_is_said_of_these_configurations() {
    for Case { name, text, boots } in CASES {
        assert_eq!(said(&written(text)), *boots, "{name}");
    }
}

#[test]
#[ignore = "a cell of cargo xtask test --all"]
fn syslinux_boots_what_is_said() -> Result<()> {
    let lab = Lab::open()?;
    let keep = Keep::Named(&["syslinux"]);
    let tools = lab.package(Suite::Bookworm, "syslinux", keep)?;
    let modules = lab.package(Suite::Bookworm, "syslinux-common", keep)?;
    let trees = [tools.path.as_path(), &modules.path];
    let slot = GuestSlot::wait()?;
    let mut wrong = Vec::new();
    for Case { name, text, boots } in CASES {
        let booted = booted(&lab, &slot, trees, &written(text))?;
        println!("{name}: {booted:?}");
        if booted != *boots {
            wrong.push(format!(
                "{name}: expected {boots:?}, syslinux booted {booted:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
