//! Manual pages from the tables.

use super::roff::{Roff, bold, italic, literal, reference};
use kexec_cli::args::{Arches, Call, Flag, Group, Value, Verb, all};
use kexec_cli::coldreboot;
use kexec_cli::companions::Companion;
use kexec_cli::manual::{COMPLETE, Example, File, PAGES, Page};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// kexec(8): the command line without verbs, and where the verbs are told of.
pub fn complete(date: &str) -> String {
    let page = &COMPLETE.page;
    let mut out = Roff::new(page.name, date, VERSION);
    name(&mut out, page);
    out.section("SYNOPSIS");
    out.lines(&["kexec VERB [OPTION]...", "kexec [OPTION]... [KERNEL]"].map(synopsis));
    out.section("DESCRIPTION");
    out.paragraphs(page.says);
    out.section("VERBS");
    for verb in page.verbs {
        let on = PAGES.iter().find(|page| page.verbs.contains(verb));
        let on = on.map(|page| format!("See {}(8).", page.name));
        out.item(
            &synopsis(verb.synopsis()),
            &format!("{}. {}", verb.about(), on.unwrap_or_default()),
        );
    }
    out.section("OPTIONS WITHOUT A VERB");
    for group in Group::ALL {
        let flags: Vec<&Flag> = all().filter(|f| f.old && f.group == *group).collect();
        if flags.is_empty() {
            continue;
        }
        out.subsection(match group {
            Group::OtherArch => "Other architectures, when kexec_load(2) is used",
            group => group.title(),
        });
        for flag in flags {
            option(&mut out, flag, &[]);
        }
    }
    out.section("EXIT STATUS");
    out.text("Without a verb:");
    for (code, what) in COMPLETE.exit_codes {
        out.item(&bold(code), what);
    }
    out.paragraph("The pages of the verbs list theirs.");
    sections(&mut out, page);
    files(&mut out, page.files);
    examples(&mut out, COMPLETE.examples);
    see_also(&mut out, page);
    out.finish()
}

/// coldreboot(8).
pub fn coldreboot(date: &str) -> String {
    let mut out = Roff::new(coldreboot::NAME, date, VERSION);
    out.section("NAME");
    out.line_of_name(coldreboot::NAME, coldreboot::ABOUT);
    out.section("SYNOPSIS");
    out.lines(&[synopsis(coldreboot::SYNOPSIS)]);
    out.section("DESCRIPTION");
    out.paragraphs(coldreboot::SAYS);
    out.section("OPTIONS");
    for flag in coldreboot::flags() {
        option(&mut out, flag, &[Verb::Reboot]);
    }
    out.section("EXIT STATUS");
    for (code, what) in coldreboot::EXIT_CODES {
        out.item(&bold(code), what);
    }
    examples(&mut out, coldreboot::EXAMPLES);
    out.section("SEE ALSO");
    out.marked_text(&reference("kexec-reboot", 8));
    out.finish()
}

/// The page of a program that packages bring along.
pub fn companion(companion: &Companion, date: &str) -> String {
    let mut out = Roff::new(companion.name, date, VERSION);
    out.section("NAME");
    out.line_of_name(companion.name, companion.about);
    out.section("SYNOPSIS");
    out.lines(&[synopsis(companion.synopsis)]);
    out.section("DESCRIPTION");
    out.paragraphs(companion.says);
    out.section("OPTIONS");
    for (spellings, does) in companion.options {
        let terms: Vec<String> = spellings.iter().map(|option| bold(option)).collect();
        out.item(&terms.join(", "), does);
    }
    out.section("EXIT STATUS");
    for (code, what) in companion.exit_codes {
        out.item(&bold(code), what);
    }
    files(&mut out, companion.files);
    examples(&mut out, companion.examples);
    out.section("SEE ALSO");
    let names = companion.see_also.iter();
    let names = names.map(|(name, section)| reference(name, *section));
    out.marked_text(&names.collect::<Vec<_>>().join(", "));
    out.finish()
}

/// The page of some verbs.
pub fn page(page: &Page, date: &str) -> String {
    let mut out = Roff::new(page.name, date, VERSION);
    name(&mut out, page);
    out.section("SYNOPSIS");
    let synopses = page.verbs.iter().map(|verb| synopsis(verb.synopsis()));
    out.lines(&synopses.collect::<Vec<_>>());
    out.section("DESCRIPTION");
    for verb in page.verbs {
        out.subsection(&format!("kexec {}", verb.name()));
        out.paragraphs(verb.text().says);
    }
    if page.verbs.iter().any(|verb| verb.takes_kernel()) {
        out.subsection("Entries and kernels");
        out.paragraphs(page.says);
    }
    out.section("OPTIONS");
    for verbs in who_takes_what(page) {
        let names: Vec<String> = verbs
            .iter()
            .map(|v| format!("kexec {}", v.name()))
            .collect();
        out.subsection(&names.join(", "));
        let mut flags: Vec<&Flag> = all().filter(|flag| on(page, flag) == verbs).collect();
        flags.sort_by_key(|flag| flag.group.place_behind_a_verb());
        for flag in flags {
            option(&mut out, flag, &verbs);
        }
    }
    if page.verbs.contains(&Verb::Check) {
        checks(&mut out);
    }
    out.section("EXIT STATUS");
    for (verbs, codes) in exit_codes(page) {
        if verbs.len() < page.verbs.len() {
            let names: Vec<String> = verbs
                .iter()
                .map(|v| format!("kexec {}", v.name()))
                .collect();
            out.subsection(&names.join(", "));
        }
        for (code, what) in codes {
            out.item(&bold(&code.to_string()), &sentence(what));
        }
    }
    sections(&mut out, page);
    files(&mut out, page.files);
    let all: Vec<Example> = page
        .verbs
        .iter()
        .flat_map(|verb| verb.text().examples.iter().copied())
        .collect();
    examples(&mut out, &all);
    see_also(&mut out, page);
    out.finish()
}

fn name(out: &mut Roff, page: &Page) {
    out.section("NAME");
    // `mandb` reads this line, so it has no fonts.
    out.line_of_name(page.name, page.about);
}

fn sections(out: &mut Roff, page: &Page) {
    for (heading, says) in page.sections {
        out.section(heading);
        out.paragraphs(says);
    }
}

pub(super) fn files(out: &mut Roff, files: &[File]) {
    if files.is_empty() {
        return;
    }
    out.section("FILES");
    for file in files {
        out.item(&italic(file.path), file.holds);
    }
}

pub(super) fn examples(out: &mut Roff, examples: &[Example]) {
    out.section("EXAMPLES");
    for (number, example) in examples.iter().enumerate() {
        match number {
            0 => out.text(example.does),
            _ => out.paragraph(example.does),
        }
        out.example(example.command);
    }
}

/// All the pages here, and those of others.
fn see_also(out: &mut Roff, page: &Page) {
    out.section("SEE ALSO");
    let ours = PAGES.iter().chain([&COMPLETE.page]).map(|one| one.name);
    let ours = ours.filter(|one| *one != page.name).map(|one| (one, 8));
    let mut names: Vec<(u8, &str)> = ours
        .chain(page.see_also.iter().copied())
        .map(|(name, section)| (section, name))
        .collect();
    names.sort_unstable();
    let names: Vec<String> = names.iter().map(|(s, n)| reference(n, *s)).collect();
    out.marked_text(&names.join(", "));
}

/// The verbs of a page that take an option.
fn on(page: &Page, flag: &Flag) -> Vec<Verb> {
    let verbs = page.verbs.iter().copied();
    verbs.filter(|verb| flag.verbs.contains(verb)).collect()
}

/// Exit codes and what they mean.
type Codes = Vec<(u8, &'static str)>;

/// The exit codes of each verb of a page; those that have the same ones together.
fn exit_codes(page: &Page) -> Vec<(Vec<Verb>, Codes)> {
    let mut all: Vec<(Vec<Verb>, Codes)> = Vec::new();
    for verb in page.verbs {
        let codes = verb.exit_codes();
        match all.iter_mut().find(|(_, known)| *known == codes) {
            Some((verbs, _)) => verbs.push(*verb),
            None => all.push((vec![*verb], codes)),
        }
    }
    all
}

/// Every check by its name, which `kexec check` shows in brackets.
fn checks(out: &mut Roff) {
    out.section("CHECKS");
    for group in kexec_cli::manual::checks() {
        out.subsection(group.title);
        for (name, about) in group.checks {
            out.item(&bold(name), &sentence(about));
        }
    }
}

/// Which verbs share options: in the order of the page, and last what all of them take.
fn who_takes_what(page: &Page) -> Vec<Vec<Verb>> {
    let mut sets: Vec<Vec<Verb>> = all().map(|flag| on(page, flag)).collect();
    let place = |verb: &Verb| page.verbs.iter().position(|one| one == verb);
    sets.retain(|verbs| !verbs.is_empty());
    sets.sort_by_key(|verbs| {
        (
            verbs.len() == page.verbs.len(),
            verbs.first().and_then(place),
            verbs.len(),
            verbs.iter().map(|verb| verb.name()).collect::<Vec<_>>(),
        )
    });
    sets.dedup();
    sets
}

/// An option: its spellings, and everything that the tables say of it behind `verbs`, or
/// without one.
pub(super) fn option(out: &mut Roff, flag: &Flag, verbs: &[Verb]) {
    let old = verbs.is_empty();
    let value = match flag.value {
        Value::None => String::new(),
        Value::Required(name, _) => format!("={}", italic(name)),
    };
    let short = flag
        .short
        .map(|letter| bold(&format!("-{}", char::from(letter))));
    let longs = flag
        .longs()
        .map(|long| format!("{}{value}", bold(&format!("--{long}"))));
    let terms: Vec<String> = short.into_iter().chain(longs).collect();
    let mut text = vec![sentence(flag.doc_short)];
    text.extend(Some(flag.details(verbs)).filter(|more| !more.is_empty()));
    // Where the heading does not say it.
    let said = matches!(flag.group, Group::X86 | Group::OtherArch);
    match flag.effect.call {
        Call::Classic if !said => text.push("Only with kexec_load(2).".to_owned()),
        Call::File => text.push("Only with kexec_file_load(2).".to_owned()),
        _ => {}
    }
    let (on, arches) = match flag.arches {
        Arches::Only(arches) => ("Only", arches),
        Arches::AllBut(arches) => ("Not", arches),
        Arches::All => ("", &[] as &[_]),
    };
    if old && flag.group != Group::X86 && !arches.is_empty() {
        let names: Vec<&str> = arches.iter().map(|arch| arch.name()).collect();
        text.push(format!("{on} on {}.", names.join(", ")));
    }
    out.item(&terms.join(", "), &text.join(" "));
}

/// The text with a full stop at its end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    let text: String = first.into_iter().chain(letters).collect();
    format!("{text}.")
}

/// A synopsis: the words in small letters are typed, those in capitals stand for
/// something.
pub(super) fn synopsis(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        if word.chars().any(|c| c.is_ascii_uppercase()) {
            let mut out = String::new();
            let mut name = String::new();
            for c in word.chars().chain([' ']) {
                if c.is_ascii_uppercase() {
                    name.push(c);
                    continue;
                }
                if !name.is_empty() {
                    out.push_str(&italic(&name));
                    name.clear();
                }
                out.push(c);
            }
            out.trim_end().to_owned()
        } else if word.starts_with(|c: char| c.is_ascii_lowercase() || c == '-') {
            bold(word)
        } else {
            literal(word)
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
