//! Boot entries as text: whose word counts and why, the menu of that source in full,
//! and what the others have in a line each.

use kexec_entries::SOURCES;
use kexec_entries::entry::{BootEntry, BootTarget, Boots, Marks, Protocol};
use kexec_entries::{Choice, Evidence};
use kexec_entries::{ListedSource, Survey};

use super::layout::{Ink, Layout};
use super::words::visible;

/// Column in which values stand at the top.
const TOP: usize = 10;
/// Column in which the values of an entry stand.
const INNER: usize = 15;

/// `kexec list`.
pub fn list(survey: &Survey, layout: Layout) -> String {
    let mut out = String::new();
    let field = |out: &mut String, column, label, text: &str| {
        layout.field(out, column, label, text);
    };
    let answer = survey.answer.as_ref();
    let answering = answer.and_then(|a| survey.sources.get(a.index));
    if let (Some(answer), Some(listed)) = (answer, answering) {
        field(&mut out, TOP, "default", &default(listed));
        field(
            &mut out,
            TOP,
            "found by",
            &format!("{}: {}", answer.source, answer.why),
        );
    }
    for source in answering.into_iter().flat_map(|listed| &listed.read_from) {
        field(&mut out, TOP, "read from", &source.to_string());
    }
    for note in &survey.notes {
        field(&mut out, TOP, "note", note);
    }
    let names: Vec<&str> = SOURCES.iter().map(|source| source.name).collect();
    let order = format!(
        "{}: the first one with files counts where nothing shows what booted this machine",
        names.join(", ")
    );
    field(&mut out, TOP, "order", &order);
    field(
        &mut out,
        TOP,
        "marks",
        "* the default entry, ! broken or bad, - another",
    );
    for (at, listed) in survey.sources.iter().enumerate() {
        let full = answer.is_some_and(|a| a.index == at);
        source(&mut out, listed, full, layout);
    }
    out
}

/// `kexec list --names`: what can be named, an id and a title in a line each. Once, where
/// several sources have the same. What would break the line is written out.
pub fn names(survey: &Survey) -> String {
    let entries = survey
        .sources
        .iter()
        .flat_map(|listed| &listed.found.entries);
    let entries = entries.filter(|entry| matches!(entry.boots, Boots::Target(_)));
    let mut seen: Vec<&str> = Vec::new();
    let mut out = String::new();
    for entry in entries {
        if !seen.contains(&entry.id.as_str()) {
            seen.push(&entry.id);
            out.push_str(&format!(
                "{}\t{}\n",
                visible(&entry.id),
                visible(&entry.title)
            ));
        }
    }
    out
}

/// What the answering source would boot, and why.
fn default(listed: &ListedSource) -> String {
    match &listed.found.choice {
        Choice::Entry { index, why } => match listed.found.entries.get(*index) {
            Some(entry) => format!("{}: {why}", entry.id),
            None => why.clone(),
        },
        Choice::None { why } => format!("none: {why}"),
        Choice::Refused(broken) => format!("unknown: {broken}"),
    }
}

fn source(out: &mut String, listed: &ListedSource, full: bool, layout: Layout) {
    let about = SOURCES.iter().find(|source| source.name == listed.source);
    let about = about.map_or("", |source| source.about);
    let title = format!("{}: {about}", listed.source);
    out.push('\n');
    layout.field_in(out, 0, ("", None), (&title, Some(Ink::Strong)));
    if !full {
        let why = match &listed.evidence {
            Evidence::Against(why) => format!("not what boots this machine: {why}"),
            _ => String::new(),
        };
        layout.field(out, 2, "", &why);
    }
    for note in &listed.found.notes {
        layout.field(out, 2, "", &format!("note: {note}"));
    }
    for entry in &listed.found.entries {
        if full {
            in_full(out, entry, layout);
        } else {
            in_short(out, entry, layout);
        }
    }
}

fn sign(entry: &BootEntry) -> &'static str {
    match (&entry.boots, entry.marks) {
        (_, Marks { default: true, .. }) => "*",
        (Boots::Broken(_), _) | (_, Marks { bad: true, .. }) => "!",
        _ => "-",
    }
}

/// `default, running`; empty when there is nothing special.
fn marks(entry: &BootEntry) -> String {
    let Marks {
        default,
        selected,
        running,
        one_shot,
        bad,
    } = entry.marks;
    let broken = matches!(entry.boots, Boots::Broken(_));
    let words = [
        (default, "default"),
        (one_shot, "next boot only"),
        (running, "running"),
        (selected, "selected last"),
        (bad, "bad"),
        (broken, "broken"),
    ];
    let words = words
        .into_iter()
        .filter_map(|(is, word)| is.then_some(word));
    words.collect::<Vec<_>>().join(", ")
}

fn head(entry: &BootEntry) -> String {
    match marks(entry) {
        marks if marks.is_empty() => entry.title.clone(),
        marks => format!("{} [{marks}]", entry.title),
    }
}

/// How an entry stands out: the default one, and those that cannot be booted.
fn ink(entry: &BootEntry) -> Option<Ink> {
    match sign(entry) {
        "*" => Some(Ink::Strong),
        "!" => Some(Ink::Refused),
        _ => None,
    }
}

fn in_full(out: &mut String, entry: &BootEntry, layout: Layout) {
    let ink = ink(entry);
    layout.field_in(out, 2, (sign(entry), ink), (&head(entry), ink));
    let mut row = |label: &str, text: &str| {
        layout.field(out, INNER, &format!("    {label}"), text);
    };
    if entry.id != entry.title {
        row("id", &entry.id);
    }
    match &entry.boots {
        Boots::Target(target) => {
            for (label, text) in rows(target) {
                row(label, &text);
            }
        }
        Boots::Broken(broken) => row("broken", &broken.to_string()),
    }
    let said = matches!(&entry.boots, Boots::Broken(broken) if broken.at == entry.origin);
    if let Some(tries) = entry.tries {
        row(
            "tries",
            &format!("{} left, {} done", tries.left, tries.done),
        );
    }
    if !said {
        row("from", &entry.origin.to_string());
    }
}

fn rows(target: &BootTarget) -> Vec<(&'static str, String)> {
    let kernel = match target.protocol {
        Protocol::Linux => "kernel",
        Protocol::Uki => "UKI",
        Protocol::Multiboot | Protocol::Multiboot2 => "multiboot",
    };
    let mut rows = vec![(kernel, target.kernel.to_string())];
    rows.extend(target.profile.map(|number| ("profile", number.to_string())));
    rows.extend(
        target
            .initrds
            .iter()
            .map(|file| ("initrd", file.to_string())),
    );
    rows.extend(target.extras.iter().map(|file| ("extra", file.to_string())));
    for module in &target.modules {
        rows.push(("module", format!("{} {}", module.file, module.arguments)));
    }
    match &target.cmdline {
        Some(line) => rows.push(("cmdline", line.to_string())),
        None => rows.push(("cmdline", "the one in the UKI".to_owned())),
    }
    rows.extend(
        target
            .devicetree
            .iter()
            .map(|file| ("dtb", file.to_string())),
    );
    rows.extend(
        target
            .overlays
            .iter()
            .map(|file| ("overlay", file.to_string())),
    );
    rows.extend(target.notes.iter().map(|note| ("note", note.clone())));
    rows
}

fn in_short(out: &mut String, entry: &BootEntry, layout: Layout) {
    let what = match &entry.boots {
        Boots::Target(target) => target.kernel.to_string(),
        Boots::Broken(broken) => broken.to_string(),
    };
    let head = head(entry);
    let text = if what == head {
        head
    } else {
        format!("{head}: {what}")
    };
    layout.field_in(out, 2, (sign(entry), ink(entry)), (&text, None));
}

// The machines of the tests of kexec-entries.
#[cfg(test)]
#[path = "../../../kexec-entries/tests/trees/tree.rs"]
mod tree;

/// What is found on each machine of the tests.
#[cfg(test)]
pub fn every_machine() -> Vec<Survey> {
    let manifests = std::fs::read_dir(tree::folder("../kexec-entries"));
    let manifests = manifests.into_iter().flatten().flatten();
    let texts = manifests.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    texts
        .filter_map(|text| {
            let dir = tree::unpack(&text);
            crate::commands::list::surveyed(dir.path()).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::list::surveyed;
    use crate::render::words::{WIDTH, columns};

    const NARROW: Layout = Layout {
        width: Some(WIDTH),
        colours: false,
    };

    fn surveyed_tree(name: &str) -> Survey {
        let manifest = tree::folder("../kexec-entries").join(format!("{name}.tree"));
        let dir = tree::unpack(&std::fs::read_to_string(manifest).unwrap());
        surveyed(dir.path()).unwrap()
    }

    fn listed(name: &str) -> String {
        list(&surveyed_tree(name), NARROW)
    }

    #[test]
    fn every_machine_fits_the_width() {
        let mut count = 0;
        for manifest in std::fs::read_dir(tree::folder("../kexec-entries")).unwrap() {
            let path = manifest.unwrap().path();
            for line in listed(path.file_stem().unwrap().to_str().unwrap()).lines() {
                assert!(columns(line) <= WIDTH, "{path:?}: {line}");
                assert_eq!(line, line.trim_end());
            }
            count += 1;
        }
        assert!(count >= 4);
    }

    #[test]
    fn a_machine_with_fixed_names() {
        insta::assert_snapshot!(listed("arch-plain"));
    }

    /// A script finds each thing on one line.
    #[test]
    fn without_a_terminal_no_line_is_parted() {
        let text = list(&surveyed_tree("arch-plain"), Layout::PLAIN);
        let found = text.lines().find(|line| line.starts_with("found by"));
        let found = found.unwrap();
        assert!(found.ends_with("whose files exist"), "{found}");
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(one_line(&text), one_line(&listed("arch-plain")));
    }

    #[test]
    fn the_default_entry_stands_out_and_a_broken_one() {
        let coloured = Layout {
            width: None,
            colours: true,
        };
        let text = list(&surveyed_tree("arch-plain"), coloured);
        for line in [
            "\x1b[1m*\x1b[0m \x1b[1m/boot/vmlinuz-linux [default]\x1b[0m\n",
            "\x1b[1m\x1b[31m!\x1b[0m \x1b[1m\x1b[31m/boot/vmlinuz-linux-lts [broken]\x1b[0m\n",
            "\n- Linux 6.12.1-arch1-1 [running]: ",
        ] {
            assert!(text.contains(line), "{line:?}: {text:?}");
        }
    }

    /// What a completion offers can be booted, and each is one word.
    #[test]
    fn names_are_ids_of_entries_that_are_whole() {
        let text = names(&surveyed_tree("arch-plain"));
        let ids: Vec<&str> = text
            .lines()
            .map(|l| l.split('\t').next().unwrap())
            .collect();
        assert_eq!(ids, ["/boot/vmlinuz-linux", "6.12.1-arch1-1", "running"]);
    }

    #[test]
    fn names_from_outside_are_harmless() {
        let manifest =
            "=== /proc/cmdline\nroot=\u{1b}[2J\n=== /proc/sys/kernel/osrelease\n6.1\u{202e}x\n";
        let dir = tree::unpack(manifest);
        let text = list(&surveyed(dir.path()).unwrap(), Layout::PLAIN);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        assert!(text.contains("6.1\\u{202e}x"), "{text}");
    }
}
