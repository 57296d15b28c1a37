//! Scripts, and values of `default`, run by the real GRUB of three releases.

use crate::plain;
use anyhow::{Context, Result, ensure};
use kexec_entries::grub::{Boot, Device, FilePath, GrubPlatform, MemoryDevices, Start, evaluate};
use kexec_lab::apt::Suite;
use kexec_lab::{GuestSlot, Lab, grub};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Scripts with what they print, which the evaluator's own tests use as well.
const SCRIPTS: &str = include_str!("../../../crates/kexec-entries/src/grub/tests/language.txt");

/// GRUB on the serial port; which group of menus comes next is in its block.
pub(crate) const HEAD: &str =
    "serial --unit=0 --speed=115200\nterminal_output serial\nset pager=0\nload_env\n";

/// What may stand before a menu.
const DEFAULTS: &[&str] = &[
    "true",
    "default=0",
    "default=1",
    "default=3",
    "default=4",
    "default=99",
    "default=-1",
    "default=' 1'",
    "default=01",
    "default=010",
    "default=0x1",
    "default=idb",
    "default='B title'",
    "default=A",
    "default=dup",
    "default=nope",
    "default=IDB",
    "default=2",
    "default='2>0'",
    "default='2>1'",
    "default='S>S1'",
    "default='ids>ids1'",
    "default='ids>2>1'",
    "default='ids>idt>T1'",
    "default='2>2'",
    "default='2>9'",
    "default='2>nope'",
    "default=ids1",
    "default='1>0'",
    "default='2 > 1'",
    "default='2>'",
    "default='>1'",
    "default='in>>ner'",
    "default='in>ner'",
    "default=99999999999999999999999",
    "default=1x",
    "default='3 three'",
    "default='7 seven'",
    "default=6b65-id",
    "default=5",
    "default='0 zero'",
    "default=0a",
    "default='2>1 one'",
    "default='2>1b'",
    "plain=P; export menu; menu=3; default=$menu",
    "function pick { default=$1; }; pick ids",
];
/// Of these, the ones that name an entry with a title or an id that begins with
/// a digit.
const BEGIN_WITH_A_DIGIT: &[&str] = &[
    "default='3 three'",
    "default='7 seven'",
    "default=6b65-id",
    "default='0 zero'",
    "default=0a",
    "default='2>1 one'",
    "default='2>1b'",
];
/// A script with bytes that are no UTF-8, which says `same` and `other`.
const LATIN_1: &[u8] = b"# f\xfcr\nset a=\"M\xfc\"\n\
    if [ \"$a\" = \"M\xfc\" ]; then echo same; fi\n\
    if [ \"$a\" != \"M\xe4\" ]; then echo other; fi\n";
/// A menu opens the next one; deeper than this GRUB does not go.
const GROUP: usize = 12;

/// The menu that they choose from; `say` gives the body of the entry with a title.
fn menu(say: impl Fn(&str) -> String) -> String {
    let entry = |title: &str, id: &str| {
        let id = match id {
            "" => String::new(),
            id => format!("--id {id}"),
        };
        let body = say(title);
        format!("menuentry '{title}' {id} {{ {body} }}\n")
    };
    [
        entry("A", "ida"),
        entry("B title", "idb"),
        "submenu 'S' --id ids {\n".to_owned(),
        entry("S0", "ids0"),
        entry("S1", "ids1"),
        "submenu 'T' --id idt {\n".to_owned(),
        entry("T0", "idt0"),
        entry("T1", "idt1"),
        "}\n".to_owned(),
        entry("1 one", "1b"),
        "}\n".to_owned(),
        entry("3 three", ""),
        entry("in>ner", ""),
        entry("7 seven", "6b65-id"),
        entry("A", "dup"),
        entry("0 zero", "0a"),
    ]
    .concat()
}

/// What the evaluator would boot.
fn ours(config: &str) -> String {
    let at = |path: &str| FilePath {
        device: Device("disk".into()),
        path: path.to_owned(),
    };
    let mut world = MemoryDevices::new();
    world.add("disk", "/boot/grub/grub.cfg", config.as_bytes());
    world.add("disk", "/x", b"");
    let facts = GrubPlatform {
        platform: "pc".to_owned(),
        cpu: "i386".to_owned(),
        long_mode: Some(true),
        firmware_setup: None,
    };
    let start = Start {
        config: at("/boot/grub/grub.cfg"),
        prefix: at("/boot/grub"),
        cmdpath: None,
        relative: false,
    };
    match evaluate(&world, &facts, &start).default {
        Ok(choice) => match choice.boot {
            Ok(Boot::Linux { cmdline, .. }) => cmdline,
            other => format!("{other:?}"),
        },
        Err(why) => format!("refused: {why}"),
    }
}

/// The sections of [`SCRIPTS`]: name, script, output.
fn sections() -> Result<Vec<(&'static str, &'static str, Vec<&'static str>)>> {
    let sections = SCRIPTS.trim_start_matches("== ").split("\n== ");
    sections
        .map(|section| {
            let (name, rest) = section.split_once('\n').context("no name")?;
            let (script, output) = rest.split_once("\n--\n").context("no output")?;
            let lines = output.lines().map(str::trim_end);
            Ok((
                name,
                script,
                lines.filter(|line| !line.is_empty()).collect(),
            ))
        })
        .collect()
}

/// The files of the disk: scripts are run at the first start, then each start
/// goes through one group of menus, and says which one is next.
fn files(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("t"))?;
    // What the scripts look at.
    fs::write(root.join("empty"), "")?;
    std::os::unix::fs::symlink("boot", root.join("link"))?;
    for name in ["a/one.cfg", "b/two.cfg"] {
        let path = root.join("w").join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(path, "")?;
    }
    let mut config = format!("{HEAD}if [ -z \"$group\" ]; then\n");
    for (at, (name, script, _)) in sections()?.iter().enumerate() {
        fs::write(root.join(format!("t/s{at}")), format!("{script}\n"))?;
        writeln!(config, "echo \"@script {name}\"\nsource /t/s{at}")?;
    }
    fs::write(root.join("t/latin1"), LATIN_1)?;
    config.push_str("echo \"@latin1\"\nsource /t/latin1\nset group=0\nfi\n");
    // `normal` without a file reads the one of its prefix, in the same context.
    fs::create_dir_all(root.join("n"))?;
    let normal = "prefix=$old\necho \"@normal $kept\"\necho @menus\nconfigfile /t/d$group\n";
    fs::write(root.join("n/grub.cfg"), normal)?;
    config.push_str("export group; kept=K; old=$prefix; prefix=($root)/n; normal\n");
    for (at, before) in DEFAULTS.iter().enumerate() {
        let next = at + 1;
        let after = match next % GROUP == 0 || next == DEFAULTS.len() {
            true => format!("set group={next}; save_env group; echo @next; halt"),
            false => format!("configfile /t/d{next}"),
        };
        let say = |title: &str| format!("echo \"@default {at} {title}\"; {after}");
        let text = format!("set timeout=0\n{before}\n{}", menu(say));
        fs::write(root.join(format!("t/d{at}")), text)?;
    }
    let mut block = b"# GRUB Environment Block\n".to_vec();
    block.resize(1024, b'#');
    fs::create_dir_all(root.join("boot/grub"))?;
    fs::write(root.join("boot/grub/grubenv"), block)?;
    fs::write(root.join("boot/grub/grub.cfg"), config)?;
    Ok(())
}

#[test]
fn scripts_and_defaults_as_the_real_ones_have_them() -> Result<()> {
    let lab = Lab::open()?;
    let mut wrong = Vec::new();
    for suite in [Suite::Bookworm, Suite::Trixie, Suite::Sid] {
        let grub = lab.grub(suite)?;
        let dir = tempfile::tempdir()?;
        let (root, image) = (dir.path().join("root"), dir.path().join("disk"));
        files(&root)?;
        grub.disk(&lab, &root, &image)?;
        let mut lines = Vec::new();
        let slot = GuestSlot::wait()?;
        for _ in 0..DEFAULTS.len().div_ceil(GROUP) {
            let said = grub::boot(&lab, &slot, &image, Duration::from_secs(90), |line| {
                line.contains("@next")
            })?;
            lines.extend(said.iter().map(|line| plain(line)));
        }
        drop(slot);
        println!("GRUB {}", grub.version);
        wrong.extend(scripts(&lines, &grub.version)?);
        let said = lines.iter().skip_while(|line| *line != "@latin1");
        let said: Vec<&String> = said.skip(1).take(2).collect();
        ensure!(said == ["same", "other"], "{}: {said:?}", grub.version);
        let normal = lines.iter().filter(|line| *line == "@normal K").count();
        ensure!(normal > 0, "{}: normal was not seen", grub.version);
        wrong.extend(defaults(&lines, &grub.version)?);
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Where the real output of a script is another one.
fn scripts(lines: &[String], version: &str) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (name, _, wanted) in sections()? {
        let start = lines
            .iter()
            .position(|line| *line == format!("@script {name}"));
        let start = start.with_context(|| format!("{version} did not run {name}"))?;
        let said: Vec<&str> = lines
            .iter()
            .skip(start + 1)
            .map(|line| line.trim_end())
            .take_while(|line| !line.starts_with('@') || line.starts_with("@<"))
            // Errors are worded otherwise in every version.
            .filter(|line| !line.is_empty() && !line.starts_with("error:"))
            .collect();
        println!("  script {name}: {} lines", said.len());
        if said != wanted {
            wrong.push(format!(
                "{version}: {name}: said {said:#?}, not {wanted:#?}"
            ));
        }
    }
    Ok(wrong)
}

/// Where the real GRUB chose another entry.
fn defaults(lines: &[String], version: &str) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (at, before) in DEFAULTS.iter().enumerate() {
        let start = format!("@default {at} ");
        let real = lines.iter().find_map(|line| line.strip_prefix(&start));
        let real = real.with_context(|| format!("{version} did not choose for {before}"))?;
        // In quotes a title with a blank would have quotes on the command line, too.
        let say = |title: &str| format!("linux /x {}", title.replace('>', "\\>"));
        let ours = ours(&format!("set timeout=0\n{before}\n{}", menu(say)));
        println!("  {before}: {real}");
        // What Fedora's GRUB takes for a title is not said of any other.
        let unsaid = ours.starts_with("refused: ") && ours.contains("the distribution's GRUB");
        if ours != real && !(unsaid && BEGIN_WITH_A_DIGIT.contains(before)) {
            wrong.push(format!("{version}: {before}: {real:?}, not {ours:?}"));
        }
    }
    Ok(wrong)
}
