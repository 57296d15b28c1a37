//! Boot entries as text, at most 100 columns wide: whose word counts and why,
//! the menu of that source in full, and what the others have in a line each.

use kexec_entries::SOURCES;
use kexec_entries::entry::{BootEntry, BootTarget, Boots, Marks, Protocol};
use kexec_entries::{Choice, Evidence};
use kexec_entries::{ListedSource, Survey};

use super::words::field;

/// Column in which values stand at the top.
const TOP: usize = 10;
/// Column in which the values of an entry stand.
const INNER: usize = 15;

/// `kexec list`.
pub fn list(survey: &Survey) -> String {
    let mut out = String::new();
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
    field(&mut out, TOP, "order", &names.join(", "));
    for (at, listed) in survey.sources.iter().enumerate() {
        let full = answer.is_some_and(|a| a.index == at);
        source(&mut out, listed, full);
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

fn source(out: &mut String, listed: &ListedSource, full: bool) {
    let about = SOURCES.iter().find(|source| source.name == listed.source);
    let about = about.map_or("", |source| source.about);
    let title = format!("{}: {about}", listed.source);
    out.push('\n');
    field(out, 0, "", &title);
    if !full {
        let why = match &listed.evidence {
            Evidence::Against(why) => format!("not what boots this machine: {why}"),
            _ => String::new(),
        };
        field(out, 2, "", &why);
    }
    for note in &listed.found.notes {
        field(out, 2, "", &format!("note: {note}"));
    }
    for entry in &listed.found.entries {
        if full {
            in_full(out, entry);
        } else {
            in_short(out, entry);
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

fn in_full(out: &mut String, entry: &BootEntry) {
    field(out, 2, sign(entry), &head(entry));
    let mut row = |label: &str, text: &str| field(out, INNER, &format!("    {label}"), text);
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

fn in_short(out: &mut String, entry: &BootEntry) {
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
    field(out, 2, sign(entry), &text);
}

// The machines of the tests of kexec-entries.
#[cfg(test)]
#[path = "../../../kexec-entries/tests/trees/tree.rs"]
mod tree;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::list::surveyed;
    use crate::render::words::{WIDTH, columns};

    fn listed(name: &str) -> String {
        let manifest = tree::folder("../kexec-entries").join(format!("{name}.tree"));
        let dir = tree::unpack(&std::fs::read_to_string(manifest).unwrap());
        list(&surveyed(dir.path()).unwrap())
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

    #[test]
    fn names_from_outside_are_harmless() {
        let manifest =
            "=== /proc/cmdline\nroot=\u{1b}[2J\n=== /proc/sys/kernel/osrelease\n6.1\u{202e}x\n";
        let dir = tree::unpack(manifest);
        let text = list(&surveyed(dir.path()).unwrap());
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        assert!(text.contains("6.1\\u{202e}x"), "{text}");
    }
}
