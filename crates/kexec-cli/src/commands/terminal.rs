//! Standard output and standard error as the terminals that they may be: how wide, in
//! colour or not, and through a pager.

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kexec_machine::programs;
use rustix::termios::tcgetwinsize;

use super::{print, progress};
use crate::render::layout::Layout;
use crate::request::{ColourChoice, OutputOptions};

/// What was typed about the output. Without a command line: as on a terminal.
static OPTIONS: OnceLock<OutputOptions> = OnceLock::new();

/// Remembers what was typed about the output. Once, before anything is printed.
pub fn set(options: OutputOptions) {
    let _ = OPTIONS.set(options);
}

fn options() -> OutputOptions {
    OPTIONS.get().copied().unwrap_or_default()
}

/// How a text for standard output is laid out.
pub fn layout() -> Layout {
    let out = std::io::stdout();
    Layout {
        width: size(&out).map(|size| size.columns),
        colours: has_colours(options().colour, out.is_terminal(), &|name| {
            std::env::var_os(name)
        }),
    }
}

/// How a message for standard error is laid out: messages have no colours.
pub fn layout_of_messages() -> Layout {
    Layout {
        width: size(&std::io::stderr()).map(|size| size.columns),
        colours: false,
    }
}

/// How much a terminal shows.
#[derive(Debug, Clone, Copy)]
struct Size {
    columns: usize,
    lines: usize,
}

/// The size of a terminal; `None` for anything else, and for one that does not say it
/// (a serial console has 0 columns).
fn size(stream: &(impl IsTerminal + AsFd)) -> Option<Size> {
    if !stream.is_terminal() {
        return None;
    }
    let size = tcgetwinsize(stream).ok().filter(|size| size.ws_col > 0)?;
    Some(Size {
        columns: size.ws_col.into(),
        lines: size.ws_row.into(),
    })
}

/// Whether there are colours: as it was typed, or else on a terminal that has them,
/// unless NO_COLOR is set (no-color.org).
fn has_colours(
    choice: ColourChoice,
    terminal: bool,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto => {
            let dumb = set("TERM").is_none_or(|term| term == "dumb");
            terminal && !dumb && set("NO_COLOR").is_none()
        }
    }
}

/// Prints a text that may be longer than the screen: through a pager, where standard
/// output is a terminal and the text does not fit. A pager that is missing, fails or ends
/// early is no failure; the text is printed without one where it did not start.
pub fn page(text: &str) {
    if !(goes_through_pager(text) && paged(text)) {
        print(text);
    }
}

fn goes_through_pager(text: &str) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let fits = |size: Size| text.lines().count() < size.lines;
    options().pager
        && !dumb
        && std::io::stdin().is_terminal()
        && size(&std::io::stdout()).is_some_and(|size| !fits(size))
}

/// Whether a pager has taken the text.
fn paged(text: &str) -> bool {
    let variable = |name: &str| std::env::var_os(name);
    let borrowed = rustix::process::geteuid().is_root()
        && ["SUDO_UID", "PKEXEC_UID", "DOAS_USER"]
            .iter()
            .any(|name| variable(name).is_some());
    let Some(mut pager) = pager(borrowed, &variable) else {
        return false;
    };
    progress::end();
    let started = Instant::now();
    let Ok(mut child) = pager.stdin(Stdio::piped()).spawn() else {
        return false;
    };
    if let Some(mut input) = child.stdin.take() {
        // Who has seen enough closes it.
        let _ = input.write_all(text.as_bytes());
    }
    // One that failed at once has shown nothing.
    let done = child.wait().is_ok_and(|status| status.success());
    done || started.elapsed() > SHOWN_SOMETHING
}

/// A pager that failed after this time was read.
const SHOWN_SOMETHING: Duration = Duration::from_millis(300);

/// What less(1) is to do: end where the text fits (F), show colours (R), part no lines
/// (S), leave the text on the screen (X), prompt in more detail (M), end at Ctrl-C (K).
const LESS: &str = "FRSXMK";

/// The user's pager, or else less(1); `None` for none at all (`PAGER=cat`, or empty).
/// Whoever has root's rights only for this one command (sudo(8) and the like) gets a less
/// that starts no other program: `borrowed`.
fn pager(borrowed: bool, variable: &dyn Fn(&str) -> Option<OsString>) -> Option<Command> {
    let named = variable("PAGER").filter(|_| !borrowed);
    let mut command = match named.as_deref().map(OsStr::to_str) {
        // Its words, as other programs take them; a shell is not needed for that.
        Some(Some(named)) => {
            let mut words = named.split_whitespace();
            let program = words.next().filter(|program| *program != "cat")?;
            let mut command = Command::new(program);
            command.args(words);
            command
        }
        Some(None) => return None,
        None => programs::command("less"),
    };
    if borrowed {
        command.env("LESSSECURE", "1");
        for name in ["LESSOPEN", "LESSCLOSE", "LESSKEY", "LESSKEYIN"] {
            command.env_remove(name);
        }
        command.env("LESS", LESS);
    } else if variable("LESS").is_none() {
        command.env("LESS", LESS);
    }
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, set: &[(&str, &str)]) -> Option<OsString> {
        let found = set.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.into())
    }

    #[test]
    fn colours_are_for_terminals_that_have_them() {
        for (choice, terminal, set, wanted) in [
            (ColourChoice::Auto, true, &[("TERM", "xterm")] as &[_], true),
            (ColourChoice::Auto, false, &[("TERM", "xterm")], false),
            (ColourChoice::Auto, true, &[("TERM", "dumb")], false),
            (ColourChoice::Auto, true, &[], false),
            (
                ColourChoice::Auto,
                true,
                &[("TERM", "xterm"), ("NO_COLOR", "1")],
                false,
            ),
            // An empty one counts as not set.
            (
                ColourChoice::Auto,
                true,
                &[("TERM", "xterm"), ("NO_COLOR", "")],
                true,
            ),
            (ColourChoice::Always, false, &[("NO_COLOR", "1")], true),
            (ColourChoice::Never, true, &[("TERM", "xterm")], false),
        ] {
            let colours = has_colours(choice, terminal, &|name| given(name, set));
            assert_eq!(colours, wanted, "{choice:?} {terminal} {set:?}");
        }
    }

    fn started(borrowed: bool, set: &[(&str, &str)]) -> Option<String> {
        let command = pager(borrowed, &|name| given(name, set))?;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let mut said: Vec<String> = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let less = command.get_envs().filter(|(name, _)| *name != "PATH");
        let less = less.filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
        said.extend(less.map(|(name, value)| format!("{name}={value}")));
        Some(said.join(" "))
    }

    #[test]
    fn the_pager_is_the_users_and_else_less() {
        let started = |set: &[(&str, &str)]| started(false, set);
        assert_eq!(started(&[]).unwrap(), "less LESS=FRSXMK");
        assert_eq!(started(&[("LESS", "-i")]).unwrap(), "less");
        let most = started(&[("PAGER", "most -w")]);
        assert_eq!(most.unwrap(), "most -w LESS=FRSXMK");
        assert_eq!(started(&[("PAGER", "cat")]), None);
        assert_eq!(started(&[("PAGER", "")]), None);
    }

    /// Else `!sh` in the pager would be a shell of root's.
    #[test]
    fn borrowed_rights_start_no_other_program() {
        let set = [("PAGER", "sh -c id"), ("LESS", "-i")];
        let said = started(true, &set).unwrap();
        assert!(said.starts_with("less "), "{said}");
        assert!(said.contains("LESSSECURE=1"), "{said}");
    }
}
