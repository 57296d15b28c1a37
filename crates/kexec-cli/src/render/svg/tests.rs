//! Pictures are documents, whatever the names in them.
#![allow(clippy::panic)]

use super::super::plans::{Ask, map_names, piece};
use super::*;
use proptest::prelude::*;

/// Whether every tag is closed, every attribute quoted, every `&` one of
/// the entities that XML knows. Returns the texts.
fn well_formed(document: &str) -> Result<Vec<String>, String> {
    let mut rest = document
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
        .ok_or("no declaration")?;
    let mut open: Vec<&str> = Vec::new();
    let mut texts = Vec::new();
    while let Some(at) = rest.find('<') {
        let (text, tail) = rest.split_at(at);
        texts.push(characters(text)?);
        if open.is_empty() && !text.trim().is_empty() {
            return Err(format!("text outside: {text}"));
        }
        let (tag, tail) = tail.split_once('>').ok_or("a tag without its end")?;
        let tag = tag.strip_prefix('<').unwrap_or(tag);
        rest = tail;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes something else"));
            }
            continue;
        }
        let (tag, empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase()) {
            return Err(format!("<{name}>"));
        }
        let mut attributes = attributes.trim_start();
        while !attributes.is_empty() {
            let (key, tail) = attributes.split_once("=\"").ok_or(attributes)?;
            let (value, tail) = tail.split_once('"').ok_or(attributes)?;
            if !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Err(format!("{key}="));
            }
            texts.push(characters(value)?);
            attributes = tail.trim_start();
        }
        if !empty {
            open.push(name);
        }
    }
    if !open.is_empty() || !rest.trim().is_empty() {
        return Err(format!("{open:?} is open before {rest}"));
    }
    Ok(texts)
}

/// Character data without its entities.
fn characters(text: &str) -> Result<String, String> {
    let legal =
        |c: char| matches!(c, '\n' | ' '..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    if let Some(c) = text.chars().find(|c| !legal(*c) || *c == '<') {
        return Err(format!("{c:?} in {text}"));
    }
    let mut out = String::new();
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (entity, tail) = part
            .split_once(';')
            .ok_or_else(|| format!("raw & in {text}"))?;
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            other => return Err(format!("&{other};")),
        });
        out.push_str(tail);
    }
    Ok(out)
}

/// The texts must end before the right edge.
fn assert_fits(document: &str) {
    for line in document.lines().filter(|l| l.starts_with("<text ")) {
        let x = line
            .split_once(" x=\"")
            .and_then(|(_, t)| t.split_once('"'));
        let x: u64 = x.and_then(|(x, _)| x.parse().ok()).unwrap_or(0);
        let text = line.split_once('>').and_then(|(_, t)| t.rsplit_once("</"));
        let text = characters(text.map_or("", |(t, _)| t)).unwrap_or_default();
        let small = ["kx-head", "kx-address", "kx-badge", "kx-middle"];
        if !small.iter().any(|c| line.contains(c)) {
            assert!(columns(&text) <= letters(x), "{line}");
        }
    }
}

#[test]
fn the_checker_finds_what_is_broken() {
    let check = |body: &str| {
        well_formed(&format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}"
        ))
    };
    assert!(check("<svg a=\"b\"><g/>x &amp; y</svg>\n").is_ok());
    for broken in [
        "<svg>",
        "<svg></g></svg>",
        "<svg>a & b</svg>",
        "<svg>&nbsp;</svg>",
        "<svg>< b</svg>",
        "<svg a=b></svg>",
        "<svg a=\"<\"></svg>",
        "<svg>\u{1b}</svg>",
        "<svg/>x",
    ] {
        assert!(check(broken).is_err(), "{broken}");
    }
}

#[test]
fn every_map_is_a_document() {
    for map in map_names() {
        for ask in [Ask::new(&map), Ask::multiboot(&map)] {
            let plan_ = ask.plan();
            let svg = plan(&plan_);
            well_formed(&svg).unwrap_or_else(|e| panic!("{map}: {e}"));
            assert_fits(&svg);
            for segment in &plan_.segments {
                let start = format!(">{:#x}</text>", segment.memory.start);
                assert!(svg.contains(&start), "{map}: {}", segment.name);
            }
        }
    }
}

#[test]
fn terabytes_leave_the_picture_readable() {
    for map in ["5t", "80t", "182-entries", "numa-4"] {
        let svg = plan(&Ask::new(map).plan());
        let height = svg
            .split_once("height=\"")
            .and_then(|(_, t)| t.split_once('"'));
        let height: u64 = height.and_then(|(h, _)| h.parse().ok()).unwrap_or(0);
        assert!((400..2500).contains(&height), "{map}: {height}");
    }
    assert_eq!(height(Range::new(0, 4096)), 20);
    assert_eq!(height(Range::new(0, 1 << 42)), 80);
}

#[test]
fn names_from_outside_are_text_and_nothing_else() {
    let hostile = "</text><script>alert('1')</script>&\"\u{1b}\u{0}\u{ffff}]]>";
    let mut ask = Ask::new("6g");
    ask.path = format!("/boot/{hostile}");
    ask.cmdline = format!("a=<b> {}", hostile.replace('\0', "\r\n"))
        .as_str()
        .into();
    ask.initrd = vec![piece(hostile, 5000), piece("--><!--", 6000)];
    let mut made = ask.plan();
    made.notes.push(hostile.into());
    made.method.push_str(hostile);
    made.destinations.kept.push(kexec_plan::memory::Resource {
        range: Range::new(0x10_0000, 0x20_0000),
        name: hostile.into(),
        depth: 1,
    });
    let svg = plan(&made);
    let texts = well_formed(&svg).unwrap_or_else(|e| panic!("{e}"));
    assert!(!svg.contains("<script"), "{svg}");
    let shown = "/boot/</text><script>alert('1')</script>&\"\\x1b\\x00\\u{ffff}]]>";
    assert!(texts.iter().any(|t| t.contains(shown)), "{texts:?}");
}

#[test]
fn it_says_how_it_starts_and_how_much_it_is() {
    let plan_ = Ask::multiboot("crashkernel").plan();
    let svg = plan(&plan_);
    for text in [
        format!("{:#x}", plan_.entry),
        format!("{:#x}", plan_.purgatory.exit.rip),
        format!("{:#x}", plan_.purgatory.exit.rbx),
        ">EIP<".into(),
        bytes(plan_.total),
        bytes(plan_.limit),
        "Crash kernel, kept".into(),
        "<title id=\"kx-title\">".into(),
        "<desc id=\"kx-desc\">".into(),
        "prefers-color-scheme:dark".into(),
    ] {
        assert!(svg.contains(&text), "{text}");
    }
    assert!(!svg.contains("href") && !svg.contains("@import"));
}

#[test]
fn the_legend_has_what_is_there() {
    let svg = plan(&Ask::new("6g").plan());
    assert!(svg.contains(">RAM, free for segments<"));
    assert!(!svg.contains(">in RAM, kept<") && !svg.contains(">module<"));
    let svg = plan(&Ask::new("crashkernel").plan());
    assert!(svg.contains(">in RAM, kept<"));
}

#[test]
fn an_entry_outside_of_the_image_gets_no_arrow() {
    let arrow = "<path class=\"kx-arrow\" d=\"M172 ";
    let mut ask = Ask::new("6g");
    let known = plan(&ask.plan());
    assert_eq!(known.matches("C148 ").count(), 1);
    assert_eq!(known.matches(arrow).count(), 3);
    ask.options.entry = Some(u64::MAX);
    let svg = plan(&ask.plan());
    assert!(svg.contains("0xffffffffffffffff (in no segment)"));
    assert_eq!(svg.matches(arrow).count(), 1);
    assert!(well_formed(&svg).is_ok());
}

#[test]
fn many_parts_are_counted() {
    let mut made = Ask::new("6g").plan();
    for segment in &mut made.segments {
        let part = kexec_plan::classic::Part {
            name: "part".into(),
            range: segment.memory,
        };
        segment.parts = vec![part; 1000];
    }
    let svg = plan(&made);
    assert!(svg.contains(">988 more parts<"));
    assert!(well_formed(&svg).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_it_is_called(path in any::<String>(), line in "\\PC{0,400}", initrd in any::<String>()) {
        let mut ask = Ask::new("kho-scratch");
        ask.path = path;
        ask.cmdline = line.as_str().into();
        ask.initrd = vec![piece(&initrd, 5000), piece("/boot/more", 6000)];
        let svg = plan(&ask.plan());
        well_formed(&svg).map_err(TestCaseError::fail)?;
        assert_fits(&svg);
    }
}

#[test]
fn a_history_is_a_document_whatever_happened() {
    use super::super::reboots::tests;
    use kexec_reboot::record::Outcome;
    let mut attempts = tests::all();
    // The longest that there can be must not reach beyond the sheet.
    if let Some(Outcome::Kexec(arrival)) = &mut attempts[2].outcome {
        arrival.shutdown = Some(u64::MAX);
        arrival.kernel = Some(u64::MAX);
    }
    attempts[3].from = "6.12.107+a-very-long-name-of-somebody".repeat(9);
    let picture = reboots::svg(&attempts).unwrap();
    let texts = well_formed(&picture).unwrap();
    assert!(texts.iter().any(|t| t.contains("debian-7.3")));
    assert!(texts.iter().any(|t| t.contains("jump: 180 ms")));
    assert!(!picture.contains('\u{1b}'));
    assert_bars_fit(&picture);
    assert_eq!(reboots::svg(&[]), None);
}

/// Nothing is drawn beyond the sheet.
fn assert_bars_fit(picture: &str) {
    assert_fits(picture);
    let number = |line: &str, name: &str| -> u64 {
        let text = line.split_once(&format!(" {name}=\"")).unwrap().1;
        text.split_once('"').unwrap().0.parse().unwrap()
    };
    let sheet = number(picture.lines().nth(1).unwrap(), "height");
    let bars = picture.lines().filter(|line| line.starts_with("<rect "));
    for line in bars.filter(|line| line.contains(" x=")) {
        assert!(number(line, "x") + number(line, "width") <= WIDTH, "{line}");
        assert!(
            number(line, "y") + number(line, "height") <= sheet,
            "{line}"
        );
    }
}

#[test]
fn the_legend_has_what_is_drawn_and_nothing_else() {
    use super::super::reboots::tests::{attempt, cold, kexec};
    let names = |attempts: &[_]| {
        let picture = reboots::svg(attempts).unwrap();
        assert_bars_fit(&picture);
        let all = [
            "shutdown",
            "shutdown and jump",
            "shutdown, firmware and boot loader",
            "firmware and boot loader",
            "jump",
            "kernel, to its first program",
        ];
        let drawn = all
            .into_iter()
            .filter(|name| picture.contains(&format!("\">{name}</text>")));
        drawn.collect::<Vec<_>>()
    };
    let kernel = "kernel, to its first program";
    assert_eq!(
        names(&[attempt(Some(kexec(Some(180))))]),
        ["shutdown", "jump", kernel]
    );
    assert_eq!(
        names(&[attempt(Some(kexec(None)))]),
        ["shutdown and jump", kernel]
    );
    assert_eq!(
        names(&[attempt(Some(cold(None)))]),
        ["shutdown, firmware and boot loader", kernel]
    );
    assert_eq!(
        names(&[attempt(Some(cold(Some(70_000))))]),
        ["shutdown", "firmware and boot loader", kernel]
    );
    assert_eq!(names(&[attempt(None)]), Vec::<&str>::new());
    let many: Vec<_> = (0..100).map(|_| attempt(Some(cold(None)))).collect();
    assert_eq!(names(&many).len(), 2);
}

/// The picture of the README is drawn from recorded reboots; `KEXEC_DRAW=1` draws it anew.
#[test]
fn the_reboot_timeline_is_up_to_date() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reboot-timeline");
    let recorded = std::fs::read_to_string(format!("{docs}.json")).unwrap();
    let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    let attempts = serde_json::from_value::<Vec<_>>(recorded["requests"].clone()).unwrap();
    let picture = reboots::svg(&attempts).unwrap();
    if std::env::var_os("KEXEC_DRAW").is_some() {
        std::fs::write(format!("{docs}.svg"), &picture).unwrap();
    }
    let there = std::fs::read_to_string(format!("{docs}.svg")).unwrap();
    assert_eq!(
        there, picture,
        "KEXEC_DRAW=1 cargo test -p kexec-cli reboot_timeline"
    );
}
