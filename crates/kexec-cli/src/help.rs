//! `--help` and `--version`, rendered from the option tables.

use std::ffi::OsStr;
use std::fmt::Write;

use kexec_image::Arch;
use kexec_reboot::enable::FEATURES;

use crate::args::crash_verb::{COMMANDS, CrashAction, CrashCommand};
use crate::args::typed::printable;
use crate::args::{Call, Flag, Group, Value, Verb, flags_for, flags_of, listed};
use crate::{coldreboot, vmcore_dmesg};

/// The widest line.
const WIDTH: usize = 100;
/// Where descriptions begin.
const COLUMN: usize = 32;

/// One line: the program, its own version, and whose command line it takes. The
/// second word is the version, as in kexec-tools' own answer.
pub fn version() -> String {
    format!(
        "kexec-rs {} (with the command line of kexec-tools 2.0.32)\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The same for a script.
pub fn version_json() -> serde_json::Value {
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "command_line_of_kexec_tools": "2.0.32",
    })
}

/// What `--help` prints: of a verb, or of everything on a machine of `arch`.
pub fn help(arch: Arch, verb: Option<Verb>) -> String {
    match verb {
        Some(verb) => of_verb(verb),
        None => of_everything(arch),
    }
}

/// What a usage error says: what is wrong, and where to look. Two lines.
pub fn usage(message: &str, verb: Option<Verb>) -> String {
    format!("kexec: {message}\n       {}\n", usage_remedy(verb))
}

/// Where to look after a usage error: `see kexec load --help`.
pub fn usage_remedy(verb: Option<Verb>) -> String {
    // The help of `help` would help nobody.
    let verb = verb.filter(|verb| *verb != Verb::Help);
    let behind = verb.map(|verb| format!(" {}", verb.name()));
    format!("see kexec{} --help", behind.unwrap_or_default())
}

/// What is said of a kernel that is not there, and that may be a mistyped verb;
/// `similar` are the verbs that it may be. Two lines.
pub fn neither_file_nor_verb(word: &OsStr, similar: &[&str]) -> String {
    let verbs: Vec<String> = similar.iter().map(|verb| format!("kexec {verb}")).collect();
    let did_you_mean = match verbs.is_empty() {
        true => String::new(),
        false => format!("; did you mean {}?", listed(&verbs, "or")),
    };
    format!(
        "kexec: there is no file {} here, and no verb of that name{did_you_mean}\n       kexec \
         --help lists the verbs; a kernel file elsewhere is named with its folder\n",
        printable(word)
    )
}

/// What is said of `-e` behind a verb. Two lines.
pub fn jump_behind_a_verb(verb: Verb) -> String {
    format!(
        "kexec: -e jumps at once, and does not go with the verb {name}\n       use kexec {name} \
         without -e; kexec -e alone jumps into the loaded image\n",
        name = verb.name()
    )
}

/// What is said of a verb before an old option that loads, where there is no file of that
/// name. Two lines.
pub fn load_behind_a_verb(verb: Verb, mode: &Flag) -> String {
    let (verb, mode) = (verb.name(), mode.spelled());
    format!(
        "kexec: with {mode}, \"{verb}\" is a kernel file, and there is none here\n       see kexec \
         {verb} --help: the verb goes without {mode}\n"
    )
}

/// What `coldreboot --help` prints, which is `kexec reboot --cold --help`.
pub fn coldreboot() -> String {
    let mut out = format!(
        "{}{}.\n\nUsage: {}\n",
        coldreboot::ABOUT
            .get(..1)
            .unwrap_or_default()
            .to_uppercase(),
        coldreboot::ABOUT.get(1..).unwrap_or_default(),
        coldreboot::SYNOPSIS
    );
    groups(&mut out, &coldreboot::flags(), right);
    out.push_str("\nExamples:\n");
    for example in coldreboot::EXAMPLES {
        row(
            &mut out,
            example.command,
            example.does.trim_end_matches('.'),
        );
    }
    out.push_str("\nExit codes:\n");
    for (code, what) in coldreboot::EXIT_CODES {
        row(&mut out, code, what);
    }
    out
}

/// What `kexec crash load --help` prints: of one subcommand, with the options that it takes.
pub fn crash(action: CrashAction) -> String {
    let Some(command) = COMMANDS.iter().find(|row| row.action == action) else {
        return of_verb(Verb::Crash);
    };
    let mut out = format!("{}.\n\nUsage: {}\n", command.about, command.synopsis());
    let flags = flags_of(Verb::Crash);
    let flags: Vec<&Flag> = flags.into_iter().filter(|f| command.has(f.id)).collect();
    titled(&mut out, &flags, crash_title, |flag| {
        described(flag, Verb::Crash)
    });
    let behind = format!("kexec crash {}", command.name);
    let examples = Verb::Crash.text().examples.iter();
    let mut examples = examples
        .filter(|example| example.command.starts_with(&behind))
        .peekable();
    if examples.peek().is_some() {
        out.push_str("\nExamples:\n");
    }
    for example in examples {
        row(
            &mut out,
            example.command,
            example.does.trim_end_matches('.'),
        );
    }
    out.push_str("\nkexec crash --help has the other commands and the exit codes; kexec-crash(8) has more.\n");
    out
}

/// The headings of the options of `kexec crash`.
fn crash_title(group: Group) -> &'static str {
    match group {
        Group::Boot => "What the crash kernel gets",
        _ => group.title(),
    }
}

/// An option behind a verb: what it does, and what it goes with.
fn described(flag: &Flag, verb: Verb) -> String {
    match flag.details(&[verb]).as_str() {
        "" => right(flag),
        more => format!("{}. {more}", right(flag)),
    }
}

/// What `vmcore-dmesg --help` prints.
pub fn vmcore_dmesg() -> String {
    let mut out = format!(
        "Print the log of a crashed kernel.\n\nUsage: {}\n",
        vmcore_dmesg::SYNOPSIS
    );
    groups(&mut out, &vmcore_dmesg::flags(), right);
    out.push_str("\nExamples:\n");
    for example in vmcore_dmesg::EXAMPLES {
        row(
            &mut out,
            example.command,
            example.does.trim_end_matches('.'),
        );
    }
    out.push_str(
        "\nExit code: 0 when the whole log was printed; vmcore-dmesg(8) lists the other codes.\n",
    );
    out
}

/// What a usage error of it shows.
pub fn vmcore_dmesg_usage() -> String {
    format!(
        "Usage: {}\nTry `{} --help`.\n",
        vmcore_dmesg::SYNOPSIS,
        vmcore_dmesg::NAME
    )
}

fn of_everything(arch: Arch) -> String {
    let mut out = version();
    out.push_str(
        "Boot another kernel from the running one, without the firmware.\n\n\
         Usage: kexec VERB [OPTION]...\n       kexec [OPTION]... [KERNEL]\n\n\
         Verbs, as the first argument (more: kexec VERB --help):\n",
    );
    for verb in Verb::ALL {
        row(&mut out, verb.name(), verb.about());
    }
    out.push_str(
        "\nWithout a verb, everything works as in kexec-tools: options in any order; long options may\n\
         be abbreviated. A kernel file that is called like a verb needs its folder: ./load.\n",
    );
    groups(&mut out, &flags_for(arch), right);
    out.push_str(
        "\nExit codes: verbs: 0 done, 1 refused or failed, 2 usage. Without a verb: 0 done, 1 usage,\n\
         255 failed; with -S: 1 loaded, 0 not loaded, 255 unknown.\n",
    );
    out
}

fn of_verb(verb: Verb) -> String {
    let mut out = format!("{}.\n\nUsage: {}\n", verb.about(), verb.synopsis());
    if matches!(verb, Verb::Enable | Verb::Disable) {
        out.push_str("\nFeatures:\n");
        for feature in FEATURES {
            row(&mut out, feature.name, feature.about);
        }
    }
    if verb == Verb::Crash {
        out.push_str("\nCommands:\n");
        for command in COMMANDS {
            let typed = [command.name, command.operand].join(" ");
            row(&mut out, typed.trim_end(), command.about);
        }
    }
    match verb {
        Verb::Crash => titled(&mut out, &flags_of(verb), crash_title, |flag| {
            format!("{}{}", CrashCommand::takers(flag), described(flag, verb))
        }),
        _ => groups(&mut out, &flags_of(verb), |flag| described(flag, verb)),
    }
    out.push_str("\nExamples:\n");
    for example in verb.text().examples {
        row(
            &mut out,
            example.command,
            example.does.trim_end_matches('.'),
        );
    }
    out.push_str("\nExit codes:\n");
    for (code, what) in verb.exit_codes() {
        row(&mut out, &code.to_string(), what);
    }
    out
}

/// The options below the headings of their groups, in the order in which they come.
fn groups(out: &mut String, flags: &[&'static Flag], text: impl Fn(&Flag) -> String) {
    titled(out, flags, Group::title, text);
}

/// The same with other headings.
fn titled(
    out: &mut String,
    flags: &[&'static Flag],
    title: impl Fn(Group) -> &'static str,
    text: impl Fn(&Flag) -> String,
) {
    let mut seen: Vec<Group> = Vec::new();
    for group in flags.iter().map(|flag| flag.group) {
        if seen.contains(&group) {
            continue;
        }
        seen.push(group);
        let members = flags.iter().filter(|flag| flag.group == group);
        // Writing to a String cannot fail.
        let _ = write!(out, "\n{}:\n", title(group));
        for flag in members {
            row(out, &left(flag), text(flag).trim_end());
        }
    }
}

/// `-l, --load`, `    --append=TEXT, --command-line=TEXT`.
fn left(flag: &Flag) -> String {
    let short = match (flag.short, flag.long) {
        (Some(letter), "") => return format!("-{}", char::from(letter)),
        (Some(letter), _) => format!("-{}, ", char::from(letter)),
        (None, _) => "    ".to_owned(),
    };
    let value = match flag.value {
        Value::None => String::new(),
        Value::Required(name, _) => format!("={name}"),
    };
    let longs: Vec<String> = flag.longs().map(|l| format!("--{l}{value}")).collect();
    short + &longs.join(", ")
}

/// The description; groups whose title does not say it name the system call.
fn right(flag: &Flag) -> String {
    let said = matches!(flag.group, Group::X86 | Group::OtherArch);
    match flag.effect.call {
        Call::Classic if !said => format!("{} [kexec_load]", flag.doc_short),
        Call::File => format!("{} [kexec_file_load]", flag.doc_short),
        _ => flag.doc_short.to_owned(),
    }
}

/// Two columns; a long left one gets a line of its own.
fn row(out: &mut String, left: &str, right: &str) {
    let indent = " ".repeat(COLUMN);
    let mut line = format!("  {left}");
    if line.len() + 2 > COLUMN {
        out.push_str(&line);
        out.push('\n');
        line.clear();
    }
    let mut used = COLUMN;
    let _ = write!(line, "{:<1$}", "", COLUMN.saturating_sub(line.len()));
    let mut start = true;
    for word in right.split(' ') {
        if !start && used + 1 + word.len() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line.clone_from(&indent);
            used = COLUMN;
            start = true;
        }
        if !start {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += word.len();
        start = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> impl Iterator<Item = String> {
        let verbs = Verb::ALL.iter().map(|v| help(Arch::X86_64, Some(*v)));
        verbs
            .chain(Arch::ALL.iter().map(|a| help(*a, None)))
            .chain([vmcore_dmesg()])
            .chain(COMMANDS.iter().map(|row| crash(row.action)))
    }

    #[test]
    fn no_line_is_too_long_or_ends_in_space() {
        for line in everything().flat_map(|t| t.lines().map(str::to_owned).collect::<Vec<_>>()) {
            assert!(line.len() <= WIDTH, "{line}");
            assert_eq!(line.trim_end(), line);
        }
    }

    /// One table of options for six subcommands: each row says who takes it.
    #[test]
    fn the_help_of_crash_says_who_takes_an_option() {
        let text = help(Arch::X86_64, Some(Verb::Crash));
        let one = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for row in [
            "--dry-run With load and shrink: Change nothing",
            "--append=TEXT With load and estimate: Add parameters",
            "--json Print JSON",
            "What the crash kernel gets:",
            "for a crash kernel, kexec_file_load(2) first",
        ] {
            assert!(one.contains(row), "{row}: {text}");
        }
        assert!(!text.contains("What the next kernel gets"), "{text}");
        let status = crash(CrashAction::Status);
        assert!(
            status.contains("Usage: kexec crash status [OPTION]..."),
            "{status}"
        );
        assert!(
            status.contains("--json") && !status.contains("--append"),
            "{status}"
        );
        assert!(status.contains("kexec crash status "), "{status}");
    }

    #[test]
    fn every_option_is_listed() {
        let text = help(Arch::X86_64, None);
        for flag in flags_for(Arch::X86_64) {
            assert!(text.contains(&left(flag)), "{}", flag.name());
        }
        assert!(!help(Arch::Arm64, None).contains("--noefi"));
        assert!(help(Arch::Arm64, None).contains("--serial=TTY"));
    }

    /// Callers look at the exit code alone or at the first line; the second word
    /// is where kexec-tools has its version.
    #[test]
    fn the_version_is_one_line_and_its_second_word() {
        assert_eq!(version().lines().count(), 1);
        assert_eq!(
            version().split_whitespace().nth(1),
            Some(env!("CARGO_PKG_VERSION"))
        );
    }

    /// Ninety lines would push what is wrong off the screen.
    #[test]
    fn what_is_wrong_is_said_in_two_lines() {
        assert_eq!(
            usage("load does not take --host: status does", Some(Verb::Load)),
            "kexec: load does not take --host: status does\n       see kexec load --help\n"
        );
        assert_eq!(usage("no", None), "kexec: no\n       see kexec --help\n");
        assert_eq!(usage("no", Some(Verb::Help)), usage("no", None));
        let said = neither_file_nor_verb(OsStr::new("statsu"), &["status"]);
        assert_eq!(
            said.lines().next(),
            Some(
                "kexec: there is no file statsu here, and no verb of that name; did you mean kexec status?"
            )
        );
        let said = neither_file_nor_verb(OsStr::new("a\x1b[2J"), &[]);
        assert_eq!(said.lines().count(), 2);
        assert!(
            !said.contains('\x1b') && !said.contains("did you mean"),
            "{said}"
        );
    }

    /// An option that the verb does not take is of no use to who reads its help.
    #[test]
    fn the_help_of_a_verb_names_only_its_own_options() {
        for verb in Verb::ALL {
            let taken: Vec<&str> = flags_of(*verb).iter().flat_map(|f| f.longs()).collect();
            let mut text = of_verb(*verb);
            // Examples may quote another program's.
            text.truncate(text.find("\nExamples:").unwrap());
            for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
                let Some(long) = word.strip_prefix("--") else {
                    continue;
                };
                assert!(taken.contains(&long), "{}: --{long}", verb.name());
            }
        }
    }

    /// What is used most is read first.
    #[test]
    fn the_help_of_a_verb_has_the_order_of_use() {
        let text = of_verb(Verb::Reboot);
        // Where its line begins; another one's text may name it, too.
        let at = |option: &str| {
            let line = |line: &str| line.get(6..).is_some_and(|rest| rest.starts_with(option));
            text.lines()
                .position(|l| l.starts_with("  ") && line(l))
                .unwrap()
        };
        let order = [
            "--dry-run",
            "--or-cold",
            "--cmdline",
            "--json",
            "--append",
            "--kexec-file",
            "--help",
        ];
        for (one, next) in order.iter().zip(order.iter().skip(1)) {
            assert!(at(one) < at(next), "{one} {next}: {text}");
        }
    }

    #[test]
    fn help_of_enable_explains_every_feature() {
        for verb in [Verb::Enable, Verb::Disable] {
            let text = of_verb(verb);
            for feature in FEATURES {
                let line = text
                    .lines()
                    .find(|l| l.starts_with(&format!("  {} ", feature.name)));
                assert!(line.is_some(), "{}: {text}", feature.name);
            }
        }
    }

    #[test]
    fn help_of_a_verb() {
        insta::assert_snapshot!(help(Arch::X86_64, Some(Verb::Load)));
    }

    #[test]
    fn help_of_vmcore_dmesg() {
        insta::assert_snapshot!(vmcore_dmesg());
    }

    #[test]
    fn help_of_everything() {
        insta::assert_snapshot!(help(Arch::X86_64, None));
    }
}
