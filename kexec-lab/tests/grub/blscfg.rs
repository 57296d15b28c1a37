//! Entries of the Boot Loader Specification, read by the `blscfg` of GRUB 2.14. That
//! of Fedora is not in Debian: what is known of it is in the evaluator's own tests.

use crate::language::HEAD;
use crate::plain;
use anyhow::{Context, Result, ensure};
use kexec_entries::grub::{Boot, Device, FilePath, GrubPlatform, MemoryDevices, Start, evaluate};
use kexec_lab::apt::Suite;
use kexec_lab::{GuestSlot, Lab, grub};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Entries: each is read alone. In none of them have the options 6 bytes, or 16 more:
/// the buffer of GRUB 2.14 for `linux /k OPTIONS` is a byte too short, and then what is
/// behind it is overwritten.
const ENTRIES: &[&str] = &[
    "title x\nlinux /k\ninitrd /i\noptions root=x ro\n",
    "linux /k\noptions root=x $kernelopts quiet\ninitrd /i $tuned_initrd\n",
    "linux /k\noptions ro $tuned_params\ninitrd /i $more\n",
    "linux /k\noptions $tuned_params\ninitrd /i\n",
    "linux /k\noptions $tuned_params$kernelopts\ninitrd /i\n",
    "linux /k\noptions ab=$kernelopts,cd\ninitrd /i\n",
    "linux /k\noptions ab $kernelopts x\ninitrd /i\n",
    "linux /k\noptions foo=\"a b\" ro\ninitrd /i\n",
    "linux /k\noptions dyndbg='file a.c +p' \"xy$more\" zz\ninitrd /i\n",
    "linux /k\noptions a\\ b c\\\\d e\\x2df \"g\\x2dh\"\ninitrd /i\n",
    "linux /k\noptions abc #def\ninitrd /i\n",
    "linux /k\noptions one\noptions two\ninitrd /i\ninitrd /j\nlinux /l\n",
    "#x\n  linux   /k  \n\toptions\tone two\r\ninitrd\t/i /j\n",
    "linux /k\noptions one\ninitrd /i\n\noptions two\n",
    "linux /k\ninitrd /i\nnothing\noptions two\n",
    "linux /k\ninitrd /i\nmore \noptions two\n",
    "linux /k more words\noptions ab\ninitrd /i\n",
    "linux /k\noptions ab;cd=1\ninitrd /i\n",
    "linux /k\noptions a*b [c] ~ %d @e\ninitrd /i\n",
    "linux /k\noptions a\ninitrd /i\n",
];

/// A menu opens the next one; deeper than this GRUB does not go.
const GROUP: usize = 8;

/// What is set before they are read.
const BEFORE: &str = "set timeout=0\nset kernelopts='r=1 q'\nset more='/early /late'\n";

/// A word on a kernel's command line, as the manual's "linux" has it.
fn quoted(word: &str) -> String {
    let mut line = String::new();
    for c in word.chars() {
        if matches!(c, '\\' | '\'' | '"') {
            line.push('\\');
        }
        line.push(c);
    }
    match word.contains(' ') {
        true => format!("\"{line}\""),
        false => line,
    }
}

/// The disk. GRUB's own `linux` and `initrd` are gone; functions that say what they
/// are given take their places, and go on to the next entry.
fn files(root: &Path) -> Result<()> {
    let functions = "function linux { for i in \"$@\"; do echo \"@word <$i>\"; done; }\n\
        function initrd { for i in \"$@\"; do echo \"@file <$i>\"; done; source /t/after$next; }\n";
    fs::create_dir_all(root.join("boot/grub"))?;
    fs::create_dir_all(root.join("t"))?;
    let config =
        format!("{HEAD}{functions}if [ -z \"$group\" ]; then group=0; fi\nconfigfile /t/$group\n");
    fs::write(root.join("boot/grub/grub.cfg"), config)?;
    for (at, entry) in ENTRIES.iter().enumerate() {
        let folder = root.join(format!("c/{at}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("e.conf"), entry)?;
        let next = at + 1;
        let text = format!(
            "{BEFORE}set next={next}; export next\necho \"@entry {at}\"\n\
             blscfg --path /c/{at}\n"
        );
        fs::write(root.join(format!("t/{at}")), text)?;
    }
    for next in 1..=ENTRIES.len() {
        let text = match next % GROUP == 0 || next == ENTRIES.len() {
            true => format!("set group={next}; save_env group; echo @next; halt\n"),
            false => format!("configfile /t/{next}\n"),
        };
        fs::write(root.join(format!("t/after{next}")), text)?;
    }
    let mut block = b"# GRUB Environment Block\n".to_vec();
    block.resize(1024, b'#');
    fs::write(root.join("boot/grub/grubenv"), block)?;
    Ok(())
}

/// What the evaluator would boot: the command line, and the initrds.
fn ours(entry: &str) -> String {
    let at = |path: &str| FilePath {
        device: Device("disk".into()),
        path: path.to_owned(),
    };
    let mut world = MemoryDevices::new();
    let config = format!("{BEFORE}insmod blsuki\nblscfg --path /c\n");
    world.add("disk", "/boot/grub/grub.cfg", config.as_bytes());
    world.add("disk", "/c/e.conf", entry.as_bytes());
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
    match evaluate(&world, &facts, &start)
        .default
        .map(|choice| choice.boot)
    {
        Ok(Ok(Boot::Linux {
            kernel,
            cmdline,
            initrds,
            ..
        })) => {
            let initrds: Vec<String> = initrds.into_iter().map(|file| file.path).collect();
            format!("{} [{cmdline}] {}", kernel.path, initrds.join(" "))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn entries_as_the_real_one_pastes_them() -> Result<()> {
    let lab = Lab::open()?;
    let grub = lab.grub(Suite::Sid)?;
    let dir = tempfile::tempdir()?;
    let (root, image) = (dir.path().join("root"), dir.path().join("disk"));
    files(&root)?;
    grub.disk_without(&lab, &["linux"], &root, &image)?;
    let slot = GuestSlot::wait()?;
    let mut lines = Vec::new();
    for _ in 0..ENTRIES.len().div_ceil(GROUP) {
        let said = grub::boot(&lab, &slot, &image, Duration::from_secs(90), |line| {
            line.contains("@next")
        })?;
        lines.extend(said.iter().map(|line| plain(line)));
    }
    drop(slot);
    println!("GRUB {}", grub.version);
    let mut wrong = Vec::new();
    for (at, entry) in ENTRIES.iter().enumerate() {
        let mark = format!("@entry {at}");
        let start = lines.iter().position(|line| *line == mark);
        let start = start.with_context(|| format!("{entry:?} was not read"))?;
        let of = |kind: &str| -> Vec<String> {
            let said = lines.iter().skip(start + 1);
            let said = said.take_while(|line| !line.starts_with("@entry") && *line != "@next");
            let inner = said.filter_map(|line| {
                line.strip_prefix(kind)?
                    .strip_prefix(" <")?
                    .strip_suffix('>')
            });
            inner.map(str::to_owned).collect()
        };
        let words = of("@word");
        let (kernel, words) = words.split_first().context("no kernel")?;
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let real = format!("{kernel} [{}] {}", words.join(" "), of("@file").join(" "));
        println!("  {entry:?}: {real}");
        let ours = ours(entry);
        if real != ours {
            wrong.push(format!("{entry:?}: {real:?}, not {ours:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
