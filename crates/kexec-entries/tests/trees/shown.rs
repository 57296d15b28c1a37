//! A survey as text for the snapshots: every value of it, but in few lines.

use std::fmt::Write as _;

use kexec_entries::Choice;
use kexec_entries::Survey;
use kexec_entries::entry::{BootEntry, BootTarget, Boots};

pub fn survey(survey: &Survey) -> String {
    let mut out = String::new();
    match &survey.answer {
        Some(answer) => writeln!(out, "answer: {}: {}", answer.source, answer.why).unwrap(),
        None => writeln!(out, "answer: none").unwrap(),
    }
    for note in &survey.notes {
        writeln!(out, "note: {note}").unwrap();
    }
    for listed in &survey.sources {
        writeln!(out, "\n=== {}: {:?}", listed.source, listed.evidence).unwrap();
        match &listed.found.choice {
            Choice::Entry { index, why } => writeln!(out, "default: {index}: {why}").unwrap(),
            Choice::None { why } => writeln!(out, "default: none: {why}").unwrap(),
            Choice::Refused(broken) => writeln!(out, "default: refused: {broken}").unwrap(),
        }
        for source in &listed.read_from {
            writeln!(out, "read from: {source}").unwrap();
        }
        for note in &listed.found.notes {
            writeln!(out, "note: {note}").unwrap();
        }
        for entry in &listed.found.entries {
            assert_eq!(entry.source, listed.source);
            self::entry(&mut out, entry);
        }
    }
    out
}

fn entry(out: &mut String, entry: &BootEntry) {
    writeln!(out, "- {:?} {:?} ({})", entry.id, entry.title, entry.origin).unwrap();
    let marks = &entry.marks;
    let marks: Vec<&str> = [
        (marks.default, "default"),
        (marks.selected, "selected"),
        (marks.running, "running"),
        (marks.one_shot, "one-shot"),
        (marks.bad, "bad"),
    ]
    .into_iter()
    .filter_map(|(is, name)| is.then_some(name))
    .collect();
    let tries = entry
        .tries
        .map(|t| format!("{} left, {} done", t.left, t.done));
    let mut row = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            writeln!(out, "    {name:<9} {value}").unwrap();
        }
    };
    row(
        "marks",
        (!marks.is_empty()).then(|| marks.join(" ")).as_deref(),
    );
    let once_in = entry.once_in.as_ref();
    row("once in", once_in.map(|block| block.shown.as_str()));
    row("version", entry.version.as_deref());
    row("machine", entry.machine_id.as_deref());
    row("sort-key", entry.sort_key.as_deref());
    row("tries", tries.as_deref());
    match &entry.boots {
        Boots::Target(target) => {
            for (name, value) in rows(target) {
                row(name, Some(&value));
            }
        }
        Boots::Broken(broken) => row("broken", Some(&broken.to_string())),
    }
}

fn rows(target: &BootTarget) -> Vec<(&'static str, String)> {
    let file = |file: &kexec_machine::volumes::BootFile| {
        format!("{} = {}:{}", file.shown, file.volume, file.path)
    };
    let protocol = serde_json::to_value(target.protocol).unwrap();
    let protocol = protocol.as_str().unwrap();
    let mut rows = vec![("kernel", format!("{} ({protocol})", file(&target.kernel)))];
    rows.extend(target.initrds.iter().map(|f| ("initrd", file(f))));
    rows.extend(target.extras.iter().map(|f| ("extra", file(f))));
    for module in &target.modules {
        rows.push((
            "module",
            format!("{} {}", file(&module.file), module.arguments),
        ));
    }
    match &target.cmdline {
        Some(line) => rows.push(("cmdline", line.to_string())),
        None => rows.push(("cmdline", "the UKI's own".to_owned())),
    }
    rows.extend(target.profile.map(|n| ("profile", n.to_string())));
    rows.extend(target.devicetree.iter().map(|f| ("dtb", file(f))));
    rows.extend(target.overlays.iter().map(|f| ("overlay", file(f))));
    rows.extend(target.notes.iter().map(|n| ("note", n.clone())));
    rows
}
